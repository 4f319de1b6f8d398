/* SPDX-License-Identifier: MIT */
/* cli/serve.h - what the files of belfry serve share */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include <stdbool.h>

#include "cli/cli.h"
#include "cli/handover.h"

#define SERVE_VALUES_MAX 64

/* An option that is a key of the server. */
struct value {
	const char *key;
	const char *text;
};

struct serve {
	struct cli_sources sources;
	struct value values[SERVE_VALUES_MAX];
	unsigned int n_values;
	const char *wanted; /* the server's name, as --name has it; NULL: the only one */
	const char *status; /* ask this server how it is, instead */
	bool daemonize;

	char program[4096];
	char **argv; /* for an upgrade: the program's */
	struct inherited inherited;
	struct belfry_config *cfg;
	const char *name;
	struct belfry_server *server;
	int signals; /* signalfd */
	int parent;  /* who waits for us to be ready; -1: nobody */
};

/*
 * Take in the command line. *@done: there is nothing to do but to end: help was printed.
 * Return: CLI_OK; another status, said.
 */
int serve_parse(struct serve *sv, int argc, char **argv, bool *done);

/* Before descriptors may be short. */
void serve_open_log(const struct serve *sv);

/* Where lines of the log go. */
belfry_log_fn *serve_log_of(const struct serve *sv);

/* A line of the program's own, of level info, unless log_level leaves out such. */
void serve_log_info(const struct serve *sv, const char *line);

/* What cli_say() says goes there, too, from now on. */
void serve_say_to_log(const struct serve *sv);

/*
 * Serve at the socket that was handed over, if there is one.
 * Return: 0; -EINVAL when there are several, or the configuration names another path.
 */
int serve_use_socket(struct serve *sv, struct belfry_error *err);

/* Print how the server at @path is, its control socket or beside it. Return: a status. */
int serve_print_status(const char *path);

#endif
