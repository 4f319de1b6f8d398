/* SPDX-License-Identifier: MIT */
/* tests/unit/doorbell_test.h - a doorbell device that has joined, on a VM without KVM */
#ifndef BF_DOORBELL_TEST_H
#define BF_DOORBELL_TEST_H

#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/ivshmem_test.h"

#define SHARED 0x10000
#define OWN_ID 7
#define OTHER  100 /* the peer that was there before us: vector 0 alone */

struct fixture {
	struct fake_vm *fake;
	struct bf_peer *peer;
	int fds_before;
	int memory;
};

static inline struct bf_ivshmem_conf conf_socket(unsigned int vectors)
{
	struct bf_ivshmem_conf conf = conf_empty();

	conf.socket.path = "server.sock";
	conf.vectors = vectors;
	return conf;
}

/* A link with memory of @size bytes, where we are OWN_ID with two vectors. */
static inline int link_with_memory(uint64_t size)
{
	int memory = memfd_create("shared", MFD_CLOEXEC);

	assert_true(memory >= 0);
	assert_int_equal(ftruncate(memory, size), 0);
	fake_link = (struct fake_link){
		.id = OWN_ID, .memory = memory, .own_vectors = 2, .others = 1
	};
	return memory;
}

static inline int make(void **state)
{
	static struct fixture f;
	const struct bf_ivshmem_conf conf = conf_socket(2);

	f.fds_before = count_descriptors();
	f.memory = link_with_memory(SHARED);
	f.fake = fake_vm_create(0x100000);
	fake_vm_add_pci(f.fake);
	assert_works(bf_ivshmem_ops.create(&f.fake->vm, &conf, &err));
	map_bars(f.fake);
	f.peer = fake_link.peer;
	*state = &f;
	return 0;
}

/* Nothing stays behind, whatever the test did. */
static inline int unmake(void **state)
{
	struct fixture *f = *state;

	fake_vm_destroy(f->fake);
	bf_close(&f->memory);
	return fake_link.alive == 0 && count_descriptors() == f->fds_before ? 0 : -1;
}

/* What KVM rings when the guest does. */
static inline int bell(const struct fixture *f, unsigned int id, unsigned int vector)
{
	return fake_bell_at(f->fake,
			    bar_base(f->fake, 1, IVSHMEM_BAR_REGS) + IVSHMEM_DOORBELL,
			    IVSHMEM_RING(id, vector));
}

/* The eventfd of (@id, @number). */
static inline int eventfd_of(const struct fixture *f, unsigned int id,
			     unsigned int number)
{
	unsigned int n;
	const struct fake_vector *v = fake_vectors(f->peer, &n);

	for (unsigned int i = 0; i < n; i++) {
		if (v[i].id == id && v[i].number == number)
			return v[i].fd;
	}
	return -1;
}

#endif
