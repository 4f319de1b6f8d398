/* SPDX-License-Identifier: MIT */
/*
 * cli/handover.c - descriptors from a process before us, to one after us
 *
 * A descriptor of ours, which a store has held or which was there before an upgrade, has
 * a name of ours; one of another name is the socket of a .socket unit.
 *
 * An upgrade is execve(2): descriptors stay open where they are, and their names and
 * numbers are in a file that $BELFRY_HANDOVER is the descriptor of.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/handover.h"
#include "cli/systemd.h"

#define HANDOVER    "BELFRY_HANDOVER"
#define TRIAL_NS    5000000000LL /* of a program before it takes over */
#define TRIAL_LOOKS 1000

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
		if (in->n_sockets++ > 0)
			close(in->socket);
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

/* From systemd. */
static bool inherit_listen_fds(struct inherited *in)
{
	struct cli_listen_fds fds;
	int r = cli_listen_fds(&fds);
	bool fits = r == 0;

	errno = -r;
	for (int i = 0; i < fds.n && fits; i++)
		fits = add(in, fds.names ? fds.names[i] : "", fds.first + i);
	cli_listen_fds_fini(&fds);
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
	more[up->n] = fcntl(fd, F_DUPFD, STDERR_FILENO + 1);
	if (more[up->n] < 0)
		return -errno;
	return fprintf(up->list, "%s %d\n", name, more[up->n++]) < 0 ? -EIO : 0;
}

/* Start "PROGRAM --version", its output thrown away. Return: 0; an errno. */
static int start_trial(const char *program, pid_t *pid)
{
	char option[] = "--version";
	char *argv[] = { (char *)program, option, NULL };
	posix_spawn_file_actions_t quiet;
	int e;

	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no status */
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	e = posix_spawn(pid, program, &quiet, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&quiet);
	return e;
}

/*
 * Does @program run? When exec finds it, but not a library that it needs, the clients are
 * lost. Return: whether it does; else it is said.
 */
static bool try_program(const char *program)
{
	const struct timespec pause = { .tv_nsec = TRIAL_NS / TRIAL_LOOKS };
	pid_t pid, ended = 0;
	int e = start_trial(program, &pid), status = -1;

	for (int i = 0; e == 0 && ended == 0 && i < TRIAL_LOOKS; i++) {
		nanosleep(&pause, NULL);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (e == 0 && ended == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (e != 0)
		cli_say("upgrade to %s failed, serving on: %s", program, strerror(e));
	else if (status != 0)
		cli_say("upgrade to %s failed, serving on: its --version %s", program,
			ended == 0 ? "does not end" : "fails");
	return e == 0 && status == 0;
}

void cli_upgrade(struct belfry_server *server, const char *program, char **argv)
{
	struct upgrade up = { program, argv };
	struct belfry_error err = { 0 };
	int fd;

	if (!try_program(program))
		return;
	fd = memfd_create("belfry-handover", MFD_CLOEXEC);
	up.list = fd < 0 ? NULL : fdopen(fd, "w+");
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
