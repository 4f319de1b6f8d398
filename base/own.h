/* SPDX-License-Identifier: MIT */
/* base/own.h - locals that release themselves, and small helpers of ownership */
#ifndef BF_OWN_H
#define BF_OWN_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define BF_CONTAINER_OF(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))
#define BF_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void bf_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void bf_free_ptr(void *p)
{
	free(*(void **)p);
}

/* An int that is closed, a pointer that is freed, at the end of its scope. */
#define BF_CLOSE __attribute__((cleanup(bf_close)))
#define BF_FREE  __attribute__((cleanup(bf_free_ptr)))

/* Move a descriptor out of a BF_CLOSE local. */
static inline int bf_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Move a pointer out of a BF_FREE local. */
#define bf_take_ptr(p)                          \
	({                                      \
		__typeof__(*(p)) taken_ = *(p); \
		*(p) = NULL;                    \
		taken_;                         \
	})

#endif
