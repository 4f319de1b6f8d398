/* SPDX-License-Identifier: MIT */
/* tests/peers/fake_server.h - saying right and wrong things to a peer */
#ifndef BF_TESTS_FAKE_SERVER_H
#define BF_TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection. Return: the server's end; the peer's is *@peer. */
int fake_connect(int *peer);

/* One message, with @fd unless that is -1 (borrows). */
void fake_send(int sock, int64_t value, int fd);

/*
 * The same, waiting until there is room, for a thread of its own. Return: whether it was
 * sent.
 */
bool fake_send_wait(int sock, int64_t value, int fd);

/* One message with @n copies of @fd, at most 16. */
void fake_send_many(int sock, int64_t value, int fd, size_t n);

/* The first @n bytes of a message, with @fd unless that is -1 (borrows). */
void fake_send_part(int sock, int64_t value, size_t n, int fd);

/* Version, ID and memory. */
void fake_greet(int sock, uint16_t id, int memory);

/* @n vectors of @id, a new eventfd each. */
void fake_send_vectors(int sock, uint16_t id, unsigned int n);

#endif
