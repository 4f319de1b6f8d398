/* SPDX-License-Identifier: MIT */
/*
 * guest-tests/input.c - what COM1 receives, by interrupt and FIFO as an operating system
 *
 *	bytes=N    take N bytes, print their checksum, end; else each byte is printed as
 *	           <61>, and 'q' is the end
 *	rest_us=N  after each look at the FIFO, do something else for so long
 *	deaf_ms=N  do not raise RTS before so long
 *	lines=N    print so many lines of 64 bytes first
 */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"
#include "guest-tests/machine.h"

#define COM1_PIN 4
#define COM1_IRQ (IRQ_FIRST + 0x11)
#define COM1_IER (COM1 + 1)
#define COM1_FCR (COM1 + 2)
#define COM1_MCR (COM1 + 4)
#define COM1_LSR (COM1 + 5)

#define IER_RECEIVED 0x01
#define FCR_FIFO     0x87 /* on, both emptied, interrupt at 8 */
#define MCR_DTR      0x01
#define MCR_RTS      0x02
#define MCR_OUT2     0x08
#define LSR_RECEIVED 0x01
#define LSR_OVERRUN  0x02
#define BYTES_MAX    (1 << 20)

static uint8_t bytes[BYTES_MAX];

/* In ring 0: all that is in the FIFO, but no more than @room. @lost: set on overruns. */
static uint64_t drain(uint64_t to, uint64_t room, uint64_t lost)
{
	uint8_t *at = (uint8_t *)to;
	uint64_t n = 0;
	uint8_t status;

	while (n < room && (status = in8(COM1_LSR)) & LSR_RECEIVED) {
		*(bool *)lost |= status & LSR_OVERRUN;
		at[n++] = in8(COM1);
	}
	return n;
}

static bool echo(const uint8_t *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		print("<%02x>", at[i]);
		if (at[i] == 'q')
			return false;
	}
	return true;
}

void guest_main(void)
{
	const uint64_t want = arg_u64("bytes", 0);
	const uint64_t rest_us = arg_u64("rest_us", 0);
	uint64_t n = 0, seen, more;
	bool lost = false, go_on = true;

	for (uint64_t i = 0; i < arg_u64("lines", 0); i++)
		print("line %06lu ..................................................\n",
		      i);
	irq_on();
	ioapic_route(COM1_PIN, COM1_IRQ);
	port_out(COM1_FCR, FCR_FIFO, 1);
	port_out(COM1_MCR, MCR_DTR | MCR_OUT2, 1);
	print("ready\n");
	sleep_us(1000 * arg_u64("deaf_ms", 0));
	port_out(COM1_FCR, FCR_FIFO, 1); /* as a driver that starts */
	port_out(COM1_IER, IER_RECEIVED, 1);
	port_out(COM1_MCR, MCR_DTR | MCR_RTS | MCR_OUT2, 1);
	while (go_on && (want == 0 || n < want)) {
		seen = irq_count[COM1_IRQ];
		more = ring0(drain, (uint64_t)(bytes + n), BYTES_MAX - n,
			     (uint64_t)&lost);
		if (want == 0)
			go_on = echo(bytes, more);
		else
			n += more;
		sleep_us(rest_us);
		if (more == 0)
			halt_while(&irq_count[COM1_IRQ], seen);
	}
	if (want)
		print("sum %u of %lu\n", posix_cksum(bytes, n), n);
	if (lost)
		guest_fail("bytes were lost");
	print("\n");
	end_by_acpi_sleep();
}
