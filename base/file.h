/* SPDX-License-Identifier: MIT */
/* base/file.h - files, and sockets that have a file's name */
#ifndef BF_FILE_H
#define BF_FILE_H

#include <stdbool.h>
#include <sys/un.h>

struct belfry_error;

/* Are two descriptors those of one file? */
bool bf_same_file(int a, int b);

/* The address of a socket at @path. Return: 0; -ENAMETOOLONG. */
int bf_socket_address(struct sockaddr_un *out, const char *path,
		      struct belfry_error *err);

#endif
