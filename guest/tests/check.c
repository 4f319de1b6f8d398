/* SPDX-License-Identifier: MIT */
/* guest/tests/check.c: see check.h */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

static int failures;

void check(bool holds, const char *format, ...)
{
	va_list args;

	printf("%sok - ", holds ? "" : "not ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	failures += !holds;
}

void check_errno(int want, int got, const char *name)
{
	check(got == want, "%s: %s%s%s", name, strerrorname_np(want),
	      got == want ? "" : ", got ", got == want ? "" : strerrorname_np(got));
}

void give_up(const char *what)
{
	printf("not ok - %s: %s\n", what, strerror(errno));
	exit(1);
}

int checked(void)
{
	return failures ? 1 : 0;
}

int open_device(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		give_up(path);
	return fd;
}

struct ivshmem_info info_of(int fd)
{
	struct ivshmem_info info = { .size = sizeof(info) };

	if (ioctl(fd, IVSHMEM_IOC_INFO, &info) < 0)
		give_up("INFO");
	return info;
}

int ring(int fd, uint32_t peer, uint32_t vector)
{
	struct ivshmem_ring arg = { .peer = peer, .vector = vector };

	return ioctl(fd, IVSHMEM_IOC_RING, &arg);
}

int watch(int fd, uint32_t first, uint32_t count)
{
	struct ivshmem_watch arg = { .first = first, .count = count };

	return ioctl(fd, IVSHMEM_IOC_WATCH, &arg);
}

int bind_eventfd(int fd, uint32_t vector, int eventfd)
{
	struct ivshmem_bind arg = { .vector = vector, .fd = eventfd };

	return ioctl(fd, IVSHMEM_IOC_BIND, &arg);
}

void *map_region(int fd, unsigned int region, uint64_t off, uint64_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			(off_t)(IVSHMEM_MAP_OFFSET(region) + off));

	if (at == MAP_FAILED)
		give_up("mmap");
	return at;
}

bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

int64_t read_count(int fd)
{
	uint32_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? (int64_t)count : -1;
}

uint64_t take_eventfd(int eventfd)
{
	uint64_t value = 0;

	return readable(eventfd, 0) && read(eventfd, &value, 8) == 8 ? value : 0;
}
