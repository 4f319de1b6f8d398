/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/carrier.c - many descriptors in one
 *
 * A carrier is one end of a socketpair, whose other end has sent the descriptors and is
 * closed. They stay in its queue for as long as somebody holds it: a service manager, or
 * the program that follows this one by exec. A client with all its eventfds is thus one
 * descriptor to hand over. Unpacking only peeks, with an offset that the kernel moves on
 * (SO_PEEK_OFF), so that one who is killed while unpacking has taken nothing away.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/own.h"
#include "ivshmem/carrier.h"

#define AT_ONCE 253 /* descriptors of a message: SCM_MAX_FD of the kernel */

static int send_some(int sock, const int *fds, unsigned int n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * AT_ONCE)];
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);

	memset(control, 0, sizeof(control));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	return sendmsg(sock, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

int bf_carrier_pack(const int *fds, unsigned int n, struct belfry_error *err)
{
	BF_CLOSE int in = -1;
	BF_CLOSE int out = -1;
	unsigned int some;
	int ends[2];
	int r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return bf_err_sys(err, errno, "socketpair");
	in = ends[0];
	out = ends[1];
	for (unsigned int i = 0; i < n && r == 0; i += some) {
		some = n - i < AT_ONCE ? n - i : AT_ONCE;
		r = send_some(in, fds + i, some);
	}
	if (r < 0)
		return bf_err_sys(err, -r, "%u descriptors in a socket's queue", n);
	return bf_take(&out);
}

/* Return: how many have come, at most AT_ONCE; a negative errno. */
static int peek_some(int sock, int fds[AT_ONCE])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * AT_ONCE)];
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(sock, &hdr, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got == 1 ? CMSG_FIRSTHDR(&hdr) : NULL;
	size_t bytes;

	if (got < 0)
		return -errno;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = c->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(c), bytes);
	return bytes / sizeof(int);
}

static void close_some(const int *fds, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
}

int bf_carrier_unpack(int carrier, int *fds, unsigned int n, struct belfry_error *err)
{
	int some[AT_ONCE];
	unsigned int have = 0;
	int got, zero = 0;

	if (setsockopt(carrier, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)) < 0)
		return bf_err_sys(err, errno, "descriptor %d is no carrier", carrier);
	while (have < n) {
		got = peek_some(carrier, some);
		if (got <= 0 || (unsigned int)got > n - have) {
			close_some(some, got > 0 ? got : 0);
			close_some(fds, have);
			return bf_err(err, EINVAL, "a carrier of %u descriptors gives %u",
				      n, have);
		}
		memcpy(fds + have, some, got * sizeof(int));
		have += got;
	}
	return 0;
}
