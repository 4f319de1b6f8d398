/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/own_bell.c - rings vector 0 of the own device and counts what comes */
#include "guest-tests/own_bell.h"
#include "guest-tests/guest.h"

#define BELL_IRQ  (IRQ_FIRST + 3)
#define ARRIVE_MS 100
#define SETTLE_MS 2
#define LATE_MS   20 /* what waited comes by way of a work queue of the host's */

void own_bell_open(struct ivshmem *iv)
{
	irq_on();
	if (!iv->has_msix) {
		ivshmem_open_intx(iv, BELL_IRQ);
		return;
	}
	msix_mask(&iv->msix, 0, true);
	msix_route(&iv->msix, 0, apic_id(), BELL_IRQ);
	msix_control(&iv->msix, PCI_MSIX_ENABLE);
	msix_mask(&iv->msix, 0, false);
	sleep_us(LATE_MS * 1000); /* for what was rung before */
}

uint64_t own_bell_heard(void)
{
	return irq_count[BELL_IRQ];
}

bool own_bell_comes(uint64_t heard)
{
	return wait_until(&irq_count[BELL_IRQ], heard + 1, ARRIVE_MS);
}

uint64_t own_bell_count(volatile uint32_t *at, uint32_t value)
{
	uint64_t seen = irq_count[BELL_IRQ];

	*at = value;
	wait_until(&irq_count[BELL_IRQ], seen + 2, SETTLE_MS);
	return irq_count[BELL_IRQ] - seen;
}

bool own_bell_rings(volatile uint32_t *at, uint32_t value)
{
	uint64_t seen = irq_count[BELL_IRQ];

	*at = value;
	own_bell_comes(seen);
	wait_until(&irq_count[BELL_IRQ], seen + 2, SETTLE_MS);
	return irq_count[BELL_IRQ] == seen + 1;
}

uint64_t own_bell_try(volatile uint32_t *regs, uint32_t id)
{
	return own_bell_count(&regs[IVSHMEM_DOORBELL / 4], IVSHMEM_RING(id, 0));
}

bool own_bell_works(volatile uint32_t *regs, uint32_t id)
{
	return regs[IVSHMEM_IVPOSITION / 4] == id &&
	       own_bell_rings(&regs[IVSHMEM_DOORBELL / 4], IVSHMEM_RING(id, 0));
}
