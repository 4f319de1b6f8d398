/* SPDX-License-Identifier: MIT */
/*
 * cli/run.c - belfry run: start every VM of a file, wait, say how they ended
 *
 * A file with one VM runs in this process. Several run in a child each; this process
 * hosts their links and waits. A child is forked after its links were joined and before
 * anything runs, so it holds its own connections and nobody else's.
 *
 * SIGINT, SIGTERM and SIGHUP end a process that builds a VM; once it runs, they are read
 * from a signalfd and stop it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <belfry.h>

#include "cli/cli.h"

struct child {
	pid_t pid; /* 0: has ended */
	char *name;
};

struct run {
	struct belfry_config *cfg;
	struct belfry_links *links;
	int signals; /* signalfd */
	bool stats;
	bool stopping; /* children that a signal ends are no news */
	int status;    /* of the first VM that did not end well; else 0 */
	struct child *children;
	unsigned int n;
};

/* What stops us, but for what we were started to ignore (nohup, a shell's background). */
static void signals_of_interest(sigset_t *set)
{
	static const int stopping[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction old;

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (unsigned int i = 0; i < sizeof(stopping) / sizeof(stopping[0]); i++)
		if (sigaction(stopping[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(set, stopping[i]);
}

/* From now on signals are read, and no longer end the process. Return: 0; an errno. */
static int open_signals(struct run *run)
{
	sigset_t set;

	signals_of_interest(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals >= 0)
		return 0;
	cli_say("signalfd: %s", strerror(errno));
	return -errno;
}

/* And they end it again: a child that is being built is not worth asking. */
static void close_signals(struct run *run)
{
	sigset_t set;

	signals_of_interest(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	close(run->signals);
	run->signals = -1;
}

/* Doorbells cost two descriptors for each peer and vector: take all we may have. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* The signal that has come, if any; 0 otherwise. */
static int next_signal(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.ssi_signo;
}

/* --- one VM in this process --- */

static int result_status(const char *name, const struct belfry_result *result)
{
	switch (result->reason) {
	case BELFRY_STOP_POWEROFF:
		return CLI_OK;
	case BELFRY_STOP_DEBUG_EXIT:
		if (result->status == 0)
			return CLI_OK;
		cli_say("%s: the guest ended with status %u", name, result->status);
		return CLI_GUEST_STATUS + (result->status < CLI_GUEST_STATUS_MAX
						   ? result->status
						   : CLI_GUEST_STATUS_MAX);
	case BELFRY_STOP_RESET:
		cli_say("%s: %s", name, result->detail);
		return CLI_RESET;
	case BELFRY_STOP_CRASH:
		cli_say("%s: crashed: %s", name, result->detail);
		return CLI_CRASH;
	default:
		cli_say("%s: %s", name, result->detail);
		return CLI_FAILURE;
	}
}

/* The peers that user space has rung: those that KVM rings are not seen. */
static void print_peers(struct belfry_vm *vm, const char *name, unsigned int device)
{
	const int max = belfry_vm_peers(vm, device, NULL, 0);
	struct belfry_peer_stats *peers = max > 0 ? calloc(max, sizeof(*peers)) : NULL;
	const int n = peers ? belfry_vm_peers(vm, device, peers, max) : 0;

	for (int i = 0; i < n && i < max; i++)
		if (peers[i].slow_rings)
			cli_say("%s: device %u: peer %u: %llu rings by user space", name,
				device, peers[i].id,
				(unsigned long long)peers[i].slow_rings);
	free(peers);
}

static void print_device(struct belfry_vm *vm, const char *name, unsigned int device,
			 const struct belfry_ivshmem_stats *stats)
{
	cli_say("%s: device %u: id %u of %u peers; rings by user space %llu, ignored "
		"%llu, "
		"promotions %llu, refusals %llu; events while masked %llu; server lost "
		"%llu, "
		"back %llu",
		name, device, stats->id, stats->peers,
		(unsigned long long)stats->slow_rings,
		(unsigned long long)stats->ignored_rings,
		(unsigned long long)stats->promotions,
		(unsigned long long)stats->refusals,
		(unsigned long long)stats->waiting_events,
		(unsigned long long)stats->servers_lost,
		(unsigned long long)stats->reconnects);
	print_peers(vm, name, device);
}

static void print_stats(struct belfry_vm *vm, const char *name)
{
	struct belfry_ivshmem_stats device = { .size = sizeof(device) };
	struct belfry_stats stats = { .size = sizeof(stats) };

	if (belfry_vm_stats(vm, &stats) == 0)
		cli_say("%s: %llu exits to user space, %llu of them doorbells", name,
			(unsigned long long)stats.exits,
			(unsigned long long)stats.doorbell_exits);
	for (unsigned int i = 0; belfry_vm_ivshmem_stats(vm, i, &device) == 0; i++)
		print_device(vm, name, i, &device);
}

static int wait_vm(struct run *run, struct belfry_vm *vm, const char *name)
{
	struct belfry_result result = { .size = sizeof(result) };
	int signal = 0;

	while (belfry_vm_wait(vm, 0, &result) == -ETIMEDOUT) {
		struct pollfd fds[] = { { .fd = belfry_vm_fd(vm), .events = POLLIN },
					{ .fd = run->signals, .events = POLLIN } };

		if (poll(fds, 2, -1) > 0 && fds[1].revents) {
			signal = next_signal(run);
			if (signal && signal != SIGCHLD)
				belfry_vm_stop(vm);
		}
	}
	if (run->stats)
		print_stats(vm, name);
	if (result.reason == BELFRY_STOP_REQUESTED)
		return CLI_SIGNAL + signal;
	return result_status(name, &result);
}

/* Return: the exit status of VM @name. */
static int run_vm(struct run *run, const char *name)
{
	struct belfry_error err;
	struct belfry_vm *vm;
	int status;

	if (belfry_vm_create(run->cfg, name, &vm, &err) < 0)
		return cli_fail(&err);
	if (open_signals(run) < 0)
		status = CLI_FAILURE;
	else if (belfry_vm_start(vm, &err) < 0)
		status = cli_fail(&err);
	else
		status = wait_vm(run, vm, name);
	belfry_vm_destroy(vm);
	return status;
}

static int run_one(struct run *run, const char *name)
{
	struct belfry_error err;

	if (belfry_links_join(run->links, run->cfg, name, &err) < 0 ||
	    belfry_links_start(run->links, &err) < 0)
		return cli_fail(&err);
	return run_vm(run, name);
}

/* --- several, a process each --- */

static void stop_children(struct run *run)
{
	run->stopping = true;
	for (unsigned int i = 0; i < run->n; i++)
		if (run->children[i].pid)
			kill(run->children[i].pid, SIGTERM);
}

/* In the child: it must not outlive its parent, nor hold the servers' ends. */
static int child_main(struct run *run, const char *name, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return CLI_SIGNAL + SIGTERM;
	close_signals(run);
	belfry_links_destroy(run->links);
	run->links = NULL;
	return run_vm(run, name);
}

static int start_child(struct run *run, struct child *child, struct belfry_error *err)
{
	const pid_t parent = getpid();
	char path[64];
	pid_t pid;
	int e = belfry_links_join(run->links, run->cfg, child->name, err);

	if (e < 0)
		return e;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		err->code = -errno;
		snprintf(err->msg, sizeof(err->msg), "fork: %s", strerror(-err->code));
		return err->code;
	}
	if (pid == 0)
		_exit(child_main(run, child->name, parent));
	child->pid = pid;
	snprintf(path, sizeof(path), "vms.%s", child->name);
	return belfry_config_remove(run->cfg, path, err);
}

/* A VM that could not start, or was failed by its host, takes the others down. */
static void child_ended(struct run *run, struct child *child, int wstatus)
{
	int status = WIFSIGNALED(wstatus) ? CLI_SIGNAL + WTERMSIG(wstatus)
					  : WEXITSTATUS(wstatus);

	child->pid = 0;
	if (status && !run->status)
		run->status = status;
	if (WIFSIGNALED(wstatus) && !run->stopping)
		cli_say("%s: killed by signal %d", child->name, WTERMSIG(wstatus));
	if (WIFSIGNALED(wstatus) || (status && status < CLI_RESET))
		stop_children(run);
}

/* Return: how many children still run. */
static unsigned int reap(struct run *run)
{
	unsigned int left = 0;
	int wstatus;

	for (unsigned int i = 0; i < run->n; i++) {
		struct child *child = &run->children[i];

		if (child->pid && waitpid(child->pid, &wstatus, WNOHANG) == child->pid)
			child_ended(run, child, wstatus);
		left += child->pid != 0;
	}
	return left;
}

static void wait_children(struct run *run)
{
	struct pollfd signals = { .fd = run->signals, .events = POLLIN };
	int signal;

	while (reap(run) > 0) {
		poll(&signals, 1, -1);
		signal = next_signal(run);
		if (signal && signal != SIGCHLD) {
			if (!run->status)
				run->status = CLI_SIGNAL + signal;
			stop_children(run);
		}
	}
}

static int run_several(struct run *run)
{
	struct belfry_error err;
	int e = 0;

	signal(SIGCHLD, SIG_DFL); /* ignored, children would leave no status */
	if (open_signals(run) < 0)
		return CLI_FAILURE;
	for (unsigned int i = 0; i < run->n && e == 0; i++)
		e = start_child(run, &run->children[i], &err);
	if (e == 0)
		e = belfry_links_start(run->links, &err);
	if (e < 0) {
		run->status = cli_fail(&err);
		stop_children(run);
	}
	wait_children(run);
	return run->status;
}

/* --- the command --- */

/* Consoles that the file does not send elsewhere go to standard output. */
static int default_console(struct belfry_config *cfg, const char *name, bool prefixed,
			   struct belfry_error *err)
{
	char path[80], prefix[48];
	int e;

	snprintf(path, sizeof(path), "vms.%s.console", name);
	if (belfry_config_has(cfg, path) == 1)
		return 0;
	e = belfry_config_set_fd(cfg, path, STDOUT_FILENO, err);
	snprintf(path, sizeof(path), "vms.%s.console_prefix", name);
	if (e < 0 || !prefixed || belfry_config_has(cfg, path) == 1)
		return e;
	snprintf(prefix, sizeof(prefix), "%s| ", name);
	return belfry_config_set(cfg, path, prefix, err);
}

static int count_vms(const struct belfry_config *cfg)
{
	int n = 0;

	while (belfry_config_vm_name(cfg, n))
		n++;
	return n;
}

static int list_vms(struct run *run, struct belfry_error *err)
{
	run->children = calloc(run->n, sizeof(*run->children));
	for (unsigned int i = 0; i < run->n; i++) {
		int e;

		if (run->children)
			run->children[i].name =
				strdup(belfry_config_vm_name(run->cfg, i));
		if (!run->children || !run->children[i].name) {
			snprintf(err->msg, sizeof(err->msg), "out of memory");
			return err->code = -ENOMEM;
		}
		e = default_console(run->cfg, run->children[i].name, run->n > 1, err);
		if (e < 0)
			return e;
	}
	return 0;
}

static int run_config(struct run *run)
{
	struct belfry_error err;

	run->n = count_vms(run->cfg);
	if (run->n == 0) {
		cli_say("there is no VM in this configuration: expected vms: { NAME: ... "
			"}");
		return CLI_BAD_CONFIG;
	}
	if (list_vms(run, &err) < 0 ||
	    belfry_links_create(run->cfg, &run->links, &err) < 0)
		return cli_fail(&err);
	return run->n == 1 ? run_one(run, run->children[0].name) : run_several(run);
}

static const char help[] =
	"usage: belfry run [OPTION]... FILE...\n"
	"\n"
	"Start every VM of a configuration and wait until all have ended. A VM's "
	"console\n"
	"is standard output, with its name in front of each line when there are "
	"several;\n"
	"belfry's own words go to standard error. SIGINT, SIGTERM and SIGHUP stop the "
	"VMs.\n"
	"\n"
	"  --set PATH=VALUE  give one key a value, as often as you like\n"
	"  --stats           say at the end how often each VM left the kernel\n"
	"  --verbose         say more, twice: everything\n"
	"  --help            this text\n"
	"\n"
	"The exit status is that of the first VM that did not end well; belfry --help\n"
	"lists them. A VM that cannot start takes the others down.\n"
	"\n"
	"examples:\n"
	"  belfry run configs/hello.yaml\n"
	"  belfry run configs/pair.yaml --set vms.ping.memory=64M --stats\n";

enum { OPTION_STATS = CLI_OPTION_OWN, OPTION_VERBOSE };

static const struct option options[] = {
	CLI_LONG_OPTIONS,
	{ "stats", no_argument, NULL, OPTION_STATS },
	{ "verbose", no_argument, NULL, OPTION_VERBOSE },
	{ 0 },
};

static void say_line(void *user, enum belfry_log_level level, const char *line)
{
	cli_say("%s", line);
}

int cli_run(int argc, char **argv)
{
	struct cli_sources sources = { .n_sets = 0 };
	struct run run = { .signals = -1 };
	enum belfry_log_level level = BELFRY_LOG_WARNING;
	int option, status = CLI_OK;

	while ((option = getopt_long(argc, argv, CLI_SHORT_OPTIONS, options, NULL)) !=
	       -1) {
		if (option == CLI_OPTION_HELP || option == 'h')
			return cli_print(help);
		if (option == OPTION_STATS)
			run.stats = true;
		else if (option == OPTION_VERBOSE)
			level += level < BELFRY_LOG_DEBUG;
		else
			status = cli_option(&sources, option, argv);
		if (status != CLI_OK)
			return status;
	}
	status = cli_files(&sources, argc, argv);
	if (status == CLI_OK)
		status = cli_load(&sources, &run.cfg);
	if (status != CLI_OK)
		return status;
	raise_descriptor_limit();
	belfry_config_set_log(run.cfg, say_line, NULL, level);
	status = run_config(&run);
	belfry_links_destroy(run.links);
	belfry_config_destroy(run.cfg);
	for (unsigned int i = 0; run.children && i < run.n; i++)
		free(run.children[i].name);
	free(run.children);
	if (run.signals >= 0)
		close(run.signals);
	return status;
}
