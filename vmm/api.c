/* SPDX-License-Identifier: MIT */
/* vmm/api.c - the public calls on a VM */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "devices/devices.h"
#include "devices/pci.h"
#include "vmm/machine.h"

const char *belfry_version(void)
{
	return BELFRY_VERSION;
}

int belfry_vm_create(const struct belfry_config *cfg, const char *name,
		     struct belfry_vm **out, struct belfry_error *err)
{
	const struct bf_vm_conf *conf;
	int e;

	if (!cfg || !name || !out)
		return bf_err(err, EINVAL, "belfry_vm_create: NULL argument");
	conf = bf_config_vm(cfg, name);
	if (!conf)
		return bf_err(err, ENOENT, "vms.%s: there is no such VM", name);
	e = belfry_config_validate(cfg, err);
	if (e < 0)
		return e;
	e = bf_machine_create(out, cfg, conf, err);
	return e < 0 ? bf_err_wrap(err, e, "vms.%s", name) : 0;
}

int belfry_vm_start(struct belfry_vm *vm, struct belfry_error *err)
{
	if (!vm)
		return bf_err(err, EINVAL, "belfry_vm_start: NULL argument");
	return bf_machine_start(vm, err);
}

/* The absolute CLOCK_MONOTONIC time @timeout_ns from now. */
static struct timespec deadline(uint64_t timeout_ns)
{
	const uint64_t when = bf_now_ns() + timeout_ns;

	return (struct timespec){ when / BF_NS_PER_S, when % BF_NS_PER_S };
}

int belfry_vm_wait(struct belfry_vm *vm, uint64_t timeout_ns,
		   struct belfry_result *result)
{
	const bool forever = timeout_ns > INT64_MAX;
	struct timespec until = forever ? (struct timespec){ 0 } : deadline(timeout_ns);
	int e = 0;

	if (!vm || (result && result->size < sizeof(*result)))
		return -EINVAL;
	pthread_mutex_lock(&vm->state_lock);
	while (vm->state == BF_RUNNING && e == 0)
		e = forever ? pthread_cond_wait(&vm->state_changed, &vm->state_lock)
			    : pthread_cond_timedwait(&vm->state_changed, &vm->state_lock,
						     &until);
	if (vm->state == BF_CREATED)
		e = EINVAL;
	else if (vm->state == BF_STOPPED)
		e = 0;
	if (e == 0 && result) {
		size_t size = result->size;

		*result = vm->result;
		result->size = size;
	}
	pthread_mutex_unlock(&vm->state_lock);
	return -e;
}

int belfry_vm_fd(const struct belfry_vm *vm)
{
	return vm ? vm->done_fd : -EINVAL;
}

void belfry_vm_stop(struct belfry_vm *vm)
{
	if (vm)
		bf_vm_end(vm, BELFRY_STOP_REQUESTED, 0, "stopped on request");
}

int belfry_vm_stats(struct belfry_vm *vm, struct belfry_stats *stats)
{
	size_t size;

	if (!vm || !stats || stats->size < sizeof(*stats))
		return -EINVAL;
	size = stats->size;
	*stats = (struct belfry_stats){ .size = size };
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		stats->exits +=
			atomic_load_explicit(&vm->vcpus[i].exits, memory_order_relaxed);
	stats->doorbell_exits =
		atomic_load_explicit(&vm->doorbell_exits, memory_order_relaxed);
	return 0;
}

/* The device behind @index of the VM's `devices`: slot 0 is the host bridge. */
static struct bf_pci_dev *device_at(struct belfry_vm *vm, unsigned int index)
{
	return index < BF_PCI_SLOTS - 1 ? bf_pci_bus_device(vm->pci, index + 1) : NULL;
}

int belfry_vm_ivshmem_stats(struct belfry_vm *vm, unsigned int index,
			    struct belfry_ivshmem_stats *stats)
{
	struct bf_pci_dev *dev;
	size_t size;
	int e;

	if (!vm || !stats || stats->size < sizeof(*stats))
		return -EINVAL;
	size = stats->size;
	*stats = (struct belfry_ivshmem_stats){ .size = size };
	bf_vm_lock(vm);
	dev = device_at(vm, index);
	e = dev ? bf_ivshmem_stats(dev, stats) : -ENOENT;
	bf_vm_unlock(vm);
	return e;
}

int belfry_vm_peers(struct belfry_vm *vm, unsigned int index,
		    struct belfry_peer_stats *peers, unsigned int max)
{
	struct bf_pci_dev *dev;
	int n;

	if (!vm || (!peers && max))
		return -EINVAL;
	bf_vm_lock(vm);
	dev = device_at(vm, index);
	n = dev ? bf_ivshmem_peers(dev, peers, max) : -ENOENT;
	bf_vm_unlock(vm);
	return n;
}

void belfry_vm_destroy(struct belfry_vm *vm)
{
	bf_machine_destroy(vm);
}
