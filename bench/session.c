/* SPDX-License-Identifier: MIT */
/*
 * bench/session.c - a benchmark from its options to its result
 *
 * All runs are planned in turns. In a turn each contestant of each case runs once;
 * contestants of a case one right after the other, so that what drifts on the host
 * drifts for all of them, and in another order from turn to turn. A turn's cases go
 * forth, the next one's back.
 *
 * What cannot run here stays in the result, with the reason. A run that fails is tried
 * again in the next turn; a case that failed in its first two turns is given up.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/number.h"
#include "base/own.h"
#include "base/text.h"
#include "bench/bench.h"
#include "bench/trial.h"

#define RUNS        7
#define MS          200
#define QUICK_RUNS  5
#define QUICK_MS    60
#define QUICK_S     16 /* no new turn is begun later */
#define WARMUP_PART 4  /* of the timed part */
#define CPU_LAST    1023
#define GIVE_UP     2                    /* failures */
#define GUESS_NS    (400 * BF_NS_PER_MS) /* a run's length, before any is known */
#define QEMU        "qemu-system-x86_64"

/* One series to measure, again and again. */
struct job {
	const struct bench_scenario *scenario;
	uint64_t value;
	enum bench_contestant contestant;
	unsigned int series; /* its place in the result */
	unsigned int failures;
};

struct session {
	const struct bench_options *options;
	struct bench_result *result;
	struct bench_lab lab;
	struct job *jobs;
	unsigned int n;
	unsigned int turn;
	uint64_t began_ns, runs_done, runs_planned;
	int signal;
};

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
	BF_FREE char *command = NULL;
	FILE *out;

	if (find_program(QEMU, s->lab.qemu, sizeof(s->lab.qemu)) < 0) {
		info->runs = false;
		snprintf(info->reason, sizeof(info->reason),
			 "there is no " QEMU " on the PATH");
		return;
	}
	if (asprintf(&command, "'%s' --version 2>/dev/null", s->lab.qemu) < 0)
		return;
	out = popen(command, "re");
	if (out && fgets(info->version, sizeof(info->version), out))
		info->version[strcspn(info->version, "\n")] = '\0';
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

	for (; at && *at; at += len + (at[len] == ',')) {
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

static int plan(struct session *s, struct belfry_error *err)
{
	int r = 0;

	for (const struct bench_scenario *sc = bench_scenarios; sc->name && r == 0; sc++)
		if (is_chosen(s->options, sc))
			r = plan_scenario(s, sc);
	return r < 0 ? bf_err(err, ENOMEM, "out of memory") : 0;
}

/* --- one run --- */

static bool lower_is_better(const struct bench_series *series)
{
	return series->unit == BENCH_NS;
}

static double figure_of(const struct bench_series *series, const struct bench_run *run,
			const struct bench_page *page)
{
	double seconds = page->tsc_khz ? page->ticks / (page->tsc_khz * 1e3) : 0;

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
	if (strcmp(series->scenario, "hybrid") == 0 && page->count)
		run->sleeps = (double)page->values[BENCH_SLEEPS] / page->count;
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
	for (size_t i = 0; i < n; i++)
		ns[i] = ticks[i] * 1e6 / page->tsc_khz;
	bench_sort(ns, n);
	run->samples = n;
	run->ns = bench_summarize(ns, n);
	return bench_series_pool(series, ns, n);
}

static int note_run(struct session *s, const struct job *job,
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
	if (page.tsc_khz == 0 || page.count == 0)
		return 0;
	r = take_samples(s, series, run, &page);
	run->figure = figure_of(series, run, &page);
	note_values(series, run, &page);
	series->status = BENCH_MEASURED;
	return r;
}

static void note_failure(struct session *s, struct job *job,
			 const struct belfry_error *err)
{
	struct bench_series *series = &s->result->series[job->series];

	job->failures++;
	snprintf(series->reason, sizeof(series->reason), "%.180s", err->msg);
	if (series->status != BENCH_MEASURED)
		series->status = BENCH_FAILED;
}

/* --- progress, for a terminal --- */

static void clear_progress(const struct session *s)
{
	if (s->options->progress)
		fprintf(stderr, "\r\033[K");
}

static void show_progress(const struct session *s, const struct job *job)
{
	uint64_t spent = bf_now_ns() - s->began_ns, left;
	struct bench_label label;

	if (!s->options->progress)
		return;
	left = (s->runs_done ? spent / s->runs_done : GUESS_NS) *
	       (s->runs_planned - s->runs_done) / BF_NS_PER_S;
	label = bench_series_label(&s->result->series[job->series]);
	fprintf(stderr, "\r\033[Kturn %u of %u, %u:%02u left: %s, %s", s->turn,
		s->result->settings.runs, (unsigned int)(left / 60),
		(unsigned int)(left % 60), label.text,
		bench_contestant_names[job->contestant]);
	fflush(stderr);
}

/* --- turns --- */

static int run_job(struct session *s, struct job *job, struct belfry_error *err)
{
	const struct bench_trial trial = { &s->lab, job->scenario, job->value,
					   job->contestant };
	struct belfry_error why = { 0 };
	struct bench_report report;
	int r;

	s->runs_done++;
	if (job->failures >= GIVE_UP)
		return 0;
	show_progress(s, job);
	r = bench_trial_run(&trial, &report, &s->signal, &why);
	if (r == -EINTR)
		return r;
	if (r < 0)
		note_failure(s, job, &why);
	else if (note_run(s, job, &report) < 0)
		return bf_err(err, ENOMEM, "out of memory");
	return 0;
}

/* How many jobs, from the first on, are of the same case */
static unsigned int case_length(const struct job *jobs, unsigned int n)
{
	unsigned int i = 1;

	while (i < n && jobs[i].scenario == jobs[0].scenario &&
	       jobs[i].value == jobs[0].value)
		i++;
	return i;
}

/* The nth job of this turn: cases forth and back, contestants each first in turn. */
static struct job *job_of_turn(struct session *s, unsigned int n)
{
	unsigned int at = s->turn % 2 ? n : s->n - 1 - n, first = at, length;

	while (first > 0 && s->jobs[first - 1].scenario == s->jobs[at].scenario &&
	       s->jobs[first - 1].value == s->jobs[at].value)
		first--;
	length = case_length(&s->jobs[first], s->n - first);
	return &s->jobs[first + (at - first + s->turn) % length];
}

static bool time_is_up(const struct session *s)
{
	return s->options->quick && s->turn >= BENCH_RUNS_NEEDED &&
	       bf_now_ns() - s->began_ns > QUICK_S * BF_NS_PER_S;
}

static int run_turns(struct session *s, struct belfry_error *err)
{
	int r = 0;

	s->began_ns = bf_now_ns();
	s->runs_planned = (uint64_t)s->result->settings.runs * s->n;
	for (s->turn = 1; s->turn <= s->result->settings.runs && r == 0; s->turn++) {
		for (unsigned int i = 0; i < s->n && r == 0; i++)
			r = run_job(s, job_of_turn(s, i), err);
		if (time_is_up(s))
			break;
	}
	clear_progress(s);
	return r;
}

/* --- before and after --- */

/* The CPUs that --cpus names. Return: 0; -EINVAL. */
static int take_cpus(struct bench_lab *lab, const char *text, struct belfry_error *err)
{
	unsigned int named[TRIAL_CPUS_MAX];
	int n = bf_parse_cpus(text, 0, CPU_LAST, named, TRIAL_CPUS_MAX);
	cpu_set_t ours;

	if (n < 0)
		return bf_err(err, EINVAL,
			      "--cpus %s: expected CPUs, such as 0,2-3, or none",
			      bf_brief(text).text);
	if (sched_getaffinity(0, sizeof(ours), &ours) < 0)
		return bf_err_sys(err, errno, "--cpus");
	for (int i = 0; i < n && i < TRIAL_CPUS_MAX; i++) {
		if (!CPU_ISSET(named[i], &ours))
			return bf_err(err, EINVAL,
				      "--cpus %s: there is no CPU %u that we may use",
				      bf_brief(text).text, named[i]);
		lab->cpus[lab->n_cpus++] = named[i];
	}
	return 0;
}

static int settle_cpus(struct session *s, struct belfry_error *err)
{
	const char *text = s->options->cpus;
	struct bench_settings *settings = &s->result->settings;
	size_t used = 0;
	int r = 0;

	if (text && strcmp(text, "none") == 0)
		return 0;
	if (text)
		r = take_cpus(&s->lab, text, err);
	else
		s->lab.n_cpus = bench_host_cpus(s->lab.cpus, TRIAL_CPUS_MAX);
	for (unsigned int i = 0; i < s->lab.n_cpus && used < sizeof(settings->cpus); i++)
		used += snprintf(settings->cpus + used, sizeof(settings->cpus) - used,
				 "%s%d", i ? "," : "", s->lab.cpus[i]);
	return r;
}

static void settle(struct session *s)
{
	const struct bench_options *o = s->options;
	struct bench_settings *settings = &s->result->settings;
	time_t now = time(NULL);
	struct tm tm;

	settings->quick = o->quick;
	settings->runs = o->runs ? o->runs : o->quick ? QUICK_RUNS : RUNS;
	settings->ms = o->ms ? o->ms : o->quick ? QUICK_MS : MS;
	settings->warmup_ms = settings->ms / WARMUP_PART + 1;
	s->lab.ms = settings->ms;
	s->lab.warmup_ms = settings->warmup_ms;
	gmtime_r(&now, &tm);
	strftime(s->result->date, sizeof(s->result->date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(s->result->version, sizeof(s->result->version), "%s", belfry_version());
	bench_host_look(&s->result->host);
}

static int check_kvm(struct belfry_error *err)
{
	BF_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	return errno == ENOENT ? bf_err(err, ENODEV, "/dev/kvm is missing")
			       : bf_err(err, EPERM, "/dev/kvm: %s", strerror(errno));
}

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
	if (disturbed)
		bench_result_note(
			r,
			"%u of %u runs disturbed: steal time above 1 %%, waiting "
			"for a CPU above 2 %%, or others above 15 %% of one",
			disturbed, runs);
}

static int finish(struct session *s, int r, struct belfry_error *err)
{
	for (unsigned int i = 0; i < s->result->n_series; i++)
		if (bench_series_finish(&s->result->series[i]) < 0)
			return bf_err(err, ENOMEM, "out of memory");
	note_conditions(s);
	s->result->complete = r == 0;
	if (r == -EINTR)
		snprintf(s->result->stopped, sizeof(s->result->stopped),
			 "interrupted by signal %d (%s)", s->signal,
			 strsignal(s->signal));
	return r == -EINTR ? 0 : r;
}

static int check_options(const struct bench_options *o, struct belfry_error *err)
{
	int r = check_contestants(o, err);

	for (unsigned int i = 0; i < o->n_scenarios && r == 0; i++)
		r = check_scenario(o->scenarios[i], err);
	return r == 0 ? check_kvm(err) : r;
}

static int run_session(struct session *s, struct belfry_error *err)
{
	int r = settle_cpus(s, err);

	if (r < 0)
		return r;
	settle(s);
	note_contestants(s);
	r = plan(s, err);
	if (r == 0)
		r = bench_lab_open(&s->lab, err);
	if (r == 0)
		r = finish(s, run_turns(s, err), err);
	bench_lab_close(&s->lab);
	return r;
}

int bench_measure(const struct bench_options *options, struct bench_result **out,
		  int *signal, struct belfry_error *err)
{
	struct session s = { .options = options, .lab = BENCH_LAB_CLOSED };
	int r = check_options(options, err);

	if (r < 0)
		return r;
	s.result = bench_result_create();
	if (!s.result)
		return bf_err(err, ENOMEM, "out of memory");
	r = run_session(&s, err);
	free(s.jobs);
	if (r < 0) {
		bench_result_destroy(s.result);
		return r;
	}
	*signal = s.signal;
	*out = s.result;
	return 0;
}
