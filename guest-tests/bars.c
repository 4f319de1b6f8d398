/* SPDX-License-Identifier: MIT */
/* guest-tests/bars.c - test: BARs go where they may, stay where they are otherwise
 *
 * options: ecam=ADDRESS  where PCI configuration space is mapped; 0: nowhere
 *          strict=0      for machines that let a BAR cover anything
 *          window=1      the device has a doorbell window, a BAR like the others
 */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"
#include "guest-tests/own_bell.h"
#include "guest-tests/window.h"

#define FREE_32       0xf1000000 /* nothing is here in any machine we know */
#define MANY          50
#define CPUID_ADDRESS 0x80000008

static struct ivshmem iv;
static struct window window;
static uint32_t id;
static bool strict;

/* RAM that BARs are moved over */
static volatile uint64_t victim[2 * 4096 / 8] __attribute__((aligned(8192)));

static void fill_victim(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(victim) / 8; i++)
		victim[i] = ~(uint64_t)i;
}

static bool victim_is_whole(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(victim) / 8; i++)
		if (victim[i] != ~(uint64_t)i)
			return false;
	return true;
}

static volatile uint32_t *regs_now(void)
{
	return map(pci_bar_get(iv.dev, IVSHMEM_BAR_REGS), IVSHMEM_REGS_SIZE);
}

static volatile uint64_t *memory_now(void)
{
	return map(pci_bar_get(iv.dev, IVSHMEM_BAR_MEMORY), iv.size);
}

static volatile uint32_t *window_now(void)
{
	map(pci_bar_get(iv.dev, window.bar), window.size);
	window.base = (volatile uint8_t *)pci_bar_get(iv.dev, window.bar);
	return window_place(&window, id, 0);
}

/* All ways to ring ring, the table is in force, the memory is the same. */
static bool all_work(void)
{
	volatile uint64_t *memory = memory_now();

	return own_bell_works(regs_now(), id) && memory[0] == 0x1111 &&
	       memory[iv.size / 8 - 1] == 0x2222 &&
	       (!window.base || own_bell_rings(window_now(), 0));
}

/* ---- moves that are allowed ---- */

static void registers_move(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_REGS);
	volatile uint32_t *there = map(FREE_32, IVSHMEM_REGS_SIZE), *here = regs_now();

	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, FREE_32);
	check_eq(pci_bar_get(iv.dev, IVSHMEM_BAR_REGS), FREE_32,
		 "BAR 0 takes a free place");
	check(own_bell_works(there, id), "registers and doorbell work there");
	check_eq(here[IVSHMEM_IVPOSITION / 4], ~0u, "nothing answers at the old place");
	check_eq(own_bell_try(here, id), 0, "no doorbell is left there");
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, old);
	check(all_work(), "BAR 0 comes back");
	check_eq(own_bell_try(there, id), 0, "no doorbell is left where it was");
}

static void table_moves(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_MSIX), heard;
	struct msix moved = iv.msix;

	pci_bar_set(iv.dev, IVSHMEM_BAR_MSIX, FREE_32);
	moved.table = map(FREE_32, IVSHMEM_MSIX_BAR_SIZE);
	moved.pending += (FREE_32 - old) / sizeof(*moved.pending);
	check(moved.table[0].data != 0, "the MSI-X table goes with BAR 1");
	check(all_work(), "and stays in force");
	msix_mask(&moved, 0, true);
	check(own_bell_try(regs_now(), id) == 0 && msix_pending(&moved, 0),
	      "masks and pending bits work at the new place");
	heard = own_bell_heard();
	msix_mask(&moved, 0, false);
	own_bell_comes(heard);
	pci_bar_set(iv.dev, IVSHMEM_BAR_MSIX, old);
	check(all_work(), "BAR 1 comes back");
}

/* Half of the address space, but still in the lower half of the page tables. */
static uint64_t far_away(void)
{
	unsigned int bits = cpuid(CPUID_ADDRESS, 0).a & 0xff;

	return 1ULL << ((bits > 47 ? 47 : bits) - 1);
}

static bool is_64(unsigned int bar)
{
	return pci_read(iv.dev, PCI_BAR(bar), 4) & PCI_BAR_64;
}

static void memory_moves(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_MEMORY);
	uint64_t place = is_64(IVSHMEM_BAR_MEMORY) ? far_away() : FREE_32;
	volatile uint64_t *there;

	pci_bar_set(iv.dev, IVSHMEM_BAR_MEMORY, place);
	there = map(place, iv.size);
	check_eq(pci_bar_get(iv.dev, IVSHMEM_BAR_MEMORY), place, "BAR 2 goes far away");
	check(there[0] == 0x1111 && all_work(), "the memory is there");
	pci_bar_set(iv.dev, IVSHMEM_BAR_MEMORY, old);
	check(all_work(), "BAR 2 comes back");
}

static void window_moves_to(uint64_t place, const char *where)
{
	uint64_t old = pci_bar_get(iv.dev, window.bar);
	volatile uint32_t *here = window_now(), *there;

	pci_bar_set(iv.dev, window.bar, place);
	check_eq(pci_bar_get(iv.dev, window.bar), place, "BAR %u goes %s", window.bar,
		 where);
	there = window_now();
	check(own_bell_rings(there, 0), "its places ring there");
	check_eq(*here, ~0u, "nothing answers at the old place");
	check_eq(own_bell_count(here, 0), 0, "no doorbell is left there");
	pci_bar_set(iv.dev, window.bar, old);
	check(all_work(), "BAR %u comes back", window.bar);
	check_eq(own_bell_count(there, 0), 0, "no doorbell is left where it was");
}

static void window_can_be_hidden(void)
{
	uint16_t command = pci_read(iv.dev, PCI_COMMAND, 2);
	uint64_t hidden;

	pci_write(iv.dev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY, 2);
	hidden = own_bell_count(window_now(), 0);
	pci_write(iv.dev, PCI_COMMAND, command, 2);
	check_eq(hidden, 0, "without memory decoding the window rings nobody");
	check(all_work(), "and rings again with it");
}

static void two_change_places(void)
{
	uint64_t regs = pci_bar_get(iv.dev, IVSHMEM_BAR_REGS);
	uint64_t table = pci_bar_get(iv.dev, IVSHMEM_BAR_MSIX);
	uint16_t command = pci_read(iv.dev, PCI_COMMAND, 2);

	pci_write(iv.dev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY, 2);
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, table);
	pci_bar_set(iv.dev, IVSHMEM_BAR_MSIX, FREE_32);
	pci_write(iv.dev, PCI_COMMAND, command, 2);
	check(all_work(), "with decoding off, BAR 0 may take the place of BAR 1");
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, regs);
	pci_bar_set(iv.dev, IVSHMEM_BAR_MSIX, table);
	check(all_work(), "and both come back");
}

static void many_moves(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_REGS);
	unsigned int i, works = 0;

	for (i = 0; i < MANY; i++) {
		pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, FREE_32 + i % 2 * 4096);
		works += own_bell_works(regs_now(), id);
	}
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, old);
	check_eq(works, MANY, "BAR 0 works after each of %u moves", MANY);
}

/* ---- moves that are not ---- */

static void refuses(unsigned int bar, uint64_t place, const char *what)
{
	uint64_t old = pci_bar_get(iv.dev, bar), size = pci_bar_size(iv.dev, bar);

	place &= -size;
	pci_bar_set(iv.dev, bar, place);
	if (strict)
		check(pci_bar_get(iv.dev, bar) != place && all_work(),
		      "BAR %u does not go over %s, and works on", bar, what);
	pci_bar_set(iv.dev, bar, old);
	check(victim_is_whole() && all_work(), "BAR %u after %s: back, and all is well",
	      bar, what);
}

static void refuses_all(unsigned int bar, unsigned int other)
{
	uint64_t ecam = arg_u64("ecam", 0xe8000000);

	refuses(bar, (uint64_t)victim, "RAM");
	refuses(bar, 0, "the start of RAM");
	refuses(bar, pci_bar_get(iv.dev, other), "another BAR");
	refuses(bar, APIC_BASE, "the local APIC");
	refuses(bar, IOAPIC_BASE, "the I/O APIC");
	if (ecam)
		refuses(bar, ecam, "configuration space");
}

static void ends_of_the_address_space(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_MEMORY), at;
	unsigned int bit;
	bool works = true;

	for (bit = is_64(IVSHMEM_BAR_MEMORY) ? 40 : 24; bit < 64; bit++) {
		at = (1ULL << bit) - iv.size;
		pci_bar_set(iv.dev, IVSHMEM_BAR_MEMORY, at);
		pci_bar_set(iv.dev, IVSHMEM_BAR_MEMORY, old);
		works &= all_work();
	}
	check(works, "BAR 2 comes back from below each power of two");
	old = pci_bar_get(iv.dev, IVSHMEM_BAR_REGS);
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, 0xffffff00);
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, old);
	check(all_work(), "BAR 0 comes back from the last bytes below 4 GiB");
	if (is_64(IVSHMEM_BAR_MEMORY))
		refuses(IVSHMEM_BAR_MEMORY, 1ULL << 62,
			"addresses that the CPU does not have");
}

static void covers_ram_when_switched_on(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_REGS), place = (uint64_t)victim;
	uint16_t command = pci_read(iv.dev, PCI_COMMAND, 2);

	pci_write(iv.dev, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY, 2);
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, place);
	check_eq(pci_bar_get(iv.dev, IVSHMEM_BAR_REGS), place,
		 "with decoding off, BAR 0 holds any address");
	pci_write(iv.dev, PCI_COMMAND, command, 2);
	check(victim_is_whole(), "switched on over RAM, it leaves RAM alone");
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, old);
	check(all_work(), "and works at a good place again");
}

void guest_main(void)
{
	watchdog(30, "the BARs' checks");
	strict = arg_u64("strict", 1);
	ivshmem_open(&iv);
	if (arg_u64("window", 0) && !window_open(&window, iv.dev))
		guest_fail("there is no doorbell window");
	id = ivshmem_id(&iv);
	own_bell_open(&iv);
	fill_victim();
	memory_now()[0] = 0x1111;
	memory_now()[iv.size / 8 - 1] = 0x2222;
	if (!check(all_work(), "the device works"))
		check_end();
	registers_move();
	table_moves();
	memory_moves();
	if (window.base) {
		window_moves_to(far_away(), "far away");
		window_moves_to(FREE_32, "below 4 GiB");
		window_can_be_hidden();
	}
	two_change_places();
	many_moves();
	refuses_all(IVSHMEM_BAR_REGS, IVSHMEM_BAR_MSIX);
	refuses_all(IVSHMEM_BAR_MSIX, IVSHMEM_BAR_REGS);
	refuses_all(IVSHMEM_BAR_MEMORY, IVSHMEM_BAR_REGS);
	if (window.base)
		refuses_all(window.bar, IVSHMEM_BAR_REGS);
	ends_of_the_address_space();
	covers_ram_when_switched_on();
	check_end();
}
