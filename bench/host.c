/* SPDX-License-Identifier: MIT */
/* bench/host.c - what a figure depends on beside the program: the host, in words */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/host.h"
#include "bench/result.h"

#define CPU_DIR "/sys/devices/system/cpu"

const struct bench_fact bench_facts[BENCH_HOST_FACTS] = {
	[BENCH_HOST_CPU] = { "cpu", "CPU", true },
	[BENCH_HOST_CPUS] = { "cpus", "CPUs", true },
	[BENCH_HOST_HYPERVISOR] = { "hypervisor", "runs below a hypervisor", true },
	[BENCH_HOST_KVM] = { "kvm_module", "KVM module", true },
	[BENCH_HOST_KVM_HARDWARE] = { "kvm_hardware", "hardware virtualization", true },
	[BENCH_HOST_KERNEL] = { "kernel", "kernel", false },
	[BENCH_HOST_GOVERNOR] = { "governor", "CPU governor", false },
	[BENCH_HOST_SMT] = { "smt", "SMT", false },
	[BENCH_HOST_MITIGATIONS] = { "mitigations", "mitigations", false },
	[BENCH_HOST_HALT_POLL_NS] = { "halt_poll_ns", "halt_poll_ns", false },
	[BENCH_HOST_CLOCKSOURCE] = { "clocksource", "clock source", false },
	[BENCH_HOST_HUGEPAGES] = { "transparent_hugepages", "transparent huge pages",
				   false },
};

/* All of a small file into @out, its last newline cut. Return: whether it is there. */
static bool read_file(const char *path, char *out, size_t room)
{
	BF_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, room - 1) : -1;

	if (n < 0)
		return false;
	out[n] = '\0';
	if (n > 0 && out[n - 1] == '\n')
		out[n - 1] = '\0';
	return true;
}

static void look_at(char *fact, const char *path)
{
	if (!read_file(path, fact, BENCH_FACT_MAX))
		snprintf(fact, BENCH_FACT_MAX, BENCH_UNKNOWN);
}

/* --- /proc/cpuinfo --- */

struct cpuinfo {
	char model[128];
	char flags[8192];
};

/* What is behind "name : " in the first line that begins so */
static void take_line(const char *line, const char *name, char *out, size_t room)
{
	const char *colon = strchr(line, ':');

	if (*out || !colon || strncmp(line, name, strlen(name)) != 0)
		return;
	colon += strspn(colon, ": \t");
	snprintf(out, room, "%.*s", (int)strcspn(colon, "\n"), colon);
}

static void read_cpuinfo(struct cpuinfo *info)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	BF_FREE char *line = NULL;
	size_t size = 0;

	*info = (struct cpuinfo){ .model = "" };
	while (file && getline(&line, &size, file) > 0) {
		take_line(line, "model name", info->model, sizeof(info->model));
		take_line(line, "flags", info->flags, sizeof(info->flags));
		if (*info->model && *info->flags)
			break;
	}
	if (file)
		fclose(file);
	if (!*info->model)
		snprintf(info->model, sizeof(info->model), BENCH_UNKNOWN);
}

static bool has_flag(const struct cpuinfo *info, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *at = info->flags; (at = strstr(at, flag)); at += len)
		if ((at == info->flags || at[-1] == ' ') &&
		    (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

/* --- KVM --- */

static void look_at_kvm(struct bench_host *host, const struct cpuinfo *info)
{
	static const struct {
		const char *module, *flag, *paging;
	} kinds[] = {
		{ "kvm_intel", "vmx", "/sys/module/kvm_intel/parameters/ept" },
		{ "kvm_amd", "svm", "/sys/module/kvm_amd/parameters/npt" },
	};
	char path[64], paging[8] = "";

	snprintf(host->facts[BENCH_HOST_KVM], BENCH_FACT_MAX, "%s",
		 access("/sys/module/kvm", F_OK) == 0 ? "kvm" : "none");
	snprintf(host->facts[BENCH_HOST_KVM_HARDWARE], BENCH_FACT_MAX, "no");
	for (unsigned int i = 0; i < BF_ARRAY_LEN(kinds); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s", kinds[i].module);
		if (access(path, F_OK) != 0 || !has_flag(info, kinds[i].flag))
			continue;
		read_file(kinds[i].paging, paging, sizeof(paging));
		snprintf(host->facts[BENCH_HOST_KVM], BENCH_FACT_MAX, "%s",
			 kinds[i].module);
		snprintf(host->facts[BENCH_HOST_KVM_HARDWARE], BENCH_FACT_MAX,
			 "yes, nested paging %s",
			 *paging == 'Y' || *paging == '1' ? "on" : "off");
	}
	look_at(host->facts[BENCH_HOST_HALT_POLL_NS],
		"/sys/module/kvm/parameters/halt_poll_ns");
}

bool bench_host_emulated(const struct bench_host *host)
{
	return strcmp(host->facts[BENCH_HOST_KVM_HARDWARE], "no") == 0;
}

/* --- mitigations: those that are in force, by name --- */

static void add_mitigation(char *fact, const char *name)
{
	char path[320], state[256];
	size_t used = strlen(fact);

	snprintf(path, sizeof(path), CPU_DIR "/vulnerabilities/%s", name);
	if (!read_file(path, state, sizeof(state)) ||
	    strncmp(state, "Not affected", 12) == 0)
		return;
	snprintf(fact + used, BENCH_FACT_MAX - used, "%s%s: %.*s", used ? "; " : "", name,
		 (int)strcspn(state, ";"), state);
}

static void look_at_mitigations(char *fact)
{
	struct dirent **names;
	int n = scandir(CPU_DIR "/vulnerabilities", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			add_mitigation(fact, names[i]->d_name);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (!*fact)
		snprintf(fact, BENCH_FACT_MAX, n < 0 ? BENCH_UNKNOWN : "none");
}

/* --- all of it --- */

/* "always [madvise] never" is madvise. */
static void look_at_choice(char *fact, const char *path)
{
	char text[BENCH_FACT_MAX], *open;

	look_at(text, path);
	open = strchr(text, '[');
	if (open)
		snprintf(fact, BENCH_FACT_MAX, "%.*s", (int)strcspn(open + 1, "]"),
			 open + 1);
	else
		snprintf(fact, BENCH_FACT_MAX, "%s", text);
}

void bench_host_look(struct bench_host *host)
{
	struct cpuinfo info;
	struct utsname name;

	*host = (struct bench_host){ 0 };
	read_cpuinfo(&info);
	uname(&name);
	snprintf(host->facts[BENCH_HOST_CPU], BENCH_FACT_MAX, "%s", info.model);
	snprintf(host->facts[BENCH_HOST_CPUS], BENCH_FACT_MAX, "%ld",
		 sysconf(_SC_NPROCESSORS_ONLN));
	snprintf(host->facts[BENCH_HOST_HYPERVISOR], BENCH_FACT_MAX, "%s",
		 has_flag(&info, "hypervisor") ? "yes" : "no");
	look_at_kvm(host, &info);
	snprintf(host->facts[BENCH_HOST_KERNEL], BENCH_FACT_MAX, "%s %s", name.sysname,
		 name.release);
	look_at(host->facts[BENCH_HOST_GOVERNOR],
		CPU_DIR "/cpu0/cpufreq/scaling_governor");
	look_at(host->facts[BENCH_HOST_SMT], CPU_DIR "/smt/control");
	look_at_mitigations(host->facts[BENCH_HOST_MITIGATIONS]);
	look_at(host->facts[BENCH_HOST_CLOCKSOURCE],
		"/sys/devices/system/clocksource/clocksource0/current_clocksource");
	look_at_choice(host->facts[BENCH_HOST_HUGEPAGES],
		       "/sys/kernel/mm/transparent_hugepage/enabled");
	for (size_t i = 0; i < BENCH_HOST_FACTS; i++)
		bench_clean(host->facts[i]);
}

/* Whether @cpu is the first of its core's threads, as far as the host tells. */
static bool first_of_core(int cpu)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/topology/thread_siblings_list", cpu);
	return !read_file(path, text, sizeof(text)) || atoi(text) == cpu;
}

unsigned int bench_host_cpus(int *cpus, unsigned int room)
{
	unsigned int n = 0;
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return 0;
	for (int first = 1; first >= 0; first--)
		for (int cpu = 0; cpu < CPU_SETSIZE && n < room; cpu++)
			if (CPU_ISSET(cpu, &all) && first_of_core(cpu) == first)
				cpus[n++] = cpu;
	return n;
}
