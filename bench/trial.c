/* SPDX-License-Identifier: MIT */
/*
 * bench/trial.c - one run of one contestant, in a process of its own
 *
 * The process makes the link, starts the guests, and follows the guest that measures
 * through the states of guest-tests/bench_regs.h. In the timed part it sleeps. When it
 * ends, or is killed, KVM takes down what it has; nothing is left to clean up. It leads a
 * process group, so that programs it has started go with it, and are waited for.
 *
 * The parent waits for it, for a signal, and no longer than a trial may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "bench/crowd.h"
#include "bench/host_peer.h"
#include "bench/trial.h"

#define LINK_SIZE   (16 << 20)
#define TRIAL_MS    40000   /* until a trial has failed, beside its timed part */
#define STATE_MS    20000   /* the same for a guest to get to its next state, or end */
#define LOOK_SOON   200000  /* ns between two looks at a guest that is about to ... */
#define LOOK_LATER  5000000 /* ... and at one that may be in its timed part */
#define CONSOLE_MAX 4096
#define ID_MAX      65535

static const struct vmm_ops *const vmms[BENCH_CONTESTANTS] = {
	[BENCH_FLOOR] = &vmm_floor,
	[BENCH_BELFRY] = &vmm_belfry,
	[BENCH_WINDOW] = &vmm_belfry,
	[BENCH_QEMU] = &vmm_qemu,
};

/* --- what the guests are told --- */

__attribute__((format(printf, 2, 3))) static void add_arg(struct guest *guest,
							  const char *fmt, ...)
{
	size_t used = strlen(guest->cmdline);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(guest->cmdline + used, sizeof(guest->cmdline) - used, fmt, ap);
	va_end(ap);
}

/* The value of a parameter that the crowd has; else what the scenario says. */
static uint32_t of_crowd(const struct bench_trial *t, const char *parameter,
			 uint32_t otherwise)
{
	const struct bench_scenario *s = t->scenario;

	return s->parameter && strcmp(s->parameter, parameter) == 0 ? t->value
								    : otherwise;
}

static void describe_guest(struct guests *g, unsigned int i,
			   const struct crowd_config *crowd)
{
	const struct bench_trial *t = g->trial;
	const struct bench_scenario *s = t->scenario;
	struct guest *guest = &g->guest[i];
	bool window = t->contestant == BENCH_WINDOW;

	*guest = (struct guest){ .socket = -1, .cpu = -1, .measures = i == 0 };
	if (t->lab->n_cpus)
		guest->cpu = t->lab->cpus[i % t->lab->n_cpus];
	add_arg(guest, "do=%s role=%c index=%u ms=%u warmup=%u max=%u limit=%u%s",
		s->guest, i == 0 ? 'a' : 'b', i ? i - 1 : 0, t->lab->ms,
		s->once ? 0 : t->lab->warmup_ms, TRIAL_SAMPLES_MAX, STATE_MS / 1000,
		window ? " window=1" : "");
	if (s->unknown)
		add_arg(guest, " peer=%u", ID_MAX);
	else if (crowd->peers)
		add_arg(guest, " peer=%u vector=%u", crowd->peers - 1,
			crowd->vectors - 1);
	if (s->parameter)
		add_arg(guest, " %s=%llu", s->parameter, (unsigned long long)t->value);
}

static unsigned int guests_of(const struct bench_trial *t)
{
	switch (t->scenario->play) {
	case BENCH_PAIR:
		return 2;
	case BENCH_FAN:
		return 1 + t->value;
	default:
		return 1;
	}
}

/* It joins before the guest, and so has the ID that a guest rings by default. */
static int start_host_peer(struct crowd *crowd, const struct crowd_config *cfg,
			   struct belfry_error *err)
{
	int sock = crowd_connect(crowd, err);

	return sock < 0 ? sock : host_peer_start(sock, cfg->peers + 1, cfg->cpu, err);
}

/* The floor has doorbells of its own, and its guests meet in the memory alone. */
static int open_link(struct guests *g, struct belfry_error *err)
{
	const struct bench_trial *t = g->trial;
	struct crowd_config cfg = {
		.peers = of_crowd(t, "peers", t->scenario->peers),
		.vectors = of_crowd(t, "vectors", 1),
		.size = LINK_SIZE,
		.late = t->scenario->late,
		.answer = t->scenario->answer,
		.cpu = t->lab->n_cpus > 1 ? t->lab->cpus[1] : -1,
	};
	struct crowd *crowd;
	int r = crowd_create(&crowd, &cfg, err);

	if (r < 0)
		return r;
	g->n = guests_of(t);
	g->vectors = cfg.vectors;
	g->link_size = cfg.size;
	g->memory = crowd_memory(crowd);
	if (t->scenario->host_peer)
		r = start_host_peer(crowd, &cfg, err);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < g->n; i++) {
		describe_guest(g, i, &cfg);
		g->guest[i].console = memfd_create("belfry-bench-console", MFD_CLOEXEC);
		if (g->guest[i].console < 0)
			return bf_err_sys(err, errno, "memory for a console");
		if (t->contestant == BENCH_FLOOR)
			continue;
		g->guest[i].socket = crowd_connect(crowd, err);
		if (g->guest[i].socket < 0)
			return g->guest[i].socket;
	}
	return 0;
}

/* --- following them --- */

struct trial_end trial_end_of(int wstatus)
{
	struct trial_end e;

	if (WIFSIGNALED(wstatus))
		snprintf(e.text, sizeof(e.text), "by signal %d (%s)", WTERMSIG(wstatus),
			 strsignal(WTERMSIG(wstatus)));
	else
		snprintf(e.text, sizeof(e.text), "with status %d", WEXITSTATUS(wstatus));
	return e;
}

/* Its process's end; of a guest without one, its own. */
static struct trial_end end_of(struct guests *g, unsigned int i)
{
	struct trial_end e;

	if (g->wstatus[i])
		return trial_end_of(g->wstatus[i]);
	snprintf(e.text, sizeof(e.text), "with status %d",
		 vmms[g->trial->contestant]->status(g, i));
	return e;
}

/* The last line on a guest's console: most likely why it has ended. */
static int guest_failed(struct guests *g, unsigned int i, struct belfry_error *err)
{
	char text[CONSOLE_MAX] = "", *last = text;
	ssize_t n = pread(g->guest[i].console, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[n] = '\0';
	for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n"))
		last = line;
	if (!*last)
		last = g->detail[i];
	return bf_err(err, EIO, "guest %c ended too early, %s%s%.150s", 'a' + (int)i,
		      end_of(g, i).text, *last ? ": " : "", last);
}

static bool all_ended(struct guests *g, const struct vmm_ops *vmm)
{
	for (unsigned int i = 0; i < g->n; i++)
		if (vmm->status(g, i) == GUEST_RUNNING)
			return false;
	return true;
}

static int await_state(struct guests *g, const struct vmm_ops *vmm, uint32_t state,
		       long look_ns, struct belfry_error *err)
{
	volatile struct bench_page *page = g->trial->lab->page;
	uint64_t limit = bf_now_ns() + STATE_MS * BF_NS_PER_MS;

	while (page->state < state) {
		for (unsigned int i = 0; i < g->n; i++)
			if (vmm->status(g, i) != GUEST_RUNNING && page->state < state)
				return guest_failed(g, i, err);
		if (bf_now_ns() > limit)
			return bf_err(err, ETIMEDOUT, "the guests are silent");
		nanosleep(&(struct timespec){ .tv_nsec = look_ns }, NULL);
	}
	return 0;
}

static void sleep_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static int64_t difference(int64_t from, int64_t to)
{
	return from < 0 || to < 0 ? -1 : to - from;
}

static int time_guests(struct guests *g, const struct vmm_ops *vmm,
		       struct bench_report *report, struct belfry_error *err)
{
	volatile struct bench_page *page = g->trial->lab->page;
	struct noise_count before, after;
	int64_t exits;
	int r;

	before = noise_count(g->pids, g->n_pids);
	exits = vmm->exits(g);
	page->go = BENCH_GO_START;
	if (!g->trial->scenario->once)
		sleep_ms(g->trial->lab->ms);
	r = await_state(g, vmm, BENCH_TIMED, LOOK_LATER, err);
	if (r < 0)
		return r;
	report->exits = difference(exits, vmm->exits(g));
	after = noise_count(g->pids, g->n_pids);
	report->noise = noise_between(&before, &after);
	page->go = BENCH_GO_END;
	return 0;
}

static int await_end(struct guests *g, const struct vmm_ops *vmm,
		     struct belfry_error *err)
{
	uint64_t limit = bf_now_ns() + STATE_MS * BF_NS_PER_MS;

	while (!all_ended(g, vmm) && bf_now_ns() < limit)
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_SOON }, NULL);
	for (unsigned int i = 0; i < g->n; i++) {
		if (vmm->status(g, i) == GUEST_RUNNING)
			return bf_err(err, ETIMEDOUT, "guest %c does not end",
				      'a' + (int)i);
		if (vmm->status(g, i) != 0)
			return guest_failed(g, i, err);
	}
	if (g->trial->lab->page->state != BENCH_FINISHED)
		return guest_failed(g, 0, err);
	return 0;
}

static int measure_guests(const struct bench_trial *t, struct bench_report *report,
			  struct belfry_error *err)
{
	const struct vmm_ops *vmm = vmms[t->contestant];
	struct guests g = { .trial = t };
	int r;

	r = open_link(&g, err);
	if (r == 0)
		r = vmm->start(&g, err);
	if (r == 0)
		r = await_state(&g, vmm, BENCH_READY, LOOK_SOON, err);
	if (r == 0)
		r = time_guests(&g, vmm, report, err);
	if (r == 0)
		r = await_end(&g, vmm, err);
	if (r == 0 && vmm->end)
		vmm->end(&g);
	return r;
}

/* --- the process --- */

/* Without guests of ours: the timed part is all of it. */
static int measure_alone(const struct bench_trial *t, struct bench_report *report,
			 struct belfry_error *err)
{
	const bool starts = t->scenario->play == BENCH_START;
	struct noise_count before = noise_count(NULL, 0), after;
	int r = starts ? bench_measure_starts(t, err) : bench_measure_host(t, err);

	after = noise_count(NULL, 0);
	report->noise = noise_between(&before, &after);
	if (starts)
		report->noise.waited = -1; /* programs that have ended do not tell */
	return r;
}

static int measure(const struct bench_trial *t, struct bench_report *report,
		   struct belfry_error *err)
{
	if (t->contestant == BENCH_HOST || t->scenario->play == BENCH_START)
		return measure_alone(t, report, err);
	return measure_guests(t, report, err);
}

static _Noreturn void trial_main(const struct bench_trial *t, struct bench_report *report,
				 pid_t parent)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	measure(t, report, &report->err);
	report->done = true;
	_exit(0);
}

static struct bench_report *share_report(struct belfry_error *err)
{
	struct bench_report *report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (report == MAP_FAILED) {
		bf_err_sys(err, errno, "memory for a report");
		return NULL;
	}
	*report = (struct bench_report){ .exits = -1, .noise = { -1, -1, -1 } };
	return report;
}

/* Return: 0 when the process has ended; -EINTR with @signal; -ETIMEDOUT. */
static int await_process(const struct bench_lab *lab, int process, int *signal,
			 struct belfry_error *err)
{
	struct pollfd fds[] = { { .fd = process, .events = POLLIN },
				{ .fd = lab->signals, .events = POLLIN } };
	int n = poll(fds, 2, TRIAL_MS + lab->ms);

	if (n < 0)
		return bf_err_sys(err, errno, "poll");
	if (n == 0)
		return bf_err(err, ETIMEDOUT, "not at an end after %u s",
			      (TRIAL_MS + lab->ms) / 1000);
	*signal = bench_lab_signal(lab);
	return *signal ? bf_err(err, EINTR, "interrupted by signal %d", *signal) : 0;
}

int bench_trial_run(const struct bench_trial *trial, struct bench_report *report,
		    int *signal, struct belfry_error *err)
{
	struct bench_report *shared = share_report(err);
	const pid_t parent = getpid();
	BF_CLOSE int process = -1;
	int wstatus = 0, r;
	pid_t pid;

	if (!shared)
		return -ENOMEM;
	memset((void *)trial->lab->page, 0, sizeof(*trial->lab->page));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		trial_main(trial, shared, parent);
	r = pid < 0 ? bf_err_sys(err, errno, "fork") : 0;
	if (r == 0) {
		setpgid(pid, pid); /* whoever is first */
		process = syscall(SYS_pidfd_open, pid, 0);
		r = process < 0 ? bf_err_sys(err, errno, "pidfd_open")
				: await_process(trial->lab, process, signal, err);
		kill(-pid, SIGKILL);
		waitpid(pid, &wstatus, 0);
		while (waitpid(-pid, NULL, 0) > 0) /* bench_lab_open() made them ours */
			;
	}
	*report = *shared;
	munmap(shared, sizeof(*shared));
	if (r == 0 && !report->done)
		r = bf_err(err, EIO, "its process ended %s", trial_end_of(wstatus).text);
	if (r == 0 && report->err.code < 0) {
		*err = report->err;
		r = err->code;
	}
	if (r == 0 && (trial->lab->page->count == 0 || trial->lab->page->tsc_khz == 0))
		r = bf_err(err, EIO, "there are no samples");
	return r;
}
