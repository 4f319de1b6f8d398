/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/ring0.c - single privileged instructions, for programs in ring 3 */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"

static uint64_t do_port_in(uint64_t port, uint64_t bytes, uint64_t unused)
{
	uint32_t value = 0;

	(void)unused;
	if (bytes == 1)
		__asm__ volatile("inb %w1, %b0" : "+a"(value) : "Nd"((uint16_t)port));
	else if (bytes == 2)
		__asm__ volatile("inw %w1, %w0" : "+a"(value) : "Nd"((uint16_t)port));
	else
		__asm__ volatile("inl %w1, %0" : "+a"(value) : "Nd"((uint16_t)port));
	return value;
}

static uint64_t do_port_out(uint64_t port, uint64_t value, uint64_t bytes)
{
	if (bytes == 1)
		__asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"((uint16_t)port));
	else if (bytes == 2)
		__asm__ volatile("outw %w0, %w1" : : "a"(value), "Nd"((uint16_t)port));
	else
		__asm__ volatile("outl %k0, %w1" : : "a"(value), "Nd"((uint16_t)port));
	return 0;
}

static uint64_t do_msr_read(uint64_t msr, uint64_t b, uint64_t c)
{
	uint32_t low, high;

	(void)b, (void)c;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"((uint32_t)msr));
	return (uint64_t)high << 32 | low;
}

static uint64_t do_msr_write(uint64_t msr, uint64_t value, uint64_t unused)
{
	(void)unused;
	__asm__ volatile("wrmsr"
			 :
			 : "c"((uint32_t)msr), "a"((uint32_t)value),
			   "d"((uint32_t)(value >> 32))
			 : "memory");
	return 0;
}

static uint64_t do_cpuid(uint64_t leaf, uint64_t subleaf, uint64_t result)
{
	struct cpuid *r = (struct cpuid *)result;

	__asm__ volatile("cpuid"
			 : "=a"(r->a), "=b"(r->b), "=c"(r->c), "=d"(r->d)
			 : "a"((uint32_t)leaf), "c"((uint32_t)subleaf));
	return 0;
}

static uint64_t do_halt(uint64_t counter, uint64_t seen, uint64_t unused)
{
	(void)unused;
	while (*(volatile uint64_t *)counter == seen)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	return 0;
}

uint32_t port_in(uint16_t port, unsigned int bytes)
{
	return ring0(do_port_in, port, bytes, 0);
}

void port_out(uint16_t port, uint32_t value, unsigned int bytes)
{
	ring0(do_port_out, port, value, bytes);
}

uint64_t msr_read(uint32_t msr)
{
	return ring0(do_msr_read, msr, 0, 0);
}

void msr_write(uint32_t msr, uint64_t value)
{
	ring0(do_msr_write, msr, value, 0);
}

struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid result;

	ring0(do_cpuid, leaf, subleaf, (uint64_t)&result);
	return result;
}

void halt_while(volatile uint64_t *counter, uint64_t seen)
{
	ring0(do_halt, (uint64_t)counter, seen, 0);
}
