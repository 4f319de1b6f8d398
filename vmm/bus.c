/* SPDX-License-Identifier: MIT */
/* vmm/bus.c - one address space: its regions, sorted by base, none overlapping */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/machine.h"

/* The index of the first region that ends above @addr. */
static unsigned int bus_search(const struct bf_bus *bus, uint64_t addr)
{
	unsigned int low = 0, high = bus->n;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;
		const struct bf_region *r = bus->regions[mid];

		if (r->base + (r->size - 1) < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bf_bus_add(struct bf_bus *bus, struct bf_region *r, struct belfry_error *err)
{
	uint64_t last;
	unsigned int i;

	if (r->size == 0 || __builtin_add_overflow(r->base, r->size - 1, &last) ||
	    last >= bus->limit)
		return bf_err(err, ERANGE,
			      "%s at 0x%" PRIx64 ", 0x%" PRIx64
			      " bytes: beyond the end of the address space",
			      r->name, r->base, r->size);
	i = bus_search(bus, r->base);
	if (i < bus->n && bus->regions[i]->base <= last)
		return bf_err(err, EEXIST,
			      "%s at 0x%" PRIx64 ": overlaps %s at 0x%" PRIx64, r->name,
			      r->base, bus->regions[i]->name, bus->regions[i]->base);

	if (bus->n == bus->room) {
		unsigned int room = bus->room ? bus->room * 2 : 16;
		struct bf_region **more =
			realloc(bus->regions, room * sizeof(*bus->regions));

		if (!more)
			return bf_err_sys(err, ENOMEM, "%s", r->name);
		bus->regions = more;
		bus->room = room;
	}
	memmove(&bus->regions[i + 1], &bus->regions[i],
		(bus->n - i) * sizeof(*bus->regions));
	bus->regions[i] = r;
	bus->n++;
	return 0;
}

void bf_bus_remove(struct bf_bus *bus, struct bf_region *r)
{
	unsigned int i = bus_search(bus, r->base);

	if (i == bus->n || bus->regions[i] != r)
		return;
	bus->n--;
	memmove(&bus->regions[i], &bus->regions[i + 1],
		(bus->n - i) * sizeof(*bus->regions));
}

/*
 * The region that holds all of @addr..@addr+@len-1; NULL when there is none. KVM cuts an
 * access at the end of a page, so that 3, 5, 6 and 7 bytes can come: no device knows
 * them.
 */
static struct bf_region *bus_find(struct bf_bus *bus, uint64_t addr, unsigned int len)
{
	unsigned int i = bus_search(bus, addr);
	struct bf_region *r;

	if (i == bus->n || len & (len - 1))
		return NULL;
	r = bus->regions[i];
	if (addr < r->base || r->size < len || addr - r->base > r->size - len)
		return NULL;
	return r;
}

/* What nobody answers reads as all ones, as on a real bus. */
void bf_bus_read(struct bf_bus *bus, uint64_t addr, void *data, unsigned int len)
{
	struct bf_region *r = bus_find(bus, addr, len);
	uint64_t val = UINT64_MAX;

	if (r && r->read)
		val = r->read(r->owner, addr - r->base, len);
	memcpy(data, &val, len);
}

void bf_bus_write(struct bf_bus *bus, uint64_t addr, const void *data, unsigned int len)
{
	struct bf_region *r = bus_find(bus, addr, len);
	uint64_t val = 0;

	memcpy(&val, data, len);
	if (r && r->write)
		r->write(r->owner, addr - r->base, val, len);
}

void bf_bus_fini(struct bf_bus *bus)
{
	free(bus->regions);
	*bus = (struct bf_bus){ .limit = bus->limit };
}
