/* SPDX-License-Identifier: MIT */
/* tests/unit/layout_test.c - where the PC has things, arch/x86_64/arch.c */
#include <linux/kvm.h>

#include "arch/arch.h"
#include "tests/unit/unit_test.h"
#include "vmm/vmm.h"

#define MIB   (1ULL << 20)
#define GIB   (1ULL << 30)
#define HOLE  (3 * GIB)
#define LIMIT (1ULL << 36)

#define POWER_BUTTON 9

/* Nothing here talks to KVM. */
int bf_vm_kvm_vm(const struct belfry_vm *vm)
{
	return -1;
}

/* --- layout --- */

static void memory_below_the_hole_is_one_span(void **state)
{
	struct bf_layout l;

	assert_works(bf_arch_layout(128 * MIB, LIMIT, &l, &err));
	assert_int_equal(l.ram[0].base, 0);
	assert_int_equal(l.ram[0].size, 128 * MIB);
	assert_int_equal(l.ram[1].size, 0);
}

static void memory_may_reach_up_to_the_hole(void **state)
{
	struct bf_layout l;

	assert_works(bf_arch_layout(HOLE, LIMIT, &l, &err));
	assert_int_equal(l.ram[0].size, HOLE);
	assert_int_equal(l.ram[1].size, 0);
}

static void what_the_hole_displaces_goes_on_at_4_gib(void **state)
{
	struct bf_layout l;

	assert_works(bf_arch_layout(HOLE + 4096, LIMIT, &l, &err));
	assert_int_equal(l.ram[0].size, HOLE);
	assert_int_equal(l.ram[1].base, 4 * GIB);
	assert_int_equal(l.ram[1].size, 4096);
	assert_works(bf_arch_layout(16 * GIB, LIMIT, &l, &err));
	assert_int_equal(l.ram[1].size, 13 * GIB);
}

static void the_64_bit_window_starts_on_a_gib_above_all_ram(void **state)
{
	static const struct {
		uint64_t memory, base;
	} want[] = {
		{ MIB, 4 * GIB },
		{ HOLE, 4 * GIB },
		{ HOLE + 4096, 5 * GIB },
		{ 4 * GIB, 5 * GIB },
		{ 4 * GIB + 4096, 6 * GIB },
	};

	for (unsigned int i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct bf_layout l;

		assert_works(bf_arch_layout(want[i].memory, LIMIT, &l, &err));
		assert_int_equal(l.mmio64.base, want[i].base);
		assert_int_equal(l.mmio64.base + l.mmio64.size, LIMIT);
	}
}

/* All spans of @l, those of size 0 left out. Return: how many. */
static unsigned int spans_of(const struct bf_layout *l, struct bf_span *out)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < BF_LAYOUT_SPANS; i++) {
		if (l->ram[i].size)
			out[n++] = l->ram[i];
		if (l->reserved[i].size)
			out[n++] = l->reserved[i];
	}
	out[n++] = l->ecam;
	out[n++] = l->mmio32;
	out[n++] = l->mmio64;
	return n;
}

static void no_two_things_are_in_one_place(void **state)
{
	static const uint64_t memories[] = { MIB, HOLE - 4096, HOLE, HOLE + 4096,
					     60 * GIB };

	for (unsigned int m = 0; m < sizeof(memories) / sizeof(memories[0]); m++) {
		struct bf_span s[2 * BF_LAYOUT_SPANS + 3];
		struct bf_layout l;
		unsigned int n;

		assert_works(bf_arch_layout(memories[m], LIMIT, &l, &err));
		n = spans_of(&l, s);
		for (unsigned int i = 0; i < n; i++) {
			assert_true(s[i].size <= LIMIT && s[i].base <= LIMIT - s[i].size);
			for (unsigned int j = 0; j < i; j++)
				assert_true(s[i].base + s[i].size <= s[j].base ||
					    s[j].base + s[j].size <= s[i].base);
		}
	}
}

static void windows_below_4_gib_are_aligned_for_what_goes_there(void **state)
{
	struct bf_layout l;

	assert_works(bf_arch_layout(128 * MIB, LIMIT, &l, &err));
	assert_int_equal(l.mmio32.base % MIB, 0);
	assert_int_equal(l.ecam.base % MIB, 0);
	assert_int_equal(l.ecam.size, MIB); /* one bus */
	assert_true(l.mmio32.base + l.mmio32.size <= 4 * GIB);
}

static void memory_that_the_cpu_cannot_address_is_refused(void **state)
{
	struct bf_layout l = { .ecam.size = 1 };

	/* the hole takes one GiB, and the window has one at least */
	assert_works(bf_arch_layout(62 * GIB, LIMIT, &l, &err));
	assert_int_equal(l.mmio64.size, GIB);
	l.ecam.size = 1;
	assert_fails(bf_arch_layout(62 * GIB + 4096, LIMIT, &l, &err), EINVAL,
		     "memory 65011716k: this host's CPU addresses 64G in all");
	assert_fails(bf_arch_layout(1ULL << 40, LIMIT, &l, &err), EINVAL,
		     "memory 1T: this host's CPU addresses 64G in all");
	assert_fails(bf_arch_layout(MIB, 4 * GIB, &l, &err), EINVAL,
		     "memory 1M: this host's CPU addresses 4G in all");
	assert_int_equal(l.ecam.size, 1); /* untouched */
}

static void the_cpu_tells_how_wide_its_addresses_are(void **state)
{
	const int bits = bf_arch_phys_bits(-1, NULL);

	assert_in_range(bits, 36, 52);
}

/* --- routes --- */

/* Whether @gsi goes to @pin of @chip. */
static bool routed(const struct kvm_irq_routing_entry *routes, unsigned int n,
		   unsigned int gsi, unsigned int chip, unsigned int pin)
{
	for (unsigned int i = 0; i < n; i++) {
		if (routes[i].gsi == gsi && routes[i].u.irqchip.irqchip == chip &&
		    routes[i].u.irqchip.pin == pin)
			return true;
	}
	return false;
}

static void interrupts_of_isa_go_to_both_kinds_of_controller(void **state)
{
	struct kvm_irq_routing_entry routes[BF_ARCH_LINES_MAX];
	unsigned int first_msi;
	const unsigned int n = bf_arch_routes(routes, &first_msi);

	for (unsigned int gsi = 3; gsi < 16; gsi++) {
		assert_true(routed(routes, n, gsi, KVM_IRQCHIP_IOAPIC, gsi));
		if (gsi == POWER_BUTTON)
			continue;
		assert_true(
			routed(routes, n, gsi,
			       gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			       gsi % 8));
	}
	assert_true(routed(routes, n, 1, KVM_IRQCHIP_PIC_MASTER, 1));
	assert_true(routed(routes, n, 23, KVM_IRQCHIP_IOAPIC, 23));
}

static void the_timer_is_on_pin_2_of_the_io_apic(void **state)
{
	struct kvm_irq_routing_entry routes[BF_ARCH_LINES_MAX];
	unsigned int first_msi;
	const unsigned int n = bf_arch_routes(routes, &first_msi);

	assert_true(routed(routes, n, 0, KVM_IRQCHIP_PIC_MASTER, 0));
	assert_true(routed(routes, n, 0, KVM_IRQCHIP_IOAPIC, 2));
	assert_false(routed(routes, n, 0, KVM_IRQCHIP_IOAPIC, 0));
	assert_false(routed(routes, n, 2, KVM_IRQCHIP_IOAPIC, 2));
	assert_false(routed(routes, n, 2, KVM_IRQCHIP_PIC_MASTER, 2));
}

static void the_power_button_is_kept_from_pics_that_nobody_has_set_up(void **state)
{
	struct kvm_irq_routing_entry routes[BF_ARCH_LINES_MAX];
	unsigned int first_msi;
	const unsigned int n = bf_arch_routes(routes, &first_msi);

	assert_true(routed(routes, n, POWER_BUTTON, KVM_IRQCHIP_IOAPIC, POWER_BUTTON));
	assert_false(
		routed(routes, n, POWER_BUTTON, KVM_IRQCHIP_PIC_SLAVE, POWER_BUTTON % 8));
}

static void msis_come_behind_the_lines(void **state)
{
	struct kvm_irq_routing_entry routes[BF_ARCH_LINES_MAX];
	unsigned int first_msi;
	const unsigned int n = bf_arch_routes(routes, &first_msi);

	assert_int_equal(n, 14 + 23);
	assert_int_equal(first_msi, 24);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(routes[i].type, KVM_IRQ_ROUTING_IRQCHIP);
		assert_true(routes[i].gsi < first_msi);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_below_the_hole_is_one_span),
		cmocka_unit_test(memory_may_reach_up_to_the_hole),
		cmocka_unit_test(what_the_hole_displaces_goes_on_at_4_gib),
		cmocka_unit_test(the_64_bit_window_starts_on_a_gib_above_all_ram),
		cmocka_unit_test(no_two_things_are_in_one_place),
		cmocka_unit_test(windows_below_4_gib_are_aligned_for_what_goes_there),
		cmocka_unit_test(memory_that_the_cpu_cannot_address_is_refused),
		cmocka_unit_test(the_cpu_tells_how_wide_its_addresses_are),

		cmocka_unit_test(interrupts_of_isa_go_to_both_kinds_of_controller),
		cmocka_unit_test(the_timer_is_on_pin_2_of_the_io_apic),
		cmocka_unit_test(
			the_power_button_is_kept_from_pics_that_nobody_has_set_up),
		cmocka_unit_test(msis_come_behind_the_lines),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
