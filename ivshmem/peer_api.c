/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/peer_api.c - a process of the host as a peer: the calls of belfry-peer.h
 *
 * Theory of operation
 *
 * ivshmem/peer.c does the work, on an io_uring loop that nobody else has. There is no
 * thread: the loop runs while belfry_peer_create() joins, and from then on in
 * belfry_peer_process() and belfry_peer_wait().
 *
 * One epoll set holds what can happen: the ring, which polls readable when one of the
 * loop's operations has completed, and the eventfds of our own vectors. That set is the
 * descriptor that the program polls, and what belfry_peer_wait() waits for.
 *
 *	epoll set -+- ring of the loop: messages, time to try the server again, old rings
 *	           +- eventfd of our vector 0
 *	           +- eventfd of our vector 1 ...
 *
 * The eventfds change when the server has come back. An epoll set keeps a descriptor
 * that is closed as long as somebody else holds it, so each is taken out before it goes.
 *
 * Ringing needs none of this: it finds the eventfd in a table and writes to it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include <belfry-peer.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/sized.h"
#include "ivshmem/ivshmem.h"
#include "ivshmem/shared.h"

#define RINGS_AT_ONCE 64         /* handled by one belfry_peer_process() */
#define LOOP_EVENT    UINT32_MAX /* of the epoll set; the others are vectors */

/* What callers have at least. */
#define EVENTS_LEAST  BF_SIZED_LEAST(belfry_peer_events, server_changed)
#define OPTIONS_LEAST BF_SIZED_LEAST(belfry_peer_options, reserved)
#define INFO_LEAST    BF_SIZED_LEAST(belfry_peer_info, reconnects)
#define RING_LEAST    BF_SIZED_LEAST(belfry_ring, count)

struct belfry_peer {
	struct bf_loop *loop;
	struct bf_peer *member; /* NULL while it is being created */
	struct bf_shared memory;
	struct belfry_peer_events events;
	void *user;
	int epoll;
	struct bf_log log;
	bool busy; /* callbacks are being called */
	enum belfry_peer_state state;
	uint64_t rings;
	uint64_t heard;
	uint64_t servers_lost;
};

/* --- what happens on the link --- */

static int watch(const struct belfry_peer *p, int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void joined(void *owner, uint16_t id)
{
	const struct belfry_peer *p = owner;

	if (p->member && p->events.joined)
		p->events.joined(p->user, id);
}

static void vector_added(void *owner, uint16_t id, unsigned int vector, int fd)
{
	struct belfry_peer *p = owner;

	if (!p->member) /* create() looks at all of them */
		return;
	if (id != bf_peer_id(p->member)) {
		if (p->events.vector_added)
			p->events.vector_added(p->user, id, vector);
	} else if (watch(p, fd, vector) < 0) {
		bf_log(&p->log, BELFRY_LOG_ERROR,
		       "no memory: rings at our vector %u are not noticed", vector);
	}
}

static void forget_own(const struct belfry_peer *p)
{
	const uint16_t id = bf_peer_id(p->member);

	for (unsigned int v = 0; v < bf_peer_vectors(p->member, id); v++) {
		int fd = bf_peer_eventfd(p->member, id, v);

		if (fd >= 0)
			epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
	}
}

static void left(void *owner, uint16_t id)
{
	const struct belfry_peer *p = owner;

	if (!p->member)
		return;
	if (id == bf_peer_id(p->member))
		forget_own(p);
	else if (p->events.left)
		p->events.left(p->user, id);
}

static void server_lost(void *owner, const struct belfry_error *why)
{
	struct belfry_peer *p = owner;

	p->state = BELFRY_PEER_LOST;
	p->servers_lost++;
	if (p->member && p->events.server_lost)
		p->events.server_lost(p->user, why);
}

static void server_back(void *owner)
{
	struct belfry_peer *p = owner;

	p->state = BELFRY_PEER_JOINED;
	if (p->events.server_back)
		p->events.server_back(p->user);
}

static void server_changed(void *owner, const struct belfry_error *why)
{
	struct belfry_peer *p = owner;

	p->state = BELFRY_PEER_CHANGED;
	if (p->events.server_changed)
		p->events.server_changed(p->user, why);
}

static const struct bf_peer_ops member_ops = {
	.joined = joined,
	.vector_added = vector_added,
	.left = left,
	.server_lost = server_lost,
	.server_back = server_back,
	.server_changed = server_changed,
};

/* --- joining --- */

static int take_options(struct belfry_peer_options *to, struct belfry_peer_events *events,
			const struct belfry_peer_options *from, struct belfry_error *err)
{
	int e = 0;

	*to = (struct belfry_peer_options){ .size = sizeof(*to) };
	*events = (struct belfry_peer_events){ .size = sizeof(*events) };
	if (from)
		e = bf_sized_take(to, from, OPTIONS_LEAST, "options", err);
	if (e == 0 && to->events)
		e = bf_sized_take(events, to->events, EVENTS_LEAST, "events", err);
	if (e < 0)
		return e;
	if (to->reserved)
		return bf_err(err, EINVAL, "options.reserved: expected 0");
	if (to->vectors > BF_IVSHMEM_VECTORS_MAX)
		return bf_err(err, EINVAL, "vectors %" PRIu32 ": at most %d", to->vectors,
			      BF_IVSHMEM_VECTORS_MAX);
	if (to->timeout_ns == 0)
		to->timeout_ns = BF_PEER_TIMEOUT_NS;
	return 0;
}

/* Our own vectors have come while p->member was not there yet. */
static int watch_own(struct belfry_peer *p, struct belfry_error *err)
{
	const uint16_t id = bf_peer_id(p->member);
	int r = 0;

	for (unsigned int v = 0; r == 0 && v < bf_peer_vectors(p->member, id); v++) {
		int fd = bf_peer_eventfd(p->member, id, v);

		if (fd >= 0)
			r = watch(p, fd, v);
	}
	if (r == 0)
		r = watch(p, bf_loop_fd(p->loop), LOOP_EVENT);
	return r < 0 ? bf_err_sys(err, -r, "epoll_ctl") : 0;
}

/* @sock (takes) is connected to the server, which listens at @path, or NULL. */
static int join(struct belfry_peer *p, int sock, const char *path,
		const struct belfry_peer_options *options, struct belfry_error *err)
{
	const struct bf_peer_conf conf = {
		.sock = sock,
		.path = options->no_reconnect ? NULL : path,
		.own_vectors =
			options->vectors ? options->vectors : BF_IVSHMEM_VECTORS_MAX,
		.as_others = !options->vectors,
		.timeout_ns = options->timeout_ns,
		.ops = &member_ops,
		.owner = p,
	};
	struct bf_peer *member;
	int r = bf_peer_create(&member, p->loop, &conf, &p->log, err);

	if (r < 0)
		return path ? bf_err_wrap(err, r, "%s", path) : r;
	p->member = member;
	r = bf_shared_init(&p->memory, bf_peer_memory(member), err);
	if (r == 0)
		r = watch_own(p, err);
	if (r == 0)
		r = belfry_peer_process(p, err);
	return r;
}

/* Everything that needs no server. Return: 0; a negative errno, and nothing is left. */
static int prepare(struct belfry_peer **out, const struct belfry_peer_options *options,
		   struct belfry_error *err)
{
	struct belfry_peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return bf_err(err, ENOMEM, "no memory for a peer");
	p->state = BELFRY_PEER_JOINED;
	p->user = options->user;
	p->log = (struct bf_log){ options->log, options->log_user, options->log_max, "" };
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	r = p->epoll < 0 ? bf_err_sys(err, errno, "epoll_create1")
			 : bf_loop_create(&p->loop, err);
	if (r < 0)
		belfry_peer_destroy(p);
	else
		*out = p;
	return r;
}

/* @sock: taken; -1: connect to @path. */
static int create(struct belfry_peer **out, int sock, const char *path,
		  const struct belfry_peer_options *given, struct belfry_error *err)
{
	struct belfry_peer_options options;
	struct belfry_peer_events events;
	BF_CLOSE int server = sock;
	struct belfry_peer *p = NULL;
	int r = take_options(&options, &events, given, err);

	if (r == 0)
		r = prepare(&p, &options, err);
	if (r < 0)
		return r;
	if (path)
		r = server = bf_peer_connect_within(path, options.timeout_ns, err);
	if (r >= 0)
		r = join(p, bf_take(&server), path, &options, err);
	if (r < 0) {
		belfry_peer_destroy(p);
		return r;
	}
	p->events = events;
	*out = p;
	return 0;
}

int belfry_peer_create(struct belfry_peer **out, const char *path,
		       const struct belfry_peer_options *options,
		       struct belfry_error *err)
{
	if (!out || !path)
		return bf_err_null(err, __func__);
	return create(out, -1, path, options, err);
}

int belfry_peer_create_fd(struct belfry_peer **out, int sock,
			  const struct belfry_peer_options *options,
			  struct belfry_error *err)
{
	BF_CLOSE int server = sock;

	if (!out)
		return bf_err_null(err, __func__);
	if (sock < 0)
		return bf_err(err, EBADF, "belfry_peer_create_fd: descriptor %d", sock);
	return create(out, bf_take(&server), NULL, options, err);
}

void belfry_peer_destroy(struct belfry_peer *p)
{
	if (!p)
		return;
	if (p->busy) {
		bf_log(&p->log, BELFRY_LOG_ERROR,
		       "belfry_peer_destroy() by a callback: not destroyed");
		return;
	}
	p->events = (struct belfry_peer_events){ 0 };
	bf_peer_destroy(p->member);
	bf_loop_destroy(p->loop);
	bf_close(&p->epoll);
	free(p);
}

/* --- who is there --- */

int belfry_peer_id(const struct belfry_peer *p)
{
	return p ? bf_peer_id(p->member) : -EINVAL;
}

int belfry_peer_next(const struct belfry_peer *p, uint32_t id)
{
	int next;

	if (!p)
		return -EINVAL;
	next = bf_peer_next(p->member, id);
	if (next == bf_peer_id(p->member))
		next = bf_peer_next(p->member, next + 1);
	return next < 0 ? -ENOENT : next;
}

int belfry_peer_vectors(const struct belfry_peer *p, uint32_t id)
{
	unsigned int n;

	if (!p)
		return -EINVAL;
	n = id <= BF_IVSHMEM_ID_MAX ? bf_peer_vectors(p->member, id) : 0;
	return n > 0 ? (int)n : -ENOENT;
}

int belfry_peer_get_info(const struct belfry_peer *p, struct belfry_peer_info *info)
{
	struct bf_peer_stats stats;

	if (!p || !info)
		return -EINVAL;
	bf_peer_stats(p->member, &stats);
	const struct belfry_peer_info known = {
		.size = sizeof(known),
		.state = p->state,
		.id = bf_peer_id(p->member),
		.vectors = bf_peer_vectors(p->member, bf_peer_id(p->member)),
		.peers = stats.peers,
		.unheld = stats.unheld,
		.memory_size = p->memory.size,
		.rings = p->rings,
		.heard = p->heard,
		.bad_messages = stats.bad_messages,
		.servers_lost = p->servers_lost,
		.tries = stats.tries,
		.reconnects = stats.reconnects,
	};
	return bf_sized_give(info, &known, INFO_LEAST, "info", NULL);
}

/* --- ringing --- */

/* Why there is no eventfd for a doorbell. */
static int no_doorbell(const struct belfry_peer *p, uint32_t id, uint32_t vector,
		       struct belfry_error *err)
{
	const int n = belfry_peer_vectors(p, id);

	if (n < 0)
		return bf_err(err, ENOENT, "peer %" PRIu32 " is not on the link", id);
	if (vector >= (uint32_t)n)
		return bf_err(err, ENOENT,
			      "peer %" PRIu32 " has no vector %" PRIu32
			      ": it has %d, from 0 on",
			      id, vector, n);
	return bf_err(err, EMFILE,
		      "peer %" PRIu32 ", vector %" PRIu32
		      ": no descriptor was left for it",
		      id, vector);
}

static int eventfd_of(const struct belfry_peer *p, uint32_t id, uint32_t vector,
		      struct belfry_error *err)
{
	int fd = id <= BF_IVSHMEM_ID_MAX ? bf_peer_eventfd(p->member, id, vector) : -1;

	return fd >= 0 ? fd : no_doorbell(p, id, vector, err);
}

int belfry_peer_eventfd(const struct belfry_peer *p, uint32_t id, uint32_t vector)
{
	return p ? eventfd_of(p, id, vector, NULL) : -EINVAL;
}

int belfry_peer_ring(struct belfry_peer *p, uint32_t id, uint32_t vector,
		     struct belfry_error *err)
{
	static const uint64_t one = 1;
	int fd;

	if (!p)
		return bf_err_null(err, __func__);
	fd = eventfd_of(p, id, vector, err);
	if (fd < 0)
		return fd;
	/* EAGAIN: the counter is full, so the ring coalesces with those before. */
	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return bf_err_sys(err, errno, "ring peer %" PRIu32 ", vector %" PRIu32,
				  id, vector);
	p->rings++;
	return 0;
}

/* Return: how many doorbells of @id were rung. */
static int ring_vectors(struct belfry_peer *p, uint32_t id, uint32_t vector)
{
	const uint32_t n = bf_peer_vectors(p->member, id);
	const uint32_t first = vector == BELFRY_ALL ? 0 : vector;
	const uint32_t end = vector == BELFRY_ALL ? n : vector + 1;
	int rung = 0;

	for (uint32_t v = first; v < end && v < n; v++)
		rung += belfry_peer_ring(p, id, v, NULL) == 0;
	return rung;
}

int belfry_peer_ring_all(struct belfry_peer *p, uint32_t id, uint32_t vector,
			 struct belfry_error *err)
{
	const uint32_t probe = vector == BELFRY_ALL ? 0 : vector;
	int rung = 0;
	int n;

	if (!p)
		return bf_err_null(err, __func__);
	if (id != BELFRY_ALL) {
		n = belfry_peer_vectors(p, id);
		if (n < 0 || probe >= (uint32_t)n)
			return no_doorbell(p, id, probe, err);
		return ring_vectors(p, id, vector);
	}
	for (int i = belfry_peer_next(p, 0); i >= 0; i = belfry_peer_next(p, i + 1))
		rung += ring_vectors(p, i, vector);
	return rung;
}

/* --- taking in --- */

/* Run the loop, and with it the callbacks. */
static int turn(struct belfry_peer *p, struct belfry_error *err)
{
	int r;

	p->busy = true;
	r = bf_loop_process(p->loop);
	p->busy = false;
	return r < 0 ? bf_err_sys(err, -r, "io_uring_enter") : 0;
}

/* Take what our vector @v counts. Return: whether it counted anything. */
static bool take(struct belfry_peer *p, uint32_t v, uint64_t *count)
{
	const int fd = bf_peer_eventfd(p->member, bf_peer_id(p->member), v);

	if (fd < 0 || !bf_event_take(fd, count))
		return false;
	p->heard += *count;
	return true;
}

static void tell_rings(struct belfry_peer *p)
{
	struct epoll_event events[RINGS_AT_ONCE];
	const int n = epoll_wait(p->epoll, events, RINGS_AT_ONCE, 0);
	uint64_t count;

	p->busy = true;
	for (int i = 0; i < n; i++)
		if (events[i].data.u32 != LOOP_EVENT &&
		    take(p, events[i].data.u32, &count))
			p->events.rung(p->user, events[i].data.u32, count);
	p->busy = false;
}

int belfry_peer_fd(const struct belfry_peer *p)
{
	return p ? p->epoll : -EINVAL;
}

int belfry_peer_process(struct belfry_peer *p, struct belfry_error *err)
{
	int r;

	if (!p)
		return bf_err_null(err, __func__);
	if (p->busy)
		return bf_err(err, EBUSY, "belfry_peer_process: called by a callback");
	r = turn(p, err);
	if (r == 0 && p->events.rung)
		tell_rings(p);
	return r;
}

/* --- waiting --- */

/* When a wait ends. */
struct limit {
	bool forever;
	uint64_t deadline; /* as bf_now_ns() */
	struct timespec left;
};

static struct limit limit_of(uint64_t timeout_ns)
{
	const bool forever = timeout_ns > INT64_MAX;

	return (struct limit){
		.forever = forever,
		.deadline = timeout_ns == 0 || forever ? 0 : bf_now_ns() + timeout_ns,
		.left = { timeout_ns / BF_NS_PER_S, timeout_ns % BF_NS_PER_S },
	};
}

/* Return: whether there is time for one more look, if only to see what is there. */
static bool limit_goes_on(struct limit *limit)
{
	uint64_t now;

	if (limit->forever)
		return true;
	if (limit->left.tv_sec == 0 && limit->left.tv_nsec == 0)
		return false;
	now = bf_now_ns();
	*limit = limit_of(limit->deadline > now ? limit->deadline - now : 0);
	return true;
}

/*
 * Wait for the loop, or a vector: this one, or any.
 * Return: a vector that seems to have been rung; -1: none.
 */
static int64_t wait_for_one(const struct belfry_peer *p, uint32_t vector,
			    const struct timespec *left, bool *loop_ready)
{
	struct pollfd fds[] = {
		{ .fd = bf_loop_fd(p->loop), .events = POLLIN },
		{ .fd = bf_peer_eventfd(p->member, bf_peer_id(p->member), vector),
		  .events = POLLIN },
	};

	*loop_ready = ppoll(fds, 2, left, NULL) < 0 || fds[0].revents;
	return fds[1].revents ? (int64_t)vector : -1;
}

/* One event at a time, so that those who wait come in turn. */
static int64_t wait_for_any(const struct belfry_peer *p, const struct timespec *left,
			    bool *loop_ready)
{
	struct epoll_event event;
	const int n = epoll_pwait2(p->epoll, &event, 1, left, NULL);

	/* EINTR: the kernel may have done something for the loop */
	*loop_ready = n < 0 || (n == 1 && event.data.u32 == LOOP_EVENT);
	return n == 1 && !*loop_ready ? (int64_t)event.data.u32 : -1;
}

static int64_t wait_once(const struct belfry_peer *p, uint32_t vector,
			 const struct timespec *left, bool *loop_ready)
{
	if (vector == BELFRY_ALL)
		return wait_for_any(p, left, loop_ready);
	return wait_for_one(p, vector, left, loop_ready);
}

static int check_wait(const struct belfry_peer *p, uint32_t vector,
		      const struct belfry_ring *ring, struct belfry_error *err)
{
	if (!p)
		return bf_err_null(err, "belfry_peer_wait");
	if (ring && bf_sized_check(ring, RING_LEAST, "ring", err) < 0)
		return -EINVAL;
	if (p->busy)
		return bf_err(err, EBUSY, "belfry_peer_wait: called by a callback");
	/* While a server comes back, not all of our vectors may be there again yet. */
	if (vector == BELFRY_ALL || p->state != BELFRY_PEER_JOINED)
		return 0;
	if ((int64_t)vector < belfry_peer_vectors(p, bf_peer_id(p->member)))
		return 0;
	return no_doorbell(p, bf_peer_id(p->member), vector, err);
}

static int heard(struct belfry_ring *ring, uint32_t vector, uint64_t count)
{
	const struct belfry_ring known = {
		.size = sizeof(known),
		.vector = vector,
		.count = count,
	};

	return ring ? bf_sized_give(ring, &known, RING_LEAST, "ring", NULL) : 0;
}

int belfry_peer_wait(struct belfry_peer *p, uint32_t vector, uint64_t timeout_ns,
		     struct belfry_ring *ring, struct belfry_error *err)
{
	struct limit limit = limit_of(timeout_ns);
	int r = check_wait(p, vector, ring, err);
	bool loop_ready, more, last_look = false;
	uint64_t count;
	int64_t rung;

	if (r < 0)
		return r;
	if (vector != BELFRY_ALL && take(p, vector, &count))
		return heard(ring, vector, count);
	do {
		rung = wait_once(p, vector, limit.forever ? NULL : &limit.left,
				 &loop_ready);
		if (rung >= 0 && take(p, rung, &count))
			return heard(ring, rung, count);
		r = loop_ready ? turn(p, err) : 0;
		if (r < 0)
			return r;
		more = limit_goes_on(&limit);
		/* A vector may have stood behind the loop, or been rung by it. */
		if (!more && loop_ready && !last_look)
			more = last_look = true;
	} while (more);
	return bf_err(err, ETIMEDOUT, "no ring has come in time");
}

/* --- memory --- */

int belfry_peer_memory_fd(const struct belfry_peer *p)
{
	return p ? p->memory.fd : -EINVAL;
}

int belfry_peer_map(const struct belfry_peer *p, uint32_t flags, void **addr,
		    uint64_t *size, struct belfry_error *err)
{
	const int prot =
		flags & BELFRY_PEER_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	void *map;

	if (!p || !addr || !size)
		return bf_err_null(err, __func__);
	if (flags & ~BELFRY_PEER_READ_ONLY)
		return bf_err(err, EINVAL, "belfry_peer_map: flags 0x%" PRIx32, flags);
	map = mmap(NULL, p->memory.size, prot, MAP_SHARED, p->memory.fd, 0);
	if (map == MAP_FAILED)
		return bf_err_sys(err, errno, "map %" PRIu64 " bytes of shared memory",
				  p->memory.size);
	*addr = map;
	*size = p->memory.size;
	return 0;
}

int belfry_peer_read(const struct belfry_peer *p, uint64_t offset, void *buf, size_t len,
		     struct belfry_error *err)
{
	if (!p || !buf)
		return bf_err_null(err, __func__);
	return bf_shared_read(&p->memory, offset, buf, len, err);
}

int belfry_peer_write(struct belfry_peer *p, uint64_t offset, const void *buf, size_t len,
		      struct belfry_error *err)
{
	if (!p || !buf)
		return bf_err_null(err, __func__);
	return bf_shared_write(&p->memory, offset, buf, len, err);
}
