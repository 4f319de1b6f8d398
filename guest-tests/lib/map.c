/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/map.c - identity mapping of what lies above 4 GiB, made on demand */
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"

#define GIB       (1ULL << 30)
#define MIB2      (2ULL << 20)
#define ENTRIES   512
#define MAX_PAGES 80 /* page tables; 1 GiB pages need one, 2 MiB pages one per GiB */

#define CPUID_EXTENDED    0x80000001
#define CPUID_EXT_PAGE1GB (1u << 26)

extern uint64_t page_root[ENTRIES];

static uint64_t *new_table(void)
{
	static uint64_t pages[MAX_PAGES][ENTRIES] __attribute__((aligned(4096)));
	static unsigned int used;

	if (used == MAX_PAGES)
		guest_fail("map: out of page tables");
	return pages[used++];
}

static uint64_t *table_below(uint64_t *entry)
{
	if (!*entry)
		*entry = (uint64_t)new_table() | PTE_TABLE;
	return (uint64_t *)(*entry & ~0xfffULL);
}

volatile void *map(uint64_t gpa, uint64_t size)
{
	bool huge = cpuid(CPUID_EXTENDED, 0).d & CPUID_EXT_PAGE1GB;
	uint64_t step = huge ? GIB : MIB2, at, *dir;

	for (at = gpa & ~(step - 1); at < gpa + size; at += step) {
		if (at < 4 * GIB)
			continue; /* laid out by the assembler */
		dir = &table_below(&page_root[at >> 39 & 511])[at >> 30 & 511];
		if (!huge)
			dir = &table_below(dir)[at >> 21 & 511];
		*dir = at | PTE_PAGE;
	}
	return (volatile void *)gpa;
}
