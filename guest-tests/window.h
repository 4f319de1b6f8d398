/* SPDX-License-Identifier: MIT */
/* guest-tests/window.h - the doorbell window: an address for each peer and vector */
#ifndef GUEST_WINDOW_H
#define GUEST_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
	uint8_t cap; /* where its capability is */
	unsigned int bar;
	unsigned int bits; /* of the vector */
	uint64_t size;
	volatile uint8_t *base;
};

/* How many bits the numbers of @vectors vectors take, as they should. */
unsigned int window_bits(unsigned int vectors);

/* false: the device has none */
bool window_open(struct window *window, uint32_t dev);

/* A store there rings vector @vector of @peer. */
volatile uint32_t *window_place(const struct window *window, uint32_t peer,
				uint32_t vector);

#endif
