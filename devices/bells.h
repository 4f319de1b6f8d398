/* SPDX-License-Identifier: MIT */
/*
 * devices/bells.h - the doorbells that a device offers its guest, and which of them KVM
 * rings
 *
 * All calls want the VM's lock.
 */
#ifndef BF_BELLS_H
#define BF_BELLS_H

#include <stdbool.h>
#include <stdint.h>

struct belfry_peer_stats;
struct belfry_vm;
struct bf_bells;

/* Which doorbells KVM is to know; the order of the configuration key's words. */
enum bf_bells_policy {
	BF_BELLS_EAGER,     /* all, in the order they come */
	BF_BELLS_ADAPTIVE,  /* a few: those that are rung */
	BF_BELLS_USERSPACE, /* none */
};

struct bf_bells_conf {
	enum bf_bells_policy policy;
	unsigned int max;   /* of adaptive: how many */
	unsigned int shift; /* of the window: log2 of the bytes between two peers */
};

/* What rings have cost. Rings that KVM took are not seen, and cost nothing to count. */
struct bf_bells_stats {
	uint64_t slow;       /* rung by user space */
	uint64_t ignored;    /* for a peer or vector that is not there */
	uint64_t promotions; /* given a place in KVM because they were rung */
	uint64_t refused;    /* KVM had no room */
};

/* Return: NULL when there is no memory. */
struct bf_bells *bf_bells_create(struct belfry_vm *vm, const struct bf_bells_conf *conf);

/* After KVM's VM is gone; NULL is fine. */
void bf_bells_destroy(struct bf_bells *bells);

/*
 * Peer @peer has @fd (borrowed until bf_bells_remove()) as @vector. Return: 0; -ENOMEM.
 */
int bf_bells_add(struct bf_bells *bells, uint16_t peer, unsigned int vector, int fd);

/* The peer is gone, and so will its descriptors be. */
void bf_bells_remove(struct bf_bells *bells, uint16_t peer);

/* The eventfd of (@peer, @vector); -1: there is none. */
int bf_bells_find(const struct bf_bells *bells, uint16_t peer, unsigned int vector);

/* A ring that reached user space, from the register or from the window. */
void bf_bells_ring(struct bf_bells *bells, uint16_t peer, unsigned int vector);
void bf_bells_ring_window(struct bf_bells *bells, uint16_t peer, unsigned int vector);

/* The doorbell register, or the window, is now at @gpa; is about to leave its place. */
void bf_bells_arrive(struct bf_bells *bells, uint64_t gpa);
void bf_bells_leave(struct bf_bells *bells);
void bf_bells_window_arrive(struct bf_bells *bells, uint64_t gpa);
void bf_bells_window_leave(struct bf_bells *bells);

/* KVM's VM is gone, and all that was bound with it. */
void bf_bells_forget(struct bf_bells *bells);

const struct bf_bells_stats *bf_bells_stats(const struct bf_bells *bells);

/*
 * A peer, and how often user space has rung it.
 * Return: the first ID from @id on; -ENOENT when there is none.
 */
int bf_bells_peer(const struct bf_bells *bells, unsigned int id,
		  struct belfry_peer_stats *out);

#endif
