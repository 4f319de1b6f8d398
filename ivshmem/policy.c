/* SPDX-License-Identifier: MIT */
/* ivshmem/policy.c - who may join a link */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/number.h"
#include "base/own.h"
#include "base/text.h"
#include "ivshmem/policy.h"
#include "ivshmem/roster.h"

#define ID_MAX     (UINT32_MAX - 1) /* the last one means "none" */
#define GROUPS_MAX 65536            /* of a process: NGROUPS_MAX */

/* --- names --- */

static bool find_user(const char *name, char *buf, size_t size, uint32_t *out)
{
	struct passwd pw, *found;

	if (getpwnam_r(name, &pw, buf, size, &found) != 0 || !found)
		return false;
	*out = found->pw_uid;
	return true;
}

static bool find_group(const char *name, char *buf, size_t size, uint32_t *out)
{
	struct group gr, *found;

	if (getgrnam_r(name, &gr, buf, size, &found) != 0 || !found)
		return false;
	*out = found->gr_gid;
	return true;
}

static bool parse_id(const char *text, uint32_t *out)
{
	uint64_t n;

	if (bf_parse_uint(text, &n) < 0 || n > ID_MAX)
		return false;
	*out = n;
	return true;
}

int bf_user_parse(uint32_t *out, enum bf_user_kind kind, const char *what,
		  const char *text, struct belfry_error *err)
{
	char buf[16384]; /* for a group's members */

	if (parse_id(text, out))
		return 0;
	if (kind == BF_USERS ? find_user(text, buf, sizeof(buf), out)
			     : find_group(text, buf, sizeof(buf), out))
		return 0;
	return bf_err(err, EINVAL, "%s %s: no such %s", what, bf_brief(text).text,
		      kind == BF_USERS ? "user" : "group");
}

/* --- lists --- */

void bf_users_fini(struct bf_users *users)
{
	free(bf_take_ptr(&users->range));
	users->n = 0;
}

/* "1000-1010". Return: whether it is one; then @range is filled in. */
static bool parse_range(char *text, struct bf_user_range *range)
{
	char *dash = strchr(text, '-');
	bool fits;

	if (!dash)
		return false;
	*dash = '\0';
	fits = parse_id(text, &range->first) && parse_id(dash + 1, &range->last) &&
	       range->first <= range->last;
	*dash = '-';
	return fits;
}

static int add_item(struct bf_users *users, enum bf_user_kind kind, const char *what,
		    char *item, struct belfry_error *err)
{
	struct bf_user_range *more =
		reallocarray(users->range, users->n + 1, sizeof(*more));
	struct bf_user_range range;
	int r = 0;

	if (!more)
		return bf_err(err, ENOMEM, "%s: out of memory", what);
	users->range = more;
	if (!parse_range(item, &range)) {
		r = bf_user_parse(&range.first, kind, what, item, err);
		range.last = range.first;
	}
	if (r == 0)
		users->range[users->n++] = range;
	return r;
}

int bf_users_parse(struct bf_users *out, enum bf_user_kind kind, const char *what,
		   const char *text, struct belfry_error *err)
{
	BF_FREE char *copy = strdup(text);
	struct bf_users users = { 0 };
	char *rest = copy, *item;
	int r = 0;

	if (!copy)
		return bf_err(err, ENOMEM, "%s: out of memory", what);
	while (r == 0 && (item = strsep(&rest, ",")))
		r = add_item(&users, kind, what, item, err);
	if (r < 0) {
		bf_users_fini(&users);
		return r;
	}
	bf_users_fini(out);
	*out = users;
	return 0;
}

void bf_limits_fini(struct bf_limits *limits)
{
	bf_users_fini(&limits->uids);
	bf_users_fini(&limits->gids);
}

static bool is_named(const struct bf_users *users, uint32_t id)
{
	for (unsigned int i = 0; i < users->n; i++)
		if (id >= users->range[i].first && id <= users->range[i].last)
			return true;
	return false;
}

/* --- the decision --- */

/* Is one of the groups of the process at the other end of @sock named? */
static bool is_group_named(const struct bf_users *gids, int sock, gid_t gid)
{
	BF_FREE gid_t *groups = NULL;
	socklen_t len = GROUPS_MAX * sizeof(*groups);

	if (is_named(gids, gid))
		return true;
	groups = gids->n ? malloc(len) : NULL;
	if (!groups || getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*groups); i++)
		if (is_named(gids, groups[i]))
			return true;
	return false;
}

int bf_policy_check(const struct bf_limits *limits, int sock,
		    const struct bf_creds *creds, unsigned int clients, unsigned int same,
		    struct belfry_error *err)
{
	const bool open_to_all = limits->uids.n == 0 && limits->gids.n == 0;

	if (!open_to_all && !is_named(&limits->uids, creds->uid) &&
	    !is_group_named(&limits->gids, sock, creds->gid))
		return bf_err(err, EACCES, "neither its user nor its groups are allowed");
	if (limits->clients && clients >= limits->clients)
		return bf_err(err, EUSERS, "there are %u clients, as many as may be",
			      clients);
	if (limits->clients_of_uid && same >= limits->clients_of_uid)
		return bf_err(err, EUSERS,
			      "its user has %u clients, as many as it may have", same);
	return 0;
}
