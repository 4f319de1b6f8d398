/* SPDX-License-Identifier: MIT */
/* tests/unit/fake_loop.c - a loop that nothing ever completes on: base/loop.h for devices
 */
#include "base/loop.h"

void bf_loop_poll(struct bf_loop *loop, struct bf_op *op, int fd, unsigned int events)
{
	op->armed = true;
}

void bf_loop_cancel(struct bf_loop *loop, struct bf_op *op)
{
	op->armed = false;
}
