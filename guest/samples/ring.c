/* SPDX-License-Identifier: MIT */
/*
 * guest/samples/ring.c: a queue of messages from one VM to another
 *
 *	ring receive			in one VM
 *	ring send			in the other
 *
 * The queue is an array of slots in the shared memory. Each side counts: the sender
 * what it has put in, the receiver what it has taken out. Each writes its own
 * counter only. They differ by what is in the queue: none at least, all slots at
 * most.
 *
 * Back-pressure: a sender that finds all slots taken sleeps until half of them are free.
 *
 * Doorbells: whoever has nothing to do says at which value of the other's counter it
 * is to be woken, looks once more, and waits for an interrupt. The other changes its
 * counter, looks whether somebody waits for that, and rings once. A fence on both
 * sides keeps these orders, so that one of the two always sees the other. While both
 * are busy nobody is rung.
 *
 * The other side is not trusted: its counter has to make sense, and a message is copied
 * before it is looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meet.h"
#include "tools.h"

#define KIND      0x51554555 /* "UEUQ" */
#define SLOT_SIZE 1024
#define MAX_SLOTS 1024
#define MIN_SLOTS 2

#define LOOK_NS 1000000000 /* how often to look whether the other is there */

struct message {
	uint64_t number;
	uint32_t length; /* of data; 0: the last message */
	uint32_t checksum;
	uint8_t data[SLOT_SIZE - 16];
};

/* What each side writes. */
struct side {
	_Alignas(128) uint64_t count; /* of messages put in or taken out */
	uint64_t wake_at;             /* the other's count that it sleeps for; 0: awake */
};

struct queue {
	struct side side[2];
	_Alignas(4096) struct message slots[];
};

enum { SEND, RECEIVE }; /* seats */

struct options {
	const char *device;
	uint64_t messages;
	uint64_t delay_us;
	uint64_t patience_s;
	unsigned int side;
};

struct ring {
	const struct options *options;
	struct meet meet;
	struct queue *queue;
	struct side *mine;
	const struct side *other;
	uint64_t slots;  /* a power of two */
	uint64_t count;  /* ours */
	uint64_t theirs; /* what we have last seen, and believed */
	uint64_t rung;   /* the wake_at that we have rung for last */
	uint64_t sleeps;
	uint64_t doorbells;
	uint64_t bytes;
};

/* --- counters --- */

static uint64_t in_queue(const struct ring *r, uint64_t mine, uint64_t theirs)
{
	return r->options->side == SEND ? mine - theirs : theirs - mine;
}

/* Return: 0; -EPIPE, -ECONNRESET as meet_check(); -EPROTO for a counter that lies. */
static int look(struct ring *r)
{
	const uint64_t theirs = __atomic_load_n(&r->other->count, __ATOMIC_ACQUIRE);
	const int met = meet_check(&r->meet); /* else a counter set to 0 would be a lie */

	if (met < 0 && met != -EPIPE)
		return met;
	if (in_queue(r, r->count, theirs) > r->slots || theirs < r->theirs)
		return -EPROTO;
	r->theirs = theirs;
	return met;
}

/* What we have done, for the other to see; ring it if that is what it sleeps for. */
static void publish(struct ring *r)
{
	uint64_t wake_at;

	__atomic_store_n(&r->mine->count, r->count, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wake_at = __atomic_load_n(&r->other->wake_at, __ATOMIC_RELAXED);
	if (!wake_at || wake_at > r->count || wake_at == r->rung)
		return;
	r->rung = wake_at;
	r->doorbells++;
	meet_ring(&r->meet);
}

static void say_wake_at(struct ring *r, uint64_t count)
{
	__atomic_store_n(&r->mine->wake_at, count, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Until the other has counted to @count. Return: 0; as look(); -ENODEV. */
static int sleep_until(struct ring *r, uint64_t count)
{
	int met;

	say_wake_at(r, count);
	r->sleeps++;
	while ((met = look(r)) == 0 && r->theirs < count)
		if (ivshmem_wait(r->meet.iv, LOOK_NS) == -ENODEV)
			return -ENODEV;
	say_wake_at(r, 0);
	return r->theirs < count ? met : 0;
}

/* --- messages --- */

static uint32_t checksum(const struct message *m)
{
	uint64_t sum = m->number * 0x9e3779b97f4a7c15 ^ m->length;

	for (uint32_t i = 0; i < m->length; i++)
		sum = (sum ^ m->data[i]) * 0x100000001b3;
	return (uint32_t)(sum ^ sum >> 32);
}

static void make_message(struct message *m, uint64_t number, bool last)
{
	m->number = number;
	m->length = last ? 0 : 1 + number * 7919 % sizeof(m->data);
	memset(m->data, (int)number, m->length);
	m->checksum = checksum(m);
}

static struct message *slot(struct ring *r)
{
	return &r->queue->slots[r->count & (r->slots - 1)];
}

static void copy_message(struct message *to, const struct message *from)
{
	memcpy(to, from, offsetof(struct message, data));
	if (to->length <= sizeof(to->data))
		memcpy(to->data, from->data, to->length);
}

static void check_message(const struct message *m, uint64_t number)
{
	if (m->number != number)
		fail(0, "message %" PRIu64 ": its number is %" PRIu64, number, m->number);
	if (m->length > sizeof(m->data))
		fail(0, "message %" PRIu64 ": %" PRIu32 " bytes, at most %zu", number,
		     m->length, sizeof(m->data));
	if (m->checksum != checksum(m))
		fail(0, "message %" PRIu64 ": wrong checksum", number);
}

/* --- the two sides --- */

/* Return: 0 when there is a free slot, or as sleep_until(). */
static int wait_for_slot(struct ring *r)
{
	int met = 0;

	if (r->count - r->theirs == r->slots)
		met = look(r);
	if (met == 0 && r->count - r->theirs == r->slots)
		met = sleep_until(r, r->count - r->slots / 2);
	return met;
}

static int send_all(struct ring *r)
{
	const uint64_t last = r->options->messages;
	struct message m;
	int met;

	while (r->count <= last) {
		met = wait_for_slot(r);
		if (met < 0)
			return met;
		make_message(&m, r->count, r->count == last);
		copy_message(slot(r), &m);
		r->bytes += m.length;
		r->count++;
		publish(r);
	}
	return sleep_until(r, r->count);
}

static int wait_for_message(struct ring *r)
{
	int met = 0;

	if (r->theirs == r->count)
		met = look(r);
	if (met == 0 && r->theirs == r->count)
		met = sleep_until(r, r->count + 1);
	return met;
}

/* The sender is to find our counter here when it looks for the last time. */
static void let_leave(struct ring *r)
{
	for (int i = 0; i < 5 && meet_check(&r->meet) == 0; i++)
		ivshmem_wait(r->meet.iv, LOOK_NS);
}

static int receive_all(struct ring *r)
{
	struct message m;
	int met;

	do {
		met = wait_for_message(r);
		if (met < 0)
			return met;
		copy_message(&m, slot(r));
		check_message(&m, r->count);
		if (r->options->delay_us)
			sleep_ns(r->options->delay_us * 1000);
		r->bytes += m.length;
		r->count++;
		publish(r);
	} while (m.length);
	let_leave(r);
	return 0;
}

/* --- both --- */

static void reset(void *ring)
{
	struct ring *r = ring;

	r->count = r->theirs = r->bytes = r->doorbells = 0;
	r->sleeps = r->rung = 0;
	say_wake_at(r, 0);
	__atomic_store_n(&r->mine->count, 0, __ATOMIC_RELEASE);
}

static void report(const struct ring *r, uint64_t ns)
{
	const double seconds = (double)ns / 1e9;

	printf("%s %" PRIu64 " messages, %" PRIu64
	       " bytes, %.2f s, %.1f MB/s; slept %" PRIu64 " times, rang %" PRIu64
	       " times\n",
	       r->options->side == SEND ? "sent" : "received", r->count - 1, r->bytes,
	       seconds, (double)r->bytes / 1e6 / seconds, r->sleeps, r->doorbells);
}

static void run(struct ring *r)
{
	const struct options *o = r->options;
	uint64_t start;
	int met;

	do {
		met = meet_wait(&r->meet, (double)o->patience_s, reset, r);
		if (met < 0)
			fail(met, "waiting for the other side");
		start = now_ns();
		met = o->side == SEND ? send_all(r) : receive_all(r);
	} while (met == -ECONNRESET); /* it has started anew: so do we */
	if (met < 0)
		fail(met, "the other side");
	report(r, now_ns() - start);
}

static uint64_t slots_that_fit(uint64_t memory)
{
	const uint64_t rest = memory - MEET_SIZE - sizeof(struct queue);
	uint64_t slots = MAX_SLOTS;

	if (memory < MEET_SIZE + sizeof(struct queue) + MIN_SLOTS * SLOT_SIZE)
		return 0;
	while (slots * SLOT_SIZE > rest)
		slots /= 2;
	return slots;
}

static void set_up(struct ring *r, struct ivshmem *iv, const struct options *o)
{
	const struct ivshmem_info *info = ivshmem_info(iv);
	struct queue *queue = (struct queue *)((char *)ivshmem_memory(iv) + MEET_SIZE);
	int met;

	if (!(info->flags & IVSHMEM_HAS_DOORBELL))
		fail(0, "%s is a plain device, without doorbells", o->device);
	*r = (struct ring){
		.options = o,
		.queue = queue,
		.mine = &queue->side[o->side],
		.other = &queue->side[!o->side],
		.slots = slots_that_fit(info->memory_size),
	};
	if (!r->slots)
		fail(0, "%s: %" PRIu64 " bytes of memory are too few", o->device,
		     (uint64_t)info->memory_size);
	met = meet_init(&r->meet, iv, KIND, o->side);
	if (met < 0)
		fail(met, "%s", o->device);
}

static const char usage[] =
	"usage: ring [OPTION...] send|receive\n"
	"  -d, --device FILE   default /dev/ivshmem0\n"
	"  -n, --messages N    send: how many, default 100000\n"
	"  -y, --delay US      receive: microseconds for each message, default 0\n"
	"  -p, --patience S    seconds to wait for the other side, default 60\n";

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "device", 1, NULL, 'd' }, { "messages", 1, NULL, 'n' },
		{ "delay", 1, NULL, 'y' },  { "patience", 1, NULL, 'p' },
		{ "help", 0, NULL, 'h' },   { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "d:n:y:p:h", names, NULL)) >= 0) {
		if (c == 'd')
			o->device = optarg;
		else if (c == 'n')
			o->messages = number("messages", optarg, 1, UINT32_MAX);
		else if (c == 'y')
			o->delay_us = number("delay", optarg, 0, 10000000);
		else if (c == 'p')
			o->patience_s = number("patience", optarg, 0, 1000000);
		else
			show_usage(c == 'h', usage);
	}
	o->side = choice(argc, argv, "send", "receive", usage);
}

int main(int argc, char **argv)
{
	struct options options = { .device = "/dev/ivshmem0",
				   .messages = 100000,
				   .patience_s = 60 };
	struct ivshmem *iv;
	struct ring ring;
	int r;

	parse(argc, argv, &options);
	r = ivshmem_open(options.device, &iv);
	if (r < 0)
		fail(r, "%s", options.device);
	set_up(&ring, iv, &options);
	run(&ring);
	meet_leave(&ring.meet);
	ivshmem_close(iv);
	return 0;
}
