/* SPDX-License-Identifier: MIT */
/* boot/dsdt.S - what iasl has made of boot/dsdt.asl */
	.section .rodata
	.balign	8
	.globl	bf_acpi_dsdt, bf_acpi_dsdt_end
	.hidden	bf_acpi_dsdt, bf_acpi_dsdt_end
bf_acpi_dsdt:
	.incbin	"dsdt.aml"
bf_acpi_dsdt_end:
	.section .note.GNU-stack, "", @progbits
