/* SPDX-License-Identifier: MIT */
/* cli/check.c - belfry check: is a configuration right, and what does it say in full? */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const char help[] =
	"usage: belfry check [OPTION]... FILE...\n"
	"\n"
	"Check a configuration and print it in full, defaults filled in, as YAML. Later\n"
	"files override earlier ones key by key, --set overrides files; - is standard "
	"input.\n"
	"\n"
	"  --set PATH=VALUE  give one key a value, as often as you like\n"
	"  --schema=help     instead: every key, its type, bounds and default, as a "
	"table\n"
	"  --schema=json     instead: a JSON Schema, for editors\n"
	"  --schema=man      instead: the key list of belfry.yaml(5), in scdoc\n"
	"  --help            this text\n"
	"\n"
	"examples:\n"
	"  belfry check configs/pair.yaml\n"
	"  belfry check configs/pair.yaml --set vms.ping.memory=64M\n"
	"  belfry check --schema=json > belfry.schema.json\n";

enum {
	OPTION_SCHEMA = CLI_OPTION_OWN,
};

static const struct option options[] = {
	CLI_LONG_OPTIONS,
	{ "schema", required_argument, NULL, OPTION_SCHEMA },
	{ 0 },
};

static int print_schema(enum belfry_schema_format format)
{
	struct belfry_error err;
	char *text;
	int status;

	if (belfry_config_schema(format, &text, &err) < 0)
		return cli_fail(&err);
	status = cli_print(text);
	free(text);
	return status;
}

static int check_schema(const char *name, int n_files)
{
	if (n_files)
		return cli_usage("check: --schema takes no FILE");
	if (strcmp(name, "help") == 0)
		return print_schema(BELFRY_SCHEMA_HELP);
	if (strcmp(name, "json") == 0)
		return print_schema(BELFRY_SCHEMA_JSON);
	if (strcmp(name, "man") == 0)
		return print_schema(BELFRY_SCHEMA_MAN);
	return cli_usage("--schema=%s: expected help, json or man", name);
}

/* Of a configuration in full. */
static int print_config(const char *text)
{
	if (strcmp(text, "{}\n") != 0)
		return cli_print(text);
	cli_say("there is nothing in this configuration: expected vms: { NAME: ... }");
	return CLI_BAD_CONFIG;
}

static int check_config(const struct cli_sources *sources)
{
	struct belfry_config *cfg;
	struct belfry_error err;
	char *text;
	int status = cli_load(sources, &cfg);

	if (status != CLI_OK)
		return status;
	if (belfry_config_text(cfg, &text, &err) < 0) {
		status = cli_fail(&err);
	} else {
		status = print_config(text);
		free(text);
	}
	belfry_config_destroy(cfg);
	return status;
}

int cli_check(int argc, char **argv)
{
	struct cli_sources sources = { .n_sets = 0 };
	const char *schema = NULL;
	int option, status = CLI_OK;

	while ((option = getopt_long(argc, argv, CLI_SHORT_OPTIONS, options, NULL)) !=
	       -1) {
		if (option == CLI_OPTION_HELP || option == 'h')
			return cli_print(help);
		if (option == OPTION_SCHEMA)
			schema = optarg;
		else
			status = cli_option(&sources, option, argv);
		if (status != CLI_OK)
			return status;
	}
	if (schema)
		return check_schema(schema, argc - optind);
	status = cli_files(&sources, argc, argv);
	return status == CLI_OK ? check_config(&sources) : status;
}
