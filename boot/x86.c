/* SPDX-License-Identifier: MIT */
/* boot/x86.c - what the loaders of x86 share */
#include <errno.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/pc_regs.h"
#include "boot/acpi.h"
#include "boot/x86.h"
#include "vmm/vmm.h"

const struct bf_boot_format *const bf_boot_formats[] = {
	&bf_boot_pvh,
	&bf_boot_bzimage,
	NULL,
};

const char bf_boot_formats_text[] = "an ELF file with a PVH note, or a bzImage";

uint64_t bf_x86_low_ram_end(const struct bf_layout *layout)
{
	return layout->ram[0].base + layout->ram[0].size;
}

static struct bf_x86_range range(struct bf_span span, enum bf_x86_memory type)
{
	return (struct bf_x86_range){ span.base, span.size, type };
}

unsigned int bf_x86_memory_map(const struct bf_layout *layout,
			       struct bf_x86_range out[X86_RANGES_MAX])
{
	const uint64_t low_ram = bf_x86_low_ram_end(layout) - X86_HIGH_RAM;
	unsigned int n = 0;

	out[n++] = (struct bf_x86_range){ 0, X86_LOW_END, BF_X86_RAM };
	out[n++] = (struct bf_x86_range){ X86_ACPI, X86_ACPI_SIZE, BF_X86_ACPI_TABLES };
	out[n++] =
		(struct bf_x86_range){ X86_FIRMWARE, X86_FIRMWARE_SIZE, BF_X86_RESERVED };
	out[n++] = (struct bf_x86_range){ X86_HIGH_RAM, low_ram, BF_X86_RAM };
	out[n++] = range(layout->ecam, BF_X86_RESERVED);
	for (unsigned int i = 0; i < BF_LAYOUT_SPANS; i++)
		if (layout->reserved[i].size)
			out[n++] = range(layout->reserved[i], BF_X86_RESERVED);
	if (layout->ram[1].size)
		out[n++] = range(layout->ram[1], BF_X86_RAM);
	return n;
}

int bf_x86_cmdline(struct belfry_vm *vm, const char *cmdline, size_t max,
		   struct belfry_error *err)
{
	const size_t room = X86_BOOT_END - X86_BOOT_CMDLINE;
	const size_t len = strlen(cmdline);
	char *at = bf_mem_at(vm, X86_BOOT_CMDLINE, room);

	if (max >= room)
		max = room - 1;
	if (len > max)
		return bf_err(err, EINVAL,
			      "cmdline of %zu bytes: this kernel takes at most %zu", len,
			      max);
	if (!at)
		return bf_err(err, EINVAL, "no RAM for the command line");
	memcpy(at, cmdline, len + 1);
	return 0;
}

/*
 * Linux resets a PC without EFI whose ACPI is hardware-reduced by going back to real mode
 * and to this address, as if a firmware was there (its arch/x86/kernel/reboot.c), and
 * tries the register that ACPI names only when it is told to.
 */
static const uint8_t reset_code[] = {
	0xba,
	PC_PORT_RESET & 0xff,
	PC_PORT_RESET >> 8, /* mov $PC_PORT_RESET, %dx */
	0xb0,
	PC_RESET_VALUE, /* mov $PC_RESET_VALUE, %al */
	0xee,           /* out %al, %dx */
	0xf4,           /* hlt */
	0xeb,
	0xfd, /* jmp to the hlt */
};

int bf_x86_firmware(struct belfry_vm *vm, const struct bf_layout *layout,
		    struct belfry_error *err)
{
	void *at = bf_mem_at(vm, X86_RESET_VECTOR, sizeof(reset_code));

	if (!at)
		return bf_err(err, EINVAL, "no RAM for the reset vector");
	memcpy(at, reset_code, sizeof(reset_code));
	return bf_acpi_build(vm, layout, err);
}
