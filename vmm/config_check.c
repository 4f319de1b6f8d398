/* SPDX-License-Identifier: MIT */
/* vmm/config_check.c - what no single key of a configuration can show */
#include <errno.h>
#include <string.h>

#include "base/hugepages.h"
#include "base/number.h"
#include "base/own.h"
#include "base/text.h"
#include "devices/devices.h"
#include "vmm/config_parts.h"

/* Nobody mends more at once; belfry.h tells of it. */
#define MISTAKES_MAX 100

/* Say where in a file a section began, if one did. Return: @r. */
static int wrap_where(const char *where, int r, struct belfry_error *err)
{
	return where ? bf_err_wrap(err, r, "%s", where) : r;
}

/* The first required key that @conf lacks; NULL when it has all. */
static const struct bf_key *missing_key(const struct bf_key *keys, const void *conf)
{
	for (const struct bf_key *key = keys; key->name; key++) {
		if (bf_key_required(key) && !bf_schema_given(key, conf))
			return key;
	}
	return NULL;
}

static int check_required(const struct bf_key *keys, const void *conf,
			  struct belfry_error *err)
{
	const struct bf_key *key = missing_key(keys, conf);

	if (!key)
		return 0;
	return bf_err(err, EINVAL, "%s is missing", key->name);
}

/* Does the configuration declare the link called @name? */
static int check_link_name(const struct belfry_config *cfg, const char *key,
			   const char *name, struct belfry_error *err)
{
	struct bf_nearest near = { .word = name };
	struct bf_brief brief = bf_brief(name);

	if (bf_config_link(cfg, name))
		return 0;
	for (unsigned int i = 0; i < cfg->n_links; i++)
		bf_nearest_try(&near, cfg->links[i].name);
	if (near.best)
		return bf_err(err, EINVAL, "%s %s: no such link; did you mean '%s'?", key,
			      brief.text, near.best);
	return bf_err(err, EINVAL, "%s %s: no such link; declare it under links", key,
		      brief.text);
}

/*
 * A link that came as a descriptor is connected already, and may be declared elsewhere.
 */
static int check_links(const struct belfry_config *cfg, const struct bf_device_conf *dev,
		       struct belfry_error *err)
{
	int r = 0;

	for (const struct bf_key *key = dev->ops->keys; key->name && r == 0; key++) {
		const struct bf_file *file = bf_schema_file(key, dev->conf);

		if (key->type == BF_LINK && file->path && file->fd < 0)
			r = check_link_name(cfg, key->name, file->path, err);
	}
	return r;
}

/* Does the device get along with those before it? */
static int check_clash(const struct bf_vm_conf *vm, unsigned int index,
		       struct belfry_error *err)
{
	const struct bf_device_conf *dev = &vm->devices[index];
	int r = 0;

	for (unsigned int i = 0; i < index && r == 0; i++) {
		if (vm->devices[i].ops == dev->ops && dev->ops->clash)
			r = dev->ops->clash(dev->conf, vm->devices[i].conf, err);
	}
	return r;
}

static int check_device(const struct belfry_config *cfg, const struct bf_vm_conf *vm,
			unsigned int index, struct belfry_error *err)
{
	const struct bf_device_conf *dev = &vm->devices[index];
	int r = check_required(dev->ops->keys, dev->conf, err);

	if (r == 0 && dev->ops->validate)
		r = dev->ops->validate(dev->conf, err);
	if (r == 0)
		r = check_links(cfg, dev, err);
	if (r == 0)
		r = check_clash(vm, index, err);
	if (r == 0)
		return 0;
	bf_err_wrap(err, r, "vms.%s.devices.%u.%s", vm->name, index, dev->ops->name);
	return wrap_where(dev->where, r, err);
}

/* A VM that no file has, and that lacks something, may be another's name mistyped. */
static int check_vm_required(const struct belfry_config *cfg, const struct bf_vm_conf *vm,
			     struct belfry_error *err)
{
	const struct bf_key *key = missing_key(bf_vm_keys, vm);
	struct bf_nearest near = { .word = vm->name };

	if (!key)
		return 0;
	for (unsigned int i = 0; i < cfg->n_vms && !vm->where; i++)
		if (&cfg->vms[i] != vm)
			bf_nearest_try(&near, cfg->vms[i].name);
	if (near.best)
		return bf_err(err, EINVAL, "%s is missing; did you mean 'vms.%s'?",
			      key->name, near.best);
	return bf_err(err, EINVAL, "%s is missing", key->name);
}

static int check_memory(const struct belfry_config *cfg, const struct bf_vm_conf *vm,
			struct belfry_error *err)
{
	const uint64_t page = bf_hugepages_bytes(vm->hugepages);
	const uint64_t whole = (vm->memory + page - 1) / page * page;

	if (vm->memory == whole)
		return 0;
	return bf_err(err, EINVAL,
		      "memory %s: not a multiple of hugepages %s; %s would do",
		      bf_size_text(vm->memory).text, bf_size_text(page).text,
		      bf_size_text(whole).text);
}

static int check_console(const struct belfry_config *cfg, const struct bf_vm_conf *vm,
			 struct belfry_error *err)
{
	const char *other = bf_file_given(&vm->console)         ? "console"
			    : bf_file_given(&vm->console_input) ? "console_input"
								: NULL;

	if (!vm->console_pty)
		return 0;
	if (other)
		return bf_err(err, EINVAL,
			      "console_pty: it is both ways, so there cannot be %s",
			      other);
	for (const struct bf_vm_conf *vm2 = cfg->vms; vm2 != vm; vm2++)
		if (vm2->console_pty && strcmp(vm2->console_pty, vm->console_pty) == 0)
			return bf_err(err, EINVAL, "console_pty %s: is that of vms.%s",
				      vm->console_pty, vm2->name);
	return 0;
}

static int (*const vm_checks[])(const struct belfry_config *cfg,
				const struct bf_vm_conf *vm, struct belfry_error *err) = {
	check_vm_required,
	check_memory,
	check_console,
};

static int check_vm(const struct belfry_config *cfg, const struct bf_vm_conf *vm,
		    struct bf_mistakes *found)
{
	struct belfry_error err;
	int r = 0;

	for (unsigned int i = 0; i < BF_ARRAY_LEN(vm_checks) && r == 0; i++) {
		r = vm_checks[i](cfg, vm, &err);
		if (r == 0)
			continue;
		bf_err_wrap(&err, r, "vms.%s", vm->name);
		r = bf_mistake(found, wrap_where(vm->where, r, &err), &err);
	}
	for (unsigned int i = 0; i < vm->n_devices && r == 0; i++) {
		r = check_device(cfg, vm, i, &err);
		if (r < 0)
			r = bf_mistake(found, r, &err);
	}
	return r;
}

static int check_server(const struct bf_service_conf *server, struct belfry_error *err)
{
	int r = bf_service_conf_validate(server, err);

	if (r == 0)
		return 0;
	bf_err_wrap(err, r, "servers.%s", server->name);
	return wrap_where(server->where, r, err);
}

int belfry_config_validate(const struct belfry_config *cfg, struct belfry_error *err)
{
	struct bf_mistakes found = { .cfg = cfg };
	struct belfry_error each;
	int r = 0;

	if (!cfg)
		return bf_err_null(err, __func__);
	for (unsigned int i = 0; i < cfg->n_servers && r == 0; i++) {
		r = check_server(&cfg->servers[i], &each);
		if (r < 0)
			r = bf_mistake(&found, r, &each);
	}
	for (unsigned int i = 0; i < cfg->n_vms && r == 0; i++)
		r = check_vm(cfg, &cfg->vms[i], &found);
	return bf_mistakes_end(&found, err);
}

/* --- one mistake, or all of them --- */

void belfry_config_set_mistakes(struct belfry_config *cfg, belfry_mistake_fn *fn,
				void *user)
{
	if (!cfg)
		return;
	cfg->mistake = fn;
	cfg->mistake_user = user;
}

int bf_mistake(struct bf_mistakes *found, int r, const struct belfry_error *err)
{
	if (found->r == 0 || r != -EINVAL) {
		found->r = r;
		found->first = *err;
	}
	if (r != -EINVAL || !found->cfg->mistake || found->n == MISTAKES_MAX)
		return r;
	found->cfg->mistake(found->cfg->mistake_user, err);
	return ++found->n < MISTAKES_MAX ? 0 : r;
}

int bf_mistakes_end(const struct bf_mistakes *found, struct belfry_error *err)
{
	if (found->r < 0 && err)
		*err = found->first;
	return found->r;
}
