/* SPDX-License-Identifier: MIT */
/* tests/unit/ivshmem_plain_test.c - a device without doorbells: where its memory comes
 * from */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/ivshmem_test.h"

#define SHARED 0x10000

/* A VM, a name for POSIX shared memory, a path: both removed afterwards. */
struct fixture {
	struct fake_vm *fake;
	int fds_before;
	char folder[32];
	char path[64];
	char name[64];
};

static int make(void **state)
{
	static struct fixture f;

	f.fds_before = count_descriptors();
	f.fake = fake_vm_create(0x100000);
	fake_vm_add_pci(f.fake);
	snprintf(f.folder, sizeof(f.folder), "/tmp/belfry-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/shared", f.folder);
	snprintf(f.name, sizeof(f.name), "belfry-test-%d", getpid());
	*state = &f;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *f = *state;

	fake_vm_destroy(f->fake);
	unlink(f->path);
	rmdir(f->folder);
	shm_unlink(f->name);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static struct bf_ivshmem_conf conf_shm(struct fixture *f, uint64_t size)
{
	struct bf_ivshmem_conf conf = conf_empty();

	conf.shm.path = f->name;
	conf.size = size;
	return conf;
}

static struct bf_ivshmem_conf conf_file(struct fixture *f, uint64_t size)
{
	struct bf_ivshmem_conf conf = conf_empty();

	conf.file.path = f->path;
	conf.size = size;
	return conf;
}

static struct bf_ivshmem_conf conf_fd(int fd, uint64_t size)
{
	struct bf_ivshmem_conf conf = conf_empty();

	conf.file.fd = fd;
	conf.size = size;
	return conf;
}

static int create(const struct fixture *f, struct bf_ivshmem_conf conf,
		  struct belfry_error *err)
{
	return bf_ivshmem_ops.create(&f->fake->vm, &conf, err);
}

/* BAR 2 of the device in @slot. */
static const struct bf_region *memory(const struct fixture *f, unsigned int slot)
{
	return region_at(f->fake, bar_base(f->fake, slot, IVSHMEM_BAR_MEMORY));
}

/* Make the file, with @size bytes that start with "here". */
static void make_file(const struct fixture *f, off_t size)
{
	BF_CLOSE int fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	if (size > 0)
		assert_int_equal(write(fd, "here", 4), 4);
	assert_int_equal(ftruncate(fd, size), 0);
}

/* Its size; -1 when it is not there. */
static off_t size_of_file(const struct fixture *f)
{
	struct stat st;

	return stat(f->path, &st) < 0 ? -1 : st.st_size;
}

static off_t size_of_shm(const struct fixture *f)
{
	BF_CLOSE int fd = shm_open(f->name, O_RDONLY, 0);
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 ? -1 : st.st_size;
}

/* --- who looks after it --- */

static void a_loop_is_needed_for_memory_that_may_shrink_alone(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	BF_CLOSE int sealed = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, SHARED), 0);
	assert_int_equal(ftruncate(sealed, SHARED), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_works(create(f, conf_fd(sealed, SHARED), &err));
	assert_int_equal(f->fake->loops, 0);
	assert_works(create(f, conf_fd(fd, SHARED), &err));
	assert_int_equal(f->fake->loops, 1);
}

/* --- what it is --- */

static void a_plain_device_has_no_vectors_and_no_capabilities(void **state)
{
	struct fixture *f = *state;
	struct bf_pci_bus *bus = f->fake->vm.pci;

	assert_works(create(f, conf_shm(f, SHARED), &err));
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_VENDOR_ID, 4), 0x11101af4);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_CLASS_REVISION, 4), 0x05000001);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_STATUS, 2), 0);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_CAPABILITY_LIST, 1), 0);
	bf_pci_config_write(bus, 1, PCI_BASE_ADDRESS_1, -1, 4);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_BASE_ADDRESS_1, 4), 0);
}

static void its_position_is_0_and_its_doorbell_rings_nobody(void **state)
{
	struct fixture *f = *state;
	uint64_t regs;

	assert_works(create(f, conf_shm(f, SHARED), &err));
	map_bars(f->fake);
	regs = bar_base(f->fake, 1, IVSHMEM_BAR_REGS);
	fake_write(f->fake, regs + IVSHMEM_DOORBELL, 0, 4);
	assert_int_equal(fake_read(f->fake, regs + IVSHMEM_IVPOSITION, 4), 0);
	assert_int_equal(f->fake->n_bells, 0);
	assert_int_equal(f->fake->doorbell_exits, 0);
}

static void its_other_registers_work(void **state)
{
	struct fixture *f = *state;
	uint64_t regs;

	assert_works(create(f, conf_shm(f, SHARED), &err));
	map_bars(f->fake);
	regs = bar_base(f->fake, 1, IVSHMEM_BAR_REGS);
	fake_write(f->fake, regs + IVSHMEM_INTR_MASK, 3, 4);
	fake_write(f->fake, regs + IVSHMEM_INTR_STATUS, 1, 4);
	assert_int_equal(fake_read(f->fake, regs + IVSHMEM_INTR_MASK, 4), 3);
	assert_int_equal(fake_read(f->fake, regs + IVSHMEM_INTR_STATUS, 4), 1);
	assert_int_equal(fake_read(f->fake, regs + IVSHMEM_INTR_STATUS, 4), 0);
}

static void two_devices_on_one_name_share_their_bytes(void **state)
{
	struct fixture *f = *state;

	assert_works(create(f, conf_shm(f, SHARED), &err));
	assert_works(create(f, conf_shm(f, SHARED), &err));
	map_bars(f->fake);
	memcpy(memory(f, 1)->ram, "bell", 4);
	assert_memory_equal(memory(f, 2)->ram, "bell", 4);
}

static void the_schema_sees_two_devices_of_one_vm_on_one_name(void **state)
{
	struct fixture *f = *state;
	const struct bf_ivshmem_conf conf = conf_shm(f, SHARED);
	struct belfry_error err;

	assert_int_equal(bf_ivshmem_ops.clash(&conf, &conf, &err), -EINVAL);
}

/* --- where memory comes from --- */

static void shared_memory_is_created_when_absent_and_stays(void **state)
{
	struct fixture *f = *state;

	assert_works(create(f, conf_shm(f, SHARED), &err));
	map_bars(f->fake);
	assert_int_equal(memory(f, 1)->size, SHARED);
	assert_int_equal(*(const char *)memory(f, 1)->ram, 0);
	assert_int_equal(size_of_shm(f), SHARED);
}

static void a_file_is_created_when_absent_for_its_owner_alone(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_works(create(f, conf_file(f, SHARED), &err));
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, SHARED);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void what_is_there_keeps_its_contents(void **state)
{
	struct fixture *f = *state;

	make_file(f, SHARED);
	assert_works(create(f, conf_file(f, SHARED), &err));
	map_bars(f->fake);
	assert_memory_equal(memory(f, 1)->ram, "here", 4);
}

static void of_a_larger_file_the_beginning_is_used(void **state)
{
	struct fixture *f = *state;

	make_file(f, 3 * SHARED);
	assert_works(create(f, conf_file(f, SHARED), &err));
	map_bars(f->fake);
	assert_int_equal(memory(f, 1)->size, SHARED);
	assert_memory_equal(memory(f, 1)->ram, "here", 4);
	assert_int_equal(size_of_file(f), 3 * SHARED);
}

/* Another VM may have created it a moment ago. */
static void an_empty_file_is_given_its_size(void **state)
{
	struct fixture *f = *state;

	make_file(f, 0);
	assert_works(create(f, conf_file(f, SHARED), &err));
	assert_int_equal(size_of_file(f), SHARED);
}

static void a_descriptor_is_used_and_stays_the_callers(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int fd = memfd_create("shared", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, SHARED), 0);
	assert_int_equal(pwrite(fd, "here", 4, 0), 4);
	assert_works(create(f, conf_fd(fd, SHARED), &err));
	map_bars(f->fake);
	assert_memory_equal(memory(f, 1)->ram, "here", 4);
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

/* --- what cannot be --- */

/* The device is refused, and the message names its memory. */
static void assert_refused(const struct fixture *f, struct bf_ivshmem_conf conf,
			   int errno_, const char *why)
{
	const bool is_shm = conf.shm.path;
	char message[252];

	snprintf(message, sizeof(message), "%s %s: %s", is_shm ? "shm" : "file",
		 is_shm ? conf.shm.path : conf.file.path, why);
	assert_fails(create(f, conf, &err), errno_, message);
}

static void a_smaller_file_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;

	make_file(f, 4096);
	assert_refused(f, conf_file(f, SHARED), EINVAL,
		       "shared memory has 4096 bytes, and 65536 are asked for");
	assert_int_equal(size_of_file(f), 4096);
}

static void smaller_shared_memory_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int fd = shm_open(f->name, O_RDWR | O_CREAT, 0600);

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_refused(f, conf_shm(f, SHARED), EINVAL,
		       "shared memory has 4096 bytes, and 65536 are asked for");
	assert_int_equal(size_of_shm(f), 4096);
}

static void a_smaller_descriptor_is_refused_and_not_resized(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int fd = memfd_create("shared", MFD_CLOEXEC);
	struct stat st;

	assert_fails(
		create(f, conf_fd(fd, 4096), &err), EINVAL,
		"file descriptor: shared memory has 0 bytes, and 4096 are asked for");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void what_was_created_goes_when_the_device_cannot_be_made(void **state)
{
	struct fixture *f = *state;

	assert_refused(
		f, conf_file(f, 3 << 20), EINVAL,
		"shared memory has 3145728 bytes, not a power of two; 4M would do");
	assert_int_equal(size_of_file(f), -1);
	assert_refused(f, conf_shm(f, 2048), EINVAL,
		       "shared memory has 2048 bytes, less than a page; 4k would do");
	assert_int_equal(size_of_shm(f), -1);
}

static void a_size_that_no_file_can_have_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, conf_file(f, 1ULL << 63), EINVAL,
		       "size 9223372036854775808: Invalid argument");
	assert_int_equal(size_of_file(f), -1);
}

static void a_path_that_cannot_be_opened_is_an_error(void **state)
{
	struct fixture *f = *state;

	snprintf(f->path, sizeof(f->path), "%s/no/shared", f->folder);
	assert_refused(f, conf_file(f, SHARED), ENOENT, "No such file or directory");
	snprintf(f->path, sizeof(f->path), "%s", f->folder);
	assert_refused(f, conf_file(f, SHARED), EISDIR, "Is a directory");
}

static void a_name_that_cannot_be_is_an_error(void **state)
{
	struct fixture *f = *state;

	snprintf(f->name, sizeof(f->name), "a/b");
	assert_refused(f, conf_shm(f, SHARED), EINVAL, "Invalid argument");
}

static void a_closed_descriptor_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_fails(create(f, conf_fd(1 << 20, SHARED), &err), EBADF,
		     "file descriptor: Bad file descriptor");
}

static void the_code_comes_without_a_message_too(void **state)
{
	struct fixture *f = *state;

	snprintf(f->path, sizeof(f->path), "%s/no/shared", f->folder);
	assert_int_equal(create(f, conf_file(f, SHARED), NULL), -ENOENT);
	assert_int_equal(create(f, conf_shm(f, 1ULL << 63), NULL), -EINVAL);
}

static void a_full_bus_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned int slot = 1; slot < BF_PCI_SLOTS; slot++)
		assert_works(create(f, conf_shm(f, 4096), &err));
	assert_fails(create(f, conf_shm(f, 4096), &err), ENOSPC,
		     "all 32 PCI slots are taken");
}

#define plain_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		plain_test(a_loop_is_needed_for_memory_that_may_shrink_alone),
		plain_test(a_plain_device_has_no_vectors_and_no_capabilities),
		plain_test(its_position_is_0_and_its_doorbell_rings_nobody),
		plain_test(its_other_registers_work),
		plain_test(two_devices_on_one_name_share_their_bytes),
		plain_test(the_schema_sees_two_devices_of_one_vm_on_one_name),

		plain_test(shared_memory_is_created_when_absent_and_stays),
		plain_test(a_file_is_created_when_absent_for_its_owner_alone),
		plain_test(what_is_there_keeps_its_contents),
		plain_test(of_a_larger_file_the_beginning_is_used),
		plain_test(an_empty_file_is_given_its_size),
		plain_test(a_descriptor_is_used_and_stays_the_callers),

		plain_test(a_smaller_file_is_refused_and_kept),
		plain_test(smaller_shared_memory_is_refused_and_kept),
		plain_test(a_smaller_descriptor_is_refused_and_not_resized),
		plain_test(what_was_created_goes_when_the_device_cannot_be_made),
		plain_test(a_size_that_no_file_can_have_is_an_error),
		plain_test(a_path_that_cannot_be_opened_is_an_error),
		plain_test(a_name_that_cannot_be_is_an_error),
		plain_test(a_closed_descriptor_is_an_error),
		plain_test(the_code_comes_without_a_message_too),
		plain_test(a_full_bus_leaves_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
