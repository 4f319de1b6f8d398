/* SPDX-License-Identifier: MIT */
/*
 * guest/tests/doorbell_test.c: a device with doorbells, whose rings come back to itself
 *
 *	doorbell_test /dev/ivshmemN	needs two vectors, and nobody else who rings it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem.h"

static const char *path;
static uint32_t id;
static uint32_t last; /* vector */

static void info(void)
{
	const int fd = open_device(path, O_RDWR);
	struct {
		struct ivshmem_info info;
		char more[64];
	} longer = { .info.size = sizeof(longer), .more = "untouched" };
	const struct ivshmem_info i = info_of(fd);
	uint32_t small = sizeof(i) - 8;

	check(i.api_version == IVSHMEM_API_VERSION && i.size == sizeof(i),
	      "info: version and size");
	check(i.flags & IVSHMEM_HAS_DOORBELL, "info: has doorbells");
	check(i.vectors >= 2 && i.vectors <= i.device_vectors, "info: vectors");
	check(i.memory_size >= 4096 && !(i.memory_size & (i.memory_size - 1)),
	      "info: the memory's size is a power of two");
	check(!i.window_size == !(i.flags & IVSHMEM_MAP_WINDOW), "info: window");
	check(ioctl(fd, IVSHMEM_IOC_INFO, &longer) == 0 &&
		      longer.info.size == sizeof(i) &&
		      strcmp(longer.more, "untouched") == 0,
	      "info: a longer structure of a later version");
	CHECK_ERRNO(EINVAL, ioctl(fd, IVSHMEM_IOC_INFO, &small), "info: too short");
	CHECK_ERRNO(EFAULT, ioctl(fd, IVSHMEM_IOC_INFO, NULL), "info: no pointer");
	CHECK_ERRNO(ENOTTY, ioctl(fd, _IO(IVSHMEM_IOC_MAGIC, 99), &longer),
		    "unknown ioctl");
	close(fd);
}

static void node(void)
{
	struct stat st;

	check(stat(path, &st) == 0 && S_ISCHR(st.st_mode) &&
		      (st.st_mode & 0777) == 0600 && st.st_uid == 0,
	      "the node is root's alone");
}

static void bad_rings(void)
{
	const int fd = open_device(path, O_RDWR), reader = open_device(path, O_RDONLY);

	CHECK_ERRNO(EINVAL, ring(fd, 65536, 0), "ring: peer 65536");
	CHECK_ERRNO(EINVAL, ring(fd, id, 65536), "ring: vector 65536");
	CHECK_ERRNO(EBADF, ring(reader, id, 0), "ring: a file open for reading");
	CHECK_ERRNO(EFAULT, ioctl(fd, IVSHMEM_IOC_RING, NULL), "ring: no pointer");
	check(ring(fd, 65535, 0) == 0 && ring(fd, id, 65535) == 0,
	      "ring: a peer, or a vector, that is not there");
	check(!readable(fd, QUIET_MS), "none of that interrupts");
	close(reader);
	close(fd);
}

static void reading(void)
{
	const int fd = open_device(path, O_RDWR | O_NONBLOCK);
	void *const volatile nowhere = NULL;
	uint64_t wide;

	CHECK_ERRNO(EAGAIN, read_count(fd), "read: nothing yet");
	CHECK_ERRNO(EINVAL, read(fd, &wide, 8), "read: 8 bytes");
	CHECK_ERRNO(EINVAL, read(fd, &wide, 2), "read: 2 bytes");
	CHECK_ERRNO(EINVAL, write(fd, &wide, 4), "write");
	check(!readable(fd, 0), "poll: nothing yet");
	ring(fd, id, 0);
	check(readable(fd, SOON_MS), "poll: readable after a ring");
	CHECK_ERRNO(EFAULT, read(fd, nowhere, 4), "read: no pointer");
	ring(fd, id, last);
	check(readable(fd, SOON_MS) && read_count(fd) == 2,
	      "read: the number of interrupts");
	CHECK_ERRNO(EAGAIN, read_count(fd), "read: nothing new");
	close(fd);
}

/* A child rings while its parent sleeps in read(2). */
static void blocking_read(void)
{
	const int fd = open_device(path, O_RDWR);
	const pid_t child = fork();

	if (child == 0) {
		usleep(200000);
		_exit(ring(fd, id, 1));
	}
	check(read_count(fd) == 1, "read: waits for an interrupt");
	waitpid(child, NULL, 0);
	close(fd);
}

static void do_nothing(int signal)
{
	(void)signal;
}

static void interrupted_read(void)
{
	const struct sigaction action = { .sa_handler = do_nothing };
	const int fd = open_device(path, O_RDWR);

	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	CHECK_ERRNO(EINTR, read_count(fd), "read: a signal ends the wait");
	close(fd);
}

static void several_openers(void)
{
	const int a = open_device(path, O_RDWR), b = open_device(path, O_RDONLY);

	ring(a, id, 0);
	check(readable(a, SOON_MS) && readable(b, SOON_MS), "two openers see one ring");
	check(read_count(a) == 1 && readable(b, 0),
	      "what one has read the other has not");
	close(a);
	check(read_count(b) == 1, "one that closes leaves the other alone");
	close(b);
}

static void watching(void)
{
	const int fd = open_device(path, O_RDWR | O_NONBLOCK),
		  all = open_device(path, O_RDWR);
	const uint32_t n = last + 1;

	check(watch(fd, last, 1) == 0, "watch: the last vector");
	ring(fd, id, 0);
	check(readable(all, SOON_MS) && !readable(fd, QUIET_MS), "watch: not the first");
	ring(fd, id, last);
	check(readable(fd, SOON_MS) && read_count(fd) == 1, "watch: it is seen");
	check(watch(fd, 0, 0) == 0 && ring(fd, id, last) == 0 && !readable(fd, QUIET_MS),
	      "watch: none");
	check(watch(fd, 0, n) == 0 && ring(fd, id, 0) == 0 && readable(fd, SOON_MS),
	      "watch: all");
	CHECK_ERRNO(EINVAL, watch(fd, n, 1), "watch: a vector too high");
	CHECK_ERRNO(EINVAL, watch(fd, 1, n), "watch: one too many");
	CHECK_ERRNO(EINVAL, watch(fd, 1, UINT32_MAX), "watch: a sum that overflows");
	CHECK_ERRNO(EFAULT, ioctl(fd, IVSHMEM_IOC_WATCH, NULL), "watch: no pointer");
	close(all);
	close(fd);
}

static void edge_triggered_epoll(void)
{
	const int fd = open_device(path, O_RDWR), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int seen = 0;

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
	for (int i = 0; i < 3; i++) {
		ring(fd, id, 0);
		seen += epoll_wait(ep, &event, 1, SOON_MS) == 1;
	}
	check(seen == 3, "epoll: an edge for each ring, though nobody reads");
	close(ep);
	close(fd);
}

static void eventfds(void)
{
	const int fd = open_device(path, O_RDWR), other = open_device(path, O_RDWR);
	const int a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK);

	check(bind_eventfd(fd, 1, a) == 0 && bind_eventfd(other, 1, b) == 0,
	      "bind: two files to one vector");
	ring(fd, id, 1);
	check(readable(a, SOON_MS) && readable(b, SOON_MS), "bind: both are signalled");
	check(take_eventfd(a) == 1 && take_eventfd(b) == 1, "bind: once");
	ring(fd, id, 0);
	check(!readable(a, QUIET_MS), "bind: not for another vector");
	check(bind_eventfd(fd, 1, b) == 0 && ring(fd, id, 1) == 0 &&
		      readable(b, SOON_MS) && !readable(a, QUIET_MS),
	      "bind: another takes its place");
	check(bind_eventfd(fd, 1, -1) == 0 && bind_eventfd(other, 1, -1) == 0,
	      "bind: undone");
	take_eventfd(b);
	ring(fd, id, 1);
	check(!readable(b, QUIET_MS), "bind: no signal after that");
	bind_eventfd(other, 1, a);
	close(other);
	ring(fd, id, 1);
	check(!readable(a, QUIET_MS), "bind: close undoes it");
	close(a);
	close(b);
	close(fd);
}

static void closed_eventfd(void)
{
	const int fd = open_device(path, O_RDWR), event = eventfd(0, EFD_NONBLOCK);

	bind_eventfd(fd, 0, event);
	close(event);
	check(ring(fd, id, 0) == 0 && readable(fd, SOON_MS),
	      "bind: an eventfd that its owner has closed");
	close(fd);
}

static void bad_bindings(void)
{
	const int fd = open_device(path, O_RDWR), event = eventfd(0, 0);
	const int null = open_device("/dev/null", O_RDWR);

	CHECK_ERRNO(EINVAL, bind_eventfd(fd, last + 1, event), "bind: a vector too high");
	CHECK_ERRNO(EINVAL, bind_eventfd(fd, 0, null), "bind: no eventfd");
	CHECK_ERRNO(EBADF, bind_eventfd(fd, 0, 999), "bind: not open");
	CHECK_ERRNO(EBADF, bind_eventfd(fd, 0, -2), "bind: descriptor -2");
	CHECK_ERRNO(ENOENT, bind_eventfd(fd, 0, -1), "bind: nothing to undo");
	CHECK_ERRNO(EFAULT, ioctl(fd, IVSHMEM_IOC_BIND, NULL), "bind: no pointer");
	close(null);
	close(event);
	close(fd);
}

static void mapped_doorbells(void)
{
	const int fd = open_device(path, O_RDWR);
	const struct ivshmem_info i = info_of(fd);
	volatile uint32_t *at;

	if (i.flags & IVSHMEM_MAP_REGISTERS) {
		at = map_region(fd, IVSHMEM_REGION_REGISTERS, 0, i.registers_size);
		at[IVSHMEM_REGISTER_DOORBELL / 4] = IVSHMEM_BELL(id, last);
		check(readable(fd, SOON_MS), "a store to the mapped register rings");
		check(at[2] == id, "the mapped registers have the ID");
		read_count(fd);
	}
	if (i.flags & IVSHMEM_MAP_WINDOW) {
		at = map_region(fd, IVSHMEM_REGION_WINDOW, 0, i.window_size);
		at[IVSHMEM_WINDOW_PLACE(id, last, i.window_bits) / 4] = 1;
		check(readable(fd, SOON_MS), "a store to the mapped window rings");
	}
	printf("# registers %s, window %s\n",
	       i.flags & IVSHMEM_MAP_REGISTERS ? "mapped" : "by system call",
	       i.flags & IVSHMEM_MAP_WINDOW ? "mapped" : "none");
	close(fd);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void library(void)
{
	struct ivshmem *iv = NULL;
	const int event = eventfd(0, EFD_NONBLOCK);
	uint64_t start;

	check(ivshmem_open("/dev/ivshmem99", &iv) == -ENOENT, "library: no such device");
	check(ivshmem_open("/dev/null", &iv) == -ENOTTY, "library: not a device of ours");
	check(!iv, "library: no handle then");
	ivshmem_close(NULL);
	if (ivshmem_open(path, &iv) < 0)
		give_up("ivshmem_open");
	check(ivshmem_info(iv)->id == id && ivshmem_memory(iv), "library: open");
	check(ivshmem_wait(iv, 0) == -ETIMEDOUT, "library: nothing to wait for");
	start = now_ms();
	check(ivshmem_wait(iv, 100000000) == -ETIMEDOUT && now_ms() - start >= 99,
	      "library: wait with a time limit");
	check(ivshmem_ring(iv, 65536, 0) == -EINVAL &&
		      ivshmem_ring(iv, 0, 65536) == -EINVAL,
	      "library: numbers that are too large");
	check(ivshmem_ring(iv, id, 1) == 0 && ivshmem_wait(iv, IVSHMEM_FOREVER) == 0,
	      "library: ring and wait");
	check(ivshmem_bind(iv, 0, event) == 0 && ivshmem_ring(iv, id, 0) == 0 &&
		      readable(event, SOON_MS),
	      "library: eventfd");
	check(readable(ivshmem_fd(iv), 0) && ivshmem_wait(iv, 0) == 0 &&
		      !readable(ivshmem_fd(iv), 0),
	      "library: the descriptor for poll");
	check(ivshmem_watch(iv, 0, 1) == 0 && ivshmem_ring(iv, id, 1) == 0 &&
		      ivshmem_wait(iv, QUIET_MS * 1000000LL) == -ETIMEDOUT,
	      "library: watch");
	check(ivshmem_bind(iv, 0, -1) == 0 && ivshmem_bind(iv, 0, -1) == -ENOENT,
	      "library: undo");
	ivshmem_close(iv);
	close(event);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 2)
		return 2;
	path = argv[1];
	fd = open_device(path, O_RDWR);
	id = info_of(fd).id;
	last = info_of(fd).vectors - 1;
	close(fd);

	info();
	node();
	bad_rings();
	reading();
	blocking_read();
	interrupted_read();
	several_openers();
	watching();
	edge_triggered_epoll();
	eventfds();
	closed_eventfd();
	bad_bindings();
	mapped_doorbells();
	library();
	return checked();
}
