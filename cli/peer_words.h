/* SPDX-License-Identifier: MIT */
/* cli/peer_words.h - what people type at belfry peer: words, numbers, times */
#ifndef CLI_PEER_WORDS_H
#define CLI_PEER_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <belfry.h>

struct word {
	char *text; /* with a NUL behind it; quoted text may have others inside */
	size_t len;
	bool quoted;
};

struct words {
	struct word *word;
	unsigned int n;
	char *buf; /* where the texts are */
};

/*
 * Split the first command of *@line, which moves behind it. Words are separated by
 * blanks; a command ends at ";", at the end of the line, or at a "#" that begins a word.
 * Text in double quotes is one word, in which \n \t \r \0 \" \\ and \xHH stand for a
 * byte.
 *
 * Return: 0, also for an empty one, and words_free() is the caller's; -EINVAL for a quote
 * that does not end and an escape that is none; -ENOMEM.
 */
int words_split(struct words *words, const char **line, struct belfry_error *err);
void words_free(struct words *words);

/*
 * A number, decimal or 0x, maybe with a suffix (k M G T, binary), at most @max.
 * Return: 0; -EINVAL when it is none; -ERANGE when it is too large.
 */
int parse_number(const char *text, uint64_t max, uint64_t *out);

/*
 * A time, "500ms", "10s": us, ms, s, m or h; seconds without a unit.
 * Return: 0; -EINVAL; -ERANGE for more than 292 years.
 */
int parse_time(const char *text, uint64_t *ns);

/*
 * The CRC-32 of zlib, gzip and Ethernet (polynomial 0xedb88320, all bits inverted before
 * and after), of what @crc is of, and @len bytes more. That of nothing is 0.
 */
uint32_t crc32_more(uint32_t crc, const void *bytes, size_t len);

#endif
