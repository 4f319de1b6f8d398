/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/wire_fuzz.c - arbitrary bytes and descriptors into the protocol of a peer
 *
 * The input is what recvmsg(2) would have returned, call by call: a control byte says how
 * many bytes (bits 0-2, and one more) and descriptors (bits 3-4) came and which kind they
 * are (bits 5-6), then the bytes follow. The first byte of all chooses where to start: at
 * the handshake's beginning or after it, with how many vectors of our own, and with many
 * or few descriptors to use.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/own.h"
#include "ivshmem/member.h"
#include "ivshmem/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Crash, so that the fuzzer notices. */
static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void vector_added(void *owner, uint16_t id, unsigned int vector, int fd)
{
	const struct bf_member *m = owner;

	check(fd >= 0 && vector < BF_IVSHMEM_VECTORS_MAX);
	check(bf_table_fd(&m->peers, id, vector) == fd);
	check(id != m->id || vector < m->own_vectors);
	check(m->state == BF_MEMBER_JOINED);
}

static void left(void *owner, uint16_t id)
{
	const struct bf_member *m = owner;

	check(id != m->id && bf_table_has(&m->peers, id));
}

static const struct bf_peer_ops ops = { .vector_added = vector_added, .left = left };

static int new_fd(unsigned int kind)
{
	switch (kind) {
	case 0:
		return memfd_create("fuzz", MFD_CLOEXEC);
	case 1:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default:
		return eventfd(0, EFD_CLOEXEC);
	}
}

static void greet(struct bf_member *m)
{
	check(bf_member_take(m, &(struct bf_wire_msg){ .value = 0, .fd = -1 }, NULL) ==
	      0);
	check(bf_member_take(m, &(struct bf_wire_msg){ .value = 5, .fd = -1 }, NULL) ==
	      0);
	check(bf_member_take(m, &(struct bf_wire_msg){ .value = -1, .fd = new_fd(0) },
			     NULL) == 0);
	check(m->state == BF_MEMBER_JOINED && m->id == 5 && m->memory >= 0);
}

static void feed(struct bf_member *m, struct bf_wire_rx *rx, const uint8_t *data,
		 size_t size)
{
	struct belfry_error err;
	struct bf_wire_msg msg;
	int fds[3];

	while (size > 0) {
		uint8_t control = *data++;
		size_t n = (control & 7) + 1;
		size_t n_fds = control >> 3 & 3;

		size--;
		if (n > size)
			return;
		if (n > BF_WIRE_SIZE - rx->have)
			n = BF_WIRE_SIZE - rx->have;
		for (size_t i = 0; i < n_fds; i++)
			fds[i] = new_fd(control >> 5 & 3);
		if (bf_wire_rx_add(rx, data, n, fds, n_fds, &msg)) {
			msg.lost = msg.fd < 0 && control >> 7;
			if (bf_member_take(m, &msg, &err) < 0)
				return;
		}
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_log silent = { 0 };
	struct bf_wire_rx rx;
	struct bf_member m;
	int lowest, after;

	if (size == 0)
		return 0;
	lowest = new_fd(2);
	close(lowest);

	bf_wire_rx_init(&rx);
	bf_member_init(&m, data[0] & 3, data[0] & 4 ? 1024 : lowest + 8, &ops, &m,
		       &silent);
	if (data[0] & 8)
		greet(&m);
	if (data[0] & 16)
		bf_member_settle(&m);
	feed(&m, &rx, data + 1, size - 1);
	bf_wire_rx_fini(&rx);
	bf_member_fini(&m);

	after = new_fd(2); /* the lowest free number again: nothing leaks */
	close(after);
	check(after == lowest);
	return 0;
}
