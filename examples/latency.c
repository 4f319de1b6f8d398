/* SPDX-License-Identifier: MIT */
/*
 * examples/latency.c - a latency probe: how long from a ring to the guest's answer
 *
 *	latency KERNEL [ROUNDS]
 *
 * A link by hand: one file and two eventfds, which KVM turns into interrupts and makes of
 * doorbells. The library is not on the way. The guest answers each ring with a ring, such
 * as guest-tests/echo.c: word 0 of the memory becomes its ID + 1 when it listens, word 1
 * is whom to answer.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <belfry.h>

#define SHARED     (1 << 20)
#define ROUNDS     1000
#define ROUNDS_MAX 1000000
#define LIMIT_MS   10000
#define GUEST      0 /* IDs on the link */
#define HOST       1

static const char config[] = "vms:\n"
			     "  guest:\n"
			     "    memory: 32M\n"
			     "    devices:\n"
			     "      - ivshmem: { size: 1M, by_hand: on, id: 0 }\n";

struct probe {
	struct belfry_vm *vm;
	_Atomic uint32_t *words;
	int bells[2]; /* heard by GUEST, by HOST */
};

/* Here a failure ends the program: the process's end releases all there is. */
static void must(int result, const struct belfry_error *err)
{
	if (result >= 0)
		return;
	fprintf(stderr, "latency: %s\n", err->msg);
	exit(1);
}

static int or_exit(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void create_guest(struct probe *p, const char *kernel, const char *cmdline)
{
	int memory = or_exit(memfd_create("latency", MFD_CLOEXEC), "memfd_create");
	struct belfry_config *cfg;
	struct belfry_error err;

	or_exit(ftruncate(memory, SHARED), "ftruncate");
	p->words = mmap(NULL, SHARED, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	or_exit(p->words == MAP_FAILED ? -1 : 0, "mmap");
	p->words[1] = HOST;

	must(belfry_config_create(&cfg, &err), &err);
	must(belfry_config_load_string(cfg, "latency", config, &err), &err);
	must(belfry_config_set(cfg, "vms.guest.kernel", kernel, &err), &err);
	must(belfry_config_set(cfg, "vms.guest.cmdline", cmdline, &err), &err);
	must(belfry_config_set_fd(cfg, "vms.guest.devices.0.ivshmem.file", memory, &err),
	     &err);
	must(belfry_vm_create(cfg, "guest", &p->vm, &err), &err);
	belfry_config_destroy(cfg);
	close(memory);

	p->bells[GUEST] = or_exit(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	p->bells[HOST] = or_exit(eventfd(0, EFD_CLOEXEC), "eventfd");
	for (int id = 0; id < 2; id++)
		must(belfry_vm_add_doorbell(p->vm, 0, id, 0, p->bells[id], &err), &err);
}

static void wait_until_it_listens(const struct probe *p)
{
	for (int ms = 0; ms < LIMIT_MS && p->words[0] == 0; ms++)
		usleep(1000);
	if (p->words[0] == 0) {
		fprintf(stderr, "latency: the guest does not listen\n");
		exit(1);
	}
}

/* One round trip. */
static int64_t ring(const struct probe *p)
{
	struct pollfd answer = { .fd = p->bells[HOST], .events = POLLIN };
	const int64_t from = now_ns();
	int64_t to;
	eventfd_t n;

	or_exit(eventfd_write(p->bells[GUEST], 1), "eventfd_write");
	if (poll(&answer, 1, LIMIT_MS) != 1) {
		fprintf(stderr, "latency: the guest does not answer\n");
		exit(1);
	}
	to = now_ns();
	or_exit(eventfd_read(p->bells[HOST], &n), "eventfd_read");
	return to - from;
}

static int by_value(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_percentiles(int64_t *samples, int n)
{
	qsort(samples, n, sizeof(*samples), by_value);
	printf("%d round trips, us: min %.2f, p50 %.2f, p90 %.2f, p99 %.2f, max %.2f\n",
	       n, samples[0] / 1e3, samples[n / 2] / 1e3, samples[n * 9L / 10] / 1e3,
	       samples[n * 99L / 100] / 1e3, samples[n - 1] / 1e3);
}

int main(int argc, char **argv)
{
	const int rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
	struct belfry_error err;
	struct probe probe;
	int64_t *samples;
	char cmdline[32];

	if (argc < 2 || argc > 3 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: latency KERNEL [ROUNDS], 1 to %d\n", ROUNDS_MAX);
		return 2;
	}
	samples = calloc(rounds, sizeof(*samples));
	or_exit(samples ? 0 : -1, "calloc");
	snprintf(cmdline, sizeof(cmdline), "rounds=%d", rounds);
	create_guest(&probe, argv[1], cmdline);
	must(belfry_vm_start(probe.vm, &err), &err);
	wait_until_it_listens(&probe);
	for (int i = 0; i < rounds; i++)
		samples[i] = ring(&probe);
	print_percentiles(samples, rounds);

	belfry_vm_destroy(probe.vm);
	munmap((void *)probe.words, SHARED);
	close(probe.bells[GUEST]);
	close(probe.bells[HOST]);
	free(samples);
	return 0;
}
