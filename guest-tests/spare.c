/* SPDX-License-Identifier: MIT */
/* guest-tests/spare.c - test: vectors that the device has and its server has not
 *
 * options: served=N  vectors that work; the others are spare (default 1)
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"

#define MAX_TRIED 32
#define IRQ_OF(n) (IRQ_FIRST + (n))
#define ARRIVE_MS 500
#define SETTLE_MS 3

static struct ivshmem iv;

static bool comes_once(unsigned int vector)
{
	volatile uint64_t *irq = &irq_count[IRQ_OF(vector)];
	uint64_t seen = *irq;

	ivshmem_ring(&iv, ivshmem_id(&iv), vector);
	wait_until(irq, seen + 1, ARRIVE_MS);
	wait_until(irq, seen + 2, SETTLE_MS);
	return *irq == seen + 1;
}

static void open_vectors(unsigned int from, unsigned int to)
{
	unsigned int i;

	for (i = from; i < to; i++) {
		msix_route(&iv.msix, i, apic_id(), IRQ_OF(i));
		msix_mask(&iv.msix, i, false);
	}
}

static void spare_ones_are_silent(unsigned int from, unsigned int to)
{
	unsigned int i, wrong = 0;

	for (i = from; i < to; i++)
		ivshmem_ring(&iv, ivshmem_id(&iv), i);
	sleep_us(SETTLE_MS * 1000);
	for (i = from; i < to; i++)
		wrong += irq_count[IRQ_OF(i)] != 0 || msix_pending(&iv.msix, i);
	check_eq(wrong, 0, "rung, spare vectors do nothing");
	for (i = from; i < to; i++)
		msix_mask(&iv.msix, i, true);
	msix_control(&iv.msix, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	msix_control(&iv.msix, 0);
	msix_control(&iv.msix, PCI_MSIX_ENABLE);
}

void guest_main(void)
{
	unsigned int served = arg_u64("served", 1), all;

	watchdog(20, "the spare vectors' checks");
	irq_on();
	ivshmem_open(&iv);
	if (!check(iv.has_msix, "there is MSI-X"))
		check_end();
	all = iv.msix.vectors < MAX_TRIED ? iv.msix.vectors : MAX_TRIED;
	check(served < all, "%u of %u vectors are spare", all - served, all);
	msix_control(&iv.msix, PCI_MSIX_ENABLE);
	open_vectors(0, served);
	check(comes_once(0) && comes_once(served - 1), "vectors of the server work");
	open_vectors(served, all);
	check(comes_once(0), "with spare ones unmasked, too");
	spare_ones_are_silent(served, all);
	check(comes_once(0) && comes_once(served - 1), "after all that, too");
	check_end();
}
