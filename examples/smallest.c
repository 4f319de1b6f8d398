/* SPDX-License-Identifier: MIT */
/*
 * examples/smallest.c - one virtual machine, from its kernel to its end
 *
 *	smallest KERNEL [COMMAND-LINE]
 */
#include <stdio.h>
#include <unistd.h>

#include <belfry.h>

static int configure(struct belfry_config *cfg, char **args, struct belfry_error *err)
{
	int e;

	if ((e = belfry_config_set(cfg, "vms.vm.kernel", args[1], err)) < 0)
		return e;
	if (args[2] && (e = belfry_config_set(cfg, "vms.vm.cmdline", args[2], err)) < 0)
		return e;
	return belfry_config_set_fd(cfg, "vms.vm.console", STDOUT_FILENO, err);
}

static int run(const struct belfry_config *cfg, struct belfry_error *err)
{
	struct belfry_result result = { .size = sizeof(result) };
	struct belfry_vm *vm;
	int e = belfry_vm_create(cfg, "vm", &vm, err);

	if (e < 0)
		return e;
	e = belfry_vm_start(vm, err);
	if (e == 0 && belfry_vm_wait(vm, BELFRY_FOREVER, &result) == 0)
		printf("stopped: reason %d, status %u %s\n", result.reason, result.status,
		       result.detail);
	belfry_vm_destroy(vm);
	return e;
}

int main(int argc, char **argv)
{
	struct belfry_config *cfg = NULL;
	struct belfry_error err;
	int e;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: smallest KERNEL [COMMAND-LINE]\n");
		return 2;
	}
	if ((e = belfry_config_create(&cfg, &err)) == 0 &&
	    (e = configure(cfg, argv, &err)) == 0)
		e = run(cfg, &err);
	belfry_config_destroy(cfg);
	if (e < 0)
		fprintf(stderr, "smallest: %s\n", err.msg);
	return e < 0;
}
