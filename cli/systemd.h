/* SPDX-License-Identifier: MIT */
/* cli/systemd.h - the service manager, by libsystemd; nothing, in a program without it */
#ifndef CLI_SYSTEMD_H
#define CLI_SYSTEMD_H

#include <stdbool.h>

#include <belfry-server.h>

/* What of it this program has: a line for --help. */
extern const char cli_systemd_help[];

/* Descriptors that were handed to us, from the first of them on. */
struct cli_listen_fds {
	int first;
	int n;
	char **names; /* NULL, or as many, malloc'ed */
};

/* Take them over, and clear the environment of them. Return: 0; a negative errno. */
int cli_listen_fds(struct cli_listen_fds *out);
void cli_listen_fds_fini(struct cli_listen_fds *fds);

/* Whether there is a service manager to talk to (sd_notify(3)). */
bool cli_is_notified(void);

/* Tell it "READY=1" and the like; does nothing without one. */
__attribute__((format(printf, 1, 2))) void cli_notify(const char *fmt, ...);

/* systemd's descriptor store. */
extern const struct belfry_server_store cli_store;

#endif
