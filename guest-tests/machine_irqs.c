/* SPDX-License-Identifier: MIT */
/* guest-tests/machine_irqs.c - COM1 and the PIT interrupt through the I/O APIC */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"
#include "guest-tests/machine.h"

#define COM1_PIN 4
#define COM1_IRQ (IRQ_FIRST + 0x11)
#define COM1_IER (COM1 + 1)
#define COM1_IIR (COM1 + 2)
#define COM1_MCR (COM1 + 4)
#define IER_SENT 0x02 /* interrupt when the transmitter is empty */
#define IIR_NONE 0x01
#define IIR_SENT 0x02
#define MCR_OUT2 0x08 /* lets the interrupt out of the chip */
#define MCR_LINE 0x03 /* DTR and RTS */

#define PIT_PIN     2 /* IRQ 0 comes in here, not at pin 0 */
#define PIT_IRQ     (IRQ_FIRST + 0x22)
#define PIT_DATA    0x40
#define PIT_CONTROL 0x43
#define PIT_RATE    0x34 /* counter 0, both bytes, mode 2 */
#define PIT_STOP    0x30 /* counter 0, both bytes, mode 0 */
#define PIT_100_HZ  11932

#define SETTLE_MS 20

/* Counts are all that is told while the interrupt is on: telling is sending. */
void serial_interrupts(void)
{
	volatile uint64_t *sent = &irq_count[COM1_IRQ];
	uint8_t id_before, id_after;
	uint64_t at_once, after_one;

	ioapic_route(COM1_PIN, COM1_IRQ);
	port_out(COM1_MCR, MCR_LINE | MCR_OUT2, 1);
	port_out(COM1_IER, IER_SENT, 1);
	wait_until(sent, 1, SETTLE_MS);
	at_once = *sent;
	id_before = port_in(COM1_IIR, 1) & 0xf;
	id_after = port_in(COM1_IIR, 1) & 0xf;
	port_out(COM1, '#', 1);
	wait_until(sent, at_once + 1, SETTLE_MS);
	after_one = *sent;
	port_out(COM1_IER, 0, 1);
	port_in(COM1_IIR, 1);
	ioapic_mask(COM1_PIN);
	print("\n");

	check_eq(at_once, 1, "COM1 interrupts when it is free to send");
	check_eq(id_before, IIR_SENT, "COM1 says why");
	check_eq(id_after, IIR_NONE, "and takes it back once it is read");
	check_eq(after_one, at_once + 1, "COM1 interrupts when a character has gone");
}

void pit_interrupts(void)
{
	volatile uint64_t *ticks = &irq_count[PIT_IRQ];
	uint64_t seen;

	ioapic_route(PIT_PIN, PIT_IRQ);
	port_out(PIT_CONTROL, PIT_RATE, 1);
	port_out(PIT_DATA, PIT_100_HZ & 0xff, 1);
	port_out(PIT_DATA, PIT_100_HZ >> 8, 1);
	check(wait_until(ticks, 10, 2000), "the PIT ticks at 100 Hz");
	port_out(PIT_CONTROL, PIT_STOP, 1);
	ioapic_mask(PIT_PIN);
	seen = *ticks;
	check(!wait_until(ticks, seen + 2, SETTLE_MS), "and stops");
}
