/* SPDX-License-Identifier: MIT */
/* guest-tests/pingpong.c - two guests answer each other: round trips and their
 * percentiles
 *
 * One guest gets role=a: it leads, measures and prints. The other gets role=b and
 * answers.
 *
 *   spin  a rings b's doorbell, b rings a's; both spin until their interrupt has come
 *   halt  the same, but both halt until their interrupt comes
 *   poll  no doorbells: each spins on a word of the shared memory that the other writes
 *
 * options of role a: mode=spin|halt|poll|all rounds=20000 poll_rounds=200000 warmup=1000,
 *                    seconds=5, after which a measurement is content with what it has
 * options of both:   limit=10, the seconds to wait for the other guest to come
 *                    window=1, to ring by the doorbell window
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"
#include "guest-tests/samples.h"

enum mode { SPIN, HALT, POLL, MODES };

static const char *const mode_args[MODES] = { "spin", "halt", "poll" };
static const char *const result_names[MODES] = { "doorbell-spin", "doorbell-halt",
						 "memory-poll" };

/* Words that a writes and b reads */
#define WORD_MODES 0 /* bit n: mode n will be played */
#define WORD_STOP  1 /* the mode that is over, plus 1 */
#define POLL_STOP  ~0ULL

struct game {
	struct link link;
	struct pair pair;
	uint64_t modes, rounds, poll_rounds, warmup, seconds;
	uint64_t bells; /* interrupts that have been waited for */
};

static volatile uint64_t *const bells = &irq_count[LINK_IRQ];

static void wait_for_bell(enum mode mode, uint64_t seen)
{
	if (mode == HALT)
		halt_while(bells, seen);
	else
		spin_while(bells, seen);
}

/* ---- the timed loops of a; they return how many rounds there was time for ---- */

static uint64_t lead_bells(struct game *game, enum mode mode, uint64_t rounds,
			   uint64_t deadline)
{
	struct link_bell bell = game->pair.bell;
	uint64_t from, to = 0, i;

	for (i = 0; i < rounds && to < deadline; i++) {
		from = tsc();
		*bell.at = bell.value;
		wait_for_bell(mode, game->bells++);
		to = tsc();
		samples[i] = to - from;
	}
	return i;
}

/* The words count up from @first, so that each is new to the other. */
static uint64_t lead_polls(struct game *game, uint64_t first, uint64_t rounds,
			   uint64_t deadline)
{
	volatile uint64_t *ping = game->pair.ping, *pong = game->pair.pong;
	uint64_t from, to = 0, i;

	for (i = 0; i < rounds && to < deadline; i++) {
		from = tsc();
		*ping = first + i;
		while (*pong != first + i)
			;
		to = tsc();
		samples[i] = to - from;
	}
	return i;
}

/* ---- b's answers to them ---- */

static void answer_bells(struct game *game, enum mode mode)
{
	volatile uint64_t *stop = &game->pair.words[WORD_STOP];
	struct link_bell bell = game->pair.bell;

	for (;;) {
		wait_for_bell(mode, game->bells++);
		if (*stop == (uint64_t)mode + 1)
			return;
		*bell.at = bell.value;
	}
}

static void answer_polls(struct game *game)
{
	volatile uint64_t *ping = game->pair.ping, *pong = game->pair.pong;
	uint64_t seen = 0, word;

	for (;;) {
		while ((word = *ping) == seen)
			;
		if (word == POLL_STOP)
			return;
		*pong = seen = word;
	}
}

/* ---- around them ---- */

static void go_silent_after(const struct game *game)
{
	watchdog(2 * game->seconds + 10, "the other guest went silent");
}

static struct summary measure(struct game *game, enum mode mode)
{
	uint64_t ticks = game->seconds * 1000 * tsc_khz(), rounds;

	if (mode == POLL) {
		rounds = lead_polls(game, 1, game->warmup, tsc() + ticks / 4);
		rounds = lead_polls(game, 1 + rounds, game->poll_rounds, tsc() + ticks);
		*game->pair.ping = POLL_STOP;
	} else {
		lead_bells(game, mode, game->warmup, tsc() + ticks / 4);
		rounds = lead_bells(game, mode, game->rounds, tsc() + ticks);
		game->pair.words[WORD_STOP] = mode + 1;
		*game->pair.bell.at = game->pair.bell.value;
	}
	return summarize(result_names[mode], rounds);
}

/* Every ring must have raised one interrupt, no more and no less. */
static void expect_bells(struct game *game)
{
	pair_barrier(&game->pair);
	if (*bells != game->bells)
		guest_fail("%lu interrupts, not %lu", *bells, game->bells);
}

static void play_a(struct game *game)
{
	struct summary summaries[MODES] = { { 0 } };
	unsigned int mode;

	game->pair.words[WORD_MODES] = game->modes;
	game->pair.words[WORD_STOP] = 0;
	pair_barrier(&game->pair);
	for (mode = 0; mode < MODES; mode++) {
		if (!(game->modes & 1u << mode))
			continue;
		pair_barrier(&game->pair);
		go_silent_after(game);
		summaries[mode] = measure(game, mode);
	}
	expect_bells(game);
	print_summaries("round trip", summaries, MODES);
}

static void play_b(struct game *game)
{
	unsigned int mode;

	pair_barrier(&game->pair);
	for (mode = 0; mode < MODES; mode++) {
		if (!(game->pair.words[WORD_MODES] & 1u << mode))
			continue;
		pair_barrier(&game->pair);
		go_silent_after(game);
		if (mode == POLL)
			answer_polls(game);
		else
			answer_bells(game, mode);
	}
	expect_bells(game);
	print("answered %lu doorbells\n", game->bells);
}

static void read_options(struct game *game)
{
	unsigned int mode;

	*game = (struct game){
		.rounds = arg_u64("rounds", 20000),
		.poll_rounds = arg_u64("poll_rounds", 200000),
		.warmup = arg_u64("warmup", 1000),
		.seconds = arg_u64("seconds", 5),
	};
	for (mode = 0; mode < MODES; mode++)
		if (!arg("mode") || arg_is("mode", "all") ||
		    arg_is("mode", mode_args[mode]))
			game->modes |= 1u << mode;
	if (!game->modes)
		guest_fail("mode=%s: one of spin, halt, poll, all", arg("mode"));
	if (game->rounds - 1 >= MAX_SAMPLES || game->poll_rounds - 1 >= MAX_SAMPLES ||
	    game->warmup > MAX_SAMPLES)
		guest_fail("rounds, poll_rounds: 1 to %u, warmup: to %u", MAX_SAMPLES,
			   MAX_SAMPLES);
	if (game->seconds - 1 >= 60)
		guest_fail("seconds: 1 to 60");
}

void guest_main(void)
{
	bool is_a = arg_is("role", "a");
	unsigned int limit = arg_u64("limit", 10);
	struct game game;

	if (!is_a && !arg_is("role", "b"))
		guest_fail("the command line must say role=a or role=b");
	read_options(&game);
	link_open(&game.link);
	if (arg_u64("window", 0))
		link_use_window(&game.link);
	print("role %s, id %u, %lu KiB of shared memory\n", arg("role"), game.link.id,
	      game.link.size >> 10);
	game.bells = *bells;
	pair_meet(&game.pair, &game.link, is_a ? PAIR_A : PAIR_B, limit);
	go_silent_after(&game);
	if (is_a)
		play_a(&game);
	else
		play_b(&game);
}
