/* SPDX-License-Identifier: MIT */
/* tests/unit/err_test.c - messages: what happened comes before where, when room is short
 */
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/unit_test.h"

#define ROOM (sizeof(((struct belfry_error *)0)->msg) - 1)

/* A path of @len bytes: "/aaa...z". */
static const char *path_of(size_t len)
{
	static char path[4096];

	assert_true(len > 1 && len < sizeof(path));
	memset(path, 'a', len);
	path[0] = '/';
	path[len - 1] = 'z';
	path[len] = '\0';
	return path;
}

static void assert_begins(const char *text, const char *begin)
{
	assert_true(strlen(text) >= strlen(begin));
	assert_memory_equal(text, begin, strlen(begin));
}

static void assert_ends(const char *text, const char *end)
{
	assert_true(strlen(text) >= strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void an_error_has_code_and_message(void **state)
{
	struct belfry_error err = { 0 };

	assert_int_equal(bf_err(&err, EINVAL, "vectors %u: at most %u", 9, 8), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.msg, "vectors 9: at most 8");
}

static void an_error_of_the_system_ends_with_its_reason(void **state)
{
	struct belfry_error err = { 0 };

	assert_int_equal(bf_err_sys(&err, ENOENT, "kernel %s", "/boot/k"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.msg, "kernel /boot/k: No such file or directory");
}

static void wrapping_puts_the_context_in_front_and_keeps_the_code(void **state)
{
	struct belfry_error err = { 0 };

	bf_err(&err, EBUSY, "inside");
	assert_int_equal(bf_err_wrap(&err, -EBUSY, "vms.%s", "vm"), -EBUSY);
	assert_int_equal(err.code, -EBUSY);
	assert_string_equal(err.msg, "vms.vm: inside");
}

static void without_an_error_to_fill_the_code_is_returned(void **state)
{
	assert_int_equal(bf_err(NULL, EINVAL, "%s", "x"), -EINVAL);
	assert_int_equal(bf_err_sys(NULL, ENOENT, "%s", "x"), -ENOENT);
	assert_int_equal(bf_err_wrap(NULL, -EBUSY, "%s", "x"), -EBUSY);
}

static void a_long_path_never_takes_the_place_of_the_reason(void **state)
{
	for (size_t len = 200; len < 300; len++) {
		struct belfry_error err = { 0 };

		bf_err_sys(&err, ENOENT, "kernel %s", path_of(len));
		assert_begins(err.msg, "kernel /aaa");
		assert_ends(err.msg, "z: No such file or directory");
	}
}

static void no_character_is_cut_in_two(void **state)
{
	for (size_t n = 60; n < 400; n++) {
		struct belfry_error err = { 0 };
		char path[1300] = "";

		memset(path, 'x', n % 4);
		for (size_t i = 0; i < n; i++)
			strcat(path, n % 2 ? "\u00e9" : "\u20ac");
		bf_err_sys(&err, ENOENT, "kernel %s", path);
		assert_true(bf_utf8_valid(err.msg));
		bf_err_wrap(&err, -ENOENT, "vms.%s", path);
		assert_true(bf_utf8_valid(err.msg));
		bf_err(&err, ENOENT, "%s", path);
		assert_true(bf_utf8_valid(err.msg));
		assert_true(strlen(err.msg) >=
			    (strlen(path) < ROOM ? strlen(path) : ROOM - 4));
	}
}

static void what_fits_is_not_shortened(void **state)
{
	const size_t len = ROOM - strlen("kernel : No such file or directory");
	struct belfry_error err = { 0 };

	bf_err_sys(&err, ENOENT, "kernel %s", path_of(len));
	assert_int_equal(strlen(err.msg), ROOM);
	assert_null(strstr(err.msg, "..."));
	bf_err_sys(&err, ENOENT, "kernel %s", path_of(len + 1));
	assert_int_equal(strlen(err.msg), ROOM);
	assert_non_null(strstr(err.msg, "..."));
}

static void a_path_of_any_length_keeps_its_begin_and_the_reason(void **state)
{
	struct belfry_error err = { 0 };

	bf_err_sys(&err, EACCES, "kernel %s", path_of(4095));
	assert_begins(err.msg, "kernel /aaa");
	assert_ends(err.msg, ": Permission denied");
	assert_true(strlen(err.msg) <= ROOM);
}

static void long_contexts_leave_room_for_the_reason(void **state)
{
	for (size_t len = 3; len < 600; len += 7) {
		struct belfry_error err = { 0 };

		bf_err_sys(&err, ENOENT, "file %s", path_of(len));
		bf_err_wrap(&err, -ENOENT, "devices.%s", path_of(len));
		bf_err_wrap(&err, -ENOENT, "vms.%s", path_of(len));
		assert_begins(err.msg, "vms./a");
		assert_ends(err.msg, ": No such file or directory");
		assert_true(strlen(err.msg) <= ROOM);
	}
}

static void wrapping_often_loses_neither_the_first_nor_the_last(void **state)
{
	struct belfry_error err = { 0 };

	bf_err_sys(&err, ENOMEM, "innermost");
	for (unsigned int i = 0; i < 100; i++)
		bf_err_wrap(&err, -ENOMEM, "context %u", i);
	assert_begins(err.msg, "context 99: ");
	assert_ends(err.msg, ": Cannot allocate memory");
	assert_true(strlen(err.msg) <= ROOM);
}

static void an_unknown_code_has_a_message_all_the_same(void **state)
{
	struct belfry_error err = { 0 };

	assert_int_equal(bf_err_sys(&err, 9999, "thing"), -9999);
	assert_string_equal(err.msg, "thing: Unknown error 9999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_code_and_message),
		cmocka_unit_test(an_error_of_the_system_ends_with_its_reason),
		cmocka_unit_test(wrapping_puts_the_context_in_front_and_keeps_the_code),
		cmocka_unit_test(without_an_error_to_fill_the_code_is_returned),
		cmocka_unit_test(a_long_path_never_takes_the_place_of_the_reason),
		cmocka_unit_test(no_character_is_cut_in_two),
		cmocka_unit_test(what_fits_is_not_shortened),
		cmocka_unit_test(a_path_of_any_length_keeps_its_begin_and_the_reason),
		cmocka_unit_test(long_contexts_leave_room_for_the_reason),
		cmocka_unit_test(wrapping_often_loses_neither_the_first_nor_the_last),
		cmocka_unit_test(an_unknown_code_has_a_message_all_the_same),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
