/* SPDX-License-Identifier: MIT */
/* guest-tests/bench.h - what the parts of the guest of `belfry bench` share */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include "guest-tests/bench_regs.h"
#include "guest-tests/guest.h"
#include "guest-tests/link.h"

/* Words that the measuring guest writes and the other one reads, and one back */
#define WORD_STOP  0
#define WORD_COUNT 1 /* the other's: interrupts so far */
#define WORD_TIME  2 /* the other's: when it rang */

#define STOP ~0ULL /* in place of a ping */

struct bench {
	struct link link;
	struct pair pair;
	volatile struct bench_page *page; /* NULL: this guest does not measure */
	volatile uint32_t *samples;
	bool alone;     /* no host looks at the page */
	uint64_t max;   /* of them: there is no room for more */
	uint64_t dice;  /* which of more are kept */
	uint64_t bells; /* interrupts that have been waited for */
	uint64_t pings; /* words that have been sent */
	struct link_bell bell;
	int64_t offset; /* of the other's clock, in ticks */
	uint64_t error;
};

/*
 * One thing to measure. lead() takes samples until @deadline and returns how many; the
 * first time it warms up. answer() runs in the other guest, until the first
 * one's stop(). All but lead() may be NULL.
 */
struct bench_mode {
	const char *name;
	bool pair; /* there is another guest */
	void (*open)(struct bench *b);
	uint64_t (*lead)(struct bench *b, uint64_t deadline);
	void (*stop)(struct bench *b);
	void (*answer)(struct bench *b);
};

extern const struct bench_mode bench_bells[];  /* doorbells between two guests */
extern const struct bench_mode bench_memory[]; /* the shared memory */
extern const struct bench_mode bench_crowd[];  /* many peers, and the host */

static volatile uint64_t *const bench_heard = &irq_count[LINK_IRQ];

/* Ring b->bell and spin until a doorbell comes back. */
uint64_t bench_lead_spin(struct bench *b, uint64_t deadline);

static inline void bench_record(struct bench *b, uint64_t i, uint64_t ticks)
{
	i = bench_place(i, b->max, &b->dice);
	if (i < b->max)
		b->samples[i] = ticks < UINT32_MAX ? ticks : UINT32_MAX;
}

static inline void bench_ring(struct link_bell bell)
{
	*bell.at = bell.value;
}

/* Stores before it are seen before loads behind it are done. */
static inline void bench_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline uint64_t bench_ticks(uint64_t us)
{
	return us * tsc_khz() / 1000;
}

#endif
