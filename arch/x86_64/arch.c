/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/arch.c - the PC: where things are, its interrupt controllers, their routes
 */
#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "arch/x86_64/pc_regs.h"
#include "arch/x86_64/x86.h"
#include "base/number.h"
#include "vmm/vmm.h"

#define IOAPIC_PINS (PC_LINE_PCI + PC_PCI_LINES)
#define PIC_PINS    8 /* of each of the two */
#define GIB         (1ULL << 30)

_Static_assert(PC_MMIO32 + PC_MMIO32_SIZE - 1 == PC_MMIO32_LAST &&
		       PC_MMIO32_LAST + 1 == PC_ECAM,
	       "the hole, from below");

/*
 * The guest's CPUID tells the host's width (leaf 0x80000008), and so does what KVM can
 * map; hosts without that leaf have 36 bits (Intel SDM, volume 3, 4.1.4).
 */
int bf_arch_phys_bits(int kvm, struct belfry_error *err)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		return 36;
	return eax & 0xff;
}

/* BARs of 64 bits start on a GiB above all RAM, and above 4 GiB. */
int bf_arch_layout(uint64_t memory, uint64_t limit, struct bf_layout *out,
		   struct belfry_error *err)
{
	const uint64_t low = memory < PC_MMIO32 ? memory : PC_MMIO32;
	const uint64_t top = PC_4G + (memory - low);
	const uint64_t mmio64 = (top + GIB - 1) & ~(GIB - 1);

	if (mmio64 + GIB > limit)
		return bf_err(err, EINVAL,
			      "memory %s: this host's CPU addresses %s in all",
			      bf_size_text(memory).text, bf_size_text(limit).text);
	*out = (struct bf_layout){
		.ram = { { 0, low }, { PC_4G, memory - low } },
		.reserved = { { PC_IOAPIC, PC_4G - PC_IOAPIC } },
		.ecam = { PC_ECAM, PC_ECAM_SIZE },
		.mmio32 = { PC_MMIO32, PC_MMIO32_SIZE },
		.mmio64 = { mmio64, limit - mmio64 },
	};
	return 0;
}

int bf_arch_vm_init(struct belfry_vm *vm, struct belfry_error *err)
{
	const uint64_t identity = X86_IDENTITY_MAP;

	if (ioctl(bf_vm_kvm_vm(vm), KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return bf_err_sys(err, errno, "KVM: identity map");
	if (ioctl(bf_vm_kvm_vm(vm), KVM_SET_TSS_ADDR, (unsigned long)X86_TSS) < 0)
		return bf_err_sys(err, errno, "KVM: TSS");
	return 0;
}

int bf_arch_irqchip(struct belfry_vm *vm, struct belfry_error *err)
{
	/* port 0x61 as well: the speaker's gate of channel 2 */
	const struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(bf_vm_kvm_vm(vm), KVM_CREATE_IRQCHIP, 0) < 0)
		return bf_err_sys(err, errno, "KVM: interrupt controllers");
	if (ioctl(bf_vm_kvm_vm(vm), KVM_CREATE_PIT2, &pit) < 0)
		return bf_err_sys(err, errno, "KVM: timer");
	return 0;
}

static struct kvm_irq_routing_entry line(unsigned int gsi, unsigned int chip,
					 unsigned int pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

/* The I/O APIC's pins that no ISA device has. */
unsigned int bf_arch_intx_line(unsigned int slot)
{
	return PC_LINE_PCI + slot % PC_PCI_LINES;
}

/*
 * As PCs are wired: ISA interrupts go to the PICs and to the I/O APIC alike, but for the
 * timer, GSI 0, which is on the I/O APIC's pin 2, and GSI 2, the PICs' cascade. The power
 * button is on the I/O APIC alone, where nobody sees it who has not asked: PICs that a
 * guest has not initialised, as one with hardware-reduced ACPI, let everything through.
 */
unsigned int bf_arch_routes(struct kvm_irq_routing_entry *out, unsigned int *first_msi)
{
	unsigned int n = 0;

	for (unsigned int gsi = 0; gsi < 2 * PIC_PINS; gsi++)
		if (gsi != 2 && gsi != PC_LINE_POWER_BUTTON)
			out[n++] = line(gsi,
					gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER
						       : KVM_IRQCHIP_PIC_SLAVE,
					gsi % PIC_PINS);
	for (unsigned int gsi = 0; gsi < IOAPIC_PINS; gsi++)
		if (gsi != 2)
			out[n++] = line(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
	*first_msi = IOAPIC_PINS;
	return n;
}
