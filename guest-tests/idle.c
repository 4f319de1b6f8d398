/* SPDX-License-Identifier: MIT */
/* guest-tests/idle.c - a guest that only exists, to see what a VM costs while it idles */
#include "guest-tests/guest.h"

void guest_main(void)
{
	print("idle\n");
	halt_while(&irq_count[0], 0); /* forever: nothing counts here */
}
