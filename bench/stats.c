/* SPDX-License-Identifier: MIT */
/* bench/stats.c - percentiles, medians, and how sure one may be of a ratio */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "bench/stats.h"

#define AT(field)  offsetof(struct bench_percentiles, field)
#define EXACT_MAX  30   /* up to so many figures a side, chances are counted out */
#define NORMAL_MAX 10.0 /* standard deviations that are looked for */

const struct bench_percentile bench_percentiles[BENCH_PERCENTILES] = {
	{ "min", 0, AT(min), "min" },         { "p50", 50, AT(p50), "p50" },
	{ "p90", 90, AT(p90), "p90" },        { "p99", 99, AT(p99), "p99" },
	{ "p99.9", 99.9, AT(p999), "p99_9" }, { "p99.99", 99.99, AT(p9999), "p99_99" },
	{ "max", 100, AT(max), "max" },
};

static int compare_floats(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void bench_sort(float *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_floats);
}

double bench_rank(const float *sorted, size_t n, double percent)
{
	/* without the small step back, 99.9 % of 1000 would be rank 1000 by rounding */
	double rank = ceil((double)n * percent / 100 - 1e-9);

	return sorted[rank < 1 ? 0 : rank > (double)n ? n - 1 : (size_t)rank - 1];
}

bool bench_has_percentile(size_t n, double percent)
{
	return percent <= 50 || percent == 100 ||
	       (double)n * (100 - percent) >= 100 * (1 - 1e-9);
}

struct bench_percentiles bench_summarize(const float *sorted, size_t n)
{
	struct bench_percentiles p = { 0 };

	for (size_t i = 0; n > 0 && i < BENCH_PERCENTILES; i++)
		*bench_percentile_at(&p, i) =
			bench_has_percentile(n, bench_percentiles[i].percent)
				? bench_rank(sorted, n, bench_percentiles[i].percent)
				: -1;
	return p;
}

static double middle_of(const double *sorted, size_t n)
{
	if (n == 0)
		return 0;
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return middle_of(values, n);
}

/*
 * How many of the n * m ratios may be left out at either end. If both sides are drawn
 * from the same distribution, every order of the n + m figures is as likely as another;
 * U, the number of pairs in which @before is larger, is u in ways[u] of them. Return: the
 * largest k with P(U < k) <= @chance, 0 when there is none.
 *
 * ways(n, m, u) = ways(n - 1, m, u - m) + ways(n, m - 1, u): the largest figure is one of
 * the n, and above all m, or it is one of the m.
 */
static size_t left_out_exactly(size_t n, size_t m, double chance)
{
	const size_t row = (m + 1) * (n * m + 1);
	BF_FREE double *ways = calloc((n + 1) * row, sizeof(*ways));
	double all = 0, below = 0;
	size_t k;

	if (!ways)
		return 0;
#define WAYS(i, j, u) ways[(i)*row + (j) * (n * m + 1) + (u)]
	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++)
			for (size_t u = 0; u <= i * j; u++) {
				double w = i == 0 || j == 0;

				if (i > 0 && j > 0)
					w = WAYS(i, j - 1, u) +
					    (u >= j ? WAYS(i - 1, j, u - j) : 0);
				WAYS(i, j, u) = w;
			}
	for (size_t u = 0; u <= n * m; u++)
		all += WAYS(n, m, u);
	for (k = 0; k < n * m / 2; k++) {
		below += WAYS(n, m, k) / all;
		if (below > chance)
			break;
	}
#undef WAYS
	return k;
}

/* The chance that a normally distributed figure is more than @z above its mean */
static double beyond(double z)
{
	return erfc(z / sqrt(2)) / 2;
}

static size_t left_out_about(size_t n, size_t m, double chance)
{
	double mean = n * m / 2.0, sd = sqrt(n * m * (n + m + 1.0) / 12), z = 0, k;

	while (z < NORMAL_MAX && beyond(z) > chance)
		z += 0.001;
	k = floor(mean - z * sd - 0.5);
	return k > 0 ? k : 0;
}

struct bench_interval bench_ratio(const double *after, size_t n, const double *before,
				  size_t m, double confidence)
{
	BF_FREE double *ratios = calloc(n * m + 1, sizeof(*ratios));
	double chance = (1 - confidence) / 2;
	struct bench_interval r = { 0 };
	size_t k;

	if (!ratios || n == 0 || m == 0)
		return r;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			ratios[i * m + j] = after[i] / before[j];
	r.middle = bench_median(ratios, n * m);
	k = n > EXACT_MAX || m > EXACT_MAX ? left_out_about(n, m, chance)
					   : left_out_exactly(n, m, chance);
	if (k == 0)
		return r;
	r.low = ratios[k - 1];
	r.high = ratios[n * m - k];
	r.known = true;
	return r;
}
