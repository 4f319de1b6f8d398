/* SPDX-License-Identifier: MIT */
/* guest/lib/ivshmem.c: see ivshmem.h */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem.h"

struct ivshmem {
	int fd;
	struct ivshmem_info info;
	void *memory;
	volatile uint8_t *registers; /* NULL: not mapped */
	volatile uint8_t *window;    /* NULL: not mapped */
};

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

/* Return: where a region is mapped; NULL, with errno set. */
static void *map(const struct ivshmem *iv, unsigned int region, uint64_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, iv->fd,
			(off_t)IVSHMEM_MAP_OFFSET(region));

	return at == MAP_FAILED ? NULL : at;
}

static int read_info(struct ivshmem *iv)
{
	iv->info.size = sizeof(iv->info);
	if (ioctl(iv->fd, IVSHMEM_IOC_INFO, &iv->info) < 0)
		return -errno;
	if (iv->info.api_version != IVSHMEM_API_VERSION)
		return -EPROTO;
	return 0;
}

/* A doorbell that cannot be mapped is rung by a system call; the memory has to be there.
 */
static int map_all(struct ivshmem *iv)
{
	const struct ivshmem_info *info = &iv->info;

	iv->memory = map(iv, IVSHMEM_REGION_MEMORY, info->memory_size);
	if (!iv->memory)
		return -errno;
	if (info->flags & IVSHMEM_MAP_REGISTERS)
		iv->registers = map(iv, IVSHMEM_REGION_REGISTERS, info->registers_size);
	if (info->flags & IVSHMEM_MAP_WINDOW)
		iv->window = map(iv, IVSHMEM_REGION_WINDOW, info->window_size);
	return 0;
}

int ivshmem_open(const char *path, struct ivshmem **out)
{
	struct ivshmem *iv = calloc(1, sizeof(*iv));
	int r;

	if (!iv)
		return -ENOMEM;
	iv->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	r = result(iv->fd);
	if (r == 0)
		r = read_info(iv);
	if (r == 0)
		r = map_all(iv);
	if (r < 0) {
		ivshmem_close(iv);
		return r;
	}
	*out = iv;
	return 0;
}

void ivshmem_close(struct ivshmem *iv)
{
	if (!iv)
		return;
	if (iv->memory)
		munmap(iv->memory, iv->info.memory_size);
	if (iv->registers)
		munmap((void *)iv->registers, iv->info.registers_size);
	if (iv->window)
		munmap((void *)iv->window, iv->info.window_size);
	if (iv->fd >= 0)
		close(iv->fd);
	free(iv);
}

const struct ivshmem_info *ivshmem_info(const struct ivshmem *iv)
{
	return &iv->info;
}

void *ivshmem_memory(const struct ivshmem *iv)
{
	return iv->memory;
}

int ivshmem_fd(const struct ivshmem *iv)
{
	return iv->fd;
}

/* All stores to memory before it are seen by who is rung: a device is told next. */
static void before_ringing(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshst" : : : "memory");
#elif defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("" : : : "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static uint32_t little_endian(uint32_t value)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(value) : value;
}

static void store(volatile uint8_t *at, uint32_t value)
{
	before_ringing();
	*(volatile uint32_t *)at = little_endian(value);
}

static int ring_by_call(struct ivshmem *iv, uint32_t peer, uint32_t vector)
{
	struct ivshmem_ring ring = { .peer = peer, .vector = vector };

	return result(ioctl(iv->fd, IVSHMEM_IOC_RING, &ring));
}

int ivshmem_ring(struct ivshmem *iv, uint32_t peer, uint32_t vector)
{
	const uint32_t bits = iv->info.window_bits;

	if (peer > UINT16_MAX || vector > UINT16_MAX)
		return -EINVAL;
	if (iv->window && vector >> bits == 0)
		store(iv->window + IVSHMEM_WINDOW_PLACE(peer, vector, bits), 0);
	else if (iv->registers)
		store(iv->registers + IVSHMEM_REGISTER_DOORBELL,
		      IVSHMEM_BELL(peer, vector));
	else
		return ring_by_call(iv, peer, vector);
	return 0;
}

/* Return: 0 if there were interrupts; -EAGAIN if not; another error. */
static int take_events(struct ivshmem *iv)
{
	uint32_t count;

	return result(read(iv->fd, &count, sizeof(count)) < 0 ? -1 : 0);
}

static int wait_readable(struct ivshmem *iv, const struct timespec *timeout)
{
	struct pollfd p = { .fd = iv->fd, .events = POLLIN };
	int n = ppoll(&p, 1, timeout, NULL);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

int ivshmem_wait(struct ivshmem *iv, int64_t timeout_ns)
{
	const struct timespec timeout = { .tv_sec = timeout_ns / 1000000000,
					  .tv_nsec = timeout_ns % 1000000000 };
	int r = take_events(iv);

	if (r != -EAGAIN)
		return r;
	r = timeout_ns ? wait_readable(iv, timeout_ns < 0 ? NULL : &timeout) : -ETIMEDOUT;
	return r < 0 ? r : take_events(iv);
}

int ivshmem_watch(struct ivshmem *iv, uint32_t first, uint32_t count)
{
	struct ivshmem_watch watch = { .first = first, .count = count };

	return result(ioctl(iv->fd, IVSHMEM_IOC_WATCH, &watch));
}

int ivshmem_bind(struct ivshmem *iv, uint32_t vector, int eventfd)
{
	struct ivshmem_bind bind = { .vector = vector, .fd = eventfd };

	return result(ioctl(iv->fd, IVSHMEM_IOC_BIND, &bind));
}
