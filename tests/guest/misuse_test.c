/* SPDX-License-Identifier: MIT */
/* tests/guest/misuse_test.c - calls in the wrong order, state or thread, with wrong sizes
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"

/* --- order --- */

/* The handles of two VMs that run, and one kind of order to destroy them in. */
struct set {
	struct belfry_config *cfg;
	struct belfry_links *links;
	struct belfry_vm *a, *b;
};

static struct set set_create(void)
{
	struct set s = { .cfg = two_vms() };

	s.links = host_links(s.cfg, "a", "b");
	s.a = start(s.cfg, "a");
	s.b = start(s.cfg, "b");
	return s;
}

static void drop_config(struct set *s)
{
	belfry_config_destroy(s->cfg);
}

static void drop_links(struct set *s)
{
	belfry_links_destroy(s->links);
}

static void drop_a(struct set *s)
{
	belfry_vm_destroy(s->a);
}

static void drop_b(struct set *s)
{
	belfry_vm_destroy(s->b);
}

static void handles_are_destroyed_in_any_order(void **state)
{
	void (*const orders[][4])(struct set *) = {
		{ drop_a, drop_b, drop_links, drop_config },
		{ drop_config, drop_links, drop_b, drop_a },
		{ drop_links, drop_a, drop_config, drop_b },
		{ drop_b, drop_config, drop_a, drop_links },
	};
	const int before = count_descriptors();

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct set s = set_create();

		for (size_t k = 0; k < 4; k++)
			orders[i][k](&s);
		assert_int_equal(count_descriptors(), before);
	}
}

static void what_never_started_is_destroyed_too(void **state)
{
	struct belfry_config *cfg = two_vms();
	const int before = count_descriptors();
	struct belfry_links *links;

	assert_int_equal(belfry_links_create(cfg, &links, NULL), 0);
	assert_int_equal(belfry_links_join(links, cfg, "a", NULL), 0);
	belfry_links_destroy(links);
	assert_int_equal(belfry_config_remove(cfg, "vms.a", NULL), 0); /* its socket */
	assert_int_equal(count_descriptors(), before);
	belfry_config_destroy(cfg);
}

static void a_vm_that_was_stopped_before_its_start_stops_then(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = create(cfg, "vm");

	belfry_vm_stop(vm);
	belfry_vm_stop(vm);
	assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_CREATED);
	assert_int_equal(belfry_vm_start(vm, NULL), 0);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

/* --- states and threads --- */

/* Where a call is made: in a state of the VM, or while it runs by one of its callbacks.
 */
enum where { CREATED, RUNNING, PAUSED, STOPPED, EVENT, PROCESS, CONSOLE, WHERES };

static const char *const wheres[] = { "created",    "running",   "paused",
				      "stopped",    "its event", "belfry_vm_process()",
				      "its console" };

#define FINE 0 /* or above */

#define CALL(name, ...)                                                       \
	static int try_##name(struct belfry_vm *vm, struct belfry_error *err) \
	{                                                                     \
		return belfry_vm_##name(__VA_ARGS__);                         \
	}

static int the_memory, the_eventfd;
static struct belfry_stats the_stats = { .size = sizeof(the_stats) };
static struct belfry_ivshmem_stats the_device = { .size = sizeof(the_device) };

static void ignore_event(void *user, struct belfry_vm *vm,
			 const struct belfry_event *event)
{
}

CALL(fd, vm)
CALL(state, vm)
CALL(stats, vm, &the_stats)
CALL(ivshmem_stats, vm, 0, &the_device)
CALL(peers, vm, 0, NULL, 0)
CALL(add_doorbell, vm, 0, 5, 0, the_eventfd, err)
CALL(remove_peer, vm, 0, 5, err)
CALL(process, vm, err)
CALL(set_console, vm, NULL, NULL, err)
CALL(set_events, vm, ignore_event, NULL, err)
CALL(own_loop, vm, err)
CALL(wait, vm, 0, NULL)
CALL(console_input, vm, "x", 1, err)
CALL(power_button, vm, err)
CALL(pause, vm, err)
CALL(resume, vm, err)
CALL(reset, vm, err)
CALL(start, vm, err)

/* In an order in which none has an effect on the next. */
static const struct {
	const char *name;
	int (*call)(struct belfry_vm *vm, struct belfry_error *err);
	int returns[WHERES];
} calls[] = {
/* clang-format off */
#define ROW(name, ...) { "belfry_vm_" #name, try_##name, { __VA_ARGS__ } }
	/*                 created   running     paused      stopped  event       process     console */
	ROW(fd,            FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(state,         FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(stats,         FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(ivshmem_stats, FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(peers,         FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(add_doorbell,  FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(remove_peer,   FINE,     FINE,       FINE,       FINE,    FINE,       FINE,       FINE),
	ROW(process,       -EINVAL,  -EINVAL,    -EINVAL,    -EINVAL, -EINVAL,    -EBUSY,     -EINVAL),
	ROW(set_console,   FINE,     -EINVAL,    -EINVAL,    -EINVAL, -EINVAL,    -EINVAL,    -EINVAL),
	ROW(set_events,    FINE,     -EINVAL,    -EINVAL,    -EINVAL, -EINVAL,    -EINVAL,    -EINVAL),
	ROW(own_loop,      FINE,     -EINVAL,    -EINVAL,    -EINVAL, -EINVAL,    -EINVAL,    -EINVAL),
	ROW(wait,          -EINVAL,  -ETIMEDOUT, -ETIMEDOUT, FINE,    -ETIMEDOUT, -ETIMEDOUT, -EDEADLK),
	ROW(console_input, -EINVAL,  FINE,       FINE,       -EINVAL, FINE,       FINE,       FINE),
	ROW(power_button,  -EINVAL,  FINE,       FINE,       -EINVAL, FINE,       FINE,       FINE),
	ROW(pause,         -EINVAL,  FINE,       FINE,       -EINVAL, FINE,       FINE,       FINE),
	ROW(resume,        -EINVAL,  FINE,       FINE,       -EINVAL, FINE,       FINE,       FINE),
	ROW(reset,         -EINVAL,  FINE,       FINE,       -EINVAL, FINE,       FINE,       FINE),
	ROW(start,         FINE,     -EINVAL,    -EINVAL,    -EINVAL, -EINVAL,    -EINVAL,    -EINVAL),
#undef ROW
	/* clang-format on */
};

/* What went wrong first, as callbacks must not fail a test themselves. */
struct trial {
	atomic_bool done;
	enum where where;
	char wrong[300];
	char log[300]; /* its errors */
};

static void try_all(struct trial *t, struct belfry_vm *vm)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const int want = calls[i].returns[t->where];
		struct belfry_error err = { 0 };
		const int got = calls[i].call(vm, &err);
		const int same = want == FINE ? got >= 0 : got == want;

		if (same && (err.code == 0 || (err.code == got && err.msg[0])))
			continue;
		snprintf(t->wrong, sizeof(t->wrong), "%s, %s: %d, %s", calls[i].name,
			 wheres[t->where], got, err.msg);
		return;
	}
}

/* By a callback, once; it runs on. */
static void try_within(struct trial *t, struct belfry_vm *vm)
{
	if (atomic_load(&t->done))
		return;
	try_all(t, vm);
	belfry_vm_destroy(vm);
	belfry_vm_stop(vm);
	atomic_store(&t->done, true);
}

static void try_event(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
	try_within(user, vm);
}

static void try_console(void *user, struct belfry_vm *vm, const void *data, size_t len)
{
	try_within(user, vm);
}

static void keep_error(void *user, enum belfry_log_level level, const char *line)
{
	struct trial *t = user;

	snprintf(t->log, sizeof(t->log), "%s", line);
}

static void run_trial(enum where where)
{
	struct belfry_config *cfg = one_vm(where == CONSOLE ? "hello" : "idle", "");
	struct trial t = { .where = where };
	struct pollfd ready = { .events = POLLIN };
	struct belfry_vm *vm;

	set(cfg, "vms.vm.devices.0.ivshmem.size", "4k");
	set(cfg, "vms.vm.devices.0.ivshmem.by_hand", "on");
	set_fd(cfg, "vms.vm.devices.0.ivshmem.file", the_memory);
	belfry_config_set_log(cfg, keep_error, &t, BELFRY_LOG_ERROR);
	vm = create(cfg, "vm");
	if (where == EVENT || where == PROCESS)
		assert_int_equal(belfry_vm_set_events(vm, try_event, &t, NULL), 0);
	if (where == PROCESS)
		assert_int_equal(belfry_vm_own_loop(vm, NULL), 0);
	if (where == CONSOLE)
		assert_int_equal(belfry_vm_set_console(vm, try_console, &t, NULL), 0);
	if (where != CREATED)
		assert_int_equal(belfry_vm_start(vm, NULL), 0);
	if (where == PAUSED)
		assert_int_equal(belfry_vm_pause(vm, NULL), 0);
	if (where == STOPPED) {
		belfry_vm_stop(vm);
		wait_for(vm);
	}
	if (where < EVENT)
		try_all(&t, vm);
	ready.fd = belfry_vm_fd(vm);
	while (where == PROCESS && !atomic_load(&t.done) && poll(&ready, 1, 10000) == 1)
		belfry_vm_process(vm, NULL);
	if (where >= EVENT) {
		assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);
		assert_string_equal(
			t.log, "vm: belfry_vm_destroy() by a callback: not destroyed");
	}
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	if (t.wrong[0])
		fail_msg("%s", t.wrong);
}

static void each_call_knows_where_it_is_made(void **state)
{
	const int before = count_descriptors();

	the_memory = memfd_create("memory", MFD_CLOEXEC);
	the_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(ftruncate(the_memory, 4096), 0);
	for (enum where where = CREATED; where < WHERES; where++)
		run_trial(where);
	close(the_memory);
	close(the_eventfd);
	assert_int_equal(count_descriptors(), before);
}

static bool is_in_table(const char *name)
{
	static const char *const others[] = { "belfry_vm_create", "belfry_vm_stop",
					      "belfry_vm_destroy" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i], name) == 0)
			return true;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return true;
	return false;
}

static void every_call_on_a_vm_is_in_the_table(void **state)
{
	FILE *header = fopen("include/belfry.h", "re");
	char line[256], name[64];
	int n = 0;

	assert_non_null(header);
	while (fgets(line, sizeof(line), header))
		if (sscanf(line, "BELFRY_API %*s belfry_vm_%50[a-z_]", name + 10) == 1) {
			memcpy(name, "belfry_vm_", 10);
			n++;
			if (!is_in_table(name))
				fail_msg("%s() is not in the table", name);
		}
	fclose(header);
	assert_true(n > 18);
}

/* --- sizes --- */

/* As a program sees it that was compiled with a later header. */
struct later_stats {
	struct belfry_stats known;
	uint64_t more[2];
};

struct later_peer {
	struct belfry_peer_stats known;
	uint64_t more;
};

static void a_later_programs_structs_are_filled_with_zeros(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct later_stats stats;
	struct belfry_vm *vm = start(cfg, "vm");

	wait_for(vm);
	memset(&stats, 0xff, sizeof(stats));
	stats.known.size = sizeof(stats);
	assert_int_equal(belfry_vm_stats(vm, &stats.known), 0);
	assert_int_equal(stats.known.size, sizeof(stats));
	assert_true(stats.known.exits > 0);
	assert_int_equal(stats.known.resets, 0);
	assert_int_equal(stats.more[0] | stats.more[1], 0);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void peers_are_as_far_apart_as_the_program_has_them(void **state)
{
	struct set s = set_create();
	struct later_peer peers[2];

	for (int i = 0; i < 1000 && belfry_vm_peers(s.a, 0, NULL, 0) < 2; i++)
		usleep(10000); /* until the server has told of the other */
	memset(peers, 0xff, sizeof(peers));
	peers[0].known.size = sizeof(peers[0]);
	assert_int_equal(belfry_vm_peers(s.a, 0, &peers[0].known, 2), 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(peers[i].known.size, sizeof(peers[0]));
		assert_int_equal(peers[i].known.id, i);
		assert_int_equal(peers[i].known.vectors, 2);
		assert_int_equal(peers[i].more, 0);
	}
	peers[0].known.size = 4;
	assert_int_equal(belfry_vm_peers(s.a, 0, &peers[0].known, 2), -EINVAL);
	drop_a(&s);
	drop_b(&s);
	drop_links(&s);
	drop_config(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles_are_destroyed_in_any_order),
		cmocka_unit_test(what_never_started_is_destroyed_too),
		cmocka_unit_test(a_vm_that_was_stopped_before_its_start_stops_then),
		cmocka_unit_test(each_call_knows_where_it_is_made),
		cmocka_unit_test(every_call_on_a_vm_is_in_the_table),
		cmocka_unit_test(a_later_programs_structs_are_filled_with_zeros),
		cmocka_unit_test(peers_are_as_far_apart_as_the_program_has_them),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
