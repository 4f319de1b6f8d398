/* SPDX-License-Identifier: MIT */
/*
 * cli/peer_session.c - belfry peer: what happens on the link while we wait for something
 *
 * Every wait of the program, for a ring, for a time or for a line, goes through
 * session_step(), which polls the peer, the signals and the input. The peer tells by
 * callbacks: rings are counted until a `wait` takes them, or printed by a `watch`.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/peer.h"

#define NS_PER_S 1000000000ULL

/* --- what happens on the link --- */

/* "2026-11-23T04:47:30.123456Z" */
static void print_now(void)
{
	struct timespec now;
	struct tm utc;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	printf("%s.%06ldZ", text, now.tv_nsec / 1000);
}

/* Begin a line about an event; for JSON, with its name. */
static void begin_event(const struct session *s, const char *name)
{
	if (s->json)
		fputs("{\"command\":\"watch\",\"time\":\"", stdout);
	print_now();
	if (s->json)
		printf("\",\"event\":\"%s\"", name);
}

static void end_event(const struct session *s)
{
	puts(s->json ? "}" : "");
	fflush(stdout);
}

static void print_peer(const struct session *s, const char *name, uint32_t id)
{
	if (!s->watching)
		return;
	begin_event(s, name);
	printf(s->json ? ",\"peer\":%" PRIu32 : " peer %" PRIu32, id);
	if (!s->json)
		printf(" %s", name);
	end_event(s);
}

static void joined(void *user, uint32_t id)
{
	print_peer(user, "joined", id);
}

static void left(void *user, uint32_t id)
{
	print_peer(user, "left", id);
}

static void rung(void *user, uint32_t vector, uint64_t count)
{
	struct session *s = user;

	if (!s->watching) {
		s->waiting[vector] += count;
		return;
	}
	begin_event(s, "ring");
	printf(s->json ? ",\"vector\":%" PRIu32 ",\"count\":%" PRIu64
		       : " ring at vector %" PRIu32 ", count %" PRIu64,
	       vector, count);
	end_event(s);
}

/* Also when nobody watches: on standard error, then. */
static void print_server(const struct session *s, const char *name, const char *why)
{
	if (!s->watching) {
		cli_say("server %s%s%s", name, *why ? ": " : "", why);
		return;
	}
	begin_event(s, name);
	if (!s->json) {
		printf(" server %s%s%s", name, *why ? ": " : "", why);
	} else if (*why) {
		fputs(",\"why\":", stdout);
		print_json_string(why);
	}
	end_event(s);
}

static void server_lost(void *user, const struct belfry_error *why)
{
	print_server(user, "lost", why->msg);
}

static void server_back(void *user)
{
	print_server(user, "back", "");
}

static void server_changed(void *user, const struct belfry_error *why)
{
	print_server(user, "changed", why->msg);
}

const struct belfry_peer_events session_events = {
	.size = sizeof(session_events),
	.joined = joined,
	.left = left,
	.rung = rung,
	.server_lost = server_lost,
	.server_back = server_back,
	.server_changed = server_changed,
};

/* --- waiting --- */

uint64_t session_deadline(uint64_t ns)
{
	uint64_t deadline;

	return __builtin_add_overflow(cli_now_ns(), ns, &deadline) ? UINT64_MAX
								   : deadline;
}

/* What is left until @deadline. */
static struct timespec time_left(uint64_t deadline)
{
	const uint64_t now = cli_now_ns();
	const uint64_t ns = deadline > now ? deadline - now : 0;

	return (struct timespec){ .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
}

static bool signal_has_come(struct session *s)
{
	if (s->signal == 0)
		s->signal = cli_signals_next(&s->signals);
	return s->signal != 0;
}

enum step session_step(struct session *s, uint64_t deadline, int input)
{
	const struct timespec left_now = time_left(deadline);
	struct pollfd fds[] = {
		{ .fd = s->signals.fd, .events = POLLIN },
		{ .fd = belfry_peer_fd(s->peer), .events = POLLIN },
		{ .fd = input, .events = POLLIN },
	};
	const int n = ppoll(fds, 3, deadline == UINT64_MAX ? NULL : &left_now, NULL);
	struct belfry_error err;

	if (signal_has_come(s))
		return STEP_SIGNAL;
	if (n == 0)
		return STEP_TIME;
	if (n < 0) /* EINTR: the kernel was busy on behalf of the peer */
		return STEP_EVENT;
	if (fds[1].revents && belfry_peer_process(s->peer, &err) < 0) {
		cli_say("%s", err.msg);
		return STEP_FAILED;
	}
	return fds[2].revents ? STEP_INPUT : STEP_EVENT;
}

bool session_wait_for(struct session *s, int fd)
{
	enum step step;

	do
		step = session_step(s, UINT64_MAX, fd);
	while (step == STEP_EVENT);
	return step == STEP_INPUT;
}

ssize_t session_write(struct session *s, int fd, const void *bytes, size_t n)
{
	struct pollfd fds[] = { { .fd = s->signals.fd, .events = POLLIN },
				{ .fd = fd, .events = POLLOUT } };
	ssize_t done;

	for (;;) {
		if (poll(fds, 2, s->signal ? 0 : -1) < 0)
			continue; /* EINTR */
		if (!fds[1].revents) {
			signal_has_come(s);
			errno = EINTR;
			return -1;
		}
		/* A pipe has room for so much, unless others fill it, too. */
		done = write(fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
		if (done >= 0 || errno != EAGAIN)
			return done;
	}
}

/* A cookie_write_function_t: what stdio has to write, or it is an error. */
static ssize_t write_output(void *cookie, const char *bytes, size_t n)
{
	size_t done = 0;
	ssize_t some;

	while (done < n) {
		some = session_write(cookie, STDOUT_FILENO, bytes + done, n - done);
		if (some < 0)
			break;
		done += some;
	}
	return done;
}

void session_own_output(struct session *s)
{
	FILE *out = fopencookie(s, "w", (cookie_io_functions_t){ .write = write_output });

	if (out)
		stdout = out;
}

bool session_interrupted(struct session *s)
{
	const enum step step = session_step(s, 0, -1);

	return step == STEP_SIGNAL || step == STEP_FAILED;
}

/* --- saying things --- */

int session_fail(const struct words *w, const struct belfry_error *err)
{
	cli_say("%s: %s", w->word[0].text, err->msg);
	return CLI_FAILURE;
}

void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}
