/* SPDX-License-Identifier: MIT */
/* tests/peers/peer_api_test.c - the calls of belfry-peer.h, on a link that a fake server
 * makes */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/memfd.h>
#include <linux/seccomp.h>

#include <belfry-peer.h>

#include "base/own.h"
#include "tests/descriptors.h"
#include "tests/peers/fake_server.h"
#include "tests/unit/unit_test.h"

#define MS          1000000ULL
#define OWN_ID      5
#define OTHER_ID    2
#define VECTORS     3
#define MEMORY_SIZE 65536

struct fixture {
	int fds_before;
	int server; /* our end: what is written here is what the peer reads */
	int client; /* its end, until a peer takes it */
	int memory;
	int own[VECTORS];   /* eventfds */
	int other[VECTORS]; /* of the peer OTHER_ID */
	struct belfry_peer *peer;
	char story[512]; /* what callbacks have said: "joined 2, left 2" */
	int from_callback;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .fds_before = count_descriptors() };
	f.server = fake_connect(&f.client);
	f.memory = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f.memory, MEMORY_SIZE), 0);
	for (int v = 0; v < VECTORS; v++) {
		f.own[v] = eventfd(0, EFD_CLOEXEC);
		f.other[v] = eventfd(0, EFD_CLOEXEC);
	}
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	belfry_peer_destroy(f->peer);
	bf_close(&f->server);
	bf_close(&f->client);
	bf_close(&f->memory);
	for (int v = 0; v < VECTORS; v++) {
		bf_close(&f->own[v]);
		bf_close(&f->other[v]);
	}
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void send_vectors(const struct fixture *f, uint16_t id, const int fds[VECTORS])
{
	for (int v = 0; v < VECTORS; v++)
		fake_send(f->server, id, fds[v]);
}

static int create(struct fixture *f, const struct belfry_peer_options *options,
		  struct belfry_error *err)
{
	return belfry_peer_create_fd(&f->peer, bf_take(&f->client), options, err);
}

/* We, who are OWN_ID, join where OTHER_ID is. */
static void join_with(struct fixture *f, const struct belfry_peer_options *options)
{
	fake_greet(f->server, OWN_ID, f->memory);
	send_vectors(f, OTHER_ID, f->other);
	send_vectors(f, OWN_ID, f->own);
	assert_works(create(f, options, &err));
}

static void join(struct fixture *f)
{
	join_with(f, NULL);
}

static unsigned int count_of(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	eventfd_t n = 0;

	if (poll(&ready, 1, 0) == 1)
		eventfd_read(fd, &n);
	return n;
}

static struct belfry_peer_info info_of(const struct fixture *f)
{
	struct belfry_peer_info info = { .size = sizeof(info) };

	assert_int_equal(belfry_peer_get_info(f->peer, &info), 0);
	return info;
}

/* --- callbacks --- */

__attribute__((format(printf, 2, 3))) static void tell(struct fixture *f, const char *fmt,
						       ...)
{
	const size_t len = strlen(f->story);
	va_list ap;

	if (len > 0)
		strcat(f->story, ", ");
	va_start(ap, fmt);
	vsnprintf(f->story + strlen(f->story), 64, fmt, ap);
	va_end(ap);
}

static void joined(void *user, uint32_t id)
{
	tell(user, "joined %u", id);
}

static void vector_added(void *user, uint32_t id, uint32_t vector)
{
	tell(user, "%u.%u", id, vector);
}

static void left(void *user, uint32_t id)
{
	tell(user, "left %u", id);
}

static void rung(void *user, uint32_t vector, uint64_t count)
{
	tell(user, "rung %u x%u", vector, (unsigned int)count);
}

static void server_lost(void *user, const struct belfry_error *why)
{
	tell(user, "lost: %s", why->msg);
}

static const struct belfry_peer_events events = {
	.size = sizeof(events),
	.joined = joined,
	.vector_added = vector_added,
	.left = left,
	.rung = rung,
	.server_lost = server_lost,
};

static struct belfry_peer_options with_events(struct fixture *f)
{
	return (struct belfry_peer_options){
		.size = sizeof(struct belfry_peer_options),
		.events = &events,
		.user = f,
	};
}

/* Until it has nothing more to say. */
static void process(struct fixture *f)
{
	struct pollfd ready = { .fd = belfry_peer_fd(f->peer), .events = POLLIN };

	while (poll(&ready, 1, 20) != 0)
		assert_works(belfry_peer_process(f->peer, &err));
}

/* --- joining --- */

static void a_peer_learns_who_is_there(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, OWN_ID, f->memory);
	send_vectors(f, 700, f->other);
	send_vectors(f, OTHER_ID, f->other);
	send_vectors(f, OWN_ID, f->own);
	assert_works(create(f, NULL, &err));

	assert_int_equal(belfry_peer_id(f->peer), OWN_ID);
	assert_int_equal(belfry_peer_next(f->peer, 0), OTHER_ID);
	assert_int_equal(belfry_peer_next(f->peer, OTHER_ID + 1), 700);
	assert_int_equal(belfry_peer_next(f->peer, 701), -ENOENT);
	assert_int_equal(belfry_peer_next(f->peer, UINT32_MAX), -ENOENT);
	assert_int_equal(belfry_peer_vectors(f->peer, 700), VECTORS);
	assert_int_equal(belfry_peer_vectors(f->peer, OWN_ID), VECTORS);
	assert_int_equal(belfry_peer_vectors(f->peer, 3), -ENOENT);
	assert_int_equal(belfry_peer_vectors(f->peer, 65536 + OWN_ID), -ENOENT);
}

static void what_a_peer_is_can_be_asked(void **state)
{
	struct fixture *f = *state;
	struct belfry_peer_info info;

	join(f);
	belfry_peer_ring(f->peer, OTHER_ID, 1, NULL);
	belfry_peer_ring(f->peer, OWN_ID, 0, NULL);
	belfry_peer_wait(f->peer, 0, 0, NULL, NULL);
	info = info_of(f);
	assert_int_equal(info.state, BELFRY_PEER_JOINED);
	assert_int_equal(info.id, OWN_ID);
	assert_int_equal(info.vectors, VECTORS);
	assert_int_equal(info.peers, 1);
	assert_int_equal(info.memory_size, MEMORY_SIZE);
	assert_int_equal(info.rings, 2);
	assert_int_equal(info.heard, 1);
	assert_int_equal(info.servers_lost, 0);
	info.size--;
	assert_int_equal(belfry_peer_get_info(f->peer, &info), -EINVAL);
}

static void who_is_alone_takes_the_vectors_that_come(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, OWN_ID, f->memory);
	send_vectors(f, OWN_ID, f->own);
	assert_works(create(f, NULL, &err));
	assert_int_equal(belfry_peer_vectors(f->peer, OWN_ID), VECTORS);
	assert_int_equal(info_of(f).peers, 0);
}

static void fewer_vectors_can_be_wanted(void **state)
{
	struct fixture *f = *state;
	const struct belfry_peer_options options = { .size = sizeof(options),
						     .vectors = 1 };

	join_with(f, &options);
	process(f);
	assert_true(belfry_peer_eventfd(f->peer, OWN_ID, 0) >= 0);
	assert_int_equal(belfry_peer_eventfd(f->peer, OWN_ID, 1), -EMFILE);
}

static void every_descriptor_is_close_on_exec(void **state)
{
	struct fixture *f = *state;
	bool before[64];
	int flags;

	for (int fd = 0; fd < 64; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	join(f);
	for (int fd = 0; fd < 64; fd++) {
		flags = fcntl(fd, F_GETFD);
		if (!before[fd] && flags >= 0)
			assert_int_equal(flags, FD_CLOEXEC);
	}
}

/* @options must be refused before the socket is looked at. */
static void refuse(struct fixture *f, const struct belfry_peer_options *options,
		   const char *message)
{
	assert_fails(belfry_peer_create_fd(&f->peer, dup(f->client), options, &err),
		     EINVAL, message);
	assert_null(f->peer);
}

static void options_are_checked(void **state)
{
	struct fixture *f = *state;
	struct belfry_peer_events small = { .size = 8 };
	struct belfry_peer_options options = { .size = sizeof(options) };

	options.reserved = 1;
	refuse(f, &options, "options.reserved: expected 0");
	options.reserved = 0;
	options.vectors = 2049;
	refuse(f, &options, "vectors 2049: at most 2048");
	options.vectors = 0;
	options.events = &small;
	refuse(f, &options, "events.size 8: expected 64 to 4096");
	options.size = 8;
	refuse(f, &options, "options.size 8: expected 64 to 4096");
}

/* As programs see them that were compiled with a later header. */
struct later_options {
	struct belfry_peer_options known;
	uint64_t more;
};

struct later_info {
	struct belfry_peer_info known;
	uint64_t more;
};

static void a_later_programs_structs_are_understood(void **state)
{
	struct fixture *f = *state;
	struct later_options options = { { .size = sizeof(options) }, 1 };
	struct later_info info = { { .size = sizeof(info) }, 1 };

	assert_fails(
		belfry_peer_create(&f->peer, "/no/socket", &options.known, &err), E2BIG,
		"options: byte 64 is set, and libbelfry " BELFRY_VERSION " knows 64");
	options.more = 0;
	join_with(f, &options.known);
	assert_int_equal(belfry_peer_get_info(f->peer, &info.known), 0);
	assert_int_equal(info.known.size, sizeof(info));
	assert_int_equal(info.more, 0);
}

static void null_arguments_are_refused(void **state)
{
	struct belfry_peer *peer;
	struct belfry_peer_info info = { .size = sizeof(info) };
	uint64_t size;
	char c = 0;
	void *map;

	belfry_peer_destroy(NULL);
	assert_fails(belfry_peer_create(&peer, NULL, NULL, &err), EINVAL,
		     "belfry_peer_create: NULL argument");
	assert_fails(belfry_peer_create(NULL, "/x", NULL, &err), EINVAL,
		     "belfry_peer_create: NULL argument");
	assert_fails(belfry_peer_create_fd(NULL, -1, NULL, &err), EINVAL,
		     "belfry_peer_create_fd: NULL argument");
	assert_fails(belfry_peer_create_fd(&peer, -1, NULL, &err), EBADF,
		     "belfry_peer_create_fd: descriptor -1");
	assert_fails(belfry_peer_ring(NULL, 0, 0, &err), EINVAL,
		     "belfry_peer_ring: NULL argument");
	assert_fails(belfry_peer_ring_all(NULL, 0, 0, &err), EINVAL,
		     "belfry_peer_ring_all: NULL argument");
	assert_fails(belfry_peer_wait(NULL, 0, 0, NULL, &err), EINVAL,
		     "belfry_peer_wait: NULL argument");
	assert_fails(belfry_peer_process(NULL, &err), EINVAL,
		     "belfry_peer_process: NULL argument");
	assert_fails(belfry_peer_map(NULL, 0, &map, &size, &err), EINVAL,
		     "belfry_peer_map: NULL argument");
	assert_fails(belfry_peer_read(NULL, 0, &c, 1, &err), EINVAL,
		     "belfry_peer_read: NULL argument");
	assert_fails(belfry_peer_write(NULL, 0, &c, 1, &err), EINVAL,
		     "belfry_peer_write: NULL argument");
	assert_int_equal(belfry_peer_id(NULL), -EINVAL);
	assert_int_equal(belfry_peer_next(NULL, 0), -EINVAL);
	assert_int_equal(belfry_peer_vectors(NULL, 0), -EINVAL);
	assert_int_equal(belfry_peer_eventfd(NULL, 0, 0), -EINVAL);
	assert_int_equal(belfry_peer_fd(NULL), -EINVAL);
	assert_int_equal(belfry_peer_memory_fd(NULL), -EINVAL);
	assert_int_equal(belfry_peer_get_info(NULL, &info), -EINVAL);
}

/* --- servers that do wrong --- */

static void nobody_listens(void **state)
{
	struct fixture *f = *state;
	char path[200];

	assert_fails(belfry_peer_create(&f->peer, "/nonexistent/sock", NULL, &err),
		     ECONNREFUSED,
		     "/nonexistent/sock: nobody listens, start the ivshmem server");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(belfry_peer_create(&f->peer, path, NULL, NULL), -ENAMETOOLONG);
}

static void a_server_that_is_silent_is_given_up(void **state)
{
	struct fixture *f = *state;
	const struct belfry_peer_options options = { .size = sizeof(options),
						     .timeout_ns = 30 * MS };

	assert_fails(create(f, &options, &err), ETIMEDOUT,
		     "server is silent or too slow: its version has not come in 30 ms");
	assert_null(f->peer);
}

static void a_server_of_another_version_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_send(f->server, 1, -1);
	assert_fails(create(f, NULL, &err), EPROTO,
		     "incompatible version: server speaks version 1, this is for version "
		     "0");
}

static void memory_without_a_descriptor_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, OWN_ID, -1);
	assert_fails(create(f, NULL, &err), EPROTO,
		     "server sent no descriptor with the memory");
}

static void memory_that_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, OWN_ID, f->own[0]);
	send_vectors(f, OWN_ID, f->own);
	assert_fails(create(f, NULL, &err), EPROTO,
		     "the server's memory is no file with a size");
}

static void memory_that_is_empty_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->memory, 0), 0);
	fake_greet(f->server, OWN_ID, f->memory);
	send_vectors(f, OWN_ID, f->own);
	assert_fails(create(f, NULL, &err), EPROTO, "the server's memory is empty");
}

static void a_server_that_hangs_up_is_named(void **state)
{
	struct fixture *f = *state;

	fake_greet(f->server, OWN_ID, f->memory);
	bf_close(&f->server);
	assert_fails(create(f, NULL, &err), EPROTO, "server hung up before our vectors");
}

/* --- ringing --- */

static void a_ring_reaches_the_doorbell_it_names(void **state)
{
	struct fixture *f = *state;

	join(f);
	assert_works(belfry_peer_ring(f->peer, OTHER_ID, 1, &err));
	assert_int_equal(count_of(f->other[0]), 0);
	assert_int_equal(count_of(f->other[1]), 1);
	assert_int_equal(count_of(f->other[2]), 0);
}

static void a_doorbell_that_is_not_there_is_an_error(void **state)
{
	struct fixture *f = *state;

	join(f);
	assert_fails(belfry_peer_ring(f->peer, 9, 0, &err), ENOENT,
		     "peer 9 is not on the link");
	assert_fails(belfry_peer_ring(f->peer, 65536 + OTHER_ID, 0, &err), ENOENT,
		     "peer 65538 is not on the link");
	assert_fails(belfry_peer_ring(f->peer, OTHER_ID, 3, &err), ENOENT,
		     "peer 2 has no vector 3: it has 3, from 0 on");
	assert_fails(belfry_peer_ring_all(f->peer, OTHER_ID, 3, &err), ENOENT,
		     "peer 2 has no vector 3: it has 3, from 0 on");
	assert_fails(belfry_peer_ring_all(f->peer, 9, BELFRY_ALL, &err), ENOENT,
		     "peer 9 is not on the link");
	assert_int_equal(info_of(f).rings, 0);
}

static void a_full_doorbell_is_rung_already(void **state)
{
	struct fixture *f = *state;

	join(f);
	eventfd_write(f->other[0], UINT64_MAX - 1);
	assert_works(belfry_peer_ring(f->peer, OTHER_ID, 0, &err));
}

static void all_doorbells_are_rung_but_our_own(void **state)
{
	struct fixture *f = *state;
	BF_CLOSE int single = eventfd(0, EFD_CLOEXEC);

	fake_greet(f->server, OWN_ID, f->memory);
	fake_send(f->server, 1, single);
	send_vectors(f, OTHER_ID, f->other);
	send_vectors(f, OWN_ID, f->own);
	assert_works(create(f, NULL, &err));

	assert_int_equal(belfry_peer_ring_all(f->peer, BELFRY_ALL, BELFRY_ALL, NULL), 4);
	assert_int_equal(count_of(single), 1);
	for (int v = 0; v < VECTORS; v++) {
		assert_int_equal(count_of(f->other[v]), 1);
		assert_int_equal(count_of(f->own[v]), 0);
	}
	assert_int_equal(belfry_peer_ring_all(f->peer, BELFRY_ALL, 2, NULL), 1);
	assert_int_equal(belfry_peer_ring_all(f->peer, OTHER_ID, BELFRY_ALL, NULL), 3);
	assert_int_equal(belfry_peer_ring_all(f->peer, OWN_ID, BELFRY_ALL, NULL), 3);
	assert_int_equal(count_of(f->own[2]), 1);
	assert_int_equal(count_of(f->other[2]), 2);
	assert_int_equal(info_of(f).rings, 11);
}

/* In this mode the kernel kills who calls anything but read, write and exit. */
static void a_ring_is_a_write_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	unsigned int rings = 0;
	pid_t pid;

	join(f);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		for (int i = 0; i < 1000; i++)
			belfry_peer_ring(f->peer, OTHER_ID, 1, NULL);
		syscall(SYS_exit, 0);
	}
	for (int ms = 0; ms < 5000 && rings < 1000; ms++, usleep(1000))
		rings += count_of(f->other[1]);
	kill(pid, SIGKILL); /* a sanitizer's thread may have stayed */
	waitpid(pid, NULL, 0);
	assert_int_equal(rings, 1000);
}

static void the_eventfd_of_a_doorbell_can_be_had(void **state)
{
	struct fixture *f = *state;

	join(f);
	eventfd_write(belfry_peer_eventfd(f->peer, OTHER_ID, 2), 7);
	assert_int_equal(count_of(f->other[2]), 7);
	assert_int_equal(belfry_peer_eventfd(f->peer, OTHER_ID, 3), -ENOENT);
	assert_int_equal(belfry_peer_eventfd(f->peer, 9, 0), -ENOENT);
}

/* --- waiting --- */

static void waiting_takes_what_a_vector_has_counted(void **state)
{
	struct fixture *f = *state;
	struct belfry_ring ring = { .size = sizeof(ring) };

	join(f);
	eventfd_write(f->own[0], 1);
	eventfd_write(f->own[2], 3);
	assert_works(belfry_peer_wait(f->peer, 2, 0, &ring, &err));
	assert_int_equal(ring.vector, 2);
	assert_int_equal(ring.count, 3);
	assert_fails(belfry_peer_wait(f->peer, 2, 0, &ring, &err), ETIMEDOUT,
		     "no ring has come in time");
	assert_works(belfry_peer_wait(f->peer, BELFRY_ALL, 0, &ring, &err));
	assert_int_equal(ring.vector, 0);
	assert_int_equal(ring.count, 1);
	assert_int_equal(belfry_peer_wait(f->peer, BELFRY_ALL, 0, &ring, NULL),
			 -ETIMEDOUT);
}

static void a_busy_vector_does_not_hide_the_others(void **state)
{
	struct fixture *f = *state;
	struct belfry_ring ring = { .size = sizeof(ring) };
	unsigned int heard[VECTORS] = { 0 };

	join(f);
	eventfd_write(f->own[1], 1);
	for (int i = 0; i < 4; i++) {
		eventfd_write(f->own[0], 1);
		assert_works(belfry_peer_wait(f->peer, BELFRY_ALL, 0, &ring, &err));
		heard[ring.vector]++;
	}
	assert_int_equal(heard[1], 1);
}

static void who_cannot_hear_a_vector_cannot_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct belfry_ring ring = { .size = 8 };

	join(f);
	assert_fails(belfry_peer_wait(f->peer, 3, 0, NULL, &err), ENOENT,
		     "peer 5 has no vector 3: it has 3, from 0 on");
	assert_fails(belfry_peer_wait(f->peer, 0, 0, &ring, &err), EINVAL,
		     "ring.size 8: expected 24 to 4096");
}

static void no_signal(int signal)
{
}

static void signals_do_not_end_a_wait(void **state)
{
	struct fixture *f = *state;
	const struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = no_signal }, before;

	join(f);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(belfry_peer_wait(f->peer, BELFRY_ALL, 50 * MS, NULL, NULL),
			 -ETIMEDOUT);
	assert_int_equal(belfry_peer_wait(f->peer, 1, 50 * MS, NULL, NULL), -ETIMEDOUT);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
}

static void waiting_takes_in_what_the_server_says(void **state)
{
	struct fixture *f = *state;
	struct belfry_peer_options options = with_events(f);

	join_with(f, &options);
	fake_send_vectors(f->server, 9, 1);
	fake_send(f->server, OTHER_ID, -1);
	assert_int_equal(belfry_peer_wait(f->peer, 1, 20 * MS, NULL, NULL), -ETIMEDOUT);
	assert_string_equal(f->story, "joined 9, 9.0, left 2");
	fake_send(f->server, 9, -1);
	assert_int_equal(belfry_peer_wait(f->peer, BELFRY_ALL, 20 * MS, NULL, NULL),
			 -ETIMEDOUT);
	assert_string_equal(f->story, "joined 9, 9.0, left 2, left 9");
}

/* --- in an event loop --- */

static void the_descriptor_tells_of_everything(void **state)
{
	struct fixture *f = *state;
	struct belfry_peer_options options = with_events(f);
	struct pollfd ready;

	join_with(f, &options);
	assert_string_equal(f->story, "");
	ready = (struct pollfd){ .fd = belfry_peer_fd(f->peer), .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 20), 0);
	eventfd_write(f->own[1], 2);
	assert_int_equal(poll(&ready, 1, 1000), 1);
	process(f);
	fake_send_vectors(f->server, 9, 2);
	assert_int_equal(poll(&ready, 1, 1000), 1);
	process(f);
	fake_send(f->server, 9, -1);
	process(f);
	bf_close(&f->server);
	process(f);
	assert_string_equal(f->story, "rung 1 x2, joined 9, 9.0, 9.1, left 9, lost: "
				      "server hung up");
	assert_int_equal(info_of(f).state, BELFRY_PEER_LOST);
	assert_int_equal(info_of(f).servers_lost, 1);
	assert_works(belfry_peer_ring(f->peer, OTHER_ID, 0, &err));
}

static void without_a_callback_rings_wait(void **state)
{
	struct fixture *f = *state;
	struct pollfd ready;

	join(f);
	ready = (struct pollfd){ .fd = belfry_peer_fd(f->peer), .events = POLLIN };
	eventfd_write(f->own[1], 2);
	assert_works(belfry_peer_process(f->peer, &err));
	assert_int_equal(poll(&ready, 1, 1000), 1);
	assert_works(belfry_peer_wait(f->peer, BELFRY_ALL, 0, NULL, &err));
	assert_int_equal(poll(&ready, 1, 0), 0);
}

static void call_back_in(void *user, uint32_t id)
{
	struct fixture *f = user;
	struct belfry_error err;

	f->from_callback += belfry_peer_process(f->peer, &err) == -EBUSY;
	assert_string_equal(err.msg, "belfry_peer_process: called by a callback");
	f->from_callback += belfry_peer_wait(f->peer, 0, 0, NULL, &err) == -EBUSY;
	assert_string_equal(err.msg, "belfry_peer_wait: called by a callback");
	f->from_callback += belfry_peer_ring(f->peer, OTHER_ID, 0, NULL) == 0;
	belfry_peer_destroy(f->peer); /* not now */
}

static void a_callback_may_ring_but_not_wait_or_destroy(void **state)
{
	static const struct belfry_peer_events nested = { .size = sizeof(nested),
							  .joined = call_back_in };
	struct fixture *f = *state;
	struct belfry_peer_options options = with_events(f);

	options.events = &nested;
	join_with(f, &options);
	fake_send_vectors(f->server, 9, 1);
	process(f);
	assert_int_equal(f->from_callback, 3);
	assert_int_equal(count_of(f->other[0]), 1);
}

/* --- memory --- */

static void memory_is_mapped_for_all(void **state)
{
	struct fixture *f = *state;
	volatile char *map;
	uint64_t size;
	void *addr;
	char c = 'x';

	join(f);
	assert_works(belfry_peer_map(f->peer, 0, &addr, &size, &err));
	assert_int_equal(size, MEMORY_SIZE);
	map = addr;
	map[size - 1] = 'a';
	assert_int_equal(pread(f->memory, &c, 1, size - 1), 1);
	assert_int_equal(c, 'a');
	belfry_peer_destroy(bf_take_ptr(&f->peer));
	map[0] = 'b';
	assert_int_equal(pread(f->memory, &c, 1, 0), 1);
	assert_int_equal(c, 'b');
	munmap(addr, size);
}

static void memory_can_be_mapped_for_reading_only(void **state)
{
	struct fixture *f = *state;
	uint64_t size;
	void *addr;

	join(f);
	assert_works(belfry_peer_map(f->peer, BELFRY_PEER_READ_ONLY, &addr, &size, &err));
	assert_int_equal(pread(f->memory, addr, 1, 0), -1); /* the kernel may not store */
	assert_int_equal(errno, EFAULT);
	munmap(addr, size);
	assert_fails(belfry_peer_map(f->peer, 2, &addr, &size, &err), EINVAL,
		     "belfry_peer_map: flags 0x2");
}

static void memory_that_may_only_be_read_is_not_written(void **state)
{
	struct fixture *f = *state;
	uint64_t size;
	void *addr;
	char c = 0;

	assert_int_equal(fcntl(f->memory, F_ADD_SEALS, F_SEAL_WRITE), -1); /* no seals */
	bf_close(&f->memory);
	f->memory = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(f->memory, 4096), 0);
	assert_int_equal(fcntl(f->memory, F_ADD_SEALS, F_SEAL_WRITE), 0);
	join(f);
	assert_fails(belfry_peer_write(f->peer, 0, &c, 1, &err), EPERM,
		     "write shared memory at 0: Operation not permitted");
	assert_fails(belfry_peer_map(f->peer, 0, &addr, &size, &err), EPERM,
		     "map 4096 bytes of shared memory: Operation not permitted");
	assert_works(belfry_peer_read(f->peer, 0, &c, 1, &err));
}

static void memory_is_read_and_written_in_place(void **state)
{
	struct fixture *f = *state;
	char buf[6] = "";

	join(f);
	assert_works(belfry_peer_write(f->peer, MEMORY_SIZE - 5, "hello", 5, &err));
	assert_works(belfry_peer_read(f->peer, MEMORY_SIZE - 5, buf, 5, &err));
	assert_string_equal(buf, "hello");
	assert_works(belfry_peer_read(f->peer, MEMORY_SIZE, buf, 0, &err));
	assert_int_equal(pread(f->memory, buf, 5, MEMORY_SIZE - 5), 5);
	assert_string_equal(buf, "hello");
}

static void ranges_are_checked(void **state)
{
	struct fixture *f = *state;
	char buf[8];

	join(f);
	assert_fails(belfry_peer_read(f->peer, 65530, buf, 8, &err), ERANGE,
		     "offset 65530, length 8: the shared memory has 65536 bytes");
	assert_fails(belfry_peer_write(f->peer, 65537, buf, 0, &err), ERANGE,
		     "offset 65537, length 0: the shared memory has 65536 bytes");
	assert_fails(belfry_peer_read(f->peer, UINT64_MAX, buf, 8, &err), ERANGE,
		     "offset 18446744073709551615, length 8: the shared memory has 65536 "
		     "bytes");
}

static void memory_that_shrinks_is_an_error(void **state)
{
	struct fixture *f = *state;
	char buf[8] = "";

	join(f);
	assert_int_equal(ftruncate(f->memory, 4096), 0);
	assert_fails(belfry_peer_read(f->peer, 4092, buf, 8, &err), EIO,
		     "the shared memory has been truncated, from 64k to 4k");
	assert_fails(belfry_peer_write(f->peer, 8192, buf, 8, &err), EIO,
		     "the shared memory has been truncated, from 64k to 4k");
	assert_int_equal(lseek(f->memory, 0, SEEK_END), 4096); /* and not regrown */
	assert_works(belfry_peer_read(f->peer, 0, buf, 8, &err));
}

#define POOL      "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define HUGE_PAGE (2 << 20)

/* Set so many huge pages aside. Return: how many there were; -1: it does not work. */
static int set_pool(int n)
{
	int before = -1, now = -1;
	FILE *pool = fopen(POOL, "r+");

	if (!pool)
		return -1;
	if (fscanf(pool, "%d", &before) != 1)
		before = -1;
	rewind(pool);
	fprintf(pool, "%d\n", n);
	fflush(pool);
	rewind(pool);
	if (fscanf(pool, "%d", &now) != 1 || now != n)
		before = -1;
	fclose(pool);
	return before;
}

/* hugetlbfs has no write(2). */
static void huge_pages_are_written_too(void **state)
{
	struct fixture *f = *state;
	const int before = set_pool(2);
	char buf[8] = "";

	if (before < 0)
		skip(); /* not root, or this host has none */
	bf_close(&f->memory);
	f->memory = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	assert_int_equal(ftruncate(f->memory, 2 * HUGE_PAGE), 0);
	join(f);
	assert_works(belfry_peer_write(f->peer, HUGE_PAGE - 3, "across", 7, &err));
	assert_works(belfry_peer_read(f->peer, HUGE_PAGE - 3, buf, 7, &err));
	assert_string_equal(buf, "across");
	assert_int_equal(ftruncate(f->memory, HUGE_PAGE), 0);
	assert_fails(belfry_peer_write(f->peer, HUGE_PAGE - 3, "across", 7, &err), EIO,
		     "the shared memory has been truncated, from 4M to 2M");
	belfry_peer_destroy(bf_take_ptr(&f->peer));
	bf_close(&f->memory);
	set_pool(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_peer_learns_who_is_there),
		TEST(what_a_peer_is_can_be_asked),
		TEST(who_is_alone_takes_the_vectors_that_come),
		TEST(fewer_vectors_can_be_wanted),
		TEST(every_descriptor_is_close_on_exec),
		TEST(options_are_checked),
		TEST(a_later_programs_structs_are_understood),
		TEST(null_arguments_are_refused),
		TEST(nobody_listens),
		TEST(a_server_that_is_silent_is_given_up),
		TEST(a_server_of_another_version_is_refused),
		TEST(memory_without_a_descriptor_is_refused),
		TEST(memory_that_is_no_file_is_refused),
		TEST(memory_that_is_empty_is_refused),
		TEST(a_server_that_hangs_up_is_named),
		TEST(a_ring_reaches_the_doorbell_it_names),
		TEST(a_doorbell_that_is_not_there_is_an_error),
		TEST(a_full_doorbell_is_rung_already),
		TEST(all_doorbells_are_rung_but_our_own),
		TEST(a_ring_is_a_write_and_nothing_else),
		TEST(the_eventfd_of_a_doorbell_can_be_had),
		TEST(waiting_takes_what_a_vector_has_counted),
		TEST(a_busy_vector_does_not_hide_the_others),
		TEST(who_cannot_hear_a_vector_cannot_wait_for_it),
		TEST(signals_do_not_end_a_wait),
		TEST(waiting_takes_in_what_the_server_says),
		TEST(the_descriptor_tells_of_everything),
		TEST(without_a_callback_rings_wait),
		TEST(a_callback_may_ring_but_not_wait_or_destroy),
		TEST(memory_is_mapped_for_all),
		TEST(memory_can_be_mapped_for_reading_only),
		TEST(memory_that_may_only_be_read_is_not_written),
		TEST(memory_is_read_and_written_in_place),
		TEST(ranges_are_checked),
		TEST(memory_that_shrinks_is_an_error),
		TEST(huge_pages_are_written_too),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
