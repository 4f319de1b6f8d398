/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/lockfile.c - a file that only one at a time can hold
 *
 * The file is removed by whoever holds the lock. So one who has waited for the lock, or
 * opened the file just before, may get the lock of a file that has no name any more: it
 * looks, and tries again.
 *
 * Its name is one that others may use: a file with anything else in it than what a server
 * leaves there, nothing or a number, is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/own.h"
#include "ivshmem/lockfile.h"

#define TRIES 100 /* others who take and release it meanwhile */

static bool is_at(int fd, const char *path)
{
	struct stat file, there;

	return fstat(fd, &file) == 0 && lstat(path, &there) == 0 &&
	       file.st_dev == there.st_dev && file.st_ino == there.st_ino;
}

static int taken(const char *path, int fd, struct belfry_error *err)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	if (n > 0 && atoi(pid) > 0)
		return bf_err(err, EADDRINUSE, "%s: process %d serves there", path,
			      atoi(pid));
	return bf_err(err, EADDRINUSE, "%s: another process serves there", path);
}

bool bf_lockfile_is_left(int fd, bool *left)
{
	char text[16] = "";
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	n = pread(fd, text, sizeof(text), 0);
	*left = n > 0;
	return n == 0 || (n > 1 && n < (ssize_t)sizeof(text) && text[n - 1] == '\n' &&
			  strspn(text, "0123456789") == (size_t)n - 1);
}

/* Return: a descriptor; -EAGAIN: the file was removed meanwhile. */
static int try_take(const char *path, bool *left, struct belfry_error *err)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	BF_CLOSE int fd = open(path, flags, 0600);

	if (fd < 0)
		return bf_err_sys(err, errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? taken(path, fd, err)
					    : bf_err_sys(err, errno, "%s: lock", path);
	if (!is_at(fd, path))
		return -EAGAIN;
	if (!bf_lockfile_is_left(fd, left))
		return bf_err(err, EEXIST, "%s: is something else than a server's lock",
			      path);
	return bf_take(&fd);
}

int bf_lockfile_note(const char *path, int fd, struct belfry_error *err)
{
	char pid[16];
	int len = snprintf(pid, sizeof(pid), "%d\n", getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, len, 0) < 0)
		return bf_err_sys(err, errno, "%s", path);
	return 0;
}

int bf_lockfile_take(const char *path, bool *left, struct belfry_error *err)
{
	int fd = -EAGAIN, r;

	for (int i = 0; i < TRIES && fd == -EAGAIN; i++)
		fd = try_take(path, left, err);
	if (fd == -EAGAIN)
		return bf_err(err, EADDRINUSE, "%s: others take it all the time", path);
	if (fd < 0)
		return fd;
	r = bf_lockfile_note(path, fd, err);
	if (r == 0)
		return fd;
	bf_lockfile_release(path, fd);
	return r;
}

void bf_lockfile_release(const char *path, int fd)
{
	if (fd < 0)
		return;
	if (is_at(fd, path))
		unlink(path);
	close(fd);
}
