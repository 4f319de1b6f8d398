/* SPDX-License-Identifier: MIT */
/* guest-tests/sweep.c - test: a guest that writes to everything harms nobody
 *
 * Reads and writes each byte of the device's BARs and configuration space in 1, 2, 4 and
 * 8 bytes, aligned and not; of a long BAR its first and last page. Then the device must
 * still work, and RAM must be as it was.
 *
 * options: ecam=ADDRESS  where PCI configuration space is mapped; 0: nowhere
 *          bridge=0      leave the host bridge alone
 */
#include "guest-tests/guest.h"
#include "guest-tests/own_bell.h"
#include "guest-tests/window.h"

#define PAGE          4096
#define CONFIG_DWORDS 64

static struct ivshmem iv;
static struct window window;
static uint32_t id;
static uint32_t config[CONFIG_DWORDS]; /* the device's, to put it back */

static volatile uint64_t ram[64 << 10 >> 3];

static void ram_fill(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(ram) / 8; i++)
		ram[i] = i * 0x0101010101010101ULL;
}

static bool ram_is_whole(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(ram) / 8; i++)
		if (ram[i] != i * 0x0101010101010101ULL)
			return false;
	return true;
}

/* ---- accesses ---- */

static uint64_t junk(uint64_t off, unsigned int width)
{
	return (off + 1) * 0x9e3779b97f4a7c15 >> 8 * (8 - width);
}

static void touch(volatile uint8_t *at, unsigned int width, uint64_t value)
{
	read_width(at, width);
	write_width(at, width, value);
}

static void sweep_range(volatile uint8_t *base, uint64_t from, uint64_t to)
{
	unsigned int width;
	uint64_t off;

	for (width = 1; width <= 8; width *= 2)
		for (off = from; off < to; off++)
			touch(base + off, width, junk(off, width));
}

static void sweep_bar(unsigned int bar, uint64_t size)
{
	volatile uint8_t *base = map(pci_bar_get(iv.dev, bar), size);

	if (size <= 2 * PAGE) {
		sweep_range(base, 0, size);
	} else {
		sweep_range(base, 0, PAGE);
		sweep_range(base, size - PAGE, size - 7); /* memory ends at its end */
	}
}

static void sweep_config_ports(uint32_t dev)
{
	unsigned int width, reg;

	for (width = 1; width <= 4; width *= 2)
		for (reg = 0; reg < 256; reg++) {
			pci_read(dev, reg, width);
			pci_write(dev, reg, junk(reg, width), width);
		}
}

static void sweep_ecam(uint32_t dev)
{
	uint64_t ecam = arg_u64("ecam", 0xe8000000);

	if (ecam)
		sweep_range(map(ecam + ((dev & 0xff00) << 4), PAGE), 0, PAGE);
}

/* ---- what must hold afterwards ---- */

static void save_config(void)
{
	unsigned int i;

	for (i = 0; i < CONFIG_DWORDS; i++)
		config[i] = pci_read(iv.dev, 4 * i, 4);
}

static void restore_config(void)
{
	unsigned int i;

	pci_write(iv.dev, PCI_COMMAND, 0, 2);
	for (i = CONFIG_DWORDS; i-- > 0;) /* the command register comes after the BARs */
		pci_write(iv.dev, 4 * i, config[i], 4);
}

static void reset_table(void)
{
	unsigned int i;

	for (i = 0; i < iv.msix.vectors; i++) {
		msix_mask(&iv.msix, i, true);
		msix_route(&iv.msix, i, apic_id(), IRQ_LAST);
	}
}

static void all_is_well(const char *after)
{
	unsigned int i, wrong = 0;

	restore_config();
	msix_control(&iv.msix, 0);
	reset_table();
	own_bell_open(&iv);
	check(own_bell_works(iv.regs, id), "the doorbell works after %s", after);
	if (window.base)
		check(own_bell_rings(window_place(&window, id, 0), 0),
		      "so does the doorbell window");
	for (i = 0; i < CONFIG_DWORDS; i++)
		if (4 * i != (iv.msix.cap & ~3u)) /* MSI-X is on now */
			wrong += pci_read(iv.dev, 4 * i, 4) != config[i];
	check_eq(wrong, 0, "configuration space is as before");
	iv.memory[0] = 1;
	iv.memory[iv.size - 1] = 2;
	check(iv.memory[0] == 1 && iv.memory[iv.size - 1] == 2 && ram_is_whole(),
	      "shared memory works, RAM is as before");
}

void guest_main(void)
{
	static const uint16_t msix_states[] = { 0, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL,
						PCI_MSIX_ENABLE };
	unsigned int i;

	watchdog(60, "the sweep");
	irq_on();
	ivshmem_open(&iv);
	window_open(&window, iv.dev);
	id = ivshmem_id(&iv);
	ram_fill();
	save_config();
	own_bell_open(&iv);
	if (!check(own_bell_works(iv.regs, id), "the doorbell works"))
		check_end();

	msix_control(&iv.msix, 0);
	sweep_bar(IVSHMEM_BAR_REGS, IVSHMEM_REGS_SIZE);
	all_is_well("a sweep of the registers");
	sweep_bar(IVSHMEM_BAR_MEMORY, iv.size);
	all_is_well("a sweep of the shared memory");
	for (i = 0; i < sizeof(msix_states) / sizeof(msix_states[0]); i++) {
		reset_table();
		msix_control(&iv.msix, msix_states[i]);
		sweep_bar(IVSHMEM_BAR_MSIX, pci_bar_size(iv.dev, IVSHMEM_BAR_MSIX));
		print("# MSI-X control was 0x%x\n", msix_states[i]);
		all_is_well("a sweep of the MSI-X table");
	}
	if (window.base) {
		sweep_bar(window.bar, window.size);
		all_is_well("a sweep of the doorbell window");
	}
	sweep_config_ports(iv.dev);
	all_is_well("a sweep of configuration space by ports");
	sweep_ecam(iv.dev);
	all_is_well("a sweep of configuration space by memory");
	if (arg_u64("bridge", 1)) {
		sweep_config_ports(pci_address(0, 0));
		sweep_ecam(pci_address(0, 0));
		all_is_well("sweeps of the host bridge");
	}
	check_end();
}
