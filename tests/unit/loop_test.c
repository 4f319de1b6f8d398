/* SPDX-License-Identifier: MIT */
/* tests/unit/loop_test.c - the io_uring loop, base/loop.c */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/own.h"
#include "tests/descriptors.h"

#define MS 1000000ULL
#define S  (1000 * MS)

/* An op that notes what came of it, and may go on from there. */
struct note {
	struct bf_op op;
	struct bf_loop *loop;
	int called;
	int res;
	void (*then)(struct note *);
	struct note *other;
};

static void note_done(struct bf_op *op, int res)
{
	struct note *n = BF_CONTAINER_OF(op, struct note, op);

	n->called++;
	n->res = res;
	if (n->then)
		n->then(n);
}

static struct note note_on(struct bf_loop *loop)
{
	return (struct note){ .op.done = note_done, .loop = loop };
}

static void run_until_called(struct bf_loop *loop, const struct note *n)
{
	for (int turns = 0; !n->called && turns < 1000; turns++)
		assert_true(bf_loop_run_once(loop, 5 * S) >= 0);
	assert_int_equal(n->called, 1);
}

struct fixture {
	struct bf_loop *loop;
	int fds_before;
	int pair[2];
	int event;
};

static int setup(void **state)
{
	static struct fixture f;
	struct belfry_error err;

	f.fds_before = count_descriptors();
	assert_int_equal(bf_loop_create(&f.loop, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f.pair), 0);
	f.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_loop_destroy(f->loop);
	bf_close(&f->pair[0]);
	bf_close(&f->pair[1]);
	bf_close(&f->event);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void a_timer_fires_once_its_time_has_come(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);
	uint64_t start = bf_now_ns();

	bf_loop_timer(f->loop, &n.op, 20 * MS);
	run_until_called(f->loop, &n);

	assert_int_equal(n.res, 0);
	assert_in_range(bf_now_ns() - start, 20 * MS, 2 * S);
}

static void a_message_that_is_sent_is_received(void **state)
{
	struct fixture *f = *state;
	struct note sender = note_on(f->loop), receiver = note_on(f->loop);
	char out[] = "bell", in[16] = "";
	struct iovec out_iov = { out, 4 }, in_iov = { in, sizeof(in) };
	struct msghdr out_hdr = { .msg_iov = &out_iov, .msg_iovlen = 1 };
	struct msghdr in_hdr = { .msg_iov = &in_iov, .msg_iovlen = 1 };

	bf_loop_recvmsg(f->loop, &receiver.op, f->pair[0], &in_hdr, 0);
	assert_int_equal(bf_loop_run_once(f->loop, 0), 0);
	bf_loop_sendmsg(f->loop, &sender.op, f->pair[1], &out_hdr, MSG_NOSIGNAL);
	run_until_called(f->loop, &receiver);

	assert_int_equal(sender.res, 4);
	assert_int_equal(receiver.res, 4);
	assert_string_equal(in, "bell");
}

static void an_error_reaches_done(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);
	struct msghdr hdr = { 0 };

	bf_loop_recvmsg(f->loop, &n.op, /* fd= */ -1, &hdr, 0);
	run_until_called(f->loop, &n);

	assert_int_equal(n.res, -EBADF);
}

static void accept_gives_a_close_on_exec_socket(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	BF_CLOSE int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	BF_CLOSE int client = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = sizeof(sa);

	/* A name of the kernel's choice, in the abstract name space. */
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa.sun_family)),
			 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(listen(listener, 1), 0);
	bf_loop_accept(f->loop, &n.op, listener);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
	run_until_called(f->loop, &n);

	assert_true(n.res >= 0);
	assert_int_equal(fcntl(n.res, F_GETFD), FD_CLOEXEC);
	close(n.res);
	bf_loop_cancel(f->loop, &n.op);
}

/* A listening socket, and its name of the kernel's choice in @sa. */
static int listen_anywhere(struct sockaddr_un *sa, socklen_t *len)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*len = sizeof(*sa);
	assert_int_equal(bind(listener, (struct sockaddr *)sa, sizeof(sa->sun_family)),
			 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)sa, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	return listener;
}

static void close_accepted(struct note *n)
{
	if (n->res >= 0)
		close(n->res);
}

static void connect_and_run(struct fixture *f, const struct sockaddr_un *sa,
			    socklen_t len)
{
	BF_CLOSE int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(client, (const struct sockaddr *)sa, len), 0);
	bf_loop_run_once(f->loop, 5 * S);
}

static void accepting_goes_on_by_itself(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);
	struct sockaddr_un sa;
	socklen_t len;
	BF_CLOSE int listener = listen_anywhere(&sa, &len);

	n.then = close_accepted;
	bf_loop_accept(f->loop, &n.op, listener);
	for (int i = 1; i <= 3; i++) {
		connect_and_run(f, &sa, len);
		assert_int_equal(n.called, i);
		assert_true(n.op.armed);
	}
	bf_loop_cancel(f->loop, &n.op);
	assert_int_equal(n.res, -ECANCELED);
	assert_false(n.op.armed);
}

/* As on a kernel before 5.19: it says EINVAL once, and the op goes on singly. */
static void without_multishot_each_accept_is_started_anew(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);
	struct sockaddr_un sa;
	socklen_t len;
	BF_CLOSE int listener = listen_anywhere(&sa, &len);

	bf_loop_accept(f->loop, &n.op,
		       f->pair[0]); /* EINVAL, whichever way it is asked */
	run_until_called(f->loop, &n);
	assert_int_equal(n.res, -EINVAL);
	assert_true(n.op.single);
	n = (struct note){ .op = n.op, .loop = f->loop, .then = close_accepted };
	for (int i = 1; i <= 3; i++) {
		bf_loop_accept(f->loop, &n.op, listener);
		connect_and_run(f, &sa, len);
		assert_int_equal(n.called, i);
		assert_true(n.res >= 0);
		assert_false(n.op.armed);
	}
}

static void poll_reports_the_events(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);

	bf_loop_poll(f->loop, &n.op, f->event, POLLIN);
	assert_int_equal(bf_loop_run_once(f->loop, 0), 0);
	eventfd_write(f->event, 1);
	run_until_called(f->loop, &n);

	assert_int_equal(n.res, POLLIN);
}

static void waiting_ends_when_the_time_is_over(void **state)
{
	struct fixture *f = *state;
	uint64_t start = bf_now_ns();

	assert_int_equal(bf_loop_run_once(f->loop, 20 * MS), 0);
	assert_in_range(bf_now_ns() - start, 20 * MS, 2 * S);
}

static void cancel_takes_back_an_op_of_every_kind(void **state)
{
	struct fixture *f = *state;
	struct note n[3] = { note_on(f->loop), note_on(f->loop), note_on(f->loop) };
	struct msghdr hdr = { 0 };

	bf_loop_timer(f->loop, &n[0].op, 1000 * S);
	bf_loop_poll(f->loop, &n[1].op, f->event, POLLIN);
	bf_loop_recvmsg(f->loop, &n[2].op, f->pair[0], &hdr, 0);
	assert_int_equal(bf_loop_run_once(f->loop, 0), 0);
	for (int i = 0; i < 3; i++) {
		bf_loop_cancel(f->loop, &n[i].op);
		assert_false(n[i].op.armed);
		assert_int_equal(n[i].called, 1);
		assert_int_equal(n[i].res, -ECANCELED);
	}
}

/* More often than the ring has entries: each is used again. */
static void a_cancellation_completes_nothing_else(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 500; i++) {
		struct note n = note_on(f->loop);

		bf_loop_timer(f->loop, &n.op, 1000 * S);
		bf_loop_cancel(f->loop, &n.op);
		bf_loop_run_once(f->loop, 0);
		assert_int_equal(n.called, 1);
	}
}

static void cancel_of_an_idle_op_does_nothing(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);

	bf_loop_cancel(f->loop, &n.op);
	assert_int_equal(n.called, 0);
}

static void cancel_hands_over_a_result_that_came_first(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);

	eventfd_write(f->event, 1);
	bf_loop_poll(f->loop, &n.op, f->event, POLLIN);
	bf_loop_cancel(f->loop, &n.op);

	assert_int_equal(n.called, 1);
	assert_int_equal(n.res, POLLIN);
}

static void cancel_other(struct note *n)
{
	bf_loop_cancel(n->loop, &n->other->op);
}

static void a_completion_may_cancel_another_op(void **state)
{
	struct fixture *f = *state;
	struct note killer = note_on(f->loop), victim = note_on(f->loop);

	killer.other = &victim;
	killer.then = cancel_other;
	bf_loop_timer(f->loop, &victim.op, 1000 * S);
	bf_loop_timer(f->loop, &killer.op, 0);
	run_until_called(f->loop, &killer);

	assert_int_equal(victim.called, 1);
	assert_int_equal(victim.res, -ECANCELED);
}

static void start_again_once(struct note *n)
{
	n->then = NULL;
	bf_loop_timer(n->loop, &n->op, 1000 * S);
}

static void cancel_also_takes_back_an_op_that_starts_itself_again(void **state)
{
	struct fixture *f = *state;
	struct note n = note_on(f->loop);

	n.then = start_again_once;
	bf_loop_timer(f->loop, &n.op, 1000 * S);
	bf_loop_cancel(f->loop, &n.op);

	assert_false(n.op.armed);
	assert_int_equal(n.called, 2);
	assert_int_equal(n.res, -ECANCELED);
}

/* Far more than the ring has room for, in either direction. */
static void no_completion_is_lost_when_thousands_come_at_once(void **state)
{
	enum { N = 5000 };
	static struct note n[N];
	struct fixture *f = *state;
	int called = 0;

	eventfd_write(f->event, 1);
	for (int i = 0; i < N; i++) {
		n[i] = note_on(f->loop);
		bf_loop_poll(f->loop, &n[i].op, f->event, POLLIN);
	}
	for (int turns = 0; turns < N && bf_loop_run_once(f->loop, 0) > 0; turns++)
		;
	for (int i = 0; i < N; i++)
		called += n[i].called == 1 && n[i].res == POLLIN;
	assert_int_equal(called, N);
}

static void a_wake_before_the_run_is_not_lost(void **state)
{
	struct fixture *f = *state;

	bf_loop_wake(f->loop);
	assert_true(bf_loop_run_once(f->loop, 5 * S) > 0); /* consumes the event */
	assert_int_equal(bf_loop_run(f->loop), 0);
	bf_loop_wake(f->loop);
	assert_int_equal(bf_loop_run(f->loop), 0);
}

static void *wake(void *loop)
{
	bf_loop_wake(loop);
	return NULL;
}

static void another_thread_can_end_a_run(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wake, f->loop), 0);
	assert_int_equal(bf_loop_run(f->loop), 0);
	pthread_join(thread, NULL);
}

static void nothing(int sig)
{
}

static void a_signal_ends_the_wait_without_an_error(void **state)
{
	struct fixture *f = *state;
	struct sigaction old, sa = { .sa_handler = nothing };
	struct itimerspec in_20ms = { .it_value.tv_nsec = 20 * MS };
	timer_t timer;

	sigaction(SIGALRM, &sa, &old);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	timer_settime(timer, 0, &in_20ms, NULL);
	assert_int_equal(bf_loop_run_once(f->loop, 5 * S), 0);
	timer_delete(timer);
	sigaction(SIGALRM, &old, NULL);
}

static void *run_once(void *loop)
{
	bf_loop_run_once(loop, 0);
	return NULL;
}

static void an_op_outlives_the_thread_that_submitted_it(void **state)
{
	struct fixture *f = *state;
	struct note bell = note_on(f->loop), timer = note_on(f->loop);
	uint64_t start = bf_now_ns();
	pthread_t thread;

	bf_loop_poll(f->loop, &bell.op, f->event, POLLIN);
	bf_loop_timer(f->loop, &timer.op, 20 * MS);
	assert_int_equal(pthread_create(&thread, NULL, run_once, f->loop), 0);
	pthread_join(thread, NULL);
	run_until_called(f->loop, &timer);
	assert_in_range(bf_now_ns() - start, 20 * MS, 2 * S);
	assert_int_equal(bell.called, 0);
	eventfd_write(f->event, 1);
	run_until_called(f->loop, &bell);

	assert_int_equal(timer.res, 0);
	assert_int_equal(bell.res, POLLIN);
}

struct ring_and_run {
	struct bf_loop *loop;
	struct note *note;
	int event;
};

static void *ring_and_run(void *arg)
{
	struct ring_and_run *r = arg;

	bf_loop_run_once(r->loop, 20 * MS);
	eventfd_write(r->event, 1);
	while (!r->note->called && bf_loop_run_once(r->loop, 5 * S) >= 0)
		;
	return NULL;
}

/* A completion in its context would end the old thread's epoll_wait() with EINTR. */
static void a_loop_that_has_moved_leaves_its_old_thread_alone(void **state)
{
	struct fixture *f = *state;
	struct note early = note_on(f->loop), late = note_on(f->loop);
	BF_CLOSE int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	BF_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct ring_and_run first = { f->loop, &early, f->event };
	struct ring_and_run second = { f->loop, &late, event };
	struct epoll_event ev;
	pthread_t thread;
	int waited;

	bf_loop_poll(f->loop, &early.op, f->event, POLLIN);
	bf_loop_poll(f->loop, &late.op, event, POLLIN);
	assert_int_equal(bf_loop_run_once(f->loop, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, ring_and_run, &first), 0);
	pthread_join(thread, NULL); /* moving as such does interrupt */
	assert_int_equal(early.called, 1);

	assert_int_equal(pthread_create(&thread, NULL, ring_and_run, &second), 0);
	waited = epoll_wait(epoll, &ev, 1, 100);
	pthread_join(thread, NULL);
	assert_int_equal(waited, 0);
	assert_int_equal(late.called, 1);
	assert_int_equal(late.res, POLLIN);
}

/* In a child: io_uring_setup fails with @code. Return: what to exit with. */
static int create_without_io_uring(int code, const char *want)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { BF_ARRAY_LEN(rules), rules };
	struct belfry_error err;
	struct bf_loop *loop;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		return 77;
	if (bf_loop_create(&loop, &err) != -code || err.code != -code)
		return 1;
	return strcmp(err.msg, want) == 0 ? 0 : 2;
}

static void check_without_io_uring(int code, const char *want)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(create_without_io_uring(code, want));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void a_host_without_io_uring_is_told_what_to_do(void **state)
{
	static const char what[] =
		"io_uring is switched off on this host: set the sysctl "
		"kernel.io_uring_disabled to 0; in a container, let the seccomp profile "
		"allow io_uring_setup";

	check_without_io_uring(EPERM, what);
	check_without_io_uring(ENOSYS, what);
	check_without_io_uring(EMFILE, "io_uring_setup: Too many open files");
}

static void every_descriptor_is_close_on_exec(void **state)
{
	struct bf_loop *another;
	bool was_open[64];
	int opened = 0;

	for (int fd = 0; fd < 64; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) >= 0;
	assert_int_equal(bf_loop_create(&another, NULL), 0);
	for (int fd = 0; fd < 64; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (was_open[fd] || flags < 0)
			continue;
		assert_int_equal(flags & FD_CLOEXEC, FD_CLOEXEC);
		opened++;
	}
	assert_int_equal(opened, 2);
	bf_loop_destroy(another);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the kernel ends a wait of whoever has destroyed a ring, once. */
		TEST(a_loop_that_has_moved_leaves_its_old_thread_alone),
		TEST(a_timer_fires_once_its_time_has_come),
		TEST(a_message_that_is_sent_is_received),
		TEST(an_error_reaches_done),
		TEST(accept_gives_a_close_on_exec_socket),
		TEST(accepting_goes_on_by_itself),
		TEST(without_multishot_each_accept_is_started_anew),
		TEST(poll_reports_the_events),
		TEST(waiting_ends_when_the_time_is_over),
		TEST(cancel_takes_back_an_op_of_every_kind),
		TEST(a_cancellation_completes_nothing_else),
		TEST(cancel_of_an_idle_op_does_nothing),
		TEST(cancel_hands_over_a_result_that_came_first),
		TEST(a_completion_may_cancel_another_op),
		TEST(cancel_also_takes_back_an_op_that_starts_itself_again),
		TEST(no_completion_is_lost_when_thousands_come_at_once),
		TEST(a_wake_before_the_run_is_not_lost),
		TEST(another_thread_can_end_a_run),
		TEST(a_signal_ends_the_wait_without_an_error),
		TEST(an_op_outlives_the_thread_that_submitted_it),
		TEST(every_descriptor_is_close_on_exec),
		cmocka_unit_test(a_host_without_io_uring_is_told_what_to_do),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
