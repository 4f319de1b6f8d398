/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/device_test.c - what a guest notices of a server that goes and comes back
 */
#include <sys/eventfd.h>

#include "tests/unit/doorbell_test.h"

/* Where the guest has put the table entry of vector @index. */
static uint64_t entry(const struct fixture *f, unsigned int index)
{
	return bar_base(f->fake, 1, IVSHMEM_BAR_MSIX) + PCI_MSIX_ENTRY_SIZE * index;
}

/* Let the guest want interrupts. */
static void open_vectors(const struct fixture *f)
{
	for (unsigned int i = 0; i < 2; i++) {
		fake_write(f->fake, entry(f, i), 0xfee00000, 8);
		fake_write(f->fake, entry(f, i) + 8, i, 8);
	}
	bf_pci_config_write(f->fake->vm.pci, 1, IVSHMEM_MSIX_CAP + PCI_MSIX_FLAGS,
			    PCI_MSIX_FLAGS_ENABLE, 2);
}

/* Neither numbers nor eventfds are those of before. */
static void our_vectors_are_those_that_the_server_comes_back_with(void **state)
{
	const struct fixture *f = *state;

	open_vectors(f);
	assert_int_equal(fake_attached(f->fake), 2);
	fake_lose_server(f->peer);
	assert_int_equal(fake_attached(f->fake), 2);
	fake_return_server(f->peer);
	assert_int_equal(fake_attached(f->fake), 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(fake_gsi_of(f->fake, eventfd_of(f, OWN_ID, i)) >= 0);
		eventfd_write(eventfd_of(f, OWN_ID, i), 1);
		assert_int_equal(fake_interrupts(f->fake), 1 + i);
		assert_int_equal(f->fake->last.data, i);
	}
}

static void a_masked_vector_stays_masked(void **state)
{
	const struct fixture *f = *state;

	open_vectors(f);
	fake_write(f->fake, entry(f, 0) + PCI_MSIX_ENTRY_VECTOR_CTRL,
		   PCI_MSIX_ENTRY_CTRL_MASKBIT, 4);
	fake_lose_server(f->peer);
	fake_return_server(f->peer);
	eventfd_write(eventfd_of(f, OWN_ID, 0), 1);
	assert_int_equal(fake_interrupts(f->fake), 0);
	fake_write(f->fake, entry(f, 0) + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	assert_int_equal(fake_interrupts(f->fake), 1);
}

static void old_vectors_are_let_go_before_their_eventfds_are_closed(void **state)
{
	const struct fixture *f = *state;

	open_vectors(f);
	fake_leave(f->peer, OWN_ID);
	assert_int_equal(fake_attached(f->fake), 0);
	assert_int_equal(bell(f, OWN_ID, 0), -1);
	assert_true(bell(f, OTHER, 0) >= 0);
}

static void doorbells_are_those_of_the_peers_that_are_there_now(void **state)
{
	const struct fixture *f = *state;

	fake_lose_server(f->peer);
	assert_true(bell(f, OTHER, 0) >= 0);
	fake_return_server(f->peer);
	assert_int_equal(bell(f, OTHER, 0), -1);
	assert_int_equal(bell(f, OWN_ID, 1), eventfd_of(f, OWN_ID, 1));
	fake_join(f->peer, OTHER, 0);
	assert_int_equal(bell(f, OTHER, 0), eventfd_of(f, OTHER, 0));
	assert_string_equal(f->fake->logged, "ivshmem: server is back");
}

static void another_server_changes_nothing(void **state)
{
	const struct fixture *f = *state;

	open_vectors(f);
	fake_lose_server(f->peer);
	fake_change_server(f->peer);
	assert_string_equal(f->fake->logged, "ivshmem: another server in its place: the "
					     "memory is another one; known peers stay");
	assert_true(bell(f, OTHER, 0) >= 0);
	eventfd_write(eventfd_of(f, OWN_ID, 1), 1);
	assert_int_equal(fake_interrupts(f->fake), 1);
}

static void a_server_with_a_path_is_tried_again(void **state)
{
	const struct fixture *f = *state;
	struct bf_ivshmem_conf conf = conf_empty();

	assert_string_equal(fake_link.again, "server.sock");
	conf.socket.fd = f->memory; /* any descriptor */
	conf.vectors = 1;
	assert_works(bf_ivshmem_ops.create(&f->fake->vm, &conf, &err));
	assert_string_equal(fake_link.again, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(our_vectors_are_those_that_the_server_comes_back_with),
		TEST(a_masked_vector_stays_masked),
		TEST(old_vectors_are_let_go_before_their_eventfds_are_closed),
		TEST(doorbells_are_those_of_the_peers_that_are_there_now),
		TEST(another_server_changes_nothing),
		TEST(a_server_with_a_path_is_tried_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
