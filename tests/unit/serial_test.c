/* SPDX-License-Identifier: MIT */
/* tests/unit/serial_test.c - the serial port, devices/serial.c */
#include <linux/serial_reg.h>
#include <string.h>

#include "devices/serial.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define LINE 4

struct fixture {
	struct fake_vm *fake;
	struct bf_serial port;
};

static int make(void **state)
{
	static struct fixture f;

	f.fake = fake_vm_create(0x1000);
	f.port = (struct bf_serial){ .vm = &f.fake->vm, .line = LINE };
	*state = &f;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *f = *state;

	fake_vm_destroy(f->fake);
	return 0;
}

static uint8_t get(struct fixture *f, unsigned int reg)
{
	return bf_serial_read(&f->port, reg);
}

static void put(struct fixture *f, unsigned int reg, uint8_t val)
{
	bf_serial_write(&f->port, reg, val);
}

static bool line(const struct fixture *f)
{
	return f->fake->lines[LINE];
}

static unsigned int raised(const struct fixture *f)
{
	return f->fake->raised[LINE];
}

/* --- registers --- */

static void after_reset_the_transmitter_is_empty_and_nothing_is_pending(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, UART_IER), 0);
	assert_int_equal(get(f, UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(get(f, UART_LCR), 0);
	assert_int_equal(get(f, UART_MCR), 0);
	assert_int_equal(get(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(get(f, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	assert_int_equal(get(f, UART_SCR), 0);
	assert_false(line(f));
}

static void the_scratch_register_keeps_what_is_written(void **state)
{
	struct fixture *f = *state;

	put(f, UART_SCR, 0xae);
	assert_int_equal(get(f, UART_SCR), 0xae);
}

static void the_divisor_is_behind_a_bit_of_the_line_control(void **state)
{
	struct fixture *f = *state;

	put(f, UART_IER, UART_IER_RDI);
	put(f, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	put(f, UART_DLL, 12);
	put(f, UART_DLM, 34);
	assert_int_equal(get(f, UART_DLL), 12);
	assert_int_equal(get(f, UART_DLM), 34);
	assert_int_equal(f->fake->console_len, 0);

	put(f, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(get(f, UART_LCR), UART_LCR_WLEN8);
	assert_int_equal(get(f, UART_IER), UART_IER_RDI);
	put(f, UART_TX, 'x');
	assert_int_equal(f->fake->console_len, 1);
	put(f, UART_LCR, UART_LCR_DLAB);
	assert_int_equal(get(f, UART_DLL), 12);
}

static void bits_that_no_16550_has_read_0(void **state)
{
	struct fixture *f = *state;

	put(f, UART_IER, 0xff);
	put(f, UART_MCR, 0xff);
	assert_int_equal(get(f, UART_IER), 0x0f);
	assert_int_equal(get(f, UART_MCR), 0x1f);
}

static void the_status_registers_ignore_writes(void **state)
{
	struct fixture *f = *state;

	put(f, UART_LSR, 0xff);
	put(f, UART_MSR, 0x00);
	assert_int_equal(get(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(get(f, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

static void the_fifo_shows_in_the_interrupt_register(void **state)
{
	struct fixture *f = *state;

	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(get(f, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	put(f, UART_FCR, 0);
	assert_int_equal(get(f, UART_IIR), UART_IIR_NO_INT);
}

/* --- sending --- */

static void bytes_reach_the_console_in_order(void **state)
{
	struct fixture *f = *state;

	for (const char *c = "hello"; *c; c++)
		put(f, UART_TX, *c);
	assert_int_equal(f->fake->console_len, 5);
	assert_memory_equal(f->fake->console, "hello", 5);
}

static void a_busy_console_is_a_busy_transmitter(void **state)
{
	struct fixture *f = *state;

	f->fake->console_room = 1;
	put(f, UART_TX, 'a');
	assert_int_equal(get(f, UART_LSR), 0);
	put(f, UART_TX, 'b'); /* without a look at the status: lost, as on hardware */
	assert_int_equal(f->fake->console_len, 1);

	f->fake->console_room = 2;
	assert_int_equal(get(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	put(f, UART_TX, 'c');
	assert_memory_equal(f->fake->console, "ac", 2);
}

/* --- the transmitter's interrupt --- */

static void enabling_the_interrupt_of_an_empty_transmitter_raises_it(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_OUT2);
	put(f, UART_IER, UART_IER_THRI);
	assert_true(line(f));
	assert_int_equal(get(f, UART_IIR), UART_IIR_THRI);
}

static void reading_the_interrupt_register_takes_the_transmitters_interrupt(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_OUT2);
	put(f, UART_IER, UART_IER_THRI);
	get(f, UART_IIR);
	assert_int_equal(get(f, UART_IIR), UART_IIR_NO_INT);
	assert_false(line(f));
	put(f, UART_IER, UART_IER_THRI); /* it was enabled before: no new one */
	assert_false(line(f));
}

static void each_byte_sent_is_an_edge(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_OUT2);
	put(f, UART_IER, UART_IER_THRI);
	assert_int_equal(raised(f), 1);
	put(f, UART_TX, 'a');
	assert_int_equal(raised(f), 2);
	put(f, UART_TX, 'b'); /* though nobody has read the interrupt register */
	assert_int_equal(raised(f), 3);
	assert_true(line(f));
}

static void a_busy_transmitter_interrupts_when_the_console_has_room(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_OUT2);
	put(f, UART_IER, UART_IER_THRI);
	f->fake->console_room = 1;
	put(f, UART_TX, 'a');
	assert_false(line(f));
	assert_int_equal(get(f, UART_IIR), UART_IIR_NO_INT);

	f->fake->console_room = 2;
	bf_serial_console_drained(&f->port);
	assert_true(line(f));
	assert_int_equal(get(f, UART_IIR), UART_IIR_THRI);
}

static void a_disabled_interrupt_lowers_the_line(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_OUT2);
	put(f, UART_IER, UART_IER_THRI);
	put(f, UART_IER, 0);
	assert_false(line(f));
	assert_int_equal(get(f, UART_IIR), UART_IIR_NO_INT);
	put(f, UART_TX, 'a');
	assert_int_equal(raised(f), 1);
}

static void without_out2_the_line_stays_low(void **state)
{
	struct fixture *f = *state;

	put(f, UART_IER, UART_IER_THRI);
	put(f, UART_TX, 'a');
	assert_int_equal(raised(f), 0);
	put(f, UART_MCR, UART_MCR_OUT2);
	assert_true(line(f));
	put(f, UART_MCR, 0);
	assert_false(line(f));
}

/* --- loop-back --- */

static void in_loop_back_what_is_sent_is_received(void **state)
{
	struct fixture *f = *state;

	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_TX, 'a');
	put(f, UART_TX, 'b');
	assert_int_equal(f->fake->console_len, 0);
	assert_true(get(f, UART_LSR) & UART_LSR_DR);
	assert_int_equal(get(f, UART_RX), 'a');
	assert_int_equal(get(f, UART_RX), 'b');
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
}

static void in_loop_back_the_modem_lines_are_its_own_outputs(void **state)
{
	static const struct {
		uint8_t out, in;
	} wires[] = {
		{ 0, 0 },
		{ UART_MCR_RTS, UART_MSR_CTS },
		{ UART_MCR_DTR, UART_MSR_DSR },
		{ UART_MCR_OUT1, UART_MSR_RI },
		{ UART_MCR_OUT2, UART_MSR_DCD },
		{ UART_MCR_OUT2 | UART_MCR_RTS, UART_MSR_DCD | UART_MSR_CTS },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		put(f, UART_MCR, UART_MCR_LOOP | wires[i].out);
		assert_int_equal(get(f, UART_MSR), wires[i].in);
	}
}

static void in_loop_back_the_line_stays_low(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	put(f, UART_IER, UART_IER_RDI | UART_IER_THRI);
	put(f, UART_TX, 'a');
	assert_int_equal(raised(f), 0);
	put(f, UART_MCR, UART_MCR_OUT2);
	assert_true(line(f));
}

static void a_received_byte_comes_before_an_empty_transmitter(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_IER, UART_IER_RDI | UART_IER_THRI);
	put(f, UART_TX, 'a');
	assert_int_equal(get(f, UART_IIR), UART_IIR_RDI);
	assert_int_equal(get(f, UART_IIR), UART_IIR_RDI); /* until the byte is read */
	get(f, UART_RX);
	assert_int_equal(get(f, UART_IIR), UART_IIR_THRI);
	assert_int_equal(get(f, UART_IIR), UART_IIR_NO_INT);
}

/* Linux counts the bytes that come back from 256: 16 is a 16550A, 64 another chip. */
static void a_full_fifo_of_16_bytes_loses_what_comes_last(void **state)
{
	struct fixture *f = *state;

	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	put(f, UART_MCR, UART_MCR_LOOP);
	for (unsigned int i = 0; i < 256; i++)
		put(f, UART_TX, i);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(get(f, UART_RX), i);
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
	get(f, UART_RX); /* nothing there: any value, no harm */
}

static void without_the_fifo_the_last_byte_stays(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_TX, 'a');
	put(f, UART_TX, 'b');
	assert_int_equal(get(f, UART_RX), 'b');
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
}

static void an_overrun_shows_once_and_comes_before_the_byte(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_IER, UART_IER_RLSI | UART_IER_RDI);
	put(f, UART_TX, 'a');
	assert_int_equal(get(f, UART_IIR), UART_IIR_RDI);
	put(f, UART_TX, 'b');
	assert_int_equal(get(f, UART_IIR), UART_IIR_RLSI);
	assert_true(get(f, UART_LSR) & UART_LSR_OE);
	assert_false(get(f, UART_LSR) & UART_LSR_OE);
	assert_int_equal(get(f, UART_IIR), UART_IIR_RDI);
}

static void in_loop_back_a_busy_console_does_not_matter(void **state)
{
	struct fixture *f = *state;

	f->fake->console_room = 0;
	put(f, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(get(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

static void the_fifo_can_be_emptied(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_IER, UART_IER_RDI);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	put(f, UART_TX, 'a');
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
	assert_int_equal(get(f, UART_IIR), 0xc0 | UART_IIR_NO_INT);
}

static void the_byte_that_is_there_goes_into_the_fifo(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_TX, 'a');
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	put(f, UART_TX, 'b');
	assert_int_equal(get(f, UART_RX), 'a');
	assert_int_equal(get(f, UART_RX), 'b');
}

static void switching_the_fifo_off_empties_it(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_LOOP);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	put(f, UART_TX, 'b');
	put(f, UART_FCR, 0);
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
}

/* --- what comes from the other end --- */

static unsigned int input(struct fixture *f, const char *text)
{
	return bf_serial_input(&f->port, (const uint8_t *)text, strlen(text));
}

/* As Linux does when somebody opens the port. */
static void listen_with_fifo(struct fixture *f)
{
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	put(f, UART_IER, UART_IER_RLSI | UART_IER_RDI);
	put(f, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
}

static void input_is_received_and_interrupts(void **state)
{
	struct fixture *f = *state;

	listen_with_fifo(f);
	assert_false(line(f));
	assert_int_equal(input(f, "ab"), 2);
	assert_true(line(f));
	assert_true(get(f, UART_LSR) & UART_LSR_DR);
	assert_int_equal(get(f, UART_RX), 'a');
	assert_true(line(f));
	assert_int_equal(get(f, UART_RX), 'b');
	assert_false(line(f));
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
}

static void the_trigger_level_tells_bytes_from_a_pause(void **state)
{
	static const struct {
		uint8_t fcr;
		unsigned int level;
	} levels[] = { { UART_FCR_TRIGGER_1, 1 },
		       { UART_FCR_TRIGGER_4, 4 },
		       { UART_FCR_TRIGGER_8, 8 },
		       { UART_FCR_TRIGGER_14, 14 } };
	struct fixture *f = *state;

	listen_with_fifo(f);
	for (unsigned int i = 0; i < 4; i++) {
		put(f, UART_FCR,
		    UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | levels[i].fcr);
		for (unsigned int n = 1; n <= 16; n++) {
			assert_int_equal(input(f, "x"), 1);
			assert_int_equal(get(f, UART_IIR) & 0x0f,
					 n < levels[i].level ? UART_IIR_RX_TIMEOUT
							     : UART_IIR_RDI);
		}
	}
}

static void what_the_fifo_cannot_take_is_left_to_the_other_end(void **state)
{
	struct fixture *f = *state;

	listen_with_fifo(f);
	assert_int_equal(input(f, "0123456789abcdefgh"), 16);
	assert_int_equal(input(f, "gh"), 0);
	assert_false(get(f, UART_LSR) & UART_LSR_OE);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(get(f, UART_RX), "0123456789abcdef"[i]);
	assert_int_equal(input(f, "gh"), 2);
	assert_int_equal(get(f, UART_RX), 'g');
}

static void without_the_fifo_it_takes_a_byte_at_a_time(void **state)
{
	struct fixture *f = *state;

	put(f, UART_MCR, UART_MCR_RTS);
	assert_int_equal(input(f, "ab"), 1);
	assert_int_equal(input(f, "b"), 0);
	assert_int_equal(get(f, UART_RX), 'a');
	assert_int_equal(input(f, "b"), 1);
	assert_int_equal(get(f, UART_RX), 'b');
}

/* The line falls in between: the interrupt is edge-triggered. */
static void it_asks_for_more_when_the_fifo_is_empty(void **state)
{
	struct fixture *f = *state;
	unsigned int before;

	listen_with_fifo(f);
	input(f, "abc");
	before = f->fake->input_wanted;
	get(f, UART_RX);
	get(f, UART_RX);
	assert_int_equal(f->fake->input_wanted, before);
	get(f, UART_RX);
	assert_int_equal(f->fake->input_wanted, before + 1);
	assert_int_equal(raised(f), 1);
	input(f, "d");
	assert_int_equal(raised(f), 2);
}

static void a_guest_that_does_not_listen_is_sent_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(input(f, "a"), 0);
	assert_int_equal(f->fake->input_wanted, 0);
	put(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(f->fake->input_wanted, 0);
	put(f, UART_MCR, UART_MCR_RTS);
	assert_int_equal(f->fake->input_wanted, 1);
	assert_int_equal(input(f, "a"), 1);
}

static void the_receivers_interrupt_says_so_while_rts_is_unused(void **state)
{
	struct fixture *f = *state;

	put(f, UART_IER, UART_IER_RDI);
	assert_int_equal(input(f, "a"), 0);
	put(f, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(f->fake->input_wanted, 1);
	assert_int_equal(input(f, "a"), 1);
	get(f, UART_RX);
	put(f, UART_IER, 0);
	assert_int_equal(input(f, "b"), 0);
}

static void a_guest_that_lowers_rts_is_sent_nothing(void **state)
{
	struct fixture *f = *state;

	listen_with_fifo(f);
	put(f, UART_MCR, UART_MCR_DTR | UART_MCR_OUT2);
	assert_int_equal(input(f, "a"), 0);
	put(f, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	assert_int_equal(input(f, "a"), 1);
}

static void in_loop_back_nothing_comes_from_the_other_end(void **state)
{
	struct fixture *f = *state;

	listen_with_fifo(f);
	put(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_int_equal(input(f, "a"), 0);
	assert_false(get(f, UART_LSR) & UART_LSR_DR);
}

#define serial_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		serial_test(after_reset_the_transmitter_is_empty_and_nothing_is_pending),
		serial_test(the_scratch_register_keeps_what_is_written),
		serial_test(the_divisor_is_behind_a_bit_of_the_line_control),
		serial_test(bits_that_no_16550_has_read_0),
		serial_test(the_status_registers_ignore_writes),
		serial_test(the_fifo_shows_in_the_interrupt_register),

		serial_test(bytes_reach_the_console_in_order),
		serial_test(a_busy_console_is_a_busy_transmitter),

		serial_test(enabling_the_interrupt_of_an_empty_transmitter_raises_it),
		serial_test(
			reading_the_interrupt_register_takes_the_transmitters_interrupt),
		serial_test(each_byte_sent_is_an_edge),
		serial_test(a_busy_transmitter_interrupts_when_the_console_has_room),
		serial_test(a_disabled_interrupt_lowers_the_line),
		serial_test(without_out2_the_line_stays_low),

		serial_test(in_loop_back_what_is_sent_is_received),
		serial_test(in_loop_back_the_modem_lines_are_its_own_outputs),
		serial_test(in_loop_back_the_line_stays_low),
		serial_test(a_received_byte_comes_before_an_empty_transmitter),
		serial_test(a_full_fifo_of_16_bytes_loses_what_comes_last),
		serial_test(without_the_fifo_the_last_byte_stays),
		serial_test(an_overrun_shows_once_and_comes_before_the_byte),
		serial_test(in_loop_back_a_busy_console_does_not_matter),
		serial_test(the_fifo_can_be_emptied),
		serial_test(the_byte_that_is_there_goes_into_the_fifo),
		serial_test(switching_the_fifo_off_empties_it),

		serial_test(input_is_received_and_interrupts),
		serial_test(the_trigger_level_tells_bytes_from_a_pause),
		serial_test(what_the_fifo_cannot_take_is_left_to_the_other_end),
		serial_test(without_the_fifo_it_takes_a_byte_at_a_time),
		serial_test(it_asks_for_more_when_the_fifo_is_empty),
		serial_test(a_guest_that_does_not_listen_is_sent_nothing),
		serial_test(the_receivers_interrupt_says_so_while_rts_is_unused),
		serial_test(a_guest_that_lowers_rts_is_sent_nothing),
		serial_test(in_loop_back_nothing_comes_from_the_other_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
