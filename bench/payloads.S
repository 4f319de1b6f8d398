/* SPDX-License-Identifier: MIT */
/* bench/payloads.S - files that become part of the program; the Makefile says where they are */

	.macro	embed name, path
	.globl	\name
	.hidden	\name
	.balign	16
\name:
	.ifnb	\path
	.incbin	"\path"
	.endif
	.globl	\name\()_end
	.hidden	\name\()_end
\name\()_end:
	.byte	0
	.endm

	.section .rodata
	embed	bench_guest_elf, GUEST_ELF
	embed	bench_hello_elf, HELLO_ELF
	embed	bench_page_html, "bench/page.html"
	embed	bench_page_js, "bench/page.js"
	embed	bench_schema_json, "bench/result.schema.json"
	embed	bench_chart_js, CHART_JS

	.section .note.GNU-stack, "", @progbits
