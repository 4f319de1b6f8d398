/* SPDX-License-Identifier: MIT */
/* bench/json_read.c - a result read back from JSON, which anybody may have written */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/bench.h"
#include "bench/json.h"
#include "bench/result.h"

#define FILE_MAX    (64 << 20)
#define SERIES_MAX  2000
#define BUCKETS_MAX 100000
#define FIGURE_MAX  1e18
#define FIGURE_MIN  1e-9 /* or 0: ratios to less may be no numbers */
#define COUNT_MAX   1000000
#define BUCKET_MAX  1000000000000 /* samples, exits: 10^5 of these fit into 64 bits */

/* Where in the file we are, and the first mistake. */
struct reader {
	char at[96];
	struct belfry_error *err;
	int code; /* 0 until then */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct reader *rd,
							const char *fmt, ...)
{
	char text[128];
	va_list ap;

	if (rd->code)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rd->code = bf_err(rd->err, EINVAL, "%s%s%s", rd->at, *rd->at ? ": " : "", text);
}

static json_t *member(struct reader *rd, json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		wrong(rd, "%s is missing", key);
	return value;
}

static void read_text(struct reader *rd, json_t *object, const char *key, char *out,
		      size_t room)
{
	json_t *value = member(rd, object, key);

	if (json_is_null(value))
		return;
	if (!json_is_string(value))
		wrong(rd, "%s: expected text", key);
	else if (json_string_length(value) >= room)
		wrong(rd, "%s: at most %zu bytes", key, room - 1);
	else
		memcpy(out, json_string_value(value), json_string_length(value) + 1);
	bench_clean(out);
}

/* A number from 0 to FIGURE_MAX; @null in place of null. */
static double read_number(struct reader *rd, json_t *object, const char *key, double null)
{
	json_t *value = member(rd, object, key);
	double number = json_number_value(value);

	if (json_is_null(value) && null <= 0)
		return null;
	if (!json_is_number(value) || !(number >= 0 && number <= FIGURE_MAX)) {
		wrong(rd, "%s: expected a number from 0 to 1e18", key);
		return 0;
	}
	return number;
}

/* The same for what is divided by others. */
static double read_figure(struct reader *rd, json_t *object, const char *key, double null)
{
	double figure = read_number(rd, object, key, null);

	if (figure > 0 && figure < FIGURE_MIN)
		wrong(rd, "%s: expected 0, or a number from 1e-9", key);
	return figure;
}

/* A whole number from 0 to COUNT_MAX */
static unsigned int read_count(struct reader *rd, json_t *object, const char *key)
{
	json_t *value = member(rd, object, key);

	if (json_is_integer(value) && json_integer_value(value) >= 0 &&
	    json_integer_value(value) <= COUNT_MAX)
		return json_integer_value(value);
	wrong(rd, "%s: expected a whole number from 0 to %d", key, COUNT_MAX);
	return 0;
}

static bool read_bool(struct reader *rd, json_t *object, const char *key)
{
	json_t *value = member(rd, object, key);

	if (value && !json_is_boolean(value))
		wrong(rd, "%s: expected true or false", key);
	return json_is_true(value);
}

static unsigned int read_word(struct reader *rd, json_t *object, const char *key,
			      const char *const *words)
{
	const char *word = json_string_value(member(rd, object, key));

	for (unsigned int i = 0; word && words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	wrong(rd, "%s: not a word of this format", key);
	return 0;
}

static json_t *read_array(struct reader *rd, json_t *object, const char *key, size_t max)
{
	json_t *array = member(rd, object, key);

	if (array && !json_is_array(array))
		wrong(rd, "%s: expected an array", key);
	if (json_array_size(array) > max)
		wrong(rd, "%s: at most %zu", key, max);
	return rd->code ? NULL : array;
}

static json_t *read_object(struct reader *rd, json_t *object, const char *key)
{
	json_t *value = member(rd, object, key);

	if (value && !json_is_object(value))
		wrong(rd, "%s: expected an object", key);
	return rd->code ? NULL : value;
}

/* --- the parts --- */

static void read_percentiles(struct reader *rd, json_t *object,
			     struct bench_percentiles *p)
{
	json_t *ns = read_object(rd, object, "ns");

	for (size_t i = 0; ns && i < BENCH_PERCENTILES; i++)
		*bench_percentile_at(p, i) = read_figure(
			rd, ns, bench_percentiles[i].field,
			bench_has_percentile(1, bench_percentiles[i].percent) ? 1 : -1);
}

static double optional(struct reader *rd, json_t *object, const char *key)
{
	return json_object_get(object, key) ? read_number(rd, object, key, 0) : 0;
}

static void read_run(struct reader *rd, json_t *object, struct bench_run *run)
{
	run->turn = read_count(rd, object, "turn");
	run->samples = read_number(rd, object, "samples", 1);
	run->figure = read_figure(rd, object, "figure", 1);
	read_percentiles(rd, object, &run->ns);
	run->exits = read_number(rd, object, "exits", -1);
	if (run->exits > BUCKET_MAX)
		wrong(rd, "exits: at most %lld", (long long)BUCKET_MAX);
	run->steal = read_number(rd, object, "steal", -1);
	run->waited = read_number(rd, object, "waited", -1);
	run->others = read_number(rd, object, "others", -1);
	run->disturbed = read_bool(rd, object, "disturbed");
	run->coalesced = optional(rd, object, "rings_per_interrupt");
	run->sleeps = optional(rd, object, "sleeps_per_round");
	run->clock_error = optional(rd, object, "clock_error_ns");
}

static void read_runs(struct reader *rd, json_t *object, struct bench_series *s)
{
	json_t *array = read_array(rd, object, "runs", BENCH_RUNS_MAX), *value;
	struct bench_run *run;
	size_t i;

	json_array_foreach(array, i, value)
	{
		run = bench_series_add_run(s);
		if (!run)
			wrong(rd, "out of memory");
		else
			read_run(rd, value, run);
	}
	if (s->n_runs == 0)
		wrong(rd, "runs: expected at least one of what is measured");
}

static void read_histogram(struct reader *rd, json_t *object, struct bench_series *s)
{
	json_t *array = read_array(rd, object, "histogram", BUCKETS_MAX), *value;
	uint64_t samples = 0;
	double last = -1, ns;
	size_t i;

	s->histogram = calloc(json_array_size(array) + 1, sizeof(*s->histogram));
	if (!s->histogram)
		wrong(rd, "out of memory");
	json_array_foreach(array, i, value)
	{
		json_t *count = json_array_get(value, 1);

		ns = json_number_value(json_array_get(value, 0));
		if (rd->code || json_array_size(value) != 2 || !json_is_integer(count) ||
		    json_integer_value(count) < 1 ||
		    json_integer_value(count) > BUCKET_MAX ||
		    !(ns > last && ns <= FIGURE_MAX)) {
			wrong(rd, "histogram: entry %zu is not [ns, count], by rising ns",
			      i);
			return;
		}
		last = ns;
		samples += json_integer_value(count);
		s->histogram[s->n_buckets++] =
			(struct bench_bucket){ ns, json_integer_value(count) };
	}
	if (samples != s->samples)
		wrong(rd, "histogram: not of all samples");
}

static void read_series(struct reader *rd, json_t *object, struct bench_series *s)
{
	read_text(rd, object, "scenario", s->scenario, sizeof(s->scenario));
	read_text(rd, object, "contestant", s->contestant, sizeof(s->contestant));
	read_text(rd, object, "parameter", s->parameter, sizeof(s->parameter));
	s->value = read_number(rd, object, "value", 0);
	s->unit = read_word(rd, object, "unit", bench_unit_names);
	s->status = read_word(rd, object, "status", bench_status_names);
	read_text(rd, object, "reason", s->reason, sizeof(s->reason));
	if (json_object_get(object, "failed_runs")) /* not in the first files */
		s->failed_runs = read_count(rd, object, "failed_runs");
	if (rd->code || s->status != BENCH_MEASURED)
		return;
	s->samples = read_number(rd, object, "samples", 1);
	read_percentiles(rd, object, &s->ns);
	read_runs(rd, object, s);
	read_histogram(rd, object, s);
}

static void read_all_series(struct reader *rd, json_t *object, struct bench_result *r)
{
	json_t *array = read_array(rd, object, "series", SERIES_MAX), *value;
	struct bench_series *s;
	size_t i;

	json_array_foreach(array, i, value)
	{
		snprintf(rd->at, sizeof(rd->at), "series %zu", i);
		s = bench_result_add(r);
		if (!s)
			wrong(rd, "out of memory");
		else
			read_series(rd, value, s);
		if (rd->code)
			return;
	}
	*rd->at = '\0';
}

static void read_settings(struct reader *rd, json_t *object, struct bench_settings *s)
{
	json_t *settings = read_object(rd, object, "settings");

	if (!settings)
		return;
	s->runs = read_count(rd, settings, "runs");
	s->ms = read_count(rd, settings, "ms");
	s->warmup_ms = read_count(rd, settings, "warmup_ms");
	s->quick = read_bool(rd, settings, "quick");
	read_text(rd, settings, "cpus", s->cpus, sizeof(s->cpus));
}

static void read_host(struct reader *rd, json_t *object, struct bench_host *host)
{
	json_t *facts = read_object(rd, object, "host");

	for (size_t i = 0; facts && i < BENCH_HOST_FACTS; i++)
		read_text(rd, facts, bench_facts[i].name, host->facts[i],
			  sizeof(host->facts[i]));
}

static void read_contestants(struct reader *rd, json_t *object, struct bench_result *r)
{
	json_t *array = read_array(rd, object, "contestants", BENCH_CONTESTANTS_MAX);
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value)
	{
		struct bench_contestant_info *info = &r->contestants[r->n_contestants++];

		read_text(rd, value, "name", info->name, sizeof(info->name));
		read_text(rd, value, "version", info->version, sizeof(info->version));
		info->runs = read_bool(rd, value, "runs");
		read_text(rd, value, "reason", info->reason, sizeof(info->reason));
	}
}

static void read_notes(struct reader *rd, json_t *object, struct bench_result *r)
{
	json_t *array = read_array(rd, object, "notes", BENCH_NOTES_MAX), *value;
	size_t i;

	json_array_foreach(array, i, value) bench_result_note(
		r, "%s", json_is_string(value) ? json_string_value(value) : "");
}

static void read_version(struct reader *rd, json_t *object)
{
	const char *format = json_string_value(json_object_get(object, "format"));
	json_t *version = json_object_get(object, "version");

	if (!format || strcmp(format, BENCH_FORMAT) != 0)
		wrong(rd, "not a result of belfry bench");
	else if (!json_is_integer(version) || json_integer_value(version) < 1)
		wrong(rd, "version: expected a number");
	else if (json_integer_value(version) > BENCH_FORMAT_VERSION)
		wrong(rd,
		      "a result of format version %lld; this belfry knows versions up to "
		      "%d",
		      (long long)json_integer_value(version), BENCH_FORMAT_VERSION);
}

static void read_result(struct reader *rd, json_t *object, struct bench_result *r)
{
	read_version(rd, object);
	if (rd->code)
		return;
	read_text(rd, object, "belfry", r->version, sizeof(r->version));
	read_text(rd, object, "date", r->date, sizeof(r->date));
	r->complete = read_bool(rd, object, "complete");
	read_text(rd, object, "stopped", r->stopped, sizeof(r->stopped));
	read_settings(rd, object, &r->settings);
	read_host(rd, object, &r->host);
	read_contestants(rd, object, r);
	read_notes(rd, object, r);
	read_all_series(rd, object, r);
}

/* --- the file --- */

struct input {
	int fd;
	size_t size;
};

static size_t read_some(void *buffer, size_t size, void *data)
{
	struct input *in = data;
	ssize_t n = read(in->fd, buffer, size);

	if (n < 0)
		return (size_t)-1;
	in->size += n;
	return in->size > FILE_MAX ? (size_t)-1 : (size_t)n;
}

static int load(const char *path, json_t **out, struct belfry_error *err)
{
	BF_CLOSE int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
						 : open(path, O_RDONLY | O_CLOEXEC);
	struct input in = { fd, 0 };
	json_error_t where;

	if (fd < 0)
		return bf_err_sys(err, errno, "%s", path);
	errno = 0;
	*out = json_load_callback(read_some, &in, JSON_REJECT_DUPLICATES, &where);
	if (*out)
		return 0;
	if (in.size > FILE_MAX)
		return bf_err(err, E2BIG, "%s: above %d MiB", path, FILE_MAX >> 20);
	if (errno == EISDIR)
		return bf_err_sys(err, errno, "%s", path);
	bench_clean(where.text);
	return bf_err(err, EINVAL, "%s:%d:%d: %s", path, where.line, where.column,
		      where.text);
}

int bench_result_read(struct bench_result **out, const char *path,
		      struct belfry_error *err)
{
	struct bench_result *r = bench_result_create();
	struct reader rd = { .err = err };
	json_t *object = NULL;
	int e;

	if (!r)
		return bf_err(err, ENOMEM, "out of memory");
	e = load(path, &object, err);
	if (e == 0) {
		read_result(&rd, object, r);
		json_decref(object);
		e = rd.code ? bf_err_wrap(err, rd.code, "%s", path) : 0;
	}
	if (e < 0)
		bench_result_destroy(r);
	else
		*out = r;
	return e;
}
