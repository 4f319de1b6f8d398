/* SPDX-License-Identifier: MIT */
/*
 * devices/msix.c - MSI-X of a device whose events are eventfds
 *
 * A vector that may fire has its eventfd attached to a GSI (irqfd), and KVM delivers its
 * events; the code here takes no part. A vector that may not fire - masked, all masked,
 * MSI-X off - is detached: its events wait in the eventfd's counter, which is the pending
 * bit, and become one interrupt when it is attached again. So nothing is lost, and
 * nothing has to be kept in step.
 *
 * What the guest changes is applied to KVM once per access: first the vectors that must
 * not fire any more are detached, then all changed routes are handed over in one call,
 * then the others are attached, so that no event takes an old route.
 *
 * A GSI is taken when a vector may fire for the first time and kept: vectors that are
 * never used cost nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "devices/msix.h"
#include "devices/pci.h"

#define BAR_SIZE_MIN 4096U
#define PBA_OFFSET   0x800U

struct bf_msix_vector {
	uint32_t entry[PCI_MSIX_ENTRY_SIZE / 4]; /* as the guest sees it */
	int eventfd;                             /* -1: no events can come */
	int gsi;                                 /* -1: none yet */
	bool attached;
};

static uint32_t vector_dword(const struct bf_msix_vector *v, unsigned int off)
{
	return v->entry[off / 4];
}

static bool may_fire(const struct bf_msix *msix, const struct bf_msix_vector *v)
{
	return msix->enabled && !msix->all_masked && v->eventfd >= 0 &&
	       !(vector_dword(v, PCI_MSIX_ENTRY_VECTOR_CTRL) &
		 PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* The host cannot do what the guest may ask: its event waits, and the log says why. */
static void complain(struct bf_msix *msix, unsigned int index, const char *what, int e)
{
	if (!msix->warned)
		bf_log(bf_vm_log(msix->dev->vm), BELFRY_LOG_WARNING,
		       "PCI slot %u: vector %u: %s: %s; further ones are not reported",
		       msix->dev->slot, index, what, strerrordesc_np(-e));
	msix->warned = true;
}

static void vector_detach(struct bf_msix *msix, struct bf_msix_vector *v)
{
	if (v->attached)
		bf_irq_detach(msix->dev->vm, v->gsi, v->eventfd);
	v->attached = false;
}

static void vector_route(struct bf_msix *msix, unsigned int index)
{
	struct bf_msix_vector *v = &msix->vectors[index];

	if (v->gsi < 0)
		v->gsi = bf_irq_alloc_msi(msix->dev->vm);
	if (v->gsi < 0)
		complain(msix, index, "no GSI", v->gsi);
	else
		bf_irq_route_msi(
			msix->dev->vm, v->gsi,
			vector_dword(v, PCI_MSIX_ENTRY_LOWER_ADDR) |
				(uint64_t)vector_dword(v, PCI_MSIX_ENTRY_UPPER_ADDR)
					<< 32,
			vector_dword(v, PCI_MSIX_ENTRY_DATA));
}

static void vector_attach(struct bf_msix *msix, unsigned int index)
{
	struct bf_msix_vector *v = &msix->vectors[index];
	int e;

	if (v->attached || v->gsi < 0)
		return;
	e = bf_irq_attach(msix->dev->vm, v->gsi, v->eventfd);
	if (e < 0) {
		complain(msix, index, "irqfd", e);
		return;
	}
	v->attached = true;
	msix->waited += e;
}

/* Bring KVM into line with vectors @first to @last. */
static void update(struct bf_msix *msix, unsigned int first, unsigned int last)
{
	bool any = false;
	int e;

	for (unsigned int i = first; i <= last; i++) {
		struct bf_msix_vector *v = &msix->vectors[i];

		if (!may_fire(msix, v)) {
			vector_detach(msix, v);
			continue;
		}
		vector_route(msix, i);
		any = true;
	}
	if (!any)
		return;
	e = bf_irq_commit(msix->dev->vm);
	if (e < 0) {
		complain(msix, first, "interrupt routes", e);
		return;
	}
	for (unsigned int i = first; i <= last; i++)
		if (may_fire(msix, &msix->vectors[i]))
			vector_attach(msix, i);
}

void bf_msix_connect(struct bf_msix *msix, unsigned int index, int eventfd)
{
	if (index >= msix->n)
		return;
	vector_detach(msix, &msix->vectors[index]);
	msix->vectors[index].eventfd = eventfd;
	update(msix, index, index);
}

void bf_msix_config_written(struct bf_msix *msix)
{
	uint16_t control;
	bool enabled, all_masked;

	if (msix->n == 0)
		return;
	control = bf_pci_get16(msix->dev, BF_MSIX_CAP + PCI_MSIX_FLAGS);
	enabled = control & PCI_MSIX_FLAGS_ENABLE;
	all_masked = control & PCI_MSIX_FLAGS_MASKALL;
	if (enabled == msix->enabled && all_masked == msix->all_masked)
		return;
	msix->enabled = enabled;
	msix->all_masked = all_masked;
	update(msix, 0, msix->n - 1);
}

/* 32 pending bits, those of vectors from @first on. */
static uint32_t pending(const struct bf_msix *msix, unsigned int first)
{
	struct pollfd fds[32];
	unsigned int n = 0;
	uint32_t bits = 0;

	for (; n < 32 && first + n < msix->n; n++) {
		const struct bf_msix_vector *v = &msix->vectors[first + n];

		fds[n] = (struct pollfd){ .fd = v->attached ? -1 : v->eventfd,
					  .events = POLLIN };
	}
	if (poll(fds, n, 0) > 0)
		for (unsigned int i = 0; i < n; i++)
			if (fds[i].revents & POLLIN)
				bits |= 1U << i;
	return bits;
}

static uint32_t read_dword(struct bf_msix *msix, uint64_t off)
{
	if (off < msix->n * PCI_MSIX_ENTRY_SIZE)
		return vector_dword(&msix->vectors[off / PCI_MSIX_ENTRY_SIZE],
				    off % PCI_MSIX_ENTRY_SIZE);
	if (off >= msix->pba && (off - msix->pba) * 8 < msix->n)
		return pending(msix, (off - msix->pba) * 8);
	return 0;
}

/* 6.8.2: software uses aligned dwords and qwords; anything else reads 0, is ignored. */
uint64_t bf_msix_read(struct bf_msix *msix, uint64_t off, unsigned int len)
{
	if (off % len || len < 4)
		return 0;
	if (len == 4)
		return read_dword(msix, off);
	return read_dword(msix, off) | (uint64_t)read_dword(msix, off + 4) << 32;
}

void bf_msix_write(struct bf_msix *msix, uint64_t off, uint64_t val, unsigned int len)
{
	unsigned int index = off / PCI_MSIX_ENTRY_SIZE;

	if (off % len || len < 4 || index >= msix->n)
		return;
	for (; len; len -= 4, off += 4, val >>= 32)
		msix->vectors[index].entry[off % PCI_MSIX_ENTRY_SIZE / 4] = val;
	update(msix, index, index);
}

static unsigned int bar_size(unsigned int n, unsigned int pba)
{
	const unsigned int need = pba + (n + 63) / 64 * 8;
	unsigned int size = BAR_SIZE_MIN;

	while (size < need)
		size *= 2;
	return size;
}

static void declare(struct bf_msix *msix)
{
	struct bf_pci_dev *dev = msix->dev;

	bf_pci_add_registers(dev, msix->bar, "MSI-X table", bar_size(msix->n, msix->pba),
			     BF_PCI_BELOW_4G);
	bf_pci_add_capability(dev, BF_MSIX_CAP, PCI_CAP_ID_MSIX);
	bf_pci_put16(dev->config, BF_MSIX_CAP + PCI_MSIX_FLAGS, msix->n - 1);
	bf_pci_put32(dev->config, BF_MSIX_CAP + PCI_MSIX_TABLE, msix->bar);
	bf_pci_put32(dev->config, BF_MSIX_CAP + PCI_MSIX_PBA, msix->pba | msix->bar);
	bf_pci_put16(dev->writable, BF_MSIX_CAP + PCI_MSIX_FLAGS,
		     PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void vector_init(struct bf_msix_vector *v, int eventfd)
{
	*v = (struct bf_msix_vector){ .eventfd = eventfd, .gsi = -1 };
	v->entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

void bf_msix_reset(struct bf_msix *msix)
{
	for (unsigned int i = 0; i < msix->n; i++) {
		vector_init(&msix->vectors[i], msix->vectors[i].eventfd);
		if (msix->vectors[i].eventfd >= 0)
			bf_event_take(msix->vectors[i].eventfd, NULL);
	}
	msix->enabled = msix->all_masked = false;
}

int bf_msix_init(struct bf_msix *msix, struct bf_pci_dev *dev, unsigned int bar,
		 unsigned int n, struct belfry_error *err)
{
	const unsigned int table = n * PCI_MSIX_ENTRY_SIZE;

	*msix = (struct bf_msix){ .dev = dev, .n = n, .bar = bar };
	msix->pba = table > PBA_OFFSET ? table : PBA_OFFSET;
	msix->vectors = calloc(n, sizeof(*msix->vectors));
	if (!msix->vectors)
		return bf_err_sys(err, ENOMEM, "%u MSI-X vectors", n);
	for (unsigned int i = 0; i < n; i++)
		vector_init(&msix->vectors[i], -1);
	declare(msix);
	return 0;
}

void bf_msix_fini(struct bf_msix *msix)
{
	free(msix->vectors);
	msix->vectors = NULL;
}
