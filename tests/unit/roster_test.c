/* SPDX-License-Identifier: MIT */
/* tests/unit/roster_test.c - who is told what, also by a server that follows another */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "ivshmem/roster_parts.h"
#include "tests/descriptors.h"

#define VECTORS 2
#define PEOPLE  8

struct fixture {
	int fds_before;
	int state;
	struct bf_roster *r;
	struct bf_entrant who[PEOPLE];
	char story[512]; /* what the last call of hear() has told */
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .fds_before = count_descriptors(), .state = -1 };
	*state = &f;
	return bf_roster_create(&f.r, -1, 99, VECTORS, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bf_roster_destroy(f->r);
	bf_close(&f->state);
	return count_descriptors() == f->fds_before ? 0 : -1;
}

static void come(struct fixture *f, unsigned int i)
{
	struct belfry_error err;

	f->who[i] = (struct bf_entrant){ 0 };
	assert_int_equal(bf_roster_prepare(f->r, &f->who[i], &err), 0);
	bf_roster_enter(f->r, &f->who[i], (struct bf_creds){ 10 + i, 20 + i, 30 + i });
}

static void leave(struct fixture *f, unsigned int i)
{
	bf_roster_leave(f->r, &f->who[i]);
}

static void note(struct fixture *f, const struct mmsghdr *hdr)
{
	size_t len = strlen(f->story);
	int64_t value;

	memcpy(&value, hdr->msg_hdr.msg_iov->iov_base, sizeof(value));
	snprintf(f->story + len, sizeof(f->story) - len, "%s%d%s", len ? " " : "",
		 (int)value, hdr->msg_hdr.msg_controllen ? "+" : "");
}

/* Tell @i up to @max messages more. Return: them, "+" for a descriptor. */
static const char *hear(struct fixture *f, unsigned int i, unsigned int max)
{
	struct bf_window w = bf_roster_compose(f->r, &f->who[i]);
	unsigned int n = w.n < max ? w.n : max;

	f->story[0] = '\0';
	for (unsigned int k = 0; k < n; k++)
		note(f, &w.hdr[k]);
	bf_roster_told(f->r, &f->who[i], n);
	return f->story;
}

static const char *hear_all(struct fixture *f, unsigned int i)
{
	return hear(f, i, BF_ROSTER_WINDOW);
}

/* --- what is told --- */

static void a_newcomer_hears_of_those_present_then_of_itself(void **state)
{
	struct fixture *f = *state;

	come(f, 0);
	assert_string_equal(hear_all(f, 0), "0 0 -1+ 0+ 0+");
	come(f, 1);
	assert_string_equal(hear_all(f, 0), "1+ 1+");
	assert_string_equal(hear_all(f, 1), "0 1 -1+ 0+ 0+ 1+ 1+");
	assert_string_equal(hear_all(f, 1), "");
	assert_int_equal(f->who[1].waiting, 0);
	assert_int_equal(bf_roster_count(f->r), 2);
}

static void telling_stops_and_goes_on_at_any_message(void **state)
{
	struct fixture *f = *state;

	come(f, 0);
	come(f, 1);
	leave(f, 1);
	for (unsigned int n = 8; n > 0; n--) {
		assert_int_equal(f->who[0].waiting, n);
		assert_string_not_equal(hear(f, 0, 1), "");
	}
	assert_string_equal(f->story, "1");
	assert_string_equal(hear_all(f, 0), "");
}

static void one_who_left_before_is_none_of_a_newcomers_business(void **state)
{
	struct fixture *f = *state;

	come(f, 0);
	come(f, 1);
	leave(f, 1);
	come(f, 2);
	assert_int_equal(f->who[2].waiting, 3 + 2 * VECTORS);
	assert_string_equal(hear_all(f, 2), "0 2 -1+ 0+ 0+ 2+ 2+");
	assert_null(bf_roster_forgotten(f->r));
	assert_string_equal(hear_all(f, 0), "0 0 -1+ 0+ 0+ 1+ 1+ 1 2+ 2+");
	assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[1]);
}

static void one_who_leaves_is_forgotten_once_all_have_heard(void **state)
{
	struct fixture *f = *state;
	int before;

	for (int i = 0; i < 3; i++)
		come(f, i);
	before = count_descriptors();
	leave(f, 1);
	hear_all(f, 0);
	assert_int_equal(count_descriptors(), before);
	assert_null(bf_roster_forgotten(f->r));
	hear_all(f, 2);
	assert_int_equal(count_descriptors(), before - VECTORS);
	assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[1]);
	assert_null(bf_roster_forgotten(f->r));
}

static void nobody_waits_for_those_who_have_left(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		come(f, i);
	leave(f, 1);
	leave(f, 0); /* who has not heard of 1's leaving */
	assert_string_equal(hear_all(f, 2), "0 2 -1+ 0+ 0+ 1+ 1+ 2+ 2+ 1 0");
	assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[1]);
	assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[0]);
	leave(f, 2);
	assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[2]);
}

static void an_entrant_that_is_cancelled_was_never_there(void **state)
{
	struct fixture *f = *state;
	int before = count_descriptors();

	assert_int_equal(bf_roster_prepare(f->r, &f->who[0], NULL), 0);
	bf_roster_cancel(f->r, &f->who[0]);
	assert_int_equal(count_descriptors(), before);
	come(f, 1);
	assert_string_equal(hear_all(f, 1), "0 0 -1+ 0+ 0+");
}

static void ids_count_up_before_any_comes_again(void **state)
{
	struct fixture *f = *state;
	struct belfry_error err;

	come(f, 0);
	for (int i = 1; i < BF_ROSTER_IDS; i++) {
		come(f, 1);
		assert_int_equal(f->who[1].id, i);
		leave(f, 1);
		while (f->who[0].waiting > 0)
			hear_all(f, 0);
		assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[1]);
	}
	come(f, 1); /* 0 is taken: the next that is free */
	assert_int_equal(f->who[1].id, 1);
	assert_int_equal(bf_roster_prepare(f->r, &f->who[2], &err), 0);
	bf_roster_cancel(f->r, &f->who[2]);
}

/* --- a server that follows another --- */

static void keep_state(struct fixture *f)
{
	bf_roster_destroy(f->r);
	f->state = memfd_create("state", MFD_CLOEXEC);
	assert_int_equal(bf_roster_create(&f->r, f->state, 99, VECTORS, NULL), 0);
}

/* The roster anew, from its file; entrants are those before, with eventfds or without. */
static void follow(struct fixture *f, bool lose_1)
{
	bf_roster_destroy(f->r);
	assert_int_equal(bf_roster_check(f->state, NULL), VECTORS);
	assert_int_equal(bf_roster_create(&f->r, f->state, 99, VECTORS, NULL), 0);
	memset(f->who, 0, sizeof(f->who));
	for (int id = bf_roster_next_id(f->r, 0); id >= 0;
	     id = bf_roster_next_id(f->r, id + 1)) {
		int *fds = malloc(VECTORS * sizeof(*fds));

		for (int v = 0; v < VECTORS; v++)
			fds[v] = dup(0);
		if (lose_1 && id == 1) {
			for (int v = 0; v < VECTORS; v++)
				close(fds[v]);
			free(bf_take_ptr(&fds));
		}
		f->who[id].came.who = f->who[id].left.who = &f->who[id];
		bf_roster_restore(f->r, &f->who[id], id, fds);
	}
	bf_roster_restored(f->r);
}

static void a_follower_goes_on_at_any_message(void **state)
{
	struct fixture *f = *state;
	static const char all[] = "0 0 -1+ 0+ 0+ 1+ 1+ 2+ 2+ 1";
	char heard[128];

	for (unsigned int n = 0; n <= 10; n++) {
		keep_state(f);
		for (int i = 0; i < 3; i++)
			come(f, i);
		leave(f, 1);
		strcpy(heard, hear(f, 0, n));
		follow(f, false);
		assert_int_equal(f->who[0].waiting, 10 - n);
		if (n > 0 && n < 10)
			strcat(heard, " ");
		strcat(heard, hear_all(f, 0));
		assert_string_equal(heard, all);
		assert_string_equal(hear_all(f, 2), "0 2 -1+ 0+ 0+ 1+ 1+ 2+ 2+ 1");
		assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[1]);
		bf_close(&f->state);
	}
}

static void a_follower_knows_who_everybody_is(void **state)
{
	struct fixture *f = *state;
	struct bf_creds creds;

	keep_state(f);
	come(f, 0);
	come(f, 1);
	follow(f, false);
	creds = bf_roster_creds(f->r, &f->who[1]);
	assert_int_equal(creds.pid, 11);
	assert_int_equal(creds.uid, 21);
	assert_int_equal(creds.gid, 31);
	assert_true(bf_roster_since(f->r, &f->who[1]) > 0);
	come(f, 2);
	assert_int_equal(f->who[2].id, 2);
}

/* The last event before was one that nobody knows of any more. */
static void a_follower_twice_over_tells_of_everybody(void **state)
{
	struct fixture *f = *state;

	keep_state(f);
	come(f, 0);
	for (int i = 0; i < 5; i++) {
		come(f, 1);
		leave(f, 1);
		hear_all(f, 0);
		assert_ptr_equal(bf_roster_forgotten(f->r), &f->who[1]);
	}
	follow(f, false);
	come(f, 6);
	follow(f, false);
	assert_string_equal(hear_all(f, 0), "6+ 6+");
}

/* Killed in the middle of sendmmsg(2), which has sent @n messages of the window. */
static void die_while_telling(struct fixture *f, unsigned int i, unsigned int n)
{
	struct bf_window w = bf_roster_compose(f->r, &f->who[i]);

	for (unsigned int k = 0; k < n; k++)
		w.hdr[k].msg_len = 8;
}

static void what_the_kernel_had_sent_when_a_server_died_is_not_sent_again(void **state)
{
	struct fixture *f = *state;
	static const char *const rest[] = { "1+ 1+ 1 2+ 2+", "1+ 1 2+ 2+", "1 2+ 2+",
					    "2+ 2+",         "2+",         "" };

	for (unsigned int n = 0; n < BF_ARRAY_LEN(rest); n++) {
		keep_state(f);
		come(f, 0);
		hear_all(f, 0);
		come(f, 1);
		leave(f, 1);
		come(f, 2);
		hear_all(f, 2);
		die_while_telling(f, 0, n);
		follow(f, false);
		follow(f, false); /* and once more, before it says anything */
		assert_string_equal(hear_all(f, 0), rest[n]);
		bf_close(&f->state);
	}
}

static void one_who_needs_lost_descriptors_is_stuck(void **state)
{
	struct fixture *f = *state;

	keep_state(f);
	come(f, 0);
	hear_all(f, 0);
	come(f, 1);
	come(f, 2);
	hear(f, 2, 3 + 2 * VECTORS); /* as far as itself: it has got those of 1 */
	follow(f, true);
	assert_true(bf_roster_is_stuck(f->r, &f->who[0]));
	assert_true(bf_roster_is_stuck(f->r, &f->who[1]));
	assert_false(bf_roster_is_stuck(f->r, &f->who[2]));
}

static void assert_refused(struct fixture *f, const char *why)
{
	struct bf_roster *r;
	struct belfry_error err;

	assert_int_equal(bf_roster_check(f->state, &err), -EINVAL);
	assert_string_equal(err.msg, why);
	assert_int_equal(bf_roster_create(&r, f->state, 99, VECTORS, &err), -EINVAL);
}

static void a_state_of_something_else_is_refused(void **state)
{
	struct fixture *f = *state;
	struct belfry_error err;
	struct bf_roster *r;

	keep_state(f);
	assert_int_equal(bf_roster_create(&r, f->state, 99, VECTORS + 1, &err), -EINVAL);
	assert_string_equal(err.msg, "vectors: the state has 2, not 3");
	assert_int_equal(pwrite(f->state, "x", 1, 0), 1);
	assert_refused(f, "the state is one of another version");
	assert_int_equal(ftruncate(f->state, 4096), 0);
	assert_refused(f, "the state is one of another version");
	bf_close(&f->state);
	f->state = eventfd(0, EFD_CLOEXEC);
	assert_refused(f, "the state is no file");
	assert_int_equal(bf_roster_check(-1, &err), -EBADF);
	bf_roster_destroy(bf_take_ptr(&f->r));
}

/* Three have come, 1 has left and is not forgotten yet, 2 is being told something. */
static struct shared *some_state(struct fixture *f)
{
	keep_state(f);
	for (int i = 0; i < 3; i++)
		come(f, i);
	leave(f, 1);
	bf_roster_compose(f->r, &f->who[2]);
	assert_int_equal(bf_roster_check(f->state, NULL), VECTORS);
	return bf_roster_map(f->state);
}

#define DAMAGED(member, value, why)                                         \
	do {                                                                \
		__typeof__(s->member) was = s->member;                      \
		s->member = value;                                          \
		assert_refused(f, "the state is damaged: " why);            \
		s->member = was;                                            \
		assert_int_equal(bf_roster_check(f->state, NULL), VECTORS); \
	} while (0)

static void a_state_that_is_damaged_is_refused(void **state)
{
	struct fixture *f = *state;
	struct shared *s = some_state(f);

	DAMAGED(vectors, 0, "0 vectors");
	DAMAGED(vectors, 2049, "2049 vectors");
	DAMAGED(next_id, BF_ROSTER_IDS, "next ID 65536");
	DAMAGED(window.n, BF_ROSTER_WINDOW + 1, "what was being sent");
	DAMAGED(window.id, BF_ROSTER_IDS, "what was being sent");
	DAMAGED(window.start.greeted, 4, "what was being sent");
	DAMAGED(window.start.next, 0, "what was being sent");
	DAMAGED(record[0].state, 3, "peer 0 neither present nor left");
	DAMAGED(record[65535].state, 1, "peer 65535 has not come");
	DAMAGED(record[0].came, 0, "peer 0 has not come");
	DAMAGED(record[0].came, UINT64_MAX, "peer 0 has not come");
	DAMAGED(record[1].left, s->record[1].came, "peer 1 has left before it came");
	DAMAGED(record[1].left, UINT64_MAX, "peer 1 has left before it came");
	DAMAGED(record[2].mark.vector, VECTORS, "peer 2 has been told what there is not");
	DAMAGED(record[2].mark.vector, 1, "peer 2 has been told what there is not");
	DAMAGED(record[2].mark.greeted, 4, "peer 2 has been told what there is not");
	DAMAGED(record[2].mark.next, 0, "peer 2 has been told what there is not");
	DAMAGED(record[2].came, s->record[0].came, "two events are one");
	DAMAGED(record[1].left, s->record[2].came, "two events are one");
	munmap(s, sizeof(*s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_newcomer_hears_of_those_present_then_of_itself),
		TEST(telling_stops_and_goes_on_at_any_message),
		TEST(one_who_left_before_is_none_of_a_newcomers_business),
		TEST(one_who_leaves_is_forgotten_once_all_have_heard),
		TEST(nobody_waits_for_those_who_have_left),
		TEST(an_entrant_that_is_cancelled_was_never_there),
		TEST(ids_count_up_before_any_comes_again),
		TEST(a_follower_goes_on_at_any_message),
		TEST(a_follower_knows_who_everybody_is),
		TEST(a_follower_twice_over_tells_of_everybody),
		TEST(what_the_kernel_had_sent_when_a_server_died_is_not_sent_again),
		TEST(one_who_needs_lost_descriptors_is_stuck),
		TEST(a_state_of_something_else_is_refused),
		TEST(a_state_that_is_damaged_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
