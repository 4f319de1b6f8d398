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

/*
 * What x86 calls conventional memory ends here; a kernel starts behind the hole. In the
 * hole is what a guest wants of a PC's firmware.
 */
#define X86_LOW_END       0xa0000
#define X86_ACPI          0xe0000 /* the tables: the RSDP, then the others */
#define X86_ACPI_SIZE     0x10000
#define X86_FIRMWARE      0xf0000
#define X86_FIRMWARE_SIZE 0x10000
#define X86_RESET_VECTOR  0xffff0 /* in it: f000:fff0 in real mode */
#define X86_HIGH_RAM      0x100000

/* The numbers of e820 (ACPI 6.4, 15) and of PVH's memory map alike. */
enum bf_x86_memory {
	BF_X86_RAM = 1,
	BF_X86_RESERVED = 2,
	BF_X86_ACPI_TABLES = 3,
};

struct bf_x86_range {
	uint64_t base;
	uint64_t size;
	enum bf_x86_memory type;
};

#define X86_RANGES_MAX 12

/* The memory map to tell the guest, by rising address. Return: how many ranges. */
unsigned int bf_x86_memory_map(const struct bf_layout *layout,
			       struct bf_x86_range out[X86_RANGES_MAX]);

/* The end of RAM below 4 GiB. */
uint64_t bf_x86_low_ram_end(const struct bf_layout *layout);

/* Put the command line in place. Return: 0; -EINVAL above @max bytes without its NUL. */
int bf_x86_cmdline(struct belfry_vm *vm, const char *cmdline, size_t max,
		   struct belfry_error *err);

/* Put in place what a guest wants of a firmware. Return: as bf_acpi_build(). */
int bf_x86_firmware(struct belfry_vm *vm, const struct bf_layout *layout,
		    struct belfry_error *err);

extern const struct bf_boot_format bf_boot_pvh;
extern const struct bf_boot_format bf_boot_bzimage;

#endif
