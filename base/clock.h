/* SPDX-License-Identifier: MIT */
/* base/clock.h - the one clock of timeouts and intervals, in nanoseconds */
#ifndef BF_CLOCK_H
#define BF_CLOCK_H

#include <stdint.h>
#include <time.h>

#define BF_NS_PER_MS 1000000ULL
#define BF_NS_PER_S  1000000000ULL

/* CLOCK_MONOTONIC: never set back, and stops while the host sleeps. */
static inline uint64_t bf_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * BF_NS_PER_S + (uint64_t)t.tv_nsec;
}

#endif
