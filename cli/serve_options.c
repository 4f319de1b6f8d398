/* SPDX-License-Identifier: MIT */
/* cli/serve_options.c - belfry serve: its options, of which most are keys of a server */
#include <stdio.h>
#include <string.h>

#include "cli/serve.h"
#include "cli/systemd.h"

#define KEYS_MAX 32

static const char help_head[] =
	"usage: belfry serve [OPTION]... [FILE]...\n"
	"\n"
	"Serve a link: memory that virtual machines share, belfry's, QEMU's and others,\n"
	"and the doorbells by which they ring each other. A FILE may describe the "
	"server\n"
	"under servers: NAME:, and options change what it says. SIGTERM and SIGINT end\n"
	"the server, SIGHUP reads the files again, SIGUSR2 starts the program anew and\n"
	"leaves the clients as they are.\n"
	"\n"
	"  -S PATH           --path        -l SIZE   --size       -n N    --vectors\n"
	"  -M NAME           --shm         -m DIR    --dir        -p FILE --pid-file\n"
	"  -F, --foreground  stay in the foreground (the default)\n"
	"  -v, --verbose     --log-level debug\n"
	"  --daemonize       go to the background once clients can connect\n"
	"  --name NAME       which server of FILE, when there are several\n"
	"  --status PATH     instead: print how the server at PATH is, as JSON\n"
	"  --set PATH=VALUE  give one key of a configuration a value\n"
	"  -h, --help        this text\n"
	"\n"
	"The keys of a server are options, too; belfry --help-config has their bounds:\n";

static const char help_tail[] =
	"\n"
	"examples:\n"
	"  belfry serve -S /run/ring.sock -l 16M -n 2\n"
	"  belfry serve --path /run/ring.sock --mode 0660 --group kvm --allow-gids kvm\n"
	"  belfry serve --status /run/ring.sock\n";

enum {
	OPTION_DAEMONIZE = CLI_OPTION_OWN,
	OPTION_NAME,
	OPTION_STATUS,
	OPTION_KEY, /* and those that follow: the number of a key */
};

/* Options for getopt_long(3): our own, then the keys, with '-' for '_'. */
struct option_table {
	struct option options[16 + KEYS_MAX];
	char names[KEYS_MAX][24];
};

static void make_table(struct option_table *table)
{
	static const struct option own[] = {
		CLI_LONG_OPTIONS,
		{ "foreground", no_argument, NULL, 'F' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "daemonize", no_argument, NULL, OPTION_DAEMONIZE },
		{ "name", required_argument, NULL, OPTION_NAME },
		{ "status", required_argument, NULL, OPTION_STATUS },
	};
	struct option *next = table->options;
	const char *name, *help;

	*table = (struct option_table){ 0 };
	memcpy(next, own, sizeof(own));
	next += sizeof(own) / sizeof(own[0]);
	for (int i = 0; i < KEYS_MAX && belfry_server_key(i, &name, &help) == 0; i++) {
		snprintf(table->names[i], sizeof(table->names[i]), "%s", name);
		for (char *c = table->names[i]; *c; c++)
			*c = *c == '_' ? '-' : *c;
		*next++ = (struct option){ table->names[i], required_argument, NULL,
					   OPTION_KEY + i };
	}
}

static int print_help(const struct option_table *table)
{
	const char *name, *help;
	char line[160];
	int status = cli_print(help_head);

	for (int i = 0; status == CLI_OK && belfry_server_key(i, &name, &help) == 0;
	     i++) {
		snprintf(line, sizeof(line), "  --%-18s%s\n", table->names[i], help);
		status = cli_print(line);
	}
	snprintf(line, sizeof(line), "\n%s", cli_systemd_help);
	if (status == CLI_OK)
		status = cli_print(line);
	return status == CLI_OK ? cli_print(help_tail) : status;
}

static int note_value(struct serve *sv, const char *key, const char *text)
{
	if (sv->n_values == SERVE_VALUES_MAX)
		return cli_usage("serve: at most %d options", SERVE_VALUES_MAX);
	sv->values[sv->n_values++] = (struct value){ key, text };
	return CLI_OK;
}

/* The key that a letter of QEMU's ivshmem-server stands for; NULL. */
static const char *key_of_letter(int letter)
{
	static const struct {
		int letter;
		const char *key;
	} letters[] = {
		{ 'S', "path" }, { 'l', "size" }, { 'n', "vectors" },
		{ 'M', "shm" },  { 'm', "dir" },  { 'p', "pid_file" },
	};

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].letter == letter)
			return letters[i].key;
	return NULL;
}

static int take_option(struct serve *sv, int option, char **argv)
{
	const char *key = key_of_letter(option), *help;

	if (option >= OPTION_KEY)
		belfry_server_key(option - OPTION_KEY, &key, &help);
	if (key)
		return note_value(sv, key, optarg);
	switch (option) {
	case 'F':
		sv->daemonize = false;
		return CLI_OK;
	case 'v':
		return note_value(sv, "log_level", "debug");
	case OPTION_DAEMONIZE:
		sv->daemonize = true;
		return CLI_OK;
	case OPTION_NAME:
		sv->wanted = optarg;
		return CLI_OK;
	case OPTION_STATUS:
		sv->status = optarg;
		return CLI_OK;
	}
	return cli_option(&sv->sources, option, argv);
}

int serve_parse(struct serve *sv, int argc, char **argv, bool *done)
{
	static const char letters[] = ":S:l:n:M:m:p:Fvh";
	struct option_table table;
	int option, status = CLI_OK;

	make_table(&table);
	*done = false;
	while (status == CLI_OK &&
	       (option = getopt_long(argc, argv, letters, table.options, NULL)) != -1) {
		if (option == CLI_OPTION_HELP || option == 'h') {
			*done = true;
			return print_help(&table);
		}
		status = take_option(sv, option, argv);
	}
	sv->sources.files = argv + optind;
	sv->sources.n_files = argc - optind;
	return status;
}
