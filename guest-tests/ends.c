/* SPDX-License-Identifier: MIT */
/* guest-tests/ends.c - a guest that ends in the way it is told to
 *
 * options: how=s5|acpi-reset|i8042|triple|debug-exit|exception|hang, status=N
 * (debug-exit)
 */
#include "guest-tests/guest.h"

void guest_main(void)
{
	print("ending by %s\n", arg("how") ? arg("how") : "return");
	if (arg_is("how", "s5"))
		end_by_acpi_sleep();
	else if (arg_is("how", "acpi-reset"))
		end_by_acpi_reset();
	else if (arg_is("how", "i8042"))
		end_by_i8042_reset();
	else if (arg_is("how", "triple"))
		end_by_triple_fault();
	else if (arg_is("how", "debug-exit"))
		end_by_debug_exit(arg_u64("status", 0));
	else if (arg_is("how", "exception"))
		__asm__ volatile("ud2");
	else if (arg_is("how", "hang"))
		halt_while(&irq_count[0], 0);
	else
		return;
	sleep_us(1000000);
	guest_fail("the guest still runs");
}
