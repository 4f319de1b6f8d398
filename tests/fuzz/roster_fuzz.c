/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/roster_fuzz.c - a damaged state: refused, or as good as any
 *
 * A roster of a few is made, and then the input overwrites words of its state: two bytes
 * say where among the header, the window and the first records, eight are the word. What
 * the check lets pass is gone on with: all are told everything, one comes, all leave.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "ivshmem/roster_parts.h"
#include "tests/fuzz/check.h"

#define PEOPLE  6
#define VECTORS 2
#define WORDS   ((offsetof(struct shared, record) + PEOPLE * sizeof(struct record)) / 8)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void come(struct bf_roster *r, struct bf_entrant *e)
{
	*e = (struct bf_entrant){ 0 };
	if (bf_roster_prepare(r, e, NULL) == 0)
		bf_roster_enter(r, e, (struct bf_creds){ 1, 2, 3 });
}

static void tell(struct bf_roster *r, struct bf_entrant *e, unsigned int max)
{
	struct bf_window w = bf_roster_compose(r, e);

	check(w.n <= e->waiting);
	bf_roster_told(r, e, w.n < max ? w.n : max);
}

static void make_state(int state)
{
	struct bf_entrant who[4];
	struct bf_roster *r;

	check(bf_roster_create(&r, state, 99, VECTORS, NULL) == 0);
	for (int i = 0; i < 4; i++)
		come(r, &who[i]);
	tell(r, &who[0], 6);
	bf_roster_leave(r, &who[2]);
	tell(r, &who[3], 2);
	bf_roster_compose(r, &who[1]);
	bf_roster_destroy(r);
}

static void damage(int state, const uint8_t *data, size_t size)
{
	struct shared *shared = bf_roster_map(state);

	for (; size >= 10; data += 10, size -= 10) {
		size_t at = (data[0] | data[1] << 8) % WORDS;

		memcpy((char *)shared + at * 8, data + 2, 8);
	}
	munmap(shared, sizeof(*shared));
}

static void go_on(struct bf_roster *r, unsigned int vectors)
{
	struct bf_entrant *who = calloc(BF_ROSTER_IDS, sizeof(*who));
	struct bf_entrant *e;

	for (int id = bf_roster_next_id(r, 0); id >= 0;
	     id = bf_roster_next_id(r, id + 1)) {
		int *fds = malloc(vectors * sizeof(*fds));

		for (unsigned int i = 0; i < vectors; i++)
			fds[i] = -1;
		bf_roster_restore(r, &who[id], id, fds);
	}
	bf_roster_restored(r);
	for (int turns = 0; turns < 2; turns++) {
		TAILQ_FOREACH(e, bf_roster_present(r), link)
		{
			for (int i = 0; e->waiting > 0 && i < 200; i++)
				tell(r, e, BF_ROSTER_WINDOW);
			check(vectors > 100 || e->waiting == 0);
		}
		if (vectors < 100)
			come(r, &who[PEOPLE + 1 + turns]);
	}
	while ((e = TAILQ_FIRST(bf_roster_present(r))))
		bf_roster_leave(r, e);
	while (bf_roster_forgotten(r))
		;
	check(bf_roster_count(r) == 0);
	bf_roster_destroy(r);
	free(who);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BF_CLOSE int state = memfd_create("state", MFD_CLOEXEC);
	struct bf_roster *r;
	int vectors;

	make_state(state);
	damage(state, data, size);
	vectors = bf_roster_check(state, NULL);
	if (vectors > 0 && bf_roster_create(&r, state, 99, vectors, NULL) == 0)
		go_on(r, vectors);
	return 0;
}
