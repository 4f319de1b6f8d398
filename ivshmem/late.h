/* SPDX-License-Identifier: MIT */
/* ivshmem/late.h - rings at eventfds that once were ours, passed on to those that are */
#ifndef BF_IVSHMEM_LATE_H
#define BF_IVSHMEM_LATE_H

#include "base/loop.h"

struct bf_late_vector;

struct bf_late {
	struct bf_loop *loop;
	unsigned int n;                 /* vectors */
	struct bf_late_vector *vectors; /* NULL until one is kept */
	int epoll;                      /* the old eventfds; -1: nobody listens yet */
	struct bf_op op;                /* a poll of epoll */
};

/* For vectors 0 to @n - 1. @loop must outlive it. */
void bf_late_init(struct bf_late *late, struct bf_loop *loop, unsigned int n);
void bf_late_fini(struct bf_late *late); /* close what is kept */

/*
 * @fd (takes) has been the eventfd of @vector. One that was kept of it before is closed,
 * its rings go to @fd.
 * Return: 0; -ENOMEM: @fd is closed, and the rings that wait there are lost.
 */
int bf_late_keep(struct bf_late *late, unsigned int vector, int fd);

/*
 * @fd (borrowed until bf_late_keep() takes it) is the eventfd of @vector now. The rings
 * that wait in the one kept go there, and so will all later ones.
 */
void bf_late_pass_to(struct bf_late *late, unsigned int vector, int fd);

#endif
