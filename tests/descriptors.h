/* SPDX-License-Identifier: MIT */
/* tests/descriptors.h - counting open descriptors, to find those that leak */
#ifndef BF_TESTS_DESCRIPTORS_H
#define BF_TESTS_DESCRIPTORS_H

#include <dirent.h>

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

#endif
