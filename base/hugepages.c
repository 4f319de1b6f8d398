/* SPDX-License-Identifier: MIT */
/* base/hugepages.c - memory in pages of a chosen size: RAM and links */
#include <errno.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/hugepages.h"
#include "base/number.h"
#include "base/own.h"

/* Documentation/admin-guide/mm/hugetlbpage.rst */
#define POOL "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s"

const char *const bf_hugepages_words[] = {
	[BF_HUGEPAGES_NONE] = "none",
	[BF_HUGEPAGES_2M] = "2M",
	[BF_HUGEPAGES_1G] = "1G",
	NULL,
};

static const struct kind {
	unsigned int memfd_flags;
	uint64_t bytes;
} kinds[] = {
	[BF_HUGEPAGES_NONE] = { 0, 4096 },
	[BF_HUGEPAGES_2M] = { MFD_HUGETLB | MFD_HUGE_2MB, 2ULL << 20 },
	[BF_HUGEPAGES_1G] = { MFD_HUGETLB | MFD_HUGE_1GB, 1ULL << 30 },
};

uint64_t bf_hugepages_bytes(enum bf_hugepages kind)
{
	return kinds[kind].bytes;
}

/* What the host says of its huge pages. Return: whether it has any of this kind. */
static bool pool_read(enum bf_hugepages kind, const char *what, uint64_t *out)
{
	char path[96];
	FILE *file;
	bool got;

	snprintf(path, sizeof(path), POOL, kinds[kind].bytes / 1024, what);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fscanf(file, "%" SCNu64, out) == 1;
	fclose(file);
	return got;
}

/* Mapping @size bytes of huge pages has failed, with @code: say what is missing. */
static int say_missing(enum bf_hugepages kind, uint64_t size, int code,
		       struct belfry_error *err)
{
	const uint64_t want = size / kinds[kind].bytes;
	const struct bf_size_text page = bf_size_text(kinds[kind].bytes);
	uint64_t all, free, taken;

	if (!pool_read(kind, "nr_hugepages", &all) ||
	    !pool_read(kind, "free_hugepages", &free) ||
	    !pool_read(kind, "resv_hugepages", &taken))
		return bf_err(err, EOPNOTSUPP, "this host has no huge pages of %s",
			      page.text);
	free -= free < taken ? free : taken;
	if (free >= want)
		return bf_err_sys(err, code, "huge pages");
	return bf_err(err, EOPNOTSUPP,
		      "needs %" PRIu64 " huge pages of %s, and %" PRIu64
		      " are free; as root: echo %" PRIu64 " > " POOL,
		      want, page.text, free, all + want - free, kinds[kind].bytes / 1024,
		      "nr_hugepages");
}

int bf_hugepages_memfd(const char *name, enum bf_hugepages kind, uint64_t size,
		       struct belfry_error *err)
{
	BF_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING |
						     kinds[kind].memfd_flags);

	if (fd < 0 && errno == ENODEV)
		return say_missing(kind, size, ENODEV, err);
	if (fd < 0)
		return bf_err_sys(err, errno, "memfd");
	if (ftruncate(fd, size) < 0)
		return bf_err_sys(err, errno, "%" PRIu64 " bytes", size);
	return bf_take(&fd);
}

/* Without MAP_NORESERVE: huge pages that are not there are missed here. */
int bf_hugepages_map(int fd, enum bf_hugepages kind, uint64_t size, void **out,
		     struct belfry_error *err)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED && kind != BF_HUGEPAGES_NONE && errno == ENOMEM)
		return say_missing(kind, size, errno, err);
	if (map == MAP_FAILED)
		return bf_err_sys(err, errno, "map %" PRIu64 " bytes", size);
	*out = map;
	return 0;
}
