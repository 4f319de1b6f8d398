/* SPDX-License-Identifier: MIT */
/* tests/peers/fake_server.c - saying right and wrong things to a peer */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/own.h"
#include "tests/peers/fake_server.h"

#define MANY 16

int fake_connect(int *peer)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*peer = pair[1];
	return pair[0];
}

struct part {
	struct iovec iov;
	struct msghdr hdr;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MANY)];
};

static void part_init(struct part *p, int64_t *value, size_t len, int fd, size_t n)
{
	struct cmsghdr *c;

	*p = (struct part){ .iov = { value, len } };
	p->hdr = (struct msghdr){ .msg_iov = &p->iov, .msg_iovlen = 1 };
	if (n == 0)
		return;
	p->hdr.msg_control = p->control;
	p->hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	c = CMSG_FIRSTHDR(&p->hdr);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
}

static void send_bytes(int sock, int64_t value, size_t len, int fd, size_t n)
{
	struct part p;

	assert_true(n <= MANY);
	part_init(&p, &value, len, fd, n);
	assert_int_equal(sendmsg(sock, &p.hdr, MSG_NOSIGNAL | MSG_DONTWAIT), len);
}

bool fake_send_wait(int sock, int64_t value, int fd)
{
	struct part p;
	ssize_t n;

	part_init(&p, &value, sizeof(value), fd, fd >= 0);
	/* ETOOMANYREFS: too many descriptors are under way for who is not root. */
	while ((n = sendmsg(sock, &p.hdr, MSG_NOSIGNAL)) < 0 && errno == ETOOMANYREFS)
		usleep(1000);
	return n == sizeof(value);
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
