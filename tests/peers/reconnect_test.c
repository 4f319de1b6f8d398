/* SPDX-License-Identifier: MIT */
/* tests/peers/reconnect_test.c - a server that goes and comes back, or another in its
 * place */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "tests/descriptors.h"
#include "tests/peers/fake_server.h"
#include "tests/peers/party.h"

#define OWN_ID  5
#define VECTORS 2 /* of our own */
#define SHORT   (50 * PARTY_MS)

struct fixture {
	int fds_before;
	struct bf_loop *loop;
	char dir[40];
	char path[48];
	int listener;
	int server; /* our end of the connection */
	int memory;
	int first[VECTORS];  /* our vectors' eventfds, as they are at first */
	int second[VECTORS]; /* and as they are when the server has come back */
	struct party party;
	struct party_log log;
	struct belfry_error err;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.fds_before = count_descriptors(),
		.listener = -1,
		.server = -1,
		.memory = memfd_create("memory", MFD_CLOEXEC),
		.dir = "/tmp/belfry-reconnect-XXXXXX",
	};
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/sock", f.dir);
	for (int v = 0; v < VECTORS; v++) {
		f.first[v] = eventfd(0, EFD_CLOEXEC);
		f.second[v] = eventfd(0, EFD_CLOEXEC);
	}
	*state = &f;
	return bf_loop_create(&f.loop, &f.err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_peer_destroy(f->party.peer);
	bf_loop_destroy(f->loop);
	bf_close(&f->listener);
	bf_close(&f->server);
	bf_close(&f->memory);
	for (int v = 0; v < VECTORS; v++) {
		bf_close(&f->first[v]);
		bf_close(&f->second[v]);
	}
	unlink(f->path);
	rmdir(f->dir);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

/* --- a server, step by step --- */

static void listen_with(struct fixture *f, int backlog)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, f->path, strlen(f->path));
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f->listener, backlog), 0);
}

static void stop_listening(struct fixture *f)
{
	bf_close(&f->listener);
	unlink(f->path);
}

static bool accepts(void *arg)
{
	struct fixture *f = arg;

	if (f->server < 0)
		f->server = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	return f->server >= 0;
}

static void send_own(struct fixture *f, const int events[VECTORS])
{
	for (int v = 0; v < VECTORS; v++)
		fake_send(f->server, OWN_ID, events[v]);
}

/* We, who are OWN_ID, join where peers 2 and 3 are. */
static void join_within(struct fixture *f, uint64_t timeout_ns)
{
	struct bf_log log = party_log_to(&f->log);
	struct bf_peer_conf conf = { .path = f->path,
				     .own_vectors = VECTORS,
				     .timeout_ns = timeout_ns };

	listen_with(f, 8);
	conf.sock = bf_peer_connect(f->path, &f->err);
	assert_true(accepts(f));
	fake_greet(f->server, OWN_ID, f->memory);
	fake_send_vectors(f->server, 2, 1);
	fake_send_vectors(f->server, 3, 1);
	send_own(f, f->first);
	assert_int_equal(party_create(&f->party, f->loop, conf, &log, &f->err), 0);
	assert_string_equal(f->party.story, "2.0, 3.0, 5.0, 5.1");
	f->party.story[0] = '\0';
}

static void join(struct fixture *f)
{
	join_within(f, 0);
}

static void lose(struct fixture *f)
{
	bf_close(&f->server);
	party_run_idle(f->loop);
}

static void await_next_try(struct fixture *f)
{
	bf_close(&f->server);
	assert_true(party_run_until(f->loop, accepts, f));
}

static bool is_back(void *arg)
{
	const struct fixture *f = arg;

	return f->party.back > 0;
}

static bool is_changed(void *arg)
{
	const struct fixture *f = arg;

	return f->party.changed > 0;
}

/* Lost and back; peer 7 is there now. */
static void come_back_with(struct fixture *f, const int events[VECTORS])
{
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	fake_send_vectors(f->server, 7, 1);
	send_own(f, events);
	assert_true(party_run_until(f->loop, is_back, f));
}

static void come_back(struct fixture *f)
{
	come_back_with(f, f->second);
}

static int own(const struct fixture *f, unsigned int vector)
{
	return bf_peer_eventfd(f->party.peer, OWN_ID, vector);
}

/* What vector @vector has counted, once the loop has done what it has to. */
static unsigned int rings(struct fixture *f, unsigned int vector)
{
	eventfd_t n;

	party_run_idle(f->loop);
	return eventfd_read(own(f, vector), &n) == 0 ? n : 0;
}

/* --- trying --- */

static bool has_tried(void *arg)
{
	const struct fixture *f = arg;

	return party_stats(&f->party).tries > 0;
}

static void a_server_that_comes_late_is_found(void **state)
{
	struct fixture *f = *state;

	join(f);
	stop_listening(f);
	lose(f);
	assert_true(party_run_until(f->loop, has_tried, f));
	assert_string_equal(f->party.story, "lost");
	assert_non_null(strstr(f->log.text, "nobody listens"));
	listen_with(f, 8);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	send_own(f, f->second);
	assert_true(party_run_until(f->loop, is_back, f));
	assert_int_equal(party_stats(&f->party).tries, 2);
	assert_int_equal(party_stats(&f->party).reconnects, 1);
}

static void without_a_path_there_are_no_tries(void **state)
{
	struct fixture *f = *state;
	int client;

	f->server = fake_connect(&client);
	fake_greet(f->server, OWN_ID, f->memory);
	send_own(f, f->first);
	assert_int_equal(party_join(&f->party, f->loop, client, VECTORS, NULL, &f->err),
			 0);
	lose(f);
	for (int i = 0; i < 5; i++)
		bf_loop_run_once(f->loop, 50 * PARTY_MS);
	assert_string_equal(f->party.story, "5.0, 5.1, lost");
	assert_int_equal(party_stats(&f->party).tries, 0);
}

static void a_path_too_long_for_a_socket_is_an_error(void **state)
{
	struct fixture *f = *state;
	char path[110];
	struct bf_peer_conf conf = { .path = path, .own_vectors = 1 };

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	conf.sock = eventfd(0, EFD_CLOEXEC); /* is closed */
	assert_int_equal(party_create(&f->party, f->loop, conf, NULL, &f->err),
			 -ENAMETOOLONG);
	assert_non_null(strstr(f->err.msg, "109 bytes; a socket's path has at most 107"));
}

static void a_server_whose_queue_is_full_does_not_stop_the_loop(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int others[8];
	time_t start;
	int n = 0;

	join(f);
	stop_listening(f);
	listen_with(f, 1);
	memcpy(sa.sun_path, f->path, strlen(f->path));
	do {
		others[n] =
			socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	} while (connect(others[n++], (struct sockaddr *)&sa, sizeof(sa)) == 0 && n < 8);
	assert_int_equal(errno, EAGAIN);
	start = time(NULL);
	lose(f);
	assert_true(party_run_until(f->loop, has_tried, f));
	assert_in_range(time(NULL) - start, 0, 3); /* one that waits, waits 5 s */
	assert_non_null(strstr(f->log.text, "no answer from the ivshmem server"));

	for (int i = 0; i < n; i++) {
		bf_close(&f->server);
		assert_int_equal(accepts(f), i < n - 1);
		close(others[i]);
	}
	await_next_try(f);
}

/* --- the same link --- */

static void all_peers_are_learned_anew(void **state)
{
	struct fixture *f = *state;
	struct bf_peer_stats stats;

	join(f);
	come_back(f);
	assert_string_equal(f->party.story,
			    "lost, 2 left, 3 left, 7.0, 5 left, 5.0, 5.1, back");
	assert_int_equal(bf_peer_eventfd(f->party.peer, 2, 0), -1);
	assert_true(bf_peer_eventfd(f->party.peer, 7, 0) >= 0);
	stats = party_stats(&f->party);
	assert_int_equal(stats.peers, 1);
	assert_int_equal(stats.tries, 1);
	assert_int_equal(stats.reconnects, 1);
	assert_int_equal(stats.bad_messages, 0);
	assert_string_equal(f->log.text, "");

	fake_send_vectors(f->server, 8, 1); /* and news are news */
	fake_send(f->server, 7, -1);
	party_run_idle(f->loop);
	assert_non_null(strstr(f->party.story, "back, 8.0, 7 left"));
}

static void nothing_changes_until_id_and_memory_have_come(void **state)
{
	struct fixture *f = *state;
	int before;

	join(f);
	before = bf_peer_eventfd(f->party.peer, 2, 0);
	lose(f);
	await_next_try(f);
	fake_send(f->server, 0, -1);
	fake_send(f->server, OWN_ID, -1);
	party_run_idle(f->loop);
	assert_string_equal(f->party.story, "lost");
	assert_int_equal(bf_peer_eventfd(f->party.peer, 2, 0), before);
	eventfd_write(f->first[1], 1);
	assert_int_equal(rings(f, 1), 1);

	fake_send(f->server, -1, f->memory);
	party_run_idle(f->loop);
	assert_string_equal(f->party.story, "lost, 2 left, 3 left");
	assert_int_equal(bf_peer_eventfd(f->party.peer, 2, 0), -1);
}

static void our_old_vectors_are_ours_until_the_new_ones_come(void **state)
{
	struct fixture *f = *state;
	int before;

	join(f);
	before = own(f, 0);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	fake_send_vectors(f->server, 7, 1);
	party_run_idle(f->loop);
	assert_string_equal(f->party.story, "lost, 2 left, 3 left, 7.0");
	assert_int_equal(own(f, 0), before);
	eventfd_write(f->first[0], 1);
	assert_int_equal(rings(f, 0), 1);
}

static void fewer_vectors_than_before_are_reported(void **state)
{
	struct fixture *f = *state;

	join(f);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	fake_send(f->server, OWN_ID, f->second[0]);
	assert_true(party_run_until(f->loop, is_back, f));
	assert_string_equal(f->party.story, "lost, 2 left, 3 left, 5 left, 5.0, back");
	assert_string_equal(f->log.text, "vectors: server gives us 1 of the 2 we want\n");
	assert_int_equal(own(f, 1), -1);
	eventfd_write(f->first[1], 3);

	fake_send(f->server, OWN_ID, f->second[1]);
	assert_int_equal(rings(f, 1), 3);
}

static void a_server_without_vectors_for_us_leaves_us_the_old_ones(void **state)
{
	struct fixture *f = *state;

	join(f);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	assert_true(party_run_until(f->loop, is_back, f));
	assert_string_equal(f->party.story, "lost, 2 left, 3 left, back");
	eventfd_write(f->first[1], 1);
	assert_int_equal(rings(f, 1), 1);
}

static void a_server_may_come_back_many_times(void **state)
{
	struct fixture *f = *state;
	int before = 0;

	join(f);
	for (int i = 0; i < 3; i++) {
		f->party.back = 0;
		come_back_with(f, i % 2 ? f->first : f->second);
		if (i == 0)
			before = count_descriptors();
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(f->party.lost, 3);
	assert_int_equal(party_stats(&f->party).reconnects, 3);
}

/* --- rings in between --- */

static void a_ring_that_waits_in_an_old_eventfd_is_not_lost(void **state)
{
	struct fixture *f = *state;

	join(f);
	eventfd_write(f->first[0], 2);
	come_back(f);
	assert_int_equal(rings(f, 0), 2);
	assert_int_equal(rings(f, 1), 0);
}

static void a_ring_at_an_old_eventfd_is_passed_on(void **state)
{
	struct fixture *f = *state;

	join(f);
	come_back(f);
	for (int i = 0; i < 3; i++) {
		eventfd_write(f->first[1], 1);
		assert_int_equal(rings(f, 1), 1);
	}
	assert_int_equal(rings(f, 0), 0);
	eventfd_write(f->second[1], 1);
	assert_int_equal(rings(f, 1), 1);
}

static void of_older_eventfds_only_what_they_have_counted_counts(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int third = eventfd(0, EFD_CLOEXEC);
	const int thirds[VECTORS] = { third, third };

	join(f);
	come_back(f);
	f->party.back = 0;
	bf_close(&f->server); /* no turn of the loop: the rings stay where they are */
	eventfd_write(f->first[0], 1);
	eventfd_write(f->second[0], 1);
	come_back_with(f, thirds);
	assert_int_equal(rings(f, 0), 2);

	eventfd_write(f->first[0], 1);
	assert_int_equal(rings(f, 0), 0);
	eventfd_write(f->second[0], 1);
	assert_int_equal(rings(f, 0), 1);
}

static void the_same_eventfds_again_do_not_ring_themselves(void **state)
{
	struct fixture *f = *state;

	join(f);
	eventfd_write(f->first[0], 1);
	come_back_with(f, f->first);
	assert_int_equal(rings(f, 0), 1);
	assert_int_equal(rings(f, 0), 0);
	eventfd_write(f->first[1], 1);
	assert_int_equal(bf_loop_run_once(f->loop, 20 * PARTY_MS), 0);
	assert_int_equal(rings(f, 1), 1);
}

/* --- another link --- */

static void assert_left_alone(struct fixture *f, const char *why)
{
	char byte;

	assert_true(party_run_until(f->loop, is_changed, f));
	assert_int_equal(f->party.why.code, -ESTALE);
	assert_string_equal(f->party.why.msg, why);
	assert_true(recv(f->server, &byte, 1, 0) <= 0); /* it has closed its end */
	bf_close(&f->server);
	for (int i = 0; i < 6; i++)
		bf_loop_run_once(f->loop, 50 * PARTY_MS);
	assert_false(accepts(f));
	assert_int_equal(party_stats(&f->party).tries, 1);
	assert_string_equal(f->party.story, "lost, changed");

	assert_int_equal(bf_peer_id(f->party.peer), OWN_ID);
	assert_true(bf_peer_eventfd(f->party.peer, 2, 0) >= 0);
	eventfd_write(f->first[1], 1);
	assert_int_equal(rings(f, 1), 1);
}

static void with_another_id_it_is_another_link(void **state)
{
	struct fixture *f = *state;

	join(f);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, 6, f->memory);
	assert_left_alone(f, "our ID was 5 and now is 6");
}

static void with_another_memory_it_is_another_link(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int other = memfd_create("memory", MFD_CLOEXEC);

	join(f);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, other);
	assert_left_alone(f, "the memory is another one");
	assert_int_equal(pwrite(f->memory, "bell", 4, 0), 4);
	assert_int_equal(lseek(bf_peer_memory(f->party.peer), 0, SEEK_END), 4);
}

/* --- tries that fail --- */

static void a_silent_server_is_given_up_in_time(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int silent = -1;
	char byte;

	join_within(f, SHORT);
	lose(f);
	await_next_try(f);
	fake_send(f->server, 0, -1);
	silent = bf_take(&f->server);
	await_next_try(f);
	assert_int_equal(recv(silent, &byte, 1, MSG_DONTWAIT), 0);
	assert_non_null(strstr(f->log.text, "our ID has not come in 50 ms"));
	fake_greet(f->server, OWN_ID, f->memory);
	send_own(f, f->second);
	assert_true(party_run_until(f->loop, is_back, f));
	assert_string_equal(f->party.story,
			    "lost, 2 left, 3 left, 5 left, 5.0, 5.1, back");
}

static void a_server_of_another_version_is_tried_again(void **state)
{
	struct fixture *f = *state;

	join(f);
	lose(f);
	await_next_try(f);
	fake_send(f->server, 1, -1);
	await_next_try(f);
	assert_non_null(strstr(f->log.text, "server speaks version 1"));
	assert_string_equal(f->party.story, "lost");
}

static void a_server_that_dies_while_it_says_who_is_there_is_tried_again(void **state)
{
	struct fixture *f = *state;

	join(f);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	fake_send_vectors(f->server, 7, 1);
	fake_send(f->server, OWN_ID, f->second[0]);
	party_run_idle(f->loop);
	eventfd_write(f->first[1], 1);
	lose(f);
	await_next_try(f);
	fake_greet(f->server, OWN_ID, f->memory);
	send_own(f, f->first);
	assert_true(party_run_until(f->loop, is_back, f));
	assert_string_equal(f->party.story, "lost, 2 left, 3 left, 7.0, 5 left, 5.0, "
					    "7 left, 5 left, 5.0, 5.1, back");
	assert_int_equal(rings(f, 1), 1);
}

/* --- the end --- */

static void a_peer_may_be_destroyed_at_any_time(void **state)
{
	struct fixture *f = *state;

	for (int step = 0; step < 6; step++) {
		join(f);
		if (step > 0)
			bf_close(&f->server);
		if (step > 1)
			party_run_idle(f->loop);
		if (step > 2)
			await_next_try(f);
		if (step > 3) {
			fake_greet(f->server, OWN_ID, f->memory);
			party_run_idle(f->loop);
		}
		if (step > 4) {
			send_own(f, f->second);
			party_run_idle(f->loop);
			eventfd_write(f->first[0], 1);
		}
		bf_peer_destroy(bf_take_ptr(&f->party.peer));
		bf_close(&f->server);
		stop_listening(f);
	}
}

static void nap(uint64_t ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

/* Its pause is over, and the loop has yet to hear of it. */
static void a_peer_may_be_destroyed_when_a_try_is_due(void **state)
{
	struct fixture *f = *state;

	join(f);
	lose(f);
	nap(120);
	bf_peer_destroy(bf_take_ptr(&f->party.peer));
	assert_string_equal(f->party.story, "lost");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_comes_late_is_found),
		TEST(without_a_path_there_are_no_tries),
		TEST(a_path_too_long_for_a_socket_is_an_error),
		TEST(a_server_whose_queue_is_full_does_not_stop_the_loop),
		TEST(all_peers_are_learned_anew),
		TEST(nothing_changes_until_id_and_memory_have_come),
		TEST(our_old_vectors_are_ours_until_the_new_ones_come),
		TEST(fewer_vectors_than_before_are_reported),
		TEST(a_server_without_vectors_for_us_leaves_us_the_old_ones),
		TEST(a_server_may_come_back_many_times),
		TEST(a_ring_that_waits_in_an_old_eventfd_is_not_lost),
		TEST(a_ring_at_an_old_eventfd_is_passed_on),
		TEST(of_older_eventfds_only_what_they_have_counted_counts),
		TEST(the_same_eventfds_again_do_not_ring_themselves),
		TEST(with_another_id_it_is_another_link),
		TEST(with_another_memory_it_is_another_link),
		TEST(a_silent_server_is_given_up_in_time),
		TEST(a_server_of_another_version_is_tried_again),
		TEST(a_server_that_dies_while_it_says_who_is_there_is_tried_again),
		TEST(a_peer_may_be_destroyed_at_any_time),
		TEST(a_peer_may_be_destroyed_when_a_try_is_due),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reconnect", tests, NULL, NULL);
}
