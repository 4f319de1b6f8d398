/* SPDX-License-Identifier: MIT */
/* guest-tests/bench_crowd.c - many peers: what a ring costs, who answers, who comes late
 *
 * options: peer=ID vector=N  whom to ring (default 0, 0)
 *          guests=N          fan-out: how many answer
 *          index=N           fan-out: which of them this one is
 */
#include "guest-tests/bench.h"
#include "guest-tests/crowd_regs.h"

#define RETRY_US    500 /* a ring that nobody knows yet goes to user space and is lost */
#define SETTLE_US   2000
#define GUESTS_MAX  64
#define GUEST_OFF   4096 /* in the link's memory */
#define GUEST_STEP  256
#define EVERY_GUEST (GUEST_OFF + GUESTS_MAX * GUEST_STEP)

static struct link_bell named_bell(struct bench *b)
{
	uint32_t value = arg_u64("peer", 0) << 16 | arg_u64("vector", 0);

	if (b->link.window.base)
		return (struct link_bell){
			window_place(&b->link.window, value >> 16, value & 0xffff), value
		};
	return (struct link_bell){ b->link.doorbell, value };
}

static volatile uint32_t *word(struct bench *b, unsigned int off)
{
	return (volatile uint32_t *)(b->link.memory + off);
}

/* ---- the store alone, to one who does not answer ---- */

static uint64_t lead_store(struct bench *b, uint64_t deadline)
{
	struct link_bell bell = named_bell(b);
	uint64_t from, to = 0, i;

	for (i = 0; to < deadline; i++) {
		from = tsc();
		bench_ring(bell);
		to = tsc();
		bench_record(b, i, to - from);
	}
	return i;
}

/* ---- a process of the host's answers, or a thread that we wake for it ---- */

static void open_peer(struct bench *b)
{
	b->bell = named_bell(b);
}

static void ask(struct bench *b, uint32_t what)
{
	*word(b, CROWD_ASKED) = what;
	while (*word(b, CROWD_DOING) != what)
		;
}

static void open_host(struct bench *b)
{
	b->bell = named_bell(b);
	ask(b, CROWD_ANSWER);
}

static void stop_host(struct bench *b)
{
	ask(b, CROWD_IDLE);
}

/* ---- a crowd comes, all at once ---- */

static bool comes_within(uint64_t seen, uint64_t us)
{
	uint64_t from = tsc(), ticks = bench_ticks(us);

	while (*bench_heard == seen)
		if (tsc() - from > ticks)
			return false;
	return true;
}

/* From asking for it until its last peer has been rung, and has rung back. */
static uint64_t lead_late(struct bench *b, uint64_t deadline)
{
	struct link_bell last = named_bell(b);
	uint64_t from = tsc(), seen = *bench_heard;

	(void)deadline;
	*word(b, CROWD_ASKED) = CROWD_JOIN;
	do
		bench_ring(last);
	while (!comes_within(seen, RETRY_US));
	bench_record(b, 0, tsc() - from);
	return 1;
}

static void stop_late(struct bench *b)
{
	sleep_us(SETTLE_US);
	ask(b, CROWD_IDLE);
	b->bells = *bench_heard; /* each try that was heard has been answered */
}

/* ---- one rings many; each answers in a word of its own ---- */

struct guest_slot {
	uint64_t here;  /* IVPosition + 1 */
	uint64_t count; /* of interrupts */
};

static volatile struct guest_slot *slot(struct bench *b, unsigned int index)
{
	return (volatile struct guest_slot *)(b->link.memory + GUEST_OFF +
					      index * GUEST_STEP);
}

static unsigned int guests(void)
{
	uint64_t n = arg_u64("guests", 1);

	if (n < 1 || n > GUESTS_MAX)
		guest_fail("guests: 1 to %u", GUESTS_MAX);
	return n;
}

static void open_fan_out(struct bench *b)
{
	unsigned int n = guests(), i;

	for (i = 0; i < n; i++)
		while (!slot(b, i)->here)
			;
}

static uint64_t lead_fan_out(struct bench *b, uint64_t deadline)
{
	struct link_bell bells[GUESTS_MAX];
	uint64_t want = slot(b, 0)->count, from, to = 0, i;
	unsigned int n = guests(), g;

	for (g = 0; g < n; g++)
		bells[g] = link_bell(&b->link, slot(b, g)->here - 1);
	for (i = 0; to < deadline; i++) {
		want++;
		from = tsc();
		for (g = 0; g < n; g++)
			bench_ring(bells[g]);
		for (g = 0; g < n; g++)
			while (slot(b, g)->count != want)
				;
		to = tsc();
		bench_record(b, i, to - from);
	}
	return i;
}

static void stop_fan_out(struct bench *b)
{
	unsigned int n = guests(), g;

	*word(b, EVERY_GUEST) = 1;
	for (g = 0; g < n; g++)
		bench_ring(link_bell(&b->link, slot(b, g)->here - 1));
}

static void answer_fan_out(struct bench *b)
{
	volatile struct guest_slot *mine = slot(b, arg_u64("index", 0) % GUESTS_MAX);

	mine->here = b->link.id + 1ULL;
	for (;;) {
		halt_while(bench_heard, b->bells++);
		if (*word(b, EVERY_GUEST))
			return;
		mine->count = b->bells;
	}
}

const struct bench_mode bench_crowd[] = {
	{ .name = "store", .lead = lead_store },
	{ "peer", false, open_peer, bench_lead_spin, NULL, NULL },
	{ "host", false, open_host, bench_lead_spin, stop_host, NULL },
	{ "late", false, NULL, lead_late, stop_late, NULL },
	{ "fan-out", false, open_fan_out, lead_fan_out, stop_fan_out, answer_fan_out },
	{ 0 },
};
