/* SPDX-License-Identifier: MIT */
/* cli/serve_socket.c - belfry serve: a socket that listens already, of a .socket unit */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <belfry-server.h>

#include "cli/serve.h"

/* The path that @sock is bound to; "": it has none. */
static void path_of(int sock, char *path, size_t size)
{
	struct sockaddr_un sa = { 0 };
	socklen_t len = sizeof(sa) - 1; /* the last byte stays 0 */

	if (getsockname(sock, (struct sockaddr *)&sa, &len) < 0 ||
	    sa.sun_family != AF_UNIX)
		sa.sun_path[0] = '\0';
	snprintf(path, size, "%s", sa.sun_path);
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* What @path is where nothing is said of it. Return: it (returns: free()); NULL. */
static char *default_path(const char *path)
{
	struct belfry_config *cfg = NULL;
	char *text = NULL;

	if (belfry_config_create(&cfg, NULL) == 0)
		belfry_config_get(cfg, path, &text, NULL);
	belfry_config_destroy(cfg);
	return text;
}

/* A path that was chosen must be the socket's. */
static int check_path(const char *key, const char *wanted, const char *bound,
		      struct belfry_error *err)
{
	char *chosen_by_nobody = default_path(key);
	bool fits = strcmp(wanted, bound) == 0 || is_same_file(wanted, bound) ||
		    (chosen_by_nobody && strcmp(wanted, chosen_by_nobody) == 0);

	free(chosen_by_nobody);
	if (fits)
		return 0;
	err->code = -EINVAL;
	snprintf(err->msg, sizeof(err->msg),
		 "path %.100s: the socket handed over is %.100s", wanted,
		 *bound ? bound : "without a path");
	return err->code;
}

static int use_socket(struct serve *sv, int sock, struct belfry_error *err)
{
	char key[96], bound[128], line[256], *wanted = NULL;
	int r;

	snprintf(key, sizeof(key), "servers.%s.path", sv->name);
	path_of(sock, bound, sizeof(bound));
	r = belfry_config_get(sv->cfg, key, &wanted, err);
	if (r == 0)
		r = check_path(key, wanted, bound, err);
	if (r == 0)
		r = belfry_config_set_fd(sv->cfg, key, sock, err);
	free(wanted);
	if (r < 0)
		return r;
	snprintf(line, sizeof(line), "%s: serves at the socket handed over, %s", sv->name,
		 *bound ? bound : "without a path");
	serve_log_info(sv, line);
	return 0;
}

int serve_use_socket(struct serve *sv, struct belfry_error *err)
{
	int sock = sv->inherited.socket, r;

	if (sock < 0)
		return 0;
	sv->inherited.socket = -1;
	if (sv->inherited.n_sockets == 1) {
		r = use_socket(sv, sock, err);
	} else {
		r = err->code = -EINVAL;
		snprintf(err->msg, sizeof(err->msg),
			 "%u sockets were handed over, and a server has one",
			 sv->inherited.n_sockets);
	}
	close(sock);
	return r;
}
