/* SPDX-License-Identifier: MIT */
/* ivshmem/lockfile.h - a file that only one at a time can hold */
#ifndef BF_IVSHMEM_LOCKFILE_H
#define BF_IVSHMEM_LOCKFILE_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Make and lock the file. @left: set to whether a server has left it there, that has not
 * ended well. The lock goes with the descriptor, and so with a duplicate that
 * another process holds.
 * Return: a descriptor (returns); -EADDRINUSE when somebody else holds it, the message
 * who; another negative errno.
 */
int bf_lockfile_take(const char *path, bool *left, struct belfry_error *err);

/* Whoever asks is to be told of this process: the lock is one that it was handed. */
int bf_lockfile_note(const char *path, int fd, struct belfry_error *err);

/* Is it a file with nothing in it, or a process's number and nothing else? @left: a
 * number. */
bool bf_lockfile_is_left(int fd, bool *left);

/*
 * Remove the file, unless it is another one by now, and let go (takes). -1 is fine. It
 * does for any file whose descriptor has been kept.
 */
void bf_lockfile_release(const char *path, int fd);

#endif
