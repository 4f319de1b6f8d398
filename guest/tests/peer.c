/* SPDX-License-Identifier: MIT */
/*
 * guest/tests/peer.c: two VMs on one memory: what one stores the other sees, and a flood
 *
 *	peer look /dev/ivshmemN			ask for a pattern, and check the answer
 *	peer answer /dev/ivshmemN		give it; then ring all vectors without
 * end, until `peer stop` peer stop /dev/ivshmemN
 *
 * The rendezvous of the samples is tested by the samples.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define AT      65536 /* in the memory; the samples use what is before */
#define PATTERN 262144
#define WAIT_MS 30000

enum { NOTHING, ASKED, ANSWERED, STOP };

struct board {
	uint32_t state;
	uint32_t id; /* who asks */
	uint32_t vectors;
	uint8_t pattern[PATTERN];
};

static uint32_t state_of(struct board *b)
{
	return __atomic_load_n(&b->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct board *b, uint32_t state)
{
	__atomic_store_n(&b->state, state, __ATOMIC_RELEASE);
}

static bool wait_for(struct board *b, uint32_t state)
{
	for (int ms = 0; ms < WAIT_MS && state_of(b) != state; ms++)
		usleep(1000);
	return state_of(b) == state;
}

static void look(int fd, struct board *b)
{
	const struct ivshmem_info info = info_of(fd);
	size_t wrong = 0;

	b->id = info.id;
	b->vectors = info.vectors;
	for (size_t i = 0; i < PATTERN; i++)
		b->pattern[i] = (uint8_t)(i * 13 >> 3);
	set_state(b, ASKED);
	check(wait_for(b, ANSWERED), "the other VM has answered");
	for (size_t i = 0; i < PATTERN; i++)
		wrong += b->pattern[i] != (uint8_t) ~(i * 13 >> 3);
	check(wrong == 0, "both VMs see what the other has stored");
}

static void answer(int fd, struct board *b)
{
	if (!wait_for(b, ASKED))
		give_up("nobody has asked");
	for (size_t i = 0; i < PATTERN; i++)
		b->pattern[i] = (uint8_t)~b->pattern[i];
	set_state(b, ANSWERED);
	for (uint32_t v = 0; state_of(b) != STOP && b->vectors;
	     v = (v + 1) % b->vectors) {
		ring(fd, b->id, v);
		usleep(50);
	}
}

static int poke(int fd, uint64_t off, uint64_t value)
{
	uint64_t *memory = map_region(fd, IVSHMEM_REGION_MEMORY, 0, AT);

	if (off / 8 >= AT / 8)
		return 2;
	__atomic_store_n(&memory[off / 8], value, __ATOMIC_RELEASE);
	return 0;
}

int main(int argc, char **argv)
{
	struct board *b;
	int fd;

	if (argc < 3)
		return 2;
	fd = open_device(argv[2], O_RDWR);
	if (argc == 5 && strcmp(argv[1], "poke") == 0)
		return poke(fd, strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	b = map_region(fd, IVSHMEM_REGION_MEMORY, AT, sizeof(*b));
	if (strcmp(argv[1], "look") == 0)
		look(fd, b);
	else if (strcmp(argv[1], "answer") == 0)
		answer(fd, b);
	else
		set_state(b, STOP);
	return checked();
}
