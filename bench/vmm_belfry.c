/* SPDX-License-Identifier: MIT */
/* bench/vmm_belfry.c - belfry as a contestant, by the library's public calls */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "bench/trial.h"

struct vms {
	struct belfry_vm *vm[GUESTS_MAX];
};

static int set(struct belfry_config *cfg, unsigned int i, const char *key,
	       const char *value, struct belfry_error *err)
{
	char path[80];

	snprintf(path, sizeof(path), "vms.g%u.%s", i, key);
	return belfry_config_set(cfg, path, value, err);
}

static int set_number(struct belfry_config *cfg, unsigned int i, const char *key,
		      unsigned long number, struct belfry_error *err)
{
	char value[24];

	snprintf(value, sizeof(value), "%lu", number);
	return set(cfg, i, key, value, err);
}

static int set_fd(struct belfry_config *cfg, unsigned int i, const char *key, int fd,
		  struct belfry_error *err)
{
	char path[80];

	snprintf(path, sizeof(path), "vms.g%u.%s", i, key);
	return belfry_config_set_fd(cfg, path, fd, err);
}

/* The device that is measured, then the one that takes the samples. */
static int set_devices(struct belfry_config *cfg, const struct guests *g, unsigned int i,
		       struct belfry_error *err)
{
	int r = set_fd(cfg, i, "devices.0.ivshmem.socket", g->guest[i].socket, err);

	if (r == 0)
		r = set_number(cfg, i, "devices.0.ivshmem.vectors", g->vectors, err);
	if (r == 0 && g->trial->contestant == BENCH_WINDOW)
		r = set(cfg, i, "devices.0.ivshmem.doorbell_window", "true", err);
	if (r == 0 && g->guest[i].measures)
		r = set_fd(cfg, i, "devices.1.ivshmem.file", g->trial->lab->page_fd, err);
	if (r == 0 && g->guest[i].measures)
		r = set_number(cfg, i, "devices.1.ivshmem.size", TRIAL_PAGE_SIZE, err);
	return r;
}

static int describe(struct belfry_config *cfg, const struct guests *g, unsigned int i,
		    struct belfry_error *err)
{
	int r = set_fd(cfg, i, "kernel", g->trial->lab->kernel, err);

	if (r == 0)
		r = set_fd(cfg, i, "console", g->guest[i].console, err);
	if (r == 0)
		r = set(cfg, i, "memory", "32M", err);
	if (r == 0)
		r = set(cfg, i, "cmdline", g->guest[i].cmdline, err);
	if (r == 0 && g->guest[i].cpu >= 0)
		r = set_number(cfg, i, "affinity", g->guest[i].cpu, err);
	return r == 0 ? set_devices(cfg, g, i, err) : r;
}

/* All are made before any runs: no sample pays for the making of another VM. */
static int make_vms(struct belfry_config *cfg, struct guests *g, struct vms *vms,
		    struct belfry_error *err)
{
	char name[16];
	int r = 0;

	for (unsigned int i = 0; i < g->n && r == 0; i++)
		r = describe(cfg, g, i, err);
	for (unsigned int i = 0; i < g->n && r == 0; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		r = belfry_vm_create(cfg, name, &vms->vm[i], err);
	}
	for (unsigned int i = 0; i < g->n && r == 0; i++)
		r = belfry_vm_start(vms->vm[i], err);
	return r;
}

static int start(struct guests *g, struct belfry_error *err)
{
	struct vms *vms = calloc(1, sizeof(*vms));
	struct belfry_config *cfg;
	int r;

	if (!vms)
		return bf_err(err, ENOMEM, "out of memory");
	g->vmm = vms;
	r = belfry_config_create(&cfg, err);
	if (r < 0)
		return r;
	r = make_vms(cfg, g, vms, err);
	belfry_config_destroy(cfg);
	return r;
}

static int status(struct guests *g, unsigned int i)
{
	struct belfry_result result = { .size = sizeof(result) };
	struct vms *vms = g->vmm;

	if (belfry_vm_wait(vms->vm[i], 0, &result) == -ETIMEDOUT)
		return GUEST_RUNNING;
	snprintf(g->detail[i], sizeof(g->detail[i]), "%s", result.detail);
	return result.reason == BELFRY_STOP_DEBUG_EXIT ? (int)result.status : 255;
}

static int64_t exits(struct guests *g)
{
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct vms *vms = g->vmm;
	int64_t sum = 0;

	for (unsigned int i = 0; i < g->n; i++)
		if (belfry_vm_stats(vms->vm[i], &stats) == 0)
			sum += stats.exits;
	return sum;
}

static void end(struct guests *g)
{
	struct vms *vms = g->vmm;

	for (unsigned int i = 0; i < g->n; i++)
		belfry_vm_destroy(vms->vm[i]);
	free(vms);
}

const struct vmm_ops vmm_belfry = {
	.start = start,
	.status = status,
	.exits = exits,
	.end = end,
};

void start_args_belfry(struct start_args *a, const struct bench_lab *lab,
		       const char *kernel, const char *socket)
{
	start_arg(a, "/proc/self/exe");
	start_arg(a, "run");
	start_arg(a, "--set");
	start_arg(a, "vms.vm.kernel=%s", kernel);
	start_arg(a, "--set");
	start_arg(a, "vms.vm.memory=32M");
	start_arg(a, "--set");
	start_arg(a, "vms.vm.cmdline=ready=1");
	if (!socket)
		return;
	start_arg(a, "--set");
	start_arg(a, "vms.vm.devices.0.ivshmem.socket=%s", socket);
}
