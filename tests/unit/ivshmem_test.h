/* SPDX-License-Identifier: MIT */
/* tests/unit/ivshmem_test.h - what the tests of plain and doorbell devices share */
#ifndef BF_IVSHMEM_TEST_H
#define BF_IVSHMEM_TEST_H

#include "base/own.h"
#include "devices/devices.h"
#include "devices/ivshmem.h"
#include "devices/ivshmem_conf.h"
#include "devices/ivshmem_regs.h"
#include "devices/pci.h"
#include "tests/descriptors.h"
#include "tests/unit/fake_peer.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

/* No key given. */
static inline struct bf_ivshmem_conf conf_empty(void)
{
	return (struct bf_ivshmem_conf){ .msi = true,
					 .use64 = true,
					 .revision = 1,
					 .link.fd = -1,
					 .socket.fd = -1,
					 .shm.fd = -1,
					 .file.fd = -1 };
}

/* As firmware would. */
static inline void map_bars(struct fake_vm *fake)
{
	assert_works(bf_pci_map_memory(fake->vm.pci, &err));
	assert_works(bf_pci_map_registers(fake->vm.pci, &err));
}

/* Where a BAR is, as its register says. */
static inline uint64_t bar_base(struct fake_vm *fake, unsigned int slot, unsigned int bar)
{
	const unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * bar;
	const uint32_t low = bf_pci_config_read(fake->vm.pci, slot, reg, 4);
	uint64_t base = low & ~0xfU;

	if (low & PCI_BASE_ADDRESS_MEM_TYPE_64)
		base |= (uint64_t)bf_pci_config_read(fake->vm.pci, slot, reg + 4, 4)
			<< 32;
	return base;
}

/* The region that starts at @gpa; NULL when none does. */
static inline const struct bf_region *region_at(const struct fake_vm *fake, uint64_t gpa)
{
	for (unsigned int i = 0; i < fake->vm.mem.n; i++) {
		if (fake->vm.mem.regions[i]->base == gpa)
			return fake->vm.mem.regions[i];
	}
	return NULL;
}

#endif
