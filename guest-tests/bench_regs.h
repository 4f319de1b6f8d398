/* SPDX-License-Identifier: MIT */
/* guest-tests/bench_regs.h - what the guest that measures and `belfry bench` tell each
 * other, in shared memory of their own: a plain ivshmem device's
 *
 *	guest: opens devices, meets others, warms up
 *	guest: state = READY		bench: counts exits so far; go = GO_START
 *	guest: the timed part
 *	guest: state = TIMED		bench: counts exits again; go = GO_END
 *	guest: asks the others to end; state = FINISHED, and ends
 */
#ifndef BENCH_REGS_H
#define BENCH_REGS_H

#include <stdint.h>

#define BENCH_VALUES  4
#define BENCH_SAMPLES 4096 /* where they are in the memory: TSC ticks, 32 bits each */

enum { BENCH_STARTING, BENCH_READY, BENCH_TIMED, BENCH_FINISHED };
enum { BENCH_GO_WAIT, BENCH_GO_START, BENCH_GO_END };

struct bench_page {
	uint32_t state; /* the guest's */
	uint32_t go;    /* the host's */
	uint64_t tsc_khz;
	uint64_t count; /* of samples that are here */
	uint64_t values[BENCH_VALUES];
};

/* Values: what they are depends on the measurement. */
#define BENCH_RINGS      0 /* rate: of the timed part */
#define BENCH_INTERRUPTS 1 /* rate: what they came to */
#define BENCH_TICKS      2 /* rate: from the first ring to the last */
#define BENCH_SLEEPS     0 /* hybrid: how often the measuring guest slept ... */
#define BENCH_ROUNDS     1 /* ... in how many rounds */
#define BENCH_BYTES      0 /* bandwidth: of one sample */
#define BENCH_ERROR      0 /* one-way: how far the clocks may be apart, in ticks */
#define BENCH_DRIFT      1 /* one-way: by how much they went apart, in ticks */

/*
 * Where sample @i goes, of @max places; @max and above: nowhere. When all samples have
 * come, each is as likely as any other to be in a place (Vitter's algorithm R). @dice is
 * kept from one call to the next.
 */
static inline uint64_t bench_place(uint64_t i, uint64_t max, uint64_t *dice)
{
	if (i < max)
		return i;
	*dice = *dice * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's */
	return (*dice >> 32) * (i + 1) >> 32; /* from 0 to i, of less than 2^32 */
}

#endif
