/* SPDX-License-Identifier: MIT */
/* guest-tests/bz.c - test: what a kernel finds that was started by Linux's boot protocol
 *
 * options: length=N           characters of the command line, this word included
 *          ram=SIZE           RAM that the e820 table should come to
 *          initrd=SIZE,CKSUM  as POSIX cksum prints them; none if absent
 *          entry=32|64        by which entry point (64)
 */
#include "guest-tests/guest.h"
#include "guest-tests/lib/boot_info.h"

#define RAM_SLACK (1 << 20)
#define MAX_E820  128

uint32_t bz_entry_bits; /* which entry point was taken, */
uint64_t bz_moved_by;   /* and how far from its preferred address */

extern const char image_start[], image_end[];

static uint64_t param(unsigned int off, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)boot_info + off, bytes);
	return value;
}

static uint64_t param_64(unsigned int low, unsigned int high)
{
	return param(high, 4) << 32 | param(low, 4);
}

static void header_is_ours(void)
{
	check_eq(param(BOOT_MAGIC, 4), 0x53726448, "boot_params holds our setup header");
	check_eq(param(BOOT_VERSION, 2), 0x20f, "its version is ours");
	check_eq(param(BOOT_PREFERRED, 8), (uint64_t)image_start,
		 "so is what it prefers");
	check(param(BOOT_LOADER, 1) != 0, "the loader has given its type");
	check_eq(param(BOOT_SENTINEL, 1), 0, "what is no header is zero");
	check_eq(bz_entry_bits, arg_u64("entry", 64), "the entry point");
	print("# loaded at 0x%lx\n", (uint64_t)image_start + bz_moved_by);
}

static void command_line_is_whole(void)
{
	print("# command line: %s\n", cmdline());
	check_eq(strlen(cmdline()), arg_u64("length", 0), "the command line is whole");
}

static void ram_is_told(void)
{
	const struct e820_entry *e = (const void *)((const char *)boot_info + BOOT_E820);
	unsigned int count = param(BOOT_E820_ENTRIES, 1), i;
	uint64_t ram = 0, want = arg_u64("ram", 0);
	bool image_in_ram = false;

	check(count > 0 && count <= MAX_E820, "there are e820 entries");
	for (i = 0; i < count && i < MAX_E820; i++) {
		print("# %lx, %lx bytes, type %u\n", e[i].address, e[i].size, e[i].type);
		if (e[i].type != MEMORY_RAM)
			continue;
		ram += e[i].size;
		image_in_ram |= e[i].address <= (uint64_t)image_start &&
				(uint64_t)image_end <= e[i].address + e[i].size;
	}
	check(image_in_ram, "this program is in RAM");
	if (want)
		check(ram <= want && want - ram <= RAM_SLACK,
		      "they come to the VM's RAM");
}

static void acpi_tables_are_told(void)
{
	const char *rsdp = (const char *)param(BOOT_ACPI_RSDP, 8);

	check(rsdp && memcmp(rsdp, "RSD PTR ", 8) == 0, "there are ACPI tables");
}

static void initrd_is_right(void)
{
	uint64_t at = param_64(BOOT_RAMDISK, BOOT_RAMDISK_HIGH);
	uint64_t size = param_64(BOOT_RAMDISK_SIZE, BOOT_RAMDISK_SIZE_HIGH);
	const char *want = arg("initrd"), *rest;

	if (!want) {
		check_eq(size, 0, "there is no initrd");
		return;
	}
	check_eq(size, parse_u64(want, &rest), "the initrd has its size");
	check(at + size <= (uint64_t)image_start || at >= (uint64_t)image_end,
	      "it is not where this program is");
	map(at, size);
	check_eq(posix_cksum((const uint8_t *)at, size), parse_u64(rest + 1, NULL),
		 "it has its content");
}

void guest_main(void)
{
	watchdog(20, "the boot protocol's checks");
	header_is_ours();
	command_line_is_whole();
	ram_is_told();
	acpi_tables_are_told();
	initrd_is_right();
	check_end();
}
