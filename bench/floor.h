/* SPDX-License-Identifier: MIT */
/* bench/floor.h - what bench/floor.c and its kernel loader share */
#ifndef FLOOR_H
#define FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct floor_ram {
	uint8_t *hva; /* of guest physical address 0 */
	size_t size;
};

/* How a PVH guest starts: 32-bit protected mode at @entry with @start_info in EBX. */
struct floor_start {
	uint64_t entry;
	uint64_t start_info;
};

/* Load a PVH ELF and leave it a command line. Ends the program if that is impossible. */
struct floor_start floor_load(struct floor_ram ram, const char *path,
			      const char *cmdline);

#endif
