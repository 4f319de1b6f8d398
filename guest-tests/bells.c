/* SPDX-License-Identifier: MIT */
/* guest-tests/bells.c - test: each ring is one interrupt, whoever has to ring it
 *
 * A VMM may have KVM ring some doorbells and ring the others itself, and change its mind
 * as it goes: the guest must not see more of that than the time it takes. Here the guest
 * rings all of its own vectors, first one after the other, then all at once, then some of
 * them much more often than others.
 *
 * options: rounds=50      of each kind
 *          vectors=N      rings the first N only
 *          only=V         rings vector V alone, rounds times
 *          window=1       by the doorbell window
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/window.h"

#define MAX_VECTORS (IRQ_LAST - IRQ_FIRST + 1)
#define IRQ_OF(n)   (IRQ_FIRST + (n))
#define ARRIVE_MS   1000
#define SETTLE_MS   10
#define HOT_RINGS   8 /* of one vector, for each of the others */

static struct ivshmem iv;
static struct window window;
static uint32_t id;
static unsigned int vectors, rounds;
static uint64_t rung[MAX_VECTORS];

static void ring(unsigned int v)
{
	rung[v]++;
	if (window.base)
		*window_place(&window, id, v) = 0;
	else
		ivshmem_ring(&iv, id, v);
}

static bool ring_and_wait(unsigned int v)
{
	ring(v);
	return wait_until(&irq_count[IRQ_OF(v)], rung[v], ARRIVE_MS);
}

/* Every ring so far has been one interrupt of its vector's. */
static void all_have_come(const char *how)
{
	unsigned int v, wrong = 0;

	sleep_us(SETTLE_MS * 1000);
	for (v = 0; v < vectors; v++) {
		if (irq_count[IRQ_OF(v)] == rung[v])
			continue;
		if (wrong++ == 0)
			print("# vector %u: %lu rings, %lu interrupts\n", v, rung[v],
			      irq_count[IRQ_OF(v)]);
	}
	check_eq(wrong, 0, "%s: each ring of %u vectors is one interrupt", how, vectors);
}

static void one_after_the_other(void)
{
	unsigned int round, v;

	for (round = 0; round < rounds; round++)
		for (v = 0; v < vectors; v++)
			if (!ring_and_wait(v))
				return;
}

static void all_at_once(void)
{
	unsigned int round, v;

	for (round = 0; round < rounds; round++) {
		for (v = 0; v < vectors; v++)
			ring(v);
		for (v = 0; v < vectors; v++)
			if (!wait_until(&irq_count[IRQ_OF(v)], rung[v], ARRIVE_MS))
				return;
	}
}

static void some_more_often(void)
{
	unsigned int round, v, i;

	for (round = 0; round < rounds; round++) {
		v = round * 7 % vectors;
		for (i = 0; i < HOT_RINGS; i++)
			if (!ring_and_wait(v) || !ring_and_wait((v + 1) % vectors))
				return;
		if (!ring_and_wait((v + vectors / 2) % vectors))
			return;
	}
}

static void one_alone(unsigned int v)
{
	unsigned int round;

	for (round = 0; round < rounds; round++)
		if (!ring_and_wait(v))
			return;
}

static void open_vectors(void)
{
	unsigned int v;

	vectors = arg_u64("vectors", iv.msix.vectors);
	if (vectors < 1 || vectors > MAX_VECTORS || vectors > iv.msix.vectors)
		guest_fail("vectors: 1 to %u, and the device has %u", MAX_VECTORS,
			   iv.msix.vectors);
	msix_control(&iv.msix, PCI_MSIX_ENABLE);
	for (v = 0; v < vectors; v++) {
		msix_route(&iv.msix, v, apic_id(), IRQ_OF(v));
		msix_mask(&iv.msix, v, false);
	}
}

void guest_main(void)
{
	watchdog(50, "the rings");
	irq_on();
	ivshmem_open(&iv);
	id = ivshmem_id(&iv);
	rounds = arg_u64("rounds", 50);
	if (!check(iv.has_msix, "there is MSI-X"))
		check_end();
	if (arg_u64("window", 0) && !window_open(&window, iv.dev))
		guest_fail("there is no doorbell window");
	open_vectors();
	if (arg("only")) {
		one_alone(arg_u64("only", 0) % vectors);
		all_have_come("one alone");
		check_end();
	}
	one_after_the_other();
	all_have_come("one after the other");
	all_at_once();
	all_have_come("all at once");
	some_more_often();
	all_have_come("some more often");
	check_end();
}
