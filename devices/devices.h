/* SPDX-License-Identifier: MIT */
/* devices/devices.h - what a guest sees: front door of the devices */
#ifndef BF_DEVICES_H
#define BF_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct bf_key;
struct belfry_vm;
struct bf_pci_dev;

/* A kind of PCI device that a VM's `devices` list may name. */
struct bf_device_ops {
	const char *name; /* its section in a config file */
	const char *help; /* half a sentence for --help-config */
	const struct bf_key *keys;
	size_t conf_size; /* of the struct that the keys fill */

	/* What no single key can show. Touches nothing. May be NULL. */
	int (*validate)(const void *conf, struct belfry_error *err);

	/* Is @key, which has a default, of any use beside the others? NULL: each is. */
	bool (*applies)(const struct bf_key *key, const void *conf);

	/* Can one VM not have both? Return: 0; -EINVAL when so. May be NULL. */
	int (*clash)(const void *conf, const void *other, struct belfry_error *err);

	/*
	 * Make one from its section and put it on the VM's PCI bus. On failure nothing is
	 * left. @conf is borrowed for the call.
	 */
	int (*create)(struct belfry_vm *vm, const void *conf, struct belfry_error *err);
};

/*
 * What belfry_vm_ivshmem_stats() and belfry_vm_peers() tell. The VM's lock is held.
 * Return: 0, or the first ID from @id on; -ENODEV when @dev is no ivshmem device; -ENOENT
 * when it has no such peer.
 */
int bf_ivshmem_stats(struct bf_pci_dev *dev, struct belfry_ivshmem_stats *out);
int bf_ivshmem_peer(struct bf_pci_dev *dev, unsigned int id,
		    struct belfry_peer_stats *out);

/*
 * What belfry_vm_add_doorbell() and belfry_vm_remove_peer() do to a device with
 * `by_hand`. The VM's lock is held; @fd is the device's from then on (takes), unless it
 * fails.
 */
int bf_ivshmem_add_doorbell(struct bf_pci_dev *dev, uint32_t peer, uint32_t vector,
			    int fd, struct belfry_error *err);
int bf_ivshmem_remove_peer(struct bf_pci_dev *dev, uint32_t peer,
			   struct belfry_error *err);

/* Every kind, ended by NULL. */
extern const struct bf_device_ops *const bf_devices[];

#endif
