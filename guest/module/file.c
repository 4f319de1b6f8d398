// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * guest/module/file.c: open files of /dev/ivshmemN, and how interrupts reach them
 *
 * An interrupt adds one to the counter of each open file that watches its vector, and
 * signals the eventfds bound to it. Both are found under RCU: the cost is the number of
 * open files, and nothing is allocated or waited for.
 */
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "ivshmem.h"

#define INFO_SIZE_V1   offsetofend(struct ivshmem_info, window_size)
#define REG_IVPOSITION 0x08

struct ivshmem_binding {
	struct list_head in_vector;
	struct list_head in_file;
	unsigned int vector;
	struct eventfd_ctx *eventfd;
	struct rcu_head rcu;
};

static void signal_eventfd(struct eventfd_ctx *eventfd)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(eventfd, 1);
#else
	eventfd_signal(eventfd);
#endif
}

/* --- interrupts --- */

static bool watches(const struct ivshmem_file *f, unsigned int vector)
{
	const u32 watch = READ_ONCE(f->watch);

	return vector - (watch >> 16) < (watch & 0xffff);
}

static void count_event(struct ivshmem_file *f)
{
	unsigned long flags;

	spin_lock_irqsave(&f->wait.lock, flags);
	f->count++;
	wake_up_locked_poll(&f->wait, EPOLLIN | EPOLLRDNORM);
	spin_unlock_irqrestore(&f->wait.lock, flags);
}

irqreturn_t ivshmem_interrupt(int irq, void *data)
{
	struct ivshmem_vector *v = data;
	struct ivshmem_binding *b;
	struct ivshmem_file *f;

	rcu_read_lock();
	list_for_each_entry_rcu(f, &v->iv->files, node)
		if (watches(f, v->number))
			count_event(f);
	list_for_each_entry_rcu(b, &v->bindings, in_vector)
		signal_eventfd(b->eventfd);
	rcu_read_unlock();
	return IRQ_HANDLED;
}

/*
 * The device is gone: wake whoever waits, and take away what is mapped. A fault that
 * comes later finds the device gone, and so does a file that is opened later.
 */
void ivshmem_hang_up(struct ivshmem_device *iv)
{
	struct ivshmem_binding *b;
	struct ivshmem_file *f;

	mutex_lock(&iv->files_lock);
	list_for_each_entry(f, &iv->files, node) {
		unmap_mapping_range(f->file->f_mapping, 0, 0, 1);
		wake_up_all(&f->wait);
		list_for_each_entry(b, &f->bindings, in_file)
			signal_eventfd(b->eventfd);
	}
	mutex_unlock(&iv->files_lock);
}

/* --- bindings --- */

static void free_binding(struct rcu_head *rcu)
{
	struct ivshmem_binding *b = container_of(rcu, struct ivshmem_binding, rcu);

	eventfd_ctx_put(b->eventfd);
	kfree(b);
}

static void remove_binding(struct ivshmem_binding *b)
{
	list_del(&b->in_file);
	list_del_rcu(&b->in_vector);
	call_rcu(&b->rcu, free_binding);
}

static struct ivshmem_binding *find_binding(struct ivshmem_file *f, unsigned int vector)
{
	struct ivshmem_binding *b;

	list_for_each_entry(b, &f->bindings, in_file)
		if (b->vector == vector)
			return b;
	return NULL;
}

static struct ivshmem_binding *create_binding(const struct ivshmem_bind *bind)
{
	struct ivshmem_binding *b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	struct eventfd_ctx *eventfd;

	if (!b)
		return ERR_PTR(-ENOMEM);
	eventfd = eventfd_ctx_fdget(bind->fd);
	if (IS_ERR(eventfd)) {
		kfree(b);
		return ERR_CAST(eventfd);
	}
	b->vector = bind->vector;
	b->eventfd = eventfd;
	return b;
}

/* Put @new, NULL for none, in the place of what @f has bound to @vector. */
static int replace_binding(struct ivshmem_file *f, unsigned int vector,
			   struct ivshmem_binding *new)
{
	struct ivshmem_binding *old;

	mutex_lock(&f->iv->files_lock);
	old = find_binding(f, vector);
	if (old)
		remove_binding(old);
	if (new) {
		list_add_tail(&new->in_file, &f->bindings);
		list_add_tail_rcu(&new->in_vector, &f->iv->vectors[vector].bindings);
	}
	mutex_unlock(&f->iv->files_lock);
	return old || new ? 0 : -ENOENT;
}

/* --- ioctl(2) --- */

static u32 info_flags(const struct ivshmem_device *iv)
{
	u32 flags = 0;

	if (iv->num_vectors)
		flags |= IVSHMEM_HAS_DOORBELL;
	if (iv->regions[IVSHMEM_REGION_REGISTERS].size)
		flags |= IVSHMEM_MAP_REGISTERS;
	if (iv->regions[IVSHMEM_REGION_WINDOW].size)
		flags |= IVSHMEM_MAP_WINDOW;
	if (iv->cached)
		flags |= IVSHMEM_CACHED;
	return flags;
}

static long do_info(struct ivshmem_device *iv, void __user *arg)
{
	struct ivshmem_info info = {
		.size = sizeof(info),
		.api_version = IVSHMEM_API_VERSION,
		.flags = info_flags(iv),
		.vectors = iv->num_vectors,
		.device_vectors = iv->device_vectors,
		.window_bits = iv->window_bits,
		.memory_size = iv->regions[IVSHMEM_REGION_MEMORY].size,
		.registers_size = iv->regions[IVSHMEM_REGION_REGISTERS].size,
		.window_size = iv->regions[IVSHMEM_REGION_WINDOW].size,
	};
	u32 room;

	if (get_user(room, (u32 __user *)arg))
		return -EFAULT;
	if (room < INFO_SIZE_V1)
		return -EINVAL;
	if (!ivshmem_enter(iv))
		return -ENODEV;
	if (iv->num_vectors) /* read each time: a VM that is restored may have another */
		info.id = ioread32(iv->registers + REG_IVPOSITION);
	ivshmem_leave(iv);
	if (copy_to_user(arg, &info, min_t(size_t, room, sizeof(info))))
		return -EFAULT;
	return 0;
}

static long do_ring(struct ivshmem_file *f, const struct ivshmem_ring *ring)
{
	if (!(f->file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (ring->peer > U16_MAX || ring->vector > U16_MAX)
		return -EINVAL;
	iowrite32(IVSHMEM_BELL(ring->peer, ring->vector),
		  f->iv->registers + IVSHMEM_REGISTER_DOORBELL);
	return 0;
}

static long do_watch(struct ivshmem_file *f, const struct ivshmem_watch *watch)
{
	const u32 n = f->iv->num_vectors;

	if (watch->first > n || watch->count > n - watch->first)
		return -EINVAL;
	WRITE_ONCE(f->watch, watch->first << 16 | watch->count);
	return 0;
}

static long do_bind(struct ivshmem_file *f, const struct ivshmem_bind *bind)
{
	struct ivshmem_binding *b = NULL;

	if (bind->vector >= f->iv->num_vectors)
		return -EINVAL;
	if (bind->fd != -1)
		b = create_binding(bind);
	if (IS_ERR(b))
		return PTR_ERR(b);
	return replace_binding(f, bind->vector, b);
}

union ioctl_arg {
	struct ivshmem_ring ring;
	struct ivshmem_watch watch;
	struct ivshmem_bind bind;
};

static long doorbell_ioctl(struct ivshmem_file *f, unsigned int cmd,
			   const union ioctl_arg *arg)
{
	if (!f->iv->num_vectors)
		return -EOPNOTSUPP;
	switch (cmd) {
	case IVSHMEM_IOC_RING:
		return do_ring(f, &arg->ring);
	case IVSHMEM_IOC_WATCH:
		return do_watch(f, &arg->watch);
	default:
		return do_bind(f, &arg->bind);
	}
}

static long ivshmem_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	struct ivshmem_file *f = file->private_data;
	void __user *from = (void __user *)user;
	union ioctl_arg arg;
	long ret = -ENODEV;

	switch (cmd) {
	case IVSHMEM_IOC_INFO:
		return do_info(f->iv, from);
	case IVSHMEM_IOC_RING:
	case IVSHMEM_IOC_WATCH:
	case IVSHMEM_IOC_BIND:
		break;
	default:
		return -ENOTTY;
	}
	if (copy_from_user(&arg, from, _IOC_SIZE(cmd)))
		return -EFAULT;
	if (ivshmem_enter(f->iv)) {
		ret = doorbell_ioctl(f, cmd, &arg);
		ivshmem_leave(f->iv);
	}
	return ret;
}

/* --- open(2), read(2), poll(2), close(2) --- */

static int ivshmem_open(struct inode *inode, struct file *file)
{
	struct ivshmem_device *iv =
		container_of(inode->i_cdev, struct ivshmem_device, cdev);
	struct ivshmem_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return -ENOMEM;
	if (!ivshmem_enter(iv)) {
		kfree(f);
		return -ENODEV;
	}
	f->iv = iv;
	f->file = file;
	f->watch = iv->num_vectors;
	INIT_LIST_HEAD(&f->bindings);
	init_waitqueue_head(&f->wait);
	file->private_data = f;

	mutex_lock(&iv->files_lock);
	list_add_tail_rcu(&f->node, &iv->files);
	mutex_unlock(&iv->files_lock);
	ivshmem_leave(iv);
	return stream_open(inode, file);
}

static int ivshmem_release(struct inode *inode, struct file *file)
{
	struct ivshmem_file *f = file->private_data;
	struct ivshmem_binding *b, *next;

	mutex_lock(&f->iv->files_lock);
	list_del_rcu(&f->node);
	list_for_each_entry_safe(b, next, &f->bindings, in_file)
		remove_binding(b);
	mutex_unlock(&f->iv->files_lock);
	kfree_rcu(f, rcu);
	return 0;
}

static bool has_news(const struct ivshmem_file *f)
{
	return f->count != f->seen || READ_ONCE(f->iv->gone);
}

static ssize_t ivshmem_read(struct file *file, char __user *to, size_t size, loff_t *off)
{
	struct ivshmem_file *f = file->private_data;
	u32 count;
	int ret = 0;

	if (READ_ONCE(f->iv->gone))
		return -ENODEV;
	if (!f->iv->num_vectors)
		return -EOPNOTSUPP;
	if (size != sizeof(count))
		return -EINVAL;

	spin_lock_irq(&f->wait.lock);
	if (!(file->f_flags & O_NONBLOCK))
		ret = wait_event_interruptible_locked_irq(f->wait, has_news(f));
	else if (!has_news(f))
		ret = -EAGAIN;
	if (!ret && READ_ONCE(f->iv->gone))
		ret = -ENODEV;
	if (!ret)
		f->seen = f->count;
	count = f->seen;
	spin_unlock_irq(&f->wait.lock);

	if (ret)
		return ret;
	return put_user(count, (u32 __user *)to) ?: sizeof(count);
}

static __poll_t ivshmem_poll(struct file *file, poll_table *wait)
{
	struct ivshmem_file *f = file->private_data;

	poll_wait(file, &f->wait, wait);
	if (READ_ONCE(f->iv->gone))
		return EPOLLHUP | EPOLLERR;
	if (!f->iv->num_vectors)
		return EPOLLERR;
	if (READ_ONCE(f->count) != READ_ONCE(f->seen))
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

const struct file_operations ivshmem_fops = {
	.owner = THIS_MODULE,
	.open = ivshmem_open,
	.release = ivshmem_release,
	.read = ivshmem_read,
	.poll = ivshmem_poll,
	.unlocked_ioctl = ivshmem_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = ivshmem_mmap,
};
