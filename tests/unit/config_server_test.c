/* SPDX-License-Identifier: MIT */
/* tests/unit/config_server_test.c - servers in a configuration */
#include <belfry-server.h>

#include "tests/unit/config_test.h"
#include "vmm/config.h"

static void every_key_lands_in_its_member(void **state)
{
	const struct bf_service_conf *s;

	assert_works(LOAD("servers: { ring: { path: /run/x, size: 1M, vectors: 2048,\n"
			  "  hugepages: 2M, shm: s, dir: /d, owner: alice, group: '7',\n"
			  "  mode: 0660, allow_uids: '0,1-2', allow_gids: kvm,\n"
			  "  clients_max: 5, clients_per_uid: 4, queue: 64k, stall: 9,\n"
			  "  control: /run/c, metrics: /run/m, metrics_interval: 3,\n"
			  "  pid_file: /run/p, log_level: debug } }"));
	s = bf_config_server(*state, "ring");
	assert_string_equal(s->path.path, "/run/x");
	assert_int_equal(s->size, 1 << 20);
	assert_int_equal(s->vectors, 2048);
	assert_int_equal(s->hugepages, BF_HUGEPAGES_2M);
	assert_string_equal(s->shm.path, "s");
	assert_string_equal(s->dir.path, "/d");
	assert_string_equal(s->owner, "alice");
	assert_string_equal(s->group, "7");
	assert_string_equal(s->mode, "0660");
	assert_string_equal(s->allow_uids, "0,1-2");
	assert_string_equal(s->allow_gids, "kvm");
	assert_int_equal(s->clients_max, 5);
	assert_int_equal(s->clients_per_uid, 4);
	assert_int_equal(s->queue, 64 << 10);
	assert_int_equal(s->stall, 9);
	assert_string_equal(s->control.path, "/run/c");
	assert_string_equal(s->metrics.path, "/run/m");
	assert_int_equal(s->metrics_interval, 3);
	assert_string_equal(s->pid_file.path, "/run/p");
	assert_int_equal(s->log_level, BELFRY_LOG_DEBUG);
}

static void defaults_are_those_of_qemus_server(void **state)
{
	const struct bf_service_conf *s;

	assert_works(LOAD("servers: { ring: {} }"));
	s = bf_config_server(*state, "ring");
	assert_string_equal(s->path.path, "/tmp/ivshmem_socket");
	assert_int_equal(s->size, 4 << 20);
	assert_int_equal(s->vectors, 1);
	assert_false(bf_file_given(&s->shm));
	assert_null(s->mode);
	assert_int_equal(s->clients_max, 65536);
	assert_int_equal(s->log_level, BELFRY_LOG_INFO);
	assert_works(VALIDATE());
}

static void mistakes_are_named(void **state)
{
	assert_fails(SET("servers.a.vectors", "0"), EINVAL,
		     "servers.a.vectors 0: at least 1");
	assert_fails(SET("servers.a.vektors", "1"), EINVAL,
		     "servers.a: unknown key 'vektors'; did you mean 'vectors'?");
	assert_fails(SET("servers.a.log_level", "loud"), EINVAL,
		     "servers.a.log_level loud: expected error, warning, info, debug");
	assert_null(bf_config_server(*state, "a"));
	assert_works(LOAD("servers:\n  a: { mode: 068 }"));
	assert_fails(VALIDATE(), EINVAL,
		     "t.yaml:2:3: servers.a: mode 068: expected octal digits such as "
		     "0660");
	assert_works(SET("servers.a.mode", "0777"));
	assert_works(SET("servers.a.shm", "s"));
	assert_works(SET("servers.a.hugepages", "2M"));
	assert_fails(VALIDATE(), EINVAL,
		     "t.yaml:2:3: servers.a: hugepages: not with shm");
}

static void there_is_a_bound_on_servers(void **state)
{
	char path[40];

	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "servers.s%d.size", i);
		assert_works(SET(path, "4k"));
	}
	assert_fails(SET("servers.x.size", "4k"), EINVAL,
		     "servers.x: at most 256 servers");
}

static void servers_are_listed_and_removed(void **state)
{
	assert_works(SET("servers.a.size", "4k"));
	assert_works(SET("servers.b.size", "8k"));
	assert_string_equal(belfry_config_server_name(*state, 0), "a");
	assert_works(REMOVE("servers.a"));
	assert_string_equal(belfry_config_server_name(*state, 0), "b");
	assert_null(belfry_config_server_name(*state, 1));
	assert_fails(REMOVE("servers.a"), ENOENT, "servers.a: no such server");
}

static void a_server_survives_the_round_trip(void **state)
{
	struct belfry_config *copy = NULL;
	char *text = NULL, *again = NULL;

	assert_works(LOAD("servers: { ring: { mode: 0660, allow_uids: '0' } }"));
	assert_int_equal(belfry_config_text(*state, &text, NULL), 0);
	assert_non_null(strstr(text, "    mode: \"0660\"\n    allow_uids: \"0\"\n"));
	assert_int_equal(belfry_config_create(&copy, NULL), 0);
	assert_works(belfry_config_load_string(copy, "printed", text, &err));
	assert_int_equal(belfry_config_text(copy, &again, NULL), 0);
	assert_string_equal(again, text);
	belfry_config_destroy(copy);
	free(again);
	free(text);
}

static void keys_can_be_asked_for(void **state)
{
	const char *name, *help;
	unsigned int n = 0;

	while (belfry_server_key(n, &name, &help) == 0)
		n++;
	assert_in_range(n, 15, 32);
	assert_int_equal(belfry_server_key(n, &name, &help), -ENOENT);
	assert_int_equal(belfry_server_key(0, &name, &help), 0);
	assert_string_equal(name, "path");
	assert_int_equal(belfry_server_key(0, NULL, &help), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(every_key_lands_in_its_member),
		config_test(defaults_are_those_of_qemus_server),
		config_test(mistakes_are_named),
		config_test(there_is_a_bound_on_servers),
		config_test(servers_are_listed_and_removed),
		config_test(a_server_survives_the_round_trip),
		config_test(keys_can_be_asked_for),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
