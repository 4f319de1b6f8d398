/* SPDX-License-Identifier: MIT */
/* devices/early.c - rings for a peer that is about to be there */
#include "devices/early.h"
#include "base/own.h"

bool bf_early_take(struct bf_early *early, uint32_t value, uint64_t now)
{
	for (unsigned int i = 0; i < BF_ARRAY_LEN(early->rings); i++) {
		if (early->rings[i].value != value || early->rings[i].until < now)
			continue;
		early->rings[i].until = 0;
		return true;
	}
	return false;
}

void bf_early_keep(struct bf_early *early, uint32_t value, uint64_t now)
{
	bf_early_take(early, value, now);
	early->rings[early->next].value = value;
	early->rings[early->next].until = now + BF_EARLY_NS;
	early->next = (early->next + 1) % BF_ARRAY_LEN(early->rings);
}
