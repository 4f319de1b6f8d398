/* SPDX-License-Identifier: MIT */
/* tests/unit/outbox_test.c - what waits for a client, and which ID is next */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ivshmem/ids.h"
#include "ivshmem/outbox.h"
#include "tests/descriptors.h"

static void assert_next(struct bf_outbox *box, int64_t want_value, int want_fd)
{
	int64_t value;
	int fd;

	assert_true(bf_outbox_first(box, &value, &fd));
	assert_true(value == want_value);
	assert_int_equal(fd, want_fd);
	bf_outbox_pop(box);
}

static void messages_come_out_in_order(void **state)
{
	struct bf_outbox box = { 0 };
	struct bf_vectors *v;
	int64_t value;
	int fd;

	assert_int_equal(bf_vectors_create(&v, 7, 3, NULL), 0);
	bf_outbox_add(&box, 1, -1);
	bf_outbox_add_vectors(&box, v);
	bf_outbox_add(&box, -1, 99);
	assert_int_equal(box.messages, 5);

	assert_next(&box, 1, -1);
	for (int i = 0; i < 3; i++)
		assert_next(&box, 7, v->fd[i]);
	assert_int_equal(box.messages, 1);
	assert_next(&box, -1, 99);
	assert_int_equal(box.messages, 0);
	assert_false(bf_outbox_first(&box, &value, &fd));
	bf_vectors_put(v);
}

/* In and out at the same time, so that the ring wraps and grows in any position. */
static void a_thousand_messages_keep_their_order(void **state)
{
	struct bf_outbox box = { 0 };
	int in = 0, out = 0;

	while (out < 1000) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(bf_outbox_add(&box, in++, -1), 0);
		for (int i = 0; i < 2; i++)
			assert_next(&box, out++, -1);
	}
	assert_int_equal(box.messages, in - out);
	bf_outbox_fini(&box);
}

static void eventfds_stay_open_as_long_as_they_wait(void **state)
{
	int before = count_descriptors();
	struct bf_outbox a = { 0 }, b = { 0 };
	struct bf_vectors *v;

	assert_int_equal(bf_vectors_create(&v, 7, 2, NULL), 0);
	bf_outbox_add_vectors(&a, v);
	bf_outbox_add_vectors(&b, v);
	bf_vectors_put(v);
	assert_int_equal(count_descriptors(), before + 2);
	bf_outbox_pop(&a);
	bf_outbox_pop(&a);
	assert_int_equal(count_descriptors(), before + 2);
	bf_outbox_fini(&b); /* half-sent or not sent at all */
	assert_int_equal(count_descriptors(), before);
}

static void ids_count_up_before_any_comes_again(void **state)
{
	static struct bf_ids ids;

	for (int i = 0; i < BF_IDS_MAX; i++) {
		assert_int_equal(bf_ids_take(&ids), i);
		if (i % 3 == 0)
			bf_ids_give_back(&ids, i);
	}
	for (int i = 0; i < BF_IDS_MAX; i += 3) /* then the next that is free */
		assert_int_equal(bf_ids_take(&ids), i);
	assert_int_equal(bf_ids_take(&ids), -ENOSPC);
	bf_ids_give_back(&ids, 5);
	assert_int_equal(bf_ids_take(&ids), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_out_in_order),
		cmocka_unit_test(a_thousand_messages_keep_their_order),
		cmocka_unit_test(eventfds_stay_open_as_long_as_they_wait),
		cmocka_unit_test(ids_count_up_before_any_comes_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
