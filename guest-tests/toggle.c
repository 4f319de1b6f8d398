/* SPDX-License-Identifier: MIT */
/* guest-tests/toggle.c - test: MSI-X goes off and on while a crowd of peers joins
 *
 * For a link that tests/cli/crowd.c serves.
 */
#include "guest-tests/crowd_regs.h"
#include "guest-tests/guest.h"
#include "guest-tests/own_bell.h"

#define TOGGLE_MS 3000 /* some of 4,096 may take their time on a busy host */

static struct ivshmem iv;

static volatile uint32_t *word(unsigned int off)
{
	return (volatile uint32_t *)(iv.memory + off);
}

static unsigned int toggle(void)
{
	uint64_t end = tsc() + TOGGLE_MS * tsc_khz();
	unsigned int times = 0;

	for (; tsc() < end; times++) {
		msix_control(&iv.msix, 0);
		msix_control(&iv.msix, PCI_MSIX_ENABLE);
	}
	return times;
}

void guest_main(void)
{
	unsigned int times;

	watchdog(40, "the crowd");
	ivshmem_open(&iv);
	own_bell_open(&iv);
	check(own_bell_works(iv.regs, ivshmem_id(&iv)), "alone: the own doorbell works");
	*word(CROWD_ASKED) = CROWD_JOIN;
	times = toggle();
	print("# MSI-X went off and on %u times\n", times);
	check(times > 10, "MSI-X goes off and on while they join");
	check(own_bell_works(iv.regs, ivshmem_id(&iv)),
	      "the own doorbell works after that");
	ivshmem_ring(&iv, 0, 0);
	check(own_bell_works(iv.regs, ivshmem_id(&iv)), "and after one of the crowd's");
	*word(CROWD_ASKED) = CROWD_IDLE;
	check_end();
}
