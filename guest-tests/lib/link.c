/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/link.c - opens a link: by PCI, or as bench/floor describes it
 *
 * bench/floor has no PCI. It tells floor=DOORBELL,MEMORY,SIZE,VECTOR,ID on the command
 * line: two guest physical addresses, bytes, the interrupt that it raises, own ID.
 */
#include "guest-tests/link.h"
#include "devices/ivshmem_regs.h"
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/pci.h"

static uint64_t next_number(const char **text)
{
	const char *rest;
	uint64_t value = parse_u64(*text, &rest);

	*text = *rest == ',' ? rest + 1 : rest;
	return value;
}

static void open_floor(struct link *link, const char *numbers)
{
	uint64_t memory;

	*link = (struct link){ .dev = 0 };
	link->doorbell = map(next_number(&numbers), sizeof(*link->doorbell));
	memory = next_number(&numbers);
	link->size = next_number(&numbers);
	link->memory = map(memory, link->size);
	if (next_number(&numbers) != LINK_IRQ)
		guest_fail("floor: the interrupt is vector %u here", LINK_IRQ);
	link->id = next_number(&numbers);
}

static void open_device(struct link *link, struct ivshmem *device)
{
	ivshmem_open(device);
	*link = (struct link){ .dev = device->dev };
	link->doorbell = &device->regs[IVSHMEM_DOORBELL / 4];
	link->id = device->regs[IVSHMEM_IVPOSITION / 4];
	link->memory = device->memory;
	link->size = device->size;
}

void link_open_memory(struct link *link)
{
	struct ivshmem device;

	open_device(link, &device);
}

void link_open(struct link *link)
{
	const char *floor = arg("floor");
	struct ivshmem device;

	irq_on();
	if (floor) {
		open_floor(link, floor);
		return;
	}
	open_device(link, &device);
	if (!device.has_msix && pci_read(device.dev, PCI_INTERRUPT_PIN, 1)) {
		ivshmem_open_intx(&device, LINK_IRQ);
		return;
	}
	if (!device.has_msix)
		guest_fail("the ivshmem device has no doorbell: no MSI-X");
	msix_route(&device.msix, 0, apic_id(), LINK_IRQ);
	msix_control(&device.msix, PCI_MSIX_ENABLE);
	msix_mask(&device.msix, 0, false);
}

void link_use_window(struct link *link)
{
	if (!link->dev || !window_open(&link->window, link->dev))
		guest_fail("window=1: there is no doorbell window");
}

struct link_bell link_bell(const struct link *link, uint32_t peer)
{
	struct link_bell bell = { link->doorbell, IVSHMEM_RING(peer, 0) };

	if (link->window.base)
		bell.at = window_place(&link->window, peer, 0);
	return bell;
}
