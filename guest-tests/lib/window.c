/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/window.c - finds and opens the doorbell window of an ivshmem device */
#include "guest-tests/window.h"
#include "devices/ivshmem_regs.h"
#include "guest-tests/pci.h"

unsigned int window_bits(unsigned int vectors)
{
	unsigned int bits = 0;

	while (1u << bits < vectors)
		bits++;
	return bits;
}

static uint8_t find(uint32_t dev)
{
	uint8_t cap = pci_capability(dev, PCI_CAP_VENDOR);

	while (cap &&
	       pci_read(dev, cap + IVSHMEM_WINDOW_CAP_SIG, 4) != IVSHMEM_WINDOW_SIGNATURE)
		cap = pci_capability_after(dev, cap, PCI_CAP_VENDOR);
	return cap;
}

bool window_open(struct window *window, uint32_t dev)
{
	uint8_t cap = find(dev);

	*window = (struct window){ .cap = cap };
	if (!cap ||
	    pci_read(dev, cap + IVSHMEM_WINDOW_CAP_VER, 1) != IVSHMEM_WINDOW_VERSION)
		return false;
	window->bar = pci_read(dev, cap + IVSHMEM_WINDOW_CAP_BAR, 1);
	window->bits = pci_read(dev, cap + IVSHMEM_WINDOW_CAP_BITS, 1);
	window->base = (volatile uint8_t *)pci_bar(dev, window->bar, &window->size);
	return true;
}

volatile uint32_t *window_place(const struct window *window, uint32_t peer,
				uint32_t vector)
{
	return (volatile uint32_t *)(window->base +
				     IVSHMEM_WINDOW_OFF(peer, vector, window->bits));
}
