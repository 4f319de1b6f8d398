/* SPDX-License-Identifier: MIT */
/* bench/scenario.h - what can be measured, and on what */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/result.h"

enum bench_contestant {
	BENCH_FLOOR,
	BENCH_BELFRY,
	BENCH_WINDOW,
	BENCH_QEMU,
	BENCH_HOST,
	BENCH_CONTESTANTS
};

#define BENCH_BIT(contestant) (1u << (contestant))

extern const char *const bench_contestant_names[BENCH_CONTESTANTS];
extern const char *const bench_contestant_titles[BENCH_CONTESTANTS];

/* How a scenario is played. */
enum bench_play {
	BENCH_ABSENT, /* not at all: see why */
	BENCH_ALONE,  /* one guest */
	BENCH_PAIR,   /* two guests */
	BENCH_FAN,    /* one guest, and as many as the parameter says */
	BENCH_START,  /* a program is started, and its first output awaited */
};

#define BENCH_VALUES_MAX 6

struct bench_scenario {
	const char *name;
	const char *title; /* one line */
	enum bench_play play;
	const char *guest; /* do=..., of guest-tests/bench.c; NULL: hello.c */
	enum bench_unit unit;
	unsigned int contestants;          /* bits */
	bool quick;                        /* in --quick, too */
	const char *parameter;             /* NULL when there is none */
	uint64_t values[BENCH_VALUES_MAX]; /* of it, ended by 0 */
	const char *why;                   /* BENCH_ABSENT: the reason */
	uint32_t peers, vectors; /* of the crowd, where they are not the parameter */
	bool late, answer;       /* of the crowd: bench/crowd.h */
	bool once;               /* one sample a run */
	bool host_peer;          /* a process of the host joins: bench/host_peer.h */
	bool unknown;            /* rings a peer that is not there */
};

/* What the clock costs is in every figure, and is measured beside all others. */
#define BENCH_CLOCK "clock"

/* Ended by one without a name. */
extern const struct bench_scenario bench_scenarios[];

/* NULL when there is none. */
const struct bench_scenario *bench_scenario_find(const char *name);

/* How many CPUs a case keeps busy. */
unsigned int bench_scenario_spinning(const struct bench_scenario *s);

#endif
