/* SPDX-License-Identifier: MIT */
/* bench/format.c - text that grows, and figures as people read them */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/own.h"
#include "bench/bench.h"
#include "bench/format.h"

#define PERCENT_MAX 1000 /* beyond it, a change is noise */
#define SPREAD      1.5  /* of the runs' p50s, from which on it is told */

void bench_text_open(struct bench_text *t)
{
	*t = (struct bench_text){ .text = NULL };
	t->file = open_memstream(&t->text, &t->size);
}

void bench_put(struct bench_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (t->file)
		vfprintf(t->file, fmt, ap);
	va_end(ap);
}

char *bench_text_close(struct bench_text *t)
{
	if (!t->file || fclose(t->file) == 0)
		return t->file ? t->text : NULL;
	free(t->text);
	return NULL;
}

struct bench_words bench_figure_words(double figure, enum bench_unit unit)
{
	static const struct {
		double above, by;
		const char *words[3];
	} scales[] = {
		{ 1e9, 1e9, { "s", "G/s", "GB/s" } },
		{ 1e6, 1e6, { "ms", "M/s", "MB/s" } },
		{ 1e3, 1e3, { "us", "k/s", "kB/s" } },
		{ 0, 1, { "ns", "/s", "B/s" } },
	};
	struct bench_words w;
	size_t i = 0;

	while (i < BF_ARRAY_LEN(scales) - 1 && figure < scales[i].above)
		i++;
	snprintf(w.text, sizeof(w.text), "%.2f %s", figure / scales[i].by,
		 scales[i].words[unit]);
	return w;
}

struct bench_words bench_percent_words(double factor)
{
	const double percent = (factor - 1) * 100;
	struct bench_words w;

	if (percent > PERCENT_MAX)
		snprintf(w.text, sizeof(w.text), ">+%d", PERCENT_MAX);
	else
		snprintf(w.text, sizeof(w.text), "%+.1f",
			 fabs(percent) < 0.05 ? 0 : percent);
	return w;
}

struct bench_words bench_failed_words(const struct bench_series *s)
{
	const unsigned int all = s->n_runs + s->failed_runs;
	struct bench_words w;

	snprintf(w.text, sizeof(w.text), "%u of %u run%s failed", s->failed_runs, all,
		 all == 1 ? "" : "s");
	return w;
}

double bench_series_ratio(const struct bench_result *r, const struct bench_series *s)
{
	double ratios[BENCH_RUNS_MAX];
	size_t n = bench_series_ratios(r, s, ratios);

	for (size_t i = 0; i < n && s->unit != BENCH_NS; i++)
		ratios[i] = 1 / ratios[i];
	return bench_median(ratios, n);
}

double bench_series_tail_ratio(const struct bench_result *r, const struct bench_series *s)
{
	double ratios[BENCH_RUNS_MAX];

	return bench_median(ratios, bench_series_tail_ratios(r, s, ratios));
}

double bench_series_figure(const struct bench_series *s)
{
	double figures[BENCH_RUNS_MAX];

	if (s->unit == BENCH_NS)
		return s->ns.p50;
	return bench_median(figures, bench_series_figures(s, figures));
}

int64_t bench_series_exits(const struct bench_series *s)
{
	int64_t sum = s->n_runs ? 0 : -1;

	for (unsigned int i = 0; i < s->n_runs && sum >= 0; i++)
		sum = s->runs[i].exits < 0 ? -1 : sum + s->runs[i].exits;
	return sum;
}

unsigned int bench_series_disturbed(const struct bench_series *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->n_runs; i++)
		n += s->runs[i].disturbed;
	return n;
}

/* The p50 of all samples is that of the faster runs, which have more of them. */
static void put_spread(struct bench_text *t, const struct bench_series *s)
{
	double figures[BENCH_RUNS_MAX], least, most;
	size_t n = bench_series_figures(s, figures);

	if (s->unit != BENCH_NS || n == 0)
		return;
	least = most = figures[0];
	for (size_t i = 1; i < n; i++) {
		least = figures[i] < least ? figures[i] : least;
		most = figures[i] > most ? figures[i] : most;
	}
	if (most > SPREAD * least)
		bench_put(t, "  p50 of a run %s to %s",
			  bench_figure_words(least, s->unit).text,
			  bench_figure_words(most, s->unit).text);
}

void bench_put_remarks(struct bench_text *t, const struct bench_result *r,
		       const struct bench_series *s)
{
	double coalesced[BENCH_RUNS_MAX], sleeps[BENCH_RUNS_MAX], error = 0, median;

	if (s->n_runs < r->settings.runs && !s->failed_runs)
		bench_put(t, "  %u of %u runs", s->n_runs, r->settings.runs);
	put_spread(t, s);
	for (unsigned int i = 0; i < s->n_runs; i++) {
		coalesced[i] = s->runs[i].coalesced;
		sleeps[i] = s->runs[i].sleeps;
		error = s->runs[i].clock_error > error ? s->runs[i].clock_error : error;
	}
	median = bench_median(coalesced, s->n_runs);
	if (median > 1.005)
		bench_put(t, "  %.1f rings an interrupt", median);
	median = bench_median(sleeps, s->n_runs);
	if (median > 0)
		bench_put(t, "  slept in %.0f %% of rounds", median * 100);
	if (error > 0)
		bench_put(t, "  clocks to %.0f ns", error);
	if (s->failed_runs)
		bench_put(t, "  %s: %s", bench_failed_words(s).text, s->reason);
}
