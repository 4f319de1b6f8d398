/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/peer.c - our membership of a link: the client of an ivshmem server
 *
 * Theory of operation
 *
 * ivshmem/member.c knows what the messages mean; here are the socket and the time. While
 * there is a server, one recvmsg is under way.
 *
 *	GREETING -> LEARNING -> MEMBER
 *	   ^           |          |
 *	   +--- AWAY <-+----------+
 *
 * GREETING lasts until the memory has come, and has a time limit. LEARNING lasts until
 * our own vectors have. A server may have fewer of them than we want, and does not say
 * so: when it has fallen silent, we go on with those that came, and take any others
 * later. An eventfd keeps its count, so a ring in between is not lost.
 *
 * The first time, bf_peer_create() runs the loop until MEMBER, and fails at AWAY. From
 * then on everything happens on the loop.
 *
 * Losing the server, by end of file or by a message nobody can understand, ends nothing
 * else: the eventfds stay, and so do the rings between the peers. If we know where the
 * server listens, ivshmem/dial.c tries to reach it again. That one has to give us the
 * same ID and the same memory; a guest cannot be told of another. If it does not, we
 * stay AWAY for good, with what we have. A server that fails in GREETING or LEARNING,
 * that time, is just one more try that did not work.
 *
 * Peers that have met the server again, and those that have not yet, hear each other by
 * different eventfds. What comes in by our old ones is passed on, by ivshmem/late.c. The
 * other direction has a gap: who is not back is not here, so a ring for it is ignored.
 *
 * Left out: the rings themselves, each a write to bf_peer_eventfd().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/own.h"
#include "ivshmem/dial.h"
#include "ivshmem/late.h"
#include "ivshmem/member.h"
#include "ivshmem/wire.h"

#define QUIET_NS   (100 * BF_NS_PER_MS)   /* then no more vectors of ours will come */
#define VECTORS_NS (30000 * BF_NS_PER_MS) /* nor are they waited for any longer */
#define TICK_NS    (100 * BF_NS_PER_MS) /* how late a deadline is noticed that has moved */
#define STEADY_NS  BF_DIALER_PAUSE_MAX_NS

enum state {
	GREETING, /* version, our ID and the memory are to come */
	LEARNING, /* who is there is to come, and last our own vectors */
	MEMBER,
	AWAY,   /* there is no server */
	CLOSED, /* we are being destroyed */
};

struct bf_peer {
	struct bf_loop *loop;
	struct bf_log log;
	const struct bf_peer_ops *ops;
	void *owner;
	uint64_t timeout_ns;

	enum state state;
	bool joined; /* MEMBER at least once: bf_peer_create() has worked */
	bool missed; /* the owner knows that there is no server */
	struct bf_member member;
	struct bf_late late;
	struct bf_dialer dialer;
	atomic_uint_least64_t reconnects;

	int sock;
	struct bf_op read_op;
	struct bf_wire_rx rx;
	struct belfry_error why; /* AWAY: the reason */

	struct bf_op tick_op;
	uint64_t since;    /* GREETING or MEMBER began; as all times, in ns */
	uint64_t deadline; /* of GREETING, LEARNING */
};

/* --- time --- */

static uint64_t later(uint64_t time, uint64_t ns)
{
	return __builtin_add_overflow(time, ns, &time) ? UINT64_MAX : time;
}

static bool waiting(const struct bf_peer *p)
{
	return p->state == GREETING || p->state == LEARNING;
}

/* The deadline may move with every message, so the timer does not try to follow it. */
static void tick(struct bf_peer *p)
{
	uint64_t now = bf_now_ns();
	uint64_t left = p->deadline > now ? p->deadline - now : 0;

	bf_loop_timer(p->loop, &p->tick_op, left < TICK_NS ? left : TICK_NS);
}

/* --- who comes and goes --- */

static void joined(void *owner, uint16_t id)
{
	struct bf_peer *p = owner;

	if (p->ops->joined)
		p->ops->joined(p->owner, id);
}

static void vector_added(void *owner, uint16_t id, unsigned int vector, int fd)
{
	struct bf_peer *p = owner;

	p->ops->vector_added(p->owner, id, vector, fd);
	if (id == p->member.id)
		bf_late_pass_to(&p->late, vector, fd);
}

/* Our own eventfds are about to be replaced. */
static void keep_ours(struct bf_peer *p)
{
	for (unsigned int v = 0; v < p->late.n; v++) {
		int fd = bf_table_take(&p->member.peers, p->member.id, v);

		if (fd >= 0 && bf_late_keep(&p->late, v, fd) < 0)
			bf_log(&p->log, BELFRY_LOG_ERROR,
			       "no memory: rings at our old vector %u are lost", v);
	}
}

static void left(void *owner, uint16_t id)
{
	struct bf_peer *p = owner;

	p->ops->left(p->owner, id);
	if (id == p->member.id)
		keep_ours(p);
}

static const struct bf_peer_ops member_ops = {
	.joined = joined,
	.vector_added = vector_added,
	.left = left,
};

/* --- joining --- */

static void read_more(struct bf_peer *p)
{
	bf_loop_recvmsg(p->loop, &p->read_op, p->sock, bf_wire_rx_hdr(&p->rx),
			MSG_CMSG_CLOEXEC);
}

/* A server is at the other end of @sock (takes). */
static void greet(struct bf_peer *p, int sock)
{
	p->sock = sock;
	fcntl(sock, F_SETFL, 0); /* on an O_NONBLOCK one, io_uring may give EAGAIN */
	bf_wire_rx_init(&p->rx);
	p->state = GREETING;
	p->since = bf_now_ns();
	p->deadline = later(p->since, p->timeout_ns);
	if (!p->tick_op.armed)
		tick(p);
	read_more(p);
}

static rlim_t fd_limit(void)
{
	struct rlimit fds;

	getrlimit(RLIMIT_NOFILE, &fds);
	return fds.rlim_cur;
}

static void connected(struct bf_dialer *dialer, int sock)
{
	struct bf_peer *p = BF_CONTAINER_OF(dialer, struct bf_peer, dialer);

	bf_member_again(&p->member, fd_limit());
	greet(p, sock);
}

static void become_member(struct bf_peer *p)
{
	p->state = MEMBER;
	p->since = bf_now_ns();
	bf_member_settle(&p->member);
	if (!p->joined) {
		p->joined = true;
		return;
	}
	p->reconnects++;
	p->missed = false;
	p->ops->server_back(p->owner);
}

/* A message has been taken in: is it the last of LEARNING? */
static void learn(struct bf_peer *p)
{
	uint64_t limit = later(p->since, VECTORS_NS);
	uint64_t quiet = later(bf_now_ns(), QUIET_NS);

	p->state = LEARNING;
	p->deadline = quiet < limit ? quiet : limit;
	if (bf_member_complete(&p->member))
		become_member(p);
}

/* --- losing the server --- */

/* p->why says the reason; nothing is under way any more. */
static void go_away(struct bf_peer *p)
{
	bf_close(&p->sock);
	bf_wire_rx_fini(&p->rx);
	if (!p->joined)
		return;
	if (p->why.code == -ESTALE) {
		p->ops->server_changed(p->owner, &p->why);
		return;
	}
	if (p->missed)
		bf_log(&p->log, BELFRY_LOG_DEBUG, "%s", p->why.msg);
	else
		p->ops->server_lost(p->owner, &p->why);
	p->missed = true;
	bf_dialer_start(&p->dialer);
}

/* p->why says the reason. */
static void lose_server(struct bf_peer *p)
{
	if (p->state == MEMBER && bf_now_ns() - p->since >= STEADY_NS)
		bf_dialer_rest(&p->dialer);
	p->state = AWAY;
	if (p->read_op.armed)
		shutdown(p->sock, SHUT_RDWR); /* it returns, and goes away then */
	else
		go_away(p);
}

static void ticked(struct bf_op *op, int res)
{
	struct bf_peer *p = BF_CONTAINER_OF(op, struct bf_peer, tick_op);

	if (res == -ECANCELED || !waiting(p))
		return;
	/* Without a read under way we are within take(), whose callback runs the loop. */
	if (bf_now_ns() < p->deadline || !p->read_op.armed) {
		tick(p);
	} else if (p->state == LEARNING) {
		become_member(p);
	} else {
		bf_err(&p->why, ETIMEDOUT,
		       "server is silent or too slow: %s%s has not come in %llu ms",
		       p->rx.have ? "the rest of " : "", bf_member_awaits(&p->member),
		       (unsigned long long)p->timeout_ns / BF_NS_PER_MS);
		lose_server(p);
	}
}

/* --- reading --- */

static int hung_up(const struct bf_peer *p, int res, struct belfry_error *err)
{
	if (res < 0)
		return bf_err_sys(err, -res, "lost the server while waiting for %s",
				  bf_member_awaits(&p->member));
	if (p->rx.have)
		return bf_err(err, EPROTO, "server hung up in the middle of %s",
			      bf_member_awaits(&p->member));
	if (!p->member.settled)
		return bf_err(err, EPROTO, "server hung up before %s%s",
			      bf_member_awaits(&p->member),
			      p->member.state == BF_MEMBER_AT_VERSION
				      ? "; it may have refused us: its log says why"
				      : "");
	return bf_err(err, EPROTO, "server hung up");
}

/* Return: 0; a negative errno, and p->why: the server is lost. */
static int take(struct bf_peer *p, const struct bf_wire_msg *msg)
{
	int r = bf_member_take(&p->member, msg, &p->why);

	if (r == 0 && waiting(p) && p->member.state == BF_MEMBER_JOINED)
		learn(p);
	return r;
}

/* The server has sent something, or gone. */
static void read_done(struct bf_op *op, int res)
{
	struct bf_peer *p = BF_CONTAINER_OF(op, struct bf_peer, read_op);
	struct bf_wire_msg msg = { .fd = -1 };
	bool complete = res > 0 && bf_wire_rx_done(&p->rx, res, &msg);
	int r = 0;

	if (p->state == AWAY || p->state == CLOSED) {
		bf_close(&msg.fd);
		if (p->state == AWAY)
			go_away(p);
		return;
	}
	if (complete)
		r = take(p, &msg);
	else if (res <= 0 && res != -EINTR)
		r = hung_up(p, res, &p->why);
	if (r < 0)
		lose_server(p);
	else
		read_more(p);
}

/* --- the front door --- */

/* Run the loop until we have joined or have failed to. */
static int join(struct bf_peer *p, struct belfry_error *err)
{
	int r;

	while (waiting(p)) {
		r = bf_loop_run_once(p->loop, BELFRY_FOREVER);
		if (r < 0)
			return bf_err_sys(err, -r, "io_uring_enter");
	}
	return p->joined ? 0 : bf_err(err, -p->why.code, "%s", p->why.msg);
}

int bf_peer_create(struct bf_peer **out, struct bf_loop *loop,
		   const struct bf_peer_conf *conf, const struct bf_log *log,
		   struct belfry_error *err)
{
	struct bf_peer *p = calloc(1, sizeof(*p));
	BF_CLOSE int sock = conf->sock;
	int r;

	if (!p)
		return bf_err(err, ENOMEM, "no memory for an ivshmem peer");
	p->loop = loop;
	p->log = *log;
	p->ops = conf->ops;
	p->owner = conf->owner;
	p->timeout_ns = conf->timeout_ns;
	p->sock = -1;
	p->read_op.done = read_done;
	p->tick_op.done = ticked;
	bf_wire_rx_init(&p->rx);
	bf_member_init(&p->member, conf->own_vectors, fd_limit(), &member_ops, p,
		       &p->log);
	p->member.as_others = conf->as_others;
	bf_late_init(&p->late, loop, conf->own_vectors);
	bf_dialer_init(&p->dialer, loop, connected, &p->log);
	r = conf->path ? bf_dialer_set_path(&p->dialer, conf->path, err) : 0;
	if (r == 0) {
		greet(p, bf_take(&sock));
		r = join(p, err);
	}
	if (r < 0) {
		bf_peer_destroy(p);
		return r;
	}
	*out = p;
	return 0;
}

/* A configuration may hold a duplicate: it finds an end, and nothing that was for us. */
static void hang_up(int sock)
{
	int64_t rest[64];

	shutdown(sock, SHUT_RDWR);
	while (read(sock, rest, sizeof(rest)) > 0)
		;
}

void bf_peer_destroy(struct bf_peer *p)
{
	if (!p)
		return;
	p->state = CLOSED; /* what the read still brings, nobody hears of */
	bf_dialer_stop(&p->dialer);
	bf_loop_cancel(p->loop, &p->read_op);
	bf_loop_cancel(p->loop, &p->tick_op);
	if (p->sock >= 0)
		hang_up(p->sock);
	bf_close(&p->sock);
	bf_wire_rx_fini(&p->rx);
	bf_late_fini(&p->late);
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

int bf_peer_next(const struct bf_peer *p, unsigned int id)
{
	return bf_table_next(&p->member.peers, id);
}

unsigned int bf_peer_vectors(const struct bf_peer *p, uint16_t id)
{
	return bf_table_count(&p->member.peers, id);
}

void bf_peer_stats(const struct bf_peer *p, struct bf_peer_stats *out)
{
	*out = (struct bf_peer_stats){
		.peers = p->member.known,
		.unheld = p->member.unheld,
		.bad_messages = p->member.bad,
		.tries = p->dialer.tries,
		.reconnects = p->reconnects,
	};
}
