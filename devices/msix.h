/* SPDX-License-Identifier: MIT */
/*
 * devices/msix.h - MSI-X of a device whose events are eventfds
 *
 * PCI Local Bus 3.0, 6.8.2. The table sits at offset 0 of a BAR of its own, the pending
 * bits at 0x800, or right behind the table when that is longer.
 */
#ifndef BF_MSIX_H
#define BF_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct bf_msix_vector;
struct bf_pci_dev;

#define BF_MSIX_CAP         0x40 /* where the capability is */
#define BF_MSIX_VECTORS_MAX 2048

struct bf_msix {
	struct bf_pci_dev *dev;
	unsigned int n; /* vectors; 0: the device has no MSI-X */
	unsigned int bar;
	uint64_t pba;    /* offset of the pending bits */
	bool enabled;    /* by the guest, in Message Control */
	bool all_masked; /* Function Mask */
	bool warned;
	uint64_t waited; /* vectors that had been rung when they were attached */
	struct bf_msix_vector *vectors;
};

/* Declare capability and BAR of @n vectors, 1 to 2048. Return: 0; -ENOMEM. */
int bf_msix_init(struct bf_msix *msix, struct bf_pci_dev *dev, unsigned int bar,
		 unsigned int n, struct belfry_error *err);

/* For a device that is destroyed with its VM; a zeroed one is fine. */
void bf_msix_fini(struct bf_msix *msix);

/* As after power on: all masked, nothing attached, no event pending. */
void bf_msix_reset(struct bf_msix *msix);

/*
 * Let events on @eventfd (borrowed, non-blocking) be vector @index. A vector that the
 * device does not have is ignored.
 */
void bf_msix_connect(struct bf_msix *msix, unsigned int index, int eventfd);

/* Accesses to the BAR, and what the device passes on of its own callback. */
uint64_t bf_msix_read(struct bf_msix *msix, uint64_t off, unsigned int len);
void bf_msix_write(struct bf_msix *msix, uint64_t off, uint64_t val, unsigned int len);
void bf_msix_config_written(struct bf_msix *msix);

#endif
