/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/acpi_test.c - the ACPI tables as a guest gets them, boot/acpi.c
 *
 * Tables are found as a guest finds them, from the RSDP on. What is AML runs in acpiexec:
 * ACPICA, the interpreter that Linux has, with the tables taken from the guest's memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "boot/acpi.h"
#include "boot/x86.h"
#include "tests/unit/fake_vm.h"
#include "tests/unit/unit_test.h"

#define MIB        0x100000ULL
#define TABLES     4 /* in the XSDT */
#define OUTPUT_MAX 65536

struct fixture {
	struct fake_vm *fake;
	char dir[32]; /* of the tables as files */
	char output[OUTPUT_MAX];
};

static struct belfry_vm *vm_with(struct fixture *f, unsigned int cpus)
{
	f->fake->vm.n_vcpus = cpus;
	return &f->fake->vm;
}

static void build(struct fixture *f, unsigned int cpus)
{
	struct belfry_vm *vm = vm_with(f, cpus);

	assert_works(bf_acpi_build(vm, &vm->layout, &err));
}

static void init(struct fixture *f)
{
	*f = (struct fixture){ .fake = fake_vm_create(4 * MIB),
			       .dir = "/tmp/acpi_test.XXXXXX" };
	assert_non_null(mkdtemp(f->dir));
}

static int make(void **state)
{
	static struct fixture f;

	init(&f);
	*state = &f;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *f = *state;
	char command[64];

	f->fake->vm.n_vcpus = 0;
	fake_vm_destroy(f->fake);
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	return system(command);
}

/* --- from the RSDP on --- */

static uint64_t field(const uint8_t *table, unsigned int off, unsigned int len)
{
	uint64_t val = 0;

	memcpy(&val, table + off, len);
	return val;
}

static uint32_t length_of(const uint8_t *table)
{
	return field(table, 4, 4);
}

static uint8_t sum(const uint8_t *at, size_t len)
{
	uint8_t total = 0;

	while (len-- > 0)
		total += *at++;
	return total;
}

/* The table at @gpa, all of it where the memory map has tables, and its sum right. */
static const uint8_t *table_at(const struct fixture *f, uint64_t gpa)
{
	const uint8_t *table;

	assert_true(gpa >= X86_ACPI && gpa + 36 <= X86_ACPI + X86_ACPI_SIZE);
	table = bf_mem_at(&f->fake->vm, gpa, 36);
	assert_true(gpa + length_of(table) <= X86_ACPI + X86_ACPI_SIZE);
	assert_int_equal(sum(table, length_of(table)), 0);
	return table;
}

static const uint8_t *xsdt(const struct fixture *f)
{
	const uint8_t *rsdp = bf_mem_at(&f->fake->vm, X86_ACPI, 36);

	return table_at(f, field(rsdp, 24, 8));
}

/* The table named @signature; the DSDT is found from the FADT. */
static const uint8_t *table(const struct fixture *f, const char *signature)
{
	const uint8_t *list = xsdt(f);

	if (strcmp(signature, "DSDT") == 0)
		return table_at(f, field(table(f, "FACP"), 140, 8));
	for (unsigned int off = 36; off < length_of(list); off += 8) {
		const uint8_t *t = table_at(f, field(list, off, 8));

		if (memcmp(t, signature, 4) == 0)
			return t;
	}
	fail_msg("no table %s", signature);
	return NULL;
}

static void the_rsdp_has_both_checksums_and_leads_to_the_xsdt(void **state)
{
	struct fixture *f = *state;
	const uint8_t *rsdp;

	build(f, 1);
	rsdp = bf_mem_at(&f->fake->vm, X86_ACPI, 36);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(rsdp[15], 2); /* revision */
	assert_int_equal(field(rsdp, 20, 4), 36);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_memory_equal(xsdt(f), "XSDT", 4);
	assert_int_equal(length_of(xsdt(f)), 36 + 8 * TABLES);
}

static void no_two_tables_overlap(void **state)
{
	struct fixture *f = *state;
	const uint8_t *t[TABLES + 2];

	build(f, 64);
	t[0] = xsdt(f);
	t[1] = table(f, "DSDT");
	for (unsigned int i = 0; i < TABLES; i++)
		t[2 + i] = table_at(f, field(t[0], 36 + 8 * i, 8));
	for (unsigned int i = 0; i < TABLES + 2; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_true(t[i] + length_of(t[i]) <= t[j] ||
				    t[j] + length_of(t[j]) <= t[i]);
}

/* --- the fixed tables --- */

static void the_fadt_tells_of_reset_and_sleep_and_of_no_other_hardware(void **state)
{
	static const uint8_t reset[] = { 1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0 };
	static const uint8_t control[] = { 1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0 };
	static const uint8_t status[] = { 1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0 };
	static const uint8_t none[96];
	struct fixture *f = *state;
	const uint8_t *t;

	build(f, 1);
	t = table(f, "FACP");
	assert_int_equal(length_of(t), 276);
	assert_int_equal(t[8], 6);
	assert_int_equal(field(t, 112, 4), 1 << 20 | 1 << 10 | 1 << 5 | 1 << 4 | 1);
	assert_int_equal(field(t, 109, 2), 1 << 5 | 1 << 2); /* no RTC, 8042, VGA */
	assert_memory_equal(t + 116, reset, sizeof(reset));
	assert_int_equal(t[128], 0x06);
	assert_memory_equal(t + 244, control, sizeof(control));
	assert_memory_equal(t + 256, status, sizeof(status));
	assert_memory_equal(t + 44, none, 109 - 44);
	assert_memory_equal(t + 148, none, sizeof(none));
	assert_int_equal(field(t, 40, 4), field(t, 140, 8)); /* DSDT */
}

static void the_madt_has_the_io_apic_and_every_vcpu(void **state)
{
	static const uint8_t fixed[] = {
		0, 0,  0xe0, 0xfe, 1, 0, 0,    0,          /* local APIC; PICs */
		1, 12, 0,    0,    0, 0, 0xc0, 0xfe,       /* I/O APIC */
		0, 0,  0,    0,                            /* from GSI 0 */
		2, 10, 0,    0,    2, 0, 0,    0,    0, 0, /* IRQ 0 is GSI 2 */
	};
	static const unsigned int cpus[] = { 1, 4, 64 };
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		const uint8_t *t;

		build(f, cpus[i]);
		t = table(f, "APIC");
		assert_int_equal(length_of(t), 36 + sizeof(fixed) + 8 * cpus[i]);
		assert_memory_equal(t + 36, fixed, sizeof(fixed));
		for (unsigned int id = 0; id < cpus[i]; id++) {
			const uint8_t want[] = { 0, 8, id, id, 1, 0, 0, 0 };

			assert_memory_equal(t + 36 + sizeof(fixed) + 8 * id, want, 8);
		}
	}
}

static void the_mcfg_names_the_configuration_space_of_one_bus(void **state)
{
	struct fixture *f = *state;
	const uint8_t *t;

	build(f, 1);
	t = table(f, "MCFG");
	assert_int_equal(length_of(t), 60);
	assert_int_equal(field(t, 44, 8), f->fake->vm.layout.ecam.base);
	assert_int_equal(field(t, 52, 4), 0); /* segment 0, buses 0 to 0 */
}

/* --- AML --- */

/* Run a command in the folder of the tables; what it says is in f->output. */
static void run(struct fixture *f, const char *command)
{
	char line[1024];
	FILE *pipe;
	size_t n;

	snprintf(line, sizeof(line), "cd %s && timeout 30 %s </dev/null 2>&1", f->dir,
		 command);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	n = fread(f->output, 1, sizeof(f->output) - 1, pipe);
	f->output[n] = '\0';
	if (pclose(pipe) != 0 || strstr(f->output, "ACPI Error") ||
	    strstr(f->output, "ACPI Warning") || strstr(f->output, "ACPI BIOS"))
		fail_msg("%s: %s", command, f->output);
}

static void save(struct fixture *f, const char *signature)
{
	const uint8_t *t = table(f, signature);
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->dir, signature);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(t, 1, length_of(t), file), length_of(t));
	assert_int_equal(fclose(file), 0);
}

/*
 * acpiexec takes a second whatever it does, so it runs once for all. What it says of a
 * name begins with "Evaluating" and that name.
 */
static int execute_all(void **state)
{
	static struct fixture f;

	init(&f);
	f.fake->vm.layout.mmio64 = (struct bf_span){ 0x1240000000, 0xb0000000 };
	build(&f, 1);
	save(&f, "DSDT");
	save(&f, "SSDT");
	run(&f, "acpiexec -r -b '"
		"evaluate \\_S5;"
		"evaluate \\_SB.PCI0._CRS; template \\_SB.PCI0.WNDW;"
		"evaluate \\_SB.RSVD._CRS; template \\_SB.RSVD._CRS;"
		"evaluate \\_SB.COM1._CRS; template \\_SB.COM1._CRS;"
		"evaluate \\_SB.GED._CRS; template \\_SB.GED._CRS;"
		"evaluate \\_SB.GED._EVT 9;"
		"evaluate \\_SB.GED._EVT 8;"
		"resources \\_SB.PCI0; predefined' DSDT SSDT");
	*state = &f;
	return 0;
}

static bool said(const struct fixture *f, const char *name, const char *text)
{
	char start[64];
	const char *from, *to, *at;

	snprintf(start, sizeof(start), "Evaluating %s\n", name);
	from = strstr(f->output, start);
	if (!from)
		fail_msg("nothing of %s in: %s", name, f->output);
	to = strstr(from + 1, "Evaluating ");
	at = strstr(from, text);
	return at && (!to || at < to);
}

static void assert_said(const struct fixture *f, const char *name, const char *text)
{
	if (!said(f, name, text))
		fail_msg("%s: no \"%s\" in: %s", name, text, f->output);
}

static void every_table_can_be_disassembled(void **state)
{
	static const char *const fixed[] = { "FACP", "APIC", "MCFG" };
	struct fixture *f = *state;

	build(f, 4);
	for (unsigned int i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		char command[32];

		save(f, fixed[i]);
		snprintf(command, sizeof(command), "iasl -d %s", fixed[i]);
		run(f, command);
		assert_non_null(strstr(f->output, "Formatted output"));
	}
	save(f, "DSDT");
	save(f, "SSDT");
	run(f, "iasl -e SSDT -d DSDT");
	run(f, "iasl -p again DSDT.dsl");
	assert_non_null(strstr(f->output, "0 Errors, 0 Warnings"));
}

static void all_predefined_names_are_as_acpi_wants_them(void **state)
{
	const struct fixture *f = *state;

	assert_non_null(strstr(f->output, " predefined names in the namespace"));
}

static void the_host_bridge_has_the_windows_of_the_layout(void **state)
{
	const struct fixture *f = *state;
	const struct bf_span mmio32 = f->fake->vm.layout.mmio32;
	const char *const crs = "\\_SB.PCI0._CRS";
	char text[200];

	assert_said(f, crs, "Resource Type : Bus Number Range");
	snprintf(text, sizeof(text),
		 "Address Minimum : %08" PRIX64
		 "\n            Address Maximum : %08" PRIX64,
		 mmio32.base, mmio32.base + mmio32.size - 1);
	assert_said(f, crs, text);
	assert_said(f, crs,
		    "Address Minimum : 0000001240000000\n"
		    "            Address Maximum : 00000012EFFFFFFF\n"
		    "         Translation Offset : 0000000000000000\n"
		    "             Address Length : 00000000B0000000");
}

static void every_slot_has_its_interrupt_line(void **state)
{
	const struct fixture *f = *state;

	for (unsigned int slot = 0; slot < 32; slot++) {
		char text[200];

		snprintf(text, sizeof(text),
			 "Address : %016X\n"
			 "                        Pin : 00000000\n"
			 "                     Source : [NULL NAMESTRING]\n"
			 "               Source Index : %08X\n",
			 slot << 16 | 0xffff, bf_arch_intx_line(slot));
		assert_said(f, "_PRT", text);
	}
}

static void what_no_driver_shall_take_is_reserved(void **state)
{
	const struct fixture *f = *state;

	assert_said(f, "\\_SB.RSVD._CRS",
		    "Address : E8000000\n             Address Length : 00100000");
	assert_said(f, "\\_SB.RSVD._CRS", "Address Minimum : 0600\n");
}

static void com1_has_its_ports_and_its_line(void **state)
{
	const struct fixture *f = *state;

	assert_said(f, "\\_SB.COM1._CRS", "Address Minimum : 03F8\n");
	assert_said(f, "\\_SB.COM1._CRS", "Triggering : Edge\n");
	assert_said(f, "\\_SB.COM1._CRS", "Dword00 : 00000004\n");
}

static void the_power_button_is_told_by_the_event_device(void **state)
{
	const struct fixture *f = *state;
	const char *event;

	assert_said(f, "\\_SB.GED._CRS", "Triggering : Edge\n");
	assert_said(f, "\\_SB.GED._CRS", "Dword00 : 00000009\n");
	event = strstr(f->output, "Received a Device Notify on [PWRB]");
	assert_non_null(event);
	assert_non_null(strstr(event, "Value 0x80"));
	assert_null(strstr(event + 1, "Received a")); /* for GSI 9, not for 8 */
}

static void power_off_is_sleep_type_5(void **state)
{
	assert_said(*state, "\\_S5", "[Integer] = 0000000000000005");
}

/* --- limits --- */

static void tables_of_too_many_vcpus_are_refused_and_nothing_is_written(void **state)
{
	static const uint8_t zeros[X86_ACPI_SIZE];
	struct fixture *f = *state;
	struct belfry_error err = { 0 };
	unsigned int cpus = 1;
	void *at;

	while (bf_acpi_build(vm_with(f, cpus), &f->fake->vm.layout, &err) == 0)
		cpus++;
	assert_true(cpus > 1000);
	assert_int_equal(err.code, -EINVAL);
	assert_non_null(strstr(err.msg, "ACPI tables for "));
	assert_non_null(strstr(err.msg, " bytes, and there is room for 65536"));
	build(f, cpus - 1);
	table(f, "DSDT"); /* is whole, at the very end */
	at = bf_mem_at(vm_with(f, cpus), X86_ACPI, X86_ACPI_SIZE);
	memset(at, 0, X86_ACPI_SIZE);
	assert_int_equal(bf_acpi_build(&f->fake->vm, &f->fake->vm.layout, &err), -EINVAL);
	assert_memory_equal(at, zeros, sizeof(zeros));
}

static void a_vm_without_ram_for_the_tables_is_refused(void **state)
{
	struct fake_vm *fake = fake_vm_create(X86_ACPI + X86_ACPI_SIZE - 1);

	assert_fails(bf_acpi_build(&fake->vm, &fake->vm.layout, &err), EINVAL,
		     "no RAM for the ACPI tables");
	fake_vm_destroy(fake);
}

#define acpi_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		acpi_test(the_rsdp_has_both_checksums_and_leads_to_the_xsdt),
		acpi_test(no_two_tables_overlap),

		acpi_test(the_fadt_tells_of_reset_and_sleep_and_of_no_other_hardware),
		acpi_test(the_madt_has_the_io_apic_and_every_vcpu),
		acpi_test(the_mcfg_names_the_configuration_space_of_one_bus),

		acpi_test(every_table_can_be_disassembled),
		cmocka_unit_test(all_predefined_names_are_as_acpi_wants_them),
		cmocka_unit_test(the_host_bridge_has_the_windows_of_the_layout),
		cmocka_unit_test(every_slot_has_its_interrupt_line),
		cmocka_unit_test(what_no_driver_shall_take_is_reserved),
		cmocka_unit_test(com1_has_its_ports_and_its_line),
		cmocka_unit_test(the_power_button_is_told_by_the_event_device),
		cmocka_unit_test(power_off_is_sleep_type_5),

		acpi_test(tables_of_too_many_vcpus_are_refused_and_nothing_is_written),
		acpi_test(a_vm_without_ram_for_the_tables_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, execute_all, unmake);
}
