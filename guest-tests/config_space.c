/* SPDX-License-Identifier: MIT */
/* guest-tests/config_space.c - shows the device's configuration space, for comparisons
 *
 * A line for each 32-bit register that is not all 0, or for several that are the same:
 * what it reads, but for the addresses in BARs, and which bits can be set and cleared.
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"

#define CONFIG_SIZE 256

/* The bits of a register that are not an address: BAR 2 has 64 bits, in two registers. */
static uint32_t not_address(unsigned int reg)
{
	if (reg == PCI_BAR(IVSHMEM_BAR_MEMORY + 1))
		return 0;
	return reg >= PCI_BAR(0) && reg <= PCI_BAR(5) ? PCI_BAR_FLAGS : ~0u;
}

/* The bits that a write of all ones and one of all zeros leave different. */
static uint32_t writable(uint32_t dev, unsigned int reg)
{
	uint32_t before = pci_read(dev, reg, 4), ones, zeros;

	pci_write(dev, reg, ~0u, 4);
	ones = pci_read(dev, reg, 4);
	pci_write(dev, reg, 0, 4);
	zeros = pci_read(dev, reg, 4);
	pci_write(dev, reg, before, 4);
	return ones ^ zeros;
}

struct value {
	uint32_t reads, writable;
};

/* Registers @from to @to - 4 have the same value, which may well be nothing at all. */
static void show(unsigned int from, unsigned int to, struct value v)
{
	if (!v.reads && !v.writable)
		return;
	if (to - from > 4)
		print("value registers %02x to %02x", from, to - 4);
	else
		print("value register %02x", from);
	print(" = %08x, writable %08x\n", v.reads, v.writable);
}

void guest_main(void)
{
	uint32_t dev = pci_find(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID);
	struct value v, before = { 0, 0 };
	unsigned int reg, from = 0;

	if (!dev)
		guest_fail("no ivshmem device");
	watchdog(20, "configuration space");
	pci_write(dev, PCI_COMMAND, 0, 2);
	for (reg = 0; reg < CONFIG_SIZE; reg += 4) {
		v.reads = pci_read(dev, reg, 4) & not_address(reg);
		v.writable = writable(dev, reg);
		if (v.reads == before.reads && v.writable == before.writable)
			continue;
		show(from, reg, before);
		from = reg;
		before = v;
	}
	show(from, CONFIG_SIZE, before);
}
