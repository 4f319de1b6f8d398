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
#define NAMES_MIN  4096             /* bytes for what is known of a user or a group */
#define NAMES_MAX  (16 << 20)

/* --- names --- */

/* Return: 0; -ENOENT: nobody has that name; another negative errno. */
static int find_user(const char *name, char *buf, size_t size, uint32_t *out)
{
	struct passwd pw, *found;
	int e = getpwnam_r(name, &pw, buf, size, &found);

	if (e != 0 || !found)
		return e ? -e : -ENOENT;
	*out = found->pw_uid;
	return 0;
}

static int find_group(const char *name, char *buf, size_t size, uint32_t *out)
{
	struct group gr, *found;
	int e = getgrnam_r(name, &gr, buf, size, &found);

	if (e != 0 || !found)
		return e ? -e : -ENOENT;
	*out = found->gr_gid;
	return 0;
}

/* As these two, with the room that it takes: a group may have thousands of members. */
static int find(enum bf_user_kind kind, const char *name, uint32_t *out)
{
	int r = -ERANGE;

	for (size_t size = NAMES_MIN; r == -ERANGE && size <= NAMES_MAX; size *= 4) {
		BF_FREE char *buf = malloc(size);

		if (!buf)
			return -ENOMEM;
		r = kind == BF_USERS ? find_user(name, buf, size, out)
				     : find_group(name, buf, size, out);
	}
	return r;
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
	int r;

	if (parse_id(text, out))
		return 0;
	r = find(kind, text, out);
	switch (r) {
	case 0:
		return 0;
	case -ENOENT: /* getpwnam(3): what there may be instead of 0 */
	case -ESRCH:
	case -EBADF:
	case -EPERM:
		return bf_err(err, EINVAL, "%s %s: no such %s", what, bf_brief(text).text,
			      kind == BF_USERS ? "user" : "group");
	}
	return bf_err_sys(err, -r, "%s %s", what, bf_brief(text).text);
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
		return bf_err(err, EUSERS, "%s %u client%s, as many as may be",
			      clients == 1 ? "there is" : "there are", clients,
			      clients == 1 ? "" : "s");
	if (limits->clients_of_uid && same >= limits->clients_of_uid)
		return bf_err(err, EUSERS,
			      "its user has %u client%s, as many as it may have", same,
			      same == 1 ? "" : "s");
	return 0;
}
