/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/clock.c - the TSC and how fast it runs, as KVM states it
 *
 * kvmclock gives the factor from TSC ticks to nanoseconds: ns = ((tsc << shift) * mul) >>
 * 32 (a negative shift goes right). Its inverse is the frequency.
 */
#include "guest-tests/guest.h"

#define CPUID_KVM           0x40000000
#define CPUID_KVM_FEATURES  0x40000001
#define CPUID_KVM_FREQUENCY 0x40000010
#define KVM_CLOCKSOURCE2    (1u << 3)
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define SYSTEM_TIME_ON      1

struct system_time {
	uint32_t version;
	uint32_t pad;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags;
	uint8_t pad2[2];
};

static uint64_t khz_of_kvmclock(void)
{
	static volatile struct system_time time __attribute__((aligned(64)));
	uint64_t khz;

	msr_write(MSR_KVM_SYSTEM_TIME, (uint64_t)&time | SYSTEM_TIME_ON);
	if (!time.mul)
		return 0;
	khz = (1000000ULL << 32) / time.mul;
	khz = time.shift < 0 ? khz << -time.shift : khz >> time.shift;
	msr_write(MSR_KVM_SYSTEM_TIME, 0);
	return khz;
}

uint64_t tsc_khz(void)
{
	static uint64_t khz;
	uint32_t last_leaf;

	if (khz)
		return khz;
	last_leaf = cpuid(CPUID_KVM, 0).a;
	if (last_leaf >= CPUID_KVM_FEATURES && last_leaf < CPUID_KVM + 0x100 &&
	    cpuid(CPUID_KVM_FEATURES, 0).a & KVM_CLOCKSOURCE2)
		khz = khz_of_kvmclock();
	if (!khz && last_leaf >= CPUID_KVM_FREQUENCY && last_leaf < CPUID_KVM + 0x100)
		khz = cpuid(CPUID_KVM_FREQUENCY, 0).a;
	if (!khz)
		guest_fail("no TSC frequency: neither kvmclock nor CPUID 0x40000010");
	return khz;
}

uint64_t tsc_to_ns(uint64_t ticks)
{
	uint64_t khz = tsc_khz();

	/* in two parts, so that days of ticks do not overflow */
	return ticks / khz * 1000000 + ticks % khz * 1000000 / khz;
}

void sleep_us(uint64_t us)
{
	uint64_t from = tsc(), ticks = us * tsc_khz() / 1000;

	while (tsc() - from < ticks)
		;
}

bool wait_until(volatile uint64_t *counter, uint64_t want, unsigned int ms)
{
	uint64_t from = tsc(), ticks = ms * tsc_khz();

	while (*counter < want)
		if (tsc() - from > ticks)
			return false;
	return true;
}
