/* SPDX-License-Identifier: MIT */
/* boot/acpi.h - the ACPI tables of the PC; only boot/ includes it */
#ifndef BF_ACPI_H
#define BF_ACPI_H

#include "base/err.h"

struct belfry_vm;
struct bf_layout;

/*
 * Put the tables into RAM at X86_ACPI; the RSDP comes first.
 * Return: 0; -EINVAL when they do not fit into X86_ACPI_SIZE.
 */
int bf_acpi_build(struct belfry_vm *vm, const struct bf_layout *layout,
		  struct belfry_error *err);

#endif
