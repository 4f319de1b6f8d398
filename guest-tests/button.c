/* SPDX-License-Identifier: MIT */
/*
 * guest-tests/button.c - a guest that powers off once the power button is pressed; with
 * then=nothing it listens, and does nothing
 */
#include "arch/x86_64/pc_regs.h"
#include "guest-tests/guest.h"

#define BUTTON_IRQ (IRQ_FIRST + 0x11)

void guest_main(void)
{
	irq_on();
	ioapic_route(PC_LINE_POWER_BUTTON, BUTTON_IRQ);
	print("listening\n");
	halt_while(&irq_count[BUTTON_IRQ], 0);
	if (arg_is("then", "nothing")) {
		print("pressed\n");
		halt_while(&irq_count[BUTTON_IRQ + 1], 0);
	}
	end_by_acpi_sleep();
	guest_fail("the guest still runs");
}
