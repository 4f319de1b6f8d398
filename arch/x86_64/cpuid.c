/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/cpuid.c - what CPUID tells each vCPU
 *
 * The features are what KVM supports. The topology is ours: one package with a core per
 * vCPU, one thread each, and APIC IDs 0, 1, 2, ...
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/x86_64/x86.h"
#include "base/own.h"
#include "vmm/vmm.h"

#define ENTRIES_MAX 256

/* Leaves and bits: Intel SDM, volume 2, CPUID; AMD APM, volume 3, appendix E. */
#define LEAF1_ECX_VMX          (1U << 5)
#define LEAF1_ECX_TSC_DEADLINE (1U << 24)
#define LEAF1_ECX_HYPERVISOR   (1U << 31)
#define LEAF1_EDX_HTT          (1U << 28)
#define LEAF_AMD               0x80000001U
#define LEAF_AMD_ECX_SVM       (1U << 2)
#define LEVEL_SMT              (1U << 8)
#define LEVEL_CORE             (2U << 8)

/* Documentation/virt/kvm/x86/cpuid.rst; leaf 0x10 is the TSC's and the bus's kHz. */
#define LEAF_KVM       0x40000000U
#define LEAF_FREQUENCY 0x40000010U
#define APIC_BUS_KHZ   1000000U

bool bf_arch_has_hardware(void)
{
	uint32_t a, b, c, d;

	return (__get_cpuid(1, &a, &b, &c, &d) && (c & LEAF1_ECX_VMX)) ||
	       (__get_cpuid(LEAF_AMD, &a, &b, &c, &d) && (c & LEAF_AMD_ECX_SVM));
}

/* How many bits hold the numbers 0..@n-1. */
static unsigned int bits_for(unsigned int n)
{
	return n > 1 ? 32 - __builtin_clz(n - 1) : 0;
}

static void set_leaf1(struct belfry_vm *vm, struct kvm_cpuid_entry2 *e, unsigned int id,
		      unsigned int cpus)
{
	e->ebx = (e->ebx & 0xffff) | cpus << 16 | id << 24;
	e->ecx |= LEAF1_ECX_HYPERVISOR;
	if (ioctl(bf_vm_kvm(vm), KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	if (cpus > 1)
		e->edx |= LEAF1_EDX_HTT;
	else
		e->edx &= ~LEAF1_EDX_HTT;
}

/* Caches of the third level are everybody's, the others a core's own. */
static uint32_t sharing(const struct kvm_cpuid_entry2 *e, unsigned int cpus)
{
	const unsigned int level = e->eax >> 5 & 7;

	return (level >= 3 ? cpus - 1 : 0) << 14;
}

static void set_entry(struct belfry_vm *vm, struct kvm_cpuid_entry2 *e, unsigned int id,
		      unsigned int cpus)
{
	switch (e->function) {
	case 0x1:
		set_leaf1(vm, e, id, cpus);
		break;
	case 0x4: /* Intel: cores of the package; type 0 is the end of the list */
		if (e->eax & 0x1f)
			e->eax = (e->eax & 0x3fff) | (cpus - 1) << 26 | sharing(e, cpus);
		break;
	case 0x8000001d: /* AMD: the same, without the cores */
		if (e->eax & 0x1f)
			e->eax = (e->eax & 0x3fff) | sharing(e, cpus);
		break;
	case LEAF_KVM:
		e->eax = LEAF_FREQUENCY;
		break;
	case 0x80000008: /* AMD: cores of the package, width of the core's number */
		e->ecx = (e->ecx & ~0xf0ffU) | bits_for(cpus) << 12 | (cpus - 1);
		break;
	case 0x8000001e: /* AMD: APIC ID, core, one thread a core */
		e->eax = id;
		e->ebx = (e->ebx & ~0xffffU) | id;
		break;
	}
}

static void add_entry(struct kvm_cpuid2 *cpuid, struct kvm_cpuid_entry2 entry)
{
	if (cpuid->nent < ENTRIES_MAX)
		cpuid->entries[cpuid->nent++] = entry;
}

static void add_frequency(struct kvm_cpuid2 *cpuid, int vcpu)
{
	const int khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);

	if (khz > 0)
		add_entry(cpuid, (struct kvm_cpuid_entry2){ .function = LEAF_FREQUENCY,
							    .eax = khz,
							    .ebx = APIC_BUS_KHZ });
}

/* Extended topology: a level of one thread, a level of cores, and the end. */
static void add_topology(struct kvm_cpuid2 *cpuid, unsigned int leaf, unsigned int id,
			 unsigned int cpus)
{
	const struct kvm_cpuid_entry2 levels[] = {
		{ .eax = 0, .ebx = 1, .ecx = LEVEL_SMT },
		{ .eax = bits_for(cpus), .ebx = cpus, .ecx = LEVEL_CORE },
		{ .ecx = 0 },
	};

	for (unsigned int i = 0; i < BF_ARRAY_LEN(levels); i++) {
		struct kvm_cpuid_entry2 e = levels[i];

		e.function = leaf;
		e.index = i;
		e.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e.ecx |= i;
		e.edx = id;
		add_entry(cpuid, e);
	}
}

/* KVM lists as many levels as the host has; ours replace them. Return: was @leaf there?
 */
static bool drop_leaf(struct kvm_cpuid2 *cpuid, unsigned int leaf)
{
	unsigned int kept = 0, had = cpuid->nent;

	for (unsigned int i = 0; i < had; i++)
		if (cpuid->entries[i].function != leaf)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
	return kept != had;
}

int bf_x86_cpuid(struct belfry_vm *vm, int vcpu, unsigned int id,
		 struct belfry_error *err)
{
	const unsigned int cpus = bf_vm_cpus(vm);
	BF_FREE struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + ENTRIES_MAX * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return bf_err_sys(err, ENOMEM, "CPUID");
	cpuid->nent = ENTRIES_MAX;
	if (ioctl(bf_vm_kvm(vm), KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return bf_err_sys(err, errno, "KVM: supported CPUID");
	for (unsigned int i = 0; i < cpuid->nent; i++)
		set_entry(vm, &cpuid->entries[i], id, cpus);
	if (drop_leaf(cpuid, 0xb))
		add_topology(cpuid, 0xb, id, cpus);
	if (drop_leaf(cpuid, 0x1f))
		add_topology(cpuid, 0x1f, id, cpus);
	add_frequency(cpuid, vcpu);
	if (ioctl(vcpu, KVM_SET_CPUID2, cpuid) < 0)
		return bf_err_sys(err, errno, "vCPU %u: CPUID", id);
	return 0;
}
