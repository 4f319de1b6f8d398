/* SPDX-License-Identifier: MIT */
/* bench/table.c - a result as a table for people, and the list of what there is */
#include <inttypes.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/format.h"
#include "bench/scenario.h"

#define US_WIDTH 10

/* --- tables --- */

static void put_head(struct bench_text *t, const struct bench_series *s)
{
	const struct bench_scenario *scenario = bench_scenario_find(s->scenario);

	bench_put(t, "\n%s: %s\n", s->scenario, scenario ? scenario->title : "");
	if (!*s->contestant)
		return; /* nobody ran */
	bench_put(t, "  %-26s", s->unit == BENCH_NS ? "us" : "");
	if (s->unit != BENCH_NS)
		bench_put(t, "%12s", "");
	for (size_t i = 0; s->unit == BENCH_NS && i < BENCH_PERCENTILES; i++)
		bench_put(t, "%*s", US_WIDTH, bench_percentiles[i].name);
	bench_put(t, "%8s%8s%7s%9s%5s\n", "floor x", "at p99", "exits",
		  s->unit == BENCH_NS ? "samples" : "runs", "bad");
}

/* In microseconds; a large one has fewer digits, so that columns stay apart. Below 0 it
 * is not known.
 */
static void put_us(struct bench_text *t, double us, int digits)
{
	if (us < 0) {
		bench_put(t, "%*s", US_WIDTH, "");
		return;
	}
	while (digits > 0 && snprintf(NULL, 0, "%.*f", digits, us) > US_WIDTH - 1)
		digits--;
	bench_put(t, "%*.*f", US_WIDTH, digits, us);
}

static void put_figures(struct bench_text *t, const struct bench_series *s)
{
	if (s->unit != BENCH_NS) {
		bench_put(t, "%12s",
			  bench_figure_words(bench_series_figure(s), s->unit).text);
		return;
	}
	for (size_t i = 0; i < BENCH_PERCENTILES; i++)
		put_us(t, bench_percentile_of(&s->ns, i) / 1e3, s->ns.p50 < 1000 ? 3 : 2);
}

static void put_ratio(struct bench_text *t, double ratio)
{
	if (ratio > 0)
		bench_put(t, "%8.2f", ratio);
	else
		bench_put(t, "%8s", "");
}

static void put_measured(struct bench_text *t, const struct bench_result *r,
			 const struct bench_series *s)
{
	double ratio = bench_series_ratio(r, s), tail = bench_series_tail_ratio(r, s);
	int64_t exits = bench_series_exits(s);
	unsigned int disturbed = bench_series_disturbed(s);

	put_figures(t, s);
	put_ratio(t, ratio);
	put_ratio(t, tail);
	if (exits >= 0)
		bench_put(t, "%7" PRId64, exits);
	else
		bench_put(t, "%7s", "-");
	if (s->unit == BENCH_NS)
		bench_put(t, "%9" PRIu64, s->samples);
	else
		bench_put(t, "%9u", s->n_runs);
	if (disturbed)
		bench_put(t, "%5u", disturbed);
	bench_put_remarks(t, r, s);
	bench_put(t, "\n");
}

static void put_row(struct bench_text *t, const struct bench_result *r,
		    const struct bench_series *s)
{
	char name[64];

	if (*s->parameter)
		snprintf(name, sizeof(name), "%.16s, %.30s", s->contestant,
			 bench_parameter_label(s->parameter, s->value).text);
	else
		snprintf(name, sizeof(name), "%s", s->contestant);
	bench_clean(name);
	bench_put(t, *name ? "  %-26s" : "  ", name);
	if (s->status == BENCH_MEASURED)
		put_measured(t, r, s);
	else if (s->status == BENCH_NOT_RUN)
		bench_put(t, "not run\n");
	else
		bench_put(t, "%s: %s\n",
			  s->status == BENCH_FAILED ? "failed" : "cannot run here",
			  s->reason);
}

static bool takes_part(const struct bench_result *r, const char *contestant)
{
	for (unsigned int i = 0; i < r->n_series; i++)
		if (strcmp(r->series[i].contestant, contestant) == 0)
			return true;
	return false;
}

static void put_host(struct bench_text *t, const struct bench_result *r)
{
	const struct bench_settings *s = &r->settings;

	bench_put(t, "belfry %s, %s: up to %u run%s of %u ms, vCPUs on %s\n", r->version,
		  r->date, s->runs, s->runs == 1 ? "" : "s", s->ms,
		  *s->cpus ? s->cpus : "any CPU");
	for (size_t i = 0; i < BENCH_HOST_FACTS; i++)
		bench_put(t, "  %-26s%s\n", bench_facts[i].title, r->host.facts[i]);
	for (unsigned int i = 0; i < r->n_contestants; i++)
		if (*r->contestants[i].version && takes_part(r, r->contestants[i].name))
			bench_put(t, "  %-26s%s\n", r->contestants[i].name,
				  r->contestants[i].version);
}

/* Whether there is anything to tell of a scenario. */
static bool has_run(const struct bench_result *r, const char *scenario)
{
	for (unsigned int i = 0; i < r->n_series; i++)
		if (strcmp(r->series[i].scenario, scenario) == 0 &&
		    r->series[i].status != BENCH_NOT_RUN)
			return true;
	return false;
}

static void put_not_run(struct bench_text *t, const struct bench_result *r)
{
	const char *last = "";

	for (unsigned int i = 0; i < r->n_series; i++) {
		const char *scenario = r->series[i].scenario;

		if (has_run(r, scenario) || strcmp(scenario, last) == 0)
			continue;
		bench_put(t, "%s%s", *last ? ", " : "\nnot run: ", scenario);
		last = scenario;
	}
	bench_put(t, "%s", *last ? "\n" : "");
}

char *bench_format_table(const struct bench_result *r, const struct bench_comparison *c)
{
	const char *scenario = "";
	struct bench_text t;

	bench_text_open(&t);
	put_host(&t, r);
	for (unsigned int i = 0; i < r->n_series; i++) {
		if (!has_run(r, r->series[i].scenario))
			continue;
		if (strcmp(scenario, r->series[i].scenario) != 0)
			put_head(&t, &r->series[i]);
		scenario = r->series[i].scenario;
		put_row(&t, r, &r->series[i]);
	}
	put_not_run(&t, r);
	bench_put(
		&t,
		"\nfloor x: figure (p50, rate) over that of the floor in the same turn, "
		"median of the turns;\nat p99: the same for the p99; exits: to user "
		"space while timed; bad: disturbed runs\n");
	for (unsigned int i = 0; i < r->n_notes; i++)
		bench_put(&t, "note: %s\n", r->notes[i]);
	if (!r->complete)
		bench_put(&t, "note: not complete: %s\n", r->stopped);
	return bench_text_close(&t);
}

/* --- verdicts --- */

static void put_judgement(struct bench_text *t, const struct bench_judgement *j)
{
	const struct bench_interval change = bench_shown_change(j);
	char name[96];

	snprintf(name, sizeof(name), "%s, %s", bench_series_label(j->before).text,
		 j->before->contestant);
	bench_put(t, "%-36s %-18s", name, bench_change_names[j->verdict]);
	if (j->verdict == BENCH_GONE) {
		bench_put(t, "%s\n", j->why);
		return;
	}
	if (j->ratio)
		bench_put(t, "%.3f -> %.3f x floor", j->before_figure, j->after_figure);
	else
		bench_put(t, "%s -> %s",
			  bench_figure_words(j->before_figure, j->before->unit).text,
			  bench_figure_words(j->after_figure, j->before->unit).text);
	if (change.middle > 0)
		bench_put(t, ", %s %%", bench_percent_words(change.middle).text);
	if (change.known)
		bench_put(t, " [%s, %s]", bench_percent_words(change.low).text,
			  bench_percent_words(change.high).text);
	if (*j->why)
		bench_put(t, " (%s)", j->why);
	bench_put(t, "\n");
}

char *bench_format_verdicts(const struct bench_result *r,
			    const struct bench_comparison *c)
{
	struct bench_text t;

	(void)r;
	bench_text_open(&t);
	bench_put(&t,
		  "\nAgainst the baseline of %s (belfry %s); worse is slower by more "
		  "than %g %%,\nwith 99 %% confidence. Medians of the runs before -> "
		  "now, and the change over all\npairs of them, in its interval:\n",
		  c->before->date, c->before->version, c->rule.max_regression * 100);
	for (unsigned int i = 0; i < c->n; i++)
		put_judgement(&t, &c->judgements[i]);
	for (unsigned int i = 0; i < c->n_warnings; i++)
		bench_put(&t, "warning: %s\n", c->warnings[i]);
	return bench_text_close(&t);
}

/* --- the list --- */

static void put_scenario(struct bench_text *t, const struct bench_scenario *s)
{
	bench_put(t, "%-16s %s%s\n", s->name, s->title, s->quick ? " (quick)" : "");
	if (s->why)
		bench_put(t, "%-16s cannot run: %s\n", "", s->why);
	if (!s->parameter)
		return;
	bench_put(t, "%-16s %s:", "", s->parameter);
	for (size_t i = 0; s->values[i]; i++)
		bench_put(t, "%s %" PRIu64, i ? "," : "", s->values[i]);
	bench_put(t, "\n");
}

char *bench_list(void)
{
	struct bench_text t;

	bench_text_open(&t);
	bench_put(&t, "Scenarios; (quick) are those of --quick:\n\n");
	for (const struct bench_scenario *s = bench_scenarios; s->name; s++)
		put_scenario(&t, s);
	bench_put(&t, "\nContestants:\n\n");
	for (unsigned int i = 0; i < BENCH_CONTESTANTS; i++)
		bench_put(&t, "%-16s %s\n", bench_contestant_names[i],
			  bench_contestant_titles[i]);
	return bench_text_close(&t);
}
