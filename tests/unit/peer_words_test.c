/* SPDX-License-Identifier: MIT */
/* tests/unit/peer_words_test.c - what people type at belfry peer */
#include "cli/peer_words.h"
#include "tests/unit/unit_test.h"

/* Split @line, which is one command of @n words. */
static struct words split(const char *line, unsigned int n)
{
	struct words w;

	assert_works(words_split(&w, &line, &err));
	assert_int_equal(w.n, n);
	assert_string_equal(line, "");
	return w;
}

static void words_stand_between_blanks(void **state)
{
	struct words w = split("  ring\t 3   all \r\n", 3);

	assert_string_equal(w.word[0].text, "ring");
	assert_string_equal(w.word[1].text, "3");
	assert_string_equal(w.word[2].text, "all");
	assert_int_equal(w.word[2].len, 3);
	assert_false(w.word[2].quoted);
	words_free(&w);
}

static void a_line_may_say_nothing(void **state)
{
	static const char *const lines[] = { "", "  ", "# ring 3", "\n", ";" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct words w = split(lines[i], 0);

		words_free(&w);
	}
}

static void quoted_text_is_one_word(void **state)
{
	struct words w = split("write 0 \"a b; # \\x41\\n\\0\\\"\\\\\" \"\"", 4);

	assert_int_equal(w.word[2].len, 12);
	assert_memory_equal(w.word[2].text, "a b; # A\n\0\"\\", 13);
	assert_true(w.word[2].quoted);
	assert_int_equal(w.word[3].len, 0);
	words_free(&w);
}

static void a_semicolon_ends_a_command(void **state)
{
	const char *line = "ring 3;wait # and so on; more\nlist";
	static const char *const names[] = { "ring", "wait", "list" };
	struct words w;

	for (int i = 0; i < 3; i++) {
		assert_works(words_split(&w, &line, &err));
		assert_string_equal(w.word[0].text, names[i]);
		assert_int_equal(w.n, i == 0 ? 2 : 1);
		words_free(&w);
	}
	assert_string_equal(line, "");
}

/* @line, given &err, must be refused. */
static void refuse(const char *line, const char *message)
{
	struct words w;

	assert_fails(words_split(&w, &line, &err), EINVAL, message);
}

static void wrong_quotes_are_refused(void **state)
{
	static const char escapes[] = "escapes are \\n \\t \\r \\0 \\\" \\\\ and \\xHH";

	refuse("write 0 \"abc", "a quote is not closed");
	refuse("write 0 \"abc\\", escapes);
	refuse("write 0 \"\\q\"", escapes);
	refuse("write 0 \"\\x4\"", escapes);
	refuse("write 0 a\"b\"", "a quote begins or ends within a word");
	refuse("write 0 \"a\"b", "a quote begins or ends within a word");
}

/* Return: what @text is at most @max; a negative errno. */
static int64_t number(const char *text, uint64_t max)
{
	uint64_t n = 77;
	const int r = parse_number(text, max, &n);

	if (r < 0)
		assert_int_equal(n, 77);
	return r < 0 ? r : (int64_t)n;
}

static void numbers_may_have_a_suffix(void **state)
{
	assert_int_equal(number("0", 10), 0);
	assert_int_equal(number("0x1F", 100), 31);
	assert_int_equal(number("010", 100), 10);
	assert_int_equal(number("4k", UINT64_MAX), 4096);
	assert_int_equal(number("0x10M", UINT64_MAX), 16 << 20);
	assert_int_equal(number("3g", UINT64_MAX), 3LL << 30);
	assert_int_equal(number("64T", UINT64_MAX), 64LL << 40);
}

static void numbers_have_bounds(void **state)
{
	uint64_t n;

	assert_int_equal(number("255", 255), 255);
	assert_int_equal(number("256", 255), -ERANGE);
	assert_int_equal(number("18446744073709551616", UINT64_MAX), -ERANGE);
	assert_int_equal(number("16777216T", UINT64_MAX), -ERANGE);
	assert_int_equal(parse_number("18446744073709551615", UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const wrong[] = { "",    "-1", "+1", " 1",  "1 ",  "0x", "0xg",
					     "1kk", "k",  "1b", "all", "1.5", "0b1" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(number(wrong[i], UINT64_MAX), -EINVAL);
}

static void times_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} times[] = {
		{ "0", 0 },
		{ "7us", 7000 },
		{ "500ms", 500000000 },
		{ "10s", 10000000000 },
		{ "10", 10000000000 },
		{ "2m", 120000000000 },
		{ "1h", 3600000000000 },
	};
	uint64_t ns;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_int_equal(parse_time(times[i].text, &ns), 0);
		assert_int_equal(ns, times[i].ns);
	}
	assert_int_equal(parse_time("1 s", &ns), -EINVAL);
	assert_int_equal(parse_time("1d", &ns), -EINVAL);
	assert_int_equal(parse_time("", &ns), -EINVAL);
	assert_int_equal(parse_time("9223372037s", &ns), -ERANGE);
	assert_int_equal(parse_time("99999999999999999h", &ns), -ERANGE);
}

/* The check value of CRC-32/ISO-HDLC is that of "123456789". */
static void the_checksum_is_the_common_crc_32(void **state)
{
	assert_int_equal(crc32_more(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_more(crc32_more(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(crc32_more(0, "", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_stand_between_blanks),
		cmocka_unit_test(a_line_may_say_nothing),
		cmocka_unit_test(quoted_text_is_one_word),
		cmocka_unit_test(a_semicolon_ends_a_command),
		cmocka_unit_test(wrong_quotes_are_refused),
		cmocka_unit_test(numbers_may_have_a_suffix),
		cmocka_unit_test(numbers_have_bounds),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(the_checksum_is_the_common_crc_32),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
