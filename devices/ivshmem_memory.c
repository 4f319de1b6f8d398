/* SPDX-License-Identifier: MIT */
/*
 * devices/ivshmem_memory.c - the memory behind an ivshmem device: opened, sized, mapped
 *
 * The VMM maps the memory for KVM's sake and never touches it: a file that somebody makes
 * smaller is then missed by the guest alone, in KVM_RUN, and not by a signal here. What
 * KVM makes of that differs: EFAULT, or a vCPU that gets nowhere. So a file without a
 * seal against it is watched.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/number.h"
#include "base/own.h"
#include "devices/ivshmem_conf.h"
#include "devices/ivshmem_memory.h"
#include "vmm/vmm.h"

#define PAGE 4096

static uint64_t next_size(uint64_t size)
{
	uint64_t next = PAGE;

	while (next < size && next < 1ULL << 62)
		next *= 2;
	return next;
}

/* Map all of @fd (borrowed), or the first @size bytes when @size is not 0. */
static int map_memory(struct bf_ivshmem_memory *memory, struct belfry_vm *vm, int fd,
		      uint64_t size, struct belfry_error *err)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "shared memory");
	if (size == 0)
		size = st.st_size;
	if ((uint64_t)st.st_size < size)
		return bf_err(err, EINVAL,
			      "shared memory has %" PRIu64 " bytes, and %" PRIu64
			      " are asked for",
			      (uint64_t)st.st_size, size);
	if (size < PAGE || size & (size - 1))
		return bf_err(err, EINVAL,
			      "shared memory has %" PRIu64 " bytes, %s; %s would do",
			      size,
			      size < PAGE ? "less than a page" : "not a power of two",
			      bf_size_text(next_size(size)).text);
	if (bf_vm_claim_file(vm, st.st_dev, st.st_ino) < 0)
		return bf_err(err, EBUSY, "another device of this VM has this memory");
	/* without MAP_NORESERVE: huge pages that are not there are missed here */
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return bf_err_sys(err, errno, "map %" PRIu64 " bytes of shared memory",
				  size);
	memory->map = map;
	memory->size = size;
	return 0;
}

int bf_ivshmem_memory_adopt(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
			    int fd, struct belfry_error *err)
{
	*memory = (struct bf_ivshmem_memory){ .fd = -1, .watch = -1 };
	return map_memory(memory, vm, fd, 0, err);
}

/* Open what @name is to @opener, or make it. Return: a descriptor (returns); an errno. */
static int open_or_create(int (*opener)(const char *name, int flags, mode_t mode),
			  const char *name, bool *created)
{
	int fd = opener(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*created = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = opener(name, O_RDWR | O_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int open_file(const char *name, int flags, mode_t mode)
{
	return open(name, flags | O_NOCTTY, mode);
}

/* Made just now, by us or by another VM that is being created. */
static bool is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

/* Size and map plain memory. */
static int use_memory(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
		      const struct bf_ivshmem_conf *conf, struct belfry_error *err)
{
	const bool by_name = conf->shm.fd < 0 && conf->file.fd < 0;

	if (by_name && is_empty(memory->fd) && ftruncate(memory->fd, conf->size) < 0)
		return bf_err_sys(err, errno, "size %" PRIu64, conf->size);
	return map_memory(memory, vm, memory->fd, conf->size, err);
}

/* The descriptor, made when there is none. Return: 0; a negative errno. */
static int open_memory(struct bf_ivshmem_memory *memory, const struct bf_file *where,
		       bool is_shm)
{
	bool created = false;

	if (where->fd >= 0)
		memory->fd = fcntl(where->fd, F_DUPFD_CLOEXEC, 3);
	else
		memory->fd = open_or_create(is_shm ? shm_open : open_file, where->path,
					    &created);
	if (memory->fd < 0)
		return where->fd >= 0 ? -errno : bf_take(&memory->fd);
	memory->made_shm = is_shm;
	memory->made = created ? strdup(where->path) : NULL;
	return 0;
}

int bf_ivshmem_memory_open(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
			   const struct bf_ivshmem_conf *conf, struct belfry_error *err)
{
	const bool is_shm = bf_file_given(&conf->shm);
	const struct bf_file *where = is_shm ? &conf->shm : &conf->file;
	const char *what = is_shm ? "shm" : "file";
	const char *name = where->path ? where->path : "descriptor";
	int e;

	*memory = (struct bf_ivshmem_memory){ .fd = -1, .watch = -1 };
	e = open_memory(memory, where, is_shm);
	if (e < 0)
		return bf_err_sys(err, -e, "%s %s", what, name);
	e = use_memory(memory, vm, conf, err);
	return e < 0 ? bf_err_wrap(err, e, "%s %s", what, name) : 0;
}

static void watched(struct bf_op *op, int res)
{
	struct bf_ivshmem_memory *memory =
		BF_CONTAINER_OF(op, struct bf_ivshmem_memory, watch_op);
	char events[512];
	struct stat st;

	if (res < 0)
		return;
	while (read(memory->watch, events, sizeof(events)) > 0)
		;
	if (fstat(memory->watched, &st) == 0 && (uint64_t)st.st_size < memory->size) {
		bf_vm_end(memory->vm, BELFRY_STOP_HOST_ERROR, 0,
			  "shared memory has been truncated, from %s to %s",
			  bf_size_text(memory->size).text, bf_size_text(st.st_size).text);
		return;
	}
	bf_loop_poll(memory->loop, op, memory->watch, POLLIN);
}

void bf_ivshmem_memory_watch(struct bf_ivshmem_memory *memory, struct belfry_vm *vm,
			     int fd)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	char path[32];

	if ((seals >= 0 && seals & F_SEAL_SHRINK) ||
	    bf_vm_loop(vm, &memory->loop, NULL) < 0)
		return;
	memory->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (memory->watch < 0 || inotify_add_watch(memory->watch, path, IN_MODIFY) < 0) {
		bf_log(bf_vm_log(vm), BELFRY_LOG_INFO,
		       "ivshmem: memory is not watched: %s", strerrordesc_np(errno));
		bf_close(&memory->watch);
		return;
	}
	memory->vm = vm;
	memory->watched = fd;
	memory->watch_op.done = watched;
	bf_loop_poll(memory->loop, &memory->watch_op, memory->watch, POLLIN);
}

void bf_ivshmem_memory_keep(struct bf_ivshmem_memory *memory)
{
	free(bf_take_ptr(&memory->made));
}

void bf_ivshmem_memory_close(struct bf_ivshmem_memory *memory)
{
	if (memory->made && memory->made_shm)
		shm_unlink(memory->made);
	else if (memory->made)
		unlink(memory->made);
	bf_ivshmem_memory_keep(memory);
	if (memory->watch >= 0)
		bf_loop_cancel(memory->loop, &memory->watch_op);
	bf_close(&memory->watch);
	if (memory->map)
		munmap(memory->map, memory->size);
	bf_close(&memory->fd);
}
