/* SPDX-License-Identifier: MIT */
/* cli/serve_status.c - belfry serve --status: asking another server */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/serve.h"

#define PATIENCE_S 5 /* with a server that says nothing */

static int connect_to(const char *path)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience,
		   sizeof(patience)); /* connect */
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

/* Whether connecting to @path would be joining: a link's socket has a lock beside it. */
static bool is_link(const char *path)
{
	char lock[256];

	snprintf(lock, sizeof(lock), "%s.lock", path);
	return access(path, F_OK) == 0 && access(lock, F_OK) == 0;
}

/*
 * The control socket of @path, or what is at @path itself: it may be one. @name is filled
 * in with which. Return: a socket (returns); -1 and errno, EPROTOTYPE for a link's.
 */
static int connect_to_control(const char *path, char *name, size_t size)
{
	int sock;

	snprintf(name, size, "%s.control", path);
	sock = connect_to(name);
	if (sock >= 0 || (errno != ENOENT && errno != ENAMETOOLONG))
		return sock;
	snprintf(name, size, "%s", path);
	if (!is_link(path))
		return connect_to(path);
	errno = EPROTOTYPE;
	return -1;
}

static int no_control(const char *name)
{
	cli_say("%s: no control socket: belfry serve --control says where it is", name);
	return CLI_NO_SERVER;
}

/* Print all that is said. Return: CLI_OK; CLI_NO_SERVER: nothing, or no status. */
static int print_all(int sock, const char *name)
{
	int status = CLI_NO_SERVER;
	char part[4097];
	ssize_t n;

	while ((n = read(sock, part, sizeof(part) - 1)) > 0) {
		part[n] = '\0';
		if (status == CLI_NO_SERVER && *part != '{')
			return no_control(name);
		status = cli_print(part);
		if (status != CLI_OK)
			return status;
	}
	if (n == 0 && status == CLI_OK)
		return CLI_OK;
	cli_say("%s: the server says %s", name, status == CLI_OK ? "no more" : "nothing");
	return CLI_NO_SERVER;
}

int serve_print_status(const char *path)
{
	char name[256];
	int sock = connect_to_control(path, name, sizeof(name)), status;

	if (sock < 0 && errno == EPROTOTYPE)
		return no_control(name);
	if (sock < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			cli_say("%s: nobody listens, start the ivshmem server", path);
		else
			cli_say("%s: %s", name, strerror(errno));
		return CLI_NO_SERVER;
	}
	status = print_all(sock, name);
	close(sock);
	return status;
}
