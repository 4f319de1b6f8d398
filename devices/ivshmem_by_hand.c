/* SPDX-License-Identifier: MIT */
/*
 * devices/ivshmem_by_hand.c - doorbells that the embedder hands over, one eventfd each
 *
 * The device has memory and no server. Whoever calls belfry_vm_add_doorbell() says who is
 * there; the eventfds are duplicates of the caller's, and ours to close.
 */
#include <errno.h>

#include "base/event.h"
#include "base/own.h"
#include "devices/bells.h"
#include "devices/devices.h"
#include "devices/ivshmem_conf.h"
#include "devices/ivshmem_parts.h"

/* The eventfds are let go of first, and closed then: KVM finds them by their number. */
static void remove_peer(struct ivshmem *iv, uint16_t peer)
{
	int fds[BF_IVSHMEM_VECTORS_MAX];

	for (unsigned int v = 0; v < iv->vectors; v++) {
		fds[v] = bf_bells_find(iv->bells, peer, v);
		if (fds[v] >= 0 && peer == iv->id)
			bf_msix_connect(&iv->msix, v, -1);
	}
	bf_bells_remove(iv->bells, peer);
	for (unsigned int v = 0; v < iv->vectors; v++)
		bf_close(&fds[v]);
}

void bf_ivshmem_by_hand_fini(struct ivshmem *iv)
{
	struct belfry_peer_stats stats;
	int id;

	while (iv->by_hand && iv->bells &&
	       (id = bf_bells_peer(iv->bells, 0, &stats)) >= 0)
		remove_peer(iv, id);
}

static struct ivshmem *to_by_hand(struct bf_pci_dev *dev, struct belfry_error *err)
{
	struct ivshmem *iv = bf_ivshmem_of(dev);

	if (iv && iv->by_hand)
		return iv;
	bf_err(err, EINVAL, "device %u has not been configured with by_hand",
	       dev->slot - 1);
	return NULL;
}

static int check_doorbell(const struct ivshmem *iv, uint32_t peer, uint32_t vector,
			  int fd, struct belfry_error *err)
{
	if (peer > BF_IVSHMEM_ID_MAX)
		return bf_err(err, EINVAL, "peer %u: at most %u", peer,
			      BF_IVSHMEM_ID_MAX);
	if (vector >= iv->vectors)
		return bf_err(err, EINVAL, "vector %u: at most %u", vector,
			      iv->vectors - 1);
	if (bf_bells_find(iv->bells, peer, vector) >= 0)
		return bf_err(err, EEXIST, "peer %u has a vector %u already", peer,
			      vector);
	if (!bf_event_is(fd))
		return bf_err(err, EINVAL, "peer %u, vector %u: this is no eventfd", peer,
			      vector);
	return 0;
}

int bf_ivshmem_add_doorbell(struct bf_pci_dev *dev, uint32_t peer, uint32_t vector,
			    int fd, struct belfry_error *err)
{
	struct ivshmem *iv = to_by_hand(dev, err);
	int e = iv ? check_doorbell(iv, peer, vector, fd, err) : -EINVAL;

	if (e < 0)
		return e;
	e = bf_bells_add(iv->bells, peer, vector, fd);
	if (e < 0)
		return bf_err_sys(err, -e, "peer %u, vector %u", peer, vector);
	if (peer == iv->id)
		bf_msix_connect(&iv->msix, vector, fd);
	return 0;
}

int bf_ivshmem_remove_peer(struct bf_pci_dev *dev, uint32_t peer,
			   struct belfry_error *err)
{
	struct ivshmem *iv = to_by_hand(dev, err);
	struct belfry_peer_stats stats;

	if (!iv)
		return -EINVAL;
	if (peer > BF_IVSHMEM_ID_MAX ||
	    bf_bells_peer(iv->bells, peer, &stats) != (int)peer)
		return bf_err(err, ENOENT, "there is no peer %u", peer);
	remove_peer(iv, peer);
	return 0;
}
