/* SPDX-License-Identifier: MIT */
/* boot/load.h - what the loaders share; only boot/ includes it */
#ifndef BF_LOAD_H
#define BF_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"

/* A file that goes into RAM, as far as anybody trusts it. */
struct bf_image {
	int fd;
	uint64_t size;
	const char *what; /* in messages */
};

/* A kernel format. The architecture's table has them in the order they are tried. */
struct bf_boot_format {
	/* Do the first @len bytes of a kernel look like this format? */
	bool (*probe)(const uint8_t *head, size_t len);
	int (*load)(struct belfry_vm *vm, const struct bf_boot_conf *conf,
		    const struct bf_image *kernel, const struct bf_image *initrd,
		    struct bf_entry *entry, struct belfry_error *err);
};

extern const struct bf_boot_format *const bf_boot_formats[];
extern const char bf_boot_formats_text[]; /* their names, for a message */

/* Read exactly @len bytes at @off. Return: 0; -EINVAL when the file ends before. */
int bf_image_read(const struct bf_image *image, uint64_t off, void *buf, size_t len,
		  struct belfry_error *err);

/* Read them into RAM at @gpa. Return: 0; -EINVAL when there is no RAM or no file. */
int bf_image_load(struct belfry_vm *vm, const struct bf_image *image, uint64_t off,
		  uint64_t gpa, uint64_t len, struct belfry_error *err);

/*
 * Load all of @initrd (fd -1: none, *gpa is 0) as high as possible between @floor and
 * @ceiling, on a page. Return: 0; -EINVAL when it does not fit.
 */
int bf_initrd_load(struct belfry_vm *vm, const struct bf_image *initrd, uint64_t floor,
		   uint64_t ceiling, uint64_t *gpa, struct belfry_error *err);

#endif
