/* SPDX-License-Identifier: MIT */
/* guest-tests/ivshmem.h - ivshmem devices, opened */
#ifndef GUEST_IVSHMEM_H
#define GUEST_IVSHMEM_H

#include "devices/ivshmem_regs.h"
#include "guest-tests/pci.h"

struct ivshmem {
	uint32_t dev;
	volatile uint32_t *regs; /* index by IVSHMEM_... / 4 */
	volatile uint8_t *memory;
	uint64_t size;
	bool has_msix;
	struct msix msix;
};

void ivshmem_open(struct ivshmem *iv); /* the first one; or end the guest */
bool ivshmem_open_after(struct ivshmem *iv, const struct ivshmem *before);
uint32_t ivshmem_id(const struct ivshmem *iv);
void ivshmem_ring(const struct ivshmem *iv, uint32_t peer, uint32_t vector);

/*
 * Revision 0 without MSI-X: let each ring add 1 to irq_count[@irq], by INTx. One device
 * at a time can be had that way.
 */
void ivshmem_open_intx(const struct ivshmem *iv, unsigned int irq);

#endif
