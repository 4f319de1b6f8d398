/* SPDX-License-Identifier: MIT */
/* tests/peers/fake_server.c - saying right and wrong things to a peer */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/own.h"
#include "tests/peers/fake_server.h"

#define MANY 16

static void send_bytes(int sock, int64_t value, size_t len, int fd, size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MANY)] = { 0 };
	struct iovec iov = { &value, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	assert_true(n <= MANY);
	if (n > 0) {
		hdr.msg_control = control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		for (size_t i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT), len);
}

void fake_send_many(int sock, int64_t value, int fd, size_t n)
{
	send_bytes(sock, value, sizeof(value), fd, n);
}

void fake_send(int sock, int64_t value, int fd)
{
	fake_send_many(sock, value, fd, fd >= 0);
}

void fake_send_part(int sock, int64_t value, size_t n, int fd)
{
	send_bytes(sock, value, n, fd, fd >= 0);
}

void fake_greet(int sock, uint16_t id, int memory)
{
	fake_send(sock, 0, -1);
	fake_send(sock, id, -1);
	fake_send(sock, -1, memory);
}

void fake_send_vectors(int sock, uint16_t id, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		BF_CLOSE int event = eventfd(0, EFD_CLOEXEC);

		fake_send(sock, id, event);
	}
}
