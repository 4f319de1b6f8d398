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

int serve_print_status(const char *path)
{
	const size_t len = strlen(path), tail = strlen(".control");
	bool is_control = len > tail && strcmp(path + len - tail, ".control") == 0;
	char control[256], part[4097];
	int sock, status = CLI_NO_SERVER; /* one that says nothing is none */
	ssize_t n;

	snprintf(control, sizeof(control), "%s%s", path, is_control ? "" : ".control");
	sock = connect_to(control);
	if (sock < 0) {
		cli_say("%s: %s", control, strerror(errno));
		return CLI_NO_SERVER;
	}
	while ((n = read(sock, part, sizeof(part) - 1)) > 0) {
		part[n] = '\0';
		status = cli_print(part);
		if (status != CLI_OK)
			break;
	}
	if (n < 0 || status == CLI_NO_SERVER) {
		cli_say("%s: the server says %s", control,
			status == CLI_NO_SERVER ? "nothing" : "no more");
		status = CLI_NO_SERVER;
	}
	close(sock);
	return status;
}
