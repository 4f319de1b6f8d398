/* SPDX-License-Identifier: MIT */
/* guest-tests/window.c - test: the doorbell window is as ivshmem-doorbell-window(7) has
 * it
 *
 * The guest rings its own doorbells, by the window and by the register. That the window
 * moves with its BAR is for guest-tests/bars.c.
 *
 * options: vectors=N  of the device
 */
#include "guest-tests/window.h"
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"

#define MAX_TRIED 32 /* vectors that get an interrupt of their own */
#define IRQ_OF(n) (IRQ_FIRST + (n))
#define ARRIVE_MS 1000
#define SETTLE_MS 3
#define JUNK      0x9e3779b97f4a7c15

static struct ivshmem iv;
static struct window window;
static uint32_t id;
static unsigned int tried; /* vectors 0 to tried - 1 */

static volatile uint8_t *place(uint32_t peer, uint32_t vector)
{
	return (volatile uint8_t *)window_place(&window, peer, vector);
}

/* ---- what has come since the last look ---- */

static uint64_t seen[MAX_TRIED];

static void look(void)
{
	unsigned int i;

	for (i = 0; i < tried; i++)
		seen[i] = irq_count[IRQ_OF(i)];
}

static uint64_t news_in_all(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < tried; i++)
		sum += irq_count[IRQ_OF(i)] - seen[i];
	return sum;
}

/* Interrupt of vector @v comes @want times: not fewer, not more, and no other comes. */
static bool comes(unsigned int v, uint64_t want)
{
	volatile uint64_t *count = &irq_count[IRQ_OF(v)];
	bool right;

	wait_until(count, seen[v] + want, ARRIVE_MS);
	wait_until(count, seen[v] + want + 1, SETTLE_MS);
	right = *count - seen[v] == want && news_in_all() == want;
	if (!right)
		print("# got %lu interrupts of vector %u, want %lu; %lu in all\n",
		      *count - seen[v], v, want, news_in_all());
	look();
	return right;
}

static bool nothing_comes(void)
{
	return comes(0, 0);
}

/* ---- how it is announced ---- */

static void capability_is_right(void)
{
	unsigned int bits = window_bits(iv.msix.vectors), i, was;

	check_eq(window.cap, IVSHMEM_WINDOW_CAP, "its capability's place");
	check_eq(pci_read(iv.dev, window.cap, 1), PCI_CAP_VENDOR, "vendor-specific");
	check_eq(pci_read(iv.dev, window.cap + 1, 1), 0, "the last one");
	check_eq(pci_read(iv.dev, window.cap + 2, 1), IVSHMEM_WINDOW_CAP_LEN, "length");
	check_eq(pci_read(iv.dev, window.cap + IVSHMEM_WINDOW_CAP_VER, 1),
		 IVSHMEM_WINDOW_VERSION, "version");
	check_eq(pci_read(iv.dev, window.cap + IVSHMEM_WINDOW_CAP_SIG, 4), 0x4c4c4542,
		 "signature BELL");
	check_eq(pci_read(iv.dev, window.cap + IVSHMEM_WINDOW_CAP_BAR, 1), 4, "BAR 4");
	check_eq(pci_read(iv.dev, window.cap + IVSHMEM_WINDOW_CAP_BITS, 1), bits,
		 "bits of the vector: %u for %u vectors", bits, iv.msix.vectors);
	check_eq(pci_read(iv.dev, window.cap + 10, 2), 0, "reserved bytes are 0");
	check_eq(pci_read(iv.dev, window.cap + 12, 4), 0, "all of them");
	for (i = 0; i < IVSHMEM_WINDOW_CAP_LEN; i += 4) {
		was = pci_read(iv.dev, window.cap + i, 4);
		pci_write(iv.dev, window.cap + i, ~was, 4);
		if (pci_read(iv.dev, window.cap + i, 4) != was)
			break;
	}
	check_eq(i, IVSHMEM_WINDOW_CAP_LEN, "it is read-only");
}

static void bar_is_right(void)
{
	check_eq(window.size, 0x40000ULL << window.bits,
		 "4 bytes for each of 65536 peers and %u vectors", 1u << window.bits);
	check_eq(pci_read(iv.dev, PCI_BAR(window.bar), 4) & PCI_BAR_FLAGS, PCI_BAR_64,
		 "64 bits, not prefetchable");
	check_eq(pci_bar_get(iv.dev, window.bar) % window.size, 0,
		 "at a multiple of its size");
}

/* ---- rings ---- */

static void each_vector_rings(unsigned int width)
{
	unsigned int v, right = 0;

	for (v = 0; v < tried; v++) {
		write_width(place(id, v), width, 0);
		right += comes(v, 1);
	}
	check_eq(right, tried, "stores of %u bytes ring each of %u vectors once", width,
		 tried);
}

static void value_does_not_matter(void)
{
	static const uint64_t values[] = { 1, ~0ULL, 0x00010001, 0xffff0000, JUNK };
	unsigned int width, i, right = 0, done = 0;

	for (width = 1; width <= 8; width *= 2)
		for (i = 0; i < sizeof(values) / sizeof(values[0]); i++, done++) {
			write_width(place(id, 0), width, values[i]);
			right += comes(0, 1);
		}
	check_eq(right, done, "whatever is stored, it is one interrupt");
}

static void mask_holds(void)
{
	unsigned int v = tried - 1, i;

	msix_mask(&iv.msix, v, true);
	for (i = 0; i < 3; i++)
		write_width(place(id, v), 4, 0);
	check(nothing_comes() && msix_pending(&iv.msix, v),
	      "masked: rings are pending, and silent");
	msix_mask(&iv.msix, v, false);
	check(comes(v, 1), "unmasked, all of them are one interrupt");
}

static void register_rings_beside_it(void)
{
	unsigned int round, v, right = 0;

	for (round = 0; round < 20; round++) {
		v = round % tried;
		ivshmem_ring(&iv, id, v);
		right += comes(v, 1);
		write_width(place(id, v), 4, IVSHMEM_RING(id, (v + 1) % tried));
		right += comes(v, 1);
	}
	check_eq(right, 2 * round, "register and window ring in turn");
	check_eq(ivshmem_id(&iv), id, "the registers are as they were");
	check_eq(iv.regs[IVSHMEM_INTR_STATUS / 4], 0, "IntrStatus is 0");
}

/* ---- what rings nobody ---- */

static void reads_are_0(void)
{
	uint32_t peers[] = { id, id + 1, IVSHMEM_MAX_ID - 2 };
	unsigned int width, i, off;
	uint64_t got = 0;

	iv.regs[IVSHMEM_INTR_MASK / 4] = ~0u; /* whoever mistakes BAR 4 for BAR 0 */
	for (width = 1; width <= 8; width *= 2)
		for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
			for (off = 0; off < 4; off++)
				got |= read_width(place(peers[i], 0) + off, width);
	for (width = 1; width <= 8; width *= 2)
		got |= read_width(window.base + window.size - width, width);
	check_eq(got, 0, "reads are 0, of any width, at any place");
	check(nothing_comes(), "and ring nobody");
}

static void unknown_ones_are_ignored(void)
{
	unsigned int width, bit, v;

	for (width = 1; width <= 8; width *= 2) {
		for (bit = 0; bit < 16; bit++)
			write_width(place(id ^ 1u << bit, 0), width, JUNK);
		write_width(window.base + window.size - width, width, JUNK);
	}
	check(nothing_comes(), "peers that are not there");
	for (width = 1; width <= 8; width *= 2)
		for (v = iv.msix.vectors; v < 1u << window.bits; v++)
			write_width(place(id, v), width, JUNK);
	check(nothing_comes(), "vectors that are not there: %u",
	      (1u << window.bits) - iv.msix.vectors);
}

/* Within a page: across two, a processor may make two stores of one. */
static void misaligned_ones_are_ignored(void)
{
	unsigned int width, off;

	for (width = 1; width <= 8; width *= 2)
		for (off = 1; off < 4; off++)
			write_width(place(id, 0) + off, width, JUNK);
	check(nothing_comes(), "stores between two places ring nobody");
	write_width(place(id, 0), 4, 0);
	check(comes(0, 1), "and the place still rings");
}

/* The window is as wide as the vectors: a place's neighbours are other doorbells. */
static void neighbours_are_others(void)
{
	unsigned int v, right = 0;

	for (v = 0; v + 1 < tried; v += 2) {
		write_width(place(id, v), 8, ~0ULL);
		right += comes(v, 1);
	}
	check_eq(right, tried / 2, "a store over two places rings the first one");
}

void guest_main(void)
{
	unsigned int i;

	watchdog(30, "the doorbell window's checks");
	irq_on();
	ivshmem_open(&iv);
	id = ivshmem_id(&iv);
	if (!check(iv.has_msix && window_open(&window, iv.dev),
		   "there is a doorbell window"))
		check_end();
	check_eq(iv.msix.vectors, arg_u64("vectors", iv.msix.vectors), "vectors");
	tried = iv.msix.vectors < MAX_TRIED ? iv.msix.vectors : MAX_TRIED;
	capability_is_right();
	bar_is_right();

	msix_control(&iv.msix, PCI_MSIX_ENABLE);
	for (i = 0; i < tried; i++) {
		msix_route(&iv.msix, i, apic_id(), IRQ_OF(i));
		msix_mask(&iv.msix, i, false);
	}
	check(nothing_comes(), "no ring, no interrupt");
	for (i = 1; i <= 8; i *= 2)
		each_vector_rings(i);
	value_does_not_matter();
	mask_holds();
	register_rings_beside_it();
	reads_are_0();
	unknown_ones_are_ignored();
	misaligned_ones_are_ignored();
	neighbours_are_others();
	check_end();
}
