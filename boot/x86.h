/* SPDX-License-Identifier: MIT */
/* boot/x86.h - where the loaders of x86 put what they tell the guest */
#ifndef BF_BOOT_X86_H
#define BF_BOOT_X86_H

#include "boot/load.h"

/*
 * Below 1 MiB, where no kernel is loaded. Boot information is dead memory once the guest
 * has read it.
 */
#define X86_BOOT_INFO    0x1000  /* start info or boot parameters: one page */
#define X86_BOOT_MAP     0x2000  /* PVH: memory map and list of modules: one page */
#define X86_BOOT_TABLES  0x8000  /* bzImage: page tables and GDT */
#define X86_BOOT_CMDLINE 0x20000 /* command line with its NUL */
#define X86_BOOT_END     0x30000

/* What x86 calls conventional memory ends here; a kernel starts behind the hole. */
#define X86_LOW_END  0xa0000
#define X86_HIGH_RAM 0x100000

struct bf_x86_range {
	uint64_t base;
	uint64_t size;
};

#define X86_RANGES_MAX 4

/* The RAM to tell the guest about. Return: how many ranges. */
unsigned int bf_x86_ram_map(const struct bf_layout *layout,
			    struct bf_x86_range out[X86_RANGES_MAX]);

/* The end of RAM below 4 GiB. */
uint64_t bf_x86_low_ram_end(const struct bf_layout *layout);

/* Put the command line in place. Return: 0; -EINVAL above @max bytes without its NUL. */
int bf_x86_cmdline(struct belfry_vm *vm, const char *cmdline, size_t max,
		   struct belfry_error *err);

extern const struct bf_boot_format bf_boot_pvh;
extern const struct bf_boot_format bf_boot_bzimage;

#endif
