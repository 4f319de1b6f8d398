/* SPDX-License-Identifier: MIT */
/* tests/unit/bells_test.c - which doorbells KVM rings, and which are rung by hand */
#include <sys/eventfd.h>
#include <unistd.h>

#include <belfry.h>

#include "base/event.h"
#include "devices/bells.h"
#include "devices/early.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define GPA    0xd000000cULL
#define WINDOW 0x200000000ULL
#define SHIFT  4 /* of the window: four vectors */
#define MAX    3
#define ENOUGH 4 /* rings until a doorbell is promoted */

struct fixture {
	struct fake_vm *fake;
	struct bf_bells *bells;
	int fds[300];
	unsigned int n;
};

static struct fixture fixture_with(enum bf_bells_policy policy)
{
	const struct bf_bells_conf conf = { .policy = policy,
					    .max = MAX,
					    .shift = SHIFT };
	struct fixture f = { .fake = fake_vm_create(0x100000) };

	f.bells = bf_bells_create(&f.fake->vm, &conf);
	assert_non_null(f.bells);
	bf_bells_arrive(f.bells, GPA);
	return f;
}

static void done(struct fixture *f)
{
	bf_bells_destroy(f->bells);
	for (unsigned int i = 0; i < f->n; i++)
		close(f->fds[i]);
	fake_vm_destroy(f->fake);
}

/* How often @fd has been rung since it was last asked. */
static uint64_t rings(int fd)
{
	uint64_t n = 0;

	bf_event_take(fd, &n);
	return n;
}

/* Peer @id joins with vector @vector. Return: its eventfd. */
static int join(struct fixture *f, uint16_t id, unsigned int vector)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	f->fds[f->n++] = fd;
	assert_int_equal(bf_bells_add(f->bells, id, vector, fd), 0);
	return fd;
}

static void join_all(struct fixture *f, unsigned int peers)
{
	for (unsigned int id = 0; id < peers; id++)
		join(f, id, 0);
}

static void ring(struct fixture *f, uint16_t id, unsigned int times)
{
	while (times-- > 0)
		bf_bells_ring(f->bells, id, 0);
}

static bool bound(const struct fixture *f, uint16_t id)
{
	return fake_bell_at(f->fake, GPA, (uint32_t)id << 16) >= 0;
}

static int in_window(const struct fixture *f, uint16_t id, unsigned int vector)
{
	return fake_bell_at(f->fake, WINDOW + ((uint64_t)id << SHIFT) + vector * 4,
			    BF_DOORBELL_ANY);
}

/* --- policies --- */

static void eager_binds_every_doorbell(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_EAGER);

	join_all(&f, 20);
	assert_int_equal(f.fake->n_bells, 20);
	assert_int_equal(fake_bell_at(f.fake, GPA, 7 << 16), f.fds[7]);
	done(&f);
}

static void adaptive_binds_those_that_come_first(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 20);
	assert_int_equal(f.fake->n_bells, MAX);
	assert_true(bound(&f, 0) && bound(&f, 1) && bound(&f, 2));
	done(&f);
}

static void userspace_binds_none_and_rings_all(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_USERSPACE);
	const int fd = join(&f, 5, 1);

	bf_bells_ring(f.bells, 5, 1);
	assert_int_equal(f.fake->n_bells, 0);
	assert_int_equal(rings(fd), 1);
	assert_int_equal(bf_bells_stats(f.bells)->slow, 1);
	done(&f);
}

static void rings_for_nobody_are_counted_and_ignored(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join(&f, 5, 1);
	bf_bells_ring(f.bells, 5, 0); /* a vector that was skipped */
	bf_bells_ring(f.bells, 5, 2);
	bf_bells_ring(f.bells, 65535, 65535);
	assert_int_equal(bf_bells_stats(f.bells)->ignored, 3);
	assert_int_equal(bf_bells_stats(f.bells)->slow, 0);
	done(&f);
}

static void a_ring_that_comes_before_its_peer_is_passed_on_once(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_USERSPACE);
	int fd;

	ring(&f, 9, 2);
	assert_int_equal(rings(join(&f, 8, 0)), 0);
	assert_int_equal(rings(join(&f, 9, 1)), 0);
	fd = join(&f, 9, 0);
	assert_int_equal(rings(fd), 1);
	assert_int_equal(bf_bells_stats(f.bells)->slow, 1);
	bf_bells_remove(f.bells, 9);
	assert_int_equal(rings(join(&f, 9, 0)), 0);
	done(&f);
}

static void a_ring_is_kept_for_a_moment_only(void **state)
{
	struct bf_early early = { 0 };

	bf_early_keep(&early, 5, 1000);
	assert_true(bf_early_take(&early, 5, 1000 + BF_EARLY_NS));
	assert_false(bf_early_take(&early, 5, 1001));
	bf_early_keep(&early, 5, 1000);
	assert_false(bf_early_take(&early, 5, 1001 + BF_EARLY_NS));
}

static void the_oldest_of_many_kept_rings_gives_way(void **state)
{
	struct bf_early early = { 0 };

	for (unsigned int value = 0; value <= BF_EARLY_MAX; value++)
		bf_early_keep(&early, value, 1000);
	assert_false(bf_early_take(&early, 0, 1000));
	for (unsigned int value = 1; value <= BF_EARLY_MAX; value++)
		assert_true(bf_early_take(&early, value, 1000));
}

/* --- promotion --- */

static void a_doorbell_that_is_rung_takes_the_place_of_the_oldest(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 10);
	ring(&f, 9, ENOUGH - 1);
	assert_false(bound(&f, 9));
	ring(&f, 9, 1);
	assert_true(bound(&f, 9));
	assert_false(bound(&f, 0));
	assert_int_equal(f.fake->n_bells, MAX);
	ring(&f, 8, ENOUGH);
	assert_false(bound(&f, 1)); /* the next oldest, not the newcomer */
	assert_int_equal(bf_bells_stats(f.bells)->promotions, 2);
	done(&f);
}

static void one_that_comes_back_is_kept_longer(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 10);
	for (uint16_t id = 3; id < 6; id++)
		ring(&f, id, ENOUGH); /* 0, 1 and 2 have gone */
	ring(&f, 0, ENOUGH);          /* in the place of 3, with credit */
	ring(&f, 6, ENOUGH);
	ring(&f, 7, ENOUGH); /* of 4 and 5 */
	ring(&f, 8, ENOUGH); /* the hand is at 0, and passes it by */
	assert_true(bound(&f, 0));
	assert_false(bound(&f, 6));
	done(&f);
}

static void promotions_are_bounded_in_time(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 300);
	for (uint16_t id = MAX; id < 300; id++)
		ring(&f, id, ENOUGH);
	assert_in_range(bf_bells_stats(f.bells)->promotions, 64, 200);
	assert_int_equal(bf_bells_stats(f.bells)->slow, (300 - MAX) * ENOUGH);
	done(&f);
}

/* --- coming, leaving, moving --- */

static void the_place_of_one_that_leaves_is_free(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, MAX);
	bf_bells_remove(f.bells, 1);
	assert_false(bound(&f, 1));
	join(&f, 50, 0);
	assert_true(bound(&f, 50));
	assert_int_equal(bf_bells_find(f.bells, 1, 0), -1);
	bf_bells_remove(f.bells, 1); /* a second time: nothing */
	done(&f);
}

static void a_move_binds_the_same_doorbells_at_the_new_address(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 10);
	ring(&f, 9, ENOUGH);
	bf_bells_leave(f.bells);
	assert_int_equal(f.fake->n_bells, 0);
	bf_bells_arrive(f.bells, GPA + 0x1000);
	assert_int_equal(f.fake->n_bells, MAX);
	assert_true(fake_bell_at(f.fake, GPA + 0x1000, 9 << 16) >= 0);
	done(&f);
}

static void one_that_kvm_refuses_is_listed_once(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	f.fake->bells_max = 0;
	join_all(&f, 2);
	ring(&f, 0, 3 * ENOUGH);
	ring(&f, 1, 3 * ENOUGH);
	assert_int_equal(rings(f.fds[0]), 3 * ENOUGH);
	assert_true(bf_bells_stats(f.bells)->refused > 0);

	f.fake->bells_max = UINT32_MAX;
	bf_bells_leave(f.bells);
	bf_bells_arrive(f.bells, GPA);
	assert_int_equal(f.fake->n_bells, 2);
	bf_bells_remove(f.bells, 0);
	bf_bells_leave(f.bells);
	bf_bells_arrive(f.bells, GPA);
	assert_int_equal(f.fake->n_bells, 1);
	done(&f);
}

/* --- the window --- */

static void an_eager_window_has_every_doorbell(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_EAGER);

	join_all(&f, 10);
	bf_bells_window_arrive(f.bells, WINDOW);
	join(&f, 10, 3);
	for (uint16_t id = 0; id < 10; id++)
		assert_int_equal(in_window(&f, id, 0), f.fds[id]);
	assert_int_equal(in_window(&f, 10, 3), f.fds[10]);
	done(&f);
}

static void an_adaptive_window_has_those_that_are_rung_there(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 10);
	bf_bells_window_arrive(f.bells, WINDOW);
	assert_int_equal(in_window(&f, 0, 0), f.fds[0]); /* the first few, at once */
	assert_int_equal(in_window(&f, 9, 0), -1);

	bf_bells_ring_window(f.bells, 9, 0);
	assert_int_equal(rings(f.fds[9]), 1);
	assert_int_equal(in_window(&f, 9, 0), f.fds[9]);
	assert_false(bound(&f, 9)); /* the register is another matter */

	bf_bells_window_leave(f.bells);
	assert_int_equal(in_window(&f, 9, 0), -1);
	bf_bells_window_arrive(f.bells, WINDOW);
	assert_int_equal(in_window(&f, 9, 0), f.fds[9]);
	done(&f);
}

static void a_vector_beyond_the_window_does_not_take_anothers_place(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_EAGER);

	bf_bells_window_arrive(f.bells, WINDOW);
	join(&f, 0, 4); /* its place would be that of peer 1, vector 0 */
	assert_int_equal(in_window(&f, 1, 0), -1);
	assert_int_equal(fake_bell_at(f.fake, GPA, 4), f.fds[0]);
	done(&f);
}

/* --- reset, and who is there --- */

static void what_kvm_has_forgotten_is_bound_anew(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_ADAPTIVE);

	join_all(&f, 10);
	bf_bells_forget(f.bells);
	f.fake->n_bells = 0; /* with KVM's VM */
	join(&f, 11, 0);
	assert_int_equal(f.fake->n_bells, 0);
	bf_bells_arrive(f.bells, GPA);
	assert_int_equal(f.fake->n_bells, MAX);
	done(&f);
}

static void peers_are_listed_by_id_with_their_rings(void **state)
{
	struct fixture f = fixture_with(BF_BELLS_USERSPACE);
	struct belfry_peer_stats peer = { 0 };

	join(&f, 700, 0);
	join(&f, 700, 1);
	join(&f, 3, 0);
	join(&f, 9, 0);
	ring(&f, 700, 2);
	assert_int_equal(bf_bells_peer(f.bells, 0, &peer), 3);
	assert_int_equal(bf_bells_peer(f.bells, 4, &peer), 9);
	bf_bells_remove(f.bells, 9);
	assert_int_equal(bf_bells_peer(f.bells, 4, &peer), 700);
	assert_int_equal(peer.id, 700);
	assert_int_equal(peer.vectors, 2);
	assert_int_equal(peer.slow_rings, 2);
	assert_int_equal(bf_bells_peer(f.bells, 701, &peer), -ENOENT);
	assert_int_equal(bf_bells_peer(f.bells, UINT32_MAX, &peer), -ENOENT);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eager_binds_every_doorbell),
		cmocka_unit_test(adaptive_binds_those_that_come_first),
		cmocka_unit_test(userspace_binds_none_and_rings_all),
		cmocka_unit_test(rings_for_nobody_are_counted_and_ignored),
		cmocka_unit_test(a_ring_that_comes_before_its_peer_is_passed_on_once),
		cmocka_unit_test(a_ring_is_kept_for_a_moment_only),
		cmocka_unit_test(the_oldest_of_many_kept_rings_gives_way),
		cmocka_unit_test(a_doorbell_that_is_rung_takes_the_place_of_the_oldest),
		cmocka_unit_test(one_that_comes_back_is_kept_longer),
		cmocka_unit_test(promotions_are_bounded_in_time),
		cmocka_unit_test(the_place_of_one_that_leaves_is_free),
		cmocka_unit_test(a_move_binds_the_same_doorbells_at_the_new_address),
		cmocka_unit_test(one_that_kvm_refuses_is_listed_once),
		cmocka_unit_test(an_eager_window_has_every_doorbell),
		cmocka_unit_test(an_adaptive_window_has_those_that_are_rung_there),
		cmocka_unit_test(a_vector_beyond_the_window_does_not_take_anothers_place),
		cmocka_unit_test(what_kvm_has_forgotten_is_bound_anew),
		cmocka_unit_test(peers_are_listed_by_id_with_their_rings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
