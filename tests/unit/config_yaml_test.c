/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/config_yaml_test.c - configurations read from YAML and JSON text and files
 */
#include <fcntl.h>
#include <unistd.h>

#include "devices/ivshmem_conf.h"
#include "tests/descriptors.h"
#include "tests/unit/config_test.h"
#include "vmm/config.h"

#define LOAD_FILE(path) belfry_config_load_file(*state, path, &err)
#define LOAD_MAX        (1 << 20)

static const char pair[] = "# two guests and the memory between them\n"
			   "links:\n"
			   "  ring: { size: 16M, vectors: 2 }\n"
			   "vms:\n"
			   "  ping:\n"
			   "    kernel: pingpong.elf\n"
			   "    cmdline: role=a\n"
			   "    memory: 32M\n"
			   "    cpus: 1\n"
			   "    devices:\n"
			   "      - ivshmem: { link: ring }\n"
			   "  pong:\n"
			   "    kernel: pingpong.elf\n"
			   "    cmdline: 'role=b quiet'\n"
			   "    memory: 0x2000000\n"
			   "    devices:\n"
			   "      - ivshmem: { link: ring }\n";

static const char pair_in_json[] =
	"{\"links\": {\"ring\": {\"size\": \"16M\", \"vectors\": 2}},\n"
	" \"vms\": {\"ping\": {\"kernel\": \"pingpong.elf\", \"cmdline\": \"role=a\",\n"
	"   \"memory\": 33554432, \"cpus\": 1,\n"
	"   \"devices\": [{\"ivshmem\": {\"link\": \"ring\", \"doorbell_window\": "
	"false}}]},\n"
	"  \"pong\": {\"kernel\": \"pingpong.elf\", \"cmdline\": \"role=b quiet\",\n"
	"   \"memory\": \"32M\", \"devices\": [{\"ivshmem\": {\"link\": \"ring\"}}]}}}\n";

static void assert_pair(const struct belfry_config *cfg)
{
	const struct bf_vm_conf *pong = bf_config_vm(cfg, "pong");
	const struct bf_ivshmem_conf *iv = pong->devices[0].conf;

	assert_int_equal(bf_config_link(cfg, "ring")->size, 16 << 20);
	assert_int_equal(bf_config_link(cfg, "ring")->vectors, 2);
	assert_string_equal(belfry_config_vm_name(cfg, 0), "ping");
	assert_string_equal(bf_config_vm(cfg, "ping")->cmdline, "role=a");
	assert_string_equal(pong->kernel.path, "pingpong.elf");
	assert_string_equal(pong->cmdline, "role=b quiet");
	assert_int_equal(pong->memory, 32 << 20);
	assert_int_equal(pong->n_devices, 1);
	assert_string_equal(iv->link.path, "ring");
	assert_int_equal(belfry_config_validate(cfg, NULL), 0);
}

/* --- what works --- */

static void yaml_is_read(void **state)
{
	assert_works(LOAD(pair));
	assert_pair(*state);
}

static void json_is_read(void **state)
{
	assert_works(LOAD(pair_in_json));
	assert_pair(*state);
}

static void a_file_is_read(void **state)
{
	char path[] = "/tmp/belfry-config-test-XXXXXX";
	BF_CLOSE int fd = mkstemp(path);

	assert_int_equal(write(fd, pair, strlen(pair)), strlen(pair));
	assert_works(LOAD_FILE(path));
	unlink(path);
	assert_pair(*state);
}

static void texts_that_say_nothing_are_no_mistake(void **state)
{
	assert_works(LOAD(""));
	assert_works(LOAD("# later\n"));
	assert_works(LOAD("{}"));
	assert_works(LOAD("\xef\xbb\xbf{}"));
	assert_works(LOAD("links: {}\nvms: {}\n"));
	assert_null(belfry_config_vm_name(*state, 0));
}

static void a_later_text_adds_and_overrides(void **state)
{
	assert_works(LOAD(pair));
	assert_works(LOAD("vms: { ping: { memory: 64M }, extra: { kernel: k } }"));
	assert_int_equal(bf_config_vm(*state, "ping")->memory, 64 << 20);
	assert_string_equal(bf_config_vm(*state, "ping")->cmdline, "role=a");
	assert_string_equal(belfry_config_vm_name(*state, 2), "extra");
}

/* --- mistakes --- */

struct mistake {
	const char *text;
	const char *message;
};

static void assert_mistakes(const struct mistake *mistakes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct belfry_config *cfg = NULL;

		assert_int_equal(belfry_config_create(&cfg, NULL), 0);
		assert_fails(
			belfry_config_load_string(cfg, "t.yaml", mistakes[i].text, &err),
			EINVAL, mistakes[i].message);
		belfry_config_destroy(cfg);
	}
}

static void values_and_keys_are_named_with_their_place(void **state)
{
	static const struct mistake mistakes[] = {
		{ "vms:\n  ping:\n    cpus: 900\n",
		  "t.yaml:3:11: vms.ping.cpus 900: at most 64" },
		{ "vms:\n  ping:\n    memroy: 32M\n",
		  "t.yaml:3:5: vms.ping: unknown key 'memroy'; did you mean 'memory'?" },
		{ "vm: {}\n", "t.yaml:1:1: unknown key 'vm'; did you mean 'vms'?" },
		{ "links:\n  ring: { size: 3M }\n",
		  "t.yaml:2:17: links.ring.size 3M: not a power of two; 4M would do" },
		{ "vms: { a: { devices: [ { ivshmem: { lnik: r } } ] } }",
		  "t.yaml:1:37: vms.a.devices.0.ivshmem: unknown key 'lnik'; did you "
		  "mean "
		  "'link'?" },
		{ "vms:\n  a:\n    devices:\n      - nic: {}\n",
		  "t.yaml:4:9: vms.a.devices.0: unknown device 'nic'; expected one of "
		  "ivshmem, bell" },
		{ "vms: { '-a': {} }",
		  "t.yaml:1:8: vms.-a: a name is 1 to 32 letters, digits, '_' and '-', a "
		  "letter or digit first" },
		{ "vms: { a.b: {} }",
		  "t.yaml:1:8: vms: 'a.b': no key and no name has a dot in it" },
		{ "vms.a: {}",
		  "t.yaml:1:1: 'vms.a': no key and no name has a dot in it" },
	};

	assert_mistakes(mistakes, BF_ARRAY_LEN(mistakes));
}

static void what_is_given_twice_is_a_mistake(void **state)
{
	static const struct mistake mistakes[] = {
		{ "vms:\n  ping: {}\n  pong: {}\n  ping: {}\n",
		  "t.yaml:4:3: vms.ping: given twice, first in line 2" },
		{ "links:\n  a: {}\n  'a': {}\n",
		  "t.yaml:3:3: links.a: given twice, first in line 2" },
		{ "vms:\n  a:\n    cpus: 1\n    cpus: 1\n",
		  "t.yaml:4:5: vms.a.cpus: given twice, first in line 3" },
		{ "vms: {}\nlinks: {}\nvms: {}\n",
		  "t.yaml:3:1: vms: given twice, first in line 1" },
		{ "{ \"vms\": {}, \"vms\": {} }",
		  "t.yaml:1:14: vms: given twice, first in line 1" },
	};

	assert_mistakes(mistakes, BF_ARRAY_LEN(mistakes));
}

static void each_place_wants_its_kind_of_node(void **state)
{
	static const struct mistake mistakes[] = {
		{ "hello", "t.yaml:1:1: expected a mapping, not text" },
		{ "- a", "t.yaml:1:1: expected a mapping, not a list" },
		{ "--- ~", "t.yaml:1:5: expected a mapping, not nothing" },
		{ "vms:\n", "t.yaml:1:5: vms: expected a mapping, not nothing" },
		{ "vms: []", "t.yaml:1:6: vms: expected a mapping, not a list" },
		{ "links: null", "t.yaml:1:8: links: expected a mapping, not nothing" },
		{ "links:\n  ring:\n",
		  "t.yaml:2:8: links.ring: expected a mapping, not nothing" },
		{ "vms: { a: 5 }", "t.yaml:1:11: vms.a: expected a mapping, not text" },
		{ "vms: { a: { kernel: } }",
		  "t.yaml:1:21: vms.a.kernel: expected a path, not nothing" },
		{ "vms: { a: { cmdline: ~ } }",
		  "t.yaml:1:22: vms.a.cmdline: expected text, not nothing" },
		{ "vms: { a: { cpus: [ 1 ] } }",
		  "t.yaml:1:19: vms.a.cpus: expected a number, not a list" },
		{ "vms: { a: { memory: { size: 1M } } }",
		  "t.yaml:1:21: vms.a.memory: expected a size such as 4096, 64k or 16M, "
		  "not "
		  "a mapping" },
		{ "vms: { a: { devices: { ivshmem: {} } } }",
		  "t.yaml:1:22: vms.a.devices: expected a list, not a mapping" },
		{ "vms: { a: { devices: ivshmem } }",
		  "t.yaml:1:22: vms.a.devices: expected a list, not text" },
		{ "vms: { a: { devices: [ ivshmem ] } }",
		  "t.yaml:1:24: vms.a.devices.0: expected a mapping, not text" },
		{ "vms: { a: { devices: [ {} ] } }",
		  "t.yaml:1:24: vms.a.devices.0: expected a kind of device" },
		{ "vms: { a: { devices: [ { ivshmem: {}, bell: {} } ] } }",
		  "t.yaml:1:39: vms.a.devices.0.bell: this device is ivshmem" },
		{ "vms: { a: { devices: [ { ivshmem: ring } ] } }",
		  "t.yaml:1:35: vms.a.devices.0.ivshmem: expected a mapping, not text" },
		{ "vms: { a: { devices: [ { bell: { tone: {} } } ] } }",
		  "t.yaml:1:40: vms.a.devices.0.bell.tone: expected a number, not a "
		  "mapping" },
		{ "? [ a ]\n: b\n", "t.yaml:1:3: expected a key, not a list" },
		{ "'': {}", "t.yaml:1:1: expected a key, not text" },
		{ "vms: { ? { a: b } : c }",
		  "t.yaml:1:10: vms: expected a key, not a mapping" },
	};

	assert_mistakes(mistakes, BF_ARRAY_LEN(mistakes));
}

static void syntax_errors_say_where(void **state)
{
	static const struct mistake mistakes[] = {
		{ "vms: {\n", "t.yaml:2:1: YAML: did not find expected node content" },
		{ "vms:\n  a:\n    cpus: 1\n   memory: 2M\n",
		  "t.yaml:4:4: YAML: did not find expected key while parsing a block "
		  "mapping "
		  "that starts in line 2" },
		{ "vms:\n\ta: {}\n",
		  "t.yaml:2:1: YAML is indented by spaces, not by tabs" },
		{ "vms: 'a\n", "t.yaml:2:1: YAML: found unexpected end of stream while "
			       "scanning a quoted "
			       "scalar that starts in line 1" },
		{ "vms: \"\\q\"", "t.yaml:1:7: YAML: found unknown escape character" },
		{ "vms: @a",
		  "t.yaml:1:6: YAML: found character that cannot start any token" },
		{ "{ vms: {} } }",
		  "t.yaml:1:13: YAML: did not find expected <document start>" },
		{ "vms: {}\n---\nvms: {}\n",
		  "t.yaml:2:1: a second YAML document begins" },
		{ "%YAML 3.0\n---\nvms: {}\n",
		  "t.yaml:1:1: YAML: found incompatible YAML document" },
	};

	assert_mistakes(mistakes, BF_ARRAY_LEN(mistakes));
}

static void anchors_aliases_and_tags_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ "vms: &a { b: *a }",
		  "t.yaml:1:6: YAML anchors and aliases are not supported" },
		{ "vms: *a", "t.yaml:1:6: YAML anchors and aliases are not supported" },
		{ "vms: { a: { <<: *base } }",
		  "t.yaml:1:17: YAML anchors and aliases are not supported" },
		{ "&a vms: {}",
		  "t.yaml:1:1: YAML anchors and aliases are not supported" },
		{ "vms: { a: { devices: &d [] } }",
		  "t.yaml:1:22: YAML anchors and aliases are not supported" },
		{ "vms: !!map {}", "t.yaml:1:6: YAML tags are not supported" },
		{ "vms: { a: { cpus: !!int 1 } }",
		  "t.yaml:1:19: YAML tags are not supported" },
		{ "vms: { a: { devices: !x [] } }",
		  "t.yaml:1:22: YAML tags are not supported" },
	};

	assert_mistakes(mistakes, BF_ARRAY_LEN(mistakes));
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ "vms:\n  a:\n    cmdline: \xff\n",
		  "t.yaml:3:14: YAML: invalid leading UTF-8 octet" },
		{ "vms: \x01", "t.yaml:1:6: YAML: control characters are not allowed" },
		{ "vms: { a: { cmdline: \"\\0\" } }",
		  "t.yaml:1:22: text with a NUL in it" },
		{ "\xff\xfev", "t.yaml:1:1: YAML: invalid leading UTF-8 octet" },
	};

	assert_mistakes(mistakes, BF_ARRAY_LEN(mistakes));
}

/* --- sizes and files --- */

static void deep_nesting_ends_where_the_schema_does(void **state)
{
	BF_FREE char *text = malloc(LOAD_MAX);

	memset(text, '[', LOAD_MAX - 1);
	text[LOAD_MAX - 1] = '\0';
	assert_fails(LOAD(text), EINVAL, "t.yaml:1:1: expected a mapping, not a list");
	memset(text, '{', LOAD_MAX - 1);
	assert_fails(LOAD(text), EINVAL, "t.yaml:1:2: expected a key, not a mapping");
	for (size_t i = 0; i < LOAD_MAX - 6; i += 5)
		memcpy(text + i, "{'': ", 5);
	assert_fails(LOAD(text), EINVAL, "t.yaml:1:2: expected a key, not text");
}

static void a_text_above_one_mebibyte_is_refused(void **state)
{
	BF_FREE char *text = malloc(LOAD_MAX + 2);
	char path[] = "/tmp/belfry-config-test-XXXXXX";
	char message[128];
	BF_CLOSE int fd = mkstemp(path);

	memset(text, '\n', LOAD_MAX + 2);
	text[LOAD_MAX] = '\0';
	assert_works(LOAD(text));
	text[LOAD_MAX] = '\n';
	text[LOAD_MAX + 1] = '\0';
	assert_fails(LOAD(text), E2BIG, "t.yaml: a configuration has at most 1M bytes");
	assert_int_equal(write(fd, text, LOAD_MAX + 1), LOAD_MAX + 1);
	snprintf(message, sizeof(message), "%s: a configuration has at most 1M bytes",
		 path);
	assert_fails(LOAD_FILE(path), E2BIG, message);
	unlink(path);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	assert_fails(LOAD_FILE("/nonexistent/t.yaml"), ENOENT,
		     "/nonexistent/t.yaml: No such file or directory");
	assert_fails(LOAD_FILE("/"), EISDIR, "/: Is a directory");
}

static void a_nul_byte_in_a_file_is_refused(void **state)
{
	char path[] = "/tmp/belfry-config-test-XXXXXX";
	char message[128];
	BF_CLOSE int fd = mkstemp(path);

	assert_int_equal(write(fd, "vms:\n  a\0b: {}\n", 15), 15);
	snprintf(message, sizeof(message),
		 "%s:2:4: YAML: control characters are not allowed", path);
	assert_fails(LOAD_FILE(path), EINVAL, message);
	unlink(path);
}

static void no_descriptor_is_left_open(void **state)
{
	static const char *const texts[] = { pair, pair_in_json, "vms: {", "[[[[",
					     "\xff" };
	int before = count_descriptors();

	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		belfry_config_load_string(*state, "t", texts[i], NULL);
		belfry_config_load_file(*state, "/", NULL);
		belfry_config_load_file(*state, "/dev/null", NULL);
	}
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(yaml_is_read),
		config_test(json_is_read),
		config_test(a_file_is_read),
		config_test(texts_that_say_nothing_are_no_mistake),
		config_test(a_later_text_adds_and_overrides),
		cmocka_unit_test(values_and_keys_are_named_with_their_place),
		cmocka_unit_test(what_is_given_twice_is_a_mistake),
		cmocka_unit_test(each_place_wants_its_kind_of_node),
		cmocka_unit_test(syntax_errors_say_where),
		cmocka_unit_test(anchors_aliases_and_tags_are_refused),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		config_test(deep_nesting_ends_where_the_schema_does),
		config_test(a_text_above_one_mebibyte_is_refused),
		config_test(a_file_that_cannot_be_read_says_why),
		config_test(a_nul_byte_in_a_file_is_refused),
		config_test(no_descriptor_is_left_open),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
