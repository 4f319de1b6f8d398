/* SPDX-License-Identifier: MIT */
/* cli/peer.h - belfry peer: a session on a link, and its commands */
#ifndef CLI_PEER_H
#define CLI_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <belfry-peer.h>

#include "cli/cli.h"
#include "cli/peer_words.h"
#include "cli/run.h"

#define PEER_VECTORS_MAX 2048

struct session {
	struct belfry_peer *peer;
	struct cli_signals signals;
	int signal; /* that has come and ends what is under way; 0: none */
	bool json;  /* one object a line */
	bool watching;
	bool quit;
	/* Rings of our vectors that no `wait` has taken yet. */
	uint64_t waiting[PEER_VECTORS_MAX];
};

/* --- session.c --- */

/* Callbacks for belfry_peer_options, with the session as their user. */
extern const struct belfry_peer_events session_events;

enum step {
	STEP_EVENT,  /* something has happened on the link */
	STEP_INPUT,  /* @input can be read */
	STEP_TIME,   /* it is over */
	STEP_SIGNAL, /* session->signal */
	STEP_FAILED, /* said */
};

/* The time @ns from now; UINT64_MAX is never. */
uint64_t session_deadline(uint64_t ns);

/* Wait for one of the above. @input: a descriptor, or -1. @deadline: UINT64_MAX: none. */
enum step session_step(struct session *s, uint64_t deadline, int input);

/* Wait until @fd can be read. Return: false for a signal or a failure. */
bool session_wait_for(struct session *s, int fd);

/*
 * Write to something that may take it only later: some of @bytes, or all. Once a signal
 * has come nothing is waited for. Return: how much; -1, and errno.
 */
ssize_t session_write(struct session *s, int fd, const void *bytes, size_t n);

/* From now on standard output is written so. */
void session_own_output(struct session *s);

/*
 * Between two parts of something long: take in what has happened on the link, without
 * waiting. Return: whether a signal or a failure ends it.
 */
bool session_interrupted(struct session *s);

/* Say "NAME: message". Return: CLI_FAILURE. */
int session_fail(const struct words *w, const struct belfry_error *err);

/* A string for JSON, quotes included, on standard output. */
void print_json_string(const char *text);

/* --- commands: the first word is the name; return: an exit status --- */

int peer_list(struct session *s, const struct words *w);
int peer_dump(struct session *s, const struct words *w);
int peer_info(struct session *s, const struct words *w);
int peer_ring(struct session *s, const struct words *w);
int peer_wait(struct session *s, const struct words *w);
int peer_watch(struct session *s, const struct words *w);
int peer_sleep(struct session *s, const struct words *w);

int peer_read(struct session *s, const struct words *w);
int peer_write(struct session *s, const struct words *w);
int peer_fill(struct session *s, const struct words *w);
int peer_save(struct session *s, const struct words *w);
int peer_load(struct session *s, const struct words *w);
int peer_checksum(struct session *s, const struct words *w);

/* What is wrong with word @i, of which @what is expected. Return: CLI_USAGE. */
int word_usage(const struct words *w, unsigned int i, const char *what);

/* A number at most @max. Return: CLI_OK; CLI_USAGE, said. */
int word_number(const struct words *w, unsigned int i, const char *what, uint64_t max,
		uint64_t *out);
int word_time(const struct words *w, unsigned int i, uint64_t *ns);

/* --- commands.c --- */

/* Run every command of @line. Return: CLI_OK, or the status of the first that fails. */
int commands_run(struct session *s, const char *line);

/* Are there such commands, with so many words? Return: CLI_OK; CLI_USAGE, said. */
int commands_check(const char *line);

/* --- input.c; edit.c or no_edit.c --- */

struct editor;

struct input {
	struct session *s;
	const char *prompt; /* NULL: none */
	char *buf;
	size_t len, room;
	size_t next; /* where the next line begins */
	bool ended;
	bool failed;           /* said; nothing more comes */
	struct editor *editor; /* NULL: lines as they come */
};

/* From standard input; @prompt: of a terminal. */
void input_init(struct input *in, struct session *s, const char *prompt);
void input_fini(struct input *in);

/* Return: a line, valid until the next call; NULL: the end, a signal, or a failure. */
const char *input_line(struct input *in);

/* Return: NULL when there is no memory for one, or we were built without libedit. */
struct editor *editor_create(struct session *s, const char *prompt);
const char *editor_line(struct editor *e); /* as input_line() */
void editor_destroy(struct editor *e);

#endif
