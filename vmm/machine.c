/* SPDX-License-Identifier: MIT */
/*
 * vmm/machine.c - the whole machine, wired in order and taken down in reverse
 *
 * A machine has two lives. What it owns on the host (RAM, kernel image, devices and their
 * membership of links) lasts from create to destroy. What KVM has of it is made at power
 * on and thrown away as a whole at power off; a reset is one after the other, so that no
 * state of the old life can be forgotten.
 *
 * The order is the one KVM likes best: a memory slot that is set after the interrupt
 * controller was made waits for an RCU grace period of several milliseconds, and so does
 * one set after an ioeventfd (measured on Linux 6.18). So devices join their links first,
 * which tells the size of every BAR; then come all memory slots, then the interrupt
 * controller and the vCPUs, then the doorbells.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/loop.h"
#include "base/number.h"
#include "base/own.h"
#include "base/thread.h"
#include "boot/boot.h"
#include "devices/devices.h"
#include "devices/pci.h"
#include "vmm/machine.h"

void bf_vm_lock(struct belfry_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
}

void bf_vm_unlock(struct belfry_vm *vm)
{
	pthread_mutex_unlock(&vm->lock);
}

const struct bf_log *bf_vm_log(const struct belfry_vm *vm)
{
	return &vm->log;
}

struct bf_pci_bus *bf_vm_pci(struct belfry_vm *vm)
{
	return vm->pci;
}

int bf_vm_kvm(const struct belfry_vm *vm)
{
	return vm->kvm;
}

int bf_vm_kvm_vm(const struct belfry_vm *vm)
{
	return vm->vm;
}

unsigned int bf_vm_cpus(const struct belfry_vm *vm)
{
	return vm->n_vcpus;
}

int bf_vm_loop(struct belfry_vm *vm, struct bf_loop **out, struct belfry_error *err)
{
	int e = vm->loop ? 0 : bf_loop_create(&vm->loop, err);

	if (e == 0)
		*out = vm->loop;
	return e;
}

void bf_vm_count_doorbell_exit(struct belfry_vm *vm)
{
	atomic_fetch_add_explicit(&vm->doorbell_exits, 1, memory_order_relaxed);
}

/*
 * vCPU i runs on the i-th host CPU of the list; the list starts again when it is short.
 */
static int machine_affinity(struct belfry_vm *vm, const char *list,
			    struct belfry_error *err)
{
	unsigned int cpus[CPU_SETSIZE];
	int n;

	if (!list)
		return 0;
	n = bf_parse_cpus(list, 0, CPU_SETSIZE - 1, cpus, CPU_SETSIZE);
	if (n < 1 || n > CPU_SETSIZE)
		return bf_err(err, EINVAL, "affinity %s: at most %d host CPUs, 0 to %d",
			      list, CPU_SETSIZE, CPU_SETSIZE - 1);
	vm->affinity = calloc(vm->n_vcpus, sizeof(*vm->affinity));
	if (!vm->affinity)
		return bf_err_sys(err, ENOMEM, "affinity");
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		CPU_SET(cpus[i % n], &vm->affinity[i]);
	return 0;
}

/* The caller's descriptor when it gave one, else the file. */
static int machine_open(const struct bf_file *file, const char *what,
			struct belfry_error *err)
{
	int fd = file->fd >= 0 ? fcntl(file->fd, F_DUPFD_CLOEXEC, 3)
			       : open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return bf_err_sys(err, errno, "%s %s", what,
				  file->path ? file->path : "descriptor");
	return fd;
}

/* What is read again after a reset is kept open. */
static int machine_open_images(struct belfry_vm *vm, const struct bf_vm_conf *conf,
			       struct belfry_error *err)
{
	vm->cmdline = strdup(conf->cmdline ? conf->cmdline : "");
	if (!vm->cmdline)
		return bf_err_sys(err, ENOMEM, "cmdline");
	vm->kernel = machine_open(&conf->kernel, "kernel", err);
	if (vm->kernel < 0)
		return vm->kernel;
	if (!bf_file_given(&conf->initrd))
		return 0;
	vm->initrd = machine_open(&conf->initrd, "initrd", err);
	return vm->initrd < 0 ? vm->initrd : 0;
}

static int machine_load(struct belfry_vm *vm, struct belfry_error *err)
{
	const struct bf_boot_conf conf = {
		.kernel = vm->kernel,
		.initrd = vm->initrd,
		.cmdline = vm->cmdline,
		.layout = &vm->layout,
	};

	return bf_boot_load(vm, &conf, &vm->entry, err);
}

static int machine_devices(struct belfry_vm *vm, const struct bf_vm_conf *conf,
			   struct belfry_error *err)
{
	int e = bf_pci_bus_create(vm, &vm->layout, &vm->pci, err);

	for (unsigned int i = 0; i < conf->n_devices && e == 0; i++) {
		const struct bf_device_conf *dev = &conf->devices[i];

		e = dev->ops->create(vm, dev->conf, err);
		if (e < 0)
			bf_err_wrap(err, e, "devices.%u.%s", i, dev->ops->name);
	}
	return e;
}

static int machine_state_init(struct belfry_vm *vm, struct belfry_error *err)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->state_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->state_changed, &attr);
	pthread_condattr_destroy(&attr);
	vm->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->end_fd < 0 || vm->done_fd < 0)
		return bf_err_sys(err, errno, "eventfd");
	return 0;
}

/* Make all that KVM has of the machine, with its RAM loaded. */
static int machine_power_on(struct belfry_vm *vm, struct belfry_error *err)
{
	int e;

	if ((e = bf_kvm_create_vm(vm, err)) < 0 || (e = bf_arch_vm_init(vm, err)) < 0 ||
	    (e = bf_memory_map(vm, err)) < 0 ||
	    (e = bf_pci_map_memory(vm->pci, err)) < 0 ||
	    (e = bf_arch_irqchip(vm, err)) < 0 || (e = bf_irq_init(vm, err)) < 0 ||
	    (e = bf_arch_platform_create(vm, &vm->platform, err)) < 0 ||
	    (e = bf_vcpus_create(vm, err)) < 0)
		return e;
	return bf_pci_map_registers(vm->pci, err);
}

/* Closing KVM's VM does away with all slots, routes, irqfds and ioeventfds. */
static void machine_power_off(struct belfry_vm *vm)
{
	bf_vcpus_close(vm);
	bf_close(&vm->vm);
	bf_arch_platform_destroy(vm->platform);
	vm->platform = NULL;
	bf_irq_fini(vm);
	bf_memory_unmap(vm);
}

static int machine_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
			struct belfry_error *err)
{
	int e;

	if ((e = machine_state_init(vm, err)) < 0 ||
	    (e = machine_affinity(vm, conf->affinity, err)) < 0 ||
	    (e = bf_kvm_open(vm, err)) < 0 || (e = bf_arch_phys_bits(vm->kvm, err)) < 0)
		return e;
	vm->mem.limit = 1ULL << e;
	vm->ports.limit = 1ULL << 16;
	if ((e = bf_arch_layout(conf->memory, vm->mem.limit, &vm->layout, err)) < 0 ||
	    (e = bf_memory_init(vm, conf, err)) < 0 ||
	    (e = machine_open_images(vm, conf, err)) < 0)
		return e;
	e = machine_load(vm, err);
	if (e < 0)
		return bf_err_wrap(err, e, "kernel %s",
				   conf->kernel.path ? conf->kernel.path : "descriptor");
	if ((e = machine_devices(vm, conf, err)) < 0 ||
	    (e = machine_power_on(vm, err)) < 0)
		return e;
	return bf_console_init(vm, conf, err); /* last, as it empties the file */
}

int bf_machine_reset(struct belfry_vm *vm, struct belfry_error *err)
{
	int e;

	bf_vm_lock(vm);
	machine_power_off(vm);
	bf_pci_bus_reset(vm->pci);
	e = bf_memory_clear(vm, err);
	if (e == 0)
		e = machine_load(vm, err);
	if (e == 0)
		e = machine_power_on(vm, err);
	bf_vm_unlock(vm);
	return e;
}

int bf_machine_create(struct belfry_vm **out, const struct belfry_config *cfg,
		      const struct bf_vm_conf *conf, struct belfry_error *err)
{
	struct belfry_vm *vm = calloc(1, sizeof(*vm));
	int e;

	if (!vm)
		return bf_err_sys(err, ENOMEM, "VM %s", conf->name);
	vm->end_fd = vm->done_fd = vm->kvm = vm->vm = vm->ram_fd = vm->console.fd = -1;
	vm->kernel = vm->initrd = -1;
	vm->events.fd = vm->events.loop_fd = -1;
	vm->console.in.fd = vm->console.in.wake = vm->console.pty.slave = -1;
	vm->restarts = conf->on_reset == BF_ON_RESET_RESTART;
	vm->log = cfg->log;
	snprintf(vm->log.who, sizeof(vm->log.who), "%s", conf->name);
	vm->vcpus = calloc(conf->cpus, sizeof(*vm->vcpus));
	for (; vm->vcpus && vm->n_vcpus < conf->cpus; vm->n_vcpus++)
		vm->vcpus[vm->n_vcpus] =
			(struct bf_vcpu){ .vm = vm, .id = vm->n_vcpus, .fd = -1 };
	e = vm->vcpus ? machine_init(vm, conf, err) : bf_err_sys(err, ENOMEM, "vCPUs");
	if (e < 0) {
		bf_machine_destroy(vm);
		return e;
	}
	*out = vm;
	return 0;
}

static void *loop_main(void *arg)
{
	struct belfry_vm *vm = arg;
	int e = bf_loop_run(vm->loop);

	if (e < 0)
		bf_log(&vm->log, BELFRY_LOG_ERROR, "event loop: %s", strerrordesc_np(-e));
	return NULL;
}

static int machine_start_loop(struct belfry_vm *vm, struct belfry_error *err)
{
	int e;

	if (!vm->loop)
		return 0;
	if (vm->events.loop_fd >= 0) { /* so that it polls readable in time */
		bf_loop_submit(vm->loop);
		return 0;
	}
	e = bf_thread_create(&vm->loop_thread, NULL, loop_main, vm);
	if (e)
		return bf_err_sys(err, e, "event loop: thread");
	vm->has_loop_thread = true;
	return 0;
}

static int machine_run(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = machine_start_loop(vm, err);

	if (e == 0)
		e = bf_vcpus_start(vm, err);
	if (e < 0)
		return e;
	bf_pci_bus_started(vm->pci);
	bf_events_post(vm, BELFRY_EVENT_STARTED);
	return 0;
}

/* A start that fails half-way leaves a VM that has stopped. */
int bf_machine_start(struct belfry_vm *vm, struct belfry_error *err)
{
	int e;

	pthread_mutex_lock(&vm->state_lock);
	if (vm->state == BF_CREATED) {
		vm->state = BF_RUNNING;
		e = machine_run(vm, err);
		if (e < 0)
			bf_vcpus_start_failed(vm);
	} else {
		e = bf_err(err, EINVAL, "VM %s: started before", vm->log.who);
	}
	pthread_mutex_unlock(&vm->state_lock);
	if (e == 0)
		bf_log(&vm->log, BELFRY_LOG_INFO, "started: %u vCPU%s, %s of RAM",
		       vm->n_vcpus, vm->n_vcpus == 1 ? "" : "s",
		       bf_size_text(vm->ram_size).text);
	return e;
}

bool bf_machine_calls(struct belfry_vm *vm)
{
	const pthread_t self = pthread_self();
	const struct bf_events *events = &vm->events;
	bool own;

	pthread_mutex_lock(&vm->state_lock);
	own = bf_vcpus_call(vm) ||
	      (vm->has_loop_thread && pthread_equal(vm->loop_thread, self)) ||
	      (events->processed && pthread_equal(events->processor, self));
	pthread_mutex_unlock(&vm->state_lock);
	return own;
}

void bf_machine_destroy(struct belfry_vm *vm)
{
	if (!vm)
		return;
	bf_vm_end(vm, BELFRY_STOP_REQUESTED, 0, "destroyed");
	bf_vcpus_join(vm);
	if (vm->has_loop_thread) {
		bf_loop_wake(vm->loop);
		pthread_join(vm->loop_thread, NULL);
	}
	bf_events_fini(vm);
	bf_console_fini(vm);
	if (vm->pci)
		bf_pci_bus_reset(vm->pci); /* what peers still tell reaches no KVM */
	machine_power_off(vm);
	bf_pci_bus_destroy(vm->pci);
	bf_loop_destroy(vm->loop);
	bf_memory_fini(vm);
	bf_close(&vm->initrd);
	bf_close(&vm->kernel);
	free(vm->cmdline);
	bf_close(&vm->kvm);
	free(vm->vcpus);
	free(vm->affinity);
	bf_close(&vm->done_fd);
	bf_close(&vm->end_fd);
	pthread_cond_destroy(&vm->state_changed);
	pthread_mutex_destroy(&vm->state_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
