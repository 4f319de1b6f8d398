/* SPDX-License-Identifier: MIT */
/* cli/no_systemd.c - a program without libsystemd: no service manager, and it says so */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/systemd.h"

const char cli_systemd_help[] =
	"systemd: none, built without libsystemd: no readiness, no socket activation, no "
	"store\n";

int cli_listen_fds(struct cli_listen_fds *out)
{
	const char *pid = getenv("LISTEN_PID");

	*out = (struct cli_listen_fds){ 0 };
	if (!pid || atoi(pid) != getpid())
		return 0;
	cli_say("built without libsystemd: it cannot use the sockets of a .socket unit");
	return -EOPNOTSUPP;
}

void cli_listen_fds_fini(struct cli_listen_fds *fds)
{
}

bool cli_is_notified(void)
{
	return false;
}

void cli_notify(const char *fmt, ...)
{
}

static int store_keep(void *user, const char *name, int fd)
{
	return -EOPNOTSUPP;
}

static void store_drop(void *user, const char *name)
{
}

const struct belfry_server_store cli_store = {
	.size = sizeof(cli_store),
	.keep = store_keep,
	.drop = store_drop,
};
