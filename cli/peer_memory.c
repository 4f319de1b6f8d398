/* SPDX-License-Identifier: MIT */
/*
 * cli/peer_memory.c - belfry peer: the memory that the link shares
 *
 * Nothing is mapped: belfry_peer_read() and belfry_peer_write() copy, a chunk at a time,
 * so that memory which somebody makes smaller is an error and not a signal, and a sparse
 * 64 GiB stays sparse. Between chunks the link goes on, and a signal ends the command.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/peer.h"

#define CHUNK   65536
#define ROW     16
#define FIFO_NS 20000000ULL /* until a FIFO is tried again */

struct range {
	uint64_t offset;
	uint64_t length;
};

/* --- ranges --- */

static uint64_t memory_size(const struct session *s)
{
	struct belfry_peer_info info = { .size = sizeof(info) };

	belfry_peer_get_info(s->peer, &info);
	return info.memory_size;
}

/* Say so when @range is not within the memory. */
static int check_range(const struct session *s, const struct words *w,
		       const struct range *range)
{
	const uint64_t size = memory_size(s);

	if (range->offset <= size && range->length <= size - range->offset)
		return CLI_OK;
	cli_say("%s: offset %" PRIu64 ", length %" PRIu64
		": the shared memory has %" PRIu64 " bytes",
		w->word[0].text, range->offset, range->length, size);
	return CLI_FAILURE;
}

/* OFFSET LENGTH, the words from @i on; without them it is all of the memory. */
static int parse_range(const struct session *s, const struct words *w, unsigned int i,
		       struct range *range)
{
	int status;

	*range = (struct range){ 0, memory_size(s) };
	if (w->n <= i)
		return CLI_OK;
	if (w->n == i + 1)
		return word_usage(w, i, "OFFSET LENGTH");
	status = word_number(w, i, "an offset", UINT64_MAX, &range->offset);
	if (status == CLI_OK)
		status = word_number(w, i + 1, "a length", UINT64_MAX, &range->length);
	return status == CLI_OK ? check_range(s, w, range) : status;
}

/* "COMMAND", "offset" and "length" of an object that is still open. */
static void begin_json(const struct words *w, const struct range *range)
{
	printf("{\"command\":\"%s\",\"offset\":%" PRIu64 ",\"length\":%" PRIu64,
	       w->word[0].text, range->offset, range->length);
}

static void end_json(const struct session *s, const struct words *w,
		     const struct range *range)
{
	if (!s->json)
		return;
	begin_json(w, range);
	puts("}");
}

/* --- out of the memory --- */

/* Take @n bytes that stand at @offset. Return: CLI_OK; another status, said. */
typedef int sink_fn(void *to, const struct words *w, uint64_t offset,
		    const uint8_t *bytes, size_t n);

static int for_each_chunk(struct session *s, const struct words *w,
			  const struct range *range, sink_fn *sink, void *to)
{
	const uint64_t end = range->offset + range->length;
	uint8_t chunk[CHUNK];
	struct belfry_error err;
	int status = CLI_OK;
	size_t n;

	for (uint64_t off = range->offset; off < end && status == CLI_OK; off += n) {
		n = end - off < sizeof(chunk) ? end - off : sizeof(chunk);
		if (session_interrupted(s))
			return CLI_FAILURE;
		if (belfry_peer_read(s->peer, off, chunk, n, &err) < 0)
			return session_fail(w, &err);
		status = sink(to, w, off, chunk, n);
	}
	return status;
}

static void print_row(uint64_t offset, const uint8_t *bytes, size_t n)
{
	printf("%08" PRIx64 " ", offset);
	for (size_t i = 0; i < ROW; i++) {
		const char *gap = i == ROW / 2 ? "  " : " ";

		if (i < n)
			printf("%s%02x", gap, bytes[i]);
		else
			printf("%s  ", gap);
	}
	fputs("  |", stdout);
	for (size_t i = 0; i < n; i++)
		putchar(isascii(bytes[i]) && isprint(bytes[i]) ? bytes[i] : '.');
	puts("|");
}

static int print_rows(void *to, const struct words *w, uint64_t offset,
		      const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += ROW)
		print_row(offset + i, bytes + i, n - i < ROW ? n - i : ROW);
	return CLI_OK;
}

static int print_hex(void *to, const struct words *w, uint64_t offset,
		     const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	return CLI_OK;
}

static int print_nothing(void *to, const struct words *w, uint64_t offset,
			 const uint8_t *bytes, size_t n)
{
	return CLI_OK;
}

/* An object is whole: what cannot be read is found out before it begins. */
static int read_json(struct session *s, const struct words *w, const struct range *range)
{
	int status = for_each_chunk(s, w, range, print_nothing, NULL);

	if (status != CLI_OK)
		return status;
	begin_json(w, range);
	fputs(",\"hex\":\"", stdout);
	status = for_each_chunk(s, w, range, print_hex, NULL);
	puts(status == CLI_OK ? "\"}" : "");
	return status;
}

/* read OFFSET LENGTH */
int peer_read(struct session *s, const struct words *w)
{
	struct range range;
	int status = parse_range(s, w, 1, &range);

	if (status != CLI_OK)
		return status;
	return s->json ? read_json(s, w, &range)
		       : for_each_chunk(s, w, &range, print_rows, NULL);
}

static int add_to_crc(void *to, const struct words *w, uint64_t offset,
		      const uint8_t *bytes, size_t n)
{
	uint32_t *crc = to;

	*crc = crc32_more(*crc, bytes, n);
	return CLI_OK;
}

/* checksum [OFFSET LENGTH] */
int peer_checksum(struct session *s, const struct words *w)
{
	uint32_t crc = 0;
	struct range range;
	int status = parse_range(s, w, 1, &range);

	if (status == CLI_OK)
		status = for_each_chunk(s, w, &range, add_to_crc, &crc);
	if (status != CLI_OK)
		return status;
	if (s->json)
		begin_json(w, &range);
	printf(s->json ? ",\"crc32\":\"%08" PRIx32 "\"}\n" : "%08" PRIx32 "\n", crc);
	return CLI_OK;
}

/* --- files --- */

static int file_fails(const struct words *w, const char *path)
{
	cli_say("%s: %s: %s", w->word[0].text, path, strerror(errno));
	return CLI_FAILURE;
}

/* Where `save` writes to. */
struct file {
	struct session *s;
	int fd;
	bool made;  /* by us */
	bool begun; /* what it has had is gone */
};

static int write_file(void *to, const struct words *w, uint64_t offset,
		      const uint8_t *bytes, size_t n)
{
	struct file *file = to;
	ssize_t done;

	if (!file->begun && ftruncate(file->fd, 0) < 0 && errno != EINVAL)
		return file_fails(w, w->word[1].text);
	file->begun = true; /* EINVAL: a FIFO */
	for (; n > 0; bytes += done, n -= done) {
		done = session_write(file->s, file->fd, bytes, n);
		if (done < 0)
			return file->s->signal ? CLI_FAILURE
					       : file_fails(w, w->word[1].text);
	}
	return CLI_OK;
}

/* A FIFO may have no reader yet: only O_NONBLOCK does not wait for one. */
static int open_file(struct file *file, const struct words *w)
{
	const int flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK;
	const char *path = w->word[1].text;
	enum step step = STEP_EVENT;

	file->fd = open(path, flags | O_CREAT | O_EXCL, 0666);
	file->made = file->fd >= 0;
	if (file->fd < 0 && errno == EEXIST)
		file->fd = open(path, flags);
	while (file->fd < 0 && errno == ENXIO) {
		step = session_step(file->s, session_deadline(FIFO_NS), -1);
		if (step == STEP_SIGNAL || step == STEP_FAILED)
			return CLI_FAILURE;
		file->fd = open(path, flags);
	}
	return file->fd < 0 ? file_fails(w, path) : CLI_OK;
}

/*
 * save FILE [OFFSET LENGTH]: a file that we have made goes again when that fails; one
 * that was there stays as it is until the memory has been read.
 */
int peer_save(struct session *s, const struct words *w)
{
	struct file file = { .s = s, .fd = -1 };
	struct range range;
	int status = parse_range(s, w, 2, &range);

	if (status == CLI_OK)
		status = open_file(&file, w);
	if (status != CLI_OK)
		return status;
	status = for_each_chunk(s, w, &range, write_file, &file);
	if (status == CLI_OK) /* also of nothing */
		status = write_file(&file, w, 0, NULL, 0);
	if (close(file.fd) < 0 && status == CLI_OK)
		status = file_fails(w, w->word[1].text);
	if (status == CLI_OK)
		end_json(s, w, &range);
	else if (file.made)
		unlink(w->word[1].text);
	return status;
}

/* All that @fd has, to @range->offset and on; its length is counted. */
static int load_from(struct session *s, const struct words *w, int fd,
		     struct range *range)
{
	uint8_t chunk[CHUNK];
	struct belfry_error err;
	ssize_t n;

	for (;;) {
		if (!session_wait_for(s, fd))
			return CLI_FAILURE;
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			break;
		if (belfry_peer_write(s->peer, range->offset + range->length, chunk, n,
				      &err) < 0)
			return session_fail(w, &err);
		range->length += n;
	}
	return n < 0 ? file_fails(w, w->word[1].text) : CLI_OK;
}

/* A file that does not fit changes nothing; of a pipe nobody knows the length before. */
static int check_fit(const struct session *s, const struct words *w, int fd,
		     const struct range *range)
{
	struct range whole = *range;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return file_fails(w, w->word[1].text);
	if (S_ISREG(st.st_mode))
		whole.length = st.st_size;
	return check_range(s, w, &whole);
}

/* load FILE [OFFSET] */
int peer_load(struct session *s, const struct words *w)
{
	const char *path = w->word[1].text;
	struct range range = { 0 };
	int status = CLI_OK;
	int fd;

	if (w->n > 2)
		status = word_number(w, 2, "an offset", UINT64_MAX, &range.offset);
	if (status != CLI_OK)
		return status;
	/* O_NONBLOCK: a FIFO may have no writer */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return file_fails(w, path);
	status = check_fit(s, w, fd, &range);
	if (status == CLI_OK)
		status = load_from(s, w, fd, &range);
	close(fd);
	if (status == CLI_OK)
		end_json(s, w, &range);
	return status;
}

/* --- into the memory --- */

static int parse_byte(const struct words *w, unsigned int i, uint8_t *byte)
{
	uint64_t n;
	int status = word_number(w, i, "a byte, 0 to 255; text stands in quotes",
				 UINT8_MAX, &n);

	if (status == CLI_OK)
		*byte = n;
	return status;
}

/* Put the words from @i on at @to, which has room. Return: as parse_byte(). */
static int gather(const struct words *w, unsigned int i, uint8_t *to, uint64_t *length)
{
	uint8_t *const start = to;
	int status = CLI_OK;

	for (; i < w->n && status == CLI_OK; i++) {
		if (w->word[i].quoted) {
			memcpy(to, w->word[i].text, w->word[i].len);
			to += w->word[i].len;
		} else {
			status = parse_byte(w, i, to++);
		}
	}
	*length = to - start;
	return status;
}

/* write OFFSET BYTE|"TEXT"... */
int peer_write(struct session *s, const struct words *w)
{
	struct belfry_error err;
	struct range range;
	uint8_t *bytes;
	size_t room = 0;
	int status = word_number(w, 1, "an offset", UINT64_MAX, &range.offset);

	for (unsigned int i = 2; i < w->n; i++)
		room += w->word[i].len + 1;
	bytes = malloc(room);
	if (!bytes) {
		cli_say("write: out of memory");
		return CLI_FAILURE;
	}
	if (status == CLI_OK)
		status = gather(w, 2, bytes, &range.length);
	if (status == CLI_OK)
		status = check_range(s, w, &range);
	if (status == CLI_OK &&
	    belfry_peer_write(s->peer, range.offset, bytes, range.length, &err) < 0)
		status = session_fail(w, &err);
	free(bytes);
	if (status == CLI_OK)
		end_json(s, w, &range);
	return status;
}

/* fill OFFSET LENGTH BYTE */
int peer_fill(struct session *s, const struct words *w)
{
	uint8_t chunk[CHUNK];
	struct belfry_error err;
	struct range range;
	uint8_t byte = 0;
	size_t n;
	int status = parse_range(s, w, 1, &range);

	if (status == CLI_OK)
		status = parse_byte(w, 3, &byte);
	if (status != CLI_OK)
		return status;
	memset(chunk, byte, sizeof(chunk));
	for (uint64_t done = 0; done < range.length; done += n) {
		n = range.length - done < CHUNK ? range.length - done : CHUNK;
		if (session_interrupted(s))
			return CLI_FAILURE;
		if (belfry_peer_write(s->peer, range.offset + done, chunk, n, &err) < 0)
			return session_fail(w, &err);
	}
	end_json(s, w, &range);
	return CLI_OK;
}
