/* SPDX-License-Identifier: MIT */
/* guest-tests/echo.c - a guest that answers each ring by one ring
 *
 * Memory says whom: word 0 becomes our ID + 1 when we listen, word 1 is the ID of the
 * peer to ring back, word 2 counts our answers.
 *
 * options: rounds=3, then it powers off
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"

void guest_main(void)
{
	volatile uint64_t *bells = &irq_count[LINK_IRQ];
	uint32_t rounds = arg_u64("rounds", 3);
	volatile uint32_t *words;
	struct link link;
	uint64_t seen;

	link_open(&link);
	words = (volatile uint32_t *)link.memory;
	watchdog(30, "a ring");
	seen = *bells;
	words[0] = link.id + 1;
	print("listening as %u\n", link.id);
	for (uint32_t i = 0; i < rounds; i++) {
		halt_while(bells, seen++);
		struct link_bell bell = link_bell(&link, words[1]);

		words[2] = i + 1;
		*bell.at = bell.value;
	}
	print("answered %u rings\n", rounds);
}
