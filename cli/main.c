/* SPDX-License-Identifier: MIT */
/* cli/main.c - the program belfry: from the command line to a command */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"

static const char help[] =
	"usage: belfry COMMAND [OPTION]... [FILE]...\n"
	"\n"
	"Virtual machines that share memory and ring each other's doorbells.\n"
	"\n"
	"commands:\n"
	"  run FILE...     start the virtual machines of a configuration, wait for their "
	"end\n"
	"  check FILE...   check a configuration and print it in full\n"
	"  serve [FILE]    serve memory and doorbells to virtual machines of all kinds\n"
	"  peer SOCKET     join the link of an ivshmem server: list, ring, wait, read, "
	"write\n"
	"  bench           measure doorbells and shared memory between guests\n"
	"  help COMMAND    the options of a command\n"
	"\n"
	"options:\n"
	"  --help          this text\n"
	"  --help-config   every key of a configuration: type, bounds, default, meaning\n"
	"  --version       the version\n"
	"\n"
	"examples, in belfry's source tree:\n"
	"  belfry run configs/hello.yaml\n"
	"  belfry run configs/pair.yaml --set vms.ping.memory=64M\n"
	"  belfry check configs/pair.yaml\n"
	"\n"
	"exit status:\n"
	"  0      done; of run: every guest powered off, or ended with status 0\n"
	"  1      a failure that is none of those below\n"
	"  2      bad command line\n"
	"  3      bad configuration, or a kernel, initrd or command line that does not "
	"fit\n"
	"  4      the host lacks something (/dev/kvm, a KVM capability, io_uring)\n"
	"  5      an ivshmem server is absent, silent or wrong\n"
	"  6      of peer: no ring came in time\n"
	"  7      of serve: another server is at that path\n"
	"  10     of bench: slower than the baseline\n"
	"  11     of bench: too noisy to tell\n"
	"  12     of bench: what is asked for cannot run here\n"
	"  32     a guest asked for a reset\n"
	"  33     a guest crashed\n"
	"  64+N   a guest ended with status N; 127 stands for 63 and above\n"
	"  128+N  ended by signal N, or stopped the guest because of it\n";

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", cli_run },   { "check", cli_check }, { "serve", cli_serve },
	{ "peer", cli_peer }, { "bench", cli_bench }, { NULL, NULL },
};

static const struct command *find_command(const char *name)
{
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static int print_version(void)
{
	char line[64];

	snprintf(line, sizeof(line), "belfry %s\n", belfry_version());
	return cli_print(line);
}

static int unknown(const char *name)
{
	struct bf_nearest near = { .word = name };

	if (*name == '-')
		return cli_usage("unknown option '%s'", name);
	for (const struct command *c = commands; c->name; c++)
		bf_nearest_try(&near, c->name);
	if (near.best)
		return cli_usage("unknown command '%s'; did you mean '%s'?", name,
				 near.best);
	return cli_usage("unknown command '%s'", name);
}

/* --help-config and help COMMAND are short for an option of a command. */
static int run_with(const char *command, char *option)
{
	const struct command *c = find_command(command);
	char name[32];
	char *argv[] = { name, option, NULL };

	if (!c)
		return unknown(command);
	snprintf(name, sizeof(name), "%s", command);
	return c->run(2, argv);
}

/* Descriptors 0 to 2 that are closed would be given to something else. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	char help_option[] = "--help", schema_option[] = "--schema=help";
	const char *first = argc > 1 ? argv[1] : NULL;
	const struct command *c;

	fill_standard_descriptors();
	opterr = 0; /* commands say themselves what is wrong */
	if (!first)
		return cli_usage("expected a command");
	if (!strcmp(first, "--help") || !strcmp(first, "-h"))
		return cli_print(help);
	if (!strcmp(first, "--version") || !strcmp(first, "-V"))
		return print_version();
	if (!strcmp(first, "--help-config"))
		return run_with("check", schema_option);
	if (!strcmp(first, "help"))
		return argc > 2 && strcmp(argv[2], "help") != 0
			       ? run_with(argv[2], help_option)
			       : cli_print(help);
	c = find_command(first);
	if (!c)
		return unknown(first);
	cli_usage_of(c->name);
	return c->run(argc - 1, argv + 1);
}
