/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/boot_test.h - what the tests of the loaders share: a VM, and files to load
 */
#ifndef BF_BOOT_TEST_H
#define BF_BOOT_TEST_H

#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/own.h"
#include "boot/boot.h"
#include "tests/descriptors.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define RAM_SIZE 0x400000ULL
#define MIB      0x100000ULL

struct boot_fixture {
	struct fake_vm *fake;
	struct bf_boot_conf conf;
	struct bf_entry entry;
	int fds_before;
};

/* A file of @size bytes that start with @data of @len bytes (returns). */
static inline int file_of(const void *data, size_t len, uint64_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, 0), len);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static inline int boot_make(void **state)
{
	static struct boot_fixture f;

	f = (struct boot_fixture){ .fds_before = count_descriptors(),
				   .fake = fake_vm_create(RAM_SIZE) };
	f.conf = (struct bf_boot_conf){
		.kernel = -1, .initrd = -1, .cmdline = "", .layout = &f.fake->vm.layout
	};
	*state = &f;
	return 0;
}

static inline int boot_unmake(void **state)
{
	struct boot_fixture *f = *state;

	fake_vm_destroy(f->fake);
	bf_close(&f->conf.kernel);
	bf_close(&f->conf.initrd);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

#define boot_test(f) cmocka_unit_test_setup_teardown(f, boot_make, boot_unmake)

static inline void set_kernel(struct boot_fixture *f, const void *data, size_t len)
{
	bf_close(&f->conf.kernel);
	f->conf.kernel = file_of(data, len, len);
}

static inline void set_initrd(struct boot_fixture *f, uint64_t size)
{
	bf_close(&f->conf.initrd);
	f->conf.initrd = file_of("initrd", 6, size);
}

static inline int load(struct boot_fixture *f, struct belfry_error *err)
{
	return bf_boot_load(&f->fake->vm, &f->conf, &f->entry, err);
}

/* The kernel is refused, with this code and message, and no entry is given. */
#define assert_refused(f, errno_, message)                    \
	do {                                                  \
		assert_fails(load(f, &err), errno_, message); \
		assert_int_equal((f)->entry.pc, 0);           \
	} while (0)

/* What a guest is to be told of its memory: RAM 1, reserved 2, ACPI tables 3. */
static const struct {
	uint64_t addr, size;
	uint32_t type;
} memory_map[] = {
	{ 0, 0xa0000, 1 },
	{ 0xe0000, 0x10000, 3 },
	{ 0xf0000, 0x10000, 2 }, /* where a PC has its firmware */
	{ MIB, RAM_SIZE - MIB, 1 },
	{ 0xe8000000, MIB, 2 },        /* PCI configuration space */
	{ 0xfec00000, 0x1400000, 2 },  /* APICs */
	{ 0x100000000, 0x40000000, 1 } /* of set_high_ram() */
};

#define MAP_LOW 6 /* as many as there are without RAM above 4 GiB */

static inline void set_high_ram(struct boot_fixture *f, struct bf_layout *layout)
{
	*layout = f->fake->vm.layout;
	layout->ram[1] = (struct bf_span){ 0x100000000, 0x40000000 };
	f->conf.layout = layout;
}

#define assert_memory_map(map, n)                                              \
	do {                                                                   \
		for (unsigned int i_ = 0; i_ < (n); i_++) {                    \
			assert_int_equal((map)[i_].addr, memory_map[i_].addr); \
			assert_int_equal((map)[i_].size, memory_map[i_].size); \
			assert_int_equal((map)[i_].type, memory_map[i_].type); \
		}                                                              \
	} while (0)

/* mov $0xcf9, %dx; mov $6, %al; out %al, %dx: a guest in real mode resets itself. */
#define assert_reset_vector(f) \
	assert_memory_equal(ram(f, 0xffff0), "\xba\xf9\x0c\xb0\x06\xee", 6)

/* Host address of guest memory. */
static inline void *ram(const struct boot_fixture *f, uint64_t gpa)
{
	return bf_mem_at(&f->fake->vm, gpa, 1);
}

#endif
