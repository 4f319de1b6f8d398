/* SPDX-License-Identifier: MIT */
/*
 * cli/systemd.c - the service manager, by libsystemd
 *
 * sd_listen_fds(3): the sockets of a .socket unit, and what its store holds of ours;
 * sd_notify(3): readiness, and what it is to store (FDSTORE=1).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <systemd/sd-daemon.h>

#include "cli/systemd.h"

const char cli_systemd_help[] =
	"systemd: readiness, socket activation and descriptor store, by libsystemd\n";

int cli_listen_fds(struct cli_listen_fds *out)
{
	int n;

	*out = (struct cli_listen_fds){ .first = SD_LISTEN_FDS_START };
	n = sd_listen_fds_with_names(1, &out->names);
	if (n < 0)
		return n;
	out->n = n;
	return 0;
}

void cli_listen_fds_fini(struct cli_listen_fds *fds)
{
	for (int i = 0; fds->names && i < fds->n; i++)
		free(fds->names[i]);
	free(fds->names);
	*fds = (struct cli_listen_fds){ 0 };
}

bool cli_is_notified(void)
{
	return getenv("NOTIFY_SOCKET");
}

void cli_notify(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sd_notify(0, text);
}

/* A carrier's other end is closed: systemd must not take that for the end of it. */
static int store_keep(void *user, const char *name, int fd)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	return r == 0 ? -ENOENT : r < 0 ? r : 0;
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
