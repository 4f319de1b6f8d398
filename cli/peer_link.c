/* SPDX-License-Identifier: MIT */
/* cli/peer_link.c - belfry peer: who is on the link, ringing, waiting for rings */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/peer.h"

#define ID_MAX 65535

static struct belfry_peer_info info_of(const struct session *s)
{
	struct belfry_peer_info info = { .size = sizeof(info) };

	belfry_peer_get_info(s->peer, &info);
	return info;
}

static bool is_word(const struct words *w, unsigned int i, const char *text)
{
	return i < w->n && !w->word[i].quoted && strcmp(w->word[i].text, text) == 0;
}

/* --- who is there --- */

/* How many vectors of @id cannot be rung for want of a descriptor. */
static unsigned int unheld(const struct session *s, uint32_t id, unsigned int vectors)
{
	unsigned int n = 0;

	for (unsigned int v = 0; v < vectors; v++)
		n += belfry_peer_eventfd(s->peer, id, v) < 0;
	return n;
}

static void list_one(const struct session *s, uint32_t id, bool first)
{
	const unsigned int vectors = belfry_peer_vectors(s->peer, id);
	const unsigned int lost = unheld(s, id, vectors);

	if (s->json) {
		printf("%s{\"id\":%" PRIu32 ",\"vectors\":%u,\"unheld\":%u}",
		       first ? "" : ",", id, vectors, lost);
		return;
	}
	printf("peer %" PRIu32 ": %u vector%s", id, vectors, vectors == 1 ? "" : "s");
	if (lost)
		printf(", %u of them without a descriptor", lost);
	putchar('\n');
}

int peer_list(struct session *s, const struct words *w)
{
	bool first = true;

	if (s->json)
		fputs("{\"command\":\"list\",\"peers\":[", stdout);
	for (int id = belfry_peer_next(s->peer, 0); id >= 0;
	     id = belfry_peer_next(s->peer, id + 1), first = false)
		list_one(s, id, first);
	if (s->json)
		puts("]}");
	return CLI_OK;
}

/* As QEMU's ivshmem-client prints it. */
static void dump_one(const struct session *s, const char *name, uint32_t id)
{
	const int vectors = belfry_peer_vectors(s->peer, id);

	printf("%s = %" PRIu32 "\n", name, id);
	for (int v = 0; v < vectors; v++) {
		int fd = belfry_peer_eventfd(s->peer, id, v);

		if (fd >= 0)
			printf("  vector %d is enabled (fd=%d)\n", v, fd);
	}
}

int peer_dump(struct session *s, const struct words *w)
{
	if (s->json)
		return peer_list(s, w);
	dump_one(s, "our_id", belfry_peer_id(s->peer));
	for (int id = belfry_peer_next(s->peer, 0); id >= 0;
	     id = belfry_peer_next(s->peer, id + 1))
		dump_one(s, "peer_id", id);
	return CLI_OK;
}

/* --- what we are --- */

static const char *state_word(enum belfry_peer_state state)
{
	switch (state) {
	case BELFRY_PEER_JOINED:
		return "joined";
	case BELFRY_PEER_LOST:
		return "lost";
	default:
		return "changed";
	}
}

static uint64_t rings_waiting(const struct session *s)
{
	uint64_t n = 0;

	for (unsigned int v = 0; v < PEER_VECTORS_MAX; v++)
		n += s->waiting[v];
	return n;
}

int peer_info(struct session *s, const struct words *w)
{
	static const char text[] = "id %" PRIu32 "\nvectors %" PRIu32 "\npeers %" PRIu32
				   "\nmemory %" PRIu64 "\nserver %s\nrings %" PRIu64
				   "\nheard %" PRIu64 "\nwaiting %" PRIu64 "\n";
	static const char json[] =
		"{\"command\":\"info\",\"id\":%" PRIu32 ",\"vectors\":%" PRIu32
		",\"peers\":%" PRIu32 ",\"memory\":%" PRIu64
		",\"server\":\"%s\",\"rings\":%" PRIu64 ",\"heard\":%" PRIu64
		",\"waiting\":%" PRIu64 "}\n";
	const struct belfry_peer_info info = info_of(s);

	printf(s->json ? json : text, info.id, info.vectors, info.peers, info.memory_size,
	       state_word(info.state), info.rings, info.heard, rings_waiting(s));
	return CLI_OK;
}

/* --- ringing --- */

/* A number, or "all". */
static int id_or_all(const struct words *w, unsigned int i, const char *what,
		     uint32_t max, uint32_t *out)
{
	uint64_t n;
	int status;

	if (is_word(w, i, "all")) {
		*out = BELFRY_ALL;
		return CLI_OK;
	}
	status = word_number(w, i, what, max, &n);
	if (status == CLI_OK)
		*out = n;
	return status;
}

/* ring PEER [VECTOR|all], ring all [VECTOR|all]; int is QEMU's name for it. */
int peer_ring(struct session *s, const struct words *w)
{
	uint32_t id, vector;
	struct belfry_error err;
	int status = id_or_all(w, 1, "a peer's ID or all", ID_MAX, &id);
	int n;

	vector = id == BELFRY_ALL ? BELFRY_ALL : 0;
	if (status == CLI_OK && w->n > 2)
		status =
			id_or_all(w, 2, "a vector or all", PEER_VECTORS_MAX - 1, &vector);
	if (status != CLI_OK)
		return status;
	n = id == BELFRY_ALL || vector == BELFRY_ALL
		    ? belfry_peer_ring_all(s->peer, id, vector, &err)
		    : belfry_peer_ring(s->peer, id, vector, &err);
	if (n < 0)
		return session_fail(w, &err);
	if (id != BELFRY_ALL && vector != BELFRY_ALL)
		n = 1;
	if (s->json)
		printf("{\"command\":\"ring\",\"rings\":%d}\n", n);
	else if (n != 1)
		printf("%d doorbells rung\n", n);
	return CLI_OK;
}

/* --- waiting --- */

struct wait {
	uint32_t first, end; /* vectors */
	uint64_t wanted;     /* rings */
	uint64_t timeout_ns;
};

/* How many rings wait for this. */
static uint64_t heard(const struct session *s, const struct wait *wait)
{
	uint64_t n = 0;

	for (uint32_t v = wait->first; v < wait->end; v++)
		n += s->waiting[v];
	return n;
}

static int wait_option(const struct words *w, unsigned int *i, struct wait *wait)
{
	const unsigned int at = *i;

	*i += 2;
	if (at + 1 == w->n && (is_word(w, at, "--timeout") || is_word(w, at, "--count")))
		return word_usage(w, at, "a value behind it");
	if (is_word(w, at, "--timeout"))
		return word_time(w, at + 1, &wait->timeout_ns);
	if (is_word(w, at, "--count"))
		return word_number(w, at + 1, "a number of rings", UINT64_MAX,
				   &wait->wanted);
	return word_usage(w, at, "--timeout TIME or --count N");
}

/* wait [VECTOR|any] [--timeout TIME] [--count N] */
static int parse_wait(struct session *s, const struct words *w, struct wait *wait)
{
	unsigned int i = 1;
	uint64_t vector;
	int status = CLI_OK;

	*wait = (struct wait){ .end = PEER_VECTORS_MAX,
			       .wanted = 1,
			       .timeout_ns = BELFRY_FOREVER };
	if (is_word(w, i, "any")) {
		i++;
	} else if (w->n > i && strncmp(w->word[i].text, "--", 2) != 0) {
		status = word_number(w, i++, "a vector or any", PEER_VECTORS_MAX - 1,
				     &vector);
		if (status == CLI_OK) {
			wait->first = vector;
			wait->end = vector + 1;
		}
	}
	while (status == CLI_OK && i < w->n)
		status = wait_option(w, &i, wait);
	return status;
}

/* Print what has been heard, which is then no more. */
static void print_heard(struct session *s, const struct wait *wait, bool timed_out)
{
	const char *between = "";

	if (s->json)
		printf("{\"command\":\"wait\",\"timed_out\":%s,\"rings\":[",
		       timed_out ? "true" : "false");
	for (uint32_t v = wait->first; v < wait->end; v++) {
		if (s->waiting[v] == 0)
			continue;
		if (s->json)
			printf("%s{\"vector\":%" PRIu32 ",\"count\":%" PRIu64 "}",
			       between, v, s->waiting[v]);
		else
			printf("vector %" PRIu32 ": %" PRIu64 "\n", v, s->waiting[v]);
		s->waiting[v] = 0;
		between = ",";
	}
	if (s->json)
		puts("]}");
}

int peer_wait(struct session *s, const struct words *w)
{
	const struct belfry_peer_info info = info_of(s);
	enum step step = STEP_EVENT;
	struct wait wait;
	uint64_t deadline;
	int status = parse_wait(s, w, &wait);

	if (status != CLI_OK)
		return status;
	if (wait.first >= info.vectors) {
		cli_say("wait: vector %" PRIu32 ": we have %" PRIu32 ", from 0 on",
			wait.first, info.vectors);
		return CLI_FAILURE;
	}
	deadline = wait.timeout_ns == BELFRY_FOREVER ? UINT64_MAX
						     : session_deadline(wait.timeout_ns);
	do /* once at least, for what is there already */
		step = session_step(s, heard(s, &wait) < wait.wanted ? deadline : 0, -1);
	while (step == STEP_EVENT && heard(s, &wait) < wait.wanted);
	if (step == STEP_SIGNAL || step == STEP_FAILED)
		return CLI_FAILURE;
	const bool timed_out = heard(s, &wait) < wait.wanted;

	print_heard(s, &wait, timed_out);
	if (!timed_out)
		return CLI_OK;
	cli_say("wait: not rung in time");
	return CLI_TIMEOUT;
}

/* --- watching, sleeping --- */

/* Until a time or a signal. Return: CLI_OK; CLI_FAILURE, said. */
static int pass_time(struct session *s, uint64_t deadline)
{
	enum step step;

	do
		step = session_step(s, deadline, -1);
	while (step == STEP_EVENT);
	return step == STEP_TIME ? CLI_OK : CLI_FAILURE;
}

/* watch [--for TIME] */
int peer_watch(struct session *s, const struct words *w)
{
	uint64_t deadline = UINT64_MAX;
	uint64_t ns;
	int status = CLI_OK;

	if (w->n > 1 && (!is_word(w, 1, "--for") || w->n != 3))
		return word_usage(w, 1, "--for TIME");
	if (w->n == 3) {
		status = word_time(w, 2, &ns);
		deadline = status == CLI_OK ? session_deadline(ns) : 0;
	}
	if (status != CLI_OK)
		return status;
	s->watching = true;
	status = pass_time(s, deadline);
	s->watching = false;
	return status;
}

int peer_sleep(struct session *s, const struct words *w)
{
	uint64_t ns;
	int status = word_time(w, 1, &ns);

	return status == CLI_OK ? pass_time(s, session_deadline(ns)) : status;
}
