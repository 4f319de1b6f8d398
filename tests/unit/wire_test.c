/* SPDX-License-Identifier: MIT */
/* tests/unit/wire_test.c - one message and its descriptor, ivshmem/wire.c */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "base/own.h"
#include "ivshmem/wire.h"
#include "tests/descriptors.h"

struct fixture {
	int fds_before;
	int pair[2];
	struct bf_wire_rx rx;
	struct bf_wire_msg msg;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .fds_before = count_descriptors(), .msg.fd = -1 };
	bf_wire_rx_init(&f.rx);
	*state = &f;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f.pair);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_wire_rx_fini(&f->rx);
	bf_close(&f->msg.fd);
	bf_close(&f->pair[0]);
	bf_close(&f->pair[1]);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static bool receive(struct fixture *f)
{
	ssize_t n = recvmsg(f->pair[1], bf_wire_rx_hdr(&f->rx), MSG_CMSG_CLOEXEC);

	assert_true(n > 0);
	return bf_wire_rx_done(&f->rx, n, &f->msg);
}

static void send_whole(struct fixture *f, int64_t value, int fd)
{
	struct bf_wire_tx tx;

	bf_wire_tx_init(&tx, value, fd);
	assert_int_equal(sendmsg(f->pair[0], bf_wire_tx_hdr(&tx), MSG_NOSIGNAL), 8);
	assert_true(bf_wire_tx_done(&tx, 8));
}

/* @n descriptors, all the same file, with @len bytes. */
static void send_with_fds(struct fixture *f, const char *bytes, size_t len, int fd,
			  size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);

	assert_true(n <= 16);
	memset(control, 0, sizeof(control));
	*c = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n), SOL_SOCKET, SCM_RIGHTS };
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	assert_int_equal(sendmsg(f->pair[0], &hdr, 0), len);
}

static void numbers_are_little_endian(void **state)
{
	struct bf_wire_tx tx;

	bf_wire_tx_init(&tx, 0x0102030405060708, -1);
	assert_memory_equal(tx.bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
	bf_wire_tx_init(&tx, -2, -1);
	assert_memory_equal(tx.bytes, "\xfe\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void what_is_sent_arrives(void **state)
{
	static const int64_t values[] = { 0, 1, -1, 65535, INT64_MIN, INT64_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(values); i++) {
		send_whole(f, values[i], -1);
		assert_true(receive(f));
		assert_true(f->msg.value == values[i]);
		assert_int_equal(f->msg.fd, -1);
		assert_int_equal(f->msg.surplus, 0);
		assert_false(f->msg.lost);
	}
}

static void a_descriptor_arrives_close_on_exec(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);

	send_whole(f, 7, event);
	assert_true(receive(f));
	assert_true(f->msg.value == 7);
	assert_int_equal(fcntl(f->msg.fd, F_GETFD), FD_CLOEXEC);
	eventfd_write(event, 5);
	assert_int_equal(eventfd_read(f->msg.fd, &(eventfd_t){ 0 }), 0);
}

static void a_message_is_put_together_from_single_bytes(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);

	send_with_fds(f, "\x2a", 1, event, 1);
	assert_false(receive(f));
	for (int i = 1; i < 8; i++) {
		assert_int_equal(send(f->pair[0], "", 1, 0), 1);
		assert_int_equal(receive(f), i == 7);
	}
	assert_true(f->msg.value == 42);
	assert_true(f->msg.fd >= 0);
}

static void a_read_does_not_go_beyond_its_message(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send(f->pair[0], "\1\0\0", 3, 0), 3);
	assert_false(receive(f));
	assert_int_equal(send(f->pair[0],
			      "\0\0\0\0\0"
			      "\2\0\0\0\0\0\0\0",
			      13, 0),
			 13);
	for (int i = 1; i <= 2; i++) {
		assert_true(receive(f));
		assert_true(f->msg.value == i);
	}
}

static void a_descriptor_stays_with_its_message(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);

	send_whole(f, 1, -1);
	send_whole(f, 2, event);
	send_whole(f, 3, -1);
	for (int i = 1; i <= 3; i++) {
		assert_true(receive(f));
		assert_true(f->msg.value == i);
		assert_int_equal(f->msg.fd >= 0, i == 2);
		bf_close(&f->msg.fd);
	}
}

static void surplus_descriptors_are_closed_and_counted(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);
	int before = count_descriptors();

	send_with_fds(f, "\1\0\0\0", 4, event, 2);
	assert_false(receive(f));
	send_with_fds(f, "\0\0\0\0", 4, event, 2);
	assert_true(receive(f));

	assert_true(f->msg.value == 1);
	assert_int_equal(f->msg.surplus, 3);
	assert_int_equal(count_descriptors(), before + 1);
}

static void more_descriptors_than_fit_are_surplus_too(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);
	int before = count_descriptors();

	send_with_fds(f, "\1\0\0\0\0\0\0\0", 8, event, 16);
	assert_true(receive(f));

	assert_false(f->msg.lost);
	assert_true(f->msg.surplus >= BF_WIRE_FDS_MAX);
	assert_int_equal(count_descriptors(), before + 1);
}

static void a_descriptor_without_a_free_number_is_reported_as_lost(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);
	rlim_t old;

	send_whole(f, 7, event);
	old = limit_descriptors(0);
	assert_true(receive(f));
	limit_descriptors(old);

	assert_true(f->msg.value == 7);
	assert_int_equal(f->msg.fd, -1);
	assert_true(f->msg.lost);

	send_whole(f, 8, -1); /* and only that one */
	assert_true(receive(f));
	assert_false(f->msg.lost);
}

static void an_unfinished_message_gives_its_descriptor_back(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);
	int before = count_descriptors();

	send_with_fds(f, "\1\0\0", 3, event, 1);
	assert_false(receive(f));
	bf_wire_rx_fini(&f->rx);
	assert_int_equal(count_descriptors(), before);
}

static void the_rest_of_a_message_goes_without_the_descriptor(void **state)
{
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);
	struct bf_wire_tx tx;
	struct msghdr *hdr;

	bf_wire_tx_init(&tx, 9, event);
	hdr = bf_wire_tx_hdr(&tx);
	assert_non_null(hdr->msg_control);
	assert_int_equal(hdr->msg_iov->iov_len, 8);
	assert_false(bf_wire_tx_done(&tx, 3));
	hdr = bf_wire_tx_hdr(&tx);
	assert_null(hdr->msg_control);
	assert_int_equal(hdr->msg_iov->iov_len, 5);
	assert_ptr_equal(hdr->msg_iov->iov_base, tx.bytes + 3);
	assert_true(bf_wire_tx_done(&tx, 5));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_little_endian),
		TEST(what_is_sent_arrives),
		TEST(a_descriptor_arrives_close_on_exec),
		TEST(a_message_is_put_together_from_single_bytes),
		TEST(a_read_does_not_go_beyond_its_message),
		TEST(a_descriptor_stays_with_its_message),
		TEST(surplus_descriptors_are_closed_and_counted),
		TEST(more_descriptors_than_fit_are_surplus_too),
		TEST(a_descriptor_without_a_free_number_is_reported_as_lost),
		TEST(an_unfinished_message_gives_its_descriptor_back),
		TEST(the_rest_of_a_message_goes_without_the_descriptor),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
