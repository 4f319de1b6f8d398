/* SPDX-License-Identifier: MIT */
/* ivshmem/outbox.c - the messages that wait to be sent to a client */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/own.h"
#include "ivshmem/outbox.h"

#define ROOM_FIRST 8

/* One message, or with @vectors one per vector. */
struct bf_outbox_entry {
	struct bf_vectors *vectors;
	int value;
	int fd;
};

int bf_vectors_create(struct bf_vectors **out, uint16_t id, unsigned int n,
		      struct belfry_error *err)
{
	struct bf_vectors *v = malloc(sizeof(*v) + n * sizeof(v->fd[0]));
	int r;

	if (!v)
		return bf_err(err, ENOMEM, "no memory for %u vectors", n);
	*v = (struct bf_vectors){ .refs = 1, .id = id };
	for (; v->n < n; v->n++) {
		v->fd[v->n] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->fd[v->n] < 0) {
			r = bf_err_sys(err, errno, "eventfd %u of %u", v->n + 1, n);
			bf_vectors_put(v);
			return r;
		}
	}
	*out = v;
	return 0;
}

void bf_vectors_put(struct bf_vectors *v)
{
	if (!v || --v->refs > 0)
		return;
	for (unsigned int i = 0; i < v->n; i++)
		close(v->fd[i]);
	free(v);
}

static struct bf_outbox_entry *entry(const struct bf_outbox *box, unsigned int i)
{
	return &box->ring[(box->head + i) & (box->room - 1)];
}

static int grow(struct bf_outbox *box)
{
	unsigned int room = box->room ? 2 * box->room : ROOM_FIRST;
	struct bf_outbox_entry *ring;

	if (box->count < box->room)
		return 0;
	ring = calloc(room, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (unsigned int i = 0; i < box->count; i++)
		ring[i] = *entry(box, i);
	free(box->ring);
	box->ring = ring;
	box->room = room;
	box->head = 0;
	return 0;
}

static int add(struct bf_outbox *box, struct bf_outbox_entry e, unsigned int messages)
{
	int r = grow(box);

	if (r < 0)
		return r;
	*entry(box, box->count++) = e;
	box->messages += messages;
	return 0;
}

int bf_outbox_add(struct bf_outbox *box, int value, int fd)
{
	return add(box, (struct bf_outbox_entry){ NULL, value, fd }, 1);
}

int bf_outbox_add_vectors(struct bf_outbox *box, struct bf_vectors *v)
{
	int r = add(box, (struct bf_outbox_entry){ v, v->id, -1 }, v->n);

	if (r == 0)
		v->refs++;
	return r;
}

bool bf_outbox_first(const struct bf_outbox *box, int64_t *value, int *fd)
{
	const struct bf_outbox_entry *e;

	if (box->count == 0)
		return false;
	e = entry(box, 0);
	*value = e->value;
	*fd = e->vectors ? e->vectors->fd[box->vector] : e->fd;
	return true;
}

/* The first entry has been sent. An empty queue gives its memory back. */
static void pop_entry(struct bf_outbox *box)
{
	bf_vectors_put(entry(box, 0)->vectors);
	box->head++;
	box->vector = 0;
	if (--box->count == 0) {
		free(box->ring);
		box->ring = NULL;
		box->room = 0;
	}
}

void bf_outbox_pop(struct bf_outbox *box)
{
	const struct bf_vectors *v = entry(box, 0)->vectors;

	box->messages--;
	if (v && ++box->vector < v->n)
		return;
	pop_entry(box);
}

void bf_outbox_fini(struct bf_outbox *box)
{
	while (box->count > 0)
		pop_entry(box);
}
