/* SPDX-License-Identifier: MIT */
/* tests/guest/life_test.c - pause, resume, reset, events, and a loop that the caller runs
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/guest/vm_test.h"

#define MOMENT_US 50000
#define TRIES     1000 /* moments: far more than anything here takes */

/* --- a guest whose work can be seen: touch.c counts in its shared memory --- */

#define SHARED 4096

struct counting {
	struct belfry_config *cfg;
	int memory;
	volatile uint64_t *counter;
};

static struct counting counting_create(void)
{
	struct counting c = { .cfg = one_vm("touch", "seconds=100") };
	char *map;

	c.memory = memfd_create("shared", MFD_CLOEXEC);
	assert_int_equal(ftruncate(c.memory, SHARED), 0);
	map = mmap(NULL, SHARED, PROT_READ, MAP_SHARED, c.memory, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	c.counter = (volatile uint64_t *)(map + SHARED - 8);
	set(c.cfg, "vms.vm.devices.0.ivshmem.size", "4k");
	set_fd(c.cfg, "vms.vm.devices.0.ivshmem.file", c.memory);
	return c;
}

static void counting_done(struct counting *c)
{
	munmap((char *)c->counter + 8 - SHARED, SHARED);
	close(c->memory);
	belfry_config_destroy(c->cfg);
}

/* Does the guest get on with its work, in some time? */
static bool gets_on(const struct counting *c)
{
	const uint64_t before = *c->counter;

	for (int i = 0; i < TRIES && *c->counter == before; i++)
		usleep(MOMENT_US / 10);
	return *c->counter != before;
}

static bool stands_still(const struct counting *c)
{
	const uint64_t before = *c->counter;

	usleep(MOMENT_US);
	return *c->counter == before;
}

/* --- pause and resume --- */

static void a_paused_guest_stands_still_until_it_is_resumed(void **state)
{
	struct counting c = counting_create();
	struct belfry_vm *vm = start(c.cfg, "vm");
	struct belfry_error err = { 0 };

	assert_true(gets_on(&c));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(belfry_vm_pause(vm, &err), 0);
		assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_PAUSED);
		assert_true(stands_still(&c));
		assert_int_equal(belfry_vm_pause(vm, &err), 0); /* as good as once */
		assert_int_equal(belfry_vm_resume(vm, &err), 0);
		assert_int_equal(belfry_vm_resume(vm, &err), 0);
		assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_RUNNING);
		assert_true(gets_on(&c));
	}
	belfry_vm_destroy(vm);
	counting_done(&c);
}

static void a_paused_vm_stops_and_is_destroyed_like_any_other(void **state)
{
	struct counting c = counting_create();
	struct belfry_vm *vm = start(c.cfg, "vm");

	assert_int_equal(belfry_vm_pause(vm, NULL), 0);
	belfry_vm_stop(vm);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);
	assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_STOPPED);
	belfry_vm_destroy(vm);

	vm = start(c.cfg, "vm");
	assert_int_equal(belfry_vm_pause(vm, NULL), 0);
	belfry_vm_destroy(vm);
	counting_done(&c);
}

static void all_vcpus_are_held_those_that_wait_too(void **state)
{
	struct counting c = counting_create();
	struct belfry_vm *vm;

	set(c.cfg, "vms.vm.cpus", "4");
	vm = start(c.cfg, "vm");
	assert_true(gets_on(&c));
	assert_int_equal(belfry_vm_pause(vm, NULL), 0);
	assert_true(stands_still(&c));
	assert_int_equal(belfry_vm_resume(vm, NULL), 0);
	assert_true(gets_on(&c));
	belfry_vm_destroy(vm);
	counting_done(&c);
}

/* The reader of the console may be the thread that pauses. */
static void a_guest_that_waits_for_its_console_can_be_paused(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	char line[4096] = { 0 };
	struct belfry_vm *vm;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], line, sizeof(line)) > 0) /* until it is full */
		;
	set_fd(cfg, "vms.vm.console", ends[1]);
	vm = start(cfg, "vm");
	assert_int_equal(belfry_vm_wait(vm, SECOND / 20, NULL), -ETIMEDOUT);
	assert_int_equal(belfry_vm_pause(vm, NULL), 0);

	while (read(ends[0], line, sizeof(line)) > 0) /* now it could go on */
		;
	assert_int_equal(belfry_vm_wait(vm, SECOND / 20, NULL), -ETIMEDOUT);
	assert_int_equal(belfry_vm_resume(vm, NULL), 0);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_DEBUG_EXIT);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	close(ends[0]);
	close(ends[1]);
}

static void *pause_and_resume(void *vm)
{
	for (int i = 0; i < 50; i++) {
		belfry_vm_pause(vm, NULL);
		belfry_vm_resume(vm, NULL);
	}
	return NULL;
}

static void threads_may_pause_and_resume_against_each_other(void **state)
{
	struct counting c = counting_create();
	struct belfry_vm *vm = start(c.cfg, "vm");
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pause_and_resume, vm),
				 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(belfry_vm_resume(vm, NULL), 0);
	assert_true(gets_on(&c));
	belfry_vm_destroy(vm);
	counting_done(&c);
}

/* --- state --- */

static void a_vm_knows_where_in_its_life_it_is(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm = create(cfg, "vm");

	assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_CREATED);
	assert_int_equal(belfry_vm_start(vm, NULL), 0);
	wait_for(vm);
	assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_STOPPED);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void what_needs_a_vm_that_runs_says_so(void **state)
{
	int (*const calls[])(struct belfry_vm *, struct belfry_error *) = {
		belfry_vm_pause,
		belfry_vm_resume,
		belfry_vm_reset,
		belfry_vm_power_button,
	};
	struct belfry_config *cfg = one_vm("hello", "");

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct belfry_vm *vm = create(cfg, "vm");

		assert_fails(calls[i](vm, &err), EINVAL, "VM vm does not run");
		assert_int_equal(belfry_vm_start(vm, NULL), 0);
		wait_for(vm);
		assert_fails(calls[i](vm, &err), EINVAL, "VM vm does not run");
		belfry_vm_destroy(vm);
	}
	belfry_config_destroy(cfg);
}

/* --- events --- */

#define TOLD_MAX 32

/* What a callback has been told. */
struct told {
	pthread_mutex_t lock;
	enum belfry_event_type types[TOLD_MAX];
	unsigned int n;
	struct belfry_result result; /* of the last that had one */
	uint32_t device, peer;       /* of the last that left */
	pthread_t thread;
	/* What it does, told of @on. */
	enum belfry_event_type on;
	void (*act)(struct belfry_vm *vm, struct told *told);
	int got; /* what that gave */
};

static void tell(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
	struct told *told = user;

	pthread_mutex_lock(&told->lock);
	told->n += told->n < TOLD_MAX; /* the last is kept, too */
	told->types[told->n - 1] = event->type;
	if (event->result)
		told->result = *event->result;
	if (event->type == BELFRY_EVENT_PEER_LEFT) {
		told->device = event->device;
		told->peer = event->peer;
	}
	told->thread = pthread_self();
	pthread_mutex_unlock(&told->lock);
	if (told->act && event->type == told->on)
		told->act(vm, told);
}

static bool told_of(struct told *told, enum belfry_event_type type, unsigned int times)
{
	unsigned int n = 0;

	pthread_mutex_lock(&told->lock);
	for (unsigned int i = 0; i < told->n; i++)
		n += told->types[i] == type;
	pthread_mutex_unlock(&told->lock);
	return n >= times;
}

static void wait_told(struct told *told, enum belfry_event_type type, unsigned int times)
{
	for (int i = 0; i < TRIES && !told_of(told, type, times); i++)
		usleep(MOMENT_US / 10);
	assert_true(told_of(told, type, times));
}

static struct belfry_vm *start_telling(struct belfry_config *cfg, const char *name,
				       struct told *told)
{
	struct belfry_vm *vm = create(cfg, name);

	pthread_mutex_init(&told->lock, NULL);
	assert_works(belfry_vm_set_events(vm, tell, told, &err));
	assert_works(belfry_vm_start(vm, &err));
	return vm;
}

static void start_and_stop_are_told_once_each(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=debug-exit status=5");
	struct told told = { .n = 0 };
	struct belfry_vm *vm = start_telling(cfg, "vm", &told);

	wait_told(&told, BELFRY_EVENT_STOPPED, 1);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.types[0], BELFRY_EVENT_STARTED);
	assert_int_equal(told.result.reason, BELFRY_STOP_DEBUG_EXIT);
	assert_int_equal(told.result.status, 5);
	assert_int_equal(told.result.size, sizeof(told.result));
	assert_int_equal(belfry_vm_wait(vm, 0, NULL), 0);
	belfry_vm_destroy(vm);
	assert_int_equal(told.n, 2);
	belfry_config_destroy(cfg);
}

static void a_reset_starts_the_guest_again_whatever_on_reset_says(void **state)
{
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct counting c = counting_create();
	struct told told = { .n = 0 };
	struct belfry_vm *vm = start_telling(c.cfg, "vm", &told);

	for (unsigned int i = 1; i <= 2; i++) {
		assert_true(gets_on(&c));
		assert_int_equal(belfry_vm_reset(vm, NULL), 0);
		wait_told(&told, BELFRY_EVENT_RESET, i);
	}
	assert_true(gets_on(&c));
	assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_RUNNING);
	assert_int_equal(belfry_vm_stats(vm, &stats), 0);
	assert_int_equal(stats.resets, 2);
	belfry_vm_destroy(vm);
	counting_done(&c);
}

static void slow(struct belfry_vm *vm, struct told *told)
{
	usleep(MOMENT_US);
}

static void a_guest_that_panics_says_so_and_runs_on(void **state)
{
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_config *cfg = one_vm("ends", "how=s5 panics=1");
	struct told told = { .n = 0 };
	struct belfry_vm *vm = start_telling(cfg, "vm", &told);

	wait_told(&told, BELFRY_EVENT_STOPPED, 1);
	assert_int_equal(told.n, 3);
	assert_int_equal(told.types[1], BELFRY_EVENT_PANICKED);
	assert_int_equal(belfry_vm_stats(vm, &stats), 0);
	assert_int_equal(stats.panics, 1);
	assert_int_equal(told.result.reason, BELFRY_STOP_POWEROFF);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_guest_that_panics_without_end_cannot_hide_its_end(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=s5 panics=1000");
	struct told told = { .on = BELFRY_EVENT_STARTED, .act = slow };
	struct belfry_vm *vm = start_telling(cfg, "vm", &told);

	wait_told(&told, BELFRY_EVENT_STOPPED, 1);
	assert_true(told_of(&told, BELFRY_EVENT_PANICKED, 1));
	assert_int_equal(told.result.reason, BELFRY_STOP_POWEROFF);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_vm_that_is_paused_stays_so_over_a_reset(void **state)
{
	struct counting c = counting_create();
	struct told told = { .n = 0 };
	struct belfry_vm *vm = start_telling(c.cfg, "vm", &told);

	assert_true(gets_on(&c));
	assert_int_equal(belfry_vm_pause(vm, NULL), 0);
	assert_int_equal(belfry_vm_reset(vm, NULL), 0);
	wait_told(&told, BELFRY_EVENT_RESET, 1);
	assert_true(stands_still(&c));
	assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_PAUSED);
	assert_int_equal(belfry_vm_resume(vm, NULL), 0);
	assert_true(gets_on(&c));
	belfry_vm_destroy(vm);
	counting_done(&c);
}

/* What is too much for the callback is lost; the end never is. */
static void a_callback_that_is_slow_hears_of_the_end(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=acpi-reset");
	struct told told = { .on = BELFRY_EVENT_RESET, .act = slow };
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_vm *vm;

	set(cfg, "vms.vm.on_reset", "restart");
	vm = start_telling(cfg, "vm", &told);
	do {
		usleep(MOMENT_US);
		assert_int_equal(belfry_vm_stats(vm, &stats), 0);
	} while (stats.resets < 5);
	belfry_vm_stop(vm);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);
	wait_told(&told, BELFRY_EVENT_STOPPED, 1);
	assert_int_equal(told.result.reason, BELFRY_STOP_REQUESTED);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void stop_it(struct belfry_vm *vm, struct told *told)
{
	belfry_vm_stop(vm);
}

static void pause_it(struct belfry_vm *vm, struct told *told)
{
	told->got = belfry_vm_pause(vm, NULL);
}

static void process_it(struct belfry_vm *vm, struct told *told)
{
	told->got = belfry_vm_process(vm, NULL);
}

static void a_callback_stops_its_vm(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct told told = { .on = BELFRY_EVENT_STARTED, .act = stop_it };
	struct belfry_vm *vm = start_telling(cfg, "vm", &told);

	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_callback_pauses_its_vm(void **state)
{
	struct counting c = counting_create();
	struct told told = { .on = BELFRY_EVENT_STARTED, .act = pause_it, .got = 1 };
	struct belfry_vm *vm = start_telling(c.cfg, "vm", &told);

	for (int i = 0; i < TRIES && belfry_vm_state(vm) != BELFRY_STATE_PAUSED; i++)
		usleep(MOMENT_US / 10);
	assert_int_equal(belfry_vm_pause(vm, NULL), 0); /* until it has been */
	assert_true(stands_still(&c));
	belfry_vm_destroy(vm);
	assert_int_equal(told.got, 0);
	counting_done(&c);
}

static void events_and_loop_are_chosen_before_the_start(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = start(cfg, "vm");

	assert_fails(belfry_vm_set_events(vm, tell, NULL, &err), EINVAL,
		     "VM vm: started before");
	assert_fails(belfry_vm_own_loop(vm, &err), EINVAL, "VM vm: started before");
	assert_fails(belfry_vm_process(vm, &err), EINVAL,
		     "VM vm: without belfry_vm_own_loop()");
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

/* --- a link's events --- */

struct pair {
	struct belfry_config *cfg;
	struct belfry_links *links;
};

static struct pair pair_create(void)
{
	struct pair p = { .cfg = two_vms() };

	p.links = host_links(p.cfg, "a", "b");
	return p;
}

static void pair_done(struct pair *p)
{
	belfry_links_destroy(p->links);
	belfry_config_destroy(p->cfg);
}

/* The sockets of both were connected together, so "b" is there before its VM is. */
static void peers_that_leave_and_servers_that_are_lost_are_told(void **state)
{
	struct pair p = pair_create();
	struct told told = { .n = 0 };
	struct belfry_vm *b = create(p.cfg, "b");
	struct belfry_vm *a = start_telling(p.cfg, "a", &told);

	belfry_vm_destroy(b);
	wait_told(&told, BELFRY_EVENT_PEER_LEFT, 1);
	assert_int_equal(told.device, 0);
	assert_int_equal(told.peer, 1);
	belfry_links_destroy(p.links);
	p.links = NULL;
	wait_told(&told, BELFRY_EVENT_SERVER_LOST, 1);
	belfry_vm_destroy(a);
	pair_done(&p);
}

/* The configuration still has its socket; the server has let the VM go. */
static void a_joined_socket_is_good_for_one_vm(void **state)
{
	struct pair p = pair_create();
	struct belfry_vm *again;

	belfry_vm_destroy(create(p.cfg, "a"));
	assert_fails(belfry_vm_create(p.cfg, "a", &again, &err), EPROTO,
		     "vms.a: devices.0.ivshmem: ring: server hung up before its version; "
		     "it may have refused us: its log says why");
	pair_done(&p);
}

/* --- the console by callbacks --- */

struct terminal {
	pthread_mutex_t lock;
	char text[8192];
	size_t len;
	void (*act)(struct belfry_vm *vm);
};

static void take_text(void *user, struct belfry_vm *vm, const void *data, size_t len)
{
	struct terminal *t = user;

	pthread_mutex_lock(&t->lock);
	if (len > sizeof(t->text) - 1 - t->len)
		len = sizeof(t->text) - 1 - t->len;
	memcpy(t->text + t->len, data, len);
	t->len += len;
	pthread_mutex_unlock(&t->lock);
	if (t->act)
		t->act(vm);
}

static bool has_text(struct terminal *t, const char *want)
{
	bool has;

	pthread_mutex_lock(&t->lock);
	has = strstr(t->text, want);
	pthread_mutex_unlock(&t->lock);
	return has;
}

static struct belfry_vm *start_with(struct belfry_config *cfg, struct terminal *t)
{
	struct belfry_vm *vm = create(cfg, "vm");

	pthread_mutex_init(&t->lock, NULL);
	assert_works(belfry_vm_set_console(vm, take_text, t, &err));
	assert_works(belfry_vm_start(vm, &err));
	return vm;
}

static void a_callback_is_given_what_the_guest_writes(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "tick=tock");
	struct terminal t = { .len = 0 };
	struct belfry_vm *vm = start_with(cfg, &t);

	wait_for(vm);
	assert_true(has_text(&t, "hello\ncommand line: tick=tock\n"));
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

/* Byte by byte, as the port takes them. */
static void send_text(struct belfry_vm *vm, const char *text)
{
	for (int i = 0; *text && i < TRIES; i++) {
		int n = belfry_vm_console_input(vm, text, strlen(text), NULL);

		assert_true(n >= 0 && (size_t)n <= strlen(text));
		text += n;
		if (n == 0)
			usleep(MOMENT_US / 10);
	}
	assert_string_equal(text, "");
}

static void the_guest_receives_what_it_is_given(void **state)
{
	struct belfry_config *cfg = one_vm("input", "");
	struct terminal t = { .len = 0 };
	struct belfry_vm *vm = start_with(cfg, &t);

	send_text(vm, "a long line, longer than what the port holds, to the end: q");
	wait_for(vm);
	assert_true(has_text(&t, "<61><20><6c>")); /* "a l" */
	assert_int_equal(belfry_vm_console_input(vm, "x", 1, NULL), -EINVAL);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void stop_from_console(struct belfry_vm *vm)
{
	belfry_vm_stop(vm);
}

static void pause_from_console(struct belfry_vm *vm)
{
	belfry_vm_pause(vm, NULL);
}

static void a_console_callback_stops_its_vm(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct terminal t = { .act = stop_from_console };
	struct belfry_vm *vm = start_with(cfg, &t);

	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_console_callback_pauses_its_vm(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct terminal t = { .act = pause_from_console };
	struct belfry_vm *vm = start_with(cfg, &t);

	for (int i = 0; i < TRIES && belfry_vm_state(vm) != BELFRY_STATE_PAUSED; i++)
		usleep(MOMENT_US / 10);
	assert_int_equal(belfry_vm_wait(vm, SECOND / 20, NULL), -ETIMEDOUT);
	for (int i = 0; i < TRIES && belfry_vm_resume(vm, NULL) == 0; i++)
		usleep(MOMENT_US / 10); /* until it has said all that it had to */
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_DEBUG_EXIT);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_console_is_chosen_once_and_before_the_start(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct terminal t = { .len = 0 };
	struct belfry_vm *vm;

	set(cfg, "vms.vm.console", "/dev/null");
	vm = create(cfg, "vm");
	assert_fails(belfry_vm_set_console(vm, take_text, &t, &err), EINVAL,
		     "VM vm has a console");
	assert_fails(belfry_vm_console_input(vm, "x", 1, &err), EINVAL,
		     "VM vm does not run");
	assert_int_equal(belfry_vm_start(vm, NULL), 0);
	assert_fails(belfry_vm_set_console(vm, take_text, &t, &err), EINVAL,
		     "VM vm: started before");
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

/* --- the caller's loop --- */

/* Poll and process until @vm has stopped, or been told of @type. Return: calls. */
static unsigned int host(struct belfry_vm *vm, struct told *told,
			 enum belfry_event_type type)
{
	struct pollfd fd = { .fd = belfry_vm_fd(vm), .events = POLLIN };
	unsigned int calls = 0;

	while (!told_of(told, type, 1) && calls < TRIES) {
		if (poll(&fd, 1, 10000) < 0)
			continue; /* EINTR */
		assert_int_equal(fd.revents, POLLIN);
		assert_works(belfry_vm_process(vm, &err));
		calls++;
	}
	assert_true(told_of(told, type, 1));
	return calls;
}

static struct belfry_vm *start_hosted(struct belfry_config *cfg, const char *name,
				      struct told *told)
{
	struct belfry_vm *vm = create(cfg, name);

	pthread_mutex_init(&told->lock, NULL);
	assert_works(belfry_vm_own_loop(vm, &err));
	assert_works(belfry_vm_set_events(vm, tell, told, &err));
	assert_works(belfry_vm_start(vm, &err));
	return vm;
}

static void the_caller_hosts_a_vm_with_poll(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=s5");
	struct told told = { .n = 0 };
	struct belfry_vm *vm = start_hosted(cfg, "vm", &told);

	host(vm, &told, BELFRY_EVENT_STOPPED);
	assert_true(pthread_equal(told.thread, pthread_self()));
	assert_int_equal(told.types[0], BELFRY_EVENT_STARTED);
	assert_int_equal(told.result.reason, BELFRY_STOP_POWEROFF);
	assert_int_equal(belfry_vm_process(vm, NULL), 0); /* it does no harm */
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void the_callers_loop_takes_in_what_a_link_says(void **state)
{
	struct pair p = pair_create();
	struct told told = { .n = 0 };
	struct belfry_vm *b = create(p.cfg, "b");
	struct belfry_vm *a = start_hosted(p.cfg, "a", &told);

	host(a, &told, BELFRY_EVENT_STARTED);
	assert_int_equal(belfry_config_remove(p.cfg, "vms.b", NULL), 0);
	belfry_vm_destroy(b);
	host(a, &told, BELFRY_EVENT_PEER_LEFT);
	assert_int_equal(told.peer, 1);
	assert_true(pthread_equal(told.thread, pthread_self()));
	belfry_vm_destroy(a);
	pair_done(&p);
}

static void without_a_callback_the_end_still_polls_readable(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = create(cfg, "vm");
	struct pollfd fd = { .events = POLLIN };

	assert_int_equal(belfry_vm_own_loop(vm, NULL), 0);
	assert_int_equal(belfry_vm_own_loop(vm, NULL), 0); /* as good as once */
	fd.fd = belfry_vm_fd(vm);
	assert_int_equal(belfry_vm_start(vm, NULL), 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	belfry_vm_stop(vm);
	assert_int_equal(poll(&fd, 1, 10000), 1);
	assert_int_equal(belfry_vm_wait(vm, LIMIT, NULL), 0);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void processing_within_a_callback_is_refused(void **state)
{
	struct belfry_config *cfg = one_vm("ends", "how=s5");
	struct told told = { .on = BELFRY_EVENT_STOPPED, .act = process_it };
	struct belfry_vm *vm = start_hosted(cfg, "vm", &told);

	host(vm, &told, BELFRY_EVENT_STOPPED);
	assert_int_equal(told.got, -EBUSY);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

struct hosting {
	struct belfry_vm *vm;
	struct told *told;
	bool failed;
};

static void *host_elsewhere(void *arg)
{
	struct hosting *h = arg;
	struct pollfd fd = { .fd = belfry_vm_fd(h->vm), .events = POLLIN };

	while (!told_of(h->told, BELFRY_EVENT_STOPPED, 1) && !h->failed)
		h->failed = (poll(&fd, 1, 10000) >= 0 && !fd.revents) ||
			    belfry_vm_process(h->vm, NULL) < 0;
	return NULL;
}

/* The loop was set up by this thread, whose operations end with it. */
static void *create_hosted(void *arg)
{
	struct hosting *h = arg;
	struct belfry_config *cfg = one_vm("idle", "");

	h->vm = start_hosted(cfg, "vm", h->told);
	belfry_config_destroy(cfg);
	return NULL;
}

static void a_loop_goes_on_when_the_thread_that_made_it_is_gone(void **state)
{
	struct told told = { .n = 0 };
	struct hosting h = { .told = &told };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, create_hosted, &h), 0);
	pthread_join(thread, NULL);
	assert_int_equal(pthread_create(&thread, NULL, host_elsewhere, &h), 0);
	usleep(MOMENT_US);
	belfry_vm_stop(h.vm);
	pthread_join(thread, NULL);
	assert_false(h.failed);
	assert_int_equal(told.result.reason, BELFRY_STOP_REQUESTED);
	belfry_vm_destroy(h.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_paused_guest_stands_still_until_it_is_resumed),
		cmocka_unit_test(a_paused_vm_stops_and_is_destroyed_like_any_other),
		cmocka_unit_test(all_vcpus_are_held_those_that_wait_too),
		cmocka_unit_test(a_guest_that_waits_for_its_console_can_be_paused),
		cmocka_unit_test(threads_may_pause_and_resume_against_each_other),
		cmocka_unit_test(a_vm_knows_where_in_its_life_it_is),
		cmocka_unit_test(what_needs_a_vm_that_runs_says_so),
		cmocka_unit_test(start_and_stop_are_told_once_each),
		cmocka_unit_test(a_reset_starts_the_guest_again_whatever_on_reset_says),
		cmocka_unit_test(a_vm_that_is_paused_stays_so_over_a_reset),
		cmocka_unit_test(a_guest_that_panics_says_so_and_runs_on),
		cmocka_unit_test(a_guest_that_panics_without_end_cannot_hide_its_end),
		cmocka_unit_test(a_callback_that_is_slow_hears_of_the_end),
		cmocka_unit_test(a_callback_stops_its_vm),
		cmocka_unit_test(a_callback_pauses_its_vm),
		cmocka_unit_test(events_and_loop_are_chosen_before_the_start),
		cmocka_unit_test(peers_that_leave_and_servers_that_are_lost_are_told),
		cmocka_unit_test(a_joined_socket_is_good_for_one_vm),
		cmocka_unit_test(a_callback_is_given_what_the_guest_writes),
		cmocka_unit_test(the_guest_receives_what_it_is_given),
		cmocka_unit_test(a_console_callback_stops_its_vm),
		cmocka_unit_test(a_console_callback_pauses_its_vm),
		cmocka_unit_test(a_console_is_chosen_once_and_before_the_start),
		cmocka_unit_test(the_caller_hosts_a_vm_with_poll),
		cmocka_unit_test(the_callers_loop_takes_in_what_a_link_says),
		cmocka_unit_test(without_a_callback_the_end_still_polls_readable),
		cmocka_unit_test(processing_within_a_callback_is_refused),
		cmocka_unit_test(a_loop_goes_on_when_the_thread_that_made_it_is_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
