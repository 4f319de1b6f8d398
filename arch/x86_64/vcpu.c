/* SPDX-License-Identifier: MIT */
/* arch/x86_64/vcpu.c - registers of a vCPU before its first instruction */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/x86_64/x86.h"
#include "vmm/vmm.h"

#define MSR_MISC_ENABLE          0x1a0
#define MSR_MISC_ENABLE_FAST_STR 1
#define MSR_MTRR_DEF_TYPE        0x2ff
#define MTRR_ENABLE_WRITE_BACK   (1 << 11 | 6)

#define CR0_PE   (1U << 0)
#define CR0_ET   (1U << 4)
#define CR0_PG   (1U << 31)
#define CR4_PAE  (1U << 5)
#define EFER_LME (1U << 8)
#define EFER_LMA (1U << 10)

#define PAGE         4096
#define PTE_TABLE    3          /* present, writable */
#define PTE_LARGE    0x83       /* and a page of 2 MiB */
#define TABLES_BYTES (6 * PAGE) /* one level 4, one level 3, four level 2 */

/* Memory that no MTRR names is write-back: shared memory then is as fast as RAM. */
static int set_msrs(int vcpu, unsigned int id, struct belfry_error *err)
{
	struct { /* struct kvm_msrs with its flexible part */
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entries[2];
	} msrs = {
		.nmsrs = 2,
		.entries = { { .index = MSR_MTRR_DEF_TYPE,
			       .data = MTRR_ENABLE_WRITE_BACK },
			     { .index = MSR_MISC_ENABLE,
			       .data = MSR_MISC_ENABLE_FAST_STR } },
	};

	/* KVM sets as many as it knows, and says how many that were */
	if (ioctl(vcpu, KVM_SET_MSRS, &msrs) < 0)
		return bf_err_sys(err, errno, "vCPU %u: model-specific registers", id);
	return 0;
}

int bf_arch_vcpu_init(struct belfry_vm *vm, int vcpu, unsigned int id,
		      struct belfry_error *err)
{
	int e = bf_x86_cpuid(vm, vcpu, id, err);

	return e < 0 ? e : set_msrs(vcpu, id, err);
}

static struct kvm_segment flat(uint8_t type, uint16_t selector, bool is_long)
{
	return (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !is_long,
		.l = is_long,
	};
}

static void set_segments(struct kvm_sregs *s, bool is_long)
{
	s->cs = flat(0xb, 0x10, is_long); /* code, read, accessed */
	s->ds = s->es = s->fs = s->gs = s->ss = flat(0x3, 0x18, false);
	s->tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb, .present = 1 };
	s->gdt.limit = s->idt.limit = 0;
}

/* Selectors 0x10 and 0x18, which boot.rst asks for; the registers hold them already. */
static const uint64_t boot_gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };

/* Page tables at @at that map the first 4 GiB onto themselves, in pages of 2 MiB. */
static int build_tables(struct belfry_vm *vm, uint64_t at, struct belfry_error *err)
{
	uint64_t *table = bf_mem_at(vm, at, TABLES_BYTES + sizeof(boot_gdt));

	if (!table)
		return bf_err(err, EINVAL, "no room for page tables");
	memset(table, 0, TABLES_BYTES);
	table[0] = (at + PAGE) | PTE_TABLE;
	for (unsigned int i = 0; i < 4; i++)
		table[512 + i] = (at + (2 + i) * PAGE) | PTE_TABLE;
	for (uint64_t i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | PTE_LARGE;
	memcpy((char *)table + TABLES_BYTES, boot_gdt, sizeof(boot_gdt));
	return 0;
}

/* Documentation/arch/x86/boot.rst, "64-bit boot protocol". */
static int enter_long_mode(struct belfry_vm *vm, struct kvm_sregs *s,
			   const struct bf_entry *entry, struct belfry_error *err)
{
	s->cr3 = entry->aux;
	s->cr4 |= CR4_PAE;
	s->efer |= EFER_LME | EFER_LMA;
	s->cr0 |= CR0_PE | CR0_ET | CR0_PG;
	set_segments(s, true);
	s->gdt.base = entry->aux + TABLES_BYTES;
	s->gdt.limit = sizeof(boot_gdt) - 1;
	return build_tables(vm, entry->aux, err);
}

int bf_arch_vcpu_entry(struct belfry_vm *vm, int vcpu, const struct bf_entry *entry,
		       struct belfry_error *err)
{
	struct kvm_regs regs = { .rip = entry->pc, .rflags = 2 };
	struct kvm_sregs s;
	int e = 0;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return bf_err_sys(err, errno, "vCPU 0: registers");
	switch (entry->mode) {
	case BF_ENTRY_PVH: /* xen/include/public/arch-x86/hvm/start_info.h */
		regs.rbx = entry->arg;
		s.cr0 = CR0_PE | CR0_ET;
		set_segments(&s, false);
		break;
	case BF_ENTRY_LINUX64:
		regs.rsi = entry->arg;
		e = enter_long_mode(vm, &s, entry, err);
		break;
	}
	if (e < 0)
		return e;
	if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return bf_err_sys(err, errno, "vCPU 0: registers");
	return 0;
}

uint64_t bf_arch_vcpu_pc(int vcpu)
{
	struct kvm_regs regs;

	return ioctl(vcpu, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}
