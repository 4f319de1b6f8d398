/* SPDX-License-Identifier: MIT */
/*
 * vmm/vcpu.c - the vCPU threads: run the guest, answer its exits
 *
 * One thread per vCPU. All exist from the start; KVM holds those that wait for INIT and
 * SIPI inside KVM_RUN. A thread leaves its loop when vm->ending is set, and the last one
 * to leave declares the VM stopped.
 *
 * Getting a vCPU out of KVM_RUN needs a signal, but a library must not install handlers.
 * The threads block every signal; KVM_SET_SIGNAL_MASK unblocks SIGURG inside KVM_RUN
 * alone, which returns EINTR when it is pending (Documentation/virt/kvm/api.rst, 4.19).
 * The signal is never delivered, so no handler is needed, and one that was sent between
 * the look at vm->ending and KVM_RUN is not lost.
 *
 * Pausing: vm->pausing keeps vCPUs outside, and who set it waits until all of them are.
 * A vCPU is outside while it is parked, and while it hands over console output: it may be
 * the very thread that pauses who reads that. It says so before it looks at vm->pausing,
 * and the other one sets that before it looks who is outside, so one of the two sees the
 * other (sequentially consistent, both).
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "base/own.h"
#include "base/thread.h"
#include "vmm/machine.h"

#define KICK_SIGNAL SIGURG

/* What is rare is compiled for size. */
#define RARE __attribute__((cold))

/*
 * A vCPU thread calls a dozen functions deep, and a console callback. The C library takes
 * the thread-local variables of the whole program off it. What is not touched costs
 * nothing.
 */
#define STACK_BYTES (1024 * 1024)

/* Get every vCPU out of KVM_RUN; the state lock is held. */
static void vcpus_kick(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].has_thread)
			pthread_kill(vm->vcpus[i].thread, KICK_SIGNAL);
}

/* Get every vCPU to its thread's end; the state lock is held. */
RARE static void vcpus_end(struct belfry_vm *vm)
{
	atomic_store(&vm->ending, true);
	eventfd_write(vm->end_fd, 1);
	pthread_cond_broadcast(&vm->state_changed); /* for those that are parked */
	vcpus_kick(vm);
}

RARE void bf_vm_end(struct belfry_vm *vm, enum belfry_stop reason, unsigned int status,
		    const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&vm->state_lock);
	if (vm->result.reason == 0 || vm->again) {
		vm->again = reason == BELFRY_STOP_RESET && vm->restarts;
		vm->result.reason = reason;
		vm->result.status = status;
		va_start(ap, fmt);
		vsnprintf(vm->result.detail, sizeof(vm->result.detail), fmt, ap);
		va_end(ap);
		vcpus_end(vm);
	}
	pthread_mutex_unlock(&vm->state_lock);
}

bool bf_vcpus_call(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].has_thread &&
		    pthread_equal(vm->vcpus[i].thread, pthread_self()))
			return true;
	return false;
}

/* Return: 0; -EINVAL when the VM does not run, or is about to stop. */
RARE int bf_vcpus_reset(struct belfry_vm *vm)
{
	bool runs;

	pthread_mutex_lock(&vm->state_lock);
	runs = vm->state == BF_RUNNING && (vm->result.reason == 0 || vm->again);
	if (runs) {
		vm->again = true;
		vm->result.reason = BELFRY_STOP_RESET;
		vcpus_end(vm);
	}
	pthread_mutex_unlock(&vm->state_lock);
	return runs ? 0 : -EINVAL;
}

static bool vcpus_outside(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		if (!atomic_load(&vm->vcpus[i].outside))
			return false;
	return true;
}

/* Return: 0; -EINVAL when the VM does not run, or has stopped in the meantime. */
RARE int bf_vcpus_pause(struct belfry_vm *vm)
{
	bool runs;

	pthread_mutex_lock(&vm->state_lock);
	if (vm->state == BF_RUNNING) {
		atomic_store(&vm->pausing, true);
		vcpus_kick(vm);
	}
	while (vm->state == BF_RUNNING && atomic_load(&vm->pausing) && !vcpus_outside(vm))
		pthread_cond_wait(&vm->state_changed, &vm->state_lock);
	runs = vm->state == BF_RUNNING;
	pthread_mutex_unlock(&vm->state_lock);
	return runs ? 0 : -EINVAL;
}

/* Return: 0; -EINVAL when the VM does not run. */
int bf_vcpus_resume(struct belfry_vm *vm)
{
	bool runs;

	pthread_mutex_lock(&vm->state_lock);
	runs = vm->state == BF_RUNNING;
	atomic_store(&vm->pausing, false);
	pthread_cond_broadcast(&vm->state_changed);
	pthread_mutex_unlock(&vm->state_lock);
	return runs ? 0 : -EINVAL;
}

/* This vCPU is about to wait for somebody else. Not with a lock. */
static void vcpu_leave(struct bf_vcpu *vcpu)
{
	struct belfry_vm *vm = vcpu->vm;

	atomic_store(&vcpu->outside, true);
	if (!atomic_load(&vm->pausing))
		return;
	pthread_mutex_lock(&vm->state_lock);
	pthread_cond_broadcast(&vm->state_changed);
	pthread_mutex_unlock(&vm->state_lock);
}

/* And is done with that; vm->pausing is to be looked at before the guest runs. */
static void vcpu_return(struct bf_vcpu *vcpu)
{
	atomic_store(&vcpu->outside, false);
}

static void vcpu_park(struct bf_vcpu *vcpu)
{
	struct belfry_vm *vm = vcpu->vm;

	vcpu_leave(vcpu);
	pthread_mutex_lock(&vm->state_lock);
	while (atomic_load(&vm->pausing) && !atomic_load(&vm->ending))
		pthread_cond_wait(&vm->state_changed, &vm->state_lock);
	pthread_mutex_unlock(&vm->state_lock);
	vcpu_return(vcpu);
	ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL,
	      0); /* a guest with kvmclock may want to know */
}

static void handle_mmio(struct bf_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct belfry_vm *vm = vcpu->vm;

	bf_vm_lock(vm);
	if (run->mmio.is_write)
		bf_bus_write(&vm->mem, run->mmio.phys_addr, run->mmio.data,
			     run->mmio.len);
	else
		bf_bus_read(&vm->mem, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	bf_vm_unlock(vm);
}

/* String instructions bring several items of the same width. */
static void handle_io(struct bf_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct belfry_vm *vm = vcpu->vm;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	bf_vm_lock(vm);
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bf_bus_write(&vm->ports, run->io.port, data, run->io.size);
		else
			bf_bus_read(&vm->ports, run->io.port, data, run->io.size);
	}
	bf_vm_unlock(vm);
	vcpu_leave(vcpu);
	bf_console_flush(vm);
	vcpu_return(vcpu);
}

static void handle_system_event(struct bf_vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		bf_vm_end(vcpu->vm, BELFRY_STOP_POWEROFF, 0, "power off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		bf_vm_end(vcpu->vm, BELFRY_STOP_RESET, 0, "reset");
		break;
	default:
		bf_vm_end(vcpu->vm, BELFRY_STOP_CRASH, 0, "system event %u",
			  vcpu->run->system_event.type);
	}
}

/* KVM can do no more. Without hardware it emulates, and few kernels get through. */
RARE static void handle_internal_error(struct bf_vcpu *vcpu, uint64_t pc)
{
	static const char *const names[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "emulation failed",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous exceptions",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "event delivery failed",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "unexpected exit",
	};
	const uint32_t n = vcpu->run->internal.suberror;

	bf_vm_end(vcpu->vm, BELFRY_STOP_CRASH, 0,
		  "vCPU %u: KVM internal error %u (%s) at 0x%" PRIx64 "%s", vcpu->id, n,
		  n < BF_ARRAY_LEN(names) && names[n] ? names[n] : "unknown", pc,
		  bf_arch_has_hardware() ? ""
					 : "; the host has no hardware virtualization");
}

static void handle_exit(struct bf_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct belfry_vm *vm = vcpu->vm;
	uint64_t pc;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		return;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return;
	case KVM_EXIT_INTR:
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(vcpu);
		return;
	}

	pc = bf_arch_vcpu_pc(vcpu->fd);
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		bf_vm_end(vm, BELFRY_STOP_CRASH, 0, "vCPU %u: triple fault", vcpu->id);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		handle_internal_error(vcpu, pc);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		bf_vm_end(vm, BELFRY_STOP_CRASH, 0,
			  "vCPU %u: entry failed, hardware reason 0x%" PRIx64
			  " at 0x%" PRIx64,
			  vcpu->id,
			  (uint64_t)run->fail_entry.hardware_entry_failure_reason, pc);
		break;
	default:
		bf_vm_end(vm, BELFRY_STOP_CRASH, 0, "vCPU %u: exit %u at 0x%" PRIx64,
			  vcpu->id, run->exit_reason, pc);
	}
}

/*
 * Take a signal that is pending, or it would end every KVM_RUN at once: a kick of the
 * life before, or one that somebody has sent to the whole process.
 */
static void vcpu_forget_kick(void)
{
	const struct timespec now = { 0 };
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	while (sigtimedwait(&kick, NULL, &now) > 0)
		;
}

/* KVM_RUN itself failed. */
RARE static void handle_run_error(struct bf_vcpu *vcpu, int code)
{
	struct belfry_vm *vm = vcpu->vm;

	switch (code) {
	case EINTR:
		if (!atomic_load(&vm->ending))
			vcpu_forget_kick();
		break;
	case EAGAIN: /* INIT woke a vCPU that waits for SIPI */
		break;
	case EFAULT: /* memory behind a slot has gone: a shared file was made smaller */
		bf_vm_end(vm, BELFRY_STOP_HOST_ERROR, 0,
			  "vCPU %u: guest memory is not there any more at 0x%" PRIx64
			  ": was a shared file truncated?",
			  vcpu->id, bf_arch_vcpu_pc(vcpu->fd));
		break;
	default:
		bf_vm_end(vm, BELFRY_STOP_HOST_ERROR, 0, "vCPU %u: KVM_RUN: %s", vcpu->id,
			  strerrordesc_np(code));
	}
}

/* @vm->state_lock is held. */
RARE static void vm_stopped(struct belfry_vm *vm)
{
	vm->state = BF_STOPPED;
	bf_events_post(vm, BELFRY_EVENT_STOPPED);
	eventfd_write(vm->done_fd, 1);
	pthread_cond_broadcast(&vm->state_changed);
}

/* All threads are out of the guest, which asked for a reset; @vm->state_lock is held. */
RARE static void vm_restart(struct belfry_vm *vm)
{
	struct belfry_error err;
	eventfd_t n;
	int e;

	pthread_mutex_unlock(&vm->state_lock);
	e = bf_machine_reset(vm, &err);
	if (e == 0)
		bf_log(&vm->log, BELFRY_LOG_INFO, "has been reset, and starts again");
	pthread_mutex_lock(&vm->state_lock);
	if (e < 0 && vm->again) { /* not stopped meanwhile */
		vm->again = false;
		vm->result.reason = BELFRY_STOP_HOST_ERROR;
		snprintf(vm->result.detail, sizeof(vm->result.detail), "reset: %.100s",
			 err.msg);
	}
	if (!vm->again) { /* or stopped meanwhile */
		vm_stopped(vm);
		return;
	}
	vm->again = false;
	vm->result = (struct belfry_result){ 0 };
	eventfd_read(vm->end_fd, &n);
	atomic_store(&vm->ending, false);
	vm->running = vm->n_vcpus;
	vm->resets++;
	bf_events_post(vm, BELFRY_EVENT_RESET);
	pthread_cond_broadcast(&vm->state_changed);
}

/*
 * This vCPU is out of the guest. The last one decides: the VM has stopped, or starts
 * again. Return: whether it does.
 */
static bool vcpu_again(struct belfry_vm *vm)
{
	uint64_t resets;
	bool again;

	pthread_mutex_lock(&vm->state_lock);
	resets = vm->resets;
	if (--vm->running > 0)
		while (vm->state == BF_RUNNING && vm->resets == resets)
			pthread_cond_wait(&vm->state_changed, &vm->state_lock);
	else if (vm->again)
		vm_restart(vm);
	else
		vm_stopped(vm);
	again = vm->state == BF_RUNNING;
	pthread_mutex_unlock(&vm->state_lock);
	return again;
}

static void vcpu_run(struct bf_vcpu *vcpu)
{
	while (!atomic_load_explicit(&vcpu->vm->ending, memory_order_acquire)) {
		int r;

		if (atomic_load(&vcpu->vm->pausing)) {
			vcpu_park(vcpu);
			continue;
		}
		r = ioctl(vcpu->fd, KVM_RUN, 0);
		atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
		if (r < 0)
			handle_run_error(vcpu, errno);
		else
			handle_exit(vcpu);
	}
}

static void *vcpu_main(void *arg)
{
	struct bf_vcpu *vcpu = arg;

	/* until all are there, the start has it */
	pthread_mutex_lock(&vcpu->vm->state_lock);
	pthread_mutex_unlock(&vcpu->vm->state_lock);
	do {
		vcpu_return(vcpu);
		vcpu_forget_kick();
		vcpu_run(vcpu);
		vcpu_leave(vcpu);
		bf_console_drain(vcpu->vm);
	} while (vcpu_again(vcpu->vm));
	if (vcpu->id == 0)
		bf_log(&vcpu->vm->log, BELFRY_LOG_INFO, "stopped: %s",
		       vcpu->vm->result.detail);
	return NULL;
}

static int vcpu_set_signal_mask(struct bf_vcpu *vcpu, struct belfry_error *err)
{
	const uint64_t blocked = ~(1ULL << (KICK_SIGNAL - 1)); /* the kernel's sigset_t */
	struct { /* struct kvm_signal_mask with its flexible part */
		uint32_t len;
		uint8_t sigset[sizeof(blocked)];
	} mask = { .len = sizeof(blocked) };

	memcpy(mask.sigset, &blocked, sizeof(blocked));
	if (ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask) < 0)
		return bf_err_sys(err, errno, "vCPU %u: signal mask", vcpu->id);
	return 0;
}

static int vcpu_create(struct belfry_vm *vm, struct bf_vcpu *vcpu,
		       struct belfry_error *err)
{
	int size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;
	int e;

	vcpu->fd = ioctl(vm->vm, KVM_CREATE_VCPU, vcpu->id);
	if (vcpu->fd < 0)
		return bf_err_sys(err, errno, "vCPU %u", vcpu->id);
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return bf_err_sys(err, errno, "vCPU %u: map", vcpu->id);
	vcpu->run = run;
	vcpu->run_size = size;
	e = vcpu_set_signal_mask(vcpu, err);
	return e < 0 ? e : bf_arch_vcpu_init(vm, vcpu->fd, vcpu->id, err);
}

RARE int bf_vcpus_create(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = 0;

	for (unsigned int i = 0; i < vm->n_vcpus && e == 0; i++)
		e = vcpu_create(vm, &vm->vcpus[i], err);
	if (e < 0)
		return e;
	return bf_arch_vcpu_entry(vm, vm->vcpus[0].fd, &vm->entry, err);
}

static int first_cpu(const cpu_set_t *set)
{
	int cpu = 0;

	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, set))
		cpu++;
	return cpu;
}

static int vcpu_start(struct bf_vcpu *vcpu, struct belfry_error *err)
{
	struct belfry_vm *vm = vcpu->vm;
	pthread_attr_t attr;
	int e = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (vm->affinity)
		e = pthread_attr_setaffinity_np(&attr, sizeof(cpu_set_t),
						&vm->affinity[vcpu->id]);
	if (e == 0)
		e = bf_thread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
	pthread_attr_destroy(&attr);
	if (e == EINVAL && vm->affinity)
		return bf_err(
			err, EINVAL,
			"VM %s: affinity: host CPU %d, for vCPU %u, is not there or "
			"not allowed",
			vm->log.who, first_cpu(&vm->affinity[vcpu->id]), vcpu->id);
	if (e)
		return bf_err_sys(err, e, "vCPU %u: thread", vcpu->id);
	vcpu->has_thread = true;
	return 0;
}

/* vm->state_lock is held, so that none runs the guest before all are there. */
RARE int bf_vcpus_start(struct belfry_vm *vm, struct belfry_error *err)
{
	int e = 0;

	for (unsigned int i = 0; i < vm->n_vcpus && e == 0; i++) {
		e = vcpu_start(&vm->vcpus[i], err);
		if (e == 0)
			vm->running++;
	}
	return e;
}

/* Those that are there end without having run the guest. vm->state_lock is held. */
RARE void bf_vcpus_start_failed(struct belfry_vm *vm)
{
	if (vm->result.reason == 0) {
		vm->result.reason = BELFRY_STOP_HOST_ERROR;
		strcpy(vm->result.detail, "start failed");
	}
	vcpus_end(vm);
	if (vm->running == 0)
		vm_stopped(vm);
	while (vm->state == BF_RUNNING)
		pthread_cond_wait(&vm->state_changed, &vm->state_lock);
}

static void vcpu_close(struct bf_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	vcpu->run = NULL;
	bf_close(&vcpu->fd);
}

/* After bf_vm_end(). */
RARE void bf_vcpus_join(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].has_thread)
			pthread_join(vm->vcpus[i].thread, NULL);
}

RARE void bf_vcpus_close(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		vcpu_close(&vm->vcpus[i]);
}
