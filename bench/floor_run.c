/* SPDX-License-Identifier: MIT */
/* bench/floor_run.c - the floor by itself: belfry bench --floor */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/bench.h"
#include "bench/floor.h"
#include "bench/host.h"

#define RAM_SIZE  (32 << 20)
#define LINK_SIZE (16 << 20)

static int map_kernel(const char *path, struct floor_config *cfg,
		      struct belfry_error *err)
{
	BF_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return bf_err(err, EINVAL, "%s: not a regular file", path);
	if (st.st_size == 0)
		return 0; /* and so no ELF file */
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return bf_err_sys(err, errno, "%s", path);
	cfg->kernel = map;
	cfg->kernel_size = st.st_size;
	return 0;
}

static int open_link(struct floor_config *cfg, struct belfry_error *err)
{
	cfg->link.fd = memfd_create("belfry-floor", MFD_CLOEXEC);
	cfg->link.size = LINK_SIZE;
	if (cfg->link.fd < 0 || ftruncate(cfg->link.fd, LINK_SIZE) < 0)
		return bf_err_sys(err, errno, "memory of the link");
	return 0;
}

_Static_assert(BENCH_FLOOR_VMS_MAX == FLOOR_VMS_MAX, "as many as bench.h says");

int bench_run_floor(const char *kernel, char **cmdlines, unsigned int vms, bool link,
		    struct belfry_error *err)
{
	struct floor_config cfg = {
		.vms = vms ? vms : 1,
		.cmdlines = { "" },
		.ram_size = RAM_SIZE,
		.link = { -1, 0 },
		.samples = { -1, 0 },
		.consoles = { STDOUT_FILENO, STDOUT_FILENO },
	};
	int cpus[FLOOR_VMS_MAX] = { -1, -1 }, r;
	struct floor *f = NULL;

	for (unsigned int i = 0; i < vms; i++)
		cfg.cmdlines[i] = cmdlines[i];
	if (vms > 1 && bench_host_cpus(cpus, vms) < vms)
		cpus[0] = cpus[1] = -1;
	r = map_kernel(kernel, &cfg, err);
	if (r == 0 && link)
		r = open_link(&cfg, err);
	if (r == 0)
		r = floor_create(&f, &cfg, err);
	if (r < 0)
		return r;
	r = floor_run(f, cpus, true, err);
	if (r == 0)
		r = floor_wait(f);
	floor_destroy(f);
	return r;
}
