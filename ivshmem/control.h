/* SPDX-License-Identifier: MIT */
/* ivshmem/control.h - a socket that tells whoever connects how a server is */
#ifndef BF_IVSHMEM_CONTROL_H
#define BF_IVSHMEM_CONTROL_H

#include <sys/socket.h>

#include "ivshmem/listen.h"

#define BF_CONTROL_READERS 8

struct bf_control;

/* What there is to tell. Return: text (returns: free()); NULL. */
typedef char *bf_control_fn(void *owner);

struct bf_reader {
	struct bf_control *control;
	struct bf_op send_op;
	struct bf_op limit_op;
	struct msghdr hdr;
	struct iovec iov;
	char *text; /* NULL: the place is free */
	int sock;
};

/* Zeroed: not there. */
struct bf_control {
	struct bf_loop *loop;
	struct bf_listener listener;
	struct bf_reader reader[BF_CONTROL_READERS];
	bf_control_fn *fn;
	void *owner;
};

/* Listen at @path, for ourselves and root only. Return: as bf_listener_start(). */
int bf_control_start(struct bf_control *control, struct bf_loop *loop, const char *path,
		     bf_control_fn *fn, void *owner, const struct bf_log *log,
		     struct belfry_error *err);

void bf_control_stop(struct bf_control *control);

#endif
