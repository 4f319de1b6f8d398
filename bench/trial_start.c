/* SPDX-License-Identifier: MIT */
/* bench/trial_start.c - from the start of a program to its guest's first output */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "bench/crowd.h"
#include "bench/trial.h"

#define STARTS     3 /* of a run */
#define OUTPUT_MS  20000
#define OUTPUT_MAX 100
#define LINK_SIZE  (16 << 20)
#define KERNEL_FD  100 /* what the program finds the guest at */
#define TICK_NS    100 /* of samples: a trial ends long before 32 bits of these do */

extern char **environ;

static void (*const args_of[BENCH_CONTESTANTS])(struct start_args *,
						const struct bench_lab *, const char *,
						const char *) = {
	[BENCH_FLOOR] = start_args_floor,
	[BENCH_BELFRY] = start_args_belfry,
	[BENCH_QEMU] = start_args_qemu,
};

void start_arg(struct start_args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == START_ARGS_MAX - 1)
		return;
	va_start(ap, fmt);
	vsnprintf(a->text[a->n], sizeof(a->text[0]), fmt, ap);
	va_end(ap);
	a->argv[a->n] = a->text[a->n];
	a->argv[++a->n] = NULL;
}

static int spawn(const struct start_args *a, int kernel, int output, int errors,
		 pid_t *pid, struct belfry_error *err)
{
	posix_spawn_file_actions_t actions;
	int e;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY,
					 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&actions, kernel, KERNEL_FD);
	e = posix_spawn(pid, a->argv[0], &actions, NULL, (char **)a->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return e ? bf_err_sys(err, e, "%s", a->argv[0]) : 0;
}

/*
 * Read until the program has closed its output; what there is room for is in @text.
 * Return: when the first byte came; 0.
 */
static uint64_t drain(int fd, char *text, size_t room)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t first = 0;
	size_t used = 0;
	char buf[4096];
	ssize_t n;

	while (poll(&poll_fd, 1, OUTPUT_MS) > 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		if (!first)
			first = bf_now_ns();
		for (ssize_t i = 0; i < n && used < room - 1; i++)
			text[used++] = buf[i];
	}
	text[used] = '\0';
	return first;
}

/* What it said is @text, what it complained about is in @errors. */
static int not_the_guest(const char *text, int errors, int wstatus,
			 struct belfry_error *err)
{
	const int said = (int)strcspn(text, "\n");
	char words[200] = "";
	ssize_t n = pread(errors, words, sizeof(words) - 1, 0);

	words[n > 0 ? n : 0] = '\0';
	return bf_err(err, EIO, "it ended %s %s%.*s%s%s%.*s", trial_end_of(wstatus).text,
		      said ? "and said '" : "without output", said, text, said ? "'" : "",
		      *words ? ": " : "", (int)strcspn(words, "\n"), words);
}

/* Return: how long it took, in nanoseconds; a negative errno. */
static int64_t start_once(const struct start_args *a, int kernel, const char *greeting,
			  struct belfry_error *err)
{
	BF_CLOSE int errors = memfd_create("belfry-bench-errors", MFD_CLOEXEC);
	BF_CLOSE int from = -1;
	uint64_t before, first;
	int ends[2], wstatus = 0, r;
	char text[OUTPUT_MAX];
	pid_t pid;

	if (errors < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return bf_err_sys(err, errno, "a pipe");
	from = ends[0];
	before = bf_now_ns();
	r = spawn(a, kernel, ends[1], errors, &pid, err);
	close(ends[1]);
	if (r < 0)
		return r;
	first = drain(from, text, sizeof(text));
	waitpid(pid, &wstatus, 0);
	if (strncmp(text, greeting, strlen(greeting)) != 0 || !WIFEXITED(wstatus) ||
	    WEXITSTATUS(wstatus) != a->ends)
		return not_the_guest(text, errors, wstatus, err);
	return first - before;
}

static int open_link(const struct bench_trial *t, char *path, size_t room,
		     struct belfry_error *err)
{
	struct crowd_config cfg = { .vectors = 1, .size = LINK_SIZE, .cpu = -1 };
	struct crowd *crowd;
	int r = crowd_create(&crowd, &cfg, err);

	snprintf(path, room, "%s/link", t->lab->folder);
	return r < 0 ? r : crowd_listen(crowd, path, err);
}

int bench_measure_starts(const struct bench_trial *t, struct belfry_error *err)
{
	const int kernel = t->scenario->guest ? t->lab->kernel : t->lab->hello;
	const char *greeting = t->scenario->guest ? "ready\n" : "hello\n";
	volatile struct bench_page *page = t->lab->page;
	volatile uint32_t *samples =
		(volatile uint32_t *)((volatile uint8_t *)page + BENCH_SAMPLES);
	struct start_args a = { .n = 0 };
	char guest[32], path[80] = "";
	int64_t ns;
	int r = 0;

	if (t->scenario->guest)
		r = open_link(t, path, sizeof(path), err);
	if (r < 0)
		return r;
	snprintf(guest, sizeof(guest), "/proc/self/fd/%d", KERNEL_FD);
	args_of[t->contestant](&a, t->lab, guest, *path ? path : NULL);
	for (unsigned int i = 0; i < STARTS; i++) {
		ns = start_once(&a, kernel, greeting, err);
		if (ns < 0)
			return ns;
		samples[i] = ns / TICK_NS;
	}
	page->count = STARTS;
	page->tsc_khz = 1000000 / TICK_NS;
	page->state = BENCH_FINISHED;
	return 0;
}
