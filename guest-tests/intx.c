/* SPDX-License-Identifier: MIT */
/* guest-tests/intx.c - test: revision 0 has INTx, a level that two registers make
 *
 * The line is up while IntrStatus & IntrMask is not 0. A ring sets IntrStatus to 1, to
 * read it clears it. The I/O APIC's input is level-triggered: it interrupts again after
 * each EOI for as long as the line is up.
 *
 * Where KVM has no hardware support, it may end an interrupt as it delivers it. Then the
 * line is still up, and interrupts once more for each time that somebody lowers it; who
 * reads IntrStatus then finds 0. That is let pass there, and nowhere else.
 *
 * options: vectors=1  of the device: all of them do the same
 *          pin=16     the first of the eight pins that slots take in turn
 *          msi=1      with MSI-X there is no INTx: nothing raises the line
 *          shared=N   device number N from 0 on is on the same line as the first one
 */
#include "guest-tests/guest.h"
#include "guest-tests/ivshmem.h"
#include "guest-tests/lib/x86_64.h"

#define PINS      8
#define ARRIVE_MS 1000
#define SETTLE_MS 5
#define LATE_MS   200 /* for a ring that cannot be waited for: the host may be busy */
#define AGAIN     4   /* interrupts that leave the line up */

static struct ivshmem iv;
static unsigned int pin;
static volatile uint64_t *const count = &irq_count[IRQ_HOOKED];

static volatile uint32_t *reg(unsigned int off)
{
	return &iv.regs[off / 4];
}

static void set(uint32_t status, uint32_t mask)
{
	*reg(IVSHMEM_INTR_MASK) = mask;
	*reg(IVSHMEM_INTR_STATUS) = status;
}

static void ring(unsigned int vector)
{
	ivshmem_ring(&iv, ivshmem_id(&iv), vector);
}

/* ---- what an interrupt does, in ring 0 ---- */

static void mask_the_pin(void)
{
	ioapic_mask(pin);
}

static volatile uint64_t heard;        /* interrupts that have found IntrStatus set */
static volatile uint64_t spurious;     /* and those that have not */
static volatile uint32_t last_status;  /* what the last one of the first kind has read */
static volatile unsigned int leave_up; /* so many interrupts do not read IntrStatus */

static void read_status(void)
{
	uint32_t status;

	if (leave_up > 0) {
		leave_up--;
		return;
	}
	status = *reg(IVSHMEM_INTR_STATUS);
	if (status)
		last_status = status, heard++;
	else
		spurious++;
}

/* ---- whether an interrupt is in service while its handler runs ---- */

static volatile uint32_t in_service;
static bool ends_early;

static void look_at_isr(void)
{
	in_service = *apic_reg(APIC_ISR + IRQ_HOOKED / 32 * 0x10) >> IRQ_HOOKED % 32 & 1;
}

static void find_out_when_it_ends(void)
{
	uint64_t seen = *count;

	irq_hook(look_at_isr);
	*apic_reg(APIC_ICR_LOW) = APIC_ICR_SELF | IRQ_HOOKED;
	check(wait_until(count, seen + 1, ARRIVE_MS), "an interrupt calls its hook");
	ends_early = !in_service;
	if (ends_early)
		print("# this KVM ends interrupts as it delivers them\n");
}

/* ---- the line, seen by what the I/O APIC makes of it ---- */

static bool line_is_up(void)
{
	uint64_t seen = *count;

	irq_hook(mask_the_pin);
	ioapic_route_level(pin, IRQ_HOOKED);
	wait_until(count, seen + 1, SETTLE_MS);
	ioapic_mask(pin);
	return *count != seen;
}

static bool status_bit(void)
{
	return pci_read(iv.dev, PCI_STATUS, 2) & PCI_STATUS_INTX;
}

/* Also what PCI's Interrupt Status bit says. */
static void line_is(bool up, const char *sentence)
{
	bool bit = status_bit();

	check(line_is_up() == up && bit == up, "line %s: %s", up ? "up" : "down",
	      sentence);
}

/* A driver's handler: @left_up times it leaves the line as it is. */
static void start_driver(unsigned int left_up)
{
	leave_up = left_up;
	heard = spurious = last_status = 0;
	irq_hook(read_status);
	ioapic_route_level(pin, IRQ_HOOKED);
}

/* @want interrupts find IntrStatus set, the last of them to 1, and no others come. */
static void interrupts(uint64_t want, const char *sentence)
{
	wait_until(&heard, want, ARRIVE_MS);
	wait_until(&heard, want + 1, SETTLE_MS);
	ioapic_mask(pin);
	if (!check(heard == want && last_status == (want > 0) && leave_up == 0 &&
			   spurious <= (ends_early ? want : 0),
		   "%s", sentence))
		print("# %lu interrupts, want %lu; %lu spurious; IntrStatus was %u\n",
		      heard, want, spurious, last_status);
}

/* ---- the checks ---- */

static void identity_is_right(void)
{
	check_eq(pci_read(iv.dev, PCI_REVISION, 1), 0, "revision 0");
	check_eq(pci_read(iv.dev, PCI_INTERRUPT_PIN, 1), 1, "pin INTA");
	check_eq(pci_read(iv.dev, PCI_INTERRUPT_LINE, 1), pin,
		 "the line register holds the I/O APIC's pin, %u", pin);
	check(!iv.has_msix && !(pci_read(iv.dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST),
	      "no MSI-X, and no other capability");
	check_eq(pci_bar_size(iv.dev, IVSHMEM_BAR_MSIX), 0, "no BAR 1");
}

static void level_is_of_both(void)
{
	line_is(false, "at first");
	set(1, 0);
	line_is(false, "status 1, mask 0");
	*reg(IVSHMEM_INTR_MASK) = 1;
	line_is(true, "the mask is written, and lets it through");
	*reg(IVSHMEM_INTR_MASK) = 2;
	line_is(false, "another bit of the mask does not");
	*reg(IVSHMEM_INTR_MASK) = ~0u;
	line_is(true, "all bits do");
	*reg(IVSHMEM_INTR_STATUS) = 0;
	line_is(false, "the status is written 0");
	*reg(IVSHMEM_INTR_STATUS) = 0x80000000;
	line_is(true, "the status is written, any bit");
	*reg(IVSHMEM_INTR_MASK) = 0x7fffffff;
	line_is(false, "but for the one that is masked");
	*reg(IVSHMEM_INTR_MASK) = 0x80000000;
	line_is(true, "until it is not");
	check_eq(*reg(IVSHMEM_INTR_STATUS), 0x80000000, "the status is read");
	line_is(false, "which has lowered it");
	check_eq(*reg(IVSHMEM_INTR_STATUS), 0, "and cleared the status");
	check_eq(*reg(IVSHMEM_INTR_MASK), 0x80000000, "the mask stays");
}

static bool status_becomes_1(unsigned int vector)
{
	uint64_t from = tsc(), ticks = ARRIVE_MS * tsc_khz();
	uint32_t got;

	ring(vector);
	while (!(got = *reg(IVSHMEM_INTR_STATUS)))
		if (tsc() - from > ticks)
			return false;
	return got == 1 && *reg(IVSHMEM_INTR_STATUS) == 0;
}

static void ring_sets_status(unsigned int vectors)
{
	unsigned int v, right = 0;

	set(0, 0);
	for (v = 0; v < vectors; v++)
		right += status_becomes_1(v);
	check_eq(right, vectors, "a ring of each of %u vectors sets IntrStatus to 1",
		 vectors);
	*reg(IVSHMEM_INTR_STATUS) = 6;
	ring(0);
	sleep_us(LATE_MS * 1000);
	check_eq(*reg(IVSHMEM_INTR_STATUS), 1, "it replaces what was written there");
	ivshmem_ring(&iv, (ivshmem_id(&iv) + 1) & IVSHMEM_MAX_ID, 0);
	ring(vectors);
	ring(0xffff);
	sleep_us(SETTLE_MS * 1000);
	check_eq(*reg(IVSHMEM_INTR_STATUS), 0, "rings for nobody do not");
}

static void ring_interrupts(unsigned int vectors)
{
	unsigned int v, i;

	for (v = 0; v < vectors; v++) {
		set(0, 1);
		start_driver(0);
		ring(v);
		interrupts(1, "a ring is one interrupt");
	}
	start_driver(0);
	for (i = 1; i <= 20; i++) {
		ring(0);
		wait_until(&heard, i, ARRIVE_MS);
	}
	interrupts(20, "20 rings, one after the other, are 20 interrupts");
	start_driver(AGAIN);
	ring(0);
	interrupts(1, "while the line is up it interrupts again after each EOI");
}

static void masks_hold(void)
{
	uint64_t seen;

	set(0, 0);
	start_driver(0);
	ring(0);
	ring(0);
	sleep_us(LATE_MS * 1000);
	interrupts(0, "IntrMask 0: rings are silent");
	start_driver(0);
	*reg(IVSHMEM_INTR_MASK) = 1;
	interrupts(1, "IntrMask 1: they are one interrupt");
	seen = *count;
	ring(0);
	sleep_us(SETTLE_MS * 1000);
	check_eq(*count, seen, "pin masked: a ring is silent");
	start_driver(0);
	interrupts(1, "pin unmasked: it is one interrupt");
	start_driver(0);
	interrupts(0, "nothing is left");
}

static bool status_bit_comes(void)
{
	uint64_t from = tsc(), ticks = ARRIVE_MS * tsc_khz();

	while (!status_bit())
		if (tsc() - from > ticks)
			return false;
	return true;
}

/* PCI Local Bus 3.0, 6.2.2 and 6.2.3 */
static void command_can_disable_it(void)
{
	uint16_t command = pci_read(iv.dev, PCI_COMMAND, 2);

	set(0, 1);
	pci_write(iv.dev, PCI_COMMAND, command | PCI_COMMAND_INTX_OFF, 2);
	start_driver(0);
	ring(0);
	check(status_bit_comes(),
	      "Interrupt Disable: the Interrupt Status bit tells of a ring");
	interrupts(0, "but it is silent");
	start_driver(0);
	pci_write(iv.dev, PCI_COMMAND, command, 2);
	interrupts(1, "enabled again: one interrupt");
	check(!status_bit(), "the bit is clear");
}

/* It tells drivers which pin it is, and decides nothing. */
static void line_register_is_a_note(void)
{
	static const uint8_t notes[] = { 0, 5, 23, 63, 64, 0xff };
	unsigned int i;

	set(0, 1);
	start_driver(0);
	for (i = 0; i < sizeof(notes); i++) {
		pci_write(iv.dev, PCI_INTERRUPT_LINE, notes[i], 1);
		ring(0);
		wait_until(&heard, i + 1, ARRIVE_MS);
	}
	interrupts(sizeof(notes), "whatever the line register says, the pin is the same");
	check_eq(pci_read(iv.dev, PCI_INTERRUPT_LINE, 1), 0xff,
		 "it keeps what is written");
	pci_write(iv.dev, PCI_INTERRUPT_LINE, pin, 1);
}

static void moves_with_bar_0(void)
{
	uint64_t old = pci_bar_get(iv.dev, IVSHMEM_BAR_REGS), place = 0xf1000000;

	set(0, 1);
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, place);
	iv.regs = map(place, IVSHMEM_REGS_SIZE);
	check_eq(*reg(IVSHMEM_INTR_MASK), 1, "BAR 0 has moved, and IntrMask with it");
	start_driver(0);
	ring(0);
	interrupts(1, "a ring there is one interrupt");
	pci_bar_set(iv.dev, IVSHMEM_BAR_REGS, old);
	iv.regs = map(old, IVSHMEM_REGS_SIZE);
}

/* ---- other devices ---- */

static void never_with_msix(void)
{
	check(iv.has_msix, "there is MSI-X");
	set(1, 1);
	check(!line_is_up(), "IntrStatus and IntrMask raise no line");
	set(0, 1);
	ring(0);
	sleep_us(SETTLE_MS * 1000);
	check_eq(*reg(IVSHMEM_INTR_STATUS), 0, "a ring leaves IntrStatus alone");
	check(!line_is_up(), "and raises no line");
}

static void shares_with(unsigned int number)
{
	struct ivshmem other, first = iv;
	unsigned int i;

	for (i = 0, other = iv; i < number; i++)
		if (!ivshmem_open_after(&other, &(struct ivshmem){ .dev = other.dev }))
			guest_fail("there is no device number %u", i + 1);
	check_eq(pci_read(other.dev, PCI_INTERRUPT_LINE, 1), pin,
		 "device %u has the same pin", number);
	set(1, 1);
	iv = other;
	set(1, 1);
	check(line_is_up(), "both devices have raised the line");
	set(0, 1);
	check(line_is_up(), "one has lowered it: it is still up");
	iv = first;
	set(0, 1);
	check(!line_is_up(), "the other one, too: it is down");
	iv = other;
	set(1, 1);
	check(line_is_up(), "and up again");
	set(0, 0);
}

void guest_main(void)
{
	unsigned int vectors = arg_u64("vectors", 1);

	watchdog(30, "INTx");
	irq_on();
	ivshmem_open(&iv);
	pin = arg_u64("pin", 16) + pci_slot(iv.dev) % PINS;
	if (arg_u64("msi", 0)) {
		never_with_msix();
		check_end();
	}
	find_out_when_it_ends();
	identity_is_right();
	level_is_of_both();
	ring_sets_status(vectors);
	ring_interrupts(vectors);
	masks_hold();
	command_can_disable_it();
	line_register_is_a_note();
	moves_with_bar_0();
	if (arg("shared"))
		shares_with(arg_u64("shared", 0));
	check_end();
}
