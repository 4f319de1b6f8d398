/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/pc_regs.h - ports, addresses and interrupt lines of the PC
 *
 * #defines only, of plain numbers: boot/dsdt.asl includes it, too.
 */
#ifndef BF_PC_REGS_H
#define BF_PC_REGS_H

#define PC_PORT_I8042      0x64 /* the reset command, and nothing else */
#define PC_PORT_DEBUG_EXIT 0xf4 /* a test guest ends with a status */
#define PC_PORT_COM1       0x3f8
#define PC_COM1_PORTS      8
#define PC_PORT_PANIC      0x505 /* pvpanic: the guest says that it has panicked */
#define PC_PORT_SLEEP      0x600 /* ACPI sleep control, then sleep status */
#define PC_SLEEP_PORTS     2
#define PC_PORT_PCI        0xcf8 /* address, then data */
#define PC_PCI_PORTS       8
#define PC_PORT_RESET      0xcf9

#define PC_RESET_VALUE 0x06 /* reset the CPU, and all of the system */
#define PC_SLEEP_S5    5    /* the sleep type that is power off */

#define PC_PANICKED     1 /* that was it */
#define PC_CRASH_LOADED 2 /* a crash kernel of the guest takes over now */

/* Pins of the I/O APIC. Those of ISA are edge-triggered, the others PCI's. */
#define PC_LINE_COM1         4
#define PC_LINE_POWER_BUTTON 9
#define PC_LINE_PCI          16
#define PC_PCI_LINES         8

#define PC_IOAPIC 0xfec00000
#define PC_APIC   0xfee00000

/* The hole below 4 GiB: 32-bit BARs, configuration space of one bus, APICs */
#define PC_MMIO32      0xc0000000
#define PC_MMIO32_SIZE 0x28000000
#define PC_MMIO32_LAST 0xe7ffffff
#define PC_ECAM        0xe8000000
#define PC_ECAM_SIZE   0x00100000
#define PC_4G          0x100000000

#endif
