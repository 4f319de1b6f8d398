/* SPDX-License-Identifier: MIT */
/* cli/peer_words.c - what people type at belfry peer: words, numbers, times */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/peer_words.h"

/* --- words --- */

static int complain(struct belfry_error *err, int code, const char *what)
{
	err->code = -code;
	snprintf(err->msg, sizeof(err->msg), "%s", what);
	return -code;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* What follows a backslash. Return: the byte; -1: no escape. *@p moves past it. */
static int unescape(const char **p)
{
	static const char names[] = "ntr0\"\\";
	static const char bytes[] = "\n\t\r\0\"\\";
	const char *s = *p;
	const char *name;

	if (*s == 'x' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
		*p += 3;
		return hex_digit(s[1]) * 16 + hex_digit(s[2]);
	}
	name = *s ? strchr(names, *s) : NULL;
	if (!name)
		return -1;
	*p += 1;
	return bytes[name - names];
}

/* @p stands behind the quote. @to has room. Return: where the text ends; NULL: @why. */
static const char *take_quoted(const char *p, struct word *word, const char **why)
{
	int c;

	while (*p && *p != '"') {
		c = (unsigned char)*p++;
		if (c == '\\')
			c = unescape(&p);
		if (c < 0) {
			*why = "escapes are \\n \\t \\r \\0 \\\" \\\\ and \\xHH";
			return NULL;
		}
		word->text[word->len++] = c;
	}
	if (!*p) {
		*why = "a quote is not closed";
		return NULL;
	}
	return p + 1;
}

static const char *take_plain(const char *p, struct word *word)
{
	while (*p && !strchr(" \t\r\n;\"", *p))
		word->text[word->len++] = *p++;
	return p;
}

/* The next word, at most as long as what is left of the line. */
static const char *take_word(const char *p, struct word *word, const char **why)
{
	word->quoted = *p == '"';
	p = word->quoted ? take_quoted(p + 1, word, why) : take_plain(p, word);
	if (!p)
		return NULL;
	word->text[word->len] = '\0';
	if (*p && !strchr(" \t\r\n;", *p)) {
		*why = "a quote begins or ends within a word";
		return NULL;
	}
	return p;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r");
}

int words_split(struct words *w, const char **line, struct belfry_error *err)
{
	const size_t len = strlen(*line);
	const char *p = skip_blanks(*line);
	const char *why = NULL;
	char *to;

	/* A word and its NUL take no more than the word and the blank behind it. */
	*w = (struct words){
		.word = calloc(len / 2 + 1, sizeof(*w->word)),
		.buf = malloc(len + 2),
	};
	if (!w->word || !w->buf) {
		words_free(w);
		return complain(err, ENOMEM, "out of memory");
	}
	for (to = w->buf; *p && !strchr(";\n#", *p); p = skip_blanks(p)) {
		struct word *word = &w->word[w->n++];

		word->text = to;
		p = take_word(p, word, &why);
		if (!p) {
			words_free(w);
			return complain(err, EINVAL, why);
		}
		to += word->len + 1;
	}
	*line = *p == '#' ? p + strcspn(p, "\n") : p;
	*line += **line != '\0';
	return 0;
}

void words_free(struct words *w)
{
	free(w->word);
	free(w->buf);
	*w = (struct words){ 0 };
}

/* --- numbers and times --- */

struct unit {
	const char *name;
	uint64_t times;
};

/* @text is a number and the name of one of @units, which end with a NULL. */
static int parse_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
	const bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned long long n;
	char *end;

	/* strtoull(3) takes blanks and signs, too */
	if (hex ? !isxdigit((unsigned char)text[2]) : !isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	for (; units->name; units++)
		if (strcasecmp(end, units->name) == 0)
			break;
	if (!units->name)
		return -EINVAL;
	if (errno == ERANGE || __builtin_mul_overflow(n, units->times, out))
		return -ERANGE;
	return 0;
}

int parse_number(const char *text, uint64_t max, uint64_t *out)
{
	static const struct unit units[] = {
		{ "", 1 },           { "k", 1ULL << 10 }, { "M", 1ULL << 20 },
		{ "G", 1ULL << 30 }, { "T", 1ULL << 40 }, { NULL, 0 },
	};
	uint64_t n;
	int r = parse_with_unit(text, units, &n);

	if (r < 0)
		return r;
	if (n > max)
		return -ERANGE;
	*out = n;
	return 0;
}

int parse_time(const char *text, uint64_t *ns)
{
	static const struct unit units[] = {
		{ "us", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "", 1000000000 },
		{ "m", 60ULL * 1000000000 },
		{ "h", 3600ULL * 1000000000 },
		{ NULL, 0 },
	};
	uint64_t n;
	int r = parse_with_unit(text, units, &n);

	if (r == 0 && n > INT64_MAX)
		r = -ERANGE;
	if (r == 0)
		*ns = n;
	return r;
}

/* --- checksum --- */

/* Half a byte at a time: row i is what is left of i after four steps of division. */
uint32_t crc32_more(uint32_t crc, const void *bytes, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = bytes;

	crc = ~crc;
	for (; len > 0; len--, p++) {
		crc = table[(crc ^ *p) & 15] ^ crc >> 4;
		crc = table[(crc ^ *p >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}
