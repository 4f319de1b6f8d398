/* SPDX-License-Identifier: MIT */
/* bench/compare.h - two results beside each other: what their reports are made from */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "bench/bench.h"
#include "bench/result.h"

enum bench_change {
	BENCH_BETTER,
	BENCH_UNCHANGED,
	BENCH_REGRESSED,
	BENCH_UNCLEAR,
	BENCH_GONE, /* measured before, and not now: the reason says why */
	BENCH_CHANGES
};

extern const char *const bench_change_names[BENCH_CHANGES];

struct bench_judgement {
	const struct bench_series *before, *after;
	bool ratio;                         /* judged by the ratio to the floor */
	double before_figure, after_figure; /* medians of what was judged */
	struct bench_interval change;       /* of times: above 1 is worse */
	enum bench_change verdict;
	char why[160]; /* BENCH_UNCLEAR, BENCH_GONE: what the interval does not tell */
};

struct bench_comparison {
	const struct bench_result *before, *after;
	struct bench_rule rule;
	struct bench_judgement *judgements;
	unsigned int n;
	char (*warnings)[256];
	unsigned int n_warnings;
};

/* The change as reports show it: of a rate, that of the rate, half of it being -50 %. */
struct bench_interval bench_shown_change(const struct bench_judgement *j);

/* Return: 0; -EXDEV when @after is another machine. */
int bench_check_machine(const struct bench_host *before, const struct bench_host *after,
			struct belfry_error *err);

/* Whether it is one that gets a verdict: a measurement of belfry's, not of the clock's.
 */
bool bench_is_judged(const struct bench_series *s);

int bench_nothing_in_common(struct belfry_error *err);

#endif
