/* SPDX-License-Identifier: MIT */
/* base/file.c - files, and sockets that have a file's name */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/file.h"

bool bf_same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

int bf_socket_address(struct sockaddr_un *out, const char *path, struct belfry_error *err)
{
	size_t len = strlen(path);

	if (len >= sizeof(out->sun_path))
		return bf_err(err, ENAMETOOLONG,
			      "%s: %zu bytes; a socket's path has at most %zu", path, len,
			      sizeof(out->sun_path) - 1);
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, path, len);
	return 0;
}
