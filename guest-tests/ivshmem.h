/* SPDX-License-Identifier: MIT */
/* guest-tests/ivshmem.h - the first ivshmem device, opened */
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

void ivshmem_open(struct ivshmem *iv); /* or end the guest */
uint32_t ivshmem_id(const struct ivshmem *iv);
void ivshmem_ring(const struct ivshmem *iv, uint32_t peer, uint32_t vector);

#endif
