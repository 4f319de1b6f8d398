/* SPDX-License-Identifier: MIT */
/*
 * vmm/console.c - where the guest's serial output goes
 *
 * A reader that stops reading must not stop the VM's loop: bytes are taken under the VM's
 * lock, and written by the vCPU thread after it has let go of it. While the buffer is
 * full, the serial port reports that its transmitter is busy, and the guest waits as it
 * would for a slow line.
 *
 * Without a prefix every byte is written as soon as it comes. With one, whole lines are,
 * so that those of several VMs do not mix.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/own.h"
#include "vmm/machine.h"

/* Room for a line cut short: longer ones are passed on in pieces. */
#define LINE_MAX_BYTES 1024

bool bf_console_ready(const struct belfry_vm *vm)
{
	return vm->console.len < sizeof(vm->console.buf);
}

bool bf_console_put(struct belfry_vm *vm, uint8_t byte)
{
	if (vm->console.fd < 0 && !vm->console.fn)
		return true;
	if (!bf_console_ready(vm))
		return false;
	vm->console.buf[vm->console.len++] = byte;
	return true;
}

/* How many bytes are due to be written: whole lines only when there is a prefix. */
static unsigned int console_due(const struct bf_console *con, bool all)
{
	const uint8_t *nl;

	if (!con->prefix || all || con->len == 0)
		return con->len;
	nl = memchr(con->buf, '\n', con->len);
	if (nl)
		return nl + 1 - con->buf;
	return con->len >= LINE_MAX_BYTES ? con->len : 0;
}

/* Wait until @fd takes bytes or the VM ends. Return: whether to write. */
static bool console_wait(struct belfry_vm *vm)
{
	struct pollfd fds[] = {
		{ .fd = vm->console.fd, .events = POLLOUT },
		{ .fd = vm->end_fd, .events = POLLIN },
	};

	if (vm->console.pty.path)
		return bf_console_pty_wait(vm);
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return fds[0].revents != 0;
}

/* The VM runs on, whatever becomes of its output. Said once, however often it happens. */
static void console_lost(struct belfry_vm *vm, int code)
{
	if (!vm->console.lost)
		bf_log(&vm->log, BELFRY_LOG_WARNING, "console output is lost: %s",
		       strerrordesc_np(code));
	vm->console.lost = true;
}

static void console_write_fd(struct belfry_vm *vm, const uint8_t *data, unsigned int len)
{
	const char *prefix = vm->console.prefix;
	struct iovec iov[] = {
		{ .iov_base = vm->console.prefix,
		  .iov_len = prefix ? strlen(prefix) : 0 },
		{ .iov_base = (void *)data, .iov_len = len },
		{ .iov_base = "\n", .iov_len = prefix && data[len - 1] != '\n' },
	};
	unsigned int i = 0;

	while (i < 3 && console_wait(vm)) {
		ssize_t n = writev(vm->console.fd, &iov[i], 3 - i);

		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			console_lost(vm, errno);
			return;
		}
		for (; n > 0 || (i < 3 && iov[i].iov_len == 0); i++) {
			if ((size_t)n < iov[i].iov_len) {
				iov[i].iov_base = (char *)iov[i].iov_base + n;
				iov[i].iov_len -= n;
				break;
			}
			n -= iov[i].iov_len;
		}
	}
}

static void console_write(struct belfry_vm *vm, const uint8_t *data, unsigned int len)
{
	const struct bf_console *con = &vm->console;

	if (con->fn)
		con->fn(con->user, vm, data, len);
	else
		console_write_fd(vm, data, len);
}

static void console_drain(struct belfry_vm *vm, bool all)
{
	struct bf_console *con = &vm->console;
	uint8_t copy[sizeof(con->buf)];
	unsigned int n;
	bool was_full;

	bf_vm_lock(vm);
	while (!con->flushing && (n = console_due(con, all)) > 0) {
		memcpy(copy, con->buf, n);
		con->flushing = true;
		bf_vm_unlock(vm);
		console_write(vm, copy, n);
		bf_vm_lock(vm);
		con->flushing = false;
		was_full = !bf_console_ready(vm);
		con->len -= n;
		memmove(con->buf, con->buf + n, con->len);
		if (was_full && vm->platform)
			bf_arch_console_drained(vm->platform);
	}
	bf_vm_unlock(vm);
}

/* What is due; without the lock, by a vCPU thread. */
void bf_console_flush(struct belfry_vm *vm)
{
	console_drain(vm, false);
}

/* All that is left, as far as the console takes it at once; the same. */
void bf_console_drain(struct belfry_vm *vm)
{
	console_drain(vm, true);
}

/*
 * POLLIN and POLLOUT promise one byte, and nobody here may wait for more. A terminal and
 * a pipe can be opened anew, without O_NONBLOCK being everybody's.
 */
int bf_console_dup(int fd, int access)
{
	struct stat st;
	char path[32];
	int own = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd)))
		own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* A FIFO that nobody reads is an error (ENXIO), not a wait. */
static int console_open(const char *path)
{
	return open(path,
		    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK | O_NOCTTY |
			    O_CLOEXEC,
		    0666);
}

static int console_init_output(struct belfry_vm *vm, const struct bf_vm_conf *conf,
			       struct belfry_error *err)
{
	struct bf_console *con = &vm->console;

	if (conf->console_pty)
		return bf_console_pty_init(vm, conf->console_pty, err);
	if (!bf_file_given(&conf->console))
		return 0;
	con->fd = conf->console.fd >= 0 ? bf_console_dup(conf->console.fd, O_WRONLY)
					: console_open(conf->console.path);
	if (con->fd < 0)
		return bf_err_sys(err, errno, "console %s",
				  conf->console.path ? conf->console.path : "descriptor");
	return 0;
}

int bf_console_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		    struct belfry_error *err)
{
	int e;

	if (conf->console_prefix) {
		vm->console.prefix = strdup(conf->console_prefix);
		if (!vm->console.prefix)
			return bf_err_sys(err, ENOMEM, "console");
	}
	e = console_init_output(vm, conf, err);
	return e < 0 ? e : bf_console_input_init(vm, conf, err);
}

int bf_console_set(struct belfry_vm *vm, belfry_console_fn *fn, void *user,
		   struct belfry_error *err)
{
	struct bf_console *con = &vm->console;

	if (con->fd >= 0)
		return bf_err(err, EINVAL, "VM %s has a console", vm->log.who);
	free(bf_take_ptr(&con->prefix)); /* bytes go over as they come */
	con->fn = fn;
	con->user = user;
	return 0;
}

void bf_console_fini(struct belfry_vm *vm)
{
	bf_console_input_fini(&vm->console.in);
	bf_console_pty_fini(vm);
	bf_close(&vm->console.fd);
	free(vm->console.prefix);
}
