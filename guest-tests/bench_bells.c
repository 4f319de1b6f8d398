/* SPDX-License-Identifier: MIT */
/* guest-tests/bench_bells.c - doorbells: round trips, one way, by oneself, and how many
 *
 * options: poll_us=50 pause_us=0  hybrid: how long to look before sleeping, and how long
 *                                 the measuring guest leaves between two rounds
 */
#include "guest-tests/bench.h"

#define CLOCK_ROUNDS 2000
#define SETTLE_MS    5

/* In the link's memory: flags of who sleeps until a doorbell */
#define SLEEPING_OFF  0x600
#define SLEEPING_STEP 0x100

/* ---- the clock's own cost ---- */

static uint64_t lead_clock(struct bench *b, uint64_t deadline)
{
	uint64_t from, to = 0, i;

	for (i = 0; to < deadline; i++) {
		from = tsc();
		to = tsc();
		bench_record(b, i, to - from);
	}
	return i;
}

/* ---- there and back, both spinning or both halted; or to oneself ---- */

uint64_t bench_lead_spin(struct bench *b, uint64_t deadline)
{
	struct link_bell bell = b->bell;
	uint64_t from, to = 0, i;

	for (i = 0; to < deadline; i++) {
		from = tsc();
		bench_ring(bell);
		spin_while(bench_heard, b->bells++);
		to = tsc();
		bench_record(b, i, to - from);
	}
	return i;
}

static uint64_t lead_halt(struct bench *b, uint64_t deadline)
{
	struct link_bell bell = b->bell;
	uint64_t from, to = 0, i;

	for (i = 0; to < deadline; i++) {
		from = tsc();
		bench_ring(bell);
		halt_while(bench_heard, b->bells++);
		to = tsc();
		bench_record(b, i, to - from);
	}
	return i;
}

static void answer_spin(struct bench *b)
{
	struct link_bell bell = b->bell;

	for (;;) {
		spin_while(bench_heard, b->bells++);
		if (b->pair.words[WORD_STOP])
			return;
		bench_ring(bell);
	}
}

static void answer_halt(struct bench *b)
{
	struct link_bell bell = b->bell;

	for (;;) {
		halt_while(bench_heard, b->bells++);
		if (b->pair.words[WORD_STOP])
			return;
		bench_ring(bell);
	}
}

static void stop_by_bell(struct bench *b)
{
	b->pair.words[WORD_STOP] = 1;
	bench_ring(b->bell);
}

/* ---- one way: the other rings when it is told to, and says when ---- */

/*
 * Each VM's TSC has an offset of its own. The other one tells its time over and over; the
 * shortest of these round trips says best what its clock is behind ours.
 */
static void compare_clocks(struct bench *b)
{
	uint64_t from, to, theirs, i;

	b->error = UINT64_MAX;
	for (i = 0; i < CLOCK_ROUNDS; i++) {
		from = tsc();
		*b->pair.ping = ++b->pings << 1;
		while ((theirs = *b->pair.pong) == 0)
			;
		to = tsc();
		*b->pair.pong = 0;
		if ((to - from) / 2 >= b->error)
			continue;
		b->error = (to - from) / 2;
		b->offset = (int64_t)(from + b->error - theirs);
	}
}

static uint64_t lead_one_way(struct bench *b, uint64_t deadline)
{
	uint64_t to = 0, i;
	int64_t ticks;

	for (i = 0; to < deadline; i++) {
		*b->pair.ping = ++b->pings << 1 | 1;
		spin_while(bench_heard, b->bells++);
		to = tsc();
		ticks = (int64_t)(to - b->pair.words[WORD_TIME]) - b->offset;
		bench_record(b, i, ticks > 0 ? ticks : 0);
	}
	return i;
}

/* A ping asks for the time (bit 0 clear), for a ring (set), or for the end. */
static void answer_one_way(struct bench *b)
{
	uint64_t seen = 0, ping;

	for (;; seen = ping) {
		while ((ping = *b->pair.ping) == seen)
			;
		if (ping == STOP)
			return;
		if (ping & 1) {
			b->pair.words[WORD_TIME] = tsc();
			bench_ring(b->bell);
		} else {
			*b->pair.pong = tsc();
		}
	}
}

static void stop_one_way(struct bench *b)
{
	int64_t before = b->offset;

	compare_clocks(b);
	b->page->values[BENCH_ERROR] = b->error;
	b->page->values[BENCH_DRIFT] =
		b->offset > before ? b->offset - before : before - b->offset;
	*b->pair.ping = STOP;
}

/* ---- hybrid: look for a while, then sleep until the doorbell ---- */

/* A cache line for each of the two. */
static volatile uint64_t *sleeping(struct bench *b, bool mine)
{
	bool is_a = b->page;

	return (volatile uint64_t *)(b->link.memory + SLEEPING_OFF +
				     (mine == is_a ? 0 : SLEEPING_STEP));
}

/*
 * Until @word is not @seen. A doorbell may come although we have not slept: the other one
 * saw the flag just before it was taken back. So it is the word that counts.
 */
static uint64_t await_word(struct bench *b, volatile uint64_t *word, uint64_t seen,
			   uint64_t ticks)
{
	volatile uint64_t *asleep = sleeping(b, true);
	uint64_t from = tsc(), heard;

	while (*word == seen && tsc() - from < ticks)
		;
	while (*word == seen) {
		heard = *bench_heard;
		*asleep = 1;
		bench_fence();
		if (*word == seen) {
			halt_while(bench_heard, heard);
			if (b->page)
				b->page->values[BENCH_SLEEPS]++;
		}
		*asleep = 0;
	}
	return *word;
}

static void send_word(struct bench *b, volatile uint64_t *word, uint64_t value)
{
	*word = value;
	bench_fence();
	if (*sleeping(b, false))
		bench_ring(b->bell);
}

static uint64_t lead_hybrid(struct bench *b, uint64_t deadline)
{
	uint64_t ticks = bench_ticks(arg_u64("poll_us", 50)), from, to = 0, i;
	uint64_t pause = arg_u64("pause_us", 0);

	b->page->values[BENCH_SLEEPS] = 0;
	for (i = 0; to < deadline; i++) {
		sleep_us(pause);
		from = tsc();
		send_word(b, b->pair.ping, ++b->pings);
		await_word(b, b->pair.pong, b->pings - 1, ticks);
		to = tsc();
		bench_record(b, i, to - from);
	}
	b->page->values[BENCH_ROUNDS] = i;
	return i;
}

static void answer_hybrid(struct bench *b)
{
	uint64_t ticks = bench_ticks(arg_u64("poll_us", 50)), seen = 0;

	for (;;) {
		seen = await_word(b, b->pair.ping, seen, ticks);
		if (seen == STOP)
			break;
		send_word(b, b->pair.pong, seen);
	}
	sleep_us(SETTLE_MS * 1000);
	b->bells = *bench_heard; /* as many as there were sleeps, or some more */
}

static void stop_hybrid(struct bench *b)
{
	send_word(b, b->pair.ping, STOP);
	sleep_us(SETTLE_MS * 1000);
	b->bells = *bench_heard;
}

/* ---- how many: as fast as they go, or one by one ---- */

/* What the other one has counted, once that is at least @least and no longer changes. */
static uint64_t settled_count(struct bench *b, uint64_t least)
{
	uint64_t before, count = b->pair.words[WORD_COUNT];

	do {
		before = count;
		sleep_us(SETTLE_MS * 1000);
		count = b->pair.words[WORD_COUNT];
	} while (count < least || count != before);
	return count;
}

static uint64_t lead_rate(struct bench *b, uint64_t deadline)
{
	uint64_t before = settled_count(b, 0), start = tsc(), from, to = 0, i;
	struct link_bell bell = b->bell;

	for (i = 0; to < deadline; i++) {
		from = tsc();
		bench_ring(bell);
		to = tsc();
		bench_record(b, i, to - from);
	}
	b->page->values[BENCH_TICKS] = to - start;
	b->page->values[BENCH_RINGS] = i;
	b->page->values[BENCH_INTERRUPTS] = settled_count(b, before + (i > 0)) - before;
	return i;
}

static uint64_t lead_acked(struct bench *b, uint64_t deadline)
{
	volatile uint64_t *count = &b->pair.words[WORD_COUNT];
	uint64_t start = tsc(), from, seen, to = 0, i;
	struct link_bell bell = b->bell;

	for (i = 0; to < deadline; i++) {
		seen = *count;
		from = tsc();
		bench_ring(bell);
		spin_while(count, seen);
		to = tsc();
		bench_record(b, i, to - from);
	}
	b->page->values[BENCH_TICKS] = to - start;
	b->page->values[BENCH_RINGS] = b->page->values[BENCH_INTERRUPTS] = i;
	return i;
}

static void answer_rate(struct bench *b)
{
	while (!b->pair.words[WORD_STOP])
		b->pair.words[WORD_COUNT] = *bench_heard;
	b->bells = *bench_heard;
}

static void stop_rate(struct bench *b)
{
	b->pair.words[WORD_STOP] = 1;
}

const struct bench_mode bench_bells[] = {
	{ .name = "clock", .lead = lead_clock },
	{ .name = "own", .lead = bench_lead_spin },
	{ "spin", true, NULL, bench_lead_spin, stop_by_bell, answer_spin },
	{ "halt", true, NULL, lead_halt, stop_by_bell, answer_halt },
	{ "one-way", true, compare_clocks, lead_one_way, stop_one_way, answer_one_way },
	{ "hybrid", true, NULL, lead_hybrid, stop_hybrid, answer_hybrid },
	{ "rate", true, NULL, lead_rate, stop_rate, answer_rate },
	{ "acked", true, NULL, lead_acked, stop_rate, answer_rate },
	{ 0 },
};
