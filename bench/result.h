/* SPDX-License-Identifier: MIT */
/* bench/result.h - all that a benchmark has found out, measured just now or read back */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <belfry.h>

#include "bench/host.h"
#include "bench/stats.h"

/* What a figure of a run is. */
enum bench_unit {
	BENCH_NS,          /* p50 of the samples: less is better */
	BENCH_PER_S,       /* a rate: more is better */
	BENCH_BYTES_PER_S, /* the same */
};

enum bench_status {
	BENCH_MEASURED,
	BENCH_CANNOT_RUN, /* here; the reason says why */
	BENCH_FAILED,
	BENCH_NOT_RUN, /* there was no time, or it was interrupted */
};

/* One run of one contestant. */
struct bench_run {
	unsigned int turn; /* all contestants of a turn ran about the same time */
	uint64_t samples;  /* 0: the figures are not to be used */
	struct bench_percentiles ns;
	double figure;      /* in the series' unit */
	double coalesced;   /* rates of rings: rings for each interrupt; else 0 */
	double sleeps;      /* hybrid: for each round; else 0 */
	double clock_error; /* one way: how far the clocks may be apart, ns; else 0 */
	int64_t exits;      /* to user space in the timed part; -1: not known */
	double steal, waited,
		others; /* bench/noise.h: shares of one CPU; -1: not known */
	bool disturbed;
};

struct bench_bucket {
	double ns;
	uint64_t count;
};

/* All runs of one contestant in one case of a scenario. */
struct bench_series {
	char scenario[32], contestant[16];
	char parameter[16]; /* "" when the scenario has none */
	uint64_t value;     /* of the parameter */
	enum bench_unit unit;
	enum bench_status status;
	char reason[200];

	struct bench_run *runs;
	unsigned int n_runs;
	unsigned int failed_runs; /* beside these; the reason is the last one's */
	uint64_t samples;         /* of all runs */
	struct bench_percentiles ns;
	struct bench_bucket *histogram; /* by rising time; steps of 3 digits */
	size_t n_buckets;

	float *pool; /* all samples so far, ns; only while measuring */
	size_t n_pool;
};

struct bench_contestant_info {
	char name[16], version[80];
	bool runs; /* here */
	char reason[160];
};

struct bench_settings {
	unsigned int runs, ms, warmup_ms;
	bool quick;
	char cpus[64]; /* of the vCPUs, in turn; "" when not pinned */
};

#define BENCH_CONTESTANTS_MAX 8
#define BENCH_NOTES_MAX       8

struct bench_result {
	char version[32]; /* of belfry */
	char date[32];    /* ISO 8601, UTC */
	bool complete;
	char stopped[96]; /* why it is not */
	struct bench_settings settings;
	struct bench_host host;
	struct bench_contestant_info contestants[BENCH_CONTESTANTS_MAX];
	unsigned int n_contestants;
	char notes[BENCH_NOTES_MAX][160]; /* what makes the figures less worth */
	unsigned int n_notes;
	struct bench_series *series;
	unsigned int n_series;
};

/* Return: a new, empty one (bench_result_destroy()); NULL without memory. */
struct bench_result *bench_result_create(void);
void bench_result_destroy(struct bench_result *r);

/* A new series, zeroed; NULL without memory. It moves when the next one is added. */
struct bench_series *bench_result_add(struct bench_result *r);

const struct bench_series *bench_result_find(const struct bench_result *r,
					     const char *scenario, const char *contestant,
					     const char *parameter, uint64_t value);

__attribute__((format(printf, 2, 3))) void bench_result_note(struct bench_result *r,
							     const char *fmt, ...);

/* Room for one more run, zeroed; NULL without memory. */
struct bench_run *bench_series_add_run(struct bench_series *s);

/* Add @n samples to the pool. Return: 0; -ENOMEM. */
int bench_series_pool(struct bench_series *s, const float *ns, size_t n);

/* Percentiles and histogram from the pool, which is freed. Return: 0; -ENOMEM. */
int bench_series_finish(struct bench_series *s);

/*
 * Make it text that any report can have, in place: UTF-8, with "?" for what is none, cut
 * where a character does not end, and blanks for what would steer a terminal.
 */
void bench_clean(char *text);

/* "doorbell-spin", "peers, 64 peers" */
struct bench_label {
	char text[64];
};

struct bench_label bench_series_label(const struct bench_series *s);

/* "64", "64k", "16M" by what the parameter is */
struct bench_label bench_parameter_label(const char *parameter, uint64_t value);

/* The runs' figures that count. Return: how many were put into @out[n_runs]. */
size_t bench_series_figures(const struct bench_series *s, double *out);

/*
 * The series' figures over the floor's of the same turn; times over times, rates upside
 * down, so that more is always worse. Return: how many, 0 when there is no floor.
 */
size_t bench_series_ratios(const struct bench_result *r, const struct bench_series *s,
			   double *out);

/* The same for the runs' p99s; none for rates. */
size_t bench_series_tail_ratios(const struct bench_result *r,
				const struct bench_series *s, double *out);

#endif
