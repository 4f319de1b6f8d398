/* SPDX-License-Identifier: MIT */
/*
 * bench/session.c - a benchmark from its options to its result
 *
 * All runs are planned in turns. In a turn each contestant of each case runs once;
 * contestants of a case one right after the other, so that what drifts on the host
 * drifts for all of them, and in another order from turn to turn. A turn's cases go
 * forth, the next one's back.
 *
 * What cannot run here stays in the result, with the reason. A run that fails is counted,
 * and tried again in the next turn; what has failed twice is given up.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/number.h"
#include "base/own.h"
#include "base/text.h"
#include "bench/floor.h"
#include "bench/session.h"

#define RUNS        7
#define MS          200
#define QUICK_RUNS  5
#define QUICK_MS    60
#define QUICK_S     16 /* no run is begun later */
#define WARMUP_PART 4  /* of the timed part */
#define CPU_LAST    1023
#define GIVE_UP     2                    /* failures */
#define GUESS_NS    (400 * BF_NS_PER_MS) /* a run's length, before any is known */

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

	if (s->result->series[job->series].failed_runs >= GIVE_UP)
		return 0;
	show_progress(s, job);
	r = bench_trial_run(&trial, &report, &s->signal, &why);
	if (r == -EINTR)
		return r;
	if (r < 0)
		bench_record_failure(s, job, &why);
	else if (bench_record_run(s, job, &report) < 0)
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

/*
 * The nth job of this turn: cases forth and back, and with them their contestants, who
 * begin with another one every second turn: so two come as AB, BA, BA, AB.
 */
static struct job *job_of_turn(struct session *s, unsigned int n)
{
	unsigned int at = s->turn % 2 ? n : s->n - 1 - n, first = at, length;

	while (first > 0 && s->jobs[first - 1].scenario == s->jobs[at].scenario &&
	       s->jobs[first - 1].value == s->jobs[at].value)
		first--;
	length = case_length(&s->jobs[first], s->n - first);
	return &s->jobs[first + (at - first + (s->turn - 1) / 2) % length];
}

static bool time_is_up(const struct session *s)
{
	return s->options->quick && bf_now_ns() - s->began_ns > QUICK_S * BF_NS_PER_S;
}

/* It is complete with enough runs of each: how many fit in was known to nobody. */
static int out_of_time(struct session *s)
{
	if (s->turn <= BENCH_RUNS_NEEDED)
		snprintf(s->result->stopped, sizeof(s->result->stopped),
			 "after %d s, --quick was in turn %u of %u; "
			 "name fewer scenarios, or leave it out",
			 QUICK_S, s->turn, s->result->settings.runs);
	return -ETIME;
}

static int run_turns(struct session *s, struct belfry_error *err)
{
	int r = 0;

	s->began_ns = bf_now_ns();
	s->runs_planned = (uint64_t)s->result->settings.runs * s->n;
	for (s->turn = 1; s->turn <= s->result->settings.runs && r == 0; s->turn++) {
		for (unsigned int i = 0; i < s->n && r == 0; i++) {
			r = time_is_up(s) ? out_of_time(s)
					  : run_job(s, job_of_turn(s, i), err);
			s->runs_done++;
		}
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
	BF_CLOSE int fd = floor_open_kvm(err);

	return fd < 0 ? fd : 0;
}

static int finish(struct session *s, int r, struct belfry_error *err)
{
	if (bench_record_end(s) < 0)
		return bf_err(err, ENOMEM, "out of memory");
	if (r == -EINTR)
		snprintf(s->result->stopped, sizeof(s->result->stopped),
			 "interrupted by signal %d (%s)", s->signal,
			 strsignal(s->signal));
	s->result->complete = !*s->result->stopped;
	return r == -EINTR || r == -ETIME ? 0 : r;
}

static int run_session(struct session *s, struct belfry_error *err)
{
	int r = settle_cpus(s, err);

	if (r < 0)
		return r;
	settle(s);
	r = bench_plan(s, err);
	if (r == 0)
		r = check_kvm(err);
	if (r == 0)
		r = bench_lab_open(&s->lab, err);
	if (r == 0)
		r = finish(s, run_turns(s, err), err);
	if (s->lab.signals >= 0 && !s->signal)
		s->signal = bench_lab_signal(&s->lab); /* too late to stop anything */
	bench_lab_close(&s->lab);
	return r;
}

int bench_measure(const struct bench_options *options, struct bench_result **out,
		  int *signal, struct belfry_error *err)
{
	struct session s = { .options = options, .lab = BENCH_LAB_CLOSED };
	int r;

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
