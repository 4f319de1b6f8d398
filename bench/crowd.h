/* SPDX-License-Identifier: MIT */
/* bench/crowd.h - the link of a measurement: its memory, an ivshmem server for the VMs
 * that are measured, and a crowd of peers that do nothing
 *
 * A peer of the crowd is its eventfds and nothing more; their IDs are 0 to peers - 1.
 * VMs get the IDs from there on. Each is told of the crowd, of the VMs before it, and of
 * itself last. All VMMs meet the same server, so that it is none of what makes them
 * differ.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include <belfry.h>

struct crowd;

struct crowd_config {
	uint32_t peers; /* may be 0 */
	uint32_t vectors;
	uint64_t size; /* of the memory */
	bool late;     /* the crowd stays away until a guest asks for it */
	bool answer; /* a thread rings back for the last peer's last vector, on demand */
	int cpu;     /* where that thread runs, or -1 */
};

/*
 * Make memory and eventfds, and serve. A crowd lives as long as its process: a
 * measurement has one of its own.
 * Return: 0; a negative errno.
 */
int crowd_create(struct crowd **out, const struct crowd_config *cfg,
		 struct belfry_error *err);

/* Return: a socket that is connected to the server (returns); a negative errno. */
int crowd_connect(struct crowd *c, struct belfry_error *err);

/* Let programs connect to @path, which is made. Return: 0; a negative errno. */
int crowd_listen(struct crowd *c, const char *path, struct belfry_error *err);

/* The memory, borrowed. */
int crowd_memory(const struct crowd *c);

#endif
