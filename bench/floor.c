/* SPDX-License-Identifier: MIT */
/* bench/floor.c - runs guests on KVM and nothing else: what any VMM's doorbells cost */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/floor.h"

#define MAX_CPUIDS  256
#define LINK_GPA    0xd0000000ULL
#define SAMPLES_GPA 0xd8000000ULL
#define BELL_GPA    0xe000000cULL
#define BELL_VECTOR 0x40
#define BELL_GSI    0
#define TSS_GPA     0xfffbd000 /* three pages that Intel's real mode may need */
#define MSI_ADDRESS 0xfee00000

#define COM1_DATA  0x3f8
#define COM1_LINE  0x3fd
#define COM1_READY 0x60
#define DEBUG_EXIT 0xf4

struct vm {
	unsigned int id;
	int fd, vcpu;
	struct kvm_run *run;
	size_t run_size;
	struct floor_ram ram;
	int bell; /* eventfd that interrupts this VM */
	int console;
	pthread_t thread;
	bool threaded, alone;

	char line[256]; /* of its console, so far */
	size_t line_used;
	struct floor_exits exits; /* written by its thread, read by any */
	int status;
};

struct floor {
	int dev_kvm;
	struct vm vms[FLOOR_VMS_MAX];
	unsigned int n;
};

static int kvm(int fd, unsigned long request, const char *name, void *arg,
	       struct belfry_error *err)
{
	int r = ioctl(fd, request, arg);

	return r < 0 ? bf_err_sys(err, errno, "floor: %s", name) : r;
}

#define KVM(fd, request, arg) \
	kvm(fd, KVM_##request, #request, (void *)(uintptr_t)(arg), err)

int floor_open_kvm(struct belfry_error *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == ENOENT ? bf_err(err, ENODEV, "/dev/kvm is missing")
			       : bf_err(err, EPERM, "/dev/kvm: %s", strerror(errno));
}

/* ---- making a VM ---- */

static int add_memory(struct vm *vm, unsigned int slot, uint64_t gpa, void *hva,
		      size_t size, struct belfry_error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return KVM(vm->fd, SET_USER_MEMORY_REGION, &region);
}

static int add_ram(struct vm *vm, size_t size, struct belfry_error *err)
{
	void *hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hva == MAP_FAILED)
		return bf_err_sys(err, errno, "floor: %zu bytes of RAM", size);
	vm->ram = (struct floor_ram){ hva, size };
	return add_memory(vm, 0, 0, hva, size, err);
}

/* The mapping stays as long as the process: there is one floor in a process's life. */
static int add_shared(struct vm *vm, unsigned int slot, uint64_t gpa,
		      struct floor_memory memory, struct belfry_error *err)
{
	void *hva;

	if (memory.fd < 0)
		return 0;
	hva = mmap(NULL, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	if (hva == MAP_FAILED)
		return bf_err_sys(err, errno, "floor: map shared memory");
	return add_memory(vm, slot, gpa, hva, memory.size, err);
}

/* Memory comes before the irqchip: that order saves milliseconds. */
static int create_vm(struct floor *f, struct vm *vm, const struct floor_config *cfg,
		     struct belfry_error *err)
{
	int r = vm->fd = KVM(f->dev_kvm, CREATE_VM, 0);

	if (r >= 0)
		r = add_ram(vm, cfg->ram_size, err);
	if (r >= 0)
		r = add_shared(vm, 1, LINK_GPA, cfg->link, err);
	if (r >= 0 && vm->id == 0)
		r = add_shared(vm, 2, SAMPLES_GPA, cfg->samples, err);
	if (r >= 0)
		r = KVM(vm->fd, SET_TSS_ADDR, TSS_GPA);
	return r < 0 ? r : KVM(vm->fd, CREATE_IRQCHIP, 0);
}

static int set_cpuid(struct floor *f, struct vm *vm, struct belfry_error *err)
{
	BF_FREE struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + MAX_CPUIDS * sizeof(cpuid->entries[0]));
	int r;

	if (!cpuid)
		return bf_err(err, ENOMEM, "floor: out of memory");
	cpuid->nent = MAX_CPUIDS;
	r = KVM(f->dev_kvm, GET_SUPPORTED_CPUID, cpuid);
	return r < 0 ? r : KVM(vm->vcpu, SET_CPUID2, cpuid);
}

static int create_vcpu(struct floor *f, struct vm *vm, struct belfry_error *err)
{
	int size = KVM(f->dev_kvm, GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (size < 0)
		return size;
	vm->vcpu = KVM(vm->fd, CREATE_VCPU, 0);
	if (vm->vcpu < 0)
		return vm->vcpu;
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (run == MAP_FAILED)
		return bf_err_sys(err, errno, "floor: map a vCPU");
	vm->run = run;
	vm->run_size = size;
	return set_cpuid(f, vm, err);
}

/* As PVH wants it: protected mode, flat segments, no paging. */
static int set_start(struct vm *vm, struct floor_start start, struct belfry_error *err)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x10,
		.type = 11,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = start.entry,
				 .rbx = start.start_info,
				 .rflags = 2 };
	struct kvm_sregs sregs;
	int r = KVM(vm->vcpu, GET_SREGS, &sregs);

	data.selector = 0x18;
	data.type = 3;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x11; /* PE, ET */
	if (r >= 0)
		r = KVM(vm->vcpu, SET_SREGS, &sregs);
	return r < 0 ? r : KVM(vm->vcpu, SET_REGS, &regs);
}

/* ---- the path that is measured ---- */

static int route_bell(struct vm *vm, struct belfry_error *err)
{
	struct kvm_irqfd interrupt = { .fd = vm->bell, .gsi = BELL_GSI };
	BF_FREE struct kvm_irq_routing *routes =
		calloc(1, sizeof(*routes) + sizeof(routes->entries[0]));
	int r;

	if (!routes)
		return bf_err(err, ENOMEM, "floor: out of memory");
	routes->nr = 1;
	routes->entries[0].gsi = BELL_GSI;
	routes->entries[0].type = KVM_IRQ_ROUTING_MSI;
	routes->entries[0].u.msi.address_lo = MSI_ADDRESS;
	routes->entries[0].u.msi.data = BELL_VECTOR;
	r = KVM(vm->fd, SET_GSI_ROUTING, routes);
	return r < 0 ? r : KVM(vm->fd, IRQFD, &interrupt);
}

/* A ring of @from's doorbell that names @to interrupts @to: the kernel needs no help. */
static int wire(struct vm *from, struct vm *to, struct belfry_error *err)
{
	struct kvm_ioeventfd doorbell = {
		.addr = BELL_GPA,
		.len = 4,
		.datamatch = to->id << 16,
		.fd = to->bell,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	int r = KVM(from->fd, IOEVENTFD, &doorbell);

	return r < 0 ? r : route_bell(to, err);
}

static int wire_all(struct floor *f, struct belfry_error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < f->n && r >= 0; i++)
		f->vms[i].bell = r = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r < 0)
		return bf_err_sys(err, errno, "floor: eventfd");
	for (unsigned int i = 0; i < f->n && r >= 0; i++)
		r = wire(&f->vms[i], &f->vms[(i + 1) % f->n], err);
	return r;
}

/* ---- running ---- */

/* As belfry does: byte by byte when it is alone, by the line when others write, too. */
static void put_char(struct vm *vm, char c)
{
	if (c == '\n' || vm->line_used < sizeof(vm->line) - 1)
		vm->line[vm->line_used++] = c;
	if (c != '\n' && !vm->alone)
		return;
	if (write(vm->console, vm->line, vm->line_used) < 0)
		vm->console = -1; /* nobody reads it: go on */
	vm->line_used = 0;
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void set_status(struct vm *vm, int status)
{
	__atomic_store_n(&vm->status, status, __ATOMIC_RELEASE);
}

static void port_access(struct vm *vm)
{
	uint8_t *data = (uint8_t *)vm->run + vm->run->io.data_offset;
	uint32_t size = vm->run->io.size * vm->run->io.count, i;
	bool out = vm->run->io.direction == KVM_EXIT_IO_OUT;

	if (out && vm->run->io.port == COM1_DATA) {
		for (i = 0; i < size; i++)
			put_char(vm, data[i]);
		count(&vm->exits.console);
	} else if (!out && vm->run->io.port == COM1_LINE) {
		memset(data, COM1_READY, size);
		count(&vm->exits.console);
	} else if (out && vm->run->io.port == DEBUG_EXIT) {
		set_status(vm, *data);
	} else {
		if (!out)
			memset(data, 0xff, size);
		count(&vm->exits.other);
	}
}

static void *run_vm(void *arg)
{
	struct vm *vm = arg;

	while (vm->status == FLOOR_RUNNING) {
		if (ioctl(vm->vcpu, KVM_RUN, 0) < 0) {
			if (errno != EINTR)
				set_status(vm, FLOOR_CRASHED);
			continue;
		}
		switch (vm->run->exit_reason) {
		case KVM_EXIT_IO:
			port_access(vm);
			break;
		case KVM_EXIT_MMIO:
			memset(vm->run->mmio.data, 0xff, sizeof(vm->run->mmio.data));
			count(&vm->exits.mmio);
			break;
		default:
			set_status(vm, FLOOR_CRASHED);
		}
	}
	return NULL;
}

static void pin(pthread_t thread, int cpu)
{
	cpu_set_t one;

	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

int floor_run(struct floor *f, const int *cpus, bool here, struct belfry_error *err)
{
	int e;

	for (unsigned int i = here ? 1 : 0; i < f->n; i++) {
		e = pthread_create(&f->vms[i].thread, NULL, run_vm, &f->vms[i]);
		if (e)
			return bf_err_sys(err, e, "floor: a thread");
		f->vms[i].threaded = true;
		pin(f->vms[i].thread, cpus[i]);
	}
	if (!here)
		return 0;
	pin(pthread_self(), cpus[0]);
	run_vm(&f->vms[0]);
	return 0;
}

int floor_status(const struct floor *f, unsigned int vm)
{
	return __atomic_load_n(&f->vms[vm].status, __ATOMIC_ACQUIRE);
}

struct floor_exits floor_exits(const struct floor *f)
{
	struct floor_exits sum = { 0 };

	for (unsigned int i = 0; i < f->n; i++) {
		const struct floor_exits *one = &f->vms[i].exits;

		sum.console += __atomic_load_n(&one->console, __ATOMIC_RELAXED);
		sum.mmio += __atomic_load_n(&one->mmio, __ATOMIC_RELAXED);
		sum.other += __atomic_load_n(&one->other, __ATOMIC_RELAXED);
	}
	return sum;
}

int floor_wait(struct floor *f)
{
	int status = 0;

	for (unsigned int i = 0; i < f->n; i++) {
		if (f->vms[i].threaded)
			pthread_join(f->vms[i].thread, NULL);
		f->vms[i].threaded = false;
		if (f->vms[i].status > status)
			status = f->vms[i].status;
	}
	return status;
}

/* ---- all of it ---- */

static int start_vm(struct floor *f, struct vm *vm, const struct floor_config *cfg,
		    struct belfry_error *err)
{
	struct floor_start start;
	char text[1024];
	int n, r;

	n = snprintf(text, sizeof(text), "%s", cfg->cmdlines[vm->id]);
	if (cfg->link.fd >= 0)
		n += snprintf(text + n, sizeof(text) - n,
			      " floor=0x%llx,0x%llx,0x%llx,0x%x,%u", BELL_GPA, LINK_GPA,
			      (unsigned long long)cfg->link.size, BELL_VECTOR, vm->id);
	if (cfg->samples.fd >= 0)
		snprintf(text + n, sizeof(text) - n, " samples=0x%llx,0x%llx",
			 SAMPLES_GPA, (unsigned long long)cfg->samples.size);
	r = create_vm(f, vm, cfg, err);
	if (r >= 0)
		r = create_vcpu(f, vm, err);
	if (r >= 0)
		r = floor_load(vm->ram, cfg, text, &start, err);
	return r < 0 ? r : set_start(vm, start, err);
}

static int start_all(struct floor *f, const struct floor_config *cfg,
		     struct belfry_error *err)
{
	int r = f->dev_kvm = floor_open_kvm(err);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < f->n; i++) {
		r = start_vm(f, &f->vms[i], cfg, err);
		if (r < 0)
			return r;
	}
	return cfg->link.fd >= 0 ? wire_all(f, err) : 0;
}

int floor_create(struct floor **out, const struct floor_config *cfg,
		 struct belfry_error *err)
{
	struct floor *f;
	int r;

	for (unsigned int i = 0; i < cfg->vms; i++)
		if (strlen(cfg->cmdlines[i]) > 800)
			return bf_err(err, EINVAL,
				      "floor: a command line of %zu characters: at most "
				      "800",
				      strlen(cfg->cmdlines[i]));
	f = calloc(1, sizeof(*f));
	if (!f)
		return bf_err(err, ENOMEM, "floor: out of memory");
	f->n = cfg->vms;
	f->dev_kvm = -1;
	for (unsigned int i = 0; i < f->n; i++)
		f->vms[i] = (struct vm){ .id = i,
					 .fd = -1,
					 .vcpu = -1,
					 .bell = -1,
					 .alone = f->n == 1,
					 .console = cfg->consoles[i],
					 .status = FLOOR_RUNNING };
	r = start_all(f, cfg, err);
	if (r < 0) {
		floor_destroy(f);
		return r;
	}
	*out = f;
	return 0;
}

void floor_destroy(struct floor *f)
{
	if (!f)
		return;
	for (unsigned int i = 0; i < f->n; i++) {
		struct vm *vm = &f->vms[i];

		if (vm->run)
			munmap(vm->run, vm->run_size);
		if (vm->ram.hva)
			munmap(vm->ram.hva, vm->ram.size);
		bf_close(&vm->vcpu);
		bf_close(&vm->fd);
		bf_close(&vm->bell);
	}
	bf_close(&f->dev_kvm);
	free(f);
}
