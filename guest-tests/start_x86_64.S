/* SPDX-License-Identifier: MIT */
/* guest-tests/start_x86_64.S - the PVH entry point: from 32-bit protected to long mode
 *
 * The VMM finds the entry point in an ELF note and jumps there with paging off, flat
 * segments and the address of struct hvm_start_info in EBX. Everything that long mode
 * needs is laid out at build time in lib/traps_x86_64.S, so little is left to run.
 */
#include "guest-tests/lib/x86_64.h"

	.section .note.pvh, "a", @note
	.balign 4
	.long 4			/* size of the name */
	.long 8			/* size of the address */
	.long 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad pvh_entry

	.section .text.start, "ax"
	.code32
	.globl pvh_entry
pvh_entry:
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$page_root, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$EFER_LME, %eax
	xor	%edx, %edx
	wrmsr
	mov	$(CR0_PG | CR0_PE), %eax
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$KERNEL_CS, $1f

	.code64
1:	mov	%ebx, %edi
	jmp	start_ring3

	.section .note.GNU-stack, "", @progbits
