/* SPDX-License-Identifier: MIT */
/*
 * devices/bells.c - the doorbells that a device offers its guest, and which of them KVM
 * rings
 *
 * Theory of operation
 *
 * A doorbell is somebody's eventfd. One that is bound is rung by KVM, in the vCPU's exit;
 * one that is not is rung here, after an exit to user space. Both are right; they differ
 * in cost.
 *
 * All doorbells of the register share one address and differ in the value stored. KVM
 * keeps such entries in the order they were bound and tries one after the other (Linux,
 * virt/kvm/eventfd.c and kvm_io_bus_write()), some 25 ns each: the last of 1,024 costs
 * eight times the first. So "adaptive" keeps the list short. Doorbells are bound as they
 * come until the list is full; from then on a doorbell that has been rung from user space
 * PROMOTE_AFTER times takes the place of another.
 *
 * Nobody sees the rings that KVM takes, so there is no telling which of the bound ones is
 * the least used. The list is a clock: a hand goes round, and evicts the first one
 * without credit. One that comes back after an eviction earns credit, which the hand
 * takes away as it passes. A hot doorbell is thus evicted less and less often. Promotions
 * cost tens of microseconds, for KVM waits until no vCPU looks at the old list; at most
 * PROMOTE_BURST in a row and one every PROMOTE_NS take place, whatever the guest does.
 *
 * The window gives every (peer, vector) an address of its own: peer << shift | vector
 * << 2. KVM finds an address by binary search, so nothing has to go for another to come;
 * but binding thousands takes a while, so "adaptive" binds a place when it is first rung.
 * The places match a store of any width and value, which spares Intel's KVM from decoding
 * the instruction (KVM_CAP_IOEVENTFD_ANY_LENGTH, api.rst 4.59).
 *
 * Whatever KVM refuses - no room, no memory - is counted, and rung from here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/event.h"
#include "devices/bells.h"
#include "devices/early.h"
#include "vmm/vmm.h"

#define IDS           65536
#define PROMOTE_AFTER 4
#define PROMOTE_BURST 64
#define PROMOTE_NS    10000000ULL
#define CREDIT_MAX    3

struct bell {
	int fd;           /* -1: this vector is not there */
	bool bound;       /* at the register */
	bool in_window;   /* at its own address */
	bool window_used; /* rung there, so it is to be bound there */
	uint8_t misses;   /* rung from here since it was last bound */
	uint8_t credit;   /* how often the hand passes it by */
	bool listed;      /* in the clock, though KVM may have refused it */
	bool was_evicted; /* and has not come back yet */
};

struct peer {
	unsigned int n; /* vectors: numbers below it, some of which may not be there */
	uint64_t slow;
	struct bell bells[];
};

struct bf_bells {
	struct belfry_vm *vm;
	struct bf_bells_conf conf;
	struct bf_bells_stats stats;
	bool arrived, window_arrived;
	uint64_t gpa, window_gpa;

	uint32_t *bound; /* adaptive: a clock of values; free places are at the end */
	unsigned int n_bound;
	unsigned int hand;
	unsigned int tokens; /* promotions that may take place now */
	uint64_t refilled;   /* when a token was last added, CLOCK_MONOTONIC */

	struct bf_early early; /* rings for whom we do not know yet */

	unsigned int end;        /* of the IDs ever seen */
	struct peer *peers[IDS]; /* most of it is never touched */
};

static uint32_t value_of(uint16_t id, unsigned int vector)
{
	return (uint32_t)id << 16 | vector;
}

static struct bell *bell_at(const struct bf_bells *bells, uint16_t id,
			    unsigned int vector)
{
	struct peer *p = bells->peers[id];

	return p && vector < p->n && p->bells[vector].fd >= 0 ? &p->bells[vector] : NULL;
}

static struct bell *bell_of(const struct bf_bells *bells, uint32_t value)
{
	return bell_at(bells, value >> 16, value & 0xffff);
}

/* --- what KVM knows --- */

static void refused(struct bf_bells *bells, int e)
{
	if (bells->stats.refused++ == 0)
		bf_log(bf_vm_log(bells->vm), BELFRY_LOG_WARNING,
		       "ivshmem: KVM takes no more doorbells: %s; the others are rung "
		       "from "
		       "user space",
		       strerrordesc_np(-e));
}

static void bind(struct bf_bells *bells, struct bell *bell, uint32_t value)
{
	int e;

	if (!bells->arrived || bell->bound)
		return;
	e = bf_vm_bind_doorbell(bells->vm, bells->gpa, value, bell->fd);
	if (e < 0)
		refused(bells, e);
	bell->bound = e == 0;
	bell->misses = 0;
}

static void unbind(struct bf_bells *bells, struct bell *bell, uint32_t value)
{
	if (bell->bound)
		bf_vm_unbind_doorbell(bells->vm, bells->gpa, value, bell->fd);
	bell->bound = false;
}

static uint64_t window_address(const struct bf_bells *bells, uint32_t value)
{
	return bells->window_gpa + ((uint64_t)(value >> 16) << bells->conf.shift) +
	       (value & 0xffff) * 4;
}

/* A peer may have vectors that are too high for the window: their place is another's. */
static bool has_place(const struct bf_bells *bells, uint32_t value)
{
	return (value & 0xffff) * 4 < 1U << bells->conf.shift;
}

static bool window_wanted(const struct bf_bells *bells, const struct bell *bell)
{
	return bells->conf.policy == BF_BELLS_EAGER ||
	       (bells->conf.policy == BF_BELLS_ADAPTIVE &&
		(bell->listed || bell->window_used));
}

static void window_bind(struct bf_bells *bells, struct bell *bell, uint32_t value)
{
	int e;

	if (!bells->window_arrived || bell->in_window || !has_place(bells, value) ||
	    !window_wanted(bells, bell))
		return;
	e = bf_vm_bind_doorbell(bells->vm, window_address(bells, value), BF_DOORBELL_ANY,
				bell->fd);
	if (e < 0)
		refused(bells, e);
	bell->in_window = e == 0;
}

static void window_unbind(struct bf_bells *bells, struct bell *bell, uint32_t value)
{
	if (bell->in_window)
		bf_vm_unbind_doorbell(bells->vm, window_address(bells, value),
				      BF_DOORBELL_ANY, bell->fd);
	bell->in_window = false;
}

/* --- the clock --- */

static bool full(const struct bf_bells *bells)
{
	return bells->n_bound == bells->conf.max;
}

static void clock_set(struct bf_bells *bells, unsigned int place, struct bell *bell,
		      uint32_t value)
{
	bells->bound[place] = value;
	bell->listed = true;
	bind(bells, bell, value);
}

static void clock_remove(struct bf_bells *bells, uint32_t value)
{
	for (unsigned int i = 0; i < bells->n_bound; i++) {
		if (bells->bound[i] == value) {
			bells->bound[i] = bells->bound[--bells->n_bound];
			return;
		}
	}
}

/* Make room: the first one without credit goes. Return: its place. */
static unsigned int clock_evict(struct bf_bells *bells)
{
	struct bell *bell;

	for (;; bells->hand++) {
		bells->hand %= bells->n_bound;
		bell = bell_of(bells, bells->bound[bells->hand]);
		if (bell->credit == 0)
			break;
		bell->credit--;
	}
	bell->was_evicted = true;
	bell->listed = false;
	unbind(bells, bell, bells->bound[bells->hand]);
	return bells->hand++;
}

static bool take_token(struct bf_bells *bells)
{
	const uint64_t now = bf_now_ns();
	const uint64_t earned = (now - bells->refilled) / PROMOTE_NS;

	if (earned > 0) {
		bells->tokens = earned < PROMOTE_BURST - bells->tokens
					? bells->tokens + earned
					: PROMOTE_BURST;
		bells->refilled = now;
	}
	if (bells->tokens == 0)
		return false;
	bells->tokens--;
	return true;
}

/* It has been rung from here often enough: let KVM ring it, in the place of another. */
static void promote(struct bf_bells *bells, struct bell *bell, uint32_t value)
{
	if (!bells->arrived || !take_token(bells))
		return;
	if (bell->was_evicted && bell->credit < CREDIT_MAX)
		bell->credit++;
	bell->was_evicted = false;
	clock_set(bells, full(bells) ? clock_evict(bells) : bells->n_bound++, bell,
		  value);
	bells->stats.promotions++;
}

/* --- rings --- */

/* Return: the doorbell that was rung; NULL when there is none. */
static struct bell *ring(struct bf_bells *bells, uint16_t peer, unsigned int vector)
{
	struct bell *bell = bell_at(bells, peer, vector);

	if (!bell) {
		bf_early_keep(&bells->early, value_of(peer, vector), bf_now_ns());
		bells->stats.ignored++;
		return NULL;
	}
	bf_event_add(bell->fd, 1);
	bells->stats.slow++;
	bells->peers[peer]->slow++;
	return bell;
}

void bf_bells_ring_window(struct bf_bells *bells, uint16_t peer, unsigned int vector)
{
	struct bell *bell = ring(bells, peer, vector);

	if (!bell)
		return;
	bell->window_used = true;
	window_bind(bells, bell, value_of(peer, vector));
}

void bf_bells_ring(struct bf_bells *bells, uint16_t peer, unsigned int vector)
{
	struct bell *bell = ring(bells, peer, vector);

	if (!bell || bells->conf.policy != BF_BELLS_ADAPTIVE || bell->listed)
		return;
	if (bell->misses < PROMOTE_AFTER)
		bell->misses++;
	if (bell->misses == PROMOTE_AFTER)
		promote(bells, bell, value_of(peer, vector));
}

/* --- who is there --- */

/* The doorbell has just come; it may have been rung already. */
static void ring_late(struct bf_bells *bells, const struct bell *bell, uint32_t value)
{
	if (!bf_early_take(&bells->early, value, bf_now_ns()))
		return;
	bf_event_add(bell->fd, 1);
	bells->stats.ignored--;
	bells->stats.slow++;
	bells->peers[value >> 16]->slow++;
}

/* Room for vector @n - 1 of peer @id. */
static struct peer *grow(struct bf_bells *bells, uint16_t id, unsigned int n)
{
	struct peer *p = bells->peers[id];
	unsigned int had = p ? p->n : 0;

	if (n <= had)
		return p;
	p = realloc(p, sizeof(*p) + n * sizeof(p->bells[0]));
	if (!p)
		return NULL;
	if (had == 0)
		p->slow = 0;
	for (p->n = had; p->n < n; p->n++)
		p->bells[p->n] = (struct bell){ .fd = -1 };
	bells->peers[id] = p;
	if (id >= bells->end)
		bells->end = id + 1;
	return p;
}

int bf_bells_add(struct bf_bells *bells, uint16_t peer, unsigned int vector, int fd)
{
	const uint32_t value = value_of(peer, vector);
	struct peer *p = grow(bells, peer, vector + 1);
	struct bell *bell;

	if (!p)
		return -ENOMEM;
	bell = &p->bells[vector];
	bell->fd = fd;
	if (bells->conf.policy == BF_BELLS_EAGER)
		bind(bells, bell, value);
	else if (bells->conf.policy == BF_BELLS_ADAPTIVE && !full(bells))
		clock_set(bells, bells->n_bound++, bell, value);
	window_bind(bells, bell, value);
	ring_late(bells, bell, value);
	return 0;
}

void bf_bells_remove(struct bf_bells *bells, uint16_t peer)
{
	struct peer *p = bells->peers[peer];

	for (unsigned int v = 0; p && v < p->n; v++) {
		if (p->bells[v].fd < 0)
			continue;
		clock_remove(bells, value_of(peer, v));
		unbind(bells, &p->bells[v], value_of(peer, v));
		window_unbind(bells, &p->bells[v], value_of(peer, v));
	}
	free(p);
	bells->peers[peer] = NULL;
}

int bf_bells_find(const struct bf_bells *bells, uint16_t peer, unsigned int vector)
{
	const struct bell *bell = bell_at(bells, peer, vector);

	return bell ? bell->fd : -1;
}

/* Call @fn for every doorbell there is. */
static void for_each(struct bf_bells *bells,
		     void (*fn)(struct bf_bells *bells, struct bell *bell,
				uint32_t value))
{
	for (unsigned int id = 0; id < bells->end; id++) {
		struct peer *p = bells->peers[id];

		for (unsigned int v = 0; p && v < p->n; v++)
			if (p->bells[v].fd >= 0)
				fn(bells, &p->bells[v], value_of(id, v));
	}
}

/* --- where the addresses are --- */

void bf_bells_arrive(struct bf_bells *bells, uint64_t gpa)
{
	bells->gpa = gpa;
	bells->arrived = true;
	if (bells->conf.policy == BF_BELLS_EAGER)
		for_each(bells, bind);
	for (unsigned int i = 0; i < bells->n_bound; i++)
		bind(bells, bell_of(bells, bells->bound[i]), bells->bound[i]);
}

void bf_bells_leave(struct bf_bells *bells)
{
	for_each(bells, unbind);
	bells->arrived = false;
}

void bf_bells_window_arrive(struct bf_bells *bells, uint64_t gpa)
{
	bells->window_gpa = gpa;
	bells->window_arrived = true;
	for_each(bells, window_bind);
}

void bf_bells_window_leave(struct bf_bells *bells)
{
	for_each(bells, window_unbind);
	bells->window_arrived = false;
}

static void forget(struct bf_bells *bells, struct bell *bell, uint32_t value)
{
	bell->bound = bell->in_window = false;
}

void bf_bells_forget(struct bf_bells *bells)
{
	for_each(bells, forget);
	bells->arrived = bells->window_arrived = false;
}

/* --- making and counting --- */

const struct bf_bells_stats *bf_bells_stats(const struct bf_bells *bells)
{
	return &bells->stats;
}

int bf_bells_peer(const struct bf_bells *bells, unsigned int id,
		  struct belfry_peer_stats *out)
{
	while (id < bells->end && !bells->peers[id])
		id++;
	if (id >= bells->end)
		return -ENOENT;
	out->id = id;
	out->vectors = bells->peers[id]->n;
	out->slow_rings = bells->peers[id]->slow;
	return id;
}

struct bf_bells *bf_bells_create(struct belfry_vm *vm, const struct bf_bells_conf *conf)
{
	struct bf_bells *bells = calloc(1, sizeof(*bells));

	if (!bells)
		return NULL;
	bells->vm = vm;
	bells->conf = *conf;
	bells->tokens = PROMOTE_BURST;
	bells->refilled = bf_now_ns();
	if (conf->policy == BF_BELLS_ADAPTIVE)
		bells->bound = calloc(conf->max, sizeof(*bells->bound));
	if (conf->policy == BF_BELLS_ADAPTIVE && !bells->bound) {
		free(bells);
		return NULL;
	}
	return bells;
}

void bf_bells_destroy(struct bf_bells *bells)
{
	if (!bells)
		return;
	for (unsigned int id = 0; id < bells->end; id++)
		free(bells->peers[id]);
	free(bells->bound);
	free(bells);
}
