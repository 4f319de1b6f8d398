/* SPDX-License-Identifier: MIT */
/*
 * guest/tests/memory_test.c: what can be mapped of a device, and what cannot
 *
 *	memory_test /dev/ivshmemN [cached]	of 64 KiB or more; a plain one or not
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem.h"

#define PAGE 4096

static const char *path;
static struct ivshmem_info info;

/* Return: 0; -1, with errno. What is mapped stays: nothing is, if all is well. */
static int try_map(int fd, size_t size, int prot, int flags, uint64_t off)
{
	return mmap(NULL, size, prot, flags, fd, (off_t)off) == MAP_FAILED ? -1 : 0;
}

static int try_region(int fd, unsigned int region, uint64_t off, size_t size)
{
	return try_map(fd, size, PROT_READ, MAP_SHARED, IVSHMEM_MAP_OFFSET(region) + off);
}

static void bad_maps(void)
{
	const int fd = open_device(path, O_RDWR), reader = open_device(path, O_RDONLY);
	const uint64_t size = info.memory_size;

	CHECK_ERRNO(EINVAL, try_region(fd, 0, 0, size + PAGE), "map: a page too many");
	CHECK_ERRNO(EINVAL, try_region(fd, 0, size, PAGE), "map: behind the end");
	CHECK_ERRNO(EINVAL, try_region(fd, 0, size - PAGE, 2 * PAGE),
		    "map: across the end");
	CHECK_ERRNO(EINVAL, try_region(fd, 0, (1ULL << 40) - PAGE, 2 * PAGE),
		    "map: from one region to the next");
	CHECK_ERRNO(ENXIO, try_region(fd, 3, 0, PAGE), "map: region 3");
	CHECK_ERRNO(ENXIO, try_region(fd, 0x7fff, 0, PAGE), "map: region 0x7fff");
	CHECK_ERRNO(EINVAL, try_map(fd, PAGE, PROT_READ, MAP_PRIVATE, 0), "map: private");
	CHECK_ERRNO(EACCES, try_map(reader, PAGE, PROT_WRITE, MAP_SHARED, 0),
		    "map: for writing, of a file open for reading");
	if (info.flags & IVSHMEM_MAP_REGISTERS)
		CHECK_ERRNO(EINVAL, try_region(fd, 1, 0, 2 * PAGE),
			    "map: more than the registers");
	else
		CHECK_ERRNO(ENXIO, try_region(fd, 1, 0, PAGE), "map: no registers");
	if (info.flags & IVSHMEM_MAP_WINDOW)
		CHECK_ERRNO(EINVAL, try_region(fd, 2, 0, info.window_size + PAGE),
			    "map: more than the window");
	else
		CHECK_ERRNO(ENXIO, try_region(fd, 2, 0, PAGE), "map: no window");
	close(reader);
	close(fd);
}

static void two_mappings(void)
{
	const int a = open_device(path, O_RDWR), b = open_device(path, O_RDONLY);
	uint8_t *all = map_region(a, 0, 0, info.memory_size);
	uint8_t *page = map_region(a, 0, 3 * PAGE, PAGE);
	const uint8_t *read_only = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, b, 3 * PAGE);

	for (int i = 0; i < PAGE; i++)
		all[3 * PAGE + i] = (uint8_t)(i * 7);
	check(memcmp(all + 3 * PAGE, page, PAGE) == 0,
	      "two mappings are the same memory");
	check(read_only != MAP_FAILED && memcmp(read_only, page, PAGE) == 0,
	      "as is one that is read-only");
	all[info.memory_size - 1] = 42;
	check(all[info.memory_size - 1] == 42, "the last byte is memory");
	check(mremap(page, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED,
	      "a mapping does not grow");
	close(a);
	check(page[1] == 7, "a mapping outlives its descriptor");
	munmap(all, info.memory_size);
	munmap(page, PAGE);
	close(b);
}

static void across_processes(void)
{
	const int fd = open_device(path, O_RDWR);
	volatile uint8_t *at = map_region(fd, 0, PAGE, PAGE);
	int status;
	pid_t child;

	at[0] = 1;
	child = fork();
	if (child == 0) {
		at[1] = at[0] + 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	check(status == 0 && at[1] == 2, "a child shares the mapping");
	close(fd);
}

static void kernel_access(void)
{
	const int fd = open_device(path, O_RDWR), zero = open_device("/dev/zero", O_RDWR);
	uint8_t *at = map_region(fd, 0, PAGE, PAGE);
	uint64_t one = 1;
	const int event = eventfd(0, EFD_NONBLOCK);
	struct iovec part = { .iov_base = at, .iov_len = 64 };
	int ends[2];

	memset(at, 0xff, PAGE);
	check(read(zero, at, PAGE) == PAGE && at[0] == 0 && at[PAGE - 1] == 0,
	      "read(2) into the memory");
	memcpy(at, &one, sizeof(one));
	check(write(event, at, sizeof(one)) == sizeof(one), "write(2) from the memory");
	if (pipe(ends) < 0)
		give_up("pipe");
	CHECK_ERRNO(EFAULT, vmsplice(ends[1], &part, 1, 0),
		    "its pages cannot be lent to a pipe");
	close(ends[0]);
	close(ends[1]);
	close(event);
	close(zero);
	close(fd);
}

static void plain(void)
{
	const int fd = open_device(path, O_RDWR), event = eventfd(0, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct ivshmem *iv;

	check(info.vectors == 0 && info.device_vectors == 0 && info.id == 0,
	      "plain: no vectors, no ID");
	CHECK_ERRNO(EOPNOTSUPP, ring(fd, 0, 0), "plain: ring");
	CHECK_ERRNO(EOPNOTSUPP, watch(fd, 0, 0), "plain: watch");
	CHECK_ERRNO(EOPNOTSUPP, bind_eventfd(fd, 0, event), "plain: bind");
	CHECK_ERRNO(EOPNOTSUPP, read_count(fd), "plain: read");
	check(poll(&p, 1, SOON_MS) == 1 && p.revents == POLLERR,
	      "plain: poll says POLLERR");
	if (ivshmem_open(path, &iv) < 0)
		give_up("ivshmem_open");
	check(ivshmem_ring(iv, 0, 0) == -EOPNOTSUPP && ivshmem_wait(iv, 0) == -EOPNOTSUPP,
	      "plain: the library says so, too");
	ivshmem_close(iv);
	close(event);
	close(fd);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 2)
		return 2;
	path = argv[1];
	fd = open_device(path, O_RDWR);
	info = info_of(fd);
	close(fd);
	printf("# %s: %llu bytes, cached: %d\n", path,
	       (unsigned long long)info.memory_size, !!(info.flags & IVSHMEM_CACHED));
	if (argc > 2)
		check(info.flags & IVSHMEM_CACHED, "the memory is cached");
	bad_maps();
	two_mappings();
	across_processes();
	kernel_access();
	if (!(info.flags & IVSHMEM_HAS_DOORBELL))
		plain();
	return checked();
}
