/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/member.c - what a server's messages make of us: the protocol without its socket
 *
 * Theory of operation
 *
 * Only the server speaks. It sends the protocol's version, our ID and the shared memory,
 * then one message with an eventfd per vector: those of the peers that are there, in the
 * order they came, and last our own. From then on it tells who comes (more eventfds) and
 * who leaves (an ID without a descriptor). The n-th eventfd of an ID is its vector n - 1,
 * so no message of that kind may be skipped without being counted.
 *
 *	AT_VERSION -> AT_ID -> AT_MEMORY -> JOINED
 *
 * A server that is lost and comes back starts anew at AT_VERSION. Only with the same ID
 * and the same memory is it the same link: then its peers replace those we knew. Our own
 * vectors come last, and the old ones are ours until then, so that we hear of rings all
 * the time, and still do when this server is lost half-way.
 *
 * What a server sends is input. Up to JOINED any mistake ends the attempt. Later, a
 * message that makes no sense is counted, logged once for each kind, and skipped; only a
 * number that no version of the protocol knows loses us the server, for then nobody can
 * tell what the next one means.
 *
 * Descriptors. Our own vectors come last, when thousands of others may have come before,
 * and have to fit. So when an eighth of the descriptor limit, and what our own vectors
 * still need, would not remain free, the eventfds of other peers are counted and closed.
 * The kernel hands out the lowest free number, so the number of a new descriptor tells
 * how many are in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>

#include "base/event.h"
#include "base/file.h"
#include "base/own.h"
#include "ivshmem/member.h"
#include "ivshmem/wire.h"

#define VERSION_PLAUSIBLE 255 /* a first number beyond is not meant as a version */
#define FREE_LIMIT_PART   8   /* of the descriptor limit: left to the rest of us */

/* Messages that are survived. */
enum bad {
	BAD_MEMORY,
	BAD_LEAVE,
	BAD_OWN_LEAVE,
	BAD_VECTOR,
	BAD_DESCRIPTOR,
	BAD_SURPLUS,
};

static const char *const bad_text[] = {
	[BAD_MEMORY] = "memory came a second time",
	[BAD_LEAVE] = "a peer left that was not here",
	[BAD_OWN_LEAVE] = "we are said to have left",
	[BAD_VECTOR] = "a peer has more than 2048 vectors",
	[BAD_DESCRIPTOR] = "a descriptor is no eventfd",
	[BAD_SURPLUS] = "more than one descriptor came with a message",
};

void bf_member_init(struct bf_member *m, unsigned int own_vectors, rlim_t fd_limit,
		    const struct bf_peer_ops *ops, void *owner, const struct bf_log *log)
{
	*m = (struct bf_member){
		.ops = ops,
		.owner = owner,
		.log = log,
		.own_vectors = own_vectors,
		.fd_limit = fd_limit,
		.memory = -1,
		.unheld_next = 1,
	};
}

void bf_member_again(struct bf_member *m, rlim_t fd_limit)
{
	m->fd_limit = fd_limit;
	m->state = BF_MEMBER_AT_VERSION;
	m->settled = false;
	m->again = true;
	m->most = 0;
}

void bf_member_fini(struct bf_member *m)
{
	bf_table_fini(&m->peers);
	bf_close(&m->memory);
}

/* How many vectors of @id this connection has brought. */
static unsigned int count(const struct bf_member *m, uint16_t id)
{
	return id == m->id && m->stale ? 0 : bf_table_count(&m->peers, id);
}

/* How many vectors of ours are to come; UINT_MAX when nobody can tell yet. */
static unsigned int expected(const struct bf_member *m)
{
	if (!m->as_others)
		return m->own_vectors;
	if (m->most == 0)
		return UINT_MAX;
	return m->most < m->own_vectors ? m->most : m->own_vectors;
}

bool bf_member_complete(const struct bf_member *m)
{
	return m->state == BF_MEMBER_JOINED && count(m, m->id) >= expected(m);
}

const char *bf_member_awaits(const struct bf_member *m)
{
	switch (m->state) {
	case BF_MEMBER_AT_VERSION:
		return "its version";
	case BF_MEMBER_AT_ID:
		return "our ID";
	case BF_MEMBER_AT_MEMORY:
		return "the memory";
	default:
		return m->settled ? "a message" : "our vectors";
	}
}

/* --- the handshake --- */

static int want_no_fd(const struct bf_wire_msg *msg, const char *what,
		      struct belfry_error *err)
{
	if (msg->fd < 0 && !msg->lost)
		return 0;
	return bf_err(err, EPROTO, "server sent a descriptor with %s, where none belongs",
		      what);
}

static int take_version(struct bf_member *m, const struct bf_wire_msg *msg,
			struct belfry_error *err)
{
	if (msg->value < 0 || msg->value > VERSION_PLAUSIBLE)
		return bf_err(err, EPROTO,
			      "incompatible version: server starts with %" PRId64
			      ", which is no version (QEMU before 2.5 sent none)",
			      msg->value);
	if (msg->value != BF_WIRE_VERSION)
		return bf_err(err, EPROTO,
			      "incompatible version: server speaks version %" PRId64
			      ", this is for version %d",
			      msg->value, BF_WIRE_VERSION);
	m->state = BF_MEMBER_AT_ID;
	return want_no_fd(msg, "the version", err);
}

static int take_id(struct bf_member *m, const struct bf_wire_msg *msg,
		   struct belfry_error *err)
{
	int r;

	if (msg->value == BF_WIRE_MEMORY)
		return bf_err(err, EPROTO,
			      "incompatible version or wrong order: server sent -1 where "
			      "our ID belongs (QEMU before 2.5 did)");
	if (msg->value < 0 || msg->value > BF_IVSHMEM_ID_MAX)
		return bf_err(err, EPROTO,
			      "server gave us the ID %" PRId64 ": IDs are 0 to %d",
			      msg->value, BF_IVSHMEM_ID_MAX);
	r = want_no_fd(msg, "our ID", err);
	if (r < 0)
		return r;
	if (!m->again)
		m->id = msg->value;
	else if (m->id != msg->value)
		return bf_err(err, ESTALE, "our ID was %u and now is %" PRId64, m->id,
			      msg->value);
	m->state = BF_MEMBER_AT_MEMORY;
	return 0;
}

static void forget(struct bf_member *m, uint16_t id)
{
	m->ops->left(m->owner, id);
	if (id != m->id)
		m->known--;
	m->unheld -= bf_table_unheld(&m->peers, id);
	bf_table_remove(&m->peers, id);
}

/* The memory is the one we know. What else we know is the server's to say again. */
static void start_again(struct bf_member *m)
{
	for (int id = bf_table_next(&m->peers, 0); id >= 0;
	     id = bf_table_next(&m->peers, id + 1))
		if (id != m->id)
			forget(m, id);
	m->stale = true;
	m->unheld_next = 1;
}

static int take_memory(struct bf_member *m, const struct bf_wire_msg *msg, int *fd,
		       struct belfry_error *err)
{
	if (msg->value != BF_WIRE_MEMORY)
		return bf_err(err, EPROTO,
			      "wrong order: server sent %" PRId64
			      " where the memory (-1) belongs",
			      msg->value);
	if (msg->lost)
		return bf_err(err, EMFILE,
			      "no descriptor free for the memory: the limit is %" PRIuMAX,
			      (uintmax_t)m->fd_limit);
	if (*fd < 0)
		return bf_err(err, EPROTO, "server sent no descriptor with the memory");
	if (m->again && !bf_same_file(m->memory, *fd))
		return bf_err(err, ESTALE, "the memory is another one");
	if (m->again)
		start_again(m);
	else
		m->memory = bf_take(fd);
	m->state = BF_MEMBER_JOINED;
	return 0;
}

/* --- who comes and goes --- */

static void skip_bad(struct bf_member *m, enum bad kind, int64_t value)
{
	m->bad++;
	if (m->bad_seen & 1U << kind)
		return;
	m->bad_seen |= 1U << kind;
	bf_log(m->log, BELFRY_LOG_WARNING,
	       "bad message from the server: %s (%" PRId64
	       "); such ones are now counted only",
	       bad_text[kind], value);
}

/* Would keeping @fd, somebody else's vector, endanger our own? */
static bool fd_is_scarce(const struct bf_member *m, int fd)
{
	unsigned int have = count(m, m->id);
	unsigned int want = expected(m);
	rlim_t keep_free = m->fd_limit / FREE_LIMIT_PART;

	if (have < want && want <= m->own_vectors)
		keep_free += want - have;
	return fd + keep_free >= m->fd_limit;
}

/* Counting from 1, at every doubling: 1, 2, 4... */
static void log_unheld(struct bf_member *m)
{
	rlim_t more = m->unheld + m->unheld / (FREE_LIMIT_PART - 1) + 1;

	bf_log(m->log, BELFRY_LOG_WARNING,
	       "doorbells of other peers that cannot be rung: %u; the descriptor limit "
	       "(RLIMIT_NOFILE) is %" PRIuMAX ", %" PRIuMAX " would do for now",
	       m->unheld, (uintmax_t)m->fd_limit, (uintmax_t)(m->fd_limit + more));
	m->unheld_next = 2 * m->unheld;
}

enum verdict {
	KEEP,   /* the descriptor is ours */
	CLOSE,  /* the vector counts, and cannot be rung */
	UNHELD, /* the same, for want of descriptors */
};

/* @n: of which vector. Return: a verdict; a negative errno: the server is lost. */
static int judge_vector(struct bf_member *m, const struct bf_wire_msg *msg,
			unsigned int n, struct belfry_error *err)
{
	if (msg->value != m->id) {
		if (msg->lost || fd_is_scarce(m, msg->fd))
			return UNHELD;
	} else if (n >= m->own_vectors) { /* more than the device has */
		return CLOSE;
	} else if (msg->lost) {
		return bf_err(err, EMFILE,
			      "no descriptor free for our vector %u: the limit is "
			      "%" PRIuMAX,
			      n, (uintmax_t)m->fd_limit);
	}
	if (bf_event_is(msg->fd))
		return KEEP;
	skip_bad(m, BAD_DESCRIPTOR, msg->value);
	return CLOSE;
}

/* Return: where the eventfd of vector @n belongs; NULL: no memory. */
static int *add_vector(struct bf_member *m, uint16_t id, unsigned int n)
{
	int *entry;

	if (id == m->id && m->stale) {
		forget(m, id);
		m->stale = false;
	}
	entry = bf_table_add(&m->peers, id);
	if (!entry || id == m->id)
		return entry;
	if (n + 1 > m->most)
		m->most = n + 1;
	if (n == 0) {
		m->known++;
		if (m->ops->joined)
			m->ops->joined(m->owner, id);
	}
	return entry;
}

static int take_vector(struct bf_member *m, const struct bf_wire_msg *msg, int *fd,
		       struct belfry_error *err)
{
	unsigned int n = count(m, msg->value);
	int verdict;
	int *entry;

	if (n == BF_IVSHMEM_VECTORS_MAX) {
		skip_bad(m, BAD_VECTOR, msg->value);
		return 0;
	}
	verdict = judge_vector(m, msg, n, err);
	if (verdict < 0)
		return verdict;
	entry = add_vector(m, msg->value, n);
	if (!entry)
		return bf_err(err, ENOMEM, "no memory for peer %" PRId64, msg->value);
	if (verdict == KEEP) {
		fcntl(*fd, F_SETFL, O_NONBLOCK); /* a full counter must stop nobody */
		*entry = bf_take(fd);
		m->ops->vector_added(m->owner, msg->value, n, *entry);
	} else if (verdict == UNHELD) {
		*entry = BF_TABLE_UNHELD;
		m->unheld++;
		if (m->settled && m->unheld >= m->unheld_next)
			log_unheld(m);
	}
	return 0;
}

static void take_leave(struct bf_member *m, uint16_t id)
{
	if (id == m->id) {
		skip_bad(m, BAD_OWN_LEAVE, id);
	} else if (!bf_table_has(&m->peers, id)) {
		skip_bad(m, BAD_LEAVE, id);
	} else {
		forget(m, id);
	}
}

static int take_news(struct bf_member *m, const struct bf_wire_msg *msg, int *fd,
		     struct belfry_error *err)
{
	if (msg->value < BF_WIRE_MEMORY || msg->value > BF_IVSHMEM_ID_MAX)
		return bf_err(err, EPROTO,
			      "server sent the ID %" PRId64 ": IDs are 0 to %d",
			      msg->value, BF_IVSHMEM_ID_MAX);
	if (msg->surplus)
		skip_bad(m, BAD_SURPLUS, msg->value);
	if (msg->value == BF_WIRE_MEMORY)
		skip_bad(m, BAD_MEMORY, msg->value);
	else if (msg->fd >= 0 || msg->lost)
		return take_vector(m, msg, fd, err);
	else
		take_leave(m, msg->value);
	return 0;
}

int bf_member_take(struct bf_member *m, const struct bf_wire_msg *msg,
		   struct belfry_error *err)
{
	BF_CLOSE int fd = msg->fd; /* unless somebody below takes it */

	if (m->state < BF_MEMBER_JOINED && msg->surplus)
		return bf_err(
			err, EPROTO,
			"server sent %u descriptors with %s, where at most one belongs",
			msg->surplus + 1, bf_member_awaits(m));
	switch (m->state) {
	case BF_MEMBER_AT_VERSION:
		return take_version(m, msg, err);
	case BF_MEMBER_AT_ID:
		return take_id(m, msg, err);
	case BF_MEMBER_AT_MEMORY:
		return take_memory(m, msg, &fd, err);
	default:
		return take_news(m, msg, &fd, err);
	}
}

void bf_member_settle(struct bf_member *m)
{
	unsigned int have = count(m, m->id);
	unsigned int want = expected(m);

	m->settled = true;
	if (have < want && want <= m->own_vectors)
		bf_log(m->log, BELFRY_LOG_WARNING,
		       "vectors: server gives us %u of the %u we want", have, want);
	if (m->unheld)
		log_unheld(m);
}
