/* SPDX-License-Identifier: MIT */
/* tests/guest/vm_test.c - the life of VMs, through the public interface */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/guest/vm_test.h"

/* Run a guest to its end. */
static struct belfry_result run(const char *guest, const char *cmdline)
{
	struct belfry_config *cfg = one_vm(guest, cmdline);
	struct belfry_vm *vm = start(cfg, "vm");
	struct belfry_result result = wait_for(vm);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	return result;
}

/* --- how a guest ends --- */

static void a_guest_powers_off_by_acpi(void **state)
{
	assert_int_equal(run("ends", "how=s5").reason, BELFRY_STOP_POWEROFF);
}

static void a_guest_resets_by_the_acpi_register(void **state)
{
	struct belfry_result result = run("ends", "how=acpi-reset");

	assert_int_equal(result.reason, BELFRY_STOP_RESET);
	assert_string_equal(result.detail, "reset by reset register");
}

static void a_guest_resets_by_the_i8042(void **state)
{
	struct belfry_result result = run("ends", "how=i8042");

	assert_int_equal(result.reason, BELFRY_STOP_RESET);
	assert_string_equal(result.detail, "reset by i8042");
}

static void a_triple_fault_is_a_crash(void **state)
{
	struct belfry_result result = run("ends", "how=triple");

	assert_int_equal(result.reason, BELFRY_STOP_CRASH);
	assert_string_equal(result.detail, "vCPU 0: triple fault");
}

static void the_debug_exit_port_carries_a_status(void **state)
{
	struct belfry_result result = run("ends", "how=debug-exit status=37");

	assert_int_equal(result.reason, BELFRY_STOP_DEBUG_EXIT);
	assert_int_equal(result.status, 37);
}

/* --- the power button --- */

/* Nobody listens while the guest starts, so press until it has stopped. */
static void a_guest_that_listens_powers_off_when_the_button_is_pressed(void **state)
{
	struct belfry_config *cfg = one_vm("button", "");
	struct belfry_vm *vm = start(cfg, "vm");
	struct belfry_result result = { .size = sizeof(result) };
	int waited = -ETIMEDOUT;

	for (unsigned int i = 0; i < 1000 && waited == -ETIMEDOUT; i++) {
		belfry_vm_power_button(vm, NULL);
		waited = belfry_vm_wait(vm, SECOND / 50, &result);
	}
	assert_int_equal(waited, 0);
	assert_int_equal(result.reason, BELFRY_STOP_POWEROFF);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_guest_that_does_not_listen_runs_on(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = start(cfg, "vm");

	assert_int_equal(belfry_vm_power_button(vm, NULL), 1);
	assert_int_equal(belfry_vm_wait(vm, SECOND / 20, NULL), -ETIMEDOUT);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void the_button_needs_a_vm_that_runs(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm = create(cfg, "vm");

	assert_fails(belfry_vm_power_button(NULL, &err), EINVAL,
		     "belfry_vm_power_button: NULL argument");
	assert_fails(belfry_vm_power_button(vm, &err), EINVAL, "VM vm does not run");
	assert_works(belfry_vm_start(vm, &err));
	wait_for(vm);
	assert_fails(belfry_vm_power_button(vm, &err), EINVAL, "VM vm does not run");

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

/* --- start, wait, stop, destroy --- */

static void waiting_needs_a_started_vm(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm = create(cfg, "vm");

	assert_int_equal(belfry_vm_wait(vm, 0, NULL), -EINVAL);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_vm_starts_once(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm = start(cfg, "vm");

	assert_fails(belfry_vm_start(vm, &err), EINVAL, "VM vm: started before");

	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_DEBUG_EXIT);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void waiting_has_a_time_limit(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = start(cfg, "vm");

	assert_int_equal(belfry_vm_wait(vm, SECOND / 100, NULL), -ETIMEDOUT);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_result_of_another_size_is_refused(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm = start(cfg, "vm");
	struct belfry_result result = { .size = 4 };
	struct belfry_stats stats = { .size = 4 };

	assert_int_equal(belfry_vm_wait(vm, LIMIT, &result), -EINVAL);
	assert_int_equal(belfry_vm_stats(vm, &stats), -EINVAL);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void *stop_soon(void *vm)
{
	usleep(20000);
	belfry_vm_stop(vm);
	return NULL;
}

static void another_thread_stops_a_halted_guest(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = start(cfg, "vm");
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_soon, vm), 0);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);

	pthread_join(thread, NULL);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void the_descriptor_polls_readable_once_the_vm_has_stopped(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	struct belfry_vm *vm = start(cfg, "vm");
	struct pollfd fd = { .fd = belfry_vm_fd(vm), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, 0), 0);
	belfry_vm_stop(vm);
	assert_int_equal(poll(&fd, 1, 10000), 1);
	assert_int_equal(belfry_vm_wait(vm, 0, NULL), 0);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_console_nobody_reads_does_not_keep_a_vm_from_stopping(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm;
	char line[4096] = { 0 };
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], line, sizeof(line)) > 0) /* until it is full */
		;
	set_fd(cfg, "vms.vm.console", ends[1]);
	vm = start(cfg, "vm");
	assert_int_equal(belfry_vm_wait(vm, SECOND / 10, NULL), -ETIMEDOUT);

	belfry_vm_stop(vm);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_REQUESTED);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	close(ends[0]);
	close(ends[1]);
}

static void the_console_gets_every_byte(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "tick=tock");
	struct belfry_vm *vm;
	char text[256] = { 0 };
	int file = memfd_create("console", MFD_CLOEXEC);

	set_fd(cfg, "vms.vm.console", file);
	vm = start(cfg, "vm");
	wait_for(vm);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);

	assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
	assert_memory_equal(text, "hello\ncommand line: tick=tock\n", 30);
	close(file);
}

/* A socket and a pipe: what a library's caller has at hand. */
static void receives_from(int in, int out)
{
	struct belfry_config *cfg = one_vm("input", "bytes=5");
	struct belfry_vm *vm;
	char text[256] = { 0 };
	int file = memfd_create("console", MFD_CLOEXEC);

	set_fd(cfg, "vms.vm.console", file);
	set_fd(cfg, "vms.vm.console_input", in);
	close(in);
	vm = start(cfg, "vm");
	assert_int_equal(write(out, "he", 2), 2);
	assert_int_equal(belfry_vm_wait(vm, SECOND / 10, NULL), -ETIMEDOUT);
	assert_int_equal(write(out, "llo", 3), 3);
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_POWEROFF);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);

	assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "ready\nsum 3287646509 of 5\n\n");
	close(file);
	close(out);
}

static void the_guest_receives_from_a_socket(void **state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	receives_from(ends[0], ends[1]);
}

static void the_guest_receives_from_a_pipe(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	receives_from(ends[0], ends[1]);
}

static void a_guest_that_does_not_read_does_not_keep_a_vm_from_ending(void **state)
{
	struct belfry_config *cfg = one_vm("idle", "");
	char bytes[4096] = { 0 };
	struct belfry_vm *vm;
	int ends[2], left = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	set_fd(cfg, "vms.vm.console_input", ends[0]);
	assert_int_equal(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
	vm = start(cfg, "vm");
	assert_int_equal(belfry_vm_wait(vm, SECOND / 10, NULL), -ETIMEDOUT);
	belfry_vm_stop(vm);
	wait_for(vm);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);

	assert_int_equal(ioctl(ends[0], FIONREAD, &left), 0);
	assert_in_range(left, sizeof(bytes) - 16,
			sizeof(bytes)); /* what was read ahead */
	close(ends[0]);
	close(ends[1]);
}

/* --- several --- */

static struct belfry_config *ping_and_pong(void)
{
	static const char yaml[] =
		"links: { ring: { size: 1M, vectors: 2 } }\n"
		"vms:\n"
		"  ping: { kernel: x, memory: 32M,\n"
		"    cmdline: 'role=a rounds=50 poll_rounds=200 warmup=10',\n"
		"    devices: [ ivshmem: { link: ring } ] }\n"
		"  pong: { kernel: x, memory: 32M, cmdline: role=b,\n"
		"    devices: [ ivshmem: { link: ring } ] }\n";
	struct belfry_config *cfg = config(yaml);

	set_guest(cfg, "vms.ping.kernel", "pingpong");
	set_guest(cfg, "vms.pong.kernel", "pingpong");
	return cfg;
}

static void two_vms_in_one_process_ring_each_other(void **state)
{
	struct belfry_config *cfg = ping_and_pong();
	struct belfry_links *links = host_links(cfg, "ping", "pong");
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_vm *ping, *pong;
	struct belfry_result result;

	ping = start(cfg, "ping");
	pong = start(cfg, "pong");

	result = wait_for(ping);
	assert_int_equal(result.reason, BELFRY_STOP_DEBUG_EXIT);
	assert_int_equal(result.status, 0);
	assert_int_equal(wait_for(pong).status, 0);
	assert_int_equal(belfry_vm_stats(ping, &stats), 0);
	assert_int_equal(stats.doorbell_exits, 0);

	belfry_vm_destroy(ping);
	belfry_vm_destroy(pong);
	belfry_links_destroy(links);
	belfry_config_destroy(cfg);
}

/* The pair with the doorbells' policy of ping set; run to its end. */
static void run_pair(const char *policy, struct belfry_ivshmem_stats *stats,
		     struct belfry_peer_stats *peers, int *n)
{
	struct belfry_config *cfg = ping_and_pong();
	struct belfry_vm *ping, *pong;
	struct belfry_links *links;

	set(cfg, "vms.ping.devices.0.ivshmem.doorbells", policy);
	links = host_links(cfg, "ping", "pong");
	ping = start(cfg, "ping");
	pong = start(cfg, "pong");
	for (int ms = 0; ms < 5000; ms++) { /* until the server has told of pong */
		*n = belfry_vm_peers(ping, 0, peers, 2);
		if (*n == 2)
			break;
		usleep(1000);
	}
	wait_for(ping);
	assert_int_equal(belfry_vm_ivshmem_stats(ping, 0, stats), 0);
	belfry_vm_peers(ping, 0, peers, 2);
	belfry_vm_destroy(ping);
	belfry_vm_destroy(pong);
	belfry_links_destroy(links);
	belfry_config_destroy(cfg);
}

static void rings_that_user_space_sees_are_counted_by_peer(void **state)
{
	struct belfry_ivshmem_stats stats = { .size = sizeof(stats) };
	struct belfry_peer_stats peers[2] = { { .size = sizeof(peers[0]) } };
	int n;

	run_pair("userspace", &stats, peers, &n);
	assert_int_equal(n, 2);
	assert_int_equal(peers[0].id, 0);
	assert_int_equal(peers[0].vectors, 2);
	assert_int_equal(peers[0].slow_rings, 0); /* itself */
	assert_true(peers[1].slow_rings >= 100);  /* two modes of 50 rounds */
	assert_int_equal(stats.slow_rings, peers[1].slow_rings);
	assert_int_equal(stats.ignored_rings, 0);
	assert_int_equal(stats.promotions, 0);
}

static void rings_that_kvm_takes_are_not_seen(void **state)
{
	struct belfry_ivshmem_stats stats = { .size = sizeof(stats) };
	struct belfry_peer_stats peers[2] = { { .size = sizeof(peers[0]) } };
	int n;

	run_pair("eager", &stats, peers, &n);
	assert_int_equal(stats.slow_rings, 0);
	assert_int_equal(peers[1].slow_rings, 0);
}

static void a_vm_without_devices_has_no_statistics_of_them(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm = create(cfg, "vm");
	struct belfry_ivshmem_stats stats = { .size = sizeof(stats) };

	assert_int_equal(belfry_vm_ivshmem_stats(vm, 0, &stats), -ENOENT);
	assert_int_equal(belfry_vm_peers(vm, 0, NULL, 0), -ENOENT);
	assert_int_equal(belfry_vm_peers(vm, 0, NULL, 1), -EINVAL);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void joining_a_link_ends_with_its_start(void **state)
{
	struct belfry_config *cfg = ping_and_pong();
	struct belfry_links *links;

	assert_works(belfry_links_create(cfg, &links, &err));
	assert_fails(belfry_links_join(links, cfg, "nobody", &err), ENOENT,
		     "vms.nobody: there is no such VM");
	assert_works(belfry_links_start(links, &err));
	assert_int_equal(belfry_links_join(links, cfg, "ping", NULL), -EBUSY);
	assert_int_equal(belfry_links_start(links, NULL), -EBUSY);

	belfry_links_destroy(links);
	belfry_config_destroy(cfg);
}

static void a_vm_whose_link_nobody_hosts_is_refused(void **state)
{
	struct belfry_config *cfg = ping_and_pong();
	struct belfry_vm *vm;

	assert_fails(belfry_vm_create(cfg, "ping", &vm, &err), EINVAL,
		     "vms.ping: devices.0.ivshmem: link ring: nobody hosts it here");
	belfry_config_destroy(cfg);
}

/* --- several vCPUs --- */

static void several_vcpus_come_up(void **state)
{
	struct belfry_config *cfg = one_vm("smp", "cpus=4");
	struct belfry_result result;
	struct belfry_vm *vm;

	set(cfg, "vms.vm.cpus", "4");
	vm = start(cfg, "vm");
	result = wait_for(vm);
	assert_int_equal(result.reason, BELFRY_STOP_DEBUG_EXIT);
	assert_int_equal(result.status, 0);
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void affinity_to_a_cpu_that_is_not_there_is_refused(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_vm *vm;

	set(cfg, "vms.vm.affinity", "1023");
	vm = create(cfg, "vm");
	assert_fails(belfry_vm_start(vm, &err), EINVAL,
		     "VM vm: affinity: host CPU 1023, for vCPU 0, is not there "
		     "or not allowed");
	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
}

static void a_start_that_fails_ends_before_the_guest_begins(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_stats stats = { .size = sizeof(stats) };
	struct belfry_vm *vm;

	set(cfg, "vms.vm.cpus", "2");
	set(cfg, "vms.vm.affinity", "0,1023");
	for (int i = 0; i < 10; i++) {
		vm = create(cfg, "vm");
		assert_int_equal(belfry_vm_start(vm, NULL), -EINVAL);
		assert_int_equal(belfry_vm_state(vm), BELFRY_STATE_STOPPED);
		assert_int_equal(belfry_vm_stats(vm, &stats), 0);
		assert_int_equal(stats.exits, 0);
		belfry_vm_destroy(vm);
	}
	belfry_config_destroy(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_powers_off_by_acpi),
		cmocka_unit_test(a_guest_resets_by_the_acpi_register),
		cmocka_unit_test(a_guest_resets_by_the_i8042),
		cmocka_unit_test(a_triple_fault_is_a_crash),
		cmocka_unit_test(the_debug_exit_port_carries_a_status),

		cmocka_unit_test(
			a_guest_that_listens_powers_off_when_the_button_is_pressed),
		cmocka_unit_test(a_guest_that_does_not_listen_runs_on),
		cmocka_unit_test(the_button_needs_a_vm_that_runs),
		cmocka_unit_test(waiting_needs_a_started_vm),
		cmocka_unit_test(a_vm_starts_once),
		cmocka_unit_test(waiting_has_a_time_limit),
		cmocka_unit_test(a_result_of_another_size_is_refused),
		cmocka_unit_test(another_thread_stops_a_halted_guest),
		cmocka_unit_test(the_descriptor_polls_readable_once_the_vm_has_stopped),
		cmocka_unit_test(a_console_nobody_reads_does_not_keep_a_vm_from_stopping),
		cmocka_unit_test(the_console_gets_every_byte),
		cmocka_unit_test(the_guest_receives_from_a_socket),
		cmocka_unit_test(the_guest_receives_from_a_pipe),
		cmocka_unit_test(
			a_guest_that_does_not_read_does_not_keep_a_vm_from_ending),
		cmocka_unit_test(two_vms_in_one_process_ring_each_other),
		cmocka_unit_test(rings_that_user_space_sees_are_counted_by_peer),
		cmocka_unit_test(rings_that_kvm_takes_are_not_seen),
		cmocka_unit_test(a_vm_without_devices_has_no_statistics_of_them),
		cmocka_unit_test(joining_a_link_ends_with_its_start),
		cmocka_unit_test(a_vm_whose_link_nobody_hosts_is_refused),
		cmocka_unit_test(several_vcpus_come_up),
		cmocka_unit_test(affinity_to_a_cpu_that_is_not_there_is_refused),
		cmocka_unit_test(a_start_that_fails_ends_before_the_guest_begins),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
