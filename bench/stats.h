/* SPDX-License-Identifier: MIT */
/* bench/stats.h - percentiles, medians, and how sure one may be of a ratio */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* -1: not known, for there are too few samples; never of min, p50 and max. */
struct bench_percentiles {
	double min, p50, p90, p99, p999, p9999, max;
};

/* The percentiles by name, in rising order, for tables and files. */
struct bench_percentile {
	const char *name;  /* "p99.9" */
	double percent;    /* 0: the minimum; 100: the maximum */
	size_t at;         /* offset in struct bench_percentiles */
	const char *field; /* "p99_9", for files */
};

#define BENCH_PERCENTILES 7
extern const struct bench_percentile bench_percentiles[BENCH_PERCENTILES];

static inline double *bench_percentile_at(struct bench_percentiles *p, size_t i)
{
	return (double *)((char *)p + bench_percentiles[i].at);
}

static inline double bench_percentile_of(const struct bench_percentiles *p, size_t i)
{
	return *(const double *)((const char *)p + bench_percentiles[i].at);
}

/*
 * Whether so many samples have one beyond that percentile: the p99 of 21 is but another
 * word for their maximum. The middle of one is as good as any.
 */
bool bench_has_percentile(size_t n, double percent);

void bench_sort(float *values, size_t n);

/* The smallest value that @percent of all do not exceed ("nearest rank"); @n >= 1. */
double bench_rank(const float *sorted, size_t n, double percent);

/* Of sorted values; all 0 when there are none. */
struct bench_percentiles bench_summarize(const float *sorted, size_t n);

/* Sorts @values. 0 when there are none. */
double bench_median(double *values, size_t n);

/*
 * By what factor the figures @after are above the figures @before: the median of all
 * ratios of one of these to one of those (Hodges and Lehmann), and between which bounds
 * the factor is with the given confidence, whatever the figures' distribution, if they
 * are independent (the interval that goes with Mann and Whitney's test).
 */
struct bench_interval {
	double low, middle, high;
	bool known; /* false: too few figures for that confidence; low and high are 0 */
};

#define BENCH_CONFIDENCE 0.99

/* -ENOMEM leaves it unknown, too. All figures are above 0. */
struct bench_interval bench_ratio(const double *after, size_t n, const double *before,
				  size_t m, double confidence);

#endif
