/* SPDX-License-Identifier: MIT */
/*
 * vmm/config_path.c - paths in a configuration: finding the place that one names
 *
 *	links.NAME.KEY
 *	servers.NAME.KEY
 *	vms.NAME.KEY
 *	vms.NAME.devices.N.KIND.KEY
 *
 * Every beginning of these is a place as well. A path is split at its dots (names hold
 * none) and walked part by part; each walk_ function below looks at one level.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/own.h"
#include "base/text.h"
#include "devices/devices.h"
#include "vmm/config_parts.h"

#define PARTS_MAX 7 /* one more than the deepest place, to see what is too deep */
#define WORDS_MAX 24

struct walk {
	struct belfry_config *cfg;
	const char *path;
	const char *parts[PARTS_MAX];
	unsigned int n;
	struct bf_place *at;
};

/* The words that may stand at one level. */
struct words {
	const char *word[WORDS_MAX];
	unsigned int n;
};

static void words_add(struct words *words, const char *word)
{
	if (words->n < WORDS_MAX)
		words->word[words->n++] = word;
}

static struct words words_of(const struct bf_key *keys, const char *extra)
{
	struct words words = { .n = 0 };

	for (const struct bf_key *key = keys; key->name; key++)
		words_add(&words, key->name);
	if (extra)
		words_add(&words, extra);
	return words;
}

/* Put the path's first @n parts in front of the message. Return: @r. */
static int wrap(const struct walk *w, unsigned int n, int r, struct belfry_error *err)
{
	char prefix[128] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < n && len < sizeof(prefix); i++)
		len += snprintf(prefix + len, sizeof(prefix) - len, "%s%s", i ? "." : "",
				bf_brief(w->parts[i]).text);
	return n > 0 ? bf_err_wrap(err, r, "%s", prefix) : r;
}

/* Part @i is none of @words, which are called @what. */
static int unknown(const struct walk *w, unsigned int i, const char *what,
		   const struct words *words, struct belfry_error *err)
{
	struct bf_nearest near = { .word = w->parts[i] };
	struct bf_brief brief = bf_brief(w->parts[i]);
	char list[128] = "";
	size_t len = 0;

	for (unsigned int k = 0; k < words->n; k++) {
		bf_nearest_try(&near, words->word[k]);
		if (len < sizeof(list))
			len += snprintf(list + len, sizeof(list) - len, "%s%s",
					k ? ", " : "", words->word[k]);
	}
	if (near.best)
		bf_err(err, EINVAL, "unknown %s '%s'; did you mean '%s'?", what,
		       brief.text, near.best);
	else if (len >= sizeof(list))
		bf_err(err, EINVAL, "unknown %s '%s'; belfry.yaml(5) lists them", what,
		       brief.text);
	else
		bf_err(err, EINVAL, "unknown %s '%s'; expected %s%s", what, brief.text,
		       words->n > 1 ? "one of " : "", list);
	return wrap(w, i, -EINVAL, err);
}

/* Part @i is a key of the section that the walk has come to. */
static int walk_key(struct walk *w, unsigned int i, const char *extra,
		    struct belfry_error *err)
{
	const struct bf_key *key = bf_schema_find(w->at->keys, w->parts[i]);
	struct words words = words_of(w->at->keys, extra);

	if (!key)
		return unknown(w, i, "key", &words, err);
	w->at->shape = BF_SHAPE_VALUE;
	w->at->key = key;
	if (w->n > i + 1)
		return wrap(w, i + 1,
			    bf_err(err, EINVAL, "has no '%s' in it; expected %s",
				   bf_brief(w->parts[i + 1]).text,
				   bf_type_phrase(key->type)),
			    err);
	return 0;
}

/* Names are parts of paths, of file names and of log lines. */
static int check_name(const struct walk *w, unsigned int i, struct belfry_error *err)
{
	const char *name = w->parts[i];
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_-");

	if (len >= 1 && len <= BF_CONFIG_NAME_MAX && !name[len] && *name != '_' &&
	    *name != '-')
		return 0;
	bf_err(err, EINVAL,
	       "a name is 1 to %d letters, digits, '_' and '-', a letter or digit first",
	       BF_CONFIG_NAME_MAX);
	return wrap(w, i + 1, -EINVAL, err);
}

static int walk_link(struct walk *w, struct belfry_error *err)
{
	struct belfry_config *cfg = w->cfg;
	const struct bf_link_conf *found;
	struct bf_link_conf *link;
	int r = check_name(w, 1, err);

	if (r < 0)
		return r;
	found = bf_config_link(cfg, w->parts[1]);
	if (!found) {
		r = bf_config_add_link(cfg, w->parts[1], err);
		if (r < 0)
			return r;
		w->at->new_link = true;
	}
	link = &cfg->links[found ? found - cfg->links : cfg->n_links - 1];
	w->at->keys = bf_link_keys;
	w->at->conf = link;
	w->at->where = &link->where;
	return w->n > 2 ? walk_key(w, 2, NULL, err) : 0;
}

static int walk_server(struct walk *w, struct belfry_error *err)
{
	struct belfry_config *cfg = w->cfg;
	const struct bf_service_conf *found;
	struct bf_service_conf *server;
	int r = check_name(w, 1, err);

	if (r < 0)
		return r;
	found = bf_config_server(cfg, w->parts[1]);
	if (!found) {
		r = bf_config_add_server(cfg, w->parts[1], err);
		if (r < 0)
			return r;
		w->at->new_server = true;
	}
	server = &cfg->servers[found ? found - cfg->servers : cfg->n_servers - 1];
	w->at->keys = bf_server_keys;
	w->at->conf = server;
	w->at->where = &server->where;
	return w->n > 2 ? walk_key(w, 2, NULL, err) : 0;
}

/* A number from 0 to one beyond the last device. Return: it; -EINVAL. */
static int device_index(const struct walk *w, struct belfry_error *err)
{
	uint64_t index;

	if (bf_parse_uint(w->parts[3], &index) == 0 && index <= w->at->vm->n_devices)
		return index;
	bf_err(err, EINVAL, "no such device; the next one is number %u",
	       w->at->vm->n_devices);
	return wrap(w, 4, -EINVAL, err);
}

static const struct bf_device_ops *device_kind(const struct walk *w,
					       struct belfry_error *err)
{
	struct words words = { .n = 0 };

	for (unsigned int i = 0; bf_devices[i]; i++) {
		if (strcmp(bf_devices[i]->name, w->parts[4]) == 0)
			return bf_devices[i];
		words_add(&words, bf_devices[i]->name);
	}
	unknown(w, 4, "device", &words, err);
	return NULL;
}

static int walk_device(struct walk *w, unsigned int index, struct belfry_error *err)
{
	const struct bf_device_ops *ops = device_kind(w, err);
	struct bf_vm_conf *vm = w->at->vm;
	struct bf_device_conf *dev;
	int r;

	if (!ops)
		return -EINVAL;
	if (index == vm->n_devices) {
		r = bf_config_add_device(vm, ops, err);
		if (r < 0)
			return r;
		w->at->new_device = true;
	}
	dev = &vm->devices[index];
	if (dev->ops != ops)
		return wrap(w, 5,
			    bf_err(err, EINVAL, "this device is %s", dev->ops->name),
			    err);
	w->at->keys = ops->keys;
	w->at->conf = dev->conf;
	w->at->where = &dev->where;
	return w->n > 5 ? walk_key(w, 5, NULL, err) : 0;
}

static int walk_devices(struct walk *w, struct belfry_error *err)
{
	int index;

	w->at->shape = BF_SHAPE_LIST;
	w->at->where = NULL;
	if (w->n == 3)
		return 0;
	w->at->shape = BF_SHAPE_SECTION;
	w->at->keys = NULL;
	index = device_index(w, err);
	if (index < 0)
		return index;
	return w->n > 4 ? walk_device(w, index, err) : 0;
}

static int walk_vm(struct walk *w, struct belfry_error *err)
{
	struct belfry_config *cfg = w->cfg;
	const struct bf_vm_conf *found;
	struct bf_vm_conf *vm;
	int r = check_name(w, 1, err);

	if (r < 0)
		return r;
	found = bf_config_vm(cfg, w->parts[1]);
	if (!found) {
		r = bf_config_add_vm(cfg, w->parts[1], err);
		if (r < 0)
			return r;
		w->at->new_vm = true;
	}
	vm = &cfg->vms[found ? found - cfg->vms : cfg->n_vms - 1];
	w->at->vm = vm;
	w->at->keys = bf_vm_keys;
	w->at->conf = vm;
	w->at->where = &vm->where;
	if (w->n > 2 && strcmp(w->parts[2], "devices") == 0)
		return walk_devices(w, err);
	return w->n > 2 ? walk_key(w, 2, "devices", err) : 0;
}

static int walk(struct walk *w, struct belfry_error *err)
{
	static const struct words words = { { "links", "servers", "vms" }, 3 };

	if (w->n == 0)
		return 0;
	if (strcmp(w->parts[0], "links") == 0)
		return w->n > 1 ? walk_link(w, err) : 0;
	if (strcmp(w->parts[0], "servers") == 0)
		return w->n > 1 ? walk_server(w, err) : 0;
	if (strcmp(w->parts[0], "vms") == 0)
		return w->n > 1 ? walk_vm(w, err) : 0;
	return unknown(w, 0, "key", &words, err);
}

/* Cut @path, which the parts then point into, at its dots. */
static void split(struct walk *w, char *path)
{
	while (path && *w->path && w->n < PARTS_MAX)
		w->parts[w->n++] = strsep(&path, ".");
}

int bf_config_find(struct belfry_config *cfg, const char *path, struct bf_place *out,
		   struct belfry_error *err)
{
	struct bf_place place = { .shape = BF_SHAPE_SECTION };
	struct walk w = { .cfg = cfg, .path = path, .at = &place };
	BF_FREE char *copy = strdup(path);
	int r;

	if (!copy)
		return bf_err(err, ENOMEM, "path: out of memory");
	split(&w, copy);
	r = walk(&w, err);
	if (r < 0) {
		bf_config_unmake(cfg, &place);
		return r;
	}
	*out = place;
	return 0;
}

void bf_config_unmake(struct belfry_config *cfg, const struct bf_place *place)
{
	if (place->new_device)
		bf_config_drop_device(place->vm, place->vm->n_devices - 1);
	if (place->new_vm)
		bf_config_drop_vm(cfg, cfg->n_vms - 1);
	if (place->new_server)
		bf_config_drop_server(cfg, cfg->n_servers - 1);
	if (place->new_link)
		bf_config_drop_link(cfg, cfg->n_links - 1);
}
