/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/check.c - checks, printed in the Test Anything Protocol */
#include <stdarg.h>

#include "guest-tests/guest.h"
#include "guest-tests/lib/console.h"

static unsigned int checks, failures;

static bool report(bool holds, const char *format, va_list args)
{
	struct line line = { .used = 0 };

	print("%sok %u - ", holds ? "" : "not ", ++checks);
	line_format(&line, format, args);
	line_end(&line);
	failures += !holds;
	return holds;
}

bool check(bool holds, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(holds, format, args);
	va_end(args);
	return holds;
}

bool check_eq(uint64_t got, uint64_t want, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(got == want, format, args);
	va_end(args);
	if (got != want)
		print("# got 0x%lx, want 0x%lx\n", got, want);
	return got == want;
}

_Noreturn void check_end(void)
{
	print("1..%u\n", checks);
	guest_end(failures ? 1 : 0);
}
