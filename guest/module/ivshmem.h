/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * guest/module/ivshmem.h: the driver's own structures
 *
 * pci.c finds out what a device has and lets go of it; file.c is what open files do, and
 * how interrupts reach them; map.c is mmap(2).
 *
 * Life. A struct ivshmem_device lives from probe() until the driver has let go of the
 * hardware and the last open file is closed: probe() has one reference, the character
 * device's open files have one each. When the driver lets go (unbind, hot-unplug), open
 * files stay, dead. Interrupts are freed before the last reference can go.
 *
 * Locks, outermost first:
 *
 *	mmap_lock    the kernel's; held when mmap() and faults come in
 *	hardware     read: the hardware may be touched, and mapped, when !gone. write:
 *		     letting go. No user memory is touched under it, since a fault
 *		     takes it, too.
 *	files_lock   who is on a list of files or of bindings. Interrupts walk these lists
 *		     under RCU, so that what leaves a list is freed a grace period later.
 *	wait.lock    of each file: its counters. Taken in interrupts.
 */
#ifndef IVSHMEM_MODULE_H
#define IVSHMEM_MODULE_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

#include "ivshmem_uapi.h"

#define IVSHMEM_REGIONS (IVSHMEM_REGION_WINDOW + 1)

/* What mmap(2) may map. */
struct ivshmem_region {
	phys_addr_t start;
	u64 size; /* 0: it is not there, or cannot be mapped */
};

struct ivshmem_vector {
	struct ivshmem_device *iv;
	unsigned int number;
	struct list_head bindings; /* struct ivshmem_binding, files_lock, RCU */
};

struct ivshmem_device {
	struct device dev;
	struct cdev cdev;
	struct pci_dev *pdev;

	/* Set by probe(). */
	void __iomem *registers;
	struct resource padding; /* the rest of the registers' page */
	struct ivshmem_region regions[IVSHMEM_REGIONS];
	bool cached; /* the memory is */
	unsigned int window_bits;
	unsigned int device_vectors;
	unsigned int num_vectors; /* that interrupt */
	struct ivshmem_vector *vectors;

	struct rw_semaphore hardware;
	bool gone;

	struct mutex files_lock;
	struct list_head files; /* struct ivshmem_file, files_lock, RCU */
};

/* An open file. */
struct ivshmem_file {
	struct ivshmem_device *iv;
	struct file *file;
	struct list_head node;     /* in iv->files */
	struct list_head bindings; /* its own, files_lock */
	struct rcu_head rcu;

	u32 watch; /* first << 16 | count */
	wait_queue_head_t wait;
	u32 count; /* interrupts of the watched vectors; wait.lock */
	u32 seen;  /* what read() told last; wait.lock */
};

/* pci.c: may the hardware be touched? If so, until ivshmem_leave(). */
bool ivshmem_enter(struct ivshmem_device *iv);
void ivshmem_leave(struct ivshmem_device *iv);

/* file.c */
extern const struct file_operations ivshmem_fops;
irqreturn_t ivshmem_interrupt(int irq, void *vector);
void ivshmem_hang_up(struct ivshmem_device *iv);

/* map.c */
int ivshmem_mmap(struct file *file, struct vm_area_struct *vma);

#endif
