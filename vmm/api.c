/* SPDX-License-Identifier: MIT */
/* vmm/api.c - the public calls on a VM */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/sized.h"
#include "devices/devices.h"
#include "devices/pci.h"
#include "vmm/machine.h"

/* Of belfry_vm_console_input(): more than any serial port takes at once. */
#define CONSOLE_INPUT_MAX 4096

const char *belfry_version(void)
{
	return BELFRY_VERSION;
}

/* What callers have at least. */
#define RESULT_LEAST  BF_SIZED_LEAST(belfry_result, detail)
#define STATS_LEAST   BF_SIZED_LEAST(belfry_stats, panics)
#define IVSHMEM_LEAST BF_SIZED_LEAST(belfry_ivshmem_stats, reserved)
#define PEER_LEAST    BF_SIZED_LEAST(belfry_peer_stats, slow_rings)

/* Does it, and has it a platform? The lock is held, so that it keeps that. */
static bool vm_runs(struct belfry_vm *vm)
{
	bool runs;

	pthread_mutex_lock(&vm->state_lock);
	runs = vm->state == BF_RUNNING && vm->platform; /* no reset has failed */
	pthread_mutex_unlock(&vm->state_lock);
	return runs;
}

static int does_not_run(struct belfry_vm *vm, struct belfry_error *err)
{
	return bf_err(err, EINVAL, "VM %s does not run", vm->log.who);
}

int belfry_vm_create(const struct belfry_config *cfg, const char *name,
		     struct belfry_vm **out, struct belfry_error *err)
{
	const struct bf_vm_conf *conf;
	int e;

	if (!cfg || !name || !out)
		return bf_err_null(err, __func__);
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
		return bf_err_null(err, __func__);
	return bf_machine_start(vm, err);
}

/* What is set before the start stays as it is. */
static int want_fresh(struct belfry_vm *vm, struct belfry_error *err)
{
	bool fresh;

	pthread_mutex_lock(&vm->state_lock);
	fresh = vm->state == BF_CREATED;
	pthread_mutex_unlock(&vm->state_lock);
	return fresh ? 0 : bf_err(err, EINVAL, "VM %s: started before", vm->log.who);
}

int belfry_vm_set_events(struct belfry_vm *vm, belfry_event_fn *fn, void *user,
			 struct belfry_error *err)
{
	int e;

	if (!vm)
		return bf_err_null(err, __func__);
	e = want_fresh(vm, err);
	return e < 0 ? e : bf_events_set(vm, fn, user, err);
}

int belfry_vm_own_loop(struct belfry_vm *vm, struct belfry_error *err)
{
	int e;

	if (!vm)
		return bf_err_null(err, __func__);
	e = want_fresh(vm, err);
	return e < 0 ? e : bf_events_own_loop(vm, err);
}

int belfry_vm_set_console(struct belfry_vm *vm, belfry_console_fn *fn, void *user,
			  struct belfry_error *err)
{
	int e;

	if (!vm)
		return bf_err_null(err, __func__);
	e = want_fresh(vm, err);
	return e < 0 ? e : bf_console_set(vm, fn, user, err);
}

int belfry_vm_console_input(struct belfry_vm *vm, const void *data, size_t len,
			    struct belfry_error *err)
{
	const unsigned int some = len < CONSOLE_INPUT_MAX ? len : CONSOLE_INPUT_MAX;
	int n;

	if (!vm || (!data && len))
		return bf_err_null(err, __func__);
	bf_vm_lock(vm);
	n = vm_runs(vm) ? (int)bf_arch_console_input(vm->platform, data, some) : -EINVAL;
	bf_vm_unlock(vm);
	return n < 0 ? does_not_run(vm, err) : n;
}

int belfry_vm_process(struct belfry_vm *vm, struct belfry_error *err)
{
	if (!vm)
		return bf_err_null(err, __func__);
	if (vm->events.loop_fd < 0)
		return bf_err(err, EINVAL, "VM %s: without belfry_vm_own_loop()",
			      vm->log.who);
	return bf_events_process(vm, err);
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

	if (!vm || (result && bf_sized_check(result, RESULT_LEAST, "result", NULL) < 0))
		return -EINVAL;
	pthread_mutex_lock(&vm->state_lock);
	if (vm->state == BF_RUNNING && bf_vcpus_call(vm))
		e = EDEADLK;
	while (vm->state == BF_RUNNING && e == 0)
		e = forever ? pthread_cond_wait(&vm->state_changed, &vm->state_lock)
			    : pthread_cond_timedwait(&vm->state_changed, &vm->state_lock,
						     &until);
	if (vm->state == BF_CREATED)
		e = EINVAL;
	else if (vm->state == BF_STOPPED)
		e = 0;
	if (e == 0 && result) {
		struct belfry_result known = vm->result;

		known.size = sizeof(known);
		bf_sized_give(result, &known, RESULT_LEAST, "result", NULL);
	}
	pthread_mutex_unlock(&vm->state_lock);
	return -e;
}

int belfry_vm_fd(const struct belfry_vm *vm)
{
	if (!vm)
		return -EINVAL;
	return vm->events.loop_fd >= 0 ? vm->events.loop_fd : vm->done_fd;
}

void belfry_vm_stop(struct belfry_vm *vm)
{
	if (vm)
		bf_vm_end(vm, BELFRY_STOP_REQUESTED, 0, "stopped on request");
}

int belfry_vm_power_button(struct belfry_vm *vm, struct belfry_error *err)
{
	bool runs, heard = false;

	if (!vm)
		return bf_err_null(err, __func__);
	bf_vm_lock(vm);
	runs = vm_runs(vm);
	if (runs)
		heard = bf_arch_power_button(vm->platform);
	bf_vm_unlock(vm);
	if (!runs)
		return does_not_run(vm, err);
	bf_log(&vm->log, BELFRY_LOG_INFO, "power button pressed%s",
	       heard ? "" : "; the guest does not listen");
	return heard ? 0 : 1;
}

int belfry_vm_pause(struct belfry_vm *vm, struct belfry_error *err)
{
	if (!vm)
		return bf_err_null(err, __func__);
	return bf_vcpus_pause(vm) < 0 ? does_not_run(vm, err) : 0;
}

int belfry_vm_resume(struct belfry_vm *vm, struct belfry_error *err)
{
	if (!vm)
		return bf_err_null(err, __func__);
	return bf_vcpus_resume(vm) < 0 ? does_not_run(vm, err) : 0;
}

int belfry_vm_reset(struct belfry_vm *vm, struct belfry_error *err)
{
	if (!vm)
		return bf_err_null(err, __func__);
	return bf_vcpus_reset(vm) < 0 ? does_not_run(vm, err) : 0;
}

int belfry_vm_state(struct belfry_vm *vm)
{
	static const enum belfry_state states[] = {
		[BF_CREATED] = BELFRY_STATE_CREATED,
		[BF_RUNNING] = BELFRY_STATE_RUNNING,
		[BF_STOPPED] = BELFRY_STATE_STOPPED,
	};
	enum belfry_state state;

	if (!vm)
		return -EINVAL;
	pthread_mutex_lock(&vm->state_lock);
	state = states[vm->state];
	if (state == BELFRY_STATE_RUNNING && atomic_load(&vm->pausing))
		state = BELFRY_STATE_PAUSED;
	pthread_mutex_unlock(&vm->state_lock);
	return state;
}

int belfry_vm_stats(struct belfry_vm *vm, struct belfry_stats *out)
{
	struct belfry_stats stats = { .size = sizeof(stats) };

	if (!vm || !out)
		return -EINVAL;
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		stats.exits +=
			atomic_load_explicit(&vm->vcpus[i].exits, memory_order_relaxed);
	stats.doorbell_exits =
		atomic_load_explicit(&vm->doorbell_exits, memory_order_relaxed);
	pthread_mutex_lock(&vm->state_lock);
	stats.resets = vm->resets;
	stats.panics = vm->panics;
	pthread_mutex_unlock(&vm->state_lock);
	return bf_sized_give(out, &stats, STATS_LEAST, "stats", NULL);
}

/* The device behind @index of the VM's `devices`: slot 0 is the host bridge. */
static struct bf_pci_dev *device_at(struct belfry_vm *vm, unsigned int index)
{
	return index < BF_PCI_SLOTS - 1 ? bf_pci_bus_device(vm->pci, index + 1) : NULL;
}

int belfry_vm_ivshmem_stats(struct belfry_vm *vm, unsigned int index,
			    struct belfry_ivshmem_stats *out)
{
	struct belfry_ivshmem_stats stats = { .size = sizeof(stats) };
	struct bf_pci_dev *dev;
	int e;

	if (!vm || !out)
		return -EINVAL;
	bf_vm_lock(vm);
	dev = device_at(vm, index);
	e = dev ? bf_ivshmem_stats(dev, &stats) : -ENOENT;
	bf_vm_unlock(vm);
	return e < 0 ? -ENOENT : bf_sized_give(out, &stats, IVSHMEM_LEAST, "stats", NULL);
}

static int no_device(struct belfry_vm *vm, unsigned int index, struct belfry_error *err)
{
	return bf_err(err, ENOENT, "VM %s has no device %u", vm->log.who, index);
}

/* The lock is held. */
static int list_peers(struct bf_pci_dev *dev, struct belfry_peer_stats *out,
		      unsigned int max)
{
	const size_t size = max ? out->size : 0;
	struct belfry_peer_stats peer = { .size = sizeof(peer) };
	int id = bf_ivshmem_peer(dev, 0, &peer);
	unsigned int n = 0;

	for (; id >= 0; id = bf_ivshmem_peer(dev, id + 1, &peer), n++) {
		struct belfry_peer_stats *at = (void *)((char *)out + n * size);

		if (n >= max)
			continue;
		at->size = size;
		bf_sized_give(at, &peer, PEER_LEAST, "peers", NULL);
	}
	return id == -ENODEV ? -ENOENT : (int)n;
}

int belfry_vm_peers(struct belfry_vm *vm, unsigned int index,
		    struct belfry_peer_stats *out, unsigned int max)
{
	struct bf_pci_dev *dev;
	int n;

	if (!vm || (max && (!out || bf_sized_check(out, PEER_LEAST, "peers", NULL) < 0)))
		return -EINVAL;
	bf_vm_lock(vm);
	dev = device_at(vm, index);
	n = dev ? list_peers(dev, out, max) : -ENOENT;
	bf_vm_unlock(vm);
	return n;
}

int belfry_vm_add_doorbell(struct belfry_vm *vm, unsigned int index, uint32_t peer,
			   uint32_t vector, int eventfd, struct belfry_error *err)
{
	BF_CLOSE int fd = -1;
	struct bf_pci_dev *dev;
	int e;

	if (!vm)
		return bf_err_null(err, __func__);
	fd = fcntl(eventfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return bf_err_sys(err, errno, "eventfd");
	bf_vm_lock(vm);
	dev = device_at(vm, index);
	e = dev ? bf_ivshmem_add_doorbell(dev, peer, vector, fd, err)
		: no_device(vm, index, err);
	bf_vm_unlock(vm);
	if (e == 0)
		bf_take(&fd);
	return e;
}

int belfry_vm_remove_peer(struct belfry_vm *vm, unsigned int index, uint32_t peer,
			  struct belfry_error *err)
{
	struct bf_pci_dev *dev;
	int e;

	if (!vm)
		return bf_err_null(err, __func__);
	bf_vm_lock(vm);
	dev = device_at(vm, index);
	e = dev ? bf_ivshmem_remove_peer(dev, peer, err) : no_device(vm, index, err);
	bf_vm_unlock(vm);
	return e;
}

void belfry_vm_destroy(struct belfry_vm *vm)
{
	if (vm && bf_machine_calls(vm))
		bf_log(&vm->log, BELFRY_LOG_ERROR,
		       "belfry_vm_destroy() by a callback: not destroyed");
	else
		bf_machine_destroy(vm);
}
