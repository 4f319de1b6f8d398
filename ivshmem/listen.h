/* SPDX-License-Identifier: MIT */
/* ivshmem/listen.h - a listening socket on the loop, and the file it has made */
#ifndef BF_IVSHMEM_LISTEN_H
#define BF_IVSHMEM_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/loop.h"

struct bf_log;
struct bf_listener;

/*
 * Somebody has connected. Takes @sock. @code: 0; EMFILE or ENFILE: there is no room for
 * it, and it must be closed before this returns.
 */
typedef void bf_listener_fn(struct bf_listener *listener, int sock, int code);

struct bf_listener_conf {
	const char *path;
	int sock;     /* that listens already (takes, also on failure); -1: make one */
	bool foreign; /* @sock's file is somebody else's to remove */
	bool left;    /* a server like us was at @path, and serves no more */
	bool has_mode;
	mode_t mode; /* of the file */
	uid_t uid;   /* -1: as it is */
	gid_t gid;
	uint64_t patience_ns; /* descriptors may lack so long before somebody is turned
				 away */
};

/* Zeroed: not listening. */
struct bf_listener {
	struct bf_loop *loop;
	const struct bf_log *log;
	bf_listener_fn *accepted;
	struct bf_op op; /* an accept, or the pause after one that failed */
	int sock;
	int spare; /* given up so that somebody can be turned away; -1: none */
	bool failing;
	uint64_t failing_since;
	uint64_t failed; /* the last time */
	uint64_t patience_ns;
	bool foreign;
	char *path; /* NULL: not listening */
	dev_t dev;  /* of the file at path */
	ino_t ino;
};

/* Whether @sock is one that listens already, as conf->sock has to be. */
bool bf_listener_may_use(int sock);

/*
 * Listen at conf->path. A socket file there that nobody serves is replaced, and only
 * such; to be sure of it may take a second. @loop and @log must outlive it.
 * Return: 0; -EADDRINUSE when somebody serves there, or the file is no socket;
 * -ENAMETOOLONG; -EBUSY when it listens already; -ENOMEM; another negative errno.
 */
int bf_listener_start(struct bf_listener *listener, struct bf_loop *loop,
		      const struct bf_listener_conf *conf, bf_listener_fn *accepted,
		      const struct bf_log *log, struct belfry_error *err);

/* Accept nobody for a while; those who connect wait. What is under way is handled. */
void bf_listener_pause(struct bf_listener *listener);
void bf_listener_go_on(struct bf_listener *listener);

/* Stop, and remove the socket's file unless another has taken its place. */
void bf_listener_stop(struct bf_listener *listener);

#endif
