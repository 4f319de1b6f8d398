/* SPDX-License-Identifier: MIT */
/*
 * guest-tests/acpi.c - test: the ACPI tables that a PVH guest is given, and their
 * registers
 *
 * options: cpus=N  how many the tables should list (1)
 */
#include "arch/x86_64/pc_regs.h"
#include "guest-tests/guest.h"
#include "guest-tests/lib/boot_info.h"

#define HEADER_BYTES 36
#define MEMORY_ACPI  3

#define FADT_FLAGS         112
#define FADT_RESET_PORT    120
#define FADT_RESET_VALUE   128
#define FADT_DSDT          140
#define FADT_SLEEP_CONTROL 248
#define FADT_SLEEP_STATUS  260
#define FADT_REDUCED       (1 << 20 | 1 << 10) /* hardware-reduced, has a reset register */

#define MADT_ENTRIES    44
#define MADT_LOCAL_APIC 0
#define MADT_IO_APIC    1

#define SLEEP_ENABLE 0x20

static uint64_t field(const uint8_t *at, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static bool sums_to_0(const uint8_t *at, uint64_t size)
{
	uint8_t sum = 0;

	while (size-- > 0)
		sum += *at++;
	return sum == 0;
}

static bool is_typed(const struct hvm_start_info *info, uint64_t at, uint64_t size)
{
	const struct hvm_memory *map = (const void *)info->memory_map;

	for (uint32_t i = 0; i < info->memory_map_entries; i++)
		if (map[i].type == MEMORY_ACPI && at >= map[i].address &&
		    at + size <= map[i].address + map[i].size)
			return true;
	return false;
}

static const uint8_t *table_at(const struct hvm_start_info *info, uint64_t address)
{
	const uint8_t *table = (const uint8_t *)address;
	uint64_t size = field(table + 4, 4);

	check(is_typed(info, address, size), "table %c%c%c%c: the memory map has it",
	      table[0], table[1], table[2], table[3]);
	check(sums_to_0(table, size), "its checksum is right");
	return table;
}

static const uint8_t *find(const struct hvm_start_info *info, const char *signature)
{
	const uint8_t *rsdp = (const uint8_t *)info->rsdp;
	const uint8_t *xsdt = (const uint8_t *)field(rsdp + 24, 8);

	for (uint64_t at = HEADER_BYTES; at < field(xsdt + 4, 4); at += 8) {
		const uint8_t *table = (const uint8_t *)field(xsdt + at, 8);

		if (memcmp(table, signature, 4) == 0)
			return table_at(info, (uint64_t)table);
	}
	guest_fail("no table %s", signature);
}

static void rsdp_is_right(const struct hvm_start_info *info)
{
	const uint8_t *rsdp = (const uint8_t *)info->rsdp;

	if (!check(rsdp && memcmp(rsdp, "RSD PTR ", 8) == 0,
		   "the start info leads to the RSDP"))
		check_end();
	check(sums_to_0(rsdp, 20) && sums_to_0(rsdp, 36), "its checksums are right");
	table_at(info, field(rsdp + 24, 8));
}

static bool contains(const uint8_t *table, const char *text)
{
	uint64_t size = field(table + 4, 4), length = strlen(text);

	for (uint64_t at = HEADER_BYTES; at + length <= size; at++)
		if (memcmp(table + at, text, length) == 0)
			return true;
	return false;
}

static void fadt_is_right(const struct hvm_start_info *info)
{
	const uint8_t *fadt = find(info, "FACP"), *dsdt;

	check_eq(field(fadt + FADT_FLAGS, 4) & FADT_REDUCED, FADT_REDUCED,
		 "ACPI is hardware-reduced and has a reset register");
	check_eq(field(fadt + FADT_RESET_PORT, 8), PC_PORT_RESET, "its port");
	check_eq(fadt[FADT_RESET_VALUE], PC_RESET_VALUE, "what is written there");
	check_eq(field(fadt + FADT_SLEEP_CONTROL, 8), PC_PORT_SLEEP, "sleep control");
	check_eq(field(fadt + FADT_SLEEP_STATUS, 8), PC_PORT_SLEEP + 1, "sleep status");
	dsdt = table_at(info, field(fadt + FADT_DSDT, 8));
	check(contains(dsdt, "ACPI0013"), "the DSDT has a generic event device");
	find(info, "SSDT");
}

static void madt_is_right(const struct hvm_start_info *info)
{
	const uint8_t *madt = find(info, "APIC");
	uint64_t cpus = 0, io_apics = 0, wrong = 0;

	for (uint64_t at = MADT_ENTRIES; at < field(madt + 4, 4); at += madt[at + 1]) {
		if (madt[at] == MADT_LOCAL_APIC)
			wrong += madt[at + 3] != cpus++;
		io_apics += madt[at] == MADT_IO_APIC;
	}
	check_eq(cpus, arg_u64("cpus", 1), "the MADT lists every vCPU");
	check_eq(wrong, 0, "their APIC IDs are 0, 1, 2, ...");
	check_eq(io_apics, 1, "and one I/O APIC");
}

static void mcfg_is_right(const struct hvm_start_info *info)
{
	const uint8_t *mcfg = find(info, "MCFG");
	const volatile uint32_t *ecam = map(field(mcfg + 44, 8), 4096);

	check_eq(*ecam, 0x00081b36, "the host bridge is where the MCFG says");
}

/* All that is no command, in every width: none of it ends this guest. */
static void garbage_is_ignored(void)
{
	for (unsigned int width = 1; width <= 4; width *= 2)
		for (unsigned int value = 0; value < 0x100; value++) {
			if ((value >> 2 & 7) != PC_SLEEP_S5 || !(value & SLEEP_ENABLE))
				port_out(PC_PORT_SLEEP, value, width);
			if (width > 1 || (value & PC_RESET_VALUE) != PC_RESET_VALUE)
				port_out(PC_PORT_RESET, value, width);
			port_out(PC_PORT_SLEEP + 1, value, width);
		}
	check_eq(port_in(PC_PORT_SLEEP, 1), 0, "sleep control reads zero");
	check_eq(port_in(PC_PORT_SLEEP + 1, 1), 0, "no wake status is kept");
	check(true, "garbage in the sleep and reset registers does no harm");
}

void guest_main(void)
{
	const struct hvm_start_info *info = boot_info;

	watchdog(20, "the ACPI tables' checks");
	rsdp_is_right(info);
	fadt_is_right(info);
	madt_is_right(info);
	mcfg_is_right(info);
	garbage_is_ignored();
	check_end();
}
