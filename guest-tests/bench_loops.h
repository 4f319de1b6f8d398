/* SPDX-License-Identifier: MIT */
/* guest-tests/bench_loops.h - reading, writing and copying memory, with the same
 * instructions in a guest and on the host: general registers only
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include <stdint.h>

#define BENCH_SAMPLE_BYTES 262144 /* of one sample, at least */

typedef void bench_loop(uint8_t *from, uint8_t *to, uint64_t size);

static inline uint64_t bench_passes(uint64_t block)
{
	return block < BENCH_SAMPLE_BYTES ? BENCH_SAMPLE_BYTES / block : 1;
}

/* Eight loads a turn; @size is a multiple of 64. */
static void bench_read_loop(uint8_t *from, uint8_t *to, uint64_t size)
{
	const volatile uint64_t *at = (const volatile uint64_t *)from;
	const volatile uint64_t *end = (const volatile uint64_t *)(from + size);

	(void)to;
	for (; at < end; at += 8)
		(void)at[0], (void)at[1], (void)at[2], (void)at[3], (void)at[4],
			(void)at[5], (void)at[6], (void)at[7];
}

static void bench_write_loop(uint8_t *from, uint8_t *to, uint64_t size)
{
	(void)to;
	__asm__ volatile("rep stosb" : "+D"(from), "+c"(size) : "a"(0x5a) : "memory");
}

static void bench_copy_loop(uint8_t *from, uint8_t *to, uint64_t size)
{
	__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(size) : : "memory");
}

#endif
