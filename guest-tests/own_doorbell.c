/* SPDX-License-Identifier: MIT */
/* guest-tests/own_doorbell.c - a guest rings itself: one interrupt a ring, and how soon
 *
 * options: rounds=10000 warmup=1000
 *          window=1  by the doorbell window
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"
#include "guest-tests/samples.h"

#define SETTLE_MS 5 /* for an interrupt too many to show up */

/* From before the ring to when this code runs on after the interrupt's handler. */
static void ring_myself(struct link *link, uint32_t rounds)
{
	volatile uint64_t *bells = &irq_count[LINK_IRQ];
	struct link_bell bell = link_bell(link, link->id);
	uint64_t from, seen;
	uint32_t i;

	for (i = 0; i < rounds; i++) {
		seen = *bells;
		from = tsc();
		*bell.at = bell.value;
		spin_while(bells, seen);
		samples[i] = tsc() - from;
	}
}

void guest_main(void)
{
	uint32_t rounds = arg_u64("rounds", 10000), warmup = arg_u64("warmup", 1000);
	struct summary result;
	struct link link;

	if (rounds < 1 || rounds > MAX_SAMPLES || warmup > MAX_SAMPLES)
		guest_fail("rounds and warmup: at most %u, at least one round",
			   MAX_SAMPLES);
	link_open(&link);
	if (arg_u64("window", 0))
		link_use_window(&link);
	watchdog(20, "own doorbell");
	check_eq(irq_count[LINK_IRQ], 0, "no interrupt before the first ring");
	ring_myself(&link, warmup);
	ring_myself(&link, rounds);
	wait_until(&irq_count[LINK_IRQ], warmup + rounds + 1, SETTLE_MS);
	check_eq(irq_count[LINK_IRQ], warmup + rounds, "exactly one interrupt a ring");

	result = summarize("own-doorbell", rounds);
	print_summaries("own doorbell to the end of its handler", &result, 1);
	check_end();
}
