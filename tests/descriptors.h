/* SPDX-License-Identifier: MIT */
/* tests/descriptors.h - open descriptors: counting those that leak, and running out */
#ifndef BF_TESTS_DESCRIPTORS_H
#define BF_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static inline int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = -3; /* ".", ".." and the directory itself */

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Every descriptor above the standard ones that a program would inherit. */
static inline int count_inherited(void)
{
	int n = 0;

	for (int fd = 3; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);

		n += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return n;
}

/* Descriptors from number @n on cannot be had. Return: the limit before. */
static inline rlim_t limit_descriptors(rlim_t n)
{
	struct rlimit limit;
	rlim_t old;

	getrlimit(RLIMIT_NOFILE, &limit);
	old = limit.rlim_cur;
	limit.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return old;
}

#endif
