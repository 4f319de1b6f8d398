/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/pci.c - configuration space through ports 0xcf8 and 0xcfc, and BARs */
#include "guest-tests/pci.h"
#include "guest-tests/guest.h"

#define PCI_ADDRESS_PORT 0xcf8
#define PCI_DATA_PORT    0xcfc
#define PCI_ENABLE       0x80000000
#define SLOTS            32

/* Where BARs go that the VMM (or its firmware) has left at 0 */
#define PLACE_32 0xf0000000ULL
#define PLACE_64 (512ULL << 30)

#define FOUR_GIB (1ULL << 32)

uint32_t pci_address(unsigned int slot, unsigned int function)
{
	return PCI_ENABLE | slot << 11 | function << 8;
}

uint32_t pci_read(uint32_t dev, unsigned int reg, unsigned int bytes)
{
	port_out(PCI_ADDRESS_PORT, dev | (reg & 0xfc), 4);
	return port_in(PCI_DATA_PORT + (reg & 3), bytes);
}

void pci_write(uint32_t dev, unsigned int reg, uint32_t value, unsigned int bytes)
{
	port_out(PCI_ADDRESS_PORT, dev | (reg & 0xfc), 4);
	port_out(PCI_DATA_PORT + (reg & 3), value, bytes);
}

static uint32_t find_from(unsigned int slot, uint16_t vendor, uint16_t device)
{
	uint32_t dev;

	for (; slot < SLOTS; slot++) {
		dev = pci_address(slot, 0);
		if (pci_read(dev, PCI_VENDOR_ID, 4) == ((uint32_t)device << 16 | vendor))
			return dev;
	}
	return 0;
}

uint32_t pci_find(uint16_t vendor, uint16_t device)
{
	return find_from(0, vendor, device);
}

unsigned int pci_slot(uint32_t dev)
{
	return dev >> 11 & 31;
}

uint32_t pci_find_after(uint32_t dev, uint16_t vendor, uint16_t device)
{
	return find_from(pci_slot(dev) + 1, vendor, device);
}

/* The first of that kind in the list which begins with the pointer at @reg. */
static uint8_t capability_from(uint32_t dev, unsigned int reg, uint8_t id)
{
	uint8_t at = pci_read(dev, reg, 1) & 0xfc;

	while (at && pci_read(dev, at, 1) != id)
		at = pci_read(dev, at + 1, 1) & 0xfc;
	return at;
}

uint8_t pci_capability(uint32_t dev, uint8_t id)
{
	if (!(pci_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	return capability_from(dev, PCI_CAPABILITIES, id);
}

uint8_t pci_capability_after(uint32_t dev, uint8_t cap, uint8_t id)
{
	return capability_from(dev, cap + 1, id);
}

static bool bar_is_64(uint32_t dev, unsigned int bar)
{
	return pci_read(dev, PCI_BAR(bar), 4) & PCI_BAR_64;
}

uint64_t pci_bar_get(uint32_t dev, unsigned int bar)
{
	uint64_t address = pci_read(dev, PCI_BAR(bar), 4) & ~PCI_BAR_FLAGS;

	if (bar_is_64(dev, bar))
		address |= (uint64_t)pci_read(dev, PCI_BAR(bar + 1), 4) << 32;
	return address;
}

void pci_bar_set(uint32_t dev, unsigned int bar, uint64_t address)
{
	pci_write(dev, PCI_BAR(bar), address, 4);
	if (bar_is_64(dev, bar))
		pci_write(dev, PCI_BAR(bar + 1), address >> 32, 4);
}

uint64_t pci_bar_size(uint32_t dev, unsigned int bar)
{
	uint16_t command = pci_read(dev, PCI_COMMAND, 2);
	uint64_t address = pci_bar_get(dev, bar), mask;

	pci_write(dev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY, 2);
	pci_bar_set(dev, bar, ~0ULL);
	mask = pci_bar_get(dev, bar);
	if (mask && !bar_is_64(dev, bar))
		mask |= 0xffffffffULL << 32;
	pci_bar_set(dev, bar, address);
	pci_write(dev, PCI_COMMAND, command, 2);
	return -mask;
}

static void bar_place(uint32_t dev, unsigned int bar, uint64_t size)
{
	static uint64_t next_32 = PLACE_32, next_64 = PLACE_64;
	uint64_t *next = bar_is_64(dev, bar) ? &next_64 : &next_32;

	*next = (*next + size - 1) & -size;
	pci_bar_set(dev, bar, *next);
	*next += size;
}

uint64_t pci_bar(uint32_t dev, unsigned int bar, uint64_t *size_out)
{
	uint16_t command = pci_read(dev, PCI_COMMAND, 2);
	uint64_t address = pci_bar_get(dev, bar), size = 0;

	if (size_out || !address || address >= FOUR_GIB)
		size = pci_bar_size(dev, bar);
	if (!address && size) {
		bar_place(dev, bar, size);
		address = pci_bar_get(dev, bar);
	}
	pci_write(dev, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	if (size_out)
		*size_out = size;
	return (uint64_t)map(address, size);
}
