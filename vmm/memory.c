/* SPDX-License-Identifier: MIT */
/*
 * vmm/memory.c - KVM's memory slots, and the map of the guest-physical space
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/own.h"
#include "vmm/machine.h"

static int slot_alloc(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < BF_ARRAY_LEN(vm->slots); i++) {
		if (vm->slots[i] == UINT64_MAX)
			continue;
		unsigned int bit = __builtin_ctzll(~vm->slots[i]);

		vm->slots[i] |= 1ULL << bit;
		return i * 64 + bit;
	}
	return -ENOSPC;
}

static void slot_free(struct belfry_vm *vm, int slot)
{
	vm->slots[slot / 64] &= ~(1ULL << slot % 64);
}

/* @size 0 deletes the slot. */
static int slot_set(struct belfry_vm *vm, const struct bf_region *r, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = r->slot,
		.guest_phys_addr = r->base,
		.memory_size = size,
		.userspace_addr = (uintptr_t)r->ram,
	};

	return ioctl(vm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int bf_vm_map(struct belfry_vm *vm, struct bf_region *r, struct belfry_error *err)
{
	int e = bf_bus_add(&vm->mem, r, err);

	if (e < 0 || !r->ram)
		return e;
	r->slot = slot_alloc(vm);
	if (r->slot < 0) {
		bf_bus_remove(&vm->mem, r);
		return bf_err(err, ENOSPC, "%s: no memory slot left of %zu", r->name,
			      BF_ARRAY_LEN(vm->slots) * 64);
	}
	e = slot_set(vm, r, r->size);
	if (e < 0) {
		slot_free(vm, r->slot);
		bf_bus_remove(&vm->mem, r);
		return bf_err_sys(err, -e, "%s: memory slot at 0x%" PRIx64, r->name,
				  r->base);
	}
	return 0;
}

void bf_vm_unmap(struct belfry_vm *vm, struct bf_region *r)
{
	bf_bus_remove(&vm->mem, r);
	if (!r->ram)
		return;
	slot_set(vm, r, 0);
	slot_free(vm, r->slot);
}

int bf_vm_map_ports(struct belfry_vm *vm, struct bf_region *r, struct belfry_error *err)
{
	return bf_bus_add(&vm->ports, r, err);
}

void *bf_mem_at(struct belfry_vm *vm, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < vm->n_ram; i++) {
		struct bf_region *r = &vm->ram[i];

		if (gpa >= r->base && len <= r->size && gpa - r->base <= r->size - len)
			return (char *)r->ram + (gpa - r->base);
	}
	return NULL;
}

static int reserve(struct belfry_vm *vm, struct belfry_error *err)
{
	for (unsigned int i = 0; i < BF_LAYOUT_SPANS && vm->layout.reserved[i].size;
	     i++) {
		struct bf_region *r = &vm->reserved[i];

		r->name = "interrupt controller";
		r->base = vm->layout.reserved[i].base;
		r->size = vm->layout.reserved[i].size;
		int e = bf_vm_map(vm, r, err);

		if (e < 0)
			return e;
	}
	return 0;
}

int bf_vm_claim_file(struct belfry_vm *vm, uint64_t dev, uint64_t ino)
{
	for (unsigned int i = 0; i < vm->n_claims; i++)
		if (vm->claims[i].dev == dev && vm->claims[i].ino == ino)
			return -EBUSY;
	if (vm->n_claims == BF_CLAIMS_MAX)
		return -ENOSPC;
	vm->claims[vm->n_claims].dev = dev;
	vm->claims[vm->n_claims].ino = ino;
	vm->n_claims++;
	return 0;
}

/* Each span of the layout is a part of RAM. */
static void lay_out(struct belfry_vm *vm)
{
	uint64_t done = 0;

	for (unsigned int i = 0; i < BF_LAYOUT_SPANS && vm->layout.ram[i].size; i++) {
		vm->ram[i] = (struct bf_region){
			.name = "RAM",
			.base = vm->layout.ram[i].base,
			.size = vm->layout.ram[i].size,
			.ram = (char *)vm->ram_map + done,
		};
		done += vm->ram[i].size;
		vm->n_ram++;
	}
}

int bf_memory_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		   struct belfry_error *err)
{
	int e = bf_ram_init(vm, conf, err);

	if (e == 0)
		lay_out(vm);
	return e;
}

int bf_memory_clear(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = bf_ram_clear(vm, err);

	vm->n_ram = 0;
	if (e == 0)
		lay_out(vm);
	return e;
}

int bf_memory_map(struct belfry_vm *vm, struct belfry_error *err)
{
	for (unsigned int i = 0; i < vm->n_ram; i++) {
		int e = bf_vm_map(vm, &vm->ram[i], err);

		if (e < 0)
			return e;
	}
	return reserve(vm, err);
}

void bf_memory_unmap(struct belfry_vm *vm)
{
	bf_bus_fini(&vm->mem);
	bf_bus_fini(&vm->ports);
	memset(vm->slots, 0, sizeof(vm->slots));
}

void bf_memory_fini(struct belfry_vm *vm)
{
	bf_ram_fini(vm);
	bf_memory_unmap(vm);
}
