/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/platform.c - the PC's fixed devices, all in the port space
 *
 *	0x064         i8042: the reset command, and nothing else
 *	0x0f4         debug exit: a test guest ends with a status
 *	0x3f8..0x3ff  COM1
 *	0x505         pvpanic: the guest says that it has panicked
 *	0x600, 0x601  ACPI sleep control and status registers (hardware-reduced)
 *	0xcf8..0xcff  PCI configuration; a byte at 0xcf9 is the reset register
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/x86_64/pc_regs.h"
#include "arch/x86_64/x86.h"
#include "base/own.h"
#include "devices/pci.h"
#include "devices/serial.h"
#include "vmm/vmm.h"

#define I8042_RESET          0xfe /* pulse the reset line */
#define ACPI_SLEEP_ENABLE    0x20 /* ACPI 6.4, 4.8.3.7 */
#define ACPI_SLEEP_TYPE(val) ((val) >> 2 & 7)

struct bf_platform {
	struct belfry_vm *vm;
	struct bf_serial com1;
	uint32_t pci_address; /* what 0xcf8 holds */
	struct bf_region ports[6];
};

static void reset(struct bf_platform *pc, const char *how)
{
	bf_vm_end(pc->vm, BELFRY_STOP_RESET, 0, "reset by %s", how);
}

/* Nothing to read, nobody to talk to: status 0. */
static uint64_t i8042_read(void *owner, uint64_t off, unsigned int len)
{
	return 0;
}

static void i8042_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	if ((uint8_t)val == I8042_RESET)
		reset(owner, "i8042");
}

static void debug_exit_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct bf_platform *pc = owner;

	bf_vm_end(pc->vm, BELFRY_STOP_DEBUG_EXIT, val & 0xff, "debug exit");
}

static uint64_t panic_read(void *owner, uint64_t off, unsigned int len)
{
	return PC_PANICKED | PC_CRASH_LOADED; /* what is understood */
}

static void panic_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct bf_platform *pc = owner;

	if (val & (PC_PANICKED | PC_CRASH_LOADED))
		bf_vm_panicked(pc->vm);
}

/* Byte registers: a wider access is as many accesses. */
static uint64_t com1_read(void *owner, uint64_t off, unsigned int len)
{
	struct bf_platform *pc = owner;
	uint64_t val = 0;

	for (unsigned int i = 0; i < len; i++)
		val |= (uint64_t)bf_serial_read(&pc->com1, off + i) << 8 * i;
	return val;
}

static void com1_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct bf_platform *pc = owner;

	for (unsigned int i = 0; i < len; i++, val >>= 8)
		bf_serial_write(&pc->com1, off + i, val);
}

static uint64_t sleep_read(void *owner, uint64_t off, unsigned int len)
{
	return 0;
}

static void sleep_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct bf_platform *pc = owner;

	if (off == 0 && val & ACPI_SLEEP_ENABLE && ACPI_SLEEP_TYPE(val) == PC_SLEEP_S5)
		bf_vm_end(pc->vm, BELFRY_STOP_POWEROFF, 0, "power off");
}

/* PCI Local Bus 3.0, 3.2.2.3.2: enable 31, bus 23..16, device 15..11, function 10..8. */
static bool pci_selected(const struct bf_platform *pc)
{
	return pc->pci_address >> 31 && (pc->pci_address >> 8 & 0xff07) == 0;
}

static uint64_t pci_read(void *owner, uint64_t off, unsigned int len)
{
	struct bf_platform *pc = owner;

	if (off < 4)
		return off == 0 && len == 4 ? pc->pci_address : UINT64_MAX;
	if (!pci_selected(pc))
		return UINT64_MAX;
	return bf_pci_config_read(bf_vm_pci(pc->vm), pc->pci_address >> 11 & 31,
				  (pc->pci_address & 0xfc) + (off - 4), len);
}

static void pci_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct bf_platform *pc = owner;

	if (off == 0 && len == 4)
		pc->pci_address = val;
	else if (off == 1 && len == 1 && (val & PC_RESET_VALUE) == PC_RESET_VALUE)
		reset(pc, "reset register");
	else if (off >= 4 && pci_selected(pc))
		bf_pci_config_write(bf_vm_pci(pc->vm), pc->pci_address >> 11 & 31,
				    (pc->pci_address & 0xfc) + (off - 4), val, len);
}

int bf_arch_platform_create(struct belfry_vm *vm, struct bf_platform **out,
			    struct belfry_error *err)
{
	struct bf_platform *pc = calloc(1, sizeof(*pc));
	const struct bf_region ports[] = {
		{ PC_PORT_I8042, 1, "i8042", .read = i8042_read, .write = i8042_write },
		{ PC_PORT_DEBUG_EXIT, 4, "debug exit", .write = debug_exit_write },
		{ PC_PORT_COM1, PC_COM1_PORTS, "COM1", .read = com1_read,
		  .write = com1_write },
		{ PC_PORT_PANIC, 1, "pvpanic", .read = panic_read, .write = panic_write },
		{ PC_PORT_SLEEP, PC_SLEEP_PORTS, "ACPI sleep", .read = sleep_read,
		  .write = sleep_write },
		{ PC_PORT_PCI, PC_PCI_PORTS, "PCI configuration", .read = pci_read,
		  .write = pci_write },
	};

	if (!pc)
		return bf_err_sys(err, ENOMEM, "platform");
	*out = pc;
	pc->vm = vm;
	pc->com1.vm = vm;
	pc->com1.line = PC_LINE_COM1;
	for (unsigned int i = 0; i < BF_ARRAY_LEN(ports); i++) {
		pc->ports[i] = ports[i];
		pc->ports[i].owner = pc;
		int e = bf_vm_map_ports(vm, &pc->ports[i], err);

		if (e < 0)
			return e;
	}
	return 0;
}

bool bf_arch_power_button(struct bf_platform *platform)
{
	const bool heard = bf_irq_line(platform->vm, PC_LINE_POWER_BUTTON, true);

	bf_irq_line(platform->vm, PC_LINE_POWER_BUTTON, false);
	return heard;
}

void bf_arch_console_drained(struct bf_platform *platform)
{
	bf_serial_console_drained(&platform->com1);
}

unsigned int bf_arch_console_input(struct bf_platform *platform, const uint8_t *data,
				   unsigned int len)
{
	return bf_serial_input(&platform->com1, data, len);
}

void bf_arch_platform_destroy(struct bf_platform *platform)
{
	free(platform);
}
