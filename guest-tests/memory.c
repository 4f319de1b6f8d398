/* SPDX-License-Identifier: MIT */
/* guest-tests/memory.c - test: the shared memory is all there, and it is shared
 *
 * options: size=SIZE   what it should be
 *          role=a|b    two guests check that each sees what the other writes
 *          at=OFFSET   and that they do so there, as well as at the start
 *          fill=BYTE   the host has filled the first page with this
 *          mark=BYTE   fill the first page with this at the end, for the host to see
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"

#define PAGE 4096
#define PAIR_BYTES \
	(64 << 10) /* less than the smallest region, without the words of pair_meet() */
#define PAIR_FROM PAGE
#define PROBES    256

static bool filled_with(const volatile uint8_t *at, uint8_t byte)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		if (at[i] != byte)
			return false;
	return true;
}

/* ---- one guest ---- */

static uint64_t pattern(uint64_t off)
{
	return (off + 1) * 0x9e3779b97f4a7c15;
}

/* Values of their own at places all over the memory, first and last included. */
static void keeps_patterns(const struct link *link)
{
	uint64_t step = link->size / PROBES & ~7ULL, off, wrong = 0;

	if (step < 8)
		step = 8;
	for (off = 0; off < link->size; off += step)
		*(volatile uint64_t *)(link->memory + off) = pattern(off);
	*(volatile uint64_t *)(link->memory + link->size - 8) = pattern(link->size);
	for (off = 0; off < link->size - 8; off += step)
		wrong += *(volatile uint64_t *)(link->memory + off) != pattern(off);
	wrong += *(volatile uint64_t *)(link->memory + link->size - 8) !=
		 pattern(link->size);
	check_eq(wrong, 0, "it keeps what is written from its first byte to its last");
}

static void takes_any_width(volatile uint8_t *at, const char *where)
{
	*(volatile uint64_t *)at = 0x8877665544332211;
	check(at[0] == 0x11 && *(volatile uint16_t *)(at + 1) == 0x3322 &&
		      *(volatile uint32_t *)(at + 3) == 0x77665544 && at[7] == 0x88,
	      "reads of 1, 2 and 4 bytes, aligned or not, %s", where);
	at[1] = 0xaa;
	*(volatile uint16_t *)(at + 3) = 0xbbcc;
	check_eq(*(volatile uint64_t *)at, 0x887766bbcc33aa11,
		 "writes of 1 and 2 bytes, aligned or not, %s", where);
}

/* ---- two guests ---- */

static void write_all(volatile uint8_t *at, uint64_t seed)
{
	uint64_t off;

	for (off = 0; off < PAIR_BYTES - PAIR_FROM; off += 8)
		*(volatile uint64_t *)(at + PAIR_FROM + off) = pattern(off) ^ seed;
}

static uint64_t count_wrong(const volatile uint8_t *at, uint64_t seed)
{
	uint64_t off, wrong = 0;

	for (off = 0; off < PAIR_BYTES - PAIR_FROM; off += 8)
		wrong += *(const volatile uint64_t *)(at + PAIR_FROM + off) !=
			 (pattern(off) ^ seed);
	return wrong;
}

/* a writes and b looks, then the other way round. Values of their own for each place. */
static void is_shared_at(struct pair *pair, volatile uint8_t *at, uint64_t seed,
			 bool is_a)
{
	if (is_a)
		write_all(at, seed + 1);
	pair_barrier(pair);
	if (!is_a) {
		check_eq(count_wrong(at, seed + 1), 0, "b sees what a has written");
		write_all(at, seed + 2);
	}
	pair_barrier(pair);
	if (is_a)
		check_eq(count_wrong(at, seed + 2), 0, "a sees what b has written");
	pair_barrier(pair);
}

static void is_shared(const struct link *link, bool is_a)
{
	uint64_t at = arg_u64("at", 0);
	struct pair pair;

	pair_meet(&pair, link, is_a ? PAIR_A : PAIR_B, 10);
	check(pair.mine != pair.other, "the other guest is here");
	is_shared_at(&pair, link->memory, 0, is_a);
	if (!at)
		return;
	is_shared_at(&pair, link->memory + at, at, is_a);
	check_eq(count_wrong(link->memory, 2), 0, "the start is as it was");
}

void guest_main(void)
{
	struct link link;
	unsigned int i;

	watchdog(20, "the memory's checks");
	link_open_memory(&link);
	check_eq(link.size, arg_u64("size", link.size), "the shared memory has its size");
	if (arg("fill"))
		check(filled_with(link.memory, arg_u64("fill", 0)),
		      "it holds what the host has put there");
	if (arg("role")) {
		is_shared(&link, arg_is("role", "a"));
	} else {
		keeps_patterns(&link);
		takes_any_width(link.memory, "at the start");
		takes_any_width(link.memory + link.size - 8, "at the end");
		if (link.size > PAGE)
			takes_any_width(link.memory + PAGE - 4, "across pages");
	}
	if (arg("mark"))
		for (i = 0; i < PAGE; i++)
			link.memory[i] = arg_u64("mark", 0);
	check_end();
}
