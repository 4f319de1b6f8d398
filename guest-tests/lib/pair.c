/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/pair.c - how two guests meet in memory that may be full of old meetings
 *
 * Each role owns a slot. It empties the slot, fills it in, writes a fresh nonce into it,
 * and from then on keeps `echo` equal to the nonce it sees in the other's slot. Whoever
 * finds its own fresh nonce echoed knows that the other one is alive and has seen all of
 * its slot; what an earlier guest left behind cannot echo it. It echoes once more what it
 * sees then, so that the other one is let go too.
 *
 * x86 keeps stores in order, so volatile is all that is needed.
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"

#define SLOT_STEP 256 /* bytes; the CPU fetches neighbouring cache lines in pairs */

struct pair_slot {
	uint64_t nonce;
	uint64_t echo;
	uint32_t id; /* IVPosition */
	uint32_t phase;
};

static uint64_t new_nonce(void)
{
	return tsc() * 0x9e3779b97f4a7c15 | 1; /* never 0 */
}

static void fill_slot(volatile struct pair_slot *slot, uint32_t id)
{
	slot->nonce = 0;
	slot->echo = 0;
	slot->phase = 0;
	slot->id = id;
	slot->nonce = new_nonce();
}

static void await_echo(struct pair *pair)
{
	uint64_t nonce = pair->mine->nonce;

	while (pair->other->echo != nonce) {
		pair->mine->echo = pair->other->nonce;
		if (pair->mine->nonce != nonce)
			guest_fail("another guest of this link has the same role");
	}
	pair->mine->echo = pair->other->nonce;
}

void pair_meet(struct pair *pair, const struct link *link, enum pair_role role,
	       unsigned int seconds)
{
	volatile uint8_t *at = link->memory;
	volatile struct pair_slot *a = (volatile struct pair_slot *)at;
	volatile struct pair_slot *b = (volatile struct pair_slot *)(at + SLOT_STEP);

	*pair = (struct pair){
		.mine = role == PAIR_A ? a : b,
		.other = role == PAIR_A ? b : a,
		.ping = (volatile uint64_t *)(at + 2 * SLOT_STEP),
		.pong = (volatile uint64_t *)(at + 3 * SLOT_STEP),
		.words = (volatile uint64_t *)(at + 4 * SLOT_STEP),
	};
	*(role == PAIR_A ? pair->ping : pair->pong) = 0;
	fill_slot(pair->mine, link->id);
	watchdog(seconds, role == PAIR_A ? "no guest with role=b came to this link"
					 : "no guest with role=a came to this link");
	await_echo(pair);
	pair->bell = link_bell(link, pair->other->id);
	watchdog(seconds, "the other guest went silent");
}

void pair_barrier(struct pair *pair)
{
	pair->mine->phase = ++pair->phase;
	while ((int32_t)(pair->other->phase - pair->phase) < 0)
		;
}
