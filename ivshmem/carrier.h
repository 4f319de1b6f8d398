/* SPDX-License-Identifier: MIT */
/* ivshmem/carrier.h - many descriptors in one */
#ifndef BF_IVSHMEM_CARRIER_H
#define BF_IVSHMEM_CARRIER_H

#include "base/err.h"

/*
 * Put descriptors (borrowed) into a carrier: a socket in whose queue they wait.
 * Return: it (returns); -ETOOMANYREFS when the kernel has too many under way already;
 * another negative errno.
 */
int bf_carrier_pack(const int *fds, unsigned int n, struct belfry_error *err);

/*
 * Take duplicates of all @n out of a carrier, which keeps its own: it may be unpacked
 * again. Return: 0; -EINVAL when it does not hold so many; -EMFILE.
 */
int bf_carrier_unpack(int carrier, int *fds, unsigned int n, struct belfry_error *err);

#endif
