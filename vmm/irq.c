/* SPDX-License-Identifier: MIT */
/*
 * vmm/irq.c - doorbells out, interrupts in: KVM_IOEVENTFD, KVM_IRQFD and GSI routes
 *
 * A ring is a guest's 32-bit store that KVM recognises (ioeventfd: address, width and
 * value) and turns into a write to an eventfd. An interrupt is a write to an eventfd that
 * KVM turns into the MSI that the GSI's route holds (irqfd). When both name the same
 * eventfd, a ring goes from one guest into another without leaving the kernel.
 *
 * KVM takes the whole route table at a time, and each time costs an RCU grace period and
 * work for every entry (Documentation/virt/kvm/api.rst, 4.52). So routes are staged here
 * and handed over once per guest action by bf_irq_commit(). The table begins with the
 * architecture's own lines, which would vanish if they were left out.
 *
 * An MSI takes its GSI when it is first needed: a device may advertise thousands of
 * vectors and use one.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/event.h"
#include "vmm/machine.h"

/*
 * Documentation/virt/kvm/api.rst, KVM_CAP_IRQ_ROUTING: at most this many, on all hosts.
 */
#define ROUTES_MAX 4096

static int ioeventfd(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd,
		     uint32_t flags)
{
	struct kvm_ioeventfd bell = { .addr = gpa, .fd = fd, .flags = flags };

	if (value != BF_DOORBELL_ANY) {
		bell.len = sizeof(uint32_t);
		bell.datamatch = value;
		bell.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	}
	return ioctl(vm->vm, KVM_IOEVENTFD, &bell) < 0 ? -errno : 0;
}

int bf_vm_bind_doorbell(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd)
{
	return ioeventfd(vm, gpa, value, fd, 0);
}

void bf_vm_unbind_doorbell(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd)
{
	ioeventfd(vm, gpa, value, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int irqfd(struct belfry_vm *vm, int gsi, int fd, uint32_t flags)
{
	struct kvm_irqfd req = { .fd = fd, .gsi = gsi, .flags = flags };

	return ioctl(vm->vm, KVM_IRQFD, &req) < 0 ? -errno : 0;
}

/*
 * KVM gives an event that waits in the eventfd to a work queue, which may take its time,
 * and leaves the counter as it was, so that the event would fire again at a later attach.
 * So what waits is taken out before and put back behind the attach: then it is a ring
 * like any other. What came in between, KVM has seen; it is drained as well.
 */
int bf_irq_attach(struct belfry_vm *vm, int gsi, int fd)
{
	const bool waits = bf_event_take(fd, NULL);
	int e = irqfd(vm, gsi, fd, 0);

	if (e == 0)
		bf_event_take(fd, NULL);
	if (waits)
		bf_event_add(fd, 1);
	return e < 0 ? e : waits;
}

void bf_irq_detach(struct belfry_vm *vm, int gsi, int fd)
{
	irqfd(vm, gsi, fd, KVM_IRQFD_FLAG_DEASSIGN);
}

bool bf_irq_line(struct belfry_vm *vm, unsigned int line, bool level)
{
	struct kvm_irq_level req = { .irq = line, .level = level };
	unsigned int *raised = &vm->irq.raised[line];

	*raised += level ? 1 : -1;
	if (*raised != level)
		return true;
	return ioctl(vm->vm, KVM_IRQ_LINE_STATUS, &req) == 0 && req.status >= 0;
}

/* MSIs follow the lines in the order of their GSIs. */
static struct kvm_irq_routing_entry *msi_entry(struct bf_irq *irq, int gsi)
{
	return &irq->table->entries[irq->n_lines + (gsi - irq->first_msi)];
}

static int irq_grow(struct bf_irq *irq)
{
	unsigned int room = irq->room ? irq->room * 2 : BF_ARCH_LINES_MAX;
	struct kvm_irq_routing *more;

	if (irq->table && irq->table->nr < irq->room)
		return 0;
	more = realloc(irq->table, sizeof(*more) + room * sizeof(more->entries[0]));
	if (!more)
		return -ENOMEM;
	if (!irq->table)
		memset(more, 0, sizeof(*more));
	irq->table = more;
	irq->room = room;
	return 0;
}

int bf_irq_alloc_msi(struct belfry_vm *vm)
{
	struct bf_irq *irq = &vm->irq;
	unsigned int gsi = irq->first_msi + (irq->table->nr - irq->n_lines);

	if (irq->table->nr == ROUTES_MAX)
		return -ENOSPC;
	if (irq_grow(irq) < 0)
		return -ENOMEM;
	irq->table->entries[irq->table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
	};
	irq->dirty = true;
	return gsi;
}

void bf_irq_route_msi(struct belfry_vm *vm, int gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_msi *msi = &msi_entry(&vm->irq, gsi)->u.msi;

	if (msi->address_lo == (uint32_t)addr && msi->address_hi == addr >> 32 &&
	    msi->data == data)
		return;
	msi->address_lo = addr;
	msi->address_hi = addr >> 32;
	msi->data = data;
	vm->irq.dirty = true;
}

int bf_irq_commit(struct belfry_vm *vm)
{
	if (!vm->irq.dirty)
		return 0;
	if (ioctl(vm->vm, KVM_SET_GSI_ROUTING, vm->irq.table) < 0)
		return -errno;
	vm->irq.dirty = false;
	return 0;
}

int bf_irq_init(struct belfry_vm *vm, struct belfry_error *err)
{
	struct bf_irq *irq = &vm->irq;
	int e;

	if (irq_grow(irq) < 0)
		return bf_err_sys(err, ENOMEM, "interrupt routes");
	irq->n_lines = bf_arch_routes(irq->table->entries, &irq->first_msi);
	irq->table->nr = irq->n_lines;
	irq->dirty = true; /* KVM's defaults are not ours */
	e = bf_irq_commit(vm);
	return e < 0 ? bf_err_sys(err, -e, "KVM: interrupt routes") : 0;
}

void bf_irq_fini(struct belfry_vm *vm)
{
	free(vm->irq.table);
	vm->irq = (struct bf_irq){ 0 };
}
