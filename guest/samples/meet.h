/* SPDX-License-Identifier: MIT */
/*
 * guest/samples/meet.h: two processes in two VMs find each other in the shared memory
 *
 * Each has a seat at the start of the memory, and writes to that one only: its ID, a
 * number that it has made up when it started (its session), and the session that it
 * has heard of the other. They have met when each has heard of the other's present
 * session:
 *
 *	first:	session 17, heard 0	second:	not there
 *	first:	session 17, heard 0	second:	session 52, heard 17
 *	first:	session 17, heard 52	second:	session 52, heard 17	met
 *
 * One that starts again has another session. The other sees it, and both meet anew.
 * Before somebody says that it has heard, it resets what it writes elsewhere in the
 * memory, so that nothing of an earlier meeting is taken for the new one's.
 *
 * All that the other has written is input: it may be anything, and change at any time.
 */
#ifndef MEET_H
#define MEET_H

#include <stdint.h>

#include "ivshmem.h"

#define MEET_SIZE 4096 /* of the memory, for the seats; what follows is the caller's */

struct seat {
	_Alignas(64) uint64_t session; /* which program << 32 | number; 0: nobody */
	uint64_t heard;
	uint32_t id;
};

struct meet {
	struct ivshmem *iv;
	struct seat *mine;
	struct seat *other;
	uint64_t session; /* what we have told */
	uint64_t heard;   /* whom we take for the other now */
};

/*
 * Sit down. @kind is a number that both programs agree on, not 0, @seat 0 or 1.
 * Return: 0; -ENOSPC for a memory that is too small; another negative errno.
 */
int meet_init(struct meet *m, struct ivshmem *iv, uint32_t kind, unsigned int seat);

/*
 * Wait for the other. @reset(@user) is called before it is told that we have heard of it.
 * Return: 0; -ETIMEDOUT, -ENODEV.
 */
int meet_wait(struct meet *m, double timeout_s, void (*reset)(void *user), void *user);

/*
 * Whether the one that we have met is still there. Costs a load.
 * Return: 0; -ECONNRESET when it has started anew; -EPIPE when it has left, or another
 * program has its seat.
 */
int meet_check(const struct meet *m);

/* Interrupt the other. */
int meet_ring(const struct meet *m);

/* Get up: the other finds out at once. */
void meet_leave(struct meet *m);

#endif
