/* SPDX-License-Identifier: MIT */
/* guest-tests/reboot.c - test: a reset starts the guest again, on the device it had
 *
 * The first two lives leave marks, in RAM and on the device, and reset the machine; the
 * third looks for them. Lives are counted in the shared memory, which outlives a reset.
 *
 * options: peer=ID  what IVPosition should be in every life
 */
#include "guest-tests/guest.h"
#include "guest-tests/own_bell.h"

#define LIVES     3
#define RAM_MARK  ((volatile uint64_t *)0x1000000) /* 16 MiB: nothing of ours is there */
#define MARK      0x6d61726b6d61726bULL
#define MASK_MARK 0xa5

static volatile uint64_t *life(const struct ivshmem *iv)
{
	return (volatile uint64_t *)iv->memory;
}

static void leave_marks(struct ivshmem *iv)
{
	*RAM_MARK = MARK;
	iv->regs[IVSHMEM_INTR_MASK / 4] = MASK_MARK;
	iv->regs[IVSHMEM_INTR_STATUS / 4] = MASK_MARK;
	msix_mask(&iv->msix, 0, true);
	ivshmem_ring(iv, ivshmem_id(iv), 0); /* pending, masked */
}

static void is_as_new(struct ivshmem *iv)
{
	check_eq(*RAM_MARK, 0, "RAM is cleared");
	check_eq(iv->regs[IVSHMEM_INTR_MASK / 4], 0, "IntrMask is 0 again");
	check_eq(iv->regs[IVSHMEM_INTR_STATUS / 4], 0, "IntrStatus is 0 again");
	check(!msix_pending(&iv->msix, 0), "nothing is pending");
	check_eq(iv->msix.table[0].control & 1, 1, "vector 0 is masked again");
	check_eq(pci_read(iv->dev, iv->msix.cap + PCI_MSIX_CONTROL, 2) & PCI_MSIX_ENABLE, 0,
		 "MSI-X is off again");
}

void guest_main(void)
{
	struct ivshmem iv;
	uint64_t now;

	watchdog(20, "the lives");
	ivshmem_open(&iv);
	now = ++*life(&iv);
	print("# life %lu\n", now);
	check_eq(ivshmem_id(&iv), arg_u64("peer", 0), "IVPosition is ours");
	if (now > 1)
		is_as_new(&iv);
	own_bell_open(&iv);
	check(own_bell_works(iv.regs, ivshmem_id(&iv)), "the own doorbell works");
	if (now == LIVES)
		check_end();
	leave_marks(&iv);
	if (now == 1)
		end_by_i8042_reset();
	else
		end_by_acpi_reset();
	sleep_us(1000000);
	guest_fail("the guest still runs");
}
