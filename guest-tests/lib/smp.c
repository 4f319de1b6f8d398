/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/smp.c - starts the other vCPUs; what they do once they run */
#include "guest-tests/smp.h"
#include "guest-tests/guest.h"
#include "guest-tests/lib/x86_64.h"

#define ICR_INIT       0x04500 /* level, assert */
#define ICR_STARTUP    0x04600
#define ICR_ALL_OTHERS 0xc0000
#define ICR_FIXED      0x04000

#define TRAMPOLINE_PAGE 8 /* at 0x8000; what is there is put back */
#define PAGE_SIZE       4096
#define CPUID_TOPOLOGY  0xb

extern const char smp_trampoline[], smp_trampoline_end[];
void smp_main(uint64_t number);

volatile struct smp_cpu smp_cpus[SMP_MAX];
volatile uint64_t smp_arrived;

static void raw_cpuid(uint32_t leaf, struct cpuid *r)
{
	__asm__ volatile("cpuid"
			 : "=a"(r->a), "=b"(r->b), "=c"(r->c), "=d"(r->d)
			 : "a"(leaf), "c"(0));
}

/* Another vCPU comes here from its trampoline, in ring 0, and stays. */
void smp_main(uint64_t number)
{
	volatile struct smp_cpu *me = &smp_cpus[number];
	struct cpuid r;

	me->apic_id = apic_id();
	raw_cpuid(0, &r);
	me->cpuid_0xb_id = ~0u;
	if (r.a >= CPUID_TOPOLOGY) {
		raw_cpuid(CPUID_TOPOLOGY, &r);
		me->cpuid_0xb_id = r.b ? r.d : ~0u;
	}
	raw_cpuid(1, &r);
	me->cpuid_1_id = r.b >> 24;
	irq_on();
	me->up = 1;
	for (;; me->woken++)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static void send(uint32_t to_apic, uint32_t command)
{
	*apic_reg(APIC_ICR_HIGH) = to_apic << 24;
	*apic_reg(APIC_ICR_LOW) = command;
}

/* Intel SDM 3A, 9.4.4: INIT, 10 ms, SIPI, 200 us, SIPI. Here 1 ms is enough. */
static void init_and_startup(uint32_t to_apic, uint32_t others, uint64_t want,
			     unsigned int ms)
{
	uint8_t *page = (uint8_t *)(TRAMPOLINE_PAGE * PAGE_SIZE);
	size_t size = smp_trampoline_end - smp_trampoline;
	static uint8_t kept[PAGE_SIZE];
	uint64_t i;

	memcpy(kept, page, size);
	memcpy(page, smp_trampoline, size);
	send(to_apic, others | ICR_INIT);
	sleep_us(1000);
	send(to_apic, others | ICR_STARTUP | TRAMPOLINE_PAGE);
	if (!wait_until(&smp_arrived, want, 1))
		send(to_apic, others | ICR_STARTUP | TRAMPOLINE_PAGE);
	wait_until(&smp_arrived, want, ms);
	memcpy(page, kept, size);
	for (i = 0; i < smp_arrived; i++)
		while (!smp_cpus[i].up)
			;
}

void smp_start(unsigned int count, unsigned int ms)
{
	init_and_startup(0, ICR_ALL_OTHERS, count, ms);
}

void smp_restart(uint32_t apic)
{
	init_and_startup(apic, 0, smp_arrived + 1, 1000);
}

void smp_send_irq(uint32_t to_apic, uint8_t vector)
{
	send(to_apic, ICR_FIXED | vector);
}
