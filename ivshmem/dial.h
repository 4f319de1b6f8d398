/* SPDX-License-Identifier: MIT */
/* ivshmem/dial.h - connecting to a server, again and again until one answers */
#ifndef BF_IVSHMEM_DIAL_H
#define BF_IVSHMEM_DIAL_H

#include <stdatomic.h>
#include <sys/un.h>

#include "base/loop.h"

#define BF_DIALER_PAUSE_MIN_NS 100000000ULL
#define BF_DIALER_PAUSE_MAX_NS 5000000000ULL

struct bf_dialer;
struct bf_log;

/* A server has answered. Takes @sock, which is non-blocking. */
typedef void bf_dialer_fn(struct bf_dialer *dialer, int sock);

/* Without a path it never dials. */
struct bf_dialer {
	struct bf_loop *loop;
	const struct bf_log *log;
	bf_dialer_fn *connected;
	struct bf_op op;           /* the pause before the next try */
	struct sockaddr_un server; /* its path is empty: not known */
	uint64_t pause_ns;         /* before the next try */
	atomic_uint_least64_t tries;
};

/* @loop and @log must outlive it. */
void bf_dialer_init(struct bf_dialer *dialer, struct bf_loop *loop,
		    bf_dialer_fn *connected, const struct bf_log *log);

/* Where the server listens. Return: 0; -ENAMETOOLONG. */
int bf_dialer_set_path(struct bf_dialer *dialer, const char *path,
		       struct belfry_error *err);

/*
 * Try to connect after a pause, and on and on until it works. Every try makes the pause
 * before the next one longer, up to BF_DIALER_PAUSE_MAX_NS.
 */
void bf_dialer_start(struct bf_dialer *dialer);

/* Let the next pause be the shortest again. */
void bf_dialer_rest(struct bf_dialer *dialer);

void bf_dialer_stop(struct bf_dialer *dialer);

#endif
