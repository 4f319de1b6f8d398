/* SPDX-License-Identifier: MIT */
/* vmm/config_syntax.c - what is wrong with a text that is not YAML, and where */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "vmm/config_parts.h"

/* libyaml gives the reader's errors as an offset in bytes only. */
static yaml_mark_t mark_of_offset(const struct bf_text *t, size_t offset)
{
	yaml_mark_t mark = { .line = 0 };

	for (size_t i = 0; i < offset && i < t->size; i++) {
		mark.column++;
		if (t->bytes[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

/* Is the line that @at is in indented by a tab? */
static bool tab_indents(const struct bf_text *t, yaml_mark_t at)
{
	const char *p = t->bytes;
	const char *end = t->bytes + t->size;
	const char *newline;

	for (size_t line = 0; line < at.line; line++) {
		newline = memchr(p, '\n', end - p);
		if (!newline)
			return false;
		p = newline + 1;
	}
	while (p < end && *p == ' ')
		p++;
	return p < end && *p == '\t';
}

int bf_config_syntax_error(const yaml_parser_t *yaml, const struct bf_text *text,
			   struct belfry_error *err)
{
	yaml_mark_t at = yaml->problem_mark;

	if (yaml->error == YAML_MEMORY_ERROR)
		return bf_err(err, ENOMEM, "%s: out of memory", text->name);
	if (yaml->error == YAML_READER_ERROR)
		at = mark_of_offset(text, yaml->problem_offset);
	if (yaml->error == YAML_SCANNER_ERROR && tab_indents(text, at))
		bf_err(err, EINVAL, "YAML is indented by spaces, not by tabs");
	else if (yaml->context && yaml->context_mark.line != at.line)
		bf_err(err, EINVAL, "YAML: %s %s that starts in line %zu", yaml->problem,
		       yaml->context, yaml->context_mark.line + 1);
	else
		bf_err(err, EINVAL, "YAML: %s", yaml->problem);
	return bf_err_wrap(err, -EINVAL, "%s:%zu:%zu", text->name, at.line + 1,
			   at.column + 1);
}
