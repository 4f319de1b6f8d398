/* SPDX-License-Identifier: MIT */
/* ivshmem/listen.h - a listening socket on the loop, and the file it has made */
#ifndef BF_IVSHMEM_LISTEN_H
#define BF_IVSHMEM_LISTEN_H

#include <sys/types.h>

#include "base/loop.h"

struct bf_log;
struct bf_listener;

/* Somebody has connected. Takes @sock. */
typedef void bf_listener_fn(struct bf_listener *listener, int sock);

/* Zeroed: not listening. */
struct bf_listener {
	struct bf_loop *loop;
	const struct bf_log *log;
	bf_listener_fn *accepted;
	struct bf_op op; /* an accept, or the pause after one that failed */
	int sock;
	bool failing;
	char *path; /* NULL: not listening */
	dev_t dev;  /* of the file we have made at path */
	ino_t ino;
};

/*
 * Listen at @path. @loop and @log must outlive it.
 * Return: 0; -EADDRINUSE when the file exists; -ENAMETOOLONG; -EBUSY when it listens
 * already; -ENOMEM; another negative errno.
 */
int bf_listener_start(struct bf_listener *listener, struct bf_loop *loop,
		      const char *path, bf_listener_fn *accepted,
		      const struct bf_log *log, struct belfry_error *err);

/* Stop, and remove the socket's file unless another has taken its place. */
void bf_listener_stop(struct bf_listener *listener);

#endif
