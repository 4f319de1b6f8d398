/* SPDX-License-Identifier: MIT */
/* ivshmem/wire.h - one message of the ivshmem protocol and its descriptor */
#ifndef BF_IVSHMEM_WIRE_H
#define BF_IVSHMEM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define BF_WIRE_VERSION 0    /* the protocol's; the value of the first message */
#define BF_WIRE_MEMORY  (-1) /* the value that comes with the shared memory */

#define BF_WIRE_SIZE    8 /* bytes of a message: an int64_t, little-endian */
#define BF_WIRE_FDS_MAX 4 /* descriptors taken in at a time; one would be right */

struct bf_wire_msg {
	int64_t value;
	int fd;               /* -1: came without */
	unsigned int surplus; /* further descriptors, already closed */
	bool lost;            /* one was sent, but this process could not take it in */
};

/* The receiving side: what has come of the message under way. */
struct bf_wire_rx {
	struct bf_wire_msg msg;
	uint8_t bytes[BF_WIRE_SIZE];
	unsigned int have; /* of bytes */

	/* What the recvmsg(2) under way fills. */
	uint8_t in[BF_WIRE_SIZE];
	struct iovec iov;
	struct msghdr hdr;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * BF_WIRE_FDS_MAX)];
};

void bf_wire_rx_init(struct bf_wire_rx *rx);

/* Close the descriptor of a message that is not complete. */
void bf_wire_rx_fini(struct bf_wire_rx *rx);

/*
 * What to hand to recvmsg(2), together with MSG_CMSG_CLOEXEC. It asks for no byte beyond
 * the message under way, so a descriptor that comes belongs to that message.
 */
struct msghdr *bf_wire_rx_hdr(struct bf_wire_rx *rx);

/*
 * recvmsg(2) has returned @n > 0 for bf_wire_rx_hdr().
 * Return: whether a message is complete: then *@msg is set, and its fd is the caller's.
 */
bool bf_wire_rx_done(struct bf_wire_rx *rx, size_t n, struct bf_wire_msg *msg);

/*
 * Its heart, which needs no socket: take in @n bytes, at most as many as are missing, and
 * @n_fds descriptors (takes). Return: as bf_wire_rx_done().
 */
bool bf_wire_rx_add(struct bf_wire_rx *rx, const void *bytes, size_t n, const int *fds,
		    size_t n_fds, struct bf_wire_msg *msg);

/* The sending side: what has gone of the message under way. */
struct bf_wire_tx {
	uint8_t bytes[BF_WIRE_SIZE];
	unsigned int sent; /* of bytes */
	int fd;            /* borrowed; -1: none */
	struct iovec iov;
	struct msghdr hdr;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
};

/* Start a message. @fd is borrowed until it is sent; -1: none. */
void bf_wire_tx_init(struct bf_wire_tx *tx, int64_t value, int fd);

/* What to hand to sendmsg(2), with MSG_NOSIGNAL: the rest of the message. */
struct msghdr *bf_wire_tx_hdr(struct bf_wire_tx *tx);

/* sendmsg(2) has returned @n > 0. Return: whether the message is complete. */
bool bf_wire_tx_done(struct bf_wire_tx *tx, size_t n);

#endif
