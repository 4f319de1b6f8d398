/* SPDX-License-Identifier: MIT */
/* ivshmem/status.c - how a server is, as JSON and in Prometheus' text format */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "ivshmem/status.h"

#define AT(field) offsetof(struct belfry_server_stats, field)
#define NS_PER_S  INT64_C(1000000000)

static const struct figure {
	const char *name;
	bool counts; /* a counter, not a state */
	size_t at;
	const char *help;
} figures[] = {
	{ "peers", false, AT(peers), "Clients that are there." },
	{ "vectors", false, AT(vectors), "Vectors of each client." },
	{ "queued", false, AT(queued), "Messages that wait for clients." },
	{ "stalled", false, AT(stalled),
	  "Clients that take nothing though they should." },
	{ "joined", true, AT(joined), "Clients that have joined." },
	{ "left", true, AT(left), "Clients that have left, those dropped included." },
	{ "dropped", true, AT(dropped), "Clients dropped by the server." },
	{ "refused", true, AT(refused), "Clients that were not let in." },
	{ "messages", true, AT(messages), "Messages sent to clients." },
	{ "stalls", true, AT(stalls), "How often a client could be sent nothing." },
};

static uint64_t value_of(const struct figure *f, const struct belfry_server_stats *stats)
{
	return *(const uint64_t *)((const char *)stats + f->at);
}

/* --- JSON --- */

static void put_string(FILE *out, const char *s)
{
	putc('"', out);
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*s);
		else
			fprintf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
	}
	putc('"', out);
}

static void put_peer(FILE *out, const struct belfry_server_peer *p, bool first)
{
	fprintf(out,
		"%s\n    { \"id\": %" PRIu32 ", \"pid\": %" PRId32 ", \"uid\": %" PRIu32
		", \"gid\": %" PRIu32 ", \"vectors\": %" PRIu32 ", \"queued\": %" PRIu64
		", \"stalled_ms\": %" PRIu64 ", \"joined\": %" PRId64 ".%03" PRId64 " }",
		first ? "" : ",", p->id, p->pid, p->uid, p->gid, p->vectors, p->queued,
		p->stalled_ns / 1000000, p->joined_ns / NS_PER_S,
		p->joined_ns % NS_PER_S / 1000000);
}

static void put_peers(FILE *out, struct bf_server *s)
{
	unsigned int n = bf_server_peers(s, NULL, 0);
	BF_FREE struct belfry_server_peer *peers = calloc(n ? n : 1, sizeof(*peers));

	if (!peers)
		return;
	bf_server_peers(s, peers, n);
	for (unsigned int i = 0; i < n; i++)
		put_peer(out, &peers[i], i == 0);
}

static void put_json(FILE *out, struct bf_server *s, const struct bf_status *status)
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };

	bf_server_stats(s, &stats);
	fputs("{\n  \"server\": ", out);
	put_string(out, status->name);
	fputs(",\n  \"path\": ", out);
	put_string(out, status->path);
	fprintf(out,
		",\n  \"version\": \"" BELFRY_VERSION "\",\n  \"size\": %" PRIu64
		",\n  \"capacity\": %u,\n  \"counters\": {",
		status->size, status->capacity);
	for (size_t i = 0; i < BF_ARRAY_LEN(figures); i++)
		fprintf(out, "%s \"%s\": %" PRIu64, i ? "," : "", figures[i].name,
			value_of(&figures[i], &stats));
	fputs(" },\n  \"peers\": [", out);
	put_peers(out, s);
	fputs("\n  ]\n}\n", out);
}

/* --- Prometheus --- */

static void put_prometheus(FILE *out, struct bf_server *s, const struct bf_status *status)
{
	struct belfry_server_stats stats = { .size = sizeof(stats) };

	bf_server_stats(s, &stats);
	fprintf(out,
		"# HELP belfry_server_capacity Clients that fit.\n"
		"# TYPE belfry_server_capacity gauge\n"
		"belfry_server_capacity{server=\"%s\"} %u\n",
		status->name, status->capacity);
	for (size_t i = 0; i < BF_ARRAY_LEN(figures); i++) {
		const struct figure *f = &figures[i];
		const char *total = f->counts ? "_total" : "";

		fprintf(out,
			"# HELP belfry_server_%s%s %s\n"
			"# TYPE belfry_server_%s%s %s\n"
			"belfry_server_%s%s{server=\"%s\"} %" PRIu64 "\n",
			f->name, total, f->help, f->name, total,
			f->counts ? "counter" : "gauge", f->name, total, status->name,
			value_of(f, &stats));
	}
}

/* --- both --- */

typedef void put_fn(FILE *out, struct bf_server *s, const struct bf_status *status);

static char *text_of(put_fn *put, struct bf_server *s, const struct bf_status *status)
{
	BF_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	put(out, s, status);
	failed = ferror(out);
	if (fclose(out) != 0 || failed)
		return NULL;
	return bf_take_ptr(&text);
}

char *bf_status_json(struct bf_server *s, const struct bf_status *status)
{
	return text_of(put_json, s, status);
}

char *bf_status_prometheus(struct bf_server *s, const struct bf_status *status)
{
	return text_of(put_prometheus, s, status);
}
