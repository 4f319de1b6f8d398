/* SPDX-License-Identifier: MIT */
/* base/number.c - numbers, sizes and lists of CPUs, as people write them */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

#include "base/number.h"

static const char suffixes[] = "kMGT"; /* each 1024 times the one before */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* Decimal or 0x; a leading 0 is no octal. *@end is set to what follows the digits. */
static int parse_digits(const char *text, uint64_t *out, const char **end)
{
	int base = strncasecmp(text, "0x", 2) == 0 ? 16 : 10;
	const char *first = base == 16 ? text + 2 : text;
	const char *p = first;
	bool overflow = false;
	uint64_t n = 0;

	for (; digit_of(*p) < base; p++) {
		overflow |= __builtin_mul_overflow(n, base, &n);
		overflow |= __builtin_add_overflow(n, digit_of(*p), &n);
	}
	if (p == first)
		return -EINVAL;
	*end = p;
	*out = n;
	return overflow ? -ERANGE : 0;
}

int bf_parse_uint(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t n;
	int r = parse_digits(text, &n, &end);

	if (r == -EINVAL || *end)
		return -EINVAL;
	if (r == 0)
		*out = n;
	return r;
}

/* By how many bits a suffix shifts; -1 when it is none. */
static int suffix_shift(const char *suffix)
{
	if (!*suffix)
		return 0;
	for (int i = 0; suffixes[i]; i++) {
		if (tolower((unsigned char)*suffix) == tolower(suffixes[i]) && !suffix[1])
			return 10 * (i + 1);
	}
	return -1;
}

int bf_parse_size(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t n;
	int r = parse_digits(text, &n, &end);
	int shift;

	if (r == -EINVAL)
		return r;
	shift = suffix_shift(end);
	if (shift < 0)
		return -EINVAL;
	if (r < 0 || __builtin_mul_overflow(n, 1ULL << shift, &n))
		return -ERANGE;
	*out = n;
	return 0;
}

struct bf_size_text bf_size_text(uint64_t size)
{
	struct bf_size_text t;
	int i;

	for (i = 0; suffixes[i] && size && size % 1024 == 0; i++)
		size /= 1024;
	snprintf(t.text, sizeof(t.text), "%" PRIu64 "%.1s", size,
		 i ? &suffixes[i - 1] : "");
	return t;
}

/* One "2" or "2-3" of a list. Return: as bf_parse_cpus(), 0 for a good one. */
static int parse_cpu_range(const char **text, uint64_t *first, uint64_t *last)
{
	int r = parse_digits(*text, first, text);

	if (r < 0)
		return r;
	*last = *first;
	if (**text == '-')
		r = parse_digits(*text + 1, last, text);
	return r == 0 && *first > *last ? -EINVAL : r;
}

int bf_parse_cpus(const char *text, unsigned int min, unsigned int max,
		  unsigned int *cpus, unsigned int room)
{
	unsigned int n = 0;
	uint64_t first, last;
	int r;

	for (;; text++) {
		r = parse_cpu_range(&text, &first, &last);
		if (r < 0)
			return r;
		if (first < min || last > max)
			return -ERANGE;
		for (; first <= last; first++, n++) {
			if (n < room)
				cpus[n] = first;
		}
		if (!*text)
			return n;
		if (*text != ',')
			return -EINVAL;
	}
}
