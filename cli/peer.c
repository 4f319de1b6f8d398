/* SPDX-License-Identifier: MIT */
/*
 * cli/peer.c - belfry peer: a process of the host joins an ivshmem link
 *
 * Commands come from arguments, from standard input, or from a person at a prompt. Of the
 * first two, the first command that fails ends the program; a person is told, and goes
 * on. SIGINT, SIGTERM and SIGHUP end a process that is joining; from then on they are
 * read from a descriptor.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/peer.h"

static const char help_head[] =
	"usage: belfry peer [OPTION]... SOCKET [COMMAND]...\n"
	"\n"
	"Join the link of the ivshmem server that listens at SOCKET, belfry's or QEMU's, "
	"and\n"
	"run commands there, an argument each. Without any they come from standard "
	"input;\n"
	"from a terminal they are asked for.\n"
	"\n"
	"  -S SOCKET        the same as SOCKET, as QEMU's ivshmem-client has it\n"
	"  --json           print one JSON object a line\n"
	"  --timeout TIME   how long the server may take to answer (default 5s)\n"
	"  --vectors N      wait for N vectors of our own (default: as many as others "
	"have)\n"
	"  -v, --verbose    say more on standard error\n"
	"  --help           this text\n"
	"\n"
	"commands:\n";

static const char help_tail[] =
	"\n"
	"Numbers are decimal or 0x, with k, M, G or T if you like; times are 500ms, 10s, "
	"2m.\n"
	"\";\" separates commands, \"#\" begins a comment.\n"
	"\n"
	"examples:\n"
	"  belfry peer /run/ring.sock list\n"
	"  belfry peer /run/ring.sock 'write 0 \"hello\"' 'ring 3' 'wait --timeout 2s'\n"
	"  belfry peer --json /run/ring.sock 'watch --for 10s'\n";

enum {
	OPTION_JSON = CLI_OPTION_OWN,
	OPTION_TIMEOUT,
	OPTION_VECTORS,
};

static const struct option long_options[] = {
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "vectors", required_argument, NULL, OPTION_VECTORS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, CLI_OPTION_HELP },
	{ 0 },
};

struct arguments {
	const char *socket;
	char **commands;
	int n;
	bool json;
	bool help;
	struct belfry_peer_options options;
};

/* --- the command line --- */

static int set_timeout(struct arguments *a, const char *value)
{
	if (parse_time(value, &a->options.timeout_ns) == 0 && a->options.timeout_ns > 0)
		return CLI_OK;
	return cli_usage("--timeout %s: expected a time such as 500ms or 10s", value);
}

static int set_vectors(struct arguments *a, const char *value)
{
	uint64_t n;

	if (parse_number(value, PEER_VECTORS_MAX, &n) < 0 || n == 0)
		return cli_usage("--vectors %s: expected 1 to %d", value,
				 PEER_VECTORS_MAX);
	a->options.vectors = n;
	return CLI_OK;
}

static int set_option(struct arguments *a, int option, char **argv)
{
	struct cli_sources none = { .n_sets = 0 };

	switch (option) {
	case 'h':
	case CLI_OPTION_HELP:
		a->help = true;
		return CLI_OK;
	case 'S':
		a->socket = optarg;
		return CLI_OK;
	case 'v':
		a->options.log_max++;
		return CLI_OK;
	case OPTION_JSON:
		a->json = true;
		return CLI_OK;
	case OPTION_TIMEOUT:
		return set_timeout(a, optarg);
	case OPTION_VECTORS:
		return set_vectors(a, optarg);
	default:
		return cli_option(&none, option, argv);
	}
}

/* Options end at the first command, whose own options are not ours. */
static int parse_arguments(struct arguments *a, int argc, char **argv)
{
	int option;
	int status = CLI_OK;

	while (status == CLI_OK && !a->help &&
	       (option = getopt_long(argc, argv, "+:hvS:", long_options, NULL)) != -1)
		status = set_option(a, option, argv);
	if (status != CLI_OK || a->help)
		return status;
	if (!a->socket && optind < argc)
		a->socket = argv[optind++];
	if (!a->socket)
		return cli_usage("peer: expected a SOCKET");
	a->commands = argv + optind;
	a->n = argc - optind;
	for (int i = 0; i < a->n && status == CLI_OK; i++) {
		status = commands_check(a->commands[i]);
		if (status == CLI_USAGE && a->n > 1 && !strchr(a->commands[i], ' '))
			cli_say("each command is one argument: quote it, as 'ring 0'");
	}
	return status;
}

static int print_help(void)
{
	int status = cli_print(help_head);
	struct session s = { .peer = NULL };

	if (status == CLI_OK)
		status = commands_run(&s, "help");
	return status == CLI_OK ? cli_print(help_tail) : status;
}

/* --- where commands come from --- */

static int run_arguments(struct session *s, const struct arguments *a)
{
	int status = CLI_OK;

	for (int i = 0; i < a->n && status == CLI_OK && !s->quit; i++)
		status = commands_run(s, a->commands[i]);
	return status;
}

static int run_input(struct session *s)
{
	unsigned int number = 0;
	int status = CLI_OK;
	struct input in;
	const char *line;

	input_init(&in, s, NULL);
	while (status == CLI_OK && !s->quit && (line = input_line(&in))) {
		number++;
		status = commands_run(s, line);
	}
	input_fini(&in);
	if (status != CLI_OK && !s->signal)
		cli_say("standard input: stopped at line %u", number);
	return status == CLI_OK && in.failed ? CLI_FAILURE : status;
}

/* At a prompt Ctrl-C ends the program, in a command it ends that. */
static int run_prompt(struct session *s)
{
	char prompt[32];
	struct input in;
	const char *line;

	snprintf(prompt, sizeof(prompt), "peer %d> ", belfry_peer_id(s->peer));
	input_init(&in, s, prompt);
	while (!s->quit && (line = input_line(&in))) {
		commands_run(s, line);
		if (s->signal == SIGINT)
			s->signal = 0;
		if (s->signal)
			break;
	}
	input_fini(&in);
	return CLI_OK;
}

/* --- the session --- */

static void log_line(void *user, enum belfry_log_level level, const char *line)
{
	cli_say("%s", line);
}

static int run_commands(struct session *s, const struct arguments *a)
{
	int status;

	if (a->n > 0)
		status = run_arguments(s, a);
	else if (isatty(STDIN_FILENO))
		status = run_prompt(s);
	else
		status = run_input(s);
	return s->signal ? CLI_SIGNAL + s->signal : status;
}

int cli_peer(int argc, char **argv)
{
	static struct session s = { .signals.fd = -1 };
	struct arguments a = {
		.options = { .size = sizeof(a.options),
			     .events = &session_events,
			     .user = &s,
			     .log = log_line,
			     .log_max = BELFRY_LOG_WARNING },
	};
	struct belfry_error err;
	int status = parse_arguments(&a, argc, argv);

	if (a.help)
		return print_help();
	if (status != CLI_OK)
		return status;
	cli_raise_descriptor_limit();
	s.json = a.json;
	if (belfry_peer_create(&s.peer, a.socket, &a.options, &err) < 0)
		return cli_fail(&err);
	status = cli_signals_open(&s.signals, CLI_ALONE);
	if (status == CLI_OK && !isatty(STDOUT_FILENO)) /* the editor's */
		session_own_output(&s);
	if (status == CLI_OK)
		status = run_commands(&s, &a);
	belfry_peer_destroy(s.peer);
	cli_signals_close(&s.signals);
	return status;
}
