/* SPDX-License-Identifier: MIT */
/*
 * bench/firstline.c - time from starting a program to its first byte of output
 *
 *	firstline RUNS NAME COMMAND... [-- NAME COMMAND...]...
 *
 * Contestants take turns. For each: the median [lowest-highest] of RUNS runs in
 * milliseconds, and the ratio of medians to the first one's.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTESTANTS_MAX 8
#define RUNS_MAX        1000

extern char **environ;

struct contestant {
	char *name;
	char **argv;
	double ms[RUNS_MAX];
};

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

/* Read until the program has closed its output. Return: when the first byte came. */
static double drain(int fd, const char *name)
{
	double first = 0;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err(1, "%s: read", name);
		if (first == 0)
			first = now_ms();
	}
	if (first == 0)
		errx(1, "%s: no output", name);
	return first;
}

static double run(const struct contestant *c)
{
	posix_spawn_file_actions_t actions;
	int ends[2], status, e;
	double start, first;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		err(1, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	start = now_ms();
	e = posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
	if (e)
		errx(1, "%s: %s", c->argv[0], strerror(e));
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	first = drain(ends[0], c->name);
	close(ends[0]);
	waitpid(pid, &status, 0);
	return first - start;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Cut the arguments at each "--". Return: how many contestants there are. */
static int parse(int argc, char **argv, struct contestant *list)
{
	int n = 0;

	for (int i = 0; i < argc; n++) {
		if (n == CONTESTANTS_MAX || i + 1 >= argc)
			errx(2, "expected NAME COMMAND..., at most %d times",
			     CONTESTANTS_MAX);
		list[n].name = argv[i];
		list[n].argv = &argv[i + 1];
		while (i < argc && strcmp(argv[i], "--") != 0)
			i++;
		argv[i++] = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	static struct contestant list[CONTESTANTS_MAX];
	int runs = argc > 1 ? atoi(argv[1]) : 0;
	double base;
	int n;

	if (argc < 4 || runs < 1 || runs > RUNS_MAX)
		errx(2, "usage: firstline RUNS NAME COMMAND... [-- NAME COMMAND...]...");
	n = parse(argc - 2, argv + 2, list);
	for (int turn = 0; turn < runs; turn++)
		for (int i = 0; i < n; i++)
			list[i].ms[turn] = run(&list[i]);
	for (int i = 0; i < n; i++)
		qsort(list[i].ms, runs, sizeof(double), compare);
	base = list[0].ms[runs / 2];
	for (int i = 0; i < n; i++)
		printf("%-16s %8.2f [%.2f-%.2f] ms   %6.2f\n", list[i].name,
		       list[i].ms[runs / 2], list[i].ms[0], list[i].ms[runs - 1],
		       list[i].ms[runs / 2] / base);
	return 0;
}
