/* SPDX-License-Identifier: MIT */
/* guest-tests/several.c - test: the ivshmem devices of a VM know nothing of each other
 *
 * Each has a link of its own. Alone on it, a guest has ID 0 on all of them: the same
 * value in another doorbell register must ring another device.
 *
 * options: devices=N  there are so many
 *          plain=N    so many of them without doorbells
 *          role=a|b   two guests on the same links check that rings keep to their link
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/link.h"

#define MAX_DEVICES  8
#define MAX_TRIED    8 /* vectors of each device */
#define IRQ_OF(d, v) (IRQ_FIRST + (d)*MAX_TRIED + (v))
#define ARRIVE_MS    1000
#define SETTLE_MS    3

/* Words of 64 bits in the shared memory: the ID of the guest in a role; a mark */
#define WORD_ID(role) (0x700 / 8 + (role))
#define WORD_MARK     (0x800 / 8)

static struct ivshmem devices[MAX_DEVICES];
static unsigned int n, doorbells;

static volatile uint64_t *words(unsigned int d)
{
	return (volatile uint64_t *)devices[d].memory;
}

static unsigned int vectors(unsigned int d)
{
	unsigned int has = devices[d].has_msix ? devices[d].msix.vectors : 0;

	return has < MAX_TRIED ? has : MAX_TRIED;
}

static void open_all(void)
{
	ivshmem_open(&devices[0]);
	for (n = 1; n < MAX_DEVICES; n++)
		if (!ivshmem_open_after(&devices[n], &devices[n - 1]))
			break;
	check_eq(n, arg_u64("devices", n), "devices");
}

static void open_vectors(void)
{
	unsigned int d, v;

	for (d = 0; d < n; d++) {
		doorbells += devices[d].has_msix;
		if (devices[d].has_msix)
			msix_control(&devices[d].msix, PCI_MSIX_ENABLE);
		for (v = 0; v < vectors(d); v++) {
			msix_route(&devices[d].msix, v, apic_id(), IRQ_OF(d, v));
			msix_mask(&devices[d].msix, v, false);
		}
	}
	check_eq(doorbells, n - arg_u64("plain", 0), "devices with doorbells");
}

/* ---- what has come since the last look ---- */

static uint64_t seen[IRQ_VECTORS];

static void look(void)
{
	unsigned int irq;

	for (irq = IRQ_FIRST; irq <= IRQ_LAST; irq++)
		seen[irq] = irq_count[irq];
}

/* One interrupt of device @d's vector @v, and none of any other device or vector. */
static bool one_comes(unsigned int d, unsigned int v)
{
	unsigned int irq = IRQ_OF(d, v);
	uint64_t all = 0, news;

	wait_until(&irq_count[irq], seen[irq] + 1, ARRIVE_MS);
	sleep_us(SETTLE_MS * 1000);
	news = irq_count[irq] - seen[irq];
	for (irq = IRQ_FIRST; irq <= IRQ_LAST; irq++)
		all += irq_count[irq] - seen[irq];
	look();
	return news == 1 && all == 1;
}

/* ---- one guest ---- */

static void bars_are_apart(void)
{
	unsigned int a, b, wrong = 0;

	for (a = 0; a < n; a++)
		for (b = 0; b < a; b++)
			wrong +=
				devices[a].regs == devices[b].regs ||
				(devices[a].memory <
					 devices[b].memory + devices[b].size &&
				 devices[b].memory < devices[a].memory + devices[a].size);
	check_eq(wrong, 0, "their BARs are apart");
}

static void memories_are_apart(void)
{
	unsigned int d, wrong = 0;

	for (d = 0; d < n; d++) {
		words(d)[WORD_MARK] = 0x1111 * (d + 1);
		words(d)[devices[d].size / 8 - 1] = 0x2222 * (d + 1);
	}
	for (d = 0; d < n; d++)
		wrong += words(d)[WORD_MARK] != 0x1111 * (d + 1) ||
			 words(d)[devices[d].size / 8 - 1] != 0x2222 * (d + 1);
	check_eq(wrong, 0, "each has memory of its own");
}

static void registers_are_apart(void)
{
	unsigned int d, wrong = 0;

	for (d = 0; d < n; d++)
		devices[d].regs[IVSHMEM_INTR_MASK / 4] = d + 1;
	for (d = 0; d < n; d++) {
		wrong += devices[d].regs[IVSHMEM_INTR_MASK / 4] != d + 1;
		wrong += ivshmem_id(&devices[d]) != arg_u64("id", 0);
	}
	check_eq(wrong, 0, "each has registers of its own, and its ID");
}

static void rings_keep_to_their_device(void)
{
	unsigned int d, v, right = 0, rung = 0;

	for (d = 0; d < n; d++)
		for (v = 0; v < vectors(d); v++, rung++) {
			ivshmem_ring(&devices[d], ivshmem_id(&devices[d]), v);
			right += one_comes(d, v);
		}
	check_eq(right, rung, "each of %u doorbells interrupts for its own device, once",
		 rung);
}

static void others_rings_are_ignored(void)
{
	unsigned int d, v;
	bool silent = true;

	look();
	for (d = 0; d < n; d++)
		for (v = vectors(d); v < MAX_TRIED; v++) /* other devices may have them */
			ivshmem_ring(&devices[d], ivshmem_id(&devices[d]), v);
	sleep_us(SETTLE_MS * 1000);
	for (d = 0; d < n; d++)
		for (v = 0; v < MAX_TRIED; v++)
			silent &= irq_count[IRQ_OF(d, v)] == seen[IRQ_OF(d, v)];
	check(silent, "vectors that a device does not have are no other's");
}

static void masks_are_apart(void)
{
	unsigned int d, other, right = 0;

	for (d = 0; d < n; d++) {
		if (!devices[d].has_msix)
			continue;
		msix_control(&devices[d].msix, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
		ivshmem_ring(&devices[d], ivshmem_id(&devices[d]), 0);
		for (other = 0; other < n; other++) {
			if (other == d || !devices[other].has_msix)
				continue;
			ivshmem_ring(&devices[other], ivshmem_id(&devices[other]), 0);
			right += one_comes(other, 0);
		}
		msix_control(&devices[d].msix, PCI_MSIX_ENABLE);
		right += one_comes(d, 0);
	}
	check_eq(right, doorbells * doorbells, "what one masks, the others still get");
}

/* ---- two guests ---- */

/* Each in turn rings the other once on every link; only that device may interrupt. */
static void rings_keep_to_their_link(enum pair_role role)
{
	struct link link = { .memory = devices[0].memory, .size = devices[0].size };
	unsigned int d, right = 0, rung = 0;
	struct pair pair;

	for (d = 0; d < n; d++)
		words(d)[WORD_ID(role)] = ivshmem_id(&devices[d]);
	pair_meet(&pair, &link, role, 10);
	look();
	pair_barrier(&pair);
	for (d = 0; d < n; d++) {
		if (!devices[d].has_msix)
			continue;
		rung++;
		if (role == PAIR_A)
			ivshmem_ring(&devices[d], words(d)[WORD_ID(PAIR_B)], 0);
		else
			right += one_comes(d, 0);
		pair_barrier(&pair);
		if (role == PAIR_B)
			ivshmem_ring(&devices[d], words(d)[WORD_ID(PAIR_A)], 0);
		else
			right += one_comes(d, 0);
		pair_barrier(&pair);
	}
	check_eq(right, rung, "rings on each of %u links arrive there, and nowhere else",
		 rung);
}

void guest_main(void)
{
	watchdog(30, "several devices");
	irq_on();
	open_all();
	open_vectors();
	bars_are_apart();
	look();
	if (arg("role")) {
		rings_keep_to_their_link(arg_is("role", "a") ? PAIR_A : PAIR_B);
	} else {
		registers_are_apart();
		memories_are_apart();
		rings_keep_to_their_device();
		others_rings_are_ignored();
		masks_are_apart();
	}
	check_end();
}
