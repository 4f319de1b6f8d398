/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/config_devices.c - the kinds of devices that the configuration's tests know
 */
#include <stdint.h>

#include "devices/devices.h"
#include "devices/ivshmem_conf.h"

struct bell {
	uint64_t tone;
};

static const struct bf_key bell_keys[] = {
	{ "tone", BF_UINT, offsetof(struct bell, tone), 20, 20000, BF_REQUIRED, "in Hz" },
	{ 0 },
};

static const struct bf_device_ops bell_ops = {
	.name = "bell",
	.help = "a device with a key that is required",
	.keys = bell_keys,
	.conf_size = sizeof(struct bell),
};

static const struct bf_device_ops ivshmem_ops = {
	.name = "ivshmem",
	.help = "memory shared with other VMs, and their doorbells",
	.keys = bf_ivshmem_keys,
	.conf_size = sizeof(struct bf_ivshmem_conf),
	.validate = bf_ivshmem_conf_validate,
	.applies = bf_ivshmem_conf_applies,
	.clash = bf_ivshmem_conf_clash,
};

const struct bf_device_ops *const bf_devices[] = { &ivshmem_ops, &bell_ops, NULL };
