/* SPDX-License-Identifier: MIT */
/* ivshmem/shared.h - shared memory that others may resize, read and written with care */
#ifndef BF_IVSHMEM_SHARED_H
#define BF_IVSHMEM_SHARED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bf_shared {
	int fd;        /* borrowed */
	uint64_t size; /* when it was looked at first */
};

/* Return: 0; -EPROTO when @fd (borrowed) is no file with a size. */
int bf_shared_init(struct bf_shared *shared, int fd, struct belfry_error *err);

/*
 * Return: 0; -ERANGE when the range is not within the memory; -EIO when the memory has
 * shrunk; another negative errno.
 */
int bf_shared_read(const struct bf_shared *shared, uint64_t offset, void *buf, size_t len,
		   struct belfry_error *err);
int bf_shared_write(const struct bf_shared *shared, uint64_t offset, const void *buf,
		    size_t len, struct belfry_error *err);

#endif
