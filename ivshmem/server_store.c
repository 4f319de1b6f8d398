/* SPDX-License-Identifier: MIT */
/* ivshmem/server_store.c - clients that are to outlive the process: theory in roster.c */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/event.h"
#include "ivshmem/carrier.h"
#include "ivshmem/server_parts.h"

#define NAME_SIZE 8 /* "p65535" */

static void bf_store_name(char name[NAME_SIZE], unsigned int id)
{
	snprintf(name, NAME_SIZE, "p%u", id);
}

void bf_client_unstore(struct bf_client *c)
{
	char name[NAME_SIZE];

	if (!c->stored)
		return;
	bf_store_name(name, c->entrant.id);
	c->server->store.drop(c->server->store.owner, name);
	c->stored = false;
}

int bf_client_store(const struct bf_client *c, const struct bf_store *store,
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
	bf_store_name(name, c->entrant.id);
	return store->keep(store->owner, name, carrier, err);
}

bool bf_server_knows(const struct bf_server *s, unsigned int id)
{
	return bf_roster_next_id(s->roster, id) == (int)id;
}

void bf_server_set_store(struct bf_server *s, const struct bf_store *store)
{
	struct bf_entrant *e;
	struct bf_client *c;

	s->store = *store;
	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		bf_client_of(e)->stored = true;
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
	struct bf_client *c;
	int r = 0;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		if (r == 0)
			r = bf_client_store(bf_client_of(e), store, err);
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		if (r == 0 && !c->forgotten && c->entrant.fds)
			r = bf_client_store(c, store, err);
	}
	return r;
}

void bf_server_unstore_all(struct bf_server *s)
{
	struct bf_entrant *e;
	struct bf_client *c;

	TAILQ_FOREACH(e, bf_roster_present(s->roster), link)
	{
		bf_client_unstore(bf_client_of(e));
	}
	TAILQ_FOREACH(c, &s->leaving, link)
	{
		bf_client_unstore(c);
	}
}

/* A socket, or one of the eventfds where there is none any more, and then eventfds. */
static bool are_a_clients(const int *fds, unsigned int n)
{
	int type = SOCK_STREAM;
	socklen_t len = sizeof(type);

	if (!bf_event_is(fds[0]) &&
	    (getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	     type != SOCK_STREAM))
		return false;
	for (unsigned int i = 1; i < n; i++)
		if (!bf_event_is(fds[i]))
			return false;
	return true;
}

/* Take the descriptors of ID @id out of @carrier. Return: its eventfds (returns); NULL.
 */
static int *unpack(struct bf_server *s, int carrier, int *sock)
{
	const unsigned int n = s->vectors;
	int *fds = carrier >= 0 ? calloc(n + 1, sizeof(*fds)) : NULL;

	if (fds && bf_carrier_unpack(carrier, fds, n + 1, NULL) == 0) {
		if (!are_a_clients(fds, n + 1)) {
			for (unsigned int i = 0; i <= n; i++)
				bf_close(&fds[i]);
			free(fds);
			return NULL;
		}
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
	struct bf_client *c = bf_client_create(s, -1);

	if (!c)
		return bf_err(err, ENOMEM, "no memory for a client");
	bf_roster_restore(s->roster, &c->entrant, id, unpack(s, carrier, &c->sock));
	if (!bf_client_is_present(c)) {
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
			bf_client_leave(bf_client_of(e), BELFRY_LOG_WARNING,
					"dropped: its descriptors were lost");
		else if (bf_roster_is_stuck(s->roster, e))
			bf_client_leave(
				bf_client_of(e), BELFRY_LOG_WARNING,
				"dropped: descriptors it is to be sent were lost");
		else
			bf_client_attend(bf_client_of(e));
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
	bf_server_flush(s);
	return 0;
}
