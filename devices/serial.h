/* SPDX-License-Identifier: MIT */
/* devices/serial.h - a 16550A serial port */
#ifndef BF_SERIAL_H
#define BF_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

struct belfry_vm;

/* With @vm and @line set and all else zero, a port after reset. */
struct bf_serial {
	struct belfry_vm *vm;
	unsigned int line; /* interrupt line */
	uint8_t divisor[2];
	uint8_t ier, fcr, lcr, mcr, scr;
	bool thr_empty_pending; /* the transmitter-empty interrupt has not been seen */
	bool overrun;           /* a byte was lost that the guest sent itself */
	bool uses_rts;          /* the guest has raised RTS, so RTS rules */
	bool level;             /* of the interrupt line */
	uint8_t rx[16];
	unsigned int rx_len;
};

/* The console has room again. */
void bf_serial_console_drained(struct bf_serial *port);

/*
 * Bytes for the guest. Return: how many of them the port has taken; when that is not all,
 * it calls bf_console_wanted() once it takes more.
 */
unsigned int bf_serial_input(struct bf_serial *port, const uint8_t *data,
			     unsigned int len);

/* Registers 0..7, one byte each; wider accesses are the caller's to split. */
uint8_t bf_serial_read(struct bf_serial *port, unsigned int reg);
void bf_serial_write(struct bf_serial *port, unsigned int reg, uint8_t val);

#endif
