/* SPDX-License-Identifier: MIT */
/* bench/result.c - all that a benchmark has found out: making it, looking things up */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/number.h"
#include "base/own.h"
#include "base/text.h"
#include "bench/bench.h"
#include "bench/result.h"

#define DIGITS 1000 /* a histogram's steps: three decimal digits */

struct bench_result *bench_result_create(void)
{
	return calloc(1, sizeof(struct bench_result));
}

void bench_result_destroy(struct bench_result *r)
{
	if (!r)
		return;
	for (unsigned int i = 0; i < r->n_series; i++) {
		free(r->series[i].runs);
		free(r->series[i].histogram);
		free(r->series[i].pool);
	}
	free(r->series);
	free(r);
}

/* Room for one more behind @n of @size bytes, zeroed. Return: the array; NULL. */
static void *grow(void *array, size_t n, size_t size)
{
	char *grown = reallocarray(array, n + 1, size);

	return grown ? memset(grown + n * size, 0, size) - n * size : NULL;
}

struct bench_series *bench_result_add(struct bench_result *r)
{
	struct bench_series *grown = grow(r->series, r->n_series, sizeof(*grown));

	if (!grown)
		return NULL;
	r->series = grown;
	return &grown[r->n_series++];
}

const struct bench_series *bench_result_find(const struct bench_result *r,
					     const char *scenario, const char *contestant,
					     const char *parameter, uint64_t value)
{
	for (unsigned int i = 0; i < r->n_series; i++) {
		const struct bench_series *s = &r->series[i];

		if (strcmp(s->scenario, scenario) == 0 &&
		    strcmp(s->contestant, contestant) == 0 &&
		    strcmp(s->parameter, parameter) == 0 && s->value == value)
			return s;
	}
	return NULL;
}

void bench_result_note(struct bench_result *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n_notes == BENCH_NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(r->notes[r->n_notes], sizeof(r->notes[0]), fmt, ap);
	va_end(ap);
	bench_clean(r->notes[r->n_notes++]);
}

struct bench_run *bench_series_add_run(struct bench_series *s)
{
	struct bench_run *grown = grow(s->runs, s->n_runs, sizeof(*grown));

	if (!grown)
		return NULL;
	s->runs = grown;
	return &grown[s->n_runs++];
}

int bench_series_pool(struct bench_series *s, const float *ns, size_t n)
{
	float *grown = reallocarray(s->pool, s->n_pool + n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	s->pool = grown;
	memcpy(grown + s->n_pool, ns, n * sizeof(*ns));
	s->n_pool += n;
	return 0;
}

/* Rounded to three digits: 38.4567 is 38.5, 0.12345 is 0.123. */
static double step_of(double ns)
{
	double unit;

	if (ns <= 0)
		return 0;
	unit = pow(10, floor(log10(ns))) * 10 / DIGITS;
	return round(ns / unit) * unit;
}

static int build_histogram(struct bench_series *s)
{
	struct bench_bucket *last = NULL;
	double step;

	for (size_t i = 0; i < s->n_pool; i++) {
		step = step_of(s->pool[i]);
		if (!last || step > last->ns * (1 + 1e-9)) {
			last = grow(s->histogram, s->n_buckets, sizeof(*last));
			if (!last)
				return -ENOMEM;
			s->histogram = last;
			last += s->n_buckets++;
			last->ns = step;
		}
		last->count++;
	}
	return 0;
}

int bench_series_finish(struct bench_series *s)
{
	int r;

	if (s->n_pool == 0)
		return 0;
	bench_sort(s->pool, s->n_pool);
	s->ns = bench_summarize(s->pool, s->n_pool);
	s->samples = s->n_pool;
	r = build_histogram(s);
	free(bf_take_ptr(&s->pool));
	s->n_pool = 0;
	return r;
}

/* --- words --- */

/* How many bytes a character has that begins so, if it is one. */
static size_t utf8_length(unsigned char lead)
{
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

void bench_clean(char *text)
{
	const char *next;
	char *p = text;
	int32_t c;

	for (; *p; p = (char *)next) {
		next = p;
		c = bf_utf8_next(&next);
		if (c < 0 && (unsigned char)*p >= 0xc0 && strlen(p) < utf8_length(*p)) {
			*p = '\0'; /* the rest did not fit in */
			return;
		}
		if (c < 0)
			*p = '?', next = p + 1;
		else if (c < ' ' || (c >= 0x7f && c < 0xa0))
			memset(p, ' ', next - p);
	}
}

struct bench_label bench_parameter_label(const char *parameter, uint64_t value)
{
	struct bench_label l;

	if (strcmp(parameter, "block") == 0)
		snprintf(l.text, sizeof(l.text), "%s", bf_size_text(value).text);
	else if (strcmp(parameter, "pause_us") == 0)
		snprintf(l.text, sizeof(l.text), "pause %" PRIu64 " us", value);
	else
		snprintf(l.text, sizeof(l.text), "%" PRIu64 " %.*s", value,
			 (int)strlen(parameter) - (value == 1), parameter);
	bench_clean(l.text);
	return l;
}

struct bench_label bench_series_label(const struct bench_series *s)
{
	struct bench_label l;

	if (*s->parameter)
		snprintf(l.text, sizeof(l.text), "%s, %.28s", s->scenario,
			 bench_parameter_label(s->parameter, s->value).text);
	else
		snprintf(l.text, sizeof(l.text), "%s", s->scenario);
	bench_clean(l.text);
	return l;
}

/* --- figures --- */

size_t bench_series_figures(const struct bench_series *s, double *out)
{
	size_t n = 0;

	for (unsigned int i = 0; i < s->n_runs; i++)
		if (s->runs[i].samples && s->runs[i].figure > 0)
			out[n++] = s->runs[i].figure;
	return n;
}

static const struct bench_run *run_of_turn(const struct bench_series *s,
					   unsigned int turn)
{
	for (unsigned int i = 0; i < s->n_runs; i++)
		if (s->runs[i].turn == turn && s->runs[i].samples &&
		    s->runs[i].figure > 0)
			return &s->runs[i];
	return NULL;
}

/* What @of makes of the runs, over what it makes of the floor's of the same turn. */
static size_t ratios_to_floor(const struct bench_result *r, const struct bench_series *s,
			      double (*of)(const struct bench_run *run), double *out)
{
	const struct bench_series *floor =
		bench_result_find(r, s->scenario, "floor", s->parameter, s->value);
	const struct bench_run *mine, *theirs;
	size_t n = 0;

	for (unsigned int i = 0; floor && i < s->n_runs; i++) {
		mine = run_of_turn(s, s->runs[i].turn);
		theirs = run_of_turn(floor, s->runs[i].turn);
		if (mine && theirs && of(mine) >= 0 && of(theirs) > 0)
			out[n++] = of(mine) / of(theirs);
	}
	return n;
}

static double figure_of(const struct bench_run *run)
{
	return run->figure;
}

static double p99_of(const struct bench_run *run)
{
	return run->ns.p99;
}

size_t bench_series_ratios(const struct bench_result *r, const struct bench_series *s,
			   double *out)
{
	size_t n = ratios_to_floor(r, s, figure_of, out);

	for (size_t i = 0; i < n && s->unit != BENCH_NS; i++)
		out[i] = 1 / out[i];
	return n;
}

size_t bench_series_tail_ratios(const struct bench_result *r,
				const struct bench_series *s, double *out)
{
	return s->unit == BENCH_NS ? ratios_to_floor(r, s, p99_of, out) : 0;
}

static bool has_failed(const struct bench_series *s, bool judged)
{
	if (s->status != BENCH_FAILED && s->failed_runs == 0)
		return false;
	return !judged || strncmp(s->contestant, "belfry", 6) == 0 ||
	       strcmp(s->contestant, "floor") == 0;
}

const char *bench_result_stopped(const struct bench_result *r)
{
	return r->complete ? NULL : r->stopped;
}

int bench_result_failed(const struct bench_result *r, bool judged,
			struct belfry_error *err)
{
	const struct bench_series *first = NULL;
	unsigned int more = 0;
	char others[32] = "";

	for (unsigned int i = 0; i < r->n_series; i++) {
		if (!has_failed(&r->series[i], judged))
			continue;
		more += first != NULL;
		first = first ? first : &r->series[i];
	}
	if (!first)
		return 0;
	if (more)
		snprintf(others, sizeof(others), "; %u more failed", more);
	return bf_err(err, EIO, "%s, %s: %.100s%s", bench_series_label(first).text,
		      first->contestant, first->reason, others);
}

const char *bench_result_cannot(const struct bench_result *r, const char *scenario)
{
	const char *why = "no contestant that is asked for takes part in it";

	for (unsigned int i = 0; i < r->n_series; i++) {
		const struct bench_series *s = &r->series[i];

		if (scenario && strcmp(s->scenario, scenario) != 0)
			continue;
		if (s->status != BENCH_CANNOT_RUN)
			return NULL;
		why = s->reason;
	}
	return why;
}
