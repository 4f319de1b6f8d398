/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * guest/include/ivshmem_uapi.h: what belfry's Linux driver for ivshmem offers on
 * /dev/ivshmemN. ivshmem(4) explains it; guest/lib/ wraps it.
 *
 *	read(2)   4 bytes: how many interrupts this open file has seen (it wraps), once
 *		  there are more than the last read told. Needs a device with doorbells.
 *	poll(2)   POLLIN when read(2) would not wait; POLLHUP | POLLERR, and ENODEV from
 *		  all calls, when the driver has let go of the device.
 *	mmap(2)   MAP_SHARED, at IVSHMEM_MAP_OFFSET(region) and beyond.
 *	ioctl(2)  below; all of them take a pointer.
 */
#ifndef IVSHMEM_UAPI_H
#define IVSHMEM_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IVSHMEM_API_VERSION 1

#define IVSHMEM_IOC_MAGIC 0xbf

/* Regions for mmap(2): which one is in the offset's upper bits. */
#define IVSHMEM_REGION_MEMORY    0 /* the shared memory, write-back */
#define IVSHMEM_REGION_REGISTERS 1 /* the page with the doorbell register, uncached */
#define IVSHMEM_REGION_WINDOW    2 /* the doorbell window, uncached */

#define IVSHMEM_REGION_SHIFT       40
#define IVSHMEM_MAP_OFFSET(region) ((__u64)(region) << IVSHMEM_REGION_SHIFT)

/* The doorbell register: a 32-bit store of IVSHMEM_BELL(), little-endian. */
#define IVSHMEM_REGISTER_DOORBELL  0x0c
#define IVSHMEM_BELL(peer, vector) ((__u32)(peer) << 16 | (vector))

/* In the window, a 32-bit store of anything, at this offset, for vector < 1 << bits. */
#define IVSHMEM_WINDOW_PLACE(peer, vector, bits) \
	(((__u64)(peer) << (bits) | (vector)) << 2)

/* struct ivshmem_info, flags */
#define IVSHMEM_HAS_DOORBELL  (1 << 0) /* has interrupts, and may ring others */
#define IVSHMEM_MAP_REGISTERS (1 << 1) /* IVSHMEM_REGION_REGISTERS can be mapped */
#define IVSHMEM_MAP_WINDOW    (1 << 2) /* IVSHMEM_REGION_WINDOW can be mapped */
#define IVSHMEM_CACHED        (1 << 3) /* the memory is; not if firmware is against it */

/*
 * About the device. The caller sets @size to what it has room for; the driver fills as
 * much of that as it knows, and sets @size to what it knows.
 */
struct ivshmem_info {
	__u32 size;           /* in and out: bytes of this structure */
	__u32 api_version;    /* IVSHMEM_API_VERSION */
	__u32 flags;          /* IVSHMEM_HAS_, IVSHMEM_MAP_ */
	__u32 id;             /* what peers ring this device by, 0 to 65535; plain: 0 */
	__u32 vectors;        /* those that interrupt: 0 to vectors - 1; plain: 0 */
	__u32 device_vectors; /* what the device offers; more, if Linux ran out of them */
	__u32 window_bits;    /* of the offset in the window are the vector's */
	__u32 reserved;
	__u64 memory_size; /* bytes of the regions; 0: it cannot be mapped */
	__u64 registers_size;
	__u64 window_size;
};

/* Whom to ring. Peers that are not there are ignored, as the device does. */
struct ivshmem_ring {
	__u32 peer;   /* 0 to 65535 */
	__u32 vector; /* 0 to 65535 */
};

/* What an open file counts for read(2) and poll(2): first to first + count - 1. */
struct ivshmem_watch {
	__u32 first;
	__u32 count; /* 0: none */
};

/* An eventfd to be signalled at each interrupt of a vector. */
struct ivshmem_bind {
	__u32 vector;
	__s32 fd; /* -1: undo it */
};

/*
 * Errors of all: ENODEV, the driver has let go of the device; EFAULT, a bad pointer;
 * ENOTTY, an ioctl that this driver does not know. All but INFO: EOPNOTSUPP, a plain
 * device, which has no doorbells.
 *
 * INFO	  EINVAL: size is below that of version 1
 * RING	  EBADF: the file is not open for writing; EINVAL: peer or vector above 65535
 * WATCH  EINVAL: a vector that the device does not have
 * BIND	  EINVAL: such a vector, or fd is no eventfd; EBADF: fd is not open; ENOENT: fd
 *	  is -1 and nothing was bound; ENOMEM. One eventfd for each vector and open file:
 *	  another takes its place. All are undone when the file is closed.
 */
#define IVSHMEM_IOC_INFO  _IO(IVSHMEM_IOC_MAGIC, 0)
#define IVSHMEM_IOC_RING  _IOW(IVSHMEM_IOC_MAGIC, 1, struct ivshmem_ring)
#define IVSHMEM_IOC_WATCH _IOW(IVSHMEM_IOC_MAGIC, 2, struct ivshmem_watch)
#define IVSHMEM_IOC_BIND  _IOW(IVSHMEM_IOC_MAGIC, 3, struct ivshmem_bind)

#endif
