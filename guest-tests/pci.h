/* SPDX-License-Identifier: MIT */
/* guest-tests/pci.h - PCI functions on bus 0, their BARs, and MSI-X */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

/* Configuration registers */
#define PCI_VENDOR_ID        0x00
#define PCI_DEVICE_ID        0x02
#define PCI_COMMAND          0x04
#define PCI_STATUS           0x06
#define PCI_REVISION         0x08
#define PCI_CLASS            0x0a
#define PCI_HEADER_TYPE      0x0e
#define PCI_BAR(n)           (0x10 + 4 * (n))
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM_ID     0x2e
#define PCI_CAPABILITIES     0x34
#define PCI_INTERRUPT_LINE   0x3c
#define PCI_INTERRUPT_PIN    0x3d

#define PCI_COMMAND_MEMORY   0x2
#define PCI_COMMAND_MASTER   0x4
#define PCI_COMMAND_INTX_OFF 0x400
#define PCI_STATUS_INTX      0x8
#define PCI_STATUS_CAP_LIST  0x10
#define PCI_BAR_IO           0x1
#define PCI_BAR_64           0x4
#define PCI_BAR_PREFETCH     0x8
#define PCI_BAR_FLAGS        0xf

#define PCI_CAP_VENDOR          0x09
#define PCI_CAP_MSIX            0x11
#define PCI_MSIX_CONTROL        2
#define PCI_MSIX_ENABLE         0x8000
#define PCI_MSIX_MASK_ALL       0x4000
#define PCI_MSIX_VECTORS_LESS_1 0x7ff

/* A function is known by its address in the form that port 0xcf8 takes. */
uint32_t pci_find(uint16_t vendor, uint16_t device); /* the first one, or 0 */
uint32_t pci_find_after(uint32_t dev, uint16_t vendor, uint16_t device);
uint32_t pci_address(unsigned int slot, unsigned int function);
unsigned int pci_slot(uint32_t dev);

uint32_t pci_read(uint32_t dev, unsigned int reg, unsigned int bytes);
void pci_write(uint32_t dev, unsigned int reg, uint32_t value, unsigned int bytes);
uint8_t pci_capability(uint32_t dev, uint8_t id); /* the first one's place, or 0 */
uint8_t pci_capability_after(uint32_t dev, uint8_t cap, uint8_t id);

/*
 * Where the BAR is (placing it first if nobody has), mapped, with memory decoding on.
 * @size may be NULL; to find it out may take a VMM milliseconds.
 */
uint64_t pci_bar(uint32_t dev, unsigned int bar, uint64_t *size);
uint64_t pci_bar_get(uint32_t dev, unsigned int bar); /* just the address */
void pci_bar_set(uint32_t dev, unsigned int bar, uint64_t address);
uint64_t pci_bar_size(uint32_t dev, unsigned int bar); /* 0: there is none */

/* An entry of an MSI-X table */
struct msix_entry {
	uint32_t address_low;
	uint32_t address_high;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

struct msix {
	uint32_t dev;
	uint8_t cap;
	unsigned int vectors;
	volatile struct msix_entry *table;
	volatile uint32_t *pending; /* bit n % 32 of word n / 32 */
};

bool msix_open(struct msix *msix, uint32_t dev);     /* false: the function has none */
void msix_control(struct msix *msix, uint16_t bits); /* of ENABLE and MASK_ALL */
void msix_route(struct msix *msix, unsigned int entry, uint32_t to_apic, uint8_t vector);
void msix_mask(struct msix *msix, unsigned int entry, bool masked);
bool msix_pending(struct msix *msix, unsigned int entry);

#endif
