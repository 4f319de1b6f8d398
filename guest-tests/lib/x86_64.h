/* SPDX-License-Identifier: MIT */
/*
 * guest-tests/lib/x86_64.h - the layout that assembler and C share, ring-0 instructions
 */
#ifndef GUEST_X86_64_H
#define GUEST_X86_64_H

/* Segments, in the places where other 64-bit kernels have them */
#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER_DS   0x2b
#define USER_CS   0x33
#define TSS_SEL   0x40
#define GDT_SIZE  0x50

#define CR0_PE   0x1
#define CR0_PG   0x80000000
#define CR4_PAE  0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

#define PTE_PRESENT  0x1
#define PTE_WRITE    0x2
#define PTE_USER     0x4
#define PTE_ACCESSED 0x20
#define PTE_DIRTY    0x40
#define PTE_LARGE    0x80
#define PTE_TABLE    (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define PTE_PAGE     (PTE_TABLE | PTE_DIRTY | PTE_LARGE)

/*
 * Each exception's entry code starts this many bytes after the one before; so do IRQs'.
 */
#define TRAP_STRIDE 16
#define IRQ_STRIDE  32

#define APIC_BASE          0xfee00000
#define APIC_ID            0x020
#define APIC_VERSION       0x030
#define APIC_EOI           0x0b0
#define APIC_SPURIOUS      0x0f0
#define APIC_ISR           0x100
#define APIC_ICR_LOW       0x300
#define APIC_ICR_HIGH      0x310
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_LINT0     0x350
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_DIVIDE  0x3e0

#define APIC_ENABLE     0x100
#define APIC_LVT_MASKED 0x10000
#define APIC_ICR_SELF   0x40000

#define IOAPIC_BASE 0xfec00000

#define COM1 0x3f8

#ifndef __ASSEMBLER__
#include <stdint.h>

/* For ring 0 only: from ring 3 these fault, and port_in() and the like are for you. */
static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline volatile uint32_t *apic_reg(uint32_t reg)
{
	return (volatile uint32_t *)(uint64_t)(APIC_BASE + reg);
}

/* What the CPU and traps_x86_64.S have pushed when an exception reaches guest_trap(). */
struct trap_frame {
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};
#endif

#endif
