/* SPDX-License-Identifier: MIT */
/* guest-tests/machine.c - test: what a PVH guest is given, and the devices of the
 * platform
 *
 * options: length=N           characters of the command line, this word included
 *          ram=SIZE           RAM that the memory map should come to
 *          initrd=SIZE,CKSUM  as POSIX cksum prints them; none if absent
 *          ecam=ADDRESS       where PCI configuration space is mapped; 0: nowhere
 */
#include "guest-tests/machine.h"
#include "guest-tests/guest.h"
#include "guest-tests/lib/boot_info.h"
#include "guest-tests/lib/x86_64.h"
#include "guest-tests/pci.h"

#define MAX_RANGES 32
#define MAX_PROBES (3 * MAX_RANGES)
#define RAM_SLACK  (1 << 20) /* what the map may leave out: video memory, ROMs */

extern const char image_start[], image_end[];

static struct hvm_memory ranges[MAX_RANGES];
static unsigned int range_count;

/* ---- command line and modules ---- */

static void command_line_is_whole(void)
{
	print("# command line: %s\n", cmdline());
	check_eq(strlen(cmdline()), arg_u64("length", 0), "the command line is whole");
}

static void initrd_is_right(const struct hvm_start_info *info)
{
	const struct hvm_module *module = (const void *)info->module_list;
	const char *want = arg("initrd"), *rest;
	uint64_t size;

	if (!want) {
		check_eq(info->modules, 0, "no initrd is listed");
		return;
	}
	if (!check_eq(info->modules, 1, "one initrd is listed"))
		return;
	size = parse_u64(want, &rest);
	check_eq(module->size, size, "the initrd has its size");
	map(module->address, module->size);
	check_eq(posix_cksum((const uint8_t *)module->address, module->size),
		 parse_u64(rest + 1, NULL), "the initrd has its content");
}

/* ---- memory ---- */

static void copy_ranges(const struct hvm_start_info *info)
{
	const struct hvm_memory *map = (const void *)info->memory_map;

	range_count = info->memory_map_entries;
	if (!check(range_count > 0 && range_count <= MAX_RANGES, "there is a memory map"))
		check_end();
	memcpy(ranges, map, range_count * sizeof(*map));
}

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static void map_is_sane(void)
{
	bool apart = true, apic_is_free = true, image_in_ram = false;
	uint64_t ram = 0, want = arg_u64("ram", 0);
	const struct hvm_memory *r, *s;

	for (r = ranges; r < ranges + range_count; r++) {
		print("# %lx, %lx bytes, type %u\n", r->address, r->size, r->type);
		for (s = ranges; s < r; s++)
			apart &= !overlaps(r->address, r->size, s->address, s->size);
		if (r->type != MEMORY_RAM)
			continue;
		ram += r->size;
		apic_is_free &= !overlaps(r->address, r->size, IOAPIC_BASE,
					  APIC_BASE + 0x1000 - IOAPIC_BASE);
		image_in_ram |= r->address <= (uint64_t)image_start &&
				(uint64_t)image_end <= r->address + r->size;
	}
	check(apart, "no two ranges of the memory map overlap");
	check(apic_is_free, "there is no RAM where the APICs are");
	check(image_in_ram, "this program is in RAM");
	if (want)
		check(ram <= want && want - ram <= RAM_SLACK,
		      "the map comes to the VM's RAM");
}

struct probe {
	volatile uint64_t *at;
	uint64_t kept;
};

static unsigned int add_probe(struct probe *probes, unsigned int count, uint64_t at)
{
	at &= ~7ULL;
	if (overlaps(at, 8, (uint64_t)image_start, image_end - image_start))
		return count;
	probes[count].at = map(at, 8);
	return count + 1;
}

/* Begin, middle and end of all ranges hold values of their own at the same time. */
static void ram_is_usable(void)
{
	static struct probe probes[MAX_PROBES];
	unsigned int count = 0, i, wrong = 0;
	const struct hvm_memory *r;

	for (r = ranges; r < ranges + range_count; r++) {
		if (r->type != MEMORY_RAM || r->size < 8)
			continue;
		count = add_probe(probes, count, r->address);
		count = add_probe(probes, count, r->address + r->size / 2);
		count = add_probe(probes, count, r->address + r->size - 8);
	}
	for (i = 0; i < count; i++) {
		probes[i].kept = *probes[i].at;
		*probes[i].at = 0x0123456789abcdef + (uint64_t)probes[i].at;
	}
	for (i = 0; i < count; i++)
		wrong += *probes[i].at != 0x0123456789abcdef + (uint64_t)probes[i].at;
	while (i-- > 0)
		*probes[i].at = probes[i].kept;
	check_eq(wrong, 0, "RAM keeps what is written at %u places of the map", count);
}

/* ---- PCI ---- */

static unsigned int compare_slot(volatile uint8_t *ecam, unsigned int slot)
{
	uint32_t dev = pci_address(slot, 0);
	volatile uint8_t *at = ecam + (slot << 15);
	unsigned int reg, wrong = 0;

	for (reg = 0; reg < 256; reg += 4)
		wrong += pci_read(dev, reg, 4) != *(volatile uint32_t *)(at + reg);
	for (reg = 0; reg < 8; reg++)
		wrong += pci_read(dev, reg, 1) != at[reg];
	for (reg = 0; reg < 8; reg += 2)
		wrong += pci_read(dev, reg, 2) != *(volatile uint16_t *)(at + reg);
	return wrong;
}

static void pci_is_there_twice(void)
{
	uint64_t address = arg_u64("ecam", 0xe8000000);
	volatile uint8_t *ecam;
	unsigned int slot, found = 0, wrong = 0, absent_wrong = 0;

	check(pci_read(pci_address(0, 0), PCI_CLASS, 2) == 0x0600,
	      "slot 0: a host bridge");
	if (!address)
		return;
	ecam = map(address, 1 << 20);
	for (slot = 0; slot < 32; slot++) {
		if (pci_read(pci_address(slot, 0), PCI_VENDOR_ID, 2) == 0xffff) {
			absent_wrong +=
				*(volatile uint32_t *)(ecam + (slot << 15)) != ~0u;
			continue;
		}
		found++;
		wrong += compare_slot(ecam, slot);
	}
	check_eq(wrong, 0, "ports 0xcf8, 0xcfc and memory show the same %u functions",
		 found);
	check_eq(absent_wrong, 0, "memory shows all ones where no function is");
}

void guest_main(void)
{
	const struct hvm_start_info *info = boot_info;

	watchdog(20, "the machine's checks");
	irq_on();
	check(info->magic == HVM_START_MAGIC && info->version >= 1,
	      "start info of version 1 or later");
	command_line_is_whole();
	initrd_is_right(info);
	copy_ranges(info);
	map_is_sane();
	ram_is_usable();
	pci_is_there_twice();
	serial_interrupts();
	pit_interrupts();
	check_end();
}
