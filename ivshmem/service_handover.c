/* SPDX-License-Identifier: MIT */
/* ivshmem/service_handover.c - belfry-server.h: what is to outlive the process */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/sized.h"
#include "ivshmem/server.h"
#include "ivshmem/service.h"

/* What callers have at least. */
#define STORE_LEAST BF_SIZED_LEAST(belfry_server_store, user)

/* What @fn is to get, and where it goes. */
struct outlet {
	struct belfry_server *server;
	int (*fn)(void *user, const char *name, int fd);
	void *user;
};

static int hand_client(void *owner, const char *name, int fd, struct belfry_error *err)
{
	const struct outlet *o = owner;
	int r = o->fn(o->user, name, fd);

	return r < 0 ? bf_err_sys(err, -r, "%s: handing over %s", o->server->conf.name,
				  name)
		     : 0;
}

/* Hand over all but the clients; @all: the socket, too, if it came by activation. */
static int hand_parts(const struct outlet *o, bool all, struct belfry_error *err)
{
	const struct belfry_server *s = o->server;
	const struct belfry_named_fd parts[] = {
		{ "lock", s->lock_fd },
		{ s->made_shm ? "shm" : "memory", s->memory },
		{ "state", s->state },
		{ s->activated ? "activated" : "listen", bf_server_socket(s->core) },
	};
	int r = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(parts) && r == 0; i++) {
		if (parts[i].fd < 0 || (!all && !strcmp(parts[i].name, "activated")))
			continue;
		r = hand_client((void *)o, parts[i].name, parts[i].fd, err);
	}
	return r;
}

static void store_drop(void *owner, const char *name)
{
	struct belfry_server *s = owner;

	s->store.drop(s->store.user, name);
}

static int store_keep(void *owner, const char *name, int fd, struct belfry_error *err)
{
	struct belfry_server *s = owner;
	const struct outlet o = { s, s->store.keep, s->store.user };

	return hand_client((void *)&o, name, fd, err);
}

/* All but the clients. */
static void drop_parts(const struct belfry_server_store *store)
{
	static const char *const names[] = { "listen", "lock", "memory", "shm", "state" };

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++)
		store->drop(store->user, names[i]);
}

void bf_service_unstore(struct belfry_server *s)
{
	if (!s->store.drop)
		return;
	bf_server_unstore_all(s->core);
	drop_parts(&s->store);
}

/* What the store still holds of clients that have been forgotten meanwhile. */
static void drop_unknown(struct belfry_server *s)
{
	char name[16];

	for (unsigned int id = 0; s->held && id < BF_SERVICE_IDS; id++) {
		if (!s->held[id] || bf_server_knows(s->core, id))
			continue;
		snprintf(name, sizeof(name), "p%u", id);
		s->store.drop(s->store.user, name);
	}
	free(bf_take_ptr(&s->held));
}

static int set_store(struct belfry_server *s, const struct belfry_server_store *store,
		     int holds, struct belfry_error *err)
{
	const struct bf_store core = { store_keep, store_drop, s };
	const struct outlet o = { s, store->keep, store->user };
	int r = 0;

	s->store = *store;
	if (holds && s->anew)
		drop_parts(store); /* those of the server before */
	if (!holds || s->anew)
		r = hand_parts(&o, false, err);
	if (r == 0 && (!holds || s->anew))
		r = bf_server_store_all(s->core, &core, err);
	if (r < 0) {
		s->store = (struct belfry_server_store){ 0 };
		return r;
	}
	bf_server_set_store(s->core, &core);
	drop_unknown(s);
	return 0;
}

int belfry_server_set_store(struct belfry_server *s,
			    const struct belfry_server_store *store, int holds,
			    struct belfry_error *err)
{
	struct belfry_server_store known = { .size = sizeof(known) };
	int r;

	if (!s || !store)
		return bf_err_null(err, __func__);
	r = bf_sized_take(&known, store, STORE_LEAST, "store", err);
	if (r < 0)
		return r;
	if (!known.keep || !known.drop)
		return bf_err_null(err, __func__);
	r = bf_service_enter(s, err);
	if (r < 0)
		return r;
	r = set_store(s, &known, holds, err);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Files that a successor has elsewhere are not left to it; without one they come back. */
static int hand_on(struct belfry_server *s, const struct outlet *o,
		   struct belfry_error *err)
{
	struct belfry_error why;
	int r;

	if (s->moves)
		bf_service_remove_extras(s);
	r = o->fn(o->user, NULL, -1);
	if (s->moves && bf_service_make_extras(s, &why) < 0)
		bf_log(&s->log, BELFRY_LOG_ERROR, "%s", why.msg);
	return r < 0 ? bf_err_sys(err, -r, "%s: handing over", s->conf.name) : 0;
}

static int hand_all(struct belfry_server *s, const struct outlet *o,
		    struct belfry_error *err)
{
	const struct bf_store core = { .keep = hand_client, .owner = (void *)o };
	int r = hand_parts(o, true, err);

	if (r == 0)
		r = bf_server_store_all(s->core, &core, err);
	return r == 0 ? hand_on(s, o, err) : r;
}

int belfry_server_handover(struct belfry_server *s,
			   int (*fn)(void *user, const char *name, int fd), void *user,
			   struct belfry_error *err)
{
	const struct outlet o = { s, fn, user };
	int r;

	if (!s || !fn)
		return bf_err_null(err, __func__);
	r = bf_service_enter(s, err);
	if (r < 0)
		return r;
	bf_server_pause(s->core);
	r = hand_all(s, &o, err);
	bf_server_go_on(s->core);
	bf_service_leave(s);
	return r;
}
