/* SPDX-License-Identifier: MIT */
/* vmm/config_json.c - the schema as a JSON Schema, draft 2020-12, for editors */
#include <inttypes.h>
#include <stdio.h>

#include "devices/devices.h"
#include "vmm/config_parts.h"

#define NAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9_-]*$"
#define SIZE_PATTERN "^(0[xX][0-9a-fA-F]+|[0-9]+)[kKmMgGtT]?$"
#define CPUS_PATTERN "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"
#define BOOL_PATTERN "^([Oo][Nn]|[Oo][Ff][Ff]|[Yy][Ee][Ss]|[Nn][Oo])$"

/* Where in the text we are. */
struct json {
	FILE *out;
	int depth;
	bool first; /* of its object or array: no comma goes before */
};

static void json_string(struct json *j, const char *s)
{
	putc('"', j->out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', j->out);
		putc(*s, j->out);
	}
	putc('"', j->out);
}

/* The beginning of a member of an object, or (no @name) of an item of an array. */
static void json_item(struct json *j, const char *name)
{
	fprintf(j->out, "%s%*s", j->first ? "\n" : ",\n", 2 * j->depth, "");
	j->first = false;
	if (name) {
		json_string(j, name);
		fputs(": ", j->out);
	}
}

static void json_open(struct json *j, const char *name, char bracket)
{
	json_item(j, name);
	putc(bracket, j->out);
	j->depth++;
	j->first = true;
}

static void json_close(struct json *j, char bracket)
{
	j->depth--;
	fprintf(j->out, "\n%*s%c", 2 * j->depth, "", bracket);
	j->first = false;
}

static void json_text(struct json *j, const char *name, const char *value)
{
	json_item(j, name);
	json_string(j, value);
}

static void json_number(struct json *j, const char *name, uint64_t value)
{
	json_item(j, name);
	fprintf(j->out, "%" PRIu64, value);
}

static void json_false(struct json *j, const char *name)
{
	json_item(j, name);
	fputs("false", j->out);
}

static void json_integer_bounds(struct json *j, const struct bf_key *key)
{
	json_text(j, "type", "integer");
	json_number(j, "minimum", key->min);
	json_number(j, "maximum", key->max);
}

/* Either what YAML takes for @type, or a text like @pattern. */
static void json_either(struct json *j, const struct bf_key *key, const char *type,
			const char *pattern)
{
	json_open(j, "anyOf", '[');
	json_open(j, NULL, '{');
	if (key->type == BF_BOOL)
		json_text(j, "type", type);
	else
		json_integer_bounds(j, key);
	json_close(j, '}');
	json_open(j, NULL, '{');
	json_text(j, "type", "string");
	json_text(j, "pattern", pattern);
	json_close(j, '}');
	json_close(j, ']');
}

static void json_type(struct json *j, const struct bf_key *key)
{
	switch (key->type) {
	case BF_UINT:
		json_integer_bounds(j, key);
		break;
	case BF_SIZE:
	case BF_POW2:
	case BF_PAGES:
		json_either(j, key, "integer", SIZE_PATTERN);
		break;
	case BF_CPUS:
		json_either(j, key, "integer", CPUS_PATTERN);
		break;
	case BF_BOOL:
		json_either(j, key, "boolean", BOOL_PATTERN);
		break;
	case BF_CHOICE:
		json_open(j, "enum", '[');
		for (unsigned int i = 0; key->choices[i]; i++) {
			json_item(j, NULL);
			json_string(j, key->choices[i]);
		}
		json_close(j, ']');
		break;
	default:
		json_text(j, "type", "string");
		json_number(j, "minLength", key->min);
		json_number(j, "maxLength", key->max);
		break;
	}
}

static void json_default(struct json *j, const struct bf_key *key)
{
	const char *init = bf_key_default(key);

	if (!init)
		return;
	if (key->type != BF_UINT && key->type != BF_BOOL) {
		json_text(j, "default", init);
		return;
	}
	json_item(j, "default");
	fputs(init, j->out);
}

static void json_keys(struct json *j, const struct bf_key *keys)
{
	for (const struct bf_key *key = keys; key->name; key++) {
		json_open(j, key->name, '{');
		json_text(j, "description", key->help);
		json_type(j, key);
		json_default(j, key);
		json_close(j, '}');
	}
}

static void json_required(struct json *j, const struct bf_key *keys)
{
	bool any = false;

	for (const struct bf_key *key = keys; key->name; key++) {
		if (!bf_key_required(key))
			continue;
		if (!any)
			json_open(j, "required", '[');
		any = true;
		json_text(j, NULL, key->name);
	}
	if (any)
		json_close(j, ']');
}

/* The beginning of a mapping with fixed keys; "properties" is open. */
static void json_section(struct json *j, const char *name, const char *help,
			 const struct bf_key *keys)
{
	json_open(j, name, '{');
	json_text(j, "description", help);
	json_text(j, "type", "object");
	json_false(j, "additionalProperties");
	json_required(j, keys);
	json_open(j, "properties", '{');
	json_keys(j, keys);
}

static void json_section_end(struct json *j)
{
	json_close(j, '}');
	json_close(j, '}');
}

/* The beginning of a mapping from names to what follows. */
static void json_names(struct json *j, const char *name, unsigned int max)
{
	json_open(j, name, '{');
	json_text(j, "type", "object");
	json_number(j, "maxProperties", max);
	json_open(j, "propertyNames", '{');
	json_text(j, "pattern", NAME_PATTERN);
	json_number(j, "maxLength", BF_CONFIG_NAME_MAX);
	json_close(j, '}');
}

static void json_devices(struct json *j)
{
	json_open(j, "devices", '{');
	json_text(j, "type", "array");
	json_number(j, "maxItems", BF_CONFIG_DEVICES_MAX);
	json_open(j, "items", '{');
	json_text(j, "type", "object");
	json_number(j, "minProperties", 1);
	json_number(j, "maxProperties", 1);
	json_false(j, "additionalProperties");
	json_open(j, "properties", '{');
	for (unsigned int i = 0; bf_devices[i]; i++) {
		json_section(j, bf_devices[i]->name, bf_devices[i]->help,
			     bf_devices[i]->keys);
		json_section_end(j);
	}
	json_section_end(j);
	json_close(j, '}');
}

void bf_config_put_json(FILE *out)
{
	struct json j = { .out = out, .depth = 1, .first = true };

	putc('{', out);
	json_text(&j, "$schema", "https://json-schema.org/draft/2020-12/schema");
	json_text(&j, "title", "belfry configuration");
	json_text(&j, "type", "object");
	json_false(&j, "additionalProperties");
	json_open(&j, "properties", '{');
	json_names(&j, "links", BF_CONFIG_LINKS_MAX);
	json_section(&j, "additionalProperties", "memory that VMs share", bf_link_keys);
	json_section_end(&j);
	json_close(&j, '}');
	json_names(&j, "servers", BF_CONFIG_SERVERS_MAX);
	json_section(&j, "additionalProperties", "an ivshmem server", bf_server_keys);
	json_section_end(&j);
	json_close(&j, '}');
	json_names(&j, "vms", BF_CONFIG_VMS_MAX);
	json_section(&j, "additionalProperties", "a virtual machine", bf_vm_keys);
	json_devices(&j);
	json_section_end(&j);
	json_close(&j, '}');
	json_close(&j, '}');
	json_close(&j, '}');
	putc('\n', out);
}
