/* SPDX-License-Identifier: MIT */
/*
 * examples/loop_uring.c - a virtual machine in an io_uring of the program's own, beside
 * a clock that ticks
 *
 *	loop_uring KERNEL [COMMAND-LINE]
 *
 * After five seconds the guest's power button is pressed, after ten it is stopped.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted.h"

/* What a completion is about. */
enum { VM = 1, CLOCK };

static struct __kernel_timespec tick = { .tv_sec = 5 };

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-result));
	exit(1);
}

/* Two operations at a time fit in any ring. */
static void ask(struct io_uring *ring, int what, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (what == VM)
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	else
		io_uring_prep_timeout(sqe, &tick, 0, 0);
	io_uring_sqe_set_data64(sqe, what);
}

/* Return: what has happened. */
static int await(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int what, e;

	do
		e = io_uring_submit_and_wait(ring, 1);
	while (e == -EINTR);
	check(e, "io_uring_submit_and_wait");
	check(io_uring_peek_cqe(ring, &cqe), "io_uring_peek_cqe");
	what = io_uring_cqe_get_data64(cqe);
	io_uring_cqe_seen(ring, cqe);
	return what;
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct hosted h;
	int what;

	check(io_uring_queue_init(8, &ring, 0), "io_uring_queue_init");
	hosted_start(&h, argc, argv);
	ask(&ring, VM, belfry_vm_fd(h.vm));
	ask(&ring, CLOCK, -1);
	while (!h.stopped) {
		what = await(&ring);
		if (what == VM)
			hosted_process(&h);
		else
			hosted_end(&h);
		ask(&ring, what, belfry_vm_fd(h.vm)); /* each poll tells once */
	}
	hosted_destroy(&h);
	io_uring_queue_exit(&ring);
	return h.status;
}
