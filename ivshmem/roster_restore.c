/* SPDX-License-Identifier: MIT */
/* ivshmem/roster_restore.c - going on with the roster of another server */
#include "ivshmem/roster_parts.h"
#include "ivshmem/wire.h"

int bf_roster_next_id(const struct bf_roster *r, unsigned int id)
{
	for (; id < BF_ROSTER_IDS; id++)
		if (state_of(&r->shared->record[id]) != FREE)
			return id;
	return -1;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void insert_event(struct bf_roster *r, struct bf_event *ev)
{
	struct bf_event *before = TAILQ_LAST(&r->events, bf_events);

	while (before && before->at > ev->at)
		before = TAILQ_PREV(before, bf_events, link);
	if (before)
		TAILQ_INSERT_AFTER(&r->events, before, ev, link);
	else
		TAILQ_INSERT_HEAD(&r->events, ev, link);
	r->last_event = max(r->last_event, ev->at);
}

static void insert_entrant(struct bf_entrants *list, struct bf_entrant *e)
{
	struct bf_entrant *before = TAILQ_LAST(list, bf_entrants);

	while (before && before->came.at > e->came.at)
		before = TAILQ_PREV(before, bf_entrants, link);
	if (before)
		TAILQ_INSERT_AFTER(list, before, e, link);
	else
		TAILQ_INSERT_HEAD(list, e, link);
}

void bf_roster_restore(struct bf_roster *r, struct bf_entrant *e, uint16_t id, int *fds)
{
	const struct record *rec = &r->shared->record[id];

	e->id = id;
	e->fds = fds;
	e->came = (struct bf_event){ .who = e, .at = rec->came };
	e->left = (struct bf_event){ .who = e };
	insert_event(r, &e->came);
	if (state_of(rec) == LEFT) {
		e->left.at = rec->left;
		insert_event(r, &e->left);
		insert_entrant(&r->gone, e);
		return;
	}
	r->last_event = max(r->last_event, rec->mark.next - 1);
	insert_entrant(&r->present, e);
	r->count++;
}

static struct bf_mark find_mark(const struct bf_roster *r, const struct bf_entrant *e,
				const struct saved_mark *saved_mark)
{
	struct bf_mark mark = { .greeted = saved_mark->greeted };
	struct bf_event *ev;

	TAILQ_FOREACH(ev, &r->events, link)
	{
		if (ev->at >= saved_mark->next)
			break;
	}
	mark.next = due(e, ev);
	if (mark.next && saved_mark->vector < messages_of(r, mark.next))
		mark.vector = saved_mark->vector;
	return mark;
}

/* A server was killed as it told @e something: work in what the kernel has noted. */
static void settle_window(struct bf_roster *r, struct bf_entrant *e)
{
	const struct window *w = &r->shared->window;
	struct bf_mark mark = find_mark(r, e, &w->start);

	for (unsigned int i = 0; i < w->n && i < BF_ROSTER_WINDOW; i++) {
		if (w->hdr[i].msg_len != BF_WIRE_SIZE)
			break;
		if (mark.greeted == GREETING && !mark.next)
			break;
		bf_roster_step(r, e, &mark);
	}
	record_of(r, e)->mark = saved(r, &mark);
}

/* What @e has yet to be told; those who have left wait for it. */
static void expect(struct bf_roster *r, struct bf_entrant *e)
{
	struct bf_event *ev;

	e->mark = find_mark(r, e, &record_of(r, e)->mark);
	e->waiting = GREETING - e->mark.greeted;
	for (ev = e->mark.next; ev; ev = due(e, TAILQ_NEXT(ev, link))) {
		e->waiting += messages_of(r, ev);
		if (!is_arrival(ev))
			ev->who->unsure++;
	}
	e->waiting -= e->mark.vector;
}

void bf_roster_restored(struct bf_roster *r)
{
	struct bf_entrant *e, *next;

	TAILQ_FOREACH(e, &r->present, link)
	{
		if (r->shared->window.n > 0 && r->shared->window.id == e->id)
			settle_window(r, e);
	}
	atomic_store_explicit(&r->shared->window.n, 0, memory_order_release);
	TAILQ_FOREACH(e, &r->present, link)
	{
		expect(r, e);
	}
	for (e = TAILQ_FIRST(&r->gone); e; e = next) {
		next = TAILQ_NEXT(e, link);
		TAILQ_REMOVE(&r->gone, e, link);
		if (e->unsure == 0)
			bf_roster_forget(r, e);
	}
}

bool bf_roster_is_stuck(const struct bf_roster *r, const struct bf_entrant *e)
{
	for (struct bf_event *ev = e->mark.next; ev; ev = due(e, TAILQ_NEXT(ev, link)))
		if (is_arrival(ev) && !ev->who->fds)
			return true;
	return false;
}
