/* SPDX-License-Identifier: MIT */
/* guest-tests/bench.c - the guest of `belfry bench`: measures one thing
 *
 * options: do=NAME             which; the tables are in bench_bells.c, bench_memory.c and
 *                              bench_crowd.c, with options of their own
 *          role=a|b            of two guests: a measures, b answers
 *          ms=200 warmup=50    how long, in milliseconds
 *          max=32768           samples that are kept, at most
 *          samples=GPA,SIZE    where the samples go on the bare KVM path; elsewhere the
 *                              second ivshmem device has them
 *          limit=10            seconds to wait for the other guest
 *          window=1            ring by the doorbell window
 *          alone=1             wait for no host, and print the percentiles
 *          ready=1             only ring oneself, and say so: for the time of a start
 */
#include "guest-tests/bench.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/samples.h"

#define PAGE      4096
#define EXTRA_S   20 /* the watchdog's, beside the time that was asked for */
#define SETTLE_MS 2  /* for an interrupt too many to show up */

static const struct bench_mode *find_mode(const char *name)
{
	const struct bench_mode *const tables[] = { bench_bells, bench_memory,
						    bench_crowd };
	const struct bench_mode *mode;
	unsigned int i;

	for (i = 0; name && i < sizeof(tables) / sizeof(tables[0]); i++)
		for (mode = tables[i]; mode->name; mode++)
			if (str_eq(mode->name, name))
				return mode;
	guest_fail("do=%s: there is no such measurement", name ? name : "");
}

/* ---- the page that the host reads ---- */

static volatile void *find_page(const struct bench *b)
{
	const struct ivshmem measured = { .dev = b->link.dev };
	const char *floor = arg("samples");
	struct ivshmem plain;
	uint64_t gpa;

	if (floor) {
		gpa = parse_u64(floor, &floor);
		return map(gpa, parse_u64(floor + 1, NULL));
	}
	if (!ivshmem_open_after(&plain, &measured))
		guest_fail("no second ivshmem device, for the samples");
	return plain.memory;
}

/* Touched once, so that no sample pays for a page that is new to this VM. */
static void open_page(struct bench *b)
{
	static struct bench_page own;
	volatile uint8_t *page;
	uint64_t i;

	if (b->alone) {
		b->page = &own;
		b->samples = samples;
		b->max = b->max < MAX_SAMPLES ? b->max : MAX_SAMPLES;
	} else {
		page = find_page(b);
		b->page = (volatile struct bench_page *)page;
		b->samples = (volatile uint32_t *)(page + BENCH_SAMPLES);
	}
	for (i = 0; i < b->max; i += PAGE / sizeof(uint32_t))
		b->samples[i] = 0;
	b->page->tsc_khz = tsc_khz();
}

/* Say where we are, and wait until the host wants to go on. */
static void report(struct bench *b, uint32_t state, uint32_t go)
{
	b->page->state = state;
	while (b->page->go != go && !b->alone)
		;
}

/* ---- the two roles ---- */

static void lead(struct bench *b, const struct bench_mode *mode)
{
	uint64_t ms = arg_u64("ms", 200), warmup = arg_u64("warmup", 50);
	uint64_t khz = tsc_khz(), count;

	b->max = arg_u64("max", 32768);
	b->alone = arg_u64("alone", 0);
	open_page(b);
	if (mode->open)
		mode->open(b);
	if (warmup > 0)
		mode->lead(b, tsc() + warmup * khz);
	report(b, BENCH_READY, BENCH_GO_START);
	count = mode->lead(b, tsc() + ms * khz);
	b->page->count = count < b->max ? count : b->max;
	report(b, BENCH_TIMED, BENCH_GO_END);
	if (mode->stop)
		mode->stop(b);
}

static void tell(const struct bench *b, const struct bench_mode *mode)
{
	const struct summary row = summarize(mode->name, b->page->count);

	print_summaries("by itself", &row, 1);
}

/* Every ring must have raised one interrupt, no more and no less. */
static void expect_bells(const struct bench *b)
{
	wait_until(bench_heard, b->bells + 1, SETTLE_MS);
	if (*bench_heard != b->bells)
		guest_fail("%lu interrupts, not %lu", *bench_heard, b->bells);
}

static void ring_myself(struct bench *b)
{
	bench_ring(link_bell(&b->link, b->link.id));
	spin_while(bench_heard, b->bells++);
	print("ready\n");
}

void guest_main(void)
{
	const struct bench_mode *mode;
	struct bench b = { .bells = 0 };
	bool is_a = !arg_is("role", "b");

	watchdog(arg_u64("ms", 200) / 1000 * 2 + EXTRA_S, "the measurement's end");
	link_open(&b.link);
	if (arg_u64("window", 0))
		link_use_window(&b.link);
	b.bell = link_bell(&b.link, b.link.id);
	if (arg_u64("ready", 0)) {
		ring_myself(&b);
		return;
	}
	mode = find_mode(arg("do"));
	if (mode->pair) {
		pair_meet(&b.pair, &b.link, is_a ? PAIR_A : PAIR_B, arg_u64("limit", 10));
		watchdog(arg_u64("ms", 200) / 1000 * 2 + EXTRA_S,
			 "the other guest went silent");
		b.bell = b.pair.bell;
		pair_barrier(&b.pair);
	}
	if (is_a)
		lead(&b, mode);
	else if (mode->answer)
		mode->answer(&b);
	expect_bells(&b);
	if (is_a)
		b.page->state = BENCH_FINISHED;
	if (b.alone)
		tell(&b, mode);
}
