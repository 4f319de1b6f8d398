/* SPDX-License-Identifier: MIT */
/*
 * cli/terminal.c - belfry run's terminal as the console of its one VM
 *
 * The VM runs in a process of its own, and this one has the terminal: whatever becomes of
 * the VM, the terminal is given back as it was. What is typed goes through here, so that
 * Ctrl-a can be caught, and on by a socket that the VM reads as its `console_input`. What
 * the VM's process does not take is held; when that is full, the terminal holds the rest.
 *
 * The terminal is ours while we are in its foreground. Whoever stops us (SIGTSTP) gets it
 * back first, and we take it again when we continue in the foreground. A shell does not
 * say when it brings us there from its background: so look now and then.
 *
 * Standard input and output must both be the terminal. With the output elsewhere, Ctrl-C
 * is worth more than a console that nobody sees. O_NONBLOCK is never set: the shell has
 * the same open file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run.h"

#define CTRL_A  1
#define LOOK_MS 500

static bool in_foreground(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static bool has_own_console(struct belfry_config *cfg, const char *name)
{
	static const char *const keys[] = { "console", "console_input", "console_pty" };
	char path[80];

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(path, sizeof(path), "vms.%s.%s", name, keys[i]);
		if (belfry_config_has(cfg, path) != 0)
			return true;
	}
	return false;
}

int cli_terminal_init(struct cli_terminal *t, struct belfry_config *cfg, const char *name,
		      struct belfry_error *err)
{
	char path[80];
	int ends[2], e;

	if (has_own_console(cfg, name) || !isatty(STDOUT_FILENO) || !in_foreground() ||
	    tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		snprintf(err->msg, sizeof(err->msg), "terminal: socket: %s",
			 strerror(errno));
		return err->code = -errno;
	}
	t->used = true;
	t->guest = ends[0];
	cli_say("Ctrl-a x stops %s, Ctrl-a h helps", name);
	snprintf(path, sizeof(path), "vms.%s.console_input", name);
	e = belfry_config_set_fd(cfg, path, ends[1], err);
	close(ends[1]);
	return e;
}

void cli_terminal_fini(struct cli_terminal *t)
{
	cli_terminal_leave(t);
	if (t->guest >= 0)
		close(t->guest);
	t->guest = -1;
}

/* Output stays as it is, so that lines of ours begin at the left. */
void cli_terminal_enter(struct cli_terminal *t)
{
	struct termios mode = t->saved;

	if (!t->used || t->over || !in_foreground())
		return;
	cfmakeraw(&mode);
	mode.c_oflag = t->saved.c_oflag;
	t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &mode) == 0;
}

void cli_terminal_leave(struct cli_terminal *t)
{
	if (t->raw && in_foreground()) /* else it is somebody else's now */
		tcsetattr(STDIN_FILENO, TCSANOW, &t->saved);
	t->raw = false;
}

static void hold(struct cli_terminal *t, char c)
{
	t->held[t->n_held++] = c;
}

static void print_help(void)
{
	cli_say("Ctrl-a x       stop the VM, without asking the guest");
	cli_say("Ctrl-a Ctrl-a  send one Ctrl-a to the guest");
	cli_say("Ctrl-a h       this help");
}

/* One key. Return: false when the VM is to end. */
static bool typed(struct cli_terminal *t, char c)
{
	if (!t->escape) {
		t->escape = c == CTRL_A;
		if (!t->escape)
			hold(t, c);
		return true;
	}
	t->escape = false;
	switch (c) {
	case 'x':
		return false;
	case 'h':
		print_help();
		break;
	case CTRL_A:
		hold(t, CTRL_A);
		break;
	default:
		hold(t, CTRL_A);
		hold(t, c);
	}
	return true;
}

/* A Ctrl-a from before may take a place of its own. */
static unsigned int room(const struct cli_terminal *t)
{
	return sizeof(t->held) - t->n_held - 1;
}

/* Return: false when the VM is to end. */
static bool read_keys(struct cli_terminal *t)
{
	char keys[sizeof(t->held)];
	ssize_t n = read(STDIN_FILENO, keys, room(t));
	bool go_on = true;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) { /* it has gone; or, with EIO, we are no longer in the foreground */
		t->over = n == 0;
		t->raw = false;
	}
	for (ssize_t i = 0; i < n && go_on; i++)
		go_on = typed(t, keys[i]);
	return go_on;
}

static void pass_on(struct cli_terminal *t)
{
	const ssize_t n = send(t->guest, t->held, t->n_held, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		t->n_held -= n;
		memmove(t->held, t->held + n, t->n_held);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) { /* nobody reads */
		close(t->guest);
		t->guest = -1;
	}
}

int cli_terminal_poll(const struct cli_terminal *t, struct pollfd fds[CLI_TERMINAL_FDS])
{
	const bool reads = t->raw && room(t) > 0;
	const bool writes = t->used && t->n_held && t->guest >= 0;

	fds[0] = (struct pollfd){ .fd = reads ? STDIN_FILENO : -1, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = writes ? t->guest : -1, .events = POLLOUT };
	return t->used && !t->raw && !t->over ? LOOK_MS : -1;
}

bool cli_terminal_work(struct cli_terminal *t, const struct pollfd fds[CLI_TERMINAL_FDS])
{
	bool go_on = true;

	if (t->used && !t->raw)
		cli_terminal_enter(t);
	if (fds[0].revents)
		go_on = read_keys(t);
	if (t->n_held && t->guest >= 0)
		pass_on(t);
	else if (t->guest < 0)
		t->n_held = 0;
	return go_on;
}
