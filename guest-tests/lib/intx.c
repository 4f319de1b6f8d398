/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/intx.c - a driver of revision 0: reading IntrStatus lowers the line */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"

static volatile uint32_t *regs;
static unsigned int counted;

static void interrupted(void)
{
	if (regs[IVSHMEM_INTR_STATUS / 4])
		irq_count[counted]++;
}

void ivshmem_open_intx(const struct ivshmem *iv, unsigned int irq)
{
	regs = iv->regs;
	counted = irq;
	irq_hook(interrupted);
	ioapic_route_level(pci_read(iv->dev, PCI_INTERRUPT_LINE, 1), IRQ_HOOKED);
	regs[IVSHMEM_INTR_MASK / 4] = ~0u;
}
