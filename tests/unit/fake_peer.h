/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/fake_peer.h - peers without a server: ivshmem/ivshmem.h for tests
 *
 * What bf_peer_create() makes follows fake_link, and says afterwards what the test tells
 * it to: who joins, who leaves, that the server is gone or back.
 */
#ifndef BF_FAKE_PEER_H
#define BF_FAKE_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct bf_peer;

struct fake_vector {
	uint16_t id;
	uint16_t number;
	int fd; /* eventfd */
};

/* The link that the next device joins; a test fills in the first part. */
struct fake_link {
	uint16_t id;              /* our own */
	int memory;               /* descriptor; the test's */
	unsigned int own_vectors; /* of ours, how many the server has */
	unsigned int others;      /* peers before us, IDs from 100 on, a vector each */
	int connect_errno;        /* what bf_peer_connect() fails with, or 0 */
	int create_errno;         /* what bf_peer_create() fails with, or 0 */

	char path[108];  /* what was connected to; empty: a descriptor was given */
	char again[108]; /* and what is to be when the server is gone; empty: nothing */
	unsigned int wanted;
	uint64_t timeout_ns;
	struct bf_peer *peer; /* the last that was made */
	unsigned int alive;   /* peers not yet destroyed */
};

extern struct fake_link fake_link;

/* Peer @id has vector @number now. Return: its eventfd, the peer's; -1: none left. */
int fake_join(struct bf_peer *peer, uint16_t id, unsigned int number);
void fake_leave(struct bf_peer *peer, uint16_t id);
void fake_lose_server(struct bf_peer *peer);

/* The server is back: all have left, and we have as many vectors as before, new ones. */
void fake_return_server(struct bf_peer *peer);

/* Another has come in its place. */
void fake_change_server(struct bf_peer *peer);

/* Those that are there now. */
const struct fake_vector *fake_vectors(const struct bf_peer *peer, unsigned int *n);

/* How often @fd has been written to since the last call. */
unsigned int fake_rings(int fd);

#endif
