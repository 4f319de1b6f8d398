/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/smp_trampoline_x86_64.S - another vCPU's way from its SIPI to C
 *
 * It starts in real mode at the beginning of a page below 1 MiB, to which the trampoline
 * has been copied, with that page's address in CS. It goes to long mode in one step.
 */
#include "guest-tests/lib/x86_64.h"

	.section .rodata.trampoline, "a"
	.globl smp_trampoline, smp_trampoline_end
	.code16
smp_trampoline:
	cli
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$page_root, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$EFER_LME, %eax
	xor	%edx, %edx
	wrmsr
	lgdtl	%cs:(1f - smp_trampoline)
	mov	$(CR0_PG | CR0_PE), %eax
	mov	%eax, %cr0
	ljmpl	$KERNEL_CS, $smp_entry

	.balign 4
1:	.word	GDT_SIZE - 1
	.long	gdt
smp_trampoline_end:

	.section .text.smp, "ax"
	.code64
smp_entry:
	mov	$KERNEL_DS, %eax
	mov	%eax, %ss
	lidt	idt_pointer
	mov	$1, %edi
	lock xadd %rdi, smp_arrived		/* RDI: how many were before */
	mov	%edi, %esp
	inc	%esp
	shl	$STACK_SHIFT, %esp
	add	$stacks, %esp
	jmp	smp_main

	.set	STACK_SHIFT, 10
	.section .bss.smp_stacks, "aw", @nobits
	.balign 16
stacks:
	.fill	256 << STACK_SHIFT, 1, 0

	.section .note.GNU-stack, "", @progbits
