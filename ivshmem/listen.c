/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/listen.c - a listening socket on the loop, and the file it has made
 *
 * One accept is under way, and the kernel repeats it. When it fails the next follows
 * after a pause, and the log hears of it once until one succeeds. When it is descriptors
 * that have lacked for too long, a spare one is given up for as long as it takes to turn
 * somebody away: then he knows, and does not wait in the socket's queue.
 *
 * A socket file stays when its server is killed. Whether one still serves it is found out
 * by connecting to it in a way that cannot succeed, as a datagram socket: EPROTOTYPE says
 * that it is served, ECONNREFUSED that it is not (unix(7)). No server notices; QEMU's
 * would end of a real connection that is closed at once. A process that was killed holds
 * its sockets for some milliseconds more, until the kernel has taken down its io_uring:
 * so we look for a second before we believe it. Two who look at the same time are kept
 * apart by a lock, which is not this file's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "ivshmem/listen.h"

#define PAUSE_NS 100000000ULL
#define LULL_NS  1000000000ULL /* without a failure: the next has another cause */
#define LOOKS    100           /* at a socket that is in the way */
#define LOOK_NS  10000000L

static void accept_next(struct bf_listener *l);

/* --- accepting --- */

static void keep_spare(struct bf_listener *l)
{
	if (l->spare < 0)
		l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Accept, and never wait. io_uring needs a socket that would: nothing is under way now.
 */
static int accept_now(int sock)
{
	int got;

	fcntl(sock, F_SETFL, O_NONBLOCK);
	got = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	fcntl(sock, F_SETFL, 0);
	return got;
}

/* Make room for one descriptor, and turn one client away. Return: whether there was one.
 */
static bool turn_one_away(struct bf_listener *l, int code)
{
	int sock;

	if (l->spare < 0)
		return false;
	bf_close(&l->spare);
	sock = accept_now(l->sock);
	if (sock >= 0)
		l->accepted(l, sock, code);
	keep_spare(l);
	return sock >= 0;
}

static void pause_over(struct bf_op *op, int res)
{
	struct bf_listener *l = BF_CONTAINER_OF(op, struct bf_listener, op);

	if (res == -ECANCELED)
		return;
	keep_spare(l);
	accept_next(l);
}

static void accept_failed(struct bf_listener *l, int code)
{
	const uint64_t now = bf_now_ns();
	bool no_room = code == EMFILE || code == ENFILE;
	struct belfry_error why;

	if (now - l->failed > LULL_NS)
		l->failing_since = now;
	l->failed = now;
	if (no_room && now - l->failing_since >= l->patience_ns &&
	    turn_one_away(l, code)) {
		accept_next(l);
		return;
	}
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
	if (!op->armed && !op->cancelled)
		accept_next(l);
	if (res >= 0) {
		l->failing = false;
		l->accepted(l, res, 0);
	}
}

static void accept_next(struct bf_listener *l)
{
	l->op.done = accept_done;
	bf_loop_accept(l->loop, &l->op, l->sock);
}

/* --- the socket and its file --- */

static bool is_socket(const struct sockaddr_un *sa)
{
	struct stat st;

	return lstat(sa->sun_path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/*
 * Is it a socket that nobody serves? One that we may not connect to, since a server has
 * given it away, is the one that was @left.
 */
static bool is_stale(const struct sockaddr_un *sa, bool left)
{
	BF_CLOSE int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return probe >= 0 &&
	       connect(probe, (const struct sockaddr *)sa, sizeof(*sa)) < 0 &&
	       (errno == ECONNREFUSED || (errno == EACCES && left));
}

/* Return: 0; an errno. */
static int bind_once(int sock, const struct sockaddr_un *sa)
{
	if (bind(sock, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
		return 0;
	return errno;
}

static int bind_address(int sock, const struct sockaddr_un *sa, bool left,
			struct belfry_error *err)
{
	int e = bind_once(sock, sa);

	for (int i = 0; e == EADDRINUSE && is_socket(sa) && i < LOOKS; i++) {
		if (is_stale(sa, left)) {
			unlink(sa->sun_path);
			e = bind_once(sock, sa);
		} else {
			nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
		}
	}
	if (e == 0)
		return 0;
	if (e == EADDRINUSE)
		return bf_err(err, EADDRINUSE, "%s exists: stop its server or remove it",
			      sa->sun_path);
	return bf_err_sys(err, e, "cannot make the socket %s", sa->sun_path);
}

/*
 * Before anybody can connect. The file is given away last: its owner may put a link to
 * something else in its place.
 */
static int set_access(const struct bf_listener_conf *conf, struct belfry_error *err)
{
	if (conf->has_mode && chmod(conf->path, conf->mode) < 0)
		return bf_err_sys(err, errno, "%s: mode", conf->path);
	if ((conf->uid != (uid_t)-1 || conf->gid != (gid_t)-1) &&
	    lchown(conf->path, conf->uid, conf->gid) < 0)
		return bf_err_sys(err, errno, "%s: owner and group", conf->path);
	return 0;
}

/* Return: a socket that listens at conf->path (returns); a negative errno. */
static int make_socket(const struct bf_listener_conf *conf, struct belfry_error *err)
{
	BF_CLOSE int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa;
	int r;

	if (sock < 0)
		return bf_err_sys(err, errno, "socket for %s", conf->path);
	r = bf_socket_address(&sa, conf->path, err);
	if (r == 0)
		r = bind_address(sock, &sa, conf->left, err);
	if (r < 0)
		return r;
	r = set_access(conf, err);
	if (r == 0 && listen(sock, SOMAXCONN) < 0)
		r = bf_err_sys(err, errno, "listen at %s", conf->path);
	if (r < 0) {
		unlink(conf->path);
		return r;
	}
	return bf_take(&sock);
}

bool bf_listener_may_use(int sock)
{
	int listens = 0, domain = 0;
	socklen_t len = sizeof(int);

	return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	       getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && listens &&
	       domain == AF_UNIX;
}

/* A socket from elsewhere: is it one we can accept at? Return: it; a negative errno. */
static int check_socket(int sock, const char *path, struct belfry_error *err)
{
	BF_CLOSE int own = sock;

	if (!bf_listener_may_use(sock))
		return bf_err(err, EINVAL,
			      "%s: descriptor %d is no listening AF_UNIX socket", path,
			      sock);
	fcntl(sock, F_SETFL, 0); /* io_uring waits; O_NONBLOCK would forbid it */
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	return bf_take(&own);
}

int bf_listener_start(struct bf_listener *l, struct bf_loop *loop,
		      const struct bf_listener_conf *conf, bf_listener_fn *accepted,
		      const struct bf_log *log, struct belfry_error *err)
{
	BF_FREE char *copy = strdup(conf->path);
	struct stat st = { 0 };
	int sock;

	sock = conf->sock >= 0 ? check_socket(conf->sock, conf->path, err) : -1;
	if (conf->sock >= 0 && sock < 0)
		return sock;
	if (l->path || !copy) {
		bf_close(&sock);
		return l->path ? bf_err(err, EBUSY, "listens at %s already", l->path)
			       : bf_err(err, ENOMEM, "no memory for %s", conf->path);
	}
	if (sock < 0)
		sock = make_socket(conf, err);
	if (sock < 0)
		return sock;
	lstat(conf->path, &st);
	*l = (struct bf_listener){
		.loop = loop,
		.log = log,
		.accepted = accepted,
		.sock = sock,
		.spare = -1,
		.foreign = conf->foreign,
		.patience_ns = conf->patience_ns,
		.path = bf_take_ptr(&copy),
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	keep_spare(l);
	accept_next(l);
	return 0;
}

void bf_listener_pause(struct bf_listener *l)
{
	if (l->path)
		bf_loop_cancel(l->loop, &l->op);
}

void bf_listener_go_on(struct bf_listener *l)
{
	if (l->path && !l->op.armed)
		accept_next(l);
}

/* Somebody who is accepted while we stop is turned away. */
static void turn_away(struct bf_listener *l, int sock, int code)
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
	if (!l->foreign && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->path);
	bf_close(&l->sock);
	bf_close(&l->spare);
	free(bf_take_ptr(&l->path));
}
