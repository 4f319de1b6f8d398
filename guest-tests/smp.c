/* SPDX-License-Identifier: MIT */
/* guest-tests/smp.c - test: every vCPU comes up, knows who it is, and can be woken
 *
 * options: cpus=N, how many there should be
 */
#include "guest-tests/smp.h"
#include "guest-tests/guest.h"
#include "guest-tests/lib/irq_vectors.h"

#define WAKE_IRQ  (IRQ_FIRST + 1)
#define UP_MS     3000
#define SETTLE_MS 10

#define CPUID_TOPOLOGY 0xb

static void all_come_up(unsigned int others)
{
	smp_start(others, UP_MS);
	wait_until(&smp_arrived, others + 1, SETTLE_MS);
	check_eq(smp_arrived, others, "%u vCPUs come up beside the first", others);
	if (smp_arrived > others)
		check_end(); /* what follows would only confuse */
}

static bool id_is_new(unsigned int number)
{
	unsigned int i;

	for (i = 0; i < number; i++)
		if (smp_cpus[i].apic_id == smp_cpus[number].apic_id)
			return false;
	return smp_cpus[number].apic_id != apic_id();
}

static void ids_are_right(unsigned int number)
{
	volatile struct smp_cpu *cpu = &smp_cpus[number];

	check(id_is_new(number), "APIC ID %u is nobody else's", cpu->apic_id);
	check_eq(cpu->cpuid_1_id, cpu->apic_id, "APIC ID %u: CPUID 1 agrees",
		 cpu->apic_id);
	if (cpu->cpuid_0xb_id != ~0u)
		check_eq(cpu->cpuid_0xb_id, cpu->apic_id, "APIC ID %u: CPUID 0xb agrees",
			 cpu->apic_id);
}

static uint64_t woken_in_all(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < smp_arrived; i++)
		sum += smp_cpus[i].woken;
	return sum;
}

static void interrupt_wakes(unsigned int number)
{
	volatile struct smp_cpu *cpu = &smp_cpus[number];
	uint64_t all = woken_in_all(), woken = cpu->woken;

	smp_send_irq(cpu->apic_id, WAKE_IRQ);
	wait_until(&cpu->woken, woken + 1, 1000);
	check(cpu->woken == woken + 1 && woken_in_all() == all + 1,
	      "an interrupt for APIC ID %u wakes that vCPU alone", cpu->apic_id);
}

/* Levels of CPUID 0xb: 1 is that of threads, 2 that of cores, 0 none any more. */
static void level_is_right(unsigned int level, unsigned int type, unsigned int cpus)
{
	struct cpuid got = cpuid(CPUID_TOPOLOGY, level);

	check_eq(got.c & 0xffff, type << 8 | level, "CPUID 0xb: level %u has type %u",
		 level, type);
	check_eq(got.b & 0xffff, cpus, "CPUID 0xb: level %u has %u vCPUs", level, cpus);
	check_eq(got.d, apic_id(), "CPUID 0xb: level %u has the first vCPU's APIC ID",
		 level);
}

static void topology_is_right(unsigned int cpus)
{
	struct cpuid core;

	check_eq(cpuid(1, 0).b >> 24, apic_id(),
		 "the first vCPU: CPUID 1 has its APIC ID");
	if (cpuid(0, 0).a < CPUID_TOPOLOGY || !cpuid(CPUID_TOPOLOGY, 0).b)
		return;
	level_is_right(0, 1, 1);
	level_is_right(1, 2, cpus);
	core = cpuid(CPUID_TOPOLOGY, 1);
	check(1U << (core.a & 0x1f) >= cpus,
	      "CPUID 0xb: all IDs fit below the core level's shift");
	check_eq(cpuid(CPUID_TOPOLOGY, 2).b & 0xffff, 0, "CPUID 0xb: that is all");
}

void guest_main(void)
{
	unsigned int cpus = arg_u64("cpus", 1), i;
	uint32_t restarted;

	watchdog(20, "all vCPUs");
	irq_on();
	topology_is_right(cpus);
	all_come_up(cpus - 1);
	for (i = 0; i < smp_arrived; i++)
		ids_are_right(i);
	for (i = 0; i < smp_arrived; i++)
		interrupt_wakes(i);
	if (smp_arrived > 0) {
		restarted = smp_cpus[0].apic_id;
		smp_restart(restarted);
		check(smp_arrived == cpus && smp_cpus[cpus - 1].apic_id == restarted,
		      "INIT and SIPI start APIC ID %u over", restarted);
	}
	check_end();
}
