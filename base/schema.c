/* SPDX-License-Identifier: MIT */
/* base/schema.c - tables that describe configuration keys: parse, check, print values */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/own.h"
#include "base/schema.h"
#include "base/text.h"

#define PAGE 4096

const char bf_required[] = "";

/* --- types --- */

/* clang-format off */
static const struct type {
	const char *word;
	const char *phrase;
} types[] = {
	[BF_STRING] = { "text",   "text" },
	[BF_CPUS]   = { "cpus",   "CPUs such as 0,2-3" },
	[BF_FILE]   = { "path",   "a path" },
	[BF_SHM]    = { "name",   "a name" },
	[BF_LINK]   = { "link",   "the name of a link" },
	[BF_SIZE]   = { "size",   "a size such as 4096, 64k or 16M" },
	[BF_POW2]   = { "size",   "a size such as 4096, 64k or 16M" },
	[BF_PAGES]  = { "size",   "a size such as 4096, 64k or 16M" },
	[BF_UINT]   = { "number", "a number" },
	[BF_BOOL]   = { "bool",   "true or false" },
	[BF_CHOICE] = { "word",   "a word" },
};
/* clang-format on */

const char *bf_type_word(enum bf_type type)
{
	return types[type].word;
}

const char *bf_type_phrase(enum bf_type type)
{
	return types[type].phrase;
}

/* --- setting --- */

static void *member(const struct bf_key *key, const void *conf)
{
	return (char *)conf + key->at;
}

/* A path and a list of CPUs are bounded as well, but their bounds tell nobody much. */
static int wrong_type(const struct bf_key *key, struct belfry_error *err)
{
	return bf_err(err, EINVAL, "expected %s", bf_type_phrase(key->type));
}

static int set_bool(const struct bf_key *key, void *conf, const char *value,
		    struct belfry_error *err)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };

	for (size_t i = 0; i < BF_ARRAY_LEN(words); i++) {
		if (strcasecmp(value, words[i]) == 0) {
			*(bool *)member(key, conf) = i % 2;
			return 0;
		}
	}
	return wrong_type(key, err);
}

static int set_uint(const struct bf_key *key, void *conf, const char *value,
		    struct belfry_error *err)
{
	uint64_t n;
	int r = bf_parse_uint(value, &n);

	if (r == -EINVAL)
		return bf_err(err, EINVAL, "expected a number, %" PRIu64 " to %" PRIu64,
			      key->min, key->max);
	if (r == -ERANGE || n > key->max)
		return bf_err(err, EINVAL, "at most %" PRIu64, key->max);
	if (n < key->min)
		return bf_err(err, EINVAL, "at least %" PRIu64, key->min);
	*(uint64_t *)member(key, conf) = n;
	return 0;
}

static int set_choice(const struct bf_key *key, void *conf, const char *value,
		      struct belfry_error *err)
{
	for (unsigned int i = 0; key->choices[i]; i++) {
		if (strcmp(value, key->choices[i]) == 0) {
			*(uint64_t *)member(key, conf) = i;
			return 0;
		}
	}
	return bf_err(err, EINVAL, "expected %s", bf_schema_choices(key, ", ").text);
}

struct bf_choices_text bf_schema_choices(const struct bf_key *key, const char *between)
{
	struct bf_choices_text all = { "" };
	size_t len = 0;

	for (unsigned int i = 0; key->choices[i] && len < sizeof(all.text); i++)
		len += snprintf(all.text + len, sizeof(all.text) - len, "%s%s",
				i ? between : "", key->choices[i]);
	return all;
}

static uint64_t next_power_of_two(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static int check_size(const struct bf_key *key, uint64_t n, struct belfry_error *err)
{
	uint64_t whole = (n + PAGE - 1) / PAGE * PAGE;

	if (n > key->max)
		return bf_err(err, EINVAL, "at most %s", bf_size_text(key->max).text);
	if (n < key->min)
		return bf_err(err, EINVAL, "at least %s", bf_size_text(key->min).text);
	if (key->type == BF_POW2 && (n & (n - 1)))
		return bf_err(err, EINVAL, "not a power of two; %s would do",
			      bf_size_text(next_power_of_two(n)).text);
	if (key->type == BF_PAGES && n != whole)
		return bf_err(err, EINVAL, "not a multiple of 4k; %s would do",
			      bf_size_text(whole).text);
	return 0;
}

static int set_size(const struct bf_key *key, void *conf, const char *value,
		    struct belfry_error *err)
{
	uint64_t n;
	int r = bf_parse_size(value, &n);

	if (r == -EINVAL)
		return bf_err(err, EINVAL, "expected %s, %s to %s",
			      bf_type_phrase(key->type), bf_size_text(key->min).text,
			      bf_size_text(key->max).text);
	r = check_size(key, r == -ERANGE ? UINT64_MAX : n, err);
	if (r == 0)
		*(uint64_t *)member(key, conf) = n;
	return r;
}

static int check_length(const struct bf_key *key, const char *value,
			struct belfry_error *err)
{
	size_t len = strlen(value);

	if (len > key->max)
		return bf_err(err, EINVAL, "%zu bytes, at most %" PRIu64, len, key->max);
	if (len < key->min)
		return bf_err(err, EINVAL, "expected %s", bf_type_phrase(key->type));
	return 0;
}

/* shm_overview(7): a slash in front, or none; none inside. */
static int check_shm(const char *value, struct belfry_error *err)
{
	value += *value == '/';
	if (!*value || strchr(value, '/') || !strcmp(value, ".") || !strcmp(value, ".."))
		return bf_err(err, EINVAL,
			      "expected a name such as ring, without '/' inside");
	return 0;
}

static int check_cpus(const struct bf_key *key, const char *value,
		      struct belfry_error *err)
{
	int n = bf_parse_cpus(value, key->min, key->max, NULL, 0);

	if (n == -ERANGE)
		return bf_err(err, EINVAL, "CPUs are %" PRIu64 " to %" PRIu64, key->min,
			      key->max);
	return n < 0 ? wrong_type(key, err) : 0;
}

static int check_text(const struct bf_key *key, const char *value,
		      struct belfry_error *err)
{
	int r;

	if (!bf_utf8_valid(value))
		return bf_err(err, EINVAL, "not UTF-8");
	if (key->type == BF_CPUS)
		return check_cpus(key, value, err);
	r = check_length(key, value, err);
	return r == 0 && key->type == BF_SHM ? check_shm(value, err) : r;
}

/* *@at is a string of ours, or NULL. */
static int set_text(const struct bf_key *key, char **at, const char *value,
		    struct belfry_error *err)
{
	char *copy;
	int r = check_text(key, value, err);

	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return bf_err(err, ENOMEM, "out of memory");
	free(*at);
	*at = copy;
	return 0;
}

static int set_file(const struct bf_key *key, struct bf_file *file, const char *value,
		    struct belfry_error *err)
{
	int r = set_text(key, &file->path, value, err);

	if (r == 0)
		bf_close(&file->fd);
	return r;
}

int bf_schema_set(const struct bf_key *key, void *conf, const char *value,
		  struct belfry_error *err)
{
	switch (key->type) {
	case BF_STRING:
	case BF_CPUS:
		return set_text(key, member(key, conf), value, err);
	case BF_FILE:
	case BF_SHM:
	case BF_LINK:
		return set_file(key, member(key, conf), value, err);
	case BF_SIZE:
	case BF_POW2:
	case BF_PAGES:
		return set_size(key, conf, value, err);
	case BF_UINT:
		return set_uint(key, conf, value, err);
	case BF_BOOL:
		return set_bool(key, conf, value, err);
	case BF_CHOICE:
		return set_choice(key, conf, value, err);
	}
	return -EINVAL;
}

static bool is_file(const struct bf_key *key)
{
	return key->type == BF_FILE || key->type == BF_SHM || key->type == BF_LINK;
}

int bf_schema_set_fd(const struct bf_key *key, void *conf, int fd,
		     struct belfry_error *err)
{
	struct bf_file *file = member(key, conf);
	int copy;

	if (!is_file(key))
		return bf_err(err, EINVAL, "%s takes no descriptor",
			      bf_type_word(key->type));
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return bf_err_sys(err, errno, "descriptor %d", fd);
	bf_close(&file->fd);
	file->fd = copy;
	return 0;
}

/* --- whole structs, and the way back --- */

int bf_schema_init(const struct bf_key *keys, void *conf, struct belfry_error *err)
{
	const char *init;
	int r;

	for (const struct bf_key *key = keys; key->name; key++) {
		if (is_file(key))
			((struct bf_file *)member(key, conf))->fd = -1;
	}
	for (const struct bf_key *key = keys; key->name; key++) {
		init = bf_key_default(key);
		r = init ? bf_schema_set(key, conf, init, err) : 0;
		if (r < 0) {
			bf_schema_fini(keys, conf);
			return r;
		}
	}
	return 0;
}

static void release(const struct bf_key *key, void *at)
{
	struct bf_file *file = at;
	char **string = at;

	if (is_file(key)) {
		free(bf_take_ptr(&file->path));
		bf_close(&file->fd);
	} else if (key->type == BF_STRING || key->type == BF_CPUS) {
		free(bf_take_ptr(string));
	}
}

void bf_schema_fini(const struct bf_key *keys, void *conf)
{
	for (const struct bf_key *key = keys; key->name; key++)
		release(key, member(key, conf));
}

const struct bf_key *bf_schema_find(const struct bf_key *keys, const char *name)
{
	for (const struct bf_key *key = keys; key->name; key++) {
		if (strcmp(key->name, name) == 0)
			return key;
	}
	return NULL;
}

const struct bf_file *bf_schema_file(const struct bf_key *key, const void *conf)
{
	return is_file(key) ? member(key, conf) : NULL;
}

const char *bf_schema_text(const struct bf_key *key, const void *conf,
			   struct bf_size_text *number)
{
	const void *at = member(key, conf);
	uint64_t n;

	switch (key->type) {
	case BF_STRING:
	case BF_CPUS:
		return *(char *const *)at;
	case BF_FILE:
	case BF_SHM:
	case BF_LINK:
		return bf_schema_file(key, conf)->path;
	case BF_BOOL:
		return *(const bool *)at ? "true" : "false";
	default:
		break;
	}
	n = *(const uint64_t *)at;
	if (key->type == BF_CHOICE)
		return key->choices[n];
	if (!n && !bf_key_default(key))
		return NULL;
	*number = bf_size_text(n);
	if (key->type == BF_UINT)
		snprintf(number->text, sizeof(number->text), "%" PRIu64, n);
	return number->text;
}

bool bf_schema_given(const struct bf_key *key, const void *conf)
{
	const struct bf_file *file = bf_schema_file(key, conf);
	struct bf_size_text number;

	return file ? bf_file_given(file) : bf_schema_text(key, conf, &number) != NULL;
}
