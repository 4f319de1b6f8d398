/* SPDX-License-Identifier: MIT */
/* guest-tests/crowd.c - what a doorbell costs where there are many: for bench/crowd
 *
 * The first line comes when the own doorbell does: then the VMM has joined. The times of
 * a doorbell's write are those of the store alone; nobody answers.
 *
 * options: peers=1 vectors=1    the crowd: IDs 0 to peers - 1, vectors of each
 *          peer=ID vector=V     rings this one only
 *          rounds=2000 warmup=200
 *          seconds=1            after which a measurement is content with what it has
 *          window=1             by the doorbell window, not by the register
 *          late=1               has the crowd come first
 *          answer=1             has its last peer answer: round trips
 */
#include "guest-tests/crowd_regs.h"
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/link.h"
#include "guest-tests/samples.h"
#include "guest-tests/window.h"

#define RETRY_US  500 /* a ring that nobody knows yet goes to user space and is lost */
#define SETTLE_US 2000
#define LATE_US   30000 /* before a late crowd is asked for: to pin threads, say */

static struct link link;
static volatile uint64_t *const bells = &irq_count[LINK_IRQ];
static uint32_t rounds, warmup, seconds;

/* ---- doorbells: the register, or places in the window ---- */

struct bell {
	volatile uint32_t *at;
	uint32_t value;
};

static struct window window; /* of no size: rings go to the register */

static struct bell bell_of(uint32_t peer, uint32_t vector)
{
	uint32_t value = IVSHMEM_RING(peer, vector);

	if (window.size)
		return (struct bell){ window_place(&window, peer, vector), value };
	return (struct bell){ link.doorbell, value };
}

static bool comes_within(uint64_t seen, uint64_t us)
{
	uint64_t from = tsc(), ticks = us * tsc_khz() / 1000;

	while (*bells == seen)
		if (tsc() - from > ticks)
			return false;
	return true;
}

/* Ring until vector 0 of ours is rung. Return: how often that took. */
static unsigned int ring_until_it_comes(struct bell bell)
{
	uint64_t seen = *bells;
	unsigned int tries = 0;

	do {
		*bell.at = bell.value;
		tries++;
	} while (!comes_within(seen, RETRY_US));
	return tries;
}

static volatile uint32_t *word(unsigned int off)
{
	return (volatile uint32_t *)(link.memory + off);
}

static void ask(uint32_t what)
{
	*word(CROWD_ASKED) = what;
	while (*word(CROWD_DOING) != what)
		;
}

/* ---- measurements ---- */

/* The store alone. Return: how many rounds there was time for. */
static uint32_t ring(struct bell bell, uint32_t count)
{
	uint64_t deadline = tsc() + seconds * 1000 * tsc_khz(), from, to = 0;
	uint32_t i;

	for (i = 0; i < count && to < deadline; i++) {
		from = tsc();
		*bell.at = bell.value;
		to = tsc();
		samples[i] = to - from;
	}
	return i;
}

/* Until the interrupt that the ring brings about. */
static uint32_t ring_and_wait(struct bell bell, uint32_t count)
{
	uint64_t deadline = tsc() + seconds * 1000 * tsc_khz(), from, seen, to = 0;
	uint32_t i;

	for (i = 0; i < count && to < deadline; i++) {
		seen = *bells;
		from = tsc();
		*bell.at = bell.value;
		spin_while(bells, seen);
		to = tsc();
		samples[i] = to - from;
	}
	return i;
}

typedef uint32_t measurement(struct bell bell, uint32_t count);

static struct summary measure(const char *name, measurement *what, struct bell bell)
{
	what(bell, warmup);
	return summarize(name, what(bell, rounds));
}

/* From asking for the crowd until its last peer has been rung, and has rung back. */
static struct summary measure_join(struct bell last)
{
	uint64_t from;

	sleep_us(LATE_US);
	from = tsc();
	*word(CROWD_ASKED) = CROWD_JOIN;
	ring_until_it_comes(last);
	samples[0] = tsc() - from;
	sleep_us(SETTLE_US);
	ask(CROWD_IDLE);
	return summarize("late-join", 1);
}

static struct summary measure_answers(struct bell last)
{
	struct summary result;

	ask(CROWD_ANSWER);
	result = measure("far-round-trip", ring_and_wait, last);
	ask(CROWD_IDLE);
	return result;
}

/* ---- the program ---- */

enum { JOIN, OWN, FIRST, LAST, UNKNOWN, FAR, RESULTS };

static void measure_crowd(struct summary *results, struct bell last)
{
	if (arg_u64("late", 0))
		results[JOIN] = measure_join(last);
	results[OWN] = measure("own-doorbell", ring_and_wait, bell_of(link.id, 0));
	results[FIRST] = measure("write-first", ring, bell_of(0, 0));
	results[LAST] = measure("write-last", ring, last);
	results[UNKNOWN] = measure("write-unknown", ring, bell_of(IVSHMEM_MAX_ID, 0));
	if (arg_u64("answer", 0))
		results[FAR] = measure_answers(last);
}

void guest_main(void)
{
	uint32_t peers = arg_u64("peers", 1), vectors = arg_u64("vectors", 1), tries;
	struct summary results[RESULTS] = { { 0 } };

	rounds = arg_u64("rounds", 2000);
	warmup = arg_u64("warmup", 200);
	seconds = arg_u64("seconds", 1);
	if (rounds < 1 || rounds > MAX_SAMPLES || warmup > MAX_SAMPLES)
		guest_fail("rounds and warmup: at most %u, at least one round",
			   MAX_SAMPLES);
	if (peers < 1 || peers > IVSHMEM_MAX_ID || vectors < 1 || seconds < 1)
		guest_fail("peers, vectors and seconds: at least 1; peers: at most %u",
			   IVSHMEM_MAX_ID);
	watchdog(30, "a doorbell, in the crowd");
	link_open(&link);
	if (arg_u64("window", 0) &&
	    !window_open(&window, pci_find(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID)))
		guest_fail("window=1: the device has no doorbell window");
	tries = ring_until_it_comes(bell_of(link.id, 0));
	print("own doorbell after %u tries\n", tries);
	sleep_us(SETTLE_US);
	if (arg("peer"))
		results[LAST] =
			measure("write-peer", ring,
				bell_of(arg_u64("peer", 0), arg_u64("vector", 0)));
	else
		measure_crowd(results, bell_of(peers - 1, vectors - 1));
	print_summaries("doorbells", results, RESULTS);
}
