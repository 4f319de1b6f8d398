/* SPDX-License-Identifier: MIT */
/*
 * cli/serve.c - belfry serve: an ivshmem server
 *
 * The server is one of a configuration's, made from files, --set, and options that are
 * named as its keys are. The library does the rest; this is the process around it:
 * signals, descriptors that are handed on, where the log goes, the background.
 *
 * SIGTERM and SIGINT end it, SIGHUP reads the configuration again, SIGUSR2 runs the
 * program anew with everything as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <belfry-server.h>

#include "cli/serve.h"
#include "cli/systemd.h"

/* --- the configuration --- */

/* Options and --set first make, then change, one and the same server. */
static int choose_server(struct serve *sv, struct belfry_config *cfg, const char **name)
{
	const char *only = belfry_config_server_name(cfg, 0);

	if (sv->wanted)
		*name = sv->wanted;
	else if (!only)
		*name = "ivshmem";
	else if (belfry_config_server_name(cfg, 1))
		return cli_usage("serve: there are several servers; which one? --name");
	else
		*name = only;
	return CLI_OK;
}

static int set_values(struct serve *sv, struct belfry_config *cfg, const char *name)
{
	struct belfry_error err;
	char path[96];

	for (unsigned int i = 0; i < sv->n_values; i++) {
		snprintf(path, sizeof(path), "servers.%s.%s", name, sv->values[i].key);
		if (belfry_config_set(cfg, path, sv->values[i].text, &err) < 0)
			return cli_fail(&err);
	}
	return CLI_OK;
}

static bool has_server(const struct belfry_config *cfg, const char *name)
{
	const char *each;

	for (int i = 0; (each = belfry_config_server_name(cfg, i)); i++)
		if (strcmp(each, name) == 0)
			return true;
	return false;
}

/* Without a file the server may lack, and then has the defaults. */
static int make_server_section(struct serve *sv, struct belfry_config *cfg,
			       const char *name)
{
	struct belfry_error err;
	char path[96];

	if (has_server(cfg, name))
		return CLI_OK;
	if (sv->sources.n_files > 0) {
		cli_say("%s: has no server%s%s under servers:", sv->sources.files[0],
			sv->wanted ? " " : "", sv->wanted ? sv->wanted : "");
		return CLI_BAD_CONFIG;
	}
	snprintf(path, sizeof(path), "servers.%s.log_level", name);
	return belfry_config_set(cfg, path, "info", &err) < 0 ? cli_fail(&err) : CLI_OK;
}

static int load(struct serve *sv, struct belfry_config **out, const char **name)
{
	struct belfry_config *cfg;
	int status = cli_load(&sv->sources, &cfg);

	if (status != CLI_OK)
		return status;
	status = choose_server(sv, cfg, name);
	if (status == CLI_OK)
		status = make_server_section(sv, cfg, *name);
	if (status == CLI_OK)
		status = set_values(sv, cfg, *name);
	if (status != CLI_OK) {
		belfry_config_destroy(cfg);
		return status;
	}
	belfry_config_set_log(cfg, serve_log_of(sv), NULL, BELFRY_LOG_DEBUG);
	*out = cfg;
	return CLI_OK;
}

/* --- the server --- */

/* Go on where another process has ended, if there was one. */
static int create_server(struct serve *sv, struct belfry_error *err)
{
	int r = serve_use_socket(sv, err);

	return r < 0 ? r
		     : belfry_server_resume(sv->cfg, sv->name, sv->inherited.fds,
					    sv->inherited.n, &sv->server, err);
}

static void say_capacity(struct serve *sv)
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };
	char line[200];

	belfry_server_stats(sv->server, &stats);
	snprintf(line, sizeof(line),
		 "%s: %llu client%s there; %u with %llu vector%s each fit", sv->name,
		 (unsigned long long)stats.peers, stats.peers == 1 ? " is" : "s are",
		 belfry_server_capacity(sv->server), (unsigned long long)stats.vectors,
		 stats.vectors == 1 ? "" : "s");
	serve_log_info(sv, line);
	cli_notify("READY=1\nSTATUS=%s", line);
}

/* --- signals --- */

static int open_signals(struct serve *sv)
{
	struct sigaction interrupt;
	sigset_t set;

	signal(SIGPIPE, SIG_IGN); /* whoever read the log may have gone */
	sigemptyset(&set);
	if (sigaction(SIGINT, NULL, &interrupt) == 0 && interrupt.sa_handler != SIG_IGN)
		sigaddset(&set, SIGINT); /* a script's background ignores it */
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sv->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sv->signals >= 0)
		return CLI_OK;
	cli_say("signalfd: %s", strerror(errno));
	return CLI_FAILURE;
}

/* Return: whether the configuration is a good one. */
static bool reload(struct serve *sv)
{
	struct belfry_config *cfg = NULL;
	struct belfry_error err;
	struct timespec now;
	const char *name;
	bool good = false;

	clock_gettime(CLOCK_MONOTONIC, &now);
	cli_notify("RELOADING=1\nMONOTONIC_USEC=%lld",
		   now.tv_sec * 1000000LL + now.tv_nsec / 1000);
	if (load(sv, &cfg, &name) != CLI_OK)
		cli_say("the configuration stays as it is");
	else if (belfry_server_reload(sv->server, cfg, sv->name, &err) < 0)
		cli_say("the configuration stays as it is: %s", err.msg);
	else
		good = true;
	if (good) {
		belfry_config_destroy(sv->cfg);
		sv->cfg = cfg;
		sv->name = name;
		if (sv->sources.n_files > 0)
			serve_log_info(sv, "the configuration was read again");
	} else {
		belfry_config_destroy(cfg);
	}
	cli_notify("READY=1");
	return good;
}

/*
 * The next program reads the configuration when this one is no more: if it could not,
 * every client would be lost. So find that out before.
 */
static void upgrade(struct serve *sv)
{
	if (reload(sv))
		cli_upgrade(sv->server, sv->program, sv->argv);
	else
		cli_say("upgrade to %s failed, serving on", sv->program);
}

/* Return: whether to go on. */
static bool take_signal(struct serve *sv)
{
	struct signalfd_siginfo info;

	if (read(sv->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	switch (info.ssi_signo) {
	case SIGHUP:
		if (reload(sv) && sv->sources.n_files == 0)
			serve_log_info(sv, "there is no FILE to read again");
		return true;
	case SIGUSR2:
		upgrade(sv);
		return true;
	}
	return false;
}

static int serve(struct serve *sv)
{
	struct pollfd fds[] = {
		{ .fd = belfry_server_fd(sv->server), .events = POLLIN },
		{ .fd = sv->signals, .events = POLLIN },
	};
	struct belfry_error err;

	for (;;) {
		if (belfry_server_process(sv->server, &err) < 0)
			return cli_fail(&err);
		if (poll(fds, 2, -1) > 0 && fds[1].revents && !take_signal(sv))
			return CLI_OK;
	}
}

/* --- the background --- */

/* In the child, return; in the parent, end with the status that the child tells. */
static int go_to_background(struct serve *sv)
{
	unsigned char status = CLI_FAILURE;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		cli_say("background: %s", strerror(errno));
		return CLI_FAILURE;
	}
	if (pid > 0) {
		close(ends[1]);
		while (read(ends[0], &status, 1) < 0 && errno == EINTR)
			;
		_exit(status);
	}
	close(ends[0]);
	setsid();
	sv->parent = ends[1];
	return CLI_OK;
}

/* The parent may go; what it has of the terminal is not ours any more. */
static void leave_parent(struct serve *sv, unsigned char status)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (sv->parent < 0)
		return;
	for (int fd = 0; status == CLI_OK && null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null >= 0)
		close(null);
	if (write(sv->parent, &status, 1) < 0)
		status = CLI_FAILURE; /* it has gone already */
	close(sv->parent);
	sv->parent = -1;
}

/* --- the command --- */

/* For an upgrade: how we were started. */
static int note_program(struct serve *sv, int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", sv->program, sizeof(sv->program) - 1);

	sv->argv = calloc(argc + 2, sizeof(*sv->argv));
	if (n < 0 || !sv->argv) {
		cli_say("/proc/self/exe: %s", strerror(errno));
		return CLI_FAILURE;
	}
	sv->argv[0] = sv->program;
	memcpy(sv->argv + 1, argv, argc * sizeof(*argv));
	return CLI_OK;
}

static int run(struct serve *sv)
{
	struct belfry_error err;
	int status = CLI_OK;

	serve_open_log(sv);
	if (sv->daemonize && !sv->inherited.by_exec)
		status = go_to_background(sv);
	else
		serve_say_to_log(sv);
	if (status == CLI_OK)
		status = load(sv, &sv->cfg, &sv->name);
	if (status == CLI_OK)
		status = open_signals(sv);
	if (status != CLI_OK)
		return status;
	cli_raise_descriptor_limit();
	if (create_server(sv, &err) < 0)
		return cli_fail(&err);
	if (cli_is_notified() &&
	    belfry_server_set_store(sv->server, &cli_store, sv->inherited.fds != NULL,
				    &err) < 0)
		cli_say("no descriptors are stored: %s", err.msg);
	say_capacity(sv);
	leave_parent(sv, CLI_OK);
	serve_say_to_log(sv);
	return serve(sv);
}

static int inherit_and_run(struct serve *sv)
{
	if (cli_inherit(&sv->inherited))
		return run(sv);
	cli_say("descriptors of the process before: %s", strerror(errno));
	return CLI_FAILURE;
}

int cli_serve(int argc, char **argv)
{
	struct serve sv = { .signals = -1, .parent = -1 };
	int status = note_program(&sv, argc, argv);
	bool done = false;

	if (status == CLI_OK)
		status = serve_parse(&sv, argc, argv, &done);
	if (status == CLI_OK && sv.status)
		status = serve_print_status(sv.status);
	else if (status == CLI_OK && !done)
		status = inherit_and_run(&sv);
	if (sv.server)
		cli_notify("STOPPING=1");
	belfry_server_destroy(sv.server);
	leave_parent(&sv, status);
	belfry_config_destroy(sv.cfg);
	cli_inherit_fini(&sv.inherited);
	free(sv.argv);
	if (sv.signals >= 0)
		close(sv.signals);
	return status;
}
