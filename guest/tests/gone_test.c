/* SPDX-License-Identifier: MIT */
/*
 * guest/tests/gone_test.c: the driver lets go of a device that is in use, and is unloaded
 *
 *	gone_test /dev/ivshmemN MODULE ROUNDS
 *
 * MODULE is the file that the loaded module came from. A peer may go on ringing. A plain
 * device is taken away once, and the module stays.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char device[64]; /* its PCI address */
static const char *module;

/* --- the driver, by way of sysfs --- */

static int driver_file(const char *name)
{
	char file[64];
	int fd, r;

	snprintf(file, sizeof(file), "/sys/bus/pci/drivers/ivshmem/%s", name);
	fd = open_device(file, O_WRONLY);
	r = write(fd, device, strlen(device)) == (ssize_t)strlen(device) ? 0 : -1;
	close(fd);
	return r;
}

static int load(void)
{
	const int fd = open_device(module, O_RDONLY);
	const int r = (int)syscall(SYS_finit_module, fd, "", 0);

	close(fd);
	return r;
}

static int unload(void)
{
	return (int)syscall(SYS_delete_module, "ivshmem", O_NONBLOCK);
}

static void find_device(const char *node)
{
	char link[128], target[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/class/ivshmem/%s/device",
		 strrchr(node, '/') + 1);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		give_up(link);
	target[n] = '\0';
	snprintf(device, sizeof(device), "%s", strrchr(target, '/') + 1);
}

/* The device's node, which has another number when the old one is still in use. */
static const char *find_node(void)
{
	static char node[64];
	char pattern[128];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/ivshmem/ivshmem*",
		 device);
	if (glob(pattern, 0, NULL, &found))
		give_up(pattern);
	snprintf(node, sizeof(node), "/dev/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return node;
}

/* --- children that use the device until it is gone --- */

static void read_until_gone(int fd)
{
	while (read_count(fd) >= 0)
		;
	_exit(errno == ENODEV ? 0 : 1);
}

static void poll_until_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, -1) == 1 && p.revents == POLLIN)
		read_count(fd);
	_exit(p.revents == (POLLHUP | POLLERR) ? 0 : 1);
}

/* The same, and no interrupt wakes them: letting go has to. */
static void sleep_in_read(int fd)
{
	watch(fd, 0, 0);
	read_until_gone(fd);
}

static void sleep_in_poll(int fd)
{
	watch(fd, 0, 0);
	poll_until_gone(fd);
}

static void ring_until_gone(int fd)
{
	const uint32_t id = info_of(fd).id;

	while (ring(fd, id, 1) == 0)
		;
	_exit(errno == ENODEV ? 0 : 1);
}

static void exit_well(int signal)
{
	(void)signal;
	_exit(0);
}

static void store_until_gone(int fd)
{
	volatile uint8_t *at = map_region(fd, 0, 0, info_of(fd).memory_size);

	signal(SIGBUS, exit_well);
	for (size_t i = 0;; i++)
		at[8192 + i % 8192]++;
}

typedef void user_fn(int fd);
static const struct {
	const char *name;
	user_fn *use;
} users[] = {
	{ "read", read_until_gone },        { "poll", poll_until_gone },
	{ "sleeping read", sleep_in_read }, { "sleeping poll", sleep_in_poll },
	{ "ring", ring_until_gone },        { "store", store_until_gone },
};
#define USERS (sizeof(users) / sizeof(users[0]))

static pid_t start_user(user_fn *use, const char *node)
{
	const pid_t child = fork();

	if (child)
		return child;
	alarm(SOON_MS / 1000 * 4); /* and a status that is not 0 */
	use(open_device(node, O_RDWR));
	_exit(1);
}

/* --- letting go --- */

static sigjmp_buf bus_error;

static void jump(int signal)
{
	(void)signal;
	siglongjmp(bus_error, 1);
}

static bool raises_sigbus(volatile uint8_t *at)
{
	bool raised = true;

	signal(SIGBUS, jump);
	if (!sigsetjmp(bus_error, 1)) {
		at[0] = 1;
		raised = false;
	}
	signal(SIGBUS, SIG_DFL);
	return raised;
}

static void is_dead(int fd, const char *when)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct ivshmem_info info = { .size = sizeof(info) };
	const void *at;

	printf("# %s\n", when);
	CHECK_ERRNO(ENODEV, read_count(fd), "gone: read");
	CHECK_ERRNO(ENODEV, read(fd, &info, 8), "gone: read of 8 bytes");
	check(poll(&p, 1, 0) == 1 && p.revents == (POLLHUP | POLLERR), "gone: poll");
	CHECK_ERRNO(ENODEV, ioctl(fd, IVSHMEM_IOC_INFO, &info), "gone: info");
	CHECK_ERRNO(ENODEV, ring(fd, 0, 0), "gone: ring");
	CHECK_ERRNO(ENODEV, watch(fd, 0, 0), "gone: watch");
	CHECK_ERRNO(ENODEV, bind_eventfd(fd, 0, -1), "gone: bind");
	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK_ERRNO(ENODEV, at == MAP_FAILED ? -1 : 0, "gone: mmap");
}

static void unbind_in_use(const char *node)
{
	const int fd = open_device(node, O_RDWR), event = eventfd(0, EFD_NONBLOCK);
	const struct ivshmem_info info = info_of(fd);
	uint8_t *memory = map_region(fd, 0, 0, info.memory_size);
	pid_t children[USERS];
	int status, again;

	memory[0] = 1;
	bind_eventfd(fd, 0, event);
	CHECK_ERRNO(EAGAIN, unload(), "rmmod with an open file");
	for (size_t i = 0; i < USERS; i++)
		children[i] = start_user(users[i].use, node);
	usleep(500000);
	check(driver_file("unbind") == 0, "unbind while processes use the device");
	for (size_t i = 0; i < USERS; i++) {
		waitpid(children[i], &status, 0);
		check(status == 0, "gone: %s ends as it should (%#x)", users[i].name,
		      status);
	}
	is_dead(fd, "after unbind");
	check(readable(event, SOON_MS), "gone: a bound eventfd is signalled");
	check(raises_sigbus(memory) && raises_sigbus(memory + info.memory_size - 1),
	      "gone: what was mapped is SIGBUS");
	check(open(node, O_RDWR) < 0 && (errno == ENOENT || errno == ENXIO),
	      "gone: the node cannot be opened");
	CHECK_ERRNO(EAGAIN, unload(), "rmmod with a dead open file");
	check(driver_file("bind") == 0, "bind again");
	is_dead(fd, "after another bind");
	check(raises_sigbus(memory), "what was mapped stays dead");
	again = open_device(find_node(), O_RDWR);
	check(ring(again, info.id, 0) == 0 && readable(again, SOON_MS),
	      "the device works again");
	close(again);
	close(event);
	close(fd);
	check(raises_sigbus(memory), "also when its descriptor is closed");
	munmap(memory, info.memory_size);
}

/* Nothing rings there; what is open dies all the same. */
static void unbind_plain(const char *node)
{
	const int fd = open_device(node, O_RDWR);
	uint8_t *memory = map_region(fd, 0, 0, info_of(fd).memory_size);

	memory[0] = 1;
	check(driver_file("unbind") == 0, "unbind a plain device");
	is_dead(fd, "after unbind");
	check(raises_sigbus(memory), "gone: what was mapped is SIGBUS");
	close(fd);
	check(driver_file("bind") == 0, "bind it again");
	close(open_device(find_node(), O_RDWR));
}

static bool has_doorbells(const char *node)
{
	const int fd = open_device(node, O_RDWR);
	const struct ivshmem_info info = info_of(fd);

	close(fd);
	return info.flags & IVSHMEM_HAS_DOORBELL;
}

/* --- again and again --- */

/* Open, map, ring, bind, close, for as long as there is a device or another comes. */
static void use_shortly(const char *node, bool *done)
{
	const int event = eventfd(0, EFD_NONBLOCK), fd = open(node, O_RDWR | O_CLOEXEC);
	struct ivshmem_info info = { .size = sizeof(info) };

	if (fd >= 0 && ioctl(fd, IVSHMEM_IOC_INFO, &info) == 0) {
		bind_eventfd(fd, 0, event);
		ring(fd, info.id, 0);
		watch(fd, 1, 1);
	}
	close(fd);
	close(event);
	*done = getppid() == 1;
}

static pid_t start_churn(void)
{
	const pid_t child = fork();
	char node[32];
	bool done = false;

	if (child)
		return child;
	for (int i = 0; !done; i = (i + 1) % 4) {
		snprintf(node, sizeof(node), "/dev/ivshmem%d", i);
		use_shortly(node, &done);
	}
	_exit(0);
}

static void unbind_again_and_again(int rounds)
{
	const pid_t churn[2] = { start_churn(), start_churn() };
	int bad = 0;

	for (int i = 0; i < rounds; i++)
		bad += driver_file("unbind") < 0 || driver_file("bind") < 0;
	check(bad == 0, "%d times unbind and bind while others open and close", rounds);
	for (int i = 0; i < 2; i++) {
		kill(churn[i], SIGKILL);
		waitpid(churn[i], NULL, 0);
	}
}

static void unload_again_and_again(int rounds)
{
	int bad = 0, fd;

	for (int i = 0; i < rounds; i++) {
		bad += unload() < 0 || load() < 0;
		fd = open_device(find_node(), O_RDWR);
		bad += ring(fd, info_of(fd).id, 0) < 0 || !readable(fd, SOON_MS);
		close(fd);
	}
	check(bad == 0, "%d times rmmod and insmod, and the device rings each time",
	      rounds);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	module = argv[2];
	find_device(argv[1]);
	if (!has_doorbells(argv[1])) {
		unbind_plain(argv[1]);
		return checked();
	}
	unbind_in_use(argv[1]);
	unbind_again_and_again(atoi(argv[3]));
	unload_again_and_again(atoi(argv[3]));
	return checked();
}
