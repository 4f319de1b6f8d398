/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/msix.c - a function's MSI-X capability, table and pending bits */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"
#include "guest-tests/pci.h"

#define MSIX_TABLE   4
#define MSIX_PBA     8
#define MSIX_BAR     0x7 /* of the two registers above; the rest is an offset */
#define ENTRY_MASKED 0x1

static uint64_t msix_part(uint32_t dev, unsigned int reg)
{
	uint32_t value = pci_read(dev, reg, 4);

	return pci_bar(dev, value & MSIX_BAR, NULL) + (value & ~MSIX_BAR);
}

bool msix_open(struct msix *msix, uint32_t dev)
{
	uint16_t control;

	*msix = (struct msix){ .dev = dev, .cap = pci_capability(dev, PCI_CAP_MSIX) };
	if (!msix->cap)
		return false;
	control = pci_read(dev, msix->cap + PCI_MSIX_CONTROL, 2);
	msix->vectors = (control & PCI_MSIX_VECTORS_LESS_1) + 1;
	msix->table =
		(volatile struct msix_entry *)msix_part(dev, msix->cap + MSIX_TABLE);
	msix->pending = (volatile uint32_t *)msix_part(dev, msix->cap + MSIX_PBA);
	return true;
}

void msix_control(struct msix *msix, uint16_t bits)
{
	pci_write(msix->dev, msix->cap + PCI_MSIX_CONTROL, bits, 2);
}

void msix_route(struct msix *msix, unsigned int entry, uint32_t to_apic, uint8_t vector)
{
	msix->table[entry].address_low = APIC_BASE | to_apic << 12;
	msix->table[entry].address_high = 0;
	msix->table[entry].data = vector; /* fixed, edge */
}

void msix_mask(struct msix *msix, unsigned int entry, bool masked)
{
	msix->table[entry].control = masked ? ENTRY_MASKED : 0;
}

bool msix_pending(struct msix *msix, unsigned int entry)
{
	return msix->pending[entry / 32] >> entry % 32 & 1;
}
