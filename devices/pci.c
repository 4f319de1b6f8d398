/* SPDX-License-Identifier: MIT */
/*
 * devices/pci.c - one PCI bus: configuration space, BARs, and where they are mapped
 *
 * A BAR register holds whatever the guest last wrote; region.base and mapped say where
 * the BAR answers. The two agree, but for a while:
 *
 *  - While the device's memory decoding is off, nothing is mapped and any value stays.
 *  - All ones asks for the size. The register keeps them and the BAR stays where it is.
 *  - A 64-bit BAR is written in halves. After the low half, an address that cannot be is
 *    taken for one half of a pair: the register keeps it and the BAR stays.
 *  - Any other address that cannot be (over RAM, over another BAR, beyond the CPU's
 *    addresses) is rolled back: the BAR stays, and the register reads its address.
 *
 * When decoding is switched on with a BAR at an address that cannot be, that BAR stays
 * unmapped until it is given a better one.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "devices/pci.h"

#define PAGE 4096ULL

struct bf_pci_bus {
	struct belfry_vm *vm;
	const struct bf_layout *layout;
	struct bf_region ecam;
	uint64_t next32, next64; /* where the next BAR may go in each window */
	struct bf_pci_dev bridge;
	struct bf_pci_dev *slots[BF_PCI_SLOTS];
};

static bool decoding(const struct bf_pci_dev *dev)
{
	return bf_pci_get16(dev, PCI_COMMAND) & PCI_COMMAND_MEMORY;
}

static unsigned int bar_reg(const struct bf_pci_bar *bar)
{
	return PCI_BASE_ADDRESS_0 + 4 * bar->index;
}

/* --- a BAR and its address --- */

/* The address in the register; the low bits tell the kind of BAR. */
static uint64_t bar_get(const struct bf_pci_bar *bar)
{
	uint64_t addr = bf_pci_get32(bar->dev, bar_reg(bar)) & ~0xfU;

	if (bar->is_64)
		addr |= (uint64_t)bf_pci_get32(bar->dev, bar_reg(bar) + 4) << 32;
	return addr;
}

static void bar_put(struct bf_pci_bar *bar, uint64_t addr)
{
	uint8_t *config = bar->dev->config;

	bf_pci_put32(config, bar_reg(bar), addr | (config[bar_reg(bar)] & 0xf));
	if (bar->is_64)
		bf_pci_put32(config, bar_reg(bar) + 4, addr >> 32);
}

/* Whether the register holds the answer to a question for the size. */
static bool bar_is_sizing(const struct bf_pci_bar *bar)
{
	const uint64_t ones = -bar->region.size;

	return bar->is_64 ? bar_get(bar) >> 32 == ones >> 32
			  : bar_get(bar) == (uint32_t)ones;
}

static uint64_t bar_read(void *owner, uint64_t off, unsigned int len)
{
	struct bf_pci_bar *bar = owner;

	return bar->dev->ops->read(bar->dev, bar->index, off, len);
}

static void bar_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct bf_pci_bar *bar = owner;

	bar->dev->ops->write(bar->dev, bar->index, off, val, len);
}

static void bar_unmap(struct bf_pci_bar *bar)
{
	if (!bar->mapped)
		return;
	if (bar->dev->ops->bar_leaves && !bar->region.ram)
		bar->dev->ops->bar_leaves(bar->dev, bar->index);
	bf_vm_unmap(bar->dev->vm, &bar->region);
	bar->mapped = false;
}

/* Return: 0; a negative errno, and the BAR is unmapped. */
static int bar_map(struct bf_pci_bar *bar, uint64_t addr, struct belfry_error *err)
{
	int e;

	bar->region.base = addr;
	e = bf_vm_map(bar->dev->vm, &bar->region, err);
	if (e < 0)
		return e;
	bar->mapped = true;
	if (bar->dev->ops->bar_arrived && !bar->region.ram)
		bar->dev->ops->bar_arrived(bar->dev, bar->index);
	return 0;
}

/* Move a BAR; when it cannot be there, it stays. */
static int bar_move(struct bf_pci_bar *bar, uint64_t addr, struct belfry_error *err)
{
	const uint64_t old = bar->region.base;
	const bool was_mapped = bar->mapped;
	int e;

	if (was_mapped && addr == old)
		return 0;
	bar_unmap(bar);
	e = bar_map(bar, addr, err);
	if (e < 0 && was_mapped && bar_map(bar, old, NULL) < 0)
		bf_log(bf_vm_log(bar->dev->vm), BELFRY_LOG_ERROR,
		       "PCI slot %u: %s is lost: cannot go back to 0x%" PRIx64,
		       bar->dev->slot, bar->region.name, old);
	return e;
}

/* The guest has written the BAR's register, or switched decoding. */
static void bar_update(struct bf_pci_bar *bar, bool low_half)
{
	struct belfry_error why;

	if (bar->region.size == 0)
		return;
	if (!decoding(bar->dev)) {
		bar_unmap(bar);
		return;
	}
	if (bar_is_sizing(bar) || bar_move(bar, bar_get(bar), &why) == 0)
		return;
	bf_log(bf_vm_log(bar->dev->vm), BELFRY_LOG_DEBUG, "PCI slot %u: %s",
	       bar->dev->slot, why.msg);
	if (bar->mapped && !(bar->is_64 && low_half))
		bar_put(bar, bar->region.base);
}

/* --- configuration space --- */

struct bf_pci_dev *bf_pci_bus_device(struct bf_pci_bus *bus, unsigned int slot)
{
	return slot < BF_PCI_SLOTS ? bus->slots[slot] : NULL;
}

static bool access_ok(unsigned int off, unsigned int len)
{
	return (len == 1 || len == 2 || len == 4) && off + len <= 256;
}

uint32_t bf_pci_config_read(struct bf_pci_bus *bus, unsigned int slot, unsigned int off,
			    unsigned int len)
{
	const struct bf_pci_dev *dev = bf_pci_bus_device(bus, slot);
	uint32_t val = 0;

	if (!dev)
		return UINT32_MAX;
	if (!access_ok(off, len))
		return 0; /* extended space: no capabilities */
	memcpy(&val, &dev->config[off], len);
	return le32toh(val);
}

/* The BARs of one kind that have bytes in the written range. */
static void config_update_kind(struct bf_pci_dev *dev, unsigned int off, unsigned int len,
			       bool ram)
{
	for (unsigned int i = 0; i < BF_PCI_BARS; i++) {
		struct bf_pci_bar *bar = &dev->bars[i];
		unsigned int reg = bar_reg(bar), size = bar->is_64 ? 8 : 4;

		if (!bar->region.ram == !ram && off < reg + size && off + len > reg)
			bar_update(bar, off < reg + 4);
	}
}

/*
 * Memory first: KVM_IOEVENTFD leaves an SRCU grace period running, of some milliseconds,
 * and KVM_SET_USER_MEMORY_REGION waits for it.
 */
static void config_update_bars(struct bf_pci_dev *dev, unsigned int off, unsigned int len)
{
	config_update_kind(dev, off, len, true);
	config_update_kind(dev, off, len, false);
}

void bf_pci_config_write(struct bf_pci_bus *bus, unsigned int slot, unsigned int off,
			 uint32_t val, unsigned int len)
{
	struct bf_pci_dev *dev = bf_pci_bus_device(bus, slot);
	bool was_decoding;

	if (!dev || !access_ok(off, len))
		return;
	was_decoding = decoding(dev);
	for (unsigned int i = 0; i < len; i++, val >>= 8) {
		uint8_t can = dev->writable[off + i];

		dev->config[off + i] = (dev->config[off + i] & ~can) | (val & can);
	}
	if (decoding(dev) != was_decoding)
		config_update_bars(dev, PCI_BASE_ADDRESS_0, 4 * BF_PCI_BARS);
	else
		config_update_bars(dev, off, len);
	if (dev->ops->config_written)
		dev->ops->config_written(dev, off, len);
}

/* PCI Express 3.0, 7.2.2: bus 27..20, device 19..15, function 14..12, register 11..0. */
static uint64_t ecam_read(void *owner, uint64_t off, unsigned int len)
{
	if (off >> 12 & 7 || len > 4)
		return UINT64_MAX;
	return bf_pci_config_read(owner, off >> 15 & 31, off & 0xfff, len);
}

static void ecam_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	if ((off >> 12 & 7) == 0)
		bf_pci_config_write(owner, off >> 15 & 31, off & 0xfff, val, len);
}

/* --- building --- */

void bf_pci_init(struct bf_pci_dev *dev, struct belfry_vm *vm,
		 const struct bf_pci_ops *ops, const struct bf_pci_ident *ident)
{
	dev->vm = vm;
	dev->ops = ops;
	bf_pci_put16(dev->config, PCI_VENDOR_ID, ident->vendor);
	bf_pci_put16(dev->config, PCI_DEVICE_ID, ident->device);
	bf_pci_put16(dev->config, PCI_SUBSYSTEM_VENDOR_ID, ident->subsystem_vendor);
	bf_pci_put16(dev->config, PCI_SUBSYSTEM_ID, ident->subsystem);
	bf_pci_put16(dev->config, PCI_CLASS_DEVICE, ident->class);
	dev->config[PCI_REVISION_ID] = ident->revision;
	dev->config[PCI_INTERRUPT_PIN] = ident->interrupt_pin;

	bf_pci_put16(dev->writable, PCI_COMMAND,
		     PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			     PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;
	for (unsigned int i = 0; i < BF_PCI_BARS; i++) {
		dev->bars[i].dev = dev;
		dev->bars[i].index = i;
	}
}

static void add_bar(struct bf_pci_dev *dev, unsigned int index, const char *name,
		    uint64_t size, uint8_t kind)
{
	struct bf_pci_bar *bar = &dev->bars[index];
	const uint64_t mask = ~(size - 1) & ~0xfULL;

	bar->region.name = name;
	bar->region.size = size;
	bar->region.owner = bar;
	bar->is_64 = kind & PCI_BASE_ADDRESS_MEM_TYPE_64;
	dev->config[bar_reg(bar)] = kind;
	bf_pci_put32(dev->writable, bar_reg(bar), mask);
	if (bar->is_64)
		bf_pci_put32(dev->writable, bar_reg(bar) + 4, mask >> 32);
}

void bf_pci_add_registers(struct bf_pci_dev *dev, unsigned int index, const char *name,
			  uint64_t size, enum bf_pci_where where)
{
	add_bar(dev, index, name, size, where);
	dev->bars[index].region.read = dev->ops->read ? bar_read : NULL;
	dev->bars[index].region.write = dev->ops->write ? bar_write : NULL;
}

void bf_pci_add_memory(struct bf_pci_dev *dev, unsigned int index, const char *name,
		       void *ram, uint64_t size, enum bf_pci_where where)
{
	add_bar(dev, index, name, size, where | PCI_BASE_ADDRESS_MEM_PREFETCH);
	dev->bars[index].region.ram = ram;
}

void bf_pci_add_capability(struct bf_pci_dev *dev, uint8_t off, uint8_t id)
{
	dev->config[off] = id;
	dev->config[off + 1] = dev->config[PCI_CAPABILITY_LIST];
	dev->config[PCI_CAPABILITY_LIST] = off;
	dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
}

/* What firmware leaves behind: decoding is on, and the interrupt's line is known. */
static void dev_power_on(struct bf_pci_dev *dev)
{
	bf_pci_put16(dev->config, PCI_COMMAND, PCI_COMMAND_MEMORY);
	if (dev->config[PCI_INTERRUPT_PIN])
		dev->config[PCI_INTERRUPT_LINE] = bf_arch_intx_line(dev->slot);
}

int bf_pci_bus_add(struct bf_pci_bus *bus, struct bf_pci_dev *dev,
		   struct belfry_error *err)
{
	for (unsigned int i = 0; i < BF_PCI_SLOTS; i++) {
		if (bus->slots[i])
			continue;
		bus->slots[i] = dev;
		dev->slot = i;
		dev_power_on(dev);
		return 0;
	}
	return bf_err(err, ENOSPC, "all %u PCI slots are taken", BF_PCI_SLOTS);
}

/* Give a BAR the next multiple of its size, at least a page, and map it. */
static int place(struct bf_pci_bus *bus, struct bf_pci_bar *bar, struct belfry_error *err)
{
	const struct bf_span *window =
		bar->is_64 ? &bus->layout->mmio64 : &bus->layout->mmio32;
	uint64_t *next = bar->is_64 ? &bus->next64 : &bus->next32;
	const uint64_t align = bar->region.size < PAGE ? PAGE : bar->region.size;
	const uint64_t end = window->base + window->size;
	uint64_t addr;

	if (__builtin_add_overflow(*next, align - 1, &addr))
		addr = end;
	addr &= ~(align - 1);
	if (addr >= end || align > end - addr)
		return bf_err(err, ENOSPC,
			      "%s of 0x%" PRIx64
			      " bytes does not fit into the window at 0x%" PRIx64
			      ", 0x%" PRIx64 " bytes, behind the other BARs",
			      bar->region.name, bar->region.size, window->base,
			      window->size);
	*next = addr + align;
	bar_put(bar, addr);
	return bar_map(bar, addr, err);
}

static int map_bars(struct bf_pci_bus *bus, bool ram, struct belfry_error *err)
{
	for (unsigned int i = 0; i < BF_PCI_SLOTS && bus->slots[i]; i++) {
		for (unsigned int b = 0; b < BF_PCI_BARS; b++) {
			struct bf_pci_bar *bar = &bus->slots[i]->bars[b];
			int e = 0;

			if (bar->region.size && !bar->region.ram == !ram)
				e = place(bus, bar, err);
			if (e < 0)
				return e;
		}
	}
	return 0;
}

int bf_pci_map_memory(struct bf_pci_bus *bus, struct belfry_error *err)
{
	int e = bf_vm_map(bus->vm, &bus->ecam, err);

	return e < 0 ? e : map_bars(bus, true, err);
}

int bf_pci_map_registers(struct bf_pci_bus *bus, struct belfry_error *err)
{
	return map_bars(bus, false, err);
}

int bf_pci_bus_create(struct belfry_vm *vm, const struct bf_layout *layout,
		      struct bf_pci_bus **out, struct belfry_error *err)
{
	static const struct bf_pci_ops bridge_ops;
	struct bf_pci_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return bf_err_sys(err, ENOMEM, "PCI bus");
	*bus = (struct bf_pci_bus){
		.vm = vm,
		.layout = layout,
		.next32 = layout->mmio32.base,
		.next64 = layout->mmio64.base,
		.ecam = { .base = layout->ecam.base,
			  .size = layout->ecam.size,
			  .name = "PCI configuration space",
			  .read = ecam_read,
			  .write = ecam_write,
			  .owner = bus },
	};
	/* Red Hat's generic PCI Express host bridge, as known to every guest */
	bf_pci_init(&bus->bridge, vm, &bridge_ops,
		    &(struct bf_pci_ident){ .vendor = 0x1b36,
					    .device = 0x0008,
					    .subsystem_vendor = 0x1af4,
					    .subsystem = 0x1100,
					    .class = 0x0600 });
	bf_pci_bus_add(bus, &bus->bridge, NULL);
	*out = bus;
	return 0;
}

static void dev_reset(struct bf_pci_dev *dev)
{
	for (unsigned int i = 0; i < sizeof(dev->config); i++)
		dev->config[i] &= ~dev->writable[i];
	dev_power_on(dev);
	for (unsigned int i = 0; i < BF_PCI_BARS; i++)
		dev->bars[i].mapped = false;
	if (dev->ops->reset)
		dev->ops->reset(dev);
}

void bf_pci_bus_started(struct bf_pci_bus *bus)
{
	for (unsigned int i = 0; i < BF_PCI_SLOTS && bus->slots[i]; i++)
		if (bus->slots[i]->ops->started)
			bus->slots[i]->ops->started(bus->slots[i]);
}

void bf_pci_bus_reset(struct bf_pci_bus *bus)
{
	bus->next32 = bus->layout->mmio32.base;
	bus->next64 = bus->layout->mmio64.base;
	for (unsigned int i = 0; i < BF_PCI_SLOTS && bus->slots[i]; i++)
		dev_reset(bus->slots[i]);
}

void bf_pci_bus_destroy(struct bf_pci_bus *bus)
{
	if (!bus)
		return;
	for (unsigned int i = 0; i < BF_PCI_SLOTS; i++) {
		struct bf_pci_dev *dev = bus->slots[i];

		if (dev && dev->ops->destroy)
			dev->ops->destroy(dev);
	}
	free(bus);
}
