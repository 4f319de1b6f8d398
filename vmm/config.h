/* SPDX-License-Identifier: MIT */
/* vmm/config.h - a configuration as the machine reads it: structs filled by the schema */
#ifndef BF_CONFIG_H
#define BF_CONFIG_H

#include <stdint.h>

#include "base/hugepages.h"
#include "base/log.h"
#include "base/schema.h"
#include "ivshmem/server_conf.h"

struct bf_device_ops;

/* Sections. @where is "file:line:column" in the last file that has it, else NULL. */
struct bf_link_conf {
	char *name;
	char *where;
	uint64_t size;      /* bytes of shared memory */
	uint64_t vectors;   /* of each peer */
	uint64_t hugepages; /* enum bf_hugepages */
};

struct bf_device_conf {
	const struct bf_device_ops *ops;
	char *where;
	void *conf; /* the struct that ops->keys fill */
};

/* What a guest's reset does to its VM; the order of the key's words. */
enum bf_on_reset {
	BF_ON_RESET_EXIT,
	BF_ON_RESET_RESTART,
};

struct bf_vm_conf {
	char *name;
	char *where;
	struct bf_file kernel;
	struct bf_file initrd;
	char *cmdline;
	uint64_t memory; /* bytes */
	uint64_t cpus;
	char *affinity; /* host CPUs of the vCPUs, "0,2-3"; NULL: the scheduler's choice
			 */
	uint64_t on_reset;      /* enum bf_on_reset */
	struct bf_file console; /* where COM1 writes; not given: nowhere */
	char *console_prefix; /* put in front of each line; NULL: none, and unbuffered */
	struct bf_file console_input; /* what COM1 receives; not given: nothing */
	char *console_pty;  /* link to a pseudo-terminal in place of both; NULL: none */
	uint64_t hugepages; /* enum bf_hugepages, of RAM */
	bool prefault;      /* all of RAM is there from the start */
	uint64_t stop_timeout; /* seconds that a guest has to power off: `belfry run` */
	struct bf_device_conf *devices;
	unsigned int n_devices;
};

struct belfry_config {
	struct bf_log log;
	belfry_mistake_fn *mistake; /* NULL: the first mistake ends the call */
	void *mistake_user;
	struct bf_link_conf *links;
	unsigned int n_links;
	struct bf_service_conf *servers;
	unsigned int n_servers;
	struct bf_vm_conf *vms;
	unsigned int n_vms;
};

/*
 * What a call that looks for mistakes has found: belfry_config_set_mistakes() decides
 * whether it goes on after the first.
 */
struct bf_mistakes {
	const struct belfry_config *cfg;
	struct belfry_error first;
	int r;          /* 0: none */
	unsigned int n; /* that have been told */
};

/*
 * @r, a negative errno, has been found, and @err says what. Return: 0 to go on; @r.
 */
int bf_mistake(struct bf_mistakes *found, int r, const struct belfry_error *err);

/* Return: 0 when nothing has been found, else what came first, put into @err. */
int bf_mistakes_end(const struct bf_mistakes *found, struct belfry_error *err);

/* NULL when there is none of that name. */
const struct bf_vm_conf *bf_config_vm(const struct belfry_config *cfg, const char *name);
const struct bf_link_conf *bf_config_link(const struct belfry_config *cfg,
					  const char *name);
const struct bf_service_conf *bf_config_server(const struct belfry_config *cfg,
					       const char *name);

#endif
