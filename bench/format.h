/* SPDX-License-Identifier: MIT */
/* bench/format.h - text that grows, and figures as people read them */
#ifndef BENCH_FORMAT_H
#define BENCH_FORMAT_H

#include <stdio.h>

#include "bench/result.h"

/* Text that is written to like a file. */
struct bench_text {
	FILE *file; /* NULL: there was no memory */
	char *text;
	size_t size;
};

void bench_text_open(struct bench_text *t);
__attribute__((format(printf, 2, 3))) void bench_put(struct bench_text *t,
						     const char *fmt, ...);

/* Return: all of it (free()); NULL without memory. */
char *bench_text_close(struct bench_text *t);

struct bench_words {
	char text[48];
};

/* "38.42 us", "1.21 M/s", "7.03 GB/s" */
struct bench_words bench_figure_words(double figure, enum bench_unit unit);

/* A factor as a change: "+3.1", "-0.4", ">+1000" */
struct bench_words bench_percent_words(double factor);

/* "2 of 7 runs failed" */
struct bench_words bench_failed_words(const struct bench_series *s);

/*
 * The medians of the runs' ratios to the floor, of rates those of the rates, and of their
 * p99s'; 0: there are none.
 */
double bench_series_ratio(const struct bench_result *r, const struct bench_series *s);
double bench_series_tail_ratio(const struct bench_result *r,
			       const struct bench_series *s);

/* The p50 of all samples; of rates, the median of the runs'. */
double bench_series_figure(const struct bench_series *s);

/* Of all runs; -1: not known. */
int64_t bench_series_exits(const struct bench_series *s);

unsigned int bench_series_disturbed(const struct bench_series *s);

/*
 * What else there is to know of a series, with two spaces before each: of its runs, what
 * belongs to one scenario only (medians of the runs, the worst of the clocks), failures.
 */
void bench_put_remarks(struct bench_text *t, const struct bench_result *r,
		       const struct bench_series *s);

#endif
