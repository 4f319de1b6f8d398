/* SPDX-License-Identifier: MIT */
/* tests/unit/config_test.c - a configuration made by paths, and its rules */
#include <fcntl.h>
#include <unistd.h>

#include "devices/ivshmem_conf.h"
#include "tests/descriptors.h"
#include "tests/unit/config_test.h"
#include "vmm/config.h"

#define BAD_NAME "a name is 1 to 32 letters, digits, '_' and '-', a letter or digit first"

/* --- setting --- */

static void the_first_key_makes_a_vm_with_defaults(void **state)
{
	const struct bf_vm_conf *vm;

	assert_works(SET("vms.ping.kernel", "k.elf"));
	vm = bf_config_vm(*state, "ping");
	assert_string_equal(vm->kernel.path, "k.elf");
	assert_int_equal(vm->memory, 128 << 20);
	assert_int_equal(vm->cpus, 1);
	assert_null(vm->cmdline);
	assert_int_equal(vm->console.fd, -1);
	assert_int_equal(vm->console_input.fd, -1);
	assert_null(vm->console_pty);
	assert_int_equal(vm->hugepages, BF_HUGEPAGES_NONE);
	assert_false(vm->prefault);
	assert_int_equal(vm->stop_timeout, 10);
}

static void every_key_lands_in_its_member(void **state)
{
	const struct bf_ivshmem_conf *iv;
	const struct bf_vm_conf *vm;

	assert_works(SET("links.ring.size", "64k"));
	assert_works(SET("links.ring.vectors", "2048"));
	assert_works(SET("vms.a.initrd", "i"));
	assert_works(SET("vms.a.cmdline", ""));
	assert_works(SET("vms.a.memory", "1T"));
	assert_works(SET("vms.a.cpus", "64"));
	assert_works(SET("vms.a.affinity", "0,2-3"));
	assert_works(SET("vms.a.hugepages", "1G"));
	assert_works(SET("vms.a.prefault", "yes"));
	assert_works(SET("vms.a.stop_timeout", "3600"));
	assert_works(SET("vms.a.console", "c"));
	assert_works(SET("vms.a.console_prefix", "a: "));
	assert_works(SET("vms.a.console_input", "in"));
	assert_works(SET("vms.a.console_pty", "pty"));
	assert_works(SET("vms.a.devices.0.ivshmem.shm", "s"));
	assert_works(SET("vms.a.devices.0.ivshmem.size", "4k"));
	assert_works(SET("vms.a.devices.1.ivshmem.socket", "x"));
	assert_works(SET("vms.a.devices.1.ivshmem.vectors", "3"));

	assert_int_equal(bf_config_link(*state, "ring")->size, 64 << 10);
	assert_int_equal(bf_config_link(*state, "ring")->vectors, 2048);
	vm = bf_config_vm(*state, "a");
	assert_string_equal(vm->initrd.path, "i");
	assert_string_equal(vm->cmdline, "");
	assert_int_equal(vm->memory, 1ULL << 40);
	assert_int_equal(vm->cpus, 64);
	assert_string_equal(vm->affinity, "0,2-3");
	assert_string_equal(vm->console.path, "c");
	assert_string_equal(vm->console_prefix, "a: ");
	assert_int_equal(vm->hugepages, BF_HUGEPAGES_1G);
	assert_true(vm->prefault);
	assert_int_equal(vm->stop_timeout, 3600);
	assert_string_equal(vm->console_input.path, "in");
	assert_string_equal(vm->console_pty, "pty");
	assert_int_equal(vm->n_devices, 2);
	iv = vm->devices[0].conf;
	assert_string_equal(iv->shm.path, "s");
	assert_int_equal(iv->size, 4096);
	iv = vm->devices[1].conf;
	assert_string_equal(iv->socket.path, "x");
	assert_int_equal(iv->vectors, 3);
}

static void an_unknown_key_gets_the_nearest_one(void **state)
{
	assert_fails(SET("vm.a.cpus", "1"), EINVAL,
		     "unknown key 'vm'; did you mean 'vms'?");
	assert_fails(SET("nets.a.cpus", "1"), EINVAL,
		     "unknown key 'nets'; expected one of links, servers, vms");
	assert_fails(SET("vms.a.memroy", "1M"), EINVAL,
		     "vms.a: unknown key 'memroy'; did you mean 'memory'?");
	assert_fails(SET("vms.a.device", "1M"), EINVAL,
		     "vms.a: unknown key 'device'; did you mean 'devices'?");
	assert_fails(SET("links.a.vector", "1"), EINVAL,
		     "links.a: unknown key 'vector'; did you mean 'vectors'?");
	assert_fails(
		SET("links.a.owner", "1"), EINVAL,
		"links.a: unknown key 'owner'; expected one of size, vectors, hugepages");
	assert_fails(SET("vms.a.disk", "1"), EINVAL,
		     "vms.a: unknown key 'disk'; belfry.yaml(5) lists them");
	assert_fails(SET("vms.a.devices.0.ivshmm.link", "r"), EINVAL,
		     "vms.a.devices.0: unknown device 'ivshmm'; did you mean 'ivshmem'?");
	assert_fails(SET("vms.a.devices.0.ivshmem.lnik", "r"), EINVAL,
		     "vms.a.devices.0.ivshmem: unknown key 'lnik'; did you mean 'link'?");
	assert_fails(SET("vms.a.devices.0.bell.x", "r"), EINVAL,
		     "vms.a.devices.0.bell: unknown key 'x'; expected tone");
}

static void a_path_that_names_no_value_is_refused(void **state)
{
	assert_fails(SET("", "1"), EINVAL, "empty path: not a key that holds a value");
	assert_fails(SET("vms", "1"), EINVAL, "vms: not a key that holds a value");
	assert_fails(SET("vms.a", "1"), EINVAL, "vms.a: not a key that holds a value");
	assert_fails(SET("vms.a.devices", "1"), EINVAL,
		     "vms.a.devices: not a key that holds a value");
	assert_fails(SET("vms.a.devices.0", "1"), EINVAL,
		     "vms.a.devices.0: not a key that holds a value");
	assert_fails(SET("vms.a.devices.0.ivshmem", "1"), EINVAL,
		     "vms.a.devices.0.ivshmem: not a key that holds a value");
	assert_fails(SET("vms.a.cpus.x", "1"), EINVAL,
		     "vms.a.cpus: has no 'x' in it; expected a number");
	assert_fails(
		SET("vms.a.devices.0.ivshmem.link.x.y.z", "1"), EINVAL,
		"vms.a.devices.0.ivshmem.link: has no 'x' in it; expected the name of a "
		"link");
}

static void names_are_checked(void **state)
{
	assert_works(SET("vms.0-Az_9.cpus", "1"));
	assert_works(SET("links.12345678901234567890123456789012.size", "4k"));
	assert_fails(SET("vms..cpus", "1"), EINVAL, "vms.\"\": " BAD_NAME);
	assert_fails(SET("vms.-a.cpus", "1"), EINVAL, "vms.-a: " BAD_NAME);
	assert_fails(SET("vms._a.cpus", "1"), EINVAL, "vms._a: " BAD_NAME);
	assert_fails(SET("vms.a b.cpus", "1"), EINVAL, "vms.a b: " BAD_NAME);
	assert_fails(SET("links.a/b.size", "4k"), EINVAL, "links.a/b: " BAD_NAME);
	assert_fails(SET("links.123456789012345678901234567890123.size", "4k"), EINVAL,
		     "links.123456789012345678901234567890123: " BAD_NAME);
}

static void values_out_of_bounds_name_the_bound(void **state)
{
	char cmdline[2049];

	assert_fails(SET("vms.a.cpus", "900"), EINVAL, "vms.a.cpus 900: at most 64");
	assert_fails(SET("vms.a.cpus", "0"), EINVAL, "vms.a.cpus 0: at least 1");
	assert_fails(SET("vms.a.memory", "64k"), EINVAL, "vms.a.memory 64k: at least 1M");
	assert_fails(SET("vms.a.memory", "2T"), EINVAL, "vms.a.memory 2T: at most 1T");
	assert_fails(SET("vms.a.memory", "1048577"), EINVAL,
		     "vms.a.memory 1048577: not a multiple of 4k; 1028k would do");
	assert_fails(
		SET("vms.a.memory", "lots"), EINVAL,
		"vms.a.memory lots: expected a size such as 4096, 64k or 16M, 1M to 1T");
	assert_fails(SET("vms.a.kernel", ""), EINVAL,
		     "vms.a.kernel \"\": expected a path");
	assert_fails(SET("vms.a.affinity", "1024"), EINVAL,
		     "vms.a.affinity 1024: CPUs are 0 to 1023");
	assert_fails(SET("vms.a.affinity", "2-1"), EINVAL,
		     "vms.a.affinity 2-1: expected CPUs such as 0,2-3");
	assert_fails(SET("links.r.size", "3M"), EINVAL,
		     "links.r.size 3M: not a power of two; 4M would do");
	assert_fails(SET("links.r.vectors", "9000"), EINVAL,
		     "links.r.vectors 9000: at most 2048");
	assert_fails(SET("vms.a.devices.0.ivshmem.size", "2k"), EINVAL,
		     "vms.a.devices.0.ivshmem.size 2k: at least 4k");
	memset(cmdline, 'x', 2048);
	cmdline[2048] = '\0';
	assert_fails(SET("vms.a.cmdline", cmdline), EINVAL,
		     "vms.a.cmdline xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...: "
		     "2048 bytes, at most 2047");
	cmdline[2047] = '\0';
	assert_works(SET("vms.a.cmdline", cmdline));
}

static void a_device_is_added_by_the_next_index_only(void **state)
{
	assert_fails(SET("vms.a.devices.1.ivshmem.link", "r"), EINVAL,
		     "vms.a.devices.1: no such device; the next one is number 0");
	assert_fails(SET("vms.a.devices.x.ivshmem.link", "r"), EINVAL,
		     "vms.a.devices.x: no such device; the next one is number 0");
	assert_works(SET("vms.a.devices.0.ivshmem.link", "r"));
	assert_fails(SET("vms.a.devices.0.bell.tone", "440"), EINVAL,
		     "vms.a.devices.0.bell: this device is ivshmem");
	assert_fails(SET("vms.a.devices.2.bell.tone", "440"), EINVAL,
		     "vms.a.devices.2: no such device; the next one is number 1");
	assert_works(SET("vms.a.devices.1.bell.tone", "440"));
}

static void there_is_a_bound_on_vms_links_and_devices(void **state)
{
	char path[64];

	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "vms.v%d.cpus", i);
		assert_works(SET(path, "1"));
		snprintf(path, sizeof(path), "links.l%d.size", i);
		assert_works(SET(path, "4k"));
	}
	for (int i = 0; i < 28; i++) {
		snprintf(path, sizeof(path), "vms.v0.devices.%d.ivshmem.link", i);
		assert_works(SET(path, "l0"));
	}
	assert_fails(SET("vms.x.cpus", "1"), EINVAL, "vms.x: at most 256 VMs");
	assert_fails(SET("links.x.size", "4k"), EINVAL, "links.x: at most 256 links");
	assert_fails(SET("vms.v0.devices.28.bell.tone", "440"), EINVAL,
		     "vms.v0.devices: at most 28 devices");
}

static void a_call_that_fails_changes_nothing(void **state)
{
	static const char before[] = "links:\n"
				     "  ring:\n"
				     "    size: 4M\n"
				     "    vectors: 2\n"
				     "    hugepages: none\n"
				     "vms:\n"
				     "  a:\n"
				     "    kernel: k\n"
				     "    memory: 128M\n"
				     "    hugepages: none\n"
				     "    prefault: false\n"
				     "    cpus: 1\n"
				     "    on_reset: exit\n"
				     "    stop_timeout: 10\n";
	static const char *const wrong[] = {
		"links.ring.vectors",
		"links.new.size",
		"vms.a.memory",
		"vms.new.memory",
		"vms.new.none",
		"vms.new.devices.0.ivshmem.size",
		"vms.a.devices.0.ivshmem.size",
		"vms.a.devices.0",
		"vms.new",
		"links.new",
	};

	assert_works(SET("links.ring.vectors", "2"));
	assert_works(SET("vms.a.kernel", "k"));
	for (size_t i = 0; i < BF_ARRAY_LEN(wrong); i++) {
		assert_int_equal(belfry_config_set(*state, wrong[i], "1x", NULL),
				 -EINVAL);
		assert_int_equal(belfry_config_set_fd(*state, wrong[i], 0, NULL),
				 -EINVAL);
		assert_text(*state, before);
	}
}

static void null_arguments_are_errors(void **state)
{
	struct belfry_config *cfg = *state;
	char *text;

	assert_fails(belfry_config_create(NULL, &err), EINVAL,
		     "belfry_config_create: NULL argument");
	assert_fails(belfry_config_set(NULL, "vms.a.cpus", "1", &err), EINVAL,
		     "belfry_config_set: NULL argument");
	assert_fails(belfry_config_set(cfg, NULL, "1", &err), EINVAL,
		     "belfry_config_set: NULL argument");
	assert_fails(belfry_config_set(cfg, "vms.a.cpus", NULL, &err), EINVAL,
		     "belfry_config_set: NULL argument");
	assert_fails(belfry_config_set_fd(cfg, NULL, 0, &err), EINVAL,
		     "belfry_config_set_fd: NULL argument");
	assert_fails(belfry_config_remove(NULL, "vms.a", &err), EINVAL,
		     "belfry_config_remove: NULL argument");
	assert_fails(belfry_config_load_file(cfg, NULL, &err), EINVAL,
		     "belfry_config_load_file: NULL argument");
	assert_fails(belfry_config_load_string(cfg, NULL, "", &err), EINVAL,
		     "belfry_config_load_string: NULL argument");
	assert_fails(belfry_config_load_string(cfg, "t", NULL, &err), EINVAL,
		     "belfry_config_load_string: NULL argument");
	assert_fails(belfry_config_validate(NULL, &err), EINVAL,
		     "belfry_config_validate: NULL argument");
	assert_fails(belfry_config_text(NULL, &text, &err), EINVAL,
		     "belfry_config_text: NULL argument");
	assert_fails(belfry_config_text(cfg, NULL, &err), EINVAL,
		     "belfry_config_text: NULL argument");
	assert_fails(belfry_config_schema(BELFRY_SCHEMA_MAN, NULL, &err), EINVAL,
		     "belfry_config_schema: NULL argument");
	assert_null(belfry_config_vm_name(NULL, 0));
	belfry_config_set_log(NULL, NULL, NULL, BELFRY_LOG_ERROR);
	belfry_config_destroy(NULL);
}

/* --- descriptors, removing, names --- */

static void descriptors_stand_for_files_and_are_closed_in_the_end(void **state)
{
	int before = count_descriptors();
	BF_CLOSE int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct belfry_config *cfg = NULL;
	const struct bf_ivshmem_conf *iv;

	assert_int_equal(belfry_config_create(&cfg, NULL), 0);
	assert_works(belfry_config_set_fd(cfg, "vms.a.kernel", fd, &err));
	assert_works(belfry_config_set_fd(cfg, "vms.a.console", fd, &err));
	assert_works(belfry_config_set_fd(cfg, "vms.a.devices.0.ivshmem.link", fd, &err));
	assert_works(belfry_config_set_fd(cfg, "vms.b.kernel", fd, &err));
	assert_works(belfry_config_validate(cfg, &err));
	iv = bf_config_vm(cfg, "a")->devices[0].conf;
	assert_true(iv->link.fd >= 0);
	assert_int_equal(count_descriptors(), before + 5);
	assert_works(belfry_config_remove(cfg, "vms.a", &err));
	assert_int_equal(count_descriptors(), before + 2);
	belfry_config_destroy(cfg);
	assert_int_equal(count_descriptors(), before + 1);
}

static void a_wrong_descriptor_is_refused(void **state)
{
	assert_fails(SET_FD("vms.a.kernel", -1), EBADF,
		     "vms.a.kernel: descriptor -1: Bad file descriptor");
	assert_fails(SET_FD("vms.a.memory", 0), EINVAL,
		     "vms.a.memory: size takes no descriptor");
	assert_fails(SET_FD("vms.a.none", 0), EINVAL,
		     "vms.a: unknown key 'none'; belfry.yaml(5) lists them");
	assert_null(belfry_config_vm_name(*state, 0));
}

static void having_a_value_is_told_without_making_anything(void **state)
{
	struct belfry_config *cfg = *state;

	assert_works(SET("vms.a.kernel", "k"));
	assert_works(SET_FD("vms.a.console", 0));
	assert_int_equal(belfry_config_has(cfg, "vms.a.kernel"), 1);
	assert_int_equal(belfry_config_has(cfg, "vms.a.console"), 1);
	assert_int_equal(belfry_config_has(cfg, "vms.a.memory"), 1);
	assert_int_equal(belfry_config_has(cfg, "vms.a.cmdline"), 0);
	assert_int_equal(belfry_config_has(cfg, "vms.b.cmdline"), 0);
	assert_int_equal(belfry_config_has(cfg, "vms.a.none"), -EINVAL);
	assert_int_equal(belfry_config_has(cfg, "vms.a"), -EINVAL);
	assert_int_equal(belfry_config_has(cfg, NULL), -EINVAL);
	assert_int_equal(belfry_config_has(NULL, "vms.a.kernel"), -EINVAL);
	assert_null(belfry_config_vm_name(cfg, 1));
}

static void a_value_is_told_as_text(void **state)
{
	struct belfry_config *cfg = *state;
	BF_FREE char *memory = NULL;
	BF_FREE char *timeout = NULL;
	char *none = NULL;

	assert_works(SET("vms.a.memory", "1024k"));
	assert_works(SET_FD("vms.a.console", 0));
	assert_works(belfry_config_get(cfg, "vms.a.memory", &memory, &err));
	assert_string_equal(memory, "1M");
	assert_works(belfry_config_get(cfg, "vms.b.stop_timeout", &timeout, &err));
	assert_string_equal(timeout, "10");
	assert_null(belfry_config_vm_name(cfg, 1));
	assert_fails(belfry_config_get(cfg, "vms.a.cmdline", &none, &err), ENOENT,
		     "vms.a.cmdline: has no value");
	assert_fails(belfry_config_get(cfg, "vms.a.console", &none, &err), ENOENT,
		     "vms.a.console: has no value");
	assert_fails(belfry_config_get(cfg, "vms.a", &none, &err), EINVAL,
		     "vms.a: not a key that holds a value");
	assert_fails(belfry_config_get(cfg, "vms.a.memory", NULL, &err), EINVAL,
		     "belfry_config_get: NULL argument");
	assert_null(none);
}

/* --- what no single key shows --- */

static void ram_is_a_number_of_huge_pages(void **state)
{
	assert_works(SET("vms.a.kernel", "k"));
	assert_works(SET("vms.a.memory", "1025M"));
	assert_works(SET("vms.a.hugepages", "2M"));
	assert_fails(
		VALIDATE(), EINVAL,
		"vms.a: memory 1025M: not a multiple of hugepages 2M; 1026M would do");
	assert_works(SET("vms.a.hugepages", "1G"));
	assert_fails(VALIDATE(), EINVAL,
		     "vms.a: memory 1025M: not a multiple of hugepages 1G; 2G would do");
	assert_works(SET("vms.a.hugepages", "none"));
	assert_works(VALIDATE());
}

static void a_pseudo_terminal_is_all_of_the_console(void **state)
{
	assert_works(SET("vms.a.kernel", "k"));
	assert_works(SET("vms.a.console_pty", "p"));
	assert_works(VALIDATE());
	assert_works(SET_FD("vms.a.console_input", 0));
	assert_fails(VALIDATE(), EINVAL,
		     "vms.a: console_pty: it is both ways, so there cannot be "
		     "console_input");
	assert_works(SET("vms.a.console", "c"));
	assert_fails(VALIDATE(), EINVAL,
		     "vms.a: console_pty: it is both ways, so there cannot be console");
	assert_works(SET("vms.b.kernel", "k"));
	assert_works(SET("vms.b.console_pty", "p"));
	assert_works(REMOVE("vms.a"));
	assert_works(VALIDATE());
	assert_works(SET("vms.c.kernel", "k"));
	assert_works(SET("vms.c.console_pty", "p"));
	assert_fails(VALIDATE(), EINVAL, "vms.c: console_pty p: is that of vms.b");
	assert_fails(SET_FD("vms.a.console_pty", 0), EINVAL,
		     "vms.a.console_pty: text takes no descriptor");
}

static void removing_takes_one_out(void **state)
{
	assert_works(SET("vms.a.cpus", "1"));
	assert_works(SET("vms.b.cpus", "2"));
	assert_works(SET("vms.c.cpus", "3"));
	assert_works(SET("links.l.size", "4k"));
	assert_works(REMOVE("vms.b"));
	assert_string_equal(belfry_config_vm_name(*state, 0), "a");
	assert_string_equal(belfry_config_vm_name(*state, 1), "c");
	assert_null(belfry_config_vm_name(*state, 2));
	assert_int_equal(bf_config_vm(*state, "c")->cpus, 3);
	assert_works(REMOVE("links.l"));
	assert_null(bf_config_link(*state, "l"));
}

static void what_cannot_be_removed_is_an_error(void **state)
{
	assert_works(SET("vms.a.cpus", "1"));
	assert_fails(REMOVE("vms.b"), ENOENT, "vms.b: no such VM");
	assert_fails(REMOVE("links.a"), ENOENT, "links.a: no such link");
	assert_fails(REMOVE("vms"), EINVAL,
		     "vms: expected vms.NAME, links.NAME or servers.NAME");
	assert_fails(REMOVE("vms.a.cpus"), EINVAL,
		     "vms.a.cpus: expected vms.NAME, links.NAME or servers.NAME");
	assert_fails(REMOVE(""), EINVAL,
		     "empty path: expected vms.NAME, links.NAME or servers.NAME");
}

/* --- validation --- */

static void a_complete_configuration_validates(void **state)
{
	assert_works(VALIDATE());
	assert_works(
		LOAD("links: { ring: {} }\n"
		     "vms:\n"
		     "  a:\n"
		     "    kernel: k\n"
		     "    devices:\n"
		     "      - ivshmem: { link: ring, vectors: 4 }\n"
		     "      - ivshmem: { socket: s }\n"
		     "      - ivshmem: { socket: s }\n"
		     "      - ivshmem: { shm: s, size: 4k }\n"
		     "      - ivshmem: { file: s, size: 1T }\n"
		     "      - ivshmem: { file: t, size: 4k, by_hand: on, id: 65535,\n"
		     "                   vectors: 2, doorbell_window: on }\n"));
	assert_works(VALIDATE());
}

static void a_missing_key_is_named_with_its_section(void **state)
{
	assert_works(SET("vms.set.cpus", "1"));
	assert_fails(VALIDATE(), EINVAL, "vms.set: kernel is missing");
	assert_works(REMOVE("vms.set"));
	assert_works(LOAD("vms:\n  loaded: { cpus: 1 }\n"));
	assert_fails(VALIDATE(), EINVAL, "t.yaml:2:3: vms.loaded: kernel is missing");
	assert_works(SET("vms.loaded.kernel", "k"));
	assert_works(SET("vms.loaded.devices.0.ivshmem.link", "r"));
	assert_works(LOAD("vms: { loaded: { devices: [\n"
			  " { ivshmem: { link: r } }, { bell: {} } ] } }"));
	assert_fails(VALIDATE(), EINVAL,
		     "t.yaml:2:4: vms.loaded.devices.0.ivshmem: link r: no such link; "
		     "declare it under links");
	assert_works(SET("links.r.size", "4k"));
	assert_fails(VALIDATE(), EINVAL,
		     "t.yaml:2:30: vms.loaded.devices.1.bell: tone is missing");
}

/* Make VM a with one or two ivshmem devices, and validate. */
static void assert_ivshmem(struct belfry_config *cfg, const char *first,
			   const char *second, const char *message)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "links: { ring: {} }\n"
		 "vms: { a: { kernel: k, devices: [\n"
		 "{ ivshmem: { %s } }%s%s%s ] } }",
		 first, second ? ",\n{ ivshmem: { " : "", second ? second : "",
		 second ? " } }" : "");
	belfry_config_remove(cfg, "vms.a", NULL);
	assert_works(belfry_config_load_string(cfg, "t.yaml", text, &err));
	assert_fails(belfry_config_validate(cfg, &err), EINVAL, message);
}

static void an_ivshmem_device_has_exactly_one_source(void **state)
{
	assert_ivshmem(
		*state, "vectors: 2", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: expected one of link, socket, "
		"shm, file");
	assert_ivshmem(
		*state, "link: ring, socket: s", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: has link and socket; expected "
		"one of link, socket, shm, file");
	assert_ivshmem(
		*state, "file: f, shm: s, size: 4k", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: has shm and file; expected one "
		"of link, socket, shm, file");
}

static void ivshmem_keys_fit_the_source(void **state)
{
	assert_ivshmem(*state, "shm: s", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: shm needs a size, such as "
		       "size: 4M");
	assert_ivshmem(*state, "file: f", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: file needs a size, such as "
		       "size: 4M");
	assert_ivshmem(
		*state, "link: ring, size: 4k", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: size: only with shm or file; a "
		"link brings its own");
	assert_ivshmem(
		*state, "socket: s, size: 4k", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: size: only with shm or file; a "
		"socket brings its own");
	assert_ivshmem(*state, "file: f, by_hand: on", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: file needs a size, such as "
		       "size: 4M");
	assert_ivshmem(*state, "shm: s, size: 4k, id: 1", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: id: only with by_hand");
	assert_ivshmem(*state, "link: ring, id: 1", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: id: only with shm or file; "
		       "a link has a server");
	assert_ivshmem(*state, "socket: s, by_hand: on", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: by_hand: only with shm or "
		       "file; a socket has a server");
	assert_ivshmem(*state, "shm: s, size: 4k, by_hand: on, revision: 0, msi: off",
		       NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: by_hand: only with msi");
	assert_ivshmem(*state, "shm: s, size: 4k, vectors: 1", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: vectors: only with link or "
		       "socket; shm has no doorbells");
	assert_ivshmem(*state, "file: f, size: 4k, doorbell_window: on", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: doorbell_window: only with "
		       "link or socket; file has no doorbells");
	assert_ivshmem(
		*state, "link: ring, msi: off", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: msi off: only with revision 0");
	assert_ivshmem(
		*state, "link: ring, use64: off", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: use64 off: only with revision "
		"0");
	assert_ivshmem(
		*state, "link: ring, revision: 0, msi: off, ioeventfd: on", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: ioeventfd on: only with msi; a "
		"ring could not be told from another otherwise");
	assert_ivshmem(*state, "link: ring, revision: 0, msi: off, doorbell_window: on",
		       NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: doorbell_window: only with "
		       "msi");
}

static void an_unknown_link_gets_the_nearest_one(void **state)
{
	assert_ivshmem(
		*state, "link: rnig", NULL,
		"t.yaml:3:3: vms.a.devices.0.ivshmem: link rnig: no such link; did "
		"you mean 'ring'?");
	assert_ivshmem(*state, "link: other", NULL,
		       "t.yaml:3:3: vms.a.devices.0.ivshmem: link other: no such link; "
		       "declare it under links");
}

static void two_devices_of_a_vm_cannot_share_a_source(void **state)
{
	assert_ivshmem(
		*state, "link: ring", "link: ring",
		"t.yaml:4:3: vms.a.devices.1.ivshmem: link ring: another device has "
		"it already");
	assert_ivshmem(
		*state, "shm: s, size: 4k", "shm: s, size: 4k",
		"t.yaml:4:3: vms.a.devices.1.ivshmem: shm s: another device has it "
		"already");
	assert_ivshmem(
		*state, "file: f, size: 4k", "file: f, size: 4k",
		"t.yaml:4:3: vms.a.devices.1.ivshmem: file f: another device has it "
		"already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(the_first_key_makes_a_vm_with_defaults),
		config_test(every_key_lands_in_its_member),
		config_test(an_unknown_key_gets_the_nearest_one),
		config_test(a_path_that_names_no_value_is_refused),
		config_test(names_are_checked),
		config_test(values_out_of_bounds_name_the_bound),
		config_test(a_device_is_added_by_the_next_index_only),
		config_test(there_is_a_bound_on_vms_links_and_devices),
		config_test(a_call_that_fails_changes_nothing),
		config_test(null_arguments_are_errors),
		config_test(descriptors_stand_for_files_and_are_closed_in_the_end),
		config_test(a_wrong_descriptor_is_refused),
		config_test(having_a_value_is_told_without_making_anything),
		config_test(a_value_is_told_as_text),
		config_test(ram_is_a_number_of_huge_pages),
		config_test(a_pseudo_terminal_is_all_of_the_console),
		config_test(removing_takes_one_out),
		config_test(what_cannot_be_removed_is_an_error),
		config_test(a_complete_configuration_validates),
		config_test(a_missing_key_is_named_with_its_section),
		config_test(an_ivshmem_device_has_exactly_one_source),
		config_test(ivshmem_keys_fit_the_source),
		config_test(an_unknown_link_gets_the_nearest_one),
		config_test(two_devices_of_a_vm_cannot_share_a_source),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
