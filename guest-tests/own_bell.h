/* SPDX-License-Identifier: MIT */
/* guest-tests/own_bell.h - "does the device work?", for tests that try to break it */
#ifndef GUEST_OWN_BELL_H
#define GUEST_OWN_BELL_H

#include "guest-tests/ivshmem.h"

/* Have vector 0 interrupt this vCPU; without MSI-X, any vector, by INTx. */
void own_bell_open(struct ivshmem *iv);

/* Whether the registers at @regs answer and a ring there is one interrupt. */
bool own_bell_works(volatile uint32_t *regs, uint32_t id);

/* How many interrupts a ring there brings, whoever answers. */
uint64_t own_bell_try(volatile uint32_t *regs, uint32_t id);

/* The same two for a store of @value at @at, which may be a place in a doorbell window.
 */
bool own_bell_rings(volatile uint32_t *at, uint32_t value);
uint64_t own_bell_count(volatile uint32_t *at, uint32_t value);

/* How many interrupts there have been; whether one more comes. */
uint64_t own_bell_heard(void);
bool own_bell_comes(uint64_t heard);

#endif
