/* SPDX-License-Identifier: MIT */
/* ivshmem/server_conf.h - what a config file says about a server */
#ifndef BF_SERVER_CONF_H
#define BF_SERVER_CONF_H

#include "base/hugepages.h"
#include "base/log.h"
#include "base/schema.h"

struct bf_service_conf {
	char *name;
	char *where; /* "file:line:column" in the last file that has it, or NULL */
	struct bf_file path; /* where clients connect; or a socket that listens already */
	uint64_t size;       /* bytes of shared memory */
	uint64_t vectors;    /* of each client */
	uint64_t hugepages;  /* enum bf_hugepages */
	struct bf_file shm;  /* the next two: at most one */
	struct bf_file dir;  /* a file in it, without a name */
	char *owner;         /* of the socket; NULL: ours */
	char *group;
	char *mode;       /* octal; NULL: by the umask */
	char *allow_uids; /* both NULL: everybody */
	char *allow_gids;
	uint64_t clients_max;
	uint64_t clients_per_uid;
	uint64_t queue;            /* bytes that may wait for a client */
	uint64_t stall;            /* seconds in which it may take nothing */
	struct bf_file control;    /* not given: path with ".control" */
	struct bf_file metrics;    /* not given: none */
	uint64_t metrics_interval; /* seconds */
	struct bf_file pid_file;
	uint64_t log_level; /* enum belfry_log_level */
};

extern const struct bf_key bf_server_keys[];

/* The rules between keys. Return: 0; -EINVAL. */
int bf_service_conf_validate(const struct bf_service_conf *conf,
			     struct belfry_error *err);

/* "0660". Return: 0; -EINVAL. */
int bf_service_conf_mode(const char *text, unsigned int *mode, struct belfry_error *err);

/* --- a server with all that belongs to it: belfry-server.h, but for the configuration
 * --- */

struct belfry_server;
struct belfry_named_fd;

/* As belfry_server_create(), with @n 0, or belfry_server_resume(). */
int bf_service_create(const struct bf_service_conf *conf, const struct bf_log *log,
		      const struct belfry_named_fd *fds, unsigned int n,
		      struct belfry_server **out, struct belfry_error *err);

/* As belfry_server_reload(). */
int bf_service_reload(struct belfry_server *s, const struct bf_service_conf *conf,
		      struct belfry_error *err);

#endif
