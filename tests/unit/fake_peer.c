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
};

int bf_peer_connect(const char *path, struct belfry_error *err)
{
	snprintf(fake_link.path, sizeof(fake_link.path), "%s", path);
	if (fake_link.connect_errno)
		return bf_err(err, fake_link.connect_errno, "%s: refused", path);
	return eventfd(0, EFD_CLOEXEC); /* any descriptor */
}

int fake_join(struct bf_peer *peer, uint16_t id, unsigned int number)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return fd;
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

int bf_peer_create(struct bf_peer **out, struct bf_loop *loop, int sock,
		   unsigned int own_vectors, uint64_t timeout_ns,
		   const struct bf_peer_ops *ops, void *owner, const struct bf_log *log,
		   struct belfry_error *err)
{
	struct bf_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		abort();
	close(sock);
	*peer = (struct bf_peer){
		.ops = ops,
		.owner = owner,
		.id = fake_link.id,
		.memory = fcntl(fake_link.memory, F_DUPFD_CLOEXEC, 3),
	};
	fake_link.wanted = own_vectors;
	fake_link.timeout_ns = timeout_ns;
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
