/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/fake_vm.h - a machine without KVM: vmm/vmm.h for tests, all of it recorded
 *
 * Devices, loaders and the fuzz targets run against it. The address spaces are those of
 * vmm/bus.c; RAM is memory; doorbells, routes and lines are lists to look into. What only
 * a mistake of ours can bring about (to unbind a doorbell that is not bound, to attach a
 * vector to a route that KVM has not been given) ends the program.
 */
#ifndef BF_FAKE_VM_H
#define BF_FAKE_VM_H

#include "vmm/machine.h"

#define FAKE_LIMIT     (1ULL << 36) /* of guest-physical addresses */
#define FAKE_GSI_FIRST 24
#define FAKE_GSIS      4096
#define FAKE_LINES     24

struct fake_bell {
	uint64_t gpa;
	int64_t value; /* BF_DOORBELL_ANY, too */
	int fd;
};

struct fake_msi {
	uint64_t addr;
	uint32_t data;
};

struct fake_gsi {
	struct fake_msi staged; /* by bf_irq_route_msi() */
	struct fake_msi route;  /* what KVM has, since the last commit */
	bool committed;
	int fd; /* attached: -1 when not */
};

struct fake_vm {
	struct belfry_vm vm; /* what vmm/bus.c needs, the layout, the PCI bus, the log */

	int claim_errno;         /* what claiming a file fails with; 0: nothing */
	struct fake_bell *bells; /* those bound now */
	unsigned int n_bells;
	unsigned int bells_max; /* beyond, bells_errno */
	int bells_errno;
	unsigned int binds; /* calls that worked */
	unsigned int doorbell_exits;

	struct fake_gsi *gsis;
	unsigned int n_gsis;
	unsigned int gsis_max; /* beyond, ENOSPC */
	bool routes_changed;
	unsigned int commits; /* that handed something to KVM */
	int commit_errno;     /* what further ones fail with, or 0 */
	int attach_errno;     /* the same */
	unsigned int attaches;
	struct fake_msi last; /* the last interrupt of all */
	unsigned int interrupts;

	bool lines[FAKE_LINES];
	bool masked[FAKE_LINES];         /* by the guest */
	unsigned int raised[FAKE_LINES]; /* edges from low to high */

	unsigned int maps_refused; /* so many calls of bf_vm_map() fail with ENOSPC */
	int loop_errno;            /* what bf_vm_loop() fails with, or 0 */
	unsigned int loops;        /* how often it has been called */

	char console[256];
	unsigned int console_len;
	unsigned int console_room;
	unsigned int input_wanted; /* how often the serial port has asked for more */

	struct belfry_event event; /* the last that was told */
	unsigned int events;
	unsigned int panics;

	enum belfry_stop end; /* 0: runs on */
	unsigned int status;
	char detail[120];

	char logged[256]; /* the last line */
	unsigned int log_lines;
};

/* A machine with @memory bytes of RAM, below and above the hole, as a PC has it. */
struct fake_vm *fake_vm_create(uint64_t memory);
void fake_vm_destroy(struct fake_vm *fake); /* its PCI bus and devices, too */

/* Give it a PCI bus. */
void fake_vm_add_pci(struct fake_vm *fake);

/* Machine reset, as vmm/machine.c does it: what KVM has is thrown away, and made anew. */
void fake_vm_reset(struct fake_vm *fake);

/* What a vCPU does. */
uint64_t fake_read(struct fake_vm *fake, uint64_t gpa, unsigned int len);
void fake_write(struct fake_vm *fake, uint64_t gpa, uint64_t val, unsigned int len);
uint64_t fake_in(struct fake_vm *fake, uint16_t port, unsigned int len);
void fake_out(struct fake_vm *fake, uint16_t port, uint64_t val, unsigned int len);

/*
 * The doorbell that KVM rings for @value at @gpa: its descriptor; -1 when there is none.
 */
int fake_bell_at(const struct fake_vm *fake, uint64_t gpa, int64_t value);

/*
 * Deliver what has been written to attached eventfds, as irqfds do at once. Several
 * events of one descriptor since the last call are one interrupt.
 * Return: how many interrupts there have been in all.
 */
unsigned int fake_interrupts(struct fake_vm *fake);

/* The GSI that @fd is attached to; -1 when it is not. */
int fake_gsi_of(const struct fake_vm *fake, int fd);
unsigned int fake_attached(const struct fake_vm *fake);

#endif
