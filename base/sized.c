/* SPDX-License-Identifier: MIT */
/* base/sized.c - structs of callers that know less than we do, or more */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/sized.h"

#define SIZE_MAX_MEANT 4096 /* more is a size that nobody has set */

static size_t size_of(const void *sized)
{
	return *(const size_t *)sized;
}

int bf_sized_check(const void *sized, size_t least, const char *what,
		   struct belfry_error *err)
{
	const size_t size = size_of(sized);

	if (size < least || size > SIZE_MAX_MEANT)
		return bf_err(err, EINVAL, "%s.size %zu: expected %zu to %d", what, size,
			      least, SIZE_MAX_MEANT);
	return 0;
}

int bf_sized_give(void *out, const void *in, size_t least, const char *what,
		  struct belfry_error *err)
{
	const size_t size = size_of(out);
	int e = bf_sized_check(out, least, what, err);

	if (e < 0)
		return e;
	memset(out, 0, size);
	memcpy(out, in, size < size_of(in) ? size : size_of(in));
	*(size_t *)out = size;
	return 0;
}

int bf_sized_take(void *to, const void *from, size_t least, const char *what,
		  struct belfry_error *err)
{
	const size_t ours = size_of(to);
	int e = bf_sized_check(from, least, what, err);

	if (e < 0)
		return e;
	for (size_t i = ours; i < size_of(from); i++)
		if (((const char *)from)[i])
			return bf_err(err, E2BIG,
				      "%s: byte %zu is set, and libbelfry " BELFRY_VERSION
				      " knows %zu",
				      what, i, ours);
	memcpy(to, from, ours < size_of(from) ? ours : size_of(from));
	*(size_t *)to = ours;
	return 0;
}
