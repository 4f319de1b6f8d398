/* SPDX-License-Identifier: MIT */
/* tests/guest/vm_test.h - what the tests of VMs share: configurations, and running them
 */
#ifndef BF_VM_TEST_H
#define BF_VM_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit_test.h"

#define SECOND 1000000000ULL
#define LIMIT  (30 * SECOND) /* for guests that end by themselves */

static inline const char *build(void)
{
	const char *dir = getenv("BELFRY_BUILD");

	return dir ? dir : "build/x86_64";
}

static inline struct belfry_config *config(const char *yaml)
{
	struct belfry_config *cfg = NULL;

	assert_works(belfry_config_create(&cfg, &err));
	assert_works(belfry_config_load_string(cfg, "test", yaml, &err));
	return cfg;
}

static inline void set(struct belfry_config *cfg, const char *path, const char *value)
{
	assert_works(belfry_config_set(cfg, path, value, &err));
}

static inline void set_fd(struct belfry_config *cfg, const char *path, int fd)
{
	assert_works(belfry_config_set_fd(cfg, path, fd, &err));
}

static inline void set_guest(struct belfry_config *cfg, const char *path,
			     const char *guest)
{
	char file[256];

	snprintf(file, sizeof(file), "%s/guests/%s.elf", build(), guest);
	set(cfg, path, file);
}

/* One VM, named "vm", of 32 MiB and without devices. */
static inline struct belfry_config *one_vm(const char *guest, const char *cmdline)
{
	struct belfry_config *cfg = config("vms: { vm: { kernel: x, memory: 32M } }");

	set_guest(cfg, "vms.vm.kernel", guest);
	set(cfg, "vms.vm.cmdline", cmdline);
	return cfg;
}

/* Two VMs, named "a" and "b", that idle, with a link of two vectors between them. */
static inline struct belfry_config *two_vms(void)
{
	static const char yaml[] =
		"links: { ring: { size: 1M, vectors: 2 } }\n"
		"vms:\n"
		"  a: { kernel: x, memory: 32M, devices: [ ivshmem: { link: ring } ] }\n"
		"  b: { kernel: x, memory: 32M, devices: [ ivshmem: { link: ring } ] }\n";
	struct belfry_config *cfg = config(yaml);

	set_guest(cfg, "vms.a.kernel", "idle");
	set_guest(cfg, "vms.b.kernel", "idle");
	return cfg;
}

/* Host the links of @cfg, with VMs @a and @b on them. */
static inline struct belfry_links *host_links(struct belfry_config *cfg, const char *a,
					      const char *b)
{
	struct belfry_links *links = NULL;

	assert_works(belfry_links_create(cfg, &links, &err));
	assert_works(belfry_links_join(links, cfg, a, &err));
	assert_works(belfry_links_join(links, cfg, b, &err));
	assert_works(belfry_links_start(links, &err));
	return links;
}

static inline struct belfry_vm *create(struct belfry_config *cfg, const char *name)
{
	struct belfry_vm *vm = NULL;

	assert_works(belfry_vm_create(cfg, name, &vm, &err));
	return vm;
}

static inline struct belfry_vm *start(struct belfry_config *cfg, const char *name)
{
	struct belfry_vm *vm = create(cfg, name);

	assert_works(belfry_vm_start(vm, &err));
	return vm;
}

static inline struct belfry_result wait_for(struct belfry_vm *vm)
{
	struct belfry_result result = { .size = sizeof(result) };

	assert_int_equal(belfry_vm_wait(vm, LIMIT, &result), 0);
	return result;
}

#endif
