/* SPDX-License-Identifier: MIT */
/* guest-tests/reboot.c - test: a reset starts the guest again, on the device it had
 *
 * The first two lives leave marks, in RAM and on the device, and reset the machine; the
 * third looks for them. Lives are counted in the shared memory, which outlives a reset.
 *
 * options: peer=ID   what IVPosition should be in every life
 *          window=1  the device has a doorbell window
 */
#include "guest-tests/guest.h"
#include "guest-tests/own_bell.h"
#include "guest-tests/window.h"

#define LIVES      3
#define RAM_MARK   ((volatile uint64_t *)0x1000000) /* 16 MiB: nothing of ours is there */
#define MARK       0x6d61726b6d61726bULL
#define MASK_MARK  0xa5
#define FREE_32    0xf1000000 /* nothing is here; BARs go there for a while */
#define FREE_STEP  0x10000
#define CONFIG     64 /* words of 32 bits */
#define TABLE_MARK 0x41

/* What lives tell each other, in the shared memory */
struct story {
	uint64_t life;
	uint64_t mark;
	uint32_t config[CONFIG]; /* as the first life has found it */
};

static struct ivshmem iv;
static struct window window;
static volatile struct story *story;

static bool rings(void)
{
	return iv.has_msix || pci_read(iv.dev, PCI_INTERRUPT_PIN, 1);
}

/* ---- at the end of a life ---- */

static void fill_table(void)
{
	unsigned int v;

	for (v = 0; v < iv.msix.vectors; v++) {
		msix_mask(&iv.msix, v, true);
		msix_route(&iv.msix, v, apic_id(), TABLE_MARK);
		ivshmem_ring(&iv, ivshmem_id(&iv), v); /* pending, masked */
	}
	msix_mask(&iv.msix, 0, false);
	ivshmem_ring(&iv, ivshmem_id(&iv), 0);
}

static void move_bars(void)
{
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, FREE_32);
	if (iv.has_msix)
		pci_bar_set(iv.dev, IVSHMEM_BAR_MSIX, FREE_32 + FREE_STEP);
	if (window.base)
		pci_bar_set(iv.dev, window.bar, FREE_32 + window.size);
}

static void leave_marks(void)
{
	unsigned int i;

	*RAM_MARK = MARK;
	story->mark = MARK;
	if (!iv.has_msix)
		ioapic_mask(pci_read(iv.dev, PCI_INTERRUPT_LINE, 1));
	iv.regs[IVSHMEM_INTR_MASK / 4] = MASK_MARK;
	iv.regs[IVSHMEM_INTR_STATUS / 4] = MASK_MARK;
	if (iv.has_msix)
		fill_table();
	move_bars();
	for (i = 0; i < CONFIG; i++)
		if (4 * i != PCI_COMMAND && (4 * i < PCI_BAR(0) || 4 * i > PCI_BAR(5)))
			pci_write(iv.dev, 4 * i, ~0u, 4);
	pci_write(iv.dev, PCI_COMMAND,
		  story->life == 1 ? PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF
				   : PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY,
		  2);
}

/* ---- at the start of the next ---- */

static void config_is_as_new(const uint32_t *config)
{
	unsigned int i, wrong = 0;

	for (i = 0; i < CONFIG; i++) {
		if (config[i] == story->config[i])
			continue;
		wrong++;
		print("# at 0x%02x: 0x%08x, was 0x%08x\n", 4 * i, config[i],
		      story->config[i]);
	}
	check_eq(wrong, 0, "configuration space is as at first, all BARs included");
}

static void table_is_as_new(void)
{
	unsigned int v, wrong = 0, pending = 0;

	for (v = 0; v < iv.msix.vectors; v++) {
		wrong += iv.msix.table[v].address_low || iv.msix.table[v].data ||
			 iv.msix.table[v].control != 1;
		pending += msix_pending(&iv.msix, v);
	}
	check_eq(pending, 0, "nothing is pending");
	check_eq(wrong, 0, "all of %u vectors are 0 and masked again", iv.msix.vectors);
}

static void is_as_new(const uint32_t *config)
{
	check_eq(*RAM_MARK, 0, "RAM is cleared");
	check_eq(story->mark, MARK, "the shared memory is not");
	config_is_as_new(config);
	check_eq(iv.regs[IVSHMEM_INTR_MASK / 4], 0, "IntrMask is 0 again");
	check_eq(iv.regs[IVSHMEM_INTR_STATUS / 4], 0, "IntrStatus is 0 again");
	if (iv.has_msix)
		table_is_as_new();
}

static void nothing_is_left(void)
{
	unsigned int irq;
	uint64_t sum = 0;

	for (irq = IRQ_FIRST; irq <= IRQ_HOOKED; irq++)
		sum += irq_count[irq];
	check_eq(sum, 0, "no interrupt is left of what was rung before");
}

static void all_rings_work(void)
{
	uint32_t id = ivshmem_id(&iv);

	own_bell_open(&iv);
	nothing_is_left();
	check(own_bell_works(iv.regs, id), "the own doorbell works");
	if (window.base)
		check(own_bell_rings(window_place(&window, id, 0), 0),
		      "and so does the doorbell window");
}

/* ---- a life ---- */

/* @config becomes what this life has found. Return: its number. */
static uint64_t begin(uint32_t *config)
{
	uint32_t dev = pci_find(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID);
	unsigned int i;

	for (i = 0; i < CONFIG; i++)
		config[i] = pci_read(dev, 4 * i, 4);
	ivshmem_open(&iv);
	if (arg_u64("window", 0) && !window_open(&window, iv.dev))
		guest_fail("there is no doorbell window");
	story = (volatile struct story *)iv.memory;
	for (i = 0; i < CONFIG && story->life == 0; i++)
		story->config[i] = config[i];
	return ++story->life;
}

void guest_main(void)
{
	uint32_t config[CONFIG];
	uint64_t now;

	watchdog(20, "the lives");
	now = begin(config);
	print("# life %lu\n", now);
	check_eq(ivshmem_id(&iv), arg_u64("peer", 0), "IVPosition is ours");
	if (now > 1)
		is_as_new(config);
	if (rings())
		all_rings_work();
	if (now == LIVES)
		check_end();
	leave_marks();
	if (now == 1)
		end_by_i8042_reset();
	else
		end_by_acpi_reset();
	sleep_us(1000000);
	guest_fail("the guest still runs");
}
