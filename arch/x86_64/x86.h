/* SPDX-License-Identifier: MIT */
/* arch/x86_64/x86.h - the PC's addresses, shared by the files of this folder */
#ifndef BF_X86_H
#define BF_X86_H

#include "arch/arch.h"

/*
 * RAM fills the space up to the hole, and goes on above 4 GiB. The hole, from below:
 *
 *	0xc0000000  window for 32-bit BARs
 *	0xe8000000  PCI configuration space (ECAM), one bus
 *	0xfec00000  I/O APIC, local APIC, and the pages KVM wants on Intel
 */
#define X86_HOLE        0xc0000000ULL
#define X86_MMIO32_SIZE 0x28000000ULL
#define X86_ECAM        0xe8000000ULL
#define X86_ECAM_SIZE   0x00100000ULL
#define X86_APICS       0xfec00000ULL
#define X86_4G          0x100000000ULL

/* Three pages and one that KVM uses on Intel to run real mode (api.rst, 4.35, 4.41). */
#define X86_IDENTITY_MAP 0xfffbc000U
#define X86_TSS          0xfffbd000U

#define X86_IRQ_COM1 4

/* cpuid.c */
int bf_x86_cpuid(struct belfry_vm *vm, int vcpu, unsigned int id,
		 struct belfry_error *err);

#endif
