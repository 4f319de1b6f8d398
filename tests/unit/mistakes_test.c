/* SPDX-License-Identifier: MIT */
/* tests/unit/mistakes_test.c - every mistake of a configuration at once */
#include "tests/unit/config_test.h"

#define TOLD_MAX 16

struct told {
	char msg[TOLD_MAX][256];
	unsigned int n;
};

static void tell(void *user, const struct belfry_error *mistake)
{
	struct told *told = user;

	assert_int_equal(mistake->code, -EINVAL);
	if (told->n < TOLD_MAX)
		snprintf(told->msg[told->n], sizeof(told->msg[0]), "%s", mistake->msg);
	told->n++;
}

/* All that was told, in order; the list ends with NULL. */
static void assert_told(const struct told *told, const char *const *want)
{
	unsigned int n = 0;

	for (; want[n]; n++) {
		if (n >= told->n)
			fail_msg("not told: %s", want[n]);
		assert_string_equal(told->msg[n], want[n]);
	}
	if (told->n > n)
		fail_msg("also told: %s", told->msg[n]);
}

#define TOLD(told, ...) assert_told(told, (const char *const[]){ __VA_ARGS__, NULL })

/* Load @text, which must fail with its first mistake. */
static struct told load(struct belfry_config *cfg, const char *text)
{
	struct told told = { .n = 0 };
	struct belfry_error err = { 0 };

	belfry_config_set_mistakes(cfg, tell, &told);
	assert_int_equal(belfry_config_load_string(cfg, "t", text, &err), -EINVAL);
	assert_true(told.n > 0);
	assert_string_equal(err.msg, told.msg[0]);
	assert_int_equal(err.code, -EINVAL);
	belfry_config_set_mistakes(cfg, NULL, NULL);
	return told;
}

static struct told validate(struct belfry_config *cfg)
{
	struct told told = { .n = 0 };
	struct belfry_error err = { 0 };

	belfry_config_set_mistakes(cfg, tell, &told);
	assert_int_equal(belfry_config_validate(cfg, &err), -EINVAL);
	assert_true(told.n > 0);
	assert_string_equal(err.msg, told.msg[0]);
	belfry_config_set_mistakes(cfg, NULL, NULL);
	return told;
}

/* --- in a text --- */

static void every_key_and_value_of_a_text_is_looked_at(void **state)
{
	struct told told = load(*state, "links:\n"
					"  ring: { size: 3M, vector: 2 }\n"
					"vms:\n"
					"  a:\n"
					"    kernel: k\n"
					"    cpus: 900\n"
					"    cpus: 2\n"
					"    memory: [ 1 ]\n"
					"  -b: { kernel: k, cpus: 1000 }\n"
					"nets: { x: { y: [ 1, { z: 2 } ] } }\n");

	TOLD(&told, "t:2:17: links.ring.size 3M: not a power of two; 4M would do",
	     "t:2:21: links.ring: unknown key 'vector'; did you mean 'vectors'?",
	     "t:6:11: vms.a.cpus 900: at most 64",
	     "t:7:5: vms.a.cpus: given twice, first in line 6",
	     "t:8:13: vms.a.memory: expected a size such as 4096, 64k or 16M, not a list",
	     "t:9:3: vms.-b: a name is 1 to 32 letters, digits, '_' and '-', a letter or "
	     "digit first",
	     "t:10:1: unknown key 'nets'; expected one of links, servers, vms");
}

static void what_is_right_about_a_text_is_there(void **state)
{
	load(*state, "vms:\n"
		     "  a: { kernel: k, memory: 1, cpus: 2 }\n");
	assert_text(*state, "vms:\n"
			    "  a:\n"
			    "    kernel: k\n"
			    "    memory: 128M\n"
			    "    hugepages: none\n"
			    "    prefault: false\n"
			    "    cpus: 2\n"
			    "    on_reset: exit\n"
			    "    stop_timeout: 10\n");
}

static void a_device_that_is_a_mistake_does_not_hide_the_next(void **state)
{
	struct told told = load(*state, "vms:\n"
					"  a:\n"
					"    kernel: k\n"
					"    devices:\n"
					"    - ivshmm: { size: 1 }\n"
					"    - { }\n"
					"    - ivshmem: { size: 1 }\n"
					"    - 7\n"
					"    - ivshmem: { vectors: 0 }\n");

	TOLD(&told,
	     "t:5:7: vms.a.devices.0: unknown device 'ivshmm'; did you mean 'ivshmem'?",
	     "t:6:7: vms.a.devices.0: expected a kind of device",
	     "t:7:24: vms.a.devices.0.ivshmem.size 1: at least 4k",
	     "t:8:7: vms.a.devices.1: expected a mapping, not text",
	     "t:9:27: vms.a.devices.1.ivshmem.vectors 0: at least 1");
}

static void keys_that_are_no_text_are_passed_over(void **state)
{
	struct told told = load(*state, "vms:\n"
					"  ? { a: { b: c } }\n"
					"  : { d: [ e, { f: g } ] }\n"
					"  a: { cpus: 0 }\n");

	TOLD(&told, "t:2:5: vms: expected a key, not a mapping",
	     "t:4:14: vms.a.cpus 0: at least 1");
}

static void a_mistake_of_syntax_is_the_last(void **state)
{
	struct told told = load(*state, "vms:\n"
					"  a: { cpus: 0 }\n"
					"  b: { cpus: &x 1 }\n"
					"  c: { cpus: 0 }\n");

	TOLD(&told, "t:2:14: vms.a.cpus 0: at least 1",
	     "t:3:14: YAML anchors and aliases are not supported");
}

static void a_text_without_a_mistake_tells_of_none(void **state)
{
	struct told told = { .n = 0 };

	belfry_config_set_mistakes(*state, tell, &told);
	assert_works(belfry_config_load_string(*state, "t", "vms: { a: { kernel: k } }",
					       &err));
	assert_works(belfry_config_validate(*state, &err));
	assert_int_equal(told.n, 0);
}

static void without_a_callback_the_first_mistake_is_the_last(void **state)
{
	assert_fails(belfry_config_load_string(
			     *state, "t", "vms: { a: { cpus: 0, memory: 1 } }", &err),
		     EINVAL, "t:1:19: vms.a.cpus 0: at least 1");
	assert_int_equal(belfry_config_has(*state, "vms.a.kernel"), 0);
}

/* --- in the whole --- */

static void every_vm_and_device_is_validated(void **state)
{
	struct told told;

	assert_works(belfry_config_load_string(
		*state, "t",
		"links: { ring: { } }\n"
		"vms:\n"
		"  a: { hugepages: 2M, memory: 1M }\n"
		"  b:\n"
		"    kernel: k\n"
		"    devices:\n"
		"    - ivshmem: { link: rin }\n"
		"    - ivshmem: { }\n"
		"    - ivshmem: { shm: s }\n"
		"  c: { kernel: k, console_pty: p, console: f }\n",
		&err));
	told = validate(*state);
	TOLD(&told, "t:3:3: vms.a: kernel is missing",
	     "t:3:3: vms.a: memory 1M: not a multiple of hugepages 2M; 2M would do",
	     "t:7:7: vms.b.devices.0.ivshmem: link rin: no such link; did you mean "
	     "'ring'?",
	     "t:8:7: vms.b.devices.1.ivshmem: expected one of link, socket, shm, file",
	     "t:9:7: vms.b.devices.2.ivshmem: shm needs a size, such as size: 4M",
	     "t:10:3: vms.c: console_pty: it is both ways, so there cannot be console");
}

static void the_first_is_returned_without_a_callback_too(void **state)
{
	assert_works(
		belfry_config_load_string(*state, "t", "vms: { a: { }, b: { } }", &err));
	assert_fails(belfry_config_validate(*state, &err), EINVAL,
		     "t:1:8: vms.a: kernel is missing");
	assert_int_equal(belfry_config_validate(*state, NULL), -EINVAL);
}

static void at_most_a_hundred_are_told(void **state)
{
	struct belfry_config *cfg = *state;
	char text[8192];
	size_t len = 0;

	for (int i = 0; i < 200; i++)
		len += snprintf(text + len, sizeof(text) - len, "k%d: v\n", i);
	assert_int_equal(load(cfg, text).n, 100);
	len = snprintf(text, sizeof(text), "vms:\n");
	for (int i = 0; i < 200; i++)
		len += snprintf(text + len, sizeof(text) - len, " v%d: { cpus: 1 }\n", i);
	assert_works(belfry_config_load_string(cfg, "t", text, &err));
	assert_int_equal(validate(cfg).n, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(every_key_and_value_of_a_text_is_looked_at),
		config_test(what_is_right_about_a_text_is_there),
		config_test(a_device_that_is_a_mistake_does_not_hide_the_next),
		config_test(keys_that_are_no_text_are_passed_over),
		config_test(a_mistake_of_syntax_is_the_last),
		config_test(a_text_without_a_mistake_tells_of_none),
		config_test(without_a_callback_the_first_mistake_is_the_last),
		config_test(every_vm_and_device_is_validated),
		config_test(the_first_is_returned_without_a_callback_too),
		config_test(at_most_a_hundred_are_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
