/* SPDX-License-Identifier: MIT */
/*
 * cli/signals.c - belfry run's signals, read from a descriptor, and what they ask for
 *
 * SIGINT, SIGTERM and SIGHUP end a process that builds a VM. Once it runs they are read:
 * the first asks the guest to power off, the second stops it. timeout(1) sends its signal
 * twice, to us and to our process group, and so do others: what follows at once is the
 * same request.
 *
 * A signal of the terminal reaches parent and children. The children look only at what
 * the parent makes of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run.h"

#define SAME_REQUEST_NS 250000000ULL

uint64_t cli_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Those that each role reads, ended by 0. */
static const int wanted[][8] = {
	[CLI_ALONE] = { SIGINT, SIGTERM, SIGHUP },
	[CLI_PARENT] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD },
	[CLI_TERMINAL] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGQUIT, SIGTSTP, SIGCONT },
	[CLI_CHILD] = { SIGTERM, CLI_SIGNAL_STOP },
};

/* All but what we were started to ignore (nohup, a shell's background). */
static void wanted_set(enum cli_role role, sigset_t *set)
{
	struct sigaction old;

	sigemptyset(set);
	for (const int *signal = wanted[role]; *signal; signal++)
		if (sigaction(*signal, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(set, *signal);
}

int cli_signals_open(struct cli_signals *s, enum cli_role role)
{
	sigset_t read, blocked;

	s->role = role;
	wanted_set(role, &read);
	blocked = read;
	if (role == CLI_TERMINAL) { /* in its background, a call fails and we run on */
		sigaddset(&blocked, SIGTTIN);
		sigaddset(&blocked, SIGTTOU);
	}
	sigprocmask(SIG_BLOCK, &blocked, &s->before);
	s->fd = signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd >= 0)
		return CLI_OK;
	cli_say("signalfd: %s", strerror(errno));
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	return CLI_FAILURE;
}

void cli_signals_close(struct cli_signals *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void cli_signals_undo(struct cli_signals *s)
{
	cli_signals_close(s);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}

int cli_signals_next(struct cli_signals *s)
{
	struct signalfd_siginfo info;

	if (read(s->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.ssi_signo;
}

static bool asks_to_end(int signal)
{
	return signal == SIGINT || signal == SIGTERM || signal == SIGHUP ||
	       signal == SIGQUIT || signal == CLI_SIGNAL_STOP;
}

enum cli_request cli_signals_request(struct cli_signals *s, int signal)
{
	const bool is_first = s->first == 0;

	if (!asks_to_end(signal))
		return CLI_NOTHING;
	if (is_first) {
		s->first = signal == CLI_SIGNAL_STOP ? SIGTERM : signal;
		s->first_ns = cli_now_ns();
	}
	if (signal == CLI_SIGNAL_STOP)
		return CLI_STOP;
	if (is_first)
		return CLI_ASK;
	if (s->role == CLI_CHILD || cli_now_ns() - s->first_ns < SAME_REQUEST_NS)
		return CLI_NOTHING;
	return CLI_STOP;
}
