/* SPDX-License-Identifier: MIT */
/* guest-tests/msix.c - test: doorbells become MSI-X interrupts, one each, when they may
 *
 * The guest rings its own doorbells.
 * options: cpus=2 also sends interrupts to the second vCPU
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/smp.h"

#define MAX_TRIED 32                /* vectors that get an interrupt of their own */
#define IRQ_OF(n) (IRQ_FIRST + (n)) /* vector n's, by default */
#define IRQ_OTHER (IRQ_FIRST + MAX_TRIED)
#define ARRIVE_MS 1000
#define SETTLE_MS 3

static struct ivshmem iv;
static struct msix *const msix = &iv.msix;
static unsigned int tried; /* vectors 0 to tried - 1 */

static void ring(unsigned int vector)
{
	ivshmem_ring(&iv, ivshmem_id(&iv), vector);
}

/* ---- what has come since the last look ---- */

static uint64_t seen[IRQ_VECTORS];

static void look(void)
{
	unsigned int irq;

	for (irq = IRQ_FIRST; irq <= IRQ_LAST; irq++)
		seen[irq] = irq_count[irq];
}

static uint64_t news(unsigned int irq)
{
	return irq_count[irq] - seen[irq];
}

static uint64_t news_in_all(void)
{
	uint64_t sum = 0;
	unsigned int irq;

	for (irq = IRQ_FIRST; irq <= IRQ_LAST; irq++)
		sum += news(irq);
	return sum;
}

/* Interrupt @irq comes @want times: not fewer, not more, and no other comes. */
static void expect(unsigned int irq, uint64_t want, const char *sentence)
{
	wait_until(&irq_count[irq], seen[irq] + want, ARRIVE_MS);
	wait_until(&irq_count[irq], seen[irq] + want + 1, SETTLE_MS);
	if (!check(news(irq) == want && news_in_all() == want, "%s", sentence))
		print("# got %lu interrupts, want %lu; %lu others\n", news(irq), want,
		      news_in_all() - news(irq));
	look();
}

/* ---- the checks ---- */

static void each_vector_has_its_own(void)
{
	unsigned int i, wrong = 0;

	for (i = 0; i < tried; i++) {
		ring(i);
		wait_until(&irq_count[IRQ_OF(i)], 1, ARRIVE_MS);
	}
	sleep_us(SETTLE_MS * 1000);
	for (i = 0; i < tried; i++)
		wrong += news(IRQ_OF(i)) != 1;
	check(wrong == 0 && news_in_all() == tried,
	      "each of %u vectors raises its own interrupt, once", tried);
	look();
}

static void vector_mask_holds(unsigned int v)
{
	unsigned int i;

	msix_mask(msix, v, true);
	check(!msix_pending(msix, v), "masked, not rung: nothing is pending");
	ring(v);
	expect(IRQ_OF(v), 0, "a masked vector stays silent");
	check(msix_pending(msix, v), "its ring is pending");
	for (i = 0; i < 5; i++)
		ring(v);
	msix_mask(msix, v, false);
	expect(IRQ_OF(v), 1, "unmasked, all its rings are one interrupt");
	check(!msix_pending(msix, v), "nothing is pending then");
	msix_mask(msix, v, true);
	msix_mask(msix, v, false);
	expect(IRQ_OF(v), 0, "masked and unmasked once more, nothing comes");
	ring(v);
	expect(IRQ_OF(v), 1, "and the next ring is one interrupt");
}

static void function_mask_holds(unsigned int a, unsigned int b)
{
	msix_control(msix, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	ring(a);
	expect(IRQ_OF(a), 0, "all masked: silence");
	check(msix_pending(msix, a), "all masked: the ring is pending");
	if (b != a) {
		check(!msix_pending(msix, b), "the other vector is not");
		msix_mask(msix, b, true);
		ring(b);
	}
	msix_control(msix, PCI_MSIX_ENABLE);
	expect(IRQ_OF(a), 1, "not all masked any more: one interrupt");
	if (b == a)
		return;
	check(msix_pending(msix, b), "the vector that has its own mask still waits");
	msix_mask(msix, b, false);
	expect(IRQ_OF(b), 1, "until that goes");
}

static void off_keeps_events(unsigned int v)
{
	msix_control(msix, 0);
	ring(v);
	ring(v);
	expect(IRQ_OF(v), 0, "MSI-X off: silence");
	msix_control(msix, PCI_MSIX_ENABLE);
	expect(IRQ_OF(v), 1, "on again: what was rung is one interrupt");
	msix_control(msix, 0);
	msix_control(msix, PCI_MSIX_ENABLE);
	expect(IRQ_OF(v), 0, "off and on without a ring: nothing");
}

static void table_can_change(unsigned int v)
{
	msix_mask(msix, v, true);
	ring(v);
	msix_route(msix, v, apic_id(), IRQ_OTHER);
	msix_mask(msix, v, false);
	expect(IRQ_OTHER, 1, "rewritten while masked: the new interrupt comes");
	ring(v);
	expect(IRQ_OTHER, 1, "and for the next ring, too");

	msix_route(msix, v, apic_id(), IRQ_OF(v));
	ring(v);
	sleep_us(SETTLE_MS * 1000);
	check_eq(news_in_all(), 1,
		 "rewritten while not masked: one interrupt (PCI leaves open which)");
	msix_mask(msix, v, true);
	msix_mask(msix, v, false);
	look();
	ring(v);
	expect(IRQ_OF(v), 1, "the new one after mask and unmask");
}

static void rings_for_nobody(void)
{
	uint32_t id = ivshmem_id(&iv), i;

	for (i = 1; i <= 32; i++)
		ivshmem_ring(&iv, (id + i * 37) & IVSHMEM_MAX_ID, 0);
	expect(IRQ_OF(0), 0, "rings for peers that are not there");
	ring(msix->vectors);
	ring(0xffff);
	for (i = 0x100; i <= 0xff00; i += 0x100)
		if (i >= msix->vectors)
			ring(i); /* as a doorbell of 8 bits this would be vector 0 */
	expect(IRQ_OF(0), 0, "rings for vectors that are not there");
	ring(0);
	expect(IRQ_OF(0), 1, "the doorbell still works");
}

static void goes_to_another_cpu(void)
{
	uint64_t woken;

	smp_start(1, 3000);
	if (!check_eq(smp_arrived, 1, "a second vCPU"))
		return;
	woken = smp_cpus[0].woken;
	msix_mask(msix, 0, true);
	msix_route(msix, 0, smp_cpus[0].apic_id, IRQ_OTHER);
	msix_mask(msix, 0, false);
	ring(0);
	wait_until(&smp_cpus[0].woken, woken + 1, ARRIVE_MS);
	check_eq(smp_cpus[0].woken, woken + 1, "the interrupt goes to the second vCPU");
	expect(IRQ_OTHER, 1, "once");
}

void guest_main(void)
{
	unsigned int i;

	watchdog(30, "the interrupts' checks");
	irq_on();
	ivshmem_open(&iv);
	if (!check(iv.has_msix, "there is MSI-X"))
		check_end();
	tried = msix->vectors < MAX_TRIED ? msix->vectors : MAX_TRIED;
	msix_control(msix, PCI_MSIX_ENABLE);
	for (i = 0; i < tried; i++) {
		msix_route(msix, i, apic_id(), IRQ_OF(i));
		msix_mask(msix, i, false);
	}
	expect(IRQ_OF(0), 0, "no ring, no interrupt");
	each_vector_has_its_own();
	vector_mask_holds(0);
	function_mask_holds(0, tried - 1);
	off_keeps_events(0);
	rings_for_nobody();
	table_can_change(tried - 1);
	if (arg_u64("cpus", 1) > 1)
		goes_to_another_cpu();
	check_end();
}
