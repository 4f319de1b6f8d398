/* SPDX-License-Identifier: MIT */
/* tests/unit/bench_stats_test.c - percentiles and intervals, against what is known */
#include <math.h>
#include <stdlib.h>

#include "bench/stats.h"
#include "guest-tests/bench_regs.h"
#include "tests/unit/bench_test.h"

#define assert_near(got, want) assert_true(fabs((got) - (want)) < 1e-6 * fabs(want))

/* 1, 2, ... n, which are their own ranks */
static float *count_to(size_t n)
{
	float *values = calloc(n, sizeof(*values));

	assert_non_null(values);
	for (size_t i = 0; i < n; i++)
		values[i] = i + 1;
	return values;
}

/* Ten times as many samples as places: each tenth of the run has a tenth of them. */
static void all_of_a_run_has_its_share_of_the_places(void **state)
{
	enum { PLACES = 1000 };
	uint64_t kept[PLACES], dice = 0, at;
	unsigned int tenths[10] = { 0 };

	for (uint64_t i = 0; i < 10 * PLACES; i++) {
		at = bench_place(i, PLACES, &dice);
		assert_true(at <= i && (i >= PLACES || at == i));
		if (at < PLACES)
			kept[at] = i;
	}
	for (unsigned int i = 0; i < PLACES; i++)
		tenths[kept[i] / PLACES]++;
	for (unsigned int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 70, 130);
}

static void a_percentile_is_the_nearest_rank(void **state)
{
	float *values = count_to(1000);

	assert_true(bench_rank(values, 1000, 0) == 1);
	assert_true(bench_rank(values, 1000, 50) == 500);
	assert_true(bench_rank(values, 1000, 99) == 990);
	assert_true(bench_rank(values, 1000, 99.9) == 999);
	assert_true(bench_rank(values, 1000, 99.99) == 1000);
	assert_true(bench_rank(values, 1000, 100) == 1000);
	free(values);
}

static void few_samples_have_no_tail(void **state)
{
	float *values = count_to(1000);
	const float one[] = { 7 }, three[] = { 1, 2, 30 };
	struct bench_percentiles p = bench_summarize(one, 1);

	assert_true(p.min == 7 && p.p50 == 7 && p.p90 == -1 && p.max == 7);
	p = bench_summarize(three, 3);
	assert_true(p.min == 1 && p.p50 == 2 && p.p90 == -1 && p.max == 30);
	p = bench_summarize(values, 10);
	assert_true(p.p90 == 9 && p.p99 == -1);
	p = bench_summarize(values, 99);
	assert_true(p.p90 == 90 && p.p99 == -1);
	p = bench_summarize(values, 100);
	assert_true(p.p99 == 99 && p.p999 == -1);
	p = bench_summarize(values, 1000);
	assert_true(p.p999 == 999 && p.p9999 == -1);
	free(values);
	p = bench_summarize(three, 0);
	assert_true(p.min == 0 && p.max == 0);
}

static void all_percentiles_come_from_all_samples(void **state)
{
	float *values = count_to(100000);
	struct bench_percentiles p = bench_summarize(values, 100000);

	assert_true(p.min == 1 && p.p50 == 50000 && p.p90 == 90000 && p.p99 == 99000);
	assert_true(p.p999 == 99900 && p.p9999 == 99990 && p.max == 100000);
	free(values);
}

static void samples_are_sorted_before_that(void **state)
{
	float values[] = { 3, 1, 2 };

	bench_sort(values, 3);
	assert_true(values[0] == 1 && values[1] == 2 && values[2] == 3);
}

static void a_median_is_the_middle_or_between_the_two(void **state)
{
	double odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 2 };

	assert_true(bench_median(odd, 3) == 5);
	assert_true(bench_median(even, 4) == 2.5);
	assert_true(bench_median(even, 0) == 0);
}

/*
 * Ten and ten figures whose ratios, sorted, are exp(0), exp(1) ... exp(99). Published
 * tables of Mann and Whitney's test have 23 as the critical U for 10 and 10 at 5 %, 16 at
 * 1 %: so many ratios are left out at either end.
 */
static void the_interval_is_mann_and_whitneys(void **state)
{
	double after[10], before[10];
	struct bench_interval r;

	for (int i = 0; i < 10; i++) {
		after[i] = exp(10 * i);
		before[i] = exp(-i);
	}
	r = bench_ratio(after, 10, before, 10, 0.95);
	assert_true(r.known);
	assert_near(r.low, exp(23));
	assert_near(r.high, exp(76));
	r = bench_ratio(after, 10, before, 10, 0.99);
	assert_near(r.low, exp(16));
	assert_near(r.high, exp(83));
	assert_near(r.middle, (exp(49) + exp(50)) / 2);
}

static void five_runs_a_side_suffice_and_four_do_not(void **state)
{
	const double a[] = { 2, 2.2, 2.4, 2.6, 2.8 }, b[] = { 1, 1.1, 1.2, 1.3, 1.4 };
	struct bench_interval r = bench_ratio(a, 5, b, 5, BENCH_CONFIDENCE);

	assert_true(r.known);
	assert_near(r.low, 2 / 1.4);
	assert_near(r.high, 2.8);
	r = bench_ratio(a, 4, b, 4, BENCH_CONFIDENCE);
	assert_false(r.known);
	assert_true(r.middle > 1.9 && r.middle < 2.1);
	assert_false(bench_ratio(a, 0, b, 5, BENCH_CONFIDENCE).known);
}

static void many_runs_are_counted_as_few_are(void **state)
{
	double a[60], b[60];
	struct bench_interval exact, about;

	for (int i = 0; i < 60; i++) {
		a[i] = 100 + i % 30;
		b[i] = 100 + i % 30;
	}
	exact = bench_ratio(a, 30, b, 30, BENCH_CONFIDENCE);
	about = bench_ratio(a, 31, b, 30, BENCH_CONFIDENCE);
	assert_true(exact.known && about.known);
	assert_true(fabs(exact.low - about.low) < 0.01);
	assert_true(fabs(exact.high - about.high) < 0.01);
	assert_true(exact.low < 1 && exact.high > 1);
}

/* A generator of our own, so that the figures are the same everywhere */
static double next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(*seed >> 11) / (1ULL << 53);
}

static void the_interval_misses_the_truth_in_one_of_a_hundred_cases(void **state)
{
	double a[7], b[7];
	uint64_t seed = 1;
	int missed = 0;

	for (int i = 0; i < 4000; i++) {
		for (int k = 0; k < 7; k++) {
			a[k] = 1 + next_random(&seed);
			b[k] = 1 + next_random(&seed);
		}
		struct bench_interval r = bench_ratio(a, 7, b, 7, BENCH_CONFIDENCE);

		missed += r.low > 1 || r.high < 1;
	}
	assert_in_range(missed, 8, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_run_has_its_share_of_the_places),
		cmocka_unit_test(a_percentile_is_the_nearest_rank),
		cmocka_unit_test(few_samples_have_no_tail),
		cmocka_unit_test(all_percentiles_come_from_all_samples),
		cmocka_unit_test(samples_are_sorted_before_that),
		cmocka_unit_test(a_median_is_the_middle_or_between_the_two),
		cmocka_unit_test(the_interval_is_mann_and_whitneys),
		cmocka_unit_test(five_runs_a_side_suffice_and_four_do_not),
		cmocka_unit_test(many_runs_are_counted_as_few_are),
		cmocka_unit_test(the_interval_misses_the_truth_in_one_of_a_hundred_cases),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
