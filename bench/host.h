/* SPDX-License-Identifier: MIT */
/* bench/host.h - what a figure depends on beside the program: the host, in words */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stdbool.h>

/* One thing about the host; the names are those of the JSON file. */
struct bench_fact {
	const char *name;
	const char *title;
	bool machine; /* another value is another machine, not another setting */
};

enum {
	BENCH_HOST_CPU,
	BENCH_HOST_CPUS,
	BENCH_HOST_HYPERVISOR,
	BENCH_HOST_KVM,
	BENCH_HOST_KVM_HARDWARE,
	BENCH_HOST_KERNEL,
	BENCH_HOST_GOVERNOR,
	BENCH_HOST_SMT,
	BENCH_HOST_MITIGATIONS,
	BENCH_HOST_HALT_POLL_NS,
	BENCH_HOST_CLOCKSOURCE,
	BENCH_HOST_HUGEPAGES,
	BENCH_HOST_FACTS
};

extern const struct bench_fact bench_facts[BENCH_HOST_FACTS];

#define BENCH_FACT_MAX 512
#define BENCH_UNKNOWN  "unknown"

struct bench_host {
	char facts[BENCH_HOST_FACTS][BENCH_FACT_MAX];
};

void bench_host_look(struct bench_host *host);

/* Whether KVM has hardware support; if not, figures are those of emulation. */
bool bench_host_emulated(const struct bench_host *host);

/*
 * The CPUs of the host that vCPUs are pinned to, at most @room: of different cores as
 * long as there are some, of those that this process may use. Return: how many.
 */
unsigned int bench_host_cpus(int *cpus, unsigned int room);

#endif
