/* SPDX-License-Identifier: MIT */
/* bench/noise.h - who else had the CPUs while something was measured */
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What has been counted so far, in nanoseconds; -1: the host does not tell. */
struct noise_count {
	int64_t clock;
	int64_t stolen; /* by the hypervisor below us, of all CPUs */
	int64_t busy;   /* of all CPUs, with what guests had */
	int64_t ours;   /* CPU time of the processes that are measured */
	int64_t waited; /* their threads were ready to run, and did not */
};

/* Between two counts, as shares of one CPU; -1: not known. */
struct noise {
	double steal, waited, others;
};

/* Above these the run counts as disturbed. */
#define NOISE_STEAL_MAX  0.01
#define NOISE_WAITED_MAX 0.02
#define NOISE_OTHERS_MAX 0.15

/* Of this process, which may run guests or answer them, and of these. */
struct noise_count noise_count(const pid_t *pids, unsigned int n);
struct noise noise_between(const struct noise_count *from, const struct noise_count *to);
bool noise_disturbs(const struct noise *noise);

#endif
