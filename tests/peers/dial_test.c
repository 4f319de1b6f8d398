/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/dial_test.c - when a server is tried again, with a loop that takes no time
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "ivshmem/dial.h"
#include "ivshmem/ivshmem.h"

#define MS 1000000ULL

struct fixture {
	struct bf_dialer dialer;
	struct bf_log log;
	char dir[32];
	char path[48];
	int listener;
	int connected;     /* our end */
	uint64_t pause_ns; /* that the dialer makes; 0: none */
};

static struct fixture fixture;

/* --- the loop --- */

void bf_loop_timer(struct bf_loop *loop, struct bf_op *op, uint64_t ns)
{
	assert_false(op->armed);
	op->armed = true;
	fixture.pause_ns = ns;
}

static void complete(struct bf_op *op, int res)
{
	op->armed = false;
	fixture.pause_ns = 0;
	op->done(op, res);
}

/* As the real one: the time has come just before, and then the next op is cancelled. */
void bf_loop_cancel(struct bf_loop *loop, struct bf_op *op)
{
	if (op->armed)
		complete(op, 0);
	if (op->armed)
		complete(op, -ECANCELED);
}

/* --- the rest --- */

static void connected(struct bf_dialer *dialer, int sock)
{
	assert_int_equal(fixture.connected, -1);
	fixture.connected = sock;
}

static int setup(void **state)
{
	struct fixture *f = &fixture;
	struct belfry_error err;

	*f = (struct fixture){ .dir = "/tmp/belfry-dial-XXXXXX",
			       .listener = -1,
			       .connected = -1 };
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	*state = f;
	bf_dialer_init(&f->dialer, NULL, connected, &f->log);
	return bf_dialer_set_path(&f->dialer, f->path, &err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_close(&f->listener);
	bf_close(&f->connected);
	unlink(f->path);
	return rmdir(f->dir);
}

static void start_server(struct fixture *f)
{
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&f->dialer.server,
			      sizeof(f->dialer.server)),
			 0);
	assert_int_equal(listen(f->listener, 8), 0);
}

static void assert_pauses(struct fixture *f, uint64_t ms)
{
	assert_int_equal(f->pause_ns, ms * MS);
	complete(&f->dialer.op, 0);
}

static unsigned int alarms;

static void count_alarm(int signal)
{
	alarms++;
}

static void signals_do_not_end_the_wait_for_room(void **state)
{
	const struct sigaction count = { .sa_handler = count_alarm,
					 .sa_flags = SA_RESTART };
	const struct itimerval often = { { .tv_usec = 20000 }, { .tv_usec = 20000 } };
	struct fixture *f = *state;
	struct belfry_error err;
	uint64_t begin;
	int r;

	start_server(f);
	assert_int_equal(listen(f->listener, 0), 0);
	BF_CLOSE int first = bf_peer_connect(f->path, &err); /* who is not accepted */
	assert_true(first >= 0);
	sigaction(SIGALRM, &count, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	begin = bf_now_ns();
	r = bf_peer_connect_within(f->path, 150 * MS, &err);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(bf_now_ns() - begin >= 150 * MS);
	assert_true(alarms > 2);
}

static void the_pause_doubles_from_100_ms_to_5_s(void **state)
{
	static const unsigned int ms[] = { 100,  200,  400,  800, 1600,
					   3200, 5000, 5000, 5000 };
	struct fixture *f = *state;

	bf_dialer_start(&f->dialer);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(ms); i++) {
		assert_int_equal(f->dialer.tries, i);
		assert_pauses(f, ms[i]);
	}
}

static void the_server_is_found_and_not_dialled_again(void **state)
{
	struct fixture *f = *state;

	bf_dialer_start(&f->dialer);
	assert_pauses(f, 100);
	start_server(f);
	assert_pauses(f, 200);
	assert_true(f->connected >= 0);
	assert_int_equal(f->pause_ns, 0);
	assert_int_equal(f->dialer.tries, 2);
}

static void the_pause_goes_on_growing_until_it_is_told_to_rest(void **state)
{
	struct fixture *f = *state;

	start_server(f);
	for (unsigned int ms = 100; ms <= 400; ms *= 2) {
		bf_dialer_start(&f->dialer);
		assert_pauses(f, ms);
		bf_close(&f->connected);
	}
	bf_dialer_rest(&f->dialer);
	bf_dialer_start(&f->dialer);
	assert_pauses(f, 100);
}

static void without_a_path_it_never_dials(void **state)
{
	struct fixture *f = *state;

	bf_dialer_init(&f->dialer, NULL, connected, &f->log);
	bf_dialer_start(&f->dialer);
	assert_int_equal(f->pause_ns, 0);
}

static void a_server_that_answers_too_late_is_hung_up_on(void **state)
{
	struct fixture *f = *state;

	start_server(f);
	bf_dialer_start(&f->dialer);
	bf_dialer_stop(&f->dialer);
	assert_int_equal(f->dialer.tries, 1);
	assert_int_equal(f->connected, -1);
	assert_false(f->dialer.op.armed);
}

static void stopping_stops_whatever_the_last_try_brings(void **state)
{
	struct fixture *f = *state;

	bf_dialer_start(&f->dialer);
	bf_dialer_stop(&f->dialer);
	assert_int_equal(f->dialer.tries, 1);
	assert_false(f->dialer.op.armed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signals_do_not_end_the_wait_for_room),
		TEST(the_pause_doubles_from_100_ms_to_5_s),
		TEST(the_server_is_found_and_not_dialled_again),
		TEST(the_pause_goes_on_growing_until_it_is_told_to_rest),
		TEST(without_a_path_it_never_dials),
		TEST(a_server_that_answers_too_late_is_hung_up_on),
		TEST(stopping_stops_whatever_the_last_try_brings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
