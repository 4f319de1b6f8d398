/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/late.c - rings at eventfds that once were ours, passed on to those that are
 *
 * Theory of operation
 *
 * A server that has come back may give us new eventfds. But a ring may be waiting in an
 * old one, and more will come: a peer rings the old one until it has met the server
 * again, which may be seconds later, or never when the server took it for somebody else.
 * So the old one is kept, and what it counts is added to the new one. That goes through
 * the loop, hence slower than a doorbell, but no ring is lost.
 *
 * One old eventfd is kept for each vector, the last one. That bounds the descriptors: a
 * peer that has missed two comings of the server is not heard any more.
 *
 * A server may as well give us the very same eventfds again. Those are not listened to:
 * a ring passed on would arrive as the next ring, for ever. /proc can tell; where it
 * cannot be read, the old eventfd is closed as if they were the same.
 *
 * An epoll set keeps an eventfd that has been closed as long as another process holds
 * it, so it is taken out first.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "base/event.h"
#include "base/own.h"
#include "ivshmem/late.h"

#define EVENTS 64 /* at a time */

struct bf_late_vector {
	int old; /* -1: none */
	int now; /* -1: has not come yet, and old is not listened to */
};

/* Add what @from counts to @to. */
static void pass(int from, int to)
{
	uint64_t n;

	if (bf_event_take(from, &n))
		bf_event_add(to, n);
}

static void rung(struct bf_op *op, int res)
{
	struct bf_late *l = BF_CONTAINER_OF(op, struct bf_late, op);
	struct epoll_event events[EVENTS];
	int n;

	if (res == -ECANCELED)
		return;
	n = epoll_wait(l->epoll, events, EVENTS, 0);
	for (int i = 0; i < n; i++) {
		const struct bf_late_vector *v = &l->vectors[events[i].data.u32];

		pass(v->old, v->now);
	}
	bf_loop_poll(l->loop, op, l->epoll, POLLIN);
}

/* The number by which the kernel knows an eventfd; -1 when it does not say. */
static int eventfd_id(int fd)
{
	char path[32], line[64];
	int id = -1;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return -1;
	while (id < 0 && fgets(line, sizeof(line), info))
		sscanf(line, "eventfd-id: %d", &id);
	fclose(info);
	return id;
}

static bool certainly_differ(int a, int b)
{
	const int id_a = eventfd_id(a), id_b = eventfd_id(b);

	return id_a >= 0 && id_b >= 0 && id_a != id_b;
}

static void drop(const struct bf_late *l, struct bf_late_vector *v)
{
	if (v->now >= 0)
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, v->old, NULL);
	bf_close(&v->old);
	v->now = -1;
}

/* Let rung() know of rings at v->old. Return: whether it will. */
static bool listen_to(struct bf_late *l, const struct bf_late_vector *v)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = v - l->vectors };

	if (l->epoll < 0) {
		l->epoll = epoll_create1(EPOLL_CLOEXEC);
		if (l->epoll >= 0)
			bf_loop_poll(l->loop, &l->op, l->epoll, POLLIN);
	}
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, v->old, &event) == 0;
}

void bf_late_init(struct bf_late *l, struct bf_loop *loop, unsigned int n)
{
	*l = (struct bf_late){ .loop = loop, .n = n, .epoll = -1, .op.done = rung };
}

void bf_late_fini(struct bf_late *l)
{
	if (!l->vectors)
		return;
	bf_loop_cancel(l->loop, &l->op);
	for (unsigned int i = 0; i < l->n; i++)
		drop(l, &l->vectors[i]);
	bf_close(&l->epoll);
	free(bf_take_ptr(&l->vectors));
}

int bf_late_keep(struct bf_late *l, unsigned int vector, int fd)
{
	struct bf_late_vector *v;
	BF_CLOSE int old = fd;

	if (!l->vectors) {
		l->vectors = calloc(l->n, sizeof(*l->vectors));
		if (!l->vectors)
			return -ENOMEM;
		for (unsigned int i = 0; i < l->n; i++)
			l->vectors[i] = (struct bf_late_vector){ -1, -1 };
	}
	v = &l->vectors[vector];
	if (v->old >= 0)
		pass(v->old, old);
	drop(l, v);
	v->old = bf_take(&old);
	return 0;
}

void bf_late_pass_to(struct bf_late *l, unsigned int vector, int fd)
{
	struct bf_late_vector *v = l->vectors ? &l->vectors[vector] : NULL;

	if (!v || v->old < 0)
		return;
	pass(v->old, fd);
	if (certainly_differ(v->old, fd) && listen_to(l, v))
		v->now = fd;
	else
		drop(l, v);
}
