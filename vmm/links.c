/* SPDX-License-Identifier: MIT */
/*
 * vmm/links.c - the links of a configuration, hosted by this process
 *
 * Each link is a sealed memfd and an ivshmem server without an address: a VM joins by one
 * end of a socketpair. belfry_links_create() and _join() make descriptors only, so that a
 * process may fork its VMs in between; belfry_links_start() makes the ring, the servers
 * and the thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/own.h"
#include "base/thread.h"
#include "devices/devices.h"
#include "devices/ivshmem_conf.h"
#include "ivshmem/ivshmem.h"
#include "vmm/config.h"

#define DEVICE_KEY "vms.%s.devices.%u.ivshmem.%s"

/* A VM reads while it is being created; one that lags so far behind is stuck. */
#define QUEUE_MAX 65536

struct link {
	char *name;
	unsigned int vectors;
	int memory;
	int *waiting; /* server ends of sockets, until the start */
	unsigned int n_waiting;
	struct bf_server *server;
};

struct belfry_links {
	struct bf_log log;
	struct link *links;
	unsigned int n;
	struct bf_loop *loop;
	pthread_t thread;
	bool started;
	bool has_thread;
};

static int link_init(struct link *link, const struct bf_link_conf *conf,
		     struct belfry_error *err)
{
	char what[64];

	link->name = strdup(conf->name);
	link->vectors = conf->vectors;
	snprintf(what, sizeof(what), "links.%s", conf->name);
	if (!link->name)
		return bf_err_sys(err, ENOMEM, "%s", what);
	link->memory = bf_memory_create(what, conf->size, conf->hugepages, err);
	return link->memory < 0 ? link->memory : 0;
}

static void link_fini(struct link *link)
{
	bf_server_destroy(link->server);
	for (unsigned int i = 0; i < link->n_waiting; i++)
		bf_close(&link->waiting[i]);
	free(link->waiting);
	bf_close(&link->memory);
	free(link->name);
}

int belfry_links_create(const struct belfry_config *cfg, struct belfry_links **out,
			struct belfry_error *err)
{
	struct belfry_links *links;
	int e;

	if (!cfg || !out)
		return bf_err_null(err, __func__);
	e = belfry_config_validate(cfg, err);
	if (e < 0)
		return e;
	links = calloc(1, sizeof(*links));
	if (!links)
		return bf_err_sys(err, ENOMEM, "links");
	links->log = cfg->log;
	links->links = calloc(cfg->n_links ? cfg->n_links : 1, sizeof(*links->links));
	e = links->links ? 0 : bf_err_sys(err, ENOMEM, "links");
	for (; e == 0 && links->n < cfg->n_links; links->n++) {
		links->links[links->n].memory = -1;
		e = link_init(&links->links[links->n], &cfg->links[links->n], err);
	}
	if (e < 0) {
		belfry_links_destroy(links);
		return e;
	}
	*out = links;
	return 0;
}

static struct link *links_find(struct belfry_links *links, const char *name)
{
	for (unsigned int i = 0; i < links->n; i++)
		if (strcmp(links->links[i].name, name) == 0)
			return &links->links[i];
	return NULL;
}

/* A connection to @link. Return: the client's end (returns); a negative errno. */
static int link_connect(struct link *link, struct belfry_error *err)
{
	int *more = realloc(link->waiting, (link->n_waiting + 1) * sizeof(*more));
	int ends[2];

	if (!more)
		return bf_err_sys(err, ENOMEM, "links.%s", link->name);
	link->waiting = more;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return bf_err_sys(err, errno, "links.%s: socket", link->name);
	link->waiting[link->n_waiting++] = ends[0];
	return ends[1];
}

/* Connect one device, when it is one that names a link. */
static int device_join(struct belfry_links *links, struct belfry_config *cfg,
		       const struct bf_vm_conf *vm, unsigned int index,
		       struct belfry_error *err)
{
	const struct bf_device_conf *dev = &vm->devices[index];
	const struct bf_ivshmem_conf *conf = dev->conf;
	BF_CLOSE int fd = -1;
	struct link *link;
	char path[96];
	int e;

	if (dev->ops->keys != bf_ivshmem_keys || !conf->link.path)
		return 0;
	link = links_find(links, conf->link.path);
	if (!link)
		return bf_err(err, ENOENT, DEVICE_KEY " %s: there is no such link",
			      vm->name, index, "link", conf->link.path);
	fd = link_connect(link, err);
	if (fd < 0)
		return fd;
	if (conf->vectors == 0) {
		char vectors[16];

		snprintf(vectors, sizeof(vectors), "%u", link->vectors);
		snprintf(path, sizeof(path), DEVICE_KEY, vm->name, index, "vectors");
		e = belfry_config_set(cfg, path, vectors, err);
		if (e < 0)
			return e;
	}
	snprintf(path, sizeof(path), DEVICE_KEY, vm->name, index, "link");
	return belfry_config_set_fd(cfg, path, fd, err);
}

int belfry_links_join(struct belfry_links *links, struct belfry_config *cfg,
		      const char *name, struct belfry_error *err)
{
	const struct bf_vm_conf *vm;
	int e = 0;

	if (!links || !cfg || !name)
		return bf_err_null(err, __func__);
	if (links->started)
		return bf_err(err, EBUSY, "links: already started");
	vm = bf_config_vm(cfg, name);
	if (!vm)
		return bf_err(err, ENOENT, "vms.%s: there is no such VM", name);
	for (unsigned int i = 0; i < vm->n_devices && e == 0; i++)
		e = device_join(links, cfg, vm, i, err);
	return e;
}

static int link_start(struct belfry_links *links, struct link *link,
		      struct belfry_error *err)
{
	const struct bf_server_conf conf = {
		.name = link->name,
		.memory = link->memory,
		.vectors = link->vectors,
		.queue_max = QUEUE_MAX,
	};
	int e = bf_server_create(&link->server, links->loop, &conf, &links->log, err);

	for (unsigned int i = 0; i < link->n_waiting && e >= 0; i++)
		e = bf_server_add(link->server, bf_take(&link->waiting[i]), err);
	return e < 0 ? e : 0;
}

static void *links_main(void *arg)
{
	struct belfry_links *links = arg;
	int e = bf_loop_run(links->loop);

	if (e < 0)
		bf_log(&links->log, BELFRY_LOG_ERROR, "links: %s", strerrordesc_np(-e));
	return NULL;
}

static int links_start(struct belfry_links *links, struct belfry_error *err)
{
	int e = bf_loop_create(&links->loop, err);

	for (unsigned int i = 0; i < links->n && e == 0; i++)
		e = link_start(links, &links->links[i], err);
	if (e < 0)
		return e;
	e = bf_thread_create(&links->thread, NULL, links_main, links);
	if (e)
		return bf_err_sys(err, e, "links: thread");
	links->has_thread = true;
	return 0;
}

int belfry_links_start(struct belfry_links *links, struct belfry_error *err)
{
	if (!links)
		return bf_err_null(err, __func__);
	if (links->started)
		return bf_err(err, EBUSY, "links: already started");
	links->started = true;
	return links->n ? links_start(links, err) : 0;
}

void belfry_links_destroy(struct belfry_links *links)
{
	if (!links)
		return;
	if (links->has_thread) {
		bf_loop_wake(links->loop);
		pthread_join(links->thread, NULL);
	}
	for (unsigned int i = 0; i < links->n; i++)
		link_fini(&links->links[i]);
	bf_loop_destroy(links->loop);
	free(links->links);
	free(links);
}
