/* SPDX-License-Identifier: MIT */
/*
 * bench/crowd.c - an ivshmem server, and a crowd of peers on its link that do nothing
 *
 *	crowd [--peers=N] [--vectors=N] [--size=MIB] [--late] [--answer] SOCKET
 *
 * For measuring what a crowd costs a VMM, QEMU or belfry. A peer of the crowd is its
 * eventfds and nothing more; their IDs are 0 to N - 1. VMMs that connect get the IDs from
 * N on. Each is told of the crowd, of the VMMs before it, and of itself last.
 *
 * --late    the crowd stays away until a guest asks for it, or SIGUSR1 comes; then it
 *           joins at once
 * --answer  a thread reads the last peer's last eventfd and rings vector 0 of all VMMs,
 *           while a guest asks for it. Nobody else reads an eventfd of the crowd, so that
 *           a ring costs what the doorbell costs, and wakes nobody.
 *
 * Guests ask by a word of the shared memory: guest-tests/crowd_regs.h. It is looked at
 * every 0.2 ms while a late crowd waits.
 *
 * Prints a line when it listens, and ends at SIGINT or SIGTERM.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "guest-tests/crowd_regs.h"

#define VMMS_MAX    16
#define IDS         65536
#define VECTORS_MAX 2048
#define SPARE_FDS   32          /* for everything but eventfds */
#define SEND_BUFFER (256 << 20) /* bytes: whole bursts, so that sending never waits */
#define SEND_S      20          /* a VMM that reads nothing for as long is dropped */
#define LOOK_NS     200000      /* how often a word in memory is looked at */
#define ANSWER_MS   1

enum { LISTEN, SIGNALS, FIXED_FDS }; /* in a poll; the VMMs follow */

struct vmm {
	int sock; /* -1: the place is free */
	uint32_t id;
	int *events;
};

struct crowd {
	uint32_t peers, vectors;
	uint64_t size;
	bool late, answer;

	int listener, signals, memory;
	volatile uint8_t *shared;
	int *events; /* of peer p, vector v: [p * vectors + v] */
	bool here;   /* not away until later */

	pthread_mutex_t lock; /* of the VMMs, which the answering thread rings */
	struct vmm vmms[VMMS_MAX];
	unsigned int n; /* in use are the first n; the order in which they came */
	uint32_t next_id;
};

static volatile uint32_t *word(const struct crowd *c, unsigned int off)
{
	return (volatile uint32_t *)(c->shared + off);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
}

/* --- messages --- */

static bool send_message(int sock, int64_t value, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &value, sizeof(value) };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t sent;

	if (fd >= 0) {
		hdr.msg_control = control;
		hdr.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	/* Too many descriptors on their way: the VMM has to take some first. */
	while ((sent = sendmsg(sock, &hdr, MSG_NOSIGNAL)) < 0 && errno == ETOOMANYREFS)
		nap();
	return sent == sizeof(value);
}

/* One that does not take it is seen to have gone at its next poll. */
static void tell_of(const struct crowd *c, const struct vmm *to, uint32_t id,
		    const int *events)
{
	for (uint32_t v = 0; v < c->vectors; v++)
		if (!send_message(to->sock, id, events[v])) {
			shutdown(to->sock, SHUT_RDWR);
			return;
		}
}

static void tell_of_crowd(const struct crowd *c, const struct vmm *to)
{
	for (uint32_t p = 0; p < c->peers; p++)
		tell_of(c, to, p, &c->events[p * c->vectors]);
}

static void crowd_joins(struct crowd *c)
{
	if (c->here)
		return;
	c->here = true;
	for (unsigned int i = 0; i < c->n; i++)
		tell_of_crowd(c, &c->vmms[i]);
}

/* --- VMMs that come and go --- */

static int *new_events(uint32_t count)
{
	int *events = calloc(count, sizeof(*events));

	if (!events)
		err(1, "memory of %u eventfds", count);
	for (uint32_t i = 0; i < count; i++) {
		events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (events[i] < 0)
			err(1, "eventfd %u of %u", i + 1, count);
	}
	return events;
}

static void vmm_comes(struct crowd *c)
{
	const struct timeval limit = { .tv_sec = SEND_S };
	const int buffer = SEND_BUFFER;
	struct vmm *new = &c->vmms[c->n];
	int sock = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

	if (sock < 0 || c->n == VMMS_MAX) {
		warnx("a VMM too many: at most %u", VMMS_MAX);
		close(sock);
		return;
	}
	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) < 0)
		setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));

	*new = (struct vmm){ sock, c->next_id, new_events(c->vectors) };
	c->next_id = c->next_id + 1 < IDS ? c->next_id + 1 : c->peers;
	for (unsigned int i = 0; i < c->n; i++)
		tell_of(c, &c->vmms[i], new->id, new->events);
	send_message(sock, 0, -1);
	send_message(sock, new->id, -1);
	send_message(sock, -1, c->memory);
	if (c->here)
		tell_of_crowd(c, new);
	for (unsigned int i = 0; i < c->n; i++)
		tell_of(c, new, c->vmms[i].id, c->vmms[i].events);
	tell_of(c, new, new->id, new->events);
	pthread_mutex_lock(&c->lock);
	c->n++;
	pthread_mutex_unlock(&c->lock);
}

static void vmm_goes(struct crowd *c, unsigned int place)
{
	struct vmm gone = c->vmms[place];

	pthread_mutex_lock(&c->lock);
	c->n--;
	memmove(&c->vmms[place], &c->vmms[place + 1], (c->n - place) * sizeof(gone));
	pthread_mutex_unlock(&c->lock);
	close(gone.sock);
	for (uint32_t v = 0; v < c->vectors; v++)
		close(gone.events[v]);
	free(gone.events);
	for (unsigned int i = 0; i < c->n; i++)
		send_message(c->vmms[i].sock, gone.id, -1);
	if (c->n > 0)
		return;
	*word(c, CROWD_ASKED) = CROWD_IDLE; /* the next guest finds all as new */
	c->here = !c->late;
}

/* --- the last peer's answers --- */

static void ring_vmms(struct crowd *c)
{
	pthread_mutex_lock(&c->lock);
	for (unsigned int i = 0; i < c->n; i++)
		eventfd_write(c->vmms[i].events[0], 1);
	pthread_mutex_unlock(&c->lock);
}

/* While the guest wants it: no system call but the reads, and no sleep. */
static void answer_at_once(struct crowd *c, int last)
{
	eventfd_t count;

	eventfd_read(last, &count); /* what was rung while nobody answered */
	*word(c, CROWD_DOING) = CROWD_ANSWER;
	while (*word(c, CROWD_ASKED) == CROWD_ANSWER)
		if (eventfd_read(last, &count) == 0)
			ring_vmms(c);
}

/* A crowd that is about to join leaves the CPUs to the VMM. */
static void answer_when_rung(struct crowd *c, int last)
{
	struct pollfd fd = { .fd = last, .events = POLLIN };
	eventfd_t count;

	*word(c, CROWD_DOING) = CROWD_JOIN;
	while (*word(c, CROWD_ASKED) == CROWD_JOIN)
		if (poll(&fd, 1, ANSWER_MS) > 0 && eventfd_read(last, &count) == 0)
			ring_vmms(c);
}

static void *answer(void *arg)
{
	struct crowd *c = arg;
	int last = c->events[c->peers * c->vectors - 1];

	for (;; nap()) {
		switch (*word(c, CROWD_ASKED)) {
		case CROWD_ANSWER:
			answer_at_once(c, last);
			break;
		case CROWD_JOIN:
			answer_when_rung(c, last);
			break;
		}
		*word(c, CROWD_DOING) = CROWD_IDLE;
	}
	return NULL;
}

/* --- the server --- */

/* Return: whether to go on. */
static bool take_signal(struct crowd *c)
{
	struct signalfd_siginfo info;

	if (read(c->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo != SIGUSR1)
		return false;
	crowd_joins(c);
	return true;
}

static void serve(struct crowd *c)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct pollfd fds[FIXED_FDS + VMMS_MAX];
	unsigned int i, n;

	for (;;) {
		n = c->n;
		fds[LISTEN] = (struct pollfd){ .fd = c->listener, .events = POLLIN };
		fds[SIGNALS] = (struct pollfd){ .fd = c->signals, .events = POLLIN };
		for (i = 0; i < n; i++)
			fds[FIXED_FDS + i] = (struct pollfd){ .fd = c->vmms[i].sock,
							      .events = POLLIN };
		if (ppoll(fds, FIXED_FDS + n, !c->here && n > 0 ? &look : NULL, NULL) <
			    0 &&
		    errno != EINTR)
			err(1, "poll");
		if (*word(c, CROWD_ASKED) == CROWD_JOIN)
			crowd_joins(c);
		for (i = n; i-- > 0;)
			if (fds[FIXED_FDS + i].revents)
				vmm_goes(c, i);
		if (fds[LISTEN].revents)
			vmm_comes(c);
		if (fds[SIGNALS].revents && !take_signal(c))
			return;
	}
}

/* --- the program --- */

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

static void open_socket(struct crowd *c, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		errx(2, "%s: at most %zu bytes", path, sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->listener < 0 ||
	    bind(c->listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(c->listener, VMMS_MAX) < 0)
		err(1, "%s", path);
}

static void open_memory(struct crowd *c)
{
	c->memory = memfd_create("crowd", MFD_CLOEXEC);
	if (c->memory < 0 || ftruncate(c->memory, c->size) < 0)
		err(1, "shared memory");
	c->shared = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory, 0);
	if (c->shared == MAP_FAILED)
		err(1, "mmap of the shared memory");
}

static void open_signals(struct crowd *c)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (c->signals < 0)
		err(1, "signalfd");
}

static uint32_t number(const char *name, const char *text, uint32_t max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value < 1 || value > max)
		errx(2, "%s: %s: a number from 1 to %u", name, text, max);
	return value;
}

static const char *parse(struct crowd *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "peers", required_argument, NULL, 'p' },
		{ "vectors", required_argument, NULL, 'v' },
		{ "size", required_argument, NULL, 's' },
		{ "late", no_argument, NULL, 'l' },
		{ "answer", no_argument, NULL, 'a' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'p')
			c->peers = number("peers", optarg, IDS - VMMS_MAX);
		else if (opt == 'v')
			c->vectors = number("vectors", optarg, VECTORS_MAX);
		else if (opt == 's')
			c->size = (uint64_t)number("size", optarg, 1 << 20) << 20;
		else if (opt == 'l')
			c->late = true;
		else if (opt == 'a')
			c->answer = true;
		else
			break;
	}
	if (opt != -1 || optind != argc - 1)
		errx(2, "usage: crowd [--peers=N] [--vectors=N] [--size=MIB] [--late] "
			"[--answer] SOCKET");
	return argv[optind];
}

int main(int argc, char **argv)
{
	static struct crowd c = { .peers = 1, .vectors = 1, .size = 1 << 20 };
	const char *path = parse(&c, argc, argv);
	pthread_t thread;

	raise_descriptor_limit((uint64_t)(c.peers + VMMS_MAX) * c.vectors + SPARE_FDS);
	pthread_mutex_init(&c.lock, NULL);
	c.here = !c.late;
	c.next_id = c.peers;
	c.events = new_events(c.peers * c.vectors);
	open_signals(&c);
	open_memory(&c);
	open_socket(&c, path);
	if (c.answer && pthread_create(&thread, NULL, answer, &c) != 0)
		errx(1, "pthread_create");
	printf("%u peers, %u vectors each: %s\n", c.peers, c.vectors, path);
	fflush(stdout);
	serve(&c);
	unlink(path);
	return 0;
}
