/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/apic.c - local APIC, I/O APIC, and the watchdog on the APIC timer */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"

#define IOAPIC_DATA        0x10
#define IOAPIC_REDIRECT(n) (0x10 + 2 * (n))
#define IOAPIC_MASKED      0x10000
#define IOAPIC_LEVEL       0x8000
#define IOAPIC_ACTIVE_LOW  0x2000

#define PIC1_MASK 0x21
#define PIC2_MASK 0xa1

#define TIMER_DIVIDE_BY_128 0xa
#define TIMER_HZ            (1000000000 / 128) /* KVM's APIC bus runs at 1 GHz */

volatile uint64_t irq_count[IRQ_VECTORS];
extern const char *guest_waiting_for;

static void no_hook(void)
{
}

void (*irq_hooked)(void) = no_hook;

void irq_hook(void (*hook)(void))
{
	irq_hooked = hook;
}

uint32_t apic_id(void)
{
	return *apic_reg(APIC_ID) >> 24;
}

void irq_on(void)
{
	*apic_reg(APIC_LVT_LINT0) = APIC_LVT_MASKED; /* nothing from the old PICs */
	*apic_reg(APIC_SPURIOUS) = APIC_ENABLE | IRQ_SPURIOUS;
}

void watchdog(unsigned int seconds, const char *waiting_for)
{
	irq_on();
	guest_waiting_for = waiting_for;
	*apic_reg(APIC_TIMER_DIVIDE) = TIMER_DIVIDE_BY_128;
	*apic_reg(APIC_LVT_TIMER) = seconds ? IRQ_WATCHDOG : APIC_LVT_MASKED;
	*apic_reg(APIC_TIMER_INITIAL) = seconds * TIMER_HZ;
}

static void ioapic_write(unsigned int index, uint32_t value)
{
	*(volatile uint32_t *)IOAPIC_BASE = index;
	*(volatile uint32_t *)(IOAPIC_BASE + IOAPIC_DATA) = value;
}

static void route(unsigned int pin, uint32_t entry)
{
	port_out(PIC1_MASK, 0xff, 1);
	port_out(PIC2_MASK, 0xff, 1);
	ioapic_write(IOAPIC_REDIRECT(pin) + 1, apic_id() << 24);
	ioapic_write(IOAPIC_REDIRECT(pin), entry);
}

void ioapic_route(unsigned int pin, uint8_t vector)
{
	route(pin, vector);
}

void ioapic_route_level(unsigned int pin, uint8_t vector)
{
	route(pin, vector | IOAPIC_LEVEL | IOAPIC_ACTIVE_LOW);
}

void ioapic_mask(unsigned int pin)
{
	ioapic_write(IOAPIC_REDIRECT(pin), IOAPIC_MASKED);
}
