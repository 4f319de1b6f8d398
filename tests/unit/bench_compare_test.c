/* SPDX-License-Identifier: MIT */
/* tests/unit/bench_compare_test.c - verdicts on results that nobody has run */
#include <stdlib.h>

#include "base/own.h"
#include "bench/compare.h"
#include "tests/unit/bench_test.h"

#define RUNS 7

static const struct bench_rule ten_percent = { .max_regression = 0.1 };

/* Steady, slower by 3 %, by 20 %, faster by 20 %, and all over the place */
static const double steady[RUNS] = { 100, 101, 99, 100.5, 99.5, 100, 100.2 };
static const double a_bit_slower[RUNS] = { 103, 104, 102, 103.5, 102.5, 103, 103.2 };
static const double slower[RUNS] = { 120, 121, 119, 120.5, 119.5, 120, 120.2 };
static const double faster[RUNS] = { 80, 81, 79, 80.5, 79.5, 80, 80.2 };
static const double wild[RUNS] = { 60, 180, 90, 140, 100, 75, 160 };

struct pair {
	struct bench_result *before, *after;
	struct bench_comparison *comparison;
};

static struct pair new_pair(void)
{
	return (struct pair){ new_result(), new_result(), NULL };
}

static void free_pair(struct pair *p)
{
	bench_comparison_destroy(p->comparison);
	bench_result_destroy(p->before);
	bench_result_destroy(p->after);
}

static enum bench_verdict compare(struct pair *p, const struct bench_rule *rule)
{
	assert_works(bench_compare(&p->comparison, p->before, p->after, rule, &err));
	return bench_comparison_verdict(p->comparison);
}

/* The verdict on belfry's times alone. */
static enum bench_verdict verdict_on(const double *before, const double *after,
				     unsigned int runs, enum bench_change change)
{
	struct pair p = new_pair();
	enum bench_verdict verdict;

	add_series(p.before, "poll", "belfry", BENCH_NS, before, runs);
	add_series(p.after, "poll", "belfry", BENCH_NS, after, runs);
	verdict = compare(&p, &ten_percent);
	assert_int_equal(p.comparison->n, 1);
	assert_int_equal(p.comparison->judgements[0].verdict, change);
	free_pair(&p);
	return verdict;
}

static void the_same_is_the_same(void **state)
{
	assert_int_equal(verdict_on(steady, steady, RUNS, BENCH_UNCHANGED), BENCH_SAME);
}

static void within_the_limit_is_the_same(void **state)
{
	assert_int_equal(verdict_on(steady, a_bit_slower, RUNS, BENCH_UNCHANGED),
			 BENCH_SAME);
}

static void beyond_the_limit_is_worse(void **state)
{
	assert_int_equal(verdict_on(steady, slower, RUNS, BENCH_REGRESSED), BENCH_WORSE);
}

static void faster_is_better(void **state)
{
	assert_int_equal(verdict_on(steady, faster, RUNS, BENCH_BETTER), BENCH_SAME);
}

static void all_over_the_place_is_too_noisy(void **state)
{
	assert_int_equal(verdict_on(steady, wild, RUNS, BENCH_UNCLEAR), BENCH_NOISY);
	assert_int_equal(verdict_on(wild, steady, RUNS, BENCH_UNCLEAR), BENCH_NOISY);
}

static void four_runs_are_too_few_to_tell(void **state)
{
	assert_int_equal(verdict_on(steady, slower, 4, BENCH_UNCLEAR), BENCH_NOISY);
}

/* 3 and 10 would do for the confidence, but not for who reads "at least 5". */
static void a_few_runs_are_not_made_up_for_by_many(void **state)
{
	double many[10], few[3];
	struct pair p = new_pair();

	for (int i = 0; i < 10; i++)
		many[i] = 100 + i * 0.1;
	for (int i = 0; i < 3; i++)
		few[i] = 120 + i * 0.1;
	add_series(p.before, "poll", "belfry", BENCH_NS, many, 10);
	add_series(p.after, "poll", "belfry", BENCH_NS, few, 3);
	assert_int_equal(compare(&p, &ten_percent), BENCH_NOISY);
	assert_string_equal(p.comparison->judgements[0].why,
			    "10 runs before, 3 now: at least 5 of each are needed");
	free_pair(&p);
}

static void less_per_second_is_worse(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "rate", "belfry", BENCH_PER_S, steady, RUNS);
	add_series(p.after, "rate", "belfry", BENCH_PER_S, faster, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_WORSE);
	free_pair(&p);

	p = new_pair();
	add_series(p.before, "rate", "belfry", BENCH_PER_S, steady, RUNS);
	add_series(p.after, "rate", "belfry", BENCH_PER_S, slower, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_int_equal(p.comparison->judgements[0].verdict, BENCH_BETTER);
	free_pair(&p);
}

/* Half as many is twice the time for each, and half the rate. */
static void a_change_of_a_rate_is_that_of_the_rate(void **state)
{
	static const double half[RUNS] = { 50, 50, 50, 50, 50, 50, 50 };
	struct pair p = new_pair();
	char *text;

	add_series(p.before, "rate", "belfry", BENCH_PER_S, steady, RUNS);
	add_series(p.after, "rate", "belfry", BENCH_PER_S, half, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_WORSE);
	text = bench_format_verdicts(p.after, p.comparison);
	assert_non_null(strstr(text, "100.00 /s -> 50.00 /s, -50.0 % [-50.5, -49.5]\n"));
	free(text);
	text = bench_format_junit(p.after, p.comparison);
	assert_non_null(strstr(text, "<failure message=\"-50.0 %, at least -49.5 %\"/>"));
	free(text);
	text = bench_format_markdown(p.after, p.comparison);
	assert_non_null(strstr(text, "| -50.0 % | -50.5 to -49.5 % | worse |"));
	free(text);
	free_pair(&p);
}

static void what_is_gone_is_skipped_and_what_failed_is_an_error(void **state)
{
	struct pair p = new_pair();
	struct bench_series *s;
	char *text;

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	s = add_series(p.after, "poll", "belfry", BENCH_NS, NULL, 0);
	s->status = BENCH_CANNOT_RUN;
	assert_int_equal(compare(&p, &ten_percent), BENCH_NOISY);
	text = bench_format_junit(p.after, p.comparison);
	assert_non_null(strstr(text, "errors=\"0\" skipped=\"1\""));
	free(text);
	s->status = BENCH_FAILED;
	text = bench_format_junit(p.after, p.comparison);
	assert_non_null(strstr(text, "errors=\"1\" skipped=\"0\""));
	free(text);
	free_pair(&p);
}

/* All is slower by 20 % today, the bare KVM path too. */
static struct pair slow_host(void)
{
	struct pair p = new_pair();

	add_series(p.before, "poll", "floor", BENCH_NS, steady, RUNS);
	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "floor", BENCH_NS, slower, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, slower, RUNS);
	return p;
}

static void a_host_that_is_slower_today_is_no_regression(void **state)
{
	struct pair p = slow_host();

	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_true(p.comparison->judgements[0].ratio);
	assert_int_equal(p.comparison->n_warnings, 1);
	assert_string_equal(p.comparison->warnings[0],
			    "poll: the host itself has changed: its floor by +20 %");
	free_pair(&p);
}

static void a_floor_that_rings_half_as_often_has_lost_half(void **state)
{
	static const double half[RUNS] = { 50, 50, 50, 50, 50, 50, 50 };
	struct pair p = new_pair();

	add_series(p.before, "rate", "floor", BENCH_PER_S, steady, RUNS);
	add_series(p.before, "rate", "belfry", BENCH_PER_S, steady, RUNS);
	add_series(p.after, "rate", "floor", BENCH_PER_S, half, RUNS);
	add_series(p.after, "rate", "belfry", BENCH_PER_S, half, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_string_equal(p.comparison->warnings[0],
			    "rate: the host itself has changed: its floor by -50 %");
	free_pair(&p);
}

static void unless_it_is_times_that_are_judged(void **state)
{
	const struct bench_rule times = { .max_regression = 0.1,
					  .judge = BENCH_JUDGE_TIME };
	struct pair p = slow_host();

	assert_int_equal(compare(&p, &times), BENCH_WORSE);
	free_pair(&p);
}

/* Each turn has a load of its own, which both feel: ratios do not. */
static void ratios_are_of_the_same_turn(void **state)
{
	double loaded[RUNS];
	struct pair p = new_pair();

	for (int i = 0; i < RUNS; i++)
		loaded[i] = wild[i] * 1.02;
	add_series(p.before, "poll", "floor", BENCH_NS, steady, RUNS);
	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "floor", BENCH_NS, wild, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, loaded, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	free_pair(&p);
}

static void judging_by_ratio_leaves_out_what_has_no_floor(void **state)
{
	const struct bench_rule ratios = { .max_regression = 0.1,
					   .judge = BENCH_JUDGE_RATIO };
	struct pair p = slow_host();

	add_series(p.before, "peers", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "peers", "belfry", BENCH_NS, slower, RUNS);
	assert_int_equal(compare(&p, &ratios), BENCH_SAME);
	assert_int_equal(p.comparison->n, 1);
	free_pair(&p);
}

static void only_belfry_is_judged(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "poll", "qemu", BENCH_NS, steady, RUNS);
	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "qemu", BENCH_NS, slower, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, steady, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_int_equal(p.comparison->n, 1);
	free_pair(&p);
}

/* It is the host's, and steps of it are a large part of it. */
static void what_the_clock_costs_is_not_judged(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "clock", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "clock", "belfry", BENCH_NS, slower, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, steady, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_int_equal(p.comparison->n, 1);
	free_pair(&p);
}

static void one_that_is_worse_outweighs_noise(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.before, "one-way", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, wild, RUNS);
	add_series(p.after, "one-way", "belfry", BENCH_NS, slower, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_WORSE);
	free_pair(&p);
}

static void what_can_no_longer_be_measured_does_not_pass(void **state)
{
	struct pair p = new_pair();
	struct bench_series *s;

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	s = add_series(p.after, "poll", "belfry", BENCH_NS, NULL, 0);
	s->status = BENCH_FAILED;
	strcpy(s->reason, "guest a ended too early");
	assert_int_equal(compare(&p, &ten_percent), BENCH_NOISY);
	assert_int_equal(p.comparison->judgements[0].verdict, BENCH_GONE);
	assert_string_equal(p.comparison->judgements[0].why, "guest a ended too early");
	free_pair(&p);
}

/* Five are left, which would be enough: but a VM that crashes now and then is no noise.
 */
static void runs_that_failed_do_not_pass(void **state)
{
	struct pair p = new_pair();
	struct bench_series *s;
	char *text;

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	s = add_series(p.after, "poll", "belfry", BENCH_NS, steady, 5);
	s->failed_runs = 2;
	strcpy(s->reason, "guest a ended too early");
	assert_int_equal(compare(&p, &ten_percent), BENCH_NOISY);
	text = bench_format_verdicts(p.after, p.comparison);
	assert_non_null(strstr(text, "] (2 of 7 runs failed: guest a "
				     "ended too early)\n"));
	free(text);
	text = bench_format_markdown(p.after, p.comparison);
	assert_non_null(strstr(text, "| too noisy to tell: 2 of 7 runs failed: guest a "
				     "ended too early |\n"));
	free(text);
	assert_works(bench_result_failed(p.before, true, &err));
	assert_fails(bench_result_failed(p.after, true, &err), EIO,
		     "poll, belfry: guest a ended too early");
	free_pair(&p);

	p = new_pair();
	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, slower, 5)->failed_runs = 2;
	assert_int_equal(compare(&p, &ten_percent), BENCH_WORSE);
	free_pair(&p);
}

/* @what: the series that ran before and does not now. */
static void assert_missing_ratio(enum bench_judge judge, const char *what,
				 const char *why)
{
	const struct bench_rule rule = { .max_regression = 0.1, .judge = judge };
	struct pair p = slow_host();

	for (unsigned int i = 0; i < p.after->n_series; i++) {
		struct bench_series *s = &p.after->series[i];

		if (strcmp(s->contestant, what) != 0)
			continue;
		s->status = BENCH_CANNOT_RUN;
		strcpy(s->reason, "there is no KVM");
		s->n_runs = 0;
	}
	assert_int_equal(compare(&p, &rule), BENCH_NOISY);
	assert_int_equal(p.comparison->n, 1);
	assert_int_equal(p.comparison->judgements[0].verdict, BENCH_GONE);
	assert_string_equal(p.comparison->judgements[0].why, why);
	free_pair(&p);
}

static void a_ratio_that_can_no_longer_be_measured_does_not_pass(void **state)
{
	assert_missing_ratio(BENCH_JUDGE_RATIO, "belfry", "there is no KVM");
	assert_missing_ratio(BENCH_JUDGE_RATIO, "floor", "its floor has not run");
	assert_missing_ratio(BENCH_JUDGE_AUTO, "floor", "its floor has not run");
}

static void times_against_a_baseline_without_a_floor_are_warned_of(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "floor", BENCH_NS, slower, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, slower, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_WORSE);
	assert_int_equal(p.comparison->n_warnings, 1);
	assert_string_equal(p.comparison->warnings[0],
			    "poll: the baseline has no floor: times are judged");
	free_pair(&p);
}

static void nothing_in_common_is_an_error(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "rate", "belfry", BENCH_PER_S, steady, RUNS);
	assert_fails(bench_compare(&p.comparison, p.before, p.after, &ten_percent, &err),
		     ENOMSG, "the two results have no measurement in common");
	free_pair(&p);
}

static void another_machine_is_warned_of(void **state)
{
	struct pair p = new_pair();

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, steady, RUNS);
	strcpy(p.before->host.facts[BENCH_HOST_CPU], "a faster CPU");
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_string_equal(p.comparison->warnings[0],
			    "the baseline is of another machine: CPU: 'a faster CPU' "
			    "before, 'fact 0' now");
	free_pair(&p);
}

static void another_machine_is_refused_if_strict(void **state)
{
	const struct bench_rule strict = { .max_regression = 0.1, .strict = true };
	struct pair p = new_pair();

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, steady, RUNS);
	strcpy(p.after->host.facts[BENCH_HOST_KERNEL], "a newer kernel");
	assert_int_equal(compare(&p, &strict), BENCH_SAME);
	assert_string_equal(p.comparison->warnings[0],
			    "another setting: kernel: 'fact 5' before, 'a newer kernel' "
			    "now");
	bench_comparison_destroy(p.comparison);
	p.comparison = NULL;
	strcpy(p.after->host.facts[BENCH_HOST_CPUS], "64");
	assert_fails(bench_compare(&p.comparison, p.before, p.after, &strict, &err),
		     EXDEV,
		     "the baseline is of another machine: CPUs: 'fact 1' before, '64' "
		     "now");
	free_pair(&p);
}

static void settings_that_differ_are_named(void **state)
{
	static const char *const words[] = {
		"another setting: SMT: 'fact 7' before, 'off' now",
		"another setting: runs of 200 ms before, of 60 ms now",
		"another setting: a warm-up of 51 ms before, of 16 ms now",
		"another setting: vCPUs on 0,1 before, on any CPU now",
		"the baseline is not complete: interrupted",
	};
	struct pair p = new_pair();

	add_series(p.before, "poll", "belfry", BENCH_NS, steady, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, steady, RUNS);
	strcpy(p.after->host.facts[BENCH_HOST_SMT], "off");
	p.after->settings = (struct bench_settings){ 5, 60, 16, true, "" };
	p.before->complete = false;
	strcpy(p.before->stopped, "interrupted");
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_int_equal(p.comparison->n_warnings, BF_ARRAY_LEN(words));
	for (size_t i = 0; i < BF_ARRAY_LEN(words); i++)
		assert_string_equal(p.comparison->warnings[i], words[i]);
	free_pair(&p);
}

/* All facts, all settings and the floor, which comes last and says most */
static void no_warning_is_lost(void **state)
{
	struct pair p = slow_host();

	for (size_t i = 0; i < BENCH_HOST_FACTS; i++)
		strcpy(p.after->host.facts[i], "another");
	p.after->settings = (struct bench_settings){ 5, 60, 16, true, "" };
	p.before->complete = p.after->complete = false;
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_int_equal(p.comparison->n_warnings, BENCH_HOST_FACTS + 5 + 1);
	assert_string_equal(p.comparison->warnings[BENCH_HOST_FACTS + 5],
			    "poll: the host itself has changed: its floor by +20 %");
	free_pair(&p);
}

static void long_texts_are_shown_where_they_differ(void **state)
{
	static const char same[] = "gather_data_sampling, itlb_multihit, l1tf, mds, melt";
	struct pair p = slow_host();
	char *before = p.before->host.facts[BENCH_HOST_MITIGATIONS];
	char *after = p.after->host.facts[BENCH_HOST_MITIGATIONS];

	sprintf(before, "%s\303\251, retbleed", same);
	sprintf(after, "%s\303\250, retbleed", same);
	assert_int_equal(compare(&p, &ten_percent), BENCH_SAME);
	assert_string_equal(
		p.comparison->warnings[0],
		"another setting: mitigations: '...\303\251, retbleed' before, "
		"'...\303\250, retbleed' now");
	free_pair(&p);
}

/* A run that failed has no figure; a ratio to it would be any number. */
static void runs_without_a_figure_do_not_count(void **state)
{
	static const double some[RUNS] = { 100, 0, 101, 0, 99, 100.5, 0 };
	static const double zero[RUNS];
	struct pair p = new_pair();
	char *text;

	add_series(p.before, "poll", "belfry", BENCH_NS, some, RUNS);
	add_series(p.before, "one-way", "belfry", BENCH_NS, zero, RUNS);
	add_series(p.after, "poll", "belfry", BENCH_NS, slower, RUNS);
	add_series(p.after, "one-way", "belfry", BENCH_NS, slower, RUNS);
	assert_int_equal(compare(&p, &ten_percent), BENCH_NOISY);
	assert_string_equal(p.comparison->judgements[0].why,
			    "4 runs before, 7 now: at least 5 of each are needed");
	assert_string_equal(p.comparison->judgements[1].why,
			    "0 runs before, 7 now: at least 5 of each are needed");
	text = bench_format_verdicts(p.after, p.comparison);
	assert_non_null(strstr(text, "0.00 ns -> 120.00 ns (0 runs before, "));
	free(text);
	free_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_is_the_same),
		cmocka_unit_test(within_the_limit_is_the_same),
		cmocka_unit_test(beyond_the_limit_is_worse),
		cmocka_unit_test(faster_is_better),
		cmocka_unit_test(all_over_the_place_is_too_noisy),
		cmocka_unit_test(four_runs_are_too_few_to_tell),
		cmocka_unit_test(a_few_runs_are_not_made_up_for_by_many),
		cmocka_unit_test(less_per_second_is_worse),
		cmocka_unit_test(a_change_of_a_rate_is_that_of_the_rate),
		cmocka_unit_test(what_is_gone_is_skipped_and_what_failed_is_an_error),
		cmocka_unit_test(a_host_that_is_slower_today_is_no_regression),
		cmocka_unit_test(a_floor_that_rings_half_as_often_has_lost_half),
		cmocka_unit_test(unless_it_is_times_that_are_judged),
		cmocka_unit_test(ratios_are_of_the_same_turn),
		cmocka_unit_test(judging_by_ratio_leaves_out_what_has_no_floor),
		cmocka_unit_test(only_belfry_is_judged),
		cmocka_unit_test(what_the_clock_costs_is_not_judged),
		cmocka_unit_test(one_that_is_worse_outweighs_noise),
		cmocka_unit_test(what_can_no_longer_be_measured_does_not_pass),
		cmocka_unit_test(runs_that_failed_do_not_pass),
		cmocka_unit_test(a_ratio_that_can_no_longer_be_measured_does_not_pass),
		cmocka_unit_test(times_against_a_baseline_without_a_floor_are_warned_of),
		cmocka_unit_test(nothing_in_common_is_an_error),
		cmocka_unit_test(settings_that_differ_are_named),
		cmocka_unit_test(no_warning_is_lost),
		cmocka_unit_test(long_texts_are_shown_where_they_differ),
		cmocka_unit_test(runs_without_a_figure_do_not_count),
		cmocka_unit_test(another_machine_is_warned_of),
		cmocka_unit_test(another_machine_is_refused_if_strict),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
