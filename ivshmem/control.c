/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/control.c - a socket that tells whoever connects how a server is
 *
 * There are no commands: connecting asks, the text follows, and then the end of file. A
 * reader has a few seconds to read it; those who find all places taken are turned away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/own.h"
#include "ivshmem/control.h"

#define LIMIT_NS 5000000000ULL

/* Free the place, when neither op is under way any more. */
static void reader_done(struct bf_reader *r)
{
	if (r->send_op.armed || r->limit_op.armed)
		return;
	bf_close(&r->sock);
	free(bf_take_ptr(&r->text));
}

static void reader_end(struct bf_reader *r)
{
	bf_loop_cancel(r->control->loop, &r->limit_op);
	reader_done(r);
}

static void reader_sent(struct bf_op *op, int res)
{
	struct bf_reader *r = BF_CONTAINER_OF(op, struct bf_reader, send_op);

	if (res > 0) {
		r->iov.iov_base = (char *)r->iov.iov_base + res;
		r->iov.iov_len -= res;
	}
	if (res > 0 && r->iov.iov_len > 0)
		bf_loop_sendmsg(r->control->loop, op, r->sock, &r->hdr, MSG_NOSIGNAL);
	else
		reader_end(r);
}

/* Its time is over: the send under way comes back. */
static void reader_late(struct bf_op *op, int res)
{
	struct bf_reader *r = BF_CONTAINER_OF(op, struct bf_reader, limit_op);

	if (res != -ECANCELED)
		shutdown(r->sock, SHUT_RDWR);
}

static struct bf_reader *free_place(struct bf_control *control)
{
	for (int i = 0; i < BF_CONTROL_READERS; i++)
		if (!control->reader[i].text)
			return &control->reader[i];
	return NULL;
}

static void accepted(struct bf_listener *listener, int sock, int code)
{
	struct bf_control *control =
		BF_CONTAINER_OF(listener, struct bf_control, listener);
	struct bf_reader *r = code ? NULL : free_place(control);
	char *text = r ? control->fn(control->owner) : NULL;

	if (!text) {
		close(sock);
		return;
	}
	*r = (struct bf_reader){
		.control = control,
		.send_op.done = reader_sent,
		.limit_op.done = reader_late,
		.iov = { text, strlen(text) },
		.text = text,
		.sock = sock,
	};
	r->hdr = (struct msghdr){ .msg_iov = &r->iov, .msg_iovlen = 1 };
	bf_loop_timer(control->loop, &r->limit_op, LIMIT_NS);
	bf_loop_sendmsg(control->loop, &r->send_op, sock, &r->hdr, MSG_NOSIGNAL);
}

int bf_control_start(struct bf_control *control, struct bf_loop *loop, const char *path,
		     bf_control_fn *fn, void *owner, const struct bf_log *log,
		     struct belfry_error *err)
{
	const struct bf_listener_conf conf = {
		.path = path,
		.sock = -1,
		.has_mode = true,
		.mode = 0600,
		.uid = -1,
		.gid = -1,
	};

	control->loop = loop;
	control->fn = fn;
	control->owner = owner;
	return bf_listener_start(&control->listener, loop, &conf, accepted, log, err);
}

void bf_control_stop(struct bf_control *control)
{
	bf_listener_stop(&control->listener);
	for (int i = 0; i < BF_CONTROL_READERS; i++) {
		struct bf_reader *r = &control->reader[i];

		if (!r->text)
			continue;
		shutdown(r->sock, SHUT_RDWR);
		bf_loop_cancel(control->loop, &r->send_op);
	}
}
