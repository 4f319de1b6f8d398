/* SPDX-License-Identifier: MIT */
/* tests/guest/misuse_test.c - calls with NULL, in the wrong order, with wrong sizes */
#include <string.h>
#include <unistd.h>

#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"

/* --- NULL --- */

/* A call, given &err, that must be refused because of NULL, in its own name. */
#define assert_refuses(name, ...)                                      \
	do {                                                           \
		struct belfry_error err = { 0 };                       \
		assert_int_equal(name(__VA_ARGS__, &err), -EINVAL);    \
		assert_int_equal(err.code, -EINVAL);                   \
		assert_string_equal(err.msg, #name ": NULL argument"); \
		assert_int_equal(name(__VA_ARGS__, NULL), -EINVAL);    \
	} while (0)

static void a_configuration_is_not_null(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_error why = { 0 };
	char *text;

	assert_int_equal(belfry_config_create(NULL, &why), -EINVAL);
	assert_string_equal(why.msg, "belfry_config_create: NULL argument");
	assert_refuses(belfry_config_load_file, NULL, "x");
	assert_refuses(belfry_config_load_file, cfg, NULL);
	assert_refuses(belfry_config_load_string, NULL, "x", "x");
	assert_refuses(belfry_config_load_string, cfg, NULL, "x");
	assert_refuses(belfry_config_load_string, cfg, "x", NULL);
	assert_refuses(belfry_config_set, NULL, "x", "x");
	assert_refuses(belfry_config_set, cfg, NULL, "x");
	assert_refuses(belfry_config_set, cfg, "x", NULL);
	assert_refuses(belfry_config_set_fd, NULL, "x", 0);
	assert_refuses(belfry_config_set_fd, cfg, NULL, 0);
	assert_refuses(belfry_config_get, NULL, "x", &text);
	assert_refuses(belfry_config_get, cfg, NULL, &text);
	assert_refuses(belfry_config_get, cfg, "x", NULL);
	assert_refuses(belfry_config_remove, NULL, "x");
	assert_refuses(belfry_config_remove, cfg, NULL);
	assert_refuses(belfry_config_validate, NULL);
	assert_refuses(belfry_config_text, NULL, &text);
	assert_refuses(belfry_config_text, cfg, NULL);
	assert_refuses(belfry_config_schema, BELFRY_SCHEMA_HELP, NULL);
	assert_int_equal(belfry_config_has(NULL, "x"), -EINVAL);
	assert_int_equal(belfry_config_has(cfg, NULL), -EINVAL);
	assert_null(belfry_config_vm_name(NULL, 0));
	belfry_config_set_log(NULL, NULL, NULL, BELFRY_LOG_DEBUG);
	belfry_config_destroy(NULL);
	belfry_config_destroy(cfg);
}

static void links_are_not_null(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_links *links;

	assert_refuses(belfry_links_create, NULL, &links);
	assert_refuses(belfry_links_create, cfg, NULL);
	assert_int_equal(belfry_links_create(cfg, &links, NULL), 0);
	assert_refuses(belfry_links_join, NULL, cfg, "vm");
	assert_refuses(belfry_links_join, links, NULL, "vm");
	assert_refuses(belfry_links_join, links, cfg, NULL);
	assert_refuses(belfry_links_start, NULL);
	belfry_links_destroy(links);
	belfry_links_destroy(NULL);
	belfry_config_destroy(cfg);
}

static void a_vm_is_not_null(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_ivshmem_stats device = { .size = sizeof(device) };
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_vm *vm;

	assert_refuses(belfry_vm_create, NULL, "vm", &vm);
	assert_refuses(belfry_vm_create, cfg, NULL, &vm);
	assert_refuses(belfry_vm_create, cfg, "vm", NULL);
	assert_refuses(belfry_vm_set_events, NULL, NULL, NULL);
	assert_refuses(belfry_vm_own_loop, NULL);
	assert_refuses(belfry_vm_set_console, NULL, NULL, NULL);
	assert_refuses(belfry_vm_console_input, NULL, "x", 1);
	assert_refuses(belfry_vm_process, NULL);
	assert_refuses(belfry_vm_start, NULL);
	assert_refuses(belfry_vm_power_button, NULL);
	assert_refuses(belfry_vm_pause, NULL);
	assert_refuses(belfry_vm_resume, NULL);
	assert_refuses(belfry_vm_reset, NULL);
	assert_refuses(belfry_vm_add_doorbell, NULL, 0, 0, 0, 0);
	assert_refuses(belfry_vm_remove_peer, NULL, 0, 0);
	assert_int_equal(belfry_vm_wait(NULL, 0, NULL), -EINVAL);
	assert_int_equal(belfry_vm_fd(NULL), -EINVAL);
	assert_int_equal(belfry_vm_state(NULL), -EINVAL);
	assert_int_equal(belfry_vm_stats(NULL, &stats), -EINVAL);
	assert_int_equal(belfry_vm_ivshmem_stats(NULL, 0, &device), -EINVAL);
	assert_int_equal(belfry_vm_peers(NULL, 0, NULL, 0), -EINVAL);
	belfry_vm_stop(NULL);
	belfry_vm_destroy(NULL);

	vm = create(cfg, "vm");
	assert_refuses(belfry_vm_console_input, vm, NULL, 1);
	assert_int_equal(belfry_vm_stats(vm, NULL), -EINVAL);
	assert_int_equal(belfry_vm_ivshmem_stats(vm, 0, NULL), -EINVAL);
	assert_int_equal(belfry_vm_peers(vm, 0, NULL, 1), -EINVAL);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

/* --- order --- */

static const char pair_yaml[] =
	"links: { ring: { size: 1M } }\n"
	"vms:\n"
	"  a: { kernel: x, memory: 32M, devices: [ ivshmem: { link: ring } ] }\n"
	"  b: { kernel: x, memory: 32M, devices: [ ivshmem: { link: ring } ] }\n";

/* The handles of two VMs that run, and one kind of order to destroy them in. */
struct set {
	struct belfry_config *cfg;
	struct belfry_links *links;
	struct belfry_vm *a, *b;
};

static struct set set_create(void)
{
	struct set s = { .cfg = config(pair_yaml) };
	struct belfry_error err;

	set_guest(s.cfg, "vms.a.kernel", "idle");
	set_guest(s.cfg, "vms.b.kernel", "idle");
	assert_int_equal(belfry_links_create(s.cfg, &s.links, &err), 0);
	assert_int_equal(belfry_links_join(s.links, s.cfg, "a", &err), 0);
	assert_int_equal(belfry_links_join(s.links, s.cfg, "b", &err), 0);
	assert_int_equal(belfry_links_start(s.links, &err), 0);
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
	struct belfry_config *cfg = config(pair_yaml);
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
		assert_int_equal(peers[i].known.vectors, 1);
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
		cmocka_unit_test(a_configuration_is_not_null),
		cmocka_unit_test(links_are_not_null),
		cmocka_unit_test(a_vm_is_not_null),
		cmocka_unit_test(handles_are_destroyed_in_any_order),
		cmocka_unit_test(what_never_started_is_destroyed_too),
		cmocka_unit_test(a_vm_that_was_stopped_before_its_start_stops_then),
		cmocka_unit_test(a_later_programs_structs_are_filled_with_zeros),
		cmocka_unit_test(peers_are_as_far_apart_as_the_program_has_them),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
