/* SPDX-License-Identifier: MIT */
/* tests/unit/boot_pvh_test.c - ELF kernels with a PVH entry, good ones and others */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/boot_test.h"

#define CODE_AT    0x200000ULL /* guest-physical */
#define CODE_BYTES 64
#define BSS_BYTES  0x1000

/* A kernel as small as can be: note, code, and room behind it. */
struct elf {
	Elf64_Ehdr eh;
	Elf64_Phdr note_ph;
	Elf64_Phdr code_ph;
	struct {
		Elf64_Nhdr nh;
		char name[4];
		uint64_t pc;
	} note;
	uint8_t code[CODE_BYTES];
};

static struct elf good(void)
{
	struct elf elf = {
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(struct elf, note_ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2 },
		.note_ph = { .p_type = PT_NOTE,
			     .p_offset = offsetof(struct elf, note),
			     .p_filesz = sizeof(elf.note) },
		.code_ph = { .p_type = PT_LOAD,
			     .p_offset = offsetof(struct elf, code),
			     .p_vaddr = 0xffffffff80000000, /* of no interest */
			     .p_paddr = CODE_AT,
			     .p_filesz = CODE_BYTES,
			     .p_memsz = CODE_BYTES + BSS_BYTES },
		.note = { { .n_namesz = 4, .n_descsz = 8, .n_type = 18 },
			  "Xen",
			  CODE_AT + 16 },
	};

	memset(elf.code, 0x90, sizeof(elf.code));
	return elf;
}

static void set_elf(struct boot_fixture *f, const struct elf *elf)
{
	set_kernel(f, elf, sizeof(*elf));
}

/* Xen, public/arch-x86/hvm/start_info.h */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t addr, size, cmdline, reserved;
};

struct map_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* --- what a good one gets --- */

static void a_kernel_is_put_where_it_says_and_entered_by_its_note(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();

	set_elf(f, &elf);
	assert_works(load(f, &err));
	assert_int_equal(f->entry.mode, BF_ENTRY_PVH);
	assert_int_equal(f->entry.pc, CODE_AT + 16);
	assert_memory_equal(ram(f, CODE_AT), elf.code, CODE_BYTES);
	for (unsigned int i = 0; i < BSS_BYTES; i++)
		assert_int_equal(*(uint8_t *)ram(f, CODE_AT + CODE_BYTES + i), 0);
}

static void the_start_info_tells_of_ram_and_command_line(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();
	const struct start_info *info;
	const struct map_entry *map;

	set_elf(f, &elf);
	f->conf.cmdline = "role=a quiet";
	assert_works(load(f, &err));
	info = ram(f, f->entry.arg);
	assert_int_equal(info->magic, 0x336ec578);
	assert_int_equal(info->version, 1);
	assert_int_equal(info->nr_modules, 0);
	assert_int_equal(info->modlist, 0);
	assert_string_equal(ram(f, info->cmdline), "role=a quiet");
	assert_int_equal(info->memmap_entries, MAP_LOW);
	map = ram(f, info->memmap);
	assert_memory_map(map, MAP_LOW);
}

static void there_are_acpi_tables_and_a_reset_vector(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();
	const struct start_info *info;

	set_elf(f, &elf);
	assert_works(load(f, &err));
	info = ram(f, f->entry.arg);
	assert_memory_equal(ram(f, info->rsdp), "RSD PTR ", 8);
	assert_reset_vector(f);
}

static void the_memory_map_goes_on_above_4_gib(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();
	struct bf_layout layout;
	const struct start_info *info;
	const struct map_entry *map;

	set_high_ram(f, &layout);
	set_elf(f, &elf);
	assert_works(load(f, &err));
	info = ram(f, f->entry.arg);
	assert_int_equal(info->memmap_entries, MAP_LOW + 1);
	map = ram(f, info->memmap);
	assert_memory_map(map, MAP_LOW + 1);
}

static void an_initrd_goes_to_the_end_of_ram_as_a_module(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();
	const struct start_info *info;
	const struct module *mod;

	set_elf(f, &elf);
	set_initrd(f, 0x1234);
	assert_works(load(f, &err));
	info = ram(f, f->entry.arg);
	assert_int_equal(info->nr_modules, 1);
	mod = ram(f, info->modlist);
	assert_int_equal(mod->addr, RAM_SIZE - 0x2000); /* on a page */
	assert_int_equal(mod->size, 0x1234);
	assert_memory_equal(ram(f, mod->addr), "initrd", 6);
}

static void an_initrd_may_fill_all_that_the_kernel_leaves(void **state)
{
	const uint64_t end = (CODE_AT + CODE_BYTES + BSS_BYTES + 0xfff) & ~0xfffULL;
	struct boot_fixture *f = *state;
	const struct elf elf = good();

	set_elf(f, &elf);
	set_initrd(f, RAM_SIZE - end);
	assert_works(load(f, &err));
	assert_memory_equal(ram(f, end), "initrd", 6);

	f->entry.pc = 0;
	set_initrd(f, RAM_SIZE - end + 1);
	assert_refused(
		f, EINVAL,
		"initrd of 2088961 bytes does not fit into RAM behind the kernel, from "
		"0x202000 to 0x400000");
}

static void a_note_of_4_bytes_will_do(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.note.nh.n_descsz = 4;
	elf.note.pc |= 0xdddddddd00000000; /* not part of it */
	elf.note_ph.p_filesz -= 4;
	set_elf(f, &elf);
	assert_works(load(f, &err));
	assert_int_equal(f->entry.pc, CODE_AT + 16);
}

static void the_note_is_found_behind_others(void **state)
{
	struct {
		struct elf elf;
		struct {
			Elf64_Nhdr nh;
			char name[8]; /* 5 and padding */
			char desc[4]; /* 1 and padding */
		} other[3];
		struct {
			Elf64_Nhdr nh;
			char name[4];
			uint32_t pc;
		} xen;
	} image = { .elf = good() };
	struct boot_fixture *f = *state;

	for (unsigned int i = 0; i < 3; i++) {
		image.other[i].nh = (Elf64_Nhdr){ 5, 1, i ? 18 : 1 };
		memcpy(image.other[i].name, "Xeno", 5);
	}
	image.xen.nh = (Elf64_Nhdr){ 4, 4, 18 };
	memcpy(image.xen.name, "Xen", 4);
	image.xen.pc = CODE_AT + 32;
	image.elf.note_ph.p_offset = sizeof(image.elf);
	image.elf.note_ph.p_filesz = sizeof(image) - sizeof(image.elf);
	set_kernel(f, &image, sizeof(image));
	assert_works(load(f, &err));
	assert_int_equal(f->entry.pc, CODE_AT + 32);
}

static void an_empty_segment_may_be_anywhere(void **state)
{
	struct boot_fixture *f = *state;
	struct {
		struct elf elf;
		Elf64_Phdr phdrs[3];
	} image = { .elf = good() };

	image.phdrs[0] = image.elf.note_ph;
	image.phdrs[1] = image.elf.code_ph;
	image.phdrs[2] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = -1, .p_paddr = -1 };
	image.elf.eh.e_phoff = offsetof(__typeof__(image), phdrs);
	image.elf.eh.e_phnum = 3;
	set_kernel(f, &image, sizeof(image));
	assert_works(load(f, &err));
}

static void a_segment_with_nothing_in_the_file_may_say_any_offset(void **state)
{
	struct boot_fixture *f = *state;
	struct {
		struct elf elf;
		Elf64_Phdr phdrs[3];
	} image = { .elf = good() };

	image.phdrs[0] = image.elf.note_ph;
	image.phdrs[1] = image.elf.code_ph;
	image.phdrs[2] = (Elf64_Phdr){ .p_type = PT_LOAD,
				       .p_offset = sizeof(image) + 0x10000,
				       .p_paddr = CODE_AT + 0x10000,
				       .p_memsz = BSS_BYTES };
	image.elf.eh.e_phoff = offsetof(__typeof__(image), phdrs);
	image.elf.eh.e_phnum = 3;
	set_kernel(f, &image, sizeof(image));
	assert_works(load(f, &err));
	assert_int_equal(*(uint8_t *)ram(f, CODE_AT + 0x10000), 0);

	f->entry.pc = 0;
	image.phdrs[2].p_filesz = 1;
	set_kernel(f, &image, sizeof(image));
	assert_int_equal(load(f, NULL), -EINVAL);
	assert_int_equal(f->entry.pc, 0);
}

static void the_longest_command_line_fits_and_no_longer_one(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();
	char *cmdline = calloc(1, 65537);

	memset(cmdline, 'x', 65536);
	f->conf.cmdline = cmdline;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "cmdline of 65536 bytes: this kernel takes at most 65535");
	cmdline[65535] = '\0';
	assert_works(load(f, &err));
	free(cmdline);
}

/* --- files that are no kernel --- */

#define NO_KERNEL "not a kernel: expected an ELF file with a PVH note, or a bzImage"

static void an_empty_file_is_refused(void **state)
{
	struct boot_fixture *f = *state;

	set_kernel(f, "", 0);
	assert_refused(f, EINVAL, "kernel is empty");
}

static void a_file_of_another_kind_is_refused(void **state)
{
	struct boot_fixture *f = *state;

	set_kernel(f, "#!/bin/sh\n", 10);
	assert_refused(f, ENOEXEC, NO_KERNEL);
	set_kernel(f, "\x7f", 1);
	assert_refused(f, ENOEXEC, NO_KERNEL);
}

static void what_is_no_regular_file_is_refused(void **state)
{
	struct boot_fixture *f = *state;

	f->conf.kernel = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_refused(f, EINVAL, "kernel is not a regular file");
	bf_close(&f->conf.kernel);
	f->conf.kernel = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_refused(f, EINVAL, "kernel is not a regular file");
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();
	char path[64];
	int write_only;

	set_elf(f, &elf);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->conf.kernel);
	write_only = open(path, O_WRONLY | O_CLOEXEC);
	bf_close(&f->conf.kernel);
	f->conf.kernel = write_only;
	assert_refused(f, EBADF, "read kernel: Bad file descriptor");
}

static void no_descriptor_at_all_is_an_error(void **state)
{
	struct boot_fixture *f = *state;

	f->conf.kernel = 1 << 20;
	assert_refused(f, EBADF, "kernel: Bad file descriptor");
	f->conf.kernel = -1;
}

static void an_elf_file_for_another_machine_is_refused(void **state)
{
	static const char message[] =
		"ELF file for another machine: expected x86-64, 64-bit";
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.eh.e_ident[EI_CLASS] = ELFCLASS32;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, message);
	elf = good();
	elf.eh.e_ident[EI_DATA] = ELFDATA2MSB;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, message);
	elf = good();
	elf.eh.e_machine = EM_AARCH64;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, message);
}

/* --- ELF files with mistakes --- */

static void a_truncated_file_is_refused_wherever_it_ends(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();

	set_kernel(f, &elf, 10);
	assert_refused(
		f, EINVAL,
		"kernel is truncated: needs 64 bytes at offset 0, and the file has 10");
	set_kernel(f, &elf, 100);
	assert_refused(f, EINVAL,
		       "kernel is truncated: needs 112 bytes at offset 64, and the file "
		       "has 100");
	set_kernel(f, &elf, offsetof(struct elf, note) + 4);
	assert_refused(f, EINVAL,
		       "kernel is truncated: needs 24 bytes at offset 176, and the file "
		       "has 180");
	set_kernel(f, &elf, sizeof(elf) - 1);
	assert_refused(f, EINVAL,
		       "kernel is truncated: needs 64 bytes at offset 200, and the file "
		       "has 263");
}

/* However it is cut, there is an answer. */
static void every_shorter_file_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();

	for (size_t len = 0; len < sizeof(elf); len++) {
		struct belfry_error err = { 0 };

		set_kernel(f, &elf, len);
		assert_true(load(f, &err) < 0);
		assert_string_not_equal(err.msg, "");
	}
}

static void program_headers_of_another_number_or_size_are_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.eh.e_phnum = 0;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF file with 0 program headers of 56 bytes: expected 1 to 64 "
		       "of 56");
	elf.eh.e_phnum = 65535;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF file with 65535 program headers of 56 bytes: expected 1 "
		       "to 64 of 56");
	elf.eh.e_phnum = 2;
	elf.eh.e_phentsize = 32;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF file with 2 program headers of 32 bytes: expected 1 to 64 "
		       "of 56");
}

static void offsets_beyond_the_file_are_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.eh.e_phoff = UINT64_MAX - 10;
	set_elf(f, &elf);
	assert_refused(
		f, EINVAL,
		"kernel is truncated: needs 112 bytes at offset 18446744073709551605, "
		"and the file has 264");
	elf = good();
	elf.code_ph.p_offset = UINT64_MAX - 10;
	set_elf(f, &elf);
	assert_refused(
		f, EINVAL,
		"kernel is truncated: needs 64 bytes at offset 18446744073709551605, "
		"and the file has 264");
}

static void a_segment_outside_of_ram_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.code_ph.p_paddr = RAM_SIZE - CODE_BYTES;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment of 0x1040 bytes at 0x3fffc0 is outside of RAM; "
		       "is memory too small?");
	elf.code_ph.p_paddr = UINT64_MAX - 10;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment of 0x1040 bytes at 0xfffffffffffffff5 is outside "
		       "of RAM; is memory too small?");
	elf.code_ph.p_paddr = CODE_AT;
	elf.code_ph.p_memsz = UINT64_MAX;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment of 0xffffffffffffffff bytes at 0x200000 is "
		       "outside of RAM; is memory too small?");
}

static void a_segment_where_boot_information_goes_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.code_ph.p_paddr = 0x2ffff;
	set_elf(f, &elf);
	assert_refused(
		f, EINVAL,
		"ELF segment at 0x2ffff: below 0x30000, where boot information goes");
	elf.code_ph.p_paddr = 0;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment at 0x0: below 0x30000, where boot information goes");
}

static void a_segment_where_the_acpi_tables_go_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.code_ph.p_paddr = 0xfffff;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment of 0x1040 bytes at 0xfffff: no RAM from 0xa0000 to "
		       "0x100000, where a PC has its firmware");
	elf.code_ph.p_paddr = 0xa0000 - elf.code_ph.p_memsz + 1;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment of 0x1040 bytes at 0x9efc1: no RAM from 0xa0000 to "
		       "0x100000, where a PC has its firmware");
	elf.code_ph.p_paddr--; /* its end is the end of the low RAM */
	set_elf(f, &elf);
	assert_works(load(f, &err));
}

static void a_segment_larger_in_the_file_than_in_memory_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.code_ph.p_memsz = CODE_BYTES - 1;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "ELF segment at 0x200000: more bytes in the file than in memory");
}

#define NO_NOTE "ELF file without a PVH entry note (Xen, type 18); Linux needs CONFIG_PVH"

static void a_kernel_without_the_note_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.note_ph.p_type = PT_NULL;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
	elf = good();
	elf.note.nh.n_type = 17;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
	elf = good();
	elf.note.name[0] = 'G';
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
	elf = good();
	elf.note.nh.n_descsz = 2;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
}

/* A program's segments often begin at 0, but that is not what is wrong with it. */
static void a_program_is_told_to_lack_the_note_not_where_its_segments_are(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.code_ph.p_paddr = 0;
	elf.note.name[0] = 'G';
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
	elf = good();
	elf.code_ph.p_paddr = 0;
	elf.note_ph.p_type = PT_NULL;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
}

static void notes_with_absurd_sizes_are_not_believed(void **state)
{
	static const Elf64_Nhdr absurd[] = {
		{ 4, UINT32_MAX, 18 },          { UINT32_MAX, 8, 18 },
		{ UINT32_MAX, UINT32_MAX, 18 }, { 4, 9, 18 },
		{ 0x80000000, 0x80000000, 1 },
	};
	struct boot_fixture *f = *state;
	struct elf elf = good();

	for (unsigned int i = 0; i < BF_ARRAY_LEN(absurd); i++) {
		elf.note.nh = absurd[i];
		set_elf(f, &elf);
		assert_refused(f, ENOEXEC, NO_NOTE);
	}
	elf = good();
	elf.note_ph.p_filesz = 1ULL << 40;
	set_elf(f, &elf);
	assert_refused(f, EINVAL, "ELF notes of 1099511627776 bytes: at most 65536");
	elf.note_ph.p_filesz = 0;
	set_elf(f, &elf);
	assert_refused(f, ENOEXEC, NO_NOTE);
}

static void an_entry_outside_of_ram_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	elf.note.pc = RAM_SIZE;
	set_elf(f, &elf);
	assert_refused(f, EINVAL, "PVH entry at 0x400000 is outside of RAM below 4 GiB");
	elf.note.pc = UINT64_MAX;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "PVH entry at 0xffffffffffffffff is outside of RAM below 4 GiB");
}

/* The vCPU starts with 32-bit registers. */
static void an_entry_above_4_gib_is_refused_though_there_is_ram(void **state)
{
	struct boot_fixture *f = *state;
	struct elf elf = good();

	fake_vm_destroy(f->fake);
	f->fake = fake_vm_create(0xc0000000 + MIB);
	f->conf.layout = &f->fake->vm.layout;
	elf.note.pc = 0x100000000;
	set_elf(f, &elf);
	assert_refused(f, EINVAL,
		       "PVH entry at 0x100000000 is outside of RAM below 4 GiB");
}

static void a_broken_initrd_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	const struct elf elf = good();

	set_elf(f, &elf);
	set_initrd(f, 6);
	assert_int_equal(ftruncate(f->conf.initrd, 0), 0);
	assert_refused(f, EINVAL, "initrd is empty");
	set_initrd(f, RAM_SIZE + 1);
	assert_refused(
		f, EINVAL,
		"initrd of 4194305 bytes does not fit into RAM behind the kernel, from "
		"0x202000 to 0x400000");
	set_initrd(f, 1ULL << 40);
	assert_refused(f, EINVAL,
		       "initrd of 1099511627776 bytes does not fit into RAM behind the "
		       "kernel, from 0x202000 to 0x400000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boot_test(a_kernel_is_put_where_it_says_and_entered_by_its_note),
		boot_test(the_start_info_tells_of_ram_and_command_line),
		boot_test(there_are_acpi_tables_and_a_reset_vector),
		boot_test(the_memory_map_goes_on_above_4_gib),
		boot_test(an_initrd_goes_to_the_end_of_ram_as_a_module),
		boot_test(an_initrd_may_fill_all_that_the_kernel_leaves),
		boot_test(a_note_of_4_bytes_will_do),
		boot_test(the_note_is_found_behind_others),
		boot_test(an_empty_segment_may_be_anywhere),
		boot_test(a_segment_with_nothing_in_the_file_may_say_any_offset),
		boot_test(the_longest_command_line_fits_and_no_longer_one),

		boot_test(an_empty_file_is_refused),
		boot_test(a_file_of_another_kind_is_refused),
		boot_test(what_is_no_regular_file_is_refused),
		boot_test(a_file_that_cannot_be_read_is_an_error),
		boot_test(no_descriptor_at_all_is_an_error),
		boot_test(an_elf_file_for_another_machine_is_refused),

		boot_test(a_truncated_file_is_refused_wherever_it_ends),
		boot_test(every_shorter_file_is_refused),
		boot_test(program_headers_of_another_number_or_size_are_refused),
		boot_test(offsets_beyond_the_file_are_refused),
		boot_test(a_segment_outside_of_ram_is_refused),
		boot_test(a_segment_where_boot_information_goes_is_refused),
		boot_test(a_segment_where_the_acpi_tables_go_is_refused),
		boot_test(a_segment_larger_in_the_file_than_in_memory_is_refused),
		boot_test(a_kernel_without_the_note_is_refused),
		boot_test(a_program_is_told_to_lack_the_note_not_where_its_segments_are),
		boot_test(notes_with_absurd_sizes_are_not_believed),
		boot_test(an_entry_outside_of_ram_is_refused),
		boot_test(an_entry_above_4_gib_is_refused_though_there_is_ram),
		boot_test(a_broken_initrd_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
