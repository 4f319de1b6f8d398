/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/boot_fuzz.c - any file as a kernel
 *
 * The input's first byte chooses the initrd and the command line, the rest is the kernel.
 * Either it is refused with a message, or the entry is in RAM and so is all that is to be
 * told to the guest.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/own.h"
#include "boot/boot.h"
#include "tests/fuzz/check.h"
#include "tests/unit/fake_vm.h"

#define RAM_SIZE     0x400000
#define INITRD_BYTES 0x1801

static int file_of(const void *data, size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

static void check_result(struct fake_vm *fake, int e, const struct bf_entry *entry,
			 const struct belfry_error *err)
{
	if (e < 0) {
		check(e == -EINVAL || e == -ENOEXEC);
		check(err->code == e);
		check(err->msg[0] && !strchr(err->msg, '\n'));
		check(entry->pc == 0);
		return;
	}
	check(e == 0);
	check(entry->mode == BF_ENTRY_PVH || entry->mode == BF_ENTRY_LINUX64);
	check(entry->mode == BF_ENTRY_PVH || bf_mem_at(&fake->vm, entry->aux, 4096));
	check(bf_mem_at(&fake->vm, entry->pc, 1));
	check(bf_mem_at(&fake->vm, entry->arg, 4096));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const cmdlines[] = { "", "quiet",
						"a=1234567890123456789012345678901" };
	static const uint8_t initrd[INITRD_BYTES];
	struct belfry_error err = { 0 };
	struct bf_entry entry = { 0 };
	BF_CLOSE int kernel_fd = -1;
	BF_CLOSE int initrd_fd = -1;
	struct fake_vm *fake;

	if (size == 0)
		return 0;
	kernel_fd = file_of(data + 1, size - 1);
	if (data[0] & 1)
		initrd_fd = file_of(initrd, sizeof(initrd));
	fake = fake_vm_create(RAM_SIZE);
	check_result(fake,
		     bf_boot_load(&fake->vm,
				  &(struct bf_boot_conf){
					  .kernel = kernel_fd,
					  .initrd = initrd_fd,
					  .cmdline = cmdlines[(data[0] >> 1) % 3],
					  .layout = &fake->vm.layout,
				  },
				  &entry, &err),
		     &entry, &err);
	fake_vm_destroy(fake);
	return 0;
}
