/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/service.c - a server and all that belongs to it: memory, files, sockets, thread
 *
 * Theory of operation
 *
 * Made in this order, and taken down in reverse: the lock, so that nobody else is at the
 * path from then on; memory and state; the core (server.c), with the clients of whoever
 * was there before, if any; the socket; the control socket; the files.
 *
 * What another process needs to go on is a handful of descriptors, each with a name:
 *
 *	lock       the locked file: it stays locked for as long as somebody holds this
 *	listen     the socket; "activated" when its file is not ours to remove
 *	memory     "shm" when it has a name that is ours to remove
 *	state      the roster's memfd
 *	p0, p1..   a client: its socket and eventfds, in a carrier
 *
 * belfry_server_handover() hands them to a program that this one becomes by exec;
 * a store has them at all times, in case that this process is killed.
 *
 * One lock is around everything. The library's thread, if there is one, polls without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/own.h"
#include "ivshmem/listen.h"
#include "ivshmem/lockfile.h"
#include "ivshmem/memory.h"
#include "ivshmem/policy.h"
#include "ivshmem/roster.h"
#include "ivshmem/server.h"
#include "ivshmem/service.h"
#include "ivshmem/wire.h"

#define MEMORY_MIN 4096
#define SHORTAGE_NS \
	(5 * BF_NS_PER_S) /* clients may wait while the host lacks something */

/* --- descriptors that have come from another process --- */

struct heirloom {
	const struct belfry_named_fd *fds;
	unsigned int n;
	int *by_id; /* carriers of clients, borrowed from fds; -1: none */
};

static int find(const struct heirloom *h, const char *name)
{
	for (unsigned int i = 0; i < h->n; i++)
		if (strcmp(h->fds[i].name, name) == 0)
			return h->fds[i].fd;
	return -1;
}

/* A duplicate of the one called @name. Return: it (returns); -1: there is none. */
static int inherit(const struct heirloom *h, const char *name)
{
	int fd = find(h, name);

	return fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
}

/* The ID that "p17" is the carrier of; -1: something else. */
static int id_of(const char *name)
{
	char *end;
	long id = *name == 'p' ? strtol(name + 1, &end, 10) : -1;

	return id >= 0 && id <= BF_IVSHMEM_ID_MAX && end > name + 1 && !*end ? id : -1;
}

static int carrier_of(void *arg, unsigned int id)
{
	const struct heirloom *h = arg;

	return h->by_id[id];
}

static int index_carriers(struct belfry_server *s, struct heirloom *h,
			  struct belfry_error *err)
{
	int id;

	s->held = calloc(BF_SERVICE_IDS, sizeof(*s->held));
	h->by_id = malloc(BF_SERVICE_IDS * sizeof(*h->by_id));
	if (!h->by_id || !s->held)
		return bf_err(err, ENOMEM, "no memory for %u descriptors", h->n);
	memset(h->by_id, -1, BF_SERVICE_IDS * sizeof(*h->by_id));
	for (unsigned int i = 0; i < h->n; i++) {
		id = id_of(h->fds[i].name);
		if (id < 0)
			continue;
		if (s->held[id]) /* which of them is it? */
			bf_log(&s->log, BELFRY_LOG_WARNING,
			       "%s: p%d was handed over twice", s->conf.name, id);
		h->by_id[id] = s->held[id] ? -1 : h->fds[i].fd;
		s->held[id] = true;
	}
	return 0;
}

/* --- the parts, in the order they are made --- */

int bf_service_conf_copy(struct bf_service_conf *to, const struct bf_service_conf *from,
			 struct belfry_error *err)
{
	struct bf_size_text number;
	const char *text;
	int r = bf_schema_init(bf_server_keys, to, err);

	for (const struct bf_key *key = bf_server_keys; key->name && r == 0; key++) {
		text = bf_schema_text(key, from, &number);
		if (text)
			r = bf_schema_set(key, to, text, err);
	}
	to->name = r == 0 ? strdup(from->name) : NULL;
	if (r == 0 && !to->name)
		r = bf_err(err, ENOMEM, "%s: out of memory", from->name);
	return r;
}

char *bf_service_beside(const char *path, const char *suffix)
{
	char *out;

	return asprintf(&out, "%s%s", path, suffix) < 0 ? NULL : out;
}

/* Where a socket that we were given is bound to. Return: the path (returns); NULL. */
static char *path_of(int sock)
{
	struct sockaddr_un sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(sock, (struct sockaddr *)&sa, &len) < 0 ||
	    sa.sun_family != AF_UNIX || !sa.sun_path[0])
		return NULL;
	return strndup(sa.sun_path, sizeof(sa.sun_path));
}

/* Where the server before us listened stays. Return: the path (returns); NULL: nowhere.
 */
static char *inherited_path(const struct heirloom *h)
{
	int sock = find(h, "listen");

	if (sock < 0)
		sock = find(h, "activated");
	return sock >= 0 ? path_of(sock) : NULL;
}

static int find_path(struct belfry_server *s, const struct bf_service_conf *conf,
		     const struct heirloom *h, struct belfry_error *err)
{
	BF_FREE char *before = inherited_path(h);

	s->path = conf->path.fd >= 0 ? path_of(conf->path.fd) : strdup(conf->path.path);
	if (before && s->path && conf->path.fd < 0 && strcmp(before, s->path) != 0) {
		bf_log(&s->log, BELFRY_LOG_WARNING,
		       "%s: path stays %s until the server starts anew", conf->name,
		       before);
		free(s->path);
		s->path = bf_take_ptr(&before);
	}
	if (s->path)
		s->lock_path = bf_service_beside(s->path, ".lock");
	if (conf->path.fd < 0 && !s->lock_path)
		return bf_err(err, ENOMEM, "%s: out of memory", conf->name);
	return 0;
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int make_lock(struct belfry_server *s, const struct heirloom *h,
		     struct belfry_error *err)
{
	if (!s->lock_path)
		return 0;
	s->lock_fd = inherit(h, "lock");
	if (s->lock_fd >= 0 && !is_file(s->lock_fd)) {
		bf_log(&s->log, BELFRY_LOG_WARNING, "%s: the lock is no file",
		       s->conf.name);
		bf_close(&s->lock_fd);
	}
	if (s->lock_fd >= 0) {
		s->lock_left = true;
		if (bf_lockfile_note(s->lock_path, s->lock_fd, err) < 0)
			bf_log(&s->log, BELFRY_LOG_WARNING, "%s", err->msg);
		return 0;
	}
	s->lock_fd = bf_lockfile_take(s->lock_path, &s->lock_left, err);
	return s->lock_fd < 0 ? s->lock_fd : 0;
}

/* Take what clients share already, if it is that. Return: whether it is there. */
static bool inherit_memory(struct belfry_server *s, const struct heirloom *h)
{
	BF_CLOSE int fd = inherit(h, "memory");
	bool shm = fd < 0;
	struct stat st;
	uint64_t size;

	if (shm)
		fd = inherit(h, "shm");
	if (fd < 0)
		return false;
	size = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
	if (size < MEMORY_MIN || (size & (size - 1)) != 0 ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR) {
		bf_log(&s->log, BELFRY_LOG_ERROR,
		       "%s: what was handed over as memory is something else",
		       s->conf.name);
		return false;
	}
	if (size != s->conf.size)
		bf_log(&s->log, BELFRY_LOG_WARNING,
		       "%s: size stays %" PRIu64 " until the server starts anew",
		       s->conf.name, size);
	s->conf.size = size;
	s->memory = bf_take(&fd);
	s->made_shm = shm;
	return true;
}

static int make_memory(struct belfry_server *s, const struct bf_service_conf *conf,
		       const struct heirloom *h, struct belfry_error *err)
{
	s->inherited_memory = inherit_memory(s, h);
	if (s->inherited_memory)
		return 0;
	if (bf_file_given(&conf->shm))
		s->memory = bf_memory_shm(conf->name, &conf->shm, conf->size,
					  &s->made_shm, err);
	else if (bf_file_given(&conf->dir))
		s->memory = bf_memory_in_dir(conf->name, conf->dir.path, conf->size, err);
	else
		s->memory =
			bf_memory_create(conf->name, conf->size, conf->hugepages, err);
	return s->memory < 0 ? s->memory : 0;
}

/*
 * Without memory and state nobody can go on: whoever was there is not known any more. The
 * lock and the socket are as good as before.
 */
static int begin_anew(struct belfry_server *s, struct belfry_error *err)
{
	bf_close(&s->state);
	s->state = memfd_create("belfry-state", MFD_CLOEXEC);
	s->anew = true;
	return s->state < 0 ? bf_err_sys(err, errno, "%s: memfd", s->conf.name) : 0;
}

static int make_state(struct belfry_server *s, const struct heirloom *h,
		      struct belfry_error *err)
{
	struct belfry_error why;
	int had;

	if (h->n == 0)
		return begin_anew(s, err);
	s->state = inherit(h, "state");
	had = s->state < 0 ? bf_err(&why, ENOENT, "the state is lost")
			   : bf_roster_check(s->state, &why);
	if (had < 0 || !s->inherited_memory) {
		bf_log(&s->log, BELFRY_LOG_ERROR,
		       "%s: begins anew: of the server before, %s", s->conf.name,
		       s->inherited_memory ? why.msg : "the memory is lost");
		return begin_anew(s, err);
	}
	if (had > 0 && (uint64_t)had != s->conf.vectors) {
		bf_log(&s->log, BELFRY_LOG_WARNING,
		       "%s: vectors stay %d until the server starts anew", s->conf.name,
		       had);
		s->conf.vectors = had;
	}
	return 0;
}

int bf_service_limits(struct bf_limits *out, const struct bf_service_conf *conf,
		      struct belfry_error *err)
{
	struct bf_limits limits = {
		.queue_max = conf->queue / BF_WIRE_SIZE,
		.stall_ns = conf->stall * BF_NS_PER_S,
		.shortage_ns = SHORTAGE_NS,
		.clients = conf->clients_max,
		.clients_of_uid = conf->clients_per_uid,
	};
	int r = 0;

	if (conf->allow_uids)
		r = bf_users_parse(&limits.uids, BF_USERS, "allow_uids", conf->allow_uids,
				   err);
	if (r == 0 && conf->allow_gids)
		r = bf_users_parse(&limits.gids, BF_GROUPS, "allow_gids",
				   conf->allow_gids, err);
	if (r < 0) {
		bf_limits_fini(&limits);
		return r;
	}
	*out = limits;
	return 0;
}

enum belfry_log_level bf_service_level(const struct belfry_server *s,
				       const struct bf_service_conf *conf)
{
	return s->log.max < conf->log_level ? s->log.max : conf->log_level;
}

static int make_core(struct belfry_server *s, struct heirloom *h,
		     struct belfry_error *err)
{
	struct bf_server_conf conf = { .name = s->conf.name,
				       .memory = s->memory,
				       .vectors = s->conf.vectors,
				       .state = &s->state };
	struct bf_limits limits;
	int r = bf_loop_create(&s->loop, err);

	if (r == 0 && h->n > 0)
		r = index_carriers(s, h, err);
	if (r == 0)
		r = bf_service_limits(&limits, &s->conf, err);
	if (r < 0)
		return r;
	r = bf_server_create(&s->core, s->loop, &conf, &s->log, err);
	if (r < 0) {
		bf_limits_fini(&limits);
		return r;
	}
	bf_server_set_limits(s->core, &limits);
	bf_server_set_level(s->core, bf_service_level(s, &s->conf));
	return s->anew ? 0 : bf_server_restore(s->core, carrier_of, h, err);
}

int bf_service_access(struct bf_listener_conf *listen, const struct bf_service_conf *conf,
		      struct belfry_error *err)
{
	unsigned int mode = 0;
	int r = 0;

	listen->uid = -1;
	listen->gid = -1;
	listen->has_mode = conf->mode;
	if (conf->owner)
		r = bf_user_parse(&listen->uid, BF_USERS, "owner", conf->owner, err);
	if (r == 0 && conf->group)
		r = bf_user_parse(&listen->gid, BF_GROUPS, "group", conf->group, err);
	if (r == 0 && conf->mode)
		r = bf_service_conf_mode(conf->mode, &mode, err);
	listen->mode = mode;
	return r;
}

static int make_socket(struct belfry_server *s, const struct bf_service_conf *conf,
		       const struct heirloom *h, struct belfry_error *err)
{
	struct bf_listener_conf listen = { .path = s->path ? s->path : s->conf.name,
					   .left = s->lock_left,
					   .patience_ns = SHORTAGE_NS };
	int r = 0;

	listen.sock = inherit(h, "listen");
	if (listen.sock >= 0 && !bf_listener_may_use(listen.sock)) {
		bf_log(&s->log, BELFRY_LOG_WARNING,
		       "%s: what was handed over to listen at is something else",
		       s->conf.name);
		bf_close(&listen.sock);
	}
	s->activated = listen.sock < 0;
	if (listen.sock < 0)
		listen.sock = inherit(h, "activated");
	if (listen.sock < 0) /* else it has been made, and clients may be there */
		r = bf_service_access(&listen, conf, err);
	if (r < 0)
		return r;
	if (listen.sock < 0 && conf->path.fd >= 0)
		listen.sock = fcntl(conf->path.fd, F_DUPFD_CLOEXEC, 0);
	s->activated = s->activated && listen.sock >= 0;
	listen.foreign = s->activated;
	return bf_server_listen_as(s->core, &listen, err);
}

/* --- the whole --- */

static int build(struct belfry_server *s, const struct bf_service_conf *conf,
		 struct heirloom *h, struct belfry_error *err)
{
	struct belfry_error why;
	int r = bf_service_conf_copy(&s->conf, conf, err);

	if (r == 0)
		r = find_path(s, conf, h, err);
	if (r == 0)
		r = make_lock(s, h, err);
	if (r == 0 && h->n == 0)
		r = bf_service_check_files(&s->conf, err);
	if (r == 0)
		r = make_memory(s, conf, h, err);
	if (r == 0)
		r = make_state(s, h, err);
	if (r == 0)
		r = make_core(s, h, err);
	if (r == 0)
		r = make_socket(s, conf, h, err);
	if (r < 0)
		return r;
	r = bf_service_make_extras(s, &why);
	if (r == 0 || h->n == 0)
		return r == 0 ? 0 : bf_err(err, -r, "%s", why.msg);
	bf_log(&s->log, BELFRY_LOG_ERROR, "%s", why.msg); /* clients are worth more */
	return 0;
}

int bf_service_create(const struct bf_service_conf *conf, const struct bf_log *log,
		      const struct belfry_named_fd *fds, unsigned int n,
		      struct belfry_server **out, struct belfry_error *err)
{
	struct heirloom h = { fds, n, NULL };
	struct belfry_server *s = calloc(1, sizeof(*s));
	pthread_mutexattr_t checked;
	int r;

	if (!s)
		return bf_err(err, ENOMEM, "no memory for a server");
	s->lock_fd = s->memory = s->state = s->stop_fd = s->pid_fd = s->metrics_fd = -1;
	s->log = *log;
	pthread_mutexattr_init(&checked);
	pthread_mutexattr_settype(&checked, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&s->lock, &checked);
	pthread_mutexattr_destroy(&checked);
	r = build(s, conf, &h, err);
	free(h.by_id);
	if (r < 0) {
		belfry_server_destroy(s);
		return r;
	}
	bf_loop_submit(s->loop); /* from now on the descriptor tells */
	*out = s;
	return 0;
}

void belfry_server_destroy(struct belfry_server *s)
{
	if (!s || bf_service_enter(s, NULL) < 0)
		return;
	pthread_mutex_unlock(&s->lock);
	bf_service_end_thread(s);
	if (s->core) {
		bf_service_unstore(s);
		bf_service_remove_extras(s);
		bf_server_destroy(s->core);
	}
	if (s->made_shm)
		bf_memory_unlink_shm(&s->conf.shm, s->memory);
	bf_loop_destroy(s->loop);
	bf_close(&s->state);
	bf_close(&s->memory);
	if (s->lock_path)
		bf_lockfile_release(s->lock_path, s->lock_fd);
	free(s->held);
	free(s->path);
	free(s->lock_path);
	bf_schema_fini(bf_server_keys, &s->conf);
	free(s->conf.name);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
