/* SPDX-License-Identifier: MIT */
/* bench/ci.c - what continuous integration reads: JUnit's XML, and Markdown for a summary
 */
#include <string.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/format.h"
#include "bench/scenario.h"

/* --- JUnit --- */

static void put_xml(struct bench_text *t, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			bench_put(t, "&lt;");
		else if (*text == '>')
			bench_put(t, "&gt;");
		else if (*text == '&')
			bench_put(t, "&amp;");
		else if (*text == '"')
			bench_put(t, "&quot;");
		else
			bench_put(t, "%c", (unsigned char)*text < ' ' ? ' ' : *text);
	}
}

static const struct bench_judgement *judgement_of(const struct bench_comparison *c,
						  const struct bench_series *s)
{
	for (unsigned int i = 0; c && i < c->n; i++)
		if (c->judgements[i].after == s)
			return &c->judgements[i];
	return NULL;
}

/* What a series comes to as a test: "", "failure", "error" or "skipped" */
static const char *outcome(const struct bench_series *s, const struct bench_judgement *j)
{
	if (j && j->verdict == BENCH_REGRESSED)
		return "failure";
	if (s->status == BENCH_FAILED || s->failed_runs)
		return "error";
	if (s->status != BENCH_MEASURED ||
	    (j && (j->verdict == BENCH_UNCLEAR || j->verdict == BENCH_GONE)))
		return "skipped";
	return "";
}

static void put_message(struct bench_text *t, const struct bench_series *s,
			const struct bench_judgement *j)
{
	struct bench_interval change = { 0 };

	if (j)
		change = bench_shown_change(j);
	if (j && j->verdict == BENCH_REGRESSED)
		bench_put(t, "%s %%, at least %s %%",
			  bench_percent_words(change.middle).text,
			  bench_percent_words(s->unit == BENCH_NS ? change.low
								  : change.high)
				  .text);
	else if (j && *j->why)
		put_xml(t, j->why);
	else if (j && j->verdict == BENCH_UNCLEAR)
		bench_put(t, "the change may be anything from %s %% to %s %%",
			  bench_percent_words(change.low).text,
			  bench_percent_words(change.high).text);
	else
		put_xml(t, *s->reason ? s->reason : "not run");
}

static void put_case(struct bench_text *t, const struct bench_comparison *c,
		     const struct bench_series *s)
{
	const struct bench_judgement *j = judgement_of(c, s);
	const char *result = outcome(s, j);

	bench_put(t, "  <testcase classname=\"belfry-bench\" name=\"");
	put_xml(t, bench_series_label(s).text);
	put_xml(t, *s->contestant ? ", " : "");
	put_xml(t, s->contestant);
	bench_put(t, "\" time=\"%.9f\"", s->unit == BENCH_NS ? s->ns.p50 / 1e9 : 0.0);
	if (!*result) {
		bench_put(t, "/>\n");
		return;
	}
	bench_put(t, ">\n    <%s message=\"", result);
	put_message(t, s, j);
	bench_put(t, "\"/>\n  </testcase>\n");
}

char *bench_format_junit(const struct bench_result *r, const struct bench_comparison *c)
{
	unsigned int failures = 0, errors = 0, skipped = 0;
	struct bench_text t;

	for (unsigned int i = 0; i < r->n_series; i++) {
		const struct bench_series *s = &r->series[i];
		const char *result = outcome(s, judgement_of(c, s));

		failures += strcmp(result, "failure") == 0;
		errors += strcmp(result, "error") == 0;
		skipped += strcmp(result, "skipped") == 0;
	}
	bench_text_open(&t);
	bench_put(&t,
		  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		  "<testsuite name=\"belfry bench\" tests=\"%u\" failures=\"%u\" "
		  "errors=\"%u\" skipped=\"%u\" timestamp=\"",
		  r->n_series, failures, errors, skipped);
	put_xml(&t, r->date);
	bench_put(&t, "\">\n");
	for (unsigned int i = 0; i < r->n_series; i++)
		put_case(&t, c, &r->series[i]);
	bench_put(&t, "</testsuite>\n");
	return bench_text_close(&t);
}

/* --- Markdown --- */

/* Text from files and hosts: nothing of it may end a cell or begin a tag. */
static void put_cell(struct bench_text *t, const char *text)
{
	for (; *text; text++) {
		if (strchr("|<>`*_[]\\", *text))
			bench_put(t, "\\");
		bench_put(t, "%c", (unsigned char)*text < ' ' ? ' ' : *text);
	}
}

static void put_series(struct bench_text *t, const struct bench_result *r,
		       const struct bench_series *s)
{
	double ratio = bench_series_ratio(r, s);

	bench_put(t, "| ");
	put_cell(t, bench_series_label(s).text);
	bench_put(t, " | ");
	put_cell(t, s->contestant);
	if (s->status == BENCH_MEASURED && s->failed_runs)
		bench_put(t, ", %s", bench_failed_words(s).text);
	if (s->status != BENCH_MEASURED) {
		bench_put(t, " | ");
		put_cell(t, s->status == BENCH_NOT_RUN ? "not run" : s->reason);
		bench_put(t, " | | |\n");
		return;
	}
	bench_put(t, " | %s | ",
		  bench_figure_words(bench_series_figure(s), s->unit).text);
	if (s->unit == BENCH_NS && s->ns.p99 >= 0)
		bench_put(t, "%s", bench_figure_words(s->ns.p99, s->unit).text);
	bench_put(t, " | ");
	if (ratio > 0)
		bench_put(t, "%.2f", ratio);
	bench_put(t, " |\n");
}

static void put_verdicts(struct bench_text *t, const struct bench_comparison *c)
{
	bench_put(t,
		  "Worse is slower by more than %g %%.\n\n"
		  "| against the baseline | change | 99 %% interval | verdict |\n"
		  "|---|---|---|---|\n",
		  c->rule.max_regression * 100);
	for (unsigned int i = 0; i < c->n; i++) {
		const struct bench_judgement *j = &c->judgements[i];
		const struct bench_interval change = bench_shown_change(j);

		bench_put(t, "| ");
		put_cell(t, bench_series_label(j->before).text);
		bench_put(t, ", ");
		put_cell(t, j->before->contestant);
		if (change.known)
			bench_put(t, " | %s %% | %s to %s %% | ",
				  bench_percent_words(change.middle).text,
				  bench_percent_words(change.low).text,
				  bench_percent_words(change.high).text);
		else
			bench_put(t, " | | | ");
		bench_put(t, "%s", bench_change_names[j->verdict]);
		if (*j->why) {
			bench_put(t, ": ");
			put_cell(t, j->why);
		}
		bench_put(t, " |\n");
	}
	for (unsigned int i = 0; i < c->n_warnings; i++) {
		bench_put(t, "\n> ");
		put_cell(t, c->warnings[i]);
		bench_put(t, "\n");
	}
	bench_put(t, "\n");
}

char *bench_format_markdown(const struct bench_result *r,
			    const struct bench_comparison *c)
{
	struct bench_text t;

	bench_text_open(&t);
	bench_put(&t, "### belfry bench\n\n");
	if (c)
		put_verdicts(&t, c);
	bench_put(&t, "| scenario | contestant | p50 or rate | p99 | x floor |\n"
		      "|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < r->n_series; i++)
		put_series(&t, r, &r->series[i]);
	bench_put(&t, "\n");
	put_cell(&t, r->host.facts[BENCH_HOST_CPU]);
	bench_put(&t, ", ");
	put_cell(&t, r->host.facts[BENCH_HOST_KERNEL]);
	bench_put(&t, "\n");
	for (unsigned int i = 0; i < r->n_notes; i++) {
		bench_put(&t, "\n> ");
		put_cell(&t, r->notes[i]);
		bench_put(&t, "\n");
	}
	if (!r->complete) {
		bench_put(&t, "\n> not complete: ");
		put_cell(&t, r->stopped);
		bench_put(&t, "\n");
	}
	return bench_text_close(&t);
}
