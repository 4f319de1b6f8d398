/* SPDX-License-Identifier: MIT */
/*
 * cli/serve_log.c - belfry serve: where the log goes
 *
 * Whoever reads it may stop, or go away: clients are not to wait for that. What does not
 * fit is lost, and counted.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
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

/* Put a line where the log goes. Return: false: it is lost. */
typedef bool put_fn(enum belfry_log_level level, const char *line);

static bool put_plain(enum belfry_log_level level, const char *line)
{
	return has_room() && fprintf(stderr, "belfry: %s\n", line) >= 0;
}

static bool put_journal(enum belfry_log_level level, const char *line)
{
	return has_room() && fprintf(stderr, "<%d>%s\n", priorities[level], line) >= 0;
}

static int syslog_socket = -1;

/*
 * syslog(3) waits while nobody reads /dev/log. A syslogd that begins anew has another
 * socket there, so its path is looked up for each line.
 */
static bool put_syslog(enum belfry_log_level level, const char *line)
{
	static const struct sockaddr_un to = { AF_UNIX, _PATH_LOG };
	const time_t now = time(NULL);
	char when[32], text[1100];
	struct tm tm;

	strftime(when, sizeof(when), "%b %e %T", localtime_r(&now, &tm));
	snprintf(text, sizeof(text), "<%d>%s belfry[%d]: %s",
		 LOG_DAEMON | priorities[level], when, getpid(), line);
	return sendto(syslog_socket, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&to, sizeof(to)) >= 0;
}

static void put_line(put_fn *put, enum belfry_log_level level, const char *line)
{
	static unsigned int lost; /* the process's, as standard error is */
	char text[64];

	snprintf(text, sizeof(text), "lines of the log that were lost: %u", lost);
	if (lost > 0 && put(BELFRY_LOG_WARNING, text))
		lost = 0;
	if (lost > 0 || !put(level, line))
		lost++;
}

static void log_line(void *user, enum belfry_log_level level, const char *line)
{
	put_line(put_plain, level, line);
}

static void log_to_journal(void *user, enum belfry_log_level level, const char *line)
{
	put_line(put_journal, level, line);
}

static void log_to_syslog(void *user, enum belfry_log_level level, const char *line)
{
	put_line(put_syslog, level, line);
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

void serve_open_log(const struct serve *sv)
{
	if (sv->daemonize)
		syslog_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
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
