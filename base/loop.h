/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h - one io_uring with many owners
 *
 * An owner embeds a struct bf_op per operation that it may have under way and starts it
 * with one of the calls below. When it completes, the loop calls op->done. An op is
 * under way from its start to the call of done; it, and the buffers it names, must stay
 * valid so long. bf_loop_cancel() is how an owner gets its op back before it goes away.
 *
 * Threads: one at a time, not always the same. Whoever runs the loop, or owns it while
 * nobody runs it, may call anything; every other thread only bf_loop_wake().
 */
#ifndef BF_LOOP_H
#define BF_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/time_types.h>

#include "base/err.h"

struct bf_loop;
struct bf_op;
struct msghdr;

/*
 * @res: what the system call would have returned, a number or a negative errno; 0 for a
 * timer whose time has come; -ECANCELED only when bf_loop_cancel() asked for it.
 */
typedef void bf_op_fn(struct bf_op *op, int res);

struct bf_op {
	bf_op_fn *done; /* the owner's */

	/* The loop's, zero at first. */
	bool armed; /* under way */
	bool cancelled;
	bool single; /* the kernel does not repeat it by itself */
	uint8_t opcode;
	int fd;
	unsigned int flags;
	struct msghdr *msg;
	struct __kernel_timespec when;
};

/*
 * Return: 0; -ENOSYS or -EPERM when the host offers no io_uring, with a message that
 * says what to do; -ENOMEM, -EMFILE.
 */
int bf_loop_create(struct bf_loop **out, struct belfry_error *err);

/* No op may be under way. NULL is fine. */
void bf_loop_destroy(struct bf_loop *loop);

/* Start an operation. They cannot fail: what goes wrong reaches op->done. */
void bf_loop_recvmsg(struct bf_loop *loop, struct bf_op *op, int fd, struct msghdr *msg,
		     int flags);
void bf_loop_sendmsg(struct bf_loop *loop, struct bf_op *op, int fd, struct msghdr *msg,
		     int flags);

/*
 * Goes on: done is called for each socket (close-on-exec, the callee's), and the op stays
 * under way unless op->armed says otherwise by then.
 */
void bf_loop_accept(struct bf_loop *loop, struct bf_op *op, int fd);

void bf_loop_poll(struct bf_loop *loop, struct bf_op *op, int fd, unsigned int events);
void bf_loop_timer(struct bf_loop *loop, struct bf_op *op, uint64_t ns);

/*
 * Take @op back: returns when it is no longer under way; does nothing if it never was.
 * Its done is called (with -ECANCELED, or with its result if that came first), and so
 * may be those of others.
 */
void bf_loop_cancel(struct bf_loop *loop, struct bf_op *op);

/*
 * Wait up to @timeout_ns (BELFRY_FOREVER: no limit; 0: only look) for one completion,
 * then handle all that are there. May be called from within a done.
 * Return: how many were handled; 0 after the time or a signal; a negative errno.
 */
int bf_loop_run_once(struct bf_loop *loop, uint64_t timeout_ns);

/*
 * For who polls and does not wait here: handle what is there, and let the kernel know of
 * every op that has been started. bf_loop_fd() then polls readable (POLLIN) once there is
 * more to do. A crowd of completions may take several calls.
 * Return: 0; a negative errno.
 */
int bf_loop_process(struct bf_loop *loop);

/* Let the kernel know of every op that has been started, and handle nothing. */
void bf_loop_submit(struct bf_loop *loop);

/*
 * A descriptor that polls readable when bf_loop_run_once() has something to handle of
 * what has been submitted. Owned by @loop.
 */
int bf_loop_fd(const struct bf_loop *loop);

/* Run until bf_loop_wake() has been called. Return: 0, or a negative errno. */
int bf_loop_run(struct bf_loop *loop);

/* Make bf_loop_run() return. Any thread; async-signal-safe. */
void bf_loop_wake(struct bf_loop *loop);

#endif
