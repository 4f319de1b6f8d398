/* SPDX-License-Identifier: MIT */
/*
 * boot/acpi.c - the ACPI tables of the PC
 *
 * ACPI 6.4, hardware-reduced (chapter 4.1): no fixed power management hardware, but a
 * reset register, sleep registers and a generic event device. Section numbers below are
 * those of ACPI 6.4.
 *
 * Everything but the DSDT is one struct, so that addresses are offsets in it. The MADT is
 * its end, as it grows with the vCPUs; the DSDT follows. boot/dsdt.asl has what is the
 * same in every VM, and takes what is not from the SSDT, two names with their values.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/pc_regs.h"
#include "boot/acpi.h"
#include "boot/x86.h"
#include "vmm/vmm.h"

/* boot/dsdt.S */
extern const uint8_t bf_acpi_dsdt[], bf_acpi_dsdt_end[];

#define PACKED  __attribute__((packed))
#define ALIGNED __attribute__((packed, aligned(8)))

struct header { /* 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

struct rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} ALIGNED;

#define RSDP_FIRST_BYTES 20

struct xsdt { /* 5.2.8 */
	struct header header;
	uint64_t tables[4];
} ALIGNED;

struct gas { /* 5.2.3.2: the address of a register */
	uint8_t space;
	uint8_t bits;
	uint8_t shift;
	uint8_t access;
	uint64_t address;
} PACKED;

#define GAS_IO    1
#define GAS_BYTES 1

struct fadt { /* 5.2.9 */
	struct header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t fixed_hardware[109 - 44]; /* none: hardware-reduced */
	uint16_t boot_architecture;
	uint8_t reserved;
	uint32_t flags;
	struct gas reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_architecture;
	uint8_t minor_revision;
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct gas x_fixed_hardware[8]; /* none */
	struct gas sleep_control;
	struct gas sleep_status;
	uint64_t hypervisor;
} ALIGNED;

#define FADT_REVISION         6
#define FADT_MINOR            4
#define FADT_WBINVD           (1U << 0)
#define FADT_NO_POWER_BUTTON  (1U << 4) /* none in fixed hardware, that is */
#define FADT_NO_SLEEP_BUTTON  (1U << 5)
#define FADT_RESET_REGISTER   (1U << 10)
#define FADT_HARDWARE_REDUCED (1U << 20)
#define FADT_NO_VGA           (1U << 2) /* boot_architecture; no 8042: bit 1 */
#define FADT_NO_CMOS_RTC      (1U << 5)

struct mcfg { /* PCI Firmware Specification 3.2, 4.1.2 */
	struct header header;
	uint64_t reserved;
	uint64_t ecam;
	uint16_t segment;
	uint8_t first_bus;
	uint8_t last_bus;
	uint32_t reserved2;
} ALIGNED;

#define ECAM_BUS_SIZE (1U << 20)

struct aml_name { /* 20.2.5.1: Name (NAME, value) */
	uint8_t name_op;
	char name[4];
	uint8_t qword_prefix;
	uint64_t value;
} PACKED;

struct ssdt {
	struct header header;
	struct aml_name mmio64_first;
	struct aml_name mmio64_last;
} ALIGNED;

struct local_apic { /* 5.2.12.2 */
	uint8_t type;
	uint8_t length;
	uint8_t processor;
	uint8_t apic_id;
	uint32_t flags;
} PACKED;

struct io_apic { /* 5.2.12.3 */
	uint8_t type;
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t first_gsi;
} PACKED;

struct interrupt_override { /* 5.2.12.5 */
	uint8_t type;
	uint8_t length;
	uint8_t bus;
	uint8_t source;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct madt { /* 5.2.12 */
	struct header header;
	uint32_t local_apic;
	uint32_t flags;
	struct io_apic io_apic;
	struct interrupt_override timer;
	struct local_apic cpus[];
} ALIGNED;

enum { MADT_LOCAL_APIC = 0, MADT_IO_APIC = 1, MADT_OVERRIDE = 2 };

#define MADT_HAS_PICS    1U
#define MADT_CPU_ENABLED 1U

struct tables {
	struct rsdp rsdp;
	struct xsdt xsdt;
	struct fadt fadt;
	struct mcfg mcfg;
	struct ssdt ssdt;
	struct madt madt;
};

_Static_assert(sizeof(struct header) == 36, "5.2.6");
_Static_assert(offsetof(struct fadt, flags) == 112, "5.2.9");
_Static_assert(offsetof(struct fadt, hypervisor) + 8 == 276, "5.2.9");
_Static_assert(offsetof(struct madt, cpus) == 44 + 12 + 10, "5.2.12");

#define ADDRESS_OF(table) (X86_ACPI + offsetof(struct tables, table))

/* Bytes of a table up to its last field, without what aligns the next one. */
#define LENGTH_TO(type, last) (offsetof(type, last) + sizeof(((type *)NULL)->last))

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *at = data;
	uint8_t sum = 0;

	while (len-- > 0)
		sum += *at++;
	return -sum;
}

static struct header header(const char *signature, uint8_t revision, size_t length)
{
	struct header h = {
		.length = length,
		.revision = revision,
		.oem_id = "BELFRY",
		.oem_table_id = "BELFRY",
		.oem_revision = 1,
		.creator_id = { 'B', 'L', 'F', 'Y' },
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	return h;
}

/* The table is complete. */
static void seal(struct header *h)
{
	h->checksum = checksum(h, h->length);
}

static void fill_rsdp(struct rsdp *t)
{
	*t = (struct rsdp){
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem_id = "BELFRY",
		.revision = 2,
		.length = LENGTH_TO(struct rsdp, reserved),
		.xsdt = ADDRESS_OF(xsdt),
	};
	t->checksum = checksum(t, RSDP_FIRST_BYTES);
	t->extended_checksum = checksum(t, t->length);
}

static void fill_xsdt(struct xsdt *t)
{
	*t = (struct xsdt){
		.header = header("XSDT", 1, LENGTH_TO(struct xsdt, tables)),
		.tables = { ADDRESS_OF(fadt), ADDRESS_OF(madt), ADDRESS_OF(mcfg),
			    ADDRESS_OF(ssdt) },
	};
	seal(&t->header);
}

static struct gas byte_port(uint16_t port)
{
	return (struct gas){
		.space = GAS_IO, .bits = 8, .access = GAS_BYTES, .address = port
	};
}

static void fill_fadt(struct fadt *t, uint64_t dsdt)
{
	*t = (struct fadt){
		.header =
			header("FACP", FADT_REVISION, LENGTH_TO(struct fadt, hypervisor)),
		.dsdt = dsdt,
		.boot_architecture = FADT_NO_VGA | FADT_NO_CMOS_RTC,
		.flags = FADT_WBINVD | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			 FADT_RESET_REGISTER | FADT_HARDWARE_REDUCED,
		.reset_register = byte_port(PC_PORT_RESET),
		.reset_value = PC_RESET_VALUE,
		.minor_revision = FADT_MINOR,
		.x_dsdt = dsdt,
		.sleep_control = byte_port(PC_PORT_SLEEP),
		.sleep_status = byte_port(PC_PORT_SLEEP + 1),
	};
	seal(&t->header);
}

static void fill_mcfg(struct mcfg *t, const struct bf_span *ecam)
{
	*t = (struct mcfg){
		.header = header("MCFG", 1, LENGTH_TO(struct mcfg, reserved2)),
		.ecam = ecam->base,
		.last_bus = ecam->size / ECAM_BUS_SIZE - 1,
	};
	seal(&t->header);
}

static struct aml_name name(const char *segment, uint64_t value)
{
	struct aml_name aml = { .name_op = 0x08, .qword_prefix = 0x0e, .value = value };

	memcpy(aml.name, segment, sizeof(aml.name));
	return aml;
}

static void fill_ssdt(struct ssdt *t, const struct bf_span *mmio64)
{
	*t = (struct ssdt){
		.header = header("SSDT", 2, LENGTH_TO(struct ssdt, mmio64_last)),
		.mmio64_first = name("M64B", mmio64->base),
		.mmio64_last = name("M64E", mmio64->base + mmio64->size - 1),
	};
	seal(&t->header);
}

/* APIC IDs are as arch/x86_64/cpuid.c has them; the timer is on pin 2. */
static void fill_madt(struct madt *t, unsigned int cpus, size_t length)
{
	*t = (struct madt){
		.header = header("APIC", 5, length),
		.local_apic = PC_APIC,
		.flags = MADT_HAS_PICS,
		.io_apic = { .type = MADT_IO_APIC,
			     .length = sizeof(t->io_apic),
			     .address = PC_IOAPIC },
		.timer = { .type = MADT_OVERRIDE, .length = sizeof(t->timer), .gsi = 2 },
	};
	for (unsigned int i = 0; i < cpus; i++)
		t->cpus[i] = (struct local_apic){ .type = MADT_LOCAL_APIC,
						  .length = sizeof(t->cpus[i]),
						  .processor = i,
						  .apic_id = i,
						  .flags = MADT_CPU_ENABLED };
	seal(&t->header);
}

int bf_acpi_build(struct belfry_vm *vm, const struct bf_layout *layout,
		  struct belfry_error *err)
{
	const unsigned int cpus = bf_vm_cpus(vm);
	const size_t dsdt_size = bf_acpi_dsdt_end - bf_acpi_dsdt;
	const size_t madt_size =
		offsetof(struct madt, cpus) + cpus * sizeof(struct local_apic);
	const size_t dsdt = (offsetof(struct tables, madt) + madt_size + 7) & ~(size_t)7;
	struct tables *t = bf_mem_at(vm, X86_ACPI, X86_ACPI_SIZE);

	if (dsdt + dsdt_size > X86_ACPI_SIZE)
		return bf_err(err, EINVAL,
			      "ACPI tables for %u vCPUs: %zu bytes, and there is room "
			      "for %u",
			      cpus, dsdt + dsdt_size, X86_ACPI_SIZE);
	if (!t)
		return bf_err(err, EINVAL, "no RAM for the ACPI tables");
	fill_rsdp(&t->rsdp);
	fill_xsdt(&t->xsdt);
	fill_fadt(&t->fadt, X86_ACPI + dsdt);
	fill_mcfg(&t->mcfg, &layout->ecam);
	fill_ssdt(&t->ssdt, &layout->mmio64);
	fill_madt(&t->madt, cpus, madt_size);
	memcpy((uint8_t *)t + dsdt, bf_acpi_dsdt, dsdt_size);
	return 0;
}
