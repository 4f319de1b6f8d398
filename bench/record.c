/* SPDX-License-Identifier: MIT */
/* bench/record.c - from what runs have left to figures */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/session.h"

/* --- one run --- */

static bool lower_is_better(const struct bench_series *series)
{
	return series->unit == BENCH_NS;
}

static double figure_of(const struct bench_series *series, const struct bench_run *run,
			const struct bench_page *page)
{
	double seconds = page->values[BENCH_TICKS] / (page->tsc_khz * 1e3);

	if (lower_is_better(series))
		return run->ns.p50;
	if (series->unit == BENCH_BYTES_PER_S)
		return run->ns.p50 > 0 ? page->values[BENCH_BYTES] / run->ns.p50 * 1e9
				       : 0;
	return seconds > 0 ? page->values[BENCH_RINGS] / seconds : 0;
}

/* What the guest left beside its samples */
static void note_values(struct bench_series *series, struct bench_run *run,
			const struct bench_page *page)
{
	double tick_ns = 1e6 / page->tsc_khz;

	if (series->unit == BENCH_PER_S && page->values[BENCH_INTERRUPTS])
		run->coalesced = (double)page->values[BENCH_RINGS] /
				 page->values[BENCH_INTERRUPTS];
	if (strcmp(series->scenario, "hybrid") == 0 && page->values[BENCH_ROUNDS])
		run->sleeps =
			(double)page->values[BENCH_SLEEPS] / page->values[BENCH_ROUNDS];
	if (strcmp(series->scenario, "one-way") == 0)
		run->clock_error =
			(page->values[BENCH_ERROR] + page->values[BENCH_DRIFT]) * tick_ns;
}

/* Take the samples over, in nanoseconds. Guests are not trusted: @page is a copy. */
static int take_samples(struct session *s, struct bench_series *series,
			struct bench_run *run, const struct bench_page *page)
{
	const volatile uint32_t *ticks =
		(const volatile uint32_t *)((const volatile uint8_t *)s->lab.page +
					    BENCH_SAMPLES);
	size_t n = page->count < TRIAL_SAMPLES_MAX ? page->count : TRIAL_SAMPLES_MAX;
	BF_FREE float *ns = calloc(n + 1, sizeof(*ns));

	if (!ns)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		ns[i] = ticks[i] * 1e6 / page->tsc_khz;
		s->capped += ticks[i] == UINT32_MAX;
	}
	bench_sort(ns, n);
	run->samples = n;
	run->ns = bench_summarize(ns, n);
	return bench_series_pool(series, ns, n);
}

int bench_record_run(struct session *s, const struct job *job,
		     const struct bench_report *report)
{
	struct bench_series *series = &s->result->series[job->series];
	struct bench_run *run = bench_series_add_run(series);
	struct bench_page page;
	int r;

	if (!run)
		return -ENOMEM;
	memcpy(&page, (const void *)s->lab.page, sizeof(page));
	run->turn = s->turn;
	run->exits = report->exits;
	run->steal = report->noise.steal;
	run->waited = report->noise.waited;
	run->others = report->noise.others;
	run->disturbed = noise_disturbs(&report->noise);
	r = take_samples(s, series, run, &page);
	run->figure = figure_of(series, run, &page);
	note_values(series, run, &page);
	series->status = BENCH_MEASURED;
	return r;
}

void bench_record_failure(struct session *s, const struct job *job,
			  const struct belfry_error *err)
{
	struct bench_series *series = &s->result->series[job->series];

	series->failed_runs++;
	snprintf(series->reason, sizeof(series->reason), "%.180s", err->msg);
	bench_clean(series->reason);
	if (series->status != BENCH_MEASURED)
		series->status = BENCH_FAILED;
}

/* --- all of them --- */

static bool any_pair(const struct session *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (bench_scenario_spinning(s->jobs[i].scenario) > 1)
			return true;
	return false;
}

static void note_conditions(struct session *s)
{
	struct bench_result *r = s->result;
	unsigned int runs = 0, disturbed = 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned int i = 0; i < r->n_series; i++)
		for (unsigned int k = 0; k < r->series[i].n_runs; k++) {
			runs++;
			disturbed += r->series[i].runs[k].disturbed;
		}
	if (bench_host_emulated(&r->host))
		bench_result_note(r, "KVM has no hardware virtualization here: the "
				     "figures are of an emulated guest kernel mode");
	if (any_pair(s) && (cpus < 2 || s->lab.n_cpus == 1))
		bench_result_note(r, "one CPU for two spinning vCPUs: the figures are "
				     "those of the scheduler");
	if (s->capped)
		bench_result_note(r,
				  "%u sample%s took longer than 2^32 ticks of the TSC, "
				  "and count%s as that",
				  s->capped, s->capped == 1 ? "" : "s",
				  s->capped == 1 ? "s" : "");
	if (disturbed)
		bench_result_note(
			r,
			"%u of %u run%s disturbed: steal time above 1 %%, waiting "
			"for a CPU above 2 %%, or others above 15 %% of one",
			disturbed, runs, runs == 1 ? "" : "s");
}

int bench_record_end(struct session *s)
{
	for (unsigned int i = 0; i < s->result->n_series; i++)
		if (bench_series_finish(&s->result->series[i]) < 0)
			return -ENOMEM;
	note_conditions(s);
	return 0;
}
