/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/config_fuzz.c - any text as a configuration
 *
 * The input is a YAML text, then any number of paths and values for belfry_config_set(),
 * each ended by a NUL. Whatever it is: nothing crashes or leaks, a call that fails to set
 * changes nothing, and what is printed loads again to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <belfry.h>

#include "base/own.h"

static char *text_of(const struct belfry_config *cfg)
{
	char *text;

	if (belfry_config_text(cfg, &text, NULL) < 0)
		abort();
	return text;
}

static void check_round_trip(const struct belfry_config *cfg)
{
	struct belfry_config *copy;
	BF_FREE char *text = text_of(cfg);
	BF_FREE char *again = NULL;

	if (belfry_config_create(&copy, NULL) < 0)
		abort();
	if (belfry_config_load_string(copy, "printed", text, NULL) < 0)
		abort();
	again = text_of(copy);
	if (strcmp(text, again) != 0)
		abort();
	belfry_config_destroy(copy);
}

static void check_set(struct belfry_config *cfg, const char *path, const char *value)
{
	struct belfry_error err = { 0 };
	BF_FREE char *before = text_of(cfg);
	BF_FREE char *after = NULL;

	if (belfry_config_set(cfg, path, value, &err) == 0)
		return;
	after = text_of(cfg);
	if (strcmp(before, after) != 0 || !err.msg[0] || strchr(err.msg, '\n'))
		abort();
}

static void run(struct belfry_config *cfg, const char *input, const char *end)
{
	struct belfry_error err = { 0 };
	const char *path = input + strlen(input) + 1;
	const char *value;

	if (belfry_config_load_string(cfg, "fuzz", input, &err) < 0 &&
	    (!err.msg[0] || strchr(err.msg, '\n')))
		abort();
	for (; path < end; path = value + strlen(value) + 1) {
		value = path + strlen(path) + 1;
		if (value >= end)
			break;
		check_set(cfg, path, value);
	}
	belfry_config_validate(cfg, &err);
	check_round_trip(cfg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BF_FREE char *input = malloc(size + 1);
	struct belfry_config *cfg;

	if (!input || belfry_config_create(&cfg, NULL) < 0)
		return 0;
	memcpy(input, data, size);
	input[size] = '\0';
	run(cfg, input, input + size);
	belfry_config_destroy(cfg);
	return 0;
}
