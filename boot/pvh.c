/* SPDX-License-Identifier: MIT */
/*
 * boot/pvh.c - ELF kernels that start by the PVH protocol
 *
 * Xen, docs/misc/pvh.pandoc: a note of type 18 and owner "Xen" holds the physical address
 * of a 32-bit entry point, which is called with paging off and EBX pointing to a
 * struct hvm_start_info (Xen, public/arch-x86/hvm/start_info.h).
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/pc_regs.h"
#include "base/own.h"
#include "boot/x86.h"
#include "vmm/vmm.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define START_MAGIC              0x336ec578
#define START_VERSION            1 /* the first with a memory map */

#define PHDRS_MAX      64
#define NOTE_BYTES_MAX (64 * 1024)
#define CMDLINE_MAX    (X86_BOOT_END - X86_BOOT_CMDLINE - 1)

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memmap;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct module {
	uint64_t addr;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct map_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/* The page at X86_BOOT_MAP. */
struct boot_map {
	struct map_entry map[X86_RANGES_MAX];
	struct module initrd;
};

static bool pvh_probe(const uint8_t *head, size_t len)
{
	return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static int check_header(const Elf64_Ehdr *eh, struct belfry_error *err)
{
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return bf_err(err, ENOEXEC,
			      "ELF file for another machine: expected x86-64, "
			      "64-bit");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 ||
	    eh->e_phnum > PHDRS_MAX)
		return bf_err(
			err, EINVAL,
			"ELF file with %u program headers of %u bytes: expected 1 to "
			"%u of %zu",
			eh->e_phnum, eh->e_phentsize, PHDRS_MAX, sizeof(Elf64_Phdr));
	return 0;
}

/* The bytes of @n bytes in notes, padded. */
static uint64_t padded(uint32_t n)
{
	return ((uint64_t)n + 3) & ~3ULL;
}

/* Look through @len bytes of notes. Return: whether the entry is there. */
static bool find_note(const uint8_t *notes, uint64_t len, uint64_t *pc)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *nh = (const Elf64_Nhdr *)notes;
		const uint64_t name = sizeof(*nh), desc = name + padded(nh->n_namesz);
		const uint64_t next = desc + padded(nh->n_descsz);

		if (next > len)
			return false;
		if (nh->n_type == XEN_ELFNOTE_PHYS32_ENTRY && nh->n_namesz == 4 &&
		    memcmp(notes + name, "Xen", 4) == 0 &&
		    (nh->n_descsz == 4 || nh->n_descsz == 8)) {
			*pc = 0;
			memcpy(pc, notes + desc, nh->n_descsz);
			return true;
		}
		notes += next;
		len -= next;
	}
	return false;
}

static int read_notes(const struct bf_image *kernel, const Elf64_Phdr *ph, bool *found,
		      uint64_t *pc, struct belfry_error *err)
{
	BF_FREE uint8_t *notes = NULL;
	int e;

	if (ph->p_filesz > NOTE_BYTES_MAX)
		return bf_err(err, EINVAL, "ELF notes of %" PRIu64 " bytes: at most %u",
			      (uint64_t)ph->p_filesz, NOTE_BYTES_MAX);
	notes = malloc(ph->p_filesz + 1);
	if (!notes)
		return bf_err_sys(err, ENOMEM, "ELF notes");
	e = bf_image_read(kernel, ph->p_offset, notes, ph->p_filesz, err);
	if (e == 0 && find_note(notes, ph->p_filesz, pc))
		*found = true;
	return e;
}

/* Memory of a new VM is zero, so what is beyond the file's bytes is as it should be. */
static int load_segment(struct belfry_vm *vm, const struct bf_image *kernel,
			const Elf64_Phdr *ph, uint64_t *end, struct belfry_error *err)
{
	if (ph->p_memsz == 0)
		return 0;
	if (ph->p_filesz > ph->p_memsz)
		return bf_err(err, EINVAL,
			      "ELF segment at 0x%" PRIx64
			      ": more bytes in the file than in "
			      "memory",
			      (uint64_t)ph->p_paddr);
	if (!bf_mem_at(vm, ph->p_paddr, ph->p_memsz))
		return bf_err(err, EINVAL,
			      "ELF segment of 0x%" PRIx64 " bytes at 0x%" PRIx64
			      " is outside of RAM; is memory too small?",
			      (uint64_t)ph->p_memsz, (uint64_t)ph->p_paddr);
	if (ph->p_paddr < X86_BOOT_END)
		return bf_err(err, EINVAL,
			      "ELF segment at 0x%" PRIx64 ": below 0x%x, where boot "
			      "information goes",
			      (uint64_t)ph->p_paddr, X86_BOOT_END);
	if (ph->p_paddr < X86_HIGH_RAM && ph->p_paddr + ph->p_memsz > X86_LOW_END)
		return bf_err(err, EINVAL,
			      "ELF segment of 0x%" PRIx64 " bytes at 0x%" PRIx64
			      ": no RAM from 0x%x to 0x%x, where a PC has its firmware",
			      (uint64_t)ph->p_memsz, (uint64_t)ph->p_paddr, X86_LOW_END,
			      X86_HIGH_RAM);
	if (ph->p_paddr < PC_4G && ph->p_paddr + ph->p_memsz > *end)
		*end = ph->p_paddr + ph->p_memsz;
	return bf_image_load(vm, kernel, ph->p_offset, ph->p_paddr, ph->p_filesz, err);
}

/* A file without the note is no kernel, wherever its segments are. */
static int find_entry(const struct bf_image *kernel, const Elf64_Phdr *phdrs,
		      unsigned int n, uint64_t *pc, struct belfry_error *err)
{
	bool found = false;
	int e = 0;

	for (unsigned int i = 0; i < n && e == 0 && !found; i++) {
		if (phdrs[i].p_type == PT_NOTE)
			e = read_notes(kernel, &phdrs[i], &found, pc, err);
	}
	if (e == 0 && !found)
		return bf_err(
			err, ENOEXEC,
			"ELF file without a PVH entry note (Xen, type %u); Linux needs "
			"CONFIG_PVH",
			XEN_ELFNOTE_PHYS32_ENTRY);
	return e;
}

/* Load the segments. Return: 0 with the entry and the end of the kernel; an errno. */
static int load_elf(struct belfry_vm *vm, const struct bf_image *kernel, uint64_t *pc,
		    uint64_t *end, struct belfry_error *err)
{
	Elf64_Phdr phdrs[PHDRS_MAX];
	Elf64_Ehdr eh;
	int e;

	if ((e = bf_image_read(kernel, 0, &eh, sizeof(eh), err)) < 0 ||
	    (e = check_header(&eh, err)) < 0 ||
	    (e = bf_image_read(kernel, eh.e_phoff, phdrs, eh.e_phnum * sizeof(phdrs[0]),
			       err)) < 0 ||
	    (e = find_entry(kernel, phdrs, eh.e_phnum, pc, err)) < 0)
		return e;
	*end = X86_HIGH_RAM;
	for (unsigned int i = 0; i < eh.e_phnum && e == 0; i++) {
		if (phdrs[i].p_type == PT_LOAD)
			e = load_segment(vm, kernel, &phdrs[i], end, err);
	}
	if (e == 0 && (*pc >= PC_4G || !bf_mem_at(vm, *pc, 1)))
		return bf_err(err, EINVAL,
			      "PVH entry at 0x%" PRIx64 " is outside of RAM below 4 GiB",
			      *pc);
	return e;
}

static int write_start_info(struct belfry_vm *vm, const struct bf_layout *layout,
			    uint64_t initrd, uint64_t initrd_size,
			    struct belfry_error *err)
{
	struct start_info *info = bf_mem_at(vm, X86_BOOT_INFO, sizeof(*info));
	struct boot_map *map = bf_mem_at(vm, X86_BOOT_MAP, sizeof(*map));
	struct bf_x86_range ranges[X86_RANGES_MAX];
	unsigned int n = bf_x86_memory_map(layout, ranges);

	if (!info || !map)
		return bf_err(err, EINVAL, "no RAM for the start info");
	for (unsigned int i = 0; i < n; i++)
		map->map[i] = (struct map_entry){ .addr = ranges[i].base,
						  .size = ranges[i].size,
						  .type = ranges[i].type };
	map->initrd = (struct module){ .addr = initrd, .size = initrd_size };
	*info = (struct start_info){
		.magic = START_MAGIC,
		.version = START_VERSION,
		.nr_modules = initrd_size ? 1 : 0,
		.modlist = initrd_size ? X86_BOOT_MAP + offsetof(struct boot_map, initrd)
				       : 0,
		.cmdline = X86_BOOT_CMDLINE,
		.rsdp = X86_ACPI,
		.memmap = X86_BOOT_MAP + offsetof(struct boot_map, map),
		.memmap_entries = n,
	};
	return 0;
}

static int pvh_load(struct belfry_vm *vm, const struct bf_boot_conf *conf,
		    const struct bf_image *kernel, const struct bf_image *initrd,
		    struct bf_entry *entry, struct belfry_error *err)
{
	uint64_t pc, end, at;
	int e;

	if ((e = load_elf(vm, kernel, &pc, &end, err)) < 0 ||
	    (e = bf_initrd_load(vm, initrd, end, bf_x86_low_ram_end(conf->layout), &at,
				err)) < 0 ||
	    (e = bf_x86_cmdline(vm, conf->cmdline, CMDLINE_MAX, err)) < 0 ||
	    (e = bf_x86_firmware(vm, conf->layout, err)) < 0 ||
	    (e = write_start_info(vm, conf->layout, at, initrd->size, err)) < 0)
		return e;
	*entry =
		(struct bf_entry){ .mode = BF_ENTRY_PVH, .pc = pc, .arg = X86_BOOT_INFO };
	return 0;
}

const struct bf_boot_format bf_boot_pvh = { .probe = pvh_probe, .load = pvh_load };
