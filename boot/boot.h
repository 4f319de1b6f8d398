/* SPDX-License-Identifier: MIT */
/* boot/boot.h - putting a kernel into RAM: front door of the loaders */
#ifndef BF_BOOT_H
#define BF_BOOT_H

#include <stdint.h>

#include "base/err.h"

struct belfry_vm;
struct bf_entry;
struct bf_layout;

/* All borrowed. */
struct bf_boot_conf {
	int kernel; /* descriptor, readable at any offset */
	int initrd; /* the same, or -1 */
	const char *cmdline;
	const struct bf_layout *layout;
};

/*
 * Recognise the kernel's format, put it, the initrd, the command line and the start
 * information into RAM.
 * Return: 0 with @entry filled; -ENOEXEC for no known format; -EINVAL when a part is
 * broken or does not fit, the message says which; -EIO or another negative errno when a
 * file cannot be read.
 */
int bf_boot_load(struct belfry_vm *vm, const struct bf_boot_conf *conf,
		 struct bf_entry *entry, struct belfry_error *err);

#endif
