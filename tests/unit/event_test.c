/* SPDX-License-Identifier: MIT */
/* tests/unit/event_test.c - eventfds that a peer has made blocking, full or odd */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/event.h"
#include "base/own.h"
#include "tests/unit/unit_test.h"

#define FULL    0xfffffffffffffffeULL /* what an eventfd counts at most */
#define LIMIT_S 5                     /* a call that blocks ends the program */

static int limit_time(void **state)
{
	alarm(LIMIT_S);
	return 0;
}

static int time_is_over(void **state)
{
	alarm(0);
	return 0;
}

/* An eventfd as a peer may leave it: blocking, and counting @count (returns). */
static int blocking(uint64_t count, int flags)
{
	int fd = eventfd(0, EFD_CLOEXEC | flags);

	assert_true(fd >= 0);
	if (count)
		assert_int_equal(eventfd_write(fd, count), 0);
	return fd;
}

static void taking_gets_what_was_added(void **state)
{
	BF_CLOSE int fd = blocking(0, EFD_NONBLOCK);
	uint64_t count = 0;

	bf_event_add(fd, 1);
	bf_event_add(fd, 41);
	assert_true(bf_event_take(fd, &count));
	assert_int_equal(count, 42);
	assert_false(bf_event_take(fd, &count));
}

static void adding_leaves_a_descriptors_other_flags_alone(void **state)
{
	BF_CLOSE int fd = blocking(0, 0);

	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	bf_event_add(fd, 1);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK),
			 O_APPEND | O_NONBLOCK);
}

static void taking_does_not_need_to_know_how_many(void **state)
{
	BF_CLOSE int fd = blocking(3, EFD_NONBLOCK);

	assert_true(bf_event_take(fd, NULL));
	assert_false(bf_event_take(fd, NULL));
}

static void taking_from_a_blocking_eventfd_that_counts_nothing_returns(void **state)
{
	BF_CLOSE int fd = blocking(0, 0);
	uint64_t count = 7;

	assert_false(bf_event_take(fd, &count));
	assert_int_equal(count, 7);
}

static void taking_does_not_trust_a_flag_that_a_peer_clears(void **state)
{
	BF_CLOSE int fd = blocking(1, EFD_NONBLOCK);
	uint64_t count = 0;

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_true(bf_event_take(fd, &count));
	assert_int_equal(count, 1);
	assert_false(bf_event_take(fd, &count));
}

static void adding_to_a_full_blocking_eventfd_returns(void **state)
{
	BF_CLOSE int fd = blocking(FULL, 0);
	uint64_t count = 0;

	bf_event_add(fd, 1);
	assert_true(bf_event_take(fd, &count));
	assert_true(count == FULL);
}

static void adding_more_than_there_is_room_for_returns(void **state)
{
	BF_CLOSE int fd = blocking(FULL - 1, 0);
	uint64_t count = 0;

	bf_event_add(fd, 2); /* it polls writable: there is room for one */
	assert_true(bf_event_take(fd, &count));
	assert_true(count == FULL - 1);
}

static void a_semaphore_is_taken_one_by_one(void **state)
{
	BF_CLOSE int fd = blocking(2, EFD_SEMAPHORE);
	uint64_t count = 0;

	assert_true(bf_event_take(fd, &count));
	assert_int_equal(count, 1);
	assert_true(bf_event_take(fd, &count));
	assert_false(bf_event_take(fd, &count));
}

static void a_descriptor_that_is_none_counts_nothing(void **state)
{
	bf_event_add(-1, 1);
	assert_false(bf_event_take(-1, NULL));
}

#define event_test(f) cmocka_unit_test_setup_teardown(f, limit_time, time_is_over)

int main(void)
{
	const struct CMUnitTest tests[] = {
		event_test(taking_gets_what_was_added),
		event_test(adding_leaves_a_descriptors_other_flags_alone),
		event_test(taking_does_not_need_to_know_how_many),
		event_test(taking_from_a_blocking_eventfd_that_counts_nothing_returns),
		event_test(taking_does_not_trust_a_flag_that_a_peer_clears),
		event_test(adding_to_a_full_blocking_eventfd_returns),
		event_test(adding_more_than_there_is_room_for_returns),
		event_test(a_semaphore_is_taken_one_by_one),
		event_test(a_descriptor_that_is_none_counts_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
