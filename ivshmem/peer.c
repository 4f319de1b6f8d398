/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/peer.c - our membership of a link: the client of an ivshmem server
 *
 * Theory of operation
 *
 * ivshmem/member.c knows what the messages mean; here are the socket and the time. One
 * recvmsg is under way from bf_peer_create() until the server is lost or the peer is
 * destroyed.
 *
 * bf_peer_create() runs the loop until the memory has come, which has a time limit, and
 * then until our own vectors have. A server may have fewer of them than we want, and
 * does not say so: when it has fallen silent, we go on with those that came, and take
 * any others later. An eventfd keeps its count, so a ring in between is not lost.
 *
 * Losing the server, by end of file or by a message nobody can understand, fails a
 * handshake, and is told to the owner later on. It ends nothing else: the eventfds stay,
 * and so do the rings between the peers.
 *
 * Left out: reconnecting, and the rings themselves, each a write to bf_peer_eventfd().
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/loop.h"
#include "base/own.h"
#include "ivshmem/member.h"
#include "ivshmem/wire.h"

#define NS_PER_MS  1000000ULL
#define CONNECT_S  5
#define QUIET_NS   (100 * NS_PER_MS)   /* then no more vectors of ours will come */
#define VECTORS_NS (30000 * NS_PER_MS) /* nor are they waited for any longer */

struct bf_peer {
	struct bf_loop *loop;
	struct bf_log log;
	struct bf_member member;

	int sock;
	struct bf_op read_op;
	struct bf_wire_rx rx;
	uint64_t messages;       /* taken in */
	bool lost;               /* the server is; or we are being destroyed */
	struct belfry_error why; /* lost: the reason */
};

static int hung_up(const struct bf_peer *p, int res, struct belfry_error *err)
{
	if (res < 0)
		return bf_err_sys(err, -res, "lost the server while waiting for %s",
				  bf_member_awaits(&p->member));
	if (p->rx.have)
		return bf_err(err, EPROTO, "server hung up in the middle of %s",
			      bf_member_awaits(&p->member));
	if (!p->member.settled)
		return bf_err(err, EPROTO, "server hung up before %s",
			      bf_member_awaits(&p->member));
	return bf_err(err, EPROTO, "server hung up");
}

/* p->why says the reason. */
static void server_lost(struct bf_peer *p)
{
	const struct bf_member *m = &p->member;

	p->lost = true;
	bf_close(&p->sock);
	if (m->settled) /* else it is bf_peer_create() that fails */
		m->ops->server_lost(m->owner, &p->why);
}

static void read_more(struct bf_peer *p)
{
	bf_loop_recvmsg(p->loop, &p->read_op, p->sock, bf_wire_rx_hdr(&p->rx),
			MSG_CMSG_CLOEXEC);
}

/* The server has sent something, or gone. */
static void read_done(struct bf_op *op, int res)
{
	struct bf_peer *p = BF_CONTAINER_OF(op, struct bf_peer, read_op);
	struct bf_wire_msg msg;
	int r = 0;

	if (res > 0 && bf_wire_rx_done(&p->rx, res, &msg)) {
		if (p->lost)
			bf_close(&msg.fd);
		else
			r = bf_member_take(&p->member, &msg, &p->why);
		p->messages++;
	} else if (res <= 0 && res != -EINTR) {
		r = hung_up(p, res, &p->why);
	}
	if (p->lost)
		return;
	if (r < 0)
		server_lost(p);
	else
		read_more(p);
}

int bf_peer_connect(const char *path, struct belfry_error *err)
{
	const struct timeval limit = { .tv_sec = CONNECT_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	BF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(path);

	if (fd < 0)
		return bf_err_sys(err, errno, "socket for %s", path);
	if (len >= sizeof(sa.sun_path))
		return bf_err(err, ENAMETOOLONG,
			      "%s: %zu bytes; a socket's path has at most %zu", path, len,
			      sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, len);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return bf_take(&fd);

	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
		return bf_err(err, ECONNREFUSED,
			      "%s: nobody listens, start the ivshmem server", path);
	case EAGAIN: /* the queue of those who want in is full, and stays so */
		return bf_err(err, ETIMEDOUT, "%s: no answer from the ivshmem server",
			      path);
	default:
		return bf_err_sys(err, errno, "connect to %s", path);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec * 1000ULL) * NS_PER_MS + t.tv_nsec;
}

/*
 * Run the loop until the handshake is over, for good or ill, or the time is: until the
 * memory has come, @timeout_ns in all; from then on, while messages keep coming.
 */
static int run_handshake(struct bf_peer *p, uint64_t timeout_ns, struct belfry_error *err)
{
	const struct bf_member *m = &p->member;
	uint64_t start = now_ns();
	uint64_t now = start;
	uint64_t limit;
	uint64_t seen;
	int r;

	if (__builtin_add_overflow(start, timeout_ns, &limit))
		limit = UINT64_MAX;
	while (!p->lost && !bf_member_complete(m) && now < limit) {
		seen = p->messages;
		r = bf_loop_run_once(p->loop, limit - now);
		if (r < 0)
			return bf_err_sys(err, -r, "io_uring_enter");
		now = now_ns();
		if (m->state == BF_MEMBER_JOINED && p->messages != seen &&
		    now - start < VECTORS_NS)
			limit = now + QUIET_NS;
	}
	if (p->lost)
		return bf_err(err, -p->why.code, "%s", p->why.msg);
	if (m->state == BF_MEMBER_JOINED)
		return 0;
	return bf_err(err, ETIMEDOUT,
		      "server is silent or too slow: %s%s has not come in %llu ms",
		      p->rx.have ? "the rest of " : "", bf_member_awaits(m),
		      (unsigned long long)timeout_ns / NS_PER_MS);
}

int bf_peer_create(struct bf_peer **out, struct bf_loop *loop, int sock,
		   unsigned int own_vectors, uint64_t timeout_ns,
		   const struct bf_peer_ops *ops, void *owner, const struct bf_log *log,
		   struct belfry_error *err)
{
	struct bf_peer *p = calloc(1, sizeof(*p));
	struct rlimit fds;
	int r;

	if (!p) {
		bf_close(&sock);
		return bf_err(err, ENOMEM, "no memory for an ivshmem peer");
	}
	getrlimit(RLIMIT_NOFILE, &fds);
	p->loop = loop;
	p->log = *log;
	p->sock = sock;
	p->read_op.done = read_done;
	bf_wire_rx_init(&p->rx);
	bf_member_init(&p->member, own_vectors, fds.rlim_cur, ops, owner, &p->log);

	fcntl(sock, F_SETFL, 0); /* on an O_NONBLOCK one, io_uring may give EAGAIN */
	read_more(p);
	r = run_handshake(p, timeout_ns, err);
	if (r < 0) {
		bf_peer_destroy(p);
		return r;
	}
	bf_member_settle(&p->member);
	*out = p;
	return 0;
}

void bf_peer_destroy(struct bf_peer *p)
{
	if (!p)
		return;
	p->lost = true; /* what the read still brings, nobody hears of */
	bf_loop_cancel(p->loop, &p->read_op);
	bf_close(&p->sock);
	bf_wire_rx_fini(&p->rx);
	bf_member_fini(&p->member);
	free(p);
}

uint16_t bf_peer_id(const struct bf_peer *p)
{
	return p->member.id;
}

int bf_peer_memory(const struct bf_peer *p)
{
	return p->member.memory;
}

int bf_peer_eventfd(const struct bf_peer *p, uint16_t id, unsigned int vector)
{
	return bf_table_fd(&p->member.peers, id, vector);
}

unsigned int bf_peer_bad_messages(const struct bf_peer *p)
{
	return p->member.bad;
}
