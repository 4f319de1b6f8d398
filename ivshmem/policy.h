/* SPDX-License-Identifier: MIT */
/* ivshmem/policy.h - who may join a link, and how much a server bears with */
#ifndef BF_IVSHMEM_POLICY_H
#define BF_IVSHMEM_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct bf_creds;

/* Users or groups: ranges of IDs. Zeroed: none named. */
struct bf_users {
	struct bf_user_range {
		uint32_t first;
		uint32_t last;
	} * range;
	unsigned int n;
};

enum bf_user_kind { BF_USERS, BF_GROUPS };

/*
 * Parse "alice,1000-1010,0": names and numbers. @what starts the message of an error.
 * Return: as bf_user_parse(); -ENOMEM. @out is replaced on success only.
 */
int bf_users_parse(struct bf_users *out, enum bf_user_kind kind, const char *what,
		   const char *text, struct belfry_error *err);

void bf_users_fini(struct bf_users *users);

/* One name or number. Return: 0; -EINVAL: there is none; that of a failed look-up. */
int bf_user_parse(uint32_t *out, enum bf_user_kind kind, const char *what,
		  const char *text, struct belfry_error *err);

struct bf_limits {
	/*
	 * Messages that may wait for a client before it is dropped, beyond as many as it
	 * is sent when it joins.
	 */
	uint64_t queue_max;
	uint64_t stall_ns; /* it may take nothing for; 0: no limit */
	uint64_t
		shortage_ns; /* newcomers may wait while the host is short of something */
	unsigned int clients;        /* 0: no limit */
	unsigned int clients_of_uid; /* 0: no limit */
	struct bf_users uids;        /* who may join; both empty: everybody */
	struct bf_users gids;
};

void bf_limits_fini(struct bf_limits *limits);

/*
 * May the client at the other end of @sock join, @clients being there, @same of its user?
 * Return: 0; -EACCES or -EUSERS, the message why not.
 */
int bf_policy_check(const struct bf_limits *limits, int sock,
		    const struct bf_creds *creds, unsigned int clients, unsigned int same,
		    struct belfry_error *err);

#endif
