/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/start.c - the first C of a guest, its end, and reports of exceptions */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"

#define DEBUG_EXIT_PORT    0xf4
#define I8042_COMMAND      0x64
#define I8042_RESET_CPU    0xfe
#define ACPI_SLEEP_CONTROL 0x600
#define ACPI_SLEEP_S5      (5 << 2)
#define ACPI_SLEEP_ENABLE  0x20
#define ACPI_RESET_PORT    0xcf9
#define ACPI_RESET_VALUE   0x06

_Noreturn void guest_start(const void *info);
_Noreturn void guest_trap(const struct trap_frame *frame);

const void *boot_info;
const char *guest_waiting_for = "nothing";

_Noreturn void guest_start(const void *info)
{
	boot_info = info;
	guest_main();
	guest_end(0);
}

void end_by_debug_exit(unsigned int status)
{
	port_out(DEBUG_EXIT_PORT, status, 1);
}

void end_by_acpi_sleep(void)
{
	port_out(ACPI_SLEEP_CONTROL, ACPI_SLEEP_S5 | ACPI_SLEEP_ENABLE, 1);
}

void end_by_acpi_reset(void)
{
	port_out(ACPI_RESET_PORT, ACPI_RESET_VALUE, 1);
}

void end_by_i8042_reset(void)
{
	port_out(I8042_COMMAND, I8042_RESET_CPU, 1);
}

static uint64_t triple_fault(uint64_t a, uint64_t b, uint64_t c)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	(void)a, (void)b, (void)c;
	__asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
	return 0;
}

void end_by_triple_fault(void)
{
	ring0(triple_fault, 0, 0, 0);
}

_Noreturn void guest_end(unsigned int status)
{
	end_by_debug_exit(status);
	end_by_i8042_reset();
	end_by_triple_fault();
	for (;;)
		;
}

/* Exceptions and the watchdog end here, in ring 0. */
_Noreturn void guest_trap(const struct trap_frame *frame)
{
	uint64_t address;

	if (frame->vector == IRQ_WATCHDOG)
		guest_fail("time limit: %s", guest_waiting_for);
	__asm__("mov %%cr2, %0" : "=r"(address));
	guest_fail("exception %lu, error %lx, at %lx:%lx, CR2 %lx", frame->vector,
		   frame->error, frame->cs, frame->rip, address);
}
