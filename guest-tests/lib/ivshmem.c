/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/ivshmem.c - finds and opens ivshmem devices */
#include "guest-tests/ivshmem.h"
#include "guest-tests/guest.h"

static void open_at(struct ivshmem *iv, uint32_t dev)
{
	*iv = (struct ivshmem){ .dev = dev };
	iv->regs = (volatile uint32_t *)pci_bar(dev, IVSHMEM_BAR_REGS, NULL);
	iv->memory = (volatile uint8_t *)pci_bar(dev, IVSHMEM_BAR_MEMORY, &iv->size);
	iv->has_msix = msix_open(&iv->msix, dev);
}

void ivshmem_open(struct ivshmem *iv)
{
	uint32_t dev = pci_find(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID);

	if (!dev)
		guest_fail("no ivshmem device");
	open_at(iv, dev);
}

bool ivshmem_open_after(struct ivshmem *iv, const struct ivshmem *before)
{
	uint32_t dev = pci_find_after(before->dev, IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID);

	if (dev)
		open_at(iv, dev);
	return dev;
}

uint32_t ivshmem_id(const struct ivshmem *iv)
{
	return iv->regs[IVSHMEM_IVPOSITION / 4];
}

void ivshmem_ring(const struct ivshmem *iv, uint32_t peer, uint32_t vector)
{
	iv->regs[IVSHMEM_DOORBELL / 4] = IVSHMEM_RING(peer, vector);
}
