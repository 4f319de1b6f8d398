/* SPDX-License-Identifier: MIT */
/* tests/unit/msix_test.c - MSI-X: what may fire is attached, what may not waits */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/own.h"
#include "devices/msix.h"
#include "devices/pci.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define BAR_INDEX 1
#define FLAGS     (BF_MSIX_CAP + PCI_MSIX_FLAGS)
#define PBA       0x800
#define FEW       4 /* vectors of the fixture's device */

/* A device that is nothing but its vectors, each with an eventfd. */
struct card {
	struct bf_pci_dev pci;
	struct bf_msix msix;
	unsigned int n;
	int events[BF_MSIX_VECTORS_MAX];
};

static struct bf_msix *msix_of(struct bf_pci_dev *pci)
{
	return &BF_CONTAINER_OF(pci, struct card, pci)->msix;
}

static uint64_t card_read(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
			  unsigned int len)
{
	return bf_msix_read(msix_of(pci), off, len);
}

static void card_write(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
		       uint64_t val, unsigned int len)
{
	bf_msix_write(msix_of(pci), off, val, len);
}

static void card_config_written(struct bf_pci_dev *pci, unsigned int off,
				unsigned int len)
{
	bf_msix_config_written(msix_of(pci));
}

static void card_reset(struct bf_pci_dev *pci)
{
	bf_msix_reset(msix_of(pci));
}

static void card_destroy(struct bf_pci_dev *pci)
{
	struct card *card = BF_CONTAINER_OF(pci, struct card, pci);

	for (unsigned int i = 0; i < card->n; i++)
		bf_close(&card->events[i]);
	bf_msix_fini(&card->msix);
	free(card);
}

static const struct bf_pci_ops card_ops = {
	.read = card_read,
	.write = card_write,
	.config_written = card_config_written,
	.reset = card_reset,
	.destroy = card_destroy,
};

struct fixture {
	struct fake_vm *fake;
	struct card *card;
};

/* A VM with one card of @n vectors in slot 1; the first @connected have eventfds. */
static struct fixture make_with(unsigned int n, unsigned int connected)
{
	struct fixture f = { fake_vm_create(0x100000), calloc(1, sizeof(*f.card)) };

	assert_non_null(f.card);
	fake_vm_add_pci(f.fake);
	bf_pci_init(&f.card->pci, &f.fake->vm, &card_ops, &(struct bf_pci_ident){ 0 });
	assert_works(bf_msix_init(&f.card->msix, &f.card->pci, BAR_INDEX, n, &err));
	assert_works(bf_pci_bus_add(f.fake->vm.pci, &f.card->pci, &err));
	assert_works(bf_pci_map_registers(f.fake->vm.pci, &err));
	f.card->n = connected;
	for (unsigned int i = 0; i < connected; i++) {
		f.card->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(f.card->events[i] >= 0);
		bf_msix_connect(&f.card->msix, i, f.card->events[i]);
	}
	return f;
}

static void unmake_it(struct fixture *f)
{
	fake_vm_destroy(f->fake);
}

static int make(void **state)
{
	static struct fixture f;

	f = make_with(FEW, FEW);
	*state = &f;
	return 0;
}

static int unmake(void **state)
{
	unmake_it(*state);
	return 0;
}

/* --- what the guest does, and others do --- */

static uint64_t get(const struct fixture *f, uint64_t off, unsigned int len)
{
	return fake_read(f->fake, f->card->pci.bars[BAR_INDEX].region.base + off, len);
}

static void put(const struct fixture *f, uint64_t off, uint64_t val, unsigned int len)
{
	fake_write(f->fake, f->card->pci.bars[BAR_INDEX].region.base + off, val, len);
}

static void control(const struct fixture *f, uint16_t flags)
{
	bf_pci_config_write(f->fake->vm.pci, f->card->pci.slot, FLAGS, flags, 2);
}

static unsigned int entry(unsigned int vector)
{
	return vector * PCI_MSIX_ENTRY_SIZE;
}

/* The MSI of a vector, as the tests tell them apart. */
static uint64_t address(unsigned int vector)
{
	return 0xfee00000 | vector << 12;
}

static uint32_t data(unsigned int vector)
{
	return 0x4000 | vector;
}

static void set_masked(const struct fixture *f, unsigned int vector, bool masked)
{
	put(f, entry(vector) + PCI_MSIX_ENTRY_VECTOR_CTRL, masked, 4);
}

static void program(const struct fixture *f, unsigned int vector)
{
	put(f, entry(vector) + PCI_MSIX_ENTRY_LOWER_ADDR, address(vector), 8);
	put(f, entry(vector) + PCI_MSIX_ENTRY_DATA, data(vector), 4);
	set_masked(f, vector, false);
}

static void enable(const struct fixture *f)
{
	control(f, PCI_MSIX_FLAGS_ENABLE);
}

static void event(const struct fixture *f, unsigned int vector)
{
	assert_int_equal(eventfd_write(f->card->events[vector], 1), 0);
}

static uint32_t pending(const struct fixture *f)
{
	return get(f, PBA, 4);
}

static bool attached(const struct fixture *f, unsigned int vector)
{
	return fake_gsi_of(f->fake, f->card->events[vector]) >= 0;
}

/* --- layout --- */

static void table_and_pending_bits_are_where_the_capability_says(void **state)
{
	static const struct {
		unsigned int vectors;
		uint32_t pba, size;
	} want[] = {
		{ 1, 0x800, 0x1000 },      { 128, 0x800, 0x1000 },
		{ 129, 0x810, 0x1000 },    { 256, 0x1000, 0x2000 },
		{ 2048, 0x8000, 0x10000 },
	};

	for (unsigned int i = 0; i < BF_ARRAY_LEN(want); i++) {
		struct fixture f = make_with(want[i].vectors, 0);
		const struct bf_pci_dev *dev = &f.card->pci;

		assert_int_equal(dev->config[PCI_CAPABILITY_LIST], BF_MSIX_CAP);
		assert_int_equal(dev->config[BF_MSIX_CAP], PCI_CAP_ID_MSIX);
		assert_int_equal(dev->config[BF_MSIX_CAP + 1], 0); /* the only one */
		assert_int_equal(bf_pci_get16(dev, FLAGS), want[i].vectors - 1);
		assert_int_equal(bf_pci_get32(dev, BF_MSIX_CAP + PCI_MSIX_TABLE),
				 BAR_INDEX);
		assert_int_equal(bf_pci_get32(dev, BF_MSIX_CAP + PCI_MSIX_PBA),
				 want[i].pba | BAR_INDEX);
		assert_int_equal(dev->bars[BAR_INDEX].region.size, want[i].size);
		unmake_it(&f);
	}
}

static void every_vector_starts_as_zero_and_masked(void **state)
{
	struct fixture f = make_with(2048, 0);

	for (unsigned int i = 0; i < 2048; i++) {
		assert_int_equal(get(&f, entry(i), 8), 0);
		assert_int_equal(get(&f, entry(i) + 8, 8), 1ULL << 32);
	}
	assert_int_equal(get(&f, 0x8000, 8), 0);
	unmake_it(&f);
}

static void of_the_control_register_only_enable_and_mask_are_writable(void **state)
{
	const struct fixture *f = *state;

	control(f, 0xffff);
	assert_int_equal(bf_pci_get16(&f->card->pci, FLAGS),
			 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | (FEW - 1));
	control(f, 0);
	assert_int_equal(bf_pci_get16(&f->card->pci, FLAGS), FEW - 1);
}

/* --- accesses to the table --- */

static void the_table_takes_dwords_and_qwords(void **state)
{
	const struct fixture *f = *state;

	put(f, entry(1), 0x1111111122222222, 8);
	put(f, entry(1) + 8, 0x33333333, 4);
	put(f, entry(1) + 12, 0, 4);
	assert_int_equal(get(f, entry(1), 8), 0x1111111122222222);
	assert_int_equal(get(f, entry(1), 4), 0x22222222);
	assert_int_equal(get(f, entry(1) + 4, 4), 0x11111111);
	assert_int_equal(get(f, entry(1) + 8, 8), 0x33333333);

	put(f, entry(1) + 8, 0x0000000144444444, 8);
	assert_int_equal(get(f, entry(1) + 8, 4), 0x44444444);
	assert_int_equal(get(f, entry(1) + 12, 4), 1);
	assert_int_equal(get(f, entry(0), 8) | get(f, entry(2), 8), 0);
}

static void narrow_and_misaligned_accesses_do_nothing(void **state)
{
	const struct fixture *f = *state;

	put(f, entry(1), 0x1111111122222222, 8);
	put(f, entry(1), UINT64_MAX, 1);
	put(f, entry(1), UINT64_MAX, 2);
	put(f, entry(1) + 2, UINT64_MAX, 4);
	put(f, entry(1) + 4, UINT64_MAX, 8);
	put(f, entry(1) + 1, UINT64_MAX, 8);
	assert_int_equal(get(f, entry(1), 8), 0x1111111122222222);
	assert_int_equal(get(f, entry(1) + 8, 8), 1ULL << 32);

	assert_int_equal(get(f, entry(1), 1), 0);
	assert_int_equal(get(f, entry(1), 2), 0);
	assert_int_equal(get(f, entry(1) + 2, 4), 0);
	assert_int_equal(get(f, entry(1) + 4, 8), 0);
}

static void there_is_nothing_around_table_and_pending_bits(void **state)
{
	static const unsigned int empty[] = { FEW * PCI_MSIX_ENTRY_SIZE, PBA - 8, PBA + 8,
					      0xff8 };
	const struct fixture *f = *state;

	for (unsigned int i = 0; i < BF_ARRAY_LEN(empty); i++) {
		put(f, empty[i], UINT64_MAX, 8);
		put(f, empty[i] + 4, UINT64_MAX, 4);
		assert_int_equal(get(f, empty[i], 8), 0);
		assert_int_equal(get(f, empty[i] + 4, 4), 0);
	}
}

static void the_pending_bits_are_read_only(void **state)
{
	const struct fixture *f = *state;

	event(f, 2);
	put(f, PBA, UINT64_MAX, 8);
	assert_int_equal(pending(f), 1 << 2);
	put(f, PBA, 0, 4);
	assert_int_equal(pending(f), 1 << 2);
}

static void each_vector_has_its_pending_bit(void **state)
{
	struct fixture f = make_with(130, 130);
	const uint64_t pba = f.card->msix.pba;

	for (unsigned int i = 0; i < 130; i += 43)
		event(&f, i);
	assert_int_equal(get(&f, pba, 8), 1ULL << 0 | 1ULL << 43);
	assert_int_equal(get(&f, pba + 4, 4), 1ULL << (43 - 32));
	assert_int_equal(get(&f, pba + 8, 8), 1ULL << (86 - 64));
	assert_int_equal(get(&f, pba + 16, 8), 1ULL << (129 - 128));
	assert_int_equal(get(&f, pba + 24, 8), 0);
	unmake_it(&f);
}

/* --- firing --- */

static void an_event_of_an_open_vector_is_the_interrupt_the_guest_asked_for(void **state)
{
	const struct fixture *f = *state;

	program(f, 1);
	program(f, 3);
	enable(f);
	event(f, 3);
	assert_int_equal(pending(f), 0);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(f->fake->last.addr, address(3));
	assert_int_equal(f->fake->last.data, data(3));
	assert_int_equal(pending(f), 0);
}

static void all_64_bits_of_the_address_count(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	put(f, entry(0) + PCI_MSIX_ENTRY_UPPER_ADDR, 0x12345678, 4);
	enable(f);
	event(f, 0);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(f->fake->last.addr, 0x12345678ULL << 32 | address(0));
}

static void nothing_fires_before_msix_is_enabled(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	event(f, 0);
	assert_int_equal(fake_interrupts(f->fake), 0);
	assert_int_equal(fake_attached(f->fake), 0);
}

static void an_event_before_msix_is_enabled_is_kept(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	event(f, 0);
	enable(f);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(f->fake->last.data, data(0));
}

static void only_vectors_that_may_fire_are_attached(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	program(f, 2);
	enable(f);
	assert_true(attached(f, 0));
	assert_false(attached(f, 1));
	assert_true(attached(f, 2));
	set_masked(f, 2, true);
	assert_false(attached(f, 2));
	control(f, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(fake_attached(f->fake), 0);
	enable(f);
	assert_int_equal(fake_attached(f->fake), 1);
	control(f, 0);
	assert_int_equal(fake_attached(f->fake), 0);
}

static void events_of_a_masked_vector_become_one_interrupt(void **state)
{
	const struct fixture *f = *state;

	program(f, 1);
	enable(f);
	set_masked(f, 1, true);
	event(f, 1);
	event(f, 1);
	event(f, 1);
	assert_int_equal(fake_interrupts(f->fake), 0);
	assert_int_equal(pending(f), 1 << 1);

	set_masked(f, 1, false);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(pending(f), 0);
}

static void masking_again_brings_no_interrupt_that_was_there_before(void **state)
{
	const struct fixture *f = *state;

	program(f, 1);
	enable(f);
	set_masked(f, 1, true);
	event(f, 1);
	for (unsigned int i = 0; i < 3; i++) {
		set_masked(f, 1, false);
		set_masked(f, 1, true);
		assert_int_equal(pending(f), 0);
	}
	assert_int_equal(fake_interrupts(f->fake), 1);
}

static void the_function_mask_holds_all_vectors_back(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	program(f, 3);
	control(f, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	event(f, 0);
	event(f, 3);
	event(f, 3);
	assert_int_equal(fake_interrupts(f->fake), 0);
	assert_int_equal(pending(f), 1 << 0 | 1 << 3);

	enable(f);
	assert_int_equal(fake_interrupts(f->fake), 2);
	assert_int_equal(pending(f), 0);
}

static void an_event_waits_while_msix_is_off(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	enable(f);
	control(f, 0);
	event(f, 0);
	assert_int_equal(fake_interrupts(f->fake), 0);
	assert_int_equal(pending(f), 1 << 0);
	enable(f);
	assert_int_equal(fake_interrupts(f->fake), 1);
}

static void an_event_that_waited_takes_the_new_route(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	enable(f);
	set_masked(f, 0, true);
	event(f, 0);
	put(f, entry(0) + PCI_MSIX_ENTRY_LOWER_ADDR, 0xfee55000, 8);
	put(f, entry(0) + PCI_MSIX_ENTRY_DATA, 0x55, 8); /* and unmask */
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(f->fake->last.addr, 0xfee55000);
	assert_int_equal(f->fake->last.data, 0x55);
}

static void an_open_vector_may_be_routed_anew(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	enable(f);
	put(f, entry(0) + PCI_MSIX_ENTRY_DATA, 0x66, 4);
	event(f, 0);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(f->fake->last.data, 0x66);
	assert_int_equal(f->fake->attaches, 1); /* never let go of */
}

/* --- eventfds come late, or never --- */

static void a_vector_without_an_eventfd_stays_silent(void **state)
{
	struct fixture f = make_with(FEW, 1);

	for (unsigned int i = 0; i < FEW; i++)
		program(&f, i);
	enable(&f);
	assert_int_equal(fake_attached(f.fake), 1);
	assert_int_equal(f.fake->n_gsis, 1);
	assert_int_equal(pending(&f), 0);
	unmake_it(&f);
}

static void an_eventfd_that_comes_late_works_at_once(void **state)
{
	struct fixture f = make_with(FEW, 0);
	BF_CLOSE int late = eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK);

	program(&f, 2);
	enable(&f);
	bf_msix_connect(&f.card->msix, 2, late);
	assert_int_equal(fake_interrupts(f.fake), 1); /* what it brought along */
	assert_int_equal(eventfd_write(late, 1), 0);
	assert_int_equal(fake_interrupts(f.fake), 2);
	assert_int_equal(f.fake->last.data, data(2));
	unmake_it(&f);
}

static void an_eventfd_may_be_replaced(void **state)
{
	const struct fixture *f = *state;
	BF_CLOSE int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	program(f, 0);
	enable(f);
	bf_msix_connect(&f->card->msix, 0, other);
	assert_false(attached(f, 0));
	assert_true(fake_gsi_of(f->fake, other) >= 0);
	assert_int_equal(f->fake->n_gsis, 1);
	set_masked(f, 0, true); /* @other is about to be closed */
}

static void an_eventfd_for_a_vector_that_is_not_there_is_ignored(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	enable(f);
	bf_msix_connect(&f->card->msix, FEW, f->card->events[0]);
	bf_msix_connect(&f->card->msix, UINT32_MAX, f->card->events[0]);
	assert_int_equal(fake_attached(f->fake), 1);
}

/* --- what it costs --- */

static void a_vector_takes_its_gsi_when_it_may_fire_for_the_first_time(void **state)
{
	const struct fixture *f = *state;

	enable(f);
	assert_int_equal(f->fake->n_gsis, 0);
	put(f, entry(1), address(1), 8);
	assert_int_equal(f->fake->n_gsis, 0);
	program(f, 1);
	assert_int_equal(f->fake->n_gsis, 1);
	set_masked(f, 1, true);
	set_masked(f, 1, false);
	control(f, 0);
	enable(f);
	assert_int_equal(f->fake->n_gsis, 1);
}

static void enabling_2048_vectors_hands_their_routes_over_at_once(void **state)
{
	struct fixture f = make_with(2048, 600); /* more would not fit ulimit -n 1024 */

	for (unsigned int i = 0; i < 2048; i++)
		program(&f, i);
	assert_int_equal(f.fake->commits, 0);
	enable(&f);
	assert_int_equal(f.fake->commits, 1);
	assert_int_equal(fake_attached(f.fake), 600);
	unmake_it(&f);
}

static void each_guest_action_hands_over_once_or_not_at_all(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	program(f, 1);
	enable(f);
	assert_int_equal(f->fake->commits, 1);
	set_masked(f, 0, true);
	set_masked(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	enable(f);
	control(f, 0);
	enable(f);
	assert_int_equal(f->fake->commits, 1); /* no route has changed */
	put(f, entry(0), address(3), 8);
	assert_int_equal(f->fake->commits, 2);
	put(f, entry(0), address(3), 8);
	assert_int_equal(f->fake->commits, 2);
	put(f, entry(2), address(2), 8); /* masked: nobody needs to know */
	assert_int_equal(f->fake->commits, 2);
}

static void other_writes_to_configuration_space_change_nothing(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	enable(f);
	bf_pci_config_write(f->fake->vm.pci, 1, PCI_INTERRUPT_LINE, 11, 1);
	bf_pci_config_write(f->fake->vm.pci, 1, PCI_COMMAND, 0, 2);
	assert_int_equal(f->fake->attaches, 1);
	assert_true(attached(f, 0)); /* decoding is about the BARs */
}

/* --- a host that cannot --- */

static void without_a_gsi_the_event_waits_and_the_log_says_so_once(void **state)
{
	const struct fixture *f = *state;

	f->fake->gsis_max = 1;
	for (unsigned int i = 0; i < FEW; i++)
		program(f, i);
	enable(f);
	assert_int_equal(fake_attached(f->fake), 1);
	assert_int_equal(f->fake->log_lines, 1);
	assert_string_equal(f->fake->logged,
			    "PCI slot 1: vector 1: no GSI: No space left on "
			    "device; further ones are not reported");
	event(f, 2);
	assert_int_equal(pending(f), 1 << 2);
}

static void a_refused_commit_attaches_nothing_and_the_next_one_heals(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	f->fake->commit_errno = ENOMEM;
	enable(f);
	event(f, 0);
	assert_int_equal(fake_attached(f->fake), 0);
	assert_int_equal(pending(f), 1 << 0);
	assert_string_equal(
		f->fake->logged,
		"PCI slot 1: vector 0: interrupt routes: Cannot allocate memory; "
		"further ones are not reported");

	f->fake->commit_errno = 0;
	set_masked(f, 0, false);
	assert_int_equal(fake_interrupts(f->fake), 1);
}

static void an_irqfd_that_is_busy_leaves_the_event_pending(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	f->fake->attach_errno = EBUSY;
	enable(f);
	event(f, 0);
	assert_int_equal(pending(f), 1 << 0);
	assert_string_equal(
		f->fake->logged,
		"PCI slot 1: vector 0: irqfd: Device or resource busy; further "
		"ones are not reported");

	f->fake->attach_errno = 0;
	set_masked(f, 0, false);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(pending(f), 0);
}

/* --- reset --- */

static void after_a_reset_all_is_off_and_masked_and_nothing_pending(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	program(f, 1);
	enable(f);
	set_masked(f, 1, true);
	event(f, 1);
	fake_vm_reset(f->fake);
	assert_int_equal(bf_pci_get16(&f->card->pci, FLAGS), FEW - 1);
	for (unsigned int i = 0; i < FEW; i++) {
		assert_int_equal(get(f, entry(i), 8), 0);
		assert_int_equal(get(f, entry(i) + 8, 8), 1ULL << 32);
	}
	assert_int_equal(pending(f), 0);
	enable(f);
	assert_int_equal(fake_attached(f->fake), 0);
}

static void after_a_reset_vectors_work_as_before(void **state)
{
	const struct fixture *f = *state;

	program(f, 0);
	enable(f);
	fake_vm_reset(f->fake);
	program(f, 0);
	event(f, 0);
	assert_int_equal(fake_interrupts(f->fake), 0);
	enable(f);
	assert_int_equal(fake_interrupts(f->fake), 1);
	event(f, 0);
	assert_int_equal(fake_interrupts(f->fake), 2);
	assert_int_equal(f->fake->last.data, data(0));
}

#define msix_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_and_pending_bits_are_where_the_capability_says),
		cmocka_unit_test(every_vector_starts_as_zero_and_masked),
		msix_test(of_the_control_register_only_enable_and_mask_are_writable),

		msix_test(the_table_takes_dwords_and_qwords),
		msix_test(narrow_and_misaligned_accesses_do_nothing),
		msix_test(there_is_nothing_around_table_and_pending_bits),
		msix_test(the_pending_bits_are_read_only),
		cmocka_unit_test(each_vector_has_its_pending_bit),

		msix_test(
			an_event_of_an_open_vector_is_the_interrupt_the_guest_asked_for),
		msix_test(all_64_bits_of_the_address_count),
		msix_test(nothing_fires_before_msix_is_enabled),
		msix_test(an_event_before_msix_is_enabled_is_kept),
		msix_test(only_vectors_that_may_fire_are_attached),
		msix_test(events_of_a_masked_vector_become_one_interrupt),
		msix_test(masking_again_brings_no_interrupt_that_was_there_before),
		msix_test(the_function_mask_holds_all_vectors_back),
		msix_test(an_event_waits_while_msix_is_off),
		msix_test(an_event_that_waited_takes_the_new_route),
		msix_test(an_open_vector_may_be_routed_anew),

		cmocka_unit_test(a_vector_without_an_eventfd_stays_silent),
		cmocka_unit_test(an_eventfd_that_comes_late_works_at_once),
		msix_test(an_eventfd_may_be_replaced),
		msix_test(an_eventfd_for_a_vector_that_is_not_there_is_ignored),

		msix_test(a_vector_takes_its_gsi_when_it_may_fire_for_the_first_time),
		cmocka_unit_test(enabling_2048_vectors_hands_their_routes_over_at_once),
		msix_test(each_guest_action_hands_over_once_or_not_at_all),
		msix_test(other_writes_to_configuration_space_change_nothing),

		msix_test(without_a_gsi_the_event_waits_and_the_log_says_so_once),
		msix_test(a_refused_commit_attaches_nothing_and_the_next_one_heals),
		msix_test(an_irqfd_that_is_busy_leaves_the_event_pending),

		msix_test(after_a_reset_all_is_off_and_masked_and_nothing_pending),
		msix_test(after_a_reset_vectors_work_as_before),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
