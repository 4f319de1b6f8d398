/* SPDX-License-Identifier: MIT */
/* tests/unit/bench_files_test.c - what is written of a result, and where it cannot be */
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/format.h"
#include "bench/scenario.h"
#include "tests/unit/bench_test.h"

static char folder[] = "/tmp/belfry-bench-test-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static char *read_file(const char *path)
{
	static char text[16384];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	assert_true(n >= 0);
	text[n] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int remove_folder(void **state)
{
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void a_file_is_there_with_all_of_the_text(void **state)
{
	struct stat st;

	assert_works(bench_write(in_folder("x"), "one\n", false, &err));
	assert_works(bench_write(in_folder("x"), "two\n", false, &err));
	assert_string_equal(read_file(in_folder("x")), "two\n");
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_works(bench_write(in_folder("x"), "three\n", true, &err));
	assert_string_equal(read_file(in_folder("x")), "two\nthree\n");
}

static void a_link_and_the_mode_of_a_file_stay(void **state)
{
	char target[128];
	struct stat st;

	strcpy(target, in_folder("target"));
	assert_works(bench_write(target, "one\n", false, &err));
	assert_int_equal(chmod(target, 0640), 0);
	assert_int_equal(symlink("target", in_folder("link")), 0);
	assert_works(bench_check_path(in_folder("link"), false, &err));
	assert_works(bench_write(in_folder("link"), "two\n", false, &err));
	assert_int_equal(lstat(in_folder("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_string_equal(read_file(target), "two\n");
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void a_full_disk_is_told(void **state)
{
	assert_fails(bench_write("/dev/full", "text", false, &err), ENOSPC,
		     "/dev/full: No space left on device");
	assert_fails(bench_write("/dev/full", "text", true, &err), ENOSPC,
		     "/dev/full: No space left on device");
}

static void a_folder_that_is_not_there_is_told(void **state)
{
	assert_fails(bench_write("/nonexistent/x", "text", false, &err), ENOENT,
		     "/nonexistent/x: No such file or directory");
	assert_fails(bench_write("/", "text", true, &err), EISDIR, "/: Is a directory");
}

/*
 * 1, 2, 3 and 10 us: half of them within 2 us. As HdrHistogram's own program prints it,
 * with five lines on the way to each half of what is left.
 */
static void percentiles_are_written_as_hdrhistogram_does(void **state)
{
	static const double ns[] = { 1000, 2000, 3000, 10000 };
	struct bench_result *r = new_result();

	add_series(r, "poll", "belfry", BENCH_NS, ns, 4);
	assert_works(bench_write_hgrm(r, in_folder("one.hgrm"), &err));
	assert_string_equal(read_file(in_folder("one.hgrm")),
			    "       Value     Percentile TotalCount 1/(1-Percentile)\n"
			    "\n"
			    "       1.000 0.000000000000          1           1.00\n"
			    "       1.000 0.100000000000          1           1.11\n"
			    "       1.000 0.200000000000          1           1.25\n"
			    "       2.000 0.300000000000          2           1.43\n"
			    "       2.000 0.400000000000          2           1.67\n"
			    "       2.000 0.500000000000          2           2.00\n"
			    "       3.000 0.550000000000          3           2.22\n"
			    "       3.000 0.600000000000          3           2.50\n"
			    "       3.000 0.650000000000          3           2.86\n"
			    "       3.000 0.700000000000          3           3.33\n"
			    "       3.000 0.750000000000          3           4.00\n"
			    "      10.000 1.000000000000          4\n"
			    "#[Mean    =        4.000, StdDeviation   =        3.536]\n"
			    "#[Max     =       10.000, Total count    =            4]\n"
			    "#[Buckets =            4, SubBuckets     =         1000]\n");
	bench_result_destroy(r);
}

/* So close to all of them that the share is 100 % but for rounding */
static void one_in_a_trillion_does_not_take_for_ever(void **state)
{
	static const double ns[] = { 1000, 2000 };
	struct bench_result *r = new_result();

	add_series(r, "poll", "belfry", BENCH_NS, ns, 2)->histogram[0].count =
		UINT64_MAX / 4;
	assert_works(bench_write_hgrm(r, in_folder("z.hgrm"), &err));
	assert_non_null(
		strstr(read_file(in_folder("z.hgrm")), "\n       2.000 1.000000"));
	bench_result_destroy(r);
}

static void several_series_get_a_file_each(void **state)
{
	static const double ns[] = { 1000 };
	struct bench_result *r = new_result();
	struct bench_series *s = add_series(r, "peers", "belfry", BENCH_NS, ns, 1);

	strcpy(s->parameter, "peers");
	s->value = 64;
	add_series(r, "../../poll", "qemu", BENCH_NS, ns, 1);
	assert_works(bench_write_hgrm(r, in_folder("y.hgrm"), &err));
	assert_int_equal(access(in_folder("y-peers-64-belfry.hgrm"), F_OK), 0);
	assert_int_equal(access(in_folder("y-..-..-poll-qemu.hgrm"), F_OK), 0);
	bench_result_destroy(r);
}

static void the_clock_is_none_of_several(void **state)
{
	static const double ns[] = { 1000 };
	struct bench_result *r = new_result();

	add_series(r, "poll", "belfry", BENCH_NS, ns, 1);
	add_series(r, "clock", "floor", BENCH_NS, ns, 1);
	assert_works(bench_write_hgrm(r, in_folder("c.hgrm"), &err));
	assert_int_equal(access(in_folder("c.hgrm"), F_OK), 0);
	assert_int_equal(access(in_folder("c-clock-floor.hgrm"), F_OK), 0);
	assert_int_not_equal(access(in_folder("c-poll-belfry.hgrm"), F_OK), 0);
	bench_result_destroy(r);
}

static void columns_of_the_table_stay_apart(void **state)
{
	static const double runs[] = { 130, 130, 152412944 };
	struct bench_result *r = new_result();
	char *text;

	add_series(r, "poll", "belfry", BENCH_NS, runs, 3)->ns.p90 = runs[2];
	text = bench_format_table(r, NULL);
	assert_non_null(strstr(text, "     0.130     0.130 152412.94          "));
	free(text);
	bench_result_destroy(r);
}

/* Of the runs, not of the last one alone: the row is of all of them. */
static void extras_are_of_all_runs(void **state)
{
	static const double runs[] = { 100, 100, 100 };
	static const double errors[] = { 40, 8000, 30 }, sleeps[] = { 1, 0.5, 0.2 };
	struct bench_result *r = new_result();
	struct bench_series *s = add_series(r, "one-way", "belfry", BENCH_NS, runs, 3);
	char *text;

	for (int i = 0; i < 3; i++) {
		s->runs[i].clock_error = errors[i];
		s->runs[i].sleeps = sleeps[i];
		s->runs[i].coalesced = errors[i];
	}
	text = bench_format_table(r, NULL);
	assert_non_null(strstr(text,
			       "  40.0 rings an interrupt  slept in 50 % of rounds  "
			       "clocks to 8000 ns\n"));
	free(text);
	bench_result_destroy(r);
}

static void assert_table(const struct bench_result *r, const char *part, bool has_it)
{
	char *text = bench_format_table(r, NULL);

	assert_non_null(text);
	assert_int_equal(strstr(text, part) != NULL, has_it);
	free(text);
}

static void a_row_tells_of_runs_that_differ_and_of_those_that_are_not_there(void **state)
{
	static const double close[] = { 10000, 14900 }, apart[] = { 10000, 15100 };
	struct bench_result *r = new_result();

	r->settings.runs = 2;
	add_series(r, "poll", "belfry", BENCH_NS, close, 2);
	assert_table(r, "p50 of a run", false);
	assert_table(r, "of 2 runs", false);
	add_series(r, "poll", "qemu", BENCH_NS, apart, 2);
	assert_table(r, "  p50 of a run 10.00 us to 15.10 us\n", true);
	add_series(r, "rate", "qemu", BENCH_PER_S, apart, 1);
	assert_table(r, "  1 of 2 runs\n", true);
	bench_result_destroy(r);
}

static void scenarios_that_have_not_run_are_one_line(void **state)
{
	static const double runs[] = { 10000, 10000 };
	struct bench_result *r = new_result();

	add_series(r, "poll", "belfry", BENCH_NS, runs, 2);
	add_series(r, "poll", "qemu", BENCH_NS, NULL, 0)->status = BENCH_NOT_RUN;
	add_series(r, "store", "belfry", BENCH_NS, NULL, 0)->status = BENCH_NOT_RUN;
	add_series(r, "store", "qemu", BENCH_NS, NULL, 0)->status = BENCH_NOT_RUN;
	add_series(r, "rate", "qemu", BENCH_PER_S, NULL, 0)->status = BENCH_NOT_RUN;
	assert_table(r, "\n  qemu                      not run\n", true);
	assert_table(r, "\nnot run: store, rate\n", true);
	assert_table(r, "store:", false);
	bench_result_destroy(r);
}

static void versions_are_of_those_who_took_part(void **state)
{
	static const double runs[] = { 10000, 10000 };
	struct bench_result *r = new_result();

	r->n_contestants = 2;
	strcpy(r->contestants[0].name, "belfry");
	strcpy(r->contestants[0].version, "belfry 1");
	strcpy(r->contestants[1].name, "belfry-window");
	strcpy(r->contestants[1].version, "belfry 1");
	add_series(r, "poll", "belfry", BENCH_NS, runs, 2);
	assert_table(r, "  belfry                    belfry 1\n", true);
	assert_table(r, "belfry-window", false);
	bench_result_destroy(r);
}

static void assert_percent(double factor, const char *words)
{
	assert_string_equal(bench_percent_words(factor).text, words);
}

static void changes_are_in_percent_as_far_as_that_means_something(void **state)
{
	assert_percent(1.1234, "+12.3");
	assert_percent(0.5, "-50.0");
	assert_percent(0.9996, "+0.0");
	assert_percent(0, "-100.0");
	assert_percent(10.99, "+999.0");
	assert_percent(7304, ">+1000");
	assert_percent(HUGE_VAL, ">+1000");
}

/* Two runs with a sample each: the median of their p50s would be 15. */
static void there_is_one_p50_in_all_reports(void **state)
{
	static const double runs[] = { 10000, 20000 };
	struct bench_result *r = new_result();
	char *text;

	add_series(r, "poll", "belfry", BENCH_NS, runs, 2);
	text = bench_format_markdown(r, NULL);
	assert_non_null(strstr(text, "| poll | belfry | 10.00 us |  | "));
	free(text);
	text = bench_format_table(r, NULL);
	assert_non_null(strstr(text, "     10.00     10.00        "));
	free(text);
	text = bench_format_junit(r, NULL);
	assert_non_null(strstr(text, " time=\"0.000010000\""));
	free(text);
	bench_result_destroy(r);
}

/* Half the floor's rate, and all of it: between the two is 0.75, not one over 1.5. */
static void a_rate_beside_the_floors_is_the_median_of_its_turns(void **state)
{
	static const double floors[] = { 1000, 1000 }, rates[] = { 500, 1000 };
	const struct bench_rule rule = { .max_regression = 0.1 };
	struct bench_result *r = new_result();
	struct bench_comparison *c;
	char *text;

	add_series(r, "rate", "floor", BENCH_PER_S, floors, 2);
	add_series(r, "rate", "belfry", BENCH_PER_S, rates, 2);
	text = bench_format_table(r, NULL);
	assert_non_null(strstr(text, "750.00 /s    0.75 "));
	free(text);
	text = bench_format_markdown(r, NULL);
	assert_non_null(strstr(text, "| 750.00 /s |  | 0.75 |"));
	free(text);
	assert_works(bench_compare(&c, r, r, &rule, &err));
	text = bench_format_verdicts(r, c);
	assert_non_null(strstr(text, " 0.750 -> 0.750 x floor, "));
	free(text);
	bench_comparison_destroy(c);
	bench_result_destroy(r);
}

static void reports_name_runs_that_failed(void **state)
{
	static const double runs[] = { 10000, 20000 };
	struct bench_result *r = new_result();
	struct bench_series *s = add_series(r, "poll", "belfry", BENCH_NS, runs, 2);
	char *text;

	s->failed_runs = 1;
	strcpy(s->reason, "no memory");
	text = bench_format_table(r, NULL);
	assert_non_null(strstr(text, "  1 of 3 runs failed: no memory\n"));
	free(text);
	text = bench_format_markdown(r, NULL);
	assert_non_null(strstr(text, "| poll | belfry, 1 of 3 runs failed | 10.00 us |"));
	free(text);
	text = bench_format_junit(r, NULL);
	assert_non_null(strstr(text, " errors=\"1\" "));
	assert_non_null(strstr(text, "<error message=\"no memory\"/>"));
	free(text);
	bench_result_destroy(r);
}

/* Text that comes from hosts and files must not end an element or a cell. */
static void reports_are_escaped(void **state)
{
	struct bench_result *r = new_result();
	struct bench_series *s = add_series(r, "poll", "belfry", BENCH_NS, NULL, 0);
	char *text;

	s->status = BENCH_FAILED;
	strcpy(s->reason, "<b>&\"|\n");
	text = bench_format_junit(r, NULL);
	assert_non_null(strstr(text, "<error message=\"&lt;b&gt;&amp;&quot;| \"/>"));
	free(text);
	text = bench_format_markdown(r, NULL);
	assert_non_null(strstr(text, "| poll | belfry | \\<b\\>&\"\\|  | | |\n"));
	free(text);
	bench_result_destroy(r);
}

static void the_page_is_whole_and_its_data_cannot_end_a_script(void **state)
{
	struct bench_result *r = new_result();
	char *text;

	if (bench_html_missing())
		fail_msg("%s", bench_html_missing());
	strcpy(r->host.facts[0], "</script><script>alert(1)");
	text = bench_format_html(r, NULL);
	assert_null(strstr(text, "alert(1)</"));
	assert_null(strstr(text, "</script><script>alert"));
	assert_non_null(strstr(text, "\\u003c/script>\\u003cscript>alert(1)"));
	assert_non_null(strstr(text, "</html>\n"));
	assert_null(strstr(text, "src="));
	free(text);
	bench_result_destroy(r);
}

/* The table of scenarios fits what results and files have room for. */
static void scenarios_fit_and_are_unique(void **state)
{
	for (const struct bench_scenario *s = bench_scenarios; s->name; s++) {
		assert_true(strlen(s->name) <
			    sizeof(((struct bench_series *)0)->scenario));
		assert_ptr_equal(bench_scenario_find(s->name), s);
		assert_true(!s->parameter ||
			    strlen(s->parameter) <
				    sizeof(((struct bench_series *)0)->parameter));
		assert_true(!s->parameter || s->values[BENCH_VALUES_MAX - 1] == 0);
		assert_true((s->play == BENCH_ABSENT) == (s->why != NULL));
		assert_true(s->play == BENCH_ABSENT || s->contestants);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_there_with_all_of_the_text),
		cmocka_unit_test(a_link_and_the_mode_of_a_file_stay),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(a_folder_that_is_not_there_is_told),
		cmocka_unit_test(percentiles_are_written_as_hdrhistogram_does),
		cmocka_unit_test(one_in_a_trillion_does_not_take_for_ever),
		cmocka_unit_test(several_series_get_a_file_each),
		cmocka_unit_test(the_clock_is_none_of_several),
		cmocka_unit_test(columns_of_the_table_stay_apart),
		cmocka_unit_test(extras_are_of_all_runs),
		cmocka_unit_test(
			a_row_tells_of_runs_that_differ_and_of_those_that_are_not_there),
		cmocka_unit_test(scenarios_that_have_not_run_are_one_line),
		cmocka_unit_test(versions_are_of_those_who_took_part),
		cmocka_unit_test(changes_are_in_percent_as_far_as_that_means_something),
		cmocka_unit_test(there_is_one_p50_in_all_reports),
		cmocka_unit_test(a_rate_beside_the_floors_is_the_median_of_its_turns),
		cmocka_unit_test(reports_name_runs_that_failed),
		cmocka_unit_test(reports_are_escaped),
		cmocka_unit_test(the_page_is_whole_and_its_data_cannot_end_a_script),
		cmocka_unit_test(scenarios_fit_and_are_unique),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
