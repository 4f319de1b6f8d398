/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/args.c - the command line: key=value words with spaces between them */
#include "guest-tests/guest.h"
#include "guest-tests/lib/boot_info.h"

#define MAX_WORDS 32

static char copy[2048];
static const char *words[MAX_WORDS];
static unsigned int word_count;

const char *cmdline(void)
{
	const struct hvm_start_info *pvh = boot_info;
	const uint8_t *zero_page = boot_info;
	uint32_t at;

	if (pvh->magic == HVM_START_MAGIC)
		return pvh->cmdline ? (const char *)pvh->cmdline : "";
	memcpy(&at, zero_page + BOOT_CMDLINE, sizeof(at));
	return at ? (const char *)(uint64_t)at : "";
}

static void split_words(void)
{
	const char *text = cmdline();
	size_t size = strlen(text);
	char *at = copy;

	if (word_count > 0 || size >= sizeof(copy))
		return;
	memcpy(copy, text, size + 1);
	while (*at && word_count < MAX_WORDS) {
		while (*at == ' ')
			*at++ = '\0';
		if (*at)
			words[word_count++] = at;
		while (*at && *at != ' ')
			at++;
	}
}

const char *arg(const char *key)
{
	size_t size = strlen(key);
	unsigned int i;

	split_words();
	for (i = 0; i < word_count; i++)
		if (memcmp(words[i], key, size) == 0 && words[i][size] == '=')
			return words[i] + size + 1;
	return NULL;
}

bool arg_is(const char *key, const char *value)
{
	const char *found = arg(key);

	return found && str_eq(found, value);
}

#define NO_DIGIT 99

static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20; /* lower case */
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return NO_DIGIT;
}

static unsigned int unit_shift(char c)
{
	switch (c | 0x20) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return 0;
	}
}

uint64_t parse_u64(const char *text, const char **rest)
{
	bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	unsigned int base = hex ? 16 : 10, shift;
	uint64_t value = 0;

	for (text += hex ? 2 : 0; digit(*text) < base; text++)
		value = value * base + digit(*text);
	shift = unit_shift(*text);
	text += shift > 0;
	if (rest)
		*rest = text;
	return value << shift;
}

uint64_t arg_u64(const char *key, uint64_t otherwise)
{
	const char *text = arg(key), *rest;
	uint64_t value;

	if (!text)
		return otherwise;
	value = parse_u64(text, &rest);
	if (rest == text || *rest)
		guest_fail("%s=%s is not a number", key, text);
	return value;
}
