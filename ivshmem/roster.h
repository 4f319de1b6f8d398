/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/roster.h - who is on a link, and what each has yet to be told
 *
 * The server's memory, without its sockets. How it works: roster.c.
 */
#ifndef BF_IVSHMEM_ROSTER_H
#define BF_IVSHMEM_ROSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/err.h"
#include "ivshmem/ivshmem.h"

#define BF_ROSTER_IDS    (BF_IVSHMEM_ID_MAX + 1)
#define BF_ROSTER_WINDOW 64 /* messages that are sent with one system call */

struct bf_roster;
struct bf_entrant;

/* What happens on a link: somebody has come, or has left. */
struct bf_event {
	TAILQ_ENTRY(bf_event) link;
	struct bf_entrant *who;
	uint64_t at; /* its place in the order of events; 0: has not happened */
};

/* Up to where a client has been told. */
struct bf_mark {
	struct bf_event *next; /* what it is told of next; NULL: it knows all */
	uint32_t vector;       /* of next */
	uint32_t greeted;      /* messages of the greeting */
};

/* Somebody on the roster: present, or left and not forgotten yet. Zeroed at first. */
struct bf_entrant {
	TAILQ_ENTRY(bf_entrant) link; /* of those present */
	struct bf_event came;
	struct bf_event left;
	struct bf_mark mark;
	uint64_t waiting;    /* messages it has yet to be told */
	unsigned int unsure; /* clients that are yet to hear that it has left */
	uint16_t id;
	int *fds; /* its eventfds, NULL: lost */
};

TAILQ_HEAD(bf_entrants, bf_entrant);
TAILQ_HEAD(bf_events, bf_event);

/* Who is at the other end of a socket. */
struct bf_creds {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* What is to be sent to one client, filled in by bf_roster_compose(). */
struct bf_window {
	unsigned int n;
	struct mmsghdr *hdr;
};

/*
 * @state: a file that the roster is kept in, so that a later server can go on with it
 * (borrowed for the call): empty, or left by another server, and then @vectors is what
 * it had; -1: none. @memory is borrowed for good.
 * Return: 0; -ENOMEM; -EINVAL when the file has another layout, or other @vectors.
 */
int bf_roster_create(struct bf_roster **out, int state, int memory, unsigned int vectors,
		     struct belfry_error *err);

/* Entrants are the caller's; their eventfds are closed. NULL is fine. */
void bf_roster_destroy(struct bf_roster *r);

/* Whether it is present: has come, and has not left. */
static inline bool bf_entrant_is_present(const struct bf_entrant *e)
{
	return e->came.at && !e->left.at;
}

/* Those present, in the order they came. */
struct bf_entrants *bf_roster_present(struct bf_roster *r);
unsigned int bf_roster_count(const struct bf_roster *r);

/* Who it is, and when it came, in nanoseconds since 1970. */
struct bf_creds bf_roster_creds(const struct bf_roster *r, const struct bf_entrant *e);
int64_t bf_roster_since(const struct bf_roster *r, const struct bf_entrant *e);

/*
 * Give @e an ID and eventfds; nobody knows of it yet. IDs count up and come again only
 * when all have been given, for QEMU's sake: it uses freed memory when an ID that it knew
 * returns too soon.
 * Return: 0; -ENOSPC when all IDs are taken; -EMFILE, -ENFILE; -ENOMEM.
 */
int bf_roster_prepare(struct bf_roster *r, struct bf_entrant *e,
		      struct belfry_error *err);

/* It is not to come after all: take ID and eventfds back. */
void bf_roster_cancel(struct bf_roster *r, struct bf_entrant *e);

/* From now on it is present: everybody has messages to be sent, itself, too. */
void bf_roster_enter(struct bf_roster *r, struct bf_entrant *e, struct bf_creds creds);

/* It has left: those present have a message to be sent. */
void bf_roster_leave(struct bf_roster *r, struct bf_entrant *e);

/*
 * Somebody who has left and whom nobody waits to hear of any more: his ID and eventfds
 * are free again, and he is the caller's. NULL: nobody.
 */
struct bf_entrant *bf_roster_forgotten(struct bf_roster *r);

/*
 * Fill the window with what @e is to be told next, as much as there is and fits. It must
 * be handed to sendmmsg(2) as it is, and bf_roster_told() be called with the result,
 * before anything else happens.
 */
struct bf_window bf_roster_compose(struct bf_roster *r, struct bf_entrant *e);

/* The first @n messages of the window have been sent. */
void bf_roster_told(struct bf_roster *r, struct bf_entrant *e, unsigned int n);

/* --- going on with the roster of another server --- */

/*
 * Is @state what a server of this version has left? All that it says is looked at, before
 * anything of it is relied on.
 * Return: that server's vectors; 0: it is empty; -EINVAL, and what is wrong; -ENOMEM.
 */
int bf_roster_check(int state, struct belfry_error *err);

/* Those who are to be restored, by rising ID from @id on. Return: the ID; -1: no more. */
int bf_roster_next_id(const struct bf_roster *r, unsigned int id);

/* @fds: its eventfds, as many as there are vectors (takes); NULL: they are lost. */
void bf_roster_restore(struct bf_roster *r, struct bf_entrant *e, uint16_t id, int *fds);

/* All have been. Some may be forgotten at once. */
void bf_roster_restored(struct bf_roster *r);

/* Whether @e cannot be told all that it has to be, because eventfds are lost. */
bool bf_roster_is_stuck(const struct bf_roster *r, const struct bf_entrant *e);

#endif
