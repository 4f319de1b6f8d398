/* SPDX-License-Identifier: MIT */
/* devices/ivshmem_stats.c - what has happened to an ivshmem device, and who is on its
 * link */
#include <errno.h>

#include "devices/bells.h"
#include "devices/devices.h"
#include "devices/ivshmem_parts.h"

int bf_ivshmem_stats(struct bf_pci_dev *dev, struct belfry_ivshmem_stats *out)
{
	struct ivshmem *iv = bf_ivshmem_of(dev);
	const struct bf_bells_stats *bells;
	struct belfry_peer_stats each;
	struct bf_peer_stats peer;

	if (!iv)
		return -ENODEV;
	out->waiting_events = iv->msix.waited;
	out->servers_lost = iv->servers_lost;
	out->reconnects = iv->reconnects;
	if (!iv->bells)
		return 0;
	bells = bf_bells_stats(iv->bells);
	out->slow_rings = bells->slow;
	out->ignored_rings = bells->ignored;
	out->promotions = bells->promotions;
	out->refusals = bells->refused;
	for (int id = -1; (id = bf_bells_peer(iv->bells, id + 1, &each)) >= 0;)
		out->peers++;
	out->id = bf_ivshmem_id(iv);
	if (!iv->peer)
		return 0;
	bf_peer_stats(iv->peer, &peer);
	out->tries = peer.tries;
	out->bad_messages = peer.bad_messages;
	out->unheld = peer.unheld;
	return 0;
}

int bf_ivshmem_peer(struct bf_pci_dev *dev, unsigned int id,
		    struct belfry_peer_stats *out)
{
	struct ivshmem *iv = bf_ivshmem_of(dev);

	if (!iv)
		return -ENODEV;
	return iv->bells ? bf_bells_peer(iv->bells, id, out) : -ENOENT;
}
