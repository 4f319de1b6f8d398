/* SPDX-License-Identifier: MIT */
/*
 * bench/compare.c - is it slower than it was?
 *
 * The rule, per case and for belfry's own series:
 *
 * 1. A run's figure is its p50 (of rates: the rate). Where the baseline has the floor's
 *    of the same turn it is the ratio to that, so that a host that is slower today judges
 *    nobody; else it is the figure itself.
 * 2. The change is the factor between the runs of the two results, with the interval
 *    that holds it with 99 % confidence: bench_ratio().
 * 3. Worse: all of the interval is above 1 + max_regression. Same or better: all of it is
 *    at or below that; better, if all of it is below 1 / (1 + max_regression). Else it is
 *    too noisy to tell, as it is with fewer than five runs on either side.
 *
 * What was measured before and cannot be now, or not in each run, is too noisy to tell,
 * too: silence must not pass.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/compare.h"
#include "bench/format.h"
#include "bench/scenario.h"

#define FLOOR_DRIFT  0.1 /* of the floor, from which on it is mentioned */
#define PART_MIN     40  /* bytes: a difference that comes later is shown from there on */
#define SETTINGS_MAX 5   /* warnings of these */

const char *const bench_change_names[BENCH_CHANGES] = {
	[BENCH_BETTER] = "better",     [BENCH_UNCHANGED] = "not worse",
	[BENCH_REGRESSED] = "worse",   [BENCH_UNCLEAR] = "too noisy to tell",
	[BENCH_GONE] = "not measured",
};

__attribute__((format(printf, 2, 3))) static void warn(struct bench_comparison *c,
						       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->warnings[c->n_warnings], sizeof(c->warnings[0]), fmt, ap);
	va_end(ap);
	bench_clean(c->warnings[c->n_warnings++]);
}

/* --- the two hosts --- */

/* A part of a text, from a character on; "..." stands for what is before. */
struct part {
	char text[80];
};

static struct part part_from(const char *text, size_t from)
{
	struct part p;

	while (from > 0 && ((unsigned char)text[from] & 0xc0) == 0x80)
		from--;
	snprintf(p.text, sizeof(p.text), "%s%.60s", from ? "..." : "", text + from);
	bench_clean(p.text);
	return p;
}

/* Of two texts that differ: the parts that show it. */
static void differing_parts(const char *a, const char *b, struct part *of_a,
			    struct part *of_b)
{
	size_t from = 0;

	if (strncmp(a, b, PART_MIN) == 0)
		while (a[from] && a[from] == b[from])
			from++;
	*of_a = part_from(a, from);
	*of_b = part_from(b, from);
}

int bench_check_machine(const struct bench_host *before, const struct bench_host *after,
			struct belfry_error *err)
{
	struct part was, is;

	for (size_t i = 0; i < BENCH_HOST_FACTS; i++) {
		if (!bench_facts[i].machine ||
		    strcmp(before->facts[i], after->facts[i]) == 0)
			continue;
		differing_parts(before->facts[i], after->facts[i], &was, &is);
		return bf_err(
			err, EXDEV,
			"the baseline is of another machine: %s: '%s' before, '%s' now",
			bench_facts[i].title, was.text, is.text);
	}
	return 0;
}

static void compare_hosts(struct bench_comparison *c)
{
	struct part was, is;

	for (size_t i = 0; i < BENCH_HOST_FACTS; i++) {
		const char *before = c->before->host.facts[i];
		const char *after = c->after->host.facts[i];

		if (strcmp(before, after) == 0)
			continue;
		differing_parts(before, after, &was, &is);
		warn(c, "%s: %s: '%s' before, '%s' now",
		     bench_facts[i].machine ? "the baseline is of another machine"
					    : "another setting",
		     bench_facts[i].title, was.text, is.text);
	}
}

static const char *cpus_words(const struct bench_settings *s)
{
	return *s->cpus ? s->cpus : "any CPU";
}

static void compare_settings(struct bench_comparison *c)
{
	const struct bench_settings *before = &c->before->settings;
	const struct bench_settings *after = &c->after->settings;

	if (before->ms != after->ms)
		warn(c, "another setting: runs of %u ms before, of %u ms now", before->ms,
		     after->ms);
	if (before->warmup_ms != after->warmup_ms)
		warn(c, "another setting: a warm-up of %u ms before, of %u ms now",
		     before->warmup_ms, after->warmup_ms);
	if (strcmp(before->cpus, after->cpus) != 0)
		warn(c, "another setting: vCPUs on %s before, on %s now",
		     cpus_words(before), cpus_words(after));
	if (!c->before->complete)
		warn(c, "the baseline is not complete: %s", c->before->stopped);
	if (!c->after->complete)
		warn(c, "the result is not complete: %s", c->after->stopped);
}

/* --- figures --- */

static bool has_ratios(const struct bench_result *r, const struct bench_series *s)
{
	double ratios[BENCH_RUNS_MAX];

	return bench_series_ratios(r, s, ratios) > 0;
}

/* What is judged, more being worse. Return: how many. */
static size_t figures_of(const struct bench_result *r, const struct bench_series *s,
			 bool ratio, double *out)
{
	size_t n;

	if (ratio)
		return bench_series_ratios(r, s, out);
	n = bench_series_figures(s, out);
	for (size_t i = 0; i < n && s->unit != BENCH_NS; i++)
		out[i] = 1 / out[i];
	return n;
}

/* A figure, or a change, as it is shown: a rate is a rate again. */
static double shown(double figure, const struct bench_series *s)
{
	return s->unit == BENCH_NS || figure == 0 ? figure : 1 / figure;
}

static double shown_median(double *figures, size_t n, const struct bench_series *s)
{
	for (size_t i = 0; i < n; i++)
		figures[i] = shown(figures[i], s);
	return bench_median(figures, n);
}

struct bench_interval bench_shown_change(const struct bench_judgement *j)
{
	const struct bench_interval *c = &j->change;
	const bool rate = j->before->unit != BENCH_NS;

	return (struct bench_interval){ shown(rate ? c->high : c->low, j->before),
					shown(c->middle, j->before),
					shown(rate ? c->low : c->high, j->before),
					c->known };
}

static enum bench_change verdict_of(const struct bench_interval *change, double limit)
{
	if (!change->known)
		return BENCH_UNCLEAR;
	if (change->low > 1 + limit)
		return BENCH_REGRESSED;
	if (change->high < 1 / (1 + limit))
		return BENCH_BETTER;
	return change->high <= 1 + limit ? BENCH_UNCHANGED : BENCH_UNCLEAR;
}

static void judge(struct bench_comparison *c, struct bench_judgement *j)
{
	double before[BENCH_RUNS_MAX], after[BENCH_RUNS_MAX];
	size_t n, m;

	m = figures_of(c->before, j->before, j->ratio, before);
	n = figures_of(c->after, j->after, j->ratio, after);
	j->change = bench_ratio(after, n, before, m, BENCH_CONFIDENCE);
	j->change.known &= n >= BENCH_RUNS_NEEDED && m >= BENCH_RUNS_NEEDED;
	j->before_figure = shown_median(before, m, j->before);
	j->after_figure = shown_median(after, n, j->after);
	j->verdict = verdict_of(&j->change, c->rule.max_regression);
	if (j->after->failed_runs && j->verdict != BENCH_REGRESSED)
		j->verdict = BENCH_UNCLEAR;
	if (j->verdict != BENCH_UNCLEAR)
		return;
	if (j->after->failed_runs)
		snprintf(j->why, sizeof(j->why), "%s: %.100s",
			 bench_failed_words(j->after).text, j->after->reason);
	else if (!j->change.known)
		snprintf(j->why, sizeof(j->why),
			 "%zu run%s before, %zu now: at least %d of each are needed", m,
			 m == 1 ? "" : "s", n, BENCH_RUNS_NEEDED);
}

/* --- all of them --- */

bool bench_is_judged(const struct bench_series *s)
{
	return s->status == BENCH_MEASURED && strncmp(s->contestant, "belfry", 6) == 0 &&
	       strcmp(s->scenario, BENCH_CLOCK) != 0;
}

/* NULL when @r was not to measure it at all. */
static const struct bench_series *counterpart(const struct bench_result *r,
					      const struct bench_series *s)
{
	return bench_result_find(r, s->scenario, s->contestant, s->parameter, s->value);
}

static void add_judgement(struct bench_comparison *c, const struct bench_series *before)
{
	const struct bench_series *after = counterpart(c->after, before);
	struct bench_judgement *j = &c->judgements[c->n];
	const bool ratio =
		c->rule.judge != BENCH_JUDGE_TIME && has_ratios(c->before, before);

	if (!after || (c->rule.judge == BENCH_JUDGE_RATIO && !ratio))
		return;
	*j = (struct bench_judgement){ before, after, ratio };
	c->n++;
	j->verdict = BENCH_GONE;
	if (after->status != BENCH_MEASURED || after->unit != before->unit)
		snprintf(j->why, sizeof(j->why), "%.150s",
			 *after->reason ? after->reason : "it has not run");
	else if (ratio && !has_ratios(c->after, after))
		snprintf(j->why, sizeof(j->why), "its floor has not run");
	else
		judge(c, j);
	bench_clean(j->why);
	if (!ratio && c->rule.judge != BENCH_JUDGE_TIME && has_ratios(c->after, after))
		warn(c, "%s: the baseline has no floor: times are judged",
		     bench_series_label(before).text);
}

/* The floor is no part of the verdict. That it moved says what changed: the host. */
static void note_floor(struct bench_comparison *c, const struct bench_series *before)
{
	const struct bench_series *after = counterpart(c->after, before);
	double old[BENCH_RUNS_MAX], new[BENCH_RUNS_MAX];
	struct bench_interval change;
	size_t n, m;

	if (!after || after->status != BENCH_MEASURED)
		return;
	m = figures_of(c->before, before, false, old);
	n = figures_of(c->after, after, false, new);
	change = bench_ratio(new, n, old, m, BENCH_CONFIDENCE);
	if (change.known &&
	    (change.low > 1 + FLOOR_DRIFT || change.high < 1 / (1 + FLOOR_DRIFT)))
		warn(c, "%s: the host itself has changed: its floor by %+.0f %%",
		     bench_series_label(before).text,
		     (shown(change.middle, before) - 1) * 100);
}

int bench_nothing_in_common(struct belfry_error *err)
{
	return bf_err(err, ENOMSG, "the two results have no measurement in common");
}

static int judge_all(struct bench_comparison *c, struct belfry_error *err)
{
	c->judgements = calloc(c->before->n_series + 1, sizeof(*c->judgements));
	if (!c->judgements)
		return bf_err(err, ENOMEM, "out of memory");
	for (unsigned int i = 0; i < c->before->n_series; i++) {
		const struct bench_series *s = &c->before->series[i];

		if (bench_is_judged(s))
			add_judgement(c, s);
		else if (s->status == BENCH_MEASURED &&
			 strcmp(s->contestant, "floor") == 0)
			note_floor(c, s);
	}
	return c->n > 0 ? 0 : bench_nothing_in_common(err);
}

int bench_compare(struct bench_comparison **out, const struct bench_result *before,
		  const struct bench_result *after, const struct bench_rule *rule,
		  struct belfry_error *err)
{
	struct bench_comparison *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return bf_err(err, ENOMEM, "out of memory");
	c->before = before;
	c->after = after;
	c->rule = *rule;
	c->warnings = calloc(BENCH_HOST_FACTS + SETTINGS_MAX + before->n_series,
			     sizeof(*c->warnings)); /* a series has one at most */
	if (!c->warnings) {
		bench_comparison_destroy(c);
		return bf_err(err, ENOMEM, "out of memory");
	}
	compare_hosts(c);
	compare_settings(c);
	r = rule->strict ? bench_check_machine(&before->host, &after->host, err) : 0;
	if (r == 0)
		r = judge_all(c, err);
	if (r < 0)
		bench_comparison_destroy(c);
	else
		*out = c;
	return r;
}

void bench_comparison_destroy(struct bench_comparison *c)
{
	if (!c)
		return;
	free(c->judgements);
	free(c->warnings);
	free(c);
}

enum bench_verdict bench_comparison_verdict(const struct bench_comparison *c)
{
	enum bench_verdict verdict = BENCH_SAME;

	for (unsigned int i = 0; i < c->n; i++) {
		if (c->judgements[i].verdict == BENCH_REGRESSED)
			return BENCH_WORSE;
		if (c->judgements[i].verdict == BENCH_UNCLEAR ||
		    c->judgements[i].verdict == BENCH_GONE)
			verdict = BENCH_NOISY;
	}
	return verdict;
}
