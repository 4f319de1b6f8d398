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
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <belfry-server.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/thread.h"
#include "ivshmem/control.h"
#include "ivshmem/listen.h"
#include "ivshmem/lockfile.h"
#include "ivshmem/memory.h"
#include "ivshmem/policy.h"
#include "ivshmem/roster.h"
#include "ivshmem/server.h"
#include "ivshmem/server_conf.h"
#include "ivshmem/status.h"
#include "ivshmem/wire.h"

#define OTHER_FDS 32 /* of the process, that are no clients' */
#define IDS       (BF_IVSHMEM_ID_MAX + 1)

struct belfry_server {
	pthread_mutex_t lock;
	struct bf_service_conf conf;
	struct bf_log log;
	struct bf_loop *loop;
	struct bf_server *core;
	char *path;      /* of the socket; NULL: it has none */
	char *lock_path; /* NULL: none */
	int lock_fd;
	int memory;
	int state;
	bool made_shm;
	bool inherited_memory;
	bool anew;      /* nothing is known of clients of a server before */
	bool activated; /* the socket was not made by us, nor by who was before us */
	struct bf_control control;
	struct bf_op metrics_op;
	struct belfry_server_store store;
	bool *held; /* by ID: we were handed its carrier, and the store may have it */
	bool has_thread;
	pthread_t thread;
	int stop_fd; /* eventfd: the thread is to end */
};

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

	s->held = calloc(IDS, sizeof(*s->held));
	h->by_id = malloc(IDS * sizeof(*h->by_id));
	if (!h->by_id || !s->held)
		return bf_err(err, ENOMEM, "no memory for %u descriptors", h->n);
	memset(h->by_id, -1, IDS * sizeof(*h->by_id));
	for (unsigned int i = 0; i < h->n; i++) {
		id = id_of(h->fds[i].name);
		if (id < 0)
			continue;
		h->by_id[id] = h->fds[i].fd;
		s->held[id] = true;
	}
	return 0;
}

/* --- the parts, in the order they are made --- */

static int copy_conf(struct bf_service_conf *to, const struct bf_service_conf *from,
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

/* @path with @suffix. Return: it (returns); NULL. */
static char *beside(const char *path, const char *suffix)
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

static int find_path(struct belfry_server *s, const struct bf_service_conf *conf,
		     struct belfry_error *err)
{
	s->path = conf->path.fd >= 0 ? path_of(conf->path.fd) : strdup(conf->path.path);
	if (s->path)
		s->lock_path = beside(s->path, ".lock");
	if (conf->path.fd < 0 && !s->lock_path)
		return bf_err(err, ENOMEM, "%s: out of memory", conf->name);
	return 0;
}

static int make_lock(struct belfry_server *s, const struct heirloom *h,
		     struct belfry_error *err)
{
	if (!s->lock_path)
		return 0;
	s->lock_fd = inherit(h, "lock");
	if (s->lock_fd < 0)
		s->lock_fd = bf_lockfile_take(s->lock_path, err);
	return s->lock_fd < 0 ? s->lock_fd : 0;
}

static int make_memory(struct belfry_server *s, const struct bf_service_conf *conf,
		       const struct heirloom *h, struct belfry_error *err)
{
	s->memory = inherit(h, "memory");
	if (s->memory < 0) {
		s->memory = inherit(h, "shm");
		s->made_shm = s->memory >= 0;
	}
	s->inherited_memory = s->memory >= 0;
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
	int had;

	if (h->n == 0)
		return begin_anew(s, err);
	s->state = inherit(h, "state");
	had = s->state < 0 ? -ENOENT : bf_roster_vectors_in(s->state);
	if (had < 0 || !s->inherited_memory) {
		bf_log(&s->log, BELFRY_LOG_ERROR,
		       "%s: begins anew: of the server before, %s", s->conf.name,
		       !s->inherited_memory ? "the memory is lost"
		       : s->state < 0       ? "the state is lost"
					    : "the state is one of another version");
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

static int parse_limits(struct bf_limits *out, const struct bf_service_conf *conf,
			struct belfry_error *err)
{
	struct bf_limits limits = {
		.queue_max = conf->queue / BF_WIRE_SIZE,
		.stall_ns = conf->stall * BF_NS_PER_S,
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

/* The least severe line that is of interest to our user and to the configuration. */
static enum belfry_log_level level_of(const struct belfry_server *s,
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
		r = parse_limits(&limits, &s->conf, err);
	if (r < 0)
		return r;
	r = bf_server_create(&s->core, s->loop, &conf, &s->log, err);
	if (r < 0) {
		bf_limits_fini(&limits);
		return r;
	}
	bf_server_set_limits(s->core, &limits);
	bf_server_set_level(s->core, level_of(s, &s->conf));
	return s->anew ? 0 : bf_server_restore(s->core, carrier_of, h, err);
}

static int set_access(struct bf_listener_conf *listen, const struct bf_service_conf *conf,
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
	struct bf_listener_conf listen = { .path = s->path ? s->path : s->conf.name };
	int r = set_access(&listen, conf, err);

	if (r < 0)
		return r;
	listen.sock = inherit(h, "listen");
	s->activated = listen.sock < 0;
	if (listen.sock < 0)
		listen.sock = inherit(h, "activated");
	if (listen.sock < 0 && conf->path.fd >= 0)
		listen.sock = fcntl(conf->path.fd, F_DUPFD_CLOEXEC, 0);
	s->activated = s->activated && listen.sock >= 0;
	listen.foreign = s->activated;
	return bf_server_listen_as(s->core, &listen, err);
}

/* --- status, control, files --- */

unsigned int belfry_server_capacity(struct belfry_server *s)
{
	struct rlimit limit = { 0 };
	uint64_t fit;

	if (!s)
		return 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < OTHER_FDS)
		return 0;
	fit = (limit.rlim_cur - OTHER_FDS) / (1 + s->conf.vectors);
	return fit < s->conf.clients_max ? fit : s->conf.clients_max;
}

static struct bf_status status_of(struct belfry_server *s)
{
	struct stat st = { 0 };

	fstat(s->memory, &st);
	return (struct bf_status){ .name = s->conf.name,
				   .path = s->path ? s->path : "",
				   .size = st.st_size,
				   .capacity = belfry_server_capacity(s) };
}

static char *tell_status(void *owner)
{
	struct belfry_server *s = owner;
	struct bf_status status = status_of(s);

	return bf_status_json(s->core, &status);
}

static int make_control(struct belfry_server *s, struct belfry_error *err)
{
	const struct bf_file *given = &s->conf.control;
	BF_FREE char *path = given->path ? strdup(given->path) : NULL;

	if (!path && s->path)
		path = beside(s->path, ".control");
	if (!path)
		return 0;
	if (!given->path && strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		bf_log(&s->log, BELFRY_LOG_WARNING,
		       "%s: no control socket, %s is too long for one", s->conf.name,
		       path);
		return 0;
	}
	return bf_control_start(&s->control, s->loop, path, tell_status, s, &s->log, err);
}

/* Write a file so that readers see the old one or the new one. */
static int write_file(const char *path, const char *text, struct belfry_error *err)
{
	BF_FREE char *new = beside(path, ".new");
	FILE *out = new ? fopen(new, "we") : NULL;
	bool failed;

	if (!new)
		return bf_err(err, ENOMEM, "%s: out of memory", path);
	if (!out)
		return bf_err_sys(err, errno, "%s", new);
	failed = fputs(text, out) < 0;
	failed |= fclose(out) != 0;
	if (!failed && rename(new, path) == 0)
		return 0;
	bf_err_sys(err, errno, "%s", path);
	unlink(new);
	return -EIO;
}

static int write_metrics(struct belfry_server *s, struct belfry_error *err)
{
	struct bf_status status = status_of(s);
	BF_FREE char *text = bf_status_prometheus(s->core, &status);

	return text ? write_file(s->conf.metrics.path, text, err)
		    : bf_err(err, ENOMEM, "no memory for the metrics");
}

static void metrics_due(struct bf_op *op, int res)
{
	struct belfry_server *s = BF_CONTAINER_OF(op, struct belfry_server, metrics_op);
	struct belfry_error err;

	if (res == -ECANCELED)
		return;
	if (write_metrics(s, &err) < 0)
		bf_log(&s->log, BELFRY_LOG_WARNING, "%s: metrics: %s", s->conf.name,
		       err.msg);
	bf_loop_timer(s->loop, op, s->conf.metrics_interval * BF_NS_PER_S);
}

static int make_files(struct belfry_server *s, struct belfry_error *err)
{
	char pid[16];
	int r = 0;

	snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (s->conf.pid_file.path)
		r = write_file(s->conf.pid_file.path, pid, err);
	if (r < 0 || !s->conf.metrics.path)
		return r;
	r = write_metrics(s, err);
	s->metrics_op.done = metrics_due;
	if (r == 0)
		bf_loop_timer(s->loop, &s->metrics_op,
			      s->conf.metrics_interval * BF_NS_PER_S);
	return r;
}

/* What clients can do without. */
static int make_extras(struct belfry_server *s, struct belfry_error *err)
{
	int r = make_control(s, err);

	return r == 0 ? make_files(s, err) : r;
}

/* --- the whole --- */

static int build(struct belfry_server *s, const struct bf_service_conf *conf,
		 struct heirloom *h, struct belfry_error *err)
{
	struct belfry_error why;
	int r = copy_conf(&s->conf, conf, err);

	if (r == 0)
		r = find_path(s, conf, err);
	if (r == 0)
		r = make_lock(s, h, err);
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
	r = make_extras(s, &why);
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
	int r;

	if (!s)
		return bf_err(err, ENOMEM, "no memory for a server");
	s->lock_fd = s->memory = s->state = s->stop_fd = -1;
	s->log = *log;
	pthread_mutex_init(&s->lock, NULL);
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

static void end_thread(struct belfry_server *s)
{
	if (s->has_thread) {
		eventfd_write(s->stop_fd, 1);
		pthread_join(s->thread, NULL);
	}
	bf_close(&s->stop_fd);
}

/* All but the clients. */
static void drop_parts(const struct belfry_server_store *store)
{
	static const char *const names[] = { "listen", "lock", "memory", "shm", "state" };

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++)
		store->drop(store->user, names[i]);
}

static void drop_from_store(struct belfry_server *s)
{
	if (!s->store.drop)
		return;
	bf_server_unstore_all(s->core);
	drop_parts(&s->store);
}

static void remove_files(struct belfry_server *s)
{
	if (s->conf.metrics.path)
		unlink(s->conf.metrics.path);
	if (s->conf.pid_file.path)
		unlink(s->conf.pid_file.path);
	if (s->made_shm)
		bf_memory_unlink_shm(&s->conf.shm);
}

void belfry_server_destroy(struct belfry_server *s)
{
	if (!s)
		return;
	end_thread(s);
	if (s->core) {
		drop_from_store(s);
		bf_control_stop(&s->control);
		bf_loop_cancel(s->loop, &s->metrics_op);
		bf_server_destroy(s->core);
		remove_files(s);
	}
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

/* --- the loop --- */

/* Whoever polls is to come and process what another thread has started. */
static void leave(struct belfry_server *s)
{
	bf_loop_wake(s->loop);
	pthread_mutex_unlock(&s->lock);
}

int belfry_server_fd(const struct belfry_server *s)
{
	return s ? bf_loop_fd(s->loop) : -EINVAL;
}

static int process(struct belfry_server *s)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = bf_loop_process(s->loop);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int belfry_server_process(struct belfry_server *s, struct belfry_error *err)
{
	int r;

	if (!s)
		return bf_err(err, EINVAL, "belfry_server_process: NULL argument");
	if (s->has_thread)
		return bf_err(err, EBUSY, "%s: a thread processes it", s->conf.name);
	r = process(s);
	return r < 0 ? bf_err_sys(err, -r, "%s: io_uring_enter", s->conf.name) : 0;
}

static void *thread_main(void *arg)
{
	struct belfry_server *s = arg;
	struct pollfd fds[] = { { .fd = bf_loop_fd(s->loop), .events = POLLIN },
				{ .fd = s->stop_fd, .events = POLLIN } };
	int r = 0;

	while (r == 0) {
		r = process(s);
		poll(fds, 2, -1);
		if (fds[1].revents)
			return NULL;
	}
	bf_log(&s->log, BELFRY_LOG_ERROR, "%s: %s", s->conf.name, strerrordesc_np(-r));
	return NULL;
}

static int start(struct belfry_server *s, struct belfry_error *err)
{
	int r;

	if (s->has_thread)
		return bf_err(err, EBUSY, "%s: started before", s->conf.name);
	if (s->stop_fd < 0)
		s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0)
		return bf_err_sys(err, errno, "%s: eventfd", s->conf.name);
	r = bf_thread_create(&s->thread, NULL, thread_main, s);
	if (r)
		return bf_err_sys(err, r, "%s: thread", s->conf.name);
	s->has_thread = true;
	return 0;
}

int belfry_server_start(struct belfry_server *s, struct belfry_error *err)
{
	int r;

	if (!s)
		return bf_err(err, EINVAL, "belfry_server_start: NULL argument");
	pthread_mutex_lock(&s->lock);
	r = start(s, err);
	leave(s);
	return r;
}

/* --- clients --- */

int belfry_server_add(struct belfry_server *s, int sock, struct belfry_error *err)
{
	int r;

	if (!s || sock < 0) {
		bf_close(&sock);
		return bf_err(err, EINVAL, "belfry_server_add: %s",
			      s ? "a negative descriptor" : "NULL argument");
	}
	pthread_mutex_lock(&s->lock);
	r = bf_server_add(s->core, sock, err);
	leave(s);
	return r;
}

int belfry_server_drop(struct belfry_server *s, uint32_t id, const char *why,
		       struct belfry_error *err)
{
	int r;

	if (!s || !why)
		return bf_err(err, EINVAL, "belfry_server_drop: NULL argument");
	pthread_mutex_lock(&s->lock);
	r = bf_server_drop(s->core, id, why);
	leave(s);
	return r < 0 ? bf_err(err, -r, "%s: there is no peer %u", s->conf.name, id) : 0;
}

int belfry_server_memory(const struct belfry_server *s)
{
	return s ? s->memory : -EINVAL;
}

int belfry_server_peers(struct belfry_server *s, struct belfry_server_peer *peers,
			unsigned int max)
{
	int n;

	if (!s || (!peers && max > 0))
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	n = bf_server_peers(s->core, peers, max);
	pthread_mutex_unlock(&s->lock);
	return n;
}

int belfry_server_stats(struct belfry_server *s, struct belfry_server_stats *stats)
{
	if (!s || !stats || stats->size < sizeof(*stats))
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	bf_server_stats(s->core, stats);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int belfry_server_status(struct belfry_server *s, enum belfry_status_format format,
			 char **out, struct belfry_error *err)
{
	struct bf_status status;
	char *text;

	if (!s || !out)
		return bf_err(err, EINVAL, "belfry_server_status: NULL argument");
	if (format != BELFRY_STATUS_JSON && format != BELFRY_STATUS_PROMETHEUS)
		return bf_err(err, EINVAL, "status format %d: expected 0 to %d",
			      (int)format, BELFRY_STATUS_PROMETHEUS);
	pthread_mutex_lock(&s->lock);
	status = status_of(s);
	text = format == BELFRY_STATUS_JSON ? bf_status_json(s->core, &status)
					    : bf_status_prometheus(s->core, &status);
	pthread_mutex_unlock(&s->lock);
	if (!text)
		return bf_err(err, ENOMEM, "status: out of memory");
	*out = text;
	return 0;
}

/* --- changes --- */

/* May the value of @key change while the server runs? */
static bool may_change(const struct bf_key *key)
{
	static const char *const names[] = { "allow_uids",  "allow_gids",
					     "clients_max", "clients_per_uid",
					     "queue",       "stall",
					     "log_level" };

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++)
		if (strcmp(key->name, names[i]) == 0)
			return true;
	return false;
}

static bool differs(const struct bf_key *key, const void *a, const void *b)
{
	struct bf_size_text na, nb;
	const char *ta = bf_schema_text(key, a, &na);
	const char *tb = bf_schema_text(key, b, &nb);

	return ta && tb ? strcmp(ta, tb) != 0 : ta != tb;
}

/* Make @own what @now says, as far as that is possible. */
static int merge(struct belfry_server *s, struct bf_service_conf *own,
		 const struct bf_service_conf *now, struct belfry_error *err)
{
	struct bf_size_text number;
	const char *text;
	int r = 0;

	for (const struct bf_key *key = bf_server_keys; key->name && r == 0; key++) {
		if (!differs(key, own, now))
			continue;
		if (!may_change(key)) {
			bf_log(&s->log, BELFRY_LOG_WARNING,
			       "%s: %s stays as it is until the server starts anew",
			       s->conf.name, key->name);
			continue;
		}
		text = bf_schema_text(key, now, &number);
		if (text)
			r = bf_schema_set(key, own, text, err);
		else /* a text that is not given any more */
			free(bf_take_ptr((char **)((char *)own + key->at)));
	}
	return r;
}

int bf_service_reload(struct belfry_server *s, const struct bf_service_conf *conf,
		      struct belfry_error *err)
{
	struct bf_limits limits;
	int r = parse_limits(&limits, conf, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = merge(s, &s->conf, conf, err);
	if (r == 0) {
		bf_server_set_limits(s->core, &limits);
		bf_server_set_level(s->core, level_of(s, conf));
	}
	leave(s);
	bf_limits_fini(&limits);
	return r;
}

/* --- outliving the process --- */

/* What @fn is to get, and where it goes. */
struct outlet {
	struct belfry_server *server;
	int (*fn)(void *user, const char *name, int fd);
	void *user;
};

static int hand_client(void *owner, const char *name, int fd, struct belfry_error *err)
{
	const struct outlet *o = owner;
	int r = o->fn(o->user, name, fd);

	return r < 0 ? bf_err_sys(err, -r, "%s: handing over %s", o->server->conf.name,
				  name)
		     : 0;
}

/* Hand over all but the clients; @all: the socket, too, if it came by activation. */
static int hand_parts(const struct outlet *o, bool all, struct belfry_error *err)
{
	const struct belfry_server *s = o->server;
	const struct belfry_named_fd parts[] = {
		{ "lock", s->lock_fd },
		{ s->made_shm ? "shm" : "memory", s->memory },
		{ "state", s->state },
		{ s->activated ? "activated" : "listen", bf_server_socket(s->core) },
	};
	int r = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(parts) && r == 0; i++) {
		if (parts[i].fd < 0 || (!all && !strcmp(parts[i].name, "activated")))
			continue;
		r = hand_client((void *)o, parts[i].name, parts[i].fd, err);
	}
	return r;
}

static void store_drop(void *owner, const char *name)
{
	struct belfry_server *s = owner;

	s->store.drop(s->store.user, name);
}

static int store_keep(void *owner, const char *name, int fd, struct belfry_error *err)
{
	struct belfry_server *s = owner;
	const struct outlet o = { s, s->store.keep, s->store.user };

	return hand_client((void *)&o, name, fd, err);
}

/* What the store still holds of clients that have been forgotten meanwhile. */
static void drop_unknown(struct belfry_server *s)
{
	char name[16];

	for (unsigned int id = 0; s->held && id < IDS; id++) {
		if (!s->held[id] || bf_server_knows(s->core, id))
			continue;
		snprintf(name, sizeof(name), "p%u", id);
		s->store.drop(s->store.user, name);
	}
	free(bf_take_ptr(&s->held));
}

static int set_store(struct belfry_server *s, const struct belfry_server_store *store,
		     int holds, struct belfry_error *err)
{
	const struct bf_store core = { store_keep, store_drop, s };
	const struct outlet o = { s, store->keep, store->user };
	int r = 0;

	s->store = *store;
	if (holds && s->anew)
		drop_parts(store); /* those of the server before */
	if (!holds || s->anew)
		r = hand_parts(&o, false, err);
	if (r == 0 && (!holds || s->anew))
		r = bf_server_store_all(s->core, &core, err);
	if (r < 0) {
		s->store = (struct belfry_server_store){ 0 };
		return r;
	}
	bf_server_set_store(s->core, &core);
	drop_unknown(s);
	return 0;
}

int belfry_server_set_store(struct belfry_server *s,
			    const struct belfry_server_store *store, int holds,
			    struct belfry_error *err)
{
	int r;

	if (!s || !store || store->size < sizeof(*store) || !store->keep || !store->drop)
		return bf_err(err, EINVAL,
			      "belfry_server_set_store: NULL argument, or "
			      "size not set");
	pthread_mutex_lock(&s->lock);
	r = set_store(s, store, holds, err);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int hand_all(struct belfry_server *s, const struct outlet *o,
		    struct belfry_error *err)
{
	const struct bf_store core = { .keep = hand_client, .owner = (void *)o };
	int r = hand_parts(o, true, err);

	if (r == 0)
		r = bf_server_store_all(s->core, &core, err);
	if (r == 0) {
		r = o->fn(o->user, NULL, -1);
		if (r < 0)
			bf_err_sys(err, -r, "%s: handing over", s->conf.name);
	}
	return r;
}

int belfry_server_handover(struct belfry_server *s,
			   int (*fn)(void *user, const char *name, int fd), void *user,
			   struct belfry_error *err)
{
	const struct outlet o = { s, fn, user };
	int r;

	if (!s || !fn)
		return bf_err(err, EINVAL, "belfry_server_handover: NULL argument");
	pthread_mutex_lock(&s->lock);
	bf_server_pause(s->core);
	r = hand_all(s, &o, err);
	bf_server_go_on(s->core);
	leave(s);
	return r;
}
