/* SPDX-License-Identifier: MIT */
/*
 * vmm/ram.c - the pages behind guest RAM: one sealed memfd, mapped once
 *
 * Pages come when they are touched, except with `prefault`. Clearing gives them back, so
 * what was asked for (huge pages, all of it there) is asked for again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hugepages.h"
#include "base/number.h"
#include "base/own.h"
#include "vmm/machine.h"

/* The number behind "@name:" in /proc/meminfo, in bytes; 0 when it is not there. */
static uint64_t meminfo(const char *name)
{
	const size_t len = strlen(name);
	uint64_t kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			sscanf(line + len + 1, "%" SCNu64, &kib);
	if (file)
		fclose(file);
	return kib * 1024;
}

/* Who takes more than there is, is not told but killed: so look first. */
static int ram_check_available(uint64_t size, struct belfry_error *err)
{
	const uint64_t available = meminfo("MemAvailable") + meminfo("SwapFree");

	if (available && size > available)
		return bf_err(err, ENOMEM,
			      "prefault: the host has %" PRIu64 "M of memory available",
			      available >> 20);
	return 0;
}

/* Take all pages now, when the VM wants that. */
static int ram_populate(struct belfry_vm *vm, struct belfry_error *err)
{
	if (vm->prefault && madvise(vm->ram_map, vm->ram_size, MADV_POPULATE_WRITE) < 0)
		return bf_err_sys(err, errno == EFAULT ? ENOMEM : errno, "prefault");
	return 0;
}

static int ram_open(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = 0;

	if (vm->prefault && vm->hugepages == BF_HUGEPAGES_NONE)
		e = ram_check_available(vm->ram_size, err);
	if (e < 0)
		return e;
	vm->ram_fd = bf_hugepages_memfd("belfry-ram", vm->hugepages, vm->ram_size, err);
	if (vm->ram_fd < 0)
		return vm->ram_fd;
	fcntl(vm->ram_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	e = bf_hugepages_map(vm->ram_fd, vm->hugepages, vm->ram_size, &vm->ram_map, err);
	if (e < 0)
		return e;
	/* where shmem_enabled is "advise"; the start takes no longer (measured) */
	if (vm->hugepages == BF_HUGEPAGES_NONE)
		madvise(vm->ram_map, vm->ram_size, MADV_HUGEPAGE);
	return ram_populate(vm, err);
}

int bf_ram_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		struct belfry_error *err)
{
	int e;

	vm->hugepages = conf->hugepages;
	vm->prefault = conf->prefault;
	vm->ram_size = conf->memory;
	e = ram_open(vm, err);
	return e < 0 ? bf_err_wrap(err, e, "memory %s", bf_size_text(conf->memory).text)
		     : 0;
}

/*
 * A hole in huge pages is no longer set aside: only mapping it does that, and not in the
 * same place, which is somebody else's when that fails.
 */
int bf_ram_clear(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = 0;

	if (fallocate(vm->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      vm->ram_size) < 0)
		return bf_err_sys(err, errno, "clear guest memory");
	if (vm->hugepages != BF_HUGEPAGES_NONE) {
		munmap(bf_take_ptr(&vm->ram_map), vm->ram_size);
		e = bf_hugepages_map(vm->ram_fd, vm->hugepages, vm->ram_size,
				     &vm->ram_map, err);
	}
	return e < 0 ? e : ram_populate(vm, err);
}

void bf_ram_fini(struct belfry_vm *vm)
{
	if (vm->ram_map)
		munmap(vm->ram_map, vm->ram_size);
	bf_close(&vm->ram_fd);
}
