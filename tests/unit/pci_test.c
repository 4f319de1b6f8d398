/* SPDX-License-Identifier: MIT */
/* tests/unit/pci_test.c - configuration space and BARs, devices/pci.c */
#include <limits.h>
#include <stdlib.h>

#include "base/own.h"
#include "devices/pci.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define RAM_SIZE   0x200000
#define REGS_SIZE  0x100
#define TABLE_SIZE 0x1000
#define SHARED     0x100000

#define REGS  0 /* BARs of a card */
#define TABLE 1
#define MEM   2

#define BAR(i) (PCI_BASE_ADDRESS_0 + 4 * (i))

/* A device of three BARs that keeps what happens to it. */
struct card {
	struct bf_pci_dev pci;
	unsigned int bar, len;
	uint64_t off, val;
	unsigned int reads, writes;
	uint64_t left, arrived; /* where REGS was, and is now */
	unsigned int leaves, arrivals;
	unsigned int config_off, config_len, config_writes;
	unsigned int resets;
	unsigned int *destroyed;
};

static struct card *to_card(struct bf_pci_dev *pci)
{
	return BF_CONTAINER_OF(pci, struct card, pci);
}

static uint64_t card_read(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
			  unsigned int len)
{
	struct card *card = to_card(pci);

	card->bar = bar;
	card->off = off;
	card->len = len;
	card->reads++;
	return 0x1122334455667788;
}

static void card_write(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
		       uint64_t val, unsigned int len)
{
	struct card *card = to_card(pci);

	card->bar = bar;
	card->off = off;
	card->val = val;
	card->len = len;
	card->writes++;
}

static void card_leaves(struct bf_pci_dev *pci, unsigned int bar)
{
	assert_int_not_equal(bar, MEM);
	if (bar != REGS)
		return;
	to_card(pci)->left = pci->bars[bar].region.base;
	to_card(pci)->leaves++;
}

static void card_arrived(struct bf_pci_dev *pci, unsigned int bar)
{
	assert_int_not_equal(bar, MEM);
	if (bar != REGS)
		return;
	to_card(pci)->arrived = pci->bars[bar].region.base;
	to_card(pci)->arrivals++;
}

static void card_config_written(struct bf_pci_dev *pci, unsigned int off,
				unsigned int len)
{
	struct card *card = to_card(pci);

	card->config_off = off;
	card->config_len = len;
	card->config_writes++;
}

static void card_reset(struct bf_pci_dev *pci)
{
	to_card(pci)->resets++;
}

static void card_destroy(struct bf_pci_dev *pci)
{
	struct card *card = to_card(pci);

	if (card->destroyed)
		++*card->destroyed;
	free(pci->bars[MEM].region.ram);
	free(card);
}

static const struct bf_pci_ops card_ops = {
	.read = card_read,
	.write = card_write,
	.bar_leaves = card_leaves,
	.bar_arrived = card_arrived,
	.config_written = card_config_written,
	.reset = card_reset,
	.destroy = card_destroy,
};

static const struct bf_pci_ident card_ident = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem = 0xdef0,
	.class = 0x0500,
	.revision = 7,
};

static struct card *card_new(struct fake_vm *fake)
{
	struct card *card = calloc(1, sizeof(*card));

	assert_non_null(card);
	bf_pci_init(&card->pci, &fake->vm, &card_ops, &card_ident);
	bf_pci_add_registers(&card->pci, REGS, "regs", REGS_SIZE, BF_PCI_BELOW_4G);
	bf_pci_add_registers(&card->pci, TABLE, "table", TABLE_SIZE, BF_PCI_BELOW_4G);
	bf_pci_add_memory(&card->pci, MEM, "shared", calloc(1, SHARED), SHARED,
			  BF_PCI_ANYWHERE);
	return card;
}

/* What the tests share: a VM with one card in slot 1, its BARs mapped. */
struct fixture {
	struct fake_vm *fake;
	struct bf_pci_bus *bus;
	struct card *card;
};

static int make(void **state)
{
	static struct fixture f;

	f.fake = fake_vm_create(RAM_SIZE);
	fake_vm_add_pci(f.fake);
	f.bus = f.fake->vm.pci;
	f.card = card_new(f.fake);
	assert_works(bf_pci_bus_add(f.bus, &f.card->pci, &err));
	assert_works(bf_pci_map_memory(f.bus, &err));
	assert_works(bf_pci_map_registers(f.bus, &err));
	*state = &f;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *f = *state;

	fake_vm_destroy(f->fake);
	return 0;
}

static uint32_t get(const struct fixture *f, unsigned int off)
{
	return bf_pci_config_read(f->bus, f->card->pci.slot, off, 4);
}

static void put(const struct fixture *f, unsigned int off, uint32_t val)
{
	bf_pci_config_write(f->bus, f->card->pci.slot, off, val, 4);
}

static void decode(const struct fixture *f, bool on)
{
	bf_pci_config_write(f->bus, f->card->pci.slot, PCI_COMMAND,
			    on ? PCI_COMMAND_MEMORY : 0, 2);
}

static uint64_t base_of(const struct fixture *f, unsigned int bar)
{
	return f->card->pci.bars[bar].region.base;
}

/* Does BAR @bar answer at @gpa? */
static bool answers(const struct fixture *f, unsigned int bar, uint64_t gpa)
{
	const unsigned int before = f->card->reads;

	fake_read(f->fake, gpa, 4);
	return f->card->reads == before + 1 && f->card->bar == bar && f->card->off == 0;
}

/* --- configuration space --- */

static void the_host_bridge_is_in_slot_0(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(bf_pci_config_read(f->bus, 0, PCI_VENDOR_ID, 4), 0x00081b36);
	assert_int_equal(bf_pci_config_read(f->bus, 0, PCI_CLASS_DEVICE, 2), 0x0600);
}

static void identity_reads_as_declared(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(get(f, PCI_VENDOR_ID), 0x56781234);
	assert_int_equal(get(f, PCI_SUBSYSTEM_VENDOR_ID), 0xdef09abc);
	assert_int_equal(get(f, PCI_CLASS_REVISION), 0x05000007);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_HEADER_TYPE, 1),
			 PCI_HEADER_TYPE_NORMAL);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_STATUS, 2), 0);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_CAPABILITY_LIST, 1), 0);
}

/* With decoding off, lest BARs move: those have tests of their own. */
static void all_but_a_few_registers_are_read_only(void **state)
{
	static const struct {
		unsigned int off;
		uint8_t bits;
	} writable[] = {
		{ PCI_COMMAND + 1, 0x05 },    { PCI_CACHE_LINE_SIZE, 0xff },
		{ PCI_INTERRUPT_LINE, 0xff }, { BAR(REGS) + 1, 0xff },
		{ BAR(REGS) + 2, 0xff },      { BAR(REGS) + 3, 0xff },
		{ BAR(TABLE) + 1, 0xf0 },     { BAR(TABLE) + 2, 0xff },
		{ BAR(TABLE) + 3, 0xff },     { BAR(MEM) + 2, 0xf0 },
		{ BAR(MEM) + 3, 0xff },       { BAR(MEM) + 4, 0xff },
		{ BAR(MEM) + 5, 0xff },       { BAR(MEM) + 6, 0xff },
		{ BAR(MEM) + 7, 0xff },
	};
	const struct fixture *f = *state;
	uint8_t want[256];

	decode(f, false);
	memcpy(want, f->card->pci.config, sizeof(want));
	for (unsigned int i = 0; i < BF_ARRAY_LEN(writable); i++)
		want[writable[i].off] |= writable[i].bits;

	for (unsigned int len = 1; len <= 4; len *= 2) {
		for (unsigned int off = 0; off < 256; off += len) {
			if (off <= PCI_COMMAND && off + len > PCI_COMMAND)
				continue; /* decoding */
			bf_pci_config_write(f->bus, 1, off, UINT32_MAX, len);
		}
		assert_memory_equal(f->card->pci.config, want, sizeof(want));
	}
}

static void the_command_register_keeps_what_the_device_has(void **state)
{
	const struct fixture *f = *state;

	bf_pci_config_write(f->bus, 1, PCI_COMMAND, 0xffff, 2);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_COMMAND, 2),
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
				 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	bf_pci_config_write(f->bus, 1, PCI_COMMAND, 0, 2);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_COMMAND, 2), 0);
}

static void narrow_accesses_see_their_bytes(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(bf_pci_config_read(f->bus, 1, 0, 1), 0x34);
	assert_int_equal(bf_pci_config_read(f->bus, 1, 1, 1), 0x12);
	assert_int_equal(bf_pci_config_read(f->bus, 1, 2, 2), 0x5678);
	assert_int_equal(bf_pci_config_read(f->bus, 1, 1, 2), 0x7812);
	bf_pci_config_write(f->bus, 1, PCI_INTERRUPT_LINE, 0xffffff0b, 1);
	assert_int_equal(get(f, PCI_INTERRUPT_LINE), 0x0000000b);
}

static void an_empty_slot_reads_as_ones(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(bf_pci_config_read(f->bus, 2, 0, 4), UINT32_MAX);
	assert_int_equal(bf_pci_config_read(f->bus, 31, 0, 4), UINT32_MAX);
	assert_int_equal(bf_pci_config_read(f->bus, 32, 0, 4), UINT32_MAX);
	bf_pci_config_write(f->bus, 2, PCI_COMMAND, 0, 2);
	bf_pci_config_write(f->bus, UINT_MAX, PCI_COMMAND, 0, 2);
}

static void accesses_of_no_known_width_or_beyond_the_space_do_nothing(void **state)
{
	static const struct {
		unsigned int off, len;
	} bad[] = { { 0, 0 },   { 0, 3 },   { 0, 8 },   { 256, 1 },
		    { 255, 2 }, { 253, 4 }, { 4095, 1 } };
	const struct fixture *f = *state;

	for (unsigned int i = 0; i < BF_ARRAY_LEN(bad); i++) {
		assert_int_equal(bf_pci_config_read(f->bus, 1, bad[i].off, bad[i].len),
				 0);
		bf_pci_config_write(f->bus, 1, bad[i].off, 0, bad[i].len);
	}
	assert_int_equal(f->card->config_writes, 0);
	assert_int_equal(get(f, 0), 0x56781234);
}

static void a_device_hears_of_each_write_after_it_happened(void **state)
{
	const struct fixture *f = *state;

	bf_pci_config_write(f->bus, 1, 0x42, 0xffff, 2);
	assert_int_equal(f->card->config_writes, 1);
	assert_int_equal(f->card->config_off, 0x42);
	assert_int_equal(f->card->config_len, 2);
}

static void capabilities_form_a_list_that_starts_with_the_last(void **state)
{
	const struct fixture *f = *state;
	struct bf_pci_dev *dev = &f->card->pci;

	bf_pci_add_capability(dev, 0x40, PCI_CAP_ID_MSIX);
	bf_pci_add_capability(dev, 0x50, PCI_CAP_ID_VNDR);

	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_STATUS, 2),
			 PCI_STATUS_CAP_LIST);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_CAPABILITY_LIST, 1), 0x50);
	assert_int_equal(bf_pci_config_read(f->bus, 1, 0x50, 2),
			 PCI_CAP_ID_VNDR | 0x40 << 8);
	assert_int_equal(bf_pci_config_read(f->bus, 1, 0x40, 2), PCI_CAP_ID_MSIX);
}

/* --- ECAM --- */

static uint64_t ecam(const struct fixture *f, unsigned int slot, unsigned int function,
		     unsigned int off)
{
	return f->fake->vm.layout.ecam.base + (slot << 15 | function << 12 | off);
}

static void ecam_shows_the_same_configuration_space(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 0), 4), 0x56781234);
	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 2), 2), 0x5678);
	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 3), 1), 0x56);
	fake_write(f->fake, ecam(f, 1, 0, PCI_INTERRUPT_LINE), 0x0b, 1);
	assert_int_equal(get(f, PCI_INTERRUPT_LINE), 0x0b);
}

static void ecam_has_no_other_functions_and_no_extended_capabilities(void **state)
{
	const struct fixture *f = *state;

	for (unsigned int function = 1; function < 8; function++)
		assert_int_equal(fake_read(f->fake, ecam(f, 1, function, 0), 4),
				 UINT32_MAX);
	fake_write(f->fake, ecam(f, 1, 1, PCI_INTERRUPT_LINE), 0x0b, 1);
	assert_int_equal(get(f, PCI_INTERRUPT_LINE), 0);
	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 0x100), 4), 0);
	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 0xffc), 4), 0);
	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 0xfe), 4), 0);
	assert_int_equal(fake_read(f->fake, ecam(f, 9, 0, 0x100), 4), UINT32_MAX);
}

static void ecam_answers_to_no_8_bytes(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(fake_read(f->fake, ecam(f, 1, 0, 0), 8), UINT64_MAX);
	assert_int_equal(fake_read(f->fake, ecam(f, 9, 0, 0), 8), UINT64_MAX);
	fake_write(f->fake, ecam(f, 1, 0, PCI_COMMAND), 0, 8);
	assert_int_equal(bf_pci_config_read(f->bus, 1, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY);
}

/* --- placing --- */

static void bars_start_in_their_windows_aligned_to_their_size(void **state)
{
	const struct fixture *f = *state;
	const struct bf_layout *layout = &f->fake->vm.layout;

	assert_int_equal(get(f, BAR(REGS)), layout->mmio32.base);
	assert_int_equal(get(f, BAR(TABLE)), layout->mmio32.base + 0x1000);
	assert_int_equal(get(f, BAR(MEM)), 0xc); /* 64 bits, prefetchable */
	assert_int_equal(get(f, BAR(MEM) + 4), layout->mmio64.base >> 32);
	assert_int_equal(get(f, BAR(4)), 0);
	assert_int_equal(get(f, BAR(5)), 0);

	assert_true(answers(f, REGS, layout->mmio32.base));
	assert_true(answers(f, TABLE, layout->mmio32.base + 0x1000));
	assert_int_equal(base_of(f, MEM), layout->mmio64.base);
	assert_true(f->card->pci.bars[MEM].mapped);
}

static void no_two_register_bars_share_a_page(void **state)
{
	struct fake_vm *fake = fake_vm_create(RAM_SIZE);
	struct card *card = card_new(fake);

	fake_vm_add_pci(fake);
	bf_pci_add_registers(&card->pci, TABLE, "small", REGS_SIZE, BF_PCI_BELOW_4G);
	assert_works(bf_pci_bus_add(fake->vm.pci, &card->pci, &err));
	assert_works(bf_pci_map_memory(fake->vm.pci, &err));
	assert_works(bf_pci_map_registers(fake->vm.pci, &err));
	assert_int_equal(card->pci.bars[REGS].region.base, 0xc0000000);
	assert_int_equal(card->pci.bars[TABLE].region.base, 0xc0001000);
	fake_vm_destroy(fake);
}

static void a_full_window_is_an_error_that_names_the_bar(void **state)
{
	struct fake_vm *fake = fake_vm_create(RAM_SIZE);
	struct card *card;

	fake->vm.layout.mmio32.size = 0x1000;
	fake->vm.layout.mmio64.size = SHARED / 2;
	fake_vm_add_pci(fake);
	card = card_new(fake);
	assert_works(bf_pci_bus_add(fake->vm.pci, &card->pci, &err));

	assert_fails(
		bf_pci_map_memory(fake->vm.pci, &err), ENOSPC,
		"shared of 0x100000 bytes does not fit into the window at 0x100000000, "
		"0x80000 bytes, behind the other BARs");
	assert_fails(bf_pci_map_registers(fake->vm.pci, &err), ENOSPC,
		     "table of 0x1000 bytes does not fit into the window at 0xc0000000, "
		     "0x1000 bytes, behind the other BARs");
	fake_vm_destroy(fake);
}

static void devices_take_the_slots_in_order_until_all_are_taken(void **state)
{
	const struct fixture *f = *state;
	struct card *card;

	for (unsigned int slot = 2; slot < BF_PCI_SLOTS; slot++) {
		card = card_new(f->fake);
		assert_works(bf_pci_bus_add(f->bus, &card->pci, &err));
		assert_int_equal(card->pci.slot, slot);
		assert_int_equal(bf_pci_config_read(f->bus, slot, 0, 2), 0x1234);
	}
	card = card_new(f->fake);
	assert_fails(bf_pci_bus_add(f->bus, &card->pci, &err), ENOSPC,
		     "all 32 PCI slots are taken");
	card_destroy(&card->pci);
}

static void the_bus_destroys_each_device_once(void **state)
{
	struct fake_vm *fake = fake_vm_create(RAM_SIZE);
	unsigned int destroyed = 0;

	fake_vm_add_pci(fake);
	for (unsigned int i = 0; i < 3; i++) {
		struct card *card = card_new(fake);

		card->destroyed = &destroyed;
		assert_works(bf_pci_bus_add(fake->vm.pci, &card->pci, &err));
	}
	fake_vm_destroy(fake);
	assert_int_equal(destroyed, 3);
}

static void an_access_reaches_the_device_with_bar_and_offset(void **state)
{
	const struct fixture *f = *state;
	const struct card *card = f->card;

	fake_write(f->fake, base_of(f, TABLE) + 0x7f8, 0xaabbccdd, 4);
	assert_int_equal(card->bar, TABLE);
	assert_int_equal(card->off, 0x7f8);
	assert_int_equal(card->val, 0xaabbccdd);
	assert_int_equal(card->len, 4);
	assert_int_equal(fake_read(f->fake, base_of(f, REGS) + 8, 2), 0x7788);
	assert_int_equal(card->bar, REGS);
	assert_int_equal(card->off, 8);
	assert_int_equal(card->len, 2);
}

static void a_device_without_handlers_reads_as_ones(void **state)
{
	static const struct bf_pci_ops no_ops;
	static struct bf_pci_dev dev; /* the bus keeps it */
	const struct fixture *f = *state;

	bf_pci_init(&dev, &f->fake->vm, &no_ops, &card_ident);
	bf_pci_add_registers(&dev, REGS, "nothing", REGS_SIZE, BF_PCI_BELOW_4G);
	assert_works(bf_pci_bus_add(f->bus, &dev, &err));
	bf_pci_config_write(f->bus, 2, BAR(REGS), 0xd0000000, 4);
	fake_write(f->fake, 0xd0000000, 1, 4);
	assert_int_equal(fake_read(f->fake, 0xd0000000, 4), UINT32_MAX);
}

/* --- sizing --- */

static void ones_ask_a_32_bit_bar_for_its_size_and_it_stays(void **state)
{
	const struct fixture *f = *state;
	const uint32_t was = get(f, BAR(REGS));

	put(f, BAR(REGS), UINT32_MAX);
	assert_int_equal(get(f, BAR(REGS)), (uint32_t)-REGS_SIZE);
	assert_true(answers(f, REGS, was));
	put(f, BAR(REGS), was);
	assert_int_equal(get(f, BAR(REGS)), was);
	assert_true(answers(f, REGS, was));
	assert_int_equal(f->card->leaves, 0);
}

static void ones_ask_a_64_bit_bar_for_its_size(void **state)
{
	const struct fixture *f = *state;
	const uint32_t low = get(f, BAR(MEM)), high = get(f, BAR(MEM) + 4);

	put(f, BAR(MEM) + 4, UINT32_MAX);
	put(f, BAR(MEM), UINT32_MAX);
	assert_int_equal(get(f, BAR(MEM)), (uint32_t)-SHARED | 0xc);
	assert_int_equal(get(f, BAR(MEM) + 4), UINT32_MAX);
	assert_int_equal(base_of(f, MEM), 0x100000000);
	put(f, BAR(MEM), low);
	put(f, BAR(MEM) + 4, high);
	assert_int_equal(base_of(f, MEM), 0x100000000);
	assert_true(f->card->pci.bars[MEM].mapped);
}

/* The low half of ones alone may be an address: the BAR goes there, and comes back. */
static void a_64_bit_bar_sized_low_half_first_ends_where_it_began(void **state)
{
	const struct fixture *f = *state;
	const uint32_t low = get(f, BAR(MEM)), high = get(f, BAR(MEM) + 4);

	put(f, BAR(MEM), UINT32_MAX);
	assert_int_equal(get(f, BAR(MEM)), (uint32_t)-SHARED | 0xc);
	put(f, BAR(MEM), low);
	put(f, BAR(MEM) + 4, UINT32_MAX);
	assert_int_equal(get(f, BAR(MEM) + 4), UINT32_MAX);
	put(f, BAR(MEM) + 4, high);
	assert_int_equal(base_of(f, MEM), 0x100000000);
	assert_true(f->card->pci.bars[MEM].mapped);
}

/* As Linux does: decoding off, each half in turn, and everything back. */
static void sizing_with_decoding_off_ends_where_it_began(void **state)
{
	const struct fixture *f = *state;
	static const unsigned int regs[] = { BAR(0), BAR(1), BAR(2),
					     BAR(3), BAR(4), BAR(5) };
	static const uint32_t sizes[] = { -REGS_SIZE, -TABLE_SIZE, -SHARED | 0xc,
					  -1U,        0,           0 };

	decode(f, false);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(regs); i++) {
		const uint32_t was = get(f, regs[i]);

		put(f, regs[i], UINT32_MAX);
		assert_int_equal(get(f, regs[i]), sizes[i]);
		put(f, regs[i], was);
	}
	decode(f, true);
	assert_true(answers(f, REGS, 0xc0000000));
	assert_true(answers(f, TABLE, 0xc0001000));
	assert_int_equal(base_of(f, MEM), 0x100000000);
	assert_true(f->card->pci.bars[MEM].mapped);
}

static void a_bar_of_4_gib_and_more_tells_its_size_in_the_high_half(void **state)
{
	static const struct bf_pci_ops no_ops;
	static struct bf_pci_dev dev; /* the bus keeps it */
	const struct fixture *f = *state;

	bf_pci_init(&dev, &f->fake->vm, &no_ops, &card_ident);
	bf_pci_add_memory(&dev, MEM, "large", &dev, 16ULL << 30, BF_PCI_ANYWHERE);
	assert_works(bf_pci_bus_add(f->bus, &dev, &err));
	bf_pci_config_write(f->bus, 2, BAR(MEM), UINT32_MAX, 4);
	bf_pci_config_write(f->bus, 2, BAR(MEM) + 4, UINT32_MAX, 4);
	assert_int_equal(bf_pci_config_read(f->bus, 2, BAR(MEM), 4), 0xc);
	assert_int_equal(bf_pci_config_read(f->bus, 2, BAR(MEM) + 4, 4), 0xfffffffc);
}

/* --- moving --- */

static void a_register_bar_moves_and_its_device_hears_of_it(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(REGS), 0xd0000000);
	assert_int_equal(get(f, BAR(REGS)), 0xd0000000);
	assert_true(answers(f, REGS, 0xd0000000));
	assert_int_equal(fake_read(f->fake, 0xc0000000, 4), UINT32_MAX);
	assert_int_equal(f->card->leaves, 1);
	assert_int_equal(f->card->left, 0xc0000000);
	assert_int_equal(f->card->arrivals, 2); /* the first: when it was placed */
	assert_int_equal(f->card->arrived, 0xd0000000);
}

static void the_same_address_again_moves_nothing(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(REGS), get(f, BAR(REGS)));
	put(f, BAR(REGS), get(f, BAR(REGS)) | 0xff); /* bits the register does not have */
	assert_int_equal(f->card->leaves, 0);
	assert_true(answers(f, REGS, 0xc0000000));
}

static void a_register_bar_needs_no_page_of_its_own(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(REGS), 0xd0000f00);
	assert_true(answers(f, REGS, 0xd0000f00));
}

static void a_64_bit_bar_moves_with_its_second_half(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(MEM), 0x00100000); /* over RAM, if it were all of the address */
	put(f, BAR(MEM) + 4, 3);
	assert_int_equal(base_of(f, MEM), 0x300100000);
	put(f, BAR(MEM) + 4, 0); /* over RAM indeed */
	assert_int_equal(base_of(f, MEM), 0x300100000);
	assert_int_equal(get(f, BAR(MEM) + 4), 3);
	put(f, BAR(MEM), 0xd0000000);
	put(f, BAR(MEM) + 4, 0);
	assert_int_equal(base_of(f, MEM), 0xd0000000);
}

static void a_low_half_that_cannot_be_waits_for_its_high_half(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(MEM), 0x80000000);
	put(f, BAR(MEM) + 4, 0);
	assert_int_equal(base_of(f, MEM), 0x80000000);
	put(f, BAR(MEM), 0x00000000); /* RAM */
	assert_int_equal(base_of(f, MEM), 0x80000000);
	assert_int_equal(get(f, BAR(MEM)), 0xc);
	put(f, BAR(MEM) + 4, 2);
	assert_int_equal(base_of(f, MEM), 0x200000000);
}

static void a_bar_may_take_the_last_place_of_the_address_space(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(MEM), (uint32_t)(FAKE_LIMIT - SHARED));
	put(f, BAR(MEM) + 4, (FAKE_LIMIT - SHARED) >> 32);
	assert_int_equal(base_of(f, MEM), FAKE_LIMIT - SHARED);
	assert_true(f->card->pci.bars[MEM].mapped);
}

/* Write @addr to the 32-bit BAR and find everything as it was. */
static void assert_rolled_back(const struct fixture *f, uint32_t addr)
{
	put(f, BAR(REGS), addr);
	assert_int_equal(get(f, BAR(REGS)), 0xc0000000);
	assert_true(answers(f, REGS, 0xc0000000));
	assert_int_equal(f->card->arrived, 0xc0000000);
}

static void a_move_over_something_else_is_rolled_back(void **state)
{
	const struct fixture *f = *state;

	assert_rolled_back(f, 0x00000000); /* RAM */
	assert_rolled_back(f, RAM_SIZE - REGS_SIZE);
	assert_rolled_back(f, base_of(f, TABLE));
	assert_rolled_back(f, base_of(f, TABLE) + 0xf00);
	assert_rolled_back(f, 0xe8000000); /* configuration space */
	assert_rolled_back(f, 0xfee00000); /* interrupt controller */
	assert_string_equal(
		f->fake->logged,
		"PCI slot 1: regs at 0xfee00000: overlaps interrupt controller "
		"at 0xfec00000");
}

static void a_move_beyond_the_address_space_is_rolled_back(void **state)
{
	const struct fixture *f = *state;

	put(f, BAR(MEM) + 4, FAKE_LIMIT >> 32);
	assert_int_equal(get(f, BAR(MEM) + 4), 1);
	assert_int_equal(base_of(f, MEM), 0x100000000);
	assert_true(f->card->pci.bars[MEM].mapped);
	assert_string_equal(
		f->fake->logged,
		"PCI slot 1: shared at 0x1000000000, 0x100000 bytes: beyond the "
		"end of the address space");
}

static void a_bar_that_cannot_go_back_is_lost_with_a_word_in_the_log(void **state)
{
	const struct fixture *f = *state;

	f->fake->maps_refused = 2;
	put(f, BAR(REGS), 0xd0000000);
	assert_false(f->card->pci.bars[REGS].mapped);
	assert_int_equal(f->fake->log_lines, 2); /* lost, and why it moved at all */

	put(f, BAR(REGS), 0xd0000000);
	assert_true(answers(f, REGS, 0xd0000000));
}

/* --- decoding --- */

static void decoding_off_unmaps_every_bar(void **state)
{
	const struct fixture *f = *state;

	decode(f, false);
	assert_int_equal(fake_read(f->fake, 0xc0000000, 4), UINT32_MAX);
	assert_int_equal(fake_read(f->fake, 0xc0001000, 4), UINT32_MAX);
	assert_false(f->card->pci.bars[MEM].mapped);
	assert_int_equal(f->card->leaves, 1);
	decode(f, false);
	assert_int_equal(f->card->leaves, 1);
}

static void decoding_on_maps_bars_where_they_were_put_meanwhile(void **state)
{
	const struct fixture *f = *state;

	decode(f, false);
	put(f, BAR(REGS), 0xd0001000);
	put(f, BAR(TABLE), 0xd0000000);
	put(f, BAR(MEM), 0x80000000);
	put(f, BAR(MEM) + 4, 0);
	assert_int_equal(fake_read(f->fake, 0xd0001000, 4), UINT32_MAX);

	decode(f, true);
	assert_true(answers(f, REGS, 0xd0001000));
	assert_true(answers(f, TABLE, 0xd0000000));
	assert_int_equal(base_of(f, MEM), 0x80000000);
	assert_int_equal(f->card->arrived, 0xd0001000);
}

static void bars_may_trade_places_while_decoding_is_off(void **state)
{
	const struct fixture *f = *state;

	decode(f, false);
	put(f, BAR(REGS), 0xc0001000);
	put(f, BAR(TABLE), 0xc0000000);
	decode(f, true);
	assert_true(answers(f, REGS, 0xc0001000));
	assert_true(answers(f, TABLE, 0xc0000000));
}

static void a_bar_that_cannot_be_mapped_waits_for_a_better_address(void **state)
{
	const struct fixture *f = *state;

	decode(f, false);
	put(f, BAR(REGS), 0x00001000); /* RAM */
	decode(f, true);
	assert_false(f->card->pci.bars[REGS].mapped);
	assert_int_equal(get(f, BAR(REGS)), 0x00001000);
	assert_int_equal(fake_read(f->fake, 0xc0000000, 4), UINT32_MAX);

	put(f, BAR(REGS), 0xc0000000);
	assert_true(answers(f, REGS, 0xc0000000));
}

/* --- reset --- */

static void a_reset_puts_everything_back_where_it_was(void **state)
{
	const struct fixture *f = *state;
	uint8_t before[256];

	memcpy(before, f->card->pci.config, sizeof(before));
	for (unsigned int off = 0; off < 256; off += 4)
		if (off != PCI_COMMAND)
			put(f, off, 0xdfffffff);
	bf_pci_config_write(f->bus, 1, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	fake_vm_reset(f->fake);
	assert_memory_equal(f->card->pci.config, before, sizeof(before));
	assert_true(answers(f, REGS, 0xc0000000));
	assert_true(answers(f, TABLE, 0xc0001000));
	assert_int_equal(base_of(f, MEM), 0x100000000);
	assert_int_equal(f->card->resets, 1);
	assert_int_equal(f->card->arrived, 0xc0000000);
}

/* What KVM had is gone already: there is nothing to leave. */
static void a_reset_tells_no_bar_to_leave(void **state)
{
	const struct fixture *f = *state;

	fake_vm_reset(f->fake);
	assert_int_equal(f->card->leaves, 0);
	assert_int_equal(f->card->arrivals, 2);
}

#define pci_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pci_test(the_host_bridge_is_in_slot_0),
		pci_test(identity_reads_as_declared),
		pci_test(all_but_a_few_registers_are_read_only),
		pci_test(the_command_register_keeps_what_the_device_has),
		pci_test(narrow_accesses_see_their_bytes),
		pci_test(an_empty_slot_reads_as_ones),
		pci_test(accesses_of_no_known_width_or_beyond_the_space_do_nothing),
		pci_test(a_device_hears_of_each_write_after_it_happened),
		pci_test(capabilities_form_a_list_that_starts_with_the_last),

		pci_test(ecam_shows_the_same_configuration_space),
		pci_test(ecam_has_no_other_functions_and_no_extended_capabilities),
		pci_test(ecam_answers_to_no_8_bytes),

		pci_test(bars_start_in_their_windows_aligned_to_their_size),
		pci_test(no_two_register_bars_share_a_page),
		pci_test(a_full_window_is_an_error_that_names_the_bar),
		pci_test(devices_take_the_slots_in_order_until_all_are_taken),
		pci_test(the_bus_destroys_each_device_once),
		pci_test(an_access_reaches_the_device_with_bar_and_offset),
		pci_test(a_device_without_handlers_reads_as_ones),

		pci_test(ones_ask_a_32_bit_bar_for_its_size_and_it_stays),
		pci_test(ones_ask_a_64_bit_bar_for_its_size),
		pci_test(a_64_bit_bar_sized_low_half_first_ends_where_it_began),
		pci_test(sizing_with_decoding_off_ends_where_it_began),
		pci_test(a_bar_of_4_gib_and_more_tells_its_size_in_the_high_half),

		pci_test(a_register_bar_moves_and_its_device_hears_of_it),
		pci_test(the_same_address_again_moves_nothing),
		pci_test(a_register_bar_needs_no_page_of_its_own),
		pci_test(a_64_bit_bar_moves_with_its_second_half),
		pci_test(a_low_half_that_cannot_be_waits_for_its_high_half),
		pci_test(a_bar_may_take_the_last_place_of_the_address_space),
		pci_test(a_move_over_something_else_is_rolled_back),
		pci_test(a_move_beyond_the_address_space_is_rolled_back),
		pci_test(a_bar_that_cannot_go_back_is_lost_with_a_word_in_the_log),

		pci_test(decoding_off_unmaps_every_bar),
		pci_test(decoding_on_maps_bars_where_they_were_put_meanwhile),
		pci_test(bars_may_trade_places_while_decoding_is_off),
		pci_test(a_bar_that_cannot_be_mapped_waits_for_a_better_address),

		pci_test(a_reset_puts_everything_back_where_it_was),
		pci_test(a_reset_tells_no_bar_to_leave),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
