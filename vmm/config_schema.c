/* SPDX-License-Identifier: MIT */
/* vmm/config_schema.c - the schema described for a terminal, a man page, an editor */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "devices/devices.h"
#include "vmm/config_parts.h"

/* A section as people read about it. */
typedef void section_fn(FILE *out, const char *path, const char *help,
			const struct bf_key *keys);

static void each_section(FILE *out, section_fn *fn)
{
	char path[64];

	fn(out, "links.NAME",
	   "memory that VMs of this configuration share, with a doorbell server",
	   bf_link_keys);
	fn(out, "servers.NAME",
	   "an ivshmem server of its own, for belfry serve and belfry-server.h",
	   bf_server_keys);
	fn(out, "vms.NAME", "a virtual machine; its devices are a list, numbered from 0",
	   bf_vm_keys);
	for (unsigned int i = 0; bf_devices[i]; i++) {
		snprintf(path, sizeof(path), "vms.NAME.devices.N.%s",
			 bf_devices[i]->name);
		fn(out, path, bf_devices[i]->help, bf_devices[i]->keys);
	}
}

/* The bounds of a key, "1..64"; an empty string when they tell nothing. */
struct bounds {
	char text[64];
};

static struct bounds bounds_of(const struct bf_key *key)
{
	struct bounds b = { "" };

	switch (key->type) {
	case BF_SIZE:
	case BF_POW2:
	case BF_PAGES:
		snprintf(b.text, sizeof(b.text), "%s..%s", bf_size_text(key->min).text,
			 bf_size_text(key->max).text);
		break;
	case BF_UINT:
	case BF_CPUS:
		snprintf(b.text, sizeof(b.text), "%" PRIu64 "..%" PRIu64, key->min,
			 key->max);
		break;
	case BF_BOOL:
		break;
	case BF_CHOICE:
		snprintf(b.text, sizeof(b.text), "%s", bf_schema_choices(key, "|").text);
		break;
	default:
		snprintf(b.text, sizeof(b.text), "<= %" PRIu64 " bytes", key->max);
		break;
	}
	return b;
}

/* --- for a terminal --- */

static const char *default_word(const struct bf_key *key)
{
	if (bf_key_required(key))
		return "required";
	return key->init ? key->init : "-";
}

static void help_section(FILE *out, const char *path, const char *help,
			 const struct bf_key *keys)
{
	fprintf(out, "\n%s: %s\n", path, help);
	for (const struct bf_key *key = keys; key->name; key++)
		fprintf(out, "  %-15s  %-6s  %-24s  %-8s  %s\n", key->name,
			bf_type_word(key->type), bounds_of(key).text, default_word(key),
			key->help);
}

static void put_help(FILE *out)
{
	fprintf(out, "  %-15s  %-6s  %-24s  %-8s  %s\n", "key", "type", "bounds",
		"default", "meaning");
	each_section(out, help_section);
}

/* --- for the man page, in scdoc(5) --- */

/* scdoc takes these for markup. */
static void put_escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '_' || *s == '*' || *s == '\\')
			putc('\\', out);
		putc(*s, out);
	}
}

/* A help text, half a sentence, as a whole one. */
static void put_sentence(FILE *out, const char *help)
{
	putc(toupper((unsigned char)*help), out);
	put_escaped(out, help + 1);
	putc('.', out);
}

static void man_key(FILE *out, const struct bf_key *key)
{
	struct bounds bounds = bounds_of(key);

	putc('*', out);
	put_escaped(out, key->name);
	fprintf(out, "* (%s%s%s)\n\t", bf_type_word(key->type), *bounds.text ? ", " : "",
		bounds.text);
	put_sentence(out, key->help);
	if (bf_key_required(key))
		fputs(" Required.", out);
	else if (key->init)
		fprintf(out, " Default: %s.", key->init);
	fputs("\n\n", out);
}

static void man_section(FILE *out, const char *path, const char *help,
			const struct bf_key *keys)
{
	fputs("## ", out);
	put_escaped(out, path);
	fputs("\n\n", out);
	put_sentence(out, help);
	fputs("\n\n", out);
	for (const struct bf_key *key = keys; key->name; key++)
		man_key(out, key);
}

/* --- all three --- */

static int put_schema(FILE *out, enum belfry_schema_format format)
{
	switch (format) {
	case BELFRY_SCHEMA_HELP:
		put_help(out);
		return 0;
	case BELFRY_SCHEMA_MAN:
		each_section(out, man_section);
		return 0;
	case BELFRY_SCHEMA_JSON:
		bf_config_put_json(out);
		return 0;
	}
	return -EINVAL;
}

int belfry_config_schema(enum belfry_schema_format format, char **out,
			 struct belfry_error *err)
{
	BF_FREE char *text = NULL;
	size_t size;
	FILE *stream;
	int r;

	if (!out)
		return bf_err_null(err, __func__);
	stream = open_memstream(&text, &size);
	if (!stream)
		return bf_err(err, ENOMEM, "schema: out of memory");
	r = put_schema(stream, format);
	if (ferror(stream) | fclose(stream))
		return bf_err(err, ENOMEM, "schema: out of memory");
	if (r < 0)
		return bf_err(err, EINVAL, "schema format %d: expected 0 to %d",
			      (int)format, BELFRY_SCHEMA_JSON);
	*out = bf_take_ptr(&text);
	return 0;
}
