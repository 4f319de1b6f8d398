/* SPDX-License-Identifier: MIT */
/* vmm/config_load.c - where the text of a configuration comes from */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "vmm/config_parts.h"

#define LOAD_MAX (1U << 20) /* bytes; a bound for what a wrong file can cost */

static int load_text(struct belfry_config *cfg, const char *name, const char *text,
		     size_t size, struct belfry_error *err)
{
	const struct bf_text t = { .name = name, .bytes = text, .size = size };

	if (size > LOAD_MAX)
		return bf_err(err, E2BIG, "%s: a configuration has at most %s bytes",
			      name, bf_size_text(LOAD_MAX).text);
	return bf_config_load_yaml(cfg, &t, err);
}

int belfry_config_load_string(struct belfry_config *cfg, const char *name,
			      const char *text, struct belfry_error *err)
{
	if (!cfg || !name || !text)
		return bf_err_null(err, __func__);
	return load_text(cfg, name, text, strnlen(text, LOAD_MAX + 1), err);
}

/* Read up to @size bytes. Return: how many; a negative errno. */
static ssize_t read_up_to(int fd, char *buf, size_t size)
{
	size_t got = 0;
	ssize_t n = 1;

	while (got < size && n != 0) {
		n = read(fd, buf + got, size - got);
		if (n < 0 && errno != EINTR)
			return -errno;
		got += n > 0 ? n : 0;
	}
	return got;
}

/* Return: a descriptor (returns); -1, with errno set. */
static int open_text(const char *path)
{
	if (strcmp(path, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int belfry_config_load_file(struct belfry_config *cfg, const char *path,
			    struct belfry_error *err)
{
	BF_FREE char *text = NULL;
	BF_CLOSE int fd = -1;
	ssize_t size;

	if (!cfg || !path)
		return bf_err_null(err, __func__);
	text = malloc(LOAD_MAX + 1);
	if (!text)
		return bf_err(err, ENOMEM, "%s: out of memory", path);
	fd = open_text(path);
	if (fd < 0)
		return bf_err_sys(err, errno, "%s", path);
	size = read_up_to(fd, text, LOAD_MAX + 1);
	if (size < 0)
		return bf_err_sys(err, -size, "%s", path);
	return load_text(cfg, strcmp(path, "-") ? path : "<stdin>", text, size, err);
}
