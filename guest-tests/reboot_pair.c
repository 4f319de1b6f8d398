/* SPDX-License-Identifier: MIT */
/* guest-tests/reboot_pair.c - test: a guest reboots, and its partner on the link goes on
 *
 * Guest a lives three times. It keeps its ID, and both can ring each other in each of its
 * lives: had the others been told that a left, b's doorbell for it would be gone. While a
 * is away b rings it all the time, which must do neither of them any harm.
 *
 * options: role=a|b
 *          window=1  ring by the doorbell window
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"

#define LIVES     3
#define RINGS     20 /* each way, in each life */
#define ARRIVE_MS 5000
#define SETTLE_US 20000

/* What a and b tell each other, in the shared memory */
struct story {
	uint64_t life;  /* a's, from 1 on */
	uint64_t id[2]; /* of a and b, plus 1 */
	uint64_t back;  /* a listens, in this life */
	uint64_t quiet; /* b has ceased to ring, in this life */
	uint64_t up;    /* a has counted what came, and wants to be rung */
	uint64_t heard; /* a has heard so many since */
	uint64_t done;  /* b has heard a's rings in this life */
};

static struct link link;
static volatile struct story *story;
static volatile uint64_t *const bells = &irq_count[LINK_IRQ];

static void ring(unsigned int role)
{
	struct link_bell bell = link_bell(&link, story->id[role] - 1);

	*bell.at = bell.value;
}

static void await(volatile uint64_t *word, uint64_t value)
{
	while (*word != value)
		;
}

/* ---- a, who reboots ---- */

static void hear(void)
{
	uint64_t first, i;
	unsigned int right = 0;

	story->back = story->life;
	await(&story->quiet, story->life);
	sleep_us(SETTLE_US);
	first = *bells;
	print("# a: %lu interrupts while b did not know\n", first);
	story->heard = 0;
	story->up = story->life;
	for (i = 1; i <= RINGS; i++) {
		right += wait_until(bells, first + i, ARRIVE_MS);
		story->heard = i;
	}
	sleep_us(SETTLE_US);
	check(right == RINGS && *bells == first + RINGS,
	      "a: %u rings of b are as many interrupts", RINGS);
}

static void live(void)
{
	uint64_t now = ++story->life, i;

	print("# life %lu of a\n", now);
	if (now == 1)
		story->id[0] = link.id + 1;
	check_eq(link.id + 1, story->id[0], "a has its ID");
	hear();
	while (!story->id[1])
		;
	for (i = 1; i <= RINGS; i++) {
		ring(1);
		await(&story->done, (now - 1) * RINGS + i);
	}
	check(true, "a: b has heard as many");
	if (now == LIVES)
		check_end();
	end_by_i8042_reset();
	sleep_us(1000000);
	guest_fail("a still runs");
}

/* ---- b, who stays ---- */

/* All the time until a is ready for its life number @life. */
static void ring_while_away(uint64_t life)
{
	while (story->back != life) {
		if (life > 1) {
			ring(0);
			sleep_us(200);
		}
	}
	story->quiet = life;
	await(&story->up, life);
}

static void stay(void)
{
	uint64_t life, i;

	story->id[1] = link.id + 1;
	for (life = 1; life <= LIVES; life++) {
		ring_while_away(life);
		for (i = 1; i <= RINGS; i++) {
			ring(0);
			await(&story->heard, i);
		}
		for (i = 1; i <= RINGS; i++) {
			wait_until(bells, (life - 1) * RINGS + i, ARRIVE_MS);
			story->done = (life - 1) * RINGS + i;
		}
		sleep_us(SETTLE_US);
		check_eq(*bells, life * RINGS, "b: each ring of a was one interrupt");
	}
	check_end();
}

void guest_main(void)
{
	link_open(&link);
	if (arg_u64("window", 0))
		link_use_window(&link);
	watchdog(30, "the other guest");
	story = (volatile struct story *)link.memory;
	if (arg_is("role", "a"))
		live();
	else
		stay();
}
