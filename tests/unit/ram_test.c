/* SPDX-License-Identifier: MIT */
/* tests/unit/ram_test.c - the pages behind guest RAM, vmm/ram.c */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/unit_test.h"
#include "vmm/machine.h"

#define MIB   (1ULL << 20)
#define SIZE  (8 * MIB)
#define PAGE  4096
#define PAGES (SIZE / PAGE)

static int init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		struct belfry_error *err)
{
	*vm = (struct belfry_vm){ .ram_fd = -1 };
	return bf_ram_init(vm, conf, err);
}

/* How many pages of RAM are there. */
static unsigned int resident(const struct belfry_vm *vm)
{
	static unsigned char pages[PAGES];
	unsigned int n = 0;

	assert_int_equal(mincore(vm->ram_map, SIZE, pages), 0);
	for (unsigned int i = 0; i < PAGES; i++)
		n += pages[i] & 1;
	return n;
}

static void pages_come_when_they_are_touched(void **state)
{
	const struct bf_vm_conf conf = { .memory = SIZE };
	struct belfry_vm vm;

	assert_int_equal(init(&vm, &conf, NULL), 0);
	assert_int_equal(resident(&vm), 0);
	*((char *)vm.ram_map + 5 * PAGE) = 1;
	assert_in_range(resident(&vm), 1, 512); /* or the huge page around it */
	bf_ram_fini(&vm);
}

static void prefault_has_all_of_them_from_the_start(void **state)
{
	const struct bf_vm_conf conf = { .memory = SIZE, .prefault = true };
	struct belfry_vm vm;

	assert_int_equal(init(&vm, &conf, NULL), 0);
	assert_int_equal(resident(&vm), PAGES);
	bf_ram_fini(&vm);
}

static void clearing_empties_ram_and_keeps_its_place(void **state)
{
	const struct bf_vm_conf conf = { .memory = SIZE };
	struct belfry_vm vm;
	void *before;

	assert_int_equal(init(&vm, &conf, NULL), 0);
	before = vm.ram_map;
	memset(vm.ram_map, 0xa5, SIZE);
	assert_int_equal(bf_ram_clear(&vm, NULL), 0);
	assert_ptr_equal(vm.ram_map, before);
	assert_int_equal(resident(&vm), 0);
	for (unsigned int i = 0; i < PAGES; i++)
		assert_int_equal(((char *)vm.ram_map)[i * PAGE], 0);
	bf_ram_fini(&vm);
}

static void with_prefault_they_are_there_again_after_clearing(void **state)
{
	const struct bf_vm_conf conf = { .memory = SIZE, .prefault = true };
	struct belfry_vm vm;

	assert_int_equal(init(&vm, &conf, NULL), 0);
	memset(vm.ram_map, 0xa5, SIZE);
	assert_int_equal(bf_ram_clear(&vm, NULL), 0);
	assert_int_equal(resident(&vm), PAGES);
	assert_int_equal(((char *)vm.ram_map)[SIZE - 1], 0);
	bf_ram_fini(&vm);
}

/* Any memory does: only mapping it again matters. */
static void what_lies_where_ram_was_when_clearing_has_failed_is_left_alone(void **state)
{
	const struct bf_vm_conf conf = { .memory = SIZE };
	struct belfry_vm vm;
	char *before, *there, path[32];
	int fd;

	assert_int_equal(init(&vm, &conf, NULL), 0);
	vm.hugepages = BF_HUGEPAGES_2M;
	before = vm.ram_map;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", vm.ram_fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	close(vm.ram_fd);
	vm.ram_fd = fd; /* which cannot be mapped */
	assert_int_equal(bf_ram_clear(&vm, NULL), -EACCES);
	there = mmap(before, SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(there, before);
	bf_ram_fini(&vm);
	there[SIZE - 1] = 1;
	munmap(there, SIZE);
}

static void prefault_of_more_than_the_host_has_is_refused(void **state)
{
	const struct bf_vm_conf conf = { .memory = MIB << 20, .prefault = true };
	struct belfry_error err = { 0 };
	struct belfry_vm vm;

	assert_int_equal(init(&vm, &conf, &err), -ENOMEM);
	assert_non_null(strstr(err.msg, "memory 1T: prefault: the host has "));
	assert_non_null(strstr(err.msg, "M of memory available"));
	bf_ram_fini(&vm);
}

static void ram_keeps_its_size(void **state)
{
	const struct bf_vm_conf conf = { .memory = SIZE };
	struct belfry_vm vm;

	assert_int_equal(init(&vm, &conf, NULL), 0);
	assert_int_equal(ftruncate(vm.ram_fd, PAGE), -1);
	assert_int_equal(errno, EPERM);
	bf_ram_fini(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_come_when_they_are_touched),
		cmocka_unit_test(prefault_has_all_of_them_from_the_start),
		cmocka_unit_test(clearing_empties_ram_and_keeps_its_place),
		cmocka_unit_test(with_prefault_they_are_there_again_after_clearing),
		cmocka_unit_test(
			what_lies_where_ram_was_when_clearing_has_failed_is_left_alone),
		cmocka_unit_test(prefault_of_more_than_the_host_has_is_refused),
		cmocka_unit_test(ram_keeps_its_size),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
