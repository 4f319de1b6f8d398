/* SPDX-License-Identifier: MIT */
/* base/event.c - eventfds that others share: never wait for them */
#include <fcntl.h>
#include <poll.h>
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

	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		return;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = write(fd, &count, sizeof(count));
	(void)n;
}
