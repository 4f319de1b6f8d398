/* SPDX-License-Identifier: MIT */
/* tests/unit/bench_json_test.c - results go to a file and come back, and what is wrong in
 * a file is said
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/bench_test.h"

#define ZEROES \
	"\"min\":0,\"p50\":0,\"p90\":0,\"p99\":0,\"p99_9\":0,\"p99_99\":0,\"max\":0"

static const double figures[] = { 38420.5, 38.4, 0.125 };

/* Text that can be read by a path, "/dev/fd/N", as long as the test runs. */
static const char *file_of(const char *text)
{
	static char path[32];
	int fd = memfd_create("test", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static struct bench_result *full_result(void)
{
	struct bench_result *r = new_result();
	struct bench_series *s;

	add_series(r, "poll", "belfry", BENCH_NS, figures, 3)->runs[1].disturbed = true;
	s = add_series(r, "rate", "qemu", BENCH_PER_S, figures, 2);
	strcpy(s->parameter, "peers");
	s->value = 64;
	s->runs[0].coalesced = 8.5;
	s->failed_runs = 2;
	s->runs[1].exits = 0;
	s = add_series(r, "one-way", "floor", BENCH_NS, NULL, 0);
	s->status = BENCH_CANNOT_RUN;
	strcpy(s->reason, "there is no <floor> & \"no\" é here");
	strcpy(r->stopped, "interrupted");
	r->complete = false;
	r->n_contestants = 1;
	strcpy(r->contestants[0].name, "qemu");
	r->contestants[0].runs = true;
	bench_result_note(r, "a note");
	return r;
}

/* Read @text, which must work. */
static struct bench_result *read_back(const char *text)
{
	struct bench_result *r = NULL;

	assert_works(bench_result_read(&r, file_of(text), &err));
	return r;
}

static void what_is_written_is_read(void **state)
{
	struct bench_result *r = full_result(), *back;
	char *first = bench_format_json(r, NULL), *second;

	assert_non_null(first);
	back = read_back(first);
	second = bench_format_json(back, NULL);
	assert_string_equal(first, second);
	assert_string_equal(back->series[2].reason, r->series[2].reason);
	assert_true(back->series[0].runs[1].disturbed);
	assert_int_equal(back->series[0].runs[0].exits, -1);
	assert_int_equal(back->series[1].value, 64);
	assert_int_equal(back->series[1].failed_runs, 2);
	assert_int_equal(back->series[0].n_buckets, 3);
	assert_false(back->complete);
	assert_string_equal(back->notes[0], "a note");
	free(first);
	free(second);
	bench_result_destroy(r);
	bench_result_destroy(back);
}

static void a_histogram_has_three_digits(void **state)
{
	static const double close[] = { 38410, 38420.5, 38490, 38510 };
	struct bench_result *r = new_result();
	struct bench_series *s = add_series(r, "poll", "belfry", BENCH_NS, close, 4);

	assert_int_equal(s->n_buckets, 2);
	assert_true(s->histogram[0].ns == 38400 && s->histogram[0].count == 2);
	assert_true(s->histogram[1].ns == 38500 && s->histogram[1].count == 2);
	bench_result_destroy(r);
}

/* What reading @text says, without the path. */
static void assert_refused(const char *text, const char *message)
{
	struct belfry_error err = { 0 };
	struct bench_result *r = NULL;
	const char *path = file_of(text);

	assert_int_equal(bench_result_read(&r, path, &err), -EINVAL);
	assert_null(r);
	assert_int_equal(strncmp(err.msg, path, strlen(path)), 0);
	assert_string_equal(err.msg + strlen(path), message);
}

static void a_file_that_is_none_of_ours_is_refused(void **state)
{
	assert_refused("{}", ": not a result of belfry bench");
	assert_refused("[]", ": not a result of belfry bench");
	assert_refused("{\"format\": \"other\"}", ": not a result of belfry bench");
	assert_refused("", ":1:0: '[' or '{' expected near end of file");
	assert_refused("{\"a\": 1, \"a\": 2}",
		       ":1:12: duplicate object key near '\"a\"'");
}

static void what_is_no_json_is_refused_where_it_stands(void **state)
{
	char deep[5000];

	assert_refused("{\"a\": NaN}", ":1:9: invalid token near 'NaN'");
	assert_refused("{\"a\": 1e999}", ":1:11: real number overflow near '1e999'");
	assert_refused("{\"a\": 99999999999999999999}",
		       ":1:26: too big integer near '99999999999999999999'");
	assert_refused("{\"a\": \"b", ":1:8: premature end of input near '\"b'");
	assert_refused("{\"a\": 1} {}", ":1:10: end of file expected near '{'");
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_refused(deep, ":1:2049: maximum parsing depth reached near '['");
}

static void a_version_to_come_is_refused(void **state)
{
	assert_refused("{\"format\": \"belfry-bench\", \"version\": 2}",
		       ": a result of format version 2; this belfry knows versions up to "
		       "1");
	assert_refused("{\"format\": \"belfry-bench\", \"version\": \"1\"}",
		       ": version: expected a number");
}

/* A good file with @from replaced by @to. */
static void assert_spoilt(const char *from, const char *to, const char *message)
{
	struct bench_result *r = full_result();
	char *text = bench_format_json(r, NULL), *at = strstr(text, from), *spoilt;

	assert_non_null(at);
	assert_true(asprintf(&spoilt, "%.*s%s%s", (int)(at - text), text, to,
			     at + strlen(from)) > 0);
	assert_refused(spoilt, message);
	free(spoilt);
	free(text);
	bench_result_destroy(r);
}

static void mistakes_are_named(void **state)
{
	assert_spoilt("\"belfry\":\"0.1.0\"", "\"belfry\":1", ": belfry: expected text");
	assert_spoilt("\"series\":[", "\"others\":[", ": series is missing");
	assert_spoilt("\"complete\":false", "\"complete\":0",
		      ": complete: expected true or false");
	assert_spoilt("\"runs\":7", "\"runs\":1e9",
		      ": runs: expected a whole number from 0 to 1000000");
	assert_spoilt("\"turn\":1", "\"turn\":-1",
		      ": series 0: turn: expected a whole number from 0 to 1000000");
	assert_spoilt("\"p50\":", "\"p50\":-",
		      ": series 0: p50: expected a number from 0 to 1e18");
	assert_spoilt("\"unit\":\"ns\"", "\"unit\":\"h\"",
		      ": series 0: unit: not a word of this format");
	assert_spoilt("\"scenario\":\"poll\"",
		      "\"scenario\":\"a-name-that-is-longer-than-any-scenario-has\"",
		      ": series 0: scenario: at most 31 bytes");
	assert_spoilt("[0.125,1]", "[0.125,0]",
		      ": series 0: histogram: entry 0 is not [ns, count], by rising ns");
	assert_spoilt("[0.125,1]", "[0.125,1000000000001]",
		      ": series 0: histogram: entry 0 is not [ns, count], by rising ns");
	assert_spoilt("[0.125,1],", "[1e6,1],",
		      ": series 0: histogram: entry 1 is not [ns, count], by rising ns");
	assert_spoilt("[0.125,1],", "", ": series 0: histogram: not of all samples");
	assert_spoilt("\"figure\":0.125", "\"figure\":1e-320",
		      ": series 0: figure: expected 0, or a number from 1e-9");
	assert_spoilt("\"p50\":38.4", "\"p50\":1e-10",
		      ": series 0: p50: expected 0, or a number from 1e-9");
	assert_spoilt("\"contestants\":[{", "\"contestants\":[0,{", ": name is missing");
	assert_spoilt("\"exits\":0", "\"exits\":1000000000001",
		      ": series 1: exits: at most 1000000000000");
	assert_spoilt("\"cannot run\",",
		      "\"measured\",\"samples\":0,\"ns\":{" ZEROES
		      "},\"runs\":[],\"histogram\":[],",
		      ": series 2: runs: expected at least one of what is measured");
}

/* Escape sequences of a file do not reach the terminal of whoever compares it. */
static void control_characters_are_blanked(void **state)
{
	struct bench_result *r = full_result(), *back;
	char *text;

	strcpy(r->series[2].reason, "a\033[2Jb\177c\302\233d \303\251");
	bench_result_note(r, "x\ty");
	text = bench_format_json(r, NULL);
	back = read_back(text);
	assert_string_equal(back->series[2].reason, "a [2Jb c  d \303\251");
	assert_string_equal(back->notes[1], "x y");
	free(text);
	bench_result_destroy(r);
	bench_result_destroy(back);
}

static void assert_clean(const char *text, const char *want)
{
	char copy[64];

	strcpy(copy, text);
	bench_clean(copy);
	assert_string_equal(copy, want);
}

static void text_becomes_utf8(void **state)
{
	assert_clean("caf\303\251 \360\237\224\224", "caf\303\251 \360\237\224\224");
	assert_clean("caf\351 au lait", "caf? au lait");
	assert_clean("\377\300\257 \355\240\200 ", "??? "
						   "??? ");
	assert_clean("cut \360\237\224", "cut ");
	assert_clean("cut \303", "cut ");
	assert_clean("a\033[2J\tb\177c\302\205d", "a [2J b c  d");
}

/* As a program says its version, and a host its name, and as far as there is room */
static void text_of_any_kind_can_be_read_again(void **state)
{
	struct bench_result *r = full_result(), *back;
	char *text;

	strcpy(r->contestants[0].version, "QEMU \351");
	bench_clean(r->contestants[0].version);
	bench_result_note(r, "%0158d\303\251", 0);
	strcpy(r->series[1].parameter, "p\303\251");
	text = bench_format_json(r, NULL);
	assert_non_null(text);
	back = read_back(text);
	assert_string_equal(back->contestants[0].version, "QEMU ");
	assert_int_equal(strlen(back->notes[1]), 158);
	assert_string_equal(bench_series_label(&back->series[1]).text,
			    "rate, 64 p\303\251");
	back->series[1].value = 1;
	assert_string_equal(bench_series_label(&back->series[1]).text, "rate, 1 p");
	free(text);
	bench_result_destroy(r);
	bench_result_destroy(back);
}

/* Not a file with the key missing, which nobody could read */
static void what_cannot_be_written_is_no_file(void **state)
{
	struct bench_result *r = full_result();

	strcpy(r->contestants[0].version, "QEMU \351 x");
	assert_null(bench_format_json(r, NULL));
	bench_result_destroy(r);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	struct bench_result *r;

	assert_fails(bench_result_read(&r, "/nonexistent/x", &err), ENOENT,
		     "/nonexistent/x: No such file or directory");
	assert_fails(bench_result_read(&r, "/", &err), EISDIR, "/: Is a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_histogram_has_three_digits),
		cmocka_unit_test(a_file_that_is_none_of_ours_is_refused),
		cmocka_unit_test(what_is_no_json_is_refused_where_it_stands),
		cmocka_unit_test(a_version_to_come_is_refused),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(control_characters_are_blanked),
		cmocka_unit_test(text_becomes_utf8),
		cmocka_unit_test(text_of_any_kind_can_be_read_again),
		cmocka_unit_test(what_cannot_be_written_is_no_file),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
