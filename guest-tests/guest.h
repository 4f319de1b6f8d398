/* SPDX-License-Identifier: MIT */
/* guest-tests/guest.h - what a guest program may call; everything else is in lib/
 *
 * A guest program is guest_main() and nothing below it: no firmware, no operating system.
 * It runs on the first vCPU in ring 3 with interrupts on and all memory mapped one to
 * one, and it may touch any address. What only ring 0 may do (port I/O, HLT, MSRs) goes
 * through ring0(). Ring 3 is where programs live because it runs at full speed also on a
 * KVM that has to emulate ring 0.
 *
 * Interrupts do one thing: they add 1 to irq_count[vector]. Programs watch the counters.
 * One of them, IRQ_HOOKED, can do more: irq_hook().
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-tests/lib/irq_vectors.h" /* IRQ_FIRST to IRQ_LAST are for programs */

void guest_main(void); /* the program supplies it; to return is to end with status 0 */

/* ---- the end ---- */

_Noreturn void guest_end(unsigned int status);     /* by whatever way the VMM offers */
_Noreturn void guest_fail(const char *format, ...) /* print a line, end with status 1 */
	__attribute__((format(printf, 1, 2)));

/* The single ways; each returns if it did not work. */
void end_by_debug_exit(unsigned int status);
void end_by_acpi_sleep(void);
void end_by_acpi_reset(void);
void end_by_i8042_reset(void);
void end_by_triple_fault(void);

/* ---- console (COM1) and command line ---- */

/* %c %s %d %u %x with l, a width, - and 0; a line of up to 255 characters */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

const char *cmdline(void);                               /* as the VMM handed it over */
const char *arg(const char *key);                        /* "b" for key=b, or NULL */
bool arg_is(const char *key, const char *value);         /* key=value is there */
uint64_t arg_u64(const char *key, uint64_t otherwise);   /* 20, 0x14, 64k, 16M, 1G */
uint64_t parse_u64(const char *text, const char **rest); /* the same, from any text */

/* The structure that the VMM left: struct hvm_start_info or struct boot_params. */
extern const void *boot_info;

/* ---- checks, in the Test Anything Protocol ---- */

/* Each prints "ok N - sentence" or "not ok N - sentence". They return what they found. */
bool check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool check_eq(uint64_t got, uint64_t want, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void check_end(void); /* prints the plan; status 0 if all held, else 1 */

/* ---- time ---- */

static inline uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

uint64_t tsc_khz(void); /* as KVM states it */
uint64_t tsc_to_ns(uint64_t ticks);
void sleep_us(uint64_t us); /* spinning */

/* ---- interrupts ---- */

extern volatile uint64_t irq_count[IRQ_VECTORS];

void irq_on(void);      /* switch the local APIC on; once, before any interrupt */
uint32_t apic_id(void); /* of the vCPU that asks */
void ioapic_route(unsigned int pin, uint8_t vector);       /* edge, to the first vCPU */
void ioapic_route_level(unsigned int pin, uint8_t vector); /* as PCI's INTx has it */
void ioapic_mask(unsigned int pin);

/*
 * Have each interrupt IRQ_HOOKED call @hook, in ring 0 before its EOI: a line that is
 * level-triggered interrupts again at once unless somebody lowers it there. Keep it
 * short.
 */
void irq_hook(void (*hook)(void));

/* Wait for a counter to leave @seen. There is no limit but the watchdog's. */
static inline void spin_while(volatile uint64_t *counter, uint64_t seen)
{
	while (*counter == seen)
		;
}
void halt_while(volatile uint64_t *counter, uint64_t seen);

/* Spin until the counter is at least @want; false if that takes longer than @ms. */
bool wait_until(volatile uint64_t *counter, uint64_t want, unsigned int ms);

/* End the guest with "time limit: @waiting_for" in @seconds from now; 0 calls it off. */
void watchdog(unsigned int seconds, const char *waiting_for);

/* ---- memory ---- */

/* Make @size bytes at @gpa usable. All below 4 GiB already are. */
volatile void *map(uint64_t gpa, uint64_t size);

/* One access of 1, 2, 4 or 8 bytes, aligned or not */
uint64_t read_width(const volatile void *at, unsigned int width);
void write_width(volatile void *at, unsigned int width, uint64_t value);

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *at, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
bool str_eq(const char *a, const char *b);
uint32_t posix_cksum(const uint8_t *data, uint64_t size); /* as cksum(1) prints it */

/* ---- ring 0 ---- */

/* Run @fn in ring 0 with interrupts off. Keep it short: ring 0 may be emulated. */
typedef uint64_t ring0_fn(uint64_t a, uint64_t b, uint64_t c);
uint64_t ring0(ring0_fn *fn, uint64_t a, uint64_t b, uint64_t c);

/* The single instructions, from ring 3 */
uint32_t port_in(uint16_t port, unsigned int bytes);
void port_out(uint16_t port, uint32_t value, unsigned int bytes);
uint64_t msr_read(uint32_t msr);
void msr_write(uint32_t msr, uint64_t value);

struct cpuid {
	uint32_t a, b, c, d;
};
struct cpuid cpuid(uint32_t leaf, uint32_t subleaf);

#endif
