/* SPDX-License-Identifier: MIT */
/* cli/common.c - messages, exit statuses, options and configurations of all commands */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/cli.h"

/* --- saying things --- */

/* The process's, as standard error is. */
static void (*sayer)(const char *line);

void cli_say_by(void (*fn)(const char *line))
{
	sayer = fn;
}

/* @end tells where there is help, which a line that asks "did you mean ...?" is. */
__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list ap,
						      const char *end)
{
	char line[512];

	vsnprintf(line, sizeof(line), fmt, ap);
	if (*line && line[strlen(line) - 1] == '?')
		end = "";
	if (sayer)
		sayer(line);
	else /* one write, so that lines of several processes do not mix */
		fprintf(stderr, "belfry: %s%s\n", line, end);
}

void cli_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, "");
	va_end(ap);
}

/* Whose help has what a command line lacks; NULL: the program's. */
static const char *command;

void cli_usage_of(const char *name)
{
	command = name;
}

int cli_usage(const char *fmt, ...)
{
	char try[64] = "; try 'belfry --help'";
	va_list ap;

	if (command)
		snprintf(try, sizeof(try), "; try 'belfry help %s'", command);
	va_start(ap, fmt);
	say(fmt, ap, try);
	va_end(ap);
	return CLI_USAGE;
}

/* As belfry.h documents the codes of each call. */
static int status_of(int code)
{
	switch (-code) {
	case EINVAL:
	case EACCES:
	case ENOENT:
	case ENOEXEC:
	case E2BIG:
	case EISDIR:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP:
	case EBUSY:
	case ENOSPC:
	case ENXIO:
	case EEXIST:
		return CLI_BAD_CONFIG;
	case ENODEV:
	case EPERM:
	case ENOSYS:
	case EOPNOTSUPP:
		return CLI_NO_HOST;
	case EADDRINUSE:
		return CLI_BUSY;
	case ECONNREFUSED:
	case ETIMEDOUT:
	case EPROTO:
		return CLI_NO_SERVER;
	default:
		return CLI_FAILURE;
	}
}

int cli_fail(const struct belfry_error *err)
{
	cli_say("%s", err->msg);
	return status_of(err->code);
}

int cli_print(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout) < 0) {
		cli_say("standard output: %s", strerror(errno));
		return CLI_FAILURE;
	}
	return CLI_OK;
}

void cli_raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* --- options --- */

static int note_set(struct cli_sources *sources, const char *set)
{
	if (!strchr(set, '='))
		return cli_usage("--set %s: expected PATH=VALUE", set);
	if (sources->n_sets == CLI_SETS_MAX)
		return cli_usage("--set %s: at most %d of them", set, CLI_SETS_MAX);
	sources->sets[sources->n_sets++] = set;
	return CLI_OK;
}

/* getopt_long(3) leaves a letter in optopt, the value of a long option, or 0. */
int cli_option(struct cli_sources *sources, int option, char **argv)
{
	if (option == CLI_OPTION_SET)
		return note_set(sources, optarg);
	if (option == ':')
		return cli_usage("option '%s' needs a value", argv[optind - 1]);
	if (optopt >= CLI_OPTION_SET)
		return cli_usage("option '%s' takes no value", argv[optind - 1]);
	if (optopt)
		return cli_usage("unknown option '-%c'", optopt);
	return cli_usage("unknown option '%s'", argv[optind - 1]);
}

int cli_files(struct cli_sources *sources, int argc, char **argv)
{
	sources->files = argv + optind;
	sources->n_files = argc - optind;
	if (sources->n_files == 0 && sources->n_sets == 0)
		return cli_usage("%s: expected a FILE or --set", argv[0]);
	return CLI_OK;
}

/* --- configurations --- */

/* Put "--set " in front of the message. Return: its code. */
static int wrap_set(struct belfry_error *err)
{
	char msg[sizeof(err->msg)];

	memcpy(msg, err->msg, sizeof(msg));
	snprintf(err->msg, sizeof(err->msg), "--set %.*s", (int)sizeof(msg) - 7, msg);
	return err->code;
}

/* @set is "PATH=VALUE". */
static int apply_set(struct belfry_config *cfg, const char *set, struct belfry_error *err)
{
	const char *equals = strchr(set, '=');
	char *path = strndup(set, equals - set);
	int r;

	if (!path) {
		*err = (struct belfry_error){ -ENOMEM, "--set: out of memory" };
		return err->code;
	}
	r = belfry_config_set(cfg, path, equals + 1, err);
	free(path);
	return r < 0 ? wrap_set(err) : 0;
}

static int load(struct belfry_config *cfg, const struct cli_sources *sources,
		struct belfry_error *err)
{
	int r = 0;

	for (int i = 0; i < sources->n_files && r == 0; i++)
		r = belfry_config_load_file(cfg, sources->files[i], err);
	for (int i = 0; i < sources->n_sets && r == 0; i++)
		r = apply_set(cfg, sources->sets[i], err);
	return r == 0 ? belfry_config_validate(cfg, err) : r;
}

static void say_mistake(void *user, const struct belfry_error *mistake)
{
	unsigned int *said = user;

	cli_say("%s", mistake->msg);
	(*said)++;
}

int cli_load(const struct cli_sources *sources, struct belfry_config **out)
{
	struct belfry_config *cfg;
	struct belfry_error err;
	unsigned int said = 0;
	int status;

	if (belfry_config_create(&cfg, &err) < 0)
		return cli_fail(&err);
	belfry_config_set_mistakes(cfg, say_mistake, &said);
	if (load(cfg, sources, &err) == 0) {
		belfry_config_set_mistakes(cfg, NULL, NULL);
		*out = cfg;
		return CLI_OK;
	}
	belfry_config_destroy(cfg);
	status = said ? CLI_BAD_CONFIG : cli_fail(&err);
	/* EPERM: the file may not be read; of the host nothing has been asked yet. */
	return status == CLI_NO_HOST ? CLI_BAD_CONFIG : status;
}
