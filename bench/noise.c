/* SPDX-License-Identifier: MIT */
/* bench/noise.c - who else had the CPUs while something was measured
 *
 * /proc/stat counts in ticks of 10 ms. A short run that is alone may seem to have used
 * two ticks less than the CPUs were busy: so much is nobody's. How long a thread waited
 * for a CPU is told in nanoseconds (schedstat), where the kernel has it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/noise.h"

#define UNSURE_TICKS 2

enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, TIMES };

static int64_t ticks_to_ns(unsigned long long ticks)
{
	return ticks * (BF_NS_PER_S / sysconf(_SC_CLK_TCK));
}

static void count_cpus(struct noise_count *c)
{
	FILE *file = fopen("/proc/stat", "re");
	unsigned long long t[TIMES] = { 0 };
	int n = file ? fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu",
			      &t[USER], &t[NICE], &t[SYSTEM], &t[IDLE], &t[IOWAIT],
			      &t[IRQ], &t[SOFTIRQ], &t[STEAL])
		     : 0;

	if (file)
		fclose(file);
	c->stolen = n == TIMES ? ticks_to_ns(t[STEAL]) : -1;
	c->busy =
		n == TIMES
			? ticks_to_ns(t[USER] + t[NICE] + t[SYSTEM] + t[IRQ] + t[SOFTIRQ])
			: -1;
}

/*
 * User and system time are fields 14 and 15, those of children that have ended 16 and 17;
 * the name before them may hold anything.
 */
static int64_t cpu_time(pid_t pid)
{
	unsigned long long t[4];
	char path[64], text[1024];
	const char *at;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')');
	if (!at ||
	    sscanf(at + 1,
		   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu",
		   &t[0], &t[1], &t[2], &t[3]) != 4)
		return -1;
	return ticks_to_ns(t[0] + t[1] + t[2] + t[3]);
}

static int64_t thread_waited(pid_t pid, const char *thread)
{
	long long waited = -1;
	char path[320];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, thread);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*d %lld", &waited) != 1)
		waited = -1;
	if (file)
		fclose(file);
	return waited;
}

static int64_t threads_waited(pid_t pid)
{
	int64_t sum = -1, one;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		one = entry->d_name[0] == '.' ? -1 : thread_waited(pid, entry->d_name);
		if (one >= 0)
			sum = one + (sum > 0 ? sum : 0);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void add(int64_t *sum, int64_t more)
{
	*sum = *sum < 0 || more < 0 ? -1 : *sum + more;
}

static void count_process(struct noise_count *c, pid_t pid)
{
	add(&c->ours, cpu_time(pid));
	add(&c->waited, threads_waited(pid));
}

struct noise_count noise_count(const pid_t *pids, unsigned int n)
{
	struct noise_count c = { .clock = bf_now_ns() };

	count_cpus(&c);
	count_process(&c, getpid());
	for (unsigned int i = 0; i < n; i++)
		count_process(&c, pids[i]);
	return c;
}

static double share(int64_t from, int64_t to, int64_t wall)
{
	if (from < 0 || to < 0 || wall <= 0)
		return -1;
	return to > from ? (double)(to - from) / wall : 0;
}

struct noise noise_between(const struct noise_count *from, const struct noise_count *to)
{
	const int64_t wall = to->clock - from->clock;
	double busy = share(from->busy, to->busy, wall);
	double ours = share(from->ours, to->ours, wall);
	double nobodys = share(0, ticks_to_ns(UNSURE_TICKS), wall);
	struct noise n = { .steal = share(from->stolen, to->stolen, wall),
			   .waited = share(from->waited, to->waited, wall),
			   .others = -1 };

	if (busy >= 0 && ours >= 0)
		n.others = busy > ours + nobodys ? busy - ours - nobodys : 0;
	return n;
}

bool noise_disturbs(const struct noise *noise)
{
	return noise->steal > NOISE_STEAL_MAX || noise->waited > NOISE_WAITED_MAX ||
	       noise->others > NOISE_OTHERS_MAX;
}
