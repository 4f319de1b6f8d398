/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/crowd_test.c - among thousands of peers, with few descriptors: never deaf
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "tests/descriptors.h"
#include "tests/peers/fake_server.h"
#include "tests/peers/party.h"

#define OWN_ID 60000
#define FEW    128 /* descriptors */

/*
 * What the server says, in this order, from a thread of its own: a socket does not hold
 * so much at once.
 */
struct script {
	bool greet;
	unsigned int first; /* the lowest of the peers' IDs; OWN_ID is left out */
	unsigned int peers;
	unsigned int vectors; /* of each */
	bool leave;           /* each when the next has joined */
	unsigned int own;     /* of our vectors, those from own_first on */
	unsigned int own_first;
};

#define OWN_MAX 32

struct fixture {
	int fds_before;
	struct bf_loop *loop;
	int server;
	int client;
	int memory;
	int own[OWN_MAX]; /* our vectors' eventfds */
	int theirs[3];    /* vector by vector, those of all others */
	struct script script;
	atomic_bool silent; /* the script has ended */
	bool said;          /* all of it */
	rlim_t limit;
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
	for (unsigned int i = 0; i < OWN_MAX; i++)
		f.own[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(f.theirs); i++)
		f.theirs[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = &f;
	return bf_loop_create(&f.loop, &f.err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->limit)
		limit_descriptors(f->limit);
	bf_peer_destroy(f->party.peer);
	bf_loop_destroy(f->loop);
	bf_close(&f->server);
	bf_close(&f->client);
	bf_close(&f->memory);
	for (unsigned int i = 0; i < OWN_MAX; i++)
		bf_close(&f->own[i]);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(f->theirs); i++)
		bf_close(&f->theirs[i]);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

/* --- the server --- */

static void *say(void *arg)
{
	struct fixture *f = arg;
	const struct script *s = &f->script;
	unsigned int last = s->first;
	bool ok = true;

	if (s->greet)
		ok = fake_send_wait(f->server, 0, -1) &&
		     fake_send_wait(f->server, OWN_ID, -1) &&
		     fake_send_wait(f->server, -1, f->memory);
	for (unsigned int id = s->first; ok && id < s->first + s->peers; id++) {
		if (id == OWN_ID)
			continue;
		for (unsigned int v = 0; ok && v < s->vectors; v++)
			ok = fake_send_wait(f->server, id, f->theirs[v]);
		if (s->leave && id > s->first)
			ok = ok && fake_send_wait(f->server, last, -1);
		last = id;
	}
	if (s->leave)
		ok = ok && fake_send_wait(f->server, last, -1);
	for (unsigned int v = s->own_first; ok && v < s->own_first + s->own; v++)
		ok = fake_send_wait(f->server, OWN_ID, f->own[v]);
	f->said = ok;
	f->silent = true;
	return NULL;
}

static pthread_t start(struct fixture *f)
{
	pthread_t thread;

	f->silent = false;
	assert_int_equal(pthread_create(&thread, NULL, say, f), 0);
	return thread;
}

static void end(struct fixture *f, pthread_t thread)
{
	while (!f->silent)
		bf_loop_run_once(f->loop, 20 * PARTY_MS);
	pthread_join(thread, NULL);
	party_run_idle(f->loop);
	assert_true(f->said);
}

static void join_while(struct fixture *f, unsigned int own_vectors)
{
	struct bf_log log = party_log_to(&f->log);
	pthread_t thread;
	int r;

	f->script.greet = true;
	thread = start(f);
	r = party_join(&f->party, f->loop, bf_take(&f->client), own_vectors, &log,
		       &f->err);
	if (r < 0)
		bf_close(&f->server); /* or it would wait for ever */
	end(f, thread);
	assert_int_equal(r, 0);
}

static void run_while(struct fixture *f)
{
	end(f, start(f));
}

/* --- what must hold, whatever else does not --- */

static unsigned int counted(int fd)
{
	eventfd_t n;

	return eventfd_read(fd, &n) == 0 ? n : 0;
}

static void assert_heard(struct fixture *f, unsigned int vectors)
{
	for (unsigned int v = 0; v < vectors; v++)
		eventfd_write(f->own[v], 1 + v);
	for (unsigned int v = 0; v < vectors; v++)
		assert_int_equal(counted(bf_peer_eventfd(f->party.peer, OWN_ID, v)),
				 1 + v);
}

/* Every vector that can be rung is the one it is said to be. Return: how many can. */
static unsigned int ring_all(struct fixture *f, unsigned int vectors)
{
	unsigned int held[BF_ARRAY_LEN(f->theirs)] = { 0 };
	unsigned int sum = 0;

	for (unsigned int id = 0; id <= BF_IVSHMEM_ID_MAX; id++) {
		for (unsigned int v = 0; id != OWN_ID && v < vectors; v++) {
			int fd = bf_peer_eventfd(f->party.peer, id, v);

			if (fd < 0)
				continue;
			assert_int_equal(eventfd_write(fd, 1), 0);
			held[v]++;
		}
	}
	for (unsigned int v = 0; v < vectors; v++) {
		assert_int_equal(counted(f->theirs[v]), held[v]);
		sum += held[v];
	}
	return sum;
}

/* The limit that the log has asked for last. */
static unsigned int limit_wanted(const struct fixture *f)
{
	const char *line = f->log.text;
	unsigned int wanted = 0;

	while ((line = strstr(line, "the descriptor limit (RLIMIT_NOFILE) is "))) {
		line += strlen("the descriptor limit (RLIMIT_NOFILE) is ");
		sscanf(line, "%*u, %u would do for now", &wanted);
	}
	return wanted;
}

/* --- more peers than descriptors --- */

static void our_vectors_arrive_behind_4096_peers(void **state)
{
	struct fixture *f = *state;
	struct bf_peer_stats stats;
	unsigned int held;

	f->limit = limit_descriptors(FEW);
	f->script = (struct script){ .peers = 4096, .vectors = 1, .own = OWN_MAX };
	join_while(f, OWN_MAX);
	assert_heard(f, OWN_MAX);

	held = ring_all(f, 1);
	stats = party_stats(&f->party);
	assert_in_range(held, 10, FEW - OWN_MAX);
	assert_int_equal(stats.peers, 4096);
	assert_int_equal(stats.unheld, 4096 - held);
	assert_int_equal(stats.bad_messages, 0);
	assert_in_range(limit_wanted(f), 4096 + OWN_MAX, 5000);
}

static void the_limit_that_the_log_asks_for_suffices_for_4096_peers(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit;

	f->limit = limit_descriptors(FEW);
	f->script = (struct script){ .peers = 4096, .vectors = 1, .own = OWN_MAX };
	join_while(f, OWN_MAX);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < limit_wanted(f))
		skip();

	limit_descriptors(limit_wanted(f));
	bf_peer_destroy(bf_take_ptr(&f->party.peer));
	bf_close(&f->server);
	f->log.text[0] = '\0';
	f->server = fake_connect(&f->client);
	join_while(f, OWN_MAX);
	assert_int_equal(limit_wanted(f), 0);
	assert_int_equal(ring_all(f, 1), 4096);
	assert_heard(f, OWN_MAX);
}

static void vectors_keep_their_numbers_where_descriptors_run_out(void **state)
{
	struct fixture *f = *state;
	unsigned int held;

	f->limit = limit_descriptors(FEW);
	f->script = (struct script){ .peers = 1000, .vectors = 3, .own = 4 };
	join_while(f, 4);
	held = ring_all(f, 3);
	assert_in_range(held, 10, FEW);
	assert_int_equal(party_stats(&f->party).unheld, 3000 - held);
	assert_heard(f, 4);

	/* When some have left, there is room for who comes next. */
	for (unsigned int id = 0; id < 10; id++)
		fake_send(f->server, id, -1);
	for (unsigned int v = 0; v < 3; v++)
		fake_send(f->server, 1000, f->theirs[v]);
	party_run_idle(f->loop);
	assert_int_equal(ring_all(f, 3), held - 30 + 3);
	assert_true(bf_peer_eventfd(f->party.peer, 1000, 2) >= 0);
	assert_int_equal(party_stats(&f->party).peers, 991);
}

static void every_id_may_be_in_use(void **state)
{
	struct fixture *f = *state;

	f->limit = limit_descriptors(FEW);
	f->script =
		(struct script){ .peers = BF_IVSHMEM_ID_MAX + 1, .vectors = 1, .own = 2 };
	join_while(f, 2);
	assert_int_equal(party_stats(&f->party).peers, BF_IVSHMEM_ID_MAX);
	assert_heard(f, 2);

	f->script = (struct script){ .first = 65535, .peers = 1, .leave = true };
	run_while(f);
	assert_int_equal(f->party.last_left, 65535);
	assert_int_equal(party_stats(&f->party).peers, BF_IVSHMEM_ID_MAX - 1);
	assert_int_equal(party_stats(&f->party).bad_messages, 0);
}

static void our_vectors_may_come_late_and_behind_a_crowd(void **state)
{
	struct fixture *f = *state;

	f->limit = limit_descriptors(FEW);
	f->script = (struct script){ .peers = 10, .vectors = 1, .own = 2 };
	join_while(f, 16);
	assert_non_null(
		strstr(f->log.text, "vectors: server gives us 2 of the 16 we want\n"));

	f->script = (struct script){
		.first = 100, .peers = 1000, .vectors = 1, .own_first = 2, .own = 14
	};
	run_while(f);
	assert_heard(f, 16);
	assert_int_equal(party_stats(&f->party).peers, 1010);
}

/* --- coming and going --- */

static void assert_nothing_is_left_of_4096(struct fixture *f, rlim_t limit)
{
	struct bf_peer_stats stats;
	int before;

	f->limit = limit_descriptors(limit);
	f->script = (struct script){ .own = 2 };
	join_while(f, 2);
	before = count_descriptors();
	for (int i = 0; i < 2; i++) { /* the second time the IDs are known */
		f->script = (struct script){
			.first = 1, .peers = 4096, .vectors = 3, .leave = true
		};
		run_while(f);
	}
	stats = party_stats(&f->party);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(f->party.left, 2 * 4096);
	assert_int_equal(stats.peers, 0);
	assert_int_equal(stats.unheld, 0);
	assert_int_equal(stats.bad_messages, 0);
	assert_heard(f, 2);
}

static void peers_may_come_and_go_4096_times(void **state)
{
	struct fixture *f = *state;

	assert_nothing_is_left_of_4096(f, FEW);
	assert_int_equal(f->party.added, 2 + 2 * 4096 * 3);
	assert_int_equal(limit_wanted(f), 0);
}

/* So few that even two peers do not fit; the log hears of them, but not 4096 times. */
static void peers_may_come_and_go_4096_times_without_a_descriptor(void **state)
{
	struct fixture *f = *state;

	assert_nothing_is_left_of_4096(f, count_descriptors() + 4);
	assert_int_equal(f->party.added, 2);
	assert_in_range(strlen(f->log.text), 1, 4 * 160);
}

static void a_peer_that_comes_back_has_its_new_eventfds(void **state)
{
	struct fixture *f = *state;

	f->script = (struct script){ .peers = 3, .vectors = 3, .own = 1 };
	join_while(f, 1);
	for (int i = 0; i < 100; i++) {
		fake_send(f->server, 1, -1);
		fake_send(f->server, 1, f->theirs[i % 3]);
		party_run_idle(f->loop);
		assert_int_equal(eventfd_write(bf_peer_eventfd(f->party.peer, 1, 0), 1),
				 0);
		assert_int_equal(counted(f->theirs[i % 3]), 1);
		assert_int_equal(bf_peer_eventfd(f->party.peer, 1, 1), -1);
	}
	assert_int_equal(party_stats(&f->party).peers, 3);
	assert_int_equal(party_stats(&f->party).bad_messages, 0);
}

/* --- descriptors that the kernel cannot hand over (MSG_CTRUNC) --- */

static void a_descriptor_that_is_lost_on_the_way_counts(void **state)
{
	struct fixture *f = *state;

	f->script = (struct script){ .peers = 1, .vectors = 1, .own = 1 };
	join_while(f, 1);
	f->limit = limit_descriptors(3);
	fake_send(f->server, 7, f->theirs[0]);
	fake_send(f->server, 7, f->theirs[1]);
	party_run_idle(f->loop);
	limit_descriptors(f->limit);
	fake_send(f->server, 7, f->theirs[2]);
	party_run_idle(f->loop);

	assert_int_equal(bf_peer_eventfd(f->party.peer, 7, 0), -1);
	assert_int_equal(bf_peer_eventfd(f->party.peer, 7, 1), -1);
	assert_int_equal(ring_all(f, 3), 0 + 1 + 1); /* 0.0 and 7.2 */
	assert_int_equal(party_stats(&f->party).unheld, 2);
	assert_heard(f, 1);
}

static void one_of_ours_that_is_lost_on_the_way_loses_the_server(void **state)
{
	struct fixture *f = *state;

	f->script = (struct script){ .peers = 1, .vectors = 1, .own = 1 };
	join_while(f, 2);
	f->limit = limit_descriptors(3);
	fake_send(f->server, OWN_ID, f->own[1]);
	party_run_idle(f->loop);
	limit_descriptors(f->limit);

	assert_int_equal(f->party.lost, 1);
	assert_int_equal(f->party.why.code, -EMFILE);
	assert_non_null(strstr(f->party.why.msg, "no descriptor free for our vector 1"));
	assert_heard(f, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(our_vectors_arrive_behind_4096_peers),
		TEST(the_limit_that_the_log_asks_for_suffices_for_4096_peers),
		TEST(vectors_keep_their_numbers_where_descriptors_run_out),
		TEST(every_id_may_be_in_use),
		TEST(our_vectors_may_come_late_and_behind_a_crowd),
		TEST(peers_may_come_and_go_4096_times),
		TEST(peers_may_come_and_go_4096_times_without_a_descriptor),
		TEST(a_peer_that_comes_back_has_its_new_eventfds),
		TEST(a_descriptor_that_is_lost_on_the_way_counts),
		TEST(one_of_ours_that_is_lost_on_the_way_loses_the_server),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
