/* SPDX-License-Identifier: MIT */
/* base/hugepages.h - memory in pages of a chosen size: RAM and links */
#ifndef BF_HUGEPAGES_H
#define BF_HUGEPAGES_H

#include <stdint.h>

#include "base/err.h"

/* What memory is made of. */
enum bf_hugepages {
	BF_HUGEPAGES_NONE,
	BF_HUGEPAGES_2M,
	BF_HUGEPAGES_1G,
};

/* The words of a key for it, ended by NULL. */
extern const char *const bf_hugepages_words[];

/* How large the pages are; 4096 for BF_HUGEPAGES_NONE. */
uint64_t bf_hugepages_bytes(enum bf_hugepages kind);

/*
 * A memfd of @size bytes, which can be sealed. Huge pages are not taken before it is
 * mapped: see bf_hugepages_map().
 * Return: a descriptor (returns); -EOPNOTSUPP when the host has no such pages; another
 * negative errno.
 */
int bf_hugepages_memfd(const char *name, enum bf_hugepages kind, uint64_t size,
		       struct belfry_error *err);

/*
 * Map all of @fd; huge pages are set aside for it.
 * Return: 0; -EOPNOTSUPP when the host does not have as many, with a message that says
 * how to get them; another negative errno.
 */
int bf_hugepages_map(int fd, enum bf_hugepages kind, uint64_t size, void **out,
		     struct belfry_error *err);

#endif
