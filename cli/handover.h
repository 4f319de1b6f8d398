/* SPDX-License-Identifier: MIT */
/* cli/handover.h - descriptors from a process before us, to one after us */
#ifndef CLI_HANDOVER_H
#define CLI_HANDOVER_H

#include <stdbool.h>

#include <belfry-server.h>

/* Descriptors that were there when we started. Their names are malloc'ed. */
struct inherited {
	struct belfry_named_fd *fds;
	unsigned int n;
	bool by_exec; /* from ourselves, before an upgrade */
	int socket;   /* of socket activation; -1: none */
	unsigned int n_sockets;
};

/* Take over what the environment tells of, and clear it. Return: whether it worked. */
bool cli_inherit(struct inherited *in);
void cli_inherit_fini(struct inherited *in);

/*
 * Become the program that we were started from, which may be a new one by now, with the
 * same arguments and all that belongs to @server. Returns when that fails.
 */
void cli_upgrade(struct belfry_server *server, const char *program, char **argv);

#endif
