/* SPDX-License-Identifier: MIT */
/*
 * vmm/vmm.h - what the machine offers its devices, its architecture and its loaders
 *
 * Lock. Each VM has one, and it covers all device state. Bus and PCI callbacks run with
 * it held; what runs on the loop thread takes it. Every function here wants it held once
 * vCPUs run, except where it says "any thread". No doorbell and no interrupt takes it:
 * those stay in the kernel.
 */
#ifndef BF_VMM_H
#define BF_VMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct belfry_vm;
struct bf_loop;
struct bf_pci_bus;

void bf_vm_lock(struct belfry_vm *vm);
void bf_vm_unlock(struct belfry_vm *vm);

/* Any thread. */
const struct bf_log *bf_vm_log(const struct belfry_vm *vm);

/*
 * The VM's loop, made when first asked for. It is run by whoever creates the VM until the
 * VM starts, and by a thread of its own from then on.
 */
int bf_vm_loop(struct belfry_vm *vm, struct bf_loop **out, struct belfry_error *err);

struct bf_pci_bus *bf_vm_pci(struct belfry_vm *vm);

/* The descriptors of /dev/kvm and of the VM, owned by @vm. */
int bf_vm_kvm(const struct belfry_vm *vm);
int bf_vm_kvm_vm(const struct belfry_vm *vm);

unsigned int bf_vm_cpus(const struct belfry_vm *vm);

/*
 * End the VM; the first reason given stays. Returns before the vCPUs have stopped.
 * Any thread, with or without the lock.
 */
__attribute__((format(printf, 4, 5))) void bf_vm_end(struct belfry_vm *vm,
						     enum belfry_stop reason,
						     unsigned int status, const char *fmt,
						     ...);

/*
 * Something has happened on the link of a device: tell the embedder. On the loop, without
 * the lock.
 */
void bf_vm_link_event(struct belfry_vm *vm, const struct belfry_event *event);

/* The guest says that it has panicked. Any thread, with or without the lock. */
void bf_vm_panicked(struct belfry_vm *vm);

/* A doorbell write reached user space. */
void bf_vm_count_doorbell_exit(struct belfry_vm *vm);

/* --- address spaces --- */

/*
 * A range of the guest-physical or the port space. Its owner embeds it and keeps it in
 * place while it is mapped. With neither @ram nor handlers it only keeps others away.
 */
struct bf_region {
	uint64_t base;
	uint64_t size;
	const char *name;
	void *ram; /* host address of memory the guest uses directly; else NULL */

	/* @off is inside the region and so is @off + @len - 1; @len is 1, 2, 4 or 8. */
	uint64_t (*read)(void *owner, uint64_t off, unsigned int len);
	void (*write)(void *owner, uint64_t off, uint64_t val, unsigned int len);
	void *owner;

	int slot; /* the machine's: KVM memory slot of @ram */
};

/*
 * Map @r at @r->base of the guest-physical space.
 * Return: 0; -EEXIST when something is there; -ERANGE beyond the CPU's addresses;
 * -ENOSPC when KVM has no memory slot left; another negative errno from KVM.
 */
int bf_vm_map(struct belfry_vm *vm, struct bf_region *r, struct belfry_error *err);
void bf_vm_unmap(struct belfry_vm *vm, struct bf_region *r);

/* The same in the port space; ports stay for the life of the VM. */
int bf_vm_map_ports(struct belfry_vm *vm, struct bf_region *r, struct belfry_error *err);

/*
 * The one door from a guest-physical address to RAM.
 * Return: the host address of @len bytes at @gpa; NULL unless all of them are RAM.
 */
void *bf_mem_at(struct belfry_vm *vm, uint64_t gpa, uint64_t len);

/*
 * The file (@dev, @ino) is a device's memory now.
 * Return: 0; -EBUSY when another device has it; -ENOSPC.
 */
int bf_vm_claim_file(struct belfry_vm *vm, uint64_t dev, uint64_t ino);

/* --- doorbells and interrupts --- */

/*
 * Have the kernel write to eventfd @fd when the guest stores the 32-bit @value at @gpa;
 * BF_DOORBELL_ANY: a store of any width and value. A ring that is not bound reaches the
 * region's write handler instead.
 * Return: 0; -EEXIST, -ENOSPC, -ENOMEM or another negative errno from KVM.
 */
#define BF_DOORBELL_ANY (-1LL)
int bf_vm_bind_doorbell(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd);
void bf_vm_unbind_doorbell(struct belfry_vm *vm, uint64_t gpa, int64_t value, int fd);

/*
 * An MSI: a GSI, taken when first needed, with a route that bf_irq_commit() hands to KVM.
 * Return: the GSI; -ENOSPC when all are in use; -ENOMEM.
 */
int bf_irq_alloc_msi(struct belfry_vm *vm);
void bf_irq_route_msi(struct belfry_vm *vm, int gsi, uint64_t addr, uint32_t data);

/* Hand all changed routes to KVM, in one call. Return: 0; a negative errno. */
int bf_irq_commit(struct belfry_vm *vm);

/*
 * Attach eventfd @fd to @gsi: from now on a write to @fd is an interrupt. An event that
 * waits in @fd becomes one interrupt. One descriptor is attached once at most.
 * Return: 0; 1 when an event waited; -EBUSY when it is attached elsewhere; another errno.
 */
int bf_irq_attach(struct belfry_vm *vm, int gsi, int fd);
void bf_irq_detach(struct belfry_vm *vm, int gsi, int fd);

/*
 * Raise or lower an interrupt line of the architecture's interrupt controller. Devices
 * may share one, below BF_LINES_MAX: it is up while any of them has raised it.
 * Return: false when the guest has masked it, so that a rise is not noticed.
 */
#define BF_LINES_MAX 64
bool bf_irq_line(struct belfry_vm *vm, unsigned int line, bool level);

/* --- console --- */

/*
 * Take one byte for the console. Return: false when it has to wait, so the byte is lost.
 */
bool bf_console_put(struct belfry_vm *vm, uint8_t byte);

/* Whether bf_console_put() would take a byte. */
bool bf_console_ready(const struct belfry_vm *vm);

/* The serial port takes input again, which it had refused. */
void bf_console_wanted(struct belfry_vm *vm);

#endif
