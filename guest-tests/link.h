/* SPDX-License-Identifier: MIT */
/* guest-tests/link.h - shared memory and doorbells as a guest sees them, and its peer */
#ifndef GUEST_LINK_H
#define GUEST_LINK_H

#include <stdint.h>

#include "guest-tests/window.h"

#define LINK_IRQ 0x40 /* interrupt vector of the link's doorbell vector 0 */

/* One link: an ivshmem-doorbell device, or the bare KVM path that bench/floor lays. */
struct link {
	volatile uint32_t *doorbell;
	uint32_t id; /* own IVPosition */
	volatile uint8_t *memory;
	uint64_t size;
	uint32_t dev;         /* the PCI function; 0: bench/floor's */
	struct window window; /* in use when its base is not NULL */
};

/*
 * Find it and have vector 0 deliver LINK_IRQ to this vCPU; or end the guest. A device of
 * revision 0 without MSI-X does so by INTx.
 */
void link_open(struct link *link);

/* The same for programs that ring nobody: a plain ivshmem device will do. */
void link_open_memory(struct link *link);

/* Ring by the doorbell window from now on; or end the guest. */
void link_use_window(struct link *link);

/* What rings vector 0 of a peer: a store of @value at @at */
struct link_bell {
	volatile uint32_t *at;
	uint32_t value;
};

struct link_bell link_bell(const struct link *link, uint32_t peer);

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
	struct link_bell bell; /* rings the other */
};

/* Meet the other guest within @seconds, or end the guest with a message. */
void pair_meet(struct pair *pair, const struct link *link, enum pair_role role,
	       unsigned int seconds);

/* Return when the other one has called it as often; the watchdog is the limit. */
void pair_barrier(struct pair *pair);

#endif
