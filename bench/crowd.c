/* SPDX-License-Identifier: MIT */
/*
 * bench/crowd.c - an ivshmem server, and a crowd of peers on its link that do nothing
 *
 * Guests ask for two things by a word of the shared memory (guest-tests/crowd_regs.h),
 * which is looked at every 0.2 ms while it may change: that a late crowd joins, and that
 * its last peer answers. Only then does anybody read an eventfd of the crowd: so a ring
 * costs what the doorbell costs, and wakes nobody.
 *
 * One thread serves. It sleeps while nothing happens. Another one answers, if that was
 * asked for. Both end with the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/crowd.h"
#include "guest-tests/crowd_regs.h"

#define VMS_MAX     16
#define SPARE_FDS   128         /* for everything but eventfds */
#define SEND_BUFFER (256 << 20) /* bytes: whole bursts, so that sending never waits */
#define LOOK_NS     200000      /* how often a word in memory is looked at */
#define ANSWER_MS   1

enum { WAKE, LISTEN, FIXED_FDS }; /* in a poll; the VMs follow */

struct vm {
	int sock; /* ours; -1 once it has gone */
	uint32_t id;
	int *events;
	bool told; /* it has been told of everybody */
};

struct crowd {
	struct crowd_config cfg;
	int memory, wake;
	int listener; /* -1: there is none */
	volatile uint8_t *shared;
	int *events;         /* of peer p, vector v: [p * vectors + v] */
	bool here;           /* not away until later */
	unsigned int served; /* how many VMs the server's thread knows of; its own */

	pthread_mutex_t lock; /* of what follows */
	struct vm vms[VMS_MAX];
	unsigned int n;
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
static void tell_of(const struct crowd *c, const struct vm *to, uint32_t id,
		    const int *events)
{
	for (uint32_t v = 0; v < c->cfg.vectors; v++)
		if (!send_message(to->sock, id, events[v])) {
			shutdown(to->sock, SHUT_RDWR);
			return;
		}
}

static void tell_of_crowd(const struct crowd *c, const struct vm *to)
{
	for (uint32_t p = 0; p < c->cfg.peers; p++)
		tell_of(c, to, p, &c->events[p * c->cfg.vectors]);
}

static void crowd_joins(struct crowd *c)
{
	if (c->here)
		return;
	c->here = true;
	for (unsigned int i = 0; i < c->served; i++)
		if (c->vms[i].sock >= 0)
			tell_of_crowd(c, &c->vms[i]);
}

static int add_vm(struct crowd *c, int sock, struct belfry_error *err);

/* --- VMs that come and go --- */

static void welcome(struct crowd *c, struct vm *new)
{
	send_message(new->sock, 0, -1);
	send_message(new->sock, new->id, -1);
	send_message(new->sock, -1, c->memory);
	if (c->here)
		tell_of_crowd(c, new);
	for (unsigned int i = 0; i < c->served; i++)
		if (c->vms[i].told && c->vms[i].sock >= 0) {
			tell_of(c, &c->vms[i], new->id, new->events);
			tell_of(c, new, c->vms[i].id, c->vms[i].events);
		}
	tell_of(c, new, new->id, new->events);
	new->told = true;
}

static void vm_goes(struct crowd *c, struct vm *gone)
{
	bf_close(&gone->sock);
	for (unsigned int i = 0; i < c->served; i++)
		if (c->vms[i].sock >= 0)
			send_message(c->vms[i].sock, gone->id, -1);
}

/* Entries are only added, and only changed here: no lock while we send. */
static unsigned int known(struct crowd *c, int *listener)
{
	unsigned int n;

	pthread_mutex_lock(&c->lock);
	n = c->n;
	if (listener)
		*listener = c->listener;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void welcome_all(struct crowd *c)
{
	for (unsigned int i = 0; i < c->served; i++)
		if (!c->vms[i].told)
			welcome(c, &c->vms[i]);
}

/* One round of what there is to do. */
static void serve_once(struct crowd *c)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct pollfd fds[FIXED_FDS + VMS_MAX];
	eventfd_t count;
	int listener;
	unsigned int n = known(c, &listener);

	c->served = n;
	welcome_all(c);
	fds[WAKE] = (struct pollfd){ .fd = c->wake, .events = POLLIN };
	fds[LISTEN] = (struct pollfd){ .fd = listener, .events = POLLIN };
	for (unsigned int i = 0; i < n; i++)
		fds[FIXED_FDS + i] =
			(struct pollfd){ .fd = c->vms[i].sock, .events = POLLIN };
	if (ppoll(fds, FIXED_FDS + n, c->here ? NULL : &look, NULL) < 0)
		return;
	if (fds[WAKE].revents)
		eventfd_read(c->wake, &count);
	if (*word(c, CROWD_ASKED) == CROWD_JOIN)
		crowd_joins(c);
	for (unsigned int i = 0; i < n; i++)
		if (fds[FIXED_FDS + i].revents)
			vm_goes(c, &c->vms[i]);
	if (fds[LISTEN].revents)
		add_vm(c, accept4(listener, NULL, NULL, SOCK_CLOEXEC), NULL);
}

static void *serve(void *arg)
{
	for (;;)
		serve_once(arg);
	return NULL;
}

/* --- the last peer's answers --- */

static void ring_vms(struct crowd *c)
{
	unsigned int n = known(c, NULL);

	for (unsigned int i = 0; i < n; i++)
		eventfd_write(c->vms[i].events[0], 1);
}

/* While the guest wants it: no system call but the reads, and no sleep. */
static void answer_at_once(struct crowd *c, int last)
{
	eventfd_t count;

	eventfd_read(last, &count); /* what was rung while nobody answered */
	*word(c, CROWD_DOING) = CROWD_ANSWER;
	while (*word(c, CROWD_ASKED) == CROWD_ANSWER)
		if (eventfd_read(last, &count) == 0)
			ring_vms(c);
}

/* A crowd that is about to join leaves the CPUs to the VMM. */
static void answer_when_rung(struct crowd *c, int last)
{
	struct pollfd fd = { .fd = last, .events = POLLIN };
	eventfd_t count;

	*word(c, CROWD_DOING) = CROWD_JOIN;
	while (*word(c, CROWD_ASKED) == CROWD_JOIN)
		if (poll(&fd, 1, ANSWER_MS) > 0 && eventfd_read(last, &count) == 0)
			ring_vms(c);
}

static void *answer(void *arg)
{
	struct crowd *c = arg;
	int last = c->events[c->cfg.peers * c->cfg.vectors - 1];

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

/* --- making it --- */

static int raise_descriptor_limit(uint64_t need, struct belfry_error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return bf_err_sys(err, errno, "limit of descriptors");
	if (limit.rlim_max < need)
		return bf_err(err, EMFILE,
			      "needs %llu descriptors; the limit (ulimit -Hn) is %llu",
			      (unsigned long long)need,
			      (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return 0;
}

static int *new_events(uint32_t count, struct belfry_error *err)
{
	int *events = calloc(count + 1, sizeof(*events));

	for (uint32_t i = 0; events && i < count; i++) {
		events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (events[i] < 0) {
			bf_err_sys(err, errno, "eventfd %u of %u", i + 1, count);
			free(events); /* and with the process go the eventfds */
			return NULL;
		}
	}
	if (!events)
		bf_err(err, ENOMEM, "out of memory for %u eventfds", count);
	return events;
}

static int open_memory(struct crowd *c, struct belfry_error *err)
{
	void *shared;

	c->memory = memfd_create("belfry-bench-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (c->memory < 0 || ftruncate(c->memory, c->cfg.size) < 0 ||
	    fcntl(c->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return bf_err_sys(err, errno, "memory of the link");
	shared =
		mmap(NULL, c->cfg.size, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory, 0);
	if (shared == MAP_FAILED)
		return bf_err_sys(err, errno, "map the memory of the link");
	c->shared = shared;
	return 0;
}

static int start_threads(struct crowd *c, struct belfry_error *err)
{
	pthread_t server, answerer;
	cpu_set_t one;
	int e = pthread_create(&server, NULL, serve, c);

	if (e == 0 && c->cfg.answer)
		e = pthread_create(&answerer, NULL, answer, c);
	if (e)
		return bf_err_sys(err, e, "a thread of the link");
	if (c->cfg.answer && c->cfg.cpu >= 0) {
		CPU_ZERO(&one);
		CPU_SET(c->cfg.cpu, &one);
		pthread_setaffinity_np(answerer, sizeof(one), &one);
	}
	return 0;
}

int crowd_create(struct crowd **out, const struct crowd_config *cfg,
		 struct belfry_error *err)
{
	struct crowd *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return bf_err(err, ENOMEM, "out of memory");
	c->cfg = *cfg;
	c->here = !cfg->late;
	c->listener = -1;
	pthread_mutex_init(&c->lock, NULL);
	r = raise_descriptor_limit(
		(uint64_t)(cfg->peers + VMS_MAX) * cfg->vectors * 2 + SPARE_FDS, err);
	if (r == 0)
		r = open_memory(c, err);
	if (r < 0)
		return r;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->events = new_events(cfg->peers * cfg->vectors, err);
	if (!c->events)
		return -EMFILE;
	*out = c;
	return start_threads(c, err);
}

/* Make a VM of the server's end of a connection (takes). */
static int add_vm(struct crowd *c, int sock, struct belfry_error *err)
{
	const int buffer = SEND_BUFFER;
	BF_CLOSE int ours = sock;
	int *events = new_events(c->cfg.vectors, err);
	bool room;

	if (!events)
		return -EMFILE;
	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) < 0)
		setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	pthread_mutex_lock(&c->lock);
	room = c->n < VMS_MAX;
	if (room) {
		c->vms[c->n] =
			(struct vm){ bf_take(&ours), c->cfg.peers + c->n, events, false };
		c->n++;
	}
	pthread_mutex_unlock(&c->lock);
	if (room)
		return 0;
	free(events);
	return bf_err(err, EINVAL, "at most %d VMs on a link", VMS_MAX);
}

int crowd_connect(struct crowd *c, struct belfry_error *err)
{
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return bf_err_sys(err, errno, "a socket of the link");
	r = add_vm(c, ends[0], err);
	if (r < 0) {
		close(ends[1]);
		return r;
	}
	eventfd_write(c->wake, 1);
	return ends[1];
}

int crowd_listen(struct crowd *c, const char *path, struct belfry_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return bf_err(err, ENAMETOOLONG, "%s: at most %zu bytes", path,
			      sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, VMS_MAX) < 0)
		return bf_err_sys(err, errno, "%s", path);
	pthread_mutex_lock(&c->lock);
	c->listener = fd;
	pthread_mutex_unlock(&c->lock);
	eventfd_write(c->wake, 1);
	return 0;
}

int crowd_memory(const struct crowd *c)
{
	return c->memory;
}
