/* SPDX-License-Identifier: MIT */
/*
 * cli/run_vm.c - one VM in this process: from its creation to an exit status
 *
 * Who is asked to end it presses the power button. The guest then has its time
 * (`stop_timeout`) to power off; one that does not even listen is not waited for.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/run.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

static int result_status(const char *name, const struct belfry_result *result)
{
	switch (result->reason) {
	case BELFRY_STOP_POWEROFF:
		return CLI_OK;
	case BELFRY_STOP_DEBUG_EXIT:
		if (result->status == 0)
			return CLI_OK;
		cli_say("%s: the guest ended with status %u", name, result->status);
		return CLI_GUEST_STATUS + (result->status < CLI_GUEST_STATUS_MAX
						   ? result->status
						   : CLI_GUEST_STATUS_MAX);
	case BELFRY_STOP_RESET:
		cli_say("%s: %s", name, result->detail);
		return CLI_RESET;
	case BELFRY_STOP_CRASH:
		cli_say("%s: crashed: %s", name, result->detail);
		return CLI_CRASH;
	default:
		cli_say("%s: %s", name, result->detail);
		return CLI_FAILURE;
	}
}

/* The peers that user space has rung: those that KVM rings are not seen. */
static void print_peers(struct belfry_vm *vm, const char *name, unsigned int device)
{
	const int max = belfry_vm_peers(vm, device, NULL, 0);
	struct belfry_peer_stats *peers = max > 0 ? calloc(max, sizeof(*peers)) : NULL;
	int n = 0;

	if (peers) {
		peers->size = sizeof(*peers);
		n = belfry_vm_peers(vm, device, peers, max);
	}
	for (int i = 0; i < n && i < max; i++)
		if (peers[i].slow_rings)
			cli_say("%s: device %u: peer %u: rings by user space %llu", name,
				device, peers[i].id,
				(unsigned long long)peers[i].slow_rings);
	free(peers);
}

static void print_device(struct belfry_vm *vm, const char *name, unsigned int device,
			 const struct belfry_ivshmem_stats *stats)
{
	cli_say("%s: device %u: id %u, peers %u; rings by user space %llu, ignored "
		"%llu, "
		"promotions %llu, refusals %llu; events while masked %llu; server lost "
		"%llu, "
		"back %llu, tries %llu, bad messages %llu",
		name, device, stats->id, stats->peers,
		(unsigned long long)stats->slow_rings,
		(unsigned long long)stats->ignored_rings,
		(unsigned long long)stats->promotions,
		(unsigned long long)stats->refusals,
		(unsigned long long)stats->waiting_events,
		(unsigned long long)stats->servers_lost,
		(unsigned long long)stats->reconnects, (unsigned long long)stats->tries,
		(unsigned long long)stats->bad_messages);
	print_peers(vm, name, device);
}

static void print_stats(struct belfry_vm *vm, const char *name)
{
	struct belfry_ivshmem_stats device = { .size = sizeof(device) };
	struct belfry_stats stats = { .size = sizeof(stats) };

	if (belfry_vm_stats(vm, &stats) == 0)
		cli_say("%s: exits to user space %llu, of them doorbells %llu", name,
			(unsigned long long)stats.exits,
			(unsigned long long)stats.doorbell_exits);
	for (unsigned int i = 0; belfry_vm_ivshmem_stats(vm, i, &device) == 0; i++)
		print_device(vm, name, i, &device);
}

struct vm {
	struct belfry_vm *vm;
	const char *name;
	struct cli_signals signals;
	unsigned int timeout_s; /* of the guest, to power off */
	uint64_t deadline_ns;   /* when that time is over; 0: nobody has asked */
};

/* The guest's time to power off, in seconds. Return: 0; a negative errno. */
static int stop_timeout(struct belfry_config *cfg, const char *name, unsigned int *out,
			struct belfry_error *err)
{
	char path[80], *text;
	int e;

	snprintf(path, sizeof(path), "vms.%s.stop_timeout", name);
	e = belfry_config_get(cfg, path, &text, err);
	if (e < 0)
		return e;
	*out = strtoul(text, NULL, 10);
	free(text);
	return 0;
}

static void ask(struct vm *v)
{
	if (v->timeout_s == 0 || belfry_vm_power_button(v->vm, NULL) != 0) {
		belfry_vm_stop(v->vm);
		return;
	}
	v->deadline_ns = cli_now_ns() + v->timeout_s * NS_PER_S;
	if (v->signals.role == CLI_ALONE)
		cli_say("%s: has been asked to power off; a second signal stops it",
			v->name);
}

static void take_signal(struct vm *v)
{
	switch (cli_signals_request(&v->signals, cli_signals_next(&v->signals))) {
	case CLI_NOTHING:
		break;
	case CLI_ASK:
		ask(v);
		break;
	case CLI_STOP:
		belfry_vm_stop(v->vm);
		break;
	}
}

/* How long to wait for something to happen, in ms; -1: for ever. */
static int patience(const struct vm *v)
{
	const uint64_t now = cli_now_ns();

	if (v->deadline_ns == 0)
		return -1;
	return v->deadline_ns > now ? (v->deadline_ns - now) / NS_PER_MS + 1 : 0;
}

static void check_deadline(struct vm *v)
{
	if (v->deadline_ns == 0 || cli_now_ns() < v->deadline_ns)
		return;
	cli_say("%s: has not powered off in %u s, and is stopped", v->name, v->timeout_s);
	v->deadline_ns = 0;
	belfry_vm_stop(v->vm);
}

static int wait_vm(struct vm *v, bool stats)
{
	struct belfry_result result = { .size = sizeof(result) };

	while (belfry_vm_wait(v->vm, 0, &result) == -ETIMEDOUT) {
		struct pollfd fds[] = { { .fd = belfry_vm_fd(v->vm), .events = POLLIN },
					{ .fd = v->signals.fd, .events = POLLIN } };

		if (poll(fds, 2, patience(v)) > 0 && fds[1].revents)
			take_signal(v);
		check_deadline(v);
	}
	if (stats)
		print_stats(v->vm, v->name);
	if (result.reason == BELFRY_STOP_REQUESTED)
		return CLI_SIGNAL + v->signals.first;
	return result_status(v->name, &result);
}

int cli_run_vm(struct belfry_config *cfg, const char *name, enum cli_role role,
	       bool stats)
{
	struct vm v = { .name = name, .signals.fd = -1 };
	struct belfry_error err;
	int status;

	if (stop_timeout(cfg, name, &v.timeout_s, &err) < 0 ||
	    belfry_vm_create(cfg, name, &v.vm, &err) < 0)
		return cli_fail(&err);
	status = cli_signals_open(&v.signals, role);
	if (status == CLI_OK && belfry_vm_start(v.vm, &err) < 0)
		status = cli_fail(&err);
	else if (status == CLI_OK)
		status = wait_vm(&v, stats);
	belfry_vm_destroy(v.vm);
	cli_signals_close(&v.signals);
	return status;
}
