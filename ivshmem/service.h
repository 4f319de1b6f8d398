/* SPDX-License-Identifier: MIT */
/* ivshmem/service.h - what the files service*.c share */
#ifndef BF_IVSHMEM_SERVICE_H
#define BF_IVSHMEM_SERVICE_H

#include <pthread.h>
#include <stdbool.h>

#include <belfry-server.h>

#include "base/log.h"
#include "base/loop.h"
#include "ivshmem/control.h"
#include "ivshmem/ivshmem.h"
#include "ivshmem/server_conf.h"

struct bf_limits;
struct bf_listener_conf;

#define BF_SERVICE_IDS (BF_IVSHMEM_ID_MAX + 1)

struct belfry_server {
	pthread_mutex_t lock;
	struct bf_service_conf conf;
	struct bf_log log;
	struct bf_loop *loop;
	struct bf_server *core;
	char *path;      /* of the socket; NULL: it has none */
	char *lock_path; /* NULL: none */
	int lock_fd;
	bool lock_left; /* by a server before us, which has not ended well */
	int memory;
	int state;
	bool made_shm;
	int pid_fd; /* of files that we have written, and are ours to remove; -1: none */
	int metrics_fd;
	bool moves; /* a successor has its files at other places */
	bool inherited_memory;
	bool anew;      /* nothing is known of clients of a server before */
	bool activated; /* the socket was not made by us, nor by who was before us */
	struct bf_control control;
	struct bf_op metrics_op;
	struct belfry_server_store store;
	bool *held; /* by ID: we were handed its carrier, and the store may have it */
	bool has_thread;
	pthread_t thread;
	int stop_fd; /* eventfd: the thread is to end */
};

/* --- service.c --- */

/* Return: 0, @to then takes bf_schema_fini() and free() of its name; -ENOMEM, so too. */
int bf_service_conf_copy(struct bf_service_conf *to, const struct bf_service_conf *from,
			 struct belfry_error *err);

/* What @conf says of who may join. @out is filled in on success. Return: 0; -EINVAL. */
int bf_service_limits(struct bf_limits *out, const struct bf_service_conf *conf,
		      struct belfry_error *err);

/* What @conf says of the socket's file: owner, group, mode. Return: 0; -EINVAL. */
int bf_service_access(struct bf_listener_conf *listen, const struct bf_service_conf *conf,
		      struct belfry_error *err);

/* The least severe line that is of interest to our user and to the configuration. */
enum belfry_log_level bf_service_level(const struct belfry_server *s,
				       const struct bf_service_conf *conf);

/* @path with @suffix. Return: it (returns: free()); NULL. */
char *bf_service_beside(const char *path, const char *suffix);

/* --- service_extras.c: what clients can do without --- */

/* May the server write the files that @conf names? Return: 0; -EEXIST: something is
 * there. */
int bf_service_check_files(const struct bf_service_conf *conf, struct belfry_error *err);

int bf_service_make_extras(struct belfry_server *s, struct belfry_error *err);
void bf_service_remove_extras(struct belfry_server *s);

/* Return: text (returns: free()); NULL. */
char *bf_service_text(struct belfry_server *s, enum belfry_status_format format);

/* --- service_calls.c --- */

/* Lock. Return: 0; -EDEADLK when it is a callback that calls: it has the lock. */
int bf_service_enter(struct belfry_server *s, struct belfry_error *err);

/* Unlock; whoever polls is to come and process what the call has started. */
void bf_service_leave(struct belfry_server *s);

void bf_service_end_thread(struct belfry_server *s);

/* --- service_handover.c --- */

/* Drop all that the store has of this server. */
void bf_service_unstore(struct belfry_server *s);

#endif
