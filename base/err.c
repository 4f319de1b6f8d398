/* SPDX-License-Identifier: MIT */
/* base/err.c - filling a caller's struct belfry_error */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Of a message of @size bytes, what is inside leaves a quarter to its context. */
#define CONTEXT_ROOM(size) ((size)*3 / 4)

int bf_err(struct belfry_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->code = -code;
		va_start(ap, fmt);
		vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
	}
	return -code;
}

/* Make @text at most @room bytes long: its middle goes. */
static void shorten(char *text, size_t room)
{
	static const char gap[] = "...";
	size_t len = strlen(text);
	size_t tail = room / 2;

	if (len <= room)
		return;
	memmove(text + room - tail - strlen(gap), gap, strlen(gap));
	memmove(text + room - tail, text + len - tail, tail + 1);
}

/* "@head: @tail", of which @head is shortened when there is no room for both. */
static void put(struct belfry_error *err, char *head, const char *tail)
{
	const size_t tail_len = strlen(tail);
	size_t len;

	shorten(head, sizeof(err->msg) - tail_len - strlen(": ") - 1);
	len = strlen(head);
	memcpy(err->msg, head, len);
	memcpy(err->msg + len, ": ", strlen(": "));
	memcpy(err->msg + len + strlen(": "), tail, tail_len + 1);
}

int bf_err_null(struct belfry_error *err, const char *call)
{
	return bf_err(err, EINVAL, "%s: NULL argument", call);
}

int bf_err_sys(struct belfry_error *err, int code, const char *fmt, ...)
{
	char text[1024], buf[64];
	const char *why = strerror_r(code, buf, sizeof(buf));
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		err->code = -code;
		put(err, text, why);
	}
	return -code;
}

/* What went wrong matters more than where: the context is what gets shorter. */
int bf_err_wrap(struct belfry_error *err, int code, const char *fmt, ...)
{
	char old[sizeof(err->msg)], text[1024];
	va_list ap;

	if (!err)
		return code;
	memcpy(old, err->msg, sizeof(old));
	shorten(old, CONTEXT_ROOM(sizeof(err->msg)));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(err, text, old);
	return code;
}
