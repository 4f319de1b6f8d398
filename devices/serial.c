/* SPDX-License-Identifier: MIT */
/*
 * devices/serial.c - a 16550A serial port
 *
 * PC16550D data sheet, section 8. What is sent goes to the VM's console at once; the
 * transmitter is busy only while the console's buffer is full. Baud rate and frame format
 * are kept for the guest to read back.
 *
 * What arrives waits in the FIFO. The other end of the line never overruns it: it hands
 * over what there is room for, keeps the rest, and is told when to go on. That is when
 * the FIFO is empty, not sooner, so that the interrupt line, which is edge-triggered,
 * falls between two portions. Nor does the other end send before the guest listens: a
 * driver empties the FIFO when it starts. RTS says so, as on a cable with hardware flow
 * control; of a guest that has never raised it, the receiver's interrupt does when it is
 * wired (OUT2): without that, Linux only tries which bits of the register there are.
 *
 * Left out: modem interrupts, for our lines never change, and breaks.
 */
#include <linux/serial_reg.h>
#include <stdbool.h>
#include <string.h>

#include "devices/serial.h"
#include "vmm/vmm.h"

/* How many bytes the receiver holds. */
static unsigned int capacity(const struct bf_serial *port)
{
	return port->fcr & UART_FCR_ENABLE_FIFO ? sizeof(port->rx) : 1;
}

/* How many of them make it interrupt at once, and not after a time of silence. */
static unsigned int trigger(const struct bf_serial *port)
{
	static const unsigned int levels[] = { 1, 4, 8, 14 };

	return port->fcr & UART_FCR_ENABLE_FIFO ? levels[port->fcr >> 6] : 1;
}

/* The silence is not waited for: a byte that could follow at once is there already. */
static uint8_t interrupt_id(const struct bf_serial *port)
{
	if (port->ier & UART_IER_RLSI && port->overrun)
		return UART_IIR_RLSI;
	if (port->ier & UART_IER_RDI && port->rx_len)
		return port->rx_len < trigger(port) ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI;
	if (port->ier & UART_IER_THRI && port->thr_empty_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* OUT2 gates the interrupt, as PC hardware wires it. */
static void update_line(struct bf_serial *port)
{
	const bool level = interrupt_id(port) != UART_IIR_NO_INT &&
			   port->mcr & UART_MCR_OUT2 && !(port->mcr & UART_MCR_LOOP);

	if (level != port->level)
		bf_irq_line(port->vm, port->line, level);
	port->level = level;
}

/* A byte too many: the FIFO keeps the older ones, a single register the newer one. */
static void receive(struct bf_serial *port, uint8_t byte)
{
	if (port->rx_len == capacity(port)) {
		port->overrun = true;
		if (capacity(port) > 1)
			return;
		port->rx_len = 0;
	}
	port->rx[port->rx_len++] = byte;
}

/* Does the guest want what the other end has to say? */
static bool listens(const struct bf_serial *port)
{
	if (port->mcr & UART_MCR_LOOP)
		return false;
	if (port->uses_rts)
		return port->mcr & UART_MCR_RTS;
	return port->ier & UART_IER_RDI && port->mcr & UART_MCR_OUT2;
}

static void ask_for_more(struct bf_serial *port)
{
	if (port->rx_len == 0 && listens(port))
		bf_console_wanted(port->vm);
}

unsigned int bf_serial_input(struct bf_serial *port, const uint8_t *data,
			     unsigned int len)
{
	unsigned int n = 0;

	while (listens(port) && n < len && port->rx_len < capacity(port))
		receive(port, data[n++]);
	update_line(port);
	return n;
}

static uint8_t take(struct bf_serial *port)
{
	uint8_t byte = port->rx[0];

	if (port->rx_len)
		memmove(port->rx, port->rx + 1, --port->rx_len);
	ask_for_more(port);
	return byte;
}

static bool can_transmit(const struct bf_serial *port)
{
	return port->mcr & UART_MCR_LOOP || bf_console_ready(port->vm);
}

/* To read it is to have seen the overrun. */
static uint8_t line_status(struct bf_serial *port)
{
	uint8_t val = port->rx_len ? UART_LSR_DR : 0;

	if (port->overrun)
		val |= UART_LSR_OE;
	port->overrun = false;
	if (can_transmit(port))
		val |= UART_LSR_THRE | UART_LSR_TEMT;
	return val;
}

/* In loop-back mode the outputs are the inputs (8.6.7); else a line that is connected. */
static uint8_t modem_status(const struct bf_serial *port)
{
	if (!(port->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	return (port->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
	       (port->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (port->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
	       (port->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

uint8_t bf_serial_read(struct bf_serial *port, unsigned int reg)
{
	const bool divisor = port->lcr & UART_LCR_DLAB;
	uint8_t val = 0;

	switch (reg) {
	case UART_RX:
		val = divisor ? port->divisor[0] : take(port);
		break;
	case UART_IER:
		val = divisor ? port->divisor[1] : port->ier;
		break;
	case UART_IIR:
		val = interrupt_id(port);
		if (val == UART_IIR_THRI)
			port->thr_empty_pending = false;
		if (port->fcr & UART_FCR_ENABLE_FIFO)
			val |= 0xc0;
		break;
	case UART_LCR:
		val = port->lcr;
		break;
	case UART_MCR:
		val = port->mcr;
		break;
	case UART_LSR:
		val = line_status(port);
		break;
	case UART_MSR:
		val = modem_status(port);
		break;
	case UART_SCR:
		val = port->scr;
		break;
	}
	update_line(port);
	return val;
}

/* The line drops while the byte is on its way: the interrupt is edge-triggered. */
static void transmit(struct bf_serial *port, uint8_t byte)
{
	port->thr_empty_pending = false;
	update_line(port);
	if (port->mcr & UART_MCR_LOOP)
		receive(port, byte);
	else
		bf_console_put(port->vm, byte);
	port->thr_empty_pending = can_transmit(port);
}

void bf_serial_console_drained(struct bf_serial *port)
{
	port->thr_empty_pending = true;
	update_line(port);
}

static void write_ier(struct bf_serial *port, uint8_t val)
{
	/* switched on with an empty transmitter, the interrupt comes at once */
	if (val & UART_IER_THRI && !(port->ier & UART_IER_THRI))
		port->thr_empty_pending = can_transmit(port);
	port->ier = val & 0x0f;
	ask_for_more(port);
}

/*
 * The other bits count only beside the one that switches the FIFO on (8.4.7). Switching
 * it on would lose the byte in the single register; Linux does so with the receiver's
 * interrupt on already, so here the byte stays.
 */
static void write_fcr(struct bf_serial *port, uint8_t val)
{
	const bool off = port->fcr && !(val & UART_FCR_ENABLE_FIFO);

	if (off || val & UART_FCR_CLEAR_RCVR)
		port->rx_len = 0;
	port->fcr = val & UART_FCR_ENABLE_FIFO ? val : 0;
	ask_for_more(port);
}

static void write_mcr(struct bf_serial *port, uint8_t val)
{
	port->mcr = val & 0x1f;
	port->uses_rts |= port->mcr & UART_MCR_RTS;
	ask_for_more(port);
}

void bf_serial_write(struct bf_serial *port, unsigned int reg, uint8_t val)
{
	const bool divisor = port->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (divisor)
			port->divisor[0] = val;
		else
			transmit(port, val);
		break;
	case UART_IER:
		if (divisor)
			port->divisor[1] = val;
		else
			write_ier(port, val);
		break;
	case UART_FCR:
		write_fcr(port, val);
		break;
	case UART_LCR:
		port->lcr = val;
		break;
	case UART_MCR:
		write_mcr(port, val);
		break;
	case UART_SCR:
		port->scr = val;
		break;
	}
	update_line(port);
}
