/* SPDX-License-Identifier: MIT */
/* ivshmem/memory.h - memory for clients that has been named: see ivshmem.h, too */
#ifndef BF_IVSHMEM_MEMORY_H
#define BF_IVSHMEM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/schema.h"

/*
 * POSIX shared memory, by name or descriptor. *@made: it has not been there before.
 * Return: a descriptor (returns); -EEXIST when it is there with another size...
 */
int bf_memory_shm(const char *what, const struct bf_file *shm, uint64_t size, bool *made,
		  struct belfry_error *err);

/* Remove the name, if it is @fd's still (borrowed). */
void bf_memory_unlink_shm(const struct bf_file *shm, int fd);

/* A file without a name, in a directory. Return: a descriptor (returns)... */
int bf_memory_in_dir(const char *what, const char *dir, uint64_t size,
		     struct belfry_error *err);

#endif
