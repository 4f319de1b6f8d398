/* SPDX-License-Identifier: MIT */
/* vmm/machine.h - the VM object; only vmm/ looks inside */
#ifndef BF_MACHINE_H
#define BF_MACHINE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "arch/arch.h"
#include "base/loop.h"
#include "vmm/config.h"
#include "vmm/vmm.h"

struct kvm_irq_routing;
struct kvm_run;

/* bus.c: the regions of one address space, sorted by base. */
struct bf_bus {
	struct bf_region **regions;
	unsigned int n;
	unsigned int room;
	uint64_t limit; /* first address beyond the space */
};

/* irq.c: the GSI routes as KVM has them: the architecture's lines, then the MSIs. */
struct bf_irq {
	struct kvm_irq_routing *table;
	unsigned int room;      /* entries that @table can hold */
	unsigned int n_lines;   /* the first entries: the architecture's own */
	unsigned int first_msi; /* GSI of the first MSI */
	bool dirty;
	unsigned int raised[BF_LINES_MAX]; /* how many devices have raised each line */
};

/* console_input.c: what the guest is to receive. The loop's, but for @paused. */
struct bf_console_input {
	int fd;   /* -1: nothing */
	int wake; /* eventfd: the serial port takes more */
	struct bf_loop *loop;
	struct bf_op read_op;
	struct bf_op wake_op;
	uint8_t buf[16]; /* read, and not taken yet */
	unsigned int len;
	bool paused; /* the serial port has not taken all, and will ask for more */
};

/* console_pty.c: the pseudo-terminal whose master the console writes to. */
struct bf_console_pty {
	char *path; /* of the symbolic link; NULL: there is none */
	int slave;  /* held open; -1 when let go, or none */
};

/* console.c: what COM1 has written and nobody has seen yet. */
struct bf_console {
	int fd;                /* -1: nobody looks, but @fn */
	belfry_console_fn *fn; /* instead of @fd */
	void *user;
	char *prefix;
	uint8_t buf[4096];
	unsigned int len;
	bool flushing; /* somebody writes what is in @buf, without the lock */
	bool lost;     /* it has been said that output is lost; whose @flushing it is */
	struct bf_console_input in;
	struct bf_console_pty pty;
};

/* events.c: the embedder's callback, and what it has not been told yet. */
struct bf_events {
	belfry_event_fn *fn; /* NULL: nobody wants to know */
	void *user;
	uint8_t queue[16]; /* enum belfry_event_type; the state lock's */
	unsigned int n;
	int fd; /* eventfd: there is something in the queue; -1: no @fn ever */
	struct bf_op op;
	int loop_fd;      /* epoll: the embedder runs the loop; -1: a thread of ours */
	atomic_flag busy; /* somebody is in belfry_vm_process() */
	bool processed;   /* ... and it is this one; the state lock's, both */
	pthread_t processor;
};

struct bf_vcpu {
	struct belfry_vm *vm;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool has_thread;
	atomic_bool outside; /* neither runs the guest nor works for it: see vcpu.c */
	atomic_uint_least64_t exits;
};

#define BF_CLAIMS_MAX 32 /* as many as a PCI bus has slots */

enum bf_state { BF_CREATED, BF_RUNNING, BF_STOPPED };

/* Members in the order they are made; taken down in reverse. Locks: @lock, then
 * @state_lock. */
struct belfry_vm {
	struct bf_log log; /* its who is the VM's name */

	pthread_mutex_t lock; /* device state: see vmm.h */

	pthread_mutex_t state_lock; /* the eight below, and the event queue */
	pthread_cond_t state_changed;
	enum bf_state state;
	unsigned int running; /* vCPU threads that are in the guest */
	uint64_t resets;      /* how often the guest has been started again */
	uint64_t panics;      /* how often the guest has said that it has panicked */
	bool again;           /* @ending is for a reset: the guest starts again */
	struct belfry_result result;

	atomic_bool pausing; /* vCPUs stay outside; changed with the state lock */
	atomic_bool ending;  /* vCPUs return to their threads' end; so too */
	int end_fd;          /* eventfd: @ending is set; wakes a console that waits */
	int done_fd;         /* eventfd: @state is BF_STOPPED; what an embedder polls */

	int kvm;
	int vm;
	struct bf_layout layout;
	struct bf_bus mem;
	struct bf_bus ports;
	uint64_t slots[4]; /* bitmap of KVM memory slots in use */

	int kernel; /* descriptors, read again after a reset; initrd: -1 for none */
	int initrd;
	char *cmdline;
	bool restarts; /* a reset starts the guest again, and does not end the VM */

	int ram_fd;
	void *ram_map;
	uint64_t ram_size;
	enum bf_hugepages hugepages;
	bool prefault;
	struct bf_region ram[BF_LAYOUT_SPANS];
	unsigned int n_ram;
	struct bf_region reserved[BF_LAYOUT_SPANS];

	struct {
		uint64_t dev, ino;
	} claims[BF_CLAIMS_MAX]; /* files that are memory of devices */
	unsigned int n_claims;

	struct bf_irq irq;
	struct bf_console console;
	struct bf_loop *loop;
	pthread_t loop_thread;
	bool has_loop_thread;
	struct bf_events events;

	struct bf_platform *platform;
	struct bf_pci_bus *pci;

	struct bf_vcpu *vcpus;
	unsigned int n_vcpus;
	cpu_set_t *affinity;
	struct bf_entry entry;

	atomic_uint_least64_t doorbell_exits;
};

/* machine.c */
int bf_machine_create(struct belfry_vm **out, const struct belfry_config *cfg,
		      const struct bf_vm_conf *conf, struct belfry_error *err);
int bf_machine_start(struct belfry_vm *vm, struct belfry_error *err);
void bf_machine_destroy(struct belfry_vm *vm);
bool bf_machine_calls(struct belfry_vm *vm); /* it is a callback that asks */

/* Power off and on. All vCPU threads are out of the guest. Takes the VM's lock. */
int bf_machine_reset(struct belfry_vm *vm, struct belfry_error *err);

/* kvm.c: /dev/kvm, and what must be there; then a VM of it */
int bf_kvm_open(struct belfry_vm *vm, struct belfry_error *err);
int bf_kvm_create_vm(struct belfry_vm *vm, struct belfry_error *err);

/* memory.c */
int bf_memory_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		   struct belfry_error *err);
int bf_memory_clear(struct belfry_vm *vm, struct belfry_error *err);
int bf_memory_map(struct belfry_vm *vm, struct belfry_error *err);
void bf_memory_unmap(struct belfry_vm *vm); /* KVM's VM is gone */
void bf_memory_fini(struct belfry_vm *vm);

/* ram.c */
int bf_ram_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		struct belfry_error *err);
int bf_ram_clear(struct belfry_vm *vm, struct belfry_error *err);
void bf_ram_fini(struct belfry_vm *vm);

/* bus.c */
int bf_bus_add(struct bf_bus *bus, struct bf_region *r, struct belfry_error *err);
void bf_bus_remove(struct bf_bus *bus, struct bf_region *r);
void bf_bus_read(struct bf_bus *bus, uint64_t addr, void *data, unsigned int len);
void bf_bus_write(struct bf_bus *bus, uint64_t addr, const void *data, unsigned int len);
void bf_bus_fini(struct bf_bus *bus);

/* irq.c */
int bf_irq_init(struct belfry_vm *vm, struct belfry_error *err);
void bf_irq_fini(struct belfry_vm *vm);

/* console.c */
int bf_console_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
		    struct belfry_error *err);
int bf_console_set(struct belfry_vm *vm, belfry_console_fn *fn, void *user,
		   struct belfry_error *err);
int bf_console_dup(int fd, int access); /* O_RDONLY or O_WRONLY; -1, with errno set */
void bf_console_flush(struct belfry_vm *vm);
void bf_console_drain(struct belfry_vm *vm);
void bf_console_fini(struct belfry_vm *vm);

/* console_input.c; after the output */
int bf_console_input_init(struct belfry_vm *vm, const struct bf_vm_conf *conf,
			  struct belfry_error *err);
void bf_console_input_fini(struct bf_console_input *in);

/* console_pty.c */
int bf_console_pty_init(struct belfry_vm *vm, const char *path, struct belfry_error *err);
void bf_console_pty_fini(struct belfry_vm *vm);
bool bf_console_pty_wait(struct belfry_vm *vm);  /* Return: whether to write */
void bf_console_pty_check(struct belfry_vm *vm); /* reading has failed with EIO */

/* events.c */
int bf_events_set(struct belfry_vm *vm, belfry_event_fn *fn, void *user,
		  struct belfry_error *err);
int bf_events_own_loop(struct belfry_vm *vm, struct belfry_error *err);
int bf_events_process(struct belfry_vm *vm, struct belfry_error *err);
void bf_events_post(struct belfry_vm *vm, enum belfry_event_type type); /* state_lock */
void bf_events_fini(struct belfry_vm *vm);

/* vcpu.c */
int bf_vcpus_create(struct belfry_vm *vm, struct belfry_error *err);
int bf_vcpus_start(struct belfry_vm *vm, struct belfry_error *err); /* state_lock */
void bf_vcpus_start_failed(struct belfry_vm *vm);                   /* state_lock */
int bf_vcpus_pause(struct belfry_vm *vm);
int bf_vcpus_resume(struct belfry_vm *vm);
int bf_vcpus_reset(struct belfry_vm *vm);
bool bf_vcpus_call(struct belfry_vm *vm); /* one of them does; state_lock is held */
void bf_vcpus_join(struct belfry_vm *vm);
void bf_vcpus_close(struct belfry_vm *vm);

#endif
