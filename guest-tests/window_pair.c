/* SPDX-License-Identifier: MIT */
/* guest-tests/window_pair.c - test: the doorbell window rings another guest, and no third
 *
 * Guest a stores to places of its window, guest b counts what comes. Their devices may
 * have different numbers of vectors: what does not fit into a's window has no place
 * there, and must not be rung by the place of another peer.
 *
 * options: role=a|b
 *          vectors=N  of b's doorbells may come through a's window
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/link.h"
#include "guest-tests/window.h"

#define MAX_TRIED 16 /* vectors of b */
#define IRQ_OF(n) (IRQ_FIRST + (n))
#define OTHERS    16 /* peers with IDs next to b's, who are not there */
#define ARRIVE_MS 1000
#define SETTLE_MS 5

static struct ivshmem iv;
static struct pair pair;
static unsigned int vectors;

static uint64_t all_interrupts(void)
{
	uint64_t sum = 0;
	unsigned int v;

	for (v = 0; v < MAX_TRIED; v++)
		sum += irq_count[IRQ_OF(v)];
	return sum;
}

static void ring_b(const struct window *window, uint32_t b)
{
	unsigned int v, i;

	for (v = 0; v < vectors; v++) {
		*window_place(window, b, v) = ~0u;
		pair_barrier(&pair);
	}
	for (i = 1; i <= OTHERS; i++)
		for (v = 0; v < 1u << window->bits; v++)
			*window_place(window, b + i, v) = ~0u;
	pair_barrier(&pair);
	pair_barrier(&pair);
	check(true, "b has been rung %u times", vectors);
}

static void be_rung(void)
{
	unsigned int v, right = 0;

	for (v = 0; v < vectors; v++) {
		wait_until(&irq_count[IRQ_OF(v)], 1, ARRIVE_MS);
		sleep_us(SETTLE_MS * 1000);
		right += irq_count[IRQ_OF(v)] == 1 && all_interrupts() == v + 1;
		pair_barrier(&pair);
	}
	check_eq(right, vectors, "each of %u places rings its vector, once", vectors);
	pair_barrier(&pair);
	sleep_us(SETTLE_MS * 1000);
	check_eq(all_interrupts(), vectors, "places of other peers ring nobody");
	pair_barrier(&pair);
}

static void open_vectors(void)
{
	unsigned int v;

	msix_control(&iv.msix, PCI_MSIX_ENABLE);
	for (v = 0; v < iv.msix.vectors && v < MAX_TRIED; v++) {
		msix_route(&iv.msix, v, apic_id(), IRQ_OF(v));
		msix_mask(&iv.msix, v, false);
	}
}

void guest_main(void)
{
	bool is_a = arg_is("role", "a");
	struct window window;
	struct link link;

	irq_on();
	ivshmem_open(&iv);
	vectors = arg_u64("vectors", iv.msix.vectors);
	open_vectors();
	link_open_memory(&link);
	if (is_a && !window_open(&window, iv.dev))
		guest_fail("there is no doorbell window");
	pair_meet(&pair, &link, is_a ? PAIR_A : PAIR_B, 10);
	if (is_a)
		ring_b(&window, IVSHMEM_RING_PEER(pair.bell.value));
	else
		be_rung();
	check_end();
}
