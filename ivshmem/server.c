/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/server.c - the server of a link: tells its clients of each other
 *
 * Theory of operation
 *
 * A client is whoever is at the other end of a connected socket. It gets an ID, an
 * eventfd per vector, and the memory; every client gets the eventfds of every other.
 * After that rings are a matter between clients: the server only tells who comes and who
 * leaves. Clients never speak: a byte, end of file or an error means that one leaves.
 *
 * Sending. Each client has an outbox and at most one message under way. A message is sent
 * at once as long as the socket takes it, and through the loop when it is full: then the
 * kernel waits for room, and the outbox grows meanwhile. One that grows beyond its limit
 * belongs to a client that does not read; it is dropped, between two messages, and the
 * others are told. So no client is ever sent a message less, and none holds up another.
 *
 * When a newcomer has joined, the outboxes of those already there are sent from before
 * its own. Who keeps up thus knows a newcomer before the newcomer knows of it, and can
 * ring back at once.
 *
 * Passing descriptors faster than clients take them in makes the kernel refuse more
 * (ETOOMANYREFS). That, and its want of memory, is met by trying again a little later.
 *
 * A client's life: present -> leaving -> left -> freed. It can start to leave at any
 * point, while its own outbox is sent from or while others are being told of somebody
 * else. So leaving is only noted there; tell() tells the others, once nobody walks the
 * list of clients. The socket is shut down, which makes the ops under way return, and
 * when they have the client is freed.
 * */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/own.h"
#include "ivshmem/ids.h"
#include "ivshmem/ivshmem.h"
#include "ivshmem/listen.h"
#include "ivshmem/outbox.h"
#include "ivshmem/wire.h"

#define RETRY_NS    10000000ULL /* the kernel was short of something */
#define RETRIES_MAX 500
#define BURST       1024 /* messages to one client, then the others have their turn */

struct client {
	TAILQ_ENTRY(client) link;
	struct bf_server *server;
	struct bf_vectors *own; /* and its ID */
	int sock;
	bool gone;             /* leaving or left */
	struct bf_op watch_op; /* it speaks or hangs up */

	struct bf_outbox outbox;
	uint64_t outbox_max; /* messages */
	bool sending;        /* tx holds the outbox's first message */
	struct bf_wire_tx tx;
	struct bf_op send_op; /* a sendmsg that waits for room, or a pause */
	unsigned int retries;
};

TAILQ_HEAD(clients, client);

struct bf_server {
	struct bf_loop *loop;
	struct bf_log log;
	int memory;
	unsigned int vectors;
	unsigned int queue_max;
	struct bf_listener listener;
	bool closing;

	struct clients present; /* in the order they came */
	struct clients leaving; /* the others are not told yet */
	struct clients left;    /* ops are still under way */
	struct bf_ids ids;
};

static void tell(struct bf_server *s);

/* --- one client --- */

static void client_free(struct client *c)
{
	bf_outbox_fini(&c->outbox);
	bf_vectors_put(c->own);
	bf_close(&c->sock);
	free(c);
}

/* It has left; free it once its ops have come back. */
static void client_release(struct client *c)
{
	struct bf_server *s = c->server;

	if (s->closing || c->watch_op.armed || c->send_op.armed)
		return;
	TAILQ_REMOVE(&s->left, c, link);
	client_free(c);
}

/* Note that @c leaves, and why. The caller calls tell() when it walks no list. */
__attribute__((format(printf, 3, 4))) static void
client_leave(struct client *c, enum belfry_log_level level, const char *fmt, ...)
{
	struct bf_server *s = c->server;
	char why[128];
	va_list ap;

	if (c->gone)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	bf_log(&s->log, level, "peer %u %s", c->own->id, why);

	c->gone = true;
	shutdown(c->sock, SHUT_RDWR);
	TAILQ_REMOVE(&s->present, c, link);
	TAILQ_INSERT_TAIL(&s->leaving, c, link);
}

/* @r: what queueing a message for @c has returned. */
static void client_queued(struct client *c, int r)
{
	if (r < 0)
		client_leave(c, BELFRY_LOG_ERROR, "dropped: no memory for its messages");
	else if (c->outbox.messages > c->outbox_max)
		client_leave(c, BELFRY_LOG_WARNING,
			     "dropped: it does not read, %" PRIu64 " messages wait",
			     c->outbox.messages);
}

/* --- sending --- */

/* Start the outbox's first message, unless one is under way. Return: if there is one. */
static bool client_has_message(struct client *c)
{
	int64_t value;
	int fd;

	if (!c->sending) {
		if (!bf_outbox_first(&c->outbox, &value, &fd))
			return false;
		bf_wire_tx_init(&c->tx, value, fd);
		c->sending = true;
	}
	return true;
}

static void client_sent(struct client *c, unsigned int n)
{
	c->retries = 0;
	if (bf_wire_tx_done(&c->tx, n)) {
		c->sending = false;
		bf_outbox_pop(&c->outbox);
	}
}

static void client_send_failed(struct client *c, int code)
{
	struct belfry_error why;

	switch (code) {
	case EINTR:
		return;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:
		if (c->retries++ < RETRIES_MAX) {
			bf_loop_timer(c->server->loop, &c->send_op, RETRY_NS);
			return;
		}
		break;
	case EPIPE:
	case ECONNRESET:
		client_leave(c, BELFRY_LOG_INFO, "has left");
		return;
	}
	bf_err_sys(&why, code, "dropped: sendmsg");
	client_leave(c, BELFRY_LOG_WARNING, "%s", why.msg);
}

/* Send what the socket takes; see to it that the rest follows. */
static void client_send(struct client *c)
{
	const int flags = MSG_NOSIGNAL;
	unsigned int left = BURST;
	struct msghdr *hdr;
	ssize_t n;

	while (!c->gone && !c->send_op.armed && client_has_message(c)) {
		hdr = bf_wire_tx_hdr(&c->tx);
		n = left > 0 ? sendmsg(c->sock, hdr, flags | MSG_DONTWAIT) : 0;
		if (n > 0)
			client_sent(c, n);
		else if (n == 0 || errno == EAGAIN)
			bf_loop_sendmsg(c->server->loop, &c->send_op, c->sock, hdr,
					flags);
		else
			client_send_failed(c, errno);
		left--;
	}
}

/* There was room in the socket and @res bytes have gone, or (0) a pause is over. */
static void client_may_send(struct bf_op *op, int res)
{
	struct client *c = BF_CONTAINER_OF(op, struct client, send_op);

	if (c->gone) {
		client_release(c);
		return;
	}
	if (res > 0)
		client_sent(c, res);
	else if (res < 0)
		client_send_failed(c, -res);
	client_send(c);
	tell(c->server);
}

/* --- coming and leaving --- */

static void client_stirred(struct bf_op *op, int res)
{
	struct client *c = BF_CONTAINER_OF(op, struct client, watch_op);

	if (c->gone) {
		client_release(c);
		return;
	}
	if (res > 0 && !(res & (POLLRDHUP | POLLHUP | POLLERR)))
		client_leave(c, BELFRY_LOG_WARNING, "dropped: it sent something");
	else
		client_leave(c, BELFRY_LOG_INFO, "has left");
	tell(c->server);
}

/* Send to all what is queued for them. */
static void send_all(struct bf_server *s)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&s->present); c; c = next) {
		next = TAILQ_NEXT(c, link); /* c may leave */
		client_send(c);
	}
}

/* Tell those present who is leaving, until nobody else does because of it. */
static void tell(struct bf_server *s)
{
	struct client *c, *other, *next;

	while ((c = TAILQ_FIRST(&s->leaving))) {
		for (other = TAILQ_FIRST(&s->present); other; other = next) {
			next = TAILQ_NEXT(other, link);
			client_queued(other,
				      bf_outbox_add(&other->outbox, c->own->id, -1));
		}
		bf_ids_give_back(&s->ids, c->own->id);
		TAILQ_REMOVE(&s->leaving, c, link);
		TAILQ_INSERT_TAIL(&s->left, c, link);
		client_release(c);
		if (TAILQ_EMPTY(&s->leaving))
			send_all(s);
	}
}

/* Queue all that a newcomer is to know, in the protocol's order. Return: 0; -ENOMEM. */
static int client_greet(struct client *c)
{
	struct bf_server *s = c->server;
	struct client *other;
	int r;

	r = bf_outbox_add(&c->outbox, BF_WIRE_VERSION, -1);
	if (r == 0)
		r = bf_outbox_add(&c->outbox, c->own->id, -1);
	if (r == 0)
		r = bf_outbox_add(&c->outbox, BF_WIRE_MEMORY, s->memory);
	for (other = TAILQ_FIRST(&s->present); other && r == 0;
	     other = TAILQ_NEXT(other, link))
		r = bf_outbox_add_vectors(&c->outbox, other->own);
	if (r == 0)
		r = bf_outbox_add_vectors(&c->outbox, c->own);
	c->outbox_max = c->outbox.messages + s->queue_max;
	return r;
}

/* Make those present and the newcomer known to each other. */
static void client_enter(struct client *c)
{
	struct bf_server *s = c->server;
	struct client *other, *next;

	for (other = TAILQ_FIRST(&s->present); other; other = next) {
		next = TAILQ_NEXT(other, link);
		client_queued(other, bf_outbox_add_vectors(&other->outbox, c->own));
	}
	TAILQ_INSERT_TAIL(&s->present, c, link);
	bf_loop_poll(s->loop, &c->watch_op, c->sock, POLLIN | POLLRDHUP);
	bf_log(&s->log, BELFRY_LOG_INFO, "peer %u has joined", c->own->id);
	send_all(s);
	tell(s);
}

/* Give it an ID, eventfds and all it is to be told. Return: the ID; a negative errno. */
static int client_init(struct client *c, struct belfry_error *err)
{
	struct bf_server *s = c->server;
	int id = bf_ids_take(&s->ids);
	int r;

	if (id < 0)
		return bf_err(err, -id, "all %d IDs are in use", BF_IDS_MAX);
	r = bf_vectors_create(&c->own, id, s->vectors, err);
	if (r == 0 && client_greet(c) < 0)
		r = bf_err(err, ENOMEM, "no memory for a client's messages");
	if (r < 0) {
		bf_ids_give_back(&s->ids, id);
		return r;
	}
	return id;
}

int bf_server_add(struct bf_server *s, int sock, struct belfry_error *err)
{
	struct client *c = calloc(1, sizeof(*c));
	int id;

	if (!c) {
		bf_close(&sock);
		return bf_err(err, ENOMEM, "no memory for a client");
	}
	c->server = s;
	c->sock = sock;
	c->watch_op.done = client_stirred;
	c->send_op.done = client_may_send;
	fcntl(sock, F_SETFL, 0); /* on an O_NONBLOCK one, io_uring may give EAGAIN */
	id = client_init(c, err);
	if (id < 0)
		client_free(c);
	else
		client_enter(c);
	return id;
}

/* --- the server --- */

static void accepted(struct bf_listener *listener, int sock)
{
	struct bf_server *s = BF_CONTAINER_OF(listener, struct bf_server, listener);
	struct belfry_error err;

	if (bf_server_add(s, sock, &err) < 0)
		bf_log(&s->log, BELFRY_LOG_WARNING, "a client was refused: %s", err.msg);
}

int bf_server_listen(struct bf_server *s, const char *path, struct belfry_error *err)
{
	return bf_listener_start(&s->listener, s->loop, path, accepted, &s->log, err);
}

int bf_server_create(struct bf_server **out, struct bf_loop *loop,
		     const struct bf_server_conf *conf, const struct bf_log *log,
		     struct belfry_error *err)
{
	struct bf_server *s;

	if (conf->vectors < 1 || conf->vectors > BF_IVSHMEM_VECTORS_MAX)
		return bf_err(err, EINVAL, "vectors %u: 1 to %u", conf->vectors,
			      BF_IVSHMEM_VECTORS_MAX);
	s = calloc(1, sizeof(*s));
	if (!s)
		return bf_err(err, ENOMEM, "no memory for an ivshmem server");
	s->loop = loop;
	s->log = *log;
	snprintf(s->log.who, sizeof(s->log.who), "%.30s%s%.30s", log->who,
		 log->who[0] ? ": " : "", conf->name);
	s->memory = conf->memory;
	s->vectors = conf->vectors;
	s->queue_max = conf->queue_max;
	TAILQ_INIT(&s->present);
	TAILQ_INIT(&s->leaving);
	TAILQ_INIT(&s->left);
	*out = s;
	return 0;
}

/* Get all ops back first: they may still look at other clients. */
static void drop_all(struct bf_server *s)
{
	struct client *c;

	TAILQ_CONCAT(&s->left, &s->leaving, link);
	TAILQ_CONCAT(&s->left, &s->present, link);
	for (c = TAILQ_FIRST(&s->left); c; c = TAILQ_NEXT(c, link))
		c->gone = true;
	for (c = TAILQ_FIRST(&s->left); c; c = TAILQ_NEXT(c, link)) {
		bf_loop_cancel(s->loop, &c->watch_op);
		bf_loop_cancel(s->loop, &c->send_op);
	}
	while ((c = TAILQ_FIRST(&s->left))) {
		TAILQ_REMOVE(&s->left, c, link);
		client_free(c);
	}
}

void bf_server_destroy(struct bf_server *s)
{
	if (!s)
		return;
	bf_listener_stop(&s->listener);
	s->closing = true;
	drop_all(s);
	free(s);
}
