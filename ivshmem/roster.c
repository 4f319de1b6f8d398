/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/roster.c - who is on a link, and what each has yet to be told
 *
 * Theory of operation
 *
 * What happens on a link is one list of events: somebody came, somebody left. A client
 * hears of all of them in their order, from the first one that still counts: a client
 * that came finds there all who were present before it, then itself. So a queue per
 * client is just a place in that list, and costs the same however long it is.
 *
 * An event of somebody who had left before a client came is none of that client's
 * business, and it never stops there. Once everybody else has heard that somebody has
 * left, both of his events are taken out, and he is forgotten: eventfds and ID are free.
 *
 *	events   came 0   came 1   came 4   left 1   came 5
 *	                     ^                          ^
 *	            client 0 stops here        client 4 here, with 2 vectors of 3 told
 *
 * State that outlives the process. Everything above can be rebuilt from one small record
 * per ID: when it came, when it left, and its place. Records are in a mapping; when that
 * is a memfd that somebody else holds too, a server that was killed at any instant can be
 * followed by another one that goes on, with no message lost and none sent twice:
 *
 * - a record is filled in before its state says so: the state is one word, written last;
 * - messages are sent by sendmmsg(2), whose array of headers is in the mapping as well
 *   (the window). The kernel notes each message there right after it has been sent, and
 *   comes back to user space, to die, only after that. What the window says is thus
 *   exact. It holds the place it starts from, so that working it in twice does no harm.
 *   A message of eight bytes is never sent in part: it is one buffer of the socket.
 *
 * Only kill -9 and the like are met in this way, not a crash of the host.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "base/own.h"
#include "ivshmem/roster_parts.h"
#include "ivshmem/wire.h"

/* --- places in the list of events --- */

/* The message at @mark. */
static int64_t message_at(const struct bf_roster *r, const struct bf_entrant *e,
			  const struct bf_mark *mark, int *fd)
{
	*fd = -1;
	switch (mark->greeted) {
	case 0:
		return BF_WIRE_VERSION;
	case 1:
		return e->id;
	case 2:
		*fd = r->memory;
		return BF_WIRE_MEMORY;
	}
	if (is_arrival(mark->next))
		*fd = mark->next->who->fds[mark->vector];
	return mark->next->who->id;
}

struct bf_event *bf_roster_step(const struct bf_roster *r, const struct bf_entrant *e,
				struct bf_mark *mark)
{
	struct bf_event *ev = mark->next;

	if (mark->greeted < GREETING) {
		mark->greeted++;
		return NULL;
	}
	if (++mark->vector < messages_of(r, ev))
		return NULL;
	mark->next = due(e, TAILQ_NEXT(ev, link));
	mark->vector = 0;
	return ev;
}

/* --- what is known of one --- */

struct bf_creds bf_roster_creds(const struct bf_roster *r, const struct bf_entrant *e)
{
	return record_of(r, e)->creds;
}

int64_t bf_roster_since(const struct bf_roster *r, const struct bf_entrant *e)
{
	return record_of(r, e)->since;
}

/* --- coming and leaving --- */

struct bf_entrants *bf_roster_present(struct bf_roster *r)
{
	return &r->present;
}

unsigned int bf_roster_count(const struct bf_roster *r)
{
	return r->count;
}

static void close_all(int *fds, unsigned int n)
{
	for (unsigned int i = 0; fds && i < n; i++)
		bf_close(&fds[i]);
	free(fds);
}

/* Return: @n eventfds (returns); NULL, with @err set. */
static int *make_eventfds(unsigned int n, struct belfry_error *err)
{
	int *fds = calloc(n, sizeof(*fds));

	if (!fds) {
		bf_err(err, ENOMEM, "no memory for %u vectors", n);
		return NULL;
	}
	for (unsigned int i = 0; i < n; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fds[i] < 0) {
			bf_err_sys(err, errno, "eventfd %u of %u", i + 1, n);
			close_all(fds, i);
			return NULL;
		}
	}
	return fds;
}

static int free_id(const struct bf_roster *r)
{
	for (unsigned int i = 0; i < BF_ROSTER_IDS; i++) {
		unsigned int id = (r->shared->next_id + i) % BF_ROSTER_IDS;

		if (state_of(&r->shared->record[id]) == FREE)
			return id;
	}
	return -ENOSPC;
}

int bf_roster_prepare(struct bf_roster *r, struct bf_entrant *e, struct belfry_error *err)
{
	struct belfry_error why = { 0 };
	int id = free_id(r);

	if (id < 0)
		return bf_err(err, -id, "all %d IDs are in use", BF_ROSTER_IDS);
	e->fds = make_eventfds(r->shared->vectors, &why);
	if (!e->fds)
		return bf_err(err, -why.code, "%s", why.msg);
	e->id = id;
	e->came.who = e->left.who = e;
	return 0;
}

void bf_roster_cancel(struct bf_roster *r, struct bf_entrant *e)
{
	close_all(bf_take_ptr(&e->fds), r->shared->vectors);
}

/* Something has happened: everybody present will be told. */
static void append(struct bf_roster *r, struct bf_event *ev)
{
	struct bf_entrant *e;

	TAILQ_INSERT_TAIL(&r->events, ev, link);
	TAILQ_FOREACH(e, &r->present, link)
	{
		if (!e->mark.next)
			e->mark.next = ev;
		e->waiting += messages_of(r, ev);
	}
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

void bf_roster_enter(struct bf_roster *r, struct bf_entrant *e, struct bf_creds creds)
{
	struct record *rec = record_of(r, e);

	e->came.at = ++r->last_event;
	e->waiting = GREETING + (uint64_t)r->count * r->shared->vectors;
	TAILQ_INSERT_TAIL(&r->present, e, link);
	r->count++;
	append(r, &e->came);
	e->mark.next = due(e, TAILQ_FIRST(&r->events));

	rec->creds = creds;
	rec->since = now_ns();
	rec->came = e->came.at;
	rec->left = 0;
	rec->mark = saved(r, &e->mark);
	set_state(rec, PRESENT);
	r->shared->next_id = (e->id + 1) % BF_ROSTER_IDS;
}

void bf_roster_forget(struct bf_roster *r, struct bf_entrant *e)
{
	TAILQ_REMOVE(&r->events, &e->came, link);
	TAILQ_REMOVE(&r->events, &e->left, link);
	TAILQ_INSERT_TAIL(&r->forgotten, e, link);
	close_all(bf_take_ptr(&e->fds), r->shared->vectors);
	set_state(record_of(r, e), FREE);
}

/* @e has heard of the events from @from up to @to, or never will; NULL: of all. */
static void heard(struct bf_roster *r, const struct bf_entrant *e, struct bf_event *from,
		  const struct bf_event *to)
{
	struct bf_event *next;

	for (; from != to; from = next) {
		next = due(e, TAILQ_NEXT(from, link));
		if (!is_arrival(from) && --from->who->unsure == 0)
			bf_roster_forget(r, from->who);
	}
}

void bf_roster_leave(struct bf_roster *r, struct bf_entrant *e)
{
	struct record *rec = record_of(r, e);

	e->left.at = ++r->last_event;
	rec->left = e->left.at;
	set_state(rec, LEFT);

	TAILQ_REMOVE(&r->present, e, link);
	r->count--;
	heard(r, e, e->mark.next, NULL);
	e->waiting = 0;
	e->unsure = r->count;
	append(r, &e->left);
	if (e->unsure == 0)
		bf_roster_forget(r, e);
}

struct bf_entrant *bf_roster_forgotten(struct bf_roster *r)
{
	struct bf_entrant *e = TAILQ_FIRST(&r->forgotten);

	if (e)
		TAILQ_REMOVE(&r->forgotten, e, link);
	return e;
}

/* --- telling --- */

/* Put a message into place @i of the window. */
static void put(struct bf_roster *r, unsigned int i, int64_t value, int fd)
{
	struct mmsghdr *hdr = &r->shared->window.hdr[i];
	struct part *part = &r->part[i];
	struct cmsghdr *c = (struct cmsghdr *)part->control;

	part->value = htole64(value);
	if (fd >= 0)
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	hdr->msg_hdr.msg_control = fd >= 0 ? part->control : NULL;
	hdr->msg_hdr.msg_controllen = fd >= 0 ? sizeof(part->control) : 0;
	hdr->msg_len = 0;
}

struct bf_window bf_roster_compose(struct bf_roster *r, struct bf_entrant *e)
{
	struct window *w = &r->shared->window;
	struct bf_mark mark = e->mark;
	unsigned int n = 0;
	int64_t value;
	int fd;

	assert(w->n == 0);
	for (; n < BF_ROSTER_WINDOW && n < e->waiting; n++) {
		value = message_at(r, e, &mark, &fd);
		put(r, n, value, fd);
		bf_roster_step(r, e, &mark);
	}
	w->id = e->id;
	w->start = saved(r, &e->mark);
	atomic_store_explicit(&w->n, n, memory_order_release);
	return (struct bf_window){ n, w->hdr };
}

void bf_roster_told(struct bf_roster *r, struct bf_entrant *e, unsigned int n)
{
	struct bf_event *from = e->mark.next;

	assert(n <= e->waiting);
	e->waiting -= n;
	for (; n > 0; n--)
		bf_roster_step(r, e, &e->mark);
	record_of(r, e)->mark = saved(r, &e->mark);
	atomic_store_explicit(&r->shared->window.n, 0, memory_order_release);
	heard(r, e, from, e->mark.next); /* last: it may change the list of events */
}

/* --- the whole --- */

/* Headers and their parts belong together for good; only contents change. */
static void link_window(struct bf_roster *r)
{
	for (unsigned int i = 0; i < BF_ROSTER_WINDOW; i++) {
		struct part *part = &r->part[i];
		struct cmsghdr *c = (struct cmsghdr *)part->control;

		part->iov = (struct iovec){ &part->value, sizeof(part->value) };
		r->shared->window.hdr[i].msg_hdr =
			(struct msghdr){ .msg_iov = &part->iov, .msg_iovlen = 1 };
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
	}
}

struct shared *bf_roster_map(int state)
{
	int flags = state < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *map;

	if (state >= 0 && ftruncate(state, sizeof(struct shared)) < 0)
		return NULL;
	map = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, flags, state, 0);
	return map == MAP_FAILED ? NULL : map;
}

int bf_roster_create(struct bf_roster **out, int state, int memory, unsigned int vectors,
		     struct belfry_error *err)
{
	BF_FREE struct bf_roster *r = calloc(1, sizeof(*r));
	int had = state < 0 ? 0 : bf_roster_check(state, err);

	if (had < 0)
		return had;
	if (!r)
		return bf_err(err, ENOMEM, "no memory for a roster");
	if (had > 0 && (unsigned int)had != vectors)
		return bf_err(err, EINVAL, "vectors: the state has %d, not %u", had,
			      vectors);
	r->shared = bf_roster_map(state);
	if (!r->shared)
		return bf_err_sys(err, errno, "no memory for a roster");
	if (state >= 0) /* what the kernel writes as the process dies must not fault */
		mlock(&r->shared->window, sizeof(r->shared->window));
	r->memory = memory;
	TAILQ_INIT(&r->present);
	TAILQ_INIT(&r->gone);
	TAILQ_INIT(&r->forgotten);
	TAILQ_INIT(&r->events);
	link_window(r);
	r->shared->layout = LAYOUT;
	r->shared->vectors = vectors;
	r->shared->magic = MAGIC;
	*out = bf_take_ptr(&r);
	return 0;
}

void bf_roster_destroy(struct bf_roster *r)
{
	struct bf_event *ev;

	if (!r)
		return;
	TAILQ_FOREACH(ev, &r->events, link)
	{
		if (is_arrival(ev))
			close_all(bf_take_ptr(&ev->who->fds), r->shared->vectors);
	}
	munmap(r->shared, sizeof(*r->shared));
	free(r);
}
