/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/member.h - what a server's messages make of us: the protocol without its socket
 *
 * Only ivshmem/peer.c and the tests of the protocol look here.
 */
#ifndef BF_IVSHMEM_MEMBER_H
#define BF_IVSHMEM_MEMBER_H

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
	rlim_t fd_limit;

	enum bf_member_state state;
	bool settled;
	uint16_t id;
	int memory;
	struct bf_table peers;

	unsigned int unheld;   /* eventfds closed because of fd_limit */
	unsigned int bad;      /* messages skipped */
	unsigned int bad_seen; /* bit per kind: it has been logged */
};

/* @fd_limit: the soft RLIMIT_NOFILE. @ops, @owner and @log must outlive @m. */
void bf_member_init(struct bf_member *m, unsigned int own_vectors, rlim_t fd_limit,
		    const struct bf_peer_ops *ops, void *owner, const struct bf_log *log);

/* Close every descriptor. */
void bf_member_fini(struct bf_member *m);

/*
 * Take in one message, and its descriptor (takes). Calls ops->vector_added and ops->left.
 * Return: 0; a negative errno when the server cannot be understood any more.
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
