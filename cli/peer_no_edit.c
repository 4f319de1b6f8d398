/* SPDX-License-Identifier: MIT */
/* cli/peer_no_edit.c - belfry peer: in place of peer_edit.c when there is no libedit */
#include "cli/peer.h"

struct editor *editor_create(struct session *s, const char *prompt)
{
	return NULL;
}

const char *editor_line(struct editor *e)
{
	return NULL;
}

void editor_destroy(struct editor *e)
{
}
