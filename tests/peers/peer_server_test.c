/* SPDX-License-Identifier: MIT */
/* tests/peers/peer_server_test.c - peers of belfry-peer.h on the link of our own server
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <belfry-peer.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/thread.h"
#include "ivshmem/ivshmem.h"
#include "tests/descriptors.h"
#include "tests/unit/unit_test.h"

#define MS          1000000ULL
#define VECTORS     2
#define MEMORY_SIZE (1 << 20)
#define PEERS       8

/* A server on a thread of its own. */
struct server {
	struct bf_loop *loop;
	struct bf_server *server;
	pthread_t thread;
};

struct fixture {
	int fds_before;
	char dir[40];
	char path[56];
	int memory;
	struct server server;
	struct belfry_peer *peer[PEERS];
	unsigned int lost, back, changed;
	unsigned int joined, left;
};

static void *serve(void *arg)
{
	bf_loop_run(arg);
	return NULL;
}

static void start_server(struct fixture *f)
{
	const struct bf_log silent = { 0 };
	const struct bf_server_conf conf = {
		.name = "ring",
		.memory = f->memory,
		.vectors = VECTORS,
		.queue_max = 1000,
	};
	struct server *s = &f->server;

	assert_works(bf_loop_create(&s->loop, &err));
	assert_works(bf_server_create(&s->server, s->loop, &conf, &silent, &err));
	assert_works(bf_server_listen(s->server, f->path, &err));
	assert_int_equal(bf_thread_create(&s->thread, NULL, serve, s->loop), 0);
}

static void stop_server(struct fixture *f)
{
	struct server *s = &f->server;

	if (!s->server)
		return;
	bf_loop_wake(s->loop);
	pthread_join(s->thread, NULL);
	bf_server_destroy(bf_take_ptr(&s->server));
	bf_loop_destroy(bf_take_ptr(&s->loop));
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.fds_before = count_descriptors(),
		.dir = "/tmp/belfry-peer-server-XXXXXX",
		.memory = memfd_create("memory", MFD_CLOEXEC),
	};
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/sock", f.dir);
	assert_int_equal(ftruncate(f.memory, MEMORY_SIZE), 0);
	start_server(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < PEERS; i++)
		belfry_peer_destroy(f->peer[i]);
	stop_server(f);
	bf_close(&f->memory);
	unlink(f->path);
	rmdir(f->dir);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

/* --- what peers are told --- */

static void joined(void *user, uint32_t id)
{
	((struct fixture *)user)->joined++;
}

static void left(void *user, uint32_t id)
{
	((struct fixture *)user)->left++;
}

static void server_lost(void *user, const struct belfry_error *why)
{
	((struct fixture *)user)->lost++;
}

static void server_back(void *user)
{
	((struct fixture *)user)->back++;
}

static void server_changed(void *user, const struct belfry_error *why)
{
	((struct fixture *)user)->changed++;
	assert_string_equal(why->msg, "the memory is another one");
}

static const struct belfry_peer_events events = {
	.size = sizeof(events),
	.joined = joined,
	.left = left,
	.server_lost = server_lost,
	.server_back = server_back,
	.server_changed = server_changed,
};

static void join(struct fixture *f, int i)
{
	const struct belfry_peer_options options = { .size = sizeof(options),
						     .events = &events,
						     .user = f };

	assert_works(belfry_peer_create(&f->peer[i], f->path, &options, &err));
}

/* Process peer @i until *@counter is @wanted, five seconds at most. */
static void until(struct fixture *f, int i, const unsigned int *counter,
		  unsigned int wanted)
{
	struct pollfd ready = { .fd = belfry_peer_fd(f->peer[i]), .events = POLLIN };

	for (int turns = 0; *counter < wanted && turns < 5000; turns++) {
		poll(&ready, 1, 1);
		assert_works(belfry_peer_process(f->peer[i], &err));
	}
	assert_int_equal(*counter, wanted);
}

static struct belfry_peer_info info_of(const struct fixture *f, int i)
{
	struct belfry_peer_info info = { .size = sizeof(info) };

	assert_int_equal(belfry_peer_get_info(f->peer[i], &info), 0);
	return info;
}

/* Peer @from rings every vector of peer @to, which hears exactly that. */
static void assert_rings(struct fixture *f, int from, int to)
{
	struct belfry_ring ring = { .size = sizeof(ring) };

	for (uint32_t v = 0; v < VECTORS; v++) {
		assert_works(belfry_peer_ring(f->peer[from], belfry_peer_id(f->peer[to]),
					      v, &err));
		assert_works(belfry_peer_wait(f->peer[to], BELFRY_ALL, 5000 * MS, &ring,
					      &err));
		assert_int_equal(ring.vector, v);
		assert_int_equal(ring.count, 1);
	}
}

/* --- tests --- */

static void every_peer_rings_every_other(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < PEERS; i++)
		join(f, i);
	until(f, 0, &f->joined, PEERS - 1);
	for (int i = 1; i < PEERS; i++)
		assert_works(belfry_peer_process(f->peer[i], &err));
	for (int from = 0; from < PEERS; from++)
		for (int to = 0; to < PEERS; to++)
			assert_rings(f, from, to);
	assert_int_equal(belfry_peer_ring_all(f->peer[0], BELFRY_ALL, BELFRY_ALL, NULL),
			 (PEERS - 1) * VECTORS);
}

static void what_one_writes_the_others_read(void **state)
{
	struct fixture *f = *state;
	uint64_t size;
	void *map;
	char buf[6] = "";

	join(f, 0);
	join(f, 1);
	assert_works(
		belfry_peer_map(f->peer[0], BELFRY_PEER_READ_ONLY, &map, &size, &err));
	assert_int_equal(size, MEMORY_SIZE);
	assert_works(belfry_peer_write(f->peer[1], 4096, "hello", 6, &err));
	assert_string_equal((char *)map + 4096, "hello");
	assert_works(belfry_peer_read(f->peer[0], 4096, buf, 6, &err));
	assert_string_equal(buf, "hello");
	munmap(map, size);
}

static void who_leaves_is_told_of(void **state)
{
	struct fixture *f = *state;

	join(f, 0);
	join(f, 1);
	until(f, 0, &f->joined, 1);
	belfry_peer_destroy(bf_take_ptr(&f->peer[1]));
	until(f, 0, &f->left, 1);
	assert_int_equal(belfry_peer_next(f->peer[0], 0), -ENOENT);
}

static void a_server_that_starts_again_is_joined_again(void **state)
{
	struct fixture *f = *state;

	join(f, 0);
	stop_server(f);
	until(f, 0, &f->lost, 1);
	assert_int_equal(info_of(f, 0).state, BELFRY_PEER_LOST);
	assert_rings(f, 0, 0);

	start_server(f);
	until(f, 0, &f->back, 1);
	assert_int_equal(info_of(f, 0).state, BELFRY_PEER_JOINED);
	assert_int_equal(info_of(f, 0).reconnects, 1);
	assert_rings(f, 0, 0);
	join(f, 1);
	until(f, 0, &f->joined, 1);
	assert_rings(f, 0, 1);
	assert_rings(f, 1, 0);
}

/* The one that waits is not told to process: waiting is enough. */
static void a_wait_goes_on_while_the_server_starts_again(void **state)
{
	struct fixture *f = *state;
	struct belfry_ring ring = { .size = sizeof(ring) };

	join(f, 0);
	stop_server(f);
	assert_int_equal(belfry_peer_wait(f->peer[0], 1, 20 * MS, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(f->lost, 1);
	start_server(f);
	assert_int_equal(belfry_peer_wait(f->peer[0], 1, 1000 * MS, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(f->back, 1);
	join(f, 1);
	assert_works(belfry_peer_ring(f->peer[1], belfry_peer_id(f->peer[0]), 1, &err));
	assert_works(belfry_peer_wait(f->peer[0], 1, 5000 * MS, &ring, &err));
	assert_int_equal(ring.count, 1);
}

static void another_link_at_the_path_is_left_alone(void **state)
{
	struct fixture *f = *state;

	join(f, 0);
	stop_server(f);
	bf_close(&f->memory);
	f->memory = memfd_create("another", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->memory, MEMORY_SIZE), 0);
	start_server(f);
	until(f, 0, &f->changed, 1);
	assert_int_equal(info_of(f, 0).state, BELFRY_PEER_CHANGED);
	assert_rings(f, 0, 0);
}

static void who_does_not_want_to_come_back_stays_lost(void **state)
{
	struct fixture *f = *state;
	const struct belfry_peer_options options = { .size = sizeof(options),
						     .no_reconnect = 1 };

	assert_works(belfry_peer_create(&f->peer[0], f->path, &options, &err));
	stop_server(f);
	start_server(f);
	assert_int_equal(belfry_peer_wait(f->peer[0], 0, 400 * MS, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(info_of(f, 0).state, BELFRY_PEER_LOST);
	assert_int_equal(info_of(f, 0).tries, 0);
}

/* --- threads and processes --- */

static void *ring_often(void *arg)
{
	for (int i = 0; i < 1000; i++)
		eventfd_write(*(int *)arg, 1);
	return NULL;
}

static void another_thread_may_ring_by_the_eventfd(void **state)
{
	struct fixture *f = *state;
	struct belfry_ring ring = { .size = sizeof(ring) };
	uint64_t heard = 0;
	pthread_t thread;
	int fd;

	join(f, 0);
	fd = belfry_peer_eventfd(f->peer[0], belfry_peer_id(f->peer[0]), 1);
	assert_int_equal(bf_thread_create(&thread, NULL, ring_often, &fd), 0);
	while (heard < 1000) {
		assert_works(
			belfry_peer_wait(f->peer[0], BELFRY_ALL, 5000 * MS, &ring, &err));
		heard += ring.count;
	}
	pthread_join(thread, NULL);
	assert_int_equal(heard, 1000);
}

/* The thread that has made a peer is gone; another goes on with it. */
static void *create_in_thread(void *arg)
{
	join(arg, 0);
	return NULL;
}

static void a_peer_goes_from_thread_to_thread(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(bf_thread_create(&thread, NULL, create_in_thread, f), 0);
	pthread_join(thread, NULL);
	join(f, 1);
	until(f, 0, &f->joined, 1);
	assert_rings(f, 0, 1);
	stop_server(f);
	until(f, 0, &f->lost, 1);
}

static void a_child_does_not_disturb_its_parent(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	join(f, 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	join(f, 1);
	until(f, 0, &f->joined, 1);
	assert_rings(f, 1, 0);
}

static void many_peers_come_and_go_without_a_trace(void **state)
{
	struct fixture *f = *state;
	const int before = count_descriptors();

	join(f, 0);
	for (int i = 0; i < 50; i++) {
		join(f, 1);
		belfry_peer_destroy(bf_take_ptr(&f->peer[1]));
	}
	until(f, 0, &f->left, 50);
	belfry_peer_destroy(bf_take_ptr(&f->peer[0]));
	for (int i = 0; i < 1000 && count_descriptors() != before; i++)
		usleep(1000); /* the server's end */
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(every_peer_rings_every_other),
		TEST(what_one_writes_the_others_read),
		TEST(who_leaves_is_told_of),
		TEST(a_server_that_starts_again_is_joined_again),
		TEST(a_wait_goes_on_while_the_server_starts_again),
		TEST(another_link_at_the_path_is_left_alone),
		TEST(who_does_not_want_to_come_back_stays_lost),
		TEST(another_thread_may_ring_by_the_eventfd),
		TEST(a_peer_goes_from_thread_to_thread),
		TEST(a_child_does_not_disturb_its_parent),
		TEST(many_peers_come_and_go_without_a_trace),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
