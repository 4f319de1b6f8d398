/* SPDX-License-Identifier: MIT */
/* boot/boot.c - recognising a kernel, reading files into RAM */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/load.h"
#include "vmm/vmm.h"

#define HEAD_BYTES 1024
#define PAGE       4096ULL

/* Return: 0; -EINVAL at the end of the file; another negative errno. */
static int read_all(const struct bf_image *image, uint64_t off, uint8_t *buf, size_t len,
		    struct belfry_error *err)
{
	while (len > 0) {
		ssize_t n = pread(image->fd, buf, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bf_err_sys(err, errno, "read %s", image->what);
		if (n == 0)
			return bf_err(err, EINVAL, "%s has shrunk while it was read",
				      image->what);
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

int bf_image_read(const struct bf_image *image, uint64_t off, void *buf, size_t len,
		  struct belfry_error *err)
{
	if (len == 0)
		return 0;
	if (off > image->size || len > image->size - off)
		return bf_err(err, EINVAL,
			      "%s is truncated: needs %zu bytes at offset %" PRIu64
			      ", and the file has %" PRIu64,
			      image->what, len, off, image->size);
	return read_all(image, off, buf, len, err);
}

int bf_image_load(struct belfry_vm *vm, const struct bf_image *image, uint64_t off,
		  uint64_t gpa, uint64_t len, struct belfry_error *err)
{
	void *at = bf_mem_at(vm, gpa, len);

	if (!at)
		return bf_err(err, EINVAL,
			      "%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
			      " are outside of RAM",
			      image->what, len, gpa);
	return bf_image_read(image, off, at, len, err);
}

int bf_initrd_load(struct belfry_vm *vm, const struct bf_image *initrd, uint64_t floor,
		   uint64_t ceiling, uint64_t *gpa, struct belfry_error *err)
{
	uint64_t at;

	*gpa = 0;
	if (initrd->fd < 0)
		return 0;
	floor = (floor + PAGE - 1) & ~(PAGE - 1);
	if (initrd->size > ceiling || floor > ceiling - initrd->size)
		return bf_err(err, EINVAL,
			      "initrd of %" PRIu64
			      " bytes does not fit into RAM behind the "
			      "kernel, from 0x%" PRIx64 " to 0x%" PRIx64,
			      initrd->size, floor, ceiling);
	at = (ceiling - initrd->size) & ~(PAGE - 1);
	*gpa = at;
	return bf_image_load(vm, initrd, 0, at, initrd->size, err);
}

static int image_open(int fd, const char *what, struct bf_image *out,
		      struct belfry_error *err)
{
	struct stat st;

	*out = (struct bf_image){ .fd = fd, .what = what };
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "%s", what);
	if (!S_ISREG(st.st_mode))
		return bf_err(err, EINVAL, "%s is not a regular file", what);
	if (st.st_size == 0)
		return bf_err(err, EINVAL, "%s is empty", what);
	out->size = st.st_size;
	return 0;
}

int bf_boot_load(struct belfry_vm *vm, const struct bf_boot_conf *conf,
		 struct bf_entry *entry, struct belfry_error *err)
{
	struct bf_image kernel, initrd;
	uint8_t head[HEAD_BYTES];
	size_t len;
	int e;

	if ((e = image_open(conf->kernel, "kernel", &kernel, err)) < 0 ||
	    (e = image_open(conf->initrd, "initrd", &initrd, err)) < 0)
		return e;
	len = kernel.size < sizeof(head) ? kernel.size : sizeof(head);
	e = bf_image_read(&kernel, 0, head, len, err);
	if (e < 0)
		return e;
	for (unsigned int i = 0; bf_boot_formats[i]; i++)
		if (bf_boot_formats[i]->probe(head, len))
			return bf_boot_formats[i]->load(vm, conf, &kernel, &initrd, entry,
							err);
	return bf_err(err, ENOEXEC, "not a kernel: expected %s", bf_boot_formats_text);
}
