/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/outbox.h - the messages that wait to be sent to a client
 *
 * Only ivshmem/server.c and the tests look here.
 */
#ifndef BF_IVSHMEM_OUTBOX_H
#define BF_IVSHMEM_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A peer's eventfds, shared by the client they belong to and the outboxes they wait in.
 * They are closed when the last of these lets go.
 */
struct bf_vectors {
	unsigned int refs;
	uint16_t id;
	uint16_t n;
	int fd[];
};

/*
 * Make @n eventfds, with one reference (returns). Return: 0; -ENOMEM; -EMFILE, -ENFILE.
 */
int bf_vectors_create(struct bf_vectors **out, uint16_t id, unsigned int n,
		      struct belfry_error *err);

/* Give up a reference; NULL is fine. */
void bf_vectors_put(struct bf_vectors *v);

struct bf_outbox_entry;

/*
 * A queue with an entry per event, not per message: "all vectors of this peer" is one. A
 * zeroed one is empty.
 */
struct bf_outbox {
	struct bf_outbox_entry *ring;
	unsigned int room; /* of ring: 0 or a power of two */
	unsigned int head;
	unsigned int count;
	unsigned int vector; /* of the first entry, the next to be sent */
	uint64_t messages;   /* in all entries, still to be sent */
};

void bf_outbox_fini(struct bf_outbox *box);

/* Queue one message. @fd is borrowed until it is sent; -1: none. Return: 0; -ENOMEM. */
int bf_outbox_add(struct bf_outbox *box, int value, int fd);

/* Queue one message per vector; takes a reference of its own. Return: 0; -ENOMEM. */
int bf_outbox_add_vectors(struct bf_outbox *box, struct bf_vectors *v);

/*
 * Look at the first message. @fd is borrowed until bf_outbox_pop(). Return: whether any.
 */
bool bf_outbox_first(const struct bf_outbox *box, int64_t *value, int *fd);

/* The first message has been sent. */
void bf_outbox_pop(struct bf_outbox *box);

#endif
