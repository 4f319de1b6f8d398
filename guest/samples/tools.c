/* SPDX-License-Identifier: MIT */
/* guest/samples/tools.c: see tools.h */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools.h"

void fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (error)
		fprintf(stderr, ": %s", strerror(error < 0 ? -error : error));
	fputc('\n', stderr);
	exit(1);
}

uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *text < '0' || *text > '9' || *end || value < min || value > max) {
		fprintf(stderr, "%s %s: a number of %" PRIu64 " to %" PRIu64 "\n", name,
			text, min, max);
		exit(2);
	}
	return value;
}

void show_usage(int asked, const char *usage)
{
	fputs(usage, asked ? stdout : stderr);
	exit(asked ? 0 : 2);
}

unsigned int choice(int argc, char **argv, const char *first, const char *second,
		    const char *usage)
{
	const char *word = argc - optind == 1 ? argv[optind] : "";

	if (strcmp(word, first) && strcmp(word, second))
		show_usage(0, usage);
	return strcmp(word, second) == 0;
}
