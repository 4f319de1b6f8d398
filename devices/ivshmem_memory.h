/* SPDX-License-Identifier: MIT */
/*
 * devices/ivshmem_memory.h - the memory behind an ivshmem device: opened, sized, mapped
 */
#ifndef BF_IVSHMEM_MEMORY_H
#define BF_IVSHMEM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

struct belfry_vm;
struct bf_ivshmem_conf;

struct bf_ivshmem_memory {
	int fd;    /* of plain memory; -1: a server's, which its peer object owns */
	void *map; /* NULL: none */
	uint64_t size;
	char *made; /* what was made for it, and goes with it unless kept; NULL: nothing
		     */
	bool made_shm;

	struct belfry_vm *vm; /* who watches it: see bf_ivshmem_memory_watch() */
	struct bf_loop *loop;
	struct bf_op watch_op;
	int watch; /* inotify; -1: nobody */
	int watched;
};

/* Map the memory that a server gave us as @fd (borrowed), all of it. */
int bf_ivshmem_memory_adopt(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
			    int fd, struct belfry_error *err);

/*
 * Open or make, and map, what `shm` or `file` names. What was made is removed again when
 * that fails.
 * Return: 0; -EINVAL for a size that does not fit; -EBUSY when another device of @vm has
 * it; another negative errno.
 */
int bf_ivshmem_memory_open(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
			   const struct bf_ivshmem_conf *conf, struct belfry_error *err);

/*
 * End the VM when @fd (borrowed), which is what @memory maps, becomes too small: nothing
 * is watched when a seal keeps it from that. Without io_uring or inotify, the guest finds
 * out by itself.
 */
void bf_ivshmem_memory_watch(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
			     int fd);

/* What was made stays, as memory that others may come to. */
void bf_ivshmem_memory_keep(struct bf_ivshmem_memory *memory);

void bf_ivshmem_memory_close(struct bf_ivshmem_memory *memory);

#endif
