/* SPDX-License-Identifier: MIT */
/* boot/x86.c - what the loaders of x86 share */
#include <errno.h>
#include <string.h>

#include "arch/arch.h"
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

unsigned int bf_x86_ram_map(const struct bf_layout *layout,
			    struct bf_x86_range out[X86_RANGES_MAX])
{
	unsigned int n = 0;

	out[n++] = (struct bf_x86_range){ 0, X86_LOW_END };
	out[n++] = (struct bf_x86_range){ X86_HIGH_RAM,
					  bf_x86_low_ram_end(layout) - X86_HIGH_RAM };
	if (layout->ram[1].size)
		out[n++] =
			(struct bf_x86_range){ layout->ram[1].base, layout->ram[1].size };
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
