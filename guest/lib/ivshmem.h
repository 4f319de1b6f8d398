/* SPDX-License-Identifier: MIT */
/*
 * guest/lib/ivshmem.h - use an ivshmem device from a process in a Linux guest
 *
 *	ivshmem_open -> ivshmem_memory, ivshmem_ring, ivshmem_wait -> ivshmem_close
 *
 * It needs belfry's driver (guest/module/, ivshmem(4)), and nothing else: copy this file,
 * ivshmem.c and ivshmem_uapi.h into your program.
 *
 * Errors. A call that can fail returns 0 or a negative errno. ENODEV from any of them
 * means that the driver has let go of the device. Touching what was mapped is SIGBUS
 * then, which ringing through a mapped doorbell does, too.
 *
 * Threads. Any thread may ring at any time. Other calls on one handle: one at a
 * time. Open the device again to wait in several threads; each handle sees every
 * interrupt that it watches. No global state, no signals, no threads.
 *
 * Memory order. What has been stored in the shared memory before ivshmem_ring() is
 * seen by the peer when ivshmem_wait() has returned there.
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <stdint.h>

#include "ivshmem_uapi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A time limit that never passes. */
#define IVSHMEM_FOREVER (-1)

/* An open device. */
struct ivshmem;

/**
 * ivshmem_open - open a device and map what it has
 * @path: its node, such as "/dev/ivshmem0", which has to be readable and writable
 * @out:  set to the handle (returns: ivshmem_close())
 *
 * The shared memory is mapped as a whole; a page costs something when it is touched
 * first. The handle's descriptor is close-on-exec.
 *
 * Return: 0; -ENOENT, -EACCES, ... as open(2); -ENODEV when the device is gone; -ENOTTY,
 * -EPROTO when @path is something else, or a driver of another version; -ENOMEM.
 */
int ivshmem_open(const char *path, struct ivshmem **out);

/** ivshmem_close - unmap and close; takes the handle, NULL is fine */
void ivshmem_close(struct ivshmem *iv);

/**
 * ivshmem_info - what the device is, as it was when it was opened
 *
 * Return: ID, vectors, sizes; see ivshmem_uapi.h. Valid until ivshmem_close().
 */
const struct ivshmem_info *ivshmem_info(const struct ivshmem *iv);

/**
 * ivshmem_memory - the shared memory, info->memory_size bytes, cached
 *
 * Whatever is in there a peer may change at any time: copy it, then look at the copy.
 *
 * Return: where it is mapped, until ivshmem_close().
 */
void *ivshmem_memory(const struct ivshmem *iv);

/**
 * ivshmem_ring - interrupt a peer
 * @peer:   its ID, 0 to 65535; the own one is allowed
 * @vector: which of its vectors, 0 to 65535
 *
 * A store to the doorbell window or the doorbell register where they can be mapped, a
 * system call elsewhere. A peer that is not there, or has no such vector, is no error.
 *
 * Return: 0; -EINVAL for a number that is too large; -EOPNOTSUPP on a plain device;
 * -ENODEV.
 */
int ivshmem_ring(struct ivshmem *iv, uint32_t peer, uint32_t vector);

/**
 * ivshmem_wait - wait for interrupts of the watched vectors
 * @timeout_ns: how long, in nanoseconds; 0 only looks, IVSHMEM_FOREVER has no limit
 *
 * Interrupts since the last call count as well, so none is missed; several may be one.
 *
 * Return: 0; -ETIMEDOUT; -EINTR for a signal; -EOPNOTSUPP on a plain device; -ENODEV.
 */
int ivshmem_wait(struct ivshmem *iv, int64_t timeout_ns);

/**
 * ivshmem_fd - a descriptor for poll(2), epoll(7) or io_uring
 *
 * It is readable when ivshmem_wait() would return at once; call that with 0 to make it
 * unreadable again. POLLHUP: the device is gone. Non-blocking.
 *
 * Return: the descriptor, which stays the handle's.
 */
int ivshmem_fd(const struct ivshmem *iv);

/**
 * ivshmem_watch - choose the vectors that ivshmem_wait() waits for; at first, all
 * @first: the first of them
 * @count: how many; 0 for none
 *
 * Return: 0; -EINVAL for a vector that the device does not have; -EOPNOTSUPP; -ENODEV.
 */
int ivshmem_watch(struct ivshmem *iv, uint32_t first, uint32_t count);

/**
 * ivshmem_bind - signal an eventfd at each interrupt of a vector
 * @vector:  which
 * @eventfd: an eventfd (borrowed: the kernel keeps a reference of its own); -1 for none
 *
 * There is one for each vector of a handle: another one takes its place. It does not
 * matter to ivshmem_wait(). An eventfd is also signalled when the device goes away.
 *
 * Return: 0; -EINVAL for a vector that the device does not have or a descriptor that is
 * no eventfd; -EBADF; -ENOENT when there was none to undo; -EOPNOTSUPP; -ENODEV; -ENOMEM.
 */
int ivshmem_bind(struct ivshmem *iv, uint32_t vector, int eventfd);

#ifdef __cplusplus
}
#endif
#endif
