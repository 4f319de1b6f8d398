/* SPDX-License-Identifier: MIT */
/*
 * vmm/config_parts.h - what the files config*.c share
 *
 * A configuration is a tree of sections (mappings), one list per VM, and values. A path
 * such as "vms.ping.devices.0.ivshmem.link" names a place in it. All doors go through
 * bf_config_find(): a YAML file is read by walking it and finding each place in turn.
 */
#ifndef BF_CONFIG_PARTS_H
#define BF_CONFIG_PARTS_H

#include <stdio.h>

#include "vmm/config.h"

struct yaml_parser_s;

#define BF_CONFIG_LINKS_MAX   256
#define BF_CONFIG_SERVERS_MAX 256
#define BF_CONFIG_VMS_MAX     256
#define BF_CONFIG_DEVICES_MAX 28 /* of a VM: what its PCI bus has room for */
#define BF_CONFIG_NAME_MAX    32

extern const struct bf_key bf_link_keys[];
extern const struct bf_key bf_vm_keys[];

/* What may stand at a place. */
enum bf_shape {
	BF_SHAPE_SECTION,
	BF_SHAPE_LIST,
	BF_SHAPE_VALUE,
};

struct bf_place {
	enum bf_shape shape;
	const struct bf_key *keys; /* of the innermost section; NULL: names, or kinds */
	const struct bf_key *key;  /* BF_SHAPE_VALUE only */
	void *conf;                /* what @keys fill */
	char **where; /* of the innermost link, server, VM or device; may be NULL */
	struct bf_vm_conf *vm; /* the VM on the way, or NULL */
	bool new_link;         /* made on the way, each the last of its array */
	bool new_server;
	bool new_vm;
	bool new_device;
};

/*
 * Find a place, making the link, server, VM or device on the way when there is none; ""
 * is the top. On failure what was made is gone again. Return: 0; -EINVAL; -ENOMEM.
 */
int bf_config_find(struct belfry_config *cfg, const char *path, struct bf_place *out,
		   struct belfry_error *err);

/* Take away what finding @place has made. */
void bf_config_unmake(struct belfry_config *cfg, const struct bf_place *place);

/* Put @value at @place, a value, found for @path. Return: 0; -EINVAL; -ENOMEM. */
int bf_config_put(const struct bf_place *place, const char *path, const char *value,
		  struct belfry_error *err);

/* A text to load; @name is what messages call it. */
struct bf_text {
	const char *name;
	const char *bytes;
	size_t size;
};

/*
 * Add what a YAML text says.
 * Return: 0; -EINVAL, the message with file, line and column; -ENOMEM.
 */
int bf_config_load_yaml(struct belfry_config *cfg, const struct bf_text *text,
			struct belfry_error *err);

/* Say what libyaml has found wrong with @text. Return: -EINVAL; -ENOMEM. */
int bf_config_syntax_error(const struct yaml_parser_s *yaml, const struct bf_text *text,
			   struct belfry_error *err);

/* The schema as a JSON Schema. */
void bf_config_put_json(FILE *out);

/* Append one, its defaults set. Return: 0; -EINVAL above the bound; -ENOMEM. */
int bf_config_add_link(struct belfry_config *cfg, const char *name,
		       struct belfry_error *err);
int bf_config_add_server(struct belfry_config *cfg, const char *name,
			 struct belfry_error *err);
int bf_config_add_vm(struct belfry_config *cfg, const char *name,
		     struct belfry_error *err);
int bf_config_add_device(struct bf_vm_conf *vm, const struct bf_device_ops *ops,
			 struct belfry_error *err);

/* Remove by index; what follows moves up. */
void bf_config_drop_link(struct belfry_config *cfg, unsigned int index);
void bf_config_drop_server(struct belfry_config *cfg, unsigned int index);
void bf_config_drop_vm(struct belfry_config *cfg, unsigned int index);
void bf_config_drop_device(struct bf_vm_conf *vm, unsigned int index);

#endif
