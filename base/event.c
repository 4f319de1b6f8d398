/* SPDX-License-Identifier: MIT */
/* base/event.c - eventfds that others share: never wait for them */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/event.h"

bool bf_event_take(int fd, uint64_t *count)
{
	uint64_t n;
	const struct iovec iov = { .iov_base = &n, .iov_len = sizeof(n) };

	if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) != sizeof(n))
		return false;
	if (count)
		*count = n;
	return true;
}

/* eventfds have no RWF_NOWAIT for writing: look first, and set the flag once more. */
void bf_event_add(int fd, uint64_t count)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	ssize_t n;
	int flags;

	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		return;
	flags = fcntl(fd, F_GETFL);
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	n = write(fd, &count, sizeof(count));
	(void)n;
}

/*
 * KVM can tell, but not before the guest's devices exist; /proc/self/fdinfo can, at a
 * price. So rule out the rest: an eventfd has no file type, like every anonymous inode,
 * and it can be written to, like very few of those. The write names a place that no
 * process has, so the kernel refuses it before the eventfd sees it. Even a write of 0
 * would not do: it makes a KVM_IRQFD at the other end fire.
 */
bool bf_event_is(int fd)
{
	const void *volatile nowhere = (void *)(UINTPTR_MAX - 4095);
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0 &&
	       write(fd, nowhere, sizeof(uint64_t)) < 0 && errno == EFAULT;
}
