/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/samples.c - sorts latencies, picks percentiles, prints them */
#include "guest-tests/samples.h"
#include "guest-tests/guest.h"

uint32_t samples[MAX_SAMPLES];

/* Shell sort: in place, short, and fast enough for a few hundred thousand. */
static void sort(uint32_t *values, uint32_t count)
{
	uint32_t gap, i, j, value;

	for (gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
		for (i = gap; i < count; i++) {
			value = values[i];
			for (j = i; j >= gap && values[j - gap] > value; j -= gap)
				values[j] = values[j - gap];
			values[j] = value;
		}
}

/* The smallest sample that @per_mille of a thousand do not exceed ("nearest rank") */
static uint64_t percentile_ns(uint32_t count, uint64_t per_mille)
{
	uint64_t rank = (count * per_mille + 999) / 1000;

	return tsc_to_ns(samples[rank > 0 ? rank - 1 : 0]);
}

struct summary summarize(const char *name, uint32_t count)
{
	sort(samples, count);
	return (struct summary){
		.name = name,
		.count = count,
		.min = tsc_to_ns(samples[0]),
		.p50 = percentile_ns(count, 500),
		.p90 = percentile_ns(count, 900),
		.p99 = percentile_ns(count, 990),
		.p999 = percentile_ns(count, 999),
		.max = tsc_to_ns(samples[count - 1]),
	};
}

static void print_us(uint64_t ns)
{
	ns += 5; /* round to 10 ns */
	print(" %6lu.%02lu", ns / 1000, ns % 1000 / 10);
}

static void print_row(const struct summary *row)
{
	print("%-20s", row->name);
	print_us(row->min);
	print_us(row->p50);
	print_us(row->p90);
	print_us(row->p99);
	print_us(row->p999);
	print_us(row->max);
	print(" %8u\n", row->count);
}

void print_summaries(const char *title, const struct summary *rows, unsigned int count)
{
	unsigned int i;

	print("%s, in microseconds\n", title);
	print("%-20s %9s %9s %9s %9s %9s %9s %8s\n", "", "min", "p50", "p90", "p99",
	      "p99.9", "max", "samples");
	for (i = 0; i < count; i++)
		if (rows[i].name)
			print_row(&rows[i]);
	print("time base: TSC at %lu.%03lu MHz, as KVM states it\n", tsc_khz() / 1000,
	      tsc_khz() % 1000);
	for (i = 0; i < count; i++)
		if (rows[i].name)
			print("result %s n=%u min=%lu p50=%lu p90=%lu p99=%lu p999=%lu "
			      "max=%lu (ns)\n",
			      rows[i].name, rows[i].count, rows[i].min, rows[i].p50,
			      rows[i].p90, rows[i].p99, rows[i].p999, rows[i].max);
}
