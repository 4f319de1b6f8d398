/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/shortage_test.c - memory, descriptors and threads that run out, at each
 * place in turn
 *
 * The linker sends the library's allocations through this file (--wrap). One life of a VM
 * is lived again and again; each time one allocation later fails. What fails must say so,
 * leave nothing behind, and what was made before must still be usable: destroyed.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"

#define PLACES_MAX 1000 /* far more than there are */

/* --- what fails --- */

enum kind { MEMORY, MAPS, THREADS };

/* Of the thread that tests; other threads never fail. */
static _Thread_local enum kind failing;
static _Thread_local unsigned int countdown; /* at 0: nothing fails */
static _Thread_local bool failed;

static bool fails(enum kind kind)
{
	if (kind != failing || countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

static void fail_at(enum kind kind, unsigned int place)
{
	failing = kind;
	countdown = place;
	failed = false;
}

#define DECLARE(type, name, args) \
	type __real_##name args;  \
	type __wrap_##name args

DECLARE(void *, malloc, (size_t size));
DECLARE(void *, calloc, (size_t n, size_t size));
DECLARE(void *, realloc, (void *p, size_t size));
DECLARE(void *, reallocarray, (void *p, size_t n, size_t size));
DECLARE(char *, strdup, (const char *s));
DECLARE(char *, strndup, (const char *s, size_t n));
DECLARE(void *, mmap, (void *at, size_t len, int prot, int flags, int fd, off_t off));
DECLARE(int, pthread_create,
	(pthread_t * out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg));
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *format,
							  ...);

void *__wrap_malloc(size_t size)
{
	return fails(MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails(MEMORY) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails(MEMORY) ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails(MEMORY) ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails(MEMORY) ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails(MEMORY) ? NULL : __real_strndup(s, n);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list ap;
	int n;

	if (fails(MEMORY))
		return -1;
	va_start(ap, format);
	n = vasprintf(out, format, ap);
	va_end(ap);
	return n;
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	return fails(MAPS) ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, off);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return fails(THREADS) ? EAGAIN : __real_pthread_create(out, attr, fn, arg);
}

/* --- one life --- */

static const char yaml[] =
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

/* All that one life makes; what has not been made is NULL. */
struct life {
	int memory; /* the test's own */
	int event;
	struct belfry_config *cfg;
	struct belfry_links *links;
	struct belfry_vm *vm;
};

static void ignore(void *user, struct belfry_vm *vm, const struct belfry_event *event)
{
}

static int configure(struct life *life, struct belfry_error *err)
{
	char kernel[256];
	char *text;
	int e;

	snprintf(kernel, sizeof(kernel), "%s/guests/ends.elf", build());
	if ((e = belfry_config_create(&life->cfg, err)) < 0 ||
	    (e = belfry_config_load_string(life->cfg, "life", yaml, err)) < 0 ||
	    (e = belfry_config_set(life->cfg, "vms.vm.kernel", kernel, err)) < 0 ||
	    (e = belfry_config_set_fd(life->cfg, "vms.vm.devices.1.ivshmem.file",
				      life->memory, err)) < 0 ||
	    (e = belfry_config_text(life->cfg, &text, err)) < 0)
		return e;
	free(text);
	return 0;
}

static int create_vm(struct life *life, struct belfry_error *err)
{
	int e;

	if ((e = belfry_links_create(life->cfg, &life->links, err)) < 0 ||
	    (e = belfry_links_join(life->links, life->cfg, "vm", err)) < 0 ||
	    (e = belfry_links_start(life->links, err)) < 0)
		return e;
	return belfry_vm_create(life->cfg, "vm", &life->vm, err);
}

static int run_vm(struct life *life, struct belfry_error *err)
{
	int e;

	if ((e = belfry_vm_add_doorbell(life->vm, 1, 0, 0, life->event, err)) < 0 ||
	    (e = belfry_vm_add_doorbell(life->vm, 1, 9, 1, life->event, err)) < 0 ||
	    (e = belfry_vm_set_events(life->vm, ignore, NULL, err)) < 0)
		return e;
	return belfry_vm_start(life->vm, err);
}

/* Return: 0, or what went wrong first; @life is to be ended in any case. */
static int live(struct life *life, struct belfry_error *err)
{
	int e;

	if ((e = configure(life, err)) < 0 || (e = create_vm(life, err)) < 0 ||
	    (e = run_vm(life, err)) < 0)
		return e;
	return belfry_vm_wait(life->vm, LIMIT, NULL);
}

static void end(struct life *life)
{
	belfry_vm_destroy(life->vm);
	belfry_links_destroy(life->links);
	belfry_config_destroy(life->cfg);
	life->vm = NULL;
	life->links = NULL;
	life->cfg = NULL;
}

static struct life fresh_life(void)
{
	struct life life = { .memory = memfd_create("memory", MFD_CLOEXEC),
			     .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	assert_true(life.memory >= 0 && life.event >= 0);
	assert_int_equal(ftruncate(life.memory, 1 << 20), 0);
	return life;
}

static void done(struct life *life)
{
	close(life->memory);
	close(life->event);
}

/* --- memory, maps, threads --- */

/*
 * Fail at each place of @kind in turn. What a VM can do without (a doorbell more, say)
 * may fail without anybody being told. Return: how many places there are.
 */
static unsigned int fail_everywhere(enum kind kind, int errno_)
{
	struct life life = fresh_life();
	const int before = count_descriptors();
	unsigned int place, told = 0;

	for (place = 1; place < PLACES_MAX; place++) {
		struct belfry_error err = { 0 };
		int e;

		fail_at(kind, place);
		e = live(&life, &err);
		countdown = 0;
		if (e < 0 && (e != -errno_ || err.code != e || !err.msg[0]))
			fail_msg("place %u: %d, %s", place, e, err.msg);
		told += e < 0;
		end(&life);
		assert_int_equal(count_descriptors(), before);
		if (!failed)
			break;
	}
	done(&life);
	assert_true(told > 0 && told >= (place - 1) * 9 / 10);
	return place - 1;
}

static void memory_may_run_out_anywhere(void **state)
{
	assert_true(fail_everywhere(MEMORY, ENOMEM) > 50);
}

static void maps_may_be_refused_anywhere(void **state)
{
	assert_true(fail_everywhere(MAPS, ENOMEM) >= 4);
}

static void threads_may_be_refused_anywhere(void **state)
{
	assert_int_equal(fail_everywhere(THREADS, EAGAIN), 4); /* links, loop, vCPUs */
}

static void a_vm_whose_start_fails_has_stopped(void **state)
{
	struct belfry_result result = { .size = sizeof(result) };
	struct life life = fresh_life();
	struct belfry_error err = { 0 };

	fail_at(THREADS, 4); /* the second vCPU's */
	assert_int_equal(live(&life, &err), -EAGAIN);
	assert_string_equal(err.msg, "vCPU 1: thread: Resource temporarily unavailable");
	assert_int_equal(belfry_vm_wait(life.vm, LIMIT, &result), 0);
	assert_int_equal(result.reason, BELFRY_STOP_HOST_ERROR);
	assert_string_equal(result.detail, "start failed");
	assert_int_equal(belfry_vm_state(life.vm), BELFRY_STATE_STOPPED);
	end(&life);
	done(&life);
}

/* --- descriptors --- */

/* So many more may be opened. */
static void allow_descriptors(unsigned int more)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 3 + count_descriptors() + more; /* none is skipped below */
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void descriptors_may_run_out_anywhere(void **state)
{
	struct life life = fresh_life();
	const int before = count_descriptors();
	struct rlimit limit;
	unsigned int more;
	int e = -1;

	getrlimit(RLIMIT_NOFILE, &limit);
	for (more = 0; more < PLACES_MAX && e < 0; more++) {
		struct belfry_error err = { 0 };

		allow_descriptors(more);
		e = live(&life, &err);
		setrlimit(RLIMIT_NOFILE, &limit);
		if (e < 0 && (e != -EMFILE || err.code != e || !err.msg[0]))
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
		cmocka_unit_test(a_vm_whose_start_fails_has_stopped),
		cmocka_unit_test(descriptors_may_run_out_anywhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
