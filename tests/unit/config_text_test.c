/* SPDX-License-Identifier: MIT */
/* tests/unit/config_text_test.c - configurations printed, and the schema described */
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/config_test.h"
#include "vmm/config.h"

#define SCHEMA(format, out) belfry_config_schema(format, out, &err)

static void an_empty_configuration_prints_as_an_empty_mapping(void **state)
{
	assert_text(*state, "{}\n");
}

static void defaults_are_printed_and_what_is_not_given_is_not(void **state)
{
	assert_works(LOAD("links: { ring: {} }\n"
			  "vms: { a: { kernel: k, devices: [\n"
			  "  { ivshmem: { link: ring } }, { bell: {} } ] } }"));
	assert_text(*state, "links:\n"
			    "  ring:\n"
			    "    size: 4M\n"
			    "    vectors: 1\n"
			    "    hugepages: none\n"
			    "vms:\n"
			    "  a:\n"
			    "    kernel: k\n"
			    "    memory: 128M\n"
			    "    hugepages: none\n"
			    "    prefault: false\n"
			    "    cpus: 1\n"
			    "    on_reset: exit\n"
			    "    stop_timeout: 10\n"
			    "    devices:\n"
			    "      - ivshmem:\n"
			    "          link: ring\n"
			    "          doorbells: adaptive\n"
			    "          doorbells_max: 16\n"
			    "          doorbell_window: false\n"
			    "          revision: 1\n"
			    "          ioeventfd: auto\n"
			    "      - bell: {}\n");
}

static void assert_device(void **state, const char *lines)
{
	BF_FREE char *text = NULL;

	assert_works(belfry_config_text(*state, &text, &err));
	assert_string_equal(strstr(text, "      - ivshmem:\n") + 17, lines);
}

static void what_is_of_no_use_to_a_device_is_printed_only_when_given(void **state)
{
	assert_works(
		LOAD("vms: { a: { devices: [ { ivshmem: { shm: s, size: 4k } } ] } }"));
	assert_device(state, "          shm: s\n"
			     "          size: 4k\n"
			     "          by_hand: false\n"
			     "          revision: 1\n");
	assert_works(SET("vms.a.devices.0.ivshmem.doorbells_max", "8"));
	assert_device(state, "          shm: s\n"
			     "          size: 4k\n"
			     "          doorbells_max: 8\n"
			     "          by_hand: false\n"
			     "          revision: 1\n");
	assert_works(SET("vms.a.devices.0.ivshmem.by_hand", "on"));
	assert_works(SET("vms.a.devices.0.ivshmem.revision", "0"));
	assert_device(state, "          shm: s\n"
			     "          size: 4k\n"
			     "          doorbells: adaptive\n"
			     "          doorbells_max: 8\n"
			     "          doorbell_window: false\n"
			     "          by_hand: true\n"
			     "          id: 0\n"
			     "          revision: 0\n"
			     "          msi: true\n"
			     "          ioeventfd: auto\n"
			     "          use64: true\n");
}

static void a_descriptor_is_printed_as_a_comment(void **state)
{
	BF_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_works(SET_FD("vms.a.kernel", fd));
	assert_text(*state, "vms:\n"
			    "  a:\n"
			    "    # kernel: an open descriptor\n"
			    "    memory: 128M\n"
			    "    hugepages: none\n"
			    "    prefault: false\n"
			    "    cpus: 1\n"
			    "    on_reset: exit\n"
			    "    stop_timeout: 10\n");
}

/* Print, load into an empty configuration, print: the same text. */
static void assert_round_trip(const struct belfry_config *cfg)
{
	struct belfry_config *copy = NULL;
	BF_FREE char *text = NULL;

	assert_int_equal(belfry_config_text(cfg, &text, NULL), 0);
	assert_int_equal(belfry_config_create(&copy, NULL), 0);
	assert_works(belfry_config_load_string(copy, "printed", text, &err));
	assert_text(copy, text);
	belfry_config_destroy(copy);
}

static void every_key_survives_the_round_trip(void **state)
{
	assert_works(LOAD("links:\n"
			  "  ring: { size: 1G, vectors: 7 }\n"
			  "  'null': { size: 4k }\n"
			  "vms:\n"
			  "  '1e3':\n"
			  "    kernel: /boot/vmlinuz\n"
			  "    initrd: ./initrd.img\n"
			  "    cmdline: console=ttyS0 quiet -- \"a b\"\n"
			  "    memory: 1028M\n"
			  "    cpus: 4\n"
			  "    affinity: 0,2-3\n"
			  "    console: '-'\n"
			  "    console_prefix: '1e3: '\n"
			  "    console_input: /dev/null\n"
			  "    console_pty: 'a: b'\n"
			  "    hugepages: 2M\n"
			  "    prefault: true\n"
			  "    stop_timeout: 0\n"
			  "    devices:\n"
			  "      - ivshmem: { link: ring, vectors: 3 }\n"
			  "      - ivshmem: { socket: /tmp/s }\n"
			  "      - ivshmem: { shm: /s, size: 64k }\n"
			  "      - ivshmem: { file: '#f', size: 1T }\n"
			  "      - bell: { tone: 440 }\n"));
	assert_round_trip(*state);
}

static void text_that_yaml_would_misread_is_quoted(void **state)
{
	static const struct {
		const char *value;
		const char *printed;
	} texts[] = {
		{ "plain text", "plain text" },
		{ "/a/b.c", "/a/b.c" },
		{ "", "\"\"" },
		{ "true", "\"true\"" },
		{ "Off", "\"Off\"" },
		{ "null", "\"null\"" },
		{ "~", "\"~\"" },
		{ "12", "\"12\"" },
		{ "-", "\"-\"" },
		{ "- a", "\"- a\"" },
		{ "a: b", "\"a: b\"" },
		{ "a #b", "\"a #b\"" },
		{ " a", "\" a\"" },
		{ "a ", "\"a \"" },
		{ "{a}", "\"{a}\"" },
		{ "it's", "\"it's\"" },
		{ "a \"b\" \\", "\"a \\\"b\\\" \\\\\"" },
		{ "a\tb\n\x7f\x01", "\"a\\x09b\\x0a\\x7f\\x01\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x94",
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x94\"" },
		{ "\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\xef\xbf\xbf",
		  "\"\\x85\\u2028\\ufeff\\uffff\"" },
	};
	char want[256];

	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		assert_works(SET("vms.a.cmdline", texts[i].value));
		snprintf(want, sizeof(want),
			 "vms:\n  a:\n    cmdline: %s\n    memory: 128M\n"
			 "    hugepages: none\n    prefault: false\n    cpus: 1\n"
			 "    on_reset: exit\n    stop_timeout: 10\n",
			 texts[i].printed);
		assert_text(*state, want);
		assert_round_trip(*state);
	}
}

static void bytes_that_are_not_utf8_never_get_in(void **state)
{
	assert_fails(SET("vms.a.cmdline", "\xff"), EINVAL, "vms.a.cmdline ?: not UTF-8");
	assert_fails(SET("vms.a.kernel", "caf\xe9"), EINVAL,
		     "vms.a.kernel caf?: not UTF-8");
}

/* --- the schema --- */

static void help_has_a_line_for_each_key(void **state)
{
	static const char *const lines[] = {
		"links.NAME: memory that VMs of this configuration share",
		"\n  size             size    4k..1T                    4M        bytes "
		"of memory",
		"\nvms.NAME: a virtual machine; its devices are a list",
		"\n  kernel           path    <= 4095 bytes             required  what "
		"to start",
		"\n  memory           size    1M..1T                    128M      bytes "
		"of RAM",
		"\n  cpus             number  1..64                     1         "
		"virtual CPUs\n",
		"\nvms.NAME.devices.N.ivshmem: memory shared with other VMs",
		"\n  doorbells        word    eager|adaptive|userspace  adaptive  which",
		"\n  doorbell_window  bool                              false     BAR4 "
		"with",
		"\nvms.NAME.devices.N.bell: ",
	};
	BF_FREE char *text = NULL;

	assert_works(SCHEMA(BELFRY_SCHEMA_HELP, &text));
	for (size_t i = 0; i < BF_ARRAY_LEN(lines); i++) {
		if (!strstr(text, lines[i]))
			fail_msg("no \"%s\" in: %s", lines[i], text);
	}
}

static void the_man_page_list_is_scdoc(void **state)
{
	static const char *const parts[] = {
		"## vms.NAME.devices.N.ivshmem\n\n",
		"*console\\_prefix* (text, <= 64 bytes)\n\tText in front of each line",
		"*cpus* (number, 1..64)\n\tVirtual CPUs. Default: 1.\n\n",
		" bzImage. Required.\n\n",
	};
	BF_FREE char *text = NULL;

	assert_works(SCHEMA(BELFRY_SCHEMA_MAN, &text));
	for (size_t i = 0; i < BF_ARRAY_LEN(parts); i++) {
		if (!strstr(text, parts[i]))
			fail_msg("no \"%s\" in: %s", parts[i], text);
	}
}

static void the_json_schema_is_json(void **state)
{
	BF_FREE char *text = NULL;
	FILE *tool = popen("python3 -m json.tool >/dev/null", "w");

	assert_non_null(tool);
	assert_works(SCHEMA(BELFRY_SCHEMA_JSON, &text));
	assert_true(fputs(text, tool) >= 0);
	assert_int_equal(pclose(tool), 0);
	assert_non_null(strstr(text, "https://json-schema.org/draft/2020-12/schema"));
	assert_non_null(strstr(text, "\"required\": [\n          \"kernel\"\n"));
}

static void another_format_is_refused(void **state)
{
	char *text = NULL;

	assert_fails(SCHEMA(3, &text), EINVAL, "schema format 3: expected 0 to 2");
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(an_empty_configuration_prints_as_an_empty_mapping),
		config_test(defaults_are_printed_and_what_is_not_given_is_not),
		config_test(what_is_of_no_use_to_a_device_is_printed_only_when_given),
		config_test(a_descriptor_is_printed_as_a_comment),
		config_test(every_key_survives_the_round_trip),
		config_test(text_that_yaml_would_misread_is_quoted),
		config_test(bytes_that_are_not_utf8_never_get_in),
		cmocka_unit_test(help_has_a_line_for_each_key),
		cmocka_unit_test(the_man_page_list_is_scdoc),
		cmocka_unit_test(the_json_schema_is_json),
		cmocka_unit_test(another_format_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
