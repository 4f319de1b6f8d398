/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_peer.c - peers without a server: ivshmem/ivshmem.h for tests */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/own.h"
#include "ivshmem/ivshmem.h"
#include "tests/unit/fake_peer.h"

#define FIRST_OTHER 100

struct fake_link fake_link;

struct bf_peer {
	const struct bf_peer_ops *ops;
	void *owner;
	uint16_t id;
	int memory;
	struct fake_vector *vectors;
	unsigned int n;
	unsigned int reconnects;
};

int bf_peer_connect(const char *path, struct belfry_error *err)
{
	snprintf(fake_link.path, sizeof(fake_link.path), "%s", path);
	if (fake_link.connect_errno)
		return bf_err(err, fake_link.connect_errno, "%s: refused", path);
	return eventfd(0, EFD_CLOEXEC); /* any descriptor */
}

static bool is_there(const struct bf_peer *peer, uint16_t id)
{
	for (unsigned int i = 0; i < peer->n; i++)
		if (peer->vectors[i].id == id)
			return true;
	return false;
}

int fake_join(struct bf_peer *peer, uint16_t id, unsigned int number)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return fd;
	if (id != peer->id && !is_there(peer, id))
		peer->ops->joined(peer->owner, id);
	peer->vectors = reallocarray(peer->vectors, peer->n + 1, sizeof(*peer->vectors));
	if (!peer->vectors)
		abort();
	peer->vectors[peer->n++] = (struct fake_vector){ id, number, fd };
	peer->ops->vector_added(peer->owner, id, number, fd);
	return fd;
}

void fake_leave(struct bf_peer *peer, uint16_t id)
{
	unsigned int kept = 0;

	peer->ops->left(peer->owner, id);
	for (unsigned int i = 0; i < peer->n; i++) {
		if (peer->vectors[i].id == id)
			close(peer->vectors[i].fd);
		else
			peer->vectors[kept++] = peer->vectors[i];
	}
	peer->n = kept;
}

void fake_lose_server(struct bf_peer *peer)
{
	const struct belfry_error why = { -EPROTO, "end of file" };

	peer->ops->server_lost(peer->owner, &why);
}

void fake_return_server(struct bf_peer *peer)
{
	unsigned int own = 0;

	for (unsigned int i = 0; i < peer->n; i++)
		own += peer->vectors[i].id == peer->id;
	while (peer->n > 0)
		fake_leave(peer, peer->vectors[0].id);
	for (unsigned int i = 0; i < own; i++)
		fake_join(peer, peer->id, i);
	peer->reconnects++;
	peer->ops->server_back(peer->owner);
}

void fake_change_server(struct bf_peer *peer)
{
	const struct belfry_error why = { -ESTALE, "the memory is another one" };

	peer->ops->server_changed(peer->owner, &why);
}

const struct fake_vector *fake_vectors(const struct bf_peer *peer, unsigned int *n)
{
	*n = peer->n;
	return peer->vectors;
}

unsigned int fake_rings(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) == 0 ? count : 0;
}

int bf_peer_create(struct bf_peer **out, struct bf_loop *loop,
		   const struct bf_peer_conf *conf, const struct bf_log *log,
		   struct belfry_error *err)
{
	struct bf_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		abort();
	close(conf->sock);
	*peer = (struct bf_peer){
		.ops = conf->ops,
		.owner = conf->owner,
		.id = fake_link.id,
		.memory = fcntl(fake_link.memory, F_DUPFD_CLOEXEC, 3),
	};
	snprintf(fake_link.again, sizeof(fake_link.again), "%s",
		 conf->path ? conf->path : "");
	fake_link.wanted = conf->own_vectors;
	fake_link.timeout_ns = conf->timeout_ns;
	fake_link.peer = peer;
	fake_link.alive++;
	for (unsigned int i = 0; i < fake_link.others; i++)
		fake_join(peer, FIRST_OTHER + i, 0);
	for (unsigned int i = 0; i < fake_link.own_vectors; i++)
		fake_join(peer, fake_link.id, i);
	if (fake_link.create_errno) {
		bf_peer_destroy(peer);
		return bf_err(err, fake_link.create_errno, "server: no");
	}
	*out = peer;
	return 0;
}

void bf_peer_destroy(struct bf_peer *peer)
{
	if (!peer)
		return;
	for (unsigned int i = 0; i < peer->n; i++)
		close(peer->vectors[i].fd);
	bf_close(&peer->memory);
	free(peer->vectors);
	free(peer);
	fake_link.alive--;
}

uint16_t bf_peer_id(const struct bf_peer *peer)
{
	return peer->id;
}

int bf_peer_memory(const struct bf_peer *peer)
{
	return peer->memory;
}

void bf_peer_stats(const struct bf_peer *peer, struct bf_peer_stats *out)
{
	*out = (struct bf_peer_stats){ .reconnects = peer->reconnects };
}
