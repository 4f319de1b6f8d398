/* SPDX-License-Identifier: MIT */
/*
 * cli/run.c - belfry run: start every VM of a file, wait, say how they ended
 *
 * A file with one VM runs in this process. Several run in a child each, and so does one
 * that has our terminal; this process hosts their links and waits. A child is forked
 * after its links were joined and before anything runs, so it holds its own connections
 * and nobody else's.
 *
 * What signals do is in signals.c, how a VM is made to end in run_vm.c, and what is typed
 * in terminal.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <belfry.h>

#include "cli/cli.h"
#include "cli/run.h"

struct child {
	pid_t pid; /* 0: has ended */
	char *name;
};

struct run {
	struct belfry_config *cfg;
	struct belfry_links *links;
	struct cli_signals signals; /* a parent's */
	struct cli_terminal terminal;
	bool stats;
	bool stopping; /* children that a signal ends are no news */
	int status;    /* of the first VM that did not end well; else 0 */
	struct child *children;
	unsigned int n;
};

/* --- one VM in this process --- */

static int run_one(struct run *run, const char *name)
{
	struct belfry_error err;

	if (belfry_links_join(run->links, run->cfg, name, &err) < 0 ||
	    belfry_links_start(run->links, &err) < 0)
		return cli_fail(&err);
	return cli_run_vm(run->cfg, name, CLI_ALONE, run->stats);
}

/* --- several, a process each --- */

static void signal_children(struct run *run, int signal)
{
	for (unsigned int i = 0; i < run->n; i++)
		if (run->children[i].pid)
			kill(run->children[i].pid, signal);
}

static void stop_children(struct run *run, enum cli_request request)
{
	run->stopping = true;
	signal_children(run, request == CLI_STOP ? CLI_SIGNAL_STOP : SIGTERM);
}

/*
 * In the child: it must not outlive its parent, nor hold the servers' ends. What the
 * terminal or a shell sends to all of us, the parent passes on.
 */
static int child_main(struct run *run, const char *name, pid_t parent)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return CLI_SIGNAL + SIGTERM;
	cli_signals_undo(&run->signals);
	belfry_links_destroy(run->links);
	run->links = NULL;
	if (run->terminal.used)
		close(run->terminal.guest);
	return cli_run_vm(run->cfg, name, CLI_CHILD, run->stats);
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

/* What the end of a child is for us: it knows only of our SIGTERM. */
static int child_status(const struct run *run, int wstatus)
{
	const int status = WIFSIGNALED(wstatus) ? CLI_SIGNAL + WTERMSIG(wstatus)
						: WEXITSTATUS(wstatus);

	if (run->signals.first &&
	    (status == CLI_SIGNAL + SIGTERM || status == CLI_SIGNAL + CLI_SIGNAL_STOP))
		return CLI_SIGNAL + run->signals.first;
	return status;
}

/* A VM that could not start, or was failed by its host, takes the others down. */
static void child_ended(struct run *run, struct child *child, int wstatus)
{
	const int status = child_status(run, wstatus);

	child->pid = 0;
	if (status && !run->status)
		run->status = status;
	if (WIFSIGNALED(wstatus) && !run->stopping)
		cli_say("%s: killed by signal %d", child->name, WTERMSIG(wstatus));
	if (!run->stopping && (WIFSIGNALED(wstatus) || (status && status < CLI_RESET)))
		stop_children(run, CLI_ASK);
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

/* We are to stop for a while (SIGTSTP), and the VMs with us. */
static void suspend(struct run *run)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	cli_terminal_leave(&run->terminal);
	signal_children(run, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signal_children(run, SIGCONT);
}

static void take_signal(struct run *run)
{
	const int signal = cli_signals_next(&run->signals);
	const enum cli_request request = cli_signals_request(&run->signals, signal);

	if (request != CLI_NOTHING)
		stop_children(run, request);
	if (signal == SIGTSTP)
		suspend(run);
	if (signal == SIGTSTP || signal == SIGCONT)
		cli_terminal_enter(&run->terminal);
}

/* As if somebody had pressed Ctrl-C twice. */
static void quit(struct run *run)
{
	cli_signals_request(&run->signals, SIGINT);
	stop_children(run, CLI_STOP);
}

static void wait_children(struct run *run)
{
	while (reap(run) > 0) {
		struct pollfd fds[1 + CLI_TERMINAL_FDS] = { { .fd = run->signals.fd,
							      .events = POLLIN } };

		poll(fds, 1 + CLI_TERMINAL_FDS,
		     cli_terminal_poll(&run->terminal, fds + 1));
		if (fds[0].revents)
			take_signal(run);
		if (!cli_terminal_work(&run->terminal, fds + 1))
			quit(run);
	}
}

static int run_several(struct run *run)
{
	const enum cli_role role = run->terminal.used ? CLI_TERMINAL : CLI_PARENT;
	struct belfry_error err;
	int e = 0;

	signal(SIGCHLD, SIG_DFL); /* ignored, children would leave no status */
	if (cli_signals_open(&run->signals, role) != CLI_OK)
		return CLI_FAILURE;
	cli_terminal_enter(&run->terminal);
	for (unsigned int i = 0; i < run->n && e == 0; i++)
		e = start_child(run, &run->children[i], &err);
	if (e == 0)
		e = belfry_links_start(run->links, &err);
	if (e < 0) {
		run->status = cli_fail(&err);
		stop_children(run, CLI_ASK);
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

	snprintf(path, sizeof(path), "vms.%s.console_pty", name);
	if (belfry_config_has(cfg, path) == 1)
		return 0;
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

static int take_terminal(struct run *run, struct belfry_error *err)
{
	return cli_terminal_init(&run->terminal, run->cfg,
				 belfry_config_vm_name(run->cfg, 0), err);
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
	if ((run->n == 1 && take_terminal(run, &err) < 0) || list_vms(run, &err) < 0 ||
	    belfry_links_create(run->cfg, &run->links, &err) < 0)
		return cli_fail(&err);
	if (run->n == 1 && !run->terminal.used)
		return run_one(run, run->children[0].name);
	return run_several(run);
}

static const char help[] =
	"usage: belfry run [OPTION]... FILE...\n"
	"\n"
	"Start every VM of a configuration and wait until all have ended. A VM's "
	"console\n"
	"is standard output, with its name in front of each line when there are "
	"several;\n"
	"belfry's own words go to standard error. In a terminal, one VM has the "
	"keyboard,\n"
	"too: Ctrl-a x stops it, Ctrl-a h helps.\n"
	"\n"
	"SIGINT, SIGTERM and SIGHUP ask the guests to power off; a second one stops "
	"them,\n"
	"and so does the end of their time (stop_timeout).\n"
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
	struct run run = { .signals.fd = -1, .terminal.guest = -1 };
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
	cli_raise_descriptor_limit();
	belfry_config_set_log(run.cfg, say_line, NULL, level);
	status = run_config(&run);
	cli_terminal_fini(&run.terminal);
	belfry_links_destroy(run.links);
	belfry_config_destroy(run.cfg);
	for (unsigned int i = 0; run.children && i < run.n; i++)
		free(run.children[i].name);
	free(run.children);
	cli_signals_close(&run.signals);
	return status;
}
