/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/null_test.c - each call that the library exports, with NULL for what it
 * needs
 *
 * A call that is new and not tried here fails the last test, which asks the shared
 * library for its symbols.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <belfry-peer.h>
#include <belfry-server.h>

#include "tests/unit/unit_test.h"

#define TRIED_MAX 400

static const char *tried[TRIED_MAX]; /* names of calls; one may be there several times */
static unsigned int n_tried;

static void note(const char *name)
{
	assert_true(n_tried < TRIED_MAX);
	tried[n_tried++] = name;
}

/* A call, given &err, that must be refused because of NULL, in its own name. */
#define refuses(name, ...)                                                              \
	do {                                                                            \
		note(#name);                                                            \
		assert_fails(name(__VA_ARGS__, &err), EINVAL, #name ": NULL argument"); \
		assert_int_equal(name(__VA_ARGS__, NULL), -EINVAL);                     \
	} while (0)

/* One that has nowhere to put a message. */
#define is_invalid(name, ...)                                 \
	do {                                                  \
		note(#name);                                  \
		assert_int_equal(name(__VA_ARGS__), -EINVAL); \
	} while (0)

/* One that does nothing. */
#define ignores(name, ...)         \
	do {                       \
		note(#name);       \
		name(__VA_ARGS__); \
	} while (0)

static struct belfry_config *some_config(void)
{
	struct belfry_config *cfg;

	assert_int_equal(belfry_config_create(&cfg, NULL), 0);
	return cfg;
}

static void configurations(void **state)
{
	struct belfry_config *cfg = some_config();
	char *text;

	refuses(belfry_config_create, NULL);
	refuses(belfry_config_load_file, NULL, "x");
	refuses(belfry_config_load_file, cfg, NULL);
	refuses(belfry_config_load_string, NULL, "x", "x");
	refuses(belfry_config_load_string, cfg, NULL, "x");
	refuses(belfry_config_load_string, cfg, "x", NULL);
	refuses(belfry_config_set, NULL, "x", "x");
	refuses(belfry_config_set, cfg, NULL, "x");
	refuses(belfry_config_set, cfg, "x", NULL);
	refuses(belfry_config_set_fd, NULL, "x", 0);
	refuses(belfry_config_set_fd, cfg, NULL, 0);
	refuses(belfry_config_get, NULL, "x", &text);
	refuses(belfry_config_get, cfg, NULL, &text);
	refuses(belfry_config_get, cfg, "x", NULL);
	refuses(belfry_config_remove, NULL, "x");
	refuses(belfry_config_remove, cfg, NULL);
	refuses(belfry_config_validate, NULL);
	refuses(belfry_config_text, NULL, &text);
	refuses(belfry_config_text, cfg, NULL);
	refuses(belfry_config_schema, BELFRY_SCHEMA_HELP, NULL);
	is_invalid(belfry_config_has, NULL, "x");
	is_invalid(belfry_config_has, cfg, NULL);
	note("belfry_config_vm_name");
	assert_null(belfry_config_vm_name(NULL, 0));
	note("belfry_config_server_name");
	assert_null(belfry_config_server_name(NULL, 0));
	ignores(belfry_config_set_log, NULL, NULL, NULL, BELFRY_LOG_DEBUG);
	ignores(belfry_config_set_log, cfg, NULL, NULL, BELFRY_LOG_DEBUG);
	ignores(belfry_config_set_mistakes, NULL, NULL, NULL);
	ignores(belfry_config_set_mistakes, cfg, NULL, NULL);
	ignores(belfry_config_destroy, NULL);
	belfry_config_destroy(cfg);
}

static void links(void **state)
{
	struct belfry_config *cfg = some_config();
	struct belfry_links *links;

	refuses(belfry_links_create, NULL, &links);
	refuses(belfry_links_create, cfg, NULL);
	assert_int_equal(belfry_links_create(cfg, &links, NULL), 0);
	refuses(belfry_links_join, NULL, cfg, "vm");
	refuses(belfry_links_join, links, NULL, "vm");
	refuses(belfry_links_join, links, cfg, NULL);
	refuses(belfry_links_start, NULL);
	belfry_links_destroy(links);
	ignores(belfry_links_destroy, NULL);
	belfry_config_destroy(cfg);
}

static void vms(void **state)
{
	struct belfry_config *cfg = some_config();
	struct belfry_ivshmem_stats device = { .size = sizeof(device) };
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_vm *vm;

	refuses(belfry_vm_create, NULL, "vm", &vm);
	refuses(belfry_vm_create, cfg, NULL, &vm);
	refuses(belfry_vm_create, cfg, "vm", NULL);
	refuses(belfry_vm_set_events, NULL, NULL, NULL);
	refuses(belfry_vm_own_loop, NULL);
	refuses(belfry_vm_set_console, NULL, NULL, NULL);
	refuses(belfry_vm_console_input, NULL, "x", 1);
	refuses(belfry_vm_process, NULL);
	refuses(belfry_vm_start, NULL);
	refuses(belfry_vm_power_button, NULL);
	refuses(belfry_vm_pause, NULL);
	refuses(belfry_vm_resume, NULL);
	refuses(belfry_vm_reset, NULL);
	refuses(belfry_vm_add_doorbell, NULL, 0, 0, 0, 0);
	refuses(belfry_vm_remove_peer, NULL, 0, 0);
	is_invalid(belfry_vm_wait, NULL, 0, NULL);
	is_invalid(belfry_vm_fd, NULL);
	is_invalid(belfry_vm_state, NULL);
	is_invalid(belfry_vm_stats, NULL, &stats);
	is_invalid(belfry_vm_ivshmem_stats, NULL, 0, &device);
	is_invalid(belfry_vm_peers, NULL, 0, NULL, 0);
	ignores(belfry_vm_stop, NULL);
	ignores(belfry_vm_destroy, NULL);
	belfry_config_destroy(cfg);
}

static void peers(void **state)
{
	struct belfry_peer_info info = { .size = sizeof(info) };
	struct belfry_peer *peer;
	uint64_t size;
	void *addr;
	int ends[2];

	refuses(belfry_peer_create, NULL, "x", NULL);
	refuses(belfry_peer_create, &peer, NULL, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	note("belfry_peer_create_fd");
	assert_fails(belfry_peer_create_fd(NULL, ends[0], NULL, &err), EINVAL,
		     "belfry_peer_create_fd: NULL argument");
	assert_int_equal(fcntl(ends[0], F_GETFD), -1); /* taken, and so closed */
	close(ends[1]);
	is_invalid(belfry_peer_id, NULL);
	is_invalid(belfry_peer_next, NULL, 0);
	is_invalid(belfry_peer_vectors, NULL, 0);
	is_invalid(belfry_peer_get_info, NULL, &info);
	refuses(belfry_peer_ring, NULL, 0, 0);
	refuses(belfry_peer_ring_all, NULL, 0, 0);
	refuses(belfry_peer_wait, NULL, 0, 0, NULL);
	is_invalid(belfry_peer_eventfd, NULL, 0, 0);
	is_invalid(belfry_peer_fd, NULL);
	refuses(belfry_peer_process, NULL);
	refuses(belfry_peer_map, NULL, 0, &addr, &size);
	is_invalid(belfry_peer_memory_fd, NULL);
	refuses(belfry_peer_read, NULL, 0, &addr, 1);
	refuses(belfry_peer_write, NULL, 0, "x", 1);
	ignores(belfry_peer_destroy, NULL);
}

static int hand(void *user, const char *name, int fd)
{
	return 0;
}

static void servers(void **state)
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	struct belfry_server_store store = { .size = sizeof(store) };
	struct belfry_config *cfg = some_config();
	struct belfry_server *server;
	const char *name;
	char *text;
	int ends[2];

	refuses(belfry_server_create, NULL, "x", &server);
	refuses(belfry_server_create, cfg, NULL, &server);
	refuses(belfry_server_create, cfg, "x", NULL);
	refuses(belfry_server_resume, NULL, "x", NULL, 0, &server);
	refuses(belfry_server_resume, cfg, NULL, NULL, 0, &server);
	refuses(belfry_server_resume, cfg, "x", NULL, 0, NULL);
	refuses(belfry_server_resume, cfg, "x", NULL, 1, &server);
	is_invalid(belfry_server_fd, NULL);
	refuses(belfry_server_process, NULL);
	refuses(belfry_server_start, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	note("belfry_server_add");
	assert_fails(belfry_server_add(NULL, ends[0], &err), EINVAL,
		     "belfry_server_add: NULL argument");
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
	close(ends[1]);
	refuses(belfry_server_drop, NULL, 0, "x");
	is_invalid(belfry_server_memory, NULL);
	is_invalid(belfry_server_peers, NULL, NULL, 0);
	is_invalid(belfry_server_stats, NULL, &stats);
	refuses(belfry_server_status, NULL, BELFRY_STATUS_JSON, &text);
	note("belfry_server_capacity");
	assert_int_equal(belfry_server_capacity(NULL), 0);
	refuses(belfry_server_reload, NULL, cfg, "x");
	refuses(belfry_server_set_store, NULL, &store, 0);
	refuses(belfry_server_handover, NULL, hand, NULL);
	is_invalid(belfry_server_key, 0, NULL, &name);
	is_invalid(belfry_server_key, 0, &name, NULL);
	ignores(belfry_server_destroy, NULL);
	belfry_config_destroy(cfg);
}

static int tries(const char *name)
{
	for (unsigned int i = 0; i < n_tried; i++)
		if (strcmp(tried[i], name) == 0)
			return 1;
	return 0;
}

static void every_call_is_tried(void **state)
{
	const char *build = getenv("BELFRY_BUILD");
	char command[256], name[128] = "";
	unsigned int n = 0;
	FILE *nm;

	note("belfry_version"); /* needs nothing */
	snprintf(command, sizeof(command),
		 "nm -D --defined-only %s/libbelfry.so | sed -n 's/.* T "
		 "\\(belfry_[a-z_]*\\).*/\\1/p'",
		 build ? build : "build/x86_64");
	nm = popen(command, "re");
	assert_non_null(nm);
	for (; fscanf(nm, "%127s", name) == 1; n++)
		if (!tries(name))
			fail_msg("%s() is not tried with NULL", name);
	pclose(nm);
	assert_true(n > 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations),
		cmocka_unit_test(links),
		cmocka_unit_test(vms),
		cmocka_unit_test(peers),
		cmocka_unit_test(servers),
		cmocka_unit_test(every_call_is_tried),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
