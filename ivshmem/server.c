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
 * That, and its want of memory, is met by trying again a little later. Those who have
 * something to read meanwhile, and read none of it, are the ones that are dropped. What
 * is in their sockets counts until they close them: that is the kernel's rule, and the
 * others have to wait for it.
 *
 * A client's life: present -> left -> freed. It is freed when its ops have come back, for
 * which its socket is shut down, and the roster has forgotten it, which is when nobody
 * waits to hear of it. reap() does this, outside of any walk over clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/clock.h"
#include "ivshmem/server_parts.h"

#define OTHER_FDS 32 /* of the process, that are no clients' */

/*
 * Of descriptors in flight, which RLIMIT_NOFILE limits as well: what the store keeps,
 * what an upgrade hands over, and messages have a part each.
 */
#define IN_FLIGHT_PARTS 3

/* --- coming --- */

static void client_stirred(struct bf_op *op, int res)
{
	struct bf_client *c = BF_CONTAINER_OF(op, struct bf_client, watch_op);
	struct bf_server *s = c->server;

	if (s->closing)
		return;
	if (res > 0 && !(res & (POLLRDHUP | POLLHUP | POLLERR)))
		bf_client_leave(c, BELFRY_LOG_WARNING, "dropped: it sent something");
	else
		bf_client_leave(c, BELFRY_LOG_INFO, "has left");
	bf_server_reap(s);
}

struct bf_client *bf_client_create(struct bf_server *s, int sock)
{
	struct bf_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = s;
	c->sock = sock;
	c->watch_op.done = client_stirred;
	c->room_op.done = bf_client_may_send;
	return c;
}

void bf_client_attend(struct bf_client *c)
{
	struct bf_server *s = c->server;

	c->waiting_max = c->entrant.waiting + s->limits.queue_max;
	bf_loop_poll(s->loop, &c->watch_op, c->sock, POLLIN | POLLRDHUP);
	bf_server_stir(s);
}

/* Give it an ID and eventfds, and see that they outlive us if they are to. */
static int client_prepare(struct bf_client *c, struct belfry_error *err)
{
	struct bf_server *s = c->server;
	int r = bf_roster_prepare(s->roster, &c->entrant, err);

	if (r < 0 || !s->store.keep)
		return r;
	r = bf_client_store(c, &s->store, err);
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
	struct bf_client *c = bf_client_create(s, sock);
	int r;

	if (!c) {
		bf_close(&sock);
		return bf_err(err, ENOMEM, "no memory for a client");
	}
	r = client_prepare(c, err);
	if (r < 0) {
		bf_client_free(c);
		return r;
	}
	bf_roster_enter(s->roster, &c->entrant, *creds);
	bf_log(&s->log, BELFRY_LOG_INFO, "peer %u has joined: pid %d, uid %u, gid %u",
	       c->entrant.id, creds->pid, creds->uid, creds->gid);
	s->stats.joined++;
	bf_client_attend(c);
	return c->entrant.id;
}

static int check_socket(int sock, struct belfry_error *err)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return bf_err_sys(err, errno, "descriptor %d", sock);
	getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len);
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return bf_err(err, EINVAL, "descriptor %d is no AF_UNIX stream socket",
			      sock);
	return 0;
}

int bf_server_add(struct bf_server *s, int sock, struct belfry_error *err)
{
	struct bf_creds creds = creds_of(sock);
	int id = check_socket(sock, err);

	if (id < 0) {
		bf_close(&sock);
		return id;
	}
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	id = enter(s, sock, &creds, err);
	if (id >= 0)
		bf_server_flush(s);
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

/* May this process have more descriptors in flight than RLIMIT_NOFILE? unix(7) */
static bool exceeds_in_flight(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[0].effective & (1U << CAP_SYS_RESOURCE | 1U << CAP_SYS_ADMIN));
}

unsigned int bf_server_fit(unsigned int vectors, bool stored)
{
	unsigned int of_each = 2 + vectors;
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < OTHER_FDS)
		return 0;
	if (stored && !exceeds_in_flight())
		of_each = IN_FLIGHT_PARTS * (1 + vectors);
	return (limit.rlim_cur - OTHER_FDS) / of_each;
}

/* Return: 0; a negative errno, the message why it is refused. */
static int admit(struct bf_server *s, int sock, const struct bf_creds *creds,
		 struct belfry_error *err)
{
	const struct bf_limits *l = &s->limits;
	unsigned int same = l->clients_of_uid ? clients_of_uid(s, creds->uid) : 0;
	unsigned int count = bf_roster_count(s->roster);

	if (count >= bf_server_fit(s->vectors, s->store.keep))
		return bf_err(err, EMFILE,
			      "there are %u clients, as many as RLIMIT_NOFILE has "
			      "descriptors for",
			      count);
	return bf_policy_check(l, sock, creds, count, same, err);
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
		bf_client_leave(bf_client_of(e), BELFRY_LOG_WARNING, "dropped: %s", why);
		bf_server_flush(s);
		return 0;
	}
	return -ENOENT;
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
	bf_server_flush(s);
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
	TAILQ_INIT(&s->leaving);
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
	cancel_all(s);
	bf_roster_destroy(s->roster);
	while ((c = TAILQ_FIRST(&s->leaving))) {
		TAILQ_REMOVE(&s->leaving, c, link);
		bf_client_free(c);
	}
	bf_limits_fini(&s->limits);
	free(s);
}
