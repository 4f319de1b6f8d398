/* SPDX-License-Identifier: MIT */
/* devices/ivshmem.h - the ivshmem device */
#ifndef BF_DEV_IVSHMEM_H
#define BF_DEV_IVSHMEM_H

struct bf_device_ops;

extern const struct bf_device_ops bf_ivshmem_ops;

#endif
