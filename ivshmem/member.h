/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/member.h - what a server's messages make of us: the protocol without its socket
 *
 * Only ivshmem/peer.c and the tests of the protocol look here.
 */
#ifndef BF_IVSHMEM_MEMBER_H
#define BF_IVSHMEM_MEMBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/log.h"
#include "ivshmem/ivshmem.h"
#include "ivshmem/table.h"

struct bf_wire_msg;

enum bf_member_state {
	BF_MEMBER_AT_VERSION, /* what the next message is to be */
	BF_MEMBER_AT_ID,
	BF_MEMBER_AT_MEMORY,
	BF_MEMBER_JOINED, /* who comes and who leaves */
};

struct bf_member {
	const struct bf_peer_ops *ops;
	void *owner;
	const struct bf_log *log;
	unsigned int own_vectors; /* wanted */
	bool as_others; /* or fewer: see struct bf_peer_conf; false until somebody sets it
			 */
	rlim_t fd_limit;

	enum bf_member_state state;
	bool settled;
	bool again; /* not the first handshake: ID and memory are known */
	bool stale; /* our vectors are those of the connection before */
	uint16_t id;
	int memory;
	struct bf_table peers; /* ourselves, too */
	unsigned int most;     /* vectors that this connection has given somebody else */

	/* For bf_peer_stats(), which other threads may call. */
	atomic_uint known;         /* peers, without us */
	atomic_uint unheld;        /* eventfds of theirs closed because of fd_limit */
	atomic_uint_least64_t bad; /* messages skipped */

	unsigned int unheld_next; /* how many of those the log is to hear of next */
	unsigned int bad_seen;    /* bit per kind: it has been logged */
};

/*
 * @fd_limit: the soft RLIMIT_NOFILE. Of @ops, joined, vector_added and left are called.
 * @ops,
 * @owner and @log must outlive @m.
 */
void bf_member_init(struct bf_member *m, unsigned int own_vectors, rlim_t fd_limit,
		    const struct bf_peer_ops *ops, void *owner, const struct bf_log *log);

/* Close every descriptor. */
void bf_member_fini(struct bf_member *m);

/*
 * The next message is the first of a new connection. ID and memory stay, and must come
 * again as they were. Then the other peers are forgotten; our own vectors are when the
 * first of the new ones comes. The owner hears of each with left().
 */
void bf_member_again(struct bf_member *m, rlim_t fd_limit);

/*
 * Take in one message, and its descriptor (takes).
 * Return: 0; -ESTALE when ID or memory have changed since the connection before; another
 * negative errno when the server cannot be understood any more.
 */
int bf_member_take(struct bf_member *m, const struct bf_wire_msg *msg,
		   struct belfry_error *err);

/* What the next message is to bring, for people. */
const char *bf_member_awaits(const struct bf_member *m);

/* Whether all has come that a server sends to a newcomer. */
bool bf_member_complete(const struct bf_member *m);

/* The handshake is over: report what it has left to be desired. */
void bf_member_settle(struct bf_member *m);

#endif
