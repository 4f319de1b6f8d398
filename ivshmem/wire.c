/* SPDX-License-Identifier: MIT */
/*
 * ivshmem/wire.c - one message of the ivshmem protocol and its descriptor
 *
 * Theory of operation
 *
 * A message is eight bytes on a stream socket, an int64_t in little-endian order, with
 * at most one descriptor in an SCM_RIGHTS control message. The stream keeps no borders
 * between messages, but a descriptor stays with the first byte that was sent along with
 * it, and recvmsg(2) never joins the descriptors of two sendmsg(2) calls. So the
 * receiver asks for the missing bytes of one message at a time: whatever descriptor
 * comes is that message's, however the bytes are split.
 *
 * More descriptors than one are closed on the spot and counted. A descriptor can also be
 * lost on the way in, because the process has no number left for it; the kernel says so
 * with MSG_CTRUNC. That is not the sender's fault, and the message still counts: the
 * reader is told, and decides.
 *
 * A sender continues a message that was cut short without the descriptor, which went
 * with the first byte.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/own.h"
#include "ivshmem/wire.h"

/* The receiver's buffer has no padding in which one descriptor more would fit. */
_Static_assert(CMSG_SPACE(sizeof(int) * BF_WIRE_FDS_MAX) ==
		       CMSG_LEN(sizeof(int) * BF_WIRE_FDS_MAX),
	       "BF_WIRE_FDS_MAX must be even");

static const struct bf_wire_msg nothing = { .fd = -1 };

void bf_wire_rx_init(struct bf_wire_rx *rx)
{
	*rx = (struct bf_wire_rx){ .msg = nothing };
}

void bf_wire_rx_fini(struct bf_wire_rx *rx)
{
	bf_close(&rx->msg.fd);
}

struct msghdr *bf_wire_rx_hdr(struct bf_wire_rx *rx)
{
	rx->iov.iov_base = rx->in;
	rx->iov.iov_len = BF_WIRE_SIZE - rx->have;
	rx->hdr = (struct msghdr){
		.msg_iov = &rx->iov,
		.msg_iovlen = 1,
		.msg_control = rx->control,
		.msg_controllen = sizeof(rx->control),
	};
	return &rx->hdr;
}

/* Copy out the descriptors that recvmsg(2) has put into @hdr. Return: how many. */
static size_t received_fds(struct msghdr *hdr, int fds[BF_WIRE_FDS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t len = CMSG_LEN(0); len + sizeof(int) <= c->cmsg_len;
		     len += sizeof(int)) {
			assert(n < BF_WIRE_FDS_MAX); /* the buffer holds no more */
			memcpy(&fds[n++], (char *)c + len, sizeof(int));
		}
	}
	return n;
}

bool bf_wire_rx_done(struct bf_wire_rx *rx, size_t n, struct bf_wire_msg *msg)
{
	int fds[BF_WIRE_FDS_MAX];
	size_t n_fds = received_fds(&rx->hdr, fds);

	if (rx->hdr.msg_flags & MSG_CTRUNC) {
		if (rx->msg.fd < 0 && n_fds == 0)
			rx->msg.lost = true;
		else
			rx->msg.surplus++;
	}
	return bf_wire_rx_add(rx, rx->in, n, fds, n_fds, msg);
}

bool bf_wire_rx_add(struct bf_wire_rx *rx, const void *bytes, size_t n, const int *fds,
		    size_t n_fds, struct bf_wire_msg *msg)
{
	int64_t value;

	assert(n <= BF_WIRE_SIZE - rx->have);
	for (size_t i = 0; i < n_fds; i++) {
		if (rx->msg.fd < 0 && !rx->msg.lost) {
			rx->msg.fd = fds[i];
			continue;
		}
		close(fds[i]);
		rx->msg.surplus++;
	}

	memcpy(rx->bytes + rx->have, bytes, n);
	rx->have += n;
	if (rx->have < BF_WIRE_SIZE)
		return false;

	memcpy(&value, rx->bytes, sizeof(value));
	*msg = rx->msg;
	msg->value = (int64_t)le64toh((uint64_t)value);
	rx->msg = nothing;
	rx->have = 0;
	return true;
}

void bf_wire_tx_init(struct bf_wire_tx *tx, int64_t value, int fd)
{
	uint64_t wire = htole64((uint64_t)value);

	memcpy(tx->bytes, &wire, sizeof(wire));
	tx->sent = 0;
	tx->fd = fd;
}

struct msghdr *bf_wire_tx_hdr(struct bf_wire_tx *tx)
{
	struct cmsghdr *c;

	tx->iov.iov_base = tx->bytes + tx->sent;
	tx->iov.iov_len = BF_WIRE_SIZE - tx->sent;
	tx->hdr = (struct msghdr){ .msg_iov = &tx->iov, .msg_iovlen = 1 };
	if (tx->fd >= 0 && tx->sent == 0) {
		tx->hdr.msg_control = tx->control;
		tx->hdr.msg_controllen = sizeof(tx->control);
		c = CMSG_FIRSTHDR(&tx->hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &tx->fd, sizeof(int));
	}
	return &tx->hdr;
}

bool bf_wire_tx_done(struct bf_wire_tx *tx, size_t n)
{
	assert(n <= BF_WIRE_SIZE - tx->sent);
	tx->sent += n;
	return tx->sent == BF_WIRE_SIZE;
}
