/* SPDX-License-Identifier: MIT */
/*
 * base/event.h - eventfds that others share: never wait for them
 *
 * O_NONBLOCK belongs to the open file, so any peer that holds an eventfd of ours can
 * clear it, and fill the counter. A read or write that then waited would do so for ever,
 * maybe with a lock held.
 */
#ifndef BF_EVENT_H
#define BF_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* Take what @fd counts. Return: whether it counted anything; *@count may be NULL. */
bool bf_event_take(int fd, uint64_t *count);

/* Add @count to @fd. A counter that is full stays as it is: rings coalesce. */
void bf_event_add(int fd, uint64_t count);

/* Whether @fd is an eventfd. It is not rung by that. */
bool bf_event_is(int fd);

#endif
