/* SPDX-License-Identifier: MIT */
/* cli/run.h - the parts of belfry run: signals, one VM, the terminal */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include <belfry.h>

/* --- signals.c: from a certain moment on, signals are read --- */

/*
 * The first signal asks the guests to power off, the next stops them. A parent passes
 * that on: to ask is SIGTERM, and to stop is CLI_SIGNAL_STOP.
 */
#define CLI_SIGNAL_STOP SIGUSR1

enum cli_role {
	CLI_ALONE,    /* one VM in this process */
	CLI_PARENT,   /* VMs in other processes */
	CLI_TERMINAL, /* a parent that has taken over the terminal */
	CLI_CHILD,    /* one of those other processes */
};

enum cli_request {
	CLI_NOTHING,
	CLI_ASK,
	CLI_STOP,
};

struct cli_signals {
	enum cli_role role;
	int fd;    /* polls readable when a signal has come; -1 while they are not read */
	int first; /* the one that stops us; 0: none yet */
	uint64_t first_ns;
	sigset_t before; /* what was blocked */
};

/* Return: CLI_OK; CLI_FAILURE, said. */
int cli_signals_open(struct cli_signals *s, enum cli_role role);

/* They stay blocked: one that comes late must not end a process that has its status. */
void cli_signals_close(struct cli_signals *s);
void cli_signals_undo(struct cli_signals *s); /* they do again what they did before */

/* The next signal that has come; 0 when there is none. */
int cli_signals_next(struct cli_signals *s);

/* What @signal wants of the VMs. */
enum cli_request cli_signals_request(struct cli_signals *s, int signal);

uint64_t cli_now_ns(void); /* CLOCK_MONOTONIC */

/* --- run_vm.c --- */

/* Run VM @name in this process. Return: the exit status. */
int cli_run_vm(struct belfry_config *cfg, const char *name, enum cli_role role,
	       bool stats);

/* --- terminal.c --- */

#define CLI_TERMINAL_FDS 2

struct cli_terminal {
	bool used;
	bool raw;  /* it is ours now */
	bool over; /* it has gone */
	bool escape;
	struct termios saved;
	int guest;      /* where the VM's process reads; -1: it has gone */
	char held[256]; /* typed, and not taken by that process */
	unsigned int n_held;
};

/*
 * Take over the terminal of standard input and output, if they are one that we are in the
 * foreground of, for the console of VM @name.
 */
int cli_terminal_init(struct cli_terminal *t, struct belfry_config *cfg, const char *name,
		      struct belfry_error *err);
void cli_terminal_fini(struct cli_terminal *t); /* as it was */

/* Make it raw, if it is ours to change; give it back as it was. */
void cli_terminal_enter(struct cli_terminal *t);
void cli_terminal_leave(struct cli_terminal *t);

/* What to poll for, and how long at most, in ms. */
int cli_terminal_poll(const struct cli_terminal *t, struct pollfd fds[CLI_TERMINAL_FDS]);

/* After the poll. Return: false when the VM is to end. */
bool cli_terminal_work(struct cli_terminal *t, const struct pollfd fds[CLI_TERMINAL_FDS]);

#endif
