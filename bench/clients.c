/* SPDX-License-Identifier: MIT */
/*
 * bench/clients.c - many clients of an ivshmem server, which check all that it sends
 *
 *	clients [--clients=N] [--vectors=V] [--leave] [--churn=N]
 *		[--signal-every=N] SOCKET
 *
 * N clients join at once. Each checks every message against the protocol, and rings each
 * eventfd that it is sent, by a number of its own; when a client ends, what it finds in
 * its own eventfds must be what all others have rung there. So a message that is missing,
 * comes twice, or brings another eventfd than it should is found. Nothing is taken on
 * trust from the server's code: this program shares none.
 *
 * --leave           half of them leave at once, then the others have been told
 * --churn=N         N times, the oldest leaves and another joins
 * --signal-every=N  during the churn, the server is sent SIGUSR2 (an upgrade) every N
 *                   times
 * --patient         who is disconnected before the first message connects again: a server
 *                   that is killed loses those it has not let in yet
 * --among-others    there may be clients that are not ours
 *
 * Prints a line for each part, with the server's CPU time, which SO_PEERCRED leads to.
 * Exit status 1: something is wrong, and is said.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define IDS         65536
#define CLIENTS_MAX 20000
#define VECTORS_MAX 2048
#define MESSAGE     8
#define SILENCE_MS  20000 /* the server says nothing more: give up */
#define EVENTS      64

struct client {
	int sock; /* -1: has ended */
	int id;   /* -1: not told yet */
	unsigned int greeted;
	unsigned int complete; /* IDs that it knows all vectors of */
	int open_id;           /* whose vectors are coming; -1: nobody's */
	uint16_t *known;       /* by ID: how many vectors */
	int *own;              /* its eventfds */
	uint8_t part[MESSAGE]; /* of a message */
	unsigned int have;
	int part_fd;
};

struct load {
	struct sockaddr_un server;
	unsigned int vectors;
	unsigned int n; /* clients ever made, the first of which may have ended */
	unsigned int live;
	struct client *clients;
	uint32_t *rung; /* by ID and vector: how many have rung it */
	int epoll;
	ino_t memory;
	pid_t pid;
	uint64_t messages;
	bool patient;
	bool among_others;
	unsigned int again; /* clients that had to connect again */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- the server, from outside --- */

static double cpu_seconds(pid_t pid)
{
	unsigned long long user, sys;
	char path[64], text[1024], *rest;
	FILE *stat;
	double seconds = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "r");
	if (!stat)
		return 0;
	rest = fgets(text, sizeof(text), stat) ? strrchr(text, ')') : NULL;
	if (rest && sscanf(rest,
			   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu "
			   "%llu",
			   &user, &sys) == 2)
		seconds = (double)(user + sys) / sysconf(_SC_CLK_TCK);
	fclose(stat);
	return seconds;
}

static unsigned int resident_kb(pid_t pid)
{
	unsigned int kb = 0;
	char path[64], line[256];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmRSS: %u", &kb) == 1)
			break;
	if (status)
		fclose(status);
	return kb;
}

static unsigned int descriptors(pid_t pid)
{
	char command[64];
	unsigned int n = 0;
	FILE *count;

	snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", pid);
	count = popen(command, "r");
	if (count && fscanf(count, "%u", &n) != 1)
		n = 0;
	if (count)
		pclose(count);
	return n;
}

/* --- messages --- */

__attribute__((noreturn, format(printf, 2, 3))) static void wrong(const struct client *c,
								  const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "clients: client %d: ", c->id);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* What is written to an eventfd tells whose it is. */
static uint64_t ring_value(const struct load *l, int id, unsigned int vector)
{
	return (uint64_t)id * l->vectors + vector + 1;
}

/* Does @c know all clients of ours that are there, and as a rule nobody else? */
static bool is_ready(const struct load *l, const struct client *c)
{
	if (!l->among_others)
		return c->complete == l->live;
	for (unsigned int i = 0; i < l->n; i++)
		if (l->clients[i].sock >= 0 &&
		    (l->clients[i].id < 0 || c->known[l->clients[i].id] != l->vectors))
			return false;
	return true;
}

static void greeting(struct load *l, struct client *c, int64_t value, int fd)
{
	struct stat st;

	switch (c->greeted++) {
	case 0:
		if (value != 0 || fd >= 0)
			wrong(c, "version %lld", (long long)value);
		return;
	case 1:
		if (value < 0 || value >= IDS || fd >= 0)
			wrong(c, "ID %lld", (long long)value);
		c->id = value;
		return;
	}
	if (value != -1 || fd < 0 || fstat(fd, &st) < 0)
		wrong(c, "memory %lld, descriptor %d", (long long)value, fd);
	if (l->memory && st.st_ino != l->memory)
		wrong(c, "its memory is another one");
	l->memory = st.st_ino;
	close(fd);
}

static void vector_comes(struct load *l, struct client *c, int id, int fd)
{
	unsigned int vector = c->known[id]++;

	if (vector >= l->vectors)
		wrong(c, "peer %d has a vector too many", id);
	if (vector > 0 && c->open_id != id)
		wrong(c, "vector %u of peer %d comes between others", vector, id);
	if (eventfd_write(fd, ring_value(l, id, vector)) < 0)
		wrong(c, "vector %u of peer %d: %s", vector, id, strerror(errno));
	l->rung[(size_t)id * l->vectors + vector]++;
	if (id == c->id)
		c->own[vector] = fd;
	else
		close(fd);
	c->open_id = vector + 1 < l->vectors ? id : -1;
	c->complete += vector + 1 == l->vectors;
}

static void peer_leaves(struct load *l, struct client *c, int id)
{
	if (c->known[id] != l->vectors)
		wrong(c, "peer %d leaves, of whom it knows %u vectors", id, c->known[id]);
	c->known[id] = 0;
	c->complete--;
}

static void message(struct load *l, struct client *c, int64_t value, int fd)
{
	l->messages++;
	if (c->greeted < 3) {
		greeting(l, c, value, fd);
		return;
	}
	if (value < 0 || value >= IDS)
		wrong(c, "message %lld", (long long)value);
	if (c->open_id >= 0 && (fd < 0 || value != c->open_id))
		wrong(c, "%lld comes before all vectors of peer %d", (long long)value,
		      c->open_id);
	if (fd >= 0)
		vector_comes(l, c, value, fd);
	else
		peer_leaves(l, c, value);
}

static void dial(struct load *l, struct client *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = c - l->clients };
	struct ucred creds;
	socklen_t len = sizeof(creds);

	c->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->sock < 0)
		err(1, "socket");
	if (connect(c->sock, (struct sockaddr *)&l->server, sizeof(l->server)) < 0)
		err(1, "connect");
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->sock, &ev) < 0)
		err(1, "epoll");
	if (getsockopt(c->sock, SOL_SOCKET, SO_PEERCRED, &creds, &len) == 0)
		l->pid = creds.pid;
}

static void connect_again(struct load *l, struct client *c)
{
	close(c->sock);
	dial(l, c);
	l->again++;
}

/* Return: false when there is nothing more to read now. */
static bool receive(struct load *l, struct client *c)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { c->part + c->have, MESSAGE - c->have };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *cm;
	int64_t value;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0 && l->patient && c->greeted == 0 && c->have == 0) {
		connect_again(l, c);
		return false;
	}
	if (n <= 0)
		wrong(c, "the server is gone: %s", n ? strerror(errno) : "end of file");
	cm = CMSG_FIRSTHDR(&hdr);
	if (cm && (c->have > 0 || cm->cmsg_len != CMSG_LEN(sizeof(int))))
		wrong(c, "descriptors that belong to no message");
	if (cm)
		memcpy(&c->part_fd, CMSG_DATA(cm), sizeof(int));
	c->have += n;
	if (c->have < MESSAGE)
		return true;
	memcpy(&value, c->part, sizeof(value));
	message(l, c, value, c->part_fd);
	c->have = 0;
	c->part_fd = -1;
	return true;
}

/* --- clients --- */

static void join(struct load *l)
{
	struct client *c = &l->clients[l->n];

	*c = (struct client){ .id = -1, .open_id = -1, .part_fd = -1 };
	c->known = calloc(IDS, sizeof(*c->known));
	c->own = calloc(l->vectors, sizeof(*c->own));
	if (!c->known || !c->own)
		err(1, "client %u", l->n);
	dial(l, c);
	l->n++;
	l->live++;
}

/* It knows all it is to know: has it been rung by everybody, and by nobody else? */
static void check_rings(const struct load *l, const struct client *c)
{
	for (unsigned int v = 0; v < l->vectors; v++) {
		uint64_t want =
			l->rung[(size_t)c->id * l->vectors + v] * ring_value(l, c->id, v);
		eventfd_t got = 0;

		if (eventfd_read(c->own[v], &got) < 0 || got != want)
			wrong(c, "vector %u was rung %llu, not %llu", v,
			      (unsigned long long)got, (unsigned long long)want);
	}
}

static void leave(struct load *l, struct client *c)
{
	check_rings(l, c);
	memset(&l->rung[(size_t)c->id * l->vectors], 0, l->vectors * sizeof(*l->rung));
	for (unsigned int v = 0; v < l->vectors; v++)
		close(c->own[v]);
	close(c->sock);
	free(c->own);
	free(c->known);
	c->sock = -1;
	l->live--;
}

static unsigned int count_ready(const struct load *l)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < l->n; i++)
		n += l->clients[i].sock >= 0 && is_ready(l, &l->clients[i]);
	return n;
}

/* Read what there is, or what comes within @timeout_ms. Return: whether anything came. */
static bool receive_all(struct load *l, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(l->epoll, events, EVENTS, timeout_ms);

	if (n < 0 && errno != EINTR)
		err(1, "epoll");
	for (int i = 0; i < n; i++)
		while (receive(l, &l->clients[events[i].data.u32]))
			;
	return n != 0;
}

/* Until each live client knows all live clients. Counting them takes a while. */
static void settle(struct load *l)
{
	for (;;) {
		while (receive_all(l, 0))
			;
		if (count_ready(l) == l->live)
			return;
		if (!receive_all(l, SILENCE_MS))
			errx(1, "%u of %u clients are complete, and nothing comes",
			     count_ready(l), l->live);
	}
}

/* --- the parts --- */

struct mark {
	double time;
	double cpu;
	uint64_t messages;
};

static struct mark mark(const struct load *l)
{
	return (struct mark){ now(), l->pid ? cpu_seconds(l->pid) : 0, l->messages };
}

static void report(const struct load *l, const char *what, struct mark from)
{
	struct mark to = mark(l);
	uint64_t messages = to.messages - from.messages;

	printf("%s: %u clients, %u vectors: %.3f s, server %.2f s CPU, %llu messages, "
	       "%.0f a second; server has %u kB, %u descriptors\n",
	       what, l->live, l->vectors, to.time - from.time, to.cpu - from.cpu,
	       (unsigned long long)messages, messages / (to.time - from.time),
	       resident_kb(l->pid), descriptors(l->pid));
	if (l->again)
		printf("%u had to connect again\n", l->again);
	fflush(stdout);
}

static void join_all(struct load *l, unsigned int n)
{
	struct mark from = mark(l);

	for (unsigned int i = 0; i < n; i++)
		join(l);
	from.cpu = 0; /* of a server that was only just started */
	settle(l);
	report(l, "join", from);
}

static void leave_half(struct load *l)
{
	struct mark from = mark(l);

	for (unsigned int i = 0; i < l->n; i += 2)
		leave(l, &l->clients[i]);
	settle(l);
	report(l, "leave", from);
}

static void churn(struct load *l, unsigned int times, unsigned int signal_every)
{
	struct mark from = mark(l);
	unsigned int oldest = 0;

	for (unsigned int i = 0; i < times; i++) {
		while (l->clients[oldest].sock < 0)
			oldest++;
		if (signal_every && i % signal_every == 0)
			kill(l->pid, SIGUSR2);
		leave(l, &l->clients[oldest]);
		join(l);
		settle(l);
	}
	report(l, "churn", from);
}

/* --- the program --- */

static unsigned int number(const char *name, const char *text, unsigned int max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value < 1 || value > max)
		errx(2, "%s: %s: a number from 1 to %u", name, text, max);
	return value;
}

static void raise_descriptor_limit(uint64_t need)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "limit of descriptors");
	if (limit.rlim_max < need)
		errx(1, "needs %llu descriptors; the limit (ulimit -Hn) is %llu",
		     (unsigned long long)need, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void open_load(struct load *l, const char *path, unsigned int clients)
{
	if (strlen(path) >= sizeof(l->server.sun_path))
		errx(2, "%s: at most %zu bytes", path, sizeof(l->server.sun_path) - 1);
	l->server.sun_family = AF_UNIX;
	memcpy(l->server.sun_path, path, strlen(path));
	l->clients = calloc(clients, sizeof(*l->clients));
	l->rung = calloc((size_t)IDS * l->vectors, sizeof(*l->rung));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!l->clients || !l->rung || l->epoll < 0)
		err(1, "%u clients", clients);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "clients", required_argument, NULL, 'c' },
		{ "vectors", required_argument, NULL, 'v' },
		{ "leave", no_argument, NULL, 'l' },
		{ "churn", required_argument, NULL, 'r' },
		{ "signal-every", required_argument, NULL, 's' },
		{ "patient", no_argument, NULL, 'p' },
		{ "among-others", no_argument, NULL, 'o' },
		{ 0 },
	};
	unsigned int clients = 2, times = 0, signal_every = 0;
	static struct load l = { .vectors = 1 };
	bool half = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'c')
			clients = number("clients", optarg, CLIENTS_MAX);
		else if (opt == 'v')
			l.vectors = number("vectors", optarg, VECTORS_MAX);
		else if (opt == 'l')
			half = true;
		else if (opt == 'r')
			times = number("churn", optarg, IDS - 1 - CLIENTS_MAX);
		else if (opt == 's')
			signal_every = number("signal-every", optarg, IDS);
		else if (opt == 'p')
			l.patient = true;
		else if (opt == 'o')
			l.among_others = true;
		else
			break;
	}
	if (opt != -1 || optind != argc - 1)
		errx(2, "usage: clients [--clients=N] [--vectors=V] [--leave] "
			"[--churn=N] [--signal-every=N] [--patient] [--among-others] "
			"SOCKET");
	raise_descriptor_limit((uint64_t)(clients + 1) * (1 + l.vectors) + 32);
	open_load(&l, argv[optind], clients + times);
	join_all(&l, clients);
	if (half)
		leave_half(&l);
	if (times)
		churn(&l, times, signal_every);
	for (unsigned int i = 0; i < l.n; i++)
		if (l.clients[i].sock >= 0)
			leave(&l, &l.clients[i]);
	return 0;
}
