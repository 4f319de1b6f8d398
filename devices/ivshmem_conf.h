/* SPDX-License-Identifier: MIT */
/* devices/ivshmem_conf.h - what a config file says about an ivshmem device */
#ifndef BF_IVSHMEM_CONF_H
#define BF_IVSHMEM_CONF_H

#include <stdbool.h>

#include "base/schema.h"

/* Exactly one of the first four is given. */
struct bf_ivshmem_conf {
	struct bf_file link;   /* a link of the same file; joined: its descriptor */
	struct bf_file socket; /* an ivshmem server; or a connected descriptor */
	struct bf_file shm;    /* POSIX shared memory; or its descriptor */
	struct bf_file file;   /* a file, hugetlbfs included; or its descriptor */
	uint64_t size;         /* bytes, of shm and file; 0: not given */
	uint64_t vectors;      /* MSI-X vectors, of link and socket; 0: not given */
	uint64_t doorbells;    /* enum bf_bells_policy */
	uint64_t doorbells_max;
	bool doorbell_window;
	bool by_hand; /* shm and file: the embedder hands over the doorbells */
	uint64_t id;  /* by_hand: our own */

	uint64_t revision;  /* 0: with INTx, for old drivers */
	bool msi;           /* the next three: as in QEMU's old device */
	uint64_t ioeventfd; /* enum bf_ioeventfd */
	bool use64;
};

enum bf_ioeventfd {
	BF_IOEVENTFD_AUTO, /* with MSI-X */
	BF_IOEVENTFD_ON,
	BF_IOEVENTFD_OFF,
};

/* Whether KVM may ring doorbells at all. */
bool bf_ivshmem_conf_ioeventfd(const struct bf_ivshmem_conf *conf);

extern const struct bf_key bf_ivshmem_keys[];

/* The rules between keys. Return: 0; -EINVAL. */
int bf_ivshmem_conf_validate(const void *conf, struct belfry_error *err);

/* Is @key of any use with this source and revision? */
bool bf_ivshmem_conf_applies(const struct bf_key *key, const void *conf);

/* Do two devices of one VM name the same memory? Return: 0; -EINVAL when they do. */
int bf_ivshmem_conf_clash(const void *conf, const void *other, struct belfry_error *err);

#endif
