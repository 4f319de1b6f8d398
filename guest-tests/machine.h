/* SPDX-License-Identifier: MIT */
/* guest-tests/machine.h - the parts of the machine test that have files of their own */
#ifndef GUEST_MACHINE_H
#define GUEST_MACHINE_H

#include <stddef.h>
#include <stdint.h>

void serial_interrupts(void);
void pit_interrupts(void);

#endif
