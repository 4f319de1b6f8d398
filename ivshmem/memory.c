/* SPDX-License-Identifier: MIT */
/* ivshmem/memory.c - making the memory that the clients of a server share */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "base/file.h"
#include "base/hugepages.h"
#include "base/number.h"
#include "base/own.h"
#include "ivshmem/ivshmem.h"
#include "ivshmem/memory.h"
#include "ivshmem/server_conf.h"

/* Is there room for it? */
static int try_map(const char *what, int fd, enum bf_hugepages kind, uint64_t size,
		   struct belfry_error *err)
{
	void *map;
	int r = bf_hugepages_map(fd, kind, size, &map, err);

	if (r < 0)
		return bf_err_wrap(err, r, "%s", what);
	munmap(map, size);
	return 0;
}

int bf_memory_create(const char *what, uint64_t size, unsigned int hugepages,
		     struct belfry_error *err)
{
	BF_CLOSE int fd = bf_hugepages_memfd("belfry-link", hugepages, size, err);
	int r;

	if (fd < 0)
		return bf_err_wrap(err, fd, "%s", what);
	r = try_map(what, fd, hugepages, size, err);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return bf_err_sys(err, errno, "%s: seal", what);
	return bf_take(&fd);
}

/* Memory that was there already must be what was asked for. */
static int check_size(const char *what, int fd, uint64_t size, struct belfry_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "%s", what);
	if ((uint64_t)st.st_size == size)
		return 0;
	return bf_err(err, EEXIST, "%s is there with %lld bytes, not %" PRIu64, what,
		      (long long)st.st_size, size);
}

struct shm_name {
	char text[256];
};

static struct shm_name shm_name(const struct bf_file *shm)
{
	struct shm_name name;

	snprintf(name.text, sizeof(name.text), "%s%s", *shm->path == '/' ? "" : "/",
		 shm->path);
	return name;
}

void bf_memory_unlink_shm(const struct bf_file *shm, int fd)
{
	BF_CLOSE int named = -1;

	if (!shm->path)
		return;
	named = shm_open(shm_name(shm).text, O_RDONLY | O_CLOEXEC, 0);
	if (named >= 0 && bf_same_file(named, fd))
		shm_unlink(shm_name(shm).text);
}

/* Return: a descriptor (returns), of memory that we have made or that was there. */
static int open_shm(const struct bf_file *shm, bool *made)
{
	struct shm_name name = shm_name(shm);
	int fd = shm_open(name.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*made = fd >= 0;
	return fd < 0 && errno == EEXIST ? shm_open(name.text, O_RDWR | O_CLOEXEC, 0)
					 : fd;
}

int bf_memory_shm(const char *what, const struct bf_file *shm, uint64_t size, bool *made,
		  struct belfry_error *err)
{
	BF_CLOSE int fd = -1;
	char name[320];
	int r;

	*made = false;
	snprintf(name, sizeof(name), "%s: shm %s", what, shm->path ? shm->path : "");
	fd = shm->fd >= 0 ? fcntl(shm->fd, F_DUPFD_CLOEXEC, 0) : open_shm(shm, made);
	if (fd < 0)
		return bf_err_sys(err, errno, "%s", name);
	if (!*made)
		r = check_size(name, fd, size, err);
	else if (ftruncate(fd, size) < 0)
		r = bf_err_sys(err, errno, "%s: %" PRIu64 " bytes", name, size);
	else
		r = try_map(name, fd, BF_HUGEPAGES_NONE, size, err);
	if (r < 0) {
		if (*made)
			bf_memory_unlink_shm(shm, fd);
		return r;
	}
	return bf_take(&fd);
}

/* The pages of the files in the directory of @fd. */
static enum bf_hugepages pages_of(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
		return BF_HUGEPAGES_NONE;
	return (uint64_t)fs.f_bsize == bf_hugepages_bytes(BF_HUGEPAGES_1G)
		       ? BF_HUGEPAGES_1G
		       : BF_HUGEPAGES_2M;
}

/* Give a file in @dir its size. */
static int set_size(const char *what, const char *dir, int fd, enum bf_hugepages kind,
		    uint64_t size, struct belfry_error *err)
{
	if (size % bf_hugepages_bytes(kind) != 0)
		return bf_err(err, EINVAL, "%s: size %s: less than a page of %s, %s",
			      what, bf_size_text(size).text, dir,
			      bf_size_text(bf_hugepages_bytes(kind)).text);
	if (ftruncate(fd, size) < 0)
		return bf_err_sys(err, errno, "%s: %" PRIu64 " bytes in %s", what, size,
				  dir);
	return try_map(what, fd, kind, size, err);
}

int bf_memory_in_dir(const char *what, const char *dir, uint64_t size,
		     struct belfry_error *err)
{
	BF_CLOSE int fd = -1;
	char path[4200];
	int r;

	/* not O_TMPFILE: hugetlbfs has none */
	snprintf(path, sizeof(path), "%s/belfry-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return bf_err_sys(err, errno, "%s: a file in %s", what, dir);
	unlink(path);
	r = set_size(what, dir, fd, pages_of(fd), size, err);
	return r < 0 ? r : bf_take(&fd);
}
