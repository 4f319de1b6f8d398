/* SPDX-License-Identifier: MIT */
/* bench/floor_load.c - puts a PVH ELF kernel and its command line into a guest's RAM */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

struct file {
	const char *path;
	const uint8_t *data;
	size_t size;
};

static struct file open_file(const char *path)
{
	struct file f = { .path = path };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	f.size = st.st_size;
	f.data = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (f.data == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return f;
}

static const void *file_at(const struct file *f, uint64_t off, uint64_t size)
{
	if (size > f->size || off > f->size - size)
		errx(1, "%s: cut short", f->path);
	return f->data + off;
}

static void *ram_at(struct floor_ram ram, uint64_t gpa, uint64_t size)
{
	if (size > ram.size || gpa > ram.size - size)
		errx(1, "0x%lx bytes at 0x%lx are not in the guest's RAM", size, gpa);
	return ram.hva + gpa;
}

static uint64_t entry_in_notes(const struct file *f, const Elf64_Phdr *ph)
{
	uint64_t off = ph->p_offset, end = off + ph->p_filesz, entry = 0;
	const Elf64_Nhdr *note;

	while (off < end) {
		note = file_at(f, off, sizeof(*note));
		off += sizeof(*note) + ((note->n_namesz + 3) & ~3u);
		if (note->n_type == NOTE_PHYS32_ENTRY && note->n_descsz <= sizeof(entry))
			memcpy(&entry, file_at(f, off, note->n_descsz), note->n_descsz);
		off += (note->n_descsz + 3) & ~3u;
	}
	return entry;
}

static uint64_t load_segments(struct floor_ram ram, const struct file *f)
{
	const Elf64_Ehdr *eh = file_at(f, 0, sizeof(*eh));
	const Elf64_Phdr *ph;
	uint64_t entry = 0;
	unsigned int i;

	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_machine != EM_X86_64)
		errx(1, "%s: no x86-64 ELF file", f->path);
	for (i = 0; i < eh->e_phnum; i++) {
		ph = file_at(f, eh->e_phoff + i * sizeof(*ph), sizeof(*ph));
		if (ph->p_type == PT_NOTE)
			entry = entry_in_notes(f, ph);
		else if (ph->p_type == PT_LOAD)
			memcpy(ram_at(ram, ph->p_paddr, ph->p_filesz),
			       file_at(f, ph->p_offset, ph->p_filesz), ph->p_filesz);
	}
	if (!entry)
		errx(1, "%s: no PVH entry point", f->path);
	return entry;
}

struct floor_start floor_load(struct floor_ram ram, const char *path, const char *cmdline)
{
	struct start_info *info = ram_at(ram, START_INFO_GPA, sizeof(*info));
	struct memory_map_entry *map = ram_at(ram, MEMORY_MAP_GPA, sizeof(*map));
	struct file f = open_file(path);
	uint64_t entry = load_segments(ram, &f);

	if (strlen(cmdline) >= CMDLINE_MAX)
		errx(1, "a command line of %zu characters: at most %d", strlen(cmdline),
		     CMDLINE_MAX - 1);
	strcpy(ram_at(ram, CMDLINE_GPA, CMDLINE_MAX), cmdline);
	*map = (struct memory_map_entry){ .size = ram.size, .type = 1 };
	*info = (struct start_info){
		.magic = START_INFO_MAGIC,
		.version = 1,
		.cmdline = CMDLINE_GPA,
		.memory_map = MEMORY_MAP_GPA,
		.memory_map_entries = 1,
	};
	munmap((void *)f.data, f.size);
	return (struct floor_start){ entry, START_INFO_GPA };
}
