/* SPDX-License-Identifier: MIT */
/*
 * guest/samples/pingpong.c: round trips between processes in two VMs
 *
 *	pingpong pong			in one VM
 *	pingpong ping			in the other; prints percentiles
 *
 * ping writes the number of the round into the shared memory and rings; pong is
 * interrupted, writes the same number into its own place and rings back. Each waits in
 * poll(2) and read(2), or, with --spin, looks at the memory all the time; nobody is rung
 * then. Both sides have to agree on that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meet.h"
#include "tools.h"

#define KIND_BELL 0x676e6970 /* "ping" */
#define KIND_SPIN 0x6e697073 /* "spin" */
#define PING      0          /* seats */
#define PONG      1

#define SILENT_NS 2000000000 /* the other has not answered: look whether it is there */

/* After the seats: what each side writes, in cache lines of their own. */
struct table {
	struct {
		_Alignas(128) uint64_t round;
	} side[2];
};

struct options {
	const char *device;
	uint64_t rounds;
	uint64_t warm_up;
	uint64_t patience_s;
	unsigned int side;
	bool spin;
	bool forever;
};

struct game {
	const struct options *options;
	struct meet meet;
	uint64_t *mine;
	const uint64_t *other;
	uint64_t *samples; /* nanoseconds, ping's */
};

static void say(struct game *g, uint64_t round)
{
	__atomic_store_n(g->mine, round, __ATOMIC_RELEASE);
	if (!g->options->spin)
		meet_ring(&g->meet);
}

static bool heard(const struct game *g, uint64_t round)
{
	return __atomic_load_n(g->other, __ATOMIC_ACQUIRE) == round;
}

/* Return: 0; -EPIPE, -ECONNRESET as meet_check(); -ETIMEDOUT, -ENODEV. */
static int listen_spinning(struct game *g, uint64_t round)
{
	const uint64_t end = now_ns() + SILENT_NS;
	int r;

	for (uint64_t n = 1; !heard(g, round); n++) {
		relax();
		if (n % 4096)
			continue;
		r = meet_check(&g->meet);
		if (r < 0)
			return r;
		if (now_ns() > end)
			return -ETIMEDOUT;
	}
	return 0;
}

static int listen_sleeping(struct game *g, uint64_t round)
{
	int waited, r;

	while (!heard(g, round)) {
		waited = ivshmem_wait(g->meet.iv, SILENT_NS);
		r = meet_check(&g->meet);
		if (r < 0)
			return r;
		if (waited < 0 && waited != -EINTR)
			return waited;
	}
	return 0;
}

static int listen_for(struct game *g, uint64_t round)
{
	return g->options->spin ? listen_spinning(g, round) : listen_sleeping(g, round);
}

/* --- ping --- */

static int play_ping(struct game *g)
{
	const uint64_t warm_up = g->options->warm_up;
	int r = 0;

	for (uint64_t i = 1; r == 0 && i <= warm_up + g->options->rounds; i++) {
		const uint64_t start = now_ns();

		say(g, i);
		r = listen_for(g, i);
		if (r == 0 && i > warm_up)
			g->samples[i - warm_up - 1] = now_ns() - start;
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(const uint64_t *sorted, uint64_t n, double percent)
{
	uint64_t i = (uint64_t)(percent / 100 * (double)n);

	return (double)sorted[i < n ? i : n - 1] / 1e3;
}

static void report(struct game *g)
{
	static const double percents[] = { 0, 50, 90, 99, 99.9, 99.99, 100 };
	const uint64_t n = g->options->rounds;

	qsort(g->samples, n, sizeof(*g->samples), compare);
	printf("%" PRIu64 " round trips, %s, us:", n,
	       g->options->spin ? "spinning" : "sleeping");
	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++)
		printf(" p%g %.2f", percents[i],
		       percentile_us(g->samples, n, percents[i]));
	putchar('\n');
}

/* --- pong --- */

static int play_pong(struct game *g)
{
	uint64_t i = 1;
	int r;

	for (;;) {
		r = listen_for(g, i);
		if (r == -ETIMEDOUT) /* ping may take its time */
			continue;
		if (r < 0)
			return r;
		say(g, i++);
	}
}

/* --- both --- */

static void reset(void *game)
{
	__atomic_store_n(((struct game *)game)->mine, 0, __ATOMIC_RELEASE);
}

static int play(struct game *g)
{
	int r = meet_wait(&g->meet, (double)g->options->patience_s, reset, g);

	if (r < 0)
		fail(r, "waiting for the other side");
	return g->options->side == PING ? play_ping(g) : play_pong(g);
}

/* Whoever starts anew in the middle of a game gets another one. */
static void play_games(struct game *g)
{
	int r;

	do {
		r = play(g);
	} while (r == -ECONNRESET || (r == -EPIPE && g->options->forever));
	if (g->options->side == PING ? r < 0 : r != -EPIPE)
		fail(r, "the other side");
	if (g->options->side == PING)
		report(g);
}

static void start(struct game *g, struct ivshmem *iv, const struct options *o)
{
	struct table *table = (struct table *)((char *)ivshmem_memory(iv) + MEET_SIZE);
	int r;

	if (ivshmem_info(iv)->memory_size < MEET_SIZE + sizeof(*table))
		fail(0, "%s: %" PRIu64 " bytes of memory are too few", o->device,
		     (uint64_t)ivshmem_info(iv)->memory_size);
	if (!o->spin && !(ivshmem_info(iv)->flags & IVSHMEM_HAS_DOORBELL))
		fail(0, "%s is a plain device, without doorbells: use --spin", o->device);
	*g = (struct game){
		.options = o,
		.mine = &table->side[o->side].round,
		.other = &table->side[!o->side].round,
		.samples = calloc(o->rounds, sizeof(*g->samples)),
	};
	if (!g->samples)
		fail(ENOMEM, "samples");
	r = meet_init(&g->meet, iv, o->spin ? KIND_SPIN : KIND_BELL, o->side);
	if (r < 0)
		fail(r, "%s", o->device);
}

static const char usage[] =
	"usage: pingpong [OPTION...] ping|pong\n"
	"  -d, --device FILE   default /dev/ivshmem0\n"
	"  -n, --rounds N      timed round trips, default 10000\n"
	"  -w, --warm-up N     round trips before that, default 100\n"
	"  -s, --spin          look at the memory all the time, and ring nobody\n"
	"  -p, --patience S    seconds to wait for the other side, default 60\n"
	"  -f, --forever       pong: play again when ping has gone\n";

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "device", 1, NULL, 'd' },  { "rounds", 1, NULL, 'n' },
		{ "warm-up", 1, NULL, 'w' }, { "spin", 0, NULL, 's' },
		{ "forever", 0, NULL, 'f' }, { "patience", 1, NULL, 'p' },
		{ "help", 0, NULL, 'h' },    { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "d:n:w:p:sfh", names, NULL)) >= 0) {
		if (c == 'd')
			o->device = optarg;
		else if (c == 'n')
			o->rounds = number("rounds", optarg, 1, 100000000);
		else if (c == 'w')
			o->warm_up = number("warm-up", optarg, 0, 100000000);
		else if (c == 'p')
			o->patience_s = number("patience", optarg, 0, 1000000);
		else if (c == 's')
			o->spin = true;
		else if (c == 'f')
			o->forever = true;
		else
			show_usage(c == 'h', usage);
	}
	o->side = choice(argc, argv, "ping", "pong", usage);
}

int main(int argc, char **argv)
{
	struct options options = { .device = "/dev/ivshmem0",
				   .rounds = 10000,
				   .warm_up = 100,
				   .patience_s = 60 };
	struct ivshmem *iv;
	struct game game;
	int r;

	parse(argc, argv, &options);
	r = ivshmem_open(options.device, &iv);
	if (r < 0)
		fail(r, "%s", options.device);
	start(&game, iv, &options);
	play_games(&game);
	meet_leave(&game.meet);
	free(game.samples);
	ivshmem_close(iv);
	return 0;
}
