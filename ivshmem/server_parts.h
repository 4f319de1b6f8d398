/* SPDX-License-Identifier: MIT */
/* ivshmem/server_parts.h - what the files server*.c share */
#ifndef BF_IVSHMEM_SERVER_PARTS_H
#define BF_IVSHMEM_SERVER_PARTS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/own.h"
#include "ivshmem/listen.h"
#include "ivshmem/policy.h"
#include "ivshmem/roster.h"
#include "ivshmem/server.h"

struct bf_client {
	struct bf_entrant entrant;   /* and its ID */
	TAILQ_ENTRY(bf_client) link; /* of newcomers, or of those leaving */
	struct bf_server *server;
	int sock;
	bool forgotten;        /* by the roster */
	bool stored;           /* the store has its descriptors */
	struct bf_op watch_op; /* it speaks or hangs up */
	struct bf_op room_op;  /* its socket has room, or a pause is over */
	uint64_t waiting_max;  /* messages */
	uint64_t stalled;      /* since when nothing has gone out; 0: it does */
	bool scarce;           /* ... because the kernel is short of something */
	uint64_t idle; /* while it or others wait: since when it has read nothing; 0: not
			* noted yet */
	int unread;    /* ... and what it has to read, in bytes of the kernel's */
	uint64_t behind; /* since when it has not caught up with waiting_max; 0: it has */
	uint64_t least;  /* ... and the least that waited since, in messages */
};

TAILQ_HEAD(bf_clients, bf_client);

struct bf_server {
	struct bf_loop *loop;
	struct bf_log log;
	struct bf_roster *roster;
	unsigned int vectors;
	struct bf_limits limits;
	struct bf_listener listener;
	struct bf_store store;
	struct bf_clients newcomers; /* they wait: the host is short of something */
	unsigned int n_newcomers;
	uint64_t short_since; /* when it began; 0: it is not */
	uint64_t short_last;
	struct bf_op again_op;     /* until they are tried again */
	unsigned int refusals;     /* while refusals_op is under way */
	struct bf_op refusals_op;  /* until their number is logged */
	struct bf_clients leaving; /* those who are not present any more */
	struct bf_op flush_op;
	struct bf_op look_op; /* while somebody has to wait */
	bool closing;
	struct belfry_server_stats stats;
};

static inline struct bf_client *bf_client_of(struct bf_entrant *e)
{
	return BF_CONTAINER_OF(e, struct bf_client, entrant);
}

static inline bool bf_client_is_present(const struct bf_client *c)
{
	return bf_entrant_is_present(&c->entrant);
}

/* --- server_join.c --- */

/* A bf_listener_fn. */
void bf_server_accepted(struct bf_listener *listener, int sock, int code);

/* What ops are done: again_op, refusals_op. */
void bf_server_try_newcomers(struct bf_op *op, int res);
void bf_server_refusals_due(struct bf_op *op, int res);

/* Those who wait are not to. */
void bf_server_refuse_newcomers(struct bf_server *s, const char *why);

/* Log how many were refused without a line in the log. */
void bf_server_say_refusals(struct bf_server *s);

/* A client that is not on the roster yet (takes @sock). Return: it (returns); NULL. */
struct bf_client *bf_client_create(struct bf_server *s, int sock);

/* It is present, and all that it is to be told adds up from now on. */
void bf_client_attend(struct bf_client *c);

/* --- server_send.c --- */

void bf_client_free(struct bf_client *c);

/* @c leaves, and why. The others are told by the next flush. */
__attribute__((format(printf, 3, 4))) void
bf_client_leave(struct bf_client *c, enum belfry_log_level level, const char *fmt, ...);

/* Send to all what they are to be told, and again when somebody has left meanwhile. */
void bf_server_flush(struct bf_server *s);

/* There is something to tell: flush once all that has come is handled. */
void bf_server_stir(struct bf_server *s);

/* Close and free what nobody needs any more. Not while somebody walks over clients. */
void bf_server_reap(struct bf_server *s);

/* What ops are done: room_op, flush_op, look_op. */
void bf_client_may_send(struct bf_op *op, int res);
void bf_server_flush_due(struct bf_op *op, int res);
void bf_server_look(struct bf_op *op, int res);

/* --- server_store.c --- */

/* Put the descriptors of @c into @store. Return: 0; a negative errno. */
int bf_client_store(const struct bf_client *c, const struct bf_store *store,
		    struct belfry_error *err);
void bf_client_unstore(struct bf_client *c);

#endif
