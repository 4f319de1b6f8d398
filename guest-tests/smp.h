/* SPDX-License-Identifier: MIT */
/* guest-tests/smp.h - the other vCPUs: starting them and waking them */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include <stdint.h>

#define SMP_MAX 256 /* xAPIC has 8-bit IDs */

/* What a vCPU that has come up tells of itself; then it halts, and counts wake-ups. */
struct smp_cpu {
	uint32_t apic_id;      /* by its local APIC */
	uint32_t cpuid_1_id;   /* by CPUID 1 */
	uint32_t cpuid_0xb_id; /* by CPUID 0xb, ~0 if there is none */
	uint32_t up;
	uint64_t woken;
};

extern volatile struct smp_cpu smp_cpus[SMP_MAX]; /* in the order they came */
extern volatile uint64_t smp_arrived;

/* Start all others by INIT and SIPI; wait until @count have come, or @ms have passed. */
void smp_start(unsigned int count, unsigned int ms);

void smp_send_irq(uint32_t to_apic, uint8_t vector);
void smp_restart(uint32_t apic); /* INIT and SIPI to one: it arrives once more */

#endif
