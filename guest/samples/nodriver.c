/* SPDX-License-Identifier: MIT */
/*
 * guest/samples/nodriver.c: what an ivshmem device is good for without a driver of
 * its own
 *
 *	nodriver bandwidth FILE [BYTES]		how fast memory is that FILE maps
 *	nodriver turns DEVICE 0|1 [COUNT]	two VMs take turns, by polling
 *	nodriver ring DEVICE PEER [VECTOR]	ring a doorbell
 *	nodriver wait DEVICE [COUNT]		wait for INTx by way of uio_pci_generic
 *
 * DEVICE is its name in /sys/bus/pci/devices, such as 0000:00:02.0. The kernel has
 * resource0, the registers, and two ways to the memory there: resource2 maps it uncached,
 * resource2_wc write-combining. It has to be root who opens them, and memory decoding has
 * to be on: as firmware leaves it, or by `echo 1 >enable` in that folder.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

#define REGISTERS_SIZE 256
#define INTR_MASK      0x00 /* registers; see the device's specification */
#define INTR_STATUS    0x04
#define ID             0x08
#define DOORBELL       0x0c

/* PCI configuration space: the upper byte of the command register */
#define COMMAND_HIGH     0x05
#define COMMAND_INTX_OFF (1 << 2)

#define MEASURE_NS 300000000
#define MEASURE_AT 65536 /* bytes between two looks at the clock */
#define SILENT_NS  30000000000

static int open_file(const char *device, const char *name)
{
	char path[256];
	int fd;

	if (snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, name) >=
	    (int)sizeof(path))
		fail(ENAMETOOLONG, "%s", device);
	fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);
	if (fd < 0)
		fail(errno, "%s", path);
	return fd;
}

/* The mapping stays until the program ends. */
static void *map(int fd, size_t size, const char *name)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		fail(errno, "mapping %zu bytes of %s", size, name);
	close(fd);
	return at;
}

static volatile uint32_t *map_registers(const char *device)
{
	return map(open_file(device, "resource0"), REGISTERS_SIZE, "resource0");
}

/* --- bandwidth --- */

static void read_some(uint8_t *shared, uint8_t *own)
{
	memcpy(own, shared, MEASURE_AT);
}

static void write_some(uint8_t *shared, uint8_t *own)
{
	memcpy(shared, own, MEASURE_AT);
}

static double megabytes_per_s(uint8_t *shared, size_t size,
			      void (*move)(uint8_t *shared, uint8_t *own))
{
	static uint8_t own[MEASURE_AT];
	const uint64_t start = now_ns();
	uint64_t bytes = 0, ns;
	size_t at = 0;

	do {
		move(shared + at, own);
		__asm__ volatile("" : : "r"(own) : "memory"); /* it is needed */
		at = at + 2 * MEASURE_AT <= size ? at + MEASURE_AT : 0;
		bytes += MEASURE_AT;
		ns = now_ns() - start;
	} while (ns < MEASURE_NS);
	return (double)bytes * 1e3 / (double)ns;
}

static void bandwidth(const char *path, const char *bytes)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	uint8_t *shared;
	size_t size;

	if (fd < 0 || fstat(fd, &st) < 0)
		fail(errno, "%s", path);
	size = bytes ? number("bytes", bytes, MEASURE_AT, SIZE_MAX) : (size_t)st.st_size;
	if (size < MEASURE_AT)
		fail(0, "%s: %zu bytes, at least %d; give a size for a device node", path,
		     size, MEASURE_AT);
	shared = map(fd, size, path);
	megabytes_per_s(shared, size, write_some); /* warm up */
	printf("%s: write %.0f MB/s, read %.0f MB/s\n", path,
	       megabytes_per_s(shared, size, write_some),
	       megabytes_per_s(shared, size, read_some));
}

/* --- polling --- */

/* A number in the memory: 0 makes the even ones odd, 1 the odd ones even. */
static void take_turns(const char *device, unsigned int side, uint64_t count)
{
	uint64_t *turn = map(open_file(device, "resource2"), 4096, "resource2");
	const uint64_t start = now_ns();
	uint64_t value = 0, last = start, n;

	if (side == 0)
		__atomic_store_n(turn, 0, __ATOMIC_RELEASE);
	for (n = 0; n < count; relax()) {
		value = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
		if (value % 2 == side) {
			__atomic_store_n(turn, value + 1, __ATOMIC_RELEASE);
			last = now_ns();
			n++;
		} else if (now_ns() - last > SILENT_NS) {
			fail(ETIMEDOUT, "waiting for the other side");
		}
	}
	printf("%" PRIu64 " turns, %.2f us each\n", n,
	       (double)(last - start) / 1e3 / (double)n);
}

/* --- doorbells --- */

static void ring(const char *device, uint32_t peer, uint32_t vector)
{
	map_registers(device)[DOORBELL / 4] = peer << 16 | vector;
}

static int open_uio(const char *device)
{
	char pattern[256];
	glob_t found;
	int fd;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/uio/uio*", device);
	if (glob(pattern, 0, NULL, &found))
		fail(0, "%s has no uio device: is uio_pci_generic its driver?", device);
	snprintf(pattern, sizeof(pattern), "/dev/%s",
		 strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open(pattern, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail(errno, "%s", pattern);
	return fd;
}

/* The driver turns INTx off when it comes, since it cannot know how to clear the cause.
 */
static void turn_intx_on(int config)
{
	uint8_t high;

	if (pread(config, &high, 1, COMMAND_HIGH) != 1)
		fail(errno, "reading the command register");
	high &= ~COMMAND_INTX_OFF;
	if (pwrite(config, &high, 1, COMMAND_HIGH) != 1)
		fail(errno, "writing the command register");
}

static void wait_for_intx(const char *device, uint64_t count)
{
	volatile uint32_t *regs = map_registers(device);
	const int config = open_file(device, "config");
	const int uio = open_uio(device);
	uint32_t interrupts, status;

	printf("ID %" PRIu32 "\n", regs[ID / 4]);
	fflush(stdout);
	regs[INTR_MASK / 4] = 1;
	for (uint64_t n = 1; n <= count; n++) {
		turn_intx_on(config);
		if (read(uio, &interrupts, sizeof(interrupts)) != sizeof(interrupts))
			fail(errno, "reading the uio device");
		status = regs[INTR_STATUS / 4]; /* this clears it, and lowers the line */
		printf("interrupt %" PRIu64 ", status %" PRIu32 "\n", n, status);
		fflush(stdout);
	}
	regs[INTR_MASK / 4] = 0;
	close(config);
	close(uio);
}

/* --- the command line --- */

static const char usage[] = "usage: nodriver bandwidth FILE [BYTES]\n"
			    "       nodriver turns DEVICE 0|1 [COUNT]\n"
			    "       nodriver ring DEVICE PEER [VECTOR]\n"
			    "       nodriver wait DEVICE [COUNT]\n";

int main(int argc, char **argv)
{
	const char *word = argc > 2 ? argv[1] : "";
	const char *third = argc > 3 ? argv[3] : NULL;
	const char *fourth = argc > 4 ? argv[4] : NULL;

	if (strcmp(word, "bandwidth") == 0 && argc <= 4)
		bandwidth(argv[2], third);
	else if (strcmp(word, "turns") == 0 && third && argc <= 5)
		take_turns(argv[2], (unsigned int)number("side", third, 0, 1),
			   fourth ? number("count", fourth, 1, UINT32_MAX) : 100000);
	else if (strcmp(word, "ring") == 0 && third && argc <= 5)
		ring(argv[2], (uint32_t)number("peer", third, 0, UINT16_MAX),
		     fourth ? (uint32_t)number("vector", fourth, 0, UINT16_MAX) : 0);
	else if (strcmp(word, "wait") == 0 && argc <= 4)
		wait_for_intx(argv[2], third ? number("count", third, 1, UINT32_MAX) : 1);
	else
		show_usage(argc == 2 && strcmp(argv[1], "--help") == 0, usage);
	return 0;
}
