/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/bench_fuzz.c - any file as a result of belfry bench
 *
 * Either it is refused with a line, or every report can be made of it, its comparison
 * with itself is not worse, and what is written of it is read again and written the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/bench.h"
#include "tests/fuzz/check.h"

static struct bench_result *read_result(const void *data, size_t size)
{
	BF_CLOSE int fd = memfd_create("result", MFD_CLOEXEC);
	struct belfry_error err = { 0 };
	struct bench_result *r = NULL;
	char path[32];
	int e;

	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	e = bench_result_read(&r, path, &err);
	check(e == 0 || (e == -EINVAL && err.code == e && err.msg[0] && !r));
	for (const char *c = err.msg; e < 0 && *c; c++)
		check((unsigned char)*c >= ' ' && *c != 0x7f);
	return r;
}

static void check_reports(const struct bench_result *r, const struct bench_comparison *c)
{
	static bench_format *const formats[] = { bench_format_table, bench_format_html,
						 bench_format_junit,
						 bench_format_markdown };

	for (size_t i = 0; i < BF_ARRAY_LEN(formats); i++) {
		char *text = formats[i](r, c);

		check(text);
		free(text);
	}
}

static void check_comparison(const struct bench_result *r)
{
	const struct bench_rule rule = { .max_regression = 0.1 };
	struct bench_comparison *c = NULL;

	if (bench_compare(&c, r, r, &rule, NULL) < 0)
		return;
	check(bench_comparison_verdict(c) != BENCH_WORSE);
	check_reports(r, c);
	free(bench_format_verdicts(r, c));
	bench_comparison_destroy(c);
}

static void check_round_trip(const struct bench_result *r)
{
	BF_FREE char *text = bench_format_json(r, NULL);
	struct bench_result *again = read_result(text, strlen(text));
	BF_FREE char *twice = NULL;

	check(again);
	twice = bench_format_json(again, NULL);
	check(strcmp(text, twice) == 0);
	bench_result_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench_result *r = read_result(data, size);

	if (!r)
		return 0;
	check_reports(r, NULL);
	check_comparison(r);
	check_round_trip(r);
	bench_result_destroy(r);
	return 0;
}
