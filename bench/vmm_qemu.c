/* SPDX-License-Identifier: MIT */
/* bench/vmm_qemu.c - QEMU as a contestant: a process for each guest
 *
 * Machine `pc` with qboot, which is what starts a PVH guest with PCI soonest; `microvm`
 * where no PCI is needed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "bench/trial.h"

#define STATUS_CRASHED 255
#define PIN_MS         20000
#define LOOK_NS        200000

/* isa-debug-exit makes twice the guest's status, plus 1, of it. */
#define QEMU_DONE 1

struct qemus {
	int status[GUESTS_MAX];
};

static void common_args(struct start_args *a, const struct bench_lab *lab,
			const char *machine)
{
	start_arg(a, "%s", lab->qemu);
	start_arg(a, "-name");
	start_arg(a, "guest,debug-threads=on");
	start_arg(a, "-M");
	start_arg(a, "%s", machine);
	if (strcmp(machine, "pc") == 0) {
		start_arg(a, "-bios");
		start_arg(a, "qboot.rom");
	}
	start_arg(a, "-accel");
	start_arg(a, "kvm");
	start_arg(a, "-cpu");
	start_arg(a, "host,-arch-capabilities");
	start_arg(a, "-m");
	start_arg(a, "32M");
	start_arg(a, "-nodefaults");
	start_arg(a, "-no-user-config");
	start_arg(a, "-display");
	start_arg(a, "none");
	start_arg(a, "-serial");
	start_arg(a, "stdio");
	start_arg(a, "-no-reboot");
	start_arg(a, "-device");
	start_arg(a, "isa-debug-exit,iobase=0xf4,iosize=4");
}

static void link_args(struct start_args *a, const char *chardev, unsigned int vectors)
{
	start_arg(a, "-chardev");
	start_arg(a, "socket,id=c,%s", chardev);
	start_arg(a, "-device");
	start_arg(a, "ivshmem-doorbell,vectors=%u,chardev=c", vectors);
}

static void guest_args(struct start_args *a, const struct guests *g, unsigned int i)
{
	const struct bench_lab *lab = g->trial->lab;
	char chardev[32];

	common_args(a, lab, "pc");
	start_arg(a, "-kernel");
	start_arg(a, "/proc/self/fd/%d", lab->kernel);
	start_arg(a, "-append");
	start_arg(a, "%s", g->guest[i].cmdline);
	snprintf(chardev, sizeof(chardev), "fd=%d", g->guest[i].socket);
	link_args(a, chardev, g->vectors);
	if (!g->guest[i].measures)
		return;
	start_arg(a, "-object");
	start_arg(a,
		  "memory-backend-file,id=s,share=on,size=%d,mem-path=/proc/self/fd/%d",
		  TRIAL_PAGE_SIZE, lab->page_fd);
	start_arg(a, "-device");
	start_arg(a, "ivshmem-plain,memdev=s");
}

static void inherit(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

/* In the child: what QEMU is to have, and nothing else, survives the exec. */
static void become_qemu(const struct guests *g, unsigned int i, struct start_args *a,
			pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_CRASHED);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(g->guest[i].console, STDOUT_FILENO);
	dup2(g->guest[i].console, STDERR_FILENO);
	inherit(g->trial->lab->kernel);
	inherit(g->trial->lab->page_fd);
	inherit(g->guest[i].socket);
	execv(a->argv[0], (char **)a->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", a->argv[0], strerror(errno));
	_exit(STATUS_CRASHED);
}

static bool is_vcpu(pid_t pid, const char *thread)
{
	char path[320], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)pid, thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		*name = '\0';
	fclose(file);
	return strncmp(name, "CPU ", 4) == 0;
}

/* Return: whether it has a vCPU already. */
static bool pin_vcpus(pid_t pid, int cpu)
{
	struct dirent *entry;
	bool found = false;
	char path[64];
	cpu_set_t one;
	DIR *dir;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (is_vcpu(pid, entry->d_name)) {
			sched_setaffinity(atoi(entry->d_name), sizeof(one), &one);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid;
}

/*
 * QEMU makes its vCPU before its devices: it is pinned long before the guest warms up.
 * One that ends without any is told of by whoever waits for its guest.
 */
static int pin(pid_t pid, int cpu, struct belfry_error *err)
{
	uint64_t limit = bf_now_ns() + PIN_MS * BF_NS_PER_MS;

	while (cpu >= 0 && !pin_vcpus(pid, cpu) && !has_ended(pid)) {
		if (bf_now_ns() > limit)
			return bf_err(err, ETIMEDOUT, "QEMU has no thread of a vCPU");
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
	}
	return 0;
}

static int start(struct guests *g, struct belfry_error *err)
{
	struct qemus *qemus = calloc(1, sizeof(*qemus));
	const pid_t parent = getpid();

	if (!qemus)
		return bf_err(err, ENOMEM, "out of memory");
	g->vmm = qemus;
	for (unsigned int i = 0; i < g->n; i++) {
		struct start_args a = { .n = 0 };
		pid_t pid;

		guest_args(&a, g, i);
		pid = fork();
		if (pid < 0)
			return bf_err_sys(err, errno, "fork");
		if (pid == 0)
			become_qemu(g, i, &a, parent);
		qemus->status[i] = GUEST_RUNNING;
		g->pids[g->n_pids++] = pid;
	}
	for (unsigned int i = 0; i < g->n; i++)
		if (pin(g->pids[i], g->guest[i].cpu, err) < 0)
			return err->code;
	return 0;
}

static int status(struct guests *g, unsigned int i)
{
	struct qemus *qemus = g->vmm;
	int *wstatus = &g->wstatus[i];

	if (qemus->status[i] == GUEST_RUNNING &&
	    waitpid(g->pids[i], wstatus, WNOHANG) == g->pids[i])
		qemus->status[i] = WIFEXITED(*wstatus) && WEXITSTATUS(*wstatus) & 1
					   ? WEXITSTATUS(*wstatus) / 2
					   : STATUS_CRASHED;
	return qemus->status[i];
}

static int64_t exits(struct guests *g)
{
	(void)g;
	return -1;
}

const struct vmm_ops vmm_qemu = {
	.start = start,
	.status = status,
	.exits = exits,
};

void start_args_qemu(struct start_args *a, const struct bench_lab *lab,
		     const char *kernel, const char *socket)
{
	char chardev[128];

	a->ends = QEMU_DONE;
	common_args(a, lab, socket ? "pc" : "microvm");
	start_arg(a, "-kernel");
	start_arg(a, "%s", kernel);
	start_arg(a, "-append");
	start_arg(a, "ready=1");
	if (!socket)
		return;
	snprintf(chardev, sizeof(chardev), "path=%.100s", socket);
	link_args(a, chardev, 1);
}
