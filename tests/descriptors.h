/* SPDX-License-Identifier: MIT */
/* tests/descriptors.h - counting open descriptors, to find those that leak */
#ifndef BF_TESTS_DESCRIPTORS_H
#define BF_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <fcntl.h>

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

#endif
