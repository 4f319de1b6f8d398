/* SPDX-License-Identifier: MIT */
/* guest-tests/hello.c - the smallest guest: says hello, shows what it was given, ends
 *
 * The time from the VMM's start to this guest's first line is its start-up time, so
 * nothing comes before that line.
 */
#include "guest-tests/guest.h"

void guest_main(void)
{
	print("hello\n");
	print("command line: %s\n", cmdline());
	print("APIC ID: %u\n", cpuid(1, 0).b >> 24);
}
