/* SPDX-License-Identifier: MIT */
/* base/err.c - filling a caller's struct belfry_error */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Of a message of @size bytes, what is inside leaves a quarter to its context. */
#define CONTEXT_ROOM(size) ((size)*3 / 4)

/* Whether a character of UTF-8 goes on with this byte. */
static bool goes_on(char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Make @text at most @room bytes long: its middle goes, in whole characters. */
static void shorten(char *text, size_t room)
{
	static const char gap[] = "...";
	const size_t len = strlen(text);
	size_t head = room - room / 2 - strlen(gap);
	size_t tail = len - room / 2;

	if (len <= room)
		return;
	while (head > 0 && goes_on(text[head]))
		head--;
	while (goes_on(text[tail]))
		tail++;
	memmove(text + head, gap, strlen(gap));
	memmove(text + head + strlen(gap), text + tail, len - tail + 1);
}

/* What @fmt says, and @tail: the first is shortened when there is no room for both. */
__attribute__((format(printf, 2, 0))) static void
fill(struct belfry_error *err, const char *fmt, va_list ap, const char *tail)
{
	const size_t tail_len = strlen(tail);
	char head[PATH_MAX + 256];
	size_t len;

	vsnprintf(head, sizeof(head), fmt, ap);
	shorten(head, sizeof(err->msg) - 1 - tail_len);
	len = strlen(head);
	memcpy(err->msg, head, len);
	memcpy(err->msg + len, tail, tail_len + 1);
}

int bf_err(struct belfry_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->code = -code;
		va_start(ap, fmt);
		fill(err, fmt, ap, "");
		va_end(ap);
	}
	return -code;
}

int bf_err_null(struct belfry_error *err, const char *call)
{
	return bf_err(err, EINVAL, "%s: NULL argument", call);
}

int bf_err_sys(struct belfry_error *err, int code, const char *fmt, ...)
{
	char buf[64], tail[80];
	va_list ap;

	if (err) {
		err->code = -code;
		snprintf(tail, sizeof(tail), ": %s", strerror_r(code, buf, sizeof(buf)));
		va_start(ap, fmt);
		fill(err, fmt, ap, tail);
		va_end(ap);
	}
	return -code;
}

/* What went wrong matters more than where: the context is what gets shorter. */
int bf_err_wrap(struct belfry_error *err, int code, const char *fmt, ...)
{
	char old[sizeof(err->msg) + 2] = ": ";
	va_list ap;

	if (!err)
		return code;
	memcpy(old + 2, err->msg, sizeof(err->msg));
	shorten(old, CONTEXT_ROOM(sizeof(err->msg)));
	va_start(ap, fmt);
	fill(err, fmt, ap, old);
	va_end(ap);
	return code;
}
