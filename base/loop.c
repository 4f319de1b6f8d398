/* SPDX-License-Identifier: MIT */
/*
 * base/loop.c - one io_uring with many owners
 *
 * Theory of operation
 *
 * A ring entry's user_data is the address of its struct bf_op, which its owner keeps in
 * place until done has been called. Entries without an op (0) are the loop's own
 * cancellations, whose results nobody needs.
 *
 * Starting an op only fills a submission entry. bf_loop_run_once() hands all of them to
 * the kernel in the system call that also waits, so that a turn costs one call however
 * many ops it started. Only when the submission queue is full are they handed over
 * early.
 *
 * A completion leaves the ring before its done is called. Nothing of the dispatch is
 * then left half done, and done may run the loop itself: this is how bf_loop_cancel()
 * waits, also when it is called from a completion.
 *
 * The kernel keeps completions that find no room in the ring (IORING_FEAT_NODROP);
 * io_uring_peek_cqe() fetches them. The ring is small: owners have few ops each, and
 * those under way need no room in it.
 *
 * Threads. The kernel ties an op to the thread that submitted it: it finishes it in that
 * thread's context, interrupting its system calls, and cancels it when that thread is no
 * more. But a loop is often set up by one thread and run by another, so when
 * bf_loop_run_once() finds itself on a new thread it cancels everything in the kernel.
 * Whatever completes with ECANCELED though no owner asked for it is submitted anew; a
 * cancelled op has had no effect, and timers are absolute, so nothing is lost or late.
 *
 * Accepting is the one multishot operation: an op that completes often and stays under
 * way. Left out: other multishot operations, registered descriptors and buffers. What
 * goes through this loop is joining, leaving and consoles; doorbells never do.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <liburing.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/own.h"

#define SQ_ENTRIES 64
#define CQ_ENTRIES 256
#define TURNS      64 /* of bf_loop_process(): its caller has other things to do, too */

struct bf_loop {
	struct io_uring ring;
	struct bf_op wake_op;
	int wake_fd; /* eventfd: bf_loop_wake() has been called */
	bool woken;
	pid_t tid; /* who ran the loop last; 0: nobody yet */
};

static struct io_uring_sqe *loop_sqe(struct bf_loop *loop)
{
	struct io_uring_sqe *sqe;

	/* Fails for want of memory or because of a signal only: try again. */
	while (!(sqe = io_uring_get_sqe(&loop->ring)))
		io_uring_submit(&loop->ring);
	return sqe;
}

/* Queue @op as its fields describe it: for the first time, or once more. */
static void loop_submit(struct bf_loop *loop, struct bf_op *op)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	switch (op->opcode) {
	case IORING_OP_RECVMSG:
		io_uring_prep_recvmsg(sqe, op->fd, op->msg, op->flags);
		break;
	case IORING_OP_SENDMSG:
		io_uring_prep_sendmsg(sqe, op->fd, op->msg, op->flags);
		break;
	case IORING_OP_ACCEPT:
		if (op->single)
			io_uring_prep_accept(sqe, op->fd, NULL, NULL, op->flags);
		else
			io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL,
						       op->flags);
		break;
	case IORING_OP_POLL_ADD:
		io_uring_prep_poll_add(sqe, op->fd, op->flags);
		break;
	case IORING_OP_TIMEOUT:
		io_uring_prep_timeout(sqe, &op->when, 0, op->flags);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

static void loop_start(struct bf_loop *loop, struct bf_op *op, uint8_t opcode, int fd,
		       unsigned int flags)
{
	op->opcode = opcode;
	op->fd = fd;
	op->flags = flags;
	op->cancelled = false;
	op->armed = true;
	loop_submit(loop, op);
}

void bf_loop_recvmsg(struct bf_loop *loop, struct bf_op *op, int fd, struct msghdr *msg,
		     int flags)
{
	op->msg = msg;
	loop_start(loop, op, IORING_OP_RECVMSG, fd, flags);
}

void bf_loop_sendmsg(struct bf_loop *loop, struct bf_op *op, int fd, struct msghdr *msg,
		     int flags)
{
	op->msg = msg;
	loop_start(loop, op, IORING_OP_SENDMSG, fd, flags);
}

void bf_loop_accept(struct bf_loop *loop, struct bf_op *op, int fd)
{
	loop_start(loop, op, IORING_OP_ACCEPT, fd, SOCK_CLOEXEC);
}

void bf_loop_poll(struct bf_loop *loop, struct bf_op *op, int fd, unsigned int events)
{
	loop_start(loop, op, IORING_OP_POLL_ADD, fd, events);
}

void bf_loop_timer(struct bf_loop *loop, struct bf_op *op, uint64_t ns)
{
	uint64_t when;

	if (__builtin_add_overflow(bf_now_ns(), ns, &when))
		when = UINT64_MAX;
	op->when.tv_sec = when / BF_NS_PER_S;
	op->when.tv_nsec = when % BF_NS_PER_S;
	loop_start(loop, op, IORING_OP_TIMEOUT, -1, IORING_TIMEOUT_ABS);
}

/* Kernels before 5.19 take a multishot accept for a mistake: do without. */
static bool is_too_new(struct bf_op *op, int res)
{
	if (op->opcode != IORING_OP_ACCEPT || op->single || res != -EINVAL)
		return false;
	op->single = true;
	return true;
}

/* One completion, already taken out of the ring. @more: the kernel goes on with it. */
static void loop_complete(struct bf_loop *loop, struct bf_op *op, int res, bool more)
{
	if (!op) /* a cancellation's own */
		return;
	if ((res == -ECANCELED && !op->cancelled) || is_too_new(op, res)) {
		loop_submit(loop, op);
		return;
	}
	if (op->opcode == IORING_OP_TIMEOUT && res == -ETIME)
		res = 0;
	op->armed = more;
	op->done(op, res);
}

/* Ask the kernel to cancel one op, or as @flags say. */
static void loop_submit_cancel(struct bf_loop *loop, struct bf_op *op, unsigned int flags)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_cancel(sqe, op, flags);
	io_uring_sqe_set_data(sqe, NULL);
}

void bf_loop_cancel(struct bf_loop *loop, struct bf_op *op)
{
	while (op->armed) {
		if (!op->cancelled) /* so too when its done starts it again */
			loop_submit_cancel(loop, op, 0);
		op->cancelled = true;
		bf_loop_run_once(loop, BELFRY_FOREVER);
	}
}

/* Take over what another thread has submitted. */
static void loop_adopt(struct bf_loop *loop)
{
	pid_t tid = gettid();

	if (loop->tid && loop->tid != tid)
		loop_submit_cancel(loop, NULL,
				   IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	loop->tid = tid;
}

int bf_loop_run_once(struct bf_loop *loop, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = { timeout_ns / BF_NS_PER_S,
					timeout_ns % BF_NS_PER_S };
	struct io_uring_cqe *cqe;
	int n = 0;
	int r;

	loop_adopt(loop);
	r = io_uring_submit_and_wait_timeout(
		&loop->ring, &cqe, 1, timeout_ns == BELFRY_FOREVER ? NULL : &ts, NULL);
	while (io_uring_peek_cqe(&loop->ring, &cqe) == 0) {
		struct bf_op *op = io_uring_cqe_get_data(cqe);
		bool more = cqe->flags & IORING_CQE_F_MORE;
		int res = cqe->res;

		io_uring_cqe_seen(&loop->ring, cqe);
		loop_complete(loop, op, res, more);
		n++;
	}
	/* ETIME: nothing came. EAGAIN: no memory now, the next turn submits the rest. */
	if (n > 0 || r >= 0 || r == -ETIME || r == -EINTR || r == -EAGAIN)
		return n;
	return r;
}

int bf_loop_process(struct bf_loop *loop)
{
	int n = 1;

	for (int turn = 0; turn < TURNS && n > 0; turn++)
		n = bf_loop_run_once(loop, 0);
	/* A turn that handled nothing has started nothing. */
	if (n > 0)
		io_uring_submit(&loop->ring);
	return n < 0 ? n : 0;
}

static void woken(struct bf_op *op, int res)
{
	struct bf_loop *loop = BF_CONTAINER_OF(op, struct bf_loop, wake_op);
	eventfd_t n;

	if (eventfd_read(loop->wake_fd, &n) == 0)
		loop->woken = true;
	bf_loop_poll(loop, op, loop->wake_fd, POLLIN);
}

void bf_loop_submit(struct bf_loop *loop)
{
	loop_adopt(loop);
	io_uring_submit(&loop->ring); /* what fails now, the next turn submits */
}

int bf_loop_fd(const struct bf_loop *loop)
{
	return loop->ring.ring_fd;
}

int bf_loop_run(struct bf_loop *loop)
{
	int r = 0;

	while (!loop->woken && r >= 0)
		r = bf_loop_run_once(loop, BELFRY_FOREVER);
	loop->woken = false;
	return r < 0 ? r : 0;
}

void bf_loop_wake(struct bf_loop *loop)
{
	int saved = errno;

	eventfd_write(loop->wake_fd, 1); /* full: a wake-up is pending anyway */
	errno = saved;
}

static const char io_uring_is_off[] =
	"io_uring is switched off on this host: set the sysctl kernel.io_uring_disabled "
	"to "
	"0; in a container, let the seccomp profile allow io_uring_setup";

static int ring_init(struct io_uring *ring, struct belfry_error *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = CQ_ENTRIES,
	};
	int r = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);

	switch (r) {
	case 0:
		return 0;
	case -ENOSYS:
	case -EPERM:
		return bf_err(err, -r, "%s", io_uring_is_off);
	case -EINVAL: /* IORING_SETUP_SUBMIT_ALL is from 5.18 */
		return bf_err(err, ENOSYS,
			      "io_uring of this kernel is too old: want 6.1");
	default:
		return bf_err_sys(err, -r, "io_uring_setup");
	}
}

int bf_loop_create(struct bf_loop **out, struct belfry_error *err)
{
	BF_FREE struct bf_loop *loop = calloc(1, sizeof(*loop));
	BF_CLOSE int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r;

	if (!loop)
		return bf_err(err, ENOMEM, "no memory for a loop");
	if (wake_fd < 0)
		return bf_err_sys(err, errno, "eventfd for a loop");
	r = ring_init(&loop->ring, err);
	if (r < 0)
		return r;
	loop->wake_fd = bf_take(&wake_fd);
	loop->wake_op.done = woken;
	bf_loop_poll(loop, &loop->wake_op, loop->wake_fd, POLLIN);
	*out = bf_take_ptr(&loop);
	return 0;
}

void bf_loop_destroy(struct bf_loop *loop)
{
	if (!loop)
		return;
	io_uring_queue_exit(&loop->ring); /* takes wake_op along */
	close(loop->wake_fd);
	free(loop);
}
