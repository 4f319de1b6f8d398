/* SPDX-License-Identifier: MIT */
/* devices/ivshmem_parts.h - what the files of the ivshmem device share */
#ifndef BF_DEV_IVSHMEM_PARTS_H
#define BF_DEV_IVSHMEM_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/ivshmem_memory.h"
#include "devices/msix.h"
#include "devices/pci.h"
#include "ivshmem/ivshmem.h"

struct bf_bells;
struct bf_loop;
struct intx_source;

struct ivshmem {
	struct bf_pci_dev pci; /* first: see pci.h */
	struct bf_msix msix;
	struct bf_bells *bells; /* NULL: plain */
	struct bf_peer *peer;   /* NULL: plain, by hand, or not yet joined */
	bool by_hand;
	uint16_t id; /* by hand: our own; the eventfds in @bells are ours to close */
	struct bf_loop *loop;
	struct bf_ivshmem_memory memory;
	unsigned int vectors;
	unsigned int window_bits; /* of the vector, in a window's address */

	uint32_t intr_mask;
	uint32_t intr_status;
	bool line; /* INTx: its level */
	uint64_t servers_lost;
	uint64_t reconnects;
	struct intx_source *intx; /* revision 0 without MSI-X: one per vector */
};

/* @dev as such a device; NULL when it is another. */
struct ivshmem *bf_ivshmem_of(struct bf_pci_dev *dev);

/* IVPosition. Plain memory has none: 0. */
static inline uint16_t bf_ivshmem_id(const struct ivshmem *iv)
{
	return iv->peer ? bf_peer_id(iv->peer) : iv->id;
}

/* Let go of all doorbells by hand. */
void bf_ivshmem_by_hand_fini(struct ivshmem *iv);

#endif
