/* SPDX-License-Identifier: MIT */
/* guest-tests/ends.c - a guest that ends in the way it is told to
 *
 * options: how=s5|acpi-reset|i8042|firmware|triple|debug-exit|exception|emulation|hang,
 * status=N (debug-exit), panics=N: says so before, as a panicking kernel
 */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"

#define TRAMPOLINE  0x8000
#define SIPI_TO_ALL 0xc4600
#define INIT_TO_ALL 0xc4500
#define PANIC_PORT  0x505
#define PANICKED    1
#define NO_MEMORY   0xd0000000

/* Another vCPU, which is in real mode, goes where a PC's firmware starts. */
static void end_by_firmware(void)
{
	static const uint8_t jump[] = { 0xea, 0xf0, 0xff, 0x00, 0xf0 }; /* f000:fff0 */

	memcpy((void *)TRAMPOLINE, jump, sizeof(jump));
	*apic_reg(APIC_ICR_LOW) = INIT_TO_ALL;
	sleep_us(1000);
	*apic_reg(APIC_ICR_LOW) = SIPI_TO_ALL | TRAMPOLINE >> 12;
}

/* Where there is no memory KVM emulates, and floating point is beyond its emulator. */
static uint64_t load_float(uint64_t at, uint64_t b, uint64_t c)
{
	(void)b, (void)c;
	__asm__ volatile("flds (%0)" : : "r"(at) : "memory");
	return 0;
}

void guest_main(void)
{
	print("ending by %s\n", arg("how") ? arg("how") : "return");
	for (uint64_t i = arg_u64("panics", 0); i > 0; i--)
		port_out(PANIC_PORT, port_in(PANIC_PORT, 1) & PANICKED, 1);
	if (arg_is("how", "s5"))
		end_by_acpi_sleep();
	else if (arg_is("how", "acpi-reset"))
		end_by_acpi_reset();
	else if (arg_is("how", "i8042"))
		end_by_i8042_reset();
	else if (arg_is("how", "firmware"))
		end_by_firmware();
	else if (arg_is("how", "triple"))
		end_by_triple_fault();
	else if (arg_is("how", "debug-exit"))
		end_by_debug_exit(arg_u64("status", 0));
	else if (arg_is("how", "exception"))
		__asm__ volatile("ud2");
	else if (arg_is("how", "emulation"))
		ring0(load_float, NO_MEMORY, 0, 0);
	else if (arg_is("how", "hang"))
		halt_while(&irq_count[0], 0);
	else
		return;
	sleep_us(1000000);
	guest_fail("the guest still runs");
}
