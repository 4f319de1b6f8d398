/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/ivshmem.c - finds and opens the first ivshmem device */
#include "guest-tests/ivshmem.h"
#include "guest-tests/guest.h"

void ivshmem_open(struct ivshmem *iv)
{
	*iv = (struct ivshmem){ .dev = pci_find(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID) };
	if (!iv->dev)
		guest_fail("no ivshmem device");
	iv->regs = (volatile uint32_t *)pci_bar(iv->dev, IVSHMEM_BAR_REGS, NULL);
	iv->memory = (volatile uint8_t *)pci_bar(iv->dev, IVSHMEM_BAR_MEMORY, &iv->size);
	iv->has_msix = msix_open(&iv->msix, iv->dev);
}

uint32_t ivshmem_id(const struct ivshmem *iv)
{
	return iv->regs[IVSHMEM_IVPOSITION / 4];
}

void ivshmem_ring(const struct ivshmem *iv, uint32_t peer, uint32_t vector)
{
	iv->regs[IVSHMEM_DOORBELL / 4] = IVSHMEM_RING(peer, vector);
}
