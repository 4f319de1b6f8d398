/* SPDX-License-Identifier: MIT */
/* tests/unit/sized_test.c - structs of callers with an earlier header, or a later one */
#include <stdio.h>

#include "base/sized.h"
#include "tests/unit/unit_test.h"

/* The same struct, as the first release, this one and the next know it. */
struct first {
	size_t size;
	uint32_t a;
};

struct today {
	size_t size;
	uint32_t a;
	uint32_t b;
	uint64_t c;
};

struct next {
	struct today known;
	uint64_t d;
};

#define LEAST BF_SIZED_LEAST(first, a)

static const struct today ours = { sizeof(ours), 1, 2, 3 };

static void the_first_release_counts_up_to_its_last_member(void **state)
{
	assert_int_equal(LEAST, 12); /* what pads the struct is nobody's */
}

static void an_earlier_caller_is_given_what_it_knows(void **state)
{
	struct today out = { .size = LEAST, .b = 77, .c = 78 };

	assert_works(bf_sized_give(&out, &ours, LEAST, "out", &err));
	assert_int_equal(out.size, LEAST);
	assert_int_equal(out.a, 1);
	assert_int_equal(out.b, 77); /* not its struct any more */
	assert_int_equal(out.c, 78);
}

static void a_later_caller_is_given_zeros_behind_what_we_know(void **state)
{
	struct next out;

	memset(&out, 0xff, sizeof(out));
	out.known.size = sizeof(out);
	assert_works(bf_sized_give(&out, &ours, LEAST, "out", &err));
	assert_int_equal(out.known.size, sizeof(out));
	assert_int_equal(out.known.c, 3);
	assert_int_equal(out.d, 0);
}

static void what_an_earlier_caller_does_not_say_is_the_default(void **state)
{
	struct today to = { sizeof(to), 0, 5, 6 };
	struct first from = { sizeof(from), 9 };

	from.size = LEAST;
	assert_works(bf_sized_take(&to, &from, LEAST, "from", &err));
	assert_int_equal(to.size, sizeof(to));
	assert_int_equal(to.a, 9);
	assert_int_equal(to.b, 5);
	assert_int_equal(to.c, 6);
}

static void a_later_caller_may_say_zero_to_what_we_do_not_know(void **state)
{
	struct next from = { { sizeof(from), 7, 8, 9 }, 0 };
	struct today to = { .size = sizeof(to) };

	assert_works(bf_sized_take(&to, &from, LEAST, "from", &err));
	assert_int_equal(to.size, sizeof(to));
	assert_int_equal(to.c, 9);
}

static void a_later_caller_may_not_ask_for_what_we_do_not_know(void **state)
{
	struct next from = { { sizeof(from), 7, 8, 9 }, 1ULL << 32 };
	struct today to = { .size = sizeof(to), .a = 1 };

	assert_fails(bf_sized_take(&to, &from, LEAST, "from", &err), E2BIG,
		     "from: byte 28 is set, and libbelfry " BELFRY_VERSION " knows 24");
	assert_int_equal(to.a, 1);
}

static void a_size_that_nobody_has_set_is_refused(void **state)
{
	static const size_t sizes[] = { 0, LEAST - 1, 4097, SIZE_MAX };
	struct today sized = { 0 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char want[80];

		snprintf(want, sizeof(want), "x.size %zu: expected 12 to 4096", sizes[i]);
		sized = (struct today){ .size = sizes[i], .a = 42 };
		assert_fails(bf_sized_check(&sized, LEAST, "x", &err), EINVAL, want);
		assert_fails(bf_sized_give(&sized, &ours, LEAST, "x", &err), EINVAL,
			     want);
		assert_int_equal(sized.a, 42);
		struct today to = ours;
		assert_fails(bf_sized_take(&to, &sized, LEAST, "x", &err), EINVAL, want);
		assert_int_equal(to.a, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_release_counts_up_to_its_last_member),
		cmocka_unit_test(an_earlier_caller_is_given_what_it_knows),
		cmocka_unit_test(a_later_caller_is_given_zeros_behind_what_we_know),
		cmocka_unit_test(what_an_earlier_caller_does_not_say_is_the_default),
		cmocka_unit_test(a_later_caller_may_say_zero_to_what_we_do_not_know),
		cmocka_unit_test(a_later_caller_may_not_ask_for_what_we_do_not_know),
		cmocka_unit_test(a_size_that_nobody_has_set_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
