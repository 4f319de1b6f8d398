/* SPDX-License-Identifier: MIT */
/*
 * belfry-server.h - serve a link: an ivshmem server inside your process
 *
 * What `belfry serve` runs, for programs that want to run it themselves: it speaks the
 * ivshmem protocol, version 0, with belfry's virtual machines, with QEMU's, and with
 * whatever else joins by belfry-peer.h or on its own.
 *
 *	belfry_config_create -> belfry_config_set (cfg, "servers.ring.path", ...)
 *	belfry_server_create -> poll belfry_server_fd(), belfry_server_process()
 *	                  or -> belfry_server_start()
 *	belfry_server_destroy
 *
 * The configuration is the section servers.NAME of belfry.yaml(5). Doorbells go from
 * client to client: they work whether the server's loop runs or not, and go on when the
 * server is gone.
 *
 * Errors and ownership are as in belfry.h. Every descriptor is close-on-exec.
 *
 * Threads. Servers are independent of each other. Any thread may call anything on a
 * server, except destroy, while others do: a lock is inside. There is no thread of the
 * library's unless belfry_server_start() asks for one. Callbacks (log, store, handover)
 * are called with that lock held, by the thread that makes the call, and must not call
 * back: what they call returns EDEADLK, and belfry_server_destroy() destroys nothing.
 *
 * Descriptors. A client takes one and one for each vector, and one more while it is
 * handed over. Their number is bounded by the process's RLIMIT_NOFILE, which the library
 * leaves as it is; belfry_server_capacity() says how many clients fit. A client that does
 * not fit is refused and the log told. One for which the host lacks something waits, for
 * up to five seconds of the shortage.
 *
 * Since version 0.1.
 */
#ifndef BELFRY_SERVER_H
#define BELFRY_SERVER_H

#include <belfry.h>

#ifdef __cplusplus
extern "C" {
#endif

struct belfry_server;

/**
 * belfry_server_create - make the memory, listen, and let clients in from then on
 * @cfg:  the configuration; not needed by the server once this returns. Its log callback
 *        (belfry_config_set_log()) is the server's, too.
 * @name: which of its servers
 * @out:  set to the server (returns: belfry_server_destroy())
 *
 * Nothing happens before the first belfry_server_process() or belfry_server_start().
 *
 * Return: 0;
 * -ENOENT: no such server in @cfg, or the directory of a path is missing;
 * -EINVAL: a value does not fit; an owner or group does not exist;
 * -EADDRINUSE: another server is at that path, or a file that is no socket;
 * -EACCES, -EPERM: the socket, its owner or the memory are not permitted;
 * -EEXIST: shared memory of that name is there with another size; where the lock belongs
 * there is a file that no server has left;
 * -EOPNOTSUPP: the host has not set aside so many huge pages;
 * -ENOSYS or -EPERM: the host does not offer io_uring;
 * -ENOMEM, -EMFILE and the like: the host ran out of something.
 */
BELFRY_API int belfry_server_create(const struct belfry_config *cfg, const char *name,
				    struct belfry_server **out, struct belfry_error *err);

/**
 * belfry_server_destroy - disconnect everybody and remove what was made; NULL is fine
 *
 * Removes the socket, lock, control socket, metrics and pid file, and shared memory that
 * it has created by name. Clients keep their memory, and go on ringing each other. No
 * other call on @server may be under way.
 */
BELFRY_API void belfry_server_destroy(struct belfry_server *server);

/* --- the loop, yours or ours --- */

/**
 * belfry_server_fd - a descriptor that polls readable when there is something to do
 *
 * Return: the descriptor, owned by @server; only poll it (poll, epoll, io_uring).
 */
BELFRY_API int belfry_server_fd(const struct belfry_server *server);

/**
 * belfry_server_process - do all there is to do, without waiting
 *
 * Call it once after create and whenever the descriptor is readable; at any other time it
 * does no harm. Threads may take turns.
 *
 * Return: 0; -EBUSY after belfry_server_start(); another negative errno of
 * io_uring_enter(2).
 */
BELFRY_API int belfry_server_process(struct belfry_server *server,
				     struct belfry_error *err);

/**
 * belfry_server_start - process on a thread of the library's own, until destroy
 *
 * The thread has every signal blocked.
 *
 * Return: 0; -EBUSY when started before; -EAGAIN when no thread can be made.
 */
BELFRY_API int belfry_server_start(struct belfry_server *server,
				   struct belfry_error *err);

/* --- clients --- */

/**
 * belfry_server_add - let in the client at the other end of a socket
 * @sock: a connected AF_UNIX stream socket (takes), for example one end of socketpair(2)
 *
 * The limits on who may join are for those who connect to the path; here they are not
 * asked.
 *
 * Return: the client's ID; -ENOTSOCK or -EINVAL when @sock is something else; -EMFILE;
 * -ENOSPC when all 65536 IDs are in use; -ENOMEM.
 */
BELFRY_API int belfry_server_add(struct belfry_server *server, int sock,
				 struct belfry_error *err);

/**
 * belfry_server_drop - disconnect a client; the others are told
 * @id:  the client's
 * @why: for the log
 *
 * Return: 0; -ENOENT when there is no such client.
 */
BELFRY_API int belfry_server_drop(struct belfry_server *server, uint32_t id,
				  const char *why, struct belfry_error *err);

/**
 * belfry_server_memory - the shared memory
 *
 * Return: its descriptor, owned by @server; fstat(2) tells the size, mmap(2) maps it.
 */
BELFRY_API int belfry_server_memory(const struct belfry_server *server);

/* A client, as the server sees it. */
struct belfry_server_peer {
	size_t size; /* sizeof(struct belfry_server_peer); the first one's is the caller's
		      */
	uint32_t id;
	uint32_t vectors;
	int32_t pid; /* of who connected; 0 when it is in a namespace we cannot see into
		      */
	uint32_t uid;
	uint32_t gid;
	uint64_t queued;     /* messages it has yet to be sent */
	uint64_t stalled_ns; /* since when it has taken nothing though it should; or 0 */
	int64_t joined_ns;   /* when, since 1970 */
};

/**
 * belfry_server_peers - who is there, in the order they came
 * @peers: an array of @max entries, filled as far as there are peers; the size of the
 *         first says how far they are apart. May be NULL when @max is 0
 *
 * Return: how many there are, which may be more than @max; -EINVAL for a NULL @peers, or
 * one whose size is not set; -ENOMEM.
 */
BELFRY_API int belfry_server_peers(struct belfry_server *server,
				   struct belfry_server_peer *peers, unsigned int max);

struct belfry_server_stats {
	size_t size;       /* set by the caller to sizeof(struct belfry_server_stats) */
	uint64_t peers;    /* there now */
	uint64_t vectors;  /* of each */
	uint64_t queued;   /* messages that wait for clients now */
	uint64_t stalled;  /* clients that take nothing now though they should */
	uint64_t joined;   /* from here on: how often, so far */
	uint64_t left;     /* those who were dropped, too */
	uint64_t dropped;  /* by us */
	uint64_t refused;  /* were not let in */
	uint64_t messages; /* sent */
	uint64_t
		stalls; /* a client's socket was full, or the kernel short of something */
};

/**
 * belfry_server_stats - what has been counted
 *
 * Return: 0; -EINVAL when @stats->size is too small.
 */
BELFRY_API int belfry_server_stats(struct belfry_server *server,
				   struct belfry_server_stats *stats);

enum belfry_status_format {
	BELFRY_STATUS_JSON,       /* everything: counters and peers */
	BELFRY_STATUS_PROMETHEUS, /* counters, in Prometheus' text format */
};

/**
 * belfry_server_status - counters and clients as text
 * @format: for whom
 * @out:    set to the text (returns: free())
 *
 * Return: 0; -EINVAL for an unknown format; -ENOMEM.
 */
BELFRY_API int belfry_server_status(struct belfry_server *server,
				    enum belfry_status_format format, char **out,
				    struct belfry_error *err);

/**
 * belfry_server_capacity - how many clients fit, those included that are there
 *
 * As many as RLIMIT_NOFILE has descriptors for, of which some are left for other things,
 * and as `clients_max` allows. Those who connect when so many are there are refused.
 *
 * Return: a number of clients; 0 for NULL.
 */
BELFRY_API unsigned int belfry_server_capacity(struct belfry_server *server);

/* --- while it runs --- */

/**
 * belfry_server_reload - take over what may change from a configuration
 *
 * Who may join (allow_uids, allow_gids, clients_max, clients_per_uid), how much a client
 * may lag (queue, stall), and log_level. Those who are there stay. Other keys that differ
 * are named in the log, and stay as they are.
 *
 * Return: 0; -ENOENT when @cfg has no server @name; -EINVAL; -ENOMEM. After a failure all
 * is as it was.
 */
BELFRY_API int belfry_server_reload(struct belfry_server *server,
				    const struct belfry_config *cfg, const char *name,
				    struct belfry_error *err);

/* --- outliving the process --- */

/* A descriptor of a server, by name: "listen", "lock", "memory", "state", "p0", "p1"...
 */
struct belfry_named_fd {
	const char *name;
	int fd;
};

/*
 * Somebody who holds descriptors for us, so that a server that was killed can be followed
 * by another: systemd's descriptor store (FDSTORE=1), for example.
 */
struct belfry_server_store {
	size_t size; /* set by the caller to sizeof(struct belfry_server_store) */
	/* Hold a duplicate of @fd (borrowed). Return: 0; a negative errno. */
	int (*keep)(void *user, const char *name, int fd);
	/* The one of that name is needed no more. */
	void (*drop)(void *user, const char *name);
	void *user;
};

/**
 * belfry_server_set_store - have every descriptor held that another server would need
 * @store:   copied
 * @holds:   non-zero: it holds them already, as after belfry_server_resume()
 *
 * keep() is called for what there is, and then for each client before it is let in;
 * belfry_server_destroy() drops all. To be called right after create or resume, so that
 * the store lacks nobody at any time.
 *
 * Return: 0; -EINVAL for NULL, or when @store->size has not been set; -E2BIG when @store
 * says what a later version knows; what keep() returned; -ETOOMANYREFS when the kernel
 * has too many descriptors of this user under way.
 */
BELFRY_API int belfry_server_set_store(struct belfry_server *server,
				       const struct belfry_server_store *store, int holds,
				       struct belfry_error *err);

/**
 * belfry_server_handover - hand everything to a successor
 * @fn:   called for each descriptor (borrowed), and last with NULL and -1: now execve(2),
 *        say, may start a program that calls belfry_server_resume(). When @fn returns a
 *        negative errno, or after the last call, the server goes on as if nothing had
 *        been.
 * @user: handed to @fn
 *
 * While it lasts, those who connect wait.
 *
 * Return: what @fn returned; -ETOOMANYREFS as above; -EMFILE; -ENOMEM.
 */
BELFRY_API int belfry_server_handover(struct belfry_server *server,
				      int (*fn)(void *user, const char *name, int fd),
				      void *user, struct belfry_error *err);

/**
 * belfry_server_resume - go on where another server has ended, however it did
 * @cfg, @name, @out: as for belfry_server_create(); vectors and size stay what they were
 * @fds: what belfry_server_handover() or a store has handed out (takes). Without
 *       "memory" and "state", or when they are damaged, the server begins anew, and says
 *       so in the log; what else is missing is made anew.
 * @n:   how many
 *
 * The same clients are there, with the same IDs, eventfds and memory, and are sent what
 * they had not been sent yet: no message is lost, and none comes twice. Clients whose
 * descriptors are missing have left.
 *
 * Return: as belfry_server_create().
 */
BELFRY_API int belfry_server_resume(const struct belfry_config *cfg, const char *name,
				    const struct belfry_named_fd *fds, unsigned int n,
				    struct belfry_server **out, struct belfry_error *err);

/* --- the schema --- */

/**
 * belfry_server_key - the keys of a section servers.NAME, one after the other
 * @index: 0 for the first
 * @name, @help: set to static strings
 *
 * Return: 0; -ENOENT when there are not so many.
 */
BELFRY_API int belfry_server_key(unsigned int index, const char **name,
				 const char **help);

#ifdef __cplusplus
}
#endif

#endif
