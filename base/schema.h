/* SPDX-License-Identifier: MIT */
/*
 * base/schema.h - tables that describe configuration keys
 *
 * A section (a VM, a link, an ivshmem device) is a C struct and a table of keys that say
 * which text fills which member. The parser, the range check, the help, the man page and
 * the JSON Schema all read the same rows.
 */
#ifndef BF_SCHEMA_H
#define BF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/number.h"

/* Text is UTF-8 without NUL. */
enum bf_type {
	BF_STRING, /* char *: min..max bytes */
	BF_CPUS,   /* char *: host CPUs, "0,2-3", each min..max */
	BF_FILE,   /* struct bf_file: the path of a file or socket */
	BF_SHM,    /* struct bf_file: the name of POSIX shared memory */
	BF_LINK,   /* struct bf_file: the name of a link of the same configuration */
	BF_SIZE,   /* uint64_t: bytes, written 4096, 64k, 16M, 1G, 0x1000 */
	BF_POW2,   /* as BF_SIZE, a power of two */
	BF_PAGES,  /* as BF_SIZE, a multiple of 4096 */
	BF_UINT,   /* uint64_t */
	BF_BOOL,   /* bool: true, false, on, off, yes, no */
	BF_CHOICE, /* uint64_t: which of the key's choices */
};

/*
 * What a path or name opens. @path is malloc'ed, and NULL when not given. @fd is owned,
 * or -1; it stands for what @path would open, and @path remains its name.
 */
struct bf_file {
	char *path;
	int fd;
};

static inline bool bf_file_given(const struct bf_file *f)
{
	return f->path || f->fd >= 0;
}

struct bf_key {
	const char *name;
	enum bf_type type;
	size_t at;    /* offset of the member */
	uint64_t min; /* bounds: of the number, or of the text's length in bytes */
	uint64_t max;
	const char *init;           /* the default as text, BF_REQUIRED, or NULL: none */
	const char *help;           /* half a sentence, no full stop */
	const char *const *choices; /* BF_CHOICE: the words, ended by NULL */
};

/* In place of a default: a section without this key is a mistake. */
extern const char bf_required[];
#define BF_REQUIRED bf_required

static inline bool bf_key_required(const struct bf_key *key)
{
	return key->init == bf_required;
}

/* NULL for a key without one: its text is then NULL, its number 0. */
static inline const char *bf_key_default(const struct bf_key *key)
{
	return bf_key_required(key) ? NULL : key->init;
}

/* Fill a zeroed struct with its defaults. Return: 0; -ENOMEM. */
int bf_schema_init(const struct bf_key *keys, void *conf, struct belfry_error *err);

/* Free strings and close descriptors. */
void bf_schema_fini(const struct bf_key *keys, void *conf);

/* The row of @name; NULL when there is none. */
const struct bf_key *bf_schema_find(const struct bf_key *keys, const char *name);

/*
 * Parse @value into the member of @key; the old value is released on success only.
 * Return: 0; -EINVAL, the message what is wrong with the value, without the value: "at
 * most 64", "not a power of two; 4M would do"; -ENOMEM.
 */
int bf_schema_set(const struct bf_key *key, void *conf, const char *value,
		  struct belfry_error *err);

/*
 * Give a BF_FILE, BF_SHM or BF_LINK a duplicate of @fd.
 * Return: 0; -EINVAL; -EBADF; -EMFILE.
 */
int bf_schema_set_fd(const struct bf_key *key, void *conf, int fd,
		     struct belfry_error *err);

/* The member of a BF_FILE, BF_SHM or BF_LINK; NULL for other types. */
const struct bf_file *bf_schema_file(const struct bf_key *key, const void *conf);

/* Has @key a value, be it a default or a descriptor? */
bool bf_schema_given(const struct bf_key *key, const void *conf);

/*
 * The value of @key as text that bf_schema_set() takes, borrowed from @conf or put into
 * @number; NULL when it has none, or a descriptor only.
 */
const char *bf_schema_text(const struct bf_key *key, const void *conf,
			   struct bf_size_text *number);

/* The words of a BF_CHOICE in a row. */
struct bf_choices_text {
	char text[64];
};

struct bf_choices_text bf_schema_choices(const struct bf_key *key, const char *between);

/* What a value of @type is called: a word for tables, a phrase for "expected ...". */
const char *bf_type_word(enum bf_type type);
const char *bf_type_phrase(enum bf_type type);

#endif
