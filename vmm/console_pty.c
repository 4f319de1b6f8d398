/* SPDX-License-Identifier: MIT */
/*
 * vmm/console_pty.c - the console as a pseudo-terminal, found by a symbolic link
 *
 * We are the master. We hold the slave open as well, in raw mode: a terminal that nobody
 * has open reads as an error, and one that echoes would send the guest its own words.
 * Readers come and go, and the master does not notice.
 *
 * The guest must wait for a reader that is slow, but not for one that is not there. So
 * when the terminal is full, we let the slave go: if somebody else has it open, the guest
 * waits until there is room or until that one has left too; if nobody has, the oldest
 * output is thrown away. Who comes next finds the last few kilobytes.
 *
 * A reader that had it as its controlling terminal takes it down for everybody when it
 * leaves (tty_vhangup): our slave is dead then, and is replaced.
 *
 * The slave is let go and taken again by the vCPU thread that writes, and replaced by the
 * loop: under the VM's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/own.h"
#include "vmm/machine.h"

#define NAME_BYTES 64
#define PTS        "/dev/pts/" /* pts(4) */

static int slave_open(int master)
{
	return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

static void slave_set_raw(int slave)
{
	struct termios mode;

	if (tcgetattr(slave, &mode) < 0)
		return;
	cfmakeraw(&mode);
	tcsetattr(slave, TCSANOW, &mode);
}

static void slave_let_go(struct belfry_vm *vm)
{
	bf_vm_lock(vm);
	bf_close(&vm->console.pty.slave);
	bf_vm_unlock(vm);
}

/*
 * @alone: nobody has it open, so it is as we want it, and empty. The VM's lock is held.
 */
static void slave_take(struct belfry_vm *vm, bool alone)
{
	struct bf_console_pty *pty = &vm->console.pty;
	char old[1024];

	bf_close(&pty->slave);
	pty->slave = slave_open(vm->console.fd);
	if (pty->slave < 0 || !alone)
		return;
	slave_set_raw(pty->slave);
	while (read(pty->slave, old, sizeof(old)) > 0)
		;
}

static bool has_hung_up(int master)
{
	struct pollfd fd = { .fd = master };

	return poll(&fd, 1, 0) == 1 && fd.revents & POLLHUP;
}

void bf_console_pty_check(struct belfry_vm *vm)
{
	struct bf_console_pty *pty = &vm->console.pty;

	bf_vm_lock(vm);
	if (pty->path && pty->slave >= 0 && has_hung_up(vm->console.fd))
		slave_take(vm, true);
	bf_vm_unlock(vm);
}

bool bf_console_pty_wait(struct belfry_vm *vm)
{
	struct pollfd fds[] = {
		{ .fd = vm->console.fd, .events = POLLOUT },
		{ .fd = vm->end_fd, .events = POLLIN },
	};
	bool alone, held;

	if (poll(fds, 1, 0) == 1 && fds[0].revents == POLLOUT)
		return true;
	slave_let_go(vm);
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	alone = fds[0].revents & POLLHUP;
	bf_vm_lock(vm);
	slave_take(vm, alone);
	held = vm->console.pty.slave >= 0;
	bf_vm_unlock(vm);
	return alone ? held : fds[0].revents & POLLOUT;
}

/* Put the symbolic link in place, also of one that was left behind: of no other. */
static int pty_publish(const char *path, const char *name, struct belfry_error *err)
{
	char there[NAME_BYTES] = "";
	struct stat st;

	if (lstat(path, &st) == 0) {
		if (readlink(path, there, sizeof(there) - 1) < 0 ||
		    strncmp(there, PTS, strlen(PTS)) != 0)
			return bf_err(err, EEXIST,
				      "console_pty %s: is there, and no link to a "
				      "pseudo-terminal",
				      path);
		unlink(path);
	}
	if (symlink(name, path) < 0)
		return bf_err_sys(err, errno, "console_pty %s", path);
	return 0;
}

/* The master. Return: it (returns); -1, with errno set. */
static int master_open(void)
{
	BF_CLOSE int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
		return -1;
	return bf_take(&fd);
}

int bf_console_pty_init(struct belfry_vm *vm, const char *path, struct belfry_error *err)
{
	struct bf_console_pty *pty = &vm->console.pty;
	char name[NAME_BYTES];
	int e;

	vm->console.fd = master_open();
	if (vm->console.fd < 0)
		return bf_err_sys(err, errno, "console_pty: pseudo-terminal");
	pty->slave = slave_open(vm->console.fd);
	if (pty->slave < 0 || ptsname_r(vm->console.fd, name, sizeof(name)) != 0)
		return bf_err_sys(err, errno, "console_pty: its other side");
	slave_set_raw(pty->slave);
	e = pty_publish(path, name, err);
	if (e < 0)
		return e;
	pty->path = strdup(path);
	if (!pty->path) {
		unlink(path);
		return bf_err_sys(err, ENOMEM, "console_pty");
	}
	bf_log(&vm->log, BELFRY_LOG_INFO, "console is %s, by way of %s", name, path);
	return 0;
}

/* The link goes, unless it is somebody else's by now. */
void bf_console_pty_fini(struct belfry_vm *vm)
{
	struct bf_console_pty *pty = &vm->console.pty;
	char name[NAME_BYTES], there[NAME_BYTES] = "";

	if (pty->path && ptsname_r(vm->console.fd, name, sizeof(name)) == 0 &&
	    readlink(pty->path, there, sizeof(there) - 1) > 0 && !strcmp(name, there))
		unlink(pty->path);
	free(pty->path);
	bf_close(&pty->slave);
}
