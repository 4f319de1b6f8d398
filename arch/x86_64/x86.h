/* SPDX-License-Identifier: MIT */
/* arch/x86_64/x86.h - the PC's addresses, shared by the files of this folder */
#ifndef BF_X86_H
#define BF_X86_H

#include "arch/arch.h"

/*
 * RAM fills the space up to the hole, and goes on above 4 GiB. In the hole, from below:
 * the window for 32-bit BARs, PCI configuration space, and the interrupt controllers
 * with the pages KVM wants on Intel.
 */

/* Three pages and one that KVM uses on Intel to run real mode (api.rst, 4.35, 4.41). */
#define X86_IDENTITY_MAP 0xfffbc000U
#define X86_TSS          0xfffbd000U

/* cpuid.c */
int bf_x86_cpuid(struct belfry_vm *vm, int vcpu, unsigned int id,
		 struct belfry_error *err);

#endif
