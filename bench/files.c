/* SPDX-License-Identifier: MIT */
/* bench/files.c - writes files whole or not at all, and HdrHistogram's percentile files
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/bench.h"
#include "bench/format.h"
#include "bench/result.h"
#include "bench/scenario.h"

#define TICKS_PER_HALF                                                  \
	5 /* lines on the way to half of what is left, and half of that \
	   */
#define US 1e3

/* --- files --- */

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	for (; left > 0; left -= n, text += n) {
		n = write(fd, text, left);
		if (n < 0 && errno != EINTR)
			return -errno;
		n = n < 0 ? 0 : n;
	}
	return 0;
}

/* Return: 0; a negative errno, also one that comes with the close. */
static int write_and_close(int fd, const char *text)
{
	int r = write_all(fd, text), e = close(fd) < 0 ? -errno : 0;

	return r < 0 ? r : e;
}

/* Return: a new file in the folder of @path, whose name is then in @beside (free()). */
static int open_beside(const char *path, char **beside, struct belfry_error *err)
{
	int fd;

	if (asprintf(beside, "%s.XXXXXX", path) < 0) {
		*beside = NULL;
		bf_err(err, ENOMEM, "%s: out of memory", path);
		return -ENOMEM;
	}
	fd = mkostemp(*beside, O_CLOEXEC);
	return fd < 0 ? bf_err_sys(err, errno, "%s", path) : fd;
}

/* What a new file may be read by; one that is there keeps its own. */
static mode_t mode_of(const char *path)
{
	struct stat st;
	mode_t mask;

	if (stat(path, &st) == 0)
		return st.st_mode & 07777;
	mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

/* No signal may end the program between the making of the file and its renaming. */
static int write_beside(const char *path, const char *text, struct belfry_error *err)
{
	BF_FREE char *beside = NULL;
	sigset_t all, old;
	int fd, r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	r = fd = open_beside(path, &beside, err);
	if (fd >= 0) {
		fchmod(fd, mode_of(path));
		r = write_and_close(fd, text);
		if (r == 0 && rename(beside, path) < 0)
			r = -errno;
		if (r < 0)
			unlink(beside);
		r = r < 0 ? bf_err_sys(err, -r, "%s", path) : 0;
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* A file that cannot take all of it stays as it was. */
static int append_and_close(int fd, const char *text)
{
	off_t size = lseek(fd, 0, SEEK_END);
	int r = write_all(fd, text);

	if (r < 0 && size >= 0 && ftruncate(fd, size) < 0)
		errno = 0; /* it is the first error that is told */
	return close(fd) < 0 && r == 0 ? -errno : r;
}

int bench_write(const char *path, const char *text, bool append, struct belfry_error *err)
{
	bool to_stdout = strcmp(path, "-") == 0;
	BF_FREE char *real = NULL;
	struct stat st;
	int fd, r;

	if (!text)
		return bf_err(err, ENOMEM, "%s: out of memory", path);
	if (!to_stdout && !append && (stat(path, &st) < 0 || S_ISREG(st.st_mode))) {
		real = realpath(path, NULL); /* a link stays one */
		return write_beside(real ? real : path, text, err);
	}
	fd = to_stdout ? dup(STDOUT_FILENO)
		       : open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0666);
	r = fd < 0      ? -errno
	    : to_stdout ? write_and_close(fd, text)
			: append_and_close(fd, text);
	return r < 0 ? bf_err_sys(err, -r, "%s", to_stdout ? "standard output" : path)
		     : 0;
}

int bench_check_path(const char *path, bool append, struct belfry_error *err)
{
	BF_FREE char *beside = NULL, *real = NULL;
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0)
		return 0;
	if (stat(path, &st) == 0 && (append || !S_ISREG(st.st_mode))) {
		if (S_ISDIR(st.st_mode))
			return bf_err_sys(err, EISDIR, "%s", path);
		return access(path, W_OK) < 0 ? bf_err_sys(err, errno, "%s", path) : 0;
	}
	real = realpath(path, NULL);
	fd = open_beside(real ? real : path, &beside, err);
	if (fd < 0)
		return fd;
	close(fd);
	unlink(beside);
	return 0;
}

/* --- HdrHistogram --- */

static void put_line(struct bench_text *t, double ns, double part, uint64_t count)
{
	bench_put(t, "%12.3f %14.12f %10" PRIu64, ns / US, part, count);
	if (part < 1)
		bench_put(t, " %14.2f", 1 / (1 - part));
	bench_put(t, "\n");
}

static void put_moments(struct bench_text *t, const struct bench_series *s, uint64_t all)
{
	double mean = 0, square = 0;

	for (size_t i = 0; i < s->n_buckets; i++)
		mean += s->histogram[i].ns * s->histogram[i].count / all;
	for (size_t i = 0; i < s->n_buckets; i++)
		square += (s->histogram[i].ns - mean) * (s->histogram[i].ns - mean) *
			  s->histogram[i].count / all;
	bench_put(t, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / US,
		  sqrt(square) / US);
	bench_put(t, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
		  s->histogram[s->n_buckets - 1].ns / US, all);
	bench_put(t, "#[Buckets = %12zu, SubBuckets     = %12d]\n", s->n_buckets, 1000);
}

/* Beyond it, a step is too small to change a double; then comes 100. */
#define LAST_PERCENTILE (100 - 1e-10)

/* The next percentile to show: half-way steps become smaller towards 100. */
static double next_percentile(double percentile)
{
	double halves = floor(log2(100 / (100 - percentile))) + 1;

	return percentile + 100 / (TICKS_PER_HALF * pow(2, halves));
}

static char *format_hgrm(const struct bench_series *s)
{
	uint64_t all = 0, seen = 0;
	double percentile = 0;
	struct bench_text t;

	for (size_t i = 0; i < s->n_buckets; i++)
		all += s->histogram[i].count;
	bench_text_open(&t);
	bench_put(&t, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		  "1/(1-Percentile)");
	for (size_t i = 0; i < s->n_buckets; i++) {
		seen += s->histogram[i].count;
		while (percentile < LAST_PERCENTILE && seen < all &&
		       100.0 * seen / all >= percentile) {
			put_line(&t, s->histogram[i].ns, percentile / 100, seen);
			percentile = next_percentile(percentile);
		}
	}
	put_line(&t, s->histogram[s->n_buckets - 1].ns, 1, all);
	put_moments(&t, s, all);
	return bench_text_close(&t);
}

/* "x.hgrm" for the series "peers, 64 peers" of belfry: "x-peers-64-belfry.hgrm" */
static char *path_of(const char *path, const struct bench_series *s)
{
	size_t len = strlen(path);
	const char *suffix =
		len > 5 && strcmp(path + len - 5, ".hgrm") == 0 ? ".hgrm" : "";
	char value[24] = "", *out;

	if (*s->parameter)
		snprintf(value, sizeof(value), "-%" PRIu64, s->value);
	if (asprintf(&out, "%.*s-%s%s-%s%s", (int)(len - strlen(suffix)), path,
		     s->scenario, value, s->contestant, suffix) < 0)
		return NULL;
	/* names may come from a file: they stay in this folder */
	for (char *c = out + len - strlen(suffix); *c; c++)
		if (*c == '/')
			*c = '-';
	return out;
}

static bool has_histogram(const struct bench_series *s)
{
	return s->status == BENCH_MEASURED && s->n_buckets > 0;
}

/* The clock is measured beside all others, and is none of the several. */
static bool is_beside(const struct bench_series *s)
{
	return strcmp(s->scenario, BENCH_CLOCK) == 0;
}

/* To one output that all share, below a comment that says what it is. */
static char *format_titled_hgrm(const struct bench_series *s)
{
	BF_FREE char *percentiles = format_hgrm(s);
	struct bench_text t;

	bench_text_open(&t);
	bench_put(&t, "#[%s, %s]\n%s\n", bench_series_label(s).text, s->contestant,
		  percentiles ? percentiles : "");
	return bench_text_close(&t);
}

static int write_hgrm(const struct bench_series *s, const char *path, bool shared,
		      struct belfry_error *err)
{
	const bool to_stdout = strcmp(path, "-") == 0;
	BF_FREE char *own = shared && !to_stdout ? path_of(path, s) : strdup(path);
	BF_FREE char *text = shared && to_stdout ? format_titled_hgrm(s) : format_hgrm(s);

	return own ? bench_write(own, text, false, err)
		   : bf_err(err, ENOMEM, "%s: out of memory", path);
}

int bench_write_hgrm(const struct bench_result *r, const char *path,
		     struct belfry_error *err)
{
	unsigned int count = 0;
	int e = 0;

	for (unsigned int i = 0; i < r->n_series; i++)
		count += has_histogram(&r->series[i]) && !is_beside(&r->series[i]);
	for (unsigned int i = 0; i < r->n_series && e == 0; i++)
		if (has_histogram(&r->series[i]))
			e = write_hgrm(&r->series[i], path,
				       count > !is_beside(&r->series[i]), err);
	return e;
}
