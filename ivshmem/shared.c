/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/shared.c - shared memory that others may resize, read and written with care
 *
 * Theory of operation
 *
 * Memory without a seal can be made smaller by anybody who holds it, and a load from what
 * is then gone raises SIGBUS. So nothing is loaded or stored here: the kernel copies, and
 * says what it has missed. Reading a hole of a sparse file so leaves it a hole, too.
 *
 * pwrite(2) beyond the end would make the file larger again, hence a look at its size
 * before it. Between both somebody may still shrink it; then it grows back, full of
 * zeroes, which nobody can tell from having been late.
 *
 * hugetlbfs has no write(2). Its pages are mapped, and pread(2) of a copy in a memfd
 * stores into them: that fails with EFAULT where a store would raise SIGBUS.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/number.h"
#include "base/own.h"
#include "ivshmem/shared.h"

int bf_shared_init(struct bf_shared *s, int fd, struct belfry_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "shared memory");
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return bf_err(err, EPROTO, "the server's memory is %s",
			      S_ISREG(st.st_mode) ? "empty" : "no file with a size");
	*s = (struct bf_shared){ .fd = fd, .size = st.st_size };
	return 0;
}

static int check_range(const struct bf_shared *s, uint64_t offset, size_t len,
		       struct belfry_error *err)
{
	if (offset <= s->size && len <= s->size - offset)
		return 0;
	return bf_err(err, ERANGE,
		      "offset %" PRIu64 ", length %zu: the shared memory has %" PRIu64
		      " bytes",
		      offset, len, s->size);
}

static int shrunk(const struct bf_shared *s, struct belfry_error *err)
{
	struct stat st = { 0 };

	fstat(s->fd, &st);
	return bf_err(err, EIO, "the shared memory has been truncated, from %s to %s",
		      bf_size_text(s->size).text, bf_size_text(st.st_size).text);
}

int bf_shared_read(const struct bf_shared *s, uint64_t offset, void *buf, size_t len,
		   struct belfry_error *err)
{
	char *to = buf;
	ssize_t n;
	int r = check_range(s, offset, len, err);

	if (r < 0)
		return r;
	for (; len > 0; offset += n, to += n, len -= n) {
		n = pread(s->fd, to, len, offset);
		if (n == 0)
			return shrunk(s, err);
		if (n < 0 && errno != EINTR)
			return bf_err_sys(err, errno, "read shared memory at %" PRIu64,
					  offset);
		if (n < 0)
			n = 0;
	}
	return 0;
}

/* Return: how many bytes; 0: the memory has shrunk; a negative errno. */
static ssize_t store(const struct bf_shared *s, uint64_t offset, const void *buf,
		     size_t len)
{
	BF_CLOSE int copy = memfd_create("belfry-copy", MFD_CLOEXEC);
	char *map;
	ssize_t n;

	if (copy < 0 || pwrite(copy, buf, len, 0) != (ssize_t)len)
		return copy < 0 ? -errno : -ENOMEM;
	/* all of it: the pages of hugetlbfs are of any size */
	map = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	n = pread(copy, map + offset, len, 0);
	if (n < 0)
		n = errno == EFAULT ? 0 : -errno;
	munmap(map, s->size);
	return n;
}

/* Return: as store(). */
static ssize_t write_some(const struct bf_shared *s, uint64_t offset, const void *buf,
			  size_t len)
{
	struct stat st;
	ssize_t n;

	if (fstat(s->fd, &st) == 0 && (uint64_t)st.st_size < offset + len)
		return 0;
	n = pwrite(s->fd, buf, len, offset);
	if (n < 0 && errno == EINVAL)
		return store(s, offset, buf, len);
	return n < 0 ? -errno : n;
}

int bf_shared_write(const struct bf_shared *s, uint64_t offset, const void *buf,
		    size_t len, struct belfry_error *err)
{
	const char *from = buf;
	ssize_t n;
	int r = check_range(s, offset, len, err);

	if (r < 0)
		return r;
	for (; len > 0; offset += n, from += n, len -= n) {
		n = write_some(s, offset, from, len);
		if (n == 0)
			return shrunk(s, err);
		if (n < 0 && n != -EINTR)
			return bf_err_sys(err, -n, "write shared memory at %" PRIu64,
					  offset);
		if (n < 0)
			n = 0;
	}
	return 0;
}
