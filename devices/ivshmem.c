/* SPDX-License-Identifier: MIT */
/*
 * devices/ivshmem.c - the ivshmem device: shared memory and doorbells
 *
 * What a guest sees is in ivshmem_regs.h. Three forms:
 *
 *  - plain (`shm`, `file`): registers that do nothing, and memory.
 *  - by hand (`by_hand`): memory, and doorbells that the embedder hands over.
 *  - doorbell (`link`, `socket`): a member of a link. The peer object tells us, one
 *    eventfd at a time, who is there; each becomes a doorbell (bells.c) at BAR0 + 0x0c,
 *    which KVM recognises by its value. Our own eventfds are what others ring: MSI-X
 *    vectors (msix.c).
 *
 * The doorbells move with BAR0. What KVM has not taken - one that is not bound, an
 * unknown peer, another width - arrives at write_regs(), which rings by hand or ignores
 * it.
 *
 * Revision 0, without MSI-X, has one level-triggered interrupt: a ring sets IntrStatus,
 * and the line is up while IntrStatus & IntrMask is not 0. Nothing in KVM can set a
 * register, so the loop waits for our eventfds. It is for old drivers, not for speed.
 *
 * The peer's callbacks come on the loop thread and take the VM's lock, as the vCPUs do.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "base/event.h"
#include "base/loop.h"
#include "base/own.h"
#include "devices/bells.h"
#include "devices/devices.h"
#include "devices/ivshmem.h"
#include "devices/ivshmem_conf.h"
#include "devices/ivshmem_memory.h"
#include "devices/ivshmem_parts.h"
#include "devices/ivshmem_regs.h"
#include "devices/msix.h"
#include "devices/pci.h"
#include "ivshmem/ivshmem.h"

/* For our ID and the memory; belfry.h tells of it. */
#define HANDSHAKE_NS 5000000000ULL

/* Without `vectors`, and without a link that says how many. */
#define VECTORS_DEFAULT 1

/* Revision 0: one of our own vectors, whose rings the loop waits for. */
struct intx_source {
	struct bf_op op;
	struct ivshmem *iv;
	int fd; /* the peer object's; -1: not there */
};

static struct ivshmem *to_ivshmem(struct bf_pci_dev *pci)
{
	return BF_CONTAINER_OF(pci, struct ivshmem, pci);
}

/* --- INTx, revision 0 --- */

/* PCI Local Bus 3.0, 6.2.2 and 6.2.3: Interrupt Disable, and the Interrupt Status bit. */
static void update_line(struct ivshmem *iv)
{
	uint8_t *status = &iv->pci.config[PCI_STATUS];
	const bool wants = iv->intx && (iv->intr_status & iv->intr_mask) != 0;
	const bool level = wants && !(bf_pci_get16(&iv->pci, PCI_COMMAND) &
				      PCI_COMMAND_INTX_DISABLE);

	*status = (*status & ~PCI_STATUS_INTERRUPT) | (wants ? PCI_STATUS_INTERRUPT : 0);
	if (level != iv->line)
		bf_irq_line(iv->pci.vm, bf_arch_intx_line(iv->pci.slot), level);
	iv->line = level;
}

static void intx_watch(struct intx_source *source)
{
	bf_loop_poll(source->iv->loop, &source->op, source->fd, POLLIN);
}

/* Somebody has rung one of our vectors. */
static void intx_rung(struct bf_op *op, int res)
{
	struct intx_source *source = BF_CONTAINER_OF(op, struct intx_source, op);
	struct ivshmem *iv = source->iv;

	if (res < 0 || source->fd < 0)
		return;
	bf_vm_lock(iv->pci.vm);
	if (bf_event_take(source->fd, NULL)) {
		iv->intr_status = 1;
		update_line(iv);
	}
	bf_vm_unlock(iv->pci.vm);
	intx_watch(source);
}

/* Without the lock: the ops are the loop's. */
static void intx_connect(struct ivshmem *iv, unsigned int vector, int fd)
{
	struct intx_source *source;

	if (!iv->intx || vector >= iv->vectors)
		return;
	source = &iv->intx[vector];
	bf_loop_cancel(iv->loop, &source->op);
	source->fd = fd;
	if (fd >= 0)
		intx_watch(source);
}

/* --- the link --- */

/* Let events on @fd (-1: no more) be our vector @vector. */
static void own_vector(struct ivshmem *iv, unsigned int vector, int fd)
{
	bf_vm_lock(iv->pci.vm);
	bf_msix_connect(&iv->msix, vector, fd);
	bf_vm_unlock(iv->pci.vm);
	intx_connect(iv, vector, fd);
}

static void on_vector_added(void *owner, uint16_t id, unsigned int vector, int fd)
{
	struct ivshmem *iv = owner;
	int e;

	bf_vm_lock(iv->pci.vm);
	e = bf_bells_add(iv->bells, id, vector, fd);
	bf_vm_unlock(iv->pci.vm);
	if (e < 0)
		bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_ERROR,
		       "ivshmem: no memory for the doorbell of peer %u, vector %u", id,
		       vector);
	if (iv->peer && id == bf_peer_id(iv->peer)) /* else join() does */
		own_vector(iv, vector, fd);
}

/* Tell the embedder; without the lock. */
static void tell(struct ivshmem *iv, enum belfry_event_type type, uint16_t peer,
		 const struct belfry_error *why)
{
	const struct belfry_event event = {
		.size = sizeof(event),
		.type = type,
		.device = iv->pci.slot - 1, /* slot 0 is the host bridge */
		.peer = peer,
		.why = why,
	};

	bf_vm_link_event(iv->pci.vm, &event);
}

static void on_joined(void *owner, uint16_t id)
{
	tell(owner, BELFRY_EVENT_PEER_JOINED, id, NULL);
}

static void on_left(void *owner, uint16_t id)
{
	struct ivshmem *iv = owner;

	if (iv->peer && id == bf_peer_id(iv->peer))
		for (unsigned int i = 0; i < iv->vectors; i++)
			own_vector(iv, i, -1);
	bf_vm_lock(iv->pci.vm);
	bf_bells_remove(iv->bells, id);
	bf_vm_unlock(iv->pci.vm);
	if (iv->peer && id != bf_peer_id(iv->peer))
		tell(iv, BELFRY_EVENT_PEER_LEFT, id, NULL);
}

static void on_server_lost(void *owner, const struct belfry_error *why)
{
	struct ivshmem *iv = owner;

	bf_vm_lock(iv->pci.vm);
	iv->servers_lost++;
	bf_vm_unlock(iv->pci.vm);
	bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_WARNING,
	       "ivshmem: server lost: %s; known peers stay", why->msg);
	tell(iv, BELFRY_EVENT_SERVER_LOST, 0, why);
}

static void on_server_back(void *owner)
{
	struct ivshmem *iv = owner;

	bf_vm_lock(iv->pci.vm);
	iv->reconnects++;
	bf_vm_unlock(iv->pci.vm);
	bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_INFO, "ivshmem: server is back");
	tell(iv, BELFRY_EVENT_SERVER_BACK, 0, NULL);
}

static void on_server_changed(void *owner, const struct belfry_error *why)
{
	struct ivshmem *iv = owner;

	bf_log(bf_vm_log(iv->pci.vm), BELFRY_LOG_WARNING,
	       "ivshmem: another server in its place: %s; known peers stay", why->msg);
	tell(iv, BELFRY_EVENT_SERVER_CHANGED, 0, why);
}

static const struct bf_peer_ops peer_ops = {
	.joined = on_joined,
	.vector_added = on_vector_added,
	.left = on_left,
	.server_lost = on_server_lost,
	.server_back = on_server_back,
	.server_changed = on_server_changed,
};

/* --- BARs --- */

static uint32_t read_regs(struct ivshmem *iv, uint64_t off)
{
	uint32_t val;

	switch (off) {
	case IVSHMEM_INTR_MASK:
		return iv->intr_mask;
	case IVSHMEM_INTR_STATUS:
		val = iv->intr_status;
		iv->intr_status = 0;
		update_line(iv);
		return val;
	case IVSHMEM_IVPOSITION:
		return bf_ivshmem_id(iv);
	default: /* Doorbell is write-only, the rest reserved */
		return 0;
	}
}

/* Rings that KVM did not take. Unknown peer or vector: nobody hears it. */
static void ring(struct ivshmem *iv, uint16_t peer, unsigned int vector)
{
	if (!iv->bells)
		return;
	bf_vm_count_doorbell_exit(iv->pci.vm);
	bf_bells_ring(iv->bells, peer, vector);
}

static void write_regs(struct ivshmem *iv, uint64_t off, uint32_t val)
{
	switch (off) {
	case IVSHMEM_INTR_MASK:
		iv->intr_mask = val;
		update_line(iv);
		break;
	case IVSHMEM_INTR_STATUS:
		iv->intr_status = val;
		update_line(iv);
		break;
	case IVSHMEM_DOORBELL:
		ring(iv, IVSHMEM_RING_PEER(val), IVSHMEM_RING_VECTOR(val));
		break;
	default: /* IVPosition is read-only, the rest reserved */
		break;
	}
}

static void write_window(struct ivshmem *iv, uint64_t off)
{
	const uint64_t place = off >> 2;

	if (off % 4)
		return;
	bf_vm_count_doorbell_exit(iv->pci.vm);
	bf_bells_ring_window(iv->bells, place >> iv->window_bits,
			     place & ((1U << iv->window_bits) - 1));
}

/*
 * The specification has 32-bit accesses only. Others do no harm: a narrow one
 * reaches the register whose first byte it names, whole; 64 bits are two registers; what
 * is not aligned reads 0 and is ignored.
 */
static uint64_t ivshmem_read(struct bf_pci_dev *pci, unsigned int bar, uint64_t off,
			     unsigned int len)
{
	struct ivshmem *iv = to_ivshmem(pci);
	uint64_t val;

	if (bar == IVSHMEM_BAR_MSIX)
		return bf_msix_read(&iv->msix, off, len);
	if (bar == IVSHMEM_BAR_WINDOW || off % len)
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
	} else if (bar == IVSHMEM_BAR_WINDOW) {
		write_window(iv, off);
	} else if (off % len == 0) {
		write_regs(iv, off, val);
		if (len == 8)
			write_regs(iv, off + 4, val >> 32);
	}
}

static void ivshmem_bar_arrived(struct bf_pci_dev *pci, unsigned int bar)
{
	struct ivshmem *iv = to_ivshmem(pci);
	const uint64_t gpa = pci->bars[bar].region.base;

	if (iv->bells && bar == IVSHMEM_BAR_REGS)
		bf_bells_arrive(iv->bells, gpa + IVSHMEM_DOORBELL);
	else if (iv->bells && bar == IVSHMEM_BAR_WINDOW)
		bf_bells_window_arrive(iv->bells, gpa);
}

static void ivshmem_bar_leaves(struct bf_pci_dev *pci, unsigned int bar)
{
	struct ivshmem *iv = to_ivshmem(pci);

	if (iv->bells && bar == IVSHMEM_BAR_REGS)
		bf_bells_leave(iv->bells);
	else if (iv->bells && bar == IVSHMEM_BAR_WINDOW)
		bf_bells_window_leave(iv->bells);
}

static void ivshmem_config_written(struct bf_pci_dev *pci, unsigned int off,
				   unsigned int len)
{
	bf_msix_config_written(&to_ivshmem(pci)->msix);
	update_line(to_ivshmem(pci));
}

/* Position, peers and memory stay; the bells are bound again when BAR0 is mapped. */
static void ivshmem_reset(struct bf_pci_dev *pci)
{
	struct ivshmem *iv = to_ivshmem(pci);

	iv->intr_mask = iv->intr_status = 0;
	iv->line = false; /* with all of the interrupt controller */
	update_line(iv);
	bf_msix_reset(&iv->msix);
	if (iv->bells)
		bf_bells_forget(iv->bells);
}

static void ivshmem_started(struct bf_pci_dev *pci)
{
	bf_ivshmem_memory_keep(&to_ivshmem(pci)->memory);
}

static void ivshmem_destroy(struct bf_pci_dev *pci)
{
	struct ivshmem *iv = to_ivshmem(pci);

	for (unsigned int i = 0; iv->intx && i < iv->vectors; i++)
		iv->intx[i].fd = -1;
	bf_peer_destroy(iv->peer); /* first: nobody calls back any more */
	for (unsigned int i = 0; iv->intx && i < iv->vectors; i++)
		bf_loop_cancel(iv->loop, &iv->intx[i].op);
	free(iv->intx);
	bf_ivshmem_by_hand_fini(iv);
	bf_msix_fini(&iv->msix);
	bf_bells_destroy(iv->bells);
	bf_ivshmem_memory_close(&iv->memory);
	free(iv);
}

static const struct bf_pci_ops pci_ops = {
	.read = ivshmem_read,
	.write = ivshmem_write,
	.bar_leaves = ivshmem_bar_leaves,
	.bar_arrived = ivshmem_bar_arrived,
	.config_written = ivshmem_config_written,
	.started = ivshmem_started,
	.reset = ivshmem_reset,
	.destroy = ivshmem_destroy,
};

struct ivshmem *bf_ivshmem_of(struct bf_pci_dev *dev)
{
	return dev->ops == &pci_ops ? to_ivshmem(dev) : NULL;
}

/* --- making one --- */

/* How many bits hold a vector's number. */
static unsigned int bits_for(unsigned int vectors)
{
	return vectors > 1 ? 32 - __builtin_clz(vectors - 1) : 0;
}

static void add_window(struct ivshmem *iv)
{
	uint8_t *cap = &iv->pci.config[IVSHMEM_WINDOW_CAP];

	bf_pci_add_registers(&iv->pci, IVSHMEM_BAR_WINDOW, "ivshmem doorbell window",
			     IVSHMEM_WINDOW_OFF(IVSHMEM_MAX_ID + 1, 0, iv->window_bits),
			     BF_PCI_ANYWHERE);
	bf_pci_add_capability(&iv->pci, IVSHMEM_WINDOW_CAP, PCI_CAP_ID_VNDR);
	cap[PCI_CAP_FLAGS] = IVSHMEM_WINDOW_CAP_LEN;
	cap[IVSHMEM_WINDOW_CAP_VER] = IVSHMEM_WINDOW_VERSION;
	bf_pci_put32(cap, IVSHMEM_WINDOW_CAP_SIG, IVSHMEM_WINDOW_SIGNATURE);
	cap[IVSHMEM_WINDOW_CAP_BAR] = IVSHMEM_BAR_WINDOW;
	cap[IVSHMEM_WINDOW_CAP_BITS] = iv->window_bits;
}

/* How others interrupt us: MSI-X, or on request of old drivers by IntrStatus and INTx. */
static int add_interrupts(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
			  struct belfry_error *err)
{
	if (conf->msi)
		return bf_msix_init(&iv->msix, &iv->pci, IVSHMEM_BAR_MSIX, iv->vectors,
				    err);
	iv->intx = calloc(iv->vectors, sizeof(*iv->intx));
	if (!iv->intx)
		return bf_err_sys(err, ENOMEM, "%u vectors", iv->vectors);
	for (unsigned int i = 0; i < iv->vectors; i++)
		iv->intx[i] = (struct intx_source){
			.op.done = intx_rung,
			.iv = iv,
			.fd = -1,
		};
	return 0;
}

/* All that a member of a link has, before it joins. */
static int add_doorbells(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
			 struct belfry_error *err)
{
	struct bf_bells_conf bells = {
		.policy = conf->doorbells,
		.max = conf->doorbells_max,
	};

	iv->vectors = conf->vectors ? conf->vectors : VECTORS_DEFAULT;
	iv->window_bits = bits_for(iv->vectors);
	bells.shift = iv->window_bits + 2;
	if (!bf_ivshmem_conf_ioeventfd(conf))
		bells.policy = BF_BELLS_USERSPACE;
	iv->bells = bf_bells_create(iv->pci.vm, &bells);
	if (!iv->bells)
		return bf_err_sys(err, ENOMEM, "doorbells");
	if (conf->doorbell_window)
		add_window(iv);
	return add_interrupts(iv, conf, err);
}

/* Connect to the server. Return: a socket (returns); a negative errno. */
static int connect_server(const struct bf_file *where, bool is_link,
			  struct belfry_error *err)
{
	int fd;

	if (is_link && where->fd < 0)
		return bf_err(err, EINVAL, "link %s: nobody hosts it here", where->path);
	if (where->fd < 0)
		return bf_peer_connect(where->path, err);
	fd = fcntl(where->fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? bf_err_sys(err, errno, "socket") : fd;
}

static int join(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
		struct belfry_error *err)
{
	const bool is_link = bf_file_given(&conf->link);
	const struct bf_file *where = is_link ? &conf->link : &conf->socket;
	struct belfry_vm *vm = iv->pci.vm;
	struct bf_peer_conf peer = {
		.path = where->fd < 0 ? where->path : NULL,
		.timeout_ns = HANDSHAKE_NS,
		.ops = &peer_ops,
		.owner = iv,
	};
	int e;

	if ((e = bf_vm_loop(vm, &iv->loop, err)) < 0 ||
	    (e = add_doorbells(iv, conf, err)) < 0 ||
	    (e = peer.sock = connect_server(where, is_link, err)) < 0)
		return e;
	peer.own_vectors = iv->vectors;
	e = bf_peer_create(&iv->peer, iv->loop, &peer, bf_vm_log(vm), err);
	if (e < 0)
		return where->path ? bf_err_wrap(err, e, "%s", where->path) : e;
	for (unsigned int i = 0; i < iv->vectors; i++) {
		int fd = bf_bells_find(iv->bells, bf_peer_id(iv->peer), i);

		if (fd >= 0)
			own_vector(iv, i, fd);
	}
	return bf_ivshmem_memory_adopt(&iv->memory, vm, bf_peer_memory(iv->peer), err);
}

static int fill(struct ivshmem *iv, const struct bf_ivshmem_conf *conf,
		struct belfry_error *err)
{
	int e;

	if (bf_file_given(&conf->link) || bf_file_given(&conf->socket))
		e = join(iv, conf, err);
	else if ((e = bf_ivshmem_memory_open(&iv->memory, iv->pci.vm, conf, err)) == 0)
		e = conf->by_hand ? add_doorbells(iv, conf, err) : 0;
	if (e < 0)
		return e;
	bf_ivshmem_memory_watch(&iv->memory, iv->pci.vm,
				iv->peer ? bf_peer_memory(iv->peer) : iv->memory.fd);
	bf_pci_add_memory(&iv->pci, IVSHMEM_BAR_MEMORY, "ivshmem memory", iv->memory.map,
			  iv->memory.size,
			  conf->use64 ? BF_PCI_ANYWHERE : BF_PCI_BELOW_4G);
	return bf_pci_bus_add(bf_vm_pci(iv->pci.vm), &iv->pci, err);
}

static int ivshmem_create(struct belfry_vm *vm, const void *config,
			  struct belfry_error *err)
{
	const struct bf_ivshmem_conf *conf = config;
	const struct bf_pci_ident ident = {
		.vendor = IVSHMEM_VENDOR_ID,
		.device = IVSHMEM_DEVICE_ID,
		.subsystem_vendor = IVSHMEM_SUBSYSTEM_VENDOR_ID,
		.subsystem = IVSHMEM_SUBSYSTEM_ID,
		.class = IVSHMEM_CLASS,
		.revision = conf->revision,
		.interrupt_pin = conf->revision == 0,
	};
	struct ivshmem *iv = calloc(1, sizeof(*iv));
	int e;

	if (!iv)
		return bf_err_sys(err, ENOMEM, "ivshmem");
	iv->memory.fd = iv->memory.watch = -1;
	iv->by_hand = conf->by_hand;
	iv->id = conf->id;
	bf_pci_init(&iv->pci, vm, &pci_ops, &ident);
	bf_pci_add_registers(&iv->pci, IVSHMEM_BAR_REGS, "ivshmem registers",
			     IVSHMEM_REGS_SIZE, BF_PCI_BELOW_4G);
	e = fill(iv, conf, err);
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
	.applies = bf_ivshmem_conf_applies,
	.clash = bf_ivshmem_conf_clash,
	.create = ivshmem_create,
};
