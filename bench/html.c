/* SPDX-License-Identifier: MIT */
/* bench/html.c - a result as one page: bench/page.html with everything it needs in it */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/format.h"
#include "bench/json.h"
#include "bench/payloads.h"

const char *bench_schema(void)
{
	return bench_schema_json;
}

const char *bench_html_missing(void)
{
	if (&bench_chart_js_end[0] > &bench_chart_js[0])
		return NULL;
	return "this belfry was built without Chart.js; install libjs-chart.js and build "
	       "again";
}

static json_t *judgement_object(const struct bench_judgement *j)
{
	const struct bench_interval change = bench_shown_change(j);
	char name[96];

	snprintf(name, sizeof(name), "%s, %s", bench_series_label(j->before).text,
		 j->before->contestant);
	return json_pack(
		"{s:s, s:b, s:s, s:f, s:f, s:s, s:s, s:s, s:b, s:s, s:s}", "name", name,
		"ratio", (int)j->ratio, "unit", bench_unit_names[j->before->unit],
		"before", j->before_figure, "after", j->after_figure, "change",
		change.middle > 0 ? bench_percent_words(change.middle).text : "", "low",
		bench_percent_words(change.low).text, "high",
		bench_percent_words(change.high).text, "known", (int)change.known,
		"verdict", bench_change_names[j->verdict], "why", j->why);
}

/* What the comparison came to; "null" when there was none. */
static char *format_comparison(const struct bench_comparison *c)
{
	json_t *object, *judgements, *warnings;
	char *text;

	if (!c)
		return strdup("null");
	judgements = json_array();
	warnings = json_array();
	for (unsigned int i = 0; i < c->n; i++)
		json_array_append_new(judgements, judgement_object(&c->judgements[i]));
	for (unsigned int i = 0; i < c->n_warnings; i++)
		json_array_append_new(warnings, json_string(c->warnings[i]));
	object = json_pack("{s:s, s:f, s:o, s:o}", "date", c->before->date,
			   "max_regression", c->rule.max_regression * 100, "warnings",
			   warnings, "judgements", judgements);
	text = json_dumps(object, JSON_REAL_PRECISION(6));
	json_decref(object);
	return text;
}

static json_t *remarks_string(const struct bench_result *r, const struct bench_series *s)
{
	struct bench_text t;
	json_t *string;
	char *text;

	bench_text_open(&t);
	bench_put_remarks(&t, r, s);
	text = bench_text_close(&t);
	string = json_string(text ? text : "");
	free(text);
	return string;
}

/* What the table calls the facts, and of each series its case and the remarks on it. */
static char *format_names(const struct bench_result *r)
{
	json_t *facts = json_object(), *cases = json_array(), *remarks = json_array();
	json_t *object;
	char *text;

	for (size_t i = 0; i < BENCH_HOST_FACTS; i++)
		json_object_set_new(facts, bench_facts[i].name,
				    json_string(bench_facts[i].title));
	for (unsigned int i = 0; i < r->n_series; i++) {
		const struct bench_series *s = &r->series[i];
		const struct bench_label l =
			bench_parameter_label(s->parameter, s->value);

		json_array_append_new(cases, json_string(*s->parameter ? l.text : ""));
		json_array_append_new(remarks, remarks_string(r, s));
	}
	object = json_pack("{s:o, s:o, s:o}", "facts", facts, "cases", cases, "remarks",
			   remarks);
	text = json_dumps(object, 0);
	json_decref(object);
	return text;
}

/* JSON within a script: a "<" could end it. */
static void put_json(struct bench_text *t, const char *json)
{
	for (; json && *json; json++) {
		if (*json == '<')
			bench_put(t, "\\u003c");
		else
			bench_put(t, "%c", *json);
	}
}

static void put_file(struct bench_text *t, const char *from, const char *end)
{
	bench_put(t, "%.*s", (int)(end - from), from);
}

/* Up to @mark, which is left out. Return: what follows it. */
static const char *put_until(struct bench_text *t, const char *from, const char *mark)
{
	const char *at = strstr(from, mark);

	put_file(t, from, at);
	return at + strlen(mark);
}

char *bench_format_html(const struct bench_result *r, const struct bench_comparison *c)
{
	char *result = bench_format_json(r, c), *verdicts = format_comparison(c);
	char *names = format_names(r);
	char *baseline = c ? bench_format_json(c->before, NULL) : strdup("null");
	const char *at = bench_page_html;
	struct bench_text t;

	bench_text_open(&t);
	at = put_until(&t, at, "/*CHART*/");
	put_file(&t, bench_chart_js, bench_chart_js_end);
	at = put_until(&t, at, "/*RESULT*/");
	put_json(&t, result);
	at = put_until(&t, at, "/*BASELINE*/");
	put_json(&t, baseline);
	at = put_until(&t, at, "/*VERDICTS*/");
	put_json(&t, verdicts);
	at = put_until(&t, at, "/*NAMES*/");
	put_json(&t, names);
	at = put_until(&t, at, "/*PAGE*/");
	put_file(&t, bench_page_js, bench_page_js_end);
	put_file(&t, at, bench_page_html_end);
	if (!result || !verdicts || !names || !baseline) {
		free(bench_text_close(&t));
		t.text = NULL;
	} else {
		t.text = bench_text_close(&t);
	}
	free(result);
	free(verdicts);
	free(names);
	free(baseline);
	return t.text;
}
