/* SPDX-License-Identifier: MIT */
/* bench/json_write.c - a result as JSON: belfry-bench(5) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bench/bench.h"
#include "bench/json.h"
#include "bench/result.h"
#include "bench/scenario.h"

#define REAL_DIGITS 7

const char *const bench_unit_names[] = { "ns", "per_s", "bytes_per_s", NULL };
const char *const bench_status_names[] = { "measured", "cannot run", "failed", "not run",
					   NULL };

/* A figure that is not known is null. */
static json_t *known(double value)
{
	return value < 0 ? json_null() : json_real(value);
}

/*
 * What cannot be put, for want of memory, makes NULL of what it was to be put into, and
 * so of all that contains it: a file with a part missing would be refused.
 */
static void put(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value) < 0) {
		json_decref(*object);
		*object = NULL;
	}
}

static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) < 0) {
		json_decref(*array);
		*array = NULL;
	}
}

static void put_text(json_t **object, const char *key, const char *text)
{
	put(object, key, json_string(text));
}

/* Text that may be missing, then it is null. */
static void put_reason(json_t **object, const char *key, const char *text)
{
	put(object, key, *text ? json_string(text) : json_null());
}

static json_t *percentiles(const struct bench_percentiles *p)
{
	json_t *object = json_object();

	for (size_t i = 0; i < BENCH_PERCENTILES; i++)
		put(&object, bench_percentiles[i].field,
		    known(bench_percentile_of(p, i)));
	return object;
}

static json_t *run_object(const struct bench_run *run)
{
	json_t *object = json_object();

	put(&object, "turn", json_integer(run->turn));
	put(&object, "samples", json_integer(run->samples));
	put(&object, "figure", json_real(run->figure));
	put(&object, "ns", percentiles(&run->ns));
	put(&object, "exits", run->exits < 0 ? json_null() : json_integer(run->exits));
	put(&object, "steal", known(run->steal));
	put(&object, "waited", known(run->waited));
	put(&object, "others", known(run->others));
	put(&object, "disturbed", json_boolean(run->disturbed));
	if (run->coalesced > 0)
		put(&object, "rings_per_interrupt", json_real(run->coalesced));
	if (run->sleeps > 0)
		put(&object, "sleeps_per_round", json_real(run->sleeps));
	if (run->clock_error > 0)
		put(&object, "clock_error_ns", json_real(run->clock_error));
	return object;
}

static json_t *histogram(const struct bench_series *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->n_buckets; i++)
		append(&array, json_pack("[f, I]", s->histogram[i].ns,
					 (json_int_t)s->histogram[i].count));
	return array;
}

static json_t *series_object(const struct bench_series *s)
{
	json_t *object = json_object(), *runs = json_array();

	put_text(&object, "scenario", s->scenario);
	put_reason(&object, "contestant", s->contestant);
	put_reason(&object, "parameter", s->parameter);
	put(&object, "value", *s->parameter ? json_integer(s->value) : json_null());
	put_text(&object, "unit", bench_unit_names[s->unit]);
	put_text(&object, "status", bench_status_names[s->status]);
	put_reason(&object, "reason", s->reason);
	put(&object, "failed_runs", json_integer(s->failed_runs));
	if (s->status == BENCH_MEASURED) {
		for (unsigned int i = 0; i < s->n_runs; i++)
			append(&runs, run_object(&s->runs[i]));
		put(&object, "samples", json_integer(s->samples));
		put(&object, "ns", percentiles(&s->ns));
		put(&object, "runs", runs);
		put(&object, "histogram", histogram(s));
	} else {
		json_decref(runs);
	}
	return object;
}

static json_t *settings_object(const struct bench_settings *s)
{
	json_t *object = json_object();

	put(&object, "runs", json_integer(s->runs));
	put(&object, "ms", json_integer(s->ms));
	put(&object, "warmup_ms", json_integer(s->warmup_ms));
	put(&object, "quick", json_boolean(s->quick));
	put_reason(&object, "cpus", s->cpus);
	return object;
}

static json_t *host_object(const struct bench_host *host)
{
	json_t *object = json_object();

	for (size_t i = 0; i < BENCH_HOST_FACTS; i++)
		put_text(&object, bench_facts[i].name, host->facts[i]);
	return object;
}

static json_t *contestants_array(const struct bench_result *r)
{
	json_t *array = json_array(), *object;

	for (unsigned int i = 0; i < r->n_contestants; i++) {
		object = json_object();
		put_text(&object, "name", r->contestants[i].name);
		put_reason(&object, "version", r->contestants[i].version);
		put(&object, "runs", json_boolean(r->contestants[i].runs));
		put_reason(&object, "reason", r->contestants[i].reason);
		append(&array, object);
	}
	return array;
}

/* What the scenarios of this result are about, for readers without the program. */
static json_t *scenarios_object(const struct bench_result *r)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < r->n_series; i++) {
		const struct bench_scenario *s =
			bench_scenario_find(r->series[i].scenario);

		if (s)
			put_text(&object, s->name, s->title);
	}
	return object;
}

static json_t *result_object(const struct bench_result *r)
{
	json_t *object = json_object(), *notes = json_array(), *series = json_array();

	for (unsigned int i = 0; i < r->n_notes; i++)
		append(&notes, json_string(r->notes[i]));
	for (unsigned int i = 0; i < r->n_series; i++)
		append(&series, series_object(&r->series[i]));
	put_text(&object, "format", BENCH_FORMAT);
	put(&object, "version", json_integer(BENCH_FORMAT_VERSION));
	put_text(&object, "belfry", r->version);
	put_text(&object, "date", r->date);
	put(&object, "complete", json_boolean(r->complete));
	put_reason(&object, "stopped", r->stopped);
	put(&object, "emulated", json_boolean(bench_host_emulated(&r->host)));
	put(&object, "settings", settings_object(&r->settings));
	put(&object, "host", host_object(&r->host));
	put(&object, "contestants", contestants_array(r));
	put(&object, "notes", notes);
	put(&object, "scenarios", scenarios_object(r));
	put(&object, "series", series);
	return object;
}

char *bench_format_json(const struct bench_result *r, const struct bench_comparison *c)
{
	json_t *object = result_object(r);
	char *text, *line = NULL;
	size_t len;

	text = json_dumps(object, JSON_REAL_PRECISION(REAL_DIGITS) | JSON_COMPACT);
	json_decref(object);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (line)
		memcpy(line + len, "\n", 2);
	else
		free(text);
	return line;
}
