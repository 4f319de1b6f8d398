/* SPDX-License-Identifier: MIT */
/* tests/guest/by_hand_test.c - links without a server: memory and eventfds by hand */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"

#define SHARED  (1 << 20)
#define DEVICE  ".devices.0.ivshmem."
#define WAIT_MS 20000

/* Memory, and the eventfd that each of a few members hears. */
struct hand {
	struct belfry_config *cfg;
	int memory;
	volatile uint32_t *words;
	int bells[3];
};

static struct hand hand_create(void)
{
	struct hand h = { .cfg = config("vms: { a: { kernel: x, memory: 32M },"
					"       b: { kernel: x, memory: 32M } }") };

	h.memory = memfd_create("shared", MFD_CLOEXEC);
	assert_int_equal(ftruncate(h.memory, SHARED), 0);
	h.words = mmap(NULL, SHARED, PROT_READ | PROT_WRITE, MAP_SHARED, h.memory, 0);
	assert_ptr_not_equal(h.words, MAP_FAILED);
	for (int i = 0; i < 3; i++) {
		h.bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(h.bells[i] >= 0);
	}
	return h;
}

static void hand_done(struct hand *h)
{
	for (int i = 0; i < 3; i++)
		close(h->bells[i]);
	munmap((void *)h->words, SHARED);
	close(h->memory);
	belfry_config_destroy(h->cfg);
}

static void set_key(struct hand *h, const char *name, const char *key, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "vms.%s" DEVICE "%s", name, key);
	set(h->cfg, path, value);
}

/* VM @name, running @guest, is member @id. */
static struct belfry_vm *member(struct hand *h, const char *name, const char *guest,
				const char *cmdline, const char *id)
{
	char path[64];

	snprintf(path, sizeof(path), "vms.%s.kernel", name);
	set_guest(h->cfg, path, guest);
	snprintf(path, sizeof(path), "vms.%s.cmdline", name);
	set(h->cfg, path, cmdline);
	set_key(h, name, "size", "1M");
	set_key(h, name, "by_hand", "on");
	set_key(h, name, "id", id);
	snprintf(path, sizeof(path), "vms.%s" DEVICE "file", name);
	set_fd(h->cfg, path, h->memory);
	return create(h->cfg, name);
}

static void add(struct belfry_vm *vm, uint32_t peer, int bell)
{
	assert_works(belfry_vm_add_doorbell(vm, 0, peer, 0, bell, &err));
}

static void go(struct belfry_vm *vm)
{
	assert_works(belfry_vm_start(vm, &err));
}

static void assert_passed(struct belfry_vm *vm)
{
	struct belfry_result result = wait_for(vm);

	assert_int_equal(result.reason, BELFRY_STOP_DEBUG_EXIT);
	assert_int_equal(result.status, 0);
}

/* --- who rings whom --- */

static void two_vms_ring_each_other_without_a_server(void **state)
{
	struct hand h = hand_create();
	struct belfry_vm *a, *b;
	struct belfry_stats stats = { .size = sizeof(stats) };

	a = member(&h, "a", "pingpong", "role=a rounds=100 poll_rounds=100 warmup=10",
		   "0");
	b = member(&h, "b", "pingpong", "role=b", "1");
	for (int i = 0; i < 2; i++) {
		add(a, i, h.bells[i]);
		add(b, i, h.bells[i]);
	}
	go(a);
	go(b);
	assert_passed(a);
	assert_passed(b);
	assert_int_equal(belfry_vm_stats(a, &stats), 0);
	assert_int_equal(stats.doorbell_exits, 0); /* KVM has rung them all */
	belfry_vm_destroy(a);
	belfry_vm_destroy(b);
	hand_done(&h);
}

static void a_vm_rings_itself(void **state)
{
	struct hand h = hand_create();
	struct belfry_vm *a =
		member(&h, "a", "own_doorbell", "rounds=100 warmup=10", "65535");

	add(a, 65535, h.bells[0]);
	go(a);
	assert_passed(a);
	belfry_vm_destroy(a);
	hand_done(&h);
}

/* echo.c answers each ring, in its own words; see there. */
static uint32_t await_word(struct hand *h, unsigned int word, uint32_t before)
{
	for (int i = 0; i < WAIT_MS && h->words[word] == before; i++)
		usleep(1000);
	return h->words[word];
}

static bool await_ring(int bell)
{
	struct pollfd fd = { .fd = bell, .events = POLLIN };
	eventfd_t n;

	return poll(&fd, 1, WAIT_MS) == 1 && eventfd_read(bell, &n) == 0 && n == 1;
}

static void a_host_program_is_a_peer_like_any_other(void **state)
{
	struct hand h = hand_create();
	struct belfry_vm *a = member(&h, "a", "echo", "rounds=2", "7");

	h.words[1] = 3; /* we */
	add(a, 7, h.bells[0]);
	add(a, 3, h.bells[1]);
	go(a);
	assert_int_equal(await_word(&h, 0, 0), 7 + 1);
	for (uint32_t i = 1; i <= 2; i++) {
		assert_int_equal(eventfd_write(h.bells[0], 1), 0);
		assert_true(await_ring(h.bells[1]));
		assert_int_equal(h.words[2], i);
	}
	assert_passed(a);
	belfry_vm_destroy(a);
	hand_done(&h);
}

static void doorbells_come_and_go_while_the_guest_runs(void **state)
{
	struct belfry_ivshmem_stats stats = { .size = sizeof(stats) };
	struct hand h = hand_create();
	struct belfry_vm *a = member(&h, "a", "echo", "rounds=2", "7");

	h.words[1] = 3;
	go(a);
	assert_int_equal(await_word(&h, 0, 0), 7 + 1);
	eventfd_write(h.bells[0], 1); /* waits until it is the guest's */
	add(a, 3, h.bells[1]);
	add(a, 7, h.bells[0]);
	assert_true(await_ring(h.bells[1]));

	assert_int_equal(belfry_vm_remove_peer(a, 0, 3, NULL), 0);
	assert_int_equal(belfry_vm_remove_peer(a, 0, 7, NULL), 0);
	assert_int_equal(belfry_vm_ivshmem_stats(a, 0, &stats), 0);
	assert_int_equal(stats.peers, 0);
	assert_int_equal(stats.id, 7);
	add(a, 7, h.bells[0]);
	add(a, 3, h.bells[2]); /* another eventfd for the same peer */
	eventfd_write(h.bells[0], 1);
	assert_true(await_ring(h.bells[2]));
	assert_passed(a);
	belfry_vm_destroy(a);
	hand_done(&h);
}

static void doorbells_outlive_a_reset(void **state)
{
	struct hand h = hand_create();
	struct belfry_vm *a = member(&h, "a", "echo", "rounds=1", "7");

	h.words[1] = 3;
	add(a, 7, h.bells[0]);
	add(a, 3, h.bells[1]);
	go(a);
	assert_int_equal(await_word(&h, 0, 0), 7 + 1);
	h.words[0] = 0;
	assert_int_equal(belfry_vm_reset(a, NULL), 0);
	assert_int_equal(await_word(&h, 0, 0), 7 + 1);
	eventfd_write(h.bells[0], 1);
	assert_true(await_ring(h.bells[1]));
	assert_passed(a);
	belfry_vm_destroy(a);
	hand_done(&h);
}

/* --- what is wrong --- */

static void doorbells_that_make_no_sense_are_refused(void **state)
{
	const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct hand h = hand_create();
	struct belfry_vm *a;

	set_key(&h, "a", "vectors", "2");
	a = member(&h, "a", "idle", "", "0");
	add(a, 1, h.bells[1]);
	assert_fails(belfry_vm_add_doorbell(NULL, 0, 0, 0, h.bells[0], &err), EINVAL,
		     "belfry_vm_add_doorbell: NULL argument");
	assert_fails(belfry_vm_remove_peer(NULL, 0, 0, &err), EINVAL,
		     "belfry_vm_remove_peer: NULL argument");
	assert_fails(belfry_vm_add_doorbell(a, 1, 0, 0, h.bells[0], &err), ENOENT,
		     "VM a has no device 1");
	assert_fails(belfry_vm_remove_peer(a, UINT32_MAX, 0, &err), ENOENT,
		     "VM a has no device 4294967295");
	assert_fails(belfry_vm_add_doorbell(a, 0, 65536, 0, h.bells[0], &err), EINVAL,
		     "peer 65536: at most 65535");
	assert_fails(belfry_vm_add_doorbell(a, 0, 0, 2, h.bells[0], &err), EINVAL,
		     "vector 2: at most 1");
	assert_fails(belfry_vm_add_doorbell(a, 0, 1, 0, h.bells[0], &err), EEXIST,
		     "peer 1 has a vector 0 already");
	assert_fails(belfry_vm_add_doorbell(a, 0, 2, 0, h.memory, &err), EINVAL,
		     "peer 2, vector 0: this is no eventfd");
	assert_fails(belfry_vm_add_doorbell(a, 0, 2, 0, timer, &err), EINVAL,
		     "peer 2, vector 0: this is no eventfd");
	assert_fails(belfry_vm_add_doorbell(a, 0, 2, 0, -1, &err), EBADF,
		     "eventfd: Bad file descriptor");
	assert_fails(belfry_vm_remove_peer(a, 0, 2, &err), ENOENT, "there is no peer 2");
	assert_fails(belfry_vm_remove_peer(a, 0, UINT32_MAX, &err), ENOENT,
		     "there is no peer 4294967295");
	add(a, 65534, h.bells[1]);
	assert_fails(belfry_vm_remove_peer(a, 0, 4294967294, &err), ENOENT,
		     "there is no peer 4294967294");
	assert_int_equal(belfry_vm_remove_peer(a, 0, 65534, NULL), 0); /* it was there */
	belfry_vm_destroy(a);
	close(timer);
	hand_done(&h);
}

static void only_a_device_by_hand_takes_doorbells(void **state)
{
	struct hand h = hand_create();
	struct belfry_vm *a;

	set_guest(h.cfg, "vms.b.kernel", "idle");
	set_key(&h, "a", "size", "1M");
	set_guest(h.cfg, "vms.a.kernel", "idle");
	set_fd(h.cfg, "vms.a" DEVICE "file", h.memory);
	a = create(h.cfg, "a");
	assert_fails(belfry_vm_add_doorbell(a, 0, 1, 0, h.bells[0], &err), EINVAL,
		     "device 0 has not been configured with by_hand");
	assert_fails(belfry_vm_remove_peer(a, 0, 1, &err), EINVAL,
		     "device 0 has not been configured with by_hand");
	belfry_vm_destroy(a);
	hand_done(&h);
}

static void eventfds_are_duplicated_and_closed(void **state)
{
	struct hand h = hand_create();
	const int before = count_descriptors();
	struct belfry_vm *a = member(&h, "a", "idle", "", "0");
	const int made = count_descriptors();

	for (uint32_t i = 0; i < 3; i++)
		add(a, i, h.bells[i]);
	assert_int_equal(count_descriptors(), made + 3);
	assert_int_equal(belfry_vm_remove_peer(a, 0, 1, NULL), 0);
	assert_int_equal(count_descriptors(), made + 2);
	belfry_vm_destroy(a);
	assert_int_equal(belfry_config_remove(h.cfg, "vms.a", NULL), 0);
	assert_int_equal(count_descriptors(), before);
	hand_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_vms_ring_each_other_without_a_server),
		cmocka_unit_test(a_vm_rings_itself),
		cmocka_unit_test(a_host_program_is_a_peer_like_any_other),
		cmocka_unit_test(doorbells_come_and_go_while_the_guest_runs),
		cmocka_unit_test(doorbells_outlive_a_reset),
		cmocka_unit_test(doorbells_that_make_no_sense_are_refused),
		cmocka_unit_test(only_a_device_by_hand_takes_doorbells),
		cmocka_unit_test(eventfds_are_duplicated_and_closed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
