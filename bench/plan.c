/* SPDX-License-Identifier: MIT */
/* bench/plan.c - what is to be measured, on whom, and what cannot be */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "bench/compare.h"
#include "bench/session.h"

#define QEMU "qemu-system-x86_64"

/* --- which contestants can run --- */

static int find_program(const char *name, char *out, size_t room)
{
	const char *path = getenv("PATH");
	size_t len;

	for (; path && *path; path += len + (path[len] == ':')) {
		len = strcspn(path, ":");
		if (snprintf(out, room, "%.*s/%s", (int)len, path, name) < (int)room &&
		    access(out, X_OK) == 0)
			return 0;
	}
	*out = '\0';
	return -ENOENT;
}

static void note_qemu(struct session *s, struct bench_contestant_info *info)
{
	FILE *out;

	if (find_program(QEMU, s->lab.qemu, sizeof(s->lab.qemu)) < 0) {
		info->runs = false;
		snprintf(info->reason, sizeof(info->reason),
			 "there is no " QEMU " on the PATH");
		return;
	}
	out = popen(QEMU " --version 2>/dev/null", "re");
	if (out && fgets(info->version, sizeof(info->version), out))
		info->version[strcspn(info->version, "\n")] = '\0';
	bench_clean(info->version);
	if (out)
		pclose(out);
}

static bool is_wanted(const struct bench_options *o, const char *contestant)
{
	const char *at = o->contestants;
	size_t len;

	for (; at && *at; at += len + (at[len] == ',')) {
		len = strcspn(at, ",");
		if (len == strlen(contestant) && strncmp(at, contestant, len) == 0)
			return true;
	}
	return !o->contestants;
}

static void note_contestants(struct session *s)
{
	for (unsigned int i = 0; i < BENCH_CONTESTANTS; i++) {
		struct bench_contestant_info *info = &s->result->contestants[i];

		snprintf(info->name, sizeof(info->name), "%s", bench_contestant_names[i]);
		info->runs = true;
		if (!is_wanted(s->options, info->name)) {
			info->runs = false;
			snprintf(info->reason, sizeof(info->reason), "not asked for");
		} else if (i == BENCH_QEMU) {
			note_qemu(s, info);
		} else if (i == BENCH_BELFRY || i == BENCH_WINDOW) {
			snprintf(info->version, sizeof(info->version), "belfry %s",
				 belfry_version());
		}
	}
	s->result->n_contestants = BENCH_CONTESTANTS;
}

static int check_contestants(const struct bench_options *o, struct belfry_error *err)
{
	const char *at = o->contestants;
	char name[32];
	size_t len;

	for (; at; at = at[len] ? at + len + 1 : NULL) {
		struct bf_nearest nearest = { .word = name };
		bool known = false;

		len = strcspn(at, ",");
		snprintf(name, sizeof(name), "%.*s", (int)len, at);
		for (unsigned int i = 0; i < BENCH_CONTESTANTS; i++) {
			known |= strcmp(name, bench_contestant_names[i]) == 0;
			bf_nearest_try(&nearest, bench_contestant_names[i]);
		}
		if (!known)
			return bf_err(err, EINVAL, "unknown contestant '%s'%s%s%s", name,
				      nearest.best ? "; did you mean '" : "",
				      nearest.best ? nearest.best : "",
				      nearest.best ? "'?" : "");
	}
	return 0;
}

/* --- the plan --- */

static int check_scenario(const char *name, struct belfry_error *err)
{
	struct bf_nearest nearest = { .word = name };

	if (bench_scenario_find(name))
		return 0;
	for (const struct bench_scenario *s = bench_scenarios; s->name; s++)
		bf_nearest_try(&nearest, s->name);
	if (nearest.best)
		return bf_err(err, EINVAL, "unknown scenario '%s'; did you mean '%s'?",
			      bf_brief(name).text, nearest.best);
	return bf_err(err, EINVAL, "unknown scenario '%s'; belfry bench --list has them",
		      bf_brief(name).text);
}

static bool is_chosen(const struct bench_options *o, const struct bench_scenario *s)
{
	if (o->n_scenarios == 0)
		return !o->quick || s->quick;
	for (unsigned int i = 0; i < o->n_scenarios; i++)
		if (strcmp(o->scenarios[i], s->name) == 0)
			return true;
	return false;
}

static struct bench_series *add_series(struct session *s,
				       const struct bench_scenario *scenario,
				       uint64_t value, const char *contestant)
{
	struct bench_series *series = bench_result_add(s->result);

	if (!series)
		return NULL;
	snprintf(series->scenario, sizeof(series->scenario), "%s", scenario->name);
	snprintf(series->contestant, sizeof(series->contestant), "%s", contestant);
	snprintf(series->parameter, sizeof(series->parameter), "%s",
		 scenario->parameter ? scenario->parameter : "");
	series->value = value;
	series->unit = scenario->unit;
	series->status = BENCH_NOT_RUN;
	return series;
}

static int add_job(struct session *s, const struct bench_scenario *scenario,
		   uint64_t value, enum bench_contestant contestant)
{
	const struct bench_contestant_info *info = &s->result->contestants[contestant];
	struct bench_series *series =
		add_series(s, scenario, value, bench_contestant_names[contestant]);
	struct job *jobs = reallocarray(s->jobs, s->n + 1, sizeof(*jobs));

	if (jobs)
		s->jobs = jobs;
	if (!jobs || !series)
		return -ENOMEM;
	if (!info->runs) {
		series->status = BENCH_CANNOT_RUN;
		snprintf(series->reason, sizeof(series->reason), "%s", info->reason);
		return 0;
	}
	jobs[s->n++] = (struct job){ .scenario = scenario,
				     .value = value,
				     .contestant = contestant,
				     .series = s->result->n_series - 1 };
	return 0;
}

static int plan_case(struct session *s, const struct bench_scenario *scenario,
		     uint64_t value)
{
	int r = 0;

	for (unsigned int c = 0; c < BENCH_CONTESTANTS && r == 0; c++)
		if (scenario->contestants & BENCH_BIT(c) &&
		    is_wanted(s->options, bench_contestant_names[c]))
			r = add_job(s, scenario, value, c);
	return r;
}

static int plan_scenario(struct session *s, const struct bench_scenario *scenario)
{
	struct bench_series *series;
	int r = 0;

	if (scenario->play == BENCH_ABSENT) {
		series = add_series(s, scenario, 0, "");
		if (!series)
			return -ENOMEM;
		series->status = BENCH_CANNOT_RUN;
		snprintf(series->reason, sizeof(series->reason), "%s", scenario->why);
		return 0;
	}
	if (!scenario->parameter)
		return plan_case(s, scenario, 0);
	for (unsigned int i = 0; scenario->values[i] && r == 0; i++)
		r = plan_case(s, scenario, scenario->values[i]);
	return r;
}

/* What the clock costs is in the table of every measurement: of one contestant. */
static int plan_clock(struct session *s, const struct bench_scenario *clock)
{
	for (unsigned int c = 0; c < BENCH_CONTESTANTS; c++)
		if (clock->contestants & BENCH_BIT(c) && s->result->contestants[c].runs)
			return add_job(s, clock, 0, c);
	return 0;
}

int bench_plan(struct session *s, struct belfry_error *err)
{
	int r = 0;

	note_contestants(s);
	for (const struct bench_scenario *sc = bench_scenarios; sc->name && r == 0; sc++)
		if (is_chosen(s->options, sc))
			r = plan_scenario(s, sc);
		else if (strcmp(sc->name, BENCH_CLOCK) == 0 && s->n > 0)
			r = plan_clock(s, sc);
	return r < 0 ? bf_err(err, ENOMEM, "out of memory") : 0;
}

/* --- the baseline, before it is measured for --- */

/* How far a series of the baseline gets on its way to a verdict. */
enum prospect { NOT_MEASURED, TOO_FEW_RUNS, NO_FLOOR, JUDGED };

static bool is_case(const struct bench_scenario *scenario, const struct bench_series *s)
{
	if (!scenario->parameter)
		return !*s->parameter;
	for (unsigned int i = 0; scenario->values[i]; i++)
		if (scenario->values[i] == s->value)
			return strcmp(scenario->parameter, s->parameter) == 0;
	return false;
}

static enum prospect prospect_of(const struct bench_result *before,
				 const struct bench_series *s,
				 const struct bench_options *options,
				 const struct bench_rule *rule)
{
	const struct bench_scenario *scenario = bench_scenario_find(s->scenario);
	double figures[BENCH_RUNS_MAX];
	size_t ratios;

	if (!bench_is_judged(s) || !scenario || !is_chosen(options, scenario) ||
	    !is_wanted(options, s->contestant) || !is_case(scenario, s))
		return NOT_MEASURED;
	if (bench_series_figures(s, figures) < BENCH_RUNS_NEEDED)
		return TOO_FEW_RUNS;
	ratios = bench_series_ratios(before, s, figures);
	if (rule->judge == BENCH_JUDGE_TIME ||
	    (rule->judge == BENCH_JUDGE_AUTO && ratios == 0))
		return JUDGED;
	if (ratios == 0 || !is_wanted(options, "floor"))
		return NO_FLOOR;
	return ratios < BENCH_RUNS_NEEDED ? TOO_FEW_RUNS : JUDGED;
}

int bench_check_baseline(const struct bench_result *before,
			 const struct bench_options *options,
			 const struct bench_rule *rule, struct belfry_error *err)
{
	enum prospect best = NOT_MEASURED, one;
	struct bench_host here;

	bench_host_look(&here);
	if (rule->strict && bench_check_machine(&before->host, &here, err) < 0)
		return -EXDEV;
	for (unsigned int i = 0; i < before->n_series; i++) {
		one = prospect_of(before, &before->series[i], options, rule);
		best = one > best ? one : best;
	}
	switch (best) {
	case JUDGED:
		return 0;
	case NO_FLOOR:
		return bf_err(err, ENOMSG,
			      "nothing has a floor both in the baseline and now; --judge "
			      "time needs none");
	case TOO_FEW_RUNS:
		return bf_err(err, ENOMSG,
			      "the baseline has fewer than %d runs of each: measure it "
			      "again%s",
			      BENCH_RUNS_NEEDED, before->complete ? "" : ", to its end");
	default:
		return bench_nothing_in_common(err);
	}
}

int bench_check_names(const struct bench_options *o, struct belfry_error *err)
{
	int r = check_contestants(o, err);

	for (unsigned int i = 0; i < o->n_scenarios && r == 0; i++)
		r = check_scenario(o->scenarios[i], err);
	return r;
}
