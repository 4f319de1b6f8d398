/* SPDX-License-Identifier: MIT */
/* guest-tests/bench_memory.c - the shared memory: round trips without doorbells, and how
 * much goes through
 *
 * options: block=64k  bandwidth: bytes that are gone over again and again
 */
#include "guest-tests/bench.h"
#include "guest-tests/bench_loops.h"

#define COPY_OFF(size) ((size) / 2) /* copies go from the first half to the second */
#define HEAD           65536        /* of the memory, which the guests meet in */

/* ---- each spins on a word that the other writes ---- */

static uint64_t lead_poll(struct bench *b, uint64_t deadline)
{
	volatile uint64_t *ping = b->pair.ping, *pong = b->pair.pong;
	uint64_t from, to = 0, i;

	for (i = 0; to < deadline; i++) {
		from = tsc();
		*ping = ++b->pings;
		while (*pong != b->pings)
			;
		to = tsc();
		bench_record(b, i, to - from);
	}
	return i;
}

static void answer_poll(struct bench *b)
{
	volatile uint64_t *ping = b->pair.ping, *pong = b->pair.pong;
	uint64_t seen = 0, word;

	for (;;) {
		while ((word = *ping) == seen)
			;
		if (word == STOP)
			return;
		*pong = seen = word;
	}
}

static void stop_poll(struct bench *b)
{
	*b->pair.ping = STOP;
}

/* ---- bandwidth ---- */

/* A small block is gone over many times in one sample, so that the clock costs nothing.
 */
static uint64_t go_over(struct bench *b, bench_loop *loop, uint64_t deadline)
{
	uint64_t block = arg_u64("block", 65536), from, to = 0, i, pass;
	uint64_t passes = bench_passes(block);
	uint8_t *memory = (uint8_t *)b->link.memory + HEAD;

	if (block > COPY_OFF(b->link.size) - HEAD)
		guest_fail("block=%lu: the memory has %lu bytes", block, b->link.size);
	for (i = 0; to < deadline; i++) {
		from = tsc();
		for (pass = 0; pass < passes; pass++)
			loop(memory, (uint8_t *)b->link.memory + COPY_OFF(b->link.size),
			     block);
		to = tsc();
		bench_record(b, i, to - from);
	}
	b->page->values[BENCH_BYTES] = block * passes;
	return i;
}

static uint64_t lead_read(struct bench *b, uint64_t deadline)
{
	return go_over(b, bench_read_loop, deadline);
}

static uint64_t lead_write(struct bench *b, uint64_t deadline)
{
	return go_over(b, bench_write_loop, deadline);
}

static uint64_t lead_copy(struct bench *b, uint64_t deadline)
{
	return go_over(b, bench_copy_loop, deadline);
}

const struct bench_mode bench_memory[] = {
	{ "poll", true, NULL, lead_poll, stop_poll, answer_poll },
	{ .name = "read", .lead = lead_read },
	{ .name = "write", .lead = lead_write },
	{ .name = "copy", .lead = lead_copy },
	{ 0 },
};
