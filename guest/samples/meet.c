/* SPDX-License-Identifier: MIT */
/* guest/samples/meet.c: see meet.h */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "meet.h"
#include "tools.h"

#define LOOK_NS 10000000 /* how often, when nobody rings */

static uint64_t load(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static int new_session(uint64_t *session, uint32_t kind)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	*session = (uint64_t)kind << 32 | number;
	return 0;
}

int meet_init(struct meet *m, struct ivshmem *iv, uint32_t kind, unsigned int seat)
{
	const struct ivshmem_info *info = ivshmem_info(iv);
	struct seat *seats = ivshmem_memory(iv);
	int r;

	if (info->memory_size < MEET_SIZE)
		return -ENOSPC;
	*m = (struct meet){ .iv = iv, .mine = &seats[seat], .other = &seats[!seat] };
	r = new_session(&m->session, kind);
	if (r < 0)
		return r;
	store(&m->mine->heard, 0);
	__atomic_store_n(&m->mine->id, info->id, __ATOMIC_RELEASE);
	store(&m->mine->session, m->session);
	return 0;
}

static bool same_kind(const struct meet *m, uint64_t session)
{
	return session >> 32 == m->session >> 32;
}

/* Somebody has sat down whom we do not know. */
static void hear(struct meet *m, uint64_t session, void (*reset)(void *), void *user)
{
	reset(user);
	m->heard = session;
	store(&m->mine->heard, session);
	meet_ring(m);
}

int meet_wait(struct meet *m, double timeout_s, void (*reset)(void *), void *user)
{
	const uint64_t end = now_ns() + (uint64_t)(timeout_s * 1e9);
	uint64_t session;
	int r;

	for (;;) {
		session = load(&m->other->session);
		if (same_kind(m, session) && session != m->heard)
			hear(m, session, reset, user);
		if (same_kind(m, session) && load(&m->other->heard) == m->session)
			return 0;
		if (now_ns() > end)
			return -ETIMEDOUT;
		r = ivshmem_wait(m->iv, LOOK_NS);
		if (r == -EOPNOTSUPP)
			sleep_ns(LOOK_NS);
		else if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return r;
	}
}

int meet_check(const struct meet *m)
{
	const uint64_t session = load(&m->other->session);

	if (session == m->heard)
		return 0;
	return same_kind(m, session) ? -ECONNRESET : -EPIPE;
}

/* On a plain device there is nothing to ring: the other looks now and then. */
int meet_ring(const struct meet *m)
{
	const uint32_t id = __atomic_load_n(&m->other->id, __ATOMIC_RELAXED);
	const int r = ivshmem_ring(m->iv, id & UINT16_MAX, 0);

	return r == -EOPNOTSUPP ? 0 : r;
}

void meet_leave(struct meet *m)
{
	store(&m->mine->session, 0);
	meet_ring(m);
}
