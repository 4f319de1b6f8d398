/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/dial.c - connecting to a server, again and again until one answers
 *
 * connect(2) of a local socket does not wait for the other side to accept: it works or
 * fails at once, or would wait when the queue of those who want in is full. A dialer's
 * socket is non-blocking, so that even then the loop goes on, and the next try is made
 * after a pause like any other.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "ivshmem/dial.h"
#include "ivshmem/ivshmem.h"

/* A time limit of 0 is none to the kernel: the shortest it knows takes its place. */
static struct timeval time_limit(uint64_t ns)
{
	const uint64_t us = ns / 1000;

	return (struct timeval){ .tv_sec = us / 1000000,
				 .tv_usec = us ? us % 1000000 : 1 };
}

/*
 * With a time limit, connect(2) is not begun again after a signal, whatever SA_RESTART
 * says: do so for the time that is left. Return: 0; an errno.
 */
static int connect_within(int fd, const struct sockaddr_un *server, uint64_t timeout_ns)
{
	uint64_t end, now = bf_now_ns();
	struct timeval limit;

	if (__builtin_add_overflow(now, timeout_ns, &end))
		end = UINT64_MAX;
	for (;;) {
		limit = time_limit(now < end ? end - now : 0);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) == 0)
			return 0;
		if (errno != EINTR)
			return errno;
		now = bf_now_ns();
	}
}

/*
 * @type: SOCK_NONBLOCK, or 0: then it takes @timeout_ns at most.
 * Return: the socket (returns); a negative errno.
 */
static int dial(const struct sockaddr_un *server, int type, uint64_t timeout_ns,
		struct belfry_error *err)
{
	const char *path = server->sun_path;
	BF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
	int e;

	if (fd < 0)
		return bf_err_sys(err, errno, "socket for %s", path);
	e = connect_within(fd, server, timeout_ns);
	switch (e) {
	case 0:
		return bf_take(&fd);
	case ENOENT:
	case ECONNREFUSED:
		return bf_err(err, ECONNREFUSED,
			      "%s: nobody listens, start the ivshmem server", path);
	case EAGAIN: /* the queue of those who want in is full, and stays so */
		return bf_err(err, ETIMEDOUT, "%s: no answer from the ivshmem server",
			      path);
	default:
		return bf_err_sys(err, e, "connect to %s", path);
	}
}

int bf_peer_connect_within(const char *path, uint64_t timeout_ns,
			   struct belfry_error *err)
{
	struct sockaddr_un server;
	int r = bf_socket_address(&server, path, err);

	return r < 0 ? r : dial(&server, 0, timeout_ns, err);
}

int bf_peer_connect(const char *path, struct belfry_error *err)
{
	return bf_peer_connect_within(path, BF_PEER_TIMEOUT_NS, err);
}

static void pause_over(struct bf_op *op, int res)
{
	struct bf_dialer *d = BF_CONTAINER_OF(op, struct bf_dialer, op);
	struct belfry_error why;
	int sock;

	if (res == -ECANCELED)
		return;
	d->tries++;
	sock = dial(&d->server, SOCK_NONBLOCK, BF_PEER_TIMEOUT_NS, &why);
	if (sock >= 0) {
		d->connected(d, sock);
		return;
	}
	bf_log(d->log, BELFRY_LOG_DEBUG, "%s", why.msg);
	bf_dialer_start(d);
}

void bf_dialer_init(struct bf_dialer *d, struct bf_loop *loop, bf_dialer_fn *connected,
		    const struct bf_log *log)
{
	*d = (struct bf_dialer){
		.loop = loop,
		.log = log,
		.connected = connected,
		.op.done = pause_over,
		.pause_ns = BF_DIALER_PAUSE_MIN_NS,
	};
}

int bf_dialer_set_path(struct bf_dialer *d, const char *path, struct belfry_error *err)
{
	return bf_socket_address(&d->server, path, err);
}

void bf_dialer_start(struct bf_dialer *d)
{
	if (!d->server.sun_path[0])
		return;
	bf_loop_timer(d->loop, &d->op, d->pause_ns);
	d->pause_ns *= 2;
	if (d->pause_ns > BF_DIALER_PAUSE_MAX_NS)
		d->pause_ns = BF_DIALER_PAUSE_MAX_NS;
}

void bf_dialer_rest(struct bf_dialer *d)
{
	d->pause_ns = BF_DIALER_PAUSE_MIN_NS;
}

/* A server that answers while we stop is left alone. */
static void hang_up(struct bf_dialer *d, int sock)
{
	close(sock);
}

void bf_dialer_stop(struct bf_dialer *d)
{
	d->connected = hang_up;
	bf_loop_cancel(d->loop, &d->op);
}
