/* SPDX-License-Identifier: MIT */
/* base/number.h - numbers, sizes and lists of CPUs, as people write them */
#ifndef BF_NUMBER_H
#define BF_NUMBER_H

#include <stdint.h>

/* Parse decimal or 0x; a leading 0 is no octal. Return: 0; -EINVAL; -ERANGE. */
int bf_parse_uint(const char *text, uint64_t *out);

/* As bf_parse_uint(), with a suffix (k M G T, binary). Return: 0; -EINVAL; -ERANGE. */
int bf_parse_size(const char *text, uint64_t *out);

/* A size with the largest suffix that loses nothing: "16M". */
struct bf_size_text {
	char text[24];
};

struct bf_size_text bf_size_text(uint64_t size);

/*
 * Parse "0,2-3" into the host CPUs it names, in its order; those beyond @room are counted
 * and not stored.
 * Return: how many are named; -EINVAL for another syntax; -ERANGE for one outside
 * @min..@max.
 */
int bf_parse_cpus(const char *text, unsigned int min, unsigned int max,
		  unsigned int *cpus, unsigned int room);

#endif
