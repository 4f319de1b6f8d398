/* SPDX-License-Identifier: MIT */
/* tests/unit/bus_test.c - the regions of an address space, vmm/bus.c */
#include "base/own.h"
#include "tests/unit/unit_test.h"
#include "vmm/machine.h"

#define LIMIT 0x10000ULL

/* The last access that a region has seen; what it answers. */
struct probe {
	struct bf_region region;
	uint64_t off, val, answer;
	unsigned int len;
	unsigned int reads, writes;
};

static uint64_t probe_read(void *owner, uint64_t off, unsigned int len)
{
	struct probe *p = owner;

	p->off = off;
	p->len = len;
	p->reads++;
	return p->answer;
}

static void probe_write(void *owner, uint64_t off, uint64_t val, unsigned int len)
{
	struct probe *p = owner;

	p->off = off;
	p->val = val;
	p->len = len;
	p->writes++;
}

static int add(struct bf_bus *bus, struct probe *p, const char *name, uint64_t base,
	       uint64_t size, struct belfry_error *err)
{
	*p = (struct probe){
		.answer = 0x1122334455667788,
		.region = { .base = base,
			    .size = size,
			    .name = name,
			    .read = probe_read,
			    .write = probe_write,
			    .owner = p },
	};
	return bf_bus_add(bus, &p->region, err);
}

static uint64_t read_at(struct bf_bus *bus, uint64_t addr, unsigned int len)
{
	uint64_t val = 0;

	bf_bus_read(bus, addr, &val, len);
	return val;
}

static void write_at(struct bf_bus *bus, uint64_t addr, uint64_t val, unsigned int len)
{
	bf_bus_write(bus, addr, &val, len);
}

static uint64_t ones(unsigned int len)
{
	return UINT64_MAX >> (64 - 8 * len);
}

static int make(void **state)
{
	static struct bf_bus bus;

	bus = (struct bf_bus){ .limit = LIMIT };
	*state = &bus;
	return 0;
}

static int unmake(void **state)
{
	bf_bus_fini(*state);
	return 0;
}

/* --- mapping --- */

static void neighbours_touch_without_overlapping(void **state)
{
	struct probe low, mid, high;

	assert_works(add(*state, &mid, "mid", 0x2000, 0x1000, &err));
	assert_works(add(*state, &low, "low", 0x1000, 0x1000, &err));
	assert_works(add(*state, &high, "high", 0x3000, 0x1000, &err));

	read_at(*state, 0x1fff, 1);
	read_at(*state, 0x2000, 1);
	read_at(*state, 0x2fff, 1);
	read_at(*state, 0x3000, 1);
	assert_int_equal(low.reads, 1);
	assert_int_equal(mid.reads, 2);
	assert_int_equal(high.reads, 1);
}

static void an_overlap_is_refused_and_names_both(void **state)
{
	struct probe there, other, p;

	assert_works(add(*state, &there, "there", 0x1000, 0x1000, &err));
	assert_works(add(*state, &other, "other", 0x4000, 0x1000, &err));

	assert_fails(add(*state, &p, "same", 0x1000, 0x1000, &err), EEXIST,
		     "same at 0x1000: overlaps there at 0x1000");
	assert_fails(add(*state, &p, "inside", 0x1800, 0x100, &err), EEXIST,
		     "inside at 0x1800: overlaps there at 0x1000");
	assert_fails(add(*state, &p, "around", 0x800, 0x2000, &err), EEXIST,
		     "around at 0x800: overlaps there at 0x1000");
	assert_fails(add(*state, &p, "first byte", 0xfff, 2, &err), EEXIST,
		     "first byte at 0xfff: overlaps there at 0x1000");
	assert_fails(add(*state, &p, "last byte", 0x1fff, 0x100, &err), EEXIST,
		     "last byte at 0x1fff: overlaps there at 0x1000");
	assert_fails(add(*state, &p, "between", 0x3000, 0x1001, &err), EEXIST,
		     "between at 0x3000: overlaps other at 0x4000");
}

static void nothing_goes_beyond_the_end_of_the_address_space(void **state)
{
	struct probe p;

	assert_fails(add(*state, &p, "p", LIMIT, 1, &err), ERANGE,
		     "p at 0x10000, 0x1 bytes: beyond the end of the address space");
	assert_fails(add(*state, &p, "p", LIMIT - 1, 2, &err), ERANGE,
		     "p at 0xffff, 0x2 bytes: beyond the end of the address space");
	assert_fails(add(*state, &p, "p", 0, LIMIT + 1, &err), ERANGE,
		     "p at 0x0, 0x10001 bytes: beyond the end of the address space");
	assert_fails(add(*state, &p, "p", UINT64_MAX, 1, &err), ERANGE,
		     "p at 0xffffffffffffffff, 0x1 bytes: beyond the end of the address "
		     "space");
	assert_fails(
		add(*state, &p, "p", 0x1000, UINT64_MAX, &err), ERANGE,
		"p at 0x1000, 0xffffffffffffffff bytes: beyond the end of the address "
		"space");
	assert_works(add(*state, &p, "p", LIMIT - 1, 1, &err));
}

static void an_empty_region_is_refused(void **state)
{
	struct probe p;

	assert_fails(add(*state, &p, "p", 0x1000, 0, &err), ERANGE,
		     "p at 0x1000, 0x0 bytes: beyond the end of the address space");
}

static void one_region_may_fill_the_space(void **state)
{
	struct probe all, more;

	assert_works(add(*state, &all, "all", 0, LIMIT, &err));
	assert_fails(add(*state, &more, "more", 0x8000, 1, &err), EEXIST,
		     "more at 0x8000: overlaps all at 0x0");
	read_at(*state, LIMIT - 8, 8);
	assert_int_equal(all.off, LIMIT - 8);
}

static void a_removed_region_answers_no_more_and_leaves_room(void **state)
{
	struct probe a, b, c, again;

	assert_works(add(*state, &a, "a", 0x1000, 0x1000, &err));
	assert_works(add(*state, &b, "b", 0x2000, 0x1000, &err));
	assert_works(add(*state, &c, "c", 0x3000, 0x1000, &err));

	bf_bus_remove(*state, &b.region);

	assert_int_equal(read_at(*state, 0x2000, 4), ones(4));
	assert_int_equal(b.reads, 0);
	read_at(*state, 0x1000, 4);
	read_at(*state, 0x3000, 4);
	assert_int_equal(a.reads, 1);
	assert_int_equal(c.reads, 1);
	assert_works(add(*state, &again, "again", 0x2000, 0x1000, &err));
}

static void removing_what_is_not_there_does_nothing(void **state)
{
	struct probe there;
	struct bf_region same_place = { .base = 0x1000, .size = 0x1000 };
	struct bf_region elsewhere = { .base = 0x5000, .size = 0x1000 };

	assert_works(add(*state, &there, "there", 0x1000, 0x1000, &err));
	bf_bus_remove(*state, &same_place);
	bf_bus_remove(*state, &elsewhere);
	read_at(*state, 0x1000, 4);
	assert_int_equal(there.reads, 1);
}

/* --- accesses --- */

static void an_access_reaches_its_region_with_offset_value_and_width(void **state)
{
	struct probe p;

	assert_works(add(*state, &p, "p", 0x1000, 0x100, &err));
	for (unsigned int len = 1; len <= 8; len *= 2) {
		write_at(*state, 0x1008, 0xaabbccddeeff0011, len);
		assert_int_equal(p.off, 8);
		assert_int_equal(p.len, len);
		assert_int_equal(p.val, 0xaabbccddeeff0011 & ones(len));

		assert_int_equal(read_at(*state, 0x1010, len), p.answer & ones(len));
		assert_int_equal(p.off, 0x10);
		assert_int_equal(p.len, len);
	}
}

static void every_region_is_found_among_many(void **state)
{
	struct probe many[100];

	/* 37 and 100 have no common factor: each place once, in no order */
	for (unsigned int i = 0; i < BF_ARRAY_LEN(many); i++) {
		unsigned int at = i * 37 % BF_ARRAY_LEN(many);

		assert_works(add(*state, &many[at], "one", at * 0x100, 0x80, &err));
	}
	for (unsigned int i = 0; i < BF_ARRAY_LEN(many); i++) {
		read_at(*state, i * 0x100 + 0x7f, 1);
		assert_int_equal(many[i].reads, 1);
		assert_int_equal(many[i].off, 0x7f);
		assert_int_equal(read_at(*state, i * 0x100 + 0x80, 1), 0xff);
	}
}

static void what_nobody_answers_reads_as_ones(void **state)
{
	struct probe p;

	assert_int_equal(read_at(*state, 0, 8), ones(8));
	assert_works(add(*state, &p, "p", 0x1000, 0x100, &err));
	for (unsigned int len = 1; len <= 8; len *= 2) {
		assert_int_equal(read_at(*state, 0x0ff0, len), ones(len));
		assert_int_equal(read_at(*state, 0x1100, len), ones(len));
		assert_int_equal(read_at(*state, UINT64_MAX, len), ones(len));
	}
	write_at(*state, 0x0ff0, 1, 4);
	write_at(*state, UINT64_MAX, 1, 8);
	assert_int_equal(p.reads + p.writes, 0);
}

static void an_access_that_straddles_an_edge_reaches_nobody(void **state)
{
	struct probe low, high, small;

	assert_works(add(*state, &low, "low", 0x1000, 0x1000, &err));
	assert_works(add(*state, &high, "high", 0x2000, 0x1000, &err));
	assert_works(add(*state, &small, "small", 0x4000, 2, &err));
	write_at(*state, 0x1ffe, 1, 4);
	write_at(*state, 0x2ffc, 1, 8);
	write_at(*state, 0x0fff, 1, 2);
	write_at(*state, 0x4000, 1, 4);

	assert_int_equal(read_at(*state, 0x1ffe, 4), ones(4));
	assert_int_equal(read_at(*state, 0x2ffc, 8), ones(8));
	assert_int_equal(read_at(*state, 0x0fff, 2), ones(2));
	assert_int_equal(read_at(*state, 0x4000, 4), ones(4));
	assert_int_equal(low.reads + low.writes, 0);
	assert_int_equal(high.reads + high.writes, 0);
	assert_int_equal(small.reads + small.writes, 0);
}

/* KVM cuts an access at the end of a page, so a guest can bring these about. */
static void widths_that_no_device_knows_reach_nobody(void **state)
{
	static const unsigned int odd[] = { 3, 5, 6, 7 };
	struct probe p;

	assert_works(add(*state, &p, "p", 0x1000, 0x1000, &err));
	for (unsigned int i = 0; i < BF_ARRAY_LEN(odd); i++) {
		write_at(*state, 0x1000, 0, odd[i]);
		assert_int_equal(read_at(*state, 0x1000, odd[i]), ones(odd[i]));
	}
	assert_int_equal(p.reads + p.writes, 0);
}

static void a_region_without_handlers_only_keeps_its_place(void **state)
{
	struct bf_region r = { .base = 0x1000, .size = 0x1000, .name = "kept" };
	struct probe p;

	assert_works(bf_bus_add(*state, &r, &err));
	write_at(*state, 0x1000, 1, 4);
	assert_int_equal(read_at(*state, 0x1000, 4), ones(4));
	assert_fails(add(*state, &p, "p", 0x1fff, 1, &err), EEXIST,
		     "p at 0x1fff: overlaps kept at 0x1000");
}

#define bus_test(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bus_test(neighbours_touch_without_overlapping),
		bus_test(an_overlap_is_refused_and_names_both),
		bus_test(nothing_goes_beyond_the_end_of_the_address_space),
		bus_test(an_empty_region_is_refused),
		bus_test(one_region_may_fill_the_space),
		bus_test(a_removed_region_answers_no_more_and_leaves_room),
		bus_test(removing_what_is_not_there_does_nothing),
		bus_test(an_access_reaches_its_region_with_offset_value_and_width),
		bus_test(every_region_is_found_among_many),
		bus_test(what_nobody_answers_reads_as_ones),
		bus_test(an_access_that_straddles_an_edge_reaches_nobody),
		bus_test(widths_that_no_device_knows_reach_nobody),
		bus_test(a_region_without_handlers_only_keeps_its_place),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
