/* SPDX-License-Identifier: MIT */
/* ivshmem/service_extras.c - a server's status, control socket and files */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "ivshmem/lockfile.h"
#include "ivshmem/memory.h"
#include "ivshmem/server.h"
#include "ivshmem/service.h"
#include "ivshmem/status.h"

unsigned int belfry_server_capacity(struct belfry_server *s)
{
	uint64_t fit = s ? bf_server_fit(s->conf.vectors, s->store.keep) : 0;

	return s && fit > s->conf.clients_max ? s->conf.clients_max : fit;
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

char *bf_service_text(struct belfry_server *s, enum belfry_status_format format)
{
	struct bf_status status = status_of(s);

	return format == BELFRY_STATUS_JSON ? bf_status_json(s->core, &status)
					    : bf_status_prometheus(s->core, &status);
}

static char *tell_status(void *owner)
{
	return bf_service_text(owner, BELFRY_STATUS_JSON);
}

static int make_control(struct belfry_server *s, struct belfry_error *err)
{
	const struct bf_file *given = &s->conf.control;
	BF_FREE char *path = given->path ? strdup(given->path) : NULL;

	if (!path && s->path)
		path = bf_service_beside(s->path, ".control");
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

/* --- files --- */

struct written {
	const char *what;
	bool (*is_left)(int fd); /* is it what a server writes, or empty? */
};

static bool is_pid_file(int fd)
{
	bool left;

	return bf_lockfile_is_left(fd, &left);
}

static bool is_metrics(int fd)
{
	static const char start[] = "# HELP belfry_";
	char text[sizeof(start) - 1];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	return n == 0 || (n == sizeof(text) && memcmp(text, start, n) == 0);
}

static const struct written pid_file = { "pid file", is_pid_file };
static const struct written metrics = { "metrics file", is_metrics };

/*
 * A name may be mistyped, and what has it is replaced, and removed in the end: so it is
 * to be what a server has left there, and no link, device or file of somebody's.
 */
static int may_replace(const char *path, const struct written *as,
		       struct belfry_error *err)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	BF_CLOSE int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0) /* if there is more to it, making the file tells */
		return 0;
	if (!S_ISREG(st.st_mode)) /* opening it might do something already */
		return bf_err(err, EEXIST, "%s: cannot be the %s: it is %s", path,
			      as->what,
			      S_ISLNK(st.st_mode) ? "a symbolic link"
						  : "there, and no regular file");
	fd = open(path, flags);
	if (fd < 0)
		return bf_err_sys(err, errno, "%s", path);
	if (as->is_left(fd))
		return 0;
	return bf_err(err, EEXIST,
		      "%s: cannot be the %s: it is there, with something else in it",
		      path, as->what);
}

int bf_service_check_files(const struct bf_service_conf *conf, struct belfry_error *err)
{
	int r = 0;

	if (conf->pid_file.path)
		r = may_replace(conf->pid_file.path, &pid_file, err);
	if (r == 0 && conf->metrics.path)
		r = may_replace(conf->metrics.path, &metrics, err);
	return r;
}

/*
 * A file that was not there: what others may have put in its place is not followed. It is
 * for others to read: the umask is the socket's.
 * Return: a descriptor (returns) that it can be told by; a negative errno.
 */
static int make_file(const char *path, const struct written *as, const char *text,
		     struct belfry_error *err)
{
	BF_CLOSE int fd = -1;
	const size_t len = strlen(text);
	ssize_t n;
	int r = may_replace(path, as, err);

	if (r < 0)
		return r;
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return bf_err_sys(err, errno, "%s", path);
	n = fchmod(fd, 0644) == 0 ? write(fd, text, len) : -1;
	if (n >= 0 && (size_t)n == len)
		return bf_take(&fd);
	bf_err_sys(err, n < 0 ? errno : ENOSPC, "%s", path);
	unlink(path);
	return err->code;
}

/*
 * Write a file so that readers see the old one or the new one. *@fd tells which is ours:
 * as long as it is open no other file has the number of its inode.
 */
static int write_file(const char *path, const struct written *as, const char *text,
		      int *fd, struct belfry_error *err)
{
	BF_FREE char *new = bf_service_beside(path, ".new");
	BF_CLOSE int made = -1;
	int r;

	if (!new)
		return bf_err(err, ENOMEM, "%s: out of memory", path);
	made = make_file(new, as, text, err);
	if (made < 0)
		return made;
	r = may_replace(path, as, err);
	if (r == 0 && rename(new, path) < 0)
		r = bf_err_sys(err, errno, "%s", path);
	if (r < 0) {
		unlink(new);
		return r;
	}
	bf_close(fd);
	*fd = bf_take(&made);
	return 0;
}

static int write_metrics(struct belfry_server *s, struct belfry_error *err)
{
	BF_FREE char *text = bf_service_text(s, BELFRY_STATUS_PROMETHEUS);

	if (!text)
		return bf_err(err, ENOMEM, "no memory for the metrics");
	return write_file(s->conf.metrics.path, &metrics, text, &s->metrics_fd, err);
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
		r = write_file(s->conf.pid_file.path, &pid_file, pid, &s->pid_fd, err);
	if (r < 0 || !s->conf.metrics.path)
		return r;
	r = write_metrics(s, err);
	s->metrics_op.done = metrics_due;
	if (r == 0)
		bf_loop_timer(s->loop, &s->metrics_op,
			      s->conf.metrics_interval * BF_NS_PER_S);
	return r;
}

int bf_service_make_extras(struct belfry_server *s, struct belfry_error *err)
{
	int r = make_control(s, err);

	return r == 0 ? make_files(s, err) : r;
}

void bf_service_remove_extras(struct belfry_server *s)
{
	bf_control_stop(&s->control);
	bf_loop_cancel(s->loop, &s->metrics_op);
	bf_lockfile_release(s->conf.metrics.path, bf_take(&s->metrics_fd));
	bf_lockfile_release(s->conf.pid_file.path, bf_take(&s->pid_fd));
}
