/* SPDX-License-Identifier: MIT */
/*
 * devices/early.h - rings for a peer whose joining the server has told us of, and we have
 * not read yet
 *
 * The server tells those who are there of a new peer before it tells the new peer of
 * them. But the new one may ring, and its guest's neighbour answer, before the answering
 * side has read its socket. So what is rung for nobody is kept for a moment.
 */
#ifndef BF_EARLY_H
#define BF_EARLY_H

#include <stdbool.h>
#include <stdint.h>

#define BF_EARLY_MAX 32
#define BF_EARLY_NS  1000000000ULL

/* Zeroed: nothing is kept. @value is peer << 16 | vector, times are bf_now_ns()'s. */
struct bf_early {
	unsigned int next; /* the oldest, which gives way */
	struct {
		uint32_t value;
		uint64_t until; /* 0: the place is free */
	} rings[BF_EARLY_MAX];
};

/* Keep a ring. Several of the same doorbell are one, as they are for an eventfd. */
void bf_early_keep(struct bf_early *early, uint32_t value, uint64_t now);

/* The doorbell is there. Return: whether it was rung lately; it is told once. */
bool bf_early_take(struct bf_early *early, uint32_t value, uint64_t now);

#endif
