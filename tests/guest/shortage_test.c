/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/shortage_test.c - memory, descriptors and threads that run out, at each
 * place in turn
 *
 * malloc() and what makes descriptors, maps and threads go through this file. A life (of
 * a VM, of a server and a peer) is lived again and again; each time one place later
 * fails. What fails must say so, leave nothing behind, and what was made before must
 * still be usable: destroyed.
 *
 * malloc() is replaced for the whole process, so that what libyaml and the C library
 * allocate for us fails as well. The sanitizers have replaced it already: with them, only
 * the library's own calls come here, by the linker (--wrap), as all others do.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <liburing.h>

#include <belfry-peer.h>
#include <belfry-server.h>

#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"

#define PLACES_MAX 2000 /* far more than there are */

/* --- what fails --- */

enum kind { MEMORY, MAPS, THREADS, DESCRIPTORS };

/* Of the thread that tests; other threads never fail. */
static _Thread_local enum kind failing;
static _Thread_local unsigned int countdown; /* at 0: nothing fails */
static _Thread_local bool failed;

static bool fails(enum kind kind)
{
	if (kind != failing || countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = kind == DESCRIPTORS ? EMFILE : ENOMEM;
	return true;
}

static void fail_at(enum kind kind, unsigned int place)
{
	failing = kind;
	countdown = place;
	failed = false;
}

static atomic_long allocated; /* minus what has been freed, of all threads */

#ifdef SANITIZED
#define OF_OTHERS         0
#define IN_PLACE_OF(name) __wrap_##name
#define REAL(name)        __real_##name
#else
#define OF_OTHERS         1 /* what others allocate fails, too */
#define IN_PLACE_OF(name) name
#define REAL(name)        __libc_##name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *p, size_t size);
BELFRY_API void *IN_PLACE_OF(malloc)(size_t size);
BELFRY_API void *IN_PLACE_OF(calloc)(size_t n, size_t size);
BELFRY_API void *IN_PLACE_OF(realloc)(void *p, size_t size);

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&allocated, 1);
	return p;
}

void *IN_PLACE_OF(malloc)(size_t size)
{
	return fails(MEMORY) ? NULL : counted(REAL(malloc)(size));
}

void *IN_PLACE_OF(calloc)(size_t n, size_t size)
{
	return fails(MEMORY) ? NULL : counted(REAL(calloc)(n, size));
}

void *IN_PLACE_OF(realloc)(void *p, size_t size)
{
	if (fails(MEMORY))
		return NULL;
	return p ? REAL(realloc)(p, size) : counted(REAL(realloc)(p, size));
}

#ifndef SANITIZED
void __libc_free(void *p);
BELFRY_API void free(void *p);

void free(void *p)
{
	if (p)
		atomic_fetch_sub(&allocated, 1);
	__libc_free(p);
}
#endif

/* What __wrap_NAME() does when it does not fail. */
#define DECLARE(type, name, args) \
	type __real_##name args;  \
	type __wrap_##name args

DECLARE(void *, mmap, (void *at, size_t len, int prot, int flags, int fd, off_t off));
DECLARE(int, pthread_create,
	(pthread_t * out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg));

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	return fails(MAPS) ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, off);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return fails(THREADS) ? EAGAIN : __real_pthread_create(out, attr, fn, arg);
}

/* Everything that makes a descriptor. */
DECLARE(int, open, (const char *path, int flags, ...));
DECLARE(int, fcntl, (int fd, int what, ...));
DECLARE(int, ioctl, (int fd, unsigned long what, ...));
DECLARE(int, socket, (int family, int type, int protocol));
DECLARE(int, socketpair, (int family, int type, int protocol, int fds[2]));
DECLARE(int, accept4, (int fd, struct sockaddr *from, socklen_t *len, int flags));
DECLARE(int, eventfd, (unsigned int count, int flags));
DECLARE(int, memfd_create, (const char *name, unsigned int flags));
DECLARE(int, shm_open, (const char *name, int flags, mode_t mode));
DECLARE(int, epoll_create1, (int flags));
DECLARE(int, inotify_init1, (int flags));
DECLARE(int, mkostemp, (char *path, int flags));
DECLARE(int, posix_openpt, (int flags));
DECLARE(FILE *, fopen, (const char *path, const char *mode));
DECLARE(int, io_uring_queue_init_params,
	(unsigned int entries, struct io_uring *ring, struct io_uring_params *params));

static unsigned long third(va_list *ap)
{
	return va_arg(*ap, unsigned long);
}

#define PASS_ON(name, fd, what)                     \
	({                                          \
		va_list ap_;                        \
		va_start(ap_, what);                \
		unsigned long third_ = third(&ap_); \
		va_end(ap_);                        \
		__real_##name(fd, what, third_);    \
	})

int __wrap_open(const char *path, int flags, ...)
{
	return fails(DESCRIPTORS) ? -1 : PASS_ON(open, path, flags);
}

int __wrap_fcntl(int fd, int what, ...)
{
	if (what == F_DUPFD_CLOEXEC && fails(DESCRIPTORS))
		return -1;
	return PASS_ON(fcntl, fd, what);
}

int __wrap_ioctl(int fd, unsigned long what, ...)
{
	const bool makes =
		what == KVM_CREATE_VM || what == KVM_CREATE_VCPU || what == TIOCGPTPEER;

	return makes && fails(DESCRIPTORS) ? -1 : PASS_ON(ioctl, fd, what);
}

int __wrap_socket(int family, int type, int protocol)
{
	return fails(DESCRIPTORS) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_socketpair(int family, int type, int protocol, int fds[2])
{
	return fails(DESCRIPTORS) ? -1 : __real_socketpair(family, type, protocol, fds);
}

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_accept4(fd, from, len, flags);
}

int __wrap_eventfd(unsigned int count, int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_eventfd(count, flags);
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_shm_open(const char *name, int flags, mode_t mode)
{
	return fails(DESCRIPTORS) ? -1 : __real_shm_open(name, flags, mode);
}

int __wrap_epoll_create1(int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_epoll_create1(flags);
}

int __wrap_inotify_init1(int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_inotify_init1(flags);
}

int __wrap_mkostemp(char *path, int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_mkostemp(path, flags);
}

int __wrap_posix_openpt(int flags)
{
	return fails(DESCRIPTORS) ? -1 : __real_posix_openpt(flags);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	return fails(DESCRIPTORS) ? NULL : __real_fopen(path, mode);
}

int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params)
{
	return fails(DESCRIPTORS)
		       ? -EMFILE
		       : __real_io_uring_queue_init_params(entries, ring, params);
}

/* --- lives --- */

static const char vm_yaml[] =
	"links: { ring: { size: 1M, vectors: 2 } }\n"
	"vms:\n"
	"  vm:\n"
	"    kernel: x\n"
	"    initrd: /proc/self/exe\n"
	"    cmdline: how=s5\n"
	"    memory: 64M\n"
	"    cpus: 2\n"
	"    affinity: 0\n"
	"    console: /dev/null\n"
	"    console_prefix: 'vm| '\n"
	"    devices:\n"
	"    - ivshmem: { link: ring }\n"
	"    - ivshmem: { file: x, size: 1M, by_hand: on, vectors: 2 }\n";

static const char other_yaml[] = "vms:\n"
				 "  vm:\n"
				 "    kernel: x\n"
				 "    cmdline: how=s5\n"
				 "    memory: 32M\n"
				 "    console_pty: x\n"
				 "    devices:\n"
				 "    - ivshmem: { shm: x, size: 4k }\n";

static const char server_yaml[] =
	"servers: { ring: { path: x, size: 1M, vectors: 2, control: x } }\n";

/* All that one life makes; what has not been made is NULL. */
struct life {
	char folder[32]; /* the test's own, as are */
	int memory;
	int event;
	int text;
	struct belfry_config *cfg;
	struct belfry_links *links;
	struct belfry_vm *vm;
	struct belfry_server *server;
	struct belfry_peer *peer;
};

/* Return: 0, or what went wrong first; @life is to be ended in any case. */
typedef int live_fn(struct life *life, struct belfry_error *err);

static void ignore(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
}

static int name(struct life *life, const char *key, const char *folder, const char *file,
		struct belfry_error *err)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	return belfry_config_set(life->cfg, key, path, err);
}

/* @yaml, from a file. */
static int configure(struct life *life, const char *yaml, struct belfry_error *err)
{
	char path[64];
	int e;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", life->text);
	if (ftruncate(life->text, 0) < 0 ||
	    pwrite(life->text, yaml, strlen(yaml), 0) < (ssize_t)strlen(yaml))
		return -errno;
	e = belfry_config_create(&life->cfg, err);
	return e < 0 ? e : belfry_config_load_file(life->cfg, path, err);
}

static int describe(struct life *life, struct belfry_error *err)
{
	char *text;
	int e;

	if ((e = belfry_config_text(life->cfg, &text, err)) < 0)
		return e;
	free(text);
	if ((e = belfry_config_get(life->cfg, "vms.vm.memory", &text, err)) < 0)
		return e;
	free(text);
	if ((e = belfry_config_schema(BELFRY_SCHEMA_JSON, &text, err)) < 0)
		return e;
	free(text);
	return 0;
}

static int run_vm(struct life *life, struct belfry_error *err)
{
	int e = belfry_vm_start(life->vm, err);

	return e < 0 ? e : belfry_vm_wait(life->vm, LIMIT, NULL);
}

static int vm_life(struct life *life, struct belfry_error *err)
{
	static const char memory[] = "vms.vm.devices.1.ivshmem.file";
	int e;

	if ((e = configure(life, vm_yaml, err)) < 0 ||
	    (e = name(life, "vms.vm.kernel", build(), "guests/ends.elf", err)) < 0 ||
	    (e = belfry_config_set_fd(life->cfg, memory, life->memory, err)) < 0 ||
	    (e = describe(life, err)) < 0 ||
	    (e = belfry_links_create(life->cfg, &life->links, err)) < 0 ||
	    (e = belfry_links_join(life->links, life->cfg, "vm", err)) < 0 ||
	    (e = belfry_links_start(life->links, err)) < 0 ||
	    (e = belfry_vm_create(life->cfg, "vm", &life->vm, err)) < 0 ||
	    (e = belfry_vm_add_doorbell(life->vm, 1, 0, 0, life->event, err)) < 0 ||
	    (e = belfry_vm_add_doorbell(life->vm, 1, 9, 1, life->event, err)) < 0 ||
	    (e = belfry_vm_set_events(life->vm, ignore, NULL, err)) < 0)
		return e;
	return run_vm(life, err);
}

/* With a loop of our own, a terminal, and shared memory of a name. */
static int other_life(struct life *life, struct belfry_error *err)
{
	static const char shm[] = "vms.vm.devices.0.ivshmem.shm";
	int e;

	if ((e = configure(life, other_yaml, err)) < 0 ||
	    (e = name(life, "vms.vm.kernel", build(), "guests/ends.elf", err)) < 0 ||
	    (e = name(life, "vms.vm.console_pty", life->folder, "pty", err)) < 0 ||
	    (e = belfry_config_set(life->cfg, shm, strrchr(life->folder, '/') + 1, err)) <
		    0 ||
	    (e = belfry_vm_create(life->cfg, "vm", &life->vm, err)) < 0 ||
	    (e = belfry_vm_own_loop(life->vm, err)) < 0)
		return e;
	return run_vm(life, err);
}

static int server_life(struct life *life, struct belfry_error *err)
{
	char path[64], *text;
	int e;

	snprintf(path, sizeof(path), "%s/ring", life->folder);
	if ((e = configure(life, server_yaml, err)) < 0 ||
	    (e = belfry_config_set(life->cfg, "servers.ring.path", path, err)) < 0 ||
	    (e = name(life, "servers.ring.control", life->folder, "control", err)) < 0 ||
	    (e = belfry_server_create(life->cfg, "ring", &life->server, err)) < 0 ||
	    (e = belfry_server_start(life->server, err)) < 0 ||
	    (e = belfry_peer_create(&life->peer, path, NULL, err)) < 0 ||
	    (e = belfry_peer_ring(life->peer, belfry_peer_id(life->peer), 1, err)) < 0 ||
	    (e = belfry_peer_wait(life->peer, 1, LIMIT, NULL, err)) < 0 ||
	    (e = belfry_server_status(life->server, BELFRY_STATUS_JSON, &text, err)) < 0)
		return e;
	free(text);
	return 0;
}

static void end(struct life *life)
{
	belfry_peer_destroy(life->peer);
	belfry_vm_destroy(life->vm);
	belfry_links_destroy(life->links);
	belfry_server_destroy(life->server);
	belfry_config_destroy(life->cfg);
	life->peer = NULL;
	life->vm = NULL;
	life->links = NULL;
	life->server = NULL;
	life->cfg = NULL;
}

static void remove_shm(struct life *life)
{
	shm_unlink(strrchr(life->folder, '/'));
}

static struct life fresh_life(void)
{
	struct life life = { .folder = "/tmp/belfry-XXXXXX",
			     .memory = memfd_create("memory", MFD_CLOEXEC),
			     .text = memfd_create("text", MFD_CLOEXEC),
			     .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	assert_non_null(mkdtemp(life.folder));
	assert_true(life.memory >= 0 && life.event >= 0 && life.text >= 0);
	assert_int_equal(ftruncate(life.memory, 1 << 20), 0);
	return life;
}

/* What was made by name is gone, too. */
static void done(struct life *life)
{
	assert_int_equal(rmdir(life->folder), 0);
	close(life->memory);
	close(life->text);
	close(life->event);
}

/* --- each place in turn --- */

static const char *const kinds[] = { "memory", "map", "thread", "descriptor" };

/* Of memory, the C library calls a thread's "try again". */
static bool is_told(enum kind kind, int e, const struct belfry_error *err)
{
	const int errnos[] = { ENOMEM, ENOMEM, EAGAIN, EMFILE };
	const bool thread = kind == MEMORY && e == -EAGAIN;

	return (e == -errnos[kind] || thread) && err->code == e && err->msg[0];
}

/*
 * Fail at each place of @kind in turn. What can be done without (a doorbell more, a
 * buffer that is to become smaller) may fail without anybody being told. The first life
 * warms up what the C library keeps. Return: how many places there are.
 */
static unsigned int fail_everywhere(enum kind kind, live_fn *live)
{
	struct life life = fresh_life();
	const int before = count_descriptors();
	unsigned int place, told = 0;
	struct belfry_error none;
	long then;

	live(&life, &none);
	end(&life);
	remove_shm(&life);
	then = atomic_load(&allocated);

	for (place = 1; place < PLACES_MAX; place++) {
		struct belfry_error err = { 0 };
		int e;

		fail_at(kind, place);
		e = live(&life, &err);
		countdown = 0;
		if (e < 0 && !is_told(kind, e, &err))
			fail_msg("%s %u: %d, %s", kinds[kind], place, e, err.msg);
		told += e < 0;
		end(&life);
		remove_shm(&life);
		assert_int_equal(count_descriptors(), before);
		if (OF_OTHERS)
			assert_int_equal(atomic_load(&allocated), then);
		if (!failed)
			break;
	}
	done(&life);
	assert_true(told > 0 && told >= (place - 1) * 8 / 10);
	print_message("# %s: %u of %u places told\n", kinds[kind], told, place - 1);
	return place - 1;
}
static void memory_may_run_out_anywhere(void **state)
{
	const unsigned int vm = fail_everywhere(MEMORY, vm_life);

	/* Their own, and so many more in libyaml and the C library. */
	assert_true(vm > (OF_OTHERS ? 300 : 30));
	assert_true(fail_everywhere(MEMORY, other_life) > (OF_OTHERS ? 150 : 10));
	assert_true(fail_everywhere(MEMORY, server_life) > (OF_OTHERS ? 80 : 10));
}

static void maps_may_be_refused_anywhere(void **state)
{
	assert_true(fail_everywhere(MAPS, vm_life) >= 4);
	assert_true(fail_everywhere(MAPS, other_life) >= 3);
	assert_true(fail_everywhere(MAPS, server_life) >= 1);
}

static void threads_may_be_refused_anywhere(void **state)
{
	assert_int_equal(fail_everywhere(THREADS, vm_life), 4); /* links, loop, vCPUs */
	assert_int_equal(fail_everywhere(THREADS, other_life), 1);
	assert_int_equal(fail_everywhere(THREADS, server_life), 1);
}

static void each_descriptor_may_be_refused(void **state)
{
	assert_true(fail_everywhere(DESCRIPTORS, vm_life) > 20);
	assert_true(fail_everywhere(DESCRIPTORS, other_life) > 10);
	assert_true(fail_everywhere(DESCRIPTORS, server_life) > 10);
}

static void a_vm_whose_start_fails_has_stopped(void **state)
{
	struct belfry_result result = { .size = sizeof(result) };
	struct life life = fresh_life();

	fail_at(THREADS, 4); /* the second vCPU's */
	assert_fails(vm_life(&life, &err), EAGAIN,
		     "vCPU 1: thread: Resource temporarily unavailable");
	assert_int_equal(belfry_vm_wait(life.vm, LIMIT, &result), 0);
	assert_int_equal(result.reason, BELFRY_STOP_HOST_ERROR);
	assert_string_equal(result.detail, "start failed");
	assert_int_equal(belfry_vm_state(life.vm), BELFRY_STATE_STOPPED);
	end(&life);
	done(&life);
}

static void a_vcpu_that_cannot_be_pinned_does_not_run_elsewhere(void **state)
{
	const char *want = "vCPU 0: thread: Cannot allocate memory";
	struct belfry_error err = { 0 };
	struct life life;

	if (!OF_OTHERS) /* it is the C library that allocates */
		return;
	life = fresh_life();
	for (unsigned int place = 1; strcmp(err.msg, want); place++) {
		fail_at(MEMORY, place);
		vm_life(&life, &err);
		end(&life);
		assert_true(failed); /* else all places have been tried */
	}
	done(&life);
}

/* --- all descriptors --- */

static void no_descriptor_is_left_to_programs_that_are_executed(void **state)
{
	live_fn *const lives[] = { vm_life, other_life, server_life };
	const int before = count_inherited();

	for (int i = 0; i < 3; i++) {
		struct life life = fresh_life();
		const int open_before = count_descriptors();

		assert_works(lives[i](&life, &err));
		assert_true(count_descriptors() > open_before + 10);
		assert_int_equal(count_inherited(), before);
		end(&life);
		remove_shm(&life);
		done(&life);
	}
}

static void the_kernel_may_have_few_descriptors(void **state)
{
	struct life life = fresh_life();
	const int before = count_descriptors();
	unsigned int more;
	int e = -1;

	for (more = 0; more < PLACES_MAX && e < 0; more++) {
		struct belfry_error err = { 0 };
		rlim_t old;

		old = limit_descriptors(3 + before + more); /* none is skipped below */
		e = vm_life(&life, &err);
		limit_descriptors(old);
		if (e < 0 && !is_told(DESCRIPTORS, e, &err))
			fail_msg("%u more: %d, %s", more, e, err.msg);
		end(&life);
		assert_int_equal(count_descriptors(), before);
	}
	done(&life);
	assert_int_equal(e, 0);
	assert_true(more > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_may_run_out_anywhere),
		cmocka_unit_test(maps_may_be_refused_anywhere),
		cmocka_unit_test(threads_may_be_refused_anywhere),
		cmocka_unit_test(each_descriptor_may_be_refused),
		cmocka_unit_test(a_vm_whose_start_fails_has_stopped),
		cmocka_unit_test(a_vcpu_that_cannot_be_pinned_does_not_run_elsewhere),
		cmocka_unit_test(no_descriptor_is_left_to_programs_that_are_executed),
		cmocka_unit_test(the_kernel_may_have_few_descriptors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
