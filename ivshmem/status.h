/* SPDX-License-Identifier: MIT */
/* ivshmem/status.h - how a server is, as text */
#ifndef BF_IVSHMEM_STATUS_H
#define BF_IVSHMEM_STATUS_H

#include "ivshmem/server.h"

/* What no counter says. */
struct bf_status {
	const char *name;
	const char *path;
	uint64_t size;
	unsigned int capacity;
};

/* Return: text (returns: free()); NULL when there is no memory for it. */
char *bf_status_json(struct bf_server *s, const struct bf_status *status);
char *bf_status_prometheus(struct bf_server *s, const struct bf_status *status);

#endif
