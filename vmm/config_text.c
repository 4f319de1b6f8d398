/* SPDX-License-Identifier: MIT */
/* vmm/config_text.c - a configuration as YAML that loads again to the same */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/text.h"
#include "devices/devices.h"
#include "vmm/config_parts.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Would every YAML reader take @s, without quotes, for the text it is? */
static bool is_plain(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on",
					     "off",  "null",  "y",   "n" };
	size_t len = strlen(s);

	if (strspn(s, LETTERS "0123456789_/.=@%+, -") != len ||
	    !strchr(LETTERS "/_", *s) || len == 0 || s[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < BF_ARRAY_LEN(words); i++) {
		if (strcasecmp(s, words[i]) == 0)
			return false;
	}
	return true;
}

/* Can @c stand in a text as it is? (YAML 1.2, 5.1 and 5.4) */
static bool is_printable(int32_t c)
{
	if (c < 0xa0)
		return c >= 0x20 && c < 0x7f;
	return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

static void put_quoted(FILE *out, const char *s)
{
	const char *p = s;
	int32_t c;

	putc('"', out);
	for (; *p; s = p) {
		c = bf_utf8_next(&p);
		if (c < 0)
			break; /* bf_schema_set() lets only UTF-8 in */
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (char)c);
		else if (is_printable(c))
			fprintf(out, "%.*s", (int)(p - s), s);
		else
			fprintf(out, c > 0xff ? "\\u%04x" : "\\x%02x", (unsigned int)c);
	}
	putc('"', out);
}

static void put_text(FILE *out, const char *s)
{
	if (is_plain(s))
		fputs(s, out);
	else
		put_quoted(out, s);
}

/* Numbers, sizes and booleans are themselves in YAML; the rest may need quotes. */
static void put_value(FILE *out, const struct bf_key *key, const char *text)
{
	switch (key->type) {
	case BF_SIZE:
	case BF_POW2:
	case BF_PAGES:
	case BF_UINT:
	case BF_BOOL:
		fputs(text, out);
		break;
	default:
		put_text(out, text);
		break;
	}
}

typedef bool (*applies_fn)(const struct bf_key *key, const void *conf);

/*
 * A descriptor has no text: the reader is told, and nothing is loaded from it. A default
 * that changes nothing here is left out; what somebody has given never is.
 */
static void put_key(FILE *out, int indent, const struct bf_key *key, const void *conf,
		    applies_fn applies)
{
	struct bf_size_text number;
	const char *text = bf_schema_text(key, conf, &number);

	if (applies && !applies(key, conf) && !strcmp(text, key->init))
		return;
	if (text) {
		fprintf(out, "%*s%s: ", indent, "", key->name);
		put_value(out, key, text);
		putc('\n', out);
	} else if (bf_schema_given(key, conf)) {
		fprintf(out, "%*s# %s: an open descriptor\n", indent, "", key->name);
	}
}

static bool has_text(const struct bf_key *keys, const void *conf)
{
	struct bf_size_text number;

	for (const struct bf_key *key = keys; key->name; key++) {
		if (bf_schema_text(key, conf, &number))
			return true;
	}
	return false;
}

/* What follows the name of a section; @indent is that of its keys. @applies: or NULL */
static void put_section(FILE *out, int indent, const struct bf_key *keys,
			const void *conf, applies_fn applies)
{
	fputs(has_text(keys, conf) ? ":\n" : ": {}\n", out);
	for (const struct bf_key *key = keys; key->name; key++)
		put_key(out, indent, key, conf, applies);
}

static void put_vm(FILE *out, const struct bf_vm_conf *vm)
{
	fputs("  ", out);
	put_text(out, vm->name);
	put_section(out, 4, bf_vm_keys, vm, NULL);
	if (vm->n_devices)
		fputs("    devices:\n", out);
	for (unsigned int i = 0; i < vm->n_devices; i++) {
		fprintf(out, "      - %s", vm->devices[i].ops->name);
		put_section(out, 10, vm->devices[i].ops->keys, vm->devices[i].conf,
			    vm->devices[i].ops->applies);
	}
}

static void put_config(FILE *out, const struct belfry_config *cfg)
{
	if (cfg->n_links)
		fputs("links:\n", out);
	for (unsigned int i = 0; i < cfg->n_links; i++) {
		fputs("  ", out);
		put_text(out, cfg->links[i].name);
		put_section(out, 4, bf_link_keys, &cfg->links[i], NULL);
	}
	if (cfg->n_servers)
		fputs("servers:\n", out);
	for (unsigned int i = 0; i < cfg->n_servers; i++) {
		fputs("  ", out);
		put_text(out, cfg->servers[i].name);
		put_section(out, 4, bf_server_keys, &cfg->servers[i], NULL);
	}
	if (cfg->n_vms)
		fputs("vms:\n", out);
	for (unsigned int i = 0; i < cfg->n_vms; i++)
		put_vm(out, &cfg->vms[i]);
	if (!cfg->n_links && !cfg->n_servers && !cfg->n_vms)
		fputs("{}\n", out);
}

int belfry_config_text(const struct belfry_config *cfg, char **out,
		       struct belfry_error *err)
{
	BF_FREE char *text = NULL;
	size_t size;
	FILE *stream;

	if (!cfg || !out)
		return bf_err_null(err, __func__);
	stream = open_memstream(&text, &size);
	if (!stream)
		return bf_err(err, ENOMEM, "configuration: out of memory");
	put_config(stream, cfg);
	if (ferror(stream) | fclose(stream))
		return bf_err(err, ENOMEM, "configuration: out of memory");
	*out = bf_take_ptr(&text);
	return 0;
}
