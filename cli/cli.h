/* SPDX-License-Identifier: MIT */
/* cli/cli.h - what the commands of the program belfry share */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <getopt.h>

#include <belfry.h>

/* Exit statuses; belfry(1) documents them. */
enum cli_status {
	CLI_OK = 0,            /* done; the guest powered off */
	CLI_FAILURE = 1,       /* none of the others */
	CLI_USAGE = 2,         /* bad command line */
	CLI_BAD_CONFIG = 3,    /* bad configuration, or what it names does not fit */
	CLI_NO_HOST = 4,       /* the host lacks a feature, or permits it not */
	CLI_NO_SERVER = 5,     /* an ivshmem server is absent, silent or wrong */
	CLI_TIMEOUT = 6,       /* peer: no ring came in time */
	CLI_BUSY = 7,          /* serve: another server is at that path */
	CLI_WORSE = 10,        /* bench: slower than the baseline */
	CLI_NOISY = 11,        /* bench: too noisy to tell */
	CLI_CANNOT = 12,       /* bench: what is asked for cannot run here */
	CLI_RESET = 32,        /* the guest asked for a reset */
	CLI_CRASH = 33,        /* the guest crashed */
	CLI_GUEST_STATUS = 64, /* + the status a guest ended with */
	CLI_SIGNAL = 128,      /* + the signal that ended us */
};
#define CLI_GUEST_STATUS_MAX 63 /* larger ones count as this */

/* --- commands: argv[0] is the command's name; return: an exit status --- */

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_peer(int argc, char **argv);
int cli_bench(int argc, char **argv);

/* --- saying things --- */

/* One line on standard error, "belfry: ...". */
__attribute__((format(printf, 1, 2))) void cli_say(const char *fmt, ...);

/* Have all lines, without "belfry: ", in place of standard error: it goes elsewhere. */
void cli_say_by(void (*fn)(const char *line));

/* Say what went wrong in the library. Return: the exit status for it. */
int cli_fail(const struct belfry_error *err);

/* From now on help is the command's, whose name stays the caller's. */
void cli_usage_of(const char *name);

/* Say what is wrong with the command line, and where help is. Return: CLI_USAGE. */
__attribute__((format(printf, 1, 2))) int cli_usage(const char *fmt, ...);

/* Write to standard output. Return: CLI_OK; CLI_FAILURE, said, when it did not arrive. */
int cli_print(const char *text);

/* --- the process --- */

/* Every doorbell of a peer costs a descriptor or two: take all we may have. */
void cli_raise_descriptor_limit(void);

/* --- options and configurations --- */

#define CLI_SETS_MAX 128

/* Where a configuration comes from: files, then single keys, in their order. */
struct cli_sources {
	char **files;
	int n_files;
	const char *sets[CLI_SETS_MAX];
	int n_sets;
};

/* Options of every command, for its getopt_long() table; values below 256 are letters. */
enum {
	CLI_OPTION_SET = 256,
	CLI_OPTION_HELP,
	CLI_OPTION_OWN, /* the first that is free for the command */
};
#define CLI_SHORT_OPTIONS ":h"
/* clang-format off */
#define CLI_LONG_OPTIONS                                   \
	{ "set", required_argument, NULL, CLI_OPTION_SET }, \
	{ "help", no_argument, NULL, CLI_OPTION_HELP }
/* clang-format on */

/*
 * What a command does with an option that is not its own: note a --set, refuse the rest.
 * Return: CLI_OK; CLI_USAGE, said.
 */
int cli_option(struct cli_sources *sources, int option, char **argv);

/*
 * After the options: take the arguments that are left as files.
 * Return: CLI_OK; CLI_USAGE, said, when there are neither files nor keys.
 */
int cli_files(struct cli_sources *sources, int argc, char **argv);

/*
 * Load and validate. @out is the caller's to destroy.
 * Return: CLI_OK; another status, said.
 */
int cli_load(const struct cli_sources *sources, struct belfry_config **out);

#endif
