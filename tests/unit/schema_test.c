/* SPDX-License-Identifier: MIT */
/* tests/unit/schema_test.c - tables of keys: values parsed, bounded, owned, printed */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "base/schema.h"
#include "base/text.h"

struct sample {
	char *text;
	char *cpus;
	struct bf_file file;
	struct bf_file shm;
	uint64_t size;
	uint64_t pow2;
	uint64_t pages;
	uint64_t count;
	bool flag;
};

#define AT(field) offsetof(struct sample, field)

/* clang-format off */
static const struct bf_key keys[] = {
	/* name   type       where      min   max      default      help */
	{ "text",  BF_STRING, AT(text),  2,    5,       NULL,        "text" },
	{ "cpus",  BF_CPUS,   AT(cpus),  0,    7,       NULL,        "CPUs" },
	{ "file",  BF_FILE,   AT(file),  1,    20,      BF_REQUIRED, "a file" },
	{ "shm",   BF_SHM,    AT(shm),   1,    20,      NULL,        "memory" },
	{ "size",  BF_SIZE,   AT(size),  10,   1 << 20, "4k",        "any size" },
	{ "pow2",  BF_POW2,   AT(pow2),  4096, 1 << 20, NULL,        "a power" },
	{ "pages", BF_PAGES,  AT(pages), 4096, 1 << 20, NULL,        "pages" },
	{ "count", BF_UINT,   AT(count), 1,    64,      NULL,        "a number" },
	{ "flag",  BF_BOOL,   AT(flag),  0,    0,       "on",        "a switch" },
	{ 0 },
};
/* clang-format on */

static int set(struct sample *s, const char *name, const char *value,
	       struct belfry_error *err)
{
	return bf_schema_set(bf_schema_find(keys, name), s, value, err);
}

static int make(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));

	*state = s;
	return s ? bf_schema_init(keys, s, NULL) : -1;
}

static int unmake(void **state)
{
	bf_schema_fini(keys, *state);
	free(*state);
	return 0;
}

/* --- numbers, sizes, CPUs --- */

static void sizes_have_binary_suffixes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "64k", 64 << 10 },
		{ "64K", 64 << 10 },
		{ "16M", 16 << 20 },
		{ "3g", 3ULL << 30 },
		{ "2T", 2ULL << 40 },
		{ "0x1000", 4096 },
		{ "0XfFk", 255 << 10 },
		{ "010", 10 },
		{ "18446744073709551615", UINT64_MAX },
	};
	uint64_t size;

	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++) {
		assert_int_equal(bf_parse_size(good[i].text, &size), 0);
		assert_int_equal(size, good[i].size);
	}
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = { "",   "k",  "0x", "4P",  "4kk", "4 k", "-1",
					   "+1", " 4", "4 ", "1.5", "1e3", "4KiB" };
	uint64_t size = 7;

	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		assert_int_equal(bf_parse_size(bad[i], &size), -EINVAL);
	assert_int_equal(bf_parse_size("18446744073709551616", &size), -ERANGE);
	assert_int_equal(bf_parse_size("16777216T", &size), -ERANGE);
	assert_int_equal(bf_parse_uint("18446744073709551616", &size), -ERANGE);
	assert_int_equal(bf_parse_uint("4k", &size), -EINVAL);
	assert_int_equal(size, 7);
}

static void sizes_print_with_the_largest_suffix(void **state)
{
	assert_string_equal(bf_size_text(0).text, "0");
	assert_string_equal(bf_size_text(1).text, "1");
	assert_string_equal(bf_size_text(1024).text, "1k");
	assert_string_equal(bf_size_text(1025).text, "1025");
	assert_string_equal(bf_size_text(1536 << 20).text, "1536M");
	assert_string_equal(bf_size_text(1ULL << 40).text, "1T");
	assert_string_equal(bf_size_text(1ULL << 50).text, "1024T");
	assert_string_equal(bf_size_text(UINT64_MAX).text, "18446744073709551615");
}

static void cpu_lists_keep_their_order(void **state)
{
	unsigned int cpus[4] = { 9, 9, 9, 9 };

	assert_int_equal(bf_parse_cpus("3,0-1", 0, 7, cpus, 4), 3);
	assert_int_equal(cpus[0], 3);
	assert_int_equal(cpus[1], 0);
	assert_int_equal(cpus[2], 1);
	assert_int_equal(cpus[3], 9);
	assert_int_equal(bf_parse_cpus("0-7", 0, 7, cpus, 2), 8);
	assert_int_equal(cpus[1], 1);
	assert_int_equal(cpus[2], 1);
}

static void what_is_no_cpu_list_is_refused(void **state)
{
	static const char *const bad[] = { "",    ",",  "0,", ",0", "a",
					   "3-1", "1-", "-1", "0 ", "0-1-2" };

	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		assert_int_equal(bf_parse_cpus(bad[i], 0, 7, NULL, 0), -EINVAL);
	assert_int_equal(bf_parse_cpus("8", 0, 7, NULL, 0), -ERANGE);
	assert_int_equal(bf_parse_cpus("0", 1, 7, NULL, 0), -ERANGE);
	assert_int_equal(bf_parse_cpus("0-99999999999999999999", 0, 7, NULL, 0), -ERANGE);
}

/* --- setting --- */

static void each_type_fills_its_member(void **state)
{
	struct sample *s = *state;

	assert_int_equal(set(s, "text", "hello", NULL), 0);
	assert_string_equal(s->text, "hello");
	assert_int_equal(set(s, "cpus", "0,2-3", NULL), 0);
	assert_string_equal(s->cpus, "0,2-3");
	assert_int_equal(set(s, "file", "/dev/null", NULL), 0);
	assert_string_equal(s->file.path, "/dev/null");
	assert_int_equal(set(s, "shm", "/ring", NULL), 0);
	assert_string_equal(s->shm.path, "/ring");
	assert_int_equal(set(s, "size", "11", NULL), 0);
	assert_int_equal(s->size, 11);
	assert_int_equal(set(s, "pow2", "8k", NULL), 0);
	assert_int_equal(s->pow2, 8192);
	assert_int_equal(set(s, "pages", "12k", NULL), 0);
	assert_int_equal(s->pages, 12288);
	assert_int_equal(set(s, "count", "0x40", NULL), 0);
	assert_int_equal(s->count, 64);
}

static void a_bool_has_six_words(void **state)
{
	struct sample *s = *state;

	assert_int_equal(set(s, "flag", "false", NULL), 0);
	assert_false(s->flag);
	assert_int_equal(set(s, "flag", "Yes", NULL), 0);
	assert_true(s->flag);
	assert_int_equal(set(s, "flag", "OFF", NULL), 0);
	assert_false(s->flag);
	assert_int_equal(set(s, "flag", "true", NULL), 0);
	assert_true(s->flag);
	assert_int_equal(set(s, "flag", "no", NULL), 0);
	assert_false(s->flag);
	assert_int_equal(set(s, "flag", "on", NULL), 0);
	assert_true(s->flag);
}

static void defaults_are_set_and_the_rest_is_not_given(void **state)
{
	struct sample *s = *state;

	assert_int_equal(s->size, 4096);
	assert_true(s->flag);
	assert_int_equal(s->count, 0);
	assert_null(s->text);
	assert_false(bf_file_given(&s->file));
	assert_false(bf_schema_given(bf_schema_find(keys, "count"), s));
	assert_false(bf_schema_given(bf_schema_find(keys, "file"), s));
	assert_true(bf_schema_given(bf_schema_find(keys, "size"), s));
	assert_null(bf_schema_find(keys, "none"));
}

static void a_wrong_value_says_what_would_do(void **state)
{
	static const struct {
		const char *key;
		const char *value;
		const char *message;
	} wrong[] = {
		{ "text", "a", "expected text" },
		{ "text", "abcdef", "6 bytes, at most 5" },
		{ "text", "\xff\xfe", "not UTF-8" },
		{ "cpus", "x", "expected CPUs such as 0,2-3" },
		{ "cpus", "8", "CPUs are 0 to 7" },
		{ "file", "", "expected a path" },
		{ "file", "123456789012345678901", "21 bytes, at most 20" },
		{ "shm", "", "expected a name" },
		{ "shm", "a/b", "expected a name such as ring, without '/' inside" },
		{ "shm", "/", "expected a name such as ring, without '/' inside" },
		{ "shm", "..", "expected a name such as ring, without '/' inside" },
		{ "shm", "123456789012345678901", "21 bytes, at most 20" },
		{ "size", "x", "expected a size such as 4096, 64k or 16M, 10 to 1M" },
		{ "size", "9", "at least 10" },
		{ "size", "2M", "at most 1M" },
		{ "size", "99999999999999999999", "at most 1M" },
		{ "pow2", "0", "at least 4k" },
		{ "pow2", "12k", "not a power of two; 16k would do" },
		{ "pow2", "4097", "not a power of two; 8k would do" },
		{ "pow2", "1000000", "not a power of two; 1M would do" },
		{ "pages", "4097", "not a multiple of 4k; 8k would do" },
		{ "count", "many", "expected a number, 1 to 64" },
		{ "count", "-1", "expected a number, 1 to 64" },
		{ "count", "0", "at least 1" },
		{ "count", "65", "at most 64" },
		{ "count", "99999999999999999999", "at most 64" },
		{ "flag", "maybe", "expected true or false" },
	};
	struct belfry_error err;

	for (size_t i = 0; i < BF_ARRAY_LEN(wrong); i++) {
		err = (struct belfry_error){ 0 };
		assert_int_equal(set(*state, wrong[i].key, wrong[i].value, &err),
				 -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_string_equal(err.msg, wrong[i].message);
	}
}

static void a_refused_value_leaves_the_old_one(void **state)
{
	struct sample *s = *state;

	assert_int_equal(set(s, "text", "old", NULL), 0);
	assert_int_equal(set(s, "count", "5", NULL), 0);
	assert_int_equal(set(s, "file", "old", NULL), 0);
	assert_int_equal(set(s, "text", "far too long", NULL), -EINVAL);
	assert_int_equal(set(s, "count", "500", NULL), -EINVAL);
	assert_int_equal(set(s, "file", "", NULL), -EINVAL);
	assert_string_equal(s->text, "old");
	assert_int_equal(s->count, 5);
	assert_string_equal(s->file.path, "old");
}

/* --- descriptors --- */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_descriptor_is_duplicated_and_close_on_exec(void **state)
{
	struct sample *s = *state;
	BF_CLOSE int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(set(s, "file", "name", NULL), 0);
	assert_int_equal(bf_schema_set_fd(bf_schema_find(keys, "file"), s, fd, NULL), 0);
	assert_int_not_equal(s->file.fd, fd);
	assert_int_equal(fcntl(s->file.fd, F_GETFD), FD_CLOEXEC);
	assert_string_equal(s->file.path, "name");
}

static void a_new_path_or_descriptor_closes_the_old_descriptor(void **state)
{
	const struct bf_key *key = bf_schema_find(keys, "shm");
	struct sample *s = *state;
	BF_CLOSE int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int first, second;

	assert_int_equal(bf_schema_set_fd(key, s, fd, NULL), 0);
	first = s->shm.fd;
	assert_true(bf_schema_given(key, s));
	assert_int_equal(bf_schema_set_fd(key, s, fd, NULL), 0);
	second = s->shm.fd;
	assert_false(is_open(first));
	assert_int_equal(bf_schema_set(key, s, "ring", NULL), 0);
	assert_false(is_open(second));
	assert_int_equal(s->shm.fd, -1);
}

static void a_bad_descriptor_and_a_key_without_one_are_refused(void **state)
{
	struct belfry_error err;
	int r;

	r = bf_schema_set_fd(bf_schema_find(keys, "file"), *state, -1, &err);
	assert_int_equal(r, -EBADF);
	assert_string_equal(err.msg, "descriptor -1: Bad file descriptor");
	r = bf_schema_set_fd(bf_schema_find(keys, "count"), *state, 0, &err);
	assert_int_equal(r, -EINVAL);
	assert_string_equal(err.msg, "number takes no descriptor");
}

/* --- words --- */

static void utf8_is_told_from_other_bytes(void **state)
{
	static const char *const good[] = { "",
					    "plain",
					    "\xc3\xa9",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x94\x94",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",
					   "\xc3",
					   "\xc3(",
					   "\xc0\xaf",
					   "\xe0\x80\xaf",
					   "\xed\xa0\x80",
					   "\xf4\x90\x80\x80",
					   "\xf8\x88\x80\x80\x80",
					   "\xe2\x82" };

	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++)
		assert_true(bf_utf8_valid(good[i]));
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		assert_false(bf_utf8_valid(bad[i]));
}

static const char *nearest(const char *word)
{
	struct bf_nearest near = { .word = word };

	bf_nearest_try(&near, "kernel");
	bf_nearest_try(&near, "memory");
	bf_nearest_try(&near, "cpus");
	return near.best;
}

static void a_typo_finds_the_word_it_was_meant_to_be(void **state)
{
	assert_string_equal(nearest("memroy"), "memory");
	assert_string_equal(nearest("cpu"), "cpus");
	assert_string_equal(nearest("kernal"), "kernel");
	assert_string_equal(nearest("kernels"), "kernel");
	assert_null(nearest("disk"));
	assert_null(nearest(""));
	assert_null(nearest("a word that is much too long to be a typo of a key"));
}

static void a_long_value_is_quoted_in_brief(void **state)
{
	assert_string_equal(bf_brief("").text, "\"\"");
	assert_string_equal(bf_brief("a\nb\tc\x7f\xff\xe9").text, "a?b?c???");
	assert_string_equal(bf_brief("12345678901234567890123456789012345678901234").text,
			    "12345678901234567890123456789012345678901234");
	assert_string_equal(
		bf_brief("123456789012345678901234567890123456789012345").text,
		"12345678901234567890123456789012345678901234...");
	assert_string_equal(
		bf_brief("1234567890123456789012345678901234567890123\xc3\xa9").text,
		"1234567890123456789012345678901234567890123...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_binary_suffixes),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(sizes_print_with_the_largest_suffix),
		cmocka_unit_test(cpu_lists_keep_their_order),
		cmocka_unit_test(what_is_no_cpu_list_is_refused),
		cmocka_unit_test_setup_teardown(each_type_fills_its_member, make, unmake),
		cmocka_unit_test_setup_teardown(a_bool_has_six_words, make, unmake),
		cmocka_unit_test_setup_teardown(
			defaults_are_set_and_the_rest_is_not_given, make, unmake),
		cmocka_unit_test_setup_teardown(a_wrong_value_says_what_would_do, make,
						unmake),
		cmocka_unit_test_setup_teardown(a_refused_value_leaves_the_old_one, make,
						unmake),
		cmocka_unit_test_setup_teardown(
			a_descriptor_is_duplicated_and_close_on_exec, make, unmake),
		cmocka_unit_test_setup_teardown(
			a_new_path_or_descriptor_closes_the_old_descriptor, make, unmake),
		cmocka_unit_test_setup_teardown(
			a_bad_descriptor_and_a_key_without_one_are_refused, make, unmake),
		cmocka_unit_test(utf8_is_told_from_other_bytes),
		cmocka_unit_test(a_typo_finds_the_word_it_was_meant_to_be),
		cmocka_unit_test(a_long_value_is_quoted_in_brief),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
