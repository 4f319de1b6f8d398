/* SPDX-License-Identifier: MIT */
/* devices/devices.c - the table of devices that a config file may name */
#include <stddef.h>

#include "devices/devices.h"
#include "devices/ivshmem.h"

const struct bf_device_ops *const bf_devices[] = {
	&bf_ivshmem_ops,
	NULL,
};
