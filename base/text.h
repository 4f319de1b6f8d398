/* SPDX-License-Identifier: MIT */
/* base/text.h - words as people write them: UTF-8, likeness, a short form for messages */
#ifndef BF_TEXT_H
#define BF_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* The code point at *@s, which moves past it; -1 (and no move) for what is not UTF-8. */
int32_t bf_utf8_next(const char **s);

bool bf_utf8_valid(const char *s);

/*
 * Looking for the word that @word was meant to be, among those handed to the call below.
 */
struct bf_nearest {
	const char *word;
	const char *best; /* NULL until one is near enough; borrowed */
	unsigned int distance;
};

/* @candidate must outlive @n. */
void bf_nearest_try(struct bf_nearest *n, const char *candidate);

/* A value as an error message quotes it: one line, cut when long. */
struct bf_brief {
	char text[48];
};

struct bf_brief bf_brief(const char *value);

#endif
