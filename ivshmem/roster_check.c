/* SPDX-License-Identifier: MIT */
/* ivshmem/roster_check.c - is a file the state that another server has left? */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/own.h"
#include "ivshmem/roster_parts.h"

#define EVENTS_MAX \
	(UINT64_MAX / 2) /* numbers of events are small; sums do not overflow */

static bool is_event(uint64_t at)
{
	return at >= 1 && at <= EVENTS_MAX;
}

static bool is_mark(const struct saved_mark *mark, unsigned int vectors)
{
	return is_event(mark->next) && mark->vector < vectors &&
	       mark->greeted <= GREETING && (mark->greeted == GREETING || !mark->vector);
}

/* What cannot be in @rec; NULL: all can. */
static const char *wrong_in(const struct record *rec, unsigned int vectors)
{
	enum state state = state_of(rec);

	if (state == FREE)
		return NULL;
	if (state != PRESENT && state != LEFT)
		return "neither present nor left";
	if (!is_event(rec->came))
		return "has not come";
	if (state == LEFT && (!is_event(rec->left) || rec->left <= rec->came))
		return "has left before it came";
	if (state == PRESENT && !is_mark(&rec->mark, vectors))
		return "has been told what there is not";
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Has each event a number of its own? */
static int check_events(const struct shared *shared, struct belfry_error *err)
{
	BF_FREE uint64_t *at = malloc(2 * BF_ROSTER_IDS * sizeof(*at));
	size_t n = 0;

	if (!at)
		return bf_err(err, ENOMEM, "no memory to check the state");
	for (unsigned int id = 0; id < BF_ROSTER_IDS; id++) {
		const struct record *rec = &shared->record[id];
		enum state state = state_of(rec);

		if (state != FREE)
			at[n++] = rec->came;
		if (state == LEFT)
			at[n++] = rec->left;
	}
	qsort(at, n, sizeof(*at), compare);
	for (size_t i = 1; i < n; i++)
		if (at[i] == at[i - 1])
			return bf_err(err, EINVAL,
				      "the state is damaged: two events are one");
	return 0;
}

static int check_records(const struct shared *shared, struct belfry_error *err)
{
	const char *wrong;

	for (unsigned int id = 0; id < BF_ROSTER_IDS; id++) {
		wrong = wrong_in(&shared->record[id], shared->vectors);
		if (wrong)
			return bf_err(err, EINVAL, "the state is damaged: peer %u %s", id,
				      wrong);
	}
	return check_events(shared, err);
}

static int check(const struct shared *shared, struct belfry_error *err)
{
	const struct window *w = &shared->window;

	if (shared->magic != MAGIC || shared->layout != LAYOUT)
		return bf_err(err, EINVAL, "the state is one of another version");
	if (shared->vectors < 1 || shared->vectors > BF_IVSHMEM_VECTORS_MAX)
		return bf_err(err, EINVAL, "the state is damaged: %u vectors",
			      shared->vectors);
	if (shared->next_id >= BF_ROSTER_IDS)
		return bf_err(err, EINVAL, "the state is damaged: next ID %u",
			      shared->next_id);
	if (w->n > BF_ROSTER_WINDOW ||
	    (w->n > 0 &&
	     (w->id >= BF_ROSTER_IDS || !is_mark(&w->start, shared->vectors))))
		return bf_err(err, EINVAL, "the state is damaged: what was being sent");
	return check_records(shared, err);
}

int bf_roster_check(int state, struct belfry_error *err)
{
	struct shared *shared;
	struct stat st;
	int r;

	if (fstat(state, &st) < 0)
		return bf_err_sys(err, errno, "the state");
	if (!S_ISREG(st.st_mode))
		return bf_err(err, EINVAL, "the state is no file");
	if (st.st_size == 0)
		return 0;
	if (st.st_size != sizeof(*shared))
		return bf_err(err, EINVAL, "the state is one of another version");
	shared = bf_roster_map(state);
	if (!shared)
		return bf_err_sys(err, errno, "the state");
	r = check(shared, err);
	if (r == 0)
		r = shared->vectors;
	munmap(shared, sizeof(*shared));
	return r;
}
