/* SPDX-License-Identifier: MIT */
/* examples/hosted.h - a virtual machine for somebody else's loop: loop_poll.c,
 * loop_uring.c and loop_glib.c
 */
#ifndef EXAMPLES_HOSTED_H
#define EXAMPLES_HOSTED_H

#include <stdbool.h>

#include <belfry.h>

struct hosted {
	struct belfry_vm *vm;
	bool stopped; /* its last event has come */
	bool button;  /* has been pressed */
	int status;   /* for exit(3), once it has stopped */
};

/*
 * Start KERNEL [COMMAND-LINE] of @argv. Its console goes to standard output, its events
 * to standard error. A failure ends the program.
 */
void hosted_start(struct hosted *h, int argc, char **argv);

/* belfry_vm_fd() polls readable. */
void hosted_process(struct hosted *h);

/* Somebody wants it to end: press its power button, and do not ask a second time. */
void hosted_end(struct hosted *h);

void hosted_destroy(struct hosted *h);

#endif
