/* SPDX-License-Identifier: MIT */
/*
 * examples/pair.c - two virtual machines that share memory and ring each other: a link
 * of one file and two eventfds, with no server
 *
 *	pair KERNEL COMMAND-LINE-A COMMAND-LINE-B
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <belfry.h>

#define SHARED (16 << 20)

/* Each has 16 MiB that are the other's too, and says who it is among them: 0 or 1. */
static const char pair[] = "vms:\n"
			   "  a:\n"
			   "    memory: 32M\n"
			   "    console_prefix: 'a| '\n"
			   "    devices:\n"
			   "      - ivshmem: { size: 16M, by_hand: on, id: 0 }\n"
			   "  b:\n"
			   "    memory: 32M\n"
			   "    console_prefix: 'b| '\n"
			   "    devices:\n"
			   "      - ivshmem: { size: 16M, by_hand: on, id: 1 }\n";

static const char *const names[] = { "a", "b" };

/* Here a failure ends the program: the process's end releases all there is. */
static void must(int result, const struct belfry_error *err)
{
	if (result >= 0)
		return;
	fprintf(stderr, "pair: %s\n", err->msg);
	exit(1);
}

static int open_or_exit(int fd, const char *what)
{
	if (fd < 0) {
		perror(what);
		exit(1);
	}
	return fd;
}

static void set(struct belfry_config *cfg, const char *vm, const char *key,
		const char *value)
{
	struct belfry_error err;
	char path[64];

	snprintf(path, sizeof(path), "vms.%s.%s", vm, key);
	must(belfry_config_set(cfg, path, value, &err), &err);
}

static void set_fd(struct belfry_config *cfg, const char *vm, const char *key, int fd)
{
	struct belfry_error err;
	char path[64];

	snprintf(path, sizeof(path), "vms.%s.%s", vm, key);
	must(belfry_config_set_fd(cfg, path, fd, &err), &err);
}

/* @args: the kernel, and two command lines */
static struct belfry_config *configure(char **args, int memory)
{
	struct belfry_config *cfg;
	struct belfry_error err;

	must(belfry_config_create(&cfg, &err), &err);
	must(belfry_config_load_string(cfg, "pair", pair, &err), &err);
	for (int i = 0; i < 2; i++) {
		set(cfg, names[i], "kernel", args[0]);
		set(cfg, names[i], "cmdline", args[1 + i]);
		set_fd(cfg, names[i], "console", STDOUT_FILENO);
		set_fd(cfg, names[i], "devices.0.ivshmem.file", memory);
	}
	return cfg;
}

/* Doorbell of @id: a VM rings that of the other, and hears its own. */
static void add_doorbells(struct belfry_vm *vm, const int *bells)
{
	struct belfry_error err;

	for (uint32_t id = 0; id < 2; id++)
		must(belfry_vm_add_doorbell(vm, 0, id, 0, bells[id], &err), &err);
}

int main(int argc, char **argv)
{
	struct belfry_result result = { .size = sizeof(result) };
	struct belfry_config *cfg;
	struct belfry_error err;
	struct belfry_vm *vms[2];
	int memory, bells[2], failed = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: pair KERNEL COMMAND-LINE-A COMMAND-LINE-B\n");
		return 2;
	}
	memory = open_or_exit(memfd_create("pair", MFD_CLOEXEC), "memfd_create");
	open_or_exit(ftruncate(memory, SHARED), "ftruncate");
	for (int i = 0; i < 2; i++)
		bells[i] =
			open_or_exit(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");

	cfg = configure(argv + 1, memory);
	for (int i = 0; i < 2; i++) {
		must(belfry_vm_create(cfg, names[i], &vms[i], &err), &err);
		add_doorbells(vms[i], bells);
	}
	for (int i = 0; i < 2; i++)
		must(belfry_vm_start(vms[i], &err), &err);
	for (int i = 0; i < 2; i++) {
		belfry_vm_wait(vms[i], BELFRY_FOREVER, &result);
		failed |= result.reason == BELFRY_STOP_DEBUG_EXIT
				  ? result.status != 0
				  : result.reason != BELFRY_STOP_POWEROFF;
		belfry_vm_destroy(vms[i]);
	}
	belfry_config_destroy(cfg);
	return failed;
}
