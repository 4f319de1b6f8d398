/* SPDX-License-Identifier: MIT */
/* bench/host_peer.c - a host process as an embedder writes it: belfry-peer.h, no more */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <belfry-peer.h>

#include "base/err.h"
#include "bench/host_peer.h"

struct answerer {
	struct belfry_peer *peer;
	uint32_t guest;
};

static void *answer(void *arg)
{
	struct answerer *a = arg;

	/* the server's news of a guest may come after the guest's ring */
	while (belfry_peer_wait(a->peer, 0, BELFRY_FOREVER, NULL, NULL) == 0)
		while (belfry_peer_ring(a->peer, a->guest, 0, NULL) == -ENOENT)
			belfry_peer_process(a->peer, NULL);
	return NULL;
}

int host_peer_start(int sock, uint32_t guest, int cpu, struct belfry_error *err)
{
	const struct belfry_peer_options options = { .size = sizeof(options),
						     .vectors = 1,
						     .no_reconnect = 1 };
	struct answerer *a = calloc(1, sizeof(*a));
	pthread_t thread;
	cpu_set_t one;
	int e;

	if (!a)
		return bf_err(err, ENOMEM, "out of memory");
	a->guest = guest;
	e = belfry_peer_create_fd(&a->peer, sock, &options, err);
	if (e < 0)
		return e;
	e = pthread_create(&thread, NULL, answer, a);
	if (e)
		return bf_err_sys(err, e, "a thread of the host");
	CPU_ZERO(&one);
	if (cpu >= 0) {
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(thread, sizeof(one), &one);
	}
	return 0;
}
