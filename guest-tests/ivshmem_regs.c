/* SPDX-License-Identifier: MIT */
/* guest-tests/ivshmem_regs.c - test: an ivshmem device as its specification has it
 *
 * options: expect=plain|doorbell|intx size=SIZE vectors=N id=ID (not checked if absent)
 *          revision=0 use64=0  as the device's keys of these names
 *          window=1            there is a doorbell window, too
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/window.h"

#define OTHER_PLACE 0xf1000000 /* nothing is there; BAR 0 goes there for a while */
#define NO_VECTORS  0

static volatile uint32_t *reg_at(const struct ivshmem *iv, unsigned int off)
{
	return &iv->regs[off / 4];
}

/* ---- configuration space ---- */

static void identity_is_right(uint32_t dev)
{
	uint32_t revision = arg_u64("revision", IVSHMEM_REVISION);

	check_eq(pci_read(dev, PCI_SUBSYSTEM_VENDOR, 2), IVSHMEM_SUBSYSTEM_VENDOR_ID,
		 "subsystem vendor");
	check_eq(pci_read(dev, PCI_SUBSYSTEM_ID, 2), IVSHMEM_SUBSYSTEM_ID, "subsystem");
	check_eq(pci_read(dev, PCI_CLASS, 2), IVSHMEM_CLASS, "class: RAM");
	check_eq(pci_read(dev, PCI_REVISION, 1), revision, "revision");
	check_eq(pci_read(dev, PCI_HEADER_TYPE, 1), 0, "header type");
	if (revision == 0)
		check_eq(pci_read(dev, PCI_INTERRUPT_PIN, 1), 1, "interrupt pin INTA");
	else
		check_eq(pci_read(dev, PCI_INTERRUPT_PIN, 1), 0, "no interrupt pin");
	pci_write(dev, PCI_VENDOR_ID, 0, 4);
	check_eq(pci_read(dev, PCI_VENDOR_ID, 4),
		 (uint32_t)IVSHMEM_DEVICE_ID << 16 | IVSHMEM_VENDOR_ID,
		 "the identity is read-only");
}

static uint64_t msix_bar_size(unsigned int vectors, uint32_t pba)
{
	uint64_t need = pba + (vectors + 63) / 64 * 8, size = IVSHMEM_MSIX_BAR_SIZE;

	while (size < need)
		size *= 2;
	return size;
}

static void bar_is(uint32_t dev, unsigned int bar, uint64_t size, uint32_t flags)
{
	uint64_t found = pci_bar_size(dev, bar);

	check_eq(found, size, "BAR %u: size", bar);
	if (!found)
		return;
	check_eq(pci_read(dev, PCI_BAR(bar), 4) & PCI_BAR_FLAGS, flags, "BAR %u: kind",
		 bar);
	check(pci_bar_get(dev, bar) && pci_bar_get(dev, bar) % found == 0,
	      "BAR %u: at a multiple of its size", bar);
}

/* BAR 4 is the window's, and of 64 bits, if the device has one. */
static void last_bars_are_right(const struct ivshmem *iv, unsigned int vectors)
{
	if (arg_u64("window", 0)) {
		bar_is(iv->dev, IVSHMEM_BAR_WINDOW,
		       IVSHMEM_WINDOW_OFF(IVSHMEM_MAX_ID + 1, 0, window_bits(vectors)),
		       PCI_BAR_64);
		return;
	}
	check_eq(pci_bar_size(iv->dev, 4), 0, "no BAR 4");
	check_eq(pci_bar_size(iv->dev, 5), 0, "no BAR 5");
}

static void bars_are_right(const struct ivshmem *iv, unsigned int vectors)
{
	uint32_t pba = vectors > 128 ? vectors * 16 : IVSHMEM_MSIX_PBA;
	uint32_t width = arg_u64("use64", 1) ? PCI_BAR_64 : 0;

	bar_is(iv->dev, IVSHMEM_BAR_REGS, IVSHMEM_REGS_SIZE, 0);
	bar_is(iv->dev, IVSHMEM_BAR_MSIX, vectors ? msix_bar_size(vectors, pba) : 0, 0);
	bar_is(iv->dev, IVSHMEM_BAR_MEMORY, arg_u64("size", iv->size),
	       width | PCI_BAR_PREFETCH);
	last_bars_are_right(iv, vectors);
}

static void msix_is_right(const struct ivshmem *iv, unsigned int vectors)
{
	uint32_t pba = vectors > 128 ? vectors * 16 : IVSHMEM_MSIX_PBA;

	if (!check(iv->has_msix, "there is MSI-X"))
		return;
	check_eq(iv->msix.cap, IVSHMEM_MSIX_CAP, "its capability's place");
	check_eq(pci_read(iv->dev, PCI_CAPABILITIES, 1), IVSHMEM_MSIX_CAP,
		 "it is the first");
	if (arg_u64("window", 0))
		check_eq(pci_read(iv->dev, iv->msix.cap + 1, 1), IVSHMEM_WINDOW_CAP,
			 "and the window's is the second");
	else
		check_eq(pci_read(iv->dev, iv->msix.cap + 1, 1), 0,
			 "and the last capability");
	check_eq(iv->msix.vectors, vectors, "as many vectors as configured");
	check_eq(pci_read(iv->dev, iv->msix.cap + 2, 2), vectors - 1, "off, not masked");
	check_eq(pci_read(iv->dev, iv->msix.cap + 4, 4),
		 IVSHMEM_MSIX_TABLE | IVSHMEM_BAR_MSIX, "the table's place");
	check_eq(pci_read(iv->dev, iv->msix.cap + 8, 4), pba | IVSHMEM_BAR_MSIX,
		 "the PBA's place");
	pci_write(iv->dev, iv->msix.cap + 2, 0x3fff, 2);
	pci_write(iv->dev, iv->msix.cap + 4, ~0u, 4);
	check(pci_read(iv->dev, iv->msix.cap + 2, 2) == vectors - 1 &&
		      pci_read(iv->dev, iv->msix.cap + 4, 4) == IVSHMEM_BAR_MSIX,
	      "they are read-only");
}

/* ---- MSI-X table and PBA ---- */

static void table_is_reset(const struct msix *msix)
{
	unsigned int i, wrong = 0;

	for (i = 0; i < msix->vectors; i++)
		wrong += msix->table[i].address_low || msix->table[i].address_high ||
			 msix->table[i].data || msix->table[i].control != 1;
	check_eq(wrong, 0, "all entries of the table are 0 and masked");
	for (i = 0; i < (msix->vectors + 31) / 32; i++) {
		msix->pending[i] = ~0u;
		wrong += msix->pending[i] != 0;
	}
	check_eq(wrong, 0, "nothing is pending, and writes do not change that");
}

static void table_keeps(const struct msix *msix)
{
	volatile struct msix_entry *last = &msix->table[msix->vectors - 1];
	volatile uint64_t *quad = (volatile uint64_t *)last;

	last->address_low = 0xfee00000;
	last->address_high = 0;
	last->data = 0x55;
	check(last->address_low == 0xfee00000 && last->data == 0x55 && last->control == 1,
	      "the last entry keeps what is written, 4 bytes at a time");
	quad[0] = 0xfee01000;
	quad[1] = 0x100000066;
	check(quad[0] == 0xfee01000 && quad[1] == 0x100000066, "and 8 bytes at a time");
	quad[0] = 0;
	quad[1] = 1ULL << 32;
}

/* ---- registers ---- */

static void reserved_are_ignored(const struct ivshmem *iv)
{
	unsigned int off, wrong = 0;

	for (off = 0x10; off < IVSHMEM_REGS_SIZE; off += 4) {
		*reg_at(iv, off) = 0xa5a5a5a5;
		wrong += *reg_at(iv, off) != 0;
	}
	check_eq(wrong, 0, "reserved registers read 0 whatever is written");
}

static void registers_are_right(const struct ivshmem *iv, unsigned int vectors)
{
	uint32_t id = ivshmem_id(iv);

	check_eq(*reg_at(iv, IVSHMEM_INTR_MASK), 0, "IntrMask is 0 at first");
	*reg_at(iv, IVSHMEM_INTR_MASK) = 0x12345678;
	check_eq(*reg_at(iv, IVSHMEM_INTR_MASK), 0x12345678, "IntrMask keeps a value");
	*reg_at(iv, IVSHMEM_INTR_MASK) = 0;

	check_eq(*reg_at(iv, IVSHMEM_INTR_STATUS), 0, "IntrStatus is 0 at first");
	*reg_at(iv, IVSHMEM_INTR_STATUS) = 5;
	check_eq(*reg_at(iv, IVSHMEM_INTR_STATUS), 5, "IntrStatus keeps a value");
	check_eq(*reg_at(iv, IVSHMEM_INTR_STATUS), 0, "until it is read");

	check_eq(id, arg_u64("id", vectors ? id : 0), "IVPosition is the own ID");
	check(id <= IVSHMEM_MAX_ID, "IVPosition %u is an ID", id);
	*reg_at(iv, IVSHMEM_IVPOSITION) = ~id;
	check_eq(ivshmem_id(iv), id, "IVPosition is read-only");

	check_eq(*reg_at(iv, IVSHMEM_DOORBELL), 0, "Doorbell reads 0");
	ivshmem_ring(iv, IVSHMEM_MAX_ID, 0xffff);
	ivshmem_ring(iv, id, vectors);
	check_eq(*reg_at(iv, IVSHMEM_DOORBELL), 0, "rings for nobody do no harm");
	reserved_are_ignored(iv);
}

static void registers_can_be_hidden(struct ivshmem *iv)
{
	uint16_t command = pci_read(iv->dev, PCI_COMMAND, 2);
	uint32_t id = ivshmem_id(iv), hidden;

	pci_write(iv->dev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY, 2);
	hidden = ivshmem_id(iv);
	pci_write(iv->dev, PCI_COMMAND, command, 2);
	check_eq(hidden, ~0u, "without memory decoding the registers are gone");
	check_eq(ivshmem_id(iv), id, "and come back with it");
}

static void position_survives_a_move(struct ivshmem *iv)
{
	uint64_t old = pci_bar_get(iv->dev, IVSHMEM_BAR_REGS);
	uint32_t id = ivshmem_id(iv);
	volatile uint32_t *moved = map(OTHER_PLACE, IVSHMEM_REGS_SIZE);

	pci_bar_set(iv->dev, IVSHMEM_BAR_REGS, OTHER_PLACE);
	check_eq(moved[IVSHMEM_IVPOSITION / 4], id, "IVPosition at BAR 0's new place");
	check_eq(ivshmem_id(iv), ~0u, "nothing at the old one");
	pci_bar_set(iv->dev, IVSHMEM_BAR_REGS, old);
	check_eq(ivshmem_id(iv), id, "IVPosition after BAR 0 has come back");
}

void guest_main(void)
{
	bool none = arg_is("expect", "plain") || arg_is("expect", "intx");
	unsigned int vectors = none ? NO_VECTORS : arg_u64("vectors", 1);
	struct ivshmem iv;

	watchdog(20, "the registers' checks");
	ivshmem_open(&iv);
	identity_is_right(iv.dev);
	bars_are_right(&iv, vectors);
	if (none) {
		check(!(pci_read(iv.dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) &&
			      pci_read(iv.dev, PCI_CAPABILITIES, 1) == 0,
		      "no capabilities");
	} else {
		msix_is_right(&iv, vectors);
		table_is_reset(&iv.msix);
		table_keeps(&iv.msix);
	}
	registers_are_right(&iv, vectors);
	registers_can_be_hidden(&iv);
	position_survives_a_move(&iv);
	check_end();
}
