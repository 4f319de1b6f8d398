/* SPDX-License-Identifier: MIT */
/* tests/unit/boot_bzimage_test.c - Linux kernels as bzImage, good ones and others */
#include <asm/bootparam.h>
#include <stdlib.h>

#include "tests/unit/boot_test.h"

#define SECTOR     512
#define SETUP      4 /* sectors behind the first */
#define CODE_BYTES 0x1000
#define CODE_AT    0x200000ULL /* guest-physical */
#define INIT_BYTES 0x8000

/*
 * A bzImage as small as can be: setup sectors with their header, and the kernel proper.
 */
struct bzimage {
	union {
		uint8_t setup[(SETUP + 1) * SECTOR];
		struct {
			uint8_t before[0x1f1];
			struct setup_header hdr;
		} __attribute__((packed));
	};
	uint8_t code[CODE_BYTES];
};

static struct bzimage good(void)
{
	struct bzimage image = { 0 };

	image.hdr = (struct setup_header){
		.setup_sects = SETUP,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb, /* over the header, which ends at 0x26c */
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = CODE_AT,
		.init_size = INIT_BYTES,
	};
	memset(image.code, 0x90, sizeof(image.code));
	return image;
}

static void set_image(struct boot_fixture *f, const struct bzimage *image)
{
	set_kernel(f, image, sizeof(*image));
}

/* --- what a good one gets --- */

static void a_kernel_is_put_at_its_address_and_entered_512_bytes_in(void **state)
{
	struct boot_fixture *f = *state;
	const struct bzimage image = good();

	set_image(f, &image);
	assert_works(load(f, &err));
	assert_int_equal(f->entry.mode, BF_ENTRY_LINUX64);
	assert_int_equal(f->entry.pc, CODE_AT + 0x200);
	assert_memory_equal(ram(f, CODE_AT), image.code, CODE_BYTES);
	assert_true(f->entry.aux >= 0x3000 &&
		    f->entry.aux < 0x20000); /* for page tables */
}

static void the_boot_parameters_hold_header_ram_and_command_line(void **state)
{
	struct boot_fixture *f = *state;
	const struct bzimage image = good();
	const struct boot_params *bp;

	set_image(f, &image);
	f->conf.cmdline = "console=ttyS0";
	assert_works(load(f, &err));
	bp = ram(f, f->entry.arg);
	assert_int_equal(bp->hdr.header, 0x53726448);
	assert_int_equal(bp->hdr.version, 0x020f);
	assert_int_equal(bp->hdr.type_of_loader, 0xff);
	assert_string_equal(ram(f, bp->hdr.cmd_line_ptr), "console=ttyS0");
	assert_int_equal(bp->hdr.ramdisk_image, 0);
	assert_int_equal(bp->hdr.ramdisk_size, 0);
	assert_memory_equal(ram(f, bp->acpi_rsdp_addr), "RSD PTR ", 8);
	assert_reset_vector(f);
	assert_int_equal(bp->e820_entries, MAP_LOW);
	assert_memory_map(bp->e820_table, MAP_LOW);
}

static void the_e820_map_goes_on_above_4_gib(void **state)
{
	struct boot_fixture *f = *state;
	const struct bzimage image = good();
	const struct boot_params *bp;
	struct bf_layout layout;

	set_high_ram(f, &layout);
	set_image(f, &image);
	assert_works(load(f, &err));
	bp = ram(f, f->entry.arg);
	assert_int_equal(bp->e820_entries, MAP_LOW + 1);
	assert_memory_map(bp->e820_table, MAP_LOW + 1);
}

static void the_header_ends_where_its_jump_leads(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();
	const struct boot_params *bp;

	image.hdr.kernel_info_offset = 0x12345678; /* its last member, at 0x268 */
	image.hdr.jump = 0x66eb;
	set_image(f, &image);
	assert_works(load(f, &err));
	bp = ram(f, f->entry.arg);
	assert_int_equal(bp->hdr.kernel_info_offset, 0);
	assert_int_equal(bp->hdr.init_size, INIT_BYTES);

	image.hdr.jump = 0xffeb; /* longer than any header known */
	memset(image.setup + 0x26c, 0xee, 0x80);
	set_image(f, &image);
	assert_works(load(f, &err));
	assert_int_equal(bp->hdr.kernel_info_offset, 0x12345678);
	assert_int_equal(*((const uint8_t *)bp + 0x26c), 0);
}

static void no_number_of_setup_sectors_stands_for_4(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	image.hdr.setup_sects = 0;
	set_image(f, &image);
	assert_works(load(f, &err));
	assert_memory_equal(ram(f, CODE_AT), image.code, CODE_BYTES);
}

static void an_initrd_goes_to_the_end_of_ram(void **state)
{
	struct boot_fixture *f = *state;
	const struct bzimage image = good();
	const struct boot_params *bp;

	set_image(f, &image);
	set_initrd(f, 0x1234);
	assert_works(load(f, &err));
	bp = ram(f, f->entry.arg);
	assert_int_equal(bp->hdr.ramdisk_image, RAM_SIZE - 0x2000);
	assert_int_equal(bp->hdr.ramdisk_size, 0x1234);
	assert_memory_equal(ram(f, bp->hdr.ramdisk_image), "initrd", 6);
}

static void an_initrd_stays_off_a_kernel_longer_than_it_says(void **state)
{
	const uint64_t end = CODE_AT + CODE_BYTES;
	struct boot_fixture *f = *state;
	struct bzimage image = good();
	const struct boot_params *bp;

	image.hdr.init_size = 0;
	set_image(f, &image);
	set_initrd(f, RAM_SIZE - end);
	assert_works(load(f, &err));
	bp = ram(f, f->entry.arg);
	assert_int_equal(bp->hdr.ramdisk_image, end);
	assert_memory_equal(ram(f, CODE_AT), image.code, CODE_BYTES);

	f->entry.pc = 0;
	set_initrd(f, RAM_SIZE - end + 1);
	assert_refused(f, EINVAL,
		       "initrd of 2093057 bytes does not fit into RAM behind the "
		       "kernel, from 0x201000 to 0x400000");
}

static void an_initrd_stays_below_the_highest_address_the_kernel_takes(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();
	const struct boot_params *bp;

	image.hdr.initrd_addr_max = 0x2fffff;
	set_image(f, &image);
	set_initrd(f, 0x1000);
	assert_works(load(f, &err));
	bp = ram(f, f->entry.arg);
	assert_int_equal(bp->hdr.ramdisk_image, 0x2ff000);
}

/* --- what is refused --- */

static void an_old_boot_protocol_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	image.hdr.version = 0x020b;
	set_image(f, &image);
	assert_refused(f, ENOEXEC,
		       "bzImage of boot protocol 2.11: expected 2.12 or newer");
	image.hdr.version = 0x0204;
	set_image(f, &image);
	assert_refused(f, ENOEXEC,
		       "bzImage of boot protocol 2.04: expected 2.12 or newer");
}

static void a_kernel_without_a_64_bit_entry_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	image.hdr.xloadflags = 0;
	set_image(f, &image);
	assert_refused(f, ENOEXEC, "bzImage without a 64-bit entry");
	image = good();
	image.hdr.loadflags = 0;
	set_image(f, &image);
	assert_refused(f, ENOEXEC, "bzImage without a 64-bit entry");
}

static void a_header_that_is_cut_short_is_no_bzimage(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	set_kernel(f, &image, 0x26b);
	assert_refused(
		f, ENOEXEC,
		"not a kernel: expected an ELF file with a PVH note, or a bzImage");
	image.hdr.boot_flag = 0;
	set_image(f, &image);
	assert_refused(
		f, ENOEXEC,
		"not a kernel: expected an ELF file with a PVH note, or a bzImage");
}

static void a_truncated_kernel_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	set_kernel(f, &image, 1024);
	assert_refused(f, EINVAL,
		       "kernel is truncated: its setup code alone has 2560 bytes, and "
		       "the file has 1024");
	set_kernel(f, &image, sizeof(image.setup) + 0x200); /* nothing at the entry */
	assert_refused(f, EINVAL,
		       "kernel is truncated: its setup code alone has 2560 bytes, and "
		       "the file has 3072");
	image.hdr.setup_sects = 255;
	set_image(f, &image);
	assert_refused(f, EINVAL,
		       "kernel is truncated: its setup code alone has 131072 bytes, "
		       "and the file has 6656");
}

static void too_little_ram_is_an_error_that_says_how_much(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	image.hdr.init_size = 0x10000000;
	set_image(f, &image);
	assert_refused(f, EINVAL,
		       "kernel needs 268435456 bytes of RAM at 0x200000; is memory too "
		       "small?");
	image = good();
	image.hdr.pref_address =
		RAM_SIZE - 0x800; /* the file is larger than init_size says */
	image.hdr.init_size = 0;
	set_image(f, &image);
	assert_refused(
		f, EINVAL,
		"kernel needs 4096 bytes of RAM at 0x3ff800; is memory too small?");
}

static void an_address_that_no_kernel_can_have_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	image.hdr.pref_address = 0x10000;
	set_image(f, &image);
	assert_refused(f, EINVAL, "kernel wants to be at 0x10000, below 0x100000");
	image.hdr.pref_address = UINT64_MAX - 0xfff;
	set_image(f, &image);
	assert_refused(
		f, EINVAL,
		"kernel wants to be at 0xfffffffffffff000 with 32768 bytes, beyond "
		"4G");
	image.hdr.pref_address = 0x100000000 - 0x7000;
	set_image(f, &image);
	assert_refused(f, EINVAL,
		       "kernel wants to be at 0xffff9000 with 32768 bytes, beyond 4G");
}

static void a_command_line_too_long_is_an_error_with_the_kernels_own_limit(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();
	char *cmdline = calloc(1, 65537);

	memset(cmdline, 'x', 2048);
	f->conf.cmdline = cmdline;
	set_image(f, &image);
	assert_refused(f, EINVAL,
		       "cmdline of 2048 bytes: this kernel takes at most 2047");
	cmdline[2047] = '\0';
	assert_works(load(f, &err));

	f->entry.pc = 0;
	image.hdr.cmdline_size = UINT32_MAX; /* more than there is room for */
	set_image(f, &image);
	memset(cmdline, 'x', 65536);
	assert_refused(f, EINVAL,
		       "cmdline of 65536 bytes: this kernel takes at most 65535");
	free(cmdline);
}

static void an_initrd_that_does_not_fit_is_refused(void **state)
{
	struct boot_fixture *f = *state;
	struct bzimage image = good();

	set_image(f, &image);
	set_initrd(f, RAM_SIZE - CODE_AT); /* over the kernel */
	assert_refused(f, EINVAL,
		       "initrd of 2097152 bytes does not fit into RAM behind the "
		       "kernel, from 0x208000 to 0x400000");
	set_initrd(f, 1ULL << 40);
	assert_refused(f, EINVAL,
		       "initrd of 1099511627776 bytes does not fit into RAM behind "
		       "the kernel, from 0x208000 to 0x400000");
	image.hdr.initrd_addr_max = 0;
	set_image(f, &image);
	set_initrd(f, 1);
	assert_refused(f, EINVAL,
		       "initrd of 1 bytes does not fit into RAM behind the kernel, "
		       "from 0x208000 to 0x1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boot_test(a_kernel_is_put_at_its_address_and_entered_512_bytes_in),
		boot_test(the_boot_parameters_hold_header_ram_and_command_line),
		boot_test(the_e820_map_goes_on_above_4_gib),
		boot_test(the_header_ends_where_its_jump_leads),
		boot_test(no_number_of_setup_sectors_stands_for_4),
		boot_test(an_initrd_goes_to_the_end_of_ram),
		boot_test(an_initrd_stays_off_a_kernel_longer_than_it_says),
		boot_test(an_initrd_stays_below_the_highest_address_the_kernel_takes),

		boot_test(an_old_boot_protocol_is_refused),
		boot_test(a_kernel_without_a_64_bit_entry_is_refused),
		boot_test(a_header_that_is_cut_short_is_no_bzimage),
		boot_test(a_truncated_kernel_is_refused),
		boot_test(too_little_ram_is_an_error_that_says_how_much),
		boot_test(an_address_that_no_kernel_can_have_is_refused),
		boot_test(a_command_line_too_long_is_an_error_with_the_kernels_own_limit),
		boot_test(an_initrd_that_does_not_fit_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
