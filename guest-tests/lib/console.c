/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/console.c - COM1, and the few printf formats that guests use */
#include <stdarg.h>

#include "guest-tests/guest.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/x86_64.h"

#define COM1_DATA       (COM1 + 0)
#define COM1_LINE       (COM1 + 5)
#define LINE_SEND_READY 0x20

static uint64_t write_com1(uint64_t text, uint64_t size, uint64_t unused)
{
	const char *at = (const char *)text;

	(void)unused;
	for (; size > 0; size--, at++) {
		while (!(in8(COM1_LINE) & LINE_SEND_READY))
			;
		out8(COM1_DATA, *at);
	}
	return 0;
}

/* ---- into a line ---- */

static void put_char(struct line *line, char c)
{
	if (line->used < sizeof(line->text))
		line->text[line->used++] = c;
}

struct field {
	unsigned int width;
	bool left, zeros;
};

static void put_field(struct line *line, struct field f, const char *text, size_t size)
{
	size_t pad = f.width > size ? f.width - size : 0;

	for (; !f.left && pad > 0; pad--)
		put_char(line, f.zeros ? '0' : ' ');
	while (size-- > 0)
		put_char(line, *text++);
	for (; pad > 0; pad--)
		put_char(line, ' ');
}

static void put_number(struct line *line, struct field f, uint64_t value,
		       unsigned int base, bool negative)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[value % base];
	while ((value /= base) > 0);
	if (negative)
		digits[--at] = '-';
	put_field(line, f, digits + at, sizeof(digits) - at);
}

static const char *parse_field(const char *format, struct field *f)
{
	*f = (struct field){ 0 };
	for (; *format == '-' || *format == '0'; format++)
		if (*format == '-')
			f->left = true;
		else
			f->zeros = true;
	for (; *format >= '0' && *format <= '9'; format++)
		f->width = f->width * 10 + (*format - '0');
	return format;
}

static void put_conversion(struct line *line, struct field f, char kind, bool is_long,
			   va_list *args)
{
	const char *text;
	int64_t number;
	char c;

	switch (kind) {
	case 's':
		text = va_arg(*args, const char *);
		put_field(line, f, text, strlen(text));
		break;
	case 'c':
		c = va_arg(*args, int);
		put_field(line, f, &c, 1);
		break;
	case 'd':
		number = is_long ? va_arg(*args, int64_t) : va_arg(*args, int);
		put_number(line, f, number < 0 ? -number : number, 10, number < 0);
		break;
	case 'u':
	case 'x':
		number = is_long ? va_arg(*args, uint64_t) : va_arg(*args, unsigned int);
		put_number(line, f, number, kind == 'x' ? 16 : 10, false);
		break;
	default: /* %% */
		put_char(line, kind);
	}
}

void line_format(struct line *line, const char *format, va_list args)
{
	struct field f;
	va_list rest;
	bool is_long;

	va_copy(rest, args);
	while (*format) {
		if (*format != '%') {
			put_char(line, *format++);
			continue;
		}
		format = parse_field(format + 1, &f);
		is_long = *format == 'l';
		format += is_long;
		put_conversion(line, f, *format, is_long, &rest);
		format += *format != '\0';
	}
	va_end(rest);
}

void line_write(struct line *line)
{
	ring0(write_com1, (uint64_t)line->text, line->used, 0);
	line->used = 0;
}

void line_end(struct line *line)
{
	if (line->used == sizeof(line->text))
		line->used--; /* cut the text, not the end of the line */
	put_char(line, '\n');
	line_write(line);
}

/* ---- what programs call ---- */

void print(const char *format, ...)
{
	struct line line = { .used = 0 };
	va_list args;

	va_start(args, format);
	line_format(&line, format, args);
	va_end(args);
	line_write(&line);
}

_Noreturn void guest_fail(const char *format, ...)
{
	struct line line = { .used = 0 };
	va_list args;

	va_start(args, format);
	line_format(&line, format, args);
	va_end(args);
	line_end(&line);
	guest_end(1);
}
