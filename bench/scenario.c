/* SPDX-License-Identifier: MIT */
/* bench/scenario.c - the table of what can be measured */
#include <stddef.h>
#include <string.h>

#include "bench/scenario.h"

#define FLOOR  BENCH_BIT(BENCH_FLOOR)
#define BELFRY BENCH_BIT(BENCH_BELFRY)
#define WINDOW BENCH_BIT(BENCH_WINDOW)
#define QEMU   BENCH_BIT(BENCH_QEMU)
#define HOST   BENCH_BIT(BENCH_HOST)
#define VMMS   (BELFRY | QEMU)
#define ALL    (FLOOR | VMMS)
#define PEERS  (BELFRY | WINDOW | QEMU)

#define NEEDS_LINUX                                                                 \
	"needs guests with Linux and its network; the guests of belfry bench have " \
	"neither"

const char *const bench_contestant_names[BENCH_CONTESTANTS] = {
	[BENCH_FLOOR] = "floor",
	[BENCH_BELFRY] = "belfry",
	[BENCH_WINDOW] = "belfry-window",
	[BENCH_QEMU] = "qemu",
	[BENCH_HOST] = "host",
};

const char *const bench_contestant_titles[BENCH_CONTESTANTS] = {
	[BENCH_FLOOR] = "the bare KVM path: ioeventfd, irqfd and no VMM",
	[BENCH_BELFRY] = "belfry as it comes",
	[BENCH_WINDOW] = "belfry with doorbell_window: true",
	[BENCH_QEMU] = "QEMU with ivshmem-doorbell",
	[BENCH_HOST] = "a thread of the host, no guest",
};

/* clang-format off */
const struct bench_scenario bench_scenarios[] = {
	{ "doorbell-spin", "round trip, interrupt to interrupt, both vCPUs spinning",
	  BENCH_PAIR, "spin", BENCH_NS, ALL, .quick = true },
	{ "doorbell-halt", "round trip, interrupt to interrupt, both vCPUs halted",
	  BENCH_PAIR, "halt", BENCH_NS, ALL, .quick = true },
	{ "one-way", "doorbell in one guest to the end of the handler in the other",
	  BENCH_PAIR, "one-way", BENCH_NS, ALL, .quick = true },
	{ "own-doorbell", "a guest's own doorbell to the end of its handler",
	  BENCH_ALONE, "own", BENCH_NS, ALL },
	{ "poll", "round trip through the shared memory, without doorbells",
	  BENCH_PAIR, "poll", BENCH_NS, ALL, .quick = true },
	{ "hybrid", "round trip: look for 50 us, then sleep until the doorbell",
	  BENCH_PAIR, "hybrid", BENCH_NS, ALL,
	  .parameter = "pause_us", .values = { 10, 500 } },
	{ "rate", "rings per second, as fast as they go: interrupts may be fewer",
	  BENCH_PAIR, "rate", BENCH_PER_S, ALL },
	{ "rate-acked", "rings per second, each after the one before was handled",
	  BENCH_PAIR, "acked", BENCH_PER_S, ALL },
	{ "bandwidth-read", "shared memory read, block after block",
	  BENCH_ALONE, "read", BENCH_BYTES_PER_S, ALL | HOST,
	  .parameter = "block", .values = { 4 << 10, 64 << 10, 1 << 20, 4 << 20 } },
	{ "bandwidth-write", "shared memory written, block after block",
	  BENCH_ALONE, "write", BENCH_BYTES_PER_S, ALL | HOST,
	  .parameter = "block", .values = { 4 << 10, 64 << 10, 1 << 20, 4 << 20 } },
	{ "bandwidth-copy", "shared memory copied, block after block",
	  BENCH_ALONE, "copy", BENCH_BYTES_PER_S, ALL | HOST,
	  .parameter = "block", .values = { 4 << 10, 64 << 10, 1 << 20, 4 << 20 } },
	{ "peers", "round trip between two guests that came after idle peers",
	  BENCH_PAIR, "spin", BENCH_NS, PEERS,
	  .parameter = "peers", .values = { 1, 16, 64, 256, 1024 } },
	{ "store", "what the store to the doorbell of the last of idle peers costs",
	  BENCH_ALONE, "store", BENCH_NS, PEERS,
	  .parameter = "peers", .values = { 1, 16, 64, 256, 1024 } },
	{ "store-vectors", "the same for the last vector of the last of 64 peers",
	  BENCH_ALONE, "store", BENCH_NS, PEERS,
	  .parameter = "vectors", .values = { 1, 4, 16 }, .peers = 64 },
	{ "store-unknown", "the same for a peer that is not there, which user space finds out",
	  BENCH_ALONE, "store", BENCH_NS, VMMS, .peers = 1, .unknown = true },
	{ "fan-out", "one guest rings others, which are halted, until the last has answered",
	  BENCH_FAN, "fan-out", BENCH_NS, VMMS,
	  .parameter = "guests", .values = { 1, 2, 4, 8 } },
	{ "host", "round trip between a guest and a process of the host (belfry-peer.h)",
	  BENCH_ALONE, "peer", BENCH_NS, VMMS, .host_peer = true },
	{ "host-spin", "the same with a thread that does nothing but look at its eventfd",
	  BENCH_ALONE, "host", BENCH_NS, VMMS, .peers = 1, .answer = true },
	{ "late-join", "1,024 peers join a running guest, until it has rung the last",
	  BENCH_ALONE, "late", BENCH_NS, VMMS, .peers = 1024, .answer = true,
	  .late = true, .once = true },
	{ "start", "start of the program to the guest's first byte on the console",
	  BENCH_START, NULL, BENCH_NS, ALL, .quick = true },
	{ "start-doorbell", "start of the program to the guest's own doorbell, by its console",
	  BENCH_START, "own", BENCH_NS, ALL },
	{ BENCH_CLOCK, "what reading the clock twice costs, which is in every figure",
	  BENCH_ALONE, "clock", BENCH_NS, ALL },
	{ "vsock", "round trip through vsock between two guests", BENCH_ABSENT,
	  .why = NEEDS_LINUX },
	{ "tcp", "round trip through TCP between two guests", BENCH_ABSENT,
	  .why = NEEDS_LINUX },
	{ NULL },
};
/* clang-format on */

const struct bench_scenario *bench_scenario_find(const char *name)
{
	for (const struct bench_scenario *s = bench_scenarios; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

unsigned int bench_scenario_spinning(const struct bench_scenario *s)
{
	if (s->play == BENCH_PAIR)
		return 2;
	return s->answer ? 2 : 1;
}
