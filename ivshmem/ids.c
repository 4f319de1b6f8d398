/* SPDX-License-Identifier: MIT */
/* ivshmem/ids.c - which IDs of a link are taken, and which comes next */
#include <errno.h>

#include "ivshmem/ids.h"

int bf_ids_take(struct bf_ids *ids)
{
	for (unsigned int i = 0; i < BF_IDS_MAX; i++) {
		unsigned int id = (ids->next + i) % BF_IDS_MAX;
		uint8_t bit = 1U << id % 8;

		if (ids->taken[id / 8] & bit)
			continue;
		ids->taken[id / 8] |= bit;
		ids->next = id + 1;
		return id;
	}
	return -ENOSPC;
}

void bf_ids_give_back(struct bf_ids *ids, uint16_t id)
{
	ids->taken[id / 8] &= ~(1U << id % 8);
}
