/* SPDX-License-Identifier: MIT */
/* cli/peer_input.c - belfry peer: lines from standard input, while the link goes on */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/peer.h"

#define CHUNK          4096
#define LINE_MAX_BYTES (16 << 20)

void input_init(struct input *in, struct session *s, const char *prompt)
{
	*in = (struct input){ .s = s, .prompt = prompt };
	if (prompt)
		in->editor = editor_create(s, prompt);
}

void input_fini(struct input *in)
{
	editor_destroy(in->editor);
	free(in->buf);
}

/* Room for a chunk and a NUL. */
static bool make_room(struct input *in)
{
	char *grown;

	if (in->room - in->len > CHUNK)
		return true;
	if (in->room >= LINE_MAX_BYTES) {
		cli_say("standard input: a line has more than %d bytes", LINE_MAX_BYTES);
		return false;
	}
	grown = realloc(in->buf, 2 * in->room + CHUNK + 1);
	if (!grown) {
		cli_say("standard input: out of memory");
		return false;
	}
	in->buf = grown;
	in->room = 2 * in->room + CHUNK + 1;
	return true;
}

/* Return: false when nothing more can come. */
static bool read_more(struct input *in)
{
	ssize_t n;

	if (in->next > 0)
		memmove(in->buf, in->buf + in->next, in->len - in->next);
	in->len -= in->next;
	in->next = 0;
	in->failed = !make_room(in);
	if (in->failed || !session_wait_for(in->s, STDIN_FILENO))
		return false;
	n = read(STDIN_FILENO, in->buf + in->len, CHUNK);
	in->failed = n < 0;
	if (n < 0)
		cli_say("standard input: %s", strerror(errno));
	if (n > 0)
		in->len += n;
	in->ended = n <= 0;
	return n >= 0;
}

/* The next line of the buffer, its end replaced by a NUL; NULL: it has none. */
static const char *cut_line(struct input *in)
{
	char *start = in->buf + in->next;
	char *end = in->len > in->next ? memchr(start, '\n', in->len - in->next) : NULL;

	if (!end && (!in->ended || in->len == in->next))
		return NULL;
	if (!end)
		end = in->buf + in->len++; /* the last line may lack its end */
	*end = '\0';
	in->next = end + 1 - in->buf;
	if (strlen(start) == (size_t)(end - start))
		return start;
	cli_say("standard input: a line has a NUL");
	in->failed = in->ended = true;
	in->next = in->len;
	return NULL;
}

const char *input_line(struct input *in)
{
	const char *line;

	if (in->editor)
		return editor_line(in->editor);
	if (in->prompt && cli_print(in->prompt) != CLI_OK)
		return NULL;
	while (!(line = cut_line(in)))
		if (in->ended || !read_more(in))
			break;
	if (in->prompt && !line)
		cli_print("\n");
	return line;
}
