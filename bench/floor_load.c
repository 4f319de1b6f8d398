/* SPDX-License-Identifier: MIT */
/* bench/floor_load.c - puts a PVH ELF kernel and its command line into a guest's RAM */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "bench/floor.h"

#define NOTE_PHYS32_ENTRY 18
#define START_INFO_MAGIC  0x336ec578

/* Low memory that no guest program is linked to */
#define START_INFO_GPA 0x1000
#define MEMORY_MAP_GPA 0x1080
#define CMDLINE_GPA    0x1100
#define CMDLINE_MAX    0x400

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, cmdline, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct memory_map_entry {
	uint64_t address, size;
	uint32_t type, reserved;
};

/* What there is of @size bytes at @off; NULL when they are not all there. */
static const void *file_at(const struct floor_config *cfg, uint64_t off, uint64_t size)
{
	if (size > cfg->kernel_size || off > cfg->kernel_size - size)
		return NULL;
	return (const uint8_t *)cfg->kernel + off;
}

static void *ram_at(struct floor_ram ram, uint64_t gpa, uint64_t size)
{
	if (size > ram.size || gpa > ram.size - size)
		return NULL;
	return ram.hva + gpa;
}

/* The PVH entry point; 0 when the notes name none. */
static uint64_t entry_in_notes(const struct floor_config *cfg, const Elf64_Phdr *ph)
{
	uint64_t off = ph->p_offset, left = ph->p_filesz, entry = 0, size;
	const Elf64_Nhdr *note;
	const void *desc;

	while (left >= sizeof(*note) && (note = file_at(cfg, off, sizeof(*note)))) {
		size = sizeof(*note) + ((note->n_namesz + 3ULL) & ~3ULL);
		desc = file_at(cfg, off + size, note->n_descsz);
		if (desc && note->n_type == NOTE_PHYS32_ENTRY &&
		    note->n_descsz <= sizeof(entry))
			memcpy(&entry, desc, note->n_descsz);
		size += (note->n_descsz + 3ULL) & ~3ULL;
		if (size > left)
			break;
		off += size;
		left -= size;
	}
	return entry;
}

static bool load_segment(struct floor_ram ram, const struct floor_config *cfg,
			 const Elf64_Phdr *ph)
{
	const void *from = file_at(cfg, ph->p_offset, ph->p_filesz);
	void *to = ram_at(ram, ph->p_paddr, ph->p_memsz);

	if (!from || !to || ph->p_filesz > ph->p_memsz)
		return false;
	memcpy(to, from, ph->p_filesz);
	return true;
}

/* Return: the entry point; 0 for a file that is cut short or does not fit. */
static uint64_t load_segments(struct floor_ram ram, const struct floor_config *cfg)
{
	const Elf64_Ehdr *eh = file_at(cfg, 0, sizeof(*eh));
	const Elf64_Phdr *ph;
	uint64_t entry = 0;

	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_machine != EM_X86_64)
		return 0;
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		ph = file_at(cfg, eh->e_phoff + i * sizeof(*ph), sizeof(*ph));
		if (!ph)
			return 0;
		if (ph->p_type == PT_NOTE)
			entry = entry_in_notes(cfg, ph);
		else if (ph->p_type == PT_LOAD && !load_segment(ram, cfg, ph))
			return 0;
	}
	return entry;
}

int floor_load(struct floor_ram ram, const struct floor_config *cfg, const char *cmdline,
	       struct floor_start *out, struct belfry_error *err)
{
	struct start_info *info = ram_at(ram, START_INFO_GPA, sizeof(*info));
	struct memory_map_entry *map = ram_at(ram, MEMORY_MAP_GPA, sizeof(*map));
	char *text = ram_at(ram, CMDLINE_GPA, CMDLINE_MAX);
	uint64_t entry = load_segments(ram, cfg);

	if (!entry || !info || !map || !text)
		return bf_err(err, ENOEXEC,
			      "floor: not an x86-64 ELF file with a PVH entry that fits "
			      "into %zu bytes",
			      ram.size);
	if (strlen(cmdline) >= CMDLINE_MAX)
		return bf_err(err, EINVAL,
			      "floor: a command line of %zu characters: at most %d",
			      strlen(cmdline), CMDLINE_MAX - 1);
	memcpy(text, cmdline, strlen(cmdline) + 1);
	*map = (struct memory_map_entry){ .size = ram.size, .type = 1 };
	*info = (struct start_info){
		.magic = START_INFO_MAGIC,
		.version = 1,
		.cmdline = CMDLINE_GPA,
		.memory_map = MEMORY_MAP_GPA,
		.memory_map_entries = 1,
	};
	*out = (struct floor_start){ entry, START_INFO_GPA };
	return 0;
}
