/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/late_test.c - rings at old eventfds, before and without a turn of the loop
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "base/own.h"
#include "ivshmem/late.h"
#include "tests/descriptors.h"

struct fixture {
	int fds_before;
	struct bf_loop *loop;
	struct bf_late late;
	int old;    /* our end of the eventfd that is kept; the other is late's */
	int now[2]; /* by vector */
};

static int setup(void **state)
{
	static struct fixture f;
	struct belfry_error err;

	f = (struct fixture){ .fds_before = count_descriptors() };
	assert_int_equal(bf_loop_create(&f.loop, &err), 0);
	bf_late_init(&f.late, f.loop, 2);
	f.old = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int v = 0; v < 2; v++)
		f.now[v] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_late_fini(&f->late);
	bf_loop_destroy(f->loop);
	bf_close(&f->old);
	bf_close(&f->now[0]);
	bf_close(&f->now[1]);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static unsigned int counted(int fd)
{
	eventfd_t n;

	return eventfd_read(fd, &n) == 0 ? n : 0;
}

static void keep_old(struct fixture *f)
{
	assert_int_equal(bf_late_keep(&f->late, 0, dup(f->old)), 0);
}

static void what_waits_arrives_when_the_new_one_comes(void **state)
{
	struct fixture *f = *state;

	keep_old(f);
	eventfd_write(f->old, 3);
	bf_late_pass_to(&f->late, 1, f->now[1]); /* of which none is kept */
	assert_int_equal(counted(f->now[1]), 0);
	bf_late_pass_to(&f->late, 0, f->now[0]);
	assert_int_equal(counted(f->now[0]), 3);
}

static void what_comes_later_arrives_by_the_loop(void **state)
{
	struct fixture *f = *state;

	keep_old(f);
	bf_late_pass_to(&f->late, 0, f->now[0]);
	for (unsigned int i = 1; i < 4; i++) {
		eventfd_write(f->old, i);
		assert_int_equal(bf_loop_run_once(f->loop, 1000000000), 1);
		assert_int_equal(counted(f->now[0]), i);
	}
}

static void what_waits_when_the_new_one_is_replaced_arrives(void **state)
{
	struct fixture *f = *state;

	keep_old(f);
	bf_late_pass_to(&f->late, 0, f->now[0]);
	eventfd_write(f->old, 2);
	assert_int_equal(bf_late_keep(&f->late, 0, dup(f->now[0])), 0);
	assert_int_equal(counted(f->now[0]), 2);
}

static void the_same_eventfd_is_not_kept(void **state)
{
	struct fixture *f = *state;
	int before = count_descriptors();

	keep_old(f);
	eventfd_write(f->old, 2);
	bf_late_pass_to(&f->late, 0, f->old);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(counted(f->old), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_waits_arrives_when_the_new_one_comes),
		TEST(what_comes_later_arrives_by_the_loop),
		TEST(what_waits_when_the_new_one_is_replaced_arrives),
		TEST(the_same_eventfd_is_not_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
