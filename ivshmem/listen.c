/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/listen.c - a listening socket on the loop, and the file it has made
 *
 * One accept is under way. When one fails, for want of descriptors say, those who want in
 * wait in the socket's queue; the next accept follows after a pause, and the log hears of
 * it once until one succeeds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/own.h"
#include "ivshmem/listen.h"

#define PAUSE_NS 100000000ULL

static void accept_next(struct bf_listener *l);

static void pause_over(struct bf_op *op, int res)
{
	if (res != -ECANCELED)
		accept_next(BF_CONTAINER_OF(op, struct bf_listener, op));
}

static void accept_failed(struct bf_listener *l, int code)
{
	struct belfry_error why;

	if (!l->failing) {
		bf_err_sys(&why, code, "%s: cannot accept, will try again", l->path);
		bf_log(l->log, BELFRY_LOG_WARNING, "%s", why.msg);
	}
	l->failing = true;
	l->op.done = pause_over;
	bf_loop_timer(l->loop, &l->op, PAUSE_NS);
}

static void accept_done(struct bf_op *op, int res)
{
	struct bf_listener *l = BF_CONTAINER_OF(op, struct bf_listener, op);

	if (res == -ECANCELED)
		return;
	if (res < 0 && res != -ECONNABORTED && res != -EINTR) {
		accept_failed(l, -res);
		return;
	}
	accept_next(l);
	if (res >= 0) {
		l->failing = false;
		l->accepted(l, res);
	}
}

static void accept_next(struct bf_listener *l)
{
	l->op.done = accept_done;
	bf_loop_accept(l->loop, &l->op, l->sock);
}

/* Return: a socket bound to @path (returns), the file's identity in @st. */
static int bind_path(const char *path, struct stat *st, struct belfry_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	BF_CLOSE int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(path);

	if (sock < 0)
		return bf_err_sys(err, errno, "socket for %s", path);
	if (len >= sizeof(sa.sun_path))
		return bf_err(err, ENAMETOOLONG,
			      "%s: %zu bytes; a socket's path has at most %zu", path, len,
			      sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, len);
	if (bind(sock, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return errno == EADDRINUSE
			       ? bf_err(err, EADDRINUSE,
					"%s exists: stop its server or remove it", path)
			       : bf_err_sys(err, errno, "cannot make the socket %s",
					    path);
	if (stat(path, st) < 0)
		return bf_err_sys(err, errno, "the new socket %s", path);
	if (listen(sock, SOMAXCONN) < 0) {
		unlink(path);
		return bf_err_sys(err, errno, "listen at %s", path);
	}
	return bf_take(&sock);
}

int bf_listener_start(struct bf_listener *l, struct bf_loop *loop, const char *path,
		      bf_listener_fn *accepted, const struct bf_log *log,
		      struct belfry_error *err)
{
	BF_FREE char *copy = strdup(path);
	struct stat st;
	int sock;

	if (l->path)
		return bf_err(err, EBUSY, "listens at %s already", l->path);
	if (!copy)
		return bf_err(err, ENOMEM, "no memory for %s", path);
	sock = bind_path(path, &st, err);
	if (sock < 0)
		return sock;
	*l = (struct bf_listener){
		.loop = loop,
		.log = log,
		.accepted = accepted,
		.sock = sock,
		.path = bf_take_ptr(&copy),
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	accept_next(l);
	return 0;
}

/* Somebody who accepts while we stop is turned away. */
static void turn_away(struct bf_listener *l, int sock)
{
	close(sock);
}

void bf_listener_stop(struct bf_listener *l)
{
	struct stat st;

	if (!l->path)
		return;
	l->accepted = turn_away;
	bf_loop_cancel(l->loop, &l->op);
	if (stat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	bf_close(&l->sock);
	free(bf_take_ptr(&l->path));
}
