/* SPDX-License-Identifier: MIT */
/* tests/guest/process_test.c - VMs as guests of a process that has other things to do:
 * threads, forks, programs that it executes, signals
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"

/* --- many, from many threads --- */

#define THREADS 8
#define VMS     1000 /* of all threads together */

struct crowd {
	struct belfry_config *cfg;
	atomic_int left;   /* VMs still to be made */
	atomic_int failed; /* -errno of the first that was not */
};

/* One in ten also runs for a while. */
static int live(struct crowd *crowd, bool run)
{
	struct belfry_vm *vm;
	int e = belfry_vm_create(crowd->cfg, "vm", &vm, NULL);

	if (e < 0)
		return e;
	if (run)
		e = belfry_vm_start(vm, NULL);
	belfry_vm_destroy(vm);
	return e;
}

static void *live_on(void *arg)
{
	struct crowd *crowd = arg;
	int n;

	while ((n = atomic_fetch_sub(&crowd->left, 1)) > 0) {
		int e = live(crowd, n % 10 == 0);

		if (e < 0)
			atomic_store(&crowd->failed, e);
	}
	return NULL;
}

static void a_thousand_vms_of_many_threads_leave_nothing_behind(void **state)
{
	struct crowd crowd = { .cfg = one_vm("idle", ""), .left = VMS };
	int memory = memfd_create("shared", MFD_CLOEXEC);
	pthread_t threads[THREADS];
	int before;

	assert_int_equal(ftruncate(memory, 1 << 20), 0);
	set(crowd.cfg, "vms.vm.devices.0.ivshmem.size", "1M");
	set_fd(crowd.cfg, "vms.vm.devices.0.ivshmem.file", memory);
	before = count_descriptors();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, live_on, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.failed), 0);
	assert_int_equal(count_descriptors(), before);
	belfry_config_destroy(crowd.cfg);
	close(memory);
}

static void *create_one(void *cfg)
{
	struct belfry_vm *vm;

	return belfry_vm_create(cfg, "vm", &vm, NULL) == 0 ? vm : NULL;
}

static void *destroy_one(void *vm)
{
	belfry_vm_destroy(vm);
	return NULL;
}

static void a_vm_lives_on_when_its_threads_do_not(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=s5");
	pthread_t thread;
	void *vm;

	assert_int_equal(pthread_create(&thread, NULL, create_one, cfg), 0);
	pthread_join(thread, &vm);
	assert_non_null(vm);
	assert_int_equal(belfry_vm_start(vm, NULL), 0);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_POWEROFF);
	assert_int_equal(pthread_create(&thread, NULL, destroy_one, vm), 0);
	pthread_join(thread, NULL);
	belfry_config_destroy(cfg);
}

struct racers {
	struct belfry_vm *vm;
	pthread_barrier_t ready;
};

static void *race(void *arg)
{
	struct racers *r = arg;

	pthread_barrier_wait(&r->ready);
	belfry_vm_stop(r->vm);
	belfry_vm_reset(r->vm, NULL);
	belfry_vm_pause(r->vm, NULL);
	belfry_vm_state(r->vm);
	belfry_vm_power_button(r->vm, NULL);
	belfry_vm_resume(r->vm, NULL);
	belfry_vm_wait(r->vm, LIMIT, NULL);
	return NULL;
}

static void threads_may_do_all_at_once_to_one_vm(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");

	for (int round = 0; round < 20; round++) {
		struct racers r = { .vm = create(cfg, "vm") };
		pthread_t threads[3];

		pthread_barrier_init(&r.ready, NULL, 4);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, race, &r), 0);
		pthread_barrier_wait(&r.ready);
		assert_int_equal(belfry_vm_start(r.vm, NULL), 0);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(wait_for(r.vm).reason, BELFRY_STOP_REQUESTED);
		pthread_barrier_destroy(&r.ready);
		belfry_vm_destroy(r.vm);
	}
	belfry_config_destroy(cfg);
}

/* --- a pair with a link, for descriptors of every kind --- */

struct pair {
	struct belfry_config *cfg;
	struct belfry_links *links;
	struct belfry_vm *a, *b;
};

static void ignore(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
}

static struct pair pair_start(void)
{
	struct pair p = { .cfg = two_vms() };

	p.links = host_links(p.cfg, "a", "b");
	p.a = create(p.cfg, "a");
	assert_works(belfry_vm_set_events(p.a, ignore, NULL, &err));
	assert_works(belfry_vm_own_loop(p.a, &err));
	assert_works(belfry_vm_start(p.a, &err));
	p.b = start(p.cfg, "b");
	return p;
}

static void pair_done(struct pair *p)
{
	belfry_vm_destroy(p->a);
	belfry_vm_destroy(p->b);
	belfry_links_destroy(p->links);
	belfry_config_destroy(p->cfg);
}

/* --- exec and fork --- */

static void no_descriptor_reaches_a_program_that_is_executed(void **state)
{
	const int before = count_inherited();
	const int open_before = count_descriptors();
	struct pair p = pair_start();

	assert_true(count_descriptors() > open_before + 20);
	assert_int_equal(count_inherited(), before);
	pair_done(&p);
}

static void the_parents_vms_outlive_a_child(void **state)
{
	struct pair p = pair_start();
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(7);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(belfry_vm_state(p.a), BELFRY_STATE_RUNNING);
	assert_int_equal(belfry_vm_peers(p.b, 0, NULL, 0), 2);
	pair_done(&p);
}

/* The thread sanitizer knows no threads of a child whose parent had some. */
#ifdef __SANITIZE_THREAD__
#define CHILD_MAY_START 0
#elif defined(__has_feature)
#define CHILD_MAY_START !__has_feature(thread_sanitizer)
#else
#define CHILD_MAY_START 1
#endif

/* In a child: what it has inherited it leaves alone. */
static int child_runs_a_vm(struct belfry_config *cfg)
{
	struct belfry_result result = { .size = sizeof(result) };
	struct belfry_vm *vm;

	if (belfry_vm_create(cfg, "vm", &vm, NULL) < 0)
		return 1;
	if (CHILD_MAY_START &&
	    (belfry_vm_start(vm, NULL) < 0 || belfry_vm_wait(vm, LIMIT, &result) < 0 ||
	     result.reason != BELFRY_STOP_POWEROFF))
		return 2;
	belfry_vm_destroy(vm);
	return 7;
}

static void a_child_makes_vms_of_its_own(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=s5");
	struct pair p = pair_start();
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_runs_a_vm(cfg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(belfry_vm_state(p.a), BELFRY_STATE_RUNNING);
	pair_done(&p);
	belfry_config_destroy(cfg);
}

/* --- signals --- */

static volatile sig_atomic_t caught;

static void catch_it(int signal)
{
	caught = signal;
}

static void a_console_without_a_reader_raises_no_signal(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct sigaction act = { .sa_handler = catch_it }, old;
	struct belfry_vm *vm;
	int ends[2];

	caught = 0;
	sigaction(SIGPIPE, &act, &old);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	set_fd(cfg, "vms.vm.console", ends[1]);
	close(ends[0]);
	vm = start(cfg, "vm");
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_DEBUG_EXIT);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	close(ends[1]);
	assert_int_equal(caught, 0);
	sigaction(SIGPIPE, &old, NULL);
}

/* Handlers, the mask and what is blocked are the embedder's. */
static void signals_are_left_as_they_were(void **state)
{
	struct sigaction before[NSIG] = { 0 }, after = { 0 };
	sigset_t mask, now;
	struct pair p;

	for (int i = 1; i < NSIG; i++)
		sigaction(i, NULL, &before[i]);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	p = pair_start();
	assert_int_equal(belfry_vm_pause(p.b, NULL), 0);
	belfry_vm_stop(p.b);
	wait_for(p.b);
	for (int i = 1; i < NSIG; i++) {
		if (sigaction(i, NULL, &after) < 0)
			continue; /* two are the C library's own */
		assert_ptr_equal(after.sa_handler, before[i].sa_handler);
	}
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	for (int i = 1; i < NSIG; i++)
		assert_int_equal(sigismember(&now, i), sigismember(&mask, i));
	pair_done(&p);
}

/* An embedder may use SIGURG itself: it is sent to vCPU threads alone. */
static void the_kick_never_reaches_the_embedder(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct sigaction act = { .sa_handler = catch_it }, old;
	struct belfry_vm *vm;

	caught = 0;
	sigaction(SIGURG, &act, &old);
	vm = start(cfg, "vm");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(belfry_vm_pause(vm, NULL), 0);
		assert_int_equal(belfry_vm_resume(vm, NULL), 0);
	}
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	assert_int_equal(caught, 0);
	raise(SIGURG);
	assert_int_equal(caught, SIGURG);
	sigaction(SIGURG, &old, NULL);
}

static __thread char of_each_thread[400 * 1024];

static void a_program_may_have_large_thread_local_variables(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm;

	of_each_thread[sizeof(of_each_thread) / 2] = 1;
	vm = start(cfg, "vm");
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_DEBUG_EXIT);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	assert_int_equal(of_each_thread[sizeof(of_each_thread) / 2], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_vms_of_many_threads_leave_nothing_behind),
		cmocka_unit_test(a_program_may_have_large_thread_local_variables),
		cmocka_unit_test(a_vm_lives_on_when_its_threads_do_not),
		cmocka_unit_test(threads_may_do_all_at_once_to_one_vm),
		cmocka_unit_test(no_descriptor_reaches_a_program_that_is_executed),
		cmocka_unit_test(the_parents_vms_outlive_a_child),
		cmocka_unit_test(a_child_makes_vms_of_its_own),
		cmocka_unit_test(a_console_without_a_reader_raises_no_signal),
		cmocka_unit_test(signals_are_left_as_they_were),
		cmocka_unit_test(the_kick_never_reaches_the_embedder),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
