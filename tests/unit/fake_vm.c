/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/fake_vm.c - a machine without KVM: vmm/vmm.h for tests, all of it recorded
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/own.h"
#include "devices/pci.h"
#include "tests/unit/fake_vm.h"

#define HOLE  0xc0000000ULL
#define ABOVE 0x100000000ULL

static struct fake_vm *fake_of(const struct belfry_vm *vm)
{
	return BF_CONTAINER_OF(vm, struct fake_vm, vm);
}

/* Not assert(): NDEBUG must not switch the checks off. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fake_vm: broken: %s\n", what);
	abort();
}

/* --- the machine --- */

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

/* A loop that nobody runs: those who would use it are fakes as well. */
int bf_vm_loop(struct belfry_vm *vm, struct bf_loop **out, struct belfry_error *err)
{
	struct fake_vm *fake = fake_of(vm);

	fake->loops++;
	if (fake->loop_errno)
		return bf_err_sys(err, fake->loop_errno, "loop");
	*out = (struct bf_loop *)fake;
	return 0;
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

void bf_vm_end(struct belfry_vm *vm, enum belfry_stop reason, unsigned int status,
	       const char *fmt, ...)
{
	struct fake_vm *fake = fake_of(vm);
	va_list ap;

	if (fake->end)
		return;
	fake->end = reason;
	fake->status = status;
	va_start(ap, fmt);
	vsnprintf(fake->detail, sizeof(fake->detail), fmt, ap);
	va_end(ap);
}

void bf_vm_panicked(struct belfry_vm *vm)
{
	fake_of(vm)->panics++;
}

void bf_vm_link_event(struct belfry_vm *vm, const struct belfry_event *event)
{
	must(pthread_mutex_trylock(&vm->lock) == 0, "the embedder is told with the lock");
	pthread_mutex_unlock(&vm->lock);
	fake_of(vm)->event = *event;
	fake_of(vm)->events++;
}

void bf_vm_count_doorbell_exit(struct belfry_vm *vm)
{
	fake_of(vm)->doorbell_exits++;
}

/* --- address spaces --- */

int bf_vm_map(struct belfry_vm *vm, struct bf_region *r, struct belfry_error *err)
{
	struct fake_vm *fake = fake_of(vm);

	if (fake->maps_refused) {
		fake->maps_refused--;
		return bf_err(err, ENOSPC, "%s: no memory slot left", r->name);
	}
	return bf_bus_add(&vm->mem, r, err);
}

void bf_vm_unmap(struct belfry_vm *vm, struct bf_region *r)
{
	const unsigned int n = vm->mem.n;

	bf_bus_remove(&vm->mem, r);
	must(vm->mem.n == n - 1, "a region is unmapped that was not mapped");
}

int bf_vm_map_ports(struct belfry_vm *vm, struct bf_region *r, struct belfry_error *err)
{
	return bf_bus_add(&vm->ports, r, err);
}

void *bf_mem_at(struct belfry_vm *vm, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < vm->n_ram; i++) {
		const struct bf_region *r = &vm->ram[i];

		if (gpa >= r->base && len <= r->size && gpa - r->base <= r->size - len)
			return (char *)r->ram + (gpa - r->base);
	}
	return NULL;
}

int bf_vm_claim_file(struct belfry_vm *vm, uint64_t dev, uint64_t ino)
{
	return -fake_of(vm)->claim_errno;
}

/* --- doorbells --- */

static struct fake_bell *bell_find(const struct fake_vm *fake, uint64_t gpa,
				   int64_t value)
{
	for (unsigned int i = 0; i < fake->n_bells; i++) {
		if (fake->bells[i].gpa == gpa && fake->bells[i].value == value)
			return &fake->bells[i];
	}
	return NULL;
}

int bf_vm_bind_doorbell(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd)
{
	struct fake_vm *fake = fake_of(vm);

	if (bell_find(fake, gpa, value))
		return -EEXIST;
	if (fake->n_bells >= fake->bells_max)
		return -fake->bells_errno;
	fake->bells = reallocarray(fake->bells, fake->n_bells + 1, sizeof(*fake->bells));
	must(fake->bells, "out of memory");
	fake->bells[fake->n_bells++] = (struct fake_bell){ gpa, value, fd };
	fake->binds++;
	return 0;
}

void bf_vm_unbind_doorbell(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd)
{
	struct fake_vm *fake = fake_of(vm);
	struct fake_bell *bell = bell_find(fake, gpa, value);

	must(bell && bell->fd == fd, "a doorbell is unbound that was not bound");
	*bell = fake->bells[--fake->n_bells];
}

int fake_bell_at(const struct fake_vm *fake, uint64_t gpa, int64_t value)
{
	const struct fake_bell *bell = bell_find(fake, gpa, value);

	return bell ? bell->fd : -1;
}

/* --- interrupts --- */

static struct fake_gsi *gsi_at(struct fake_vm *fake, int gsi)
{
	must(gsi >= FAKE_GSI_FIRST && (unsigned int)gsi < FAKE_GSI_FIRST + fake->n_gsis,
	     "a GSI that was not allocated");
	return &fake->gsis[gsi - FAKE_GSI_FIRST];
}

int bf_irq_alloc_msi(struct belfry_vm *vm)
{
	struct fake_vm *fake = fake_of(vm);

	if (fake->n_gsis >= fake->gsis_max)
		return -ENOSPC;
	fake->gsis[fake->n_gsis] = (struct fake_gsi){ .fd = -1 };
	fake->routes_changed = true;
	return FAKE_GSI_FIRST + fake->n_gsis++;
}

void bf_irq_route_msi(struct belfry_vm *vm, int gsi, uint64_t addr, uint32_t data)
{
	struct fake_vm *fake = fake_of(vm);
	struct fake_msi *msi = &gsi_at(fake, gsi)->staged;

	if (msi->addr != addr || msi->data != data)
		fake->routes_changed = true;
	*msi = (struct fake_msi){ addr, data };
}

int bf_irq_commit(struct belfry_vm *vm)
{
	struct fake_vm *fake = fake_of(vm);

	if (!fake->routes_changed)
		return 0;
	if (fake->commit_errno)
		return -fake->commit_errno;
	for (unsigned int i = 0; i < fake->n_gsis; i++) {
		fake->gsis[i].route = fake->gsis[i].staged;
		fake->gsis[i].committed = true;
	}
	fake->routes_changed = false;
	fake->commits++;
	return 0;
}

/* Take what waits in @fd. Return: whether anything did. */
static bool drain(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) == 0;
}

static void deliver(struct fake_vm *fake, struct fake_gsi *gsi)
{
	if (gsi->fd < 0 || !drain(gsi->fd))
		return;
	fake->last = gsi->route;
	fake->interrupts++;
}

int bf_irq_attach(struct belfry_vm *vm, int gsi, int fd)
{
	struct fake_vm *fake = fake_of(vm);
	struct fake_gsi *at = gsi_at(fake, gsi);

	must(at->committed, "an eventfd is attached to a route that KVM does not have");
	must(at->fd < 0, "a GSI gets a second eventfd");
	if (fake->attach_errno)
		return -fake->attach_errno;
	if (fake_gsi_of(fake, fd) >= 0)
		return -EBUSY;
	at->fd = fd;
	fake->attaches++;
	deliver(fake, at);
	return 0;
}

void bf_irq_detach(struct belfry_vm *vm, int gsi, int fd)
{
	struct fake_vm *fake = fake_of(vm);
	struct fake_gsi *at = gsi_at(fake, gsi);

	must(at->fd == fd, "an eventfd is detached that was not attached");
	deliver(fake, at); /* an irqfd would have, when it was written to */
	at->fd = -1;
}

unsigned int fake_interrupts(struct fake_vm *fake)
{
	for (unsigned int i = 0; i < fake->n_gsis; i++)
		deliver(fake, &fake->gsis[i]);
	return fake->interrupts;
}

int fake_gsi_of(const struct fake_vm *fake, int fd)
{
	for (unsigned int i = 0; i < fake->n_gsis; i++) {
		if (fake->gsis[i].fd == fd)
			return FAKE_GSI_FIRST + i;
	}
	return -1;
}

unsigned int fake_attached(const struct fake_vm *fake)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < fake->n_gsis; i++)
		n += fake->gsis[i].fd >= 0;
	return n;
}

bool bf_irq_line(struct belfry_vm *vm, unsigned int line, bool level)
{
	struct fake_vm *fake = fake_of(vm);

	must(line < FAKE_LINES, "an interrupt line that no PC has");
	fake->raised[line] += level && !fake->lines[line];
	fake->lines[line] = level;
	return !fake->masked[line];
}

/* --- console --- */

bool bf_console_ready(const struct belfry_vm *vm)
{
	const struct fake_vm *fake = fake_of(vm);

	return fake->console_len < fake->console_room;
}

bool bf_console_put(struct belfry_vm *vm, uint8_t byte)
{
	struct fake_vm *fake = fake_of(vm);

	if (!bf_console_ready(vm))
		return false;
	fake->console[fake->console_len++] = byte;
	return true;
}

void bf_console_wanted(struct belfry_vm *vm)
{
	fake_of(vm)->input_wanted++;
}

/* --- making one --- */

static void keep_line(void *user, enum belfry_log_level level, const char *line)
{
	struct fake_vm *fake = user;

	snprintf(fake->logged, sizeof(fake->logged), "%s", line);
	fake->log_lines++;
}

static void set_memory(struct belfry_vm *vm, uint64_t memory)
{
	const struct bf_layout *layout = &vm->layout;
	char *host = mmap(NULL, memory, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(host != MAP_FAILED, "out of memory");
	vm->ram_map = host;
	vm->ram_size = memory;
	for (; layout->ram[vm->n_ram].size; vm->n_ram++) {
		const struct bf_span *span = &layout->ram[vm->n_ram];

		vm->ram[vm->n_ram] = (struct bf_region){
			.base = span->base, .size = span->size, .name = "RAM", .ram = host
		};
		host += span->size;
	}
	vm->reserved[0] = (struct bf_region){ .base = layout->reserved[0].base,
					      .size = layout->reserved[0].size,
					      .name = "interrupt controller" };
}

static void map_memory(struct belfry_vm *vm)
{
	for (unsigned int i = 0; i < vm->n_ram; i++)
		must(bf_bus_add(&vm->mem, &vm->ram[i], NULL) == 0, "no place for RAM");
	must(bf_bus_add(&vm->mem, &vm->reserved[0], NULL) == 0, "no place for APICs");
}

/* As on the PC: see arch/x86_64/x86.h. */
static void lay_out(struct bf_layout *layout, uint64_t memory)
{
	const uint64_t low = memory < HOLE ? memory : HOLE;

	*layout = (struct bf_layout){
		.ram = { { 0, low }, { ABOVE, memory - low } },
		.reserved = { { 0xfec00000, ABOVE - 0xfec00000 } },
		.ecam = { 0xe8000000, 0x00100000 },
		.mmio32 = { HOLE, 0x28000000 },
		.mmio64 = { ABOVE + (memory - low), FAKE_LIMIT - ABOVE - (memory - low) },
	};
}

struct fake_vm *fake_vm_create(uint64_t memory)
{
	struct fake_vm *fake = calloc(1, sizeof(*fake));

	must(fake, "out of memory");
	fake->gsis = calloc(FAKE_GSIS, sizeof(*fake->gsis));
	must(fake->gsis, "out of memory");
	fake->gsis_max = FAKE_GSIS;
	fake->bells_max = UINT_MAX;
	fake->bells_errno = ENOSPC;
	fake->console_room = sizeof(fake->console);
	fake->vm.kvm = fake->vm.vm = -1;
	fake->vm.n_vcpus = 1;
	fake->vm.log = (struct bf_log){ keep_line, fake, BELFRY_LOG_DEBUG, "" };
	pthread_mutex_init(&fake->vm.lock, NULL);
	fake->vm.mem.limit = FAKE_LIMIT;
	fake->vm.ports.limit = 1 << 16;
	lay_out(&fake->vm.layout, memory);
	set_memory(&fake->vm, memory);
	map_memory(&fake->vm);
	return fake;
}

void fake_vm_add_pci(struct fake_vm *fake)
{
	struct belfry_vm *vm = &fake->vm;

	must(bf_pci_bus_create(vm, &vm->layout, &vm->pci, NULL) == 0, "no PCI bus");
}

void fake_vm_reset(struct fake_vm *fake)
{
	struct belfry_vm *vm = &fake->vm;

	fake_interrupts(fake);
	fake->n_bells = fake->n_gsis = 0;
	fake->routes_changed = false;
	bf_bus_fini(&vm->mem);
	map_memory(vm);
	bf_pci_bus_reset(vm->pci);
	must(bf_pci_map_memory(vm->pci, NULL) == 0 &&
		     bf_pci_map_registers(vm->pci, NULL) == 0,
	     "BARs have no place after a reset");
}

void fake_vm_destroy(struct fake_vm *fake)
{
	bf_pci_bus_destroy(fake->vm.pci);
	munmap(fake->vm.ram_map, fake->vm.ram_size);
	bf_bus_fini(&fake->vm.mem);
	bf_bus_fini(&fake->vm.ports);
	pthread_mutex_destroy(&fake->vm.lock);
	free(fake->gsis);
	free(fake->bells);
	free(fake);
}

/* --- what a vCPU does --- */

uint64_t fake_read(struct fake_vm *fake, uint64_t gpa, unsigned int len)
{
	uint64_t val = 0;

	bf_bus_read(&fake->vm.mem, gpa, &val, len);
	return val;
}

void fake_write(struct fake_vm *fake, uint64_t gpa, uint64_t val, unsigned int len)
{
	bf_bus_write(&fake->vm.mem, gpa, &val, len);
}

uint64_t fake_in(struct fake_vm *fake, uint16_t port, unsigned int len)
{
	uint64_t val = 0;

	bf_bus_read(&fake->vm.ports, port, &val, len);
	return val;
}

void fake_out(struct fake_vm *fake, uint16_t port, uint64_t val, unsigned int len)
{
	bf_bus_write(&fake->vm.ports, port, &val, len);
}
