/* SPDX-License-Identifier: MIT */
/* tests/unit/platform_test.c - the PC's ports, arch/x86_64/platform.c */
#include "arch/arch.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define ENABLE      0x80000000
#define BRIDGE_ID   0x00081b36 /* what slot 0 says at register 0 */

struct fixture {
	struct fake_vm *fake;
	struct bf_platform *platform;
};

static int make(void **state)
{
	static struct fixture f;

	f.fake = fake_vm_create(0x1000);
	fake_vm_add_pci(f.fake);
	assert_works(bf_arch_platform_create(&f.fake->vm, &f.platform, &err));
	*state = &f;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *f = *state;

	bf_arch_platform_destroy(f->platform);
	fake_vm_destroy(f->fake);
	return 0;
}

static uint32_t in(const struct fixture *f, uint16_t port, unsigned int len)
{
	return fake_in(f->fake, port, len);
}

static void out(const struct fixture *f, uint16_t port, uint32_t val, unsigned int len)
{
	fake_out(f->fake, port, val, len);
}

/* --- PCI configuration --- */

static void the_address_port_keeps_a_dword(void **state)
{
	const struct fixture *f = *state;

	out(f, PCI_ADDRESS, 0x12345678, 4);
	assert_int_equal(in(f, PCI_ADDRESS, 4), 0x12345678);
	out(f, PCI_ADDRESS, 0, 2);
	out(f, PCI_ADDRESS + 2, 0, 2);
	out(f, PCI_ADDRESS + 3, 0, 1);
	assert_int_equal(in(f, PCI_ADDRESS, 4), 0x12345678);
	assert_int_equal(in(f, PCI_ADDRESS, 2), 0xffff);
}

static void the_data_port_is_the_register_the_address_names(void **state)
{
	const struct fixture *f = *state;

	out(f, PCI_ADDRESS, ENABLE, 4);
	assert_int_equal(in(f, PCI_DATA, 4), BRIDGE_ID);
	assert_int_equal(in(f, PCI_DATA + 2, 2), BRIDGE_ID >> 16);
	assert_int_equal(in(f, PCI_DATA + 1, 1), 0x1b);
	assert_int_equal(in(f, PCI_DATA + 1, 2), 0x081b);
	out(f, PCI_ADDRESS, ENABLE | 0x3c, 4);
	out(f, PCI_DATA, 0x0b, 1);
	assert_int_equal(in(f, PCI_DATA, 4), 0x0b);
}

static void only_an_enabled_address_of_bus_0_and_function_0_has_anybody(void **state)
{
	static const uint32_t nobody[] = {
		0,
		ENABLE | 1 << 16,
		ENABLE | 1 << 8,
		ENABLE | 7 << 8,
		ENABLE | 1 << 11,
		ENABLE | 31 << 11,
	};
	const struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		out(f, PCI_ADDRESS, nobody[i], 4);
		assert_int_equal(in(f, PCI_DATA, 4), UINT32_MAX);
		out(f, PCI_DATA, UINT32_MAX, 4);
	}
	out(f, PCI_ADDRESS, ENABLE | 4, 4);
	assert_int_equal(in(f, PCI_DATA, 2),
			 0x0002); /* the command register, untouched */
}

static void the_last_bytes_of_the_space_can_be_reached(void **state)
{
	const struct fixture *f = *state;

	out(f, PCI_ADDRESS, ENABLE | 0xff, 4); /* the lowest two bits do not count */
	assert_int_equal(in(f, PCI_DATA, 4), 0);
	assert_int_equal(in(f, PCI_DATA + 3, 1), 0);
	assert_int_equal(in(f, PCI_DATA + 3, 2), 0xffff); /* beyond the ports */
}

/* --- ways to end --- */

static void the_reset_register_resets(void **state)
{
	const struct fixture *f = *state;

	out(f, 0xcf9, 0x02, 1);
	out(f, 0xcf9, 0x04, 1);
	out(f, 0xcf9, 0x06, 2);
	assert_int_equal(f->fake->end, 0);
	out(f, 0xcf9, 0x06, 1);
	assert_int_equal(f->fake->end, BELFRY_STOP_RESET);
	assert_string_equal(f->fake->detail, "reset by reset register");
}

static void the_keyboard_controller_resets(void **state)
{
	const struct fixture *f = *state;

	out(f, 0x64, 0xaa, 1);
	assert_int_equal(f->fake->end, 0);
	assert_int_equal(in(f, 0x64, 1), 0); /* ready for a command */
	out(f, 0x64, 0xfe, 1);
	assert_int_equal(f->fake->end, BELFRY_STOP_RESET);
	assert_string_equal(f->fake->detail, "reset by i8042");
}

static void sleep_state_5_is_power_off(void **state)
{
	const struct fixture *f = *state;

	out(f, 0x600, 5 << 2, 1);        /* not enabled */
	out(f, 0x600, 0x20 | 3 << 2, 1); /* another state */
	out(f, 0x601, 0x20 | 5 << 2, 1); /* the status register */
	assert_int_equal(f->fake->end, 0);
	assert_int_equal(in(f, 0x600, 1), 0);
	out(f, 0x600, 0x20 | 5 << 2, 1);
	assert_int_equal(f->fake->end, BELFRY_STOP_POWEROFF);
}

static void the_debug_exit_carries_a_status(void **state)
{
	const struct fixture *f = *state;

	out(f, 0xf4, 0x12a, 4);
	assert_int_equal(f->fake->end, BELFRY_STOP_DEBUG_EXIT);
	assert_int_equal(f->fake->status, 0x2a);
}

static void a_guest_says_that_it_has_panicked(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(in(f, 0x505, 1), 3); /* what it may say */
	out(f, 0x505, 4, 1);                  /* a shutdown: not among them */
	assert_int_equal(f->fake->panics, 0);
	out(f, 0x505, 1, 1);
	out(f, 0x505, 2, 1);
	assert_int_equal(f->fake->panics, 2);
	assert_int_equal(f->fake->end, 0);
}

static void the_power_button_is_an_edge_on_line_9(void **state)
{
	const struct fixture *f = *state;

	assert_true(bf_arch_power_button(f->platform));
	assert_int_equal(f->fake->raised[9], 1);
	assert_false(f->fake->lines[9]);
	f->fake->masked[9] = true;
	assert_false(bf_arch_power_button(f->platform));
	assert_int_equal(f->fake->raised[9], 2);
	assert_int_equal(f->fake->end, 0);
}

/* --- COM1 --- */

static void a_wide_access_to_the_serial_port_is_one_for_each_byte(void **state)
{
	const struct fixture *f = *state;

	out(f, 0x3ff, 0x5a, 1);
	out(f, 0x3f8, 'a', 1);
	assert_memory_equal(f->fake->console, "a", 1);
	assert_int_equal(in(f, 0x3fe, 2), 0x5ab0); /* modem status, scratch */
	out(f, 0x3f8, 0x0262, 2);                  /* 'b', and its interrupt on */
	assert_memory_equal(f->fake->console, "ab", 2);
	assert_int_equal(in(f, 0x3f9, 1), 0x02);
}

static void its_interrupt_is_line_4(void **state)
{
	const struct fixture *f = *state;

	out(f, 0x3fc, 0x08, 1);
	out(f, 0x3f9, 0x02, 1);
	assert_true(f->fake->lines[4]);
}

#define platform_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		platform_test(the_address_port_keeps_a_dword),
		platform_test(the_data_port_is_the_register_the_address_names),
		platform_test(
			only_an_enabled_address_of_bus_0_and_function_0_has_anybody),
		platform_test(the_last_bytes_of_the_space_can_be_reached),

		platform_test(the_reset_register_resets),
		platform_test(the_keyboard_controller_resets),
		platform_test(sleep_state_5_is_power_off),
		platform_test(the_debug_exit_carries_a_status),
		platform_test(a_guest_says_that_it_has_panicked),
		platform_test(the_power_button_is_an_edge_on_line_9),

		platform_test(a_wide_access_to_the_serial_port_is_one_for_each_byte),
		platform_test(its_interrupt_is_line_4),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
