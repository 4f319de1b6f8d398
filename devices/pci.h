/* SPDX-License-Identifier: MIT */
/*
 * devices/pci.h - one PCI bus: configuration space, BARs, and where they are mapped
 *
 * Register layout: PCI Local Bus 3.0, chapter 6; PCI Express 3.0, 7.2.2 (ECAM).
 */
#ifndef BF_PCI_H
#define BF_PCI_H

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/vmm.h"

struct bf_layout;
struct bf_pci_bus;
struct bf_pci_dev;

#define BF_PCI_SLOTS 32
#define BF_PCI_BARS  6

/* What a device does; unset entries do nothing. All run with the VM's lock held. */
struct bf_pci_ops {
	uint64_t (*read)(struct bf_pci_dev *dev, unsigned int bar, uint64_t off,
			 unsigned int len);
	void (*write)(struct bf_pci_dev *dev, unsigned int bar, uint64_t off,
		      uint64_t val, unsigned int len);
	/* A register BAR is about to leave its address, or has just arrived at one. */
	void (*bar_leaves)(struct bf_pci_dev *dev, unsigned int bar);
	void (*bar_arrived)(struct bf_pci_dev *dev, unsigned int bar);
	/* The guest has written configuration space at @off. */
	void (*config_written)(struct bf_pci_dev *dev, unsigned int off,
			       unsigned int len);
	/* The VM has started: what was made for it stays. */
	void (*started)(struct bf_pci_dev *dev);
	/* As after power on. Nothing is bound, attached or mapped in KVM any more. */
	void (*reset)(struct bf_pci_dev *dev);
	void (*destroy)(struct bf_pci_dev *dev); /* see bf_pci_bus_destroy() */
};

struct bf_pci_bar {
	struct bf_region region; /* base: where it is mapped, while it is */
	struct bf_pci_dev *dev;
	unsigned int index;
	bool is_64;
	bool mapped;
};

/* A device embeds this first. */
struct bf_pci_dev {
	struct belfry_vm *vm;
	const struct bf_pci_ops *ops;
	unsigned int slot;
	uint8_t config[256];
	uint8_t writable[256]; /* bits of @config that the guest may change */
	struct bf_pci_bar bars[BF_PCI_BARS];
};

/* What a device is; the rest of its configuration space starts as zero. */
struct bf_pci_ident {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint16_t class; /* base class and subclass */
	uint8_t revision;
	uint8_t interrupt_pin; /* 0: none; 1: INTA */
};

/* The bus with its host bridge. Return: 0; -ENOMEM. */
int bf_pci_bus_create(struct belfry_vm *vm, const struct bf_layout *layout,
		      struct bf_pci_bus **out, struct belfry_error *err);

/*
 * Destroys its devices, too; NULL is fine. KVM's VM is gone by then, so that nothing has
 * to be taken out of it piece by piece.
 */
void bf_pci_bus_destroy(struct bf_pci_bus *bus);

/* The device in @slot; NULL when there is none. */
struct bf_pci_dev *bf_pci_bus_device(struct bf_pci_bus *bus, unsigned int slot);

/* Tell every device that the VM has started. */
void bf_pci_bus_started(struct bf_pci_bus *bus);

/* Machine reset: every device as it was made, its BARs mapped nowhere. */
void bf_pci_bus_reset(struct bf_pci_bus *bus);

/*
 * Give all BARs addresses and map them, as firmware would: first the memory ones of all
 * devices, later the register ones. See machine.c for why there are two calls.
 * Return: 0; -ENOSPC when a window is full; a negative errno from KVM.
 */
int bf_pci_map_memory(struct bf_pci_bus *bus, struct belfry_error *err);
int bf_pci_map_registers(struct bf_pci_bus *bus, struct belfry_error *err);

/* Begin a device in the caller's zeroed memory. */
void bf_pci_init(struct bf_pci_dev *dev, struct belfry_vm *vm,
		 const struct bf_pci_ops *ops, const struct bf_pci_ident *ident);

/* A BAR of 64 bits takes the place of two. */
enum bf_pci_where {
	BF_PCI_BELOW_4G = 0,
	BF_PCI_ANYWHERE = PCI_BASE_ADDRESS_MEM_TYPE_64,
};

/* Declare BAR @index: registers, @size a power of two. */
void bf_pci_add_registers(struct bf_pci_dev *dev, unsigned int index, const char *name,
			  uint64_t size, enum bf_pci_where where);

/* Declare BAR @index: host memory at @ram (borrowed), prefetchable. */
void bf_pci_add_memory(struct bf_pci_dev *dev, unsigned int index, const char *name,
		       void *ram, uint64_t size, enum bf_pci_where where);

/*
 * Put capability @id in front of the list; its bytes from @off + 2 on are the caller's.
 */
void bf_pci_add_capability(struct bf_pci_dev *dev, uint8_t off, uint8_t id);

/* Put a device into the next free slot; the bus destroys it. Return: 0; -ENOSPC. */
int bf_pci_bus_add(struct bf_pci_bus *bus, struct bf_pci_dev *dev,
		   struct belfry_error *err);

/* Access to configuration space: @len 1, 2 or 4 bytes; others are as nobody there. */
uint32_t bf_pci_config_read(struct bf_pci_bus *bus, unsigned int slot, unsigned int off,
			    unsigned int len);
void bf_pci_config_write(struct bf_pci_bus *bus, unsigned int slot, unsigned int off,
			 uint32_t val, unsigned int len);

static inline uint16_t bf_pci_get16(const struct bf_pci_dev *dev, unsigned int off)
{
	return dev->config[off] | dev->config[off + 1] << 8;
}

static inline uint32_t bf_pci_get32(const struct bf_pci_dev *dev, unsigned int off)
{
	return bf_pci_get16(dev, off) | (uint32_t)bf_pci_get16(dev, off + 2) << 16;
}

static inline void bf_pci_put16(uint8_t *space, unsigned int off, uint16_t val)
{
	space[off] = val;
	space[off + 1] = val >> 8;
}

static inline void bf_pci_put32(uint8_t *space, unsigned int off, uint32_t val)
{
	bf_pci_put16(space, off, val);
	bf_pci_put16(space, off + 2, val >> 16);
}

#endif
