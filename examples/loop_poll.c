/* SPDX-License-Identifier: MIT */
/*
 * examples/loop_poll.c - a virtual machine in a poll(2) loop, beside signals
 *
 *	loop_poll KERNEL [COMMAND-LINE]
 *
 * Ctrl-C presses the guest's power button; a second one stops it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hosted.h"

/* SIGINT and SIGTERM, as something to read. */
static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0) {
		perror("signalfd");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .fd = open_signals(), .events = POLLIN },
				 { .events = POLLIN } };
	struct signalfd_siginfo info;
	struct hosted h;

	hosted_start(&h, argc, argv);
	fds[1].fd = belfry_vm_fd(h.vm);
	while (!h.stopped) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			perror("poll");
			return 1;
		}
		if (fds[0].revents && read(fds[0].fd, &info, sizeof(info)) > 0)
			hosted_end(&h);
		if (fds[1].revents)
			hosted_process(&h);
	}
	hosted_destroy(&h);
	close(fds[0].fd);
	return h.status;
}
