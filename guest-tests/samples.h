/* SPDX-License-Identifier: MIT */
/* guest-tests/samples.h - latencies: from TSC ticks to percentiles and printed lines */
#ifndef GUEST_SAMPLES_H
#define GUEST_SAMPLES_H

#include <stdint.h>

#define MAX_SAMPLES 200000

extern uint32_t samples[MAX_SAMPLES]; /* TSC ticks; one measurement at a time */

struct summary {
	const char *name; /* NULL: was not measured */
	uint32_t count;
	uint64_t min, p50, p90, p99, p999, max; /* ns */
};

/* Of the first @count samples, which it sorts. */
struct summary summarize(const char *name, uint32_t count);

/* For people: a table in microseconds. For programs: one line each, in nanoseconds. */
void print_summaries(const char *title, const struct summary *rows, unsigned int count);

#endif
