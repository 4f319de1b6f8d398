/* SPDX-License-Identifier: MIT */
/* ivshmem/server_send.c - sending to clients, and their end: how it works is in server.c
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "base/clock.h"
#include "ivshmem/server_parts.h"

#define RETRY_NS    10000000ULL   /* the kernel was short of something */
#define LOOKS       8             /* at a client that takes nothing, within the limit */
#define LOOK_MAX_NS 1000000000ULL /* between two of them */
#define BURST       1024 /* messages to one client, then the others have their turn */

/* --- the end of a client --- */

void bf_client_free(struct bf_client *c)
{
	bf_close(&c->sock);
	free(c);
}

/* Close and free what nobody needs any more. Not while somebody walks over clients. */
void bf_server_reap(struct bf_server *s)
{
	struct bf_entrant *e;
	struct bf_client *c, *next;

	while ((e = bf_roster_forgotten(s->roster))) {
		bf_client_of(e)->forgotten = true;
		bf_client_unstore(bf_client_of(e));
	}
	for (c = TAILQ_FIRST(&s->leaving); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->watch_op.armed || c->room_op.armed)
			continue;
		bf_close(&c->sock);
		if (c->forgotten) {
			TAILQ_REMOVE(&s->leaving, c, link);
			bf_client_free(c);
		}
	}
}

/* @c leaves, and why. The others are told by the next flush. */
__attribute__((format(printf, 3, 4))) void
bf_client_leave(struct bf_client *c, enum belfry_log_level level, const char *fmt, ...)
{
	struct bf_server *s = c->server;
	char why[128];
	va_list ap;

	if (!bf_client_is_present(c))
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
	bf_server_stir(s);
}

/* --- sending --- */

static void look_later(struct bf_server *s);

/* Nothing goes out to @c now, and room_op is under way. */
static void client_stalls(struct bf_client *c, bool scarce)
{
	c->scarce = scarce;
	if (!c->stalled && !scarce)
		c->idle = 0; /* its socket has had room before, so it has read */
	if (!c->stalled)
		c->stalled = bf_now_ns();
	c->server->stats.stalls++;
	look_later(c->server);
}

static void client_send_failed(struct bf_client *c, int code)
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
		bf_client_leave(c, BELFRY_LOG_INFO, "has left");
		return;
	}
	bf_err_sys(&why, code, "dropped: sendmsg");
	bf_client_leave(c, BELFRY_LOG_WARNING, "%s", why.msg);
}

/* Return: how many messages the socket has taken; 0: none, and what follows is seen to.
 */
static unsigned int send_window(struct bf_client *c)
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
static void client_send(struct bf_client *c)
{
	unsigned int sent = 0;

	while (bf_client_is_present(c) && !c->room_op.armed && c->entrant.waiting > 0 &&
	       sent < BURST)
		sent += send_window(c);
	if (bf_client_is_present(c) && c->entrant.waiting > 0 && !c->room_op.armed)
		bf_server_stir(c->server);
}

void bf_client_may_send(struct bf_op *op, int res)
{
	struct bf_client *c = BF_CONTAINER_OF(op, struct bf_client, room_op);
	struct bf_server *s = c->server;

	if (s->closing)
		return;
	if (bf_client_is_present(c))
		client_send(c);
	bf_server_reap(s);
}

/* Send to all what they are to be told, and again when somebody has left meanwhile. */
void bf_server_flush(struct bf_server *s)
{
	struct bf_entrant *e, *next;
	unsigned int count;

	do {
		count = bf_roster_count(s->roster);
		for (e = TAILQ_FIRST(bf_roster_present(s->roster)); e; e = next) {
			next = TAILQ_NEXT(e, link); /* e may leave */
			client_send(bf_client_of(e));
		}
	} while (bf_roster_count(s->roster) < count);
	bf_server_reap(s);
}

void bf_server_flush_due(struct bf_op *op, int res)
{
	struct bf_server *s = BF_CONTAINER_OF(op, struct bf_server, flush_op);

	if (!s->closing)
		bf_server_flush(s);
}

/* There is something to tell: once all that has come is handled. */
void bf_server_stir(struct bf_server *s)
{
	if (!s->flush_op.armed)
		bf_loop_timer(s->loop, &s->flush_op, 0);
}

/* --- clients that take nothing --- */

/* What @c has not read, in bytes of the kernel's. */
static int unread(const struct bf_client *c)
{
	int bytes = 0;

	return ioctl(c->sock, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

/* Note since when @c has had something to read, and has read nothing. */
static void note_idle(struct bf_client *c, uint64_t now)
{
	int bytes = unread(c);

	if (bytes == 0 || bytes < c->unread || !c->idle)
		c->idle = now;
	c->unread = bytes;
}

/*
 * One that has too much to be told is to read between two looks: however fast it reads,
 * many who come at once are more than it can take in. And it is to catch up, which is to
 * have less to be told than it ever had since.
 */
static void drop_if_behind(struct bf_client *c, uint64_t now)
{
	const uint64_t waiting = c->entrant.waiting;
	const uint64_t limit = c->server->limits.stall_ns;

	if (waiting <= c->waiting_max) {
		c->behind = 0;
		return;
	}
	if (!c->behind || c->scarce || waiting < c->least) {
		c->behind = now;
		c->least = waiting;
	}
	if (c->idle < now && !c->scarce)
		bf_client_leave(c, BELFRY_LOG_WARNING,
				"dropped: it does not read, %" PRIu64 " messages wait",
				waiting);
	else if (limit && now - c->behind > limit)
		bf_client_leave(c, BELFRY_LOG_WARNING,
				"dropped: it does not catch up, %" PRIu64
				" messages wait",
				waiting);
}

/* One that reads, however slowly, is not: what it may lag behind is limited, too. */
static void drop_if_idle(struct bf_client *c, uint64_t now)
{
	const uint64_t limit = c->server->limits.stall_ns;

	if (limit == 0 || now - c->idle <= limit)
		return;
	if (c->stalled && !c->scarce)
		bf_client_leave(c, BELFRY_LOG_WARNING,
				"dropped: it has read nothing for %.3g s, %" PRIu64
				" messages wait",
				(double)limit / BF_NS_PER_S, c->entrant.waiting);
	else
		bf_client_leave(
			c, BELFRY_LOG_WARNING,
			"dropped: it has read nothing for %.3g s, and descriptors "
			"under way are limited for all",
			(double)limit / BF_NS_PER_S);
}

/* Return: whether anybody has to wait because the kernel is short of something. */
static bool is_scarce(struct bf_server *s)
{
	struct bf_entrant *e;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		if (bf_client_of(e)->stalled && bf_client_of(e)->scarce)
			return true;
	}
	return false;
}

/*
 * Drop those who keep us or others waiting, and read nothing or too little. Return:
 * whether anybody waits still.
 */
static bool drop_idle(struct bf_server *s)
{
	const uint64_t now = bf_now_ns();
	const bool scarce = is_scarce(s);
	struct bf_entrant *e, *next;
	bool waiting = false;

	for (e = TAILQ_FIRST(bf_roster_present(s->roster)); e; e = next) {
		struct bf_client *c = bf_client_of(e);

		next = TAILQ_NEXT(e, link);
		waiting |= c->stalled != 0;
		if (!scarce && !c->stalled) {
			c->idle = 0;
			c->behind = 0;
			continue;
		}
		note_idle(c, now);
		drop_if_behind(c, now);
		drop_if_idle(c, now);
	}
	return waiting;
}

void bf_server_look(struct bf_op *op, int res)
{
	struct bf_server *s = BF_CONTAINER_OF(op, struct bf_server, look_op);

	if (s->closing)
		return;
	if (drop_idle(s))
		look_later(s);
	bf_server_flush(s);
}

/* Somebody takes nothing at the moment: see later whether that has changed. */
static void look_later(struct bf_server *s)
{
	uint64_t wait = s->limits.stall_ns / LOOKS;

	if (wait == 0 || wait > LOOK_MAX_NS)
		wait = LOOK_MAX_NS;
	if (!s->look_op.armed)
		bf_loop_timer(s->loop, &s->look_op, wait);
}
