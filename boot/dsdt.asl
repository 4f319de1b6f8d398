/* SPDX-License-Identifier: MIT */
/*
 * boot/dsdt.asl - what ACPI tells of the PC that is the same in every VM
 *
 * ACPI 6.4. It goes through the C preprocessor before iasl sees it. What differs from VM
 * to VM is in the SSDT of boot/acpi.c: M64B and M64E, first and last address of the window
 * for 64-bit BARs.
 */
#include "arch/x86_64/pc_regs.h"

#define EDGE(line) Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { line }
#define INTA(slot) \
	Package () { slot << 16 | 0xffff, 0, 0, PC_LINE_PCI + slot % PC_PCI_LINES }

DefinitionBlock ("", "DSDT", 2, "BELFRY", "BELFRY", 1)
{
	External (\M64B, IntObj)
	External (\M64E, IntObj)

	/* To power off, this value goes to the sleep control register (16.3.4). */
	Name (\_S5, Package () { PC_SLEEP_S5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_SEG, 0)
			Name (_BBN, 0)

			Name (WNDW, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed,
					PosDecode, 0, 0, 0, 0, 1)
				IO (Decode16, PC_PORT_PCI, PC_PORT_PCI, 1, PC_PCI_PORTS)
				DWordMemory (ResourceProducer, PosDecode, MinFixed,
					MaxFixed, NonCacheable, ReadWrite, 0,
					PC_MMIO32, PC_MMIO32_LAST, 0, PC_MMIO32_SIZE)
				QWordMemory (ResourceProducer, PosDecode, MinFixed,
					MaxFixed, Cacheable, ReadWrite, 0,
					0, 0, 0, 1, , , M64) /* filled in below */
			})
			CreateQWordField (WNDW, M64._MIN, FRST)
			CreateQWordField (WNDW, M64._MAX, LAST)
			CreateQWordField (WNDW, M64._LEN, SIZE)
			Method (_CRS, 0, Serialized)
			{
				FRST = \M64B
				LAST = \M64E
				SIZE = LAST - FRST + 1
				Return (WNDW)
			}

			/* All is the system's that asks: nothing here works otherwise. */
			Method (_OSC, 4)
			{
				CreateDWordField (Arg3, 0, STAT)
				If (Arg0 != ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766"))
				{
					STAT |= 4 /* unrecognized UUID */
				}
				ElseIf (Arg1 != 1)
				{
					STAT |= 8 /* unrecognized revision */
				}
				Return (Arg3)
			}

			/* bf_arch_intx_line(): INTA of each slot, the only pin in use */
			Name (_PRT, Package ()
			{
				INTA (0), INTA (1), INTA (2), INTA (3),
				INTA (4), INTA (5), INTA (6), INTA (7),
				INTA (8), INTA (9), INTA (10), INTA (11),
				INTA (12), INTA (13), INTA (14), INTA (15),
				INTA (16), INTA (17), INTA (18), INTA (19),
				INTA (20), INTA (21), INTA (22), INTA (23),
				INTA (24), INTA (25), INTA (26), INTA (27),
				INTA (28), INTA (29), INTA (30), INTA (31)
			})
		}

		/* What no driver shall take for free (PCI Firmware 3.2, 4.1.2) */
		Device (RSVD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, PC_ECAM, PC_ECAM_SIZE)
				IO (Decode16, PC_PORT_SLEEP, PC_PORT_SLEEP, 1, PC_SLEEP_PORTS)
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, PC_PORT_COM1, PC_PORT_COM1, 1, PC_COM1_PORTS)
				EDGE (PC_LINE_COM1)
			})
		}

		/* pvpanic: the ID is QEMU's, and so are the drivers for it. */
		Device (PNIC)
		{
			Name (_HID, "QEMU0001")
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, PC_PORT_PANIC, PC_PORT_PANIC, 1, 1)
			})
		}

		Device (PWRB)
		{
			Name (_HID, EisaId ("PNP0C0C"))
		}

		/* The generic event device of 5.6.9: its interrupt is the power button. */
		Device (GED)
		{
			Name (_HID, "ACPI0013")
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				EDGE (PC_LINE_POWER_BUTTON)
			})
			Method (_EVT, 1, Serialized)
			{
				If (Arg0 == PC_LINE_POWER_BUTTON)
				{
					Notify (\_SB.PWRB, 0x80)
				}
			}
		}
	}
}
