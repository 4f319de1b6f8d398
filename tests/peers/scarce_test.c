/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/scarce_test.c - the server while the host is short of something
 *
 * What a full host would answer is put in the place of calls, by the linker's --wrap: so
 * each error is met as such, whatever the limits of who runs the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/own.h"
#include "ivshmem/listen.h"
#include "ivshmem/policy.h"
#include "ivshmem/server.h"
#include "ivshmem/wire.h"
#include "tests/descriptors.h"
#include "tests/peers/party.h"

#define PATIENCE_MS 200

/* What fails, how often (-1: always), and how. */
static struct fault {
	int times;
	int code;
} fail_eventfd, fail_calloc, fail_sendmmsg, fail_accept;

static bool fails(struct fault *fault)
{
	if (fault->times == 0)
		return false;
	fault->times -= fault->times > 0;
	errno = fault->code;
	return true;
}

int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags)
{
	return fails(&fail_eventfd) ? -1 : __real_eventfd(count, flags);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails(&fail_calloc) ? NULL : __real_calloc(n, size);
}

int __real_sendmmsg(int fd, struct mmsghdr *hdr, unsigned int n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *hdr, unsigned int n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *hdr, unsigned int n, int flags)
{
	return fails(&fail_sendmmsg) ? -1 : __real_sendmmsg(fd, hdr, n, flags);
}

/* An accept that fails as soon as the loop runs. */
static struct {
	struct bf_op timer;
	struct bf_op *op;
	int code;
} accepting;

static void accept_has_failed(struct bf_op *op, int res)
{
	if (res != -ECANCELED)
		accepting.op->done(accepting.op, -accepting.code);
}

void __real_bf_loop_accept(struct bf_loop *loop, struct bf_op *op, int fd);
void __wrap_bf_loop_accept(struct bf_loop *loop, struct bf_op *op, int fd);
void __wrap_bf_loop_accept(struct bf_loop *loop, struct bf_op *op, int fd)
{
	if (!fails(&fail_accept)) {
		__real_bf_loop_accept(loop, op, fd);
		return;
	}
	accepting.op = op;
	accepting.code = fail_accept.code;
	accepting.timer.done = accept_has_failed;
	bf_loop_timer(loop, &accepting.timer, 0);
}

/* --- a server with a path --- */

struct fixture {
	int fds_before;
	struct bf_loop *loop;
	struct bf_server *server;
	int memory;
	struct party_log log;
	struct belfry_error err;
	char dir[32];
	char path[48];
};

static int setup(void **state)
{
	static struct fixture f;

	fail_eventfd = fail_calloc = fail_sendmmsg = fail_accept = (struct fault){ 0 };
	f = (struct fixture){
		.fds_before = count_descriptors(),
		.memory = memfd_create("memory", MFD_CLOEXEC),
		.dir = "/tmp/belfry-scarce-XXXXXX",
	};
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/sock", f.dir);
	*state = &f;
	return bf_loop_create(&f.loop, &f.err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_loop_cancel(f->loop, &accepting.timer);
	bf_server_destroy(f->server);
	bf_loop_destroy(f->loop);
	bf_close(&f->memory);
	if (rmdir(f->dir) < 0)
		return -1;
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void start_server(struct fixture *f, struct bf_limits limits)
{
	struct bf_server_conf conf = { .name = "ring",
				       .memory = f->memory,
				       .vectors = 2 };
	struct bf_listener_conf listen = { .path = f->path,
					   .sock = -1,
					   .uid = -1,
					   .gid = -1,
					   .patience_ns = PATIENCE_MS * PARTY_MS };
	struct bf_log log = party_log_to(&f->log);

	limits.queue_max = 1000;
	assert_int_equal(bf_server_create(&f->server, f->loop, &conf, &log, &f->err), 0);
	bf_server_set_limits(f->server, &limits);
	assert_int_equal(bf_server_listen_as(f->server, &listen, &f->err), 0);
}

static struct bf_limits patient(void)
{
	return (struct bf_limits){ .shortage_ns = PATIENCE_MS * PARTY_MS };
}

static int connect_client(struct fixture *f)
{
	int sock = bf_peer_connect(f->path, &f->err);

	assert_true(sock >= 0);
	return sock;
}

static void run_ms(struct fixture *f, unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i += 10)
		bf_loop_run_once(f->loop, 10 * PARTY_MS);
}

/* Run, and read all that a client is sent. Return: "0 1 -1+ 0+", with "." for the end. */
static const char *hears(struct fixture *f, int sock)
{
	static char story[256];
	struct bf_wire_msg msg;
	struct bf_wire_rx rx;
	ssize_t n = -1;

	story[0] = '\0';
	bf_wire_rx_init(&rx);
	for (int turns = 0; turns < 10; turns++) {
		bf_loop_run_once(f->loop, 10 * PARTY_MS);
		while ((n = recvmsg(sock, bf_wire_rx_hdr(&rx),
				    MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) == 8) {
			size_t len = strlen(story);

			bf_wire_rx_done(&rx, 8, &msg);
			snprintf(story + len, sizeof(story) - len, "%s%d%s",
				 len ? " " : "", (int)msg.value, msg.fd >= 0 ? "+" : "");
			bf_close(&msg.fd);
		}
		if (n == 0) {
			strcat(story, ".");
			break;
		}
	}
	return story;
}

static uint64_t refused(struct fixture *f)
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };

	bf_server_stats(f->server, &stats);
	return stats.refused;
}

/* --- joining --- */

static const int passing[] = { EMFILE, ENFILE, ENOMEM };

static void a_newcomer_waits_until_the_host_has_room(void **state)
{
	struct fixture *f = *state;
	char why[120];

	start_server(f, (struct bf_limits){ .shortage_ns = 60000 * PARTY_MS });
	BF_CLOSE int inside = connect_client(f);
	assert_string_equal(hears(f, inside), "0 0 -1+ 0+ 0+");
	for (size_t i = 0; i < BF_ARRAY_LEN(passing); i++) {
		fail_eventfd = (struct fault){ -1, passing[i] };
		BF_CLOSE int sock = connect_client(f);
		BF_CLOSE int next = connect_client(f);
		assert_string_equal(hears(f, sock), "");
		snprintf(why, sizeof(why),
			 "ring: newcomers have to wait: eventfd 1 of 2: %s\n",
			 strerror(passing[i]));
		assert_non_null(strstr(f->log.text, why));
		fail_eventfd.times = 0;
		run_ms(f, 50);
		assert_string_not_equal(hears(f, sock), ".");
		assert_string_not_equal(hears(f, next), ".");
		bf_close(&sock);
		bf_close(&next);
		run_ms(f, 30);
		assert_non_null(strstr(hears(f, inside), "+"));
	}
	assert_int_equal(refused(f), 0);
}

static void a_newcomer_does_not_wait_for_ever(void **state)
{
	struct fixture *f = *state;

	start_server(f, patient());
	BF_CLOSE int inside = connect_client(f);
	hears(f, inside);
	fail_eventfd = (struct fault){ -1, ENFILE };
	BF_CLOSE int sock = connect_client(f);
	assert_string_equal(hears(f, sock), "");
	run_ms(f, PATIENCE_MS);
	assert_string_equal(hears(f, sock), ".");
	assert_int_equal(refused(f), 1);
	assert_non_null(strstr(f->log.text, ": eventfd 1 of 2: Too many open files in "
					    "system\n"));
	BF_CLOSE int later = connect_client(f); /* it has lasted too long already */
	assert_string_equal(hears(f, later), ".");
	fail_eventfd.times = 0;
	BF_CLOSE int last = connect_client(f);
	assert_string_equal(hears(f, last), "0 1 -1+ 0+ 0+ 1+ 1+");
	assert_string_equal(hears(f, inside), "1+ 1+");
}

static void who_waits_counts(void **state)
{
	struct fixture *f = *state;
	struct bf_limits limits = patient();

	limits.clients_of_uid = 1;
	start_server(f, limits);
	fail_eventfd = (struct fault){ -1, ENOMEM };
	BF_CLOSE int first = connect_client(f);
	run_ms(f, 20);
	BF_CLOSE int second = connect_client(f);
	assert_string_equal(hears(f, second), ".");
	assert_non_null(
		strstr(f->log.text, ": its user has 1 client, as many as it may"));
	fail_eventfd.times = 0;
	assert_string_equal(hears(f, first), "0 0 -1+ 0+ 0+");
}

static void who_waits_when_the_server_ends_is_refused(void **state)
{
	struct fixture *f = *state;

	start_server(f, patient());
	fail_eventfd = (struct fault){ -1, ENOMEM };
	BF_CLOSE int sock = connect_client(f);
	assert_string_equal(hears(f, sock), "");
	bf_server_destroy(bf_take_ptr(&f->server));
	assert_string_equal(hears(f, sock), ".");
	assert_non_null(strstr(f->log.text, ": the server ends\n"));
}

static void no_memory_for_a_client_is_survived(void **state)
{
	struct fixture *f = *state;

	start_server(f, patient());
	BF_CLOSE int inside = connect_client(f);
	hears(f, inside);
	fail_calloc = (struct fault){ 1, ENOMEM };
	BF_CLOSE int sock = connect_client(f);
	assert_string_equal(hears(f, sock), ".");
	assert_non_null(strstr(f->log.text, ": no memory for a client\n"));
	assert_int_equal(refused(f), 1);
	BF_CLOSE int later = connect_client(f);
	assert_string_equal(hears(f, later), "0 1 -1+ 0+ 0+ 1+ 1+");
	assert_string_equal(hears(f, inside), "1+ 1+");
}

/* --- accepting --- */

static void an_accept_that_fails_is_tried_again(void **state)
{
	static const int codes[] = { ENFILE, EMFILE, ENOMEM, ENOBUFS };
	struct fixture *f = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(codes); i++) {
		char why[160];

		fail_accept = (struct fault){ 1, codes[i] };
		start_server(f, patient());
		BF_CLOSE int sock = connect_client(f);
		run_ms(f, 150);
		assert_string_equal(hears(f, sock), "0 0 -1+ 0+ 0+");
		snprintf(why, sizeof(why),
			 "ring: %s: cannot accept, will try again: %s\n", f->path,
			 strerror(codes[i]));
		assert_non_null(strstr(f->log.text, why));
		assert_int_equal(refused(f), 0);
		bf_server_destroy(bf_take_ptr(&f->server));
	}
}

static void an_accept_that_is_aborted_is_not_spoken_of(void **state)
{
	struct fixture *f = *state;

	fail_accept = (struct fault){ 3, ECONNABORTED };
	start_server(f, patient());
	BF_CLOSE int sock = connect_client(f);
	assert_string_equal(hears(f, sock), "0 0 -1+ 0+ 0+");
	assert_null(strstr(f->log.text, "cannot accept"));
}

static void who_cannot_be_accepted_for_long_is_turned_away(void **state)
{
	struct fixture *f = *state;

	fail_accept = (struct fault){ -1, ENFILE };
	start_server(f, patient());
	BF_CLOSE int sock = connect_client(f);
	assert_string_equal(hears(f, sock), "");
	run_ms(f, PATIENCE_MS + 100);
	assert_string_equal(hears(f, sock), ".");
	assert_int_equal(refused(f), 1);
	assert_non_null(strstr(f->log.text,
			       ": no descriptor for it: Too many open files in "
			       "system\n"));
	fail_accept.times = 0;
	run_ms(f, 200);
	BF_CLOSE int later = connect_client(f);
	assert_string_equal(hears(f, later), "0 0 -1+ 0+ 0+");
}

/* io_uring wants a descriptor even before anybody connects. */
static void without_descriptors_and_clients_the_loop_rests(void **state)
{
	struct fixture *f = *state;
	unsigned int turns = 0;

	fail_accept = (struct fault){ -1, EMFILE };
	start_server(f, (struct bf_limits){ 0 });
	run_ms(f, PATIENCE_MS + 150);
	for (uint64_t end = bf_now_ns() + 300 * PARTY_MS; bf_now_ns() < end; turns++)
		bf_loop_run_once(f->loop, 100 * PARTY_MS);
	assert_in_range(turns, 1, 12);
}

/* --- sending --- */

static void a_send_that_fails_is_tried_again(void **state)
{
	static const int codes[] = { ENOMEM, ENOBUFS, ETOOMANYREFS, EINTR };
	struct fixture *f = *state;

	start_server(f, patient());
	BF_CLOSE int inside = connect_client(f);
	hears(f, inside);
	for (size_t i = 0; i < BF_ARRAY_LEN(codes); i++) {
		char want[80];

		fail_sendmmsg = (struct fault){ 5, codes[i] };
		BF_CLOSE int sock = connect_client(f);
		snprintf(want, sizeof(want), "0 %zu -1+ 0+ 0+ %zu+ %zu+", i + 1, i + 1,
			 i + 1);
		assert_string_equal(hears(f, sock), want);
		snprintf(want, sizeof(want), "%zu+ %zu+", i + 1, i + 1);
		assert_string_equal(hears(f, inside), want);
		bf_close(&sock);
		snprintf(want, sizeof(want), "%zu", i + 1);
		assert_string_equal(hears(f, inside), want);
	}
	assert_null(strstr(f->log.text, "dropped"));
}

static void a_client_whose_socket_is_broken_has_left(void **state)
{
	static const int codes[] = { EPIPE, ECONNRESET };
	struct fixture *f = *state;

	start_server(f, patient());
	for (size_t i = 0; i < BF_ARRAY_LEN(codes); i++) {
		char want[40];

		fail_sendmmsg = (struct fault){ 1, codes[i] };
		BF_CLOSE int sock = connect_client(f);
		assert_string_equal(hears(f, sock), ".");
		snprintf(want, sizeof(want), "ring: peer %zu has left\n", i);
		assert_non_null(strstr(f->log.text, want));
	}
}

/* --- those who are refused --- */

static void a_flood_of_refusals_is_counted(void **state)
{
	struct fixture *f = *state;
	struct bf_limits limits = { .clients = 1 };
	unsigned int lines = 0;

	start_server(f, limits);
	BF_CLOSE int inside = connect_client(f);
	assert_non_null(strstr(hears(f, inside), "0+"));
	for (int i = 0; i < 30; i++) {
		int sock = connect_client(f);

		run_ms(f, 10);
		close(sock);
	}
	assert_int_equal(refused(f), 30);
	bf_server_destroy(bf_take_ptr(&f->server));
	for (const char *at = f->log.text; (at = strstr(at, "a client was refused"));
	     at++)
		lines++;
	assert_int_equal(lines, 10);
	assert_non_null(strstr(f->log.text, "ring: 20 more clients were refused\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_newcomer_waits_until_the_host_has_room),
		TEST(a_newcomer_does_not_wait_for_ever),
		TEST(who_waits_counts),
		TEST(who_waits_when_the_server_ends_is_refused),
		TEST(no_memory_for_a_client_is_survived),
		TEST(an_accept_that_fails_is_tried_again),
		TEST(an_accept_that_is_aborted_is_not_spoken_of),
		TEST(who_cannot_be_accepted_for_long_is_turned_away),
		TEST(without_descriptors_and_clients_the_loop_rests),
		TEST(a_send_that_fails_is_tried_again),
		TEST(a_client_whose_socket_is_broken_has_left),
		TEST(a_flood_of_refusals_is_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("scarce", tests, NULL, NULL);
}
