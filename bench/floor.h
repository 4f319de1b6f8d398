/* SPDX-License-Identifier: MIT */
/* bench/floor.h - the floor: the bare KVM path from doorbell to interrupt, with no VMM
 *
 * One or two VMs of one vCPU, in this process. A doorbell is one ioeventfd, wired to the
 * irqfd of the other VM (of the same one if it is alone). There is no PCI and no device:
 * the guest's command line gets floor=DOORBELL,MEMORY,SIZE,VECTOR,ID. The guests and
 * their loops are those that belfry runs: what belfry takes longer is belfry's.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <belfry.h>

#define FLOOR_VMS_MAX 2
#define FLOOR_RUNNING -1
#define FLOOR_CRASHED 255 /* in place of the status of a guest that gave none */

struct floor;

/* A shared memory; none when @fd is -1. */
struct floor_memory {
	int fd;
	uint64_t size;
};

struct floor_config {
	const void *kernel; /* a PVH ELF file */
	size_t kernel_size;
	const char *cmdlines[FLOOR_VMS_MAX];
	unsigned int vms;
	size_t ram_size;
	struct floor_memory link;    /* and doorbells */
	struct floor_memory samples; /* of the first VM: samples=GPA,SIZE tells it */
	int consoles[FLOOR_VMS_MAX]; /* descriptors that they write to */
};

struct floor_exits {
	uint64_t console, mmio, other;
};

/* Return: a descriptor (returns); -ENODEV: there is no KVM; -EPERM: not for us. */
int floor_open_kvm(struct belfry_error *err);

/* Return: 0; a negative errno. @cfg is not needed later; @out is to be destroyed. */
int floor_create(struct floor **out, const struct floor_config *cfg,
		 struct belfry_error *err);

/*
 * Run VM n on CPU cpus[n] of the host, where that is not negative. The first one runs on
 * this thread if @here: to make another costs time at a start.
 * Return: 0; a negative errno.
 */
int floor_run(struct floor *f, const int *cpus, bool here, struct belfry_error *err);

/* The status a guest ended with, or FLOOR_RUNNING. Any thread. */
int floor_status(const struct floor *f, unsigned int vm);

/* Of all VMs, so far. Any thread. */
struct floor_exits floor_exits(const struct floor *f);

/* Wait until all guests have ended. Return: the highest status. */
int floor_wait(struct floor *f);

/* No guest may run. NULL is fine. */
void floor_destroy(struct floor *f);

/* --- bench/floor_load.c: where a PVH guest starts --- */

struct floor_ram {
	uint8_t *hva; /* of guest physical address 0 */
	size_t size;
};

/* 32-bit protected mode at @entry with @start_info in EBX */
struct floor_start {
	uint64_t entry;
	uint64_t start_info;
};

/* Return: 0; -ENOEXEC, -EINVAL: the file, or the command line, does not fit. */
int floor_load(struct floor_ram ram, const struct floor_config *cfg, const char *cmdline,
	       struct floor_start *out, struct belfry_error *err);

#endif
