/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/mmio_fuzz.c - whatever a guest, a link and a poor host do to an ivshmem
 * device
 *
 * The input is a byte that chooses vectors, policy of the doorbells and window, then
 * steps of eight bytes: accesses of all widths to registers, MSI-X table, window,
 * configuration space and anywhere else; peers that join and leave; events; a host that
 * refuses doorbells, GSIs and the like; resets. After each step the machine must make
 * sense:
 *
 *  - no two regions overlap, and none is mapped while decoding is off;
 *  - KVM rings for vectors of peers that are there, at BAR0's address and in the window,
 *    for as many as the policy says, and for nothing else;
 *  - a ring is heard, whoever rings;
 *  - attached are the vectors that may fire, with the routes of the table, and no others;
 *  - an event is an interrupt or a pending bit, and no interrupt comes without an event.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/own.h"
#include "devices/bells.h"
#include "devices/devices.h"
#include "devices/ivshmem.h"
#include "devices/ivshmem_conf.h"
#include "devices/ivshmem_regs.h"
#include "devices/pci.h"
#include "tests/fuzz/check.h"
#include "tests/unit/fake_peer.h"
#include "tests/unit/fake_vm.h"

#define RAM_SIZE     0x100000
#define SHARED       0x10000
#define ECAM         0xe8000000ULL
#define OWN_ID       3
#define IDS          8 /* peers that may come */
#define ADAPTIVE_MAX 4
#define FDS_MAX      64 /* vectors of all peers */
#define MSIX_FLAGS   (IVSHMEM_MSIX_CAP + PCI_MSIX_FLAGS)

struct step {
	uint8_t kind;
	uint8_t width; /* its low two bits: 1, 2, 4 or 8 bytes */
	uint16_t at;
	uint32_t value;
};

struct world {
	struct fake_vm *fake;
	struct bf_platform *platform;
	struct bf_peer *peer;
	struct bf_pci_dev *dev;
	unsigned int vectors; /* of the device */
	unsigned int events;  /* written to eventfds by others than the device */
	unsigned int window_bits;
	enum bf_bells_policy policy;
	bool bells_refused; /* ever */
	bool irqs_refused;
};

/* --- steps --- */

static unsigned int width(const struct step *s)
{
	return 1U << (s->width & 3);
}

/* Ports know no 8 bytes. */
static unsigned int port_width(const struct step *s)
{
	return width(s) == 8 ? 4 : width(s);
}

/* 64 bits, of which the upper half is often small: a vector's control, say. */
static uint64_t value(const struct step *s)
{
	return (uint64_t)(s->width >> 2) << 32 | s->value;
}

/* As KVM does: a ring that it takes reaches nobody else. */
static void guest_write(struct world *w, uint64_t gpa, uint64_t val, unsigned int len)
{
	int fd = fake_bell_at(w->fake, gpa, BF_DOORBELL_ANY);

	if (fd < 0 && len == 4)
		fd = fake_bell_at(w->fake, gpa, (uint32_t)val);
	if (fd < 0) {
		fake_write(w->fake, gpa, val, len);
	} else {
		eventfd_write(fd, 1);
		w->events++;
	}
}

static uint64_t bar_base(const struct world *w, unsigned int bar)
{
	return w->dev->bars[bar].region.base;
}

static void write_registers(struct world *w, const struct step *s)
{
	guest_write(w, bar_base(w, IVSHMEM_BAR_REGS) + s->at % 0x110, value(s), width(s));
}

static void write_table(struct world *w, const struct step *s)
{
	guest_write(w, bar_base(w, IVSHMEM_BAR_MSIX) + s->at, value(s), width(s));
}

/* What a driver does most: mask or unmask one vector. */
static void mask(struct world *w, const struct step *s)
{
	const unsigned int entry = s->at % w->vectors * PCI_MSIX_ENTRY_SIZE;

	guest_write(w, bar_base(w, IVSHMEM_BAR_MSIX) + entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
		    s->value & 1, 4);
}

static void write_control(struct world *w, const struct step *s)
{
	bf_pci_config_write(w->fake->vm.pci, w->dev->slot, MSIX_FLAGS, s->value, 2);
}

static void write_config_by_ports(struct world *w, const struct step *s)
{
	fake_out(w->fake, 0xcf8, 0x80000000 | w->dev->slot << 11 | (s->at & 0xfc), 4);
	fake_out(w->fake, 0xcfc + (s->at & 3), s->value, port_width(s));
}

static void write_config_by_ecam(struct world *w, const struct step *s)
{
	guest_write(w, ECAM + (w->dev->slot << 15) + s->at % 0x104, value(s), width(s));
}

static void write_ecam(struct world *w, const struct step *s)
{
	guest_write(w, ECAM + (uint64_t)s->at * 16 % 0x100000 + (s->width >> 4), s->value,
		    width(s));
}

/* Put a BAR where something is, or an edge. */
static void move_bar(struct world *w, const struct step *s)
{
	const uint64_t places[] = {
		0,
		RAM_SIZE - 0x100,
		RAM_SIZE,
		0xc0000000,
		0xd0000000,
		ECAM,
		0xfec00000,
		UINT32_MAX,
		0x100000000,
		0x100000000 - SHARED,
		0x300000000,
		FAKE_LIMIT - SHARED,
		FAKE_LIMIT,
		UINT64_MAX,
		bar_base(w, 0) + 0x100,
		bar_base(w, 1),
		bar_base(w, 2),
	};
	const uint64_t place = places[s->value % BF_ARRAY_LEN(places)];
	const unsigned int reg = PCI_BASE_ADDRESS_0 + s->at % BF_PCI_BARS * 4;

	bf_pci_config_write(w->fake->vm.pci, w->dev->slot, reg, place, 4);
	if (s->width & 1)
		bf_pci_config_write(w->fake->vm.pci, w->dev->slot, reg + 4, place >> 32,
				    4);
}

static void switch_decoding(struct world *w, const struct step *s)
{
	bf_pci_config_write(w->fake->vm.pci, w->dev->slot, PCI_COMMAND, s->value & 0xffff,
			    2);
}

static void write_anywhere(struct world *w, const struct step *s)
{
	guest_write(w, (uint64_t)s->value << (s->width >> 3) | s->at, s->value, width(s));
}

static void read_something(struct world *w, const struct step *s)
{
	const uint64_t bases[] = { bar_base(w, 0), bar_base(w, 1), ECAM, s->value };

	fake_read(w->fake, bases[s->value % BF_ARRAY_LEN(bases)] + s->at, width(s));
}

static void use_port(struct world *w, const struct step *s)
{
	if (s->width & 0x80)
		fake_in(w->fake, s->at, port_width(s));
	else
		fake_out(w->fake, s->at, s->value, port_width(s));
}

/* The @n-th vector of @id, counted from 0, and how many there are in all. */
static const struct fake_vector *vector_of(const struct world *w, uint16_t id,
					   unsigned int n, unsigned int *all)
{
	const struct fake_vector *v = fake_vectors(w->peer, all);

	for (unsigned int i = 0; i < *all; i++) {
		if (v[i].id == id && n-- == 0)
			return &v[i];
	}
	return NULL;
}

static uint64_t register_gpa(const struct world *w)
{
	return bar_base(w, IVSHMEM_BAR_REGS) + IVSHMEM_DOORBELL;
}

static uint64_t window_gpa(const struct world *w, uint16_t id, unsigned int number)
{
	return bar_base(w, IVSHMEM_BAR_WINDOW) +
	       IVSHMEM_WINDOW_OFF(id, number, w->window_bits);
}

/* Whoever rings it, the peer hears it. */
static void ring(struct world *w, const struct step *s)
{
	const bool by_window = s->width & 0x80;
	const unsigned int bar = by_window ? IVSHMEM_BAR_WINDOW : IVSHMEM_BAR_REGS;
	const uint16_t id = s->at % IDS;
	const unsigned int number = s->value % 4;
	unsigned int all;
	const struct fake_vector *v = vector_of(w, id, number, &all);

	if (!w->dev->bars[bar].mapped || (by_window && number >> w->window_bits))
		return;
	if (by_window)
		guest_write(w, window_gpa(w, id, number), s->value, width(s));
	else
		guest_write(w, register_gpa(w), IVSHMEM_RING((uint32_t)id, number), 4);
	check(!v || id == OWN_ID || fake_rings(v->fd) > 0);
}

static void write_window(struct world *w, const struct step *s)
{
	guest_write(w, bar_base(w, IVSHMEM_BAR_WINDOW) + (uint64_t)s->at * 2, value(s),
		    width(s));
}

/* A peer, or one of ours, gets its next vector; the peer object keeps to the number. */
static void join(struct world *w, const struct step *s)
{
	const uint16_t id = s->at % IDS;
	unsigned int all, n = 0;

	while (vector_of(w, id, n, &all))
		n++;
	if (all < FDS_MAX && (id != OWN_ID || n < w->vectors))
		fake_join(w->peer, id, n);
}

static void leave(struct world *w, const struct step *s)
{
	const uint16_t id = s->at % IDS;
	unsigned int all;

	if (id != OWN_ID && vector_of(w, id, 0, &all))
		fake_leave(w->peer, id);
}

static void happen(struct world *w, const struct step *s)
{
	unsigned int all;
	const struct fake_vector *v = vector_of(w, OWN_ID, s->at % 4, &all);

	if (!v)
		return;
	eventfd_write(v->fd, 1);
	w->events++;
}

static void refuse(struct world *w, const struct step *s)
{
	const bool now = s->value & 1;

	switch (s->at % 4) {
	case 0:
		w->fake->bells_max = now ? s->value % 8 : UINT32_MAX;
		w->bells_refused = true;
		return;
	case 1:
		w->fake->gsis_max = now ? w->fake->n_gsis : FAKE_GSIS;
		break;
	case 2:
		w->fake->commit_errno = now ? ENOMEM : 0;
		break;
	case 3:
		w->fake->attach_errno = now ? EBUSY : 0;
		break;
	}
	w->irqs_refused = true;
}

static void reset(struct world *w, const struct step *s)
{
	fake_vm_reset(w->fake);
}

static void (*const kinds[])(struct world *w, const struct step *s) = {
	write_registers, ring,
	write_table,     mask,
	write_control,   write_config_by_ports,
	write_ecam,      write_config_by_ecam,
	move_bar,        switch_decoding,
	write_anywhere,  read_something,
	use_port,        join,
	leave,           happen,
	refuse,          reset,
	write_window,
};

/* --- what must hold --- */

static void check_regions(const struct world *w)
{
	const struct bf_bus *mem = &w->fake->vm.mem;
	unsigned int mapped = 0, found = 0;

	for (unsigned int i = 0; i < mem->n; i++) {
		const struct bf_region *r = mem->regions[i];

		check(r->size && r->base + (r->size - 1) >= r->base);
		check(r->base + (r->size - 1) < mem->limit);
		check(i == 0 ||
		      mem->regions[i - 1]->base + mem->regions[i - 1]->size <= r->base);
		for (unsigned int b = 0; b < BF_PCI_BARS; b++)
			found += r == &w->dev->bars[b].region;
	}
	for (unsigned int b = 0; b < BF_PCI_BARS; b++)
		mapped += w->dev->bars[b].mapped;
	check(found == mapped);
	check(mapped == 0 || bf_pci_get16(w->dev, PCI_COMMAND) & PCI_COMMAND_MEMORY);
}

/* Does KVM ring @v, and nobody else, for @value at @gpa? */
static bool rings(const struct world *w, uint64_t gpa, int64_t val,
		  const struct fake_vector *v)
{
	const int fd = fake_bell_at(w->fake, gpa, val);

	check(fd == v->fd || fd == -1);
	return fd >= 0;
}

static void check_doorbells(const struct world *w)
{
	const bool mapped = w->dev->bars[IVSHMEM_BAR_REGS].mapped;
	const bool window_mapped = w->dev->bars[IVSHMEM_BAR_WINDOW].mapped;
	unsigned int n, at_register = 0, in_window = 0, missing = 0;
	const struct fake_vector *v = fake_vectors(w->peer, &n);

	for (unsigned int i = 0; i < n; i++) {
		const uint32_t val = IVSHMEM_RING((uint32_t)v[i].id, v[i].number);
		const bool has_place =
			window_mapped && v[i].number >> w->window_bits == 0;

		if (mapped)
			at_register += rings(w, register_gpa(w), val, &v[i]);
		if (!has_place)
			continue;
		if (rings(w, window_gpa(w, v[i].id, v[i].number), BF_DOORBELL_ANY, &v[i]))
			in_window++;
		else
			missing++;
	}
	check(at_register + in_window == w->fake->n_bells);
	check(w->policy != BF_BELLS_USERSPACE || w->fake->n_bells == 0);
	check(w->policy != BF_BELLS_ADAPTIVE || at_register <= ADAPTIVE_MAX);
	if (w->bells_refused || w->policy == BF_BELLS_USERSPACE)
		return;
	check(w->policy != BF_BELLS_EAGER ||
	      missing == 0); /* adaptive: when it is rung */
	check(w->policy != BF_BELLS_EAGER || at_register == (mapped ? n : 0));
}

/* The table as the guest would read it, were the BAR mapped. */
static uint64_t table(const struct world *w, uint64_t off)
{
	const struct bf_region *r = &w->dev->bars[IVSHMEM_BAR_MSIX].region;

	return r->read(r->owner, off, 8);
}

static bool may_fire(const struct world *w, unsigned int vector)
{
	const uint16_t flags = bf_pci_get16(w->dev, MSIX_FLAGS);

	return flags & PCI_MSIX_FLAGS_ENABLE && !(flags & PCI_MSIX_FLAGS_MASKALL) &&
	       !(table(w, vector * PCI_MSIX_ENTRY_SIZE + 8) >> 32 & 1);
}

static void check_route(const struct world *w, unsigned int vector, int gsi)
{
	const struct fake_msi *route = &w->fake->gsis[gsi - FAKE_GSI_FIRST].route;
	const uint64_t entry = vector * PCI_MSIX_ENTRY_SIZE;

	check(w->irqs_refused || (route->addr == table(w, entry) &&
				  route->data == (uint32_t)table(w, entry + 8)));
}

static bool is_pending(const struct world *w, unsigned int vector)
{
	const uint32_t pba = bf_pci_get32(w->dev, IVSHMEM_MSIX_CAP + PCI_MSIX_PBA) & ~7U;

	return table(w, pba + vector / 64 * 8) >> vector % 64 & 1;
}

static void check_vectors(const struct world *w)
{
	unsigned int all, attached = 0;
	const struct fake_vector *v;

	for (unsigned int i = 0; (v = vector_of(w, OWN_ID, i, &all)); i++) {
		struct pollfd waits = { .fd = v->fd, .events = POLLIN };
		const int gsi = fake_gsi_of(w->fake, v->fd);

		check(gsi < 0 || may_fire(w, i));
		check(gsi >= 0 || !may_fire(w, i) || w->irqs_refused);
		check(is_pending(w, i) == (poll(&waits, 1, 0) == 1));
		check(gsi < 0 || !is_pending(w, i));
		attached += gsi >= 0;
		if (gsi >= 0)
			check_route(w, i, gsi);
	}
	check(attached == fake_attached(w->fake));
}

static void check_all(struct world *w)
{
	check(fake_interrupts(w->fake) <= w->events + w->fake->doorbell_exits);
	check_regions(w);
	check_doorbells(w);
	check_vectors(w);
}

/* --- one input --- */

/* The device is in slot 1, behind the host bridge: whose BAR 0 comes first. */
static struct bf_pci_dev *find_device(const struct fake_vm *fake)
{
	for (unsigned int i = 0; i < fake->vm.mem.n; i++) {
		const struct bf_region *r = fake->vm.mem.regions[i];

		if (r->base == fake->vm.layout.mmio32.base)
			return ((struct bf_pci_bar *)r->owner)->dev;
	}
	abort();
}

static struct world world_create(uint8_t choice)
{
	static const unsigned int vectors[] = { 1, 2, 4, 33, 128, 129, 256, 2048 };
	struct world w = { .fake = fake_vm_create(RAM_SIZE),
			   .vectors = vectors[choice % BF_ARRAY_LEN(vectors)] };
	struct bf_ivshmem_conf conf = {
		.link.fd = -1,
		.socket = { .path = "server", .fd = -1 },
		.shm.fd = -1,
		.file.fd = -1,
		.vectors = w.vectors,
		.doorbells = (choice >> 5 & 3) % 3,
		.doorbells_max = ADAPTIVE_MAX,
		.doorbell_window = choice >> 7,
		.msi = true,
		.use64 = true,
		.revision = 1,
	};
	struct belfry_vm *vm = &w.fake->vm;

	fake_link.id = OWN_ID;
	fake_link.own_vectors = choice >> 3 & 3;
	if (fake_link.own_vectors > w.vectors)
		fake_link.own_vectors = w.vectors;
	fake_vm_add_pci(w.fake);
	check(bf_arch_platform_create(vm, &w.platform, NULL) == 0);
	check(bf_ivshmem_ops.create(vm, &conf, NULL) == 0);
	check(bf_pci_map_memory(vm->pci, NULL) == 0);
	check(bf_pci_map_registers(vm->pci, NULL) == 0);
	w.policy = conf.doorbells;
	w.peer = fake_link.peer;
	w.dev = find_device(w.fake);
	w.window_bits = w.dev->config[IVSHMEM_WINDOW_CAP + IVSHMEM_WINDOW_CAP_BITS];
	return w;
}

static void world_destroy(struct world *w)
{
	bf_arch_platform_destroy(w->platform);
	fake_vm_destroy(w->fake);
}

/* The lowest descriptor that is free: the same before and after, or one has leaked. */
static int lowest_free(void)
{
	const int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BF_CLOSE int memory = memfd_create("shared", MFD_CLOEXEC);
	const int free_before = lowest_free();
	struct world w;
	struct step s;

	if (size == 0 || memory < 0 || ftruncate(memory, SHARED) < 0)
		return 0;
	fake_link = (struct fake_link){ .memory = memory };
	w = world_create(*data++);
	check_all(&w);
	for (size--; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		kinds[s.kind % BF_ARRAY_LEN(kinds)](&w, &s);
		check_all(&w);
	}
	world_destroy(&w);
	check(fake_link.alive == 0);
	check(lowest_free() == free_before);
	return 0;
}
