/* SPDX-License-Identifier: MIT */
/* devices/ivshmem_conf.c - what a config file says about an ivshmem device */
#include <errno.h>
#include <string.h>

#include "base/own.h"
#include "devices/bells.h"
#include "devices/ivshmem_conf.h"
#include "ivshmem/ivshmem.h"

#define AT(field)   offsetof(struct bf_ivshmem_conf, field)
#define VECTORS_MAX BF_IVSHMEM_VECTORS_MAX
#define ID_MAX      BF_IVSHMEM_ID_MAX

static const char *const policies[] = {
	[BF_BELLS_EAGER] = "eager",
	[BF_BELLS_ADAPTIVE] = "adaptive",
	[BF_BELLS_USERSPACE] = "userspace",
	NULL,
};

static const char *const ioeventfd_words[] = {
	[BF_IOEVENTFD_AUTO] = "auto",
	[BF_IOEVENTFD_ON] = "on",
	[BF_IOEVENTFD_OFF] = "off",
	NULL,
};

/* The socket's length is that of sun_path without its NUL; shm's is NAME_MAX. */
/* clang-format off */
const struct bf_key bf_ivshmem_keys[] = {
	/* name              type      where                min   max          default */
	{ "link",            BF_LINK,  AT(link),            1,    32,          NULL,
	  "a link of this configuration to join" },
	{ "socket",          BF_FILE,  AT(socket),          1,    107,         NULL,
	  "socket of an ivshmem server to join, belfry's or QEMU's" },
	{ "shm",             BF_SHM,   AT(shm),             1,    255,         NULL,
	  "name of POSIX shared memory, created when absent; no doorbells" },
	{ "file",            BF_FILE,  AT(file),            1,    4095,        NULL,
	  "file to share, on hugetlbfs too; no doorbells" },
	{ "size",            BF_POW2,  AT(size),            4096, 1ULL << 40,  NULL,
	  "bytes to share, a power of two; needed by shm and file, refused elsewhere" },
	{ "vectors",         BF_UINT,  AT(vectors),         1,    VECTORS_MAX, NULL,
	  "doorbells of this VM; without it those of the link, or 1 with socket" },
	{ "doorbells",       BF_CHOICE, AT(doorbells),      0,    0,           "adaptive",
	  "which doorbells KVM rings by itself: all; the used ones; none", policies },
	{ "doorbells_max",   BF_UINT,  AT(doorbells_max),   1,    1024,        "16",
	  "how many doorbells adaptive keeps in KVM" },
	{ "doorbell_window", BF_BOOL,  AT(doorbell_window), 0,    0,           "false",
	  "BAR4 with an address for every doorbell; see ivshmem-doorbell-window(7)" },
	{ "by_hand",         BF_BOOL,  AT(by_hand),         0,    0,           "false",
	  "of shm and file: doorbells without a server, see belfry_vm_add_doorbell(3)" },
	{ "id",              BF_UINT,  AT(id),              0,    ID_MAX,      "0",
	  "of by_hand: the ID of this VM among those that share the memory" },
	{ "revision",        BF_UINT,  AT(revision),        0,    1,           "1",
	  "0 has INTx, for drivers of QEMU's device before 2.6" },
	{ "msi",             BF_BOOL,  AT(msi),             0,    0,           "true",
	  "of revision 0: MSI-X, or a ring sets IntrStatus and raises INTx" },
	{ "ioeventfd",       BF_CHOICE, AT(ioeventfd),      0,    0,           "auto",
	  "whether KVM may ring doorbells at all; auto: with MSI-X", ioeventfd_words },
	{ "use64",           BF_BOOL,  AT(use64),           0,    0,           "true",
	  "of revision 0: BAR2 may be anywhere, or only below 4 GiB" },
	{ 0 },
};
/* clang-format on */

/* Where the memory comes from. */
static const struct source {
	const char *name;
	size_t at;
	bool plain; /* memory alone, no doorbells */
	bool once;  /* of use to one device of a VM only */
} sources[] = {
	{ "link", AT(link), false, true },
	{ "socket", AT(socket), false, false },
	{ "shm", AT(shm), true, true },
	{ "file", AT(file), true, true },
};

static const struct bf_file *file_of(const struct source *s, const void *conf)
{
	return (const struct bf_file *)((const char *)conf + s->at);
}

/* The first source given from number @i on; NULL when there is none. */
static const struct source *find_source(const void *conf, size_t i)
{
	for (; i < BF_ARRAY_LEN(sources); i++) {
		if (bf_file_given(file_of(&sources[i], conf)))
			return &sources[i];
	}
	return NULL;
}

static int validate_plain(const struct bf_ivshmem_conf *conf, const char *source,
			  struct belfry_error *err)
{
	if (!conf->size)
		return bf_err(err, EINVAL, "%s needs a size, such as size: 4M", source);
	if (conf->by_hand && !conf->msi)
		return bf_err(err, EINVAL, "by_hand: only with msi");
	if (conf->by_hand)
		return 0;
	if (conf->vectors)
		return bf_err(err, EINVAL,
			      "vectors: only with link or socket; %s has no doorbells",
			      source);
	if (conf->doorbell_window)
		return bf_err(err, EINVAL,
			      "doorbell_window: only with link or socket; %s has no "
			      "doorbells",
			      source);
	if (conf->id)
		return bf_err(err, EINVAL, "id: only with by_hand");
	return 0;
}

static int validate_doorbell(const struct bf_ivshmem_conf *conf, const char *source,
			     struct belfry_error *err)
{
	if (conf->size)
		return bf_err(err, EINVAL,
			      "size: only with shm or file; a %s brings its own", source);
	if (conf->by_hand || conf->id)
		return bf_err(err, EINVAL, "%s: only with shm or file; a %s has a server",
			      conf->by_hand ? "by_hand" : "id", source);
	if (!conf->msi && conf->ioeventfd == BF_IOEVENTFD_ON)
		return bf_err(err, EINVAL,
			      "ioeventfd on: only with msi; a ring could not be "
			      "told from another otherwise");
	if (!conf->msi && conf->doorbell_window)
		return bf_err(err, EINVAL, "doorbell_window: only with msi");
	return 0;
}

bool bf_ivshmem_conf_ioeventfd(const struct bf_ivshmem_conf *conf)
{
	return conf->msi && conf->ioeventfd != BF_IOEVENTFD_OFF;
}

int bf_ivshmem_conf_validate(const void *any, struct belfry_error *err)
{
	const struct bf_ivshmem_conf *conf = any;
	const struct source *source = find_source(conf, 0);
	const struct source *second;

	if (!source)
		return bf_err(err, EINVAL, "expected one of link, socket, shm, file");
	second = find_source(conf, source - sources + 1);
	if (second)
		return bf_err(err, EINVAL,
			      "has %s and %s; expected one of link, socket, shm, file",
			      source->name, second->name);
	if (conf->revision != 0 && (!conf->msi || !conf->use64))
		return bf_err(err, EINVAL, "%s off: only with revision 0",
			      conf->msi ? "use64" : "msi");
	return source->plain ? validate_plain(conf, source->name, err)
			     : validate_doorbell(conf, source->name, err);
}

bool bf_ivshmem_conf_applies(const struct bf_key *key, const void *any)
{
	const struct bf_ivshmem_conf *conf = any;
	bool plain = bf_file_given(&conf->shm) || bf_file_given(&conf->file);

	switch (key->at) {
	case AT(by_hand):
		return plain;
	case AT(id):
		return conf->by_hand;
	case AT(msi):
	case AT(use64):
		return conf->revision == 0;
	case AT(doorbells):
	case AT(doorbells_max):
	case AT(doorbell_window):
	case AT(ioeventfd):
		return !plain || conf->by_hand;
	default:
		return true;
	}
}

int bf_ivshmem_conf_clash(const void *conf, const void *other, struct belfry_error *err)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(sources); i++) {
		const char *a = file_of(&sources[i], conf)->path;
		const char *b = file_of(&sources[i], other)->path;

		if (sources[i].once && a && b && strcmp(a, b) == 0)
			return bf_err(err, EINVAL, "%s %s: another device has it already",
				      sources[i].name, a);
	}
	return 0;
}
