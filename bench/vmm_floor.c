/* SPDX-License-Identifier: MIT */
/* bench/vmm_floor.c - the floor as a contestant */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/err.h"
#include "bench/floor.h"
#include "bench/trial.h"

#define RAM_SIZE (32 << 20)

static int map_kernel(int fd, struct floor_config *cfg, struct belfry_error *err)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "the guest's program");
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return bf_err_sys(err, errno, "map the guest's program");
	cfg->kernel = map;
	cfg->kernel_size = st.st_size;
	return 0;
}

static int start(struct guests *g, struct belfry_error *err)
{
	struct floor_config cfg = {
		.vms = g->n,
		.ram_size = RAM_SIZE,
		.link = { g->memory, g->link_size },
		.samples = { g->trial->lab->page_fd, TRIAL_PAGE_SIZE },
	};
	int cpus[FLOOR_VMS_MAX], r;
	struct floor *f = NULL;

	for (unsigned int i = 0; i < g->n && i < FLOOR_VMS_MAX; i++) {
		cfg.cmdlines[i] = g->guest[i].cmdline;
		cfg.consoles[i] = g->guest[i].console;
		cpus[i] = g->guest[i].cpu;
	}
	r = map_kernel(g->trial->lab->kernel, &cfg, err);
	if (r == 0)
		r = floor_create(&f, &cfg, err);
	if (r == 0)
		r = floor_run(f, cpus, false, err);
	if (r < 0)
		return r;
	g->vmm = f;
	return 0;
}

static int status(struct guests *g, unsigned int i)
{
	int s = floor_status(g->vmm, i);

	return s == FLOOR_RUNNING ? GUEST_RUNNING : s;
}

static int64_t exits(struct guests *g)
{
	struct floor_exits e = floor_exits(g->vmm);

	return e.console + e.mmio + e.other;
}

static void end(struct guests *g)
{
	floor_wait(g->vmm);
	floor_destroy(g->vmm);
}

const struct vmm_ops vmm_floor = {
	.start = start,
	.status = status,
	.exits = exits,
	.end = end,
};

void start_args_floor(struct start_args *a, const struct bench_lab *lab,
		      const char *kernel, const char *socket)
{
	start_arg(a, "/proc/self/exe");
	start_arg(a, "bench");
	start_arg(a, "--floor");
	if (!socket)
		start_arg(a, "--no-link");
	start_arg(a, "%s", kernel);
	start_arg(a, "ready=1");
}
