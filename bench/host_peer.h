/* SPDX-License-Identifier: MIT */
/* bench/host_peer.h - a process of the host on the link: rings back whoever rings */
#ifndef BENCH_HOST_PEER_H
#define BENCH_HOST_PEER_H

#include <stdint.h>

#include <belfry.h>

/*
 * Join by @sock (takes), and ring vector 0 of @guest for each ring of our own, on a
 * thread that sleeps until then. It ends with the process.
 * Return: 0; a negative errno.
 */
int host_peer_start(int sock, uint32_t guest, int cpu, struct belfry_error *err);

#endif
