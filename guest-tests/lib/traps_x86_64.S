/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/traps_x86_64.S - page tables, segments, interrupts and the two rings
 *
 * All tables are filled in by the assembler and the linker: a guest has nothing to set up
 * before its first instruction of C. Where an address is cut in pieces (TSS descriptor,
 * interrupt gates), the linker script supplies the pieces.
 */
#include "guest-tests/lib/irq_vectors.h"
#include "guest-tests/lib/x86_64.h"

/* ---- identity mapping of the low 4 GiB in pages of 2 MiB; map() adds to it ---- */

	.section .data.tables, "aw"
	.balign 4096
	.globl page_root, page_low
page_root:
	.quad	page_low + PTE_TABLE
	.fill	511, 8, 0
page_low:
	.quad	page_dirs + 0 * 4096 + PTE_TABLE
	.quad	page_dirs + 1 * 4096 + PTE_TABLE
	.quad	page_dirs + 2 * 4096 + PTE_TABLE
	.quad	page_dirs + 3 * 4096 + PTE_TABLE
	.fill	508, 8, 0
page_dirs:
	.set	page, 0
	.rept	4 * 512
	.quad	(page << 21) + PTE_PAGE
	.set	page, page + 1
	.endr

/* ---- segments ---- */

	.section .data.segments, "aw"
	.balign 16
	.globl gdt, gdt_pointer, tss
gdt:
	.quad	0
	.quad	0
	.quad	0x00af9b000000ffff	/* KERNEL_CS: 64-bit code */
	.quad	0x00cf93000000ffff	/* KERNEL_DS */
	.quad	0
	.quad	0x00cff3000000ffff	/* USER_DS */
	.quad	0x00affb000000ffff	/* USER_CS: 64-bit code */
	.quad	0
	.word	tss_end - tss - 1, tss_bits_0_15	/* TSS_SEL */
	.byte	tss_bits_16_23, 0x89, 0, tss_bits_24_31
	.quad	0
gdt_pointer:
	.word	GDT_SIZE - 1
	.quad	gdt

	.balign 16
tss:
	.long	0
	.quad	ring0_stack_top
	.fill	90, 1, 0
	.word	tss_end - tss		/* no I/O permission bitmap */
tss_end:

/* ---- interrupt gates ---- */

	.macro	gate type		/* to the entry code that is `entry` bytes into traps */
	.word	entry + traps_bits_0_15, KERNEL_CS
	.byte	0, \type
	.word	traps_bits_16_31
	.quad	0
	.endm

	.balign 16
idt:
	.set	entry, 0
	.rept	32
	.if	entry == 3 * TRAP_STRIDE
	gate	0xee			/* the one that ring 3 may call */
	.else
	gate	0x8e
	.endif
	.set	entry, entry + TRAP_STRIDE
	.endr
	.rept	IRQ_VECTORS - 32
	gate	0x8e
	.set	entry, entry + IRQ_STRIDE
	.endr
	.globl idt_pointer
idt_pointer:
	.word	idt_pointer - idt - 1
	.quad	idt

/* ---- entry code: 32 exceptions, then the interrupts ---- */

	.section .text.traps, "ax"
	.balign 16
	.globl traps
traps:
	.set	vector, 0
	.rept	32
	.balign	TRAP_STRIDE
	.if	vector == 3
	call	*%rax			/* ring0() */
	iretq
	.else
	/* 8, 10..14, 17, 21, 29, 30: the CPU has pushed an error code */
	.if	!((0x60227d00 >> vector) & 1)
	push	$0
	.endif
	push	$vector
	jmp	report
	.endif
	.set	vector, vector + 1
	.endr

	.rept	IRQ_VECTORS - 32
	.balign	IRQ_STRIDE
	.if	vector == IRQ_WATCHDOG
	push	$0
	push	$vector
	jmp	report
	.elseif vector == IRQ_HOOKED
	jmp	hooked
	.else
	incq	irq_count + 8 * vector
	.if	vector != IRQ_SPURIOUS
	movabs	%eax, APIC_BASE + APIC_EOI	/* any value will do */
	.endif
	iretq
	.endif
	.set	vector, vector + 1
	.endr

hooked:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	cld
	incq	irq_count + 8 * IRQ_HOOKED
	call	*irq_hooked
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	movabs	%eax, APIC_BASE + APIC_EOI
	pop	%rax
	iretq

report:
	mov	%rsp, %rdi
	cld
	call	guest_trap
1:	hlt
	jmp	1b

/* ---- between the rings ---- */

	.section .text.rings, "ax"

/* The first vCPU's way into guest_start(RDI), in ring 3. */
	.globl start_ring3
start_ring3:
	mov	$KERNEL_DS, %eax
	mov	%eax, %ss
	mov	$ring0_stack_top, %esp
	lidt	idt_pointer
	mov	$TSS_SEL, %eax
	ltr	%ax
	mov	$USER_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	%rax			/* SS */
	push	$ring3_stack_top - 8
	push	$0x202			/* RFLAGS: interrupts on */
	push	$USER_CS
	push	$guest_start
	iretq

/* uint64_t ring0(ring0_fn *fn, uint64_t a, uint64_t b, uint64_t c), from either ring */
	.globl ring0
ring0:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%cs, %ecx
	test	$3, %cl
	jz	1f
	int3
	ret
1:	jmp	*%rax

	.section .bss.stacks, "aw", @nobits
	.balign 16
	.fill	16384, 1, 0
ring3_stack_top:
	.fill	8192, 1, 0
ring0_stack_top:

	.section .note.GNU-stack, "", @progbits
