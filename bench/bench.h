/* SPDX-License-Identifier: MIT */
/* bench/bench.h - the benchmark, for its command line: cli/bench.c */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include <belfry.h>

struct bench_result;

#define BENCH_NAMES_MAX 64

struct bench_options {
	const char *scenarios[BENCH_NAMES_MAX];
	unsigned int n_scenarios; /* 0: all; with quick: the quick ones */
	const char *contestants;  /* "belfry,qemu"; NULL: all */
	const char *cpus;         /* "2,3"; "none": not pinned; NULL: found out */
	unsigned int runs;        /* 0: as many as is usual */
	unsigned int ms;          /* of a run's timed part; 0: the same */
	bool quick;
	bool progress; /* on standard error */
};

#define BENCH_RUNS_MAX    100
#define BENCH_RUNS_NEEDED 5 /* on either side of a comparison, for its confidence */
#define BENCH_MS_MAX      10000

/* --- running --- */

/* Return: 0; -EINVAL: there is no scenario or contestant of that name. */
int bench_check_names(const struct bench_options *o, struct belfry_error *err);

/*
 * Measure. @out is set unless an error is returned (bench_result_destroy()), also when a
 * signal came; *@signal is that signal then.
 * Return: 0; -EINVAL: a CPU in @options that there is not; -ENODEV, -EPERM: no
 * /dev/kvm; -ENOMEM and the like.
 */
int bench_measure(const struct bench_options *options, struct bench_result **out,
		  int *signal, struct belfry_error *err);

#define BENCH_FLOOR_VMS_MAX 2

/*
 * Run one guest, or one for each command line, on the bare KVM path: bench/floor.h.
 * Return: the highest status; a negative errno.
 */
int bench_run_floor(const char *kernel, char **cmdlines, unsigned int vms, bool link,
		    struct belfry_error *err);

/* The scenarios and contestants there are, for people (free()). NULL: no memory. */
char *bench_list(void);

/* The JSON Schema of a result's file. */
const char *bench_schema(void);

/* Why a result is not complete; NULL: it is. */
const char *bench_result_stopped(const struct bench_result *r);

/*
 * Whether measurements have failed that should have been possible; if @judged, of those
 * that a verdict is made of: belfry's and the floor's. Return: 0; -EIO, with the first.
 */
int bench_result_failed(const struct bench_result *r, bool judged,
			struct belfry_error *err);

/*
 * Why there is no measurement of a scenario (NULL: of any) though none has failed; NULL
 * when there is one. The text lives as long as @r.
 */
const char *bench_result_cannot(const struct bench_result *r, const char *scenario);

void bench_result_destroy(struct bench_result *r);

/* --- files --- */

/*
 * Return: 0; -EINVAL for a file that is none of ours or of a version to come, with what
 * is wrong in it; another negative errno when it cannot be read.
 */
int bench_result_read(struct bench_result **out, const char *path,
		      struct belfry_error *err);

/* A comparison of two results. */

enum bench_judge {
	BENCH_JUDGE_AUTO,  /* the ratio to the floor where the baseline has one, else time
			    */
	BENCH_JUDGE_RATIO, /* only scenarios with a floor */
	BENCH_JUDGE_TIME,
};

struct bench_rule {
	double max_regression; /* 0.1: 10 % */
	enum bench_judge judge;
	bool strict; /* refuse a baseline of another machine */
};

struct bench_comparison;

enum bench_verdict {
	BENCH_SAME, /* or better */
	BENCH_WORSE,
	BENCH_NOISY, /* too noisy to tell */
};

/*
 * Return: 0; -EXDEV: another machine, and the rule is strict; -ENOMSG: nothing in common;
 * -ENOMEM. The results are borrowed as long as @out lives.
 */
int bench_compare(struct bench_comparison **out, const struct bench_result *before,
		  const struct bench_result *after, const struct bench_rule *rule,
		  struct belfry_error *err);
void bench_comparison_destroy(struct bench_comparison *c);

/*
 * Whether there will be something to compare: what bench_compare() would refuse of
 * @before for this host and what is to be measured, or never have a verdict on, before it
 * is measured.
 * Return: 0; -EXDEV, -ENOMSG as there.
 */
int bench_check_baseline(const struct bench_result *before,
			 const struct bench_options *options,
			 const struct bench_rule *rule, struct belfry_error *err);

enum bench_verdict bench_comparison_verdict(const struct bench_comparison *c);

/* What can be written of a result; @c may be NULL. Each makes text (free()) or NULL. */

typedef char *bench_format(const struct bench_result *r,
			   const struct bench_comparison *c);

bench_format bench_format_table, bench_format_json, bench_format_html, bench_format_junit,
	bench_format_markdown, bench_format_verdicts;

/* Why there can be no HTML; NULL when there can. */
const char *bench_html_missing(void);

/*
 * Write text to a file: by way of a file beside it, so that there is all of it or what
 * was there before. "-" is standard output; devices and pipes are written to directly.
 * Return: 0; a negative errno.
 */
int bench_write(const char *path, const char *text, bool append,
		struct belfry_error *err);

/*
 * Whether bench_write() would get as far as to write: to be known before minutes have
 * been spent on what is to be written. Return: 0; a negative errno.
 */
int bench_check_path(const char *path, bool append, struct belfry_error *err);

/*
 * Write the percentiles of each series in HdrHistogram's format. More than one go to
 * files of their own: "x.hgrm" is "x-doorbell-spin-belfry.hgrm" for one of them.
 */
int bench_write_hgrm(const struct bench_result *r, const char *path,
		     struct belfry_error *err);

#endif
