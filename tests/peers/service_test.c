/* SPDX-License-Identifier: MIT */
/* tests/peers/service_test.c - belfry-server.h: a server inside a process that polls */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/capability.h>

#include <belfry-server.h>

#include "base/own.h"
#include "ivshmem/wire.h"
#include "tests/descriptors.h"
#include "tests/unit/unit_test.h"

#define HELD_MAX 16

struct fixture {
	int fds_before;
	struct belfry_config *cfg;
	struct belfry_server *server;
	struct belfry_server *first; /* that another follows */
	struct belfry_error err;
	char log[8192];
	char dir[40];
	char path[64];

	struct belfry_named_fd held[HELD_MAX]; /* a store; names are malloc'ed */
	unsigned int n_held;
	int refuse; /* what keep() says to clients */
};

static void log_line(void *user, enum belfry_log_level level, const char *line)
{
	struct fixture *f = user;
	size_t len = strlen(f->log);

	snprintf(f->log + len, sizeof(f->log) - len, "%s\n", line);
}

static void set(struct fixture *f, const char *key, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "servers.ring.%s", key);
	assert_int_equal(belfry_config_set(f->cfg, path, value, &f->err), 0);
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .fds_before = count_descriptors(),
			      .dir = "/tmp/belfry-service-XXXXXX" };
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/sock", f.dir);
	*state = &f;
	assert_int_equal(belfry_config_create(&f.cfg, &f.err), 0);
	belfry_config_set_log(f.cfg, log_line, &f, BELFRY_LOG_DEBUG);
	set(&f, "path", f.path);
	set(&f, "size", "64k");
	return 0;
}

static void drop(void *user, const char *name)
{
	struct fixture *f = user;

	for (unsigned int i = 0; i < f->n_held; i++) {
		if (strcmp(f->held[i].name, name) != 0)
			continue;
		close(f->held[i].fd);
		free((char *)f->held[i].name);
		f->held[i--] = f->held[--f->n_held];
	}
}

static void forget_all(struct fixture *f)
{
	for (; f->n_held > 0; f->n_held--) {
		close(f->held[f->n_held - 1].fd);
		free((char *)f->held[f->n_held - 1].name);
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	belfry_server_destroy(f->server);
	belfry_server_destroy(f->first);
	belfry_config_destroy(f->cfg);
	forget_all(f);
	if (rmdir(f->dir) < 0)
		return -1;
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void start(struct fixture *f)
{
	assert_int_equal(belfry_server_create(f->cfg, "ring", &f->server, &f->err), 0);
	assert_int_equal(belfry_server_process(f->server, &f->err), 0);
}

/* As a program with a loop of its own does: until nothing happens for a while. */
static void run(struct fixture *f)
{
	struct pollfd fd = { .fd = belfry_server_fd(f->server), .events = POLLIN };

	while (poll(&fd, 1, 30) > 0)
		assert_int_equal(belfry_server_process(f->server, &f->err), 0);
}

static int connect_client(struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, f->path, strlen(f->path));
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

/* What a client has been sent: "0 1 -1+ 0+"; descriptors are closed. */
static const char *heard(int sock)
{
	static char story[256];
	struct bf_wire_msg msg;
	struct bf_wire_rx rx;

	story[0] = '\0';
	bf_wire_rx_init(&rx);
	while (recvmsg(sock, bf_wire_rx_hdr(&rx), MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 8) {
		size_t len = strlen(story);

		bf_wire_rx_done(&rx, 8, &msg);
		snprintf(story + len, sizeof(story) - len, "%s%d%s", len ? " " : "",
			 (int)msg.value, msg.fd >= 0 ? "+" : "");
		bf_close(&msg.fd);
	}
	return story;
}

/* --- the loop --- */

static void a_program_that_polls_serves_clients(void **state)
{
	struct fixture *f = *state;

	start(f);
	BF_CLOSE int a = connect_client(f);
	run(f);
	assert_string_equal(heard(a), "0 0 -1+ 0+");
	BF_CLOSE int b = connect_client(f);
	run(f);
	assert_string_equal(heard(b), "0 1 -1+ 0+ 1+");
	assert_string_equal(heard(a), "1+");
	bf_close(&b);
	run(f);
	assert_string_equal(heard(a), "1");
}

static void a_thread_of_the_librarys_serves_them_as_well(void **state)
{
	struct fixture *f = *state;
	struct pollfd fd = { .events = POLLIN };

	assert_int_equal(belfry_server_create(f->cfg, "ring", &f->server, &f->err), 0);
	assert_int_equal(belfry_server_start(f->server, &f->err), 0);
	assert_fails(belfry_server_start(f->server, &err), EBUSY, "ring: started before");
	assert_fails(belfry_server_process(f->server, &err), EBUSY,
		     "ring: a thread processes it");
	BF_CLOSE int a = connect_client(f);
	fd.fd = a;
	assert_int_equal(poll(&fd, 1, 5000), 1);
}

static void a_socketpair_is_let_in_whatever_the_policy(void **state)
{
	struct fixture *f = *state;
	int ends[2];

	set(f, "allow_uids", "12345");
	start(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(belfry_server_add(f->server, ends[1], &f->err), 0);
	assert_string_equal(heard(ends[0]), "0 0 -1+ 0+");
	close(ends[0]);
	run(f);
	assert_non_null(strstr(f->log, "ring: peer 0 has left\n"));
}

static void what_is_no_stream_socket_is_not_let_in(void **state)
{
	struct fixture *f = *state;
	char want[80];
	int ends[2];

	start(f);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	snprintf(want, sizeof(want), "descriptor %d: Socket operation on non-socket",
		 ends[1]);
	assert_fails(belfry_server_add(f->server, ends[1], &err), ENOTSOCK, want);
	assert_int_equal(fcntl(ends[1], F_GETFD), -1); /* closed */
	close(ends[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
	snprintf(want, sizeof(want), "descriptor %d is no AF_UNIX stream socket",
		 ends[1]);
	assert_fails(belfry_server_add(f->server, ends[1], &err), EINVAL, want);
	close(ends[0]);
	assert_int_equal(belfry_server_peers(f->server, NULL, 0), 0);
}

static void *add_one(void *arg)
{
	struct fixture *f = arg;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
	    belfry_server_add(f->server, ends[1], NULL) < 0)
		return NULL;
	close(ends[0]);
	return f;
}

static void what_another_thread_has_added_is_attended_to(void **state)
{
	struct fixture *f = *state;
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	pthread_t thread;
	void *worked;

	start(f);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(pthread_create(&thread, NULL, add_one, f), 0);
		pthread_join(thread, &worked);
		assert_non_null(worked);
	}
	run(f);
	assert_int_equal(belfry_server_stats(f->server, &stats), 0);
	assert_int_equal(stats.joined, 10);
	assert_int_equal(stats.left, 10);
	assert_int_equal(stats.peers, 0);
}

/* --- what it says --- */

static void peers_and_figures_are_told(void **state)
{
	struct fixture *f = *state;
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	struct belfry_server_peer peers[2] = { { .size = sizeof(peers[0]) } };
	struct stat st;
	char *text;

	set(f, "vectors", "3");
	start(f);
	BF_CLOSE int a = connect_client(f);
	assert_true(a >= 0);
	BF_CLOSE int b = connect_client(f);
	assert_true(b >= 0);
	run(f);
	assert_int_equal(belfry_server_peers(f->server, NULL, 0), 2);
	assert_int_equal(belfry_server_peers(f->server, NULL, 1), -EINVAL);
	assert_int_equal(belfry_server_peers(f->server, peers, 2), 2);
	assert_int_equal(peers[1].size, sizeof(peers[1]));
	assert_int_equal(peers[1].id, 1);
	assert_int_equal(peers[1].vectors, 3);
	assert_int_equal(peers[1].pid, getpid());
	assert_int_equal(peers[1].uid, getuid());
	assert_int_equal(belfry_server_stats(f->server, &stats), 0);
	assert_int_equal(stats.messages, 2 * 3 + 4 * 3);
	stats.size = 8;
	assert_int_equal(belfry_server_stats(f->server, &stats), -EINVAL);
	assert_int_equal(fstat(belfry_server_memory(f->server), &st), 0);
	assert_int_equal(st.st_size, 64 << 10);
	assert_int_equal(
		belfry_server_status(f->server, BELFRY_STATUS_PROMETHEUS, &text, &f->err),
		0);
	assert_non_null(strstr(text, "\nbelfry_server_peers{server=\"ring\"} 2\n"));
	free(text);
	assert_fails(belfry_server_status(f->server, 7, &text, &err), EINVAL,
		     "status format 7: expected 0 to 1");
}

/* Structs of a header where they have something more at the end. */
static void peers_are_told_to_programs_of_a_later_header(void **state)
{
	struct fixture *f = *state;
	struct {
		struct belfry_server_peer peer;
		uint64_t more;
	} peers[3] = { { .peer.size = sizeof(peers[0]), .more = 5 } };

	start(f);
	BF_CLOSE int a = connect_client(f);
	assert_true(a >= 0);
	BF_CLOSE int b = connect_client(f);
	assert_true(b >= 0);
	run(f);
	peers[2].more = 7;
	assert_int_equal(belfry_server_peers(f->server, &peers[0].peer, 2), 2);
	assert_int_equal(peers[0].more, 0);
	assert_int_equal(peers[1].peer.id, 1);
	assert_int_equal(peers[1].peer.size, sizeof(peers[1]));
	assert_int_equal(peers[2].more, 7);
	peers[0].peer.size = 8;
	assert_int_equal(belfry_server_peers(f->server, &peers[0].peer, 1), -EINVAL);
}

static void nobody_can_change_the_size_of_the_memory(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(fcntl(belfry_server_memory(f->server), F_GET_SEALS),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static void capacity_follows_the_limit_of_descriptors(void **state)
{
	struct fixture *f = *state;
	rlim_t old;

	set(f, "vectors", "4");
	start(f);
	old = limit_descriptors(133);
	assert_int_equal(belfry_server_capacity(f->server), 16);
	limit_descriptors(old);
	set(f, "clients_max", "3");
	assert_int_equal(belfry_server_reload(f->server, f->cfg, "ring", &f->err), 0);
	assert_int_equal(belfry_server_capacity(f->server), 3);
}

static void a_client_can_be_dropped(void **state)
{
	struct fixture *f = *state;

	start(f);
	BF_CLOSE int a = connect_client(f);
	assert_true(a >= 0);
	BF_CLOSE int b = connect_client(f);
	run(f);
	heard(b);
	assert_int_equal(belfry_server_drop(f->server, 0, "no more", &f->err), 0);
	run(f);
	assert_string_equal(heard(b), "0");
	assert_non_null(strstr(f->log, "ring: peer 0 dropped: no more\n"));
	assert_fails(belfry_server_drop(f->server, 0, "no more", &err), ENOENT,
		     "ring: there is no peer 0");
}

/* --- changes --- */

static void reloading_changes_who_may_join(void **state)
{
	struct fixture *f = *state;

	start(f);
	BF_CLOSE int a = connect_client(f);
	run(f);
	set(f, "allow_uids", "12345-12346");
	set(f, "vectors", "2");
	assert_int_equal(belfry_server_reload(f->server, f->cfg, "ring", &f->err), 0);
	assert_non_null(strstr(f->log, "ring: vectors stays as it is"));
	BF_CLOSE int b = connect_client(f);
	run(f);
	assert_string_equal(heard(b), "");
	assert_non_null(strstr(f->log, "a client was refused: "));
	assert_string_equal(heard(a), "0 0 -1+ 0+");
	assert_fails(belfry_server_reload(f->server, f->cfg, "bell", &err), ENOENT,
		     "servers.bell: there is no such server");
}

static void reloading_changes_what_those_present_are_granted(void **state)
{
	struct fixture *f = *state;

	set(f, "vectors", "1000");
	set(f, "queue", "1M");
	set(f, "stall", "1"); /* it is looked at eight times in a second */
	start(f);
	BF_CLOSE int a = connect_client(f);
	assert_true(a >= 0);
	BF_CLOSE int b = connect_client(f);
	assert_true(b >= 0);
	run(f);
	assert_null(strstr(f->log, "dropped")); /* more waits than a socket takes */
	set(f, "queue", "4k");
	assert_int_equal(belfry_server_reload(f->server, f->cfg, "ring", &f->err), 0);
	for (int i = 0; i < 100 && !strstr(f->log, "dropped"); i++)
		run(f);
	assert_non_null(strstr(f->log, "peer 0 dropped: it does not read, "));
	assert_null(strstr(f->log, "peer 1 dropped")); /* told so much when it joined */
}

/* --- outliving the process --- */

static int keep(void *user, const char *name, int fd)
{
	struct fixture *f = user;

	if (f->refuse && *name == 'p')
		return f->refuse;
	assert_true(f->n_held < HELD_MAX);
	f->held[f->n_held++] =
		(struct belfry_named_fd){ strdup(name), fcntl(fd, F_DUPFD_CLOEXEC, 0) };
	return 0;
}

static void use_store(struct fixture *f, int holds)
{
	const struct belfry_server_store store = { sizeof(store), keep, drop, f };

	assert_int_equal(belfry_server_set_store(f->server, &store, holds, &f->err), 0);
}

/* A server of what is held, the one before being gone or not. */
static void resume(struct fixture *f)
{
	struct belfry_named_fd fds[HELD_MAX];

	for (unsigned int i = 0; i < f->n_held; i++)
		fds[i] = (struct belfry_named_fd){
			f->held[i].name, fcntl(f->held[i].fd, F_DUPFD_CLOEXEC, 0)
		};
	assert_int_equal(
		belfry_server_resume(f->cfg, "ring", fds, f->n_held, &f->server, &f->err),
		0);
	assert_int_equal(belfry_server_process(f->server, &f->err), 0);
}

static int hand(void *user, const char *name, int fd)
{
	return name ? keep(user, name, fd) : 0;
}

/* The first server is a dead one's: it must not run once the second does. */
static void a_successor_goes_on_with_the_same_clients(void **state)
{
	struct fixture *f = *state;
	struct belfry_server *first;

	start(f);
	BF_CLOSE int a = connect_client(f);
	BF_CLOSE int b = connect_client(f);
	run(f);
	assert_string_equal(heard(a), "0 0 -1+ 0+ 1+");
	assert_int_equal(belfry_server_handover(f->server, hand, f, &f->err), 0);
	assert_int_equal(f->n_held, 6);

	first = f->server;
	resume(f);
	BF_CLOSE int c = connect_client(f);
	run(f);
	assert_string_equal(heard(a), "2+");
	assert_string_equal(heard(b), "0 1 -1+ 0+ 1+ 2+");
	assert_string_equal(heard(c), "0 2 -1+ 0+ 1+ 2+");
	belfry_server_destroy(bf_take_ptr(&f->server));
	belfry_server_destroy(first);
}

static void the_store_has_what_there_is_and_no_more(void **state)
{
	struct fixture *f = *state;

	start(f);
	use_store(f, 0);
	assert_int_equal(f->n_held, 4);
	BF_CLOSE int a = connect_client(f);
	BF_CLOSE int b = connect_client(f);
	assert_true(b >= 0);
	run(f);
	assert_int_equal(f->n_held, 6);
	bf_close(&a);
	run(f);
	assert_int_equal(f->n_held, 5);
	belfry_server_destroy(bf_take_ptr(&f->server));
	assert_int_equal(f->n_held, 0);
}

static void a_client_that_the_store_does_not_take_is_refused(void **state)
{
	struct fixture *f = *state;

	start(f);
	use_store(f, 0);
	f->refuse = -ENOSPC;
	BF_CLOSE int a = connect_client(f);
	run(f);
	assert_string_equal(heard(a), "");
	assert_non_null(strstr(f->log, "a client was refused: "));
	assert_non_null(strstr(f->log, "handing over p0: No space left on device\n"));
	f->refuse = 0;
	BF_CLOSE int b = connect_client(f);
	run(f);
	assert_string_equal(heard(b), "0 0 -1+ 0+");
}

static void a_client_that_the_store_has_no_room_for_waits(void **state)
{
	struct fixture *f = *state;

	start(f);
	use_store(f, 0);
	f->refuse = -ETOOMANYREFS;
	BF_CLOSE int a = connect_client(f);
	for (int i = 0; i < 10; i++) { /* run() would wait for the end of it */
		poll(NULL, 0, 5);
		assert_int_equal(belfry_server_process(f->server, &f->err), 0);
	}
	assert_string_equal(heard(a), "");
	assert_non_null(
		strstr(f->log, "newcomers have to wait: ring: handing over p0: "));
	assert_null(strstr(f->log, "refused"));
	f->refuse = 0;
	run(f);
	assert_string_equal(heard(a), "0 0 -1+ 0+");
	assert_int_equal(f->n_held, 5);
}

static void a_handover_that_fails_leaves_all_as_it_was(void **state)
{
	struct fixture *f = *state;

	start(f);
	BF_CLOSE int a = connect_client(f);
	run(f);
	f->refuse = -ENOMEM;
	assert_fails(belfry_server_handover(f->server, hand, f, &err), ENOMEM,
		     "ring: handing over p0: Cannot allocate memory");
	BF_CLOSE int b = connect_client(f);
	assert_true(b >= 0);
	run(f);
	assert_string_equal(heard(a), "0 0 -1+ 0+ 1+");
}

static int refuse_to_follow(void *user, const char *name, int fd)
{
	return name ? 0 : -ENOENT;
}

static void files_are_there_again_when_nobody_follows(void **state)
{
	struct fixture *f = *state;
	char pid[80];

	snprintf(pid, sizeof(pid), "%s.pid", f->path);
	set(f, "pid_file", pid);
	start(f);
	set(f, "pid_file", "/nonexistent/elsewhere");
	assert_int_equal(belfry_server_reload(f->server, f->cfg, "ring", &f->err), 0);
	assert_int_equal(belfry_server_handover(f->server, refuse_to_follow, f, &f->err),
			 -ENOENT);
	assert_int_equal(access(pid, F_OK), 0);
	belfry_server_destroy(bf_take_ptr(&f->server));
	assert_int_equal(access(pid, F_OK), -1);
}

static void a_successor_without_state_begins_anew(void **state)
{
	struct fixture *f = *state;
	struct belfry_server *first;

	start(f);
	BF_CLOSE int a = connect_client(f);
	assert_true(a >= 0);
	run(f);
	belfry_server_handover(f->server, hand, f, &f->err);
	drop(f, "memory");
	first = f->server;
	resume(f);
	assert_non_null(strstr(f->log, "ring: begins anew: of the server before, the "
				       "memory is lost\n"));
	use_store(f, 1);
	assert_int_equal(f->n_held, 4); /* p0 is dropped */
	belfry_server_destroy(bf_take_ptr(&f->server));
	belfry_server_destroy(first);
}

/* Clear, or set again, what we have of CAP_SYS_RESOURCE and CAP_SYS_ADMIN. */
static void set_capabilities(bool on)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const uint32_t some = 1U << CAP_SYS_RESOURCE | 1U << CAP_SYS_ADMIN;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[0].effective = on ? data[0].permitted : data[0].effective & ~some;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void with_a_store_capacity_follows_what_may_be_in_flight(void **state)
{
	struct fixture *f = *state;
	unsigned int before, after;
	rlim_t old;

	set(f, "vectors", "4");
	start(f);
	old = limit_descriptors(32 + 150);
	set_capabilities(false);
	before = belfry_server_capacity(f->server);
	use_store(f, 0);
	after = belfry_server_capacity(f->server);
	set_capabilities(true);
	limit_descriptors(old);
	assert_int_equal(before, 150 / 6);
	assert_int_equal(after, 150 / 15);
}

/* --- files --- */

static bool has_shm(const char *name)
{
	BF_CLOSE int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);

	return fd >= 0;
}

static void a_server_that_cannot_start_leaves_no_shared_memory(void **state)
{
	struct fixture *f = *state;
	char name[40];

	snprintf(name, sizeof(name), "/belfry-service-%d", getpid());
	set(f, "shm", name);
	set(f, "allow_uids", "nobody-at-all");
	assert_int_equal(belfry_server_create(f->cfg, "ring", &f->server, &f->err),
			 -EINVAL);
	assert_false(has_shm(name));
}

static void a_successor_removes_no_memory_but_its_own(void **state)
{
	struct fixture *f = *state;
	struct belfry_server *first;
	char own[40], theirs[48];

	snprintf(own, sizeof(own), "/belfry-service-%d", getpid());
	snprintf(theirs, sizeof(theirs), "%s-theirs", own);
	set(f, "shm", own);
	start(f);
	assert_int_equal(belfry_server_handover(f->server, hand, f, &f->err), 0);
	BF_CLOSE int fd = shm_open(theirs, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	set(f, "shm", theirs);
	first = f->server;
	resume(f);
	belfry_server_destroy(bf_take_ptr(&f->server));
	assert_true(has_shm(theirs));
	belfry_server_destroy(first);
	assert_false(has_shm(own));
	shm_unlink(theirs);
}

static void a_successor_is_who_the_lock_file_names(void **state)
{
	struct fixture *f = *state;
	struct belfry_server *first;
	char path[80], text[16] = "";

	start(f);
	assert_int_equal(belfry_server_handover(f->server, hand, f, &f->err), 0);
	snprintf(path, sizeof(path), "%s.lock", f->path);
	BF_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "123456789\n", 10, 0), 10);
	first = f->server;
	resume(f);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_int_equal(strtol(text, NULL, 10), getpid());
	belfry_server_destroy(bf_take_ptr(&f->server));
	belfry_server_destroy(first);
}

static void the_most_vectors_are_handed_over(void **state)
{
	struct fixture *f = *state;
	struct belfry_server *first;

	set(f, "vectors", "2048");
	start(f);
	BF_CLOSE int a = connect_client(f);
	run(f);
	assert_int_equal(belfry_server_handover(f->server, hand, f, &f->err), 0);
	first = f->server;
	resume(f);
	assert_int_equal(belfry_server_peers(f->server, NULL, 0), 1);
	assert_true(a >= 0);
	belfry_server_destroy(bf_take_ptr(&f->server));
	belfry_server_destroy(first);
}

/* --- errors --- */

static int call_back(void *user, const char *name, int fd)
{
	struct fixture *f = user;
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	struct belfry_server_store store = { sizeof(store), keep, drop, f };
	char *text;

	assert_fails(belfry_server_process(f->server, &err), EDEADLK,
		     "ring: called by a callback");
	assert_int_equal(belfry_server_start(f->server, NULL), -EDEADLK);
	assert_int_equal(belfry_server_add(f->server, dup(0), NULL), -EDEADLK);
	assert_int_equal(belfry_server_drop(f->server, 0, "why", NULL), -EDEADLK);
	assert_int_equal(belfry_server_peers(f->server, NULL, 0), -EDEADLK);
	assert_int_equal(belfry_server_stats(f->server, &stats), -EDEADLK);
	assert_int_equal(belfry_server_status(f->server, 0, &text, NULL), -EDEADLK);
	assert_int_equal(belfry_server_reload(f->server, f->cfg, "ring", NULL), -EDEADLK);
	assert_int_equal(belfry_server_set_store(f->server, &store, 0, NULL), -EDEADLK);
	assert_int_equal(belfry_server_handover(f->server, hand, f, NULL), -EDEADLK);
	assert_true(belfry_server_capacity(f->server) > 0);
	assert_true(belfry_server_fd(f->server) >= 0);
	assert_true(belfry_server_memory(f->server) >= 0);
	belfry_server_destroy(f->server); /* not now */
	return 0;
}

static void what_a_callback_calls_is_refused(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(belfry_server_handover(f->server, call_back, f, &f->err), 0);
	BF_CLOSE int client = connect_client(f);
	assert_true(client >= 0);
	run(f);
	assert_int_equal(belfry_server_peers(f->server, NULL, 0), 1);
}

static void mistakes_of_the_caller_are_errors(void **state)
{
	struct fixture *f = *state;
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	struct belfry_server_store store = { .size = 1 };
	struct belfry_server *s;
	char *text;

	assert_fails(belfry_server_create(NULL, "ring", &s, &err), EINVAL,
		     "belfry_server_create: NULL argument");
	assert_fails(belfry_server_create(f->cfg, "bell", &s, &err), ENOENT,
		     "servers.bell: there is no such server");
	assert_int_equal(belfry_server_process(NULL, &f->err), -EINVAL);
	assert_int_equal(belfry_server_start(NULL, &f->err), -EINVAL);
	assert_int_equal(belfry_server_fd(NULL), -EINVAL);
	assert_int_equal(belfry_server_memory(NULL), -EINVAL);
	assert_int_equal(belfry_server_capacity(NULL), 0);
	assert_int_equal(belfry_server_peers(NULL, NULL, 0), -EINVAL);
	assert_int_equal(belfry_server_stats(NULL, &stats), -EINVAL);
	assert_int_equal(belfry_server_status(NULL, 0, &text, &f->err), -EINVAL);
	assert_int_equal(belfry_server_reload(NULL, f->cfg, "ring", &f->err), -EINVAL);
	assert_int_equal(belfry_server_drop(NULL, 0, "", &f->err), -EINVAL);
	assert_int_equal(belfry_server_handover(NULL, hand, f, &f->err), -EINVAL);
	belfry_server_destroy(NULL);
	start(f);
	assert_fails(belfry_server_add(f->server, -1, &err), EINVAL,
		     "belfry_server_add: a negative descriptor");
	assert_int_equal(belfry_server_set_store(f->server, &store, 0, &f->err), -EINVAL);
}

static void a_second_server_at_the_path_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct belfry_server *s;
	char want[160];

	start(f);
	assert_int_equal(belfry_server_create(f->cfg, "ring", &s, &f->err), -EADDRINUSE);
	snprintf(want, sizeof(want), "%s.lock: process %d serves there", f->path,
		 getpid());
	assert_string_equal(f->err.msg, want);
	BF_CLOSE int a = connect_client(f);
	run(f);
	assert_string_equal(heard(a), "0 0 -1+ 0+");
}

static void a_socket_that_listens_can_be_given(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	BF_CLOSE int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(belfry_config_set_fd(f->cfg, "servers.ring.path", sock, &f->err),
			 0);
	assert_int_equal(belfry_server_create(f->cfg, "ring", &f->server, &f->err),
			 -EINVAL);
	assert_non_null(strstr(f->err.msg, " is no listening AF_UNIX socket"));

	memcpy(sa.sun_path, f->path, strlen(f->path));
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(sock, 8), 0);
	start(f);
	BF_CLOSE int a = connect_client(f);
	run(f);
	assert_string_equal(heard(a), "0 0 -1+ 0+");
	belfry_server_destroy(bf_take_ptr(&f->server));
	assert_int_equal(unlink(f->path), 0); /* it was not the server's */
}

/* --- what was handed over may be anything --- */

static void take_back(struct fixture *f, const char *name, int fd)
{
	drop(f, name);
	if (fd >= 0)
		f->held[f->n_held++] = (struct belfry_named_fd){ strdup(name), fd };
}

static void hand_over_two(struct fixture *f, int client[2])
{
	start(f);
	for (int i = 0; i < 2; i++)
		client[i] = connect_client(f);
	run(f);
	assert_int_equal(belfry_server_handover(f->server, hand, f, &f->err), 0);
	f->first = bf_take_ptr(&f->server);
}

static void a_client_of_other_descriptors_has_left(void **state)
{
	struct fixture *f = *state;
	int client[2], pair[2];

	hand_over_two(f, client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[0]);
	take_back(f, "p0", pair[1]); /* no carrier */
	resume(f);
	assert_non_null(strstr(f->log, "peer 0 dropped: its descriptors were lost\n"));
	assert_string_equal(heard(client[1]), "0 1 -1+ 0+ 1+ 0");
	for (int i = 0; i < 2; i++)
		close(client[i]);
	run(f);
}

static void a_client_that_was_handed_over_twice_has_left(void **state)
{
	struct fixture *f = *state;
	int client[2];

	hand_over_two(f, client);
	for (unsigned int i = 0; i < f->n_held; i++)
		if (strcmp(f->held[i].name, "p1") == 0)
			keep(f, "p0", f->held[i].fd);
	resume(f);
	assert_non_null(strstr(f->log, "ring: p0 was handed over twice\n"));
	assert_non_null(strstr(f->log, "peer 0 dropped: its descriptors were lost\n"));
	for (int i = 0; i < 2; i++)
		close(client[i]);
	run(f);
}

static void anything_else_in_the_place_of_a_part_is_noticed(void **state)
{
	static const struct {
		const char *name;
		const char *log;
		bool frees_path; /* the first must be gone */
	} parts[] = {
		{ "memory", "what was handed over as memory is something else\n" },
		{ "state", "begins anew: of the server before, the state is no file\n" },
		{ "listen", "what was handed over to listen at is something else\n",
		  true },
		{ "lock", "the lock is no file\n", true },
	};
	struct fixture *f = *state;
	int client[2];

	for (size_t i = 0; i < BF_ARRAY_LEN(parts); i++) {
		hand_over_two(f, client);
		take_back(f, parts[i].name, eventfd(0, EFD_CLOEXEC));
		if (parts[i].frees_path)
			belfry_server_destroy(bf_take_ptr(&f->first));
		resume(f);
		assert_non_null(strstr(f->log, parts[i].log));
		assert_string_equal(heard(client[1]), "0 1 -1+ 0+ 1+");
		forget_all(f);
		belfry_server_destroy(bf_take_ptr(&f->server));
		belfry_server_destroy(bf_take_ptr(&f->first));
		close(client[0]);
		close(client[1]);
		f->log[0] = '\0';
	}
}

static void size_and_path_stay_what_they_were(void **state)
{
	struct fixture *f = *state;
	int client[2];
	struct stat st;
	char path[80];

	hand_over_two(f, client);
	snprintf(path, sizeof(path), "%s.other", f->path);
	set(f, "path", path);
	set(f, "size", "128k");
	resume(f);
	assert_non_null(
		strstr(f->log, "ring: size stays 65536 until the server starts "));
	assert_non_null(strstr(f->log, "/sock until the server starts anew\n"));
	fstat(belfry_server_memory(f->server), &st);
	assert_int_equal(st.st_size, 65536);
	for (int i = 0; i < 2; i++)
		close(client[i]);
	run(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_program_that_polls_serves_clients),
		TEST(a_thread_of_the_librarys_serves_them_as_well),
		TEST(a_socketpair_is_let_in_whatever_the_policy),
		TEST(what_is_no_stream_socket_is_not_let_in),
		TEST(what_another_thread_has_added_is_attended_to),
		TEST(peers_and_figures_are_told),
		TEST(peers_are_told_to_programs_of_a_later_header),
		TEST(nobody_can_change_the_size_of_the_memory),
		TEST(capacity_follows_the_limit_of_descriptors),
		TEST(a_client_can_be_dropped),
		TEST(reloading_changes_who_may_join),
		TEST(reloading_changes_what_those_present_are_granted),
		TEST(a_successor_goes_on_with_the_same_clients),
		TEST(the_store_has_what_there_is_and_no_more),
		TEST(a_client_that_the_store_does_not_take_is_refused),
		TEST(a_client_that_the_store_has_no_room_for_waits),
		TEST(a_handover_that_fails_leaves_all_as_it_was),
		TEST(files_are_there_again_when_nobody_follows),
		TEST(a_successor_without_state_begins_anew),
		TEST(with_a_store_capacity_follows_what_may_be_in_flight),
		TEST(a_server_that_cannot_start_leaves_no_shared_memory),
		TEST(a_successor_removes_no_memory_but_its_own),
		TEST(a_successor_is_who_the_lock_file_names),
		TEST(the_most_vectors_are_handed_over),
		TEST(a_client_of_other_descriptors_has_left),
		TEST(a_client_that_was_handed_over_twice_has_left),
		TEST(anything_else_in_the_place_of_a_part_is_noticed),
		TEST(size_and_path_stay_what_they_were),
		TEST(what_a_callback_calls_is_refused),
		TEST(mistakes_of_the_caller_are_errors),
		TEST(a_second_server_at_the_path_is_an_error),
		TEST(a_socket_that_listens_can_be_given),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
