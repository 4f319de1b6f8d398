/* SPDX-License-Identifier: MIT */
/*
 * cli/peer_edit.c - belfry peer: editing lines at a prompt, by libedit
 *
 * libedit asks for one character at a time. While there is none, the link goes on. A
 * signal ends the line: editor_line() returns NULL, and libedit has restored the
 * terminal.
 */
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/peer.h"

#define LINES 500 /* remembered */

struct editor {
	struct session *s;
	EditLine *el;
	History *history;
	const char *prompt;
	char *line;
};

static char *prompt_of(EditLine *el)
{
	struct editor *e;

	el_get(el, EL_CLIENTDATA, &e);
	return (char *)e->prompt;
}

/* The next byte. Return: 1; 0 at the end; -1 for a signal or a failure. */
static int next_byte(struct editor *e, char *byte)
{
	return session_wait_for(e->s, STDIN_FILENO) ? read(STDIN_FILENO, byte, 1) : -1;
}

static int next_char(EditLine *el, wchar_t *out)
{
	mbstate_t state = { 0 };
	struct editor *e;
	char byte;
	size_t n;
	int r;

	el_get(el, EL_CLIENTDATA, &e);
	do {
		r = next_byte(e, &byte);
		if (r <= 0)
			return r;
		n = mbrtowc(out, &byte, 1, &state);
	} while (n == (size_t)-2); /* there is more to it */
	if (n == (size_t)-1)
		*out = L'?';
	return 1;
}

struct editor *editor_create(struct session *s, const char *prompt)
{
	struct editor *e = calloc(1, sizeof(*e));
	HistEvent event;

	if (!e)
		return NULL;
	setlocale(LC_CTYPE, "");
	e->s = s;
	e->prompt = prompt;
	e->el = el_init("belfry", stdin, stdout, stderr);
	e->history = history_init();
	if (!e->el || !e->history) {
		editor_destroy(e);
		return NULL;
	}
	history(e->history, &event, H_SETSIZE, LINES);
	history(e->history, &event, H_SETUNIQUE, 1);
	el_set(e->el, EL_CLIENTDATA, e);
	el_set(e->el, EL_HIST, history, e->history);
	el_set(e->el, EL_PROMPT, prompt_of);
	el_set(e->el, EL_EDITOR, "emacs");
	el_set(e->el, EL_SIGNAL, 1); /* for Ctrl-Z and the size of the window */
	el_set(e->el, EL_GETCFN, next_char);
	return e;
}

const char *editor_line(struct editor *e)
{
	HistEvent event;
	int n = 0;
	const char *line = el_gets(e->el, &n);

	free(e->line);
	e->line = line && n > 0 ? strdup(line) : NULL;
	if (!e->line)
		cli_print("\n");
	else if (*e->line != '\n')
		history(e->history, &event, H_ENTER, e->line);
	return e->line;
}

void editor_destroy(struct editor *e)
{
	if (!e)
		return;
	if (e->el)
		el_end(e->el);
	if (e->history)
		history_end(e->history);
	free(e->line);
	free(e);
}
