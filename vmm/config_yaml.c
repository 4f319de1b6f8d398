/* SPDX-License-Identifier: MIT */
/*
 * vmm/config_yaml.c - reading a configuration from YAML, by libyaml's events
 *
 * The text is walked as it is parsed, and each node's path is looked up as one given to
 * belfry_config_set() is. So nothing but the schema decides what may stand where, and a
 * text cannot nest deeper than the schema does. Anchors, aliases and tags are refused: a
 * configuration needs none, and aliases are how a small text becomes a large one.
 *
 * JSON is a subset of YAML as far as libyaml is concerned, and needs no code here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/own.h"
#include "base/text.h"
#include "vmm/config_parts.h"

#define EVENT __attribute__((cleanup(yaml_event_delete))) yaml_event_t

struct loader {
	yaml_parser_t yaml;
	struct belfry_config *cfg;
	const struct bf_text *text;
	struct bf_mistakes found;
};

/* The keys a mapping has had so far. A mapping has few, because most are refused. */
struct seen {
	struct {
		char *key;
		size_t line;
	} * entry;
	unsigned int n;
};

static void seen_fini(struct seen *seen)
{
	for (unsigned int i = 0; i < seen->n; i++)
		free(seen->entry[i].key);
	free(seen->entry);
}

static int load_node(struct loader *l, const char *path, yaml_mark_t at,
		     const yaml_event_t *ev, struct belfry_error *err);

/* --- messages --- */

/* Put "file:line:column" in front of the message. Return: @r. */
static int wrap_mark(const struct loader *l, yaml_mark_t at, int r,
		     struct belfry_error *err)
{
	return bf_err_wrap(err, r, "%s:%zu:%zu", l->text->name, at.line + 1,
			   at.column + 1);
}

static bool is_null(const yaml_event_t *ev)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	const char *value = (const char *)ev->data.scalar.value;

	if (ev->type != YAML_SCALAR_EVENT ||
	    ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < BF_ARRAY_LEN(words); i++) {
		if (strcmp(value, words[i]) == 0)
			return true;
	}
	return false;
}

static const char *name_of_event(const yaml_event_t *ev)
{
	if (ev->type == YAML_MAPPING_START_EVENT)
		return "a mapping";
	if (ev->type == YAML_SEQUENCE_START_EVENT)
		return "a list";
	return is_null(ev) ? "nothing" : "text";
}

static const char *name_of_place(const struct bf_place *place)
{
	switch (place->shape) {
	case BF_SHAPE_SECTION:
		return "a mapping";
	case BF_SHAPE_LIST:
		return "a list";
	case BF_SHAPE_VALUE:
		break;
	}
	return bf_type_phrase(place->key->type);
}

/* --- events --- */

/* Anchors, aliases, tags, NUL: what YAML allows and we do not. */
static int check_event(const yaml_event_t *ev, struct belfry_error *err)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		if (strlen((char *)ev->data.scalar.value) != ev->data.scalar.length)
			return bf_err(err, EINVAL, "text with a NUL in it");
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor || ev->type == YAML_ALIAS_EVENT)
		return bf_err(err, EINVAL, "YAML anchors and aliases are not supported");
	if (tag)
		return bf_err(err, EINVAL, "YAML tags are not supported");
	return 0;
}

/* @ev is released by the caller, also on failure. */
static int next_event(struct loader *l, yaml_event_t *ev, struct belfry_error *err)
{
	int r;

	if (!yaml_parser_parse(&l->yaml, ev)) {
		*ev = (yaml_event_t){ .type = YAML_NO_EVENT };
		return bf_config_syntax_error(&l->yaml, l->text, err);
	}
	r = check_event(ev, err);
	return r < 0 ? wrap_mark(l, ev->start_mark, r, err) : 0;
}

/* Past the end of what @ev has begun. */
static int skip_rest(struct loader *l, const yaml_event_t *ev, struct belfry_error *err)
{
	yaml_event_type_t type = ev->type;
	unsigned int depth = 0;
	int r = 0;

	while (r == 0) {
		EVENT next = { .type = YAML_NO_EVENT };

		depth += type == YAML_MAPPING_START_EVENT ||
			 type == YAML_SEQUENCE_START_EVENT;
		depth -=
			type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
		if (depth == 0)
			return 0;
		r = next_event(l, &next, err);
		type = next.type;
	}
	return r;
}

/* What @ev begins makes no sense, as @err says. Return: 0 to go on behind it; @r. */
static int skip_mistake(struct loader *l, const yaml_event_t *ev, int r,
			struct belfry_error *err)
{
	r = bf_mistake(&l->found, r, err);
	return r == 0 ? skip_rest(l, ev, err) : r;
}

/* --- nodes --- */

/* A key of the mapping at @path: text, not seen before. */
static int check_key(const char *path, const yaml_event_t *key, struct seen *seen,
		     struct belfry_error *err)
{
	const char *text = (const char *)key->data.scalar.value;

	if (key->type != YAML_SCALAR_EVENT || !*text)
		return bf_err(err, EINVAL, "%s%sexpected a key, not %s", path,
			      *path ? ": " : "", name_of_event(key));
	if (strchr(text, '.'))
		return bf_err(err, EINVAL, "%s%s'%s': no key and no name has a dot in it",
			      path, *path ? ": " : "", bf_brief(text).text);
	for (unsigned int i = 0; i < seen->n; i++) {
		if (strcmp(seen->entry[i].key, text) == 0)
			return bf_err(err, EINVAL,
				      "%s%s%s: given twice, first in line %zu", path,
				      *path ? "." : "", bf_brief(text).text,
				      seen->entry[i].line);
	}
	return 0;
}

static int remember_key(struct seen *seen, const yaml_event_t *key,
			struct belfry_error *err)
{
	void *grown = reallocarray(seen->entry, seen->n + 1, sizeof(*seen->entry));

	if (!grown)
		return bf_err(err, ENOMEM, "out of memory");
	seen->entry = grown;
	seen->entry[seen->n].line = key->start_mark.line + 1;
	seen->entry[seen->n].key = strdup((const char *)key->data.scalar.value);
	if (!seen->entry[seen->n].key)
		return bf_err(err, ENOMEM, "out of memory");
	seen->n++;
	return 0;
}

static char *path_below(const char *path, const char *part)
{
	char *below;

	if (asprintf(&below, "%s%s%s", path, *path ? "." : "", part) < 0)
		return NULL;
	return below;
}

/* The key makes no sense, nor does its value then. */
static int skip_entry(struct loader *l, const yaml_event_t *key, int r,
		      struct belfry_error *err)
{
	EVENT value = { .type = YAML_NO_EVENT };

	r = skip_mistake(l, key, r, err);
	if (r == 0)
		r = next_event(l, &value, err);
	return r == 0 ? skip_rest(l, &value, err) : r;
}

/* One "key: value" of the mapping at @path. */
static int load_entry(struct loader *l, const char *path, const yaml_event_t *key,
		      struct seen *seen, struct belfry_error *err)
{
	BF_FREE char *below = NULL;
	EVENT value = { .type = YAML_NO_EVENT };
	int r = check_key(path, key, seen, err);

	if (r == 0)
		r = remember_key(seen, key, err);
	if (r < 0)
		return skip_entry(l, key, wrap_mark(l, key->start_mark, r, err), err);
	below = path_below(path, (const char *)key->data.scalar.value);
	if (!below)
		return bf_err(err, ENOMEM, "%s: out of memory", l->text->name);
	r = next_event(l, &value, err);
	return r < 0 ? r : load_node(l, below, key->start_mark, &value, err);
}

/* Entries up to the mapping's end. Return: how many; a negative errno. */
static int load_mapping(struct loader *l, const char *path, struct belfry_error *err)
{
	__attribute__((cleanup(seen_fini))) struct seen seen = { .n = 0 };
	int r = 0;

	while (r == 0) {
		EVENT key = { .type = YAML_NO_EVENT };

		r = next_event(l, &key, err);
		if (r == 0 && key.type == YAML_MAPPING_END_EVENT)
			return seen.n;
		if (r == 0)
			r = load_entry(l, path, &key, &seen, err);
	}
	return r;
}

/* Items up to the list's end: the devices of @vm. One that was a mistake is not there. */
static int load_list(struct loader *l, const char *path, const struct bf_vm_conf *vm,
		     struct belfry_error *err)
{
	char number[16];
	int r = 0;

	for (unsigned int i = 0; r == 0; i++) {
		EVENT item = { .type = YAML_NO_EVENT };
		BF_FREE char *below = NULL;

		r = next_event(l, &item, err);
		if (r == 0 && item.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		if (i > vm->n_devices)
			i = vm->n_devices;
		snprintf(number, sizeof(number), "%u", i);
		below = path_below(path, number);
		if (r == 0 && !below)
			return bf_err(err, ENOMEM, "%s: out of memory", l->text->name);
		if (r == 0)
			r = load_node(l, below, item.start_mark, &item, err);
	}
	return r;
}

/* Does the text have at @path what the schema has there? */
static int check_shape(const struct bf_place *place, const char *path,
		       const yaml_event_t *ev, struct belfry_error *err)
{
	bool fits = false;

	switch (place->shape) {
	case BF_SHAPE_SECTION:
		fits = ev->type == YAML_MAPPING_START_EVENT;
		break;
	case BF_SHAPE_LIST:
		fits = ev->type == YAML_SEQUENCE_START_EVENT;
		break;
	case BF_SHAPE_VALUE:
		fits = ev->type == YAML_SCALAR_EVENT && !is_null(ev);
		break;
	}
	if (fits)
		return 0;
	return bf_err(err, EINVAL, "%s%sexpected %s, not %s", path, *path ? ": " : "",
		      name_of_place(place), name_of_event(ev));
}

/*
 * Where a link, VM or device begins, for what belfry_config_validate() finds later. The
 * last text to have a say in it is the likeliest to be wrong.
 */
static int note_where(const struct loader *l, const struct bf_place *place,
		      yaml_mark_t at, struct belfry_error *err)
{
	char *where;

	if (!place->where)
		return 0;
	if (asprintf(&where, "%s:%zu:%zu", l->text->name, at.line + 1, at.column + 1) < 0)
		return bf_err(err, ENOMEM, "%s: out of memory", l->text->name);
	free(*place->where);
	*place->where = where;
	return 0;
}

/* A mapping, whose first event has been seen. */
static int load_section(struct loader *l, const char *path, yaml_mark_t at,
			const struct bf_place *place, struct belfry_error *err)
{
	bool is_device = place->vm && !place->keys;
	int r = note_where(l, place, at, err);

	if (r == 0)
		r = load_mapping(l, path, err);
	if (r != 0 || !is_device)
		return r < 0 ? r : 0;
	r = bf_err(err, EINVAL, "%s: expected a kind of device", path);
	return bf_mistake(&l->found, wrap_mark(l, at, r, err), err);
}

/*
 * What stands at @path, whose first event is @ev. @at is where the text names the place:
 * at its key, or at the item of a list.
 */
static int load_node(struct loader *l, const char *path, yaml_mark_t at,
		     const yaml_event_t *ev, struct belfry_error *err)
{
	struct bf_place place;
	int r = bf_config_find(l->cfg, path, &place, err);

	if (r < 0)
		return skip_mistake(l, ev, wrap_mark(l, at, r, err), err);
	r = check_shape(&place, path, ev, err);
	if (r == 0 && place.shape == BF_SHAPE_VALUE)
		r = bf_config_put(&place, path, (char *)ev->data.scalar.value, err);
	if (r < 0)
		return skip_mistake(l, ev, wrap_mark(l, ev->start_mark, r, err), err);
	if (place.shape == BF_SHAPE_SECTION)
		return load_section(l, path, at, &place, err);
	return place.shape == BF_SHAPE_LIST ? load_list(l, path, place.vm, err) : 0;
}

/* --- the whole text --- */

/* The next event, which can be of one type only. */
static int expect(struct loader *l, yaml_event_type_t type, const char *otherwise,
		  struct belfry_error *err)
{
	EVENT ev = { .type = YAML_NO_EVENT };
	int r = next_event(l, &ev, err);

	if (r < 0 || ev.type == type)
		return r;
	return wrap_mark(l, ev.start_mark, bf_err(err, EINVAL, "%s", otherwise), err);
}

static int load_document(struct loader *l, struct belfry_error *err)
{
	EVENT root = { .type = YAML_NO_EVENT };
	int r = next_event(l, &root, err);

	if (r == 0)
		r = load_node(l, "", root.start_mark, &root, err);
	if (r == 0)
		r = expect(l, YAML_DOCUMENT_END_EVENT, "expected the end", err);
	return r;
}

/* No document at all, a text of comments for example, says nothing and is no mistake. */
static int load_stream(struct loader *l, struct belfry_error *err)
{
	EVENT ev = { .type = YAML_NO_EVENT };
	int r = expect(l, YAML_STREAM_START_EVENT, "expected a beginning", err);

	if (r == 0)
		r = next_event(l, &ev, err);
	if (r < 0 || ev.type == YAML_STREAM_END_EVENT)
		return r;
	r = load_document(l, err);
	if (r == 0)
		r = expect(l, YAML_STREAM_END_EVENT, "a second YAML document begins",
			   err);
	return r;
}

int bf_config_load_yaml(struct belfry_config *cfg, const struct bf_text *text,
			struct belfry_error *err)
{
	struct loader l = { .cfg = cfg, .text = text, .found.cfg = cfg };
	struct belfry_error each;
	int r;

	if (!yaml_parser_initialize(&l.yaml))
		return bf_err(err, ENOMEM, "%s: out of memory", text->name);
	yaml_parser_set_encoding(&l.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&l.yaml, (const unsigned char *)text->bytes,
				     text->size);
	r = load_stream(&l, &each);
	yaml_parser_delete(&l.yaml);
	if (r < 0)
		bf_mistake(&l.found, r, &each);
	return bf_mistakes_end(&l.found, err);
}
