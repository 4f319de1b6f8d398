/* SPDX-License-Identifier: MIT */
/* ivshmem/server_join.c - who connects: let in, made to wait, refused */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/clock.h"
#include "ivshmem/server_parts.h"

#define AGAIN_NS      20000000ULL   /* until newcomers that wait are tried again */
#define LULL_NS       1000000000ULL /* without a shortage: the next is another one */
#define REFUSALS_NS   5000000000ULL
#define REFUSALS_SAID 10 /* of those in that time, one line each */
#define OTHER_FDS     32 /* of the process, that are no clients' */

/*
 * Of descriptors in flight, which RLIMIT_NOFILE limits as well: what the store keeps,
 * what an upgrade hands over, and messages have a part each.
 */
#define IN_FLIGHT_PARTS 3

/* --- letting in --- */

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

/* @c is present from now on. Return: its ID; a negative errno, with nothing changed. */
static int enter(struct bf_client *c, struct belfry_error *err)
{
	struct bf_server *s = c->server;
	struct bf_creds creds = creds_of(c->sock);
	int r = client_prepare(c, err);

	if (r < 0)
		return r;
	bf_roster_enter(s->roster, &c->entrant, creds);
	bf_log(&s->log, BELFRY_LOG_INFO, "peer %u has joined: pid %d, uid %u, gid %u",
	       c->entrant.id, creds.pid, creds.uid, creds.gid);
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
	int id = check_socket(sock, err);
	struct bf_client *c;

	if (id < 0) {
		bf_close(&sock);
		return id;
	}
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	c = bf_client_create(s, sock);
	if (!c) {
		bf_close(&sock);
		return bf_err(err, ENOMEM, "no memory for a client");
	}
	id = enter(c, err);
	if (id >= 0)
		bf_server_flush(s);
	else
		bf_client_free(c);
	return id;
}

/* --- who may --- */

static unsigned int clients_of_uid(struct bf_server *s, uid_t uid)
{
	struct bf_entrant *e;
	struct bf_client *c;
	unsigned int n = 0;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		n += bf_roster_creds(s->roster, e).uid == uid;
	}
	TAILQ_FOREACH(c, &s->newcomers, link)
	{
		n += creds_of(c->sock).uid == uid;
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
	unsigned int count = bf_roster_count(s->roster) + s->n_newcomers;

	if (count >= bf_server_fit(s->vectors, s->store.keep))
		return bf_err(err, EMFILE,
			      "RLIMIT_NOFILE has no descriptors for more than %u", count);
	return bf_policy_check(l, sock, creds, count, same, err);
}

/* --- those who are not let in --- */

void bf_server_say_refusals(struct bf_server *s)
{
	unsigned int more = s->refusals - REFUSALS_SAID;

	if (s->refusals <= REFUSALS_SAID)
		return;
	bf_log(&s->log, BELFRY_LOG_WARNING, "%u more client%s refused", more,
	       more == 1 ? " was" : "s were");
	s->refusals = REFUSALS_SAID;
}

void bf_server_refusals_due(struct bf_op *op, int res)
{
	struct bf_server *s = BF_CONTAINER_OF(op, struct bf_server, refusals_op);
	bool more = s->refusals > REFUSALS_SAID;

	if (s->closing)
		return;
	bf_server_say_refusals(s);
	if (more)
		bf_loop_timer(s->loop, op, REFUSALS_NS);
}

/* Some get a line each in the log; when there are too many, their number has one. */
static void refuse(struct bf_server *s, int sock, const char *why)
{
	struct bf_creds creds = creds_of(sock);

	close(sock);
	s->stats.refused++;
	if (!s->refusals_op.armed && !s->closing) {
		s->refusals = 0;
		bf_loop_timer(s->loop, &s->refusals_op, REFUSALS_NS);
	}
	if (s->refusals++ < REFUSALS_SAID)
		bf_log(&s->log, BELFRY_LOG_WARNING,
		       "a client was refused: pid %d, uid %u, gid %u: %s", creds.pid,
		       creds.uid, creds.gid, why);
}

static void refuse_client(struct bf_client *c, const char *why)
{
	refuse(c->server, c->sock, why);
	c->sock = -1;
	bf_client_free(c);
}

/* --- those who come while the host is short of something --- */

static bool may_pass(int code)
{
	switch (-code) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ETOOMANYREFS:
	case EAGAIN:
		return true;
	}
	return false;
}

/* Return: whether the host is short of something still, and may not be for long. */
static bool is_short(struct bf_server *s, const struct belfry_error *why)
{
	const uint64_t now = bf_now_ns();

	if (!may_pass(why->code))
		return false;
	if (!s->short_since || now - s->short_last > LULL_NS) {
		s->short_since = now;
		if (s->limits.shortage_ns)
			bf_log(&s->log, BELFRY_LOG_WARNING, "newcomers have to wait: %s",
			       why->msg);
	}
	s->short_last = now;
	return now - s->short_since < s->limits.shortage_ns;
}

/* Let the first newcomer in, or refuse it. Return: whether it neither is nor has to be.
 */
static bool first_has_to_wait(struct bf_server *s)
{
	struct bf_client *c = TAILQ_FIRST(&s->newcomers);
	struct belfry_error why;
	int r = enter(c, &why);

	if (r < 0 && is_short(s, &why))
		return true;
	TAILQ_REMOVE(&s->newcomers, c, link);
	s->n_newcomers--;
	if (r < 0)
		refuse_client(c, why.msg);
	else
		s->short_since = 0;
	return false;
}

static void try_newcomers(struct bf_server *s)
{
	while (!TAILQ_EMPTY(&s->newcomers)) {
		if (!first_has_to_wait(s))
			continue;
		if (!s->again_op.armed)
			bf_loop_timer(s->loop, &s->again_op, AGAIN_NS);
		return;
	}
}

void bf_server_try_newcomers(struct bf_op *op, int res)
{
	struct bf_server *s = BF_CONTAINER_OF(op, struct bf_server, again_op);

	if (!s->closing)
		try_newcomers(s);
}

void bf_server_refuse_newcomers(struct bf_server *s, const char *why)
{
	struct bf_client *c;

	while ((c = TAILQ_FIRST(&s->newcomers))) {
		TAILQ_REMOVE(&s->newcomers, c, link);
		s->n_newcomers--;
		refuse_client(c, why);
	}
}

void bf_server_accepted(struct bf_listener *listener, int sock, int code)
{
	struct bf_server *s = BF_CONTAINER_OF(listener, struct bf_server, listener);
	struct bf_creds creds = creds_of(sock);
	struct bf_client *c = NULL;
	struct belfry_error err;
	int r = code ? bf_err_sys(&err, code, "no descriptor for it")
		     : admit(s, sock, &creds, &err);

	if (r == 0)
		c = bf_client_create(s, sock);
	if (!c) {
		refuse(s, sock, r < 0 ? err.msg : "no memory for a client");
		return;
	}
	TAILQ_INSERT_TAIL(&s->newcomers, c, link);
	s->n_newcomers++;
	if (!s->again_op.armed) /* else others wait, and are first */
		try_newcomers(s);
}
