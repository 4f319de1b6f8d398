/* SPDX-License-Identifier: MIT */
/* tests/unit/bench_noise_test.c - whether a run counts as disturbed, from what was
 * counted */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/noise.h"
#include "tests/unit/unit_test.h"

#define MS BF_NS_PER_MS

/* Two CPUs for 100 ms, of which we have both: counted when all is well. */
static const struct noise_count from = { .clock = 1000 * MS,
					 .stolen = 50 * MS,
					 .busy = 400 * MS,
					 .ours = 0,
					 .waited = 7 * MS };

static struct noise_count quiet(void)
{
	return (struct noise_count){ .clock = 1100 * MS,
				     .stolen = 50 * MS,
				     .busy = 600 * MS,
				     .ours = 200 * MS,
				     .waited = 7 * MS };
}

static bool disturbed(const struct noise_count *to)
{
	const struct noise noise = noise_between(&from, to);

	return noise_disturbs(&noise);
}

static void a_quiet_run_is_not_disturbed(void **state)
{
	const struct noise_count to = quiet();
	const struct noise noise = noise_between(&from, &to);

	assert_true(noise.steal == 0 && noise.waited == 0 && noise.others == 0);
	assert_false(noise_disturbs(&noise));
}

static void steal_time_waiting_and_others_disturb(void **state)
{
	struct noise_count to = quiet();

	to.stolen += 2 * MS;
	assert_true(disturbed(&to));
	to = quiet();
	to.waited += 3 * MS;
	assert_true(disturbed(&to));
	to = quiet();
	to.ours -= 40 * MS;
	assert_true(disturbed(&to));
}

/* Up to 1 %, 2 %, and 15 % beside two ticks */
static void a_little_of_each_does_not(void **state)
{
	struct noise_count to = quiet();

	to.stolen += 1 * MS;
	to.waited += 2 * MS;
	to.ours -= 34 * MS;
	assert_false(disturbed(&to));
}

static void two_ticks_are_nobodys(void **state)
{
	struct noise_count to = quiet();

	to.ours -= 20 * MS;
	assert_true(noise_between(&from, &to).others == 0);
	to.ours -= 10 * MS;
	assert_float_equal(noise_between(&from, &to).others, 0.1, 1e-6);
}

static void what_the_host_does_not_tell_is_not_known(void **state)
{
	struct noise_count to = quiet();
	struct noise noise;

	to.stolen = to.busy = to.waited = -1;
	noise = noise_between(&from, &to);
	assert_true(noise.steal == -1 && noise.waited == -1 && noise.others == -1);
	assert_false(noise_disturbs(&noise));
}

/* That of a thread that answers a guest in another process */
static void our_own_time_is_ours_beside_that_of_others(void **state)
{
	pid_t child = fork();
	struct noise_count before, after;
	clock_t end;

	if (child == 0)
		while (pause() < 0)
			;
	before = noise_count(&child, 1);
	end = clock() + CLOCKS_PER_SEC / 10;
	while (clock() < end)
		;
	after = noise_count(&child, 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(after.ours - before.ours >= 80 * (int64_t)MS);
}

static void children_that_have_ended_are_ours(void **state)
{
	struct noise_count before = noise_count(NULL, 0), after;
	clock_t end;
	pid_t pid = fork();

	if (pid == 0) {
		end = clock() + CLOCKS_PER_SEC / 10;
		while (clock() < end)
			;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	after = noise_count(NULL, 0);
	assert_true(after.ours - before.ours >= 80 * (int64_t)MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_run_is_not_disturbed),
		cmocka_unit_test(steal_time_waiting_and_others_disturb),
		cmocka_unit_test(a_little_of_each_does_not),
		cmocka_unit_test(two_ticks_are_nobodys),
		cmocka_unit_test(what_the_host_does_not_tell_is_not_known),
		cmocka_unit_test(our_own_time_is_ours_beside_that_of_others),
		cmocka_unit_test(children_that_have_ended_are_ours),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
