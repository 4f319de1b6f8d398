/* SPDX-License-Identifier: MIT */
/*
 * devices/ivshmem_regs.h: what a guest sees of an ivshmem device (PCI identity, BARs,
 * registers). Only #defines: the device and the freestanding guests both include it.
 */
#ifndef BF_IVSHMEM_REGS_H
#define BF_IVSHMEM_REGS_H

/* PCI identity */
#define IVSHMEM_VENDOR_ID           0x1af4
#define IVSHMEM_DEVICE_ID           0x1110
#define IVSHMEM_SUBSYSTEM_VENDOR_ID 0x1af4
#define IVSHMEM_SUBSYSTEM_ID        0x1100
#define IVSHMEM_CLASS               0x0500 /* memory controller, RAM */
#define IVSHMEM_REVISION            1      /* no INTx; MSI-X or no interrupts at all */

/* BARs */
#define IVSHMEM_BAR_REGS   0 /* 32-bit, 256 bytes, on every variant */
#define IVSHMEM_BAR_MSIX   1 /* 32-bit, MSI-X table and PBA, doorbell variant only */
#define IVSHMEM_BAR_MEMORY 2 /* 64-bit prefetchable, the shared memory */

#define IVSHMEM_REGS_SIZE 0x100

/* Registers in BAR 0, 32 bits wide, little-endian; the other bytes read 0. */
#define IVSHMEM_INTR_MASK   0x00 /* read and write; no effect in revision 1 */
#define IVSHMEM_INTR_STATUS 0x04 /* reading clears it; never set by revision 1 */
#define IVSHMEM_IVPOSITION  0x08 /* read-only: own ID; 0 on plain devices */
#define IVSHMEM_DOORBELL    0x0c /* write-only: IVSHMEM_RING(peer, vector); reads 0 */

#define IVSHMEM_RING(peer, vector) ((peer) << 16 | (vector))
#define IVSHMEM_RING_PEER(value)   ((value) >> 16)
#define IVSHMEM_RING_VECTOR(value) ((value)&0xffff)

#define IVSHMEM_MAX_ID 0xffff

/*
 * The doorbell window, opt-in, in BAR 4 (64-bit): a 4-byte place for each peer and
 * vector. A store of any width and value to IVSHMEM_WINDOW_OFF() rings it; reads are 0. A
 * vendor-specific PCI capability with this signature says that it is there, and how many
 * bits of the offset are the vector's. Specification: ivshmem-doorbell-window(7).
 */
#define IVSHMEM_BAR_WINDOW       4
#define IVSHMEM_WINDOW_CAP       0x50       /* where the capability is */
#define IVSHMEM_WINDOW_CAP_LEN   16         /* bytes, in its length field at + 2 */
#define IVSHMEM_WINDOW_CAP_VER   3          /* 1 byte: version, 1 */
#define IVSHMEM_WINDOW_CAP_SIG   4          /* 4 bytes: the signature */
#define IVSHMEM_WINDOW_CAP_BAR   8          /* 1 byte: number of the BAR */
#define IVSHMEM_WINDOW_CAP_BITS  9          /* 1 byte: bits of the vector, 0 to 11 */
#define IVSHMEM_WINDOW_SIGNATURE 0x4c4c4542 /* "BELL", little-endian */
#define IVSHMEM_WINDOW_VERSION   1
#define IVSHMEM_WINDOW_OFF(peer, vector, bits) \
	(((uint64_t)(peer) << (bits) | (vector)) << 2)

/* MSI-X in BAR 1; with more than 128 vectors the PBA follows the table at once. */
#define IVSHMEM_MSIX_CAP      0x40   /* the one capability, at this config offset */
#define IVSHMEM_MSIX_TABLE    0x0    /* the table starts the BAR */
#define IVSHMEM_MSIX_PBA      0x800  /* with up to 128 vectors */
#define IVSHMEM_MSIX_BAR_SIZE 0x1000 /* at least; else the next power of two */
#define IVSHMEM_MAX_VECTORS   2048

#endif
