/* SPDX-License-Identifier: MIT */
/* guest-tests/touch.c - reads and writes the last page of the shared memory for ever
 *
 * For tests that take the memory away. A line says that it has begun.
 *
 * options: seconds=30  then it gives up, with status 1
 */
#include "guest-tests/guest.h"
#include "guest-tests/link.h"

void guest_main(void)
{
	volatile uint64_t *last;
	struct link link;
	uint64_t times;

	watchdog(arg_u64("seconds", 30), "somebody to take the memory away");
	link_open_memory(&link);
	last = (volatile uint64_t *)(link.memory + link.size - 8);
	for (times = 1;; times++) {
		(*last)++;
		if (times == 1000)
			print("touching %lu KiB\n", link.size >> 10);
	}
}
