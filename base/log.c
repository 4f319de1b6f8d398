/* SPDX-License-Identifier: MIT */
/* base/log.c - the embedder's log callback, as every part of the library carries it */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

void bf_log(const struct bf_log *log, enum belfry_log_level level, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	if (!log->fn || level > log->max)
		return;
	n = snprintf(line, sizeof(line), "%s%s", log->who, log->who[0] ? ": " : "");
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	log->fn(log->user, level, line);
}
