/* SPDX-License-Identifier: MIT */
/* guest-tests/widths.c - test: accesses that the specification does not have
 *
 * It promises 32 bits, aligned. Drivers do others all the same. A narrow access is for
 * the whole register that it starts at, one of 64 bits for two; in the midst of a
 * register, and where it is not aligned, an access reads 0 and changes nothing.
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"

#define BELL_IRQ  (IRQ_FIRST + 5)
#define ARRIVE_MS 500
#define VALUE     0x12345678u

static struct ivshmem iv;

static volatile uint8_t *at8(unsigned int off)
{
	return (volatile uint8_t *)iv.regs + off;
}

static volatile uint16_t *at16(unsigned int off)
{
	return (volatile uint16_t *)at8(off);
}

static volatile uint32_t *at32(unsigned int off)
{
	return (volatile uint32_t *)at8(off);
}

static volatile uint64_t *at64(unsigned int off)
{
	return (volatile uint64_t *)at8(off);
}

/* ---- IntrMask, which keeps what is written ---- */

static void mask_is_whole(void)
{
	volatile uint32_t *mask = at32(IVSHMEM_INTR_MASK);

	*mask = VALUE;
	check_eq(*at8(IVSHMEM_INTR_MASK), VALUE & 0xff,
		 "8 bits at a register: its low ones");
	check_eq(*at16(IVSHMEM_INTR_MASK), VALUE & 0xffff, "16 bits: the same");
	check_eq(*at8(IVSHMEM_INTR_MASK + 1), 0, "8 bits in its midst: 0");
	check_eq(*at16(IVSHMEM_INTR_MASK + 2), 0, "16 bits in its midst: 0");
	check_eq(*at16(IVSHMEM_INTR_MASK + 1), 0, "16 bits, not aligned: 0");
	check_eq(*at32(IVSHMEM_INTR_MASK + 2), 0, "32 bits, not aligned: 0");
	check_eq(*mask, VALUE, "reads have changed nothing");

	*at8(IVSHMEM_INTR_MASK + 3) = 0xaa;
	*at16(IVSHMEM_INTR_MASK + 2) = 0xaaaa;
	*at16(IVSHMEM_INTR_MASK + 1) = 0xaaaa;
	*at32(IVSHMEM_INTR_MASK + 2) = 0xaaaaaaaa;
	check_eq(*mask, VALUE, "nor have writes in its midst");
	*at16(IVSHMEM_INTR_MASK) = 0xaaaa;
	check_eq(*mask, 0xaaaa, "a write of 16 bits replaces all of it");
	*mask = VALUE;
	*at8(IVSHMEM_INTR_MASK) = 0xaa;
	check_eq(*mask, 0xaa, "and so does one of 8");
	*mask = 0;
}

/* ---- IntrStatus, which a read clears ---- */

static void status_is_cleared(void)
{
	volatile uint32_t *status = at32(IVSHMEM_INTR_STATUS);

	*status = VALUE;
	check(*at8(IVSHMEM_INTR_STATUS) == (VALUE & 0xff) && *status == 0,
	      "8 bits of IntrStatus clear all of it");
	*status = VALUE;
	check(*at16(IVSHMEM_INTR_STATUS + 2) == 0 && *status == VALUE,
	      "bits in its midst do not");
}

static void pairs_are_two(void)
{
	*at64(IVSHMEM_INTR_MASK) = (uint64_t)VALUE << 32 | 0x55;
	check_eq(*at32(IVSHMEM_INTR_MASK), 0x55, "64 bits are written to two registers");
	check_eq(*at64(IVSHMEM_INTR_MASK), (uint64_t)VALUE << 32 | 0x55,
		 "and read from them");
	check_eq(*at32(IVSHMEM_INTR_STATUS), 0, "which has cleared the second");
	*at32(IVSHMEM_INTR_MASK) = 0;
	check_eq(*at64(IVSHMEM_IVPOSITION), ivshmem_id(&iv),
		 "64 bits of IVPosition and Doorbell");
	check_eq(*at64(IVSHMEM_INTR_STATUS), 0, "64 bits, not aligned: 0");
}

/* ---- Doorbell ---- */

static void rings(bool want, uint64_t seen, const char *sentence)
{
	wait_until(&irq_count[BELL_IRQ], seen + 1, want ? ARRIVE_MS : 3);
	check_eq(irq_count[BELL_IRQ] - seen, want, "%s", sentence);
}

static void doorbell_is_whole(void)
{
	volatile uint64_t *bells = &irq_count[BELL_IRQ];
	uint64_t ring = IVSHMEM_RING(ivshmem_id(&iv), 0), seen = *bells;

	*at64(IVSHMEM_IVPOSITION) = ring << 32;
	rings(true, seen, "a ring of 64 bits, over IVPosition and Doorbell");
	seen = *bells;
	*at64(IVSHMEM_DOORBELL) = ring;
	rings(false, seen, "64 bits that are not aligned ring nobody");
	seen = *bells;
	if (ivshmem_id(&iv) != 0)
		return;
	*at16(IVSHMEM_DOORBELL) = 0;
	rings(true, seen, "a ring of 16 bits is for peer 0");
	seen = *bells;
	*at8(IVSHMEM_DOORBELL) = 0;
	rings(true, seen, "and one of 8 bits");
	seen = *bells;
	*at16(IVSHMEM_DOORBELL + 2) = 0;
	*at8(IVSHMEM_DOORBELL + 3) = 0;
	rings(false, seen, "writes to the peer's half alone ring nobody");
}

void guest_main(void)
{
	watchdog(20, "accesses of all widths");
	irq_on();
	ivshmem_open(&iv);
	mask_is_whole();
	status_is_cleared();
	pairs_are_two();
	if (iv.has_msix) {
		msix_route(&iv.msix, 0, apic_id(), BELL_IRQ);
		msix_control(&iv.msix, PCI_MSIX_ENABLE);
		msix_mask(&iv.msix, 0, false);
		doorbell_is_whole();
	}
	check_end();
}
