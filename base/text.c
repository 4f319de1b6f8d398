/* SPDX-License-Identifier: MIT */
/* base/text.c - words as people write them: UTF-8, likeness, a short form for messages */
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define WORD_MAX 32 /* longer words are not compared */

/* What a leading byte says: how many bytes follow, and the least they may encode. */
static int utf8_lead(unsigned char c, int32_t *bits, int32_t *least)
{
	if (c < 0x80) {
		*bits = c;
		*least = 0;
		return 0;
	}
	if (c >= 0xc2 && c < 0xe0) {
		*bits = c & 0x1f;
		*least = 0x80;
		return 1;
	}
	if (c >= 0xe0 && c < 0xf0) {
		*bits = c & 0x0f;
		*least = 0x800;
		return 2;
	}
	if (c >= 0xf0 && c < 0xf5) {
		*bits = c & 0x07;
		*least = 0x10000;
		return 3;
	}
	return -1;
}

int32_t bf_utf8_next(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	int32_t code, least;
	int more = utf8_lead(*p++, &code, &least);

	if (more < 0)
		return -1;
	for (; more > 0; more--, p++) {
		if ((*p & 0xc0) != 0x80) /* the end of the string included */
			return -1;
		code = code << 6 | (*p & 0x3f);
	}
	if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return -1;
	*s = (const char *)p;
	return code;
}

bool bf_utf8_valid(const char *s)
{
	while (*s) {
		if (bf_utf8_next(&s) < 0)
			return false;
	}
	return true;
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int least = a < b ? a : b;

	return least < c ? least : c;
}

/*
 * Optimal string alignment: how many letters to insert, drop, change or swap with their
 * neighbour. Row i of the matrix compares the first i letters of @a.
 */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][WORD_MAX + 1];
	unsigned int *above = rows[0], *row = rows[1], *older = rows[2], *spare;
	size_t len_a = strlen(a), len_b = strlen(b);

	for (size_t j = 0; j <= len_b; j++)
		above[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			row[j] = min3(row[j - 1] + 1, above[j] + 1,
				      above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = min3(row[j], row[j], older[j - 2] + 1);
		}
		spare = older;
		older = above;
		above = row;
		row = spare;
	}
	return above[len_b];
}

void bf_nearest_try(struct bf_nearest *n, const char *candidate)
{
	size_t len = strlen(n->word);
	unsigned int d;

	if (len > WORD_MAX || strlen(candidate) > WORD_MAX)
		return;
	d = distance(n->word, candidate);
	if (d > (len + 2) / 3 || (n->best && d >= n->distance))
		return;
	n->best = candidate;
	n->distance = d;
}

struct bf_brief bf_brief(const char *value)
{
	struct bf_brief b = { "\"\"" };
	size_t room = sizeof(b.text) - sizeof("...");
	size_t len = 0, step;
	const char *next;
	int32_t c;

	for (; *value; value = next, len += step) {
		next = value;
		c = bf_utf8_next(&next);
		next += c < 0; /* over a byte that is no text */
		step = next - value;
		if (len + step > room)
			break;
		memcpy(b.text + len, value, step);
		if (c < 0x20 || c == 0x7f)
			b.text[len] = '?';
	}
	if (len > 0)
		snprintf(b.text + len, sizeof(b.text) - len, "%s", *value ? "..." : "");
	return b;
}
