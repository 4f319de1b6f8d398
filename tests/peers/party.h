/* SPDX-License-Identifier: MIT */
/* tests/peers/party.h - a peer under test, with all it is told, and what it logs */
#ifndef BF_TESTS_PARTY_H
#define BF_TESTS_PARTY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/loop.h"
#include "ivshmem/ivshmem.h"

#define PARTY_MS 1000000ULL

struct party {
	struct bf_peer *peer;
	unsigned int added; /* vectors */
	unsigned int left;  /* peers */
	unsigned int lost;  /* servers */
	unsigned int back;
	unsigned int changed;
	uint16_t last_left;
	struct belfry_error why; /* the server was lost or has changed */
	char story[512];         /* of the first calls: "2.0, 2 left, lost, ..." */
};

/* Log lines, joined by newlines. */
struct party_log {
	char text[8192];
};

/* A log that appends everything to @to; NULL: a silent one. */
struct bf_log party_log_to(struct party_log *to);

/*
 * bf_peer_create(), with the callbacks and the owner set here, and five seconds for the
 * handshake if none are given. @log may be NULL.
 */
int party_create(struct party *p, struct bf_loop *loop, struct bf_peer_conf conf,
		 const struct bf_log *log, struct belfry_error *err);

/* The same, with @sock (takes) and no path. */
int party_join(struct party *p, struct bf_loop *loop, int sock, unsigned int own_vectors,
	       const struct bf_log *log, struct belfry_error *err);

struct bf_peer_stats party_stats(const struct party *p);

/* Run @loop until @done says so. Return: whether it did within five seconds. */
bool party_run_until(struct bf_loop *loop, bool (*done)(void *arg), void *arg);

/* Run @loop until nothing happens any more. */
void party_run_idle(struct bf_loop *loop);

/* Ring @vector of @to as @from: does exactly that eventfd of @to count one? */
bool party_rings(const struct party *from, const struct party *to, unsigned int vector);

#endif
