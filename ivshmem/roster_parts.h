/* SPDX-License-Identifier: MIT */
/* ivshmem/roster_parts.h - what the files roster*.c share: the records and their order */
#ifndef BF_IVSHMEM_ROSTER_PARTS_H
#define BF_IVSHMEM_ROSTER_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "ivshmem/roster.h"

#define MAGIC    0x79726662656c6662ULL
#define LAYOUT   1
#define GREETING 3 /* messages: version, ID, memory */

enum state { FREE, PRESENT, LEFT };

/* A mark that outlives the process. */
struct saved_mark {
	uint64_t next; /* the event's number; higher than all: it knows all */
	uint32_t vector;
	uint32_t greeted;
};

struct record {
	_Atomic uint32_t state; /* enum state */
	struct bf_creds creds;
	int64_t since;
	uint64_t came;
	uint64_t left;
	struct saved_mark mark;
};

struct window {
	_Atomic uint32_t n; /* 0: nothing is being sent */
	uint32_t id;
	struct saved_mark start;
	struct mmsghdr hdr[BF_ROSTER_WINDOW];
};

/* The mapping. The kernel gives it pages as IDs are used. */
struct shared {
	uint64_t magic;
	uint32_t layout;
	uint32_t vectors;
	uint32_t next_id;
	struct window window;
	struct record record[BF_ROSTER_IDS];
};

/* One message of the window. */
struct part {
	int64_t value;
	struct iovec iov;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
};

struct bf_roster {
	struct shared *shared;
	struct bf_entrants present;
	struct bf_entrants gone; /* as it was restored */
	struct bf_entrants forgotten;
	struct bf_events events;
	uint64_t last_event;
	unsigned int count;
	int memory;
	struct part part[BF_ROSTER_WINDOW];
};

/* Has it nothing to do with @e, since it was over before @e came? */
static inline bool skips(const struct bf_entrant *e, const struct bf_event *ev)
{
	return ev->who->left.at && ev->who->left.at < e->came.at;
}

/* @ev, or the first after it that @e is to be told of. */
static inline struct bf_event *due(const struct bf_entrant *e, struct bf_event *ev)
{
	while (ev && skips(e, ev))
		ev = TAILQ_NEXT(ev, link);
	return ev;
}

static inline bool is_arrival(const struct bf_event *ev)
{
	return ev == &ev->who->came;
}

static inline unsigned int messages_of(const struct bf_roster *r,
				       const struct bf_event *ev)
{
	return is_arrival(ev) ? r->shared->vectors : 1;
}

static inline struct record *record_of(const struct bf_roster *r,
				       const struct bf_entrant *e)
{
	return &r->shared->record[e->id];
}

static inline void set_state(struct record *rec, enum state state)
{
	atomic_store_explicit(&rec->state, state, memory_order_release);
}

static inline enum state state_of(const struct record *rec)
{
	return atomic_load_explicit(&rec->state, memory_order_acquire);
}

/* Events to come have higher numbers than all there have been. */
static inline struct saved_mark saved(const struct bf_roster *r,
				      const struct bf_mark *mark)
{
	return (struct saved_mark){
		.next = mark->next ? mark->next->at : r->last_event + 1,
		.vector = mark->vector,
		.greeted = mark->greeted,
	};
}

/* Past the message at @mark. Return: the event that it was the last message of, or NULL.
 */
struct bf_event *bf_roster_step(const struct bf_roster *r, const struct bf_entrant *e,
				struct bf_mark *mark);

/* Nobody waits to hear of @e, who has left. */
void bf_roster_forget(struct bf_roster *r, struct bf_entrant *e);

/* Map @state, which gets the size for it; -1: memory of our own. NULL: errno is set. */
struct shared *bf_roster_map(int state);

#endif
