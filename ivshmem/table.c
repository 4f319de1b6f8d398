/* SPDX-License-Identifier: MIT */
/* ivshmem/table.c - the eventfds of a link's peers, by ID and vector */
#include <stdlib.h>

#include "base/own.h"
#include "ivshmem/table.h"

#define PAGE_SIZE  (BF_TABLE_IDS / BF_TABLE_PAGES)
#define ROOM_FIRST 2 /* vectors in a new peer; doubled when they do not suffice */

struct peer {
	uint16_t n;
	uint16_t room;
	int fd[]; /* by vector; -1, BF_TABLE_UNHELD: counted only */
};

struct bf_table_page {
	struct peer *peer[PAGE_SIZE];
};

static struct peer *find(const struct bf_table *table, uint16_t id)
{
	const struct bf_table_page *page = table->page[id / PAGE_SIZE];

	return page ? page->peer[id % PAGE_SIZE] : NULL;
}

/* Where @id is or will be. Return: NULL when there is no memory for the page. */
static struct peer **place(struct bf_table *table, uint16_t id)
{
	struct bf_table_page **page = &table->page[id / PAGE_SIZE];

	if (!*page)
		*page = calloc(1, sizeof(**page));
	return *page ? &(*page)->peer[id % PAGE_SIZE] : NULL;
}

/* Return: @peer, or what replaces it, with room for one vector more; NULL: no memory. */
static struct peer *grow(struct peer *peer)
{
	size_t room = peer ? 2 * peer->room : ROOM_FIRST;
	struct peer *grown;

	if (peer && peer->n < peer->room)
		return peer;
	grown = realloc(peer, sizeof(*grown) + room * sizeof(grown->fd[0]));
	if (!grown)
		return NULL;
	if (!peer)
		grown->n = 0;
	grown->room = room;
	return grown;
}

static void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	for (unsigned int i = 0; i < peer->n; i++)
		bf_close(&peer->fd[i]);
	free(peer);
}

bool bf_table_has(const struct bf_table *table, uint16_t id)
{
	return find(table, id);
}

unsigned int bf_table_count(const struct bf_table *table, uint16_t id)
{
	const struct peer *peer = find(table, id);

	return peer ? peer->n : 0;
}

unsigned int bf_table_unheld(const struct bf_table *table, uint16_t id)
{
	const struct peer *peer = find(table, id);
	unsigned int n = 0;

	for (unsigned int i = 0; peer && i < peer->n; i++)
		n += peer->fd[i] == BF_TABLE_UNHELD;
	return n;
}

int bf_table_next(const struct bf_table *table, unsigned int id)
{
	for (; id < BF_TABLE_IDS; id++) {
		const struct bf_table_page *page = table->page[id / PAGE_SIZE];

		if (!page)
			id |= PAGE_SIZE - 1; /* its last */
		else if (page->peer[id % PAGE_SIZE])
			return id;
	}
	return -1;
}

int *bf_table_add(struct bf_table *table, uint16_t id)
{
	struct peer **at = place(table, id);
	struct peer *peer = at ? grow(*at) : NULL;

	if (!peer)
		return NULL;
	*at = peer;
	peer->fd[peer->n] = -1;
	return &peer->fd[peer->n++];
}

int bf_table_fd(const struct bf_table *table, uint16_t id, unsigned int vector)
{
	const struct peer *peer = find(table, id);

	return peer && vector < peer->n && peer->fd[vector] >= 0 ? peer->fd[vector] : -1;
}

int bf_table_take(struct bf_table *table, uint16_t id, unsigned int vector)
{
	int fd = bf_table_fd(table, id, vector);

	if (fd >= 0)
		find(table, id)->fd[vector] = -1;
	return fd;
}

void bf_table_remove(struct bf_table *table, uint16_t id)
{
	struct peer *peer = find(table, id);

	if (peer)
		*place(table, id) = NULL;
	peer_free(peer);
}

void bf_table_fini(struct bf_table *table)
{
	for (size_t i = 0; i < BF_TABLE_PAGES; i++) {
		for (size_t j = 0; table->page[i] && j < PAGE_SIZE; j++)
			peer_free(table->page[i]->peer[j]);
		free(table->page[i]);
	}
}
