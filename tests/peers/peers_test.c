/* SPDX-License-Identifier: MIT */
/* tests/peers/peers_test.c - our server with our peers, and with raw clients */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <cmocka.h>

#include "base/own.h"
#include "ivshmem/policy.h"
#include "ivshmem/server.h"
#include "ivshmem/wire.h"
#include "tests/descriptors.h"
#include "tests/peers/party.h"

#define PARTIES 6

struct fixture {
	int fds_before;
	struct bf_loop *loop;
	struct bf_server *server;
	int memory;
	struct party party[PARTIES];
	struct party_log log; /* the server's */
	struct belfry_error err;
	char dir[32]; /* for sockets */
	char path[48];
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.fds_before = count_descriptors(),
		.memory = memfd_create("memory", MFD_CLOEXEC),
		.dir = "/tmp/belfry-peers-XXXXXX",
	};
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/sock", f.dir);
	*state = &f;
	return bf_loop_create(&f.loop, &f.err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < PARTIES; i++)
		bf_peer_destroy(f->party[i].peer);
	bf_server_destroy(f->server);
	bf_loop_destroy(f->loop);
	bf_close(&f->memory);
	unlink(f->path);
	if (rmdir(f->dir) < 0)
		return -1;
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void start_server(struct fixture *f, unsigned int vectors, unsigned int queue_max)
{
	struct bf_server_conf conf = {
		.name = "ring",
		.memory = f->memory,
		.vectors = vectors,
		.queue_max = queue_max,
	};
	struct bf_log log = party_log_to(&f->log);

	assert_int_equal(bf_server_create(&f->server, f->loop, &conf, &log, &f->err), 0);
}

/* A raw client. Return: our end of its socket; *id, if not NULL, is what it has got. */
static int enter_raw(struct fixture *f, int *id)
{
	int pair[2];
	int r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r = bf_server_add(f->server, pair[1], &f->err);
	assert_true(r >= 0);
	if (id)
		*id = r;
	return pair[0];
}

static void enter(struct fixture *f, unsigned int i, unsigned int vectors)
{
	int sock = enter_raw(f, NULL);

	assert_int_equal(party_join(&f->party[i], f->loop, sock, vectors, NULL, &f->err),
			 0);
}

static void enter_all(struct fixture *f, unsigned int n, unsigned int vectors)
{
	for (unsigned int i = 0; i < n; i++)
		enter(f, i, vectors);
	party_run_idle(f->loop);
}

static void leave(struct fixture *f, unsigned int i)
{
	bf_peer_destroy(bf_take_ptr(&f->party[i].peer));
	party_run_idle(f->loop);
}

static void assert_all_ring_all(struct fixture *f, unsigned int n, unsigned int vectors)
{
	for (unsigned int from = 0; from < n; from++)
		for (unsigned int to = 0; to < n; to++)
			for (unsigned int v = 0; v < vectors; v++)
				if (f->party[from].peer && f->party[to].peer)
					assert_true(party_rings(&f->party[from],
								&f->party[to], v));
}

/*
 * Read the next message of a raw client without waiting. Return: whether there was one.
 */
static bool read_raw(int sock, struct bf_wire_msg *msg)
{
	struct bf_wire_rx rx;
	bool complete = false;
	ssize_t n;

	bf_wire_rx_init(&rx);
	n = recvmsg(sock, bf_wire_rx_hdr(&rx), MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n > 0)
		complete = bf_wire_rx_done(&rx, n, msg);
	assert_true(n < 0 || n == 0 || complete);
	return complete;
}

/* Check what a raw client reads next, letting the server send if need be. */
static void assert_reads(struct fixture *f, int sock, int64_t value, bool with_fd)
{
	struct bf_wire_msg msg = { .fd = -1 };

	if (!read_raw(sock, &msg)) {
		party_run_idle(f->loop);
		assert_true(read_raw(sock, &msg));
	}
	assert_true(msg.value == value);
	assert_int_equal(msg.fd >= 0, with_fd);
	assert_int_equal(msg.surplus, 0);
	bf_close(&msg.fd);
}

static void assert_reads_nothing(struct fixture *f, int sock)
{
	struct bf_wire_msg msg;

	party_run_idle(f->loop);
	assert_false(read_raw(sock, &msg));
}

static void assert_reads_greeting(struct fixture *f, int sock, int id)
{
	assert_reads(f, sock, 0, false);
	assert_reads(f, sock, id, false);
	assert_reads(f, sock, -1, true);
}

/* --- what it is for --- */

static void everybody_rings_every_vector_of_everybody(void **state)
{
	struct fixture *f = *state;

	start_server(f, 3, 1000);
	enter_all(f, PARTIES, 3);
	for (int i = 0; i < PARTIES; i++) {
		assert_int_equal(f->party[i].added, 3 * PARTIES);
		assert_int_equal(bf_peer_id(f->party[i].peer), i);
	}
	assert_all_ring_all(f, PARTIES, 3);
}

/* Far more messages at once than a socket takes: about 278. */
static void more_messages_than_a_socket_takes_all_arrive(void **state)
{
	enum { VECTORS = 200 };
	struct fixture *f = *state;

	start_server(f, VECTORS, 1000);
	enter_all(f, PARTIES, VECTORS);
	for (int i = 0; i < PARTIES; i++)
		assert_int_equal(f->party[i].added, VECTORS * PARTIES);
	assert_all_ring_all(f, PARTIES, VECTORS);
}

static void the_most_vectors_arrive(void **state)
{
	struct fixture *f = *state;

	start_server(f, 2048, 3000);
	enter_all(f, 2, 2048);
	assert_int_equal(f->party[0].added, 2 * 2048);
	assert_int_equal(f->party[1].added, 2 * 2048);
	assert_true(party_rings(&f->party[0], &f->party[1], 2047));
}

static void everybody_shares_the_memory(void **state)
{
	struct fixture *f = *state;
	char got[5] = "";

	start_server(f, 1, 1000);
	enter_all(f, 2, 1);
	assert_int_equal(pwrite(bf_peer_memory(f->party[0].peer), "bell", 4, 0), 4);
	assert_int_equal(pread(bf_peer_memory(f->party[1].peer), got, 4, 0), 4);
	assert_string_equal(got, "bell");
}

static void messages_come_in_the_protocols_order(void **state)
{
	struct fixture *f = *state;

	start_server(f, 2, 1000);
	BF_CLOSE int first = enter_raw(f, NULL);
	assert_reads_greeting(f, first, 0);
	assert_reads(f, first, 0, true);
	assert_reads(f, first, 0, true);
	assert_reads_nothing(f, first);

	BF_CLOSE int second = enter_raw(f, NULL);
	BF_CLOSE int third = enter_raw(f, NULL);
	for (int id = 1; id <= 2; id++)
		for (int v = 0; v < 2; v++)
			assert_reads(f, first, id, true);
	assert_reads_nothing(f, first);

	assert_reads_greeting(f, third, 2);
	for (int id = 0; id <= 2; id++)
		for (int v = 0; v < 2; v++)
			assert_reads(f, third, id, true);
	assert_reads_nothing(f, third);

	bf_close(&second);
	assert_reads(f, first, 1, false);
	assert_reads(f, third, 1, false);
}

struct order {
	int newcomer;
	int old;
	int old_has; /* bytes that waited for the old when the newcomer heard of them */
};

static void *read_until_step_4(void *arg)
{
	struct order *o = arg;
	struct bf_wire_msg msg = { .fd = -1 };
	struct bf_wire_rx rx;

	bf_wire_rx_init(&rx);
	for (int n = 0; n < 4; n++) {
		bf_close(&msg.fd);
		if (recvmsg(o->newcomer, bf_wire_rx_hdr(&rx), MSG_CMSG_CLOEXEC) == 8)
			bf_wire_rx_done(&rx, 8, &msg);
	}
	ioctl(o->old, SIOCINQ, &o->old_has);
	bf_close(&msg.fd);
	return NULL;
}

static void the_old_hear_of_a_newcomer_before_it_hears_of_them(void **state)
{
	enum { VECTORS = 64 };
	struct fixture *f = *state;
	struct order o;
	pthread_t thread;
	int pair[2];
	int before;

	start_server(f, VECTORS, 1000);
	BF_CLOSE int old = enter_raw(f, NULL);
	ioctl(old, SIOCINQ, &before);
	assert_int_equal(before, (3 + VECTORS) * 8);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	o = (struct order){ .newcomer = pair[0], .old = old };
	assert_int_equal(pthread_create(&thread, NULL, read_until_step_4, &o), 0);
	assert_int_equal(bf_server_add(f->server, pair[1], &f->err), 1);
	pthread_join(thread, NULL);
	close(pair[0]);
	assert_int_equal(o.old_has, before + VECTORS * 8);
}

/* --- coming and leaving --- */

static void ids_count_up_when_peers_leave_and_join(void **state)
{
	struct fixture *f = *state;

	start_server(f, 2, 1000);
	enter_all(f, 3, 2);
	leave(f, 1);
	assert_int_equal(f->party[0].left, 1);
	assert_int_equal(f->party[0].last_left, 1);
	assert_int_equal(f->party[2].left, 1);
	assert_int_equal(bf_peer_eventfd(f->party[0].peer, 1, 0), -1);

	enter(f, 1, 2);
	party_run_idle(f->loop);
	assert_int_equal(bf_peer_id(f->party[1].peer), 3);
	assert_int_equal(bf_peer_eventfd(f->party[1].peer, 1, 0), -1);
	assert_all_ring_all(f, 3, 2);
}

static void rings_outlive_the_server(void **state)
{
	struct fixture *f = *state;

	start_server(f, 2, 1000);
	enter_all(f, 3, 2);
	bf_server_destroy(bf_take_ptr(&f->server));
	party_run_idle(f->loop);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(f->party[i].lost, 1);
		assert_string_equal(f->party[i].why.msg, "server hung up");
		assert_int_equal(f->party[i].left, 0);
	}
	assert_all_ring_all(f, 3, 2);
}

static void a_server_may_end_while_messages_wait(void **state)
{
	struct fixture *f = *state;
	int client[2];

	start_server(f, 512, 2000);
	for (int i = 0; i < 2; i++)
		client[i] = enter_raw(f, NULL);
	party_run_idle(f->loop);
	bf_server_destroy(bf_take_ptr(&f->server));
	for (int i = 0; i < 2; i++)
		close(client[i]);
}

static void connecting_and_closing_a_thousand_times_is_survived(void **state)
{
	struct fixture *f = *state;
	int before;

	start_server(f, 1, 1000);
	enter_all(f, 2, 1);
	before = count_descriptors();
	for (int i = 0; i < 1000; i++) {
		close(enter_raw(f, NULL));
		if (i % 50 == 0)
			party_run_idle(f->loop);
	}
	party_run_idle(f->loop);

	assert_int_equal(count_descriptors(), before);
	assert_int_equal(f->party[0].left, 1000);
	assert_int_equal(f->party[1].left, 1000);
	assert_int_equal(party_stats(&f->party[0]).bad_messages, 0);
	assert_all_ring_all(f, 2, 1);
}

static void a_client_that_joins_while_others_leave_hears_of_no_ghosts(void **state)
{
	enum { N = 100 };
	struct fixture *f = *state;
	int others[N];

	start_server(f, 4, 1000);
	enter(f, 0, 4);
	for (int i = 0; i < N; i++)
		others[i] = enter_raw(f, NULL);
	for (int i = 0; i < N; i++) {
		close(others[i]);
		if (i == N / 2)
			enter(f, 1, 4);
	}
	party_run_idle(f->loop);

	assert_int_equal(f->party[0].left, N);
	assert_int_equal(party_stats(&f->party[1]).bad_messages, 0);
	for (int id = 1; id <= N; id++)
		assert_int_equal(bf_peer_eventfd(f->party[1].peer, id, 0), -1);
	assert_all_ring_all(f, 2, 4);
}

/* --- clients that do wrong --- */

static void a_client_that_speaks_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct bf_wire_msg msg;
	int id;

	start_server(f, 1, 1000);
	enter(f, 0, 1);
	BF_CLOSE int rude = enter_raw(f, &id);
	assert_int_equal(send(rude, "x", 1, 0), 1);
	party_run_idle(f->loop);

	assert_int_equal(f->party[0].left, 1);
	assert_int_equal(f->party[0].last_left, id);
	assert_non_null(strstr(f->log.text, "ring: peer 1 dropped: it sent something\n"));
	while (read_raw(rude, &msg))
		bf_close(&msg.fd);
	assert_int_equal(recv(rude, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
}

static void a_client_that_shuts_down_its_half_has_left(void **state)
{
	struct fixture *f = *state;

	start_server(f, 1, 1000);
	enter(f, 0, 1);
	BF_CLOSE int half = enter_raw(f, NULL);
	shutdown(half, SHUT_WR);
	party_run_idle(f->loop);
	assert_int_equal(f->party[0].left, 1);
	assert_non_null(strstr(f->log.text, "ring: peer 1 has left\n"));
}

static bool somebody_is_dropped(void *arg)
{
	struct fixture *f = arg;

	return strstr(f->log.text, "dropped");
}

static void limit_queue(struct fixture *f, uint64_t messages, uint64_t stall_ns)
{
	struct bf_limits limits = { .queue_max = messages, .stall_ns = stall_ns };

	bf_server_set_limits(f->server, &limits);
}

static void a_client_that_does_not_read_is_dropped_and_the_others_told(void **state)
{
	struct fixture *f = *state;
	struct bf_wire_msg msg;
	int messages = 0;
	int slow_id;

	start_server(f, 128, 100);
	limit_queue(f, 100, 300 * PARTY_MS);
	enter(f, 0, 128);
	BF_CLOSE int slow = enter_raw(f, &slow_id);
	for (int i = 1; i < 6; i++)
		enter(f, i, 128);
	assert_true(party_run_until(f->loop, somebody_is_dropped, f));
	party_run_idle(f->loop);
	assert_non_null(strstr(f->log.text, "ring: peer 1 dropped: it does not read, "));
	for (int i = 0; i < 6; i++) {
		assert_int_equal(bf_peer_eventfd(f->party[i].peer, slow_id, 0), -1);
		assert_int_equal(party_stats(&f->party[i]).bad_messages, 0);
	}
	assert_int_equal(f->party[0].left, 1);
	assert_int_equal(f->party[0].last_left, slow_id);
	assert_all_ring_all(f, 6, 128);

	while (read_raw(slow, &msg)) { /* whole messages only, then the end */
		bf_close(&msg.fd);
		messages++;
	}
	assert_true(messages > 3 + 2 * 128);
	assert_int_equal(recv(slow, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
}

/* It reads a message now and then, so what waits becomes no less for too long. */
static void who_reads_and_does_not_catch_up_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct bf_wire_msg msg;

	start_server(f, 512, 100);
	limit_queue(f, 100, 500 * PARTY_MS);
	BF_CLOSE int slow = enter_raw(f, NULL);
	for (int i = 0; i < 3; i++)
		enter(f, i, 512);
	for (int i = 0; i < 250 && !somebody_is_dropped(f); i++) {
		assert_true(read_raw(slow, &msg));
		bf_close(&msg.fd);
		bf_loop_run_once(f->loop, 10 * PARTY_MS);
	}
	assert_non_null(
		strstr(f->log.text, "ring: peer 0 dropped: it does not catch up, "));
}

static void a_slow_client_is_spared_as_long_as_its_queue_allows(void **state)
{
	struct fixture *f = *state;

	start_server(f, 64, 10000);
	BF_CLOSE int slow = enter_raw(f, NULL);
	for (int i = 0; i < 20; i++) {
		close(enter_raw(f, NULL));
		party_run_idle(f->loop);
	}
	assert_null(strstr(f->log.text, "dropped"));

	assert_reads_greeting(f, slow, 0);
	for (int v = 0; v < 64; v++)
		assert_reads(f, slow, 0, true);
	for (int id = 1; id <= 20; id++) {
		for (int v = 0; v < 64; v++)
			assert_reads(f, slow, id, true);
		assert_reads(f, slow, id, false);
	}
	assert_reads_nothing(f, slow);
}

static void a_client_may_read_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[8];
	int64_t value;

	start_server(f, 1, 1000);
	BF_CLOSE int client = enter_raw(f, NULL);
	for (int message = 0; message < 2; message++) {
		for (int i = 0; i < 8; i++)
			assert_int_equal(recv(client, &bytes[i], 1, MSG_DONTWAIT), 1);
		memcpy(&value, bytes, sizeof(value));
		assert_true(value == 0);
	}
	assert_reads(f, client, -1, true);
	assert_reads(f, client, 0, true);
}

static void a_socket_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;

	start_server(f, 1, 1000);
	assert_int_equal(
		bf_server_add(f->server, open("/dev/null", O_RDWR | O_CLOEXEC), &f->err),
		-ENOTSOCK);
	assert_non_null(strstr(f->err.msg, ": Socket operation on non-socket"));
}

static void too_many_vectors_are_refused(void **state)
{
	struct fixture *f = *state;
	struct bf_server_conf conf = { .name = "ring", .vectors = 2049, .queue_max = 1 };
	struct bf_log log = party_log_to(NULL);

	assert_int_equal(bf_server_create(&f->server, f->loop, &conf, &log, &f->err),
			 -EINVAL);
	assert_string_equal(f->err.msg, "vectors 2049: 1 to 2048");
	conf.vectors = 0;
	assert_int_equal(bf_server_create(&f->server, f->loop, &conf, &log, &f->err),
			 -EINVAL);
	assert_string_equal(f->err.msg, "vectors 0: 1 to 2048");
}

/* --- descriptors --- */

static void a_client_without_descriptors_left_is_refused(void **state)
{
	struct fixture *f = *state;
	rlim_t old;
	int pair[2];
	int before;
	int r;

	start_server(f, 8, 1000);
	enter_all(f, 1, 8);
	before = count_descriptors();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	old = limit_descriptors(pair[1] + 5);
	r = bf_server_add(f->server, pair[1], &f->err);
	limit_descriptors(old);

	assert_int_equal(r, -EMFILE);
	assert_string_equal(f->err.msg, "eventfd 5 of 8: Too many open files");
	close(pair[0]);
	assert_int_equal(count_descriptors(), before);
	enter(f, 1, 8); /* later there is room again */
	party_run_idle(f->loop);
	assert_all_ring_all(f, 2, 8);
}

/* Read what a raw client is sent about @n peers with @vectors each. Return: all right? */
static bool reads_all(struct fixture *f, int sock, int id, int n, int vectors)
{
	struct bf_wire_msg msg = { .fd = -1 };
	int want;

	for (int i = 0; i < 3 + n * vectors; i++) {
		for (int turns = 0; !read_raw(sock, &msg); turns++) {
			if (turns == 200)
				return false;
			bf_loop_run_once(f->loop, 20 * PARTY_MS);
		}
		close(msg.fd);
		want = i == 0 ? 0 : i == 1 ? id : i == 2 ? -1 : (i - 3) / vectors;
		if (msg.value != want || (i > 1 && msg.fd < 0))
			return false;
	}
	return true;
}

/* @work must return 0 in a process that is not root's: the limit is not for root. */
static void run_unprivileged(int (*work)(struct fixture *f), struct fixture *f)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0 && geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		_exit(77);
	if (pid == 0)
		_exit(work(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static int pass_too_many_descriptors(struct fixture *f)
{
	enum { VECTORS = 100, LIMIT = 256, TOTAL = 2 * (3 + 2 * VECTORS) };
	int client[2], waiting, sent = 0;

	limit_descriptors(LIMIT);
	start_server(f, VECTORS, 1000);
	for (int i = 0; i < 2; i++)
		client[i] = enter_raw(f, NULL);
	party_run_idle(f->loop);
	for (int i = 0; i < 2; i++) {
		ioctl(client[i], SIOCINQ, &waiting);
		sent += waiting / BF_WIRE_SIZE;
	}
	if (sent == TOTAL)
		return 1; /* then it has not been tested */
	for (int i = 0; i < 2; i++)
		if (!reads_all(f, client[i], i, 2, VECTORS))
			return 2;
	return 0;
}

static void the_kernels_limit_of_descriptors_under_way_is_survived(void **state)
{
	run_unprivileged(pass_too_many_descriptors, *state);
}

/* Run until @sock has been sent @n messages, or @word is in the log. Return: how many. */
static int read_until(struct fixture *f, int sock, int n, const char *word)
{
	struct bf_wire_msg msg;
	int got = 0;

	for (int i = 0; i < 200 && got < n && !(word && strstr(f->log.text, word)); i++) {
		bf_loop_run_once(f->loop, 20 * PARTY_MS);
		for (; got < n && read_raw(sock, &msg); got++)
			bf_close(&msg.fd);
	}
	return got;
}

/* Two read nothing, and have got all that the kernel lets this user have under way. */
static int let_two_read_nothing(struct fixture *f)
{
	enum { VECTORS = 60, LIMIT = 256, ALL = 3 + 3 * VECTORS + 2 };
	struct bf_limits limits = { .queue_max = 100000, .stall_ns = 300 * PARTY_MS };
	static const char why[] =
		"dropped: it has read nothing for 0.3 s, and descriptors "
		"under way are limited for all\n";
	int client[3], got;

	limit_descriptors(LIMIT);
	start_server(f, VECTORS, 1000);
	bf_server_set_limits(f->server, &limits);
	for (int i = 0; i < 3; i++)
		client[i] = enter_raw(f, NULL);
	got = read_until(f, client[2], ALL, "peer 1 dropped");
	if (got == ALL || !strstr(f->log.text, "peer 0 dropped") ||
	    !strstr(f->log.text, why))
		return 1;
	for (int i = 0; i < 2; i++)
		close(client[i]); /* what they have not read counts until then */
	if (got + read_until(f, client[2], ALL - got, NULL) != ALL)
		return 2;
	return strstr(f->log.text, "peer 2 dropped") ? 3 : 0;
}

static void who_reads_nothing_is_dropped_when_the_kernels_limit_is_reached(void **state)
{
	run_unprivileged(let_two_read_nothing, *state);
}

static bool party_0_is_back(void *arg)
{
	struct party *p = arg;

	return p->back > 0;
}

static void a_server_that_starts_again_is_joined_again(void **state)
{
	struct fixture *f = *state;
	struct bf_peer_conf conf = { .path = f->path, .own_vectors = 2 };
	eventfd_t n;

	start_server(f, 2, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	conf.sock = bf_peer_connect(f->path, &f->err);
	assert_int_equal(party_create(&f->party[0], f->loop, conf, NULL, &f->err), 0);
	enter(f, 1, 2);
	party_run_idle(f->loop);
	bf_server_destroy(bf_take_ptr(&f->server));
	party_run_idle(f->loop);
	assert_all_ring_all(f, 2, 2);

	start_server(f, 2, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	assert_true(party_run_until(f->loop, party_0_is_back, &f->party[0]));
	assert_string_equal(f->party[0].story, "0.0, 0.1, 1.0, 1.1, lost, "
					       "1 left, 0 left, 0.0, 0.1, back");

	/* Who has not met it again is heard all the same. */
	eventfd_write(bf_peer_eventfd(f->party[1].peer, 0, 1), 1);
	party_run_idle(f->loop);
	assert_int_equal(eventfd_read(bf_peer_eventfd(f->party[0].peer, 0, 1), &n), 0);

	leave(f, 1);
	enter(f, 2, 2);
	party_run_idle(f->loop);
	assert_all_ring_all(f, 3, 2);
}

/* --- the listening socket --- */

static void connect_party(struct fixture *f, unsigned int i)
{
	int sock = bf_peer_connect(f->path, &f->err);

	assert_true(sock >= 0);
	assert_int_equal(party_join(&f->party[i], f->loop, sock, 1, NULL, &f->err), 0);
}

static void peers_connect_to_a_path(void **state)
{
	struct fixture *f = *state;

	start_server(f, 1, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	for (int i = 0; i < 3; i++)
		connect_party(f, i);
	party_run_idle(f->loop);
	assert_all_ring_all(f, 3, 1);

	bf_server_destroy(bf_take_ptr(&f->server));
	assert_int_equal(access(f->path, F_OK), -1);
}

static void listening_where_a_file_exists_is_an_error(void **state)
{
	struct fixture *f = *state;
	char want[100];

	close(open(f->path, O_CREAT | O_CLOEXEC, 0600));
	start_server(f, 1, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), -EADDRINUSE);
	snprintf(want, sizeof(want), "%s exists: stop its server or remove it", f->path);
	assert_string_equal(f->err.msg, want);
	bf_server_destroy(bf_take_ptr(&f->server));
	assert_int_equal(access(f->path, F_OK), 0);
}

static void listening_twice_is_an_error(void **state)
{
	struct fixture *f = *state;

	start_server(f, 1, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), -EBUSY);
}

static void a_file_that_took_the_sockets_place_is_not_removed(void **state)
{
	struct fixture *f = *state;
	char other[64];

	start_server(f, 1, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	/* Made before the socket goes, so that its inode number is another. */
	snprintf(other, sizeof(other), "%s.new", f->path);
	close(open(other, O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(rename(other, f->path), 0);
	bf_server_destroy(bf_take_ptr(&f->server));
	assert_int_equal(access(f->path, F_OK), 0);
}

static bool party_0_has_a_neighbour(void *arg)
{
	struct party *p = arg;

	return p->added == 2;
}

static bool ends(int sock)
{
	char byte;

	return recv(sock, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Use up all descriptors. Return: how many, in @fds. */
static int fill_descriptors(int fds[64])
{
	int n = 0;

	while (n < 64 && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	assert_in_range(n, 1, 63);
	return n;
}

static void clients_are_refused_while_descriptors_are_lacking(void **state)
{
	struct fixture *f = *state;
	int fds[64], client[2];
	rlim_t old;
	int n;

	old = limit_descriptors(f->fds_before + 40);
	start_server(f, 1, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	connect_party(f, 0);
	party_run_idle(f->loop);
	n = fill_descriptors(fds);
	for (int i = 0; i < 2; i++) { /* a connection is accepted as soon as it is made */
		close(fds[--n]);
		client[i] = bf_peer_connect(f->path, &f->err);
	}
	for (int i = 0; i < 5; i++)
		bf_loop_run_once(f->loop, 20 * PARTY_MS);
	for (int i = 0; i < 2; i++)
		assert_true(ends(client[i]));
	while (n > 0)
		close(fds[--n]);
	limit_descriptors(old);
	assert_int_equal(f->party[0].added, 1);
	assert_non_null(strstr(f->log.text, "ring: a client was refused: pid "));
	assert_non_null(
		strstr(f->log.text, ": no descriptor for it: Too many open files\n"));
	for (int i = 0; i < 2; i++)
		close(client[i]);

	connect_party(f, 1); /* later there is room again */
	assert_true(party_run_until(f->loop, party_0_has_a_neighbour, &f->party[0]));
	assert_null(strstr(f->log.text, "dropped"));
}

static void a_client_whose_eventfds_do_not_fit_is_refused(void **state)
{
	struct fixture *f = *state;
	int fds[64], client;
	rlim_t old;
	int n;

	old = limit_descriptors(f->fds_before + 40);
	start_server(f, 4, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	n = fill_descriptors(fds);
	for (int i = 0; i < 4; i++) /* for both ends, and two eventfds of four */
		close(fds[--n]);
	client = bf_peer_connect(f->path, &f->err);
	for (int i = 0; i < 5; i++)
		bf_loop_run_once(f->loop, 20 * PARTY_MS);
	assert_true(ends(client));
	while (n > 0)
		close(fds[--n]);
	limit_descriptors(old);
	assert_non_null(strstr(f->log.text, ": eventfd 3 of 4: Too many open files\n"));
	assert_non_null(strstr(f->log.text, "ring: a client was refused: pid "));
	close(client);
}

static void a_client_that_closes_before_it_is_accepted_is_survived(void **state)
{
	struct fixture *f = *state;

	start_server(f, 1, 1000);
	assert_int_equal(bf_server_listen(f->server, f->path, &f->err), 0);
	for (int i = 0; i < 100; i++)
		close(bf_peer_connect(f->path, &f->err));
	connect_party(f, 0);
	party_run_idle(f->loop);
	assert_int_equal(party_stats(&f->party[0]).bad_messages, 0);
	assert_all_ring_all(f, 1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everybody_rings_every_vector_of_everybody),
		TEST(more_messages_than_a_socket_takes_all_arrive),
		TEST(the_most_vectors_arrive),
		TEST(everybody_shares_the_memory),
		TEST(messages_come_in_the_protocols_order),
		TEST(the_old_hear_of_a_newcomer_before_it_hears_of_them),
		TEST(ids_count_up_when_peers_leave_and_join),
		TEST(rings_outlive_the_server),
		TEST(a_server_may_end_while_messages_wait),
		TEST(connecting_and_closing_a_thousand_times_is_survived),
		TEST(a_client_that_joins_while_others_leave_hears_of_no_ghosts),
		TEST(a_client_that_speaks_is_dropped),
		TEST(a_client_that_shuts_down_its_half_has_left),
		TEST(a_client_that_does_not_read_is_dropped_and_the_others_told),
		TEST(who_reads_and_does_not_catch_up_is_dropped),
		TEST(a_slow_client_is_spared_as_long_as_its_queue_allows),
		TEST(a_client_may_read_byte_by_byte),
		TEST(a_socket_that_is_none_is_refused),
		TEST(too_many_vectors_are_refused),
		TEST(a_client_without_descriptors_left_is_refused),
		TEST(the_kernels_limit_of_descriptors_under_way_is_survived),
		TEST(who_reads_nothing_is_dropped_when_the_kernels_limit_is_reached),
		TEST(a_server_that_starts_again_is_joined_again),
		TEST(peers_connect_to_a_path),
		TEST(listening_where_a_file_exists_is_an_error),
		TEST(listening_twice_is_an_error),
		TEST(a_file_that_took_the_sockets_place_is_not_removed),
		TEST(clients_are_refused_while_descriptors_are_lacking),
		TEST(a_client_whose_eventfds_do_not_fit_is_refused),
		TEST(a_client_that_closes_before_it_is_accepted_is_survived),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
