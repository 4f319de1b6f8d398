/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/seccomp_test.c - the system calls that libbelfry-seccomp(7) lists are
 * enough
 *
 * Each test runs in a child that is allowed these calls and no other: one too many ends
 * it by SIGSYS.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include <belfry-peer.h>
#include <belfry-server.h>

#include "tests/guest/vm_test.h"

#define PAGE "man/libbelfry-seccomp.7.scd"

/* What the sanitizers call on top of that. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif
static const char *const sanitizers[] = { "fstat",       "gettimeofday",
					  "nanosleep",   "sched_getaffinity",
					  "sched_yield", "sigaltstack" };

/* --- the list --- */

static void allow(scmp_filter_ctx filter, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR)
		fail_msg("%s: %s is no system call", PAGE, name);
	assert_int_equal(seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0), 0);
}

/* The lines "*name*, *name*" of a section. */
static unsigned int allow_line(scmp_filter_ctx filter, char *line)
{
	unsigned int n = 0;

	for (char *name = strtok(line, "*, \n"); name; name = strtok(NULL, "*, \n")) {
		char plain[64], *to = plain;

		for (; *name && to < plain + sizeof(plain) - 1; name++)
			if (*name != '\\')
				*to++ = *name;
		*to = '\0';
		allow(filter, plain);
		n++;
	}
	return n;
}

/* For VMs and links; with @all, for servers and peers, too. */
static scmp_filter_ctx listed(bool all)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	FILE *page = fopen(PAGE, "re");
	bool inside = false;
	unsigned int n = 0;
	char line[256];

	assert_non_null(filter);
	assert_non_null(page);
	while (fgets(line, sizeof(line), page)) {
		if (line[0] == '#')
			inside = strcmp(line, "# SYSTEM CALLS\n") == 0 ||
				 (all && strcmp(line, "# SERVERS AND PEERS\n") == 0);
		else if (inside && line[0] == '*')
			n += allow_line(filter, line);
	}
	fclose(page);
	assert_true(n > 20);
	allow(filter, "exit_group"); /* the child's own end */
	for (size_t i = 0; SANITIZED && i < sizeof(sanitizers) / sizeof(char *); i++)
		allow(filter, sanitizers[i]);
	return filter;
}

/* --- what is done under it --- */

#define TRY(call)                                  \
	do {                                       \
		if ((call) < 0)                    \
			return __LINE__ % 250 + 1; \
	} while (0)

static void ignore(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
}

/* Return: 0; the line that failed, in some form. */
static int run(struct belfry_config *cfg, const char *name, bool own_loop)
{
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_vm *vm;

	TRY(belfry_vm_create(cfg, name, &vm, NULL));
	TRY(belfry_vm_set_events(vm, ignore, NULL, NULL));
	if (own_loop)
		TRY(belfry_vm_own_loop(vm, NULL));
	TRY(belfry_vm_start(vm, NULL));
	TRY(belfry_vm_pause(vm, NULL));
	TRY(belfry_vm_resume(vm, NULL));
	TRY(belfry_vm_reset(vm, NULL));
	TRY(belfry_vm_stats(vm, &stats));
	if (own_loop)
		TRY(belfry_vm_process(vm, NULL));
	if (belfry_vm_wait(vm, SECOND / 10, NULL) != -ETIMEDOUT)
		return 253;
	belfry_vm_power_button(vm, NULL);
	belfry_vm_stop(vm);
	TRY(belfry_vm_wait(vm, LIMIT, NULL));
	belfry_vm_destroy(vm);
	return 0;
}

static const char yaml[] =
	"links: { ring: { size: 1M } }\n"
	"vms:\n"
	"  linked: { kernel: x, memory: 32M, cpus: 2, affinity: 0, console: /dev/null,\n"
	"            prefault: on, devices: [ ivshmem: { link: ring } ] }\n"
	"  plain:  { kernel: x, console_input: /dev/zero,\n"
	"            initrd: /proc/self/exe, memory: 64M,\n"
	"            devices: [ ivshmem: { shm: x, size: 4k } ] }\n"
	"  pty:    { kernel: x, memory: 32M,\n"
	"            devices: [ ivshmem: { file: x, size: 4k } ] }\n"
	"  remote: { kernel: x, memory: 32M, devices: [ ivshmem: { socket: x } ] }\n";

/* Where names are made: a folder, which is removed afterwards. */
static char folder[] = "/tmp/belfry-XXXXXX";

static int name_it(struct belfry_config *cfg, const char *key, const char *first,
		   const char *second)
{
	char value[300];

	snprintf(value, sizeof(value), "%s%s", first, second);
	return belfry_config_set(cfg, key, value, NULL);
}

static int name_all(struct belfry_config *cfg)
{
	TRY(name_it(cfg, "vms.linked.kernel", build(), "/guests/idle.elf"));
	TRY(name_it(cfg, "vms.plain.kernel", build(), "/guests/idle.elf"));
	TRY(name_it(cfg, "vms.pty.kernel", build(), "/guests/idle.elf"));
	TRY(name_it(cfg, "vms.remote.kernel", build(), "/guests/idle.elf"));
	TRY(name_it(cfg, "vms.pty.console_pty", folder, "/pty"));
	TRY(name_it(cfg, "vms.pty.devices.0.ivshmem.file", folder, "/file"));
	TRY(name_it(cfg, "vms.plain.devices.0.ivshmem.shm", folder + 5, ""));
	return name_it(cfg, "vms.remote.devices.0.ivshmem.socket", folder, "/nobody");
}

static int run_all(void)
{
	static const char *const names[] = { "linked", "plain", "pty" };
	struct belfry_links *links;
	struct belfry_config *cfg;
	struct belfry_vm *vm;
	int status = 0;

	TRY(belfry_config_create(&cfg, NULL));
	TRY(belfry_config_load_string(cfg, "t", yaml, NULL));
	if (belfry_config_load_file(cfg, "/dev/null", NULL) != 0)
		return 251;
	if ((status = name_all(cfg)))
		return status;
	TRY(belfry_links_create(cfg, &links, NULL));
	TRY(belfry_links_join(links, cfg, "linked", NULL));
	TRY(belfry_links_start(links, NULL));
	for (int i = 0; i < 3 && status == 0; i++)
		status = run(cfg, names[i], i == 1);
	if (belfry_vm_create(cfg, "remote", &vm, NULL) != -ECONNREFUSED)
		return 252;
	belfry_links_destroy(links);
	belfry_config_destroy(cfg);
	return status;
}

/* A server with all that it can make, a peer, and a client that is let in by hand. */
static int serve(struct belfry_server *server, const char *path, int ends[2])
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	struct belfry_peer *peer, *other;
	char text[4] = "abc", *status;
	uint64_t size;
	void *map;
	int id;

	TRY(belfry_server_start(server, NULL));
	TRY(belfry_peer_create(&peer, path, NULL, NULL));
	TRY(id = belfry_server_add(server, ends[0], NULL));
	TRY(belfry_peer_create_fd(&other, ends[1], NULL, NULL));
	TRY(belfry_peer_ring(other, belfry_peer_id(other), 0, NULL));
	TRY(belfry_peer_wait(other, 0, LIMIT, NULL, NULL));
	TRY(belfry_peer_ring(other, belfry_peer_id(other), 0, NULL));
	TRY(belfry_peer_wait(other, BELFRY_ALL, LIMIT, NULL, NULL));
	if (belfry_peer_wait(peer, 0, SECOND / 100, NULL, NULL) != -ETIMEDOUT)
		return 249;
	TRY(belfry_peer_process(peer, NULL));
	TRY(belfry_peer_map(peer, 0, &map, &size, NULL));
	munmap(map, size);
	TRY(belfry_peer_write(peer, 0, text, sizeof(text), NULL));
	TRY(belfry_peer_read(peer, 0, text, sizeof(text), NULL));
	TRY(belfry_server_stats(server, &stats));
	TRY(belfry_server_status(server, BELFRY_STATUS_JSON, &status, NULL));
	free(status);
	TRY(belfry_server_drop(server, id, "test", NULL));
	belfry_peer_wait(other, BELFRY_ALL, SECOND / 100, NULL, NULL);
	belfry_peer_destroy(other);
	belfry_peer_destroy(peer);
	belfry_server_destroy(server);
	return 0;
}

static int ends[2]; /* of a socketpair() */

static int serve_all(void)
{
	struct belfry_server *server;
	struct belfry_config *cfg;
	char path[64];
	int status;

	TRY(belfry_config_create(&cfg, NULL));
	TRY(name_it(cfg, "servers.ring.path", folder, "/ring"));
	TRY(name_it(cfg, "servers.ring.metrics", folder, "/metrics"));
	TRY(name_it(cfg, "servers.ring.pid_file", folder, "/pid"));
	TRY(belfry_config_set(cfg, "servers.ring.mode", "0600", NULL));
	TRY(belfry_server_create(cfg, "ring", &server, NULL));
	snprintf(path, sizeof(path), "%s/ring", folder);
	status = serve(server, path, ends);
	belfry_config_destroy(cfg);
	return status;
}

/* --- a server that goes and comes back --- */

static int hold[2]; /* a pipe: a byte lets the VM join, the end ends it */

static int meet_again(void)
{
	struct belfry_config *cfg;
	struct belfry_vm *vm;
	char c;

	close(hold[1]);
	TRY(belfry_config_create(&cfg, NULL));
	TRY(belfry_config_load_string(
		cfg, "t",
		"vms: { vm: { kernel: x, memory: 32M, devices: [ ivshmem: { socket: x } "
		"] } }",
		NULL));
	TRY(name_it(cfg, "vms.vm.kernel", build(), "/guests/idle.elf"));
	TRY(name_it(cfg, "vms.vm.devices.0.ivshmem.socket", folder, "/ring"));
	if (read(hold[0], &c, 1) != 1)
		return 248;
	TRY(belfry_vm_create(cfg, "vm", &vm, NULL));
	TRY(belfry_vm_start(vm, NULL));
	TRY(read(hold[0], &c, 1));
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	return 0;
}

/* Serve memory that no server has made, nor removes: the next one has the same. */
static struct belfry_server *serve_shm(void)
{
	struct belfry_config *cfg = config("servers: { ring: { path: x, size: 4k } }");
	struct belfry_server *server = NULL;

	assert_int_equal(name_it(cfg, "servers.ring.path", folder, "/ring"), 0);
	assert_int_equal(name_it(cfg, "servers.ring.shm", folder + 5, ""), 0);
	assert_works(belfry_server_create(cfg, "ring", &server, &err));
	assert_works(belfry_server_start(server, &err));
	belfry_config_destroy(cfg);
	return server;
}

static void wait_joined(struct belfry_server *server, unsigned int n)
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };

	for (int ms = 0; ms < 20000; ms++) {
		assert_int_equal(belfry_server_stats(server, &stats), 0);
		if (stats.peers == n)
			return;
		usleep(1000);
	}
	fail_msg("%u peers, not %u", (unsigned int)stats.peers, n);
}

/* Whether somebody takes what is in an eventfd. */
static bool is_taken(int fd)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };

	for (int ms = 0; ms < 5000; ms++) {
		if (poll(&event, 1, 0) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

/* Return: whether the VM hears a peer that has not noticed. */
static bool lose_and_meet(void)
{
	struct belfry_peer_options options = {
		.size = sizeof(options),
		.no_reconnect = 1,
	};
	struct belfry_server *server = serve_shm();
	struct belfry_peer *peer;
	char path[64];
	bool heard;

	assert_int_equal(write(hold[1], "", 1), 1);
	wait_joined(server, 1);
	snprintf(path, sizeof(path), "%s/ring", folder);
	assert_int_equal(belfry_peer_create(&peer, path, &options, NULL), 0);
	belfry_server_destroy(server);
	server = serve_shm();
	wait_joined(server, 1);
	assert_int_equal(belfry_peer_ring(peer, 0, 0, NULL), 0);
	heard = is_taken(belfry_peer_eventfd(peer, 0, 0));
	belfry_peer_destroy(peer);
	belfry_server_destroy(server);
	return heard;
}

static int open_one_more(void)
{
	return dup(0) >= 0 ? 0 : 1; /* dup is not listed: belfry uses fcntl */
}

static pid_t confine(int (*what)(void), bool all)
{
	scmp_filter_ctx filter = listed(all);
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(seccomp_load(filter) < 0 ? 254 : what());
	seccomp_release(filter);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_success(int status)
{
	if (WIFSIGNALED(status))
		fail_msg("signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void make_folder(void)
{
	strcpy(folder, "/tmp/belfry-XXXXXX");
	assert_non_null(mkdtemp(folder));
}

static void vms_need_no_other_system_calls_than_those_listed(void **state)
{
	char file[64];
	int status;

	make_folder();
	status = status_of(confine(run_all, false));
	snprintf(file, sizeof(file), "%s/file", folder);
	unlink(file);
	assert_int_equal(rmdir(folder), 0);
	snprintf(file, sizeof(file), "/dev/shm/%s", folder + 5);
	unlink(file);
	assert_success(status);
}

static void nor_to_meet_a_server_again(void **state)
{
	int memory;
	bool heard;
	pid_t pid;

	make_folder();
	memory = shm_open(folder + 5, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(ftruncate(memory, 4096), 0);
	close(memory);
	assert_int_equal(pipe(hold), 0);
	pid = confine(meet_again, false);
	close(hold[0]);
	heard = lose_and_meet();
	close(hold[1]);
	shm_unlink(folder + 5);
	assert_int_equal(rmdir(folder), 0);
	assert_success(status_of(pid));
	assert_true(heard);
}

static void servers_and_peers_neither(void **state)
{
	int status;

	make_folder();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	status = status_of(confine(serve_all, true));
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(rmdir(folder), 0);
	assert_success(status);
}

static void the_filter_of_this_test_works(void **state)
{
	int status = status_of(confine(open_one_more, true));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vms_need_no_other_system_calls_than_those_listed),
		cmocka_unit_test(nor_to_meet_a_server_again),
		cmocka_unit_test(servers_and_peers_neither),
		cmocka_unit_test(the_filter_of_this_test_works),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
