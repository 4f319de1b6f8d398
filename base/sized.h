/* SPDX-License-Identifier: MIT */
/*
 * base/sized.h - public structs that begin with their size: of callers that were compiled
 * with an earlier header than ours, or with a later one
 */
#ifndef BF_SIZED_H
#define BF_SIZED_H

#include <stddef.h>

#include <belfry.h>

/*
 * The bytes of struct @type up to @last, the last member that it had in the first
 * release: what every caller has.
 */
#define BF_SIZED_LEAST(type, last) \
	(offsetof(struct type, last) + sizeof(((struct type *)0)->last))

/*
 * Has the caller's @sized a size that can be meant?
 * Return: 0; -EINVAL when it is smaller than @least, or larger than any struct is.
 */
int bf_sized_check(const void *sized, size_t least, const char *what,
		   struct belfry_error *err);

/*
 * Fill the caller's @out with @in: as much as both know, and zeros behind that.
 * Return: as bf_sized_check().
 */
int bf_sized_give(void *out, const void *in, size_t least, const char *what,
		  struct belfry_error *err);

/*
 * Take the caller's @from over into @to, which keeps what an earlier caller does not
 * have. Return: as bf_sized_check(); -E2BIG when a later caller asks for what we do not
 * know.
 */
int bf_sized_take(void *to, const void *from, size_t least, const char *what,
		  struct belfry_error *err);

#endif
