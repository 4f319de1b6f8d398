/* SPDX-License-Identifier: MIT */
/*
 * vmm/events.c - the embedder's event callback, and a loop that the embedder runs
 *
 * What happens to the VM itself is noticed by threads that must not wait for a callback:
 * a vCPU, whoever started the VM. They queue it, under the state lock, and the loop hands
 * it over. What happens on a link is noticed on the loop, and handed over at once, behind
 * what is queued. So there is one event at a time, and no lock is held.
 *
 * The guest decides how often it resets and panics, so the queue is short and full of
 * these at worst: one that finds no room is left out, but for the end of the VM.
 *
 * The loop has a thread of its own, or else an embedder who polls an epoll set with the
 * loop's descriptor and the one that says that the VM has stopped.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/event.h"
#include "base/loop.h"
#include "base/own.h"
#include "vmm/machine.h"

void bf_events_post(struct belfry_vm *vm, enum belfry_event_type type)
{
	struct bf_events *events = &vm->events;
	const unsigned int kept = type == BELFRY_EVENT_STOPPED ? 0 : 1;

	if (!events->fn || events->n + kept >= BF_ARRAY_LEN(events->queue))
		return;
	events->queue[events->n++] = type;
	bf_event_add(events->fd, 1);
}

/* Take the oldest of the queue. Return: whether there was one. */
static bool events_take(struct belfry_vm *vm, enum belfry_event_type *type,
			struct belfry_result *result)
{
	struct bf_events *events = &vm->events;
	bool any;

	pthread_mutex_lock(&vm->state_lock);
	any = events->n > 0;
	if (any) {
		*type = events->queue[0];
		events->n--;
		for (unsigned int i = 0; i < events->n; i++)
			events->queue[i] = events->queue[i + 1];
		*result = vm->result;
	}
	pthread_mutex_unlock(&vm->state_lock);
	result->size = sizeof(*result);
	return any;
}

static void events_hand_over(struct belfry_vm *vm)
{
	enum belfry_event_type type;
	struct belfry_result result;

	while (events_take(vm, &type, &result)) {
		const struct belfry_event event = {
			.size = sizeof(event),
			.type = type,
			.result = type == BELFRY_EVENT_STOPPED ? &result : NULL,
		};

		vm->events.fn(vm->events.user, vm, &event);
	}
}

void bf_vm_link_event(struct belfry_vm *vm, const struct belfry_event *event)
{
	if (!vm->events.fn)
		return;
	events_hand_over(vm);
	vm->events.fn(vm->events.user, vm, event);
}

void bf_vm_panicked(struct belfry_vm *vm)
{
	bool first;

	pthread_mutex_lock(&vm->state_lock);
	first = vm->panics++ == 0;
	bf_events_post(vm, BELFRY_EVENT_PANICKED);
	pthread_mutex_unlock(&vm->state_lock);
	if (first) /* of all: a guest must not fill the log */
		bf_log(&vm->log, BELFRY_LOG_WARNING, "the guest has panicked");
}

static void events_ready(struct bf_op *op, int res)
{
	struct belfry_vm *vm = BF_CONTAINER_OF(op, struct belfry_vm, events.op);

	if (res == -ECANCELED)
		return;
	bf_event_take(vm->events.fd, NULL);
	events_hand_over(vm);
	bf_loop_poll(vm->loop, op, vm->events.fd, POLLIN);
}

int bf_events_set(struct belfry_vm *vm, belfry_event_fn *fn, void *user,
		  struct belfry_error *err)
{
	struct bf_events *events = &vm->events;
	struct bf_loop *loop;
	int e;

	if (fn && events->fd < 0) {
		e = bf_vm_loop(vm, &loop, err);
		if (e < 0)
			return e;
		events->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (events->fd < 0)
			return bf_err_sys(err, errno, "eventfd for events");
		events->op.done = events_ready;
		bf_loop_poll(loop, &events->op, events->fd, POLLIN);
	}
	events->fn = fn;
	events->user = user;
	return 0;
}

static int events_watch(int set, int fd)
{
	struct epoll_event any = { .events = EPOLLIN };

	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &any) < 0 ? -errno : 0;
}

int bf_events_own_loop(struct belfry_vm *vm, struct belfry_error *err)
{
	BF_CLOSE int set = -1;
	struct bf_loop *loop;
	int e;

	if (vm->events.loop_fd >= 0)
		return 0;
	e = bf_vm_loop(vm, &loop, err);
	if (e < 0)
		return e;
	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0)
		return bf_err_sys(err, errno, "epoll for the event loop");
	e = events_watch(set, bf_loop_fd(loop));
	if (e == 0)
		e = events_watch(set, vm->done_fd);
	if (e < 0)
		return bf_err_sys(err, -e, "epoll for the event loop");
	vm->events.loop_fd = bf_take(&set);
	return 0;
}

static void events_processed_by(struct belfry_vm *vm, bool processed)
{
	pthread_mutex_lock(&vm->state_lock);
	vm->events.processed = processed;
	vm->events.processor = pthread_self();
	pthread_mutex_unlock(&vm->state_lock);
}

int bf_events_process(struct belfry_vm *vm, struct belfry_error *err)
{
	int e;

	if (atomic_flag_test_and_set(&vm->events.busy))
		return bf_err(err, EBUSY, "VM %s: belfry_vm_process() is under way",
			      vm->log.who);
	events_processed_by(vm, true);
	e = bf_loop_process(vm->loop);
	events_processed_by(vm, false);
	atomic_flag_clear(&vm->events.busy);
	return e < 0 ? bf_err_sys(err, -e, "VM %s: io_uring", vm->log.who) : 0;
}

/* Nobody runs the loop any more but who calls this. */
void bf_events_fini(struct belfry_vm *vm)
{
	struct bf_events *events = &vm->events;

	events->fn = NULL;
	events->n = 0; /* what has not been told by now never will be */
	if (vm->loop)
		bf_loop_cancel(vm->loop, &events->op);
	bf_close(&events->fd);
	bf_close(&events->loop_fd);
}
