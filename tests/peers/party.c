/* SPDX-License-Identifier: MIT */
/* tests/peers/party.c - a peer under test, with all it is told, and what it logs */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "tests/peers/party.h"

__attribute__((format(printf, 2, 3))) static void tell(struct party *p, const char *fmt,
						       ...)
{
	size_t len = strlen(p->story);
	va_list ap;

	if (len > 0)
		len += snprintf(p->story + len, sizeof(p->story) - len, ", ");
	if (len >= sizeof(p->story))
		return;
	va_start(ap, fmt);
	vsnprintf(p->story + len, sizeof(p->story) - len, fmt, ap);
	va_end(ap);
}

static void vector_added(void *owner, uint16_t id, unsigned int vector, int fd)
{
	struct party *p = owner;

	p->added++;
	tell(p, "%u.%u", id, vector);
}

static void left(void *owner, uint16_t id)
{
	struct party *p = owner;

	p->left++;
	p->last_left = id;
	tell(p, "%u left", id);
}

static void server_lost(void *owner, const struct belfry_error *why)
{
	struct party *p = owner;

	p->lost++;
	p->why = *why;
	tell(p, "lost");
}

static void server_back(void *owner)
{
	struct party *p = owner;

	p->back++;
	tell(p, "back");
}

static void server_changed(void *owner, const struct belfry_error *why)
{
	struct party *p = owner;

	p->changed++;
	p->why = *why;
	tell(p, "changed");
}

static const struct bf_peer_ops ops = {
	.vector_added = vector_added,
	.left = left,
	.server_lost = server_lost,
	.server_back = server_back,
	.server_changed = server_changed,
};

static void log_line(void *user, enum belfry_log_level level, const char *line)
{
	struct party_log *to = user;
	size_t len = strlen(to->text);

	snprintf(to->text + len, sizeof(to->text) - len, "%s\n", line);
}

struct bf_log party_log_to(struct party_log *to)
{
	return (struct bf_log){ to ? log_line : NULL, to, BELFRY_LOG_DEBUG, "" };
}

int party_create(struct party *p, struct bf_loop *loop, struct bf_peer_conf conf,
		 const struct bf_log *log, struct belfry_error *err)
{
	struct bf_log silent = party_log_to(NULL);

	*p = (struct party){ 0 };
	conf.ops = &ops;
	conf.owner = p;
	if (conf.timeout_ns == 0)
		conf.timeout_ns = 5000 * PARTY_MS;
	return bf_peer_create(&p->peer, loop, &conf, log ? log : &silent, err);
}

int party_join(struct party *p, struct bf_loop *loop, int sock, unsigned int own_vectors,
	       const struct bf_log *log, struct belfry_error *err)
{
	struct bf_peer_conf conf = { .sock = sock, .own_vectors = own_vectors };

	return party_create(p, loop, conf, log, err);
}

struct bf_peer_stats party_stats(const struct party *p)
{
	struct bf_peer_stats stats;

	bf_peer_stats(p->peer, &stats);
	return stats;
}

bool party_run_until(struct bf_loop *loop, bool (*done)(void *arg), void *arg)
{
	time_t give_up = time(NULL) + 5;

	while (!done(arg) && time(NULL) < give_up)
		bf_loop_run_once(loop, 100 * PARTY_MS);
	return done(arg);
}

void party_run_idle(struct bf_loop *loop)
{
	while (bf_loop_run_once(loop, 2 * PARTY_MS) > 0)
		;
}

bool party_rings(const struct party *from, const struct party *to, unsigned int vector)
{
	uint16_t id = bf_peer_id(to->peer);
	eventfd_t n = 0;

	if (eventfd_write(bf_peer_eventfd(from->peer, id, vector), 1) < 0)
		return false;
	for (unsigned int v = 0; bf_peer_eventfd(to->peer, id, v) >= 0; v++)
		if (v != vector &&
		    eventfd_read(bf_peer_eventfd(to->peer, id, v), &n) == 0)
			return false;
	return eventfd_read(bf_peer_eventfd(to->peer, id, vector), &n) == 0 && n == 1;
}
