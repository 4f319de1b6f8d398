/* SPDX-License-Identifier: MIT */
/* tests/peers/handshake_test.c - what a peer makes of a server that does wrong */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "tests/descriptors.h"
#include "tests/peers/fake_server.h"
#include "tests/peers/party.h"

#define SHORT (30 * PARTY_MS)

struct fixture {
	int fds_before;
	struct bf_loop *loop;
	int server; /* our end: what is written here is what the peer reads */
	int client; /* its end, until a peer takes it */
	int memory;
	int event;
	struct party party;
	struct party_log log;
	struct belfry_error err;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .fds_before = count_descriptors() };
	f.server = fake_connect(&f.client);
	f.memory = memfd_create("memory", MFD_CLOEXEC);
	f.event = eventfd(0, EFD_CLOEXEC);
	*state = &f;
	return bf_loop_create(&f.loop, &f.err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_peer_destroy(f->party.peer);
	bf_loop_destroy(f->loop);
	bf_close(&f->server);
	bf_close(&f->client);
	bf_close(&f->memory);
	bf_close(&f->event);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void start_over(struct fixture *f)
{
	bf_peer_destroy(bf_take_ptr(&f->party.peer));
	bf_close(&f->server);
	f->server = fake_connect(&f->client);
	f->party = (struct party){ 0 };
	f->log.text[0] = '\0';
}

static int join_within(struct fixture *f, unsigned int own_vectors, uint64_t timeout_ns)
{
	struct bf_log log = party_log_to(&f->log);

	struct bf_peer_conf conf = {
		.sock = bf_take(&f->client),
		.own_vectors = own_vectors,
		.timeout_ns = timeout_ns,
	};

	return party_create(&f->party, f->loop, conf, &log, &f->err);
}

static int join(struct fixture *f, unsigned int own_vectors)
{
	return join_within(f, own_vectors, 5000 * PARTY_MS);
}

static void assert_fails(struct fixture *f, int code, const char *msg)
{
	assert_int_equal(join_within(f, 1, SHORT), -code);
	assert_int_equal(f->err.code, -code);
	assert_string_equal(f->err.msg, msg);
	assert_null(f->party.peer);
	assert_int_equal(f->party.lost, 0);
}

/* --- the handshake, as it should be --- */

static void a_peer_joins(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, 5, f->memory);
	fake_send_vectors(f->server, 2, 3);
	fake_send_vectors(f->server, 5, 3);
	assert_int_equal(join(f, 3), 0);

	assert_int_equal(bf_peer_id(f->party.peer), 5);
	assert_true(bf_peer_memory(f->party.peer) >= 0);
	assert_int_equal(f->party.added, 6);
	for (unsigned int v = 0; v < 3; v++) {
		assert_true(bf_peer_eventfd(f->party.peer, 2, v) >= 0);
		assert_true(bf_peer_eventfd(f->party.peer, 5, v) >= 0);
	}
	assert_int_equal(bf_peer_eventfd(f->party.peer, 2, 3), -1);
	assert_int_equal(bf_peer_eventfd(f->party.peer, 3, 0), -1);
	assert_string_equal(f->log.text, "");
}

/* The configuration that it has its socket from holds one. */
static void a_peer_leaves_though_somebody_has_a_duplicate_of_its_socket(void **state)
{
	struct fixture *f = *state;
	int duplicate = dup(f->client);
	char c;

	fake_greet(f->server, 5, f->memory);
	fake_send_vectors(f->server, 5, 1);
	assert_int_equal(join(f, 1), 0);
	bf_peer_destroy(bf_take_ptr(&f->party.peer));
	assert_int_equal(recv(f->server, &c, 1, MSG_DONTWAIT), 0);
	close(duplicate);
}

static void received_eventfds_are_made_non_blocking(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, 0, f->memory);
	fake_send(f->server, 0, f->event);
	assert_int_equal(join(f, 1), 0);
	assert_true(fcntl(f->event, F_GETFL) & O_NONBLOCK);
}

static void the_largest_id_is_valid(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, 65535, f->memory);
	fake_send_vectors(f->server, 65535, 1);
	assert_int_equal(join(f, 1), 0);
	assert_int_equal(bf_peer_id(f->party.peer), 65535);
	assert_true(bf_peer_eventfd(f->party.peer, 65535, 0) >= 0);
}

static void a_non_blocking_socket_will_do(void **state)
{
	struct fixture *f = *state;

	fcntl(f->client, F_SETFL, O_NONBLOCK);
	assert_fails(f, ETIMEDOUT,
		     "server is silent or too slow: its version has not come in 30 ms");
}

static void fewer_vectors_than_wanted_are_reported(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, 0, f->memory);
	fake_send_vectors(f->server, 0, 1);
	assert_int_equal(join(f, 4), 0);
	assert_string_equal(f->log.text, "vectors: server gives us 1 of the 4 we want\n");

	fake_send_vectors(f->server, 0, 1); /* a late one is taken all the same */
	party_run_idle(f->loop);
	assert_true(bf_peer_eventfd(f->party.peer, 0, 1) >= 0);
}

static void more_vectors_than_wanted_are_closed(void **state)
{
	struct fixture *f = *state;
	int before;

	fake_greet(f->server, 0, f->memory);
	fake_send_vectors(f->server, 0, 2);
	assert_int_equal(join(f, 2), 0);
	before = count_descriptors();
	fake_send_vectors(f->server, 0, 5);
	party_run_idle(f->loop);

	assert_int_equal(count_descriptors(), before);
	assert_int_equal(f->party.added, 2);
	assert_int_equal(bf_peer_eventfd(f->party.peer, 0, 2), -1);
	assert_int_equal(party_stats(&f->party).bad_messages, 0);
}

static void messages_may_come_in_pieces(void **state)
{
	struct fixture *f = *state;

	fake_send_part(f->server, 0, 3, -1);
	fake_send_part(f->server, 0, 5, -1);
	fake_send(f->server, 1, -1);
	fake_send(f->server, -1, f->memory);
	fake_send_vectors(f->server, 1, 1);
	assert_int_equal(join(f, 1), 0);
	assert_int_equal(bf_peer_id(f->party.peer), 1);
}

/* --- the handshake, gone wrong --- */

static void a_newer_version_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 7, -1);
	assert_fails(
		f, EPROTO,
		"incompatible version: server speaks version 7, this is for version 0");
}

static void a_first_number_that_is_no_version_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, -1, f->memory);
	assert_fails(f, EPROTO,
		     "incompatible version: server starts with -1, which is no version "
		     "(QEMU before 2.5 sent none)");
}

static void two_32_bit_numbers_are_an_incompatible_version(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, -1LL * 0x100000000, f->memory);
	assert_fails(f, EPROTO,
		     "incompatible version: server starts with -4294967296, which is no "
		     "version (QEMU before 2.5 sent none)");
}

static void a_huge_version_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, INT64_MAX, -1);
	assert_fails(
		f, EPROTO,
		"incompatible version: server starts with 9223372036854775807, which is "
		"no version (QEMU before 2.5 sent none)");
}

static void memory_before_the_id_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, -1, f->memory);
	assert_fails(f, EPROTO,
		     "incompatible version or wrong order: server sent -1 where our ID "
		     "belongs (QEMU before 2.5 did)");
}

static void a_vector_before_the_memory_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, 3, -1);
	fake_send(f->server, 3, f->event);
	assert_fails(f, EPROTO,
		     "wrong order: server sent 3 where the memory (-1) belongs");
}

static void an_id_above_65535_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, 65536, -1);
	assert_fails(f, EPROTO, "server gave us the ID 65536: IDs are 0 to 65535");
}

static void a_negative_id_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, -2, -1);
	assert_fails(f, EPROTO, "server gave us the ID -2: IDs are 0 to 65535");
}

static void memory_without_a_descriptor_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, 0, -1);
	assert_fails(f, EPROTO, "server sent no descriptor with the memory");
}

static void a_descriptor_with_the_version_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, f->memory);
	assert_fails(f, EPROTO,
		     "server sent a descriptor with the version, where none belongs");
}

static void a_descriptor_with_the_id_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, 4, f->memory);
	assert_fails(f, EPROTO,
		     "server sent a descriptor with our ID, where none belongs");
}

static void surplus_descriptors_with_the_memory_are_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, 0, -1);
	fake_send_many(f->server, -1, f->memory, 3);
	assert_fails(
		f, EPROTO,
		"server sent 3 descriptors with the memory, where at most one belongs");
}

static void silence_is_an_error_in_time(void **state)
{
	struct fixture *f = *state;

	assert_fails(f, ETIMEDOUT,
		     "server is silent or too slow: its version has not come in 30 ms");
}

static void silence_after_the_version_is_an_error(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	assert_fails(f, ETIMEDOUT,
		     "server is silent or too slow: our ID has not come in 30 ms");
}

static void half_a_message_and_silence_is_an_error(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send(f->server, 0, -1);
	fake_send_part(f->server, -1, 4, f->memory);
	assert_fails(f, ETIMEDOUT,
		     "server is silent or too slow: the rest of the memory has not come "
		     "in 30 ms");
}

static void end_of_file_is_an_error_at_each_step(void **state)
{
	static const char *const want[] = {
		("server hung up before its version; it may have refused us: its log "
		 "says why"),
		"server hung up before our ID",
		"server hung up before the memory",
		"server hung up before our vectors",
	};
	struct fixture *f = *state;

	for (unsigned int step = 0; step < BF_ARRAY_LEN(want); step++) {
		if (step > 0)
			fake_send(f->server, 0, -1);
		if (step > 1)
			fake_send(f->server, 9, -1);
		if (step > 2)
			fake_send(f->server, -1, f->memory);
		bf_close(&f->server);
		assert_fails(f, EPROTO, want[step]);
		start_over(f);
	}
}

static void end_of_file_within_a_message_is_an_error(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 0, -1);
	fake_send_part(f->server, 4, 7, -1);
	bf_close(&f->server);
	assert_fails(f, EPROTO, "server hung up in the middle of our ID");
}

static void end_of_file_between_our_vectors_is_an_error(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, 9, f->memory);
	fake_send_vectors(f->server, 9, 1);
	bf_close(&f->server);
	assert_int_equal(join(f, 2), -EPROTO);
	assert_string_equal(f->err.msg, "server hung up before our vectors");
}

static void a_socket_that_is_none_is_an_error(void **state)
{
	struct fixture *f = *state;

	bf_close(&f->client);
	f->client = memfd_create("no socket", MFD_CLOEXEC);
	assert_fails(f, ENOTSOCK,
		     "lost the server while waiting for its version: "
		     "Socket operation on non-socket");
}

/* --- later on --- */

static void join_alone(struct fixture *f)
{
	fake_greet(f->server, 0, f->memory);
	fake_send_vectors(f->server, 0, 1);
	assert_int_equal(join(f, 1), 0);
	f->party.added = 0;
}

static void assert_survived(struct fixture *f, const char *log)
{
	party_run_idle(f->loop);
	assert_int_equal(f->party.lost, 0);
	assert_string_equal(f->log.text, log);
}

static void a_peer_that_leaves_is_forgotten(void **state)
{
	struct fixture *f = *state;
	int before;

	join_alone(f);
	before = count_descriptors();
	fake_send_vectors(f->server, 3, 2);
	party_run_idle(f->loop);
	assert_int_equal(f->party.added, 2);
	fake_send(f->server, 3, -1);
	assert_survived(f, "");

	assert_int_equal(f->party.left, 1);
	assert_int_equal(f->party.last_left, 3);
	assert_int_equal(bf_peer_eventfd(f->party.peer, 3, 0), -1);
	assert_int_equal(count_descriptors(), before);
}

static void an_id_that_comes_again_starts_at_vector_0(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send_vectors(f->server, 3, 2);
	fake_send(f->server, 3, -1);
	fake_send_vectors(f->server, 3, 1);
	assert_survived(f, "");
	assert_true(bf_peer_eventfd(f->party.peer, 3, 0) >= 0);
	assert_int_equal(bf_peer_eventfd(f->party.peer, 3, 1), -1);
}

static void leaving_twice_is_survived_and_logged_once(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send_vectors(f->server, 3, 1);
	fake_send(f->server, 3, -1);
	fake_send(f->server, 3, -1);
	fake_send(f->server, 77, -1);
	assert_survived(f,
			"bad message from the server: a peer left that was not here (3); "
			"such ones are now counted only\n");
	assert_int_equal(f->party.left, 1);
	assert_int_equal(party_stats(&f->party).bad_messages, 2);
}

static void our_own_leaving_is_survived(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send(f->server, 0, -1);
	assert_survived(f,
			"bad message from the server: we are said to have left (0); such "
			"ones are now counted only\n");
	assert_int_equal(f->party.left, 0);
	assert_true(bf_peer_eventfd(f->party.peer, 0, 0) >= 0);
}

static void a_second_memory_is_survived_and_closed(void **state)
{
	struct fixture *f = *state;
	int before;

	join_alone(f);
	before = count_descriptors();
	fake_send(f->server, -1, f->memory);
	fake_send(f->server, -1, -1);
	assert_survived(f, "bad message from the server: memory came a second time (-1); "
			   "such ones are now counted only\n");
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(party_stats(&f->party).bad_messages, 2);
}

static void surplus_descriptors_later_on_are_survived_and_closed(void **state)
{
	struct fixture *f = *state;
	int before;

	join_alone(f);
	before = count_descriptors();
	fake_send_many(f->server, 3, f->event, 3);
	assert_survived(
		f, "bad message from the server: more than one descriptor came with a "
		   "message (3); such ones are now counted only\n");
	assert_int_equal(count_descriptors(), before + 1);
	assert_int_equal(f->party.added, 1);
}

static void a_descriptor_that_is_no_eventfd_counts_but_is_not_used(void **state)
{
	struct fixture *f = *state;
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	{
		BF_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);
		BF_CLOSE int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
		BF_CLOSE int reading = pipes[0];
		BF_CLOSE int writing = pipes[1];
		int wrong[] = { f->memory, f->server, epoll, timer, reading, writing };

		join_alone(f);
		for (size_t i = 0; i < BF_ARRAY_LEN(wrong); i++)
			fake_send(f->server, 3, wrong[i]);
		fake_send(f->server, 3, f->event);
		assert_survived(f,
				"bad message from the server: a descriptor is no eventfd "
				"(3); such ones are now counted only\n");
		assert_int_equal(party_stats(&f->party).bad_messages,
				 BF_ARRAY_LEN(wrong));
	}
	assert_int_equal(f->party.added, 1);
	assert_int_equal(bf_peer_eventfd(f->party.peer, 3, 0), -1);
	assert_true(bf_peer_eventfd(f->party.peer, 3, 6) >= 0);
}

static void looking_at_an_eventfd_does_not_ring_it(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	epoll_ctl(epoll, EPOLL_CTL_ADD, f->event, &ev);
	join_alone(f);
	fake_send(f->server, 3, f->event);
	assert_survived(f, "");
	assert_int_equal(f->party.added, 1);
	assert_int_equal(epoll_wait(epoll, &ev, 1, 0), 0);
}

static void more_than_2048_vectors_are_survived_and_closed(void **state)
{
	struct fixture *f = *state;
	int before;

	join_alone(f);
	before = count_descriptors();
	for (int i = 0; i < 2050; i++) {
		fake_send(f->server, 3, f->event);
		if (i % 128 == 0)
			party_run_idle(f->loop);
	}
	assert_survived(f,
			"bad message from the server: a peer has more than 2048 vectors "
			"(3); such ones are now counted only\n");
	assert_int_equal(f->party.added, 2048);
	assert_int_equal(party_stats(&f->party).bad_messages, 2);
	assert_int_equal(count_descriptors(), before + 2048);
}

static void assert_lost(struct fixture *f, const char *why)
{
	party_run_idle(f->loop);
	assert_int_equal(f->party.lost, 1);
	assert_int_equal(f->party.why.code, -EPROTO);
	assert_string_equal(f->party.why.msg, why);
	assert_true(bf_peer_eventfd(f->party.peer, 3, 0) >= 0); /* stays usable */
}

static void an_id_out_of_range_loses_the_server(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send_vectors(f->server, 3, 1);
	fake_send(f->server, 65536, f->event);
	fake_send_vectors(f->server, 4, 1); /* nobody reads any more */
	assert_lost(f, "server sent the ID 65536: IDs are 0 to 65535");
	assert_int_equal(f->party.added, 1);
}

static void a_number_below_minus_1_loses_the_server(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send_vectors(f->server, 3, 1);
	fake_send(f->server, -2, -1);
	assert_lost(f, "server sent the ID -2: IDs are 0 to 65535");
}

static void end_of_file_loses_the_server_once(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send_vectors(f->server, 3, 1);
	bf_close(&f->server);
	assert_lost(f, "server hung up");
	party_run_idle(f->loop);
	assert_int_equal(f->party.lost, 1);
}

static void end_of_file_within_a_message_loses_the_server(void **state)
{
	struct fixture *f = *state;

	join_alone(f);
	fake_send_vectors(f->server, 3, 1);
	fake_send_part(f->server, 4, 5, -1);
	bf_close(&f->server);
	assert_lost(f, "server hung up in the middle of a message");
}

/* --- descriptors --- */

static void our_vectors_fit_even_when_others_are_too_many(void **state)
{
	enum { LIMIT = 64, OWN = 16, OTHERS = 100 };
	struct fixture *f = *state;
	unsigned int held = 0;
	rlim_t old;
	int r;

	fake_greet(f->server, 200, f->memory);
	for (int id = 0; id < OTHERS; id++)
		fake_send(f->server, id, f->event);
	fake_send_vectors(f->server, 200, OWN);
	old = limit_descriptors(LIMIT);
	r = join(f, OWN);
	limit_descriptors(old);

	assert_int_equal(r, 0);
	for (unsigned int v = 0; v < OWN; v++)
		assert_true(bf_peer_eventfd(f->party.peer, 200, v) >= 0);
	for (int id = 0; id < OTHERS; id++)
		held += bf_peer_eventfd(f->party.peer, id, 0) >= 0;
	assert_in_range(held, 10, LIMIT - OWN);
	assert_int_equal(f->party.added, held + OWN);
	assert_non_null(
		strstr(f->log.text, "; the descriptor limit (RLIMIT_NOFILE) is 64, "));
}

/* Join while 100 others are there. */
static void join_a_crowd(struct fixture *f, rlim_t limit)
{
	rlim_t old;
	int r;

	fake_greet(f->server, 200, f->memory);
	for (int id = 0; id < 100; id++)
		fake_send(f->server, id, f->event);
	fake_send_vectors(f->server, 200, 1);
	old = limit_descriptors(limit);
	r = join(f, 1);
	limit_descriptors(old);
	assert_int_equal(r, 0);
}

static void the_limit_that_the_log_asks_for_suffices(void **state)
{
	struct fixture *f = *state;
	unsigned int unheld, limit;

	join_a_crowd(f, 64);
	assert_int_equal(
		sscanf(f->log.text,
		       "doorbells of other peers that cannot be rung: %u; the descriptor "
		       "limit (RLIMIT_NOFILE) is 64, %u would",
		       &unheld, &limit),
		2);
	assert_int_equal(f->party.added, 101 - unheld);

	start_over(f);
	join_a_crowd(f, limit);
	assert_string_equal(f->log.text, "");
	assert_int_equal(f->party.added, 101);
}

static void unheld_vectors_still_count(void **state)
{
	struct fixture *f = *state;
	rlim_t old;

	fake_greet(f->server, 0, f->memory);
	fake_send_vectors(f->server, 0, 1);
	old = limit_descriptors(16);
	assert_int_equal(join(f, 1), 0);
	limit_descriptors(old); /* it would be one of descriptors under way, too */
	for (int i = 0; i < 20; i++)
		fake_send(f->server, 3, f->event);
	party_run_idle(f->loop);
	assert_in_range(party_stats(&f->party).unheld, 10, 20);
	fake_send(f->server, 3, -1);
	party_run_idle(f->loop);

	assert_int_equal(party_stats(&f->party).unheld, 0);
	assert_int_equal(f->party.left, 1);
	assert_int_equal(party_stats(&f->party).bad_messages, 0);
}

static void no_descriptor_for_the_memory_is_an_error(void **state)
{
	struct fixture *f = *state;
	rlim_t old;
	int r;

	fake_greet(f->server, 0, f->memory);
	old = limit_descriptors(3);
	r = join(f, 1);
	limit_descriptors(old);

	assert_int_equal(r, -EMFILE);
	assert_string_equal(f->err.msg,
			    "no descriptor free for the memory: the limit is 3");
}

static void no_descriptor_for_our_vector_is_an_error(void **state)
{
	struct fixture *f = *state;
	int lowest_free = dup(f->event);
	char want[96];
	rlim_t old;
	int r;

	close(lowest_free);
	fake_greet(f->server, 0, f->memory);
	fake_send_vectors(f->server, 0, 1);
	old = limit_descriptors(lowest_free + 1); /* one is left, for the memory */
	r = join(f, 1);
	limit_descriptors(old);

	assert_int_equal(r, -EMFILE);
	snprintf(want, sizeof(want),
		 "no descriptor free for our vector 0: the limit is %d", lowest_free + 1);
	assert_string_equal(f->err.msg, want);
}

/* --- connecting --- */

static void connecting_where_nobody_listens_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bf_peer_connect("/nonexistent/sock", &f->err), -ECONNREFUSED);
	assert_string_equal(
		f->err.msg,
		"/nonexistent/sock: nobody listens, start the ivshmem server");
	assert_int_equal(bf_peer_connect("/dev/null", &f->err), -ECONNREFUSED);
	assert_string_equal(f->err.msg,
			    "/dev/null: nobody listens, start the ivshmem server");
}

static void a_path_too_long_for_a_socket_is_an_error(void **state)
{
	struct fixture *f = *state;
	char path[110];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(bf_peer_connect(path, &f->err), -ENAMETOOLONG);
	assert_non_null(strstr(f->err.msg, "109 bytes; a socket's path has at most 107"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_peer_joins),
		TEST(a_peer_leaves_though_somebody_has_a_duplicate_of_its_socket),
		TEST(received_eventfds_are_made_non_blocking),
		TEST(the_largest_id_is_valid),
		TEST(a_non_blocking_socket_will_do),
		TEST(fewer_vectors_than_wanted_are_reported),
		TEST(more_vectors_than_wanted_are_closed),
		TEST(messages_may_come_in_pieces),
		TEST(a_newer_version_is_refused),
		TEST(a_first_number_that_is_no_version_is_refused),
		TEST(two_32_bit_numbers_are_an_incompatible_version),
		TEST(a_huge_version_is_refused),
		TEST(memory_before_the_id_is_refused),
		TEST(a_vector_before_the_memory_is_refused),
		TEST(an_id_above_65535_is_refused),
		TEST(a_negative_id_is_refused),
		TEST(memory_without_a_descriptor_is_refused),
		TEST(a_descriptor_with_the_version_is_refused),
		TEST(a_descriptor_with_the_id_is_refused),
		TEST(surplus_descriptors_with_the_memory_are_refused),
		TEST(silence_is_an_error_in_time),
		TEST(silence_after_the_version_is_an_error),
		TEST(half_a_message_and_silence_is_an_error),
		TEST(end_of_file_is_an_error_at_each_step),
		TEST(end_of_file_within_a_message_is_an_error),
		TEST(end_of_file_between_our_vectors_is_an_error),
		TEST(a_socket_that_is_none_is_an_error),
		TEST(a_peer_that_leaves_is_forgotten),
		TEST(an_id_that_comes_again_starts_at_vector_0),
		TEST(leaving_twice_is_survived_and_logged_once),
		TEST(our_own_leaving_is_survived),
		TEST(a_second_memory_is_survived_and_closed),
		TEST(surplus_descriptors_later_on_are_survived_and_closed),
		TEST(a_descriptor_that_is_no_eventfd_counts_but_is_not_used),
		TEST(looking_at_an_eventfd_does_not_ring_it),
		TEST(more_than_2048_vectors_are_survived_and_closed),
		TEST(an_id_out_of_range_loses_the_server),
		TEST(a_number_below_minus_1_loses_the_server),
		TEST(end_of_file_loses_the_server_once),
		TEST(end_of_file_within_a_message_loses_the_server),
		TEST(our_vectors_fit_even_when_others_are_too_many),
		TEST(the_limit_that_the_log_asks_for_suffices),
		TEST(unheld_vectors_still_count),
		TEST(no_descriptor_for_the_memory_is_an_error),
		TEST(no_descriptor_for_our_vector_is_an_error),
		TEST(connecting_where_nobody_listens_is_an_error),
		TEST(a_path_too_long_for_a_socket_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
