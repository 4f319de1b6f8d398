/* SPDX-License-Identifier: MIT */
/* examples/hosted.c - a virtual machine for somebody else's loop; see hosted.h */
#include "hosted.h"

#include <stdio.h>
#include <stdlib.h>

/* Here a failure ends the program: the process's end releases all there is. */
static void must(int result, const struct belfry_error *err)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s\n", err->msg);
	exit(1);
}

static void on_console(void *user, struct belfry_vm *vm, const void *data, size_t len)
{
	fwrite(data, 1, len, stdout);
	fflush(stdout);
}

/* To power off, and to be stopped, is as well as the debug-exit port's 0. */
static int exit_status(const struct belfry_result *result)
{
	if (result->reason == BELFRY_STOP_CRASH ||
	    result->reason == BELFRY_STOP_HOST_ERROR)
		return 1;
	return result->status;
}

/* Called within belfry_vm_process(). */
static void on_event(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
	struct hosted *h = user;

	if (event->type == BELFRY_EVENT_STARTED) {
		fprintf(stderr, "event: started\n");
	} else if (event->type == BELFRY_EVENT_PANICKED) {
		fprintf(stderr, "event: panicked\n");
	} else if (event->type == BELFRY_EVENT_STOPPED) {
		fprintf(stderr, "event: stopped, reason %d\n", event->result->reason);
		h->stopped = true;
		h->status = exit_status(event->result);
	}
}

void hosted_start(struct hosted *h, int argc, char **argv)
{
	struct belfry_config *cfg;
	struct belfry_error err;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s KERNEL [COMMAND-LINE]\n", argv[0]);
		exit(2);
	}
	*h = (struct hosted){ 0 };
	must(belfry_config_create(&cfg, &err), &err);
	must(belfry_config_set(cfg, "vms.vm.kernel", argv[1], &err), &err);
	if (argc > 2)
		must(belfry_config_set(cfg, "vms.vm.cmdline", argv[2], &err), &err);
	must(belfry_vm_create(cfg, "vm", &h->vm, &err), &err);
	belfry_config_destroy(cfg);
	must(belfry_vm_own_loop(h->vm, &err), &err);
	must(belfry_vm_set_events(h->vm, on_event, h, &err), &err);
	must(belfry_vm_set_console(h->vm, on_console, h, &err), &err);
	must(belfry_vm_start(h->vm, &err), &err);
}

void hosted_process(struct hosted *h)
{
	struct belfry_error err;

	must(belfry_vm_process(h->vm, &err), &err);
}

void hosted_end(struct hosted *h)
{
	if (h->button || belfry_vm_power_button(h->vm, NULL) != 0)
		belfry_vm_stop(h->vm);
	h->button = true;
}

void hosted_destroy(struct hosted *h)
{
	belfry_vm_destroy(h->vm);
}
