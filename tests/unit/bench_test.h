/* SPDX-License-Identifier: MIT */
/* tests/unit/bench_test.h - results of benchmarks that nobody has run */
#ifndef BF_BENCH_TEST_H
#define BF_BENCH_TEST_H

#include <stdio.h>

#include "bench/bench.h"
#include "bench/result.h"
#include "tests/unit/unit_test.h"

static inline struct bench_result *new_result(void)
{
	struct bench_result *r = bench_result_create();

	assert_non_null(r);
	snprintf(r->version, sizeof(r->version), "0.1.0");
	snprintf(r->date, sizeof(r->date), "2026-01-02T03:04:05Z");
	r->complete = true;
	r->settings = (struct bench_settings){ 7, 200, 51, false, "0,1" };
	for (size_t i = 0; i < BENCH_HOST_FACTS; i++)
		snprintf(r->host.facts[i], sizeof(r->host.facts[i]), "fact %zu", i);
	return r;
}

/* One series whose runs, in turns 1 to @n, came to @figures. */
static inline struct bench_series *
add_series(struct bench_result *r, const char *scenario, const char *contestant,
	   enum bench_unit unit, const double *figures, unsigned int n)
{
	struct bench_series *s = bench_result_add(r);
	struct bench_run *run;

	assert_non_null(s);
	snprintf(s->scenario, sizeof(s->scenario), "%s", scenario);
	snprintf(s->contestant, sizeof(s->contestant), "%s", contestant);
	s->unit = unit;
	s->status = BENCH_MEASURED;
	for (unsigned int i = 0; i < n; i++) {
		const float ns = figures[i];

		run = bench_series_add_run(s);
		assert_non_null(run);
		*run = (struct bench_run){ .turn = i + 1,
					   .samples = 1,
					   .figure = figures[i],
					   .ns.p50 = figures[i],
					   .exits = -1,
					   .steal = -1,
					   .waited = 0.001,
					   .others = 0.5 };
		assert_int_equal(bench_series_pool(s, &ns, 1), 0);
	}
	assert_int_equal(bench_series_finish(s), 0);
	return s;
}

#endif
