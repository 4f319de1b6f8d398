/* SPDX-License-Identifier: MIT */
/*
 * cli/serve_log.c - belfry serve: where the log goes
 *
 * Whoever reads it may stop, or go away: clients are not to wait for that. What does not
 * fit is lost, and counted.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/serve.h"

/* syslog.h's numbers, which journald takes in front of a line, too. */
static const int priorities[] = {
	[BELFRY_LOG_ERROR] = LOG_ERR,
	[BELFRY_LOG_WARNING] = LOG_WARNING,
	[BELFRY_LOG_INFO] = LOG_INFO,
	[BELFRY_LOG_DEBUG] = LOG_DEBUG,
};

/* A pipe with room has it for a whole line. */
static bool has_room(void)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
}

__attribute__((format(printf, 1, 2))) static void write_line(const char *fmt, ...)
{
	static unsigned int lost; /* the process's, as standard error is */
	va_list ap;

	if (lost > 0 && has_room()) {
		fprintf(stderr, "belfry: lines of the log that were lost: %u\n", lost);
		lost = 0;
	}
	if (!has_room()) {
		lost++;
		return;
	}
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

static void log_line(void *user, enum belfry_log_level level, const char *line)
{
	write_line("belfry: %s\n", line);
}

static void log_to_journal(void *user, enum belfry_log_level level, const char *line)
{
	write_line("<%d>%s\n", priorities[level], line);
}

static void log_to_syslog(void *user, enum belfry_log_level level, const char *line)
{
	syslog(priorities[level], "%s", line);
}

/* systemd.exec(5): $JOURNAL_STREAM names the journal's pipe by device and inode. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

belfry_log_fn *serve_log_of(const struct serve *sv)
{
	if (sv->daemonize)
		return log_to_syslog;
	return stderr_is_journal() ? log_to_journal : log_line;
}

void serve_log_info(const struct serve *sv, const char *line)
{
	char key[96], *level = NULL;

	snprintf(key, sizeof(key), "servers.%s.log_level", sv->name);
	belfry_config_get(sv->cfg, key, &level, NULL);
	if (!level || (strcmp(level, "error") != 0 && strcmp(level, "warning") != 0))
		serve_log_of(sv)(NULL, BELFRY_LOG_INFO, line);
	free(level);
}

static void say_line(const char *line)
{
	log_line(NULL, BELFRY_LOG_ERROR, line);
}

static void say_to_journal(const char *line)
{
	log_to_journal(NULL, BELFRY_LOG_ERROR, line);
}

static void say_to_syslog(const char *line)
{
	log_to_syslog(NULL, BELFRY_LOG_ERROR, line);
}

void serve_say_to_log(const struct serve *sv)
{
	if (sv->daemonize)
		cli_say_by(say_to_syslog);
	else
		cli_say_by(stderr_is_journal() ? say_to_journal : say_line);
}
