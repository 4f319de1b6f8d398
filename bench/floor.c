/* SPDX-License-Identifier: MIT */
/* bench/floor.c - the floor: the bare KVM path from doorbell to interrupt, with no VMM
 *
 *   floor [-n] [-m MIB] [-p PREFIX] GUEST.elf [CMDLINE [CMDLINE]]
 *
 * Starts one VM per command line, in this process, each with one vCPU and a thread pinned
 * to a CPU of its own where there are two. A doorbell is one ioeventfd, wired to the
 * irqfd of the other VM (of the same VM if there is one only). There is no PCI and no
 * device: floor=DOORBELL,MEMORY,SIZE,VECTOR,ID on the command line tells the guest where
 * things are. The guest programs are those that belfry runs, and so are the loops they
 * time: what belfry takes longer is belfry's.
 *
 * -n leaves out doorbell and shared memory, -m is the guest's RAM, -p goes before each
 * line of a console. At the end a line per VM counts the exits to user space by what they
 * were for. Exit status: the highest that a guest gave to port 0xf4.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/floor.h"

#define MAX_VMS     2
#define MAX_CPUIDS  256
#define SHARED_GPA  0xd0000000ULL
#define SHARED_SIZE (16ULL << 20)
#define BELL_GPA    0xe000000cULL
#define BELL_VECTOR 0x40
#define BELL_GSI    0
#define TSS_GPA     0xfffbd000 /* three pages that Intel's real mode may need */
#define MSI_ADDRESS 0xfee00000

#define COM1_DATA  0x3f8
#define COM1_LINE  0x3fd
#define COM1_READY 0x60
#define DEBUG_EXIT 0xf4
#define CRASHED    3 /* status of a guest that gave none */

struct options {
	const char *prefix;
	size_t ram_size;
	bool link;
};

struct vm {
	unsigned int id;
	int fd, vcpu;
	struct kvm_run *run;
	struct floor_ram ram;
	int bell; /* eventfd that interrupts this VM */
	const struct options *options;

	char line[512]; /* of its console, so far */
	size_t line_used;
	unsigned long console_exits, mmio_exits, other_exits;
	int status; /* -1 while it runs */
};

static int kvm(int fd, unsigned long request, const char *name, void *arg)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		err(CRASHED, "%s", name);
	return r;
}

#define KVM(fd, request, arg) kvm(fd, KVM_##request, #request, (void *)(uintptr_t)(arg))

/* ---- making a VM ---- */

static void add_memory(struct vm *vm, unsigned int slot, uint64_t gpa, void *hva,
		       size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	KVM(vm->fd, SET_USER_MEMORY_REGION, &region);
}

static void *get_memory(size_t size, int flags)
{
	void *hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hva == MAP_FAILED)
		err(CRASHED, "mmap of %zu bytes", size);
	return hva;
}

/* Memory comes before the irqchip: that order saves milliseconds. */
static void create_vm(int dev_kvm, struct vm *vm, void *shared)
{
	vm->fd = KVM(dev_kvm, CREATE_VM, 0);
	vm->ram.size = vm->options->ram_size;
	vm->ram.hva = get_memory(vm->ram.size, MAP_PRIVATE);
	add_memory(vm, 0, 0, vm->ram.hva, vm->ram.size);
	if (shared)
		add_memory(vm, 1, SHARED_GPA, shared, SHARED_SIZE);
	KVM(vm->fd, SET_TSS_ADDR, TSS_GPA);
	KVM(vm->fd, CREATE_IRQCHIP, 0);
}

static void create_vcpu(int dev_kvm, struct vm *vm)
{
	int size = KVM(dev_kvm, GET_VCPU_MMAP_SIZE, 0);
	struct kvm_cpuid2 *cpuid;

	vm->vcpu = KVM(vm->fd, CREATE_VCPU, 0);
	vm->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUIDS * sizeof(cpuid->entries[0]));
	if (vm->run == MAP_FAILED || !cpuid)
		err(CRASHED, "memory of a vCPU");
	cpuid->nent = MAX_CPUIDS;
	KVM(dev_kvm, GET_SUPPORTED_CPUID, cpuid);
	KVM(vm->vcpu, SET_CPUID2, cpuid);
	free(cpuid);
}

/* As PVH wants it: protected mode, flat segments, no paging. */
static void set_start(struct vm *vm, struct floor_start start)
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

	data.selector = 0x18;
	data.type = 3;
	KVM(vm->vcpu, GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x11; /* PE, ET */
	KVM(vm->vcpu, SET_SREGS, &sregs);
	KVM(vm->vcpu, SET_REGS, &regs);
}

/* ---- the path that is measured ---- */

static void route_bell(struct vm *vm)
{
	struct kvm_irqfd interrupt = { .fd = vm->bell, .gsi = BELL_GSI };
	struct kvm_irq_routing *routes;

	routes = calloc(1, sizeof(*routes) + sizeof(routes->entries[0]));
	if (!routes)
		err(CRASHED, "memory of a route");
	routes->nr = 1;
	routes->entries[0].gsi = BELL_GSI;
	routes->entries[0].type = KVM_IRQ_ROUTING_MSI;
	routes->entries[0].u.msi.address_lo = MSI_ADDRESS;
	routes->entries[0].u.msi.data = BELL_VECTOR;
	KVM(vm->fd, SET_GSI_ROUTING, routes);
	KVM(vm->fd, IRQFD, &interrupt);
	free(routes);
}

/* A ring of @from's doorbell that names @to interrupts @to: the kernel needs no help. */
static void wire(struct vm *from, struct vm *to)
{
	struct kvm_ioeventfd doorbell = {
		.addr = BELL_GPA,
		.len = 4,
		.datamatch = to->id << 16,
		.fd = to->bell,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	KVM(from->fd, IOEVENTFD, &doorbell);
	route_bell(to);
}

/* ---- running ---- */

static void end_line(struct vm *vm)
{
	printf("%s%.*s\n", vm->options->prefix, (int)vm->line_used, vm->line);
	fflush(stdout);
	vm->line_used = 0;
}

static void put_char(struct vm *vm, char c)
{
	if (c == '\n')
		end_line(vm);
	else if (vm->line_used < sizeof(vm->line))
		vm->line[vm->line_used++] = c;
}

static void port_access(struct vm *vm)
{
	uint8_t *data = (uint8_t *)vm->run + vm->run->io.data_offset;
	uint32_t size = vm->run->io.size * vm->run->io.count, i;
	bool out = vm->run->io.direction == KVM_EXIT_IO_OUT;

	if (out && vm->run->io.port == COM1_DATA) {
		for (i = 0; i < size; i++)
			put_char(vm, data[i]);
		vm->console_exits++;
	} else if (!out && vm->run->io.port == COM1_LINE) {
		memset(data, COM1_READY, size);
		vm->console_exits++;
	} else if (out && vm->run->io.port == DEBUG_EXIT) {
		vm->status = *data;
	} else {
		if (!out)
			memset(data, 0xff, size);
		vm->other_exits++;
	}
}

static void *run_vm(void *arg)
{
	struct vm *vm = arg;

	while (vm->status < 0) {
		KVM(vm->vcpu, RUN, 0);
		switch (vm->run->exit_reason) {
		case KVM_EXIT_IO:
			port_access(vm);
			break;
		case KVM_EXIT_MMIO:
			memset(vm->run->mmio.data, 0xff, sizeof(vm->run->mmio.data));
			vm->mmio_exits++;
			break;
		default:
			warnx("VM %u crashed: KVM exit reason %u", vm->id,
			      vm->run->exit_reason);
			vm->status = CRASHED;
		}
	}
	return NULL;
}

/* VM n on the nth CPU we may use, if there are enough of them. */
static void pin(pthread_t thread, unsigned int n, unsigned int vms)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all) < 0 || CPU_COUNT(&all) < (int)vms)
		return;
	for (cpu = 0; n > 0 || !CPU_ISSET(cpu, &all); cpu++)
		n -= CPU_ISSET(cpu, &all) ? 1 : 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

/* The first VM runs on this thread: to make another one would cost start-up time. */
static void run_vms(struct vm *vms, unsigned int count)
{
	pthread_t threads[MAX_VMS];
	unsigned int i;

	for (i = 1; i < count; i++) {
		if (pthread_create(&threads[i], NULL, run_vm, &vms[i]) != 0)
			errx(CRASHED, "pthread_create");
		pin(threads[i], i, count);
	}
	if (count > 1)
		pin(pthread_self(), 0, count);
	run_vm(&vms[0]);
	for (i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
}

/* ---- the program ---- */

static void start_vm(int dev_kvm, struct vm *vm, void *shared, const char *kernel,
		     const char *cmdline)
{
	char text[1024];

	create_vm(dev_kvm, vm, shared);
	create_vcpu(dev_kvm, vm);
	snprintf(text, sizeof(text), "%s", cmdline);
	if (shared)
		snprintf(text, sizeof(text), "%s floor=0x%llx,0x%llx,0x%llx,0x%x,%u",
			 cmdline, BELL_GPA, SHARED_GPA, SHARED_SIZE, BELL_VECTOR, vm->id);
	set_start(vm, floor_load(vm->ram, kernel, text));
}

static int report(const struct vm *vms, unsigned int count)
{
	int status = 0;
	unsigned int i;

	for (i = 0; i < count; i++) {
		printf("%sexits vm=%u console=%lu mmio=%lu other=%lu\n",
		       vms[i].options->prefix, i, vms[i].console_exits, vms[i].mmio_exits,
		       vms[i].other_exits);
		if (vms[i].status > status)
			status = vms[i].status;
	}
	return status;
}

static int usage(void)
{
	fprintf(stderr, "usage: floor [-n] [-m MIB] [-p PREFIX] GUEST.elf "
			"[CMDLINE [CMDLINE]]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct options options = { .prefix = "", .ram_size = 32 << 20, .link = true };
	struct vm vms[MAX_VMS];
	unsigned int count, i;
	void *shared = NULL;
	int opt, dev_kvm;

	while ((opt = getopt(argc, argv, "nm:p:")) != -1) {
		if (opt == 'n')
			options.link = false;
		else if (opt == 'm')
			options.ram_size = strtoul(optarg, NULL, 10) << 20;
		else if (opt == 'p')
			options.prefix = optarg;
		else
			return usage();
	}
	if (optind >= argc || argc - optind - 1 > MAX_VMS)
		return usage();

	dev_kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (dev_kvm < 0)
		err(CRASHED, "/dev/kvm");
	count = argc - optind == 3 ? 2 : 1;
	if (options.link)
		shared = get_memory(SHARED_SIZE, MAP_SHARED);
	for (i = 0; i < count; i++) {
		vms[i] = (struct vm){ .id = i, .options = &options, .status = -1 };
		vms[i].bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		start_vm(dev_kvm, &vms[i], shared, argv[optind],
			 argc - optind > 1 ? argv[optind + 1 + i] : "");
	}
	for (i = 0; options.link && i < count; i++)
		wire(&vms[i], &vms[(i + 1) % count]);
	run_vms(vms, count);
	return report(vms, count);
}
