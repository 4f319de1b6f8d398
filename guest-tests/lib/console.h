/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/console.h - a line of console output while it is put together */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

struct line {
	size_t used; /* to be 0 at first */
	char text[256];
};

void line_format(struct line *line, const char *format, va_list args); /* appends */
void line_write(struct line *line); /* puts it out and empties it */
void line_end(struct line *line);   /* the same, with a newline after it */

#endif
