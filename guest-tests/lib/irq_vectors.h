/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/irq_vectors.h - who has which interrupt vector, for C and assembler */
#ifndef GUEST_IRQ_VECTORS_H
#define GUEST_IRQ_VECTORS_H

#define IRQ_VECTORS  128  /* 0..31 are exceptions, which end the guest with a report */
#define IRQ_FIRST    0x20 /* free for programs from here ... */
#define IRQ_LAST     0x7c /* ... to here */
#define IRQ_HOOKED   0x7d /* the one that irq_hook() is about */
#define IRQ_WATCHDOG 0x7e
#define IRQ_SPURIOUS 0x7f

#endif
