/* SPDX-License-Identifier: MIT */
/*
 * cli/handover.c - descriptors from a process before us, to one after us, to systemd
 *
 * systemd's protocols are a few lines each, so they are here and not in a library:
 * sd_notify(3), a datagram to $NOTIFY_SOCKET, with a descriptor for its store
 * (FDSTORE=1); sd_listen_fds(3), descriptors from 3 on that $LISTEN_FDNAMES names. A
 * descriptor of the store has a name of ours; one of another name is the socket of a
 * .socket unit.
 *
 * An upgrade is execve(2): descriptors stay open where they are, and their names and
 * numbers are in a file that $BELFRY_HANDOVER is the descriptor of.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/handover.h"

#define LISTEN_FDS_START 3
#define HANDOVER         "BELFRY_HANDOVER"

/* --- what was there when we started --- */

static bool is_ours(const char *name)
{
	static const char *const names[] = { "lock",  "listen",    "memory", "shm",
					     "state", "activated", NULL };
	size_t digits = *name == 'p' ? strspn(name + 1, "0123456789") : 0;

	for (int i = 0; names[i]; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return digits > 0 && !name[1 + digits];
}

static bool add(struct inherited *in, const char *name, int fd)
{
	struct belfry_named_fd *fds;
	char *copy;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (!is_ours(name)) {
		in->socket = fd;
		return true;
	}
	fds = reallocarray(in->fds, in->n + 1, sizeof(*fds));
	copy = strdup(name);
	if (fds)
		in->fds = fds;
	if (!fds || !copy) {
		free(copy);
		return false;
	}
	in->fds[in->n++] = (struct belfry_named_fd){ copy, fd };
	return true;
}

/* From systemd: sd_listen_fds(3). */
static bool inherit_listen_fds(struct inherited *in)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	char *copy = strdup(names ? names : ""), *rest = copy, *name;
	bool fits = copy;
	int n = pid && count && atoi(pid) == getpid() ? atoi(count) : 0;

	for (int i = 0; i < n && fits; i++) {
		name = rest ? strsep(&rest, ":") : NULL;
		fits = add(in, name ? name : "", LISTEN_FDS_START + i);
	}
	free(copy);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return fits;
}

/* From ourselves: a line "name number" for each. */
static bool inherit_handover(struct inherited *in, const char *number)
{
	FILE *list = fdopen(atoi(number), "r");
	char name[16];
	bool fits = list;
	int fd;

	unsetenv(HANDOVER);
	if (!list)
		return false;
	rewind(list);
	while (fits && fscanf(list, "%15s %d", name, &fd) == 2)
		fits = add(in, name, fd);
	fclose(list);
	in->by_exec = true;
	return fits;
}

bool cli_inherit(struct inherited *in)
{
	const char *number = getenv(HANDOVER);

	*in = (struct inherited){ .socket = -1 };
	return number ? inherit_handover(in, number) : inherit_listen_fds(in);
}

void cli_inherit_fini(struct inherited *in)
{
	for (unsigned int i = 0; i < in->n; i++)
		free((char *)in->fds[i].name);
	free(in->fds);
	*in = (struct inherited){ .socket = -1 };
}

/* --- the service manager --- */

bool cli_is_notified(void)
{
	return getenv("NOTIFY_SOCKET");
}

/* Return: 0; a negative errno. */
static int notify(const char *text, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr hdr = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };
	const char *path = getenv("NOTIFY_SOCKET");
	struct cmsghdr *c;
	int sock, r;

	if (!path || strlen(path) >= sizeof(sa.sun_path))
		return -ENOENT;
	memcpy(sa.sun_path, path, strlen(path));
	hdr.msg_namelen = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	if (*path == '@') /* the abstract namespace */
		sa.sun_path[0] = '\0';
	if (fd >= 0) {
		hdr.msg_control = control;
		hdr.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	r = sendmsg(sock, &hdr, MSG_NOSIGNAL) < 0 ? -errno : 0;
	close(sock);
	return r;
}

void cli_notify(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (!cli_is_notified())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	notify(text, -1);
}

/* A carrier's other end is closed: systemd must not take that for the end of it. */
static int store_keep(void *user, const char *name, int fd)
{
	char text[64];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return notify(text, fd);
}

static void store_drop(void *user, const char *name)
{
	cli_notify("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

const struct belfry_server_store cli_store = {
	.size = sizeof(cli_store),
	.keep = store_keep,
	.drop = store_drop,
};

/* --- upgrade --- */

struct upgrade {
	const char *program;
	char **argv;
	FILE *list;
	int *fds; /* ours to close when it fails */
	unsigned int n;
};

static int become(struct upgrade *up)
{
	char number[16];
	int fd = fileno(up->list);

	if (fflush(up->list) != 0 || fcntl(fd, F_SETFD, 0) < 0)
		return -errno;
	snprintf(number, sizeof(number), "%d", fd);
	setenv(HANDOVER, number, 1);
	execv(up->program, up->argv);
	unsetenv(HANDOVER);
	return -errno;
}

/* Keep a descriptor across exec, and note where. */
static int hand_over(void *user, const char *name, int fd)
{
	struct upgrade *up = user;
	int *more;

	if (!name)
		return become(up);
	more = reallocarray(up->fds, up->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	up->fds = more;
	more[up->n] = fcntl(fd, F_DUPFD, LISTEN_FDS_START);
	if (more[up->n] < 0)
		return -errno;
	return fprintf(up->list, "%s %d\n", name, more[up->n++]) < 0 ? -EIO : 0;
}

void cli_upgrade(struct belfry_server *server, const char *program, char **argv)
{
	int fd = memfd_create("belfry-handover", MFD_CLOEXEC);
	struct upgrade up = { program, argv, fd < 0 ? NULL : fdopen(fd, "w+") };
	struct belfry_error err = { 0 };

	if (!up.list) {
		cli_say("upgrade: %s", strerror(errno));
		return;
	}
	if (belfry_server_handover(server, hand_over, &up, &err) < 0)
		cli_say("upgrade to %s failed, serving on: %s", program, err.msg);
	for (unsigned int i = 0; i < up.n; i++)
		close(up.fds[i]);
	free(up.fds);
	fclose(up.list);
}
