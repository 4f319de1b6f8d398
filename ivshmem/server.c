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
 * Nothing is ever left out. A client that has too much to be told and does not catch up,
 * or takes nothing for too long, is dropped between two messages, and the others are
 * told. So no client holds up another.
 *
 * Passing descriptors faster than clients take them in makes the kernel refuse more
 * (ETOOMANYREFS): its limit is per user, so whoever reads nothing makes everybody wait.
 * That, and its want of memory, is met by trying again a little later. Those who have
 * something to read meanwhile, and read none of it, are the ones that are dropped. What
 * is in their sockets counts until they close them: that is the kernel's rule, and the
 * others have to wait for it.
 *
 * A newcomer that the host has nothing left for, be it descriptors, memory or room for
 * them in flight, waits for some seconds: that may pass (server_join.c).
 *
 * A client's life: newcomer -> present -> left -> freed. It is freed when its ops have
 * come back, for which its socket is shut down, and the roster has forgotten it, which is
 * when nobody waits to hear of it. reap() does this, outside of any walk over clients.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ivshmem/server_parts.h"

/* --- the server --- */

int bf_server_drop(struct bf_server *s, unsigned int id, const char *why)
{
	struct bf_entrant *e;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		if (e->id != id)
			continue;
		bf_client_leave(bf_client_of(e), BELFRY_LOG_WARNING, "dropped: %s", why);
		bf_server_flush(s);
		return 0;
	}
	return -ENOENT;
}

int bf_server_listen_as(struct bf_server *s, const struct bf_listener_conf *conf,
			struct belfry_error *err)
{
	return bf_listener_start(&s->listener, s->loop, conf, bf_server_accepted, &s->log,
				 err);
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
	bf_server_refuse_newcomers(s, "the server is being replaced");
	bf_server_say_refusals(s);
	bf_server_flush(s);
}

void bf_server_go_on(struct bf_server *s)
{
	bf_listener_go_on(&s->listener);
}

void bf_server_set_limits(struct bf_server *s, struct bf_limits *limits)
{
	const int64_t more = limits->queue_max - s->limits.queue_max;
	struct bf_entrant *e;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		bf_client_of(e)->waiting_max += more;
	}
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

	stats.size = sizeof(stats);
	stats.peers = bf_roster_count(s->roster);
	stats.vectors = s->vectors;
	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		stats.queued += e->waiting;
		stats.stalled += bf_client_of(e)->stalled != 0;
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
		const struct bf_client *c = bf_client_of(e);
		struct bf_creds creds = bf_roster_creds(s->roster, e);

		if (n++ >= max)
			continue;
		*out++ = (struct belfry_server_peer){
			.size = sizeof(*out),
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
	s->flush_op.done = bf_server_flush_due;
	s->look_op.done = bf_server_look;
	s->again_op.done = bf_server_try_newcomers;
	s->refusals_op.done = bf_server_refusals_due;
	TAILQ_INIT(&s->leaving);
	TAILQ_INIT(&s->newcomers);
	*out = bf_take_ptr(&s);
	return 0;
}

/* Get all ops back first: they may still look at other clients. */
static void cancel_all(struct bf_server *s)
{
	struct bf_entrant *e;
	struct bf_client *c;

	bf_loop_cancel(s->loop, &s->flush_op);
	bf_loop_cancel(s->loop, &s->look_op);
	bf_loop_cancel(s->loop, &s->again_op);
	bf_loop_cancel(s->loop, &s->refusals_op);
	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		TAILQ_INSERT_TAIL(&s->leaving, bf_client_of(e), link);
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		bf_loop_cancel(s->loop, &c->watch_op);
		bf_loop_cancel(s->loop, &c->room_op);
	}
}

void bf_server_destroy(struct bf_server *s)
{
	struct bf_client *c;

	if (!s)
		return;
	bf_listener_stop(&s->listener);
	s->closing = true;
	bf_server_refuse_newcomers(s, "the server ends");
	bf_server_say_refusals(s);
	cancel_all(s);
	bf_roster_destroy(s->roster);
	while ((c = TAILQ_FIRST(&s->leaving))) {
		TAILQ_REMOVE(&s->leaving, c, link);
		bf_client_free(c);
	}
	bf_limits_fini(&s->limits);
	free(s);
}
