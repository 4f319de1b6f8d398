/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/boot_info.h - what boot_info points at: PVH's structures, or Linux's */
#ifndef GUEST_BOOT_INFO_H
#define GUEST_BOOT_INFO_H

#include <stdint.h>

#define HVM_START_MAGIC 0x336ec578

struct hvm_start_info {
	uint32_t magic;
	uint32_t version; /* the memory map came with 1 */
	uint32_t flags;
	uint32_t modules;
	uint64_t module_list; /* addresses are guest physical */
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_entries;
	uint32_t reserved;
};

struct hvm_module {
	uint64_t address;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct hvm_memory {
	uint64_t address;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

#define MEMORY_RAM 1 /* in hvm_memory and in the e820 table alike */

/* Offsets in Linux's struct boot_params, the "zero page" */
#define BOOT_ACPI_RSDP         0x070 /* 8 bytes */
#define BOOT_RAMDISK_HIGH      0x0c0 /* 4 bytes: upper halves of three below */
#define BOOT_RAMDISK_SIZE_HIGH 0x0c4
#define BOOT_CMDLINE_HIGH      0x0c8
#define BOOT_E820_ENTRIES      0x1e8 /* 1 byte */
#define BOOT_SENTINEL          0x1ef /* 1 byte, 0 once a loader has cleared the page */
#define BOOT_MAGIC             0x202 /* "HdrS"; the setup header begins at 0x1f1 */
#define BOOT_VERSION           0x206 /* 2 bytes */
#define BOOT_LOADER            0x210 /* 1 byte */
#define BOOT_RAMDISK           0x218 /* 4 bytes */
#define BOOT_RAMDISK_SIZE      0x21c /* 4 bytes */
#define BOOT_CMDLINE           0x228 /* 4 bytes */
#define BOOT_PREFERRED         0x258 /* 8 bytes */
#define BOOT_E820              0x2d0 /* struct e820_entry [] */

struct e820_entry {
	uint64_t address;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

#endif
