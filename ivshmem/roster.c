/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/roster.c - who is on a link, and what each has yet to be told
 *
 * Theory of operation
 *
 * What happens on a link is one list of events: somebody came, somebody left. A client
 * hears of all of them in their order, from the first one that still counts: a client
 * that came finds there all who were present before it, then itself. So a queue per
 *client is just a place in that list, and costs the same however long it is.
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
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/own.h"
#include "ivshmem/roster.h"
#include "ivshmem/wire.h"

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

/* --- places in the list of events --- */

/* Has it nothing to do with @e, since it was over before @e came? */
static bool skips(const struct bf_entrant *e, const struct bf_event *ev)
{
	return ev->who->left.at && ev->who->left.at < e->came.at;
}

/* @ev, or the first after it that @e is to be told of. */
static struct bf_event *due(const struct bf_entrant *e, struct bf_event *ev)
{
	while (ev && skips(e, ev))
		ev = TAILQ_NEXT(ev, link);
	return ev;
}

static bool is_arrival(const struct bf_event *ev)
{
	return ev == &ev->who->came;
}

static unsigned int messages_of(const struct bf_roster *r, const struct bf_event *ev)
{
	return is_arrival(ev) ? r->shared->vectors : 1;
}

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

/* Past the message at @mark. Return: the event that it was the last message of, or NULL.
 */
static struct bf_event *step(const struct bf_roster *r, const struct bf_entrant *e,
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

/* --- what outlives the process --- */

static struct record *record_of(const struct bf_roster *r, const struct bf_entrant *e)
{
	return &r->shared->record[e->id];
}

static void set_state(struct record *rec, enum state state)
{
	atomic_store_explicit(&rec->state, state, memory_order_release);
}

static enum state state_of(const struct record *rec)
{
	return atomic_load_explicit(&rec->state, memory_order_acquire);
}

/* Events to come have higher numbers than all there have been. */
static struct saved_mark saved(const struct bf_roster *r, const struct bf_mark *mark)
{
	return (struct saved_mark){
		.next = mark->next ? mark->next->at : r->last_event + 1,
		.vector = mark->vector,
		.greeted = mark->greeted,
	};
}

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

static void forget(struct bf_roster *r, struct bf_entrant *e)
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
			forget(r, from->who);
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
		forget(r, e);
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
		step(r, e, &mark);
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
		step(r, e, &e->mark);
	record_of(r, e)->mark = saved(r, &e->mark);
	atomic_store_explicit(&r->shared->window.n, 0, memory_order_release);
	heard(r, e, from, e->mark.next); /* last: it may change the list of events */
}

/* --- going on with another server's --- */

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
		step(r, e, &mark);
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
			forget(r, e);
	}
}

bool bf_roster_is_stuck(const struct bf_roster *r, const struct bf_entrant *e)
{
	for (struct bf_event *ev = e->mark.next; ev; ev = due(e, TAILQ_NEXT(ev, link)))
		if (is_arrival(ev) && !ev->who->fds)
			return true;
	return false;
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

/* Return: the mapping; NULL, with errno set. */
static struct shared *map_state(int state)
{
	int flags = state < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *map;

	if (state >= 0 && ftruncate(state, sizeof(struct shared)) < 0)
		return NULL;
	map = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, flags, state, 0);
	return map == MAP_FAILED ? NULL : map;
}

int bf_roster_vectors_in(int state)
{
	struct shared *shared;
	struct stat st;
	int vectors = -EINVAL;

	if (fstat(state, &st) < 0)
		return -EINVAL;
	if (st.st_size == 0)
		return 0;
	if (st.st_size != sizeof(*shared))
		return -EINVAL;
	shared = map_state(state);
	if (!shared)
		return -errno;
	if (shared->magic == MAGIC && shared->layout == LAYOUT && shared->vectors >= 1 &&
	    shared->vectors <= BF_IVSHMEM_VECTORS_MAX)
		vectors = shared->vectors;
	munmap(shared, sizeof(*shared));
	return vectors;
}

int bf_roster_create(struct bf_roster **out, int state, int memory, unsigned int vectors,
		     struct belfry_error *err)
{
	BF_FREE struct bf_roster *r = calloc(1, sizeof(*r));
	int had = state < 0 ? 0 : bf_roster_vectors_in(state);

	if (!r)
		return bf_err(err, ENOMEM, "no memory for a roster");
	if (had < 0 || (had > 0 && (unsigned int)had != vectors))
		return bf_err(err, EINVAL, "the state is of another kind of server");
	r->shared = map_state(state);
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
