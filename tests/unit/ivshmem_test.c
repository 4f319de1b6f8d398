/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/ivshmem_test.c - a doorbell device: registers, doorbells, vectors, joining
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/doorbell_test.h"

static uint64_t get(const struct fixture *f, unsigned int reg, unsigned int len)
{
	return fake_read(f->fake, bar_base(f->fake, 1, IVSHMEM_BAR_REGS) + reg, len);
}

static void put(const struct fixture *f, unsigned int reg, uint64_t val, unsigned int len)
{
	fake_write(f->fake, bar_base(f->fake, 1, IVSHMEM_BAR_REGS) + reg, val, len);
}

/* The guest rings, and KVM does not know the doorbell. */
static void ring(const struct fixture *f, unsigned int id, unsigned int vector)
{
	put(f, IVSHMEM_DOORBELL, IVSHMEM_RING(id, vector), 4);
}

static void move_registers(const struct fixture *f, uint32_t addr)
{
	bf_pci_config_write(f->fake->vm.pci, 1, PCI_BASE_ADDRESS_0, addr, 4);
}

static void decode(const struct fixture *f, bool on)
{
	bf_pci_config_write(f->fake->vm.pci, 1, PCI_COMMAND, on ? PCI_COMMAND_MEMORY : 0,
			    2);
}

/* --- what it is --- */

static void a_doorbell_device_is_what_drivers_look_for(void **state)
{
	const struct fixture *f = *state;
	struct bf_pci_bus *bus = f->fake->vm.pci;

	assert_int_equal(bf_pci_config_read(bus, 1, PCI_VENDOR_ID, 4), 0x11101af4);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_SUBSYSTEM_VENDOR_ID, 4),
			 0x11001af4);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_CLASS_REVISION, 4), 0x05000001);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(bf_pci_config_read(bus, 1, PCI_CAPABILITY_LIST, 1), 0x40);
	assert_int_equal(bf_pci_config_read(bus, 1, 0x40, 2), PCI_CAP_ID_MSIX);
	assert_int_equal(bf_pci_config_read(bus, 1, 0x42, 2), 1); /* two vectors */
}

static void its_bars_have_the_sizes_drivers_expect(void **state)
{
	static const uint32_t sizes[] = { -0x100, -0x1000, -SHARED | 0xc, -1, 0, 0 };
	const struct fixture *f = *state;
	struct bf_pci_bus *bus = f->fake->vm.pci;

	decode(f, false);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(sizes); i++) {
		bf_pci_config_write(bus, 1, PCI_BASE_ADDRESS_0 + 4 * i, -1, 4);
		assert_int_equal(
			bf_pci_config_read(bus, 1, PCI_BASE_ADDRESS_0 + 4 * i, 4),
			sizes[i]);
	}
}

static void bar_2_is_the_memory_of_the_link(void **state)
{
	const struct fixture *f = *state;
	const struct bf_region *r = region_at(f->fake, bar_base(f->fake, 1, 2));
	char seen[4];

	assert_int_equal(r->size, SHARED);
	memcpy((char *)r->ram + SHARED - 4, "bell", 4);
	assert_int_equal(pread(f->memory, seen, 4, SHARED - 4), 4);
	assert_memory_equal(seen, "bell", 4);
}

/* --- registers --- */

static void registers_start_as_zero_but_for_the_position(void **state)
{
	const struct fixture *f = *state;

	for (unsigned int reg = 0; reg < IVSHMEM_REGS_SIZE; reg += 4)
		assert_int_equal(get(f, reg, 4), reg == IVSHMEM_IVPOSITION ? OWN_ID : 0);
}

static void the_mask_keeps_what_is_written(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_INTR_MASK, 0xdeadbeef, 4);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 4), 0xdeadbeef);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 4), 0xdeadbeef);
}

static void reading_the_status_clears_it(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_INTR_STATUS, 0xffffffff, 4);
	assert_int_equal(get(f, IVSHMEM_INTR_STATUS, 4), 0xffffffff);
	assert_int_equal(get(f, IVSHMEM_INTR_STATUS, 4), 0);
}

static void other_registers_ignore_writes(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_IVPOSITION, 99, 4);
	for (unsigned int reg = 16; reg < IVSHMEM_REGS_SIZE; reg += 4)
		put(f, reg, 0xffffffff, 4);
	registers_start_as_zero_but_for_the_position(state);
}

static void the_position_survives_a_move(void **state)
{
	const struct fixture *f = *state;

	move_registers(f, 0xd0000000);
	assert_int_equal(get(f, IVSHMEM_IVPOSITION, 4), OWN_ID);
}

static void a_narrow_write_is_the_whole_register(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_INTR_MASK, 0xffffffff, 4);
	put(f, IVSHMEM_INTR_MASK, 0xffff12, 1);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 4), 0x12);
	put(f, IVSHMEM_INTR_MASK, 0xff3456, 2);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 4), 0x3456);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 1), 0x56);
	assert_int_equal(get(f, IVSHMEM_IVPOSITION, 2), OWN_ID);
}

static void an_access_of_8_bytes_is_two_registers(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_INTR_MASK, 0x1111111122222222, 8);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 8), 0x1111111122222222);
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 8),
			 0x22222222); /* status: read once */
	assert_int_equal(get(f, IVSHMEM_IVPOSITION, 8), OWN_ID);
}

static void a_misaligned_access_does_nothing(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_INTR_MASK, 0x12345678, 4);
	for (unsigned int len = 2; len <= 8; len *= 2) {
		for (unsigned int off = 1; off < len; off++) {
			assert_int_equal(get(f, off, len), 0);
			put(f, off, UINT64_MAX, len);
		}
	}
	assert_int_equal(get(f, IVSHMEM_INTR_MASK, 4), 0x12345678);
	assert_int_equal(get(f, IVSHMEM_INTR_STATUS, 4), 0);
}

static void the_last_byte_can_be_reached(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_REGS_SIZE - 1, 0xff, 1);
	assert_int_equal(get(f, IVSHMEM_REGS_SIZE - 1, 1), 0);
	assert_int_equal(get(f, IVSHMEM_REGS_SIZE - 8, 8), 0);
	assert_int_equal(get(f, IVSHMEM_REGS_SIZE, 4), 0xffffffff);
}

/* --- doorbells that KVM rings --- */

static void every_vector_of_every_peer_is_a_doorbell(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(f->fake->n_bells, 3);
	assert_int_equal(bell(f, OTHER, 0), eventfd_of(f, OTHER, 0));
	assert_int_equal(bell(f, OWN_ID, 0), eventfd_of(f, OWN_ID, 0));
	assert_int_equal(bell(f, OWN_ID, 1), eventfd_of(f, OWN_ID, 1));
	assert_int_equal(f->fake->binds, 3); /* each once: it costs */
}

static void who_joins_later_gets_a_doorbell_at_once(void **state)
{
	const struct fixture *f = *state;
	const int first = fake_join(f->peer, 65535, 0);
	const int second = fake_join(f->peer, 65535, 2047);

	assert_int_equal(bell(f, 65535, 0), first);
	assert_int_equal(bell(f, 65535, 2047), second);
}

static void who_leaves_loses_its_doorbells_and_nobody_else(void **state)
{
	const struct fixture *f = *state;

	fake_join(f->peer, 9, 0);
	fake_join(f->peer, 10, 0);
	fake_join(f->peer, 9, 1);
	fake_leave(f->peer, 9);
	assert_int_equal(f->fake->n_bells, 4);
	assert_int_equal(bell(f, 9, 0), -1);
	assert_int_equal(bell(f, 9, 1), -1);
	assert_int_equal(bell(f, 10, 0), eventfd_of(f, 10, 0));
	assert_int_equal(bell(f, OTHER, 0), eventfd_of(f, OTHER, 0));
}

static void an_id_that_comes_back_is_rung_anew(void **state)
{
	const struct fixture *f = *state;

	fake_leave(f->peer, OTHER);
	fake_join(f->peer, OTHER, 0);
	assert_int_equal(bell(f, OTHER, 0), eventfd_of(f, OTHER, 0));
}

static void all_doorbells_move_with_the_registers(void **state)
{
	const struct fixture *f = *state;
	const uint64_t old = bar_base(f->fake, 1, IVSHMEM_BAR_REGS);

	move_registers(f, 0xd0000000);
	assert_int_equal(f->fake->n_bells, 3);
	assert_int_equal(bell(f, OTHER, 0), eventfd_of(f, OTHER, 0));
	assert_int_equal(bell(f, OWN_ID, 1), eventfd_of(f, OWN_ID, 1));
	assert_int_equal(
		fake_bell_at(f->fake, old + IVSHMEM_DOORBELL, IVSHMEM_RING(OWN_ID, 1)),
		-1);
}

static void a_move_that_is_none_or_fails_leaves_the_doorbells_bound(void **state)
{
	const struct fixture *f = *state;

	move_registers(f, bar_base(f->fake, 1, IVSHMEM_BAR_REGS));
	assert_int_equal(f->fake->binds, 3);
	move_registers(f, 0xffffffff); /* the size, please */
	move_registers(f, bar_base(f->fake, 1, IVSHMEM_BAR_REGS));
	assert_int_equal(f->fake->binds, 3);
	move_registers(f, 0); /* RAM */
	assert_int_equal(f->fake->n_bells, 3);
	assert_int_equal(bell(f, OTHER, 0), eventfd_of(f, OTHER, 0));
}

static void without_decoding_there_are_no_doorbells(void **state)
{
	const struct fixture *f = *state;

	decode(f, false);
	assert_int_equal(f->fake->n_bells, 0);
	fake_join(f->peer, 9, 0);
	fake_leave(f->peer, OTHER);
	assert_int_equal(f->fake->n_bells, 0);

	decode(f, true);
	assert_int_equal(f->fake->n_bells, 3);
	assert_int_equal(bell(f, 9, 0), eventfd_of(f, 9, 0));
	assert_int_equal(bell(f, OTHER, 0), -1);
}

static void doorbells_outlive_the_server(void **state)
{
	const struct fixture *f = *state;

	fake_lose_server(f->peer);
	assert_int_equal(f->fake->n_bells, 3);
	assert_int_equal(get(f, IVSHMEM_IVPOSITION, 4), OWN_ID);
	assert_string_equal(f->fake->logged,
			    "ivshmem: server lost: end of file; known peers stay");
}

/* The device is the first of the VM's. */
static void assert_told(const struct fixture *f, unsigned int events,
			enum belfry_event_type type, uint32_t peer)
{
	assert_int_equal(f->fake->events, events);
	assert_int_equal(f->fake->event.type, type);
	assert_int_equal(f->fake->event.device, 0);
	assert_int_equal(f->fake->event.peer, peer);
	assert_int_equal(f->fake->event.size, sizeof(struct belfry_event));
}

static void the_embedder_is_told_who_comes_and_goes(void **state)
{
	const struct fixture *f = *state;
	const unsigned int before = f->fake->events;

	fake_join(f->peer, 9, 0);
	assert_told(f, before + 1, BELFRY_EVENT_PEER_JOINED, 9);
	fake_join(f->peer, 9, 1); /* one more vector is no news */
	assert_told(f, before + 1, BELFRY_EVENT_PEER_JOINED, 9);
	fake_leave(f->peer, 9);
	assert_told(f, before + 2, BELFRY_EVENT_PEER_LEFT, 9);
}

static void the_embedder_is_told_of_the_server(void **state)
{
	const struct fixture *f = *state;
	const unsigned int before = f->fake->events;

	fake_lose_server(f->peer);
	assert_told(f, before + 1, BELFRY_EVENT_SERVER_LOST, 0);
	assert_non_null(f->fake->event.why);
	fake_return_server(f->peer); /* before that, OTHER has left; not we */
	assert_told(f, before + 3, BELFRY_EVENT_SERVER_BACK, 0);
	fake_change_server(f->peer);
	assert_told(f, before + 4, BELFRY_EVENT_SERVER_CHANGED, 0);
}

/* --- doorbells that reach us --- */

static void a_doorbell_rings_the_peer_and_vector_it_names(void **state)
{
	const struct fixture *f = *state;
	const int named = fake_join(f->peer, 9, 1);
	const int other = fake_join(f->peer, 9, 0);

	ring(f, 9, 1);
	assert_int_equal(fake_rings(named), 1);
	assert_int_equal(fake_rings(other), 0);
	assert_int_equal(f->fake->doorbell_exits, 1);
}

static void all_16_bits_of_the_vector_count(void **state)
{
	const struct fixture *f = *state;
	const int low = fake_join(f->peer, 9, 0x2c);
	const int high = fake_join(f->peer, 9, 0x12c);

	ring(f, 9, 0x12c);
	assert_int_equal(fake_rings(high), 1);
	assert_int_equal(fake_rings(low), 0);
}

static void our_own_doorbell_rings(void **state)
{
	const struct fixture *f = *state;

	ring(f, OWN_ID, 1);
	assert_int_equal(fake_rings(eventfd_of(f, OWN_ID, 1)), 1);
}

static void the_upper_half_of_8_bytes_rings_as_well(void **state)
{
	const struct fixture *f = *state;

	put(f, IVSHMEM_IVPOSITION, (uint64_t)IVSHMEM_RING(OTHER, 0) << 32, 8);
	assert_int_equal(fake_rings(eventfd_of(f, OTHER, 0)), 1);
}

static void a_ring_for_nobody_is_ignored(void **state)
{
	const struct fixture *f = *state;

	fake_join(f->peer, 9, 0);
	fake_leave(f->peer, 9);
	ring(f, 9, 0);     /* has left */
	ring(f, 10, 0);    /* never came */
	ring(f, OTHER, 1); /* has one vector only */
	ring(f, 65535, 65535);
	assert_int_equal(fake_rings(eventfd_of(f, OTHER, 0)), 0);
	assert_int_equal(f->fake->doorbell_exits, 4);
}

static void rings_on_a_full_counter_coalesce(void **state)
{
	const struct fixture *f = *state;
	const int fd = eventfd_of(f, OTHER, 0);

	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	ring(f, OTHER, 0); /* must not wait */
	assert_true(fake_rings(fd) > 0);
}

static void a_doorbell_that_kvm_refuses_rings_by_hand(void **state)
{
	const struct fixture *f = *state;
	int fd;

	f->fake->bells_max = f->fake->n_bells;
	fd = fake_join(f->peer, 9, 0);
	assert_int_equal(bell(f, 9, 0), -1);
	assert_string_equal(
		f->fake->logged,
		"ivshmem: KVM takes no more doorbells: No space left on device; the "
		"others are rung from user space");
	ring(f, 9, 0);
	assert_int_equal(fake_rings(fd), 1);
	fake_leave(f->peer, 9); /* what was not bound is not unbound */
}

static void what_kvm_refuses_is_said_once(void **state)
{
	const struct fixture *f = *state;

	f->fake->bells_max = 0;
	f->fake->bells_errno = EMFILE;
	for (unsigned int id = 200; id < 250; id++)
		fake_join(f->peer, id, 0);
	assert_int_equal(f->fake->log_lines, 1);
}

static void a_doorbell_gets_another_chance_when_the_registers_move(void **state)
{
	const struct fixture *f = *state;

	f->fake->bells_max = 1;
	move_registers(f, 0xd0000000);
	assert_int_equal(f->fake->n_bells, 1);
	f->fake->bells_max = 100;
	move_registers(f, 0xd1000000);
	assert_int_equal(f->fake->n_bells, 3);
}

/* --- vectors --- */

/* Let vector @index send data @index, and enable MSI-X. */
static void open_vector(const struct fixture *f, unsigned int index)
{
	const uint64_t at = bar_base(f->fake, 1, IVSHMEM_BAR_MSIX) + 16 * index;

	fake_write(f->fake, at, 0xfee00000, 8);
	fake_write(f->fake, at + 8, index, 8);
	bf_pci_config_write(f->fake->vm.pci, 1, IVSHMEM_MSIX_CAP + PCI_MSIX_FLAGS,
			    PCI_MSIX_FLAGS_ENABLE, 2);
}

static void our_vectors_are_msix_vectors(void **state)
{
	const struct fixture *f = *state;

	fake_join(f->peer, 9, 1); /* somebody else's */
	open_vector(f, 0);
	open_vector(f, 1);
	eventfd_write(eventfd_of(f, OWN_ID, 1), 1);
	assert_int_equal(fake_interrupts(f->fake), 1);
	assert_int_equal(f->fake->last.data, 1);
	assert_int_equal(fake_gsi_of(f->fake, eventfd_of(f, OTHER, 0)), -1);
	assert_int_equal(fake_gsi_of(f->fake, eventfd_of(f, 9, 1)), -1);
}

static void a_vector_of_ours_that_comes_late_works(void **state)
{
	struct fake_vm *fake = fake_vm_create(0x100000);
	const struct bf_ivshmem_conf conf = conf_socket(3);
	struct fixture f = { .fake = fake };
	int late;

	fake_vm_add_pci(fake);
	assert_works(bf_ivshmem_ops.create(&fake->vm, &conf, &err)); /* the link has 2 */
	map_bars(fake);
	f.peer = fake_link.peer;
	open_vector(&f, 2);
	assert_int_equal(fake_attached(fake), 0);
	late = fake_join(f.peer, OWN_ID, 2);
	assert_int_equal(bell(&f, OWN_ID, 2), late);
	eventfd_write(late, 1);
	assert_int_equal(fake_interrupts(fake), 1);
	fake_vm_destroy(fake);
}

static void
a_vector_of_ours_that_the_device_does_not_have_is_only_a_doorbell(void **state)
{
	const struct fixture *f = *state;
	const int surplus = fake_join(f->peer, OWN_ID, 2);

	open_vector(f, 0);
	open_vector(f, 1);
	assert_int_equal(bell(f, OWN_ID, 2), surplus);
	assert_int_equal(fake_attached(f->fake), 2);
}

/* --- reset --- */

static void a_reset_clears_the_registers_and_keeps_position_and_memory(void **state)
{
	const struct fixture *f = *state;
	char *shared = region_at(f->fake, bar_base(f->fake, 1, IVSHMEM_BAR_MEMORY))->ram;

	memcpy(shared, "bell", 4);
	put(f, IVSHMEM_INTR_MASK, 1, 4);
	put(f, IVSHMEM_INTR_STATUS, 1, 4);
	fake_vm_reset(f->fake);
	registers_start_as_zero_but_for_the_position(state);
	assert_memory_equal(shared, "bell", 4);
	assert_ptr_equal(
		region_at(f->fake, bar_base(f->fake, 1, IVSHMEM_BAR_MEMORY))->ram,
		shared);
}

static void a_reset_keeps_the_peers_and_binds_their_doorbells_anew(void **state)
{
	const struct fixture *f = *state;

	move_registers(f, 0xd0000000);
	fake_join(f->peer, 9, 0);
	fake_vm_reset(f->fake);
	assert_int_equal(bar_base(f->fake, 1, IVSHMEM_BAR_REGS), 0xc0000000);
	assert_int_equal(f->fake->n_bells, 4);
	assert_int_equal(bell(f, 9, 0), eventfd_of(f, 9, 0));
	assert_int_equal(bell(f, OWN_ID, 1), eventfd_of(f, OWN_ID, 1));
	fake_leave(f->peer, 9);
	assert_int_equal(bell(f, 9, 0), -1);
}

static void after_a_reset_our_vectors_fire_again(void **state)
{
	const struct fixture *f = *state;

	open_vector(f, 1);
	fake_vm_reset(f->fake);
	assert_int_equal(fake_attached(f->fake), 0);
	open_vector(f, 1);
	eventfd_write(eventfd_of(f, OWN_ID, 1), 1);
	assert_int_equal(fake_interrupts(f->fake), 1);
}

/* --- joining --- */

static void the_server_is_given_five_seconds_for_the_vectors_we_want(void **state)
{
	assert_string_equal(fake_link.path, "server.sock");
	assert_int_equal(fake_link.wanted, 2);
	assert_int_equal(fake_link.timeout_ns, 5000000000);
}

/* A fresh VM whose device cannot be made. */
#define assert_create_fails(conf, errno_, message)                                  \
	do {                                                                        \
		struct fake_vm *fake_ = fake_vm_create(0x100000);                   \
		fake_vm_add_pci(fake_);                                             \
		assert_fails(bf_ivshmem_ops.create(&fake_->vm, conf, &err), errno_, \
			     message);                                              \
		assert_int_equal(bf_pci_config_read(fake_->vm.pci, 1, 0, 4), -1U);  \
		fake_vm_destroy(fake_);                                             \
	} while (0)

static void without_a_number_of_vectors_there_is_one(void **state)
{
	const struct bf_ivshmem_conf conf = conf_socket(0);
	const struct fixture *f = *state;

	assert_works(bf_ivshmem_ops.create(&f->fake->vm, &conf, &err));
	assert_int_equal(fake_link.wanted, 1);
	assert_int_equal(bf_pci_config_read(f->fake->vm.pci, 2, 0x42, 2), 0);
}

static void
a_descriptor_in_place_of_the_path_is_joined_and_stays_the_callers(void **state)
{
	const struct fixture *f = *state;
	struct bf_ivshmem_conf conf = conf_empty();
	BF_CLOSE int fd = eventfd(0, EFD_CLOEXEC);

	fake_link.path[0] = '\0';
	conf.link.fd = fd;
	conf.vectors = 1;
	assert_works(bf_ivshmem_ops.create(&f->fake->vm, &conf, &err));
	assert_string_equal(fake_link.path, "");
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

static void a_link_that_nobody_hosts_is_an_error(void **state)
{
	struct bf_ivshmem_conf conf = conf_empty();

	conf.link.path = "ring";
	conf.vectors = 1;
	assert_create_fails(&conf, EINVAL, "link ring: nobody hosts it here");
}

static void without_io_uring_there_is_no_joining(void **state)
{
	const struct bf_ivshmem_conf conf = conf_socket(1);
	struct fake_vm *fake = fake_vm_create(0x100000);

	fake_vm_add_pci(fake);
	fake->loop_errno = EPERM;
	assert_fails(bf_ivshmem_ops.create(&fake->vm, &conf, &err), EPERM,
		     "loop: Operation not permitted");
	fake_vm_destroy(fake);
}

static void a_socket_that_nobody_listens_on_is_an_error(void **state)
{
	const struct bf_ivshmem_conf conf = conf_socket(1);

	fake_link.connect_errno = ECONNREFUSED;
	assert_create_fails(&conf, ECONNREFUSED, "server.sock: refused");
}

static void a_handshake_that_fails_leaves_nothing(void **state)
{
	const struct bf_ivshmem_conf conf = conf_socket(1);
	const struct fixture *f = *state;
	const unsigned int alive = fake_link.alive;
	const int fds = count_descriptors();

	fake_link.create_errno = EPROTO;
	assert_create_fails(&conf, EPROTO, "server.sock: server: no");
	assert_int_equal(fake_link.alive, alive);
	assert_int_equal(count_descriptors(), fds);
	assert_int_equal(f->fake->n_bells, 3);
}

static void memory_that_is_no_power_of_two_is_refused_with_one_that_would_do(void **state)
{
	static const struct {
		uint64_t size;
		const char *message;
	} bad[] = {
		{ 3 << 20,
		  "shared memory has 3145728 bytes, not a power of two; 4M would do" },
		{ (64 << 10) + 1,
		  "shared memory has 65537 bytes, not a power of two; 128k "
		  "would do" },
		{ 2048, "shared memory has 2048 bytes, less than a page; 4k would do" },
		{ 0, "shared memory has 0 bytes, less than a page; 4k would do" },
	};
	const struct bf_ivshmem_conf conf = conf_socket(2);
	const struct fixture *f = *state;

	for (unsigned int i = 0; i < BF_ARRAY_LEN(bad); i++) {
		assert_int_equal(ftruncate(f->memory, bad[i].size), 0);
		assert_create_fails(&conf, EINVAL, bad[i].message);
	}
}

static void two_devices_on_two_links_know_nothing_of_each_other(void **state)
{
	const struct bf_ivshmem_conf conf = conf_socket(2);
	struct fake_vm *fake = fake_vm_create(0x100000);
	struct fixture first = { .fake = fake };
	uint64_t second;

	fake_vm_add_pci(fake);
	assert_works(bf_ivshmem_ops.create(&fake->vm, &conf, &err));
	first.peer = fake_link.peer;
	assert_works(bf_ivshmem_ops.create(&fake->vm, &conf, &err));
	map_bars(fake);
	second = bar_base(fake, 2, IVSHMEM_BAR_REGS);
	assert_int_equal(fake->n_bells, 6);

	fake_leave(first.peer, OTHER);
	assert_int_equal(bell(&first, OTHER, 0), -1);
	assert_true(fake_bell_at(fake, second + IVSHMEM_DOORBELL,
				 IVSHMEM_RING(OTHER, 0)) >= 0);
	fake_write(fake, second + IVSHMEM_INTR_MASK, 5, 4);
	assert_int_equal(get(&first, IVSHMEM_INTR_MASK, 4), 0);
	fake_vm_destroy(fake);
}

#define ivshmem_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ivshmem_test(a_doorbell_device_is_what_drivers_look_for),
		ivshmem_test(its_bars_have_the_sizes_drivers_expect),
		ivshmem_test(bar_2_is_the_memory_of_the_link),

		ivshmem_test(registers_start_as_zero_but_for_the_position),
		ivshmem_test(the_mask_keeps_what_is_written),
		ivshmem_test(reading_the_status_clears_it),
		ivshmem_test(other_registers_ignore_writes),
		ivshmem_test(the_position_survives_a_move),
		ivshmem_test(a_narrow_write_is_the_whole_register),
		ivshmem_test(an_access_of_8_bytes_is_two_registers),
		ivshmem_test(a_misaligned_access_does_nothing),
		ivshmem_test(the_last_byte_can_be_reached),

		ivshmem_test(every_vector_of_every_peer_is_a_doorbell),
		ivshmem_test(who_joins_later_gets_a_doorbell_at_once),
		ivshmem_test(who_leaves_loses_its_doorbells_and_nobody_else),
		ivshmem_test(an_id_that_comes_back_is_rung_anew),
		ivshmem_test(all_doorbells_move_with_the_registers),
		ivshmem_test(a_move_that_is_none_or_fails_leaves_the_doorbells_bound),
		ivshmem_test(without_decoding_there_are_no_doorbells),
		ivshmem_test(doorbells_outlive_the_server),
		ivshmem_test(the_embedder_is_told_who_comes_and_goes),
		ivshmem_test(the_embedder_is_told_of_the_server),

		ivshmem_test(a_doorbell_rings_the_peer_and_vector_it_names),
		ivshmem_test(all_16_bits_of_the_vector_count),
		ivshmem_test(our_own_doorbell_rings),
		ivshmem_test(the_upper_half_of_8_bytes_rings_as_well),
		ivshmem_test(a_ring_for_nobody_is_ignored),
		ivshmem_test(rings_on_a_full_counter_coalesce),
		ivshmem_test(a_doorbell_that_kvm_refuses_rings_by_hand),
		ivshmem_test(what_kvm_refuses_is_said_once),
		ivshmem_test(a_doorbell_gets_another_chance_when_the_registers_move),

		ivshmem_test(our_vectors_are_msix_vectors),
		ivshmem_test(a_vector_of_ours_that_comes_late_works),
		ivshmem_test(
			a_vector_of_ours_that_the_device_does_not_have_is_only_a_doorbell),

		ivshmem_test(a_reset_clears_the_registers_and_keeps_position_and_memory),
		ivshmem_test(a_reset_keeps_the_peers_and_binds_their_doorbells_anew),
		ivshmem_test(after_a_reset_our_vectors_fire_again),

		ivshmem_test(the_server_is_given_five_seconds_for_the_vectors_we_want),
		ivshmem_test(without_a_number_of_vectors_there_is_one),
		ivshmem_test(
			a_descriptor_in_place_of_the_path_is_joined_and_stays_the_callers),
		ivshmem_test(a_link_that_nobody_hosts_is_an_error),
		ivshmem_test(without_io_uring_there_is_no_joining),
		ivshmem_test(a_socket_that_nobody_listens_on_is_an_error),
		ivshmem_test(a_handshake_that_fails_leaves_nothing),
		ivshmem_test(
			memory_that_is_no_power_of_two_is_refused_with_one_that_would_do),
		ivshmem_test(two_devices_on_two_links_know_nothing_of_each_other),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
