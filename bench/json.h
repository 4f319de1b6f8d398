/* SPDX-License-Identifier: MIT */
/* bench/json.h - what the words of a result's file are; belfry-bench(5) documents them */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#define BENCH_FORMAT         "belfry-bench"
#define BENCH_FORMAT_VERSION 1

/* By enum bench_unit, enum bench_status; ended by NULL */
extern const char *const bench_unit_names[];
extern const char *const bench_status_names[];

#endif
