/* SPDX-License-Identifier: MIT */
/*
 * devices/ivshmem.c - the ivshmem device, revision 1: shared memory and doorbells
 *
 * What a guest sees is in ivshmem_regs.h. Two forms:
 *
 *  - plain (`shm`, `file`): registers that do nothing, and memory.
 *  - doorbell (`link`, `socket`): a member of a link. The peer object tells us, one
 *    eventfd at a time, who else is there; each becomes a doorbell at BAR0 + 0x0c that
 *    KVM recognises by its value. Our own eventfds are what others ring: MSI-X vectors.
 *
 * The doorbells sit at BAR0's address and move with it. What KVM has not taken - no room
 * left, a guest that writes an unknown peer or another width - arrives at write_regs(),
 * which rings by hand or ignores it.
 *
 * The peer's callbacks come on the loop thread and take the VM's lock, as the vCPUs do.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/number.h"
#include "base/own.h"
#include "devices/devices.h"
#include "devices/ivshmem.h"
#include "devices/ivshmem_conf.h"
#include "devices/ivshmem_regs.h"
#include "devices/msix.h"
#include "devices/pci.h"
#include "ivshmem/ivshmem.h"

#define PAGE 4096

/* belfry.h promises this limit. */
#define HANDSHAKE_NS 5000000000ULL

/* Without `vectors`, and without a link that says how many. */
#define VECTORS_DEFAULT 1

/* A doorbell: somebody's eventfd, and whether KVM rings it for us. */
struct bell {
	uint16_t peer;
	uint16_t vector;
	bool bound;
	int fd; /* the peer object's */
};

struct ivshmem {
	struct bf_pci_dev pci; /* first: see pci.h */
	struct bf_msix msix;
	struct bf_peer *peer; /* NULL: plain */
	uint32_t intr_mask;
	uint32_t intr_status;

	int memory_fd; /* plain only: a doorbell's is the peer object's */
	void *memory;
	uint64_t size;

	struct bell *bells; /* in the order they came */
	unsigned int n_bells;
	unsigned int bells_room;
	bool unbound_logged;
};

static struct ivshmem *to_ivshmem(struct bf_pci_dev *pci)
{
	return BF_CONTAINER_OF(pci, struct ivshmem, pci);
}

/* --- doorbells ------------------------------------------------------------------------
 */

static uint32_t bell_value(const struct bell *bell)
{
	return IVSHMEM_RING((uint32_t)bell->peer, bell->vector);
}

static uint64_t bell_address(const struct ivshmem *iv)
{
	return iv->pci.bars[IVSHMEM_BAR_REGS].region.base + IVSHMEM_DOORBELL;
}

/* A doorbell that KVM refuses works all the same, by way of write_regs(). */
static void bell_bind(struct ivshmem *iv, struct bell *bell)
{
	int e = bf_vm_bind_doorbell(iv->pci.vm, bell_address(iv), bell_value(bell),
				    bell->fd);

	bell->bound = e == 0;
	if (e < 0 && !iv->unbound_logged) {
		bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_WARNING,
		       "ivshmem: doorbell of peer %u, vector %u: KVM: %s; it and others "
		       "will be slower",
		       bell->peer, bell->vector, strerrordesc_np(-e));
		iv->unbound_logged = true;
	}
}

static void bell_unbind(struct ivshmem *iv, struct bell *bell)
{
	if (bell->bound)
		bf_vm_unbind_doorbell(iv->pci.vm, bell_address(iv), bell_value(bell),
				      bell->fd);
	bell->bound = false;
}

static void bell_add(struct ivshmem *iv, uint16_t peer, unsigned int vector, int fd)
{
	struct bell *bell;

	if (iv->n_bells == iv->bells_room) {
		unsigned int room = iv->bells_room ? iv->bells_room * 2 : 8;
		struct bell *more = realloc(iv->bells, room * sizeof(*more));

		if (!more) {
			bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_ERROR,
			       "ivshmem: no memory for the doorbell of peer %u, vector "
			       "%u",
			       peer, vector);
			return;
		}
		iv->bells = more;
		iv->bells_room = room;
	}
	bell = &iv->bells[iv->n_bells++];
	*bell = (struct bell){ .peer = peer, .vector = vector, .fd = fd };
	if (iv->pci.bars[IVSHMEM_BAR_REGS].mapped)
		bell_bind(iv, bell);
}

static void bells_remove(struct ivshmem *iv, uint16_t peer)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < iv->n_bells; i++) {
		if (iv->bells[i].peer == peer)
			bell_unbind(iv, &iv->bells[i]);
		else
			iv->bells[kept++] = iv->bells[i];
	}
	iv->n_bells = kept;
}

/* --- the link -------------------------------------------------------------------------
 */

static void on_vector_added(void *owner, uint16_t id, unsigned int vector, int fd)
{
	struct ivshmem *iv = owner;

	bf_vm_lock(iv->pci.vm);
	bell_add(iv, id, vector, fd);
	if (iv->peer && id == bf_peer_id(iv->peer)) /* else join() does */
		bf_msix_connect(&iv->msix, vector, fd);
	bf_vm_unlock(iv->pci.vm);
}

static void on_left(void *owner, uint16_t id)
{
	struct ivshmem *iv = owner;

	bf_vm_lock(iv->pci.vm);
	bells_remove(iv, id);
	bf_vm_unlock(iv->pci.vm);
}

static void on_server_lost(void *owner, const struct belfry_error *why)
{
	struct ivshmem *iv = owner;

	bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_WARNING,
	       "ivshmem: server lost: %s; known peers stay", why->msg);
}

static const struct bf_peer_ops peer_ops = {
	.vector_added = on_vector_added,
	.left = on_left,
	.server_lost = on_server_lost,
};

/* --- BARs -----------------------------------------------------------------------------
 */

static uint32_t read_regs(struct ivshmem *iv, uint64_t off)
{
	uint32_t val;

	switch (off) {
	case IVSHMEM_INTR_MASK:
		return iv->intr_mask;
	case IVSHMEM_INTR_STATUS:
		val = iv->intr_status;
		iv->intr_status = 0;
		return val;
	case IVSHMEM_IVPOSITION:
		return iv->peer ? bf_peer_id(iv->peer) : 0;
	default: /* Doorbell is write-only, the rest reserved */
		return 0;
	}
}

/* A ring that KVM did not take. Unknown peer or vector: nobody hears it. */
static void ring(struct ivshmem *iv, uint32_t val)
{
	if (!iv->peer)
		return;
	bf_vm_count_doorbell_exit(iv->pci.vm);
	for (unsigned int i = 0; i < iv->n_bells; i++) {
		if (bell_value(&iv->bells[i]) != val)
			continue;
		eventfd_write(iv->bells[i].fd, 1); /* a full counter: rings coalesce */
		return;
	}
}

static void write_regs(struct ivshmem *iv, uint64_t off, uint32_t val)
{
	switch (off) {
	case IVSHMEM_INTR_MASK:
		iv->intr_mask = val;
		break;
	case IVSHMEM_INTR_STATUS:
		iv->intr_status = val;
		break;
	case IVSHMEM_DOORBELL:
		ring(iv, val);
		break;
	default: /* IVPosition is read-only, the rest reserved */
		break;
	}
}

/*
 * The specification has 32-bit accesses only. Others do what they do on QEMU: a narrow
 * one reaches the register it starts in, whole; 64 bits are two registers; what is not
 * aligned reads 0 and is ignored.
 */
static uint64_t ivshmem_read(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
			     unsigned int len)
{
	struct ivshmem *iv = to_ivshmem(pci);
	uint64_t val;

	if (bar == IVSHMEM_BAR_MSIX)
		return bf_msix_read(&iv->msix, off, len);
	if (off % len)
		return 0;
	val = read_regs(iv, off);
	if (len == 8)
		val |= (uint64_t)read_regs(iv, off + 4) << 32;
	return val;
}

static void ivshmem_write(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
			  uint64_t val, unsigned int len)
{
	struct ivshmem *iv = to_ivshmem(pci);

	if (bar == IVSHMEM_BAR_MSIX) {
		bf_msix_write(&iv->msix, off, val, len);
	} else if (off % len == 0) {
		write_regs(iv, off, val);
		if (len == 8)
			write_regs(iv, off + 4, val >> 32);
	}
}

static void ivshmem_bar_arrived(struct bf_pci_dev *pci, unsigned int bar)
{
	struct ivshmem *iv = to_ivshmem(pci);

	if (bar == IVSHMEM_BAR_REGS)
		for (unsigned int i = 0; i < iv->n_bells; i++)
			bell_bind(iv, &iv->bells[i]);
}

static void ivshmem_bar_leaves(struct bf_pci_dev *pci, unsigned int bar)
{
	struct ivshmem *iv = to_ivshmem(pci);

	if (bar == IVSHMEM_BAR_REGS)
		for (unsigned int i = 0; i < iv->n_bells; i++)
			bell_unbind(iv, &iv->bells[i]);
}

static void ivshmem_config_written(struct bf_pci_dev *pci, unsigned int off,
				   unsigned int len)
{
	bf_msix_config_written(&to_ivshmem(pci)->msix);
}

/* Position, peers and memory stay; the bells are bound again when BAR0 is mapped. */
static void ivshmem_reset(struct bf_pci_dev *pci)
{
	struct ivshmem *iv = to_ivshmem(pci);

	iv->intr_mask = iv->intr_status = 0;
	bf_msix_reset(&iv->msix);
	for (unsigned int i = 0; i < iv->n_bells; i++)
		iv->bells[i].bound = false;
}

static void ivshmem_destroy(struct bf_pci_dev *pci)
{
	struct ivshmem *iv = to_ivshmem(pci);

	bf_msix_fini(&iv->msix);
	bf_peer_destroy(iv->peer);
	if (iv->memory)
		munmap(iv->memory, iv->size);
	bf_close(&iv->memory_fd);
	free(iv->bells);
	free(iv);
}

static const struct bf_pci_ops pci_ops = {
	.read = ivshmem_read,
	.write = ivshmem_write,
	.bar_leaves = ivshmem_bar_leaves,
	.bar_arrived = ivshmem_bar_arrived,
	.config_written = ivshmem_config_written,
	.reset = ivshmem_reset,
	.destroy = ivshmem_destroy,
};

/* --- making one -----------------------------------------------------------------------
 */

static uint64_t next_size(uint64_t size)
{
	uint64_t next = PAGE;

	while (next < size && next < 1ULL << 62)
		next *= 2;
	return next;
}

/* Map all of @fd (borrowed), or the first @size bytes when @size is not 0. */
static int map_memory(struct ivshmem *iv, int fd, uint64_t size, struct belfry_error *err)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, errno, "shared memory");
	if (size == 0)
		size = st.st_size;
	if ((uint64_t)st.st_size < size)
		return bf_err(err, EINVAL,
			      "shared memory has %" PRIu64 " bytes, and %" PRIu64
			      " are asked for",
			      (uint64_t)st.st_size, size);
	if (size < PAGE || size & (size - 1))
		return bf_err(err, EINVAL,
			      "shared memory has %" PRIu64 " bytes, %s; %s would do",
			      size,
			      size < PAGE ? "less than a page" : "not a power of two",
			      bf_size_text(next_size(size)).text);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return bf_err_sys(err, errno, "map %" PRIu64 " bytes of shared memory",
				  size);
	iv->memory = map;
	iv->size = size;
	return 0;
}

static int join(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
		struct belfry_error *err)
{
	const struct bf_file *where =
		bf_file_given(&conf->link) ? &conf->link : &conf->socket;
	const unsigned int vectors = conf->vectors ? conf->vectors : VECTORS_DEFAULT;
	struct belfry_vm *vm = iv->pci.vm;
	struct bf_loop *loop;
	int sock, e;

	if (where == &conf->link && where->fd < 0)
		return bf_err(err, EINVAL, "link %s: nobody hosts it here", where->path);
	e = bf_vm_loop(vm, &loop, err);
	if (e < 0)
		return e;
	e = bf_msix_init(&iv->msix, &iv->pci, IVSHMEM_BAR_MSIX, vectors, err);
	if (e < 0)
		return e;
	sock = where->fd >= 0 ? fcntl(where->fd, F_DUPFD_CLOEXEC, 3)
			      : bf_peer_connect(where->path, err);
	if (sock < 0)
		return where->fd >= 0 ? bf_err_sys(err, errno, "socket") : sock;
	e = bf_peer_create(&iv->peer, loop, sock, vectors, HANDSHAKE_NS, &peer_ops, iv,
			   bf_vm_log(vm), err);
	if (e < 0)
		return where->path ? bf_err_wrap(err, e, "%s", where->path) : e;
	for (unsigned int i = 0; i < iv->n_bells; i++)
		if (iv->bells[i].peer == bf_peer_id(iv->peer))
			bf_msix_connect(&iv->msix, iv->bells[i].vector, iv->bells[i].fd);
	return map_memory(iv, bf_peer_memory(iv->peer), 0, err);
}

/* Open what @name is to @opener, or make it. Return: a descriptor (returns); an errno. */
static int open_or_create(int (*opener)(const char *name, int flags, mode_t mode),
			  const char *name, bool *created)
{
	int fd = opener(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*created = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = opener(name, O_RDWR | O_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int open_file(const char *name, int flags, mode_t mode)
{
	return open(name, flags | O_NOCTTY, mode);
}

/* Made just now, by us or by another VM that is being created. */
static bool is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

/* Size and map plain memory; what was made for it is removed when that fails. */
static int use_memory(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
		      bool created, struct belfry_error *err)
{
	const bool by_name = conf->shm.fd < 0 && conf->file.fd < 0;
	int e;

	if (by_name && is_empty(iv->memory_fd) &&
	    ftruncate(iv->memory_fd, conf->size) < 0)
		e = bf_err_sys(err, errno, "size %" PRIu64, (uint64_t)conf->size);
	else
		e = map_memory(iv, iv->memory_fd, conf->size, err);
	if (e < 0 && created && conf->shm.path)
		shm_unlink(conf->shm.path);
	if (e < 0 && created && conf->file.path)
		unlink(conf->file.path);
	return e;
}

static int share(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
		 struct belfry_error *err)
{
	const bool is_shm = bf_file_given(&conf->shm);
	const struct bf_file *where = is_shm ? &conf->shm : &conf->file;
	const char *what = is_shm ? "shm" : "file";
	const char *name = where->path ? where->path : "descriptor";
	bool created = false;
	int e;

	if (where->fd >= 0) {
		iv->memory_fd = fcntl(where->fd, F_DUPFD_CLOEXEC, 3);
		e = iv->memory_fd < 0 ? -errno : 0;
	} else {
		e = open_or_create(is_shm ? shm_open : open_file, where->path, &created);
		iv->memory_fd = e;
	}
	if (e < 0)
		return bf_err_sys(err, -e, "%s %s", what, name);
	e = use_memory(iv, conf, created, err);
	return e < 0 ? bf_err_wrap(err, e, "%s %s", what, name) : 0;
}

static int ivshmem_create(struct belfry_vm *vm, const void *config,
			  struct belfry_error *err)
{
	const struct bf_ivshmem_conf *conf = config;
	struct ivshmem *iv = calloc(1, sizeof(*iv));
	int e;

	if (!iv)
		return bf_err_sys(err, ENOMEM, "ivshmem");
	iv->memory_fd = -1;
	bf_pci_init(
		&iv->pci, vm, &pci_ops,
		&(struct bf_pci_ident){ .vendor = IVSHMEM_VENDOR_ID,
					.device = IVSHMEM_DEVICE_ID,
					.subsystem_vendor = IVSHMEM_SUBSYSTEM_VENDOR_ID,
					.subsystem = IVSHMEM_SUBSYSTEM_ID,
					.class = IVSHMEM_CLASS,
					.revision = IVSHMEM_REVISION });
	bf_pci_add_registers(&iv->pci, IVSHMEM_BAR_REGS, "ivshmem registers",
			     IVSHMEM_REGS_SIZE);
	e = bf_file_given(&conf->link) || bf_file_given(&conf->socket)
		    ? join(iv, conf, err)
		    : share(iv, conf, err);
	if (e == 0) {
		bf_pci_add_memory(&iv->pci, IVSHMEM_BAR_MEMORY, "ivshmem memory",
				  iv->memory, iv->size);
		e = bf_pci_bus_add(bf_vm_pci(vm), &iv->pci, err);
	}
	if (e < 0)
		ivshmem_destroy(&iv->pci);
	return e;
}

const struct bf_device_ops bf_ivshmem_ops = {
	.name = "ivshmem",
	.help = "memory shared with other VMs, and their doorbells",
	.keys = bf_ivshmem_keys,
	.conf_size = sizeof(struct bf_ivshmem_conf),
	.validate = bf_ivshmem_conf_validate,
	.clash = bf_ivshmem_conf_clash,
	.create = ivshmem_create,
};
