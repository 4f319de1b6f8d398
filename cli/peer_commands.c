/* SPDX-License-Identifier: MIT */
/* cli/peer_commands.c - belfry peer: from a line to commands */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/peer.h"

static int help(struct session *s, const struct words *w);
static int quit(struct session *s, const struct words *w);

#define NO_LIMIT UINT32_MAX

/* clang-format off */
static const struct command {
	const char *name;
	const char *other; /* name, hidden; may be NULL */
	int (*run)(struct session *s, const struct words *w);
	uint32_t min, max; /* arguments */
	const char *usage;
	const char *text;
} commands[] = {
	{ "list", "peers", peer_list, 0, 0, "", "who is on the link, with how many vectors" },
	{ "info", NULL, peer_info, 0, 0, "", "what we are: ID, vectors, memory, rings" },
	{ "ring", NULL, peer_ring, 1, 2, "PEER|all [VECTOR|all]",
	  "ring a doorbell: vector 0 without VECTOR; ring all: everybody's" },
	{ "wait", NULL, peer_wait, 0, 5, "[VECTOR|any] [--timeout TIME] [--count N]",
	  "until we are rung; print how often, since the last wait" },
	{ "watch", NULL, peer_watch, 0, 2, "[--for TIME]",
	  "print who joins, leaves and rings, until Ctrl-C" },
	{ "sleep", NULL, peer_sleep, 1, 1, "TIME", "do nothing: 500ms, 10s, 2m" },
	{ "read", "hexdump", peer_read, 2, 2, "OFFSET LENGTH", "print memory in hexadecimal" },
	{ "write", NULL, peer_write, 2, NO_LIMIT, "OFFSET BYTE|\"TEXT\"...", "change memory" },
	{ "fill", NULL, peer_fill, 3, 3, "OFFSET LENGTH BYTE", "change it all to one byte" },
	{ "load", NULL, peer_load, 1, 2, "FILE [OFFSET]", "copy a file into memory" },
	{ "save", NULL, peer_save, 1, 3, "FILE [OFFSET LENGTH]", "copy memory into a file" },
	{ "checksum", NULL, peer_checksum, 0, 2, "[OFFSET LENGTH]",
	  "print the CRC-32 of memory" },
	{ "dump", NULL, peer_dump, 0, 0, "", "QEMU's list, with descriptors" },
	{ "int", NULL, peer_ring, 1, 2, "PEER VECTOR|all, all", "QEMU's ring" },
	{ "help", "?", help, 0, 1, "[COMMAND]", "this list, or one line of it" },
	{ "quit", "exit", quit, 0, 0, "", "leave the link" },
};
/* clang-format on */

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, name) == 0 || (c->other && !strcmp(c->other, name)))
			return c;
	}
	return NULL;
}

static void print_help(const struct command *c)
{
	char head[80];

	snprintf(head, sizeof(head), "%s %s", c->name, c->usage);
	printf("%-48s %s\n", head, c->text);
}

static int no_command(const char *name)
{
	cli_say("there is no command '%s'; try 'help'", name);
	return CLI_USAGE;
}

static int help(struct session *s, const struct words *w)
{
	const struct command *c = w->n > 1 ? find(w->word[1].text) : NULL;

	if (w->n > 1 && !c)
		return no_command(w->word[1].text);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!c || c == &commands[i])
			print_help(&commands[i]);
	return CLI_OK;
}

static int quit(struct session *s, const struct words *w)
{
	s->quit = true;
	return CLI_OK;
}

/* --- what is wrong with a word --- */

int word_usage(const struct words *w, unsigned int i, const char *what)
{
	cli_say("%s: '%s': expected %s", w->word[0].text, w->word[i].text, what);
	return CLI_USAGE;
}

int word_number(const struct words *w, unsigned int i, const char *what, uint64_t max,
		uint64_t *out)
{
	const int r = parse_number(w->word[i].text, max, out);

	if (r == 0 && !w->word[i].quoted)
		return CLI_OK;
	if (r != -ERANGE)
		return word_usage(w, i, what);
	cli_say("%s: '%s': at most %" PRIu64, w->word[0].text, w->word[i].text, max);
	return CLI_USAGE;
}

int word_time(const struct words *w, unsigned int i, uint64_t *ns)
{
	if (parse_time(w->word[i].text, ns) == 0)
		return CLI_OK;
	return word_usage(w, i, "a time such as 500ms or 10s");
}

/* --- lines --- */

/* Return: the command that @w names; NULL, said. */
static const struct command *recognize(const struct words *w)
{
	const struct command *c = find(w->word[0].text);

	if (!c) {
		no_command(w->word[0].text);
		return NULL;
	}
	if (w->n - 1 >= c->min && w->n - 1 <= c->max)
		return c;
	cli_say("%s: expected '%s%s%s'", w->word[0].text, c->name, *c->usage ? " " : "",
		c->usage);
	return NULL;
}

/* Run or, without @s, check the next command of *@line, which moves behind it. */
static int one(struct session *s, const char **line)
{
	const struct command *c;
	struct belfry_error err;
	struct words w;
	int status = CLI_OK;

	if (words_split(&w, line, &err) < 0) {
		cli_say("%s", err.msg);
		return err.code == -EINVAL ? CLI_USAGE : CLI_FAILURE;
	}
	if (w.n > 0) {
		c = recognize(&w);
		status = !c ? CLI_USAGE : s ? c->run(s, &w) : CLI_OK;
	}
	words_free(&w);
	return status;
}

/* What has been printed has to arrive. After a signal nobody waits for that. */
static int flush(const struct session *s, int status)
{
	const int e = fflush(stdout) == 0 ? 0 : errno;

	if (s->signal)
		return CLI_FAILURE;
	if (e == 0)
		return status;
	cli_say("standard output: %s", strerror(e));
	return status == CLI_OK ? CLI_FAILURE : status;
}

int commands_run(struct session *s, const char *line)
{
	int status = CLI_OK;

	while (*line && status == CLI_OK && !s->quit)
		status = flush(s, one(s, &line));
	return status;
}

int commands_check(const char *line)
{
	int status = CLI_OK;

	while (*line && status == CLI_OK)
		status = one(NULL, &line);
	return status;
}
