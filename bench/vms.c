/* SPDX-License-Identifier: MIT */
/*
 * bench/vms.c - what a VM costs its process: time to create and destroy it, and memory
 *
 *	vms KERNEL [VMS]
 *
 * KERNEL is a guest that idles, VMS is 1000 without it. For bench/library.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <belfry.h>

#define VMS         1000
#define VMS_MAX     1000000
#define THREADS_MAX 8
#define HELD        50 /* VMs at a time, to see what one takes */

static _Noreturn void fail(const char *msg)
{
	fprintf(stderr, "vms: %s\n", msg);
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- time --- */

struct work {
	const struct belfry_config *cfg;
	atomic_int left;
};

static void *create_and_destroy(void *arg)
{
	struct work *work = arg;
	struct belfry_error err;
	struct belfry_vm *vm;

	while (atomic_fetch_sub(&work->left, 1) > 0) {
		if (belfry_vm_create(work->cfg, "vm", &vm, &err) < 0)
			fail(err.msg);
		belfry_vm_destroy(vm);
	}
	return NULL;
}

static void time_vms(const struct belfry_config *cfg, int vms, int threads)
{
	struct work work = { .cfg = cfg, .left = vms };
	pthread_t ids[THREADS_MAX];
	const double from = seconds();

	for (int i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, create_and_destroy, &work) != 0)
			fail("a thread cannot be made");
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%d VMs created and destroyed by %d thread%s: %.1f s\n", vms, threads,
	       threads > 1 ? "s" : "", seconds() - from);
	fflush(stdout);
}

/* --- memory --- */

/* kB of this process that are no file's and not shared, as guest memory is. */
static long anonymous_kb(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	char line[128];
	long kb = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Anonymous: %ld", &kb) == 1)
			break;
	if (file)
		fclose(file);
	if (kb < 0)
		fail("/proc/self/smaps_rollup has no line 'Anonymous'");
	return kb;
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static void weigh(const struct belfry_config *cfg, const char *state)
{
	const int descriptors_before = descriptors();
	const long before = anonymous_kb();
	struct belfry_vm *vms[HELD];
	struct belfry_error err;

	for (int i = 0; i < HELD; i++) {
		if (belfry_vm_create(cfg, "vm", &vms[i], &err) < 0)
			fail(err.msg);
		if (strcmp(state, "running") == 0 && belfry_vm_start(vms[i], &err) < 0)
			fail(err.msg);
	}
	sleep(1); /* until the guests idle */
	printf("a VM that is %s: %.1f kB without its RAM, %.1f descriptors\n", state,
	       (double)(anonymous_kb() - before) / HELD,
	       (double)(descriptors() - descriptors_before) / HELD);
	for (int i = 0; i < HELD; i++)
		belfry_vm_destroy(vms[i]);
}

int main(int argc, char **argv)
{
	const int vms = argc > 2 ? atoi(argv[2]) : VMS;
	struct belfry_config *cfg;
	struct belfry_error err;

	if (argc < 2 || argc > 3 || vms < 1 || vms > VMS_MAX)
		fail("usage: vms KERNEL [VMS], 1 to 1000000");
	if (belfry_config_create(&cfg, &err) < 0 ||
	    belfry_config_set(cfg, "vms.vm.kernel", argv[1], &err) < 0 ||
	    belfry_config_set(cfg, "vms.vm.memory", "32M", &err) < 0)
		fail(err.msg);
	weigh(cfg, "created");
	weigh(cfg, "running");
	for (int threads = 1; threads <= THREADS_MAX; threads *= 2)
		time_vms(cfg, vms, threads);
	belfry_config_destroy(cfg);
	return 0;
}
