/* SPDX-License-Identifier: MIT */
/*
 * arch/arch.h - what an architecture supplies: the Makefile links one folder of arch/
 *
 * Everything else in belfry is the same on every architecture.
 */
#ifndef BF_ARCH_H
#define BF_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct belfry_vm;
struct bf_platform;
struct kvm_irq_routing_entry;

struct bf_span {
	uint64_t base;
	uint64_t size;
};

#define BF_LAYOUT_SPANS 4

/* Where things are in the guest-physical space. Unused spans have size 0. */
struct bf_layout {
	struct bf_span ram[BF_LAYOUT_SPANS];
	struct bf_span
		reserved[BF_LAYOUT_SPANS]; /* the kernel's: interrupt controllers */
	struct bf_span ecam;
	struct bf_span mmio32; /* window for 32-bit BARs */
	struct bf_span mmio64; /* window for 64-bit BARs */
};

/* How the first vCPU starts. */
struct bf_entry {
	enum { BF_ENTRY_PVH, BF_ENTRY_LINUX64 } mode;
	uint64_t pc;
	uint64_t arg; /* guest-physical address of the start info or boot parameters */
	uint64_t aux; /* BF_ENTRY_LINUX64: guest-physical address of free pages for tables
		       */
};

/* The width of guest-physical addresses that KVM offers. Return: bits, or an errno. */
int bf_arch_phys_bits(int kvm, struct belfry_error *err);

/* Lay out @memory bytes of RAM below address @limit. Return: 0; -EINVAL: too many. */
int bf_arch_layout(uint64_t memory, uint64_t limit, struct bf_layout *out,
		   struct belfry_error *err);

/* What must be told to KVM right after the VM is made. */
int bf_arch_vm_init(struct belfry_vm *vm, struct belfry_error *err);

/* The in-kernel interrupt controller and timer. After all memory slots: see machine.c. */
int bf_arch_irqchip(struct belfry_vm *vm, struct belfry_error *err);

/*
 * The routes of the interrupt controller's own lines.
 * Return: how many there are; @out holds at most BF_ARCH_LINES_MAX.
 */
#define BF_ARCH_LINES_MAX 64
unsigned int bf_arch_routes(struct kvm_irq_routing_entry *out, unsigned int *first_msi);

/*
 * The interrupt line of INTA of the PCI device in @slot: level-triggered, maybe shared.
 */
unsigned int bf_arch_intx_line(unsigned int slot);

/* The fixed devices: PCI host bridge access, serial port, ways to end. */
int bf_arch_platform_create(struct belfry_vm *vm, struct bf_platform **out,
			    struct belfry_error *err);
/* Press it, for a moment. Return: whether the guest listens. */
bool bf_arch_power_button(struct bf_platform *platform);
/* The console had no room, and has some again. */
void bf_arch_console_drained(struct bf_platform *platform);
/* Input for the console. Return: how many bytes of it were taken: see serial.h. */
unsigned int bf_arch_console_input(struct bf_platform *platform, const uint8_t *data,
				   unsigned int len);
void bf_arch_platform_destroy(struct bf_platform *platform);

/* Features, topology, model-specific registers of vCPU @id. */
int bf_arch_vcpu_init(struct belfry_vm *vm, int vcpu, unsigned int id,
		      struct belfry_error *err);

/* Registers of the vCPU that starts the guest. */
int bf_arch_vcpu_entry(struct belfry_vm *vm, int vcpu, const struct bf_entry *entry,
		       struct belfry_error *err);

/* Whether the host's CPU offers KVM what it needs to virtualize in hardware. */
bool bf_arch_has_hardware(void);

/* Where @vcpu is, for a message. */
uint64_t bf_arch_vcpu_pc(int vcpu);

#endif
