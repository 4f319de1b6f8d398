/* SPDX-License-Identifier: MIT */
/*
 * belfry-peer.h - a process of the host as a peer on an ivshmem link
 *
 * A link is memory that its peers share, and doorbells by which they ring each other. An
 * ivshmem server brings them together: belfry's or QEMU's. A peer is most often a virtual
 * machine; with this header it is a process, which needs neither /dev/kvm nor a guest.
 *
 *	belfry_peer_create -> belfry_peer_map, belfry_peer_ring, belfry_peer_wait
 *	                   -> belfry_peer_fd, belfry_peer_process (in an event loop)
 *	                   -> belfry_peer_destroy
 *
 * Errors and ownership are as in belfry.h: a call that can fail returns 0, or a useful
 * number above 0, or a negative errno, and fills the caller's struct belfry_error, which
 * may be NULL; arguments are borrowed unless a comment says otherwise.
 *
 * IDs and vectors. Each peer has an ID, 0 to 65535, and as many vectors as the server
 * gives everybody, 1 to 2048, numbered from 0. A doorbell is a pair of both. Doorbells
 * coalesce: who was rung twice before looking finds one event with a count of two, or one
 * interrupt if it is a guest.
 *
 * Time. There is no thread behind a peer. What the server says, who joins and who leaves,
 * is taken in by belfry_peer_process() and belfry_peer_wait() alone, and callbacks are
 * called from within them. So a program does one of two things: it waits for rings with
 * belfry_peer_wait(); or it polls the one descriptor of belfry_peer_fd() and calls
 * belfry_peer_process(). It may do both. A server drops who takes in nothing for too
 * long.
 *
 * A server that is lost ends nothing: known peers go on ringing each other, and the
 * memory stays. A peer that was made with a path tries to reach the server again, after
 * 100 ms, then after twice as long, and so on up to every 5 s. If what answers gives us
 * our ID and our memory again, it is the same link: everybody who was known has left, who
 * is there now joins, and rings at our old eventfds are passed on. If not, it is left
 * alone (BELFRY_PEER_CHANGED), and the program decides: belfry_peer_destroy(), then
 * belfry_peer_create() for the new link.
 *
 * Threads. Calls on one peer may come from any thread, one at a time; different peers are
 * independent. A thread that is to ring while another waits uses the eventfd itself: see
 * belfry_peer_eventfd(). Signals end no call.
 *
 * Forking. Every descriptor is close-on-exec. A child process must not use a peer of its
 * parent, nor destroy it; its own copy of a belfry_peer_map() is as good as the parent's.
 *
 * Trust. What a server sends is checked, and at worst ends the connection. Peers hold the
 * eventfds of each other: one that means harm can ring without end, read away our rings,
 * and, by clearing O_NONBLOCK at an eventfd of its own and filling it, make
 * belfry_peer_ring() wait.
 *
 * Everything here is there since 0.1, unless a comment names another version.
 */
#ifndef BELFRY_PEER_H
#define BELFRY_PEER_H

#include <belfry.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every peer, or every vector, or any vector. */
#define BELFRY_ALL UINT32_MAX

struct belfry_peer;

/* --- joining --- */

enum belfry_peer_state {
	BELFRY_PEER_JOINED = 1, /* the server is there */
	BELFRY_PEER_LOST,       /* it is not; with a path, it is tried again */
	BELFRY_PEER_CHANGED,    /* another link answers at the path: left alone */
};

/*
 * What happens on the link, for who wants to know: each may be NULL. They are called from
 * belfry_peer_process() and belfry_peer_wait(), never from within another call, so who is
 * there when belfry_peer_create() returns has to be asked: belfry_peer_next(). They may
 * call anything; but those two return EBUSY, and belfry_peer_destroy() destroys nothing.
 */
struct belfry_peer_events {
	size_t size; /* set by the caller to sizeof(struct belfry_peer_events) */
	/* Peer @id has joined. Its vectors come one by one after this. */
	void (*joined)(void *user, uint32_t id);
	/* Vector @vector of peer @id can be rung. */
	void (*vector_added)(void *user, uint32_t id, uint32_t vector);
	/* Peer @id has left; its eventfds are closed when this returns. */
	void (*left)(void *user, uint32_t id);
	/*
	 * Our vector @vector has been rung @count times since it was looked at last. From
	 * belfry_peer_process() only; without it, rings wait for belfry_peer_wait().
	 */
	void (*rung)(void *user, uint32_t vector, uint64_t count);
	/* The server is gone, or has said what nobody can understand. */
	void (*server_lost)(void *user, const struct belfry_error *why);
	/* It is there again; who is on the link has been told before this. */
	void (*server_back)(void *user);
	/* Instead of server_back(): another link answers, which is left alone. */
	void (*server_changed)(void *user, const struct belfry_error *why);
};

struct belfry_peer_options {
	size_t size; /* set by the caller to sizeof(struct belfry_peer_options) */
	/*
	 * How many vectors of our own we want to hear, 1 to 2048. 0: as many as the
	 * server gives. That number is that of the peers who are there; when we are the
	 * first, nobody can tell, and belfry_peer_create() returns 100 ms after the last
	 * message.
	 */
	uint32_t vectors;
	uint32_t no_reconnect; /* 1: a server that is lost is not tried again */
	/* For the server to accept, and again for ID and memory to come. 0: 5 s. */
	uint64_t timeout_ns;
	const struct belfry_peer_events *events; /* copied; NULL: none */
	void *user; /* handed to the events; must outlive the peer */
	/* As belfry_config_set_log(). */
	belfry_log_fn *log;
	void *log_user;
	enum belfry_log_level log_max;
	uint32_t reserved; /* 0 */
};

/**
 * belfry_peer_create - join the link of the server at a path
 * @out:     set to the peer (returns: belfry_peer_destroy())
 * @path:    of the socket at which the server listens; copied
 * @options: NULL for the defaults: all zero
 *
 * Blocks until our ID, the memory and our vectors have come: @options->timeout_ns to
 * connect, the same for ID and memory, and 30 s for vectors, as long as they keep coming.
 *
 * Peers that are there take a descriptor for each of their vectors. When the limit
 * (RLIMIT_NOFILE) leaves no room, the rest cannot be rung, and the log says so.
 *
 * Return: 0;
 * -ECONNREFUSED: nobody listens at @path;
 * -ETIMEDOUT: the server does not accept, or is silent;
 * -EPROTO: it hangs up, speaks another version, breaks the protocol, or its memory is no
 * file with a size;
 * -ENAMETOOLONG: @path is longer than a socket's may be (107 bytes);
 * -EACCES: @path may not be connected to;
 * -EINVAL: NULL, a size that has not been set, or more than 2048 vectors;
 * -E2BIG: @options or its events say what a later version knows;
 * -ENOSYS or -EPERM: the host does not offer io_uring;
 * -EMFILE, -ENFILE, -ENOMEM: the process or the host ran out of descriptors or memory.
 */
BELFRY_API int belfry_peer_create(struct belfry_peer **out, const char *path,
				  const struct belfry_peer_options *options,
				  struct belfry_error *err);

/**
 * belfry_peer_create_fd - join the link of the server at the other end of a socket
 * @out:     set to the peer (returns: belfry_peer_destroy())
 * @sock:    connected (takes); the server may be lost, and cannot be reached again
 * @options: as for belfry_peer_create()
 *
 * Return: as belfry_peer_create(), of which ECONNREFUSED and what concerns a path do not
 * happen; another negative errno from recvmsg(2) when @sock is no such socket, -ENOTSOCK
 * for example.
 */
BELFRY_API int belfry_peer_create_fd(struct belfry_peer **out, int sock,
				     const struct belfry_peer_options *options,
				     struct belfry_error *err);

/**
 * belfry_peer_destroy - leave the link and close its descriptors; NULL is fine
 *
 * The memory that belfry_peer_map() has mapped stays mapped. From within a callback it
 * destroys nothing, and the log is told so.
 */
BELFRY_API void belfry_peer_destroy(struct belfry_peer *peer);

/* --- who is there --- */

/**
 * belfry_peer_id - our own ID on the link
 *
 * Return: 0 to 65535, the same for the life of @peer; -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_id(const struct belfry_peer *peer);

/**
 * belfry_peer_next - the others on the link, by rising ID
 * @id: where to begin: 0, then one more than the last answer
 *
 *	for (int id = belfry_peer_next(peer, 0); id >= 0;
 *	     id = belfry_peer_next(peer, id + 1))
 *
 * Return: the first ID that is @id or above, not our own; -ENOENT when there is none;
 * -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_next(const struct belfry_peer *peer, uint32_t id);

/**
 * belfry_peer_vectors - how many vectors a peer has
 * @id: of a peer, or our own
 *
 * The vectors of a peer that has just joined come one by one.
 *
 * Return: 1 to 2048; -ENOENT when no such peer is there; -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_vectors(const struct belfry_peer *peer, uint32_t id);

/* What a peer is and what has happened to it so far. */
struct belfry_peer_info {
	size_t size; /* set by the caller to sizeof(struct belfry_peer_info) */
	enum belfry_peer_state state;
	uint32_t id;           /* our own */
	uint32_t vectors;      /* of our own */
	uint32_t peers;        /* on the link, without us */
	uint32_t unheld;       /* vectors of theirs that no descriptor was left for */
	uint64_t memory_size;  /* bytes */
	uint64_t rings;        /* by belfry_peer_ring() and belfry_peer_ring_all() */
	uint64_t heard;        /* rings at our vectors, as far as they have been taken */
	uint64_t bad_messages; /* of the server: made no sense and were skipped */
	uint64_t servers_lost;
	uint64_t tries; /* to reach it again */
	uint64_t reconnects;
};

/**
 * belfry_peer_get_info - what a peer is and what has happened to it so far
 * @info: filled on success
 *
 * Return: 0; -EINVAL for NULL, or when @info->size is too small.
 */
BELFRY_API int belfry_peer_get_info(const struct belfry_peer *peer,
				    struct belfry_peer_info *info);

/* --- doorbells --- */

/**
 * belfry_peer_ring - ring one doorbell
 * @id:     of a peer, or our own
 * @vector: which of its vectors
 *
 * One write(2) to an eventfd: no lock, no allocation, no server. It does not wait; a
 * counter that is full stays full. See "Trust" above.
 *
 * Return: 0; -ENOENT when no such peer is there, or it has no such vector; -EMFILE when
 * it has, but there was no descriptor left for it; -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_ring(struct belfry_peer *peer, uint32_t id, uint32_t vector,
				struct belfry_error *err);

/**
 * belfry_peer_ring_all - ring several doorbells
 * @id:     of a peer, or our own; BELFRY_ALL: everybody but us
 * @vector: which vector; BELFRY_ALL: each that they have. With every peer, those without
 *          this vector are passed over
 *
 * Return: how many were rung, without those there was no descriptor for; -ENOENT when a
 * peer or vector that is named is not there; -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_ring_all(struct belfry_peer *peer, uint32_t id,
				    uint32_t vector, struct belfry_error *err);

/* Rings that have been heard. */
struct belfry_ring {
	size_t size;     /* set by the caller to sizeof(struct belfry_ring) */
	uint32_t vector; /* of our own */
	uint64_t count;  /* how often it was rung since it was looked at last */
};

/**
 * belfry_peer_wait - wait until one of our vectors is rung
 * @vector:     which; BELFRY_ALL: any, those that wait in turn
 * @timeout_ns: how long, in nanoseconds; 0: only look; BELFRY_FOREVER: no limit
 * @ring:       filled on success; may be NULL
 *
 * What the server says in the meantime is taken in, and callbacks are called, but
 * belfry_peer_events.rung is not. A vector that has been rung already costs one read(2),
 * or epoll_wait(2) before it for any vector; one that has not costs one poll more.
 *
 * Return: 0; -ETIMEDOUT; -ENOENT when we have no such vector; -EBUSY from within a
 * callback; -EINVAL for NULL, or when @ring->size is too small.
 */
BELFRY_API int belfry_peer_wait(struct belfry_peer *peer, uint32_t vector,
				uint64_t timeout_ns, struct belfry_ring *ring,
				struct belfry_error *err);

/**
 * belfry_peer_eventfd - the eventfd behind a doorbell
 * @id:     of a peer: write to it to ring; or our own: read it to take rings
 * @vector: which of its vectors
 *
 * For KVM_IOEVENTFD and KVM_IRQFD, another thread, or an event loop that reads it itself.
 * dup(2) it to keep it beyond left(), server_lost() or the peer's end: rings then go
 * nowhere, and do no harm.
 *
 * Return: the descriptor, owned by @peer; -ENOENT; -EMFILE and -EINVAL as
 * belfry_peer_ring().
 */
BELFRY_API int belfry_peer_eventfd(const struct belfry_peer *peer, uint32_t id,
				   uint32_t vector);

/* --- in an event loop --- */

/**
 * belfry_peer_fd - one descriptor for all that can happen to a peer
 *
 * It polls readable (POLLIN) when belfry_peer_process() has something to do, or a ring
 * waits: for the callback rung, or without one for belfry_peer_wait() with a timeout of
 * 0. It may be part of a poll, an epoll set, an io_uring. Waiting for it may end with
 * EINTR although no signal has come.
 *
 * Return: the descriptor, owned by @peer, only to be polled; -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_fd(const struct belfry_peer *peer);

/**
 * belfry_peer_process - take in what has happened, and call the callbacks
 *
 * Never waits. What it leaves undone, when very much has happened at once, keeps
 * belfry_peer_fd() readable.
 *
 * Return: 0; -EBUSY from within a callback; -EINVAL for NULL; another negative errno when
 * the kernel does not let io_uring go on.
 */
BELFRY_API int belfry_peer_process(struct belfry_peer *peer, struct belfry_error *err);

/* --- memory --- */

#define BELFRY_PEER_READ_ONLY 1U

/**
 * belfry_peer_map - map all of the shared memory
 * @flags: 0 to read and write; BELFRY_PEER_READ_ONLY
 * @addr:  set to where it is mapped, shared (returns: munmap(2), also after the peer's
 *         end; each call maps it anew)
 * @size:  set to its size in bytes
 *
 * Others change this memory at any time: read a value once before it is checked and used.
 * Memory that is not sealed against shrinking (belfry's own is) may be made smaller by
 * somebody else, and touching what is gone raises SIGBUS; belfry_peer_read() and
 * belfry_peer_write() never do.
 *
 * Return: 0; -EACCES or -EPERM when the server's descriptor, or a seal, permits reading
 * only; -ENOMEM; -EINVAL for NULL or another flag.
 */
BELFRY_API int belfry_peer_map(const struct belfry_peer *peer, uint32_t flags,
			       void **addr, uint64_t *size, struct belfry_error *err);

/**
 * belfry_peer_memory_fd - the descriptor of the shared memory
 *
 * For KVM, for io_uring, for handing it on. Do not resize it.
 *
 * Return: the descriptor, owned by @peer; -EINVAL for NULL.
 */
BELFRY_API int belfry_peer_memory_fd(const struct belfry_peer *peer);

/**
 * belfry_peer_read - copy out of the shared memory, without mapping it
 * @offset: in bytes, from its start
 * @buf:    filled with @len bytes; undefined after a failure
 *
 * A system call, and safe whatever others do to the memory.
 *
 * Return: 0; -ERANGE when the range is not within the memory; -EIO when the memory has
 * been made smaller since; -EINVAL for NULL; another negative errno from pread(2).
 */
BELFRY_API int belfry_peer_read(const struct belfry_peer *peer, uint64_t offset,
				void *buf, size_t len, struct belfry_error *err);

/**
 * belfry_peer_write - copy into the shared memory, without mapping it
 * @offset: in bytes, from its start
 * @buf:    @len bytes
 *
 * Return: as belfry_peer_read(), with pwrite(2); -EBADF or -EPERM when it may only be
 * read.
 */
BELFRY_API int belfry_peer_write(struct belfry_peer *peer, uint64_t offset,
				 const void *buf, size_t len, struct belfry_error *err);

#ifdef __cplusplus
}
#endif

#endif
