/* SPDX-License-Identifier: MIT */
/* vmm/config.c - a configuration: the keys of links and VMs, its life, single values */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "devices/devices.h"
#include "ivshmem/ivshmem.h"
#include "vmm/config.h"
#include "vmm/config_parts.h"

#define MIB         (1ULL << 20)
#define TIB         (1ULL << 40)
#define VECTORS_MAX BF_IVSHMEM_VECTORS_MAX
#define CPU_LAST    (CPU_SETSIZE - 1)
#define PATH_LAST   4095 /* PATH_MAX counts the NUL */

#define LINK(field) offsetof(struct bf_link_conf, field)
#define VM(field)   offsetof(struct bf_vm_conf, field)

/* clang-format off */
const struct bf_key bf_link_keys[] = {
	/* name             type       where                min   max          default */
	{ "size",           BF_POW2,   LINK(size),          4096, TIB,         "4M",
	  "bytes of memory that the VMs share, a power of two" },
	{ "vectors",        BF_UINT,   LINK(vectors),       1,    VECTORS_MAX, "1",
	  "doorbells of each VM" },
	{ "hugepages",      BF_CHOICE, LINK(hugepages),     0,    0,           "none",
	  "pages of the memory, which the host must have set aside (hugetlbfs)",
	  bf_hugepages_words },
	{ 0 },
};

static const char *const on_reset_words[] = {
	[BF_ON_RESET_EXIT] = "exit",
	[BF_ON_RESET_RESTART] = "restart",
	NULL,
};

const struct bf_key bf_vm_keys[] = {
	/* name             type       where                min   max          default */
	{ "kernel",         BF_FILE,   VM(kernel),          1,    PATH_LAST,   BF_REQUIRED,
	  "what to start: an ELF file with a PVH entry, or a Linux bzImage" },
	{ "initrd",         BF_FILE,   VM(initrd),          1,    PATH_LAST,   NULL,
	  "initial RAM disk, handed to the kernel" },
	{ "cmdline",        BF_STRING, VM(cmdline),         0,    2047,        NULL,
	  "the kernel's command line" },
	{ "memory",         BF_PAGES,  VM(memory),          MIB,  TIB,         "128M",
	  "bytes of RAM, a multiple of 4k" },
	{ "hugepages",      BF_CHOICE, VM(hugepages),       0,    0,           "none",
	  "pages of the RAM, which the host must have set aside (hugetlbfs)",
	  bf_hugepages_words },
	{ "prefault",       BF_BOOL,   VM(prefault),        0,    0,           "false",
	  "take all RAM from the host before the guest starts" },
	{ "cpus",           BF_UINT,   VM(cpus),            1,    64,          "1",
	  "virtual CPUs" },
	{ "affinity",       BF_CPUS,   VM(affinity),        0,    CPU_LAST,    NULL,
	  "host CPUs the virtual ones run on, in turn, such as 0,2-3" },
	{ "on_reset",       BF_CHOICE, VM(on_reset),        0,    0,           "exit",
	  "when the guest resets: end the VM, or start the guest again", on_reset_words },
	{ "stop_timeout",   BF_UINT,   VM(stop_timeout),    0,    3600,        "10",
	  "seconds the guest has to power off when belfry run is to stop; 0: none" },
	{ "console",        BF_FILE,   VM(console),         1,    PATH_LAST,   NULL,
	  "file that the serial port writes to; without it, belfry run takes stdout" },
	{ "console_prefix", BF_STRING, VM(console_prefix),  0,    64,          NULL,
	  "text in front of each line of the console" },
	{ "console_input",  BF_FILE,   VM(console_input),   1,    PATH_LAST,   NULL,
	  "file that the serial port receives from" },
	{ "console_pty",    BF_STRING, VM(console_pty),     1,    PATH_LAST,   NULL,
	  "symbolic link to make to a pseudo-terminal with the console" },
	{ 0 },
};
/* clang-format on */

/* --- sections --- */

/* Room for one more behind @n of @size bytes, zeroed. Return: the array; NULL. */
static void *grow(void *array, unsigned int n, size_t size)
{
	char *grown = reallocarray(array, n + 1, size);

	if (grown)
		memset(grown + n * size, 0, size);
	return grown;
}

/* Close the gap after number @index of the @n there are. */
static void close_gap(void *array, unsigned int n, size_t size, unsigned int index)
{
	char *gap = (char *)array + index * size;

	memmove(gap, gap + size, (n - index - 1) * size);
}

static void link_fini(struct bf_link_conf *link)
{
	bf_schema_fini(bf_link_keys, link);
	free(link->name);
	free(link->where);
}

int bf_config_add_link(struct belfry_config *cfg, const char *name,
		       struct belfry_error *err)
{
	struct bf_link_conf *links;
	BF_FREE char *copy = strdup(name);
	int r;

	if (cfg->n_links == BF_CONFIG_LINKS_MAX)
		return bf_err(err, EINVAL, "links.%s: at most %d links", name,
			      BF_CONFIG_LINKS_MAX);
	links = grow(cfg->links, cfg->n_links, sizeof(*links));
	if (links)
		cfg->links = links;
	if (!links || !copy)
		return bf_err(err, ENOMEM, "links.%s: out of memory", name);
	r = bf_schema_init(bf_link_keys, &links[cfg->n_links], err);
	if (r < 0)
		return r;
	links[cfg->n_links++].name = bf_take_ptr(&copy);
	return 0;
}

void bf_config_drop_link(struct belfry_config *cfg, unsigned int index)
{
	link_fini(&cfg->links[index]);
	close_gap(cfg->links, cfg->n_links--, sizeof(*cfg->links), index);
}

static void server_fini(struct bf_service_conf *server)
{
	bf_schema_fini(bf_server_keys, server);
	free(server->name);
	free(server->where);
}

int bf_config_add_server(struct belfry_config *cfg, const char *name,
			 struct belfry_error *err)
{
	struct bf_service_conf *servers;
	BF_FREE char *copy = strdup(name);
	int r;

	if (cfg->n_servers == BF_CONFIG_SERVERS_MAX)
		return bf_err(err, EINVAL, "servers.%s: at most %d servers", name,
			      BF_CONFIG_SERVERS_MAX);
	servers = grow(cfg->servers, cfg->n_servers, sizeof(*servers));
	if (servers)
		cfg->servers = servers;
	if (!servers || !copy)
		return bf_err(err, ENOMEM, "servers.%s: out of memory", name);
	r = bf_schema_init(bf_server_keys, &servers[cfg->n_servers], err);
	if (r < 0)
		return r;
	servers[cfg->n_servers++].name = bf_take_ptr(&copy);
	return 0;
}

void bf_config_drop_server(struct belfry_config *cfg, unsigned int index)
{
	server_fini(&cfg->servers[index]);
	close_gap(cfg->servers, cfg->n_servers--, sizeof(*cfg->servers), index);
}

static void device_fini(struct bf_device_conf *dev)
{
	bf_schema_fini(dev->ops->keys, dev->conf);
	free(dev->conf);
	free(dev->where);
}

int bf_config_add_device(struct bf_vm_conf *vm, const struct bf_device_ops *ops,
			 struct belfry_error *err)
{
	BF_FREE void *conf = calloc(1, ops->conf_size);
	struct bf_device_conf *devices;
	int r;

	if (vm->n_devices == BF_CONFIG_DEVICES_MAX)
		return bf_err(err, EINVAL, "vms.%s.devices: at most %d devices", vm->name,
			      BF_CONFIG_DEVICES_MAX);
	devices = grow(vm->devices, vm->n_devices, sizeof(*devices));
	if (devices)
		vm->devices = devices;
	if (!devices || !conf)
		return bf_err(err, ENOMEM, "vms.%s.devices: out of memory", vm->name);
	r = bf_schema_init(ops->keys, conf, err);
	if (r < 0)
		return r;
	devices[vm->n_devices].ops = ops;
	devices[vm->n_devices++].conf = bf_take_ptr(&conf);
	return 0;
}

void bf_config_drop_device(struct bf_vm_conf *vm, unsigned int index)
{
	device_fini(&vm->devices[index]);
	close_gap(vm->devices, vm->n_devices--, sizeof(*vm->devices), index);
}

static void vm_fini(struct bf_vm_conf *vm)
{
	while (vm->n_devices)
		bf_config_drop_device(vm, vm->n_devices - 1);
	free(vm->devices);
	bf_schema_fini(bf_vm_keys, vm);
	free(vm->name);
	free(vm->where);
}

int bf_config_add_vm(struct belfry_config *cfg, const char *name,
		     struct belfry_error *err)
{
	BF_FREE char *copy = strdup(name);
	struct bf_vm_conf *vms;
	int r;

	if (cfg->n_vms == BF_CONFIG_VMS_MAX)
		return bf_err(err, EINVAL, "vms.%s: at most %d VMs", name,
			      BF_CONFIG_VMS_MAX);
	vms = grow(cfg->vms, cfg->n_vms, sizeof(*vms));
	if (vms)
		cfg->vms = vms;
	if (!vms || !copy)
		return bf_err(err, ENOMEM, "vms.%s: out of memory", name);
	r = bf_schema_init(bf_vm_keys, &vms[cfg->n_vms], err);
	if (r < 0)
		return r;
	vms[cfg->n_vms++].name = bf_take_ptr(&copy);
	return 0;
}

void bf_config_drop_vm(struct belfry_config *cfg, unsigned int index)
{
	vm_fini(&cfg->vms[index]);
	close_gap(cfg->vms, cfg->n_vms--, sizeof(*cfg->vms), index);
}

const struct bf_link_conf *bf_config_link(const struct belfry_config *cfg,
					  const char *name)
{
	for (unsigned int i = 0; i < cfg->n_links; i++) {
		if (strcmp(cfg->links[i].name, name) == 0)
			return &cfg->links[i];
	}
	return NULL;
}

const struct bf_service_conf *bf_config_server(const struct belfry_config *cfg,
					       const char *name)
{
	for (unsigned int i = 0; i < cfg->n_servers; i++) {
		if (strcmp(cfg->servers[i].name, name) == 0)
			return &cfg->servers[i];
	}
	return NULL;
}

const struct bf_vm_conf *bf_config_vm(const struct belfry_config *cfg, const char *name)
{
	for (unsigned int i = 0; i < cfg->n_vms; i++) {
		if (strcmp(cfg->vms[i].name, name) == 0)
			return &cfg->vms[i];
	}
	return NULL;
}

/* --- the whole, and single values --- */

int belfry_config_create(struct belfry_config **out, struct belfry_error *err)
{
	struct belfry_config *cfg;

	if (!out)
		return bf_err_null(err, __func__);
	cfg = calloc(1, sizeof(*cfg));
	if (!cfg)
		return bf_err(err, ENOMEM, "configuration: out of memory");
	*out = cfg;
	return 0;
}

void belfry_config_destroy(struct belfry_config *cfg)
{
	if (!cfg)
		return;
	while (cfg->n_vms)
		bf_config_drop_vm(cfg, cfg->n_vms - 1);
	while (cfg->n_servers)
		bf_config_drop_server(cfg, cfg->n_servers - 1);
	while (cfg->n_links)
		bf_config_drop_link(cfg, cfg->n_links - 1);
	free(cfg->vms);
	free(cfg->servers);
	free(cfg->links);
	free(cfg);
}

/* A path in a message. */
static const char *shown(const char *path)
{
	return *path ? path : "empty path";
}

int bf_config_put(const struct bf_place *place, const char *path, const char *value,
		  struct belfry_error *err)
{
	int r = bf_schema_set(place->key, place->conf, value, err);

	return r < 0 ? bf_err_wrap(err, r, "%s %s", path, bf_brief(value).text) : 0;
}

/* As bf_config_find(), for places that hold a value. */
static int find_value(struct belfry_config *cfg, const char *path, struct bf_place *place,
		      struct belfry_error *err)
{
	int r = bf_config_find(cfg, path, place, err);

	if (r < 0 || place->shape == BF_SHAPE_VALUE)
		return r;
	bf_config_unmake(cfg, place);
	return bf_err(err, EINVAL, "%s: not a key that holds a value", shown(path));
}

int belfry_config_set(struct belfry_config *cfg, const char *path, const char *value,
		      struct belfry_error *err)
{
	struct bf_place place;
	int r;

	if (!cfg || !path || !value)
		return bf_err_null(err, __func__);
	r = find_value(cfg, path, &place, err);
	if (r < 0)
		return r;
	r = bf_config_put(&place, path, value, err);
	if (r < 0)
		bf_config_unmake(cfg, &place);
	return r;
}

int belfry_config_set_fd(struct belfry_config *cfg, const char *path, int fd,
			 struct belfry_error *err)
{
	struct bf_place place;
	int r;

	if (!cfg || !path)
		return bf_err_null(err, __func__);
	r = find_value(cfg, path, &place, err);
	if (r < 0)
		return r;
	r = bf_schema_set_fd(place.key, place.conf, fd, err);
	if (r < 0) {
		bf_err_wrap(err, r, "%s", path);
		bf_config_unmake(cfg, &place);
	}
	return r;
}

int belfry_config_has(struct belfry_config *cfg, const char *path)
{
	struct bf_place place;
	int r;

	if (!cfg || !path)
		return -EINVAL;
	r = find_value(cfg, path, &place, NULL);
	if (r < 0)
		return r;
	r = bf_schema_given(place.key, place.conf);
	bf_config_unmake(cfg, &place);
	return r;
}

int belfry_config_get(struct belfry_config *cfg, const char *path, char **out,
		      struct belfry_error *err)
{
	struct bf_size_text number;
	struct bf_place place;
	const char *text;
	char *copy = NULL;
	int r;

	if (!cfg || !path || !out)
		return bf_err_null(err, __func__);
	r = find_value(cfg, path, &place, err);
	if (r < 0)
		return r;
	text = bf_schema_text(place.key, place.conf, &number);
	if (text)
		copy = strdup(text);
	bf_config_unmake(cfg, &place);
	if (!text)
		return bf_err(err, ENOENT, "%s: has no value", path);
	if (!copy)
		return bf_err(err, ENOMEM, "%s: out of memory", path);
	*out = copy;
	return 0;
}

int belfry_config_remove(struct belfry_config *cfg, const char *path,
			 struct belfry_error *err)
{
	const struct bf_service_conf *server;
	const struct bf_link_conf *link;
	const struct bf_vm_conf *vm;

	if (!cfg || !path)
		return bf_err_null(err, __func__);
	if (strncmp(path, "vms.", 4) == 0 && !strchr(path + 4, '.')) {
		vm = bf_config_vm(cfg, path + 4);
		if (!vm)
			return bf_err(err, ENOENT, "%s: no such VM", path);
		bf_config_drop_vm(cfg, vm - cfg->vms);
		return 0;
	}
	if (strncmp(path, "links.", 6) == 0 && !strchr(path + 6, '.')) {
		link = bf_config_link(cfg, path + 6);
		if (!link)
			return bf_err(err, ENOENT, "%s: no such link", path);
		bf_config_drop_link(cfg, link - cfg->links);
		return 0;
	}
	if (strncmp(path, "servers.", 8) == 0 && !strchr(path + 8, '.')) {
		server = bf_config_server(cfg, path + 8);
		if (!server)
			return bf_err(err, ENOENT, "%s: no such server", path);
		bf_config_drop_server(cfg, server - cfg->servers);
		return 0;
	}
	return bf_err(err, EINVAL, "%s: expected vms.NAME, links.NAME or servers.NAME",
		      shown(path));
}

const char *belfry_config_server_name(const struct belfry_config *cfg, size_t index)
{
	return cfg && index < cfg->n_servers ? cfg->servers[index].name : NULL;
}

const char *belfry_config_vm_name(const struct belfry_config *cfg, size_t index)
{
	return cfg && index < cfg->n_vms ? cfg->vms[index].name : NULL;
}

void belfry_config_set_log(struct belfry_config *cfg, belfry_log_fn *fn, void *user,
			   enum belfry_log_level max)
{
	if (!cfg)
		return;
	cfg->log.fn = fn;
	cfg->log.user = user;
	cfg->log.max = max;
}
