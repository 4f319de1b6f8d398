/* SPDX-License-Identifier: MIT */
/* bench/trial_host.c - memory bandwidth of the host itself, by the guests' loops */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/err.h"
#include "bench/trial.h"
#include "guest-tests/bench_loops.h"

#define HALF (8 << 20) /* as in the guests: copies go from one half to the other */

static bench_loop *loop_of(const char *name)
{
	if (strcmp(name, "read") == 0)
		return bench_read_loop;
	return strcmp(name, "write") == 0 ? bench_write_loop : bench_copy_loop;
}

/* A sample is in nanoseconds here: the clock "ticks" at 1 GHz. */
static uint64_t go_over(const struct bench_trial *t, uint8_t *memory, unsigned int ms)
{
	volatile uint32_t *samples =
		(volatile uint32_t *)((volatile uint8_t *)t->lab->page + BENCH_SAMPLES);
	uint64_t passes = bench_passes(t->value), deadline, from, to = 0, n, i, dice = 0;
	bench_loop *loop = loop_of(t->scenario->guest);

	deadline = bf_now_ns() + ms * BF_NS_PER_MS;
	for (n = 0; to < deadline; n++) {
		from = bf_now_ns();
		for (uint64_t pass = 0; pass < passes; pass++)
			loop(memory, memory + HALF, t->value);
		to = bf_now_ns();
		i = bench_place(n, TRIAL_SAMPLES_MAX, &dice);
		if (i < TRIAL_SAMPLES_MAX)
			samples[i] = to - from;
	}
	return n < TRIAL_SAMPLES_MAX ? n : TRIAL_SAMPLES_MAX;
}

int bench_measure_host(const struct bench_trial *t, struct belfry_error *err)
{
	volatile struct bench_page *page = t->lab->page;
	uint8_t *memory = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cpu_set_t one;

	if (memory == MAP_FAILED)
		return bf_err_sys(err, errno, "memory for the host's loops");
	if (t->lab->n_cpus) {
		CPU_ZERO(&one);
		CPU_SET(t->lab->cpus[0], &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	go_over(t, memory, t->lab->warmup_ms);
	page->count = go_over(t, memory, t->lab->ms);
	page->values[BENCH_BYTES] = t->value * bench_passes(t->value);
	page->tsc_khz = 1000000;
	page->state = BENCH_FINISHED;
	return 0;
}
