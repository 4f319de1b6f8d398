/* SPDX-License-Identifier: MIT */
/* ivshmem/server.h - what the parts of a server that is a service of its own see of it */
#ifndef BF_IVSHMEM_SERVER_H
#define BF_IVSHMEM_SERVER_H

#include <stdbool.h>

#include <belfry-server.h>

#include "ivshmem/ivshmem.h"

struct bf_limits;
struct bf_listener_conf;

/* As bf_server_listen(), to the letter of @conf. */
int bf_server_listen_as(struct bf_server *s, const struct bf_listener_conf *conf,
			struct belfry_error *err);

/* The socket that it listens at, owned by @s; -1: none. */
int bf_server_socket(const struct bf_server *s);

/* Accept nobody for a while; what has been accepted is handled. */
void bf_server_pause(struct bf_server *s);
void bf_server_go_on(struct bf_server *s);

/* From now on (takes what limits points to). */
void bf_server_set_limits(struct bf_server *s, struct bf_limits *limits);
void bf_server_set_level(struct bf_server *s, enum belfry_log_level level);

/*
 * How many clients with @vectors each RLIMIT_NOFILE has descriptors for. It counts one
 * more for each than it holds, since handing over takes as many, and leaves some for the
 * rest of the process. @stored: a store keeps them. That is in flight all the time, which
 * the kernel limits by RLIMIT_NOFILE, too, unless we have CAP_SYS_RESOURCE.
 */
unsigned int bf_server_fit(unsigned int vectors, bool stored);

/* Drop a client, the reason in the log. Return: 0; -ENOENT. */
int bf_server_drop(struct bf_server *s, unsigned int id, const char *why);

void bf_server_stats(const struct bf_server *s, struct belfry_server_stats *out);

/* Those present, in the order they came. Return: how many there are, maybe above @max. */
unsigned int bf_server_peers(struct bf_server *s, struct belfry_server_peer *out,
			     unsigned int max);

/* --- descriptors that are to outlive the process --- */

/*
 * A client's descriptors, packed, are handed to keep() before it is let in, and are to be
 * dropped when nobody needs them any more. Zeroed: none.
 */
struct bf_store {
	int (*keep)(void *owner, const char *name, int fd, struct belfry_error *err);
	void (*drop)(void *owner, const char *name);
	void *owner;
};

/* Whether somebody has that ID, or has left and others wait to hear of it. */
bool bf_server_knows(const struct bf_server *s, unsigned int id);

/* @store has the descriptors of everybody who is known. */
void bf_server_set_store(struct bf_server *s, const struct bf_store *store);

/* Hand those of every client to @store. Return: 0; a negative errno. */
int bf_server_store_all(struct bf_server *s, const struct bf_store *store,
			struct belfry_error *err);

/* Drop all that has been handed to the store. */
void bf_server_unstore_all(struct bf_server *s);

/*
 * Go on with the clients of another server, whose state this one has been created with.
 * @carrier: returns what keep() has had for an ID (borrowed); -1: it is lost.
 * Return: 0; -ENOMEM.
 */
int bf_server_restore(struct bf_server *s, int (*carrier)(void *arg, unsigned int id),
		      void *arg, struct belfry_error *err);

#endif
