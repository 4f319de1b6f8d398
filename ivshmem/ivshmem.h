/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/ivshmem.h - how peers meet: front door of the host side of ivshmem
 *
 * The wire protocol, version 0, as QEMU's ivshmem-server speaks it (QEMU,
 * docs/specs/ivshmem-spec.txt, "Client-Server protocol").
 */
#ifndef BF_IVSHMEM_H
#define BF_IVSHMEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct bf_log;
struct bf_loop;
struct bf_peer;
struct bf_server;

#define BF_IVSHMEM_ID_MAX      65535
#define BF_IVSHMEM_VECTORS_MAX 2048 /* MSI-X: PCI Local Bus 3.0, 6.8.2 */

/* --- peer: our membership of a link --- */

/* All but joined are required; called by whoever runs the loop. They must not destroy the
 * peer. */
struct bf_peer_ops {
	/* Peer @id, not us, has joined. Its vectors come after this. May be NULL. */
	void (*joined)(void *owner, uint16_t id);
	/*
	 * Peer @id has one more vector, numbered @vector: ring it by writing to @fd, an
	 * eventfd that the peer object owns until it calls left() for @id or is
	 * destroyed. @id may be our own: then @fd is where our own vector's events
	 * arrive. A number may be left out: that vector cannot be rung.
	 */
	void (*vector_added)(void *owner, uint16_t id, unsigned int vector, int fd);
	/*
	 * Peer @id has left; its descriptors are closed when this returns. @id is our own
	 * when a server that has come back is about to say what our vectors are now: let
	 * go of the old eventfds. What they have counted, and what others still ring
	 * there, arrives at the new ones.
	 */
	void (*left)(void *owner, uint16_t id);
	/*
	 * The server is gone or has broken the protocol; @why says which. The peers stay,
	 * and can be rung.
	 */
	void (*server_lost)(void *owner, const struct belfry_error *why);
	/*
	 * After server_lost(), when there is a path: the server is there again, with our
	 * ID and our memory. Before this call, left() has been called for every peer that
	 * was known, and vector_added() for every vector that there is now. When it is
	 * lost half-way, the next try goes on from there: nothing is said of it.
	 */
	void (*server_back)(void *owner);
	/*
	 * After server_lost(), instead of server_back(): what answers at the path is
	 * another link, @why says what differs. It is left alone and not tried again: ID,
	 * memory and peers are as server_lost() has left them.
	 */
	void (*server_changed)(void *owner, const struct belfry_error *why);
};

#define BF_PEER_TIMEOUT_NS 5000000000ULL /* what people wait for a server */

/*
 * Connect to the server listening at @path. Blocks for @timeout_ns at most, or, without
 * one, for BF_PEER_TIMEOUT_NS.
 * Return: the socket (returns); -ECONNREFUSED when nobody listens;
 * -ETIMEDOUT when nobody accepts; -ENAMETOOLONG; another negative errno.
 */
int bf_peer_connect(const char *path, struct belfry_error *err);
int bf_peer_connect_within(const char *path, uint64_t timeout_ns,
			   struct belfry_error *err);

struct bf_peer_conf {
	int sock; /* connected to the server (takes) */
	/*
	 * Where the server listens: when it is lost, it is tried again after 100 ms, then
	 * after twice as long, and so on up to every 5 s, for ever. NULL: it is not.
	 */
	const char *path;
	unsigned int own_vectors; /* that we want, at most BF_IVSHMEM_VECTORS_MAX */
	/*
	 * Want up to own_vectors of them, but do not expect so many: what a server has
	 * given one of the others, it has for us. Alone, we wait until it is silent.
	 */
	bool as_others;
	uint64_t timeout_ns; /* for ID and memory to come, each time */
	const struct bf_peer_ops *ops;
	void *owner;
};

/*
 * Join the link behind @conf->sock. Blocks, running @loop, until our ID, the memory and
 * the vectors of our own that we want have come. The vectors are waited for only while
 * messages keep coming: a server may have fewer.
 *
 * The callbacks are called from here on, first from within this call, later by whoever
 * runs @loop. @conf->ops and @conf->owner must outlive the peer, @log and the rest of
 * @conf are copied. On failure the eventfds that vector_added() has told of are closed.
 *
 * Return: 0; -ETIMEDOUT for a silent server, -EPROTO for one that ends or breaks the
 * protocol; -ENOMEM; -EMFILE; -ENAMETOOLONG; another negative errno from recvmsg(2).
 */
int bf_peer_create(struct bf_peer **out, struct bf_loop *loop,
		   const struct bf_peer_conf *conf, const struct bf_log *log,
		   struct belfry_error *err);

/* Leave the link and close its descriptors; NULL is fine. Whoever owns the loop. */
void bf_peer_destroy(struct bf_peer *peer);

/* Neither changes while the peer lives. Any thread. The memory's is owned by @peer. */
uint16_t bf_peer_id(const struct bf_peer *peer);
int bf_peer_memory(const struct bf_peer *peer);

/*
 * The eventfd of (@id, @vector), owned by @peer; -1 when there is none. Whoever owns the
 * loop.
 */
int bf_peer_eventfd(const struct bf_peer *peer, uint16_t id, unsigned int vector);

/*
 * Who is there, ourselves too: the first ID from @id on, or -1; and how many vectors it
 * has, be there descriptors for them or not. Whoever owns the loop.
 */
int bf_peer_next(const struct bf_peer *peer, unsigned int id);
unsigned int bf_peer_vectors(const struct bf_peer *peer, uint16_t id);

struct bf_peer_stats {
	unsigned int peers;    /* that are there, without us */
	unsigned int unheld;   /* vectors of theirs that we have no descriptor for */
	uint64_t bad_messages; /* that made no sense and were skipped */
	uint64_t tries;        /* to reach the server again */
	uint64_t reconnects;   /* how often it was back */
};

/* Any thread. */
void bf_peer_stats(const struct bf_peer *peer, struct bf_peer_stats *out);

/* --- server --- */

/*
 * Memory for clients to share, sealed, so that nobody can take away what others use.
 * @what starts messages; @hugepages: enum bf_hugepages.
 * Return: a descriptor (returns); -EOPNOTSUPP when the host lacks huge pages; -ENOMEM or
 * another negative errno.
 */
int bf_memory_create(const char *what, uint64_t size, unsigned int hugepages,
		     struct belfry_error *err);

struct bf_server_conf {
	const char *name;     /* in log lines */
	int memory;           /* what clients share (borrowed: must outlive the server) */
	unsigned int vectors; /* of each client, 1 to BF_IVSHMEM_VECTORS_MAX */
	/*
	 * Messages that may wait for a client before it is dropped, beyond as many as it
	 * was sent when it joined.
	 */
	unsigned int queue_max;
	const int *state; /* a file that outlives the server, see roster.h; NULL: none */
};

/* @conf and @log are copied. Return: 0; -EINVAL; -ENOMEM. */
int bf_server_create(struct bf_server **out, struct bf_loop *loop,
		     const struct bf_server_conf *conf, const struct bf_log *log,
		     struct belfry_error *err);

/*
 * Accept clients at @path; the socket file is removed by bf_server_destroy().
 * Return: 0; -EADDRINUSE when the file exists; -ENAMETOOLONG; -EBUSY when it listens
 * already; another negative errno.
 */
int bf_server_listen(struct bf_server *server, const char *path,
		     struct belfry_error *err);

/*
 * Take in the client at the other end of @sock (takes).
 * Return: its ID; -EMFILE, -ENOSPC when all IDs are in use; -ENOMEM.
 */
int bf_server_add(struct bf_server *server, int sock, struct belfry_error *err);

/* Disconnect everybody; NULL is fine. */
void bf_server_destroy(struct bf_server *server);

#endif
