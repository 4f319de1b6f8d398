/* SPDX-License-Identifier: MIT */
/* guest-tests/bz_x86_64.S - a bzImage around a guest: setup header and its entry points
 *
 * Linux's x86 boot protocol, version 2.15. The setup part is data for the loader, which
 * starts the rest (loaded anywhere below 4 GiB) at its first byte in 32-bit mode or at
 * 0x200 in 64-bit mode, with the address of struct boot_params in ESI or RSI. There is no
 * real-mode entry.
 */
#include "guest-tests/lib/x86_64.h"

#define SETUP_SECTORS	   1	/* after the first */
#define VERSION		   0x20f
#define LOADED_HIGH	   0x01
#define XLF_KERNEL_64	   0x01
#define ALIGNMENT	   0x200000
#define ALIGNMENT_BITS	   21
#define INITRD_MAX	   0x7fffffff
#define CMDLINE_MAX	   2047
#define BOOT_PARAMS_SCRATCH 0x1e4 /* 4 bytes that we may use */

	.section .setup, "a"
setup:
	.org	0x1f1
	.byte	SETUP_SECTORS
	.word	0
	.long	bz_size_in_16s
	.word	0, 0, 0
	.word	0xaa55
	.byte	0xeb, header_end - magic	/* a jump over the header */
magic:	.ascii	"HdrS"
	.word	VERSION
	.long	0
	.word	0, 0
	.byte	0			/* the loader's type: it fills that in */
	.byte	LOADED_HIGH
	.word	0
	.long	0x100000		/* the old fixed address */
	.long	0, 0			/* initrd: address, size */
	.long	0
	.word	0
	.byte	0, 0
	.long	0			/* command line */
	.long	INITRD_MAX
	.long	ALIGNMENT
	.byte	1			/* relocatable */
	.byte	ALIGNMENT_BITS
	.word	XLF_KERNEL_64
	.long	CMDLINE_MAX
	.long	0
	.quad	0
	.long	0, 0
	.quad	0
	.quad	image_start		/* preferred address */
	.long	bz_size_in_memory
	.long	0
	.long	0
header_end:
	.org	512 * (1 + SETUP_SECTORS)

/* ---- loaded at image_start + EBP (RBP), to go on at image_start ---- */

	.section .text.bz, "ax"
	.code32
bz_start_32:
	cli
	cld
	mov	%esi, %ebx
	lea	BOOT_PARAMS_SCRATCH + 4(%esi), %esp	/* a stack of one word */
	call	1f
1:	pop	%ebp
	sub	$1b, %ebp
	jz	2f
	lea	image_start(%ebp), %esi
	mov	$image_start, %edi
	mov	$bz_loaded_size, %ecx
	rep movsb
2:	mov	$zero_bss_32, %eax
	jmp	*%eax
zero_bss_32:
	mov	$bss_start, %edi
	mov	$bz_bss_dwords, %ecx
	xor	%eax, %eax
	rep stosl
	movl	$32, bz_entry_bits
	mov	%ebp, bz_moved_by
	jmp	pvh_entry

	.org	0x200
	.code64
bz_start_64:
	cli
	cld
	mov	%rsi, %rbx
	lea	bz_start_64(%rip), %rbp
	sub	$bz_start_64, %rbp
	jz	1f
	/* Our own tables map all we need, once they point at themselves. */
	lea	page_root(%rbp), %rax
	add	%rbp, (%rax)
	add	%rbp, page_low(%rbp)
	add	%rbp, page_low + 8(%rbp)
	add	%rbp, page_low + 16(%rbp)
	add	%rbp, page_low + 24(%rbp)
	mov	%rax, %cr3
	lea	image_start(%rbp), %rsi
	mov	$image_start, %edi
	mov	$bz_loaded_size, %ecx
	rep movsb
	sub	%rbp, page_root
	sub	%rbp, page_low
	sub	%rbp, page_low + 8
	sub	%rbp, page_low + 16
	sub	%rbp, page_low + 24
1:	mov	$page_root, %eax
	mov	%rax, %cr3
	mov	$zero_bss_64, %eax
	jmp	*%rax
zero_bss_64:
	mov	$bss_start, %edi
	mov	$bz_bss_dwords, %ecx
	xor	%eax, %eax
	rep stosl
	movl	$64, bz_entry_bits
	mov	%rbp, bz_moved_by
	lgdt	gdt_pointer
	mov	%rbx, %rdi
	jmp	start_ring3

	.section .note.GNU-stack, "", @progbits
