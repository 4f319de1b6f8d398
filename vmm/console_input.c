/* SPDX-License-Identifier: MIT */
/*
 * vmm/console_input.c - what the guest's serial port receives
 *
 * The loop reads a few bytes and offers them to the port. What the port does not take
 * waits here, and so does the rest where it is: nothing more is read until the port has
 * called bf_console_wanted(). So nothing is lost, and a guest that does not read costs
 * nothing.
 *
 *	reading --bytes--> offering --all taken--> reading
 *	                   offering --some left--> paused --wanted--> offering
 *	reading --the end--> over
 *
 * EIO passes: a terminal gives it while we are in the background, a pseudo-terminal while
 * nobody has it open. It polls readable all the time then, so it is looked at now and
 * then instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/event.h"
#include "base/loop.h"
#include "base/own.h"
#include "vmm/machine.h"

#define EIO_PAUSE_NS 250000000ULL

/* Offer what waits to the port; go on reading when that was all. */
static void offer(struct belfry_vm *vm)
{
	struct bf_console_input *in = &vm->console.in;
	unsigned int n = 0;
	bool paused;

	bf_vm_lock(vm);
	if (vm->platform) /* no reset has failed */
		n = bf_arch_console_input(vm->platform, in->buf, in->len);
	in->len -= n;
	memmove(in->buf, in->buf + n, in->len);
	paused = in->paused = in->len > 0;
	bf_vm_unlock(vm);
	if (!paused)
		bf_loop_poll(in->loop, &in->read_op, in->fd, POLLIN);
}

/* Nothing has been read, for reason @code; 0: it is the end. */
static void read_nothing(struct belfry_vm *vm, int code)
{
	struct bf_console_input *in = &vm->console.in;

	switch (code) {
	case 0:
		bf_log(&vm->log, BELFRY_LOG_INFO, "console input has ended");
		break;
	case EAGAIN:
	case EINTR:
		bf_loop_poll(in->loop, &in->read_op, in->fd, POLLIN);
		break;
	case EIO:
		bf_console_pty_check(vm);
		bf_loop_timer(in->loop, &in->read_op, EIO_PAUSE_NS);
		break;
	default:
		bf_log(&vm->log, BELFRY_LOG_WARNING, "console input has ended: %s",
		       strerrordesc_np(code));
	}
}

static void readable(struct bf_op *op, int res)
{
	struct belfry_vm *vm = BF_CONTAINER_OF(op, struct belfry_vm, console.in.read_op);
	struct bf_console_input *in = &vm->console.in;
	ssize_t n;

	if (res == -ECANCELED)
		return;
	n = read(in->fd, in->buf, sizeof(in->buf));
	if (n <= 0) {
		read_nothing(vm, n < 0 ? errno : 0);
		return;
	}
	in->len = n;
	offer(vm);
}

static void woken(struct bf_op *op, int res)
{
	struct belfry_vm *vm = BF_CONTAINER_OF(op, struct belfry_vm, console.in.wake_op);
	struct bf_console_input *in = &vm->console.in;

	if (res == -ECANCELED)
		return;
	bf_event_take(in->wake, NULL);
	offer(vm);
	bf_loop_poll(in->loop, op, in->wake, POLLIN);
}

void bf_console_wanted(struct belfry_vm *vm)
{
	struct bf_console_input *in = &vm->console.in;

	if (in->paused)
		bf_event_add(in->wake, 1);
	in->paused = false;
}

/* A FIFO has us for a writer as well: when the others close it, it has not ended. */
static int input_open(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	return open(path, (S_ISFIFO(st.st_mode) ? O_RDWR : O_RDONLY) | O_NONBLOCK |
				  O_NOCTTY | O_CLOEXEC);
}

/* Begin to read from in->fd. */
static int input_begin(struct belfry_vm *vm, struct belfry_error *err)
{
	struct bf_console_input *in = &vm->console.in;
	int e = bf_vm_loop(vm, &in->loop, err);

	if (e < 0)
		return e;
	in->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->wake < 0)
		return bf_err_sys(err, errno, "console_input: eventfd");
	in->read_op.done = readable;
	in->wake_op.done = woken;
	bf_loop_poll(in->loop, &in->read_op, in->fd, POLLIN);
	bf_loop_poll(in->loop, &in->wake_op, in->wake, POLLIN);
	return 0;
}

int bf_console_input_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
			  struct belfry_error *err)
{
	struct bf_console_input *in = &vm->console.in;
	const struct bf_file *file = &conf->console_input;

	if (vm->console.pty.path)
		in->fd = fcntl(vm->console.fd, F_DUPFD_CLOEXEC, 3);
	else if (bf_file_given(file))
		in->fd = file->fd >= 0 ? bf_console_dup(file->fd, O_RDONLY)
				       : input_open(file->path);
	else
		return 0;
	if (in->fd < 0)
		return bf_err_sys(err, errno, "console_input %s",
				  file->path ? file->path : "descriptor");
	return input_begin(vm, err);
}

void bf_console_input_fini(struct bf_console_input *in)
{
	if (in->loop) {
		bf_loop_cancel(in->loop, &in->read_op);
		bf_loop_cancel(in->loop, &in->wake_op);
	}
	bf_close(&in->wake);
	bf_close(&in->fd);
}
