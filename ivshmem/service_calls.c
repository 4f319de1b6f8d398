/* SPDX-License-Identifier: MIT */
/* ivshmem/service_calls.c - belfry-server.h: the loop, clients, changes */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/own.h"
#include "base/sized.h"
#include "base/thread.h"
#include "ivshmem/listen.h"
#include "ivshmem/policy.h"
#include "ivshmem/server.h"
#include "ivshmem/service.h"

/* What callers have at least. */
#define PEER_LEAST  BF_SIZED_LEAST(belfry_server_peer, joined_ns)
#define STATS_LEAST BF_SIZED_LEAST(belfry_server_stats, stalls)

/* --- the loop --- */

int bf_service_enter(struct belfry_server *s, struct belfry_error *err)
{
	const int e = pthread_mutex_lock(&s->lock);

	return e ? bf_err(err, e, "%s: called by a callback", s->conf.name) : 0;
}

/* Whoever polls is to come and process what another thread has started. */
void bf_service_leave(struct belfry_server *s)
{
	bf_loop_wake(s->loop);
	pthread_mutex_unlock(&s->lock);
}

int belfry_server_fd(const struct belfry_server *s)
{
	return s ? bf_loop_fd(s->loop) : -EINVAL;
}

static int process(struct belfry_server *s, struct belfry_error *err)
{
	int r = bf_service_enter(s, err);

	if (r < 0)
		return r;
	r = bf_loop_process(s->loop);
	pthread_mutex_unlock(&s->lock);
	return r < 0 ? bf_err_sys(err, -r, "%s: io_uring_enter", s->conf.name) : 0;
}

int belfry_server_process(struct belfry_server *s, struct belfry_error *err)
{
	if (!s)
		return bf_err_null(err, __func__);
	if (s->has_thread)
		return bf_err(err, EBUSY, "%s: a thread processes it", s->conf.name);
	return process(s, err);
}

static void *thread_main(void *arg)
{
	struct belfry_server *s = arg;
	struct pollfd fds[] = { { .fd = bf_loop_fd(s->loop), .events = POLLIN },
				{ .fd = s->stop_fd, .events = POLLIN } };
	struct belfry_error why;

	while (process(s, &why) == 0) {
		poll(fds, 2, -1);
		if (fds[1].revents)
			return NULL;
	}
	bf_log(&s->log, BELFRY_LOG_ERROR, "%s", why.msg);
	return NULL;
}

static int start(struct belfry_server *s, struct belfry_error *err)
{
	int r;

	if (s->has_thread)
		return bf_err(err, EBUSY, "%s: started before", s->conf.name);
	if (s->stop_fd < 0)
		s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0)
		return bf_err_sys(err, errno, "%s: eventfd", s->conf.name);
	r = bf_thread_create(&s->thread, NULL, thread_main, s);
	if (r)
		return bf_err_sys(err, r, "%s: thread", s->conf.name);
	s->has_thread = true;
	return 0;
}

void bf_service_end_thread(struct belfry_server *s)
{
	if (s->has_thread) {
		eventfd_write(s->stop_fd, 1);
		pthread_join(s->thread, NULL);
	}
	bf_close(&s->stop_fd);
}

int belfry_server_start(struct belfry_server *s, struct belfry_error *err)
{
	int r;

	if (!s)
		return bf_err_null(err, __func__);
	r = bf_service_enter(s, err);
	if (r < 0)
		return r;
	r = start(s, err);
	bf_service_leave(s);
	return r;
}

/* --- clients --- */

int belfry_server_add(struct belfry_server *s, int sock, struct belfry_error *err)
{
	BF_CLOSE int client = sock;
	int r;

	if (!s || sock < 0)
		return bf_err(err, EINVAL, "belfry_server_add: %s",
			      s ? "a negative descriptor" : "NULL argument");
	r = bf_service_enter(s, err);
	if (r < 0)
		return r;
	r = bf_server_add(s->core, bf_take(&client), err);
	bf_service_leave(s);
	return r;
}

int belfry_server_drop(struct belfry_server *s, uint32_t id, const char *why,
		       struct belfry_error *err)
{
	int r;

	if (!s || !why)
		return bf_err_null(err, __func__);
	r = bf_service_enter(s, err);
	if (r < 0)
		return r;
	r = bf_server_drop(s->core, id, why);
	bf_service_leave(s);
	return r < 0 ? bf_err(err, -r, "%s: there is no peer %u", s->conf.name, id) : 0;
}

int belfry_server_memory(const struct belfry_server *s)
{
	return s ? s->memory : -EINVAL;
}

/* Give the first @n of @known to the caller, whose structs may be others than ours. */
static void give_peers(struct belfry_server_peer *peers,
		       const struct belfry_server_peer *known, unsigned int n)
{
	const size_t size = peers->size;
	char *at = (char *)peers;

	for (unsigned int i = 0; i < n; i++, at += size) {
		*(size_t *)at = size;
		bf_sized_give(at, &known[i], PEER_LEAST, "peer", NULL);
	}
}

int belfry_server_peers(struct belfry_server *s, struct belfry_server_peer *peers,
			unsigned int max)
{
	BF_FREE struct belfry_server_peer *known = NULL;
	unsigned int n;
	int r;

	if (!s || (!peers && max > 0))
		return -EINVAL;
	if (max > 0 && bf_sized_check(peers, PEER_LEAST, "peer", NULL) < 0)
		return -EINVAL;
	r = bf_service_enter(s, NULL);
	if (r < 0)
		return r;
	n = bf_server_peers(s->core, NULL, 0);
	if (max > 0)
		known = calloc(n + 1, sizeof(*known));
	if (known)
		bf_server_peers(s->core, known, n);
	pthread_mutex_unlock(&s->lock);
	if (max > 0 && !known)
		return -ENOMEM;
	if (known)
		give_peers(peers, known, n < max ? n : max);
	return n;
}

int belfry_server_stats(struct belfry_server *s, struct belfry_server_stats *stats)
{
	struct belfry_server_stats known = { .size = sizeof(known) };
	int r;

	if (!s || !stats)
		return -EINVAL;
	r = bf_service_enter(s, NULL);
	if (r < 0)
		return r;
	bf_server_stats(s->core, &known);
	pthread_mutex_unlock(&s->lock);
	return bf_sized_give(stats, &known, STATS_LEAST, "stats", NULL);
}

int belfry_server_status(struct belfry_server *s, enum belfry_status_format format,
			 char **out, struct belfry_error *err)
{
	char *text;
	int r;

	if (!s || !out)
		return bf_err_null(err, __func__);
	if (format != BELFRY_STATUS_JSON && format != BELFRY_STATUS_PROMETHEUS)
		return bf_err(err, EINVAL, "status format %d: expected 0 to %d",
			      (int)format, BELFRY_STATUS_PROMETHEUS);
	r = bf_service_enter(s, err);
	if (r < 0)
		return r;
	text = bf_service_text(s, format);
	pthread_mutex_unlock(&s->lock);
	if (!text)
		return bf_err(err, ENOMEM, "status: out of memory");
	*out = text;
	return 0;
}

/* --- changes --- */

/* May the value of @key change while the server runs? */
static bool may_change(const struct bf_key *key)
{
	static const char *const names[] = { "allow_uids",  "allow_gids",
					     "clients_max", "clients_per_uid",
					     "queue",       "stall",
					     "log_level" };

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++)
		if (strcmp(key->name, names[i]) == 0)
			return true;
	return false;
}

/* Does @key name a file that the server makes, and a successor would make elsewhere? */
static bool is_of_a_file(const struct bf_key *key)
{
	return strcmp(key->name, "control") == 0 || strcmp(key->name, "metrics") == 0 ||
	       strcmp(key->name, "pid_file") == 0;
}

static bool differs(const struct bf_key *key, const void *a, const void *b)
{
	struct bf_size_text na, nb;
	const char *ta = bf_schema_text(key, a, &na);
	const char *tb = bf_schema_text(key, b, &nb);

	return ta && tb ? strcmp(ta, tb) != 0 : ta != tb;
}

/* Fill in @out: what the server has, changed to @now as far as that is possible. */
static int merge(struct belfry_server *s, struct bf_service_conf *out,
		 const struct bf_service_conf *now, struct belfry_error *err)
{
	struct bf_size_text number;
	const char *text;
	int r = bf_service_conf_copy(out, &s->conf, err);

	s->moves = false;
	for (const struct bf_key *key = bf_server_keys; key->name && r == 0; key++) {
		if (!differs(key, out, now))
			continue;
		if (!may_change(key)) {
			bf_log(&s->log, BELFRY_LOG_WARNING,
			       "%s: %s stays as it is until the server starts anew",
			       s->conf.name, key->name);
			s->moves |= is_of_a_file(key);
			continue;
		}
		text = bf_schema_text(key, now, &number);
		if (text)
			r = bf_schema_set(key, out, text, err);
		else /* a text that is not given any more */
			free(bf_take_ptr((char **)((char *)out + key->at)));
	}
	return r;
}

/* The name stays where it is: messages use it without the lock. */
static void take_conf(struct belfry_server *s, struct bf_service_conf *next)
{
	struct bf_service_conf old = s->conf;

	s->conf = *next;
	s->conf.name = old.name;
	old.name = next->name;
	*next = old;
}

int bf_service_reload(struct belfry_server *s, const struct bf_service_conf *conf,
		      struct belfry_error *err)
{
	struct bf_service_conf next = { 0 };
	struct bf_listener_conf listen;
	struct bf_limits limits;
	int r = bf_service_access(&listen, conf, err); /* the next server makes it so */

	if (r == 0)
		r = bf_service_limits(&limits, conf, err);
	if (r < 0)
		return r;
	r = bf_service_enter(s, err);
	if (r < 0) {
		bf_limits_fini(&limits);
		return r;
	}
	r = merge(s, &next, conf, err);
	if (r == 0) {
		take_conf(s, &next);
		bf_server_set_limits(s->core, &limits);
		bf_server_set_level(s->core, bf_service_level(s, conf));
	}
	bf_service_leave(s);
	bf_limits_fini(&limits);
	bf_schema_fini(bf_server_keys, &next);
	free(next.name);
	return r;
}
