/* SPDX-License-Identifier: MIT */
/* ivshmem/ids.h - which IDs of a link are taken, and which comes next */
#ifndef BF_IVSHMEM_IDS_H
#define BF_IVSHMEM_IDS_H

#include <stdint.h>

#include "ivshmem/ivshmem.h"

#define BF_IDS_MAX (BF_IVSHMEM_ID_MAX + 1)

/* Zeroed: none is taken, 0 is next. */
struct bf_ids {
	unsigned int next;
	uint8_t taken[BF_IDS_MAX / 8];
};

/*
 * Take an ID. They count up and come again only when all have been given, for QEMU's
 * sake: it uses freed memory when an ID that it knew returns too soon.
 * Return: the ID; -ENOSPC when all are taken.
 */
int bf_ids_take(struct bf_ids *ids);

void bf_ids_give_back(struct bf_ids *ids, uint16_t id);

#endif
