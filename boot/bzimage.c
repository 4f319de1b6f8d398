/* SPDX-License-Identifier: MIT */
/*
 * boot/bzimage.c - Linux kernels in the bzImage format, started in 64-bit mode
 *
 * Linux, Documentation/arch/x86/boot.rst. The file is a setup header, real-mode code that
 * is not used here, and the kernel proper, whose 64-bit entry is 512 bytes in.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/pc_regs.h"
#include "boot/x86.h"
#include "vmm/vmm.h"

#define SECTOR         512U
#define HEADER_AT      offsetof(struct boot_params, hdr)
#define HEADER_MAGIC   0x53726448 /* "HdrS" */
#define BOOT_FLAG      0xaa55
#define VERSION_MIN    0x020c /* 2.12, Linux 3.8: says whether there is a 64-bit entry */
#define SETUP_SECTS    4      /* what 0 stands for */
#define LOADER_UNKNOWN 0xff
#define ENTRY_64       0x200

static bool bzimage_probe(const uint8_t *head, size_t len)
{
	const struct boot_params *bp = (const struct boot_params *)head;

	return len >= HEADER_AT + sizeof(bp->hdr) && bp->hdr.boot_flag == BOOT_FLAG &&
	       bp->hdr.header == HEADER_MAGIC;
}

static int check_header(const struct setup_header *hdr, struct belfry_error *err)
{
	if (hdr->version < VERSION_MIN)
		return bf_err(
			err, ENOEXEC,
			"bzImage of boot protocol %u.%02u: expected %u.%02u or newer",
			hdr->version >> 8, hdr->version & 0xff, VERSION_MIN >> 8,
			VERSION_MIN & 0xff);
	if (!(hdr->xloadflags & XLF_KERNEL_64) || !(hdr->loadflags & LOADED_HIGH))
		return bf_err(err, ENOEXEC, "bzImage without a 64-bit entry");
	return 0;
}

static void fill_e820(struct boot_params *bp, const struct bf_layout *layout)
{
	struct bf_x86_range map[X86_RANGES_MAX];

	bp->e820_entries = bf_x86_memory_map(layout, map);
	for (unsigned int i = 0; i < bp->e820_entries; i++)
		bp->e820_table[i] = (struct boot_e820_entry){ .addr = map[i].base,
							      .size = map[i].size,
							      .type = map[i].type };
}

/* The header ends where its jump instruction leads: newer ones are longer. */
static void copy_header(struct boot_params *bp, const uint8_t *head)
{
	size_t end = 0x202 + head[0x201];

	if (end < HEADER_AT || end > HEADER_AT + sizeof(bp->hdr))
		end = HEADER_AT + sizeof(bp->hdr);
	memcpy((uint8_t *)bp + HEADER_AT, head + HEADER_AT, end - HEADER_AT);
}

/* Put the kernel proper at its preferred address. Return: 0 with its @end; an errno. */
static int load_kernel(struct belfry_vm *vm, const struct bf_image *kernel,
		       const struct setup_header *hdr, uint64_t *end,
		       struct belfry_error *err)
{
	const uint64_t setup =
		((hdr->setup_sects ? hdr->setup_sects : SETUP_SECTS) + 1) * SECTOR;
	const uint64_t size = kernel->size > setup ? kernel->size - setup : 0;
	const uint64_t room = size > hdr->init_size ? size : hdr->init_size;

	if (size <= ENTRY_64)
		return bf_err(err, EINVAL,
			      "kernel is truncated: its setup code alone has %" PRIu64
			      " bytes, and the file has %" PRIu64,
			      setup, kernel->size);
	if (hdr->pref_address < X86_HIGH_RAM)
		return bf_err(err, EINVAL,
			      "kernel wants to be at 0x%" PRIx64 ", below 0x%x",
			      (uint64_t)hdr->pref_address, X86_HIGH_RAM);
	if (hdr->pref_address > PC_4G - room) /* more is not mapped when it starts */
		return bf_err(err, EINVAL,
			      "kernel wants to be at 0x%" PRIx64 " with %" PRIu64
			      " bytes, beyond 4G",
			      (uint64_t)hdr->pref_address, room);
	if (!bf_mem_at(vm, hdr->pref_address, room))
		return bf_err(err, EINVAL,
			      "kernel needs %" PRIu64 " bytes of RAM at 0x%" PRIx64
			      "; is memory too small?",
			      room, (uint64_t)hdr->pref_address);
	*end = hdr->pref_address + room;
	return bf_image_load(vm, kernel, setup, hdr->pref_address, size, err);
}

static int load_initrd(struct belfry_vm *vm, const struct bf_image *initrd,
		       const struct bf_layout *layout, uint64_t floor,
		       struct boot_params *bp, struct belfry_error *err)
{
	const uint64_t ram_end = bf_x86_low_ram_end(layout);
	const uint64_t max_end = (uint64_t)bp->hdr.initrd_addr_max + 1;
	uint64_t at;
	int e = bf_initrd_load(vm, initrd, floor, ram_end < max_end ? ram_end : max_end,
			       &at, err);

	if (e < 0)
		return e;
	bp->hdr.ramdisk_image = at;
	bp->hdr.ramdisk_size = initrd->size;
	return 0;
}

static int bzimage_load(struct belfry_vm *vm, const struct bf_boot_conf *conf,
			const struct bf_image *kernel, const struct bf_image *initrd,
			struct bf_entry *entry, struct belfry_error *err)
{
	struct boot_params *bp = bf_mem_at(vm, X86_BOOT_INFO, sizeof(*bp));
	uint8_t head[HEADER_AT + sizeof(bp->hdr)];
	uint64_t end = 0;
	int e;

	if (!bp)
		return bf_err(err, EINVAL, "no RAM for the boot parameters");
	e = bf_image_read(kernel, 0, head, sizeof(head), err);
	if (e < 0)
		return e;
	memset(bp, 0, sizeof(*bp));
	copy_header(bp, head);
	if ((e = check_header(&bp->hdr, err)) < 0 ||
	    (e = load_kernel(vm, kernel, &bp->hdr, &end, err)) < 0 ||
	    (e = load_initrd(vm, initrd, conf->layout, end, bp, err)) < 0 ||
	    (e = bf_x86_cmdline(vm, conf->cmdline, bp->hdr.cmdline_size, err)) < 0 ||
	    (e = bf_x86_firmware(vm, conf->layout, err)) < 0)
		return e;
	bp->hdr.type_of_loader = LOADER_UNKNOWN;
	bp->hdr.cmd_line_ptr = X86_BOOT_CMDLINE;
	bp->acpi_rsdp_addr = X86_ACPI;
	fill_e820(bp, conf->layout);
	*entry = (struct bf_entry){
		.mode = BF_ENTRY_LINUX64,
		.pc = bp->hdr.pref_address + ENTRY_64,
		.arg = X86_BOOT_INFO,
		.aux = X86_BOOT_TABLES,
	};
	return 0;
}

const struct bf_boot_format bf_boot_bzimage = { .probe = bzimage_probe,
						.load = bzimage_load };
