/* SPDX-License-Identifier: MIT */
/* guest-tests/link.h - shared memory and doorbells as a guest sees them, and its peer */
#ifndef GUEST_LINK_H
#define GUEST_LINK_H

#include <stdint.h>

#define LINK_IRQ 0x40 /* interrupt vector of the link's doorbell vector 0 */

/* One link: an ivshmem-doorbell device, or the bare KVM path that bench/floor lays. */
struct link {
	volatile uint32_t *doorbell;
	uint32_t id; /* own IVPosition */
	volatile uint8_t *memory;
	uint64_t size;
};

/* Find it and have vector 0 deliver LINK_IRQ to this vCPU; or end the guest. */
void link_open(struct link *link);

/* The same for programs that ring nobody: a plain ivshmem device will do. */
void link_open_memory(struct link *link);

/* The value that rings vector 0 of a peer */
uint32_t link_bell(uint32_t peer);

/*
 * Two guests of a link, role a and role b. They meet in the shared memory: whatever an
 * earlier meeting left there does no harm, and either may come first.
 */
enum pair_role { PAIR_A, PAIR_B };

struct pair {
	volatile struct pair_slot *mine, *other;
	volatile uint64_t *ping,
		*pong;            /* a cache line each: a writes ping, b writes pong */
	volatile uint64_t *words; /* eight, for what a wants to tell b */
	uint32_t phase;
	uint32_t bell; /* rings the other */
};

/* Meet the other guest within @seconds, or end the guest with a message. */
void pair_meet(struct pair *pair, const struct link *link, enum pair_role role,
	       unsigned int seconds);

/* Return when the other one has called it as often; the watchdog is the limit. */
void pair_barrier(struct pair *pair);

#endif
