/* SPDX-License-Identifier: MIT */
/* bench/payloads.h - files that are part of the program: guests, and the page's parts */
#ifndef BENCH_PAYLOADS_H
#define BENCH_PAYLOADS_H

extern const char bench_guest_elf[], bench_guest_elf_end[];
extern const char bench_hello_elf[], bench_hello_elf_end[];
extern const char bench_page_html[], bench_page_html_end[];
extern const char bench_page_js[], bench_page_js_end[];
extern const char bench_schema_json[], bench_schema_json_end[];
extern const char bench_chart_js[], bench_chart_js_end[]; /* empty: built without it */

#endif
