/* SPDX-License-Identifier: MIT */
/* ivshmem/server_conf.c - what a config file may say about a server */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <belfry-server.h>

#include "base/text.h"
#include "ivshmem/ivshmem.h"
#include "ivshmem/server_conf.h"

#define AT(field)   offsetof(struct bf_service_conf, field)
#define TIB         (1ULL << 40)
#define GIB         (1ULL << 30)
#define SOCKET_LAST 107  /* sun_path counts the NUL */
#define PATH_LAST   4095 /* so does PATH_MAX */
#define VECTORS_MAX BF_IVSHMEM_VECTORS_MAX
#define CLIENTS_MAX (BF_IVSHMEM_ID_MAX + 1)

static const char *const level_words[] = {
	[BELFRY_LOG_ERROR] = "error",
	[BELFRY_LOG_WARNING] = "warning",
	[BELFRY_LOG_INFO] = "info",
	[BELFRY_LOG_DEBUG] = "debug",
	NULL,
};

/* clang-format off */
const struct bf_key bf_server_keys[] = {
	/* name              type       where                 min   max          default */
	{ "path",            BF_FILE,   AT(path),             1,    SOCKET_LAST, "/tmp/ivshmem_socket",
	  "socket that clients connect to" },
	{ "size",            BF_POW2,   AT(size),             4096, TIB,         "4M",
	  "bytes of memory that clients share, a power of two" },
	{ "vectors",         BF_UINT,   AT(vectors),          1,    VECTORS_MAX, "1",
	  "doorbells of each client" },
	{ "hugepages",       BF_CHOICE, AT(hugepages),        0,    0,           "none",
	  "pages of the memory, which the host must have set aside (hugetlbfs)",
	  bf_hugepages_words },
	{ "shm",             BF_SHM,    AT(shm),              1,    254,         NULL,
	  "name of POSIX shared memory to use; it is created when it is not there" },
	{ "dir",             BF_FILE,   AT(dir),              1,    PATH_LAST,   NULL,
	  "directory, of hugetlbfs for example, for a file without a name to use as memory" },
	{ "owner",           BF_STRING, AT(owner),            1,    256,         NULL,
	  "user who owns the socket, by name or number" },
	{ "group",           BF_STRING, AT(group),            1,    256,         NULL,
	  "group of the socket, by name or number" },
	{ "mode",            BF_STRING, AT(mode),             1,    4,           NULL,
	  "permissions of the socket, octal, such as 0660; who may write may connect" },
	{ "allow_uids",      BF_STRING, AT(allow_uids),       1,    4096,        NULL,
	  "users who may join, such as alice,1000-1010; the others may not" },
	{ "allow_gids",      BF_STRING, AT(allow_gids),       1,    4096,        NULL,
	  "groups whose members may join, in addition to allow_uids" },
	{ "clients_max",     BF_UINT,   AT(clients_max),      1,    CLIENTS_MAX, "65536",
	  "clients at a time" },
	{ "clients_per_uid", BF_UINT,   AT(clients_per_uid),  1,    CLIENTS_MAX, "65536",
	  "clients of one user at a time" },
	{ "queue",           BF_SIZE,   AT(queue),            4096, GIB,         "1M",
	  "bytes that may wait for a client; beyond, it is to read and to catch up, or is dropped" },
	{ "stall",           BF_UINT,   AT(stall),            1,    86400,       "30",
	  "seconds in which a client may read nothing though it should, then it is dropped" },
	{ "control",         BF_FILE,   AT(control),          1,    SOCKET_LAST, NULL,
	  "socket for belfry serve --status; without it, path with .control behind" },
	{ "metrics",         BF_FILE,   AT(metrics),          1,    PATH_LAST,   NULL,
	  "file to write counters to, in Prometheus' text format" },
	{ "metrics_interval", BF_UINT,  AT(metrics_interval), 1,    86400,       "10",
	  "seconds between two writes of metrics" },
	{ "pid_file",        BF_FILE,   AT(pid_file),         1,    PATH_LAST,   NULL,
	  "file to write the process ID to" },
	{ "log_level",       BF_CHOICE, AT(log_level),        0,    0,           "info",
	  "the least severe that is logged", level_words },
	{ 0 },
};
/* clang-format on */

int belfry_server_key(unsigned int index, const char **name, const char **help)
{
	const struct bf_key *key = bf_server_keys;

	while (index-- > 0 && key->name)
		key++;
	if (!key->name || !name || !help)
		return key->name ? -EINVAL : -ENOENT;
	*name = key->name;
	*help = key->help;
	return 0;
}

int bf_service_conf_mode(const char *text, unsigned int *mode, struct belfry_error *err)
{
	unsigned int value = 0;

	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '7')
			return bf_err(err, EINVAL,
				      "mode %s: expected octal digits such as 0660",
				      bf_brief(text).text);
		value = value * 8 + (*c - '0');
	}
	if (value > 0777)
		return bf_err(err, EINVAL, "mode %s: at most 0777", bf_brief(text).text);
	*mode = value;
	return 0;
}

int bf_service_conf_validate(const struct bf_service_conf *conf, struct belfry_error *err)
{
	unsigned int mode;

	if (bf_file_given(&conf->shm) && bf_file_given(&conf->dir))
		return bf_err(err, EINVAL, "has shm and dir; expected one of them");
	if (conf->hugepages && (bf_file_given(&conf->shm) || bf_file_given(&conf->dir)))
		return bf_err(err, EINVAL, "hugepages: not with %s",
			      bf_file_given(&conf->shm) ? "shm"
							: "dir, which has its own");
	return conf->mode ? bf_service_conf_mode(conf->mode, &mode, err) : 0;
}
