/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/server.c - the server of a link: tells its clients of each other
 *
 * Theory of operation
 *
 * A client is whoever is at the other end of a connected socket. It gets an ID, an
 * eventfd per vector, and the memory; every client gets the eventfds of every other.
 * After that rings are a matter between clients: the server only tells who comes and who
 * leaves. Clients never speak: a byte, end of file or an error means that one leaves. Who
 * is there, and what each has yet to be told, is the roster's business (roster.c).
 *
 * Sending. flush() sends each client what its socket takes, up to 64 messages with one
 * sendmmsg(2). When the socket is full the loop waits for room, and what the client has
 * yet to be told adds up meanwhile. io_uring could send as well, and did: a message costs
 * 1.3 us of the CPU by sendmmsg, 1.3 to 1.5 by batches of IORING_OP_SENDMSG, 1.7 when
 * they are linked to keep their order; and only sendmmsg leaves an exact account behind
 * when the process is killed.
 *
 * Those who come at the same time are let in together, and flushed once: the others are
 * told of all of them with one call each. A flush goes by the order in which clients
 * came. Who keeps up thus knows a newcomer before the newcomer knows of it, and can ring
 * back at once.
 *
 * Nothing is ever left out. A client that has too much to be told, or takes nothing for
 * too long, is dropped between two messages, and the others are told. So no client holds
 * up another.
 *
 * Passing descriptors faster than clients take them in makes the kernel refuse more
 * (ETOOMANYREFS): its limit is per user, so whoever reads nothing makes everybody wait.
 * That, and its want of memory, is met by trying again a little later. When that goes on
 * for too long, the client with most messages in its socket is the one that is dropped.
 *
 * A client's life: present -> left -> freed. It is freed when its ops have come back, for
 * which its socket is shut down, and the roster has forgotten it, which is when nobody
 * waits to hear of it. reap() does this, outside of any walk over clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/own.h"
#include "ivshmem/carrier.h"
#include "ivshmem/listen.h"
#include "ivshmem/policy.h"
#include "ivshmem/roster.h"
#include "ivshmem/server.h"
#include "ivshmem/wire.h"

#define RETRY_NS    10000000ULL /* the kernel was short of something */
#define LOOKS       8           /* at a client that takes nothing, within the limit */
#define LOOK_MAX_NS 1000000000ULL
#define BURST       1024 /* messages to one client, then the others have their turn */
#define NAME_SIZE   8    /* "p65535" */

struct client {
	struct bf_entrant entrant; /* and its ID */
	TAILQ_ENTRY(client) link;  /* of those leaving */
	struct bf_server *server;
	int sock;
	bool forgotten;        /* by the roster */
	bool stored;           /* the store has its descriptors */
	struct bf_op watch_op; /* it speaks or hangs up */
	struct bf_op room_op;  /* its socket has room, or a pause is over */
	uint64_t waiting_max;  /* messages */
	uint64_t stalled;      /* since when nothing has gone out; 0: it does */
	bool scarce;           /* ... because the kernel is short of something */
};

TAILQ_HEAD(clients, client);

struct bf_server {
	struct bf_loop *loop;
	struct bf_log log;
	struct bf_roster *roster;
	unsigned int vectors;
	struct bf_limits limits;
	struct bf_listener listener;
	struct bf_store store;
	struct clients leaving; /* those who are not present any more */
	struct bf_op flush_op;
	struct bf_op look_op; /* while somebody has to wait */
	bool closing;
	struct belfry_server_stats stats;
};

static struct client *client_of(struct bf_entrant *e)
{
	return BF_CONTAINER_OF(e, struct client, entrant);
}

static bool is_present(const struct client *c)
{
	return bf_entrant_is_present(&c->entrant);
}

/* --- the end of a client --- */

static void client_free(struct client *c)
{
	bf_close(&c->sock);
	free(c);
}

static void store_name(char name[NAME_SIZE], unsigned int id)
{
	snprintf(name, NAME_SIZE, "p%u", id);
}

static void unstore(struct client *c)
{
	char name[NAME_SIZE];

	if (!c->stored)
		return;
	store_name(name, c->entrant.id);
	c->server->store.drop(c->server->store.owner, name);
	c->stored = false;
}

/* Close and free what nobody needs any more. Not while somebody walks over clients. */
static void reap(struct bf_server *s)
{
	struct bf_entrant *e;
	struct client *c, *next;

	while ((e = bf_roster_forgotten(s->roster))) {
		client_of(e)->forgotten = true;
		unstore(client_of(e));
	}
	for (c = TAILQ_FIRST(&s->leaving); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->watch_op.armed || c->room_op.armed)
			continue;
		bf_close(&c->sock);
		if (c->forgotten) {
			TAILQ_REMOVE(&s->leaving, c, link);
			client_free(c);
		}
	}
}

static void stir(struct bf_server *s);

/* @c leaves, and why. The others are told by the next flush. */
__attribute__((format(printf, 3, 4))) static void
client_leave(struct client *c, enum belfry_log_level level, const char *fmt, ...)
{
	struct bf_server *s = c->server;
	char why[128];
	va_list ap;

	if (!is_present(c))
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	bf_log(&s->log, level, "peer %u %s", c->entrant.id, why);

	if (c->sock >= 0)
		shutdown(c->sock, SHUT_RDWR);
	bf_roster_leave(s->roster, &c->entrant);
	TAILQ_INSERT_TAIL(&s->leaving, c, link);
	s->stats.left++;
	s->stats.dropped += level <= BELFRY_LOG_WARNING;
	stir(s);
}

/* --- sending --- */

static void look_later(struct bf_server *s);

/* Nothing goes out to @c now, and room_op is under way. */
static void client_stalls(struct client *c, bool scarce)
{
	c->scarce = scarce;
	if (!c->stalled)
		c->stalled = bf_now_ns();
	c->server->stats.stalls++;
	look_later(c->server);
}

static void client_send_failed(struct client *c, int code)
{
	struct belfry_error why;

	switch (code) {
	case EINTR:
		return;
	case EAGAIN:
		bf_loop_poll(c->server->loop, &c->room_op, c->sock, POLLOUT);
		client_stalls(c, false);
		return;
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:
		bf_loop_timer(c->server->loop, &c->room_op, RETRY_NS);
		client_stalls(c, true);
		return;
	case EPIPE:
	case ECONNRESET:
		client_leave(c, BELFRY_LOG_INFO, "has left");
		return;
	}
	bf_err_sys(&why, code, "dropped: sendmsg");
	client_leave(c, BELFRY_LOG_WARNING, "%s", why.msg);
}

/* Return: how many messages the socket has taken; 0: none, and what follows is seen to.
 */
static unsigned int send_window(struct client *c)
{
	struct bf_roster *roster = c->server->roster;
	struct bf_window w = bf_roster_compose(roster, &c->entrant);
	int n = sendmmsg(c->sock, w.hdr, w.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	int code = errno;

	bf_roster_told(roster, &c->entrant, n > 0 ? n : 0);
	if (n <= 0) {
		client_send_failed(c, code);
		return 0;
	}
	c->stalled = 0;
	c->server->stats.messages += n;
	return n;
}

/* Send what the socket takes, as far as a burst goes. */
static void client_send(struct client *c)
{
	unsigned int sent = 0;

	while (is_present(c) && !c->room_op.armed && c->entrant.waiting > 0 &&
	       sent < BURST)
		sent += send_window(c);
	if (c->entrant.waiting > c->waiting_max)
		client_leave(c, BELFRY_LOG_WARNING,
			     "dropped: it does not read, %" PRIu64 " messages wait",
			     c->entrant.waiting);
	if (is_present(c) && c->entrant.waiting > 0 && !c->room_op.armed)
		stir(c->server);
}

static void client_may_send(struct bf_op *op, int res)
{
	struct client *c = BF_CONTAINER_OF(op, struct client, room_op);
	struct bf_server *s = c->server;

	if (s->closing)
		return;
	if (is_present(c))
		client_send(c);
	reap(s);
}

/* Send to all what they are to be told, and again when somebody has left meanwhile. */
static void flush(struct bf_server *s)
{
	struct bf_entrant *e, *next;
	unsigned int count;

	do {
		count = bf_roster_count(s->roster);
		for (e = TAILQ_FIRST(bf_roster_present(s->roster)); e; e = next) {
			next = TAILQ_NEXT(e, link); /* e may leave */
			client_send(client_of(e));
		}
	} while (bf_roster_count(s->roster) < count);
	reap(s);
}

static void flush_due(struct bf_op *op, int res)
{
	struct bf_server *s = BF_CONTAINER_OF(op, struct bf_server, flush_op);

	if (!s->closing)
		flush(s);
}

/* There is something to tell: once all that has come is handled. */
static void stir(struct bf_server *s)
{
	if (!s->flush_op.armed)
		bf_loop_timer(s->loop, &s->flush_op, 0);
}

/* --- clients that take nothing --- */

/* What @c has not read, in bytes of the kernel's. */
static int unread(const struct client *c)
{
	int bytes = 0;

	return ioctl(c->sock, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

static void drop_most_unread(struct bf_server *s)
{
	struct client *most = NULL;
	struct bf_entrant *e;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		struct client *c = client_of(e);

		if (!most || unread(c) > unread(most))
			most = c;
		if (c->scarce && c->stalled)
			c->stalled = bf_now_ns(); /* it gets another chance */
	}
	if (most)
		client_leave(most, BELFRY_LOG_WARNING,
			     "dropped: it does not read, and descriptors that are "
			     "under way are limited for all");
}

/* Drop those who have taken nothing for too long. Return: whether anybody waits still. */
static bool drop_stalled(struct bf_server *s)
{
	const uint64_t limit = s->limits.stall_ns;
	const uint64_t now = bf_now_ns();
	bool waiting = false, scarce = false;
	struct bf_entrant *e, *next;

	for (e = TAILQ_FIRST(bf_roster_present(s->roster)); e; e = next) {
		struct client *c = client_of(e);
		bool late = c->stalled && now - c->stalled > limit;

		next = TAILQ_NEXT(e, link);
		waiting |= c->stalled != 0;
		scarce |= late && c->scarce;
		if (late && !c->scarce)
			client_leave(c, BELFRY_LOG_WARNING,
				     "dropped: it has read nothing for %.3g s, %" PRIu64
				     " messages wait",
				     (double)limit / BF_NS_PER_S, e->waiting);
	}
	if (scarce)
		drop_most_unread(s);
	return waiting;
}

static void look(struct bf_op *op, int res)
{
	struct bf_server *s = BF_CONTAINER_OF(op, struct bf_server, look_op);

	if (s->closing)
		return;
	if (drop_stalled(s))
		look_later(s);
	flush(s);
}

/* Somebody takes nothing at the moment: see later whether that has changed. */
static void look_later(struct bf_server *s)
{
	uint64_t wait = s->limits.stall_ns / LOOKS;

	if (s->limits.stall_ns == 0 || s->look_op.armed)
		return;
	wait = wait < LOOK_MAX_NS ? wait : LOOK_MAX_NS;
	bf_loop_timer(s->loop, &s->look_op, wait);
}

/* --- coming --- */

static void client_stirred(struct bf_op *op, int res)
{
	struct client *c = BF_CONTAINER_OF(op, struct client, watch_op);
	struct bf_server *s = c->server;

	if (s->closing)
		return;
	if (res > 0 && !(res & (POLLRDHUP | POLLHUP | POLLERR)))
		client_leave(c, BELFRY_LOG_WARNING, "dropped: it sent something");
	else
		client_leave(c, BELFRY_LOG_INFO, "has left");
	reap(s);
}

static struct client *client_create(struct bf_server *s, int sock)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = s;
	c->sock = sock;
	c->watch_op.done = client_stirred;
	c->room_op.done = client_may_send;
	return c;
}

/* It is present, and all that it is to be told adds up from now on. */
static void client_attend(struct client *c)
{
	struct bf_server *s = c->server;

	c->waiting_max = c->entrant.waiting + s->limits.queue_max;
	bf_loop_poll(s->loop, &c->watch_op, c->sock, POLLIN | POLLRDHUP);
	stir(s);
}

/* Put the descriptors of @c into @store. */
static int client_store(const struct client *c, const struct bf_store *store,
			struct belfry_error *err)
{
	const unsigned int n = c->server->vectors;
	BF_FREE int *fds = calloc(n + 1, sizeof(*fds));
	BF_CLOSE int carrier = -1;
	char name[NAME_SIZE];

	if (!fds)
		return bf_err(err, ENOMEM, "no memory for %u descriptors", n + 1);
	memcpy(fds + 1, c->entrant.fds, n * sizeof(*fds));
	fds[0] = c->sock >= 0 ? c->sock : fds[1]; /* it has left: no matter */
	carrier = bf_carrier_pack(fds, n + 1, err);
	if (carrier < 0)
		return carrier;
	store_name(name, c->entrant.id);
	return store->keep(store->owner, name, carrier, err);
}

/* Give it an ID and eventfds, and see that they outlive us if they are to. */
static int client_prepare(struct client *c, struct belfry_error *err)
{
	struct bf_server *s = c->server;
	int r = bf_roster_prepare(s->roster, &c->entrant, err);

	if (r < 0 || !s->store.keep)
		return r;
	r = client_store(c, &s->store, err);
	if (r < 0)
		bf_roster_cancel(s->roster, &c->entrant);
	c->stored = r == 0;
	return r;
}

static struct bf_creds creds_of(int sock)
{
	struct ucred peer = { .uid = -1, .gid = -1 };
	socklen_t len = sizeof(peer);

	getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	return (struct bf_creds){ peer.pid, peer.uid, peer.gid };
}

/* Let @sock (takes) in. Return: the ID; a negative errno. */
static int enter(struct bf_server *s, int sock, const struct bf_creds *creds,
		 struct belfry_error *err)
{
	struct client *c = client_create(s, sock);
	int r;

	if (!c) {
		bf_close(&sock);
		return bf_err(err, ENOMEM, "no memory for a client");
	}
	r = client_prepare(c, err);
	if (r < 0) {
		client_free(c);
		return r;
	}
	bf_roster_enter(s->roster, &c->entrant, *creds);
	bf_log(&s->log, BELFRY_LOG_INFO, "peer %u has joined: pid %d, uid %u, gid %u",
	       c->entrant.id, creds->pid, creds->uid, creds->gid);
	s->stats.joined++;
	client_attend(c);
	return c->entrant.id;
}

int bf_server_add(struct bf_server *s, int sock, struct belfry_error *err)
{
	struct bf_creds creds = creds_of(sock);
	int id;

	fcntl(sock, F_SETFD, FD_CLOEXEC);
	id = enter(s, sock, &creds, err);
	if (id >= 0)
		flush(s);
	return id;
}

static unsigned int clients_of_uid(struct bf_server *s, uid_t uid)
{
	struct bf_entrant *e;
	unsigned int n = 0;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		n += bf_roster_creds(s->roster, e).uid == uid;
	}
	return n;
}

/* Return: 0; a negative errno, the message why it is refused. */
static int admit(struct bf_server *s, int sock, const struct bf_creds *creds,
		 struct belfry_error *err)
{
	const struct bf_limits *l = &s->limits;
	unsigned int same = l->clients_of_uid ? clients_of_uid(s, creds->uid) : 0;

	return bf_policy_check(l, sock, creds, bf_roster_count(s->roster), same, err);
}

static void accepted(struct bf_listener *listener, int sock)
{
	struct bf_server *s = BF_CONTAINER_OF(listener, struct bf_server, listener);
	struct bf_creds creds = creds_of(sock);
	struct belfry_error err;
	int r = admit(s, sock, &creds, &err);

	if (r == 0)
		r = enter(s, sock, &creds, &err);
	else
		bf_close(&sock);
	if (r >= 0)
		return;
	s->stats.refused++;
	bf_log(&s->log, BELFRY_LOG_WARNING,
	       "a client was refused: pid %d, uid %u, gid %u: %s", creds.pid, creds.uid,
	       creds.gid, err.msg);
}

int bf_server_drop(struct bf_server *s, unsigned int id, const char *why)
{
	struct bf_entrant *e;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		if (e->id != id)
			continue;
		client_leave(client_of(e), BELFRY_LOG_WARNING, "dropped: %s", why);
		flush(s);
		return 0;
	}
	return -ENOENT;
}

/* --- what is to outlive the process --- */

bool bf_server_knows(const struct bf_server *s, unsigned int id)
{
	return bf_roster_next_id(s->roster, id) == (int)id;
}

void bf_server_set_store(struct bf_server *s, const struct bf_store *store)
{
	struct bf_entrant *e;
	struct client *c;

	s->store = *store;
	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		client_of(e)->stored = true;
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		c->stored = !c->forgotten;
	}
}

int bf_server_store_all(struct bf_server *s, const struct bf_store *store,
			struct belfry_error *err)
{
	struct bf_entrant *e;
	struct client *c;
	int r = 0;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		if (r == 0)
			r = client_store(client_of(e), store, err);
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		if (r == 0 && !c->forgotten && c->entrant.fds)
			r = client_store(c, store, err);
	}
	return r;
}

void bf_server_unstore_all(struct bf_server *s)
{
	struct bf_entrant *e;
	struct client *c;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		unstore(client_of(e));
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		unstore(c);
	}
}

/* Take the descriptors of ID @id out of @carrier. Return: its eventfds (returns); NULL.
 */
static int *unpack(struct bf_server *s, int carrier, int *sock)
{
	const unsigned int n = s->vectors;
	int *fds = carrier >= 0 ? calloc(n + 1, sizeof(*fds)) : NULL;

	if (fds && bf_carrier_unpack(carrier, fds, n + 1, NULL) == 0) {
		*sock = fds[0];
		memmove(fds, fds + 1, n * sizeof(*fds));
		return fds;
	}
	free(fds);
	return NULL;
}

static int restore_one(struct bf_server *s, unsigned int id, int carrier,
		       struct belfry_error *err)
{
	struct client *c = client_create(s, -1);

	if (!c)
		return bf_err(err, ENOMEM, "no memory for a client");
	bf_roster_restore(s->roster, &c->entrant, id, unpack(s, carrier, &c->sock));
	if (!is_present(c)) {
		bf_close(&c->sock);
		TAILQ_INSERT_TAIL(&s->leaving, c, link);
	}
	return 0;
}

/* Those whose descriptors are lost leave, and so do those who need them. */
static void attend_restored(struct bf_server *s)
{
	struct bf_entrant *e, *next;

	for (e = TAILQ_FIRST(bf_roster_present(s->roster)); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (!e->fds)
			client_leave(client_of(e), BELFRY_LOG_WARNING,
				     "dropped: its descriptors were lost");
		else if (bf_roster_is_stuck(s->roster, e))
			client_leave(client_of(e), BELFRY_LOG_WARNING,
				     "dropped: descriptors it is to be sent were lost");
		else
			client_attend(client_of(e));
	}
}

int bf_server_restore(struct bf_server *s, int (*carrier)(void *arg, unsigned int id),
		      void *arg, struct belfry_error *err)
{
	int r = 0;

	for (int id = bf_roster_next_id(s->roster, 0); id >= 0 && r == 0;
	     id = bf_roster_next_id(s->roster, id + 1))
		r = restore_one(s, id, carrier(arg, id), err);
	bf_roster_restored(s->roster);
	if (r < 0)
		return r;
	attend_restored(s);
	flush(s);
	return 0;
}

/* --- the server --- */

int bf_server_listen_as(struct bf_server *s, const struct bf_listener_conf *conf,
			struct belfry_error *err)
{
	return bf_listener_start(&s->listener, s->loop, conf, accepted, &s->log, err);
}

int bf_server_listen(struct bf_server *s, const char *path, struct belfry_error *err)
{
	const struct bf_listener_conf conf = {
		.path = path,
		.sock = -1,
		.uid = -1,
		.gid = -1,
	};

	return bf_server_listen_as(s, &conf, err);
}

int bf_server_socket(const struct bf_server *s)
{
	return s->listener.path ? s->listener.sock : -1;
}

void bf_server_pause(struct bf_server *s)
{
	bf_listener_pause(&s->listener);
	flush(s);
}

void bf_server_go_on(struct bf_server *s)
{
	bf_listener_go_on(&s->listener);
}

void bf_server_set_limits(struct bf_server *s, struct bf_limits *limits)
{
	bf_limits_fini(&s->limits);
	s->limits = *limits;
	*limits = (struct bf_limits){ 0 };
}

void bf_server_set_level(struct bf_server *s, enum belfry_log_level level)
{
	s->log.max = level;
}

void bf_server_stats(const struct bf_server *s, struct belfry_server_stats *out)
{
	struct belfry_server_stats stats = s->stats;
	struct bf_entrant *e;

	stats.size = out->size;
	stats.peers = bf_roster_count(s->roster);
	stats.vectors = s->vectors;
	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		stats.queued += e->waiting;
		stats.stalled += client_of(e)->stalled != 0;
	}
	*out = stats;
}

unsigned int bf_server_peers(struct bf_server *s, struct belfry_server_peer *out,
			     unsigned int max)
{
	const uint64_t now = bf_now_ns();
	struct bf_entrant *e;
	unsigned int n = 0;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		const struct client *c = client_of(e);
		struct bf_creds creds = bf_roster_creds(s->roster, e);

		if (n++ >= max)
			continue;
		*out++ = (struct belfry_server_peer){
			.id = e->id,
			.vectors = s->vectors,
			.pid = creds.pid,
			.uid = creds.uid,
			.gid = creds.gid,
			.queued = e->waiting,
			.stalled_ns = c->stalled ? now - c->stalled : 0,
			.joined_ns = bf_roster_since(s->roster, e),
		};
	}
	return n;
}

int bf_server_create(struct bf_server **out, struct bf_loop *loop,
		     const struct bf_server_conf *conf, const struct bf_log *log,
		     struct belfry_error *err)
{
	BF_FREE struct bf_server *s = calloc(1, sizeof(*s));
	int r;

	if (conf->vectors < 1 || conf->vectors > BF_IVSHMEM_VECTORS_MAX)
		return bf_err(err, EINVAL, "vectors %u: 1 to %u", conf->vectors,
			      BF_IVSHMEM_VECTORS_MAX);
	if (!s)
		return bf_err(err, ENOMEM, "no memory for an ivshmem server");
	r = bf_roster_create(&s->roster, conf->state ? *conf->state : -1, conf->memory,
			     conf->vectors, err);
	if (r < 0)
		return r;
	s->loop = loop;
	s->log = *log;
	snprintf(s->log.who, sizeof(s->log.who), "%.30s%s%.30s", log->who,
		 log->who[0] ? ": " : "", conf->name);
	s->vectors = conf->vectors;
	s->limits.queue_max = conf->queue_max;
	s->flush_op.done = flush_due;
	s->look_op.done = look;
	TAILQ_INIT(&s->leaving);
	*out = bf_take_ptr(&s);
	return 0;
}

/* Get all ops back first: they may still look at other clients. */
static void cancel_all(struct bf_server *s)
{
	struct bf_entrant *e;
	struct client *c;

	bf_loop_cancel(s->loop, &s->flush_op);
	bf_loop_cancel(s->loop, &s->look_op);
	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		TAILQ_INSERT_TAIL(&s->leaving, client_of(e), link);
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		bf_loop_cancel(s->loop, &c->watch_op);
		bf_loop_cancel(s->loop, &c->room_op);
	}
}

void bf_server_destroy(struct bf_server *s)
{
	struct client *c;

	if (!s)
		return;
	bf_listener_stop(&s->listener);
	s->closing = true;
	cancel_all(s);
	bf_roster_destroy(s->roster);
	while ((c = TAILQ_FIRST(&s->leaving))) {
		TAILQ_REMOVE(&s->leaving, c, link);
		client_free(c);
	}
	bf_limits_fini(&s->limits);
	free(s);
}
