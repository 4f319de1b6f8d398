/* SPDX-License-Identifier: MIT */
/* bench/session.h - one call of belfry bench: its plan, its lab, and the result so far */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <stdint.h>

#include "bench/bench.h"
#include "bench/trial.h"

/* One series to measure, again and again. */
struct job {
	const struct bench_scenario *scenario;
	uint64_t value;
	enum bench_contestant contestant;
	unsigned int series; /* its place in the result */
};

struct session {
	const struct bench_options *options;
	struct bench_result *result;
	struct bench_lab lab;
	struct job *jobs;
	unsigned int n;
	unsigned int turn;
	uint64_t began_ns, runs_done, runs_planned;
	unsigned int capped; /* samples that are longer than they can tell */
	int signal;
};

/* --- bench/plan.c --- */

/*
 * Fill in the contestants, and a series for each measurement: a job as well if it can
 * run here, else the reason. Return: 0; -ENOMEM.
 */
int bench_plan(struct session *s, struct belfry_error *err);

/* --- bench/record.c --- */

/* Take over what a run has left in the lab's page. Return: 0; -ENOMEM. */
int bench_record_run(struct session *s, const struct job *job,
		     const struct bench_report *report);
void bench_record_failure(struct session *s, const struct job *job,
			  const struct belfry_error *err);

/* Percentiles, histograms and notes, from all runs. Return: 0; -ENOMEM. */
int bench_record_end(struct session *s);

#endif
