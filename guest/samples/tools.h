/* SPDX-License-Identifier: MIT */
/* guest/samples/tools.h: what the samples share beside meet.h */
#ifndef TOOLS_H
#define TOOLS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void sleep_ns(uint64_t ns)
{
	const struct timespec t = { .tv_sec = ns / 1000000000,
				    .tv_nsec = ns % 1000000000 };

	nanosleep(&t, NULL);
}

/* Tell the processor that we wait in a loop. */
static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" : : : "memory");
#else
	__asm__ volatile("" : : : "memory");
#endif
}

/* Print a line to standard error, with @error's text when it is not 0; exit with 1. */
__attribute__((noreturn, format(printf, 2, 3))) void fail(int error, const char *format,
							  ...);

/* A number of @min to @max, or exit with 2 and a line that says what @name may be. */
uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max);

/* Print how a program is used; exit with 0 if that was asked for, else with 2. */
__attribute__((noreturn)) void show_usage(int asked, const char *usage);

/* Which of two words the only argument after the options is, 0 or 1; else show_usage().
 */
unsigned int choice(int argc, char **argv, const char *first, const char *second,
		    const char *usage);

#endif
