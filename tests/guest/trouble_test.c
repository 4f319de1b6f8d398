/* SPDX-License-Identifier: MIT */
/* tests/guest/trouble_test.c - VMs among servers, consoles and signals that mean no good
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/descriptors.h"
#include "tests/guest/vm_test.h"
#include "tests/peers/fake_server.h"

#define LIMIT_S 30 /* what hangs ends the program */
#define SOON    (5 * SECOND)

static int limit_time(void **state)
{
	alarm(LIMIT_S);
	return 0;
}

static int time_is_over(void **state)
{
	alarm(0);
	return 0;
}

static void stop_at_once(struct belfry_vm *vm)
{
	struct belfry_result result = { .size = sizeof(result) };

	belfry_vm_stop(vm);
	assert_int_equal(belfry_vm_wait(vm, SOON, &result), 0);
	assert_int_equal(result.reason, BELFRY_STOP_REQUESTED);
}

static uint64_t exits(struct belfry_vm *vm)
{
	struct belfry_stats stats = { .size = sizeof(stats) };

	assert_int_equal(belfry_vm_stats(vm, &stats), 0);
	return stats.exits;
}

/* --- a guest of a few bytes of code ----------------------------------------------------
 */

#define CODE_AT 0x200000

/* A kernel with a PVH entry, where @code runs in 32-bit mode (returns a descriptor). */
static int tiny_guest(const uint8_t *code, size_t len)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr note_ph, code_ph;
		Elf64_Nhdr nh;
		char name[4];
		uint32_t entry;
		uint8_t code[64];
	} elf = {
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(__typeof__(elf), note_ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2 },
		.note_ph = { .p_type = PT_NOTE,
			     .p_offset = offsetof(__typeof__(elf), nh),
			     .p_filesz = sizeof(elf.nh) + sizeof(elf.name) + 4 },
		.code_ph = { .p_type = PT_LOAD,
			     .p_offset = offsetof(__typeof__(elf), code),
			     .p_paddr = CODE_AT,
			     .p_filesz = len,
			     .p_memsz = len },
		.nh = { .n_namesz = 4, .n_descsz = 4, .n_type = 18 },
		.name = "Xen",
		.entry = CODE_AT,
	};
	int fd = memfd_create("tiny", MFD_CLOEXEC);

	assert_true(fd >= 0 && len <= sizeof(elf.code));
	memcpy(elf.code, code, len);
	assert_int_equal(write(fd, &elf, sizeof(elf)), sizeof(elf));
	return fd;
}

/* One VM that runs @code, with lines of its console marked. */
static struct belfry_config *tiny_vm(const uint8_t *code, size_t len)
{
	struct belfry_config *cfg = config("vms: { vm: { kernel: x, memory: 32M } }");
	BF_CLOSE int kernel = tiny_guest(code, len);

	set_fd(cfg, "vms.vm.kernel", kernel);
	set(cfg, "vms.vm.console_prefix", "a VM whose name is a bit longer| ");
	return cfg;
}

static const uint8_t prints_lines_for_ever[] = {
	0x66, 0xba, 0xf8, 0x03, /* mov $0x3f8, %dx: COM1 */
	0xb0, '\n',             /* mov $'\n', %al */
	0xee,                   /* again: out %al, (%dx) */
	0xeb, 0xfd,             /* jmp again */
};

static const uint8_t prints_half_a_line[] = {
	0x66, 0xba, 0xf8, 0x03, /* mov $0x3f8, %dx: COM1 */
	0xb0, 'x',              /* mov $'x', %al */
	0xee,                   /* out %al, (%dx) */
	0xb0, 0xfe,             /* mov $0xfe, %al: reset */
	0xe6, 0x64,             /* out %al, $0x64: by the i8042 */
	0xf4,                   /* hlt */
};

/* --- servers --- */

#define LATE_VECTORS 7
#define MARK_OF(d)   (0x1111 * ((d) + 1)) /* several.c: in 64-bit word 0x800 / 8 */

struct link_end {
	int sock; /* the server's */
	int memory;
	volatile uint64_t *words;
};

/* A server that has told all of a handshake but LATE_VECTORS vectors; @ours is the VM's
 * end.
 */
static struct link_end serve(int *ours)
{
	struct link_end end = { .sock = fake_connect(ours) };

	end.memory = memfd_create("link", MFD_CLOEXEC);
	assert_int_equal(ftruncate(end.memory, 4096), 0);
	end.words = mmap(NULL, 4096, PROT_READ, MAP_SHARED, end.memory, 0);
	assert_true(end.words != MAP_FAILED);
	fake_greet(end.sock, 0, end.memory);
	fake_send_vectors(end.sock, 0, 1);
	return end;
}

static void serve_no_more(struct link_end *end)
{
	munmap((void *)end->words, 4096);
	bf_close(&end->memory);
	bf_close(&end->sock);
}

/* A VM with two devices, each with a server of its own. */
static struct belfry_config *vm_of_two(struct link_end ends[2], const char *guest,
				       const char *vectors)
{
	struct belfry_config *cfg = one_vm(guest, "devices=2");

	for (unsigned int d = 0; d < 2; d++) {
		BF_CLOSE int ours = -1;
		char path[64];

		ends[d] = serve(&ours);
		snprintf(path, sizeof(path), "vms.vm.devices.%u.ivshmem.socket", d);
		set_fd(cfg, path, ours);
		snprintf(path, sizeof(path), "vms.vm.devices.%u.ivshmem.vectors", d);
		set(cfg, path, vectors);
	}
	return cfg;
}

static bool wait_for_word(volatile uint64_t *word, uint64_t want)
{
	for (unsigned int i = 0; i < 5000 && *word != want; i++)
		usleep(1000);
	return *word == want;
}

/* Holds the thread that logs, once @hold is set. */
struct slow_log {
	atomic_bool hold, holds;
};

static void log_slowly(void *user, enum belfry_log_level level, const char *line)
{
	struct slow_log *log = user;

	if (!atomic_exchange(&log->hold, false))
		return;
	atomic_store(&log->holds, true);
	usleep(50000);
}

/* The event loop is busy, vectors have come, and nobody takes them in but destroy. */
static void vectors_that_come_while_a_vm_is_destroyed_do_no_harm(void **state)
{
	const int before = count_descriptors();
	struct slow_log log = { false };
	struct link_end ends[2];
	struct belfry_config *cfg = vm_of_two(ends, "several", "8");
	struct belfry_vm *vm;

	belfry_config_set_log(cfg, log_slowly, &log, BELFRY_LOG_WARNING);
	vm = start(cfg, "vm");
	for (unsigned int d = 0; d < 2; d++) /* MSI-X is on, and all 8 are unmasked */
		assert_true(wait_for_word(&ends[d].words[0x800 / 8], MARK_OF(d)));
	stop_at_once(vm);
	atomic_store(&log.hold, true);
	fake_send(ends[1].sock, 999, -1); /* has left, but never came: worth a line */
	while (!atomic_load(&log.holds))
		usleep(100);
	for (unsigned int d = 0; d < 2; d++)
		fake_send_vectors(ends[d].sock, 0, LATE_VECTORS);

	belfry_vm_destroy(vm);

	belfry_config_destroy(cfg);
	for (unsigned int d = 0; d < 2; d++)
		serve_no_more(&ends[d]);
	assert_int_equal(count_descriptors(), before);
}

/* Peers come and go for as long as there is somebody to tell. */
static void *crowd(void *arg)
{
	struct link_end *end = arg;
	const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	for (unsigned int id = 1;; id = id % 100 + 1)
		if (!fake_send_wait(end->sock, id, event) ||
		    !fake_send_wait(end->sock, id, -1))
			break;
	close(event);
	return NULL;
}

static void a_vm_is_destroyed_while_its_servers_talk(void **state)
{
	const int before = count_descriptors();

	for (unsigned int i = 0; i < 5; i++) {
		struct link_end ends[2];
		struct belfry_config *cfg = vm_of_two(ends, "idle", "1");
		struct belfry_vm *vm = start(cfg, "vm");
		pthread_t threads[2];

		belfry_config_destroy(cfg); /* has a copy of our ends */
		for (unsigned int d = 0; d < 2; d++)
			assert_int_equal(
				pthread_create(&threads[d], NULL, crowd, &ends[d]), 0);
		usleep(5000);
		belfry_vm_destroy(vm);
		for (unsigned int d = 0; d < 2; d++) {
			pthread_join(threads[d], NULL);
			serve_no_more(&ends[d]);
		}
	}
	assert_int_equal(count_descriptors(), before);
}

/* --- consoles --- */

/* A terminal (returns), whose other end is @master. */
static int terminal(int *master)
{
	char name[64];
	int fd;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*master >= 0);
	assert_int_equal(grantpt(*master), 0);
	assert_int_equal(unlockpt(*master), 0);
	assert_int_equal(ptsname_r(*master, name, sizeof(name)), 0);
	fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Until the guest gets no further. */
static void wait_until_stuck(struct belfry_vm *vm)
{
	uint64_t before, now = exits(vm);

	do {
		before = now;
		usleep(50000);
		now = exits(vm);
	} while (now == 0 || now != before);
}

static void a_terminal_nobody_reads_does_not_keep_a_vm_from_stopping(void **state)
{
	struct belfry_config *cfg =
		tiny_vm(prints_lines_for_ever, sizeof(prints_lines_for_ever));
	BF_CLOSE int master = -1;
	BF_CLOSE int slave = terminal(&master);
	struct belfry_vm *vm;

	set_fd(cfg, "vms.vm.console", slave);
	vm = start(cfg, "vm");
	wait_until_stuck(vm);
	stop_at_once(vm);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	assert_int_equal(fcntl(slave, F_GETFL) & O_NONBLOCK, 0); /* it is not only ours */
}

static void a_last_line_without_an_end_is_there_when_the_vm_has_stopped(void **state)
{
	struct belfry_config *cfg =
		tiny_vm(prints_half_a_line, sizeof(prints_half_a_line));
	struct belfry_vm *vm;
	char text[64] = { 0 };
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	set_fd(cfg, "vms.vm.console", ends[1]);
	vm = start(cfg, "vm");
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_RESET);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "a VM whose name is a bit longer| x\n");

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	close(ends[0]);
	close(ends[1]);
}

static void destroy_does_not_write_to_a_console_whose_reader_has_gone(void **state)
{
	struct belfry_config *cfg =
		tiny_vm(prints_half_a_line, sizeof(prints_half_a_line));
	struct belfry_vm *vm;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	set_fd(cfg, "vms.vm.console", ends[1]);
	signal(SIGPIPE, SIG_DFL);
	vm = start(cfg, "vm");
	assert_int_equal(wait_for(vm).reason, BELFRY_STOP_RESET);
	close(ends[0]);

	belfry_vm_destroy(vm);

	belfry_config_destroy(cfg);
	close(ends[1]);
}

static void a_reader_that_goes_does_not_end_the_process(void **state)
{
	struct belfry_config *cfg =
		tiny_vm(prints_lines_for_ever, sizeof(prints_lines_for_ever));
	struct belfry_vm *vm;
	uint64_t before;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	set_fd(cfg, "vms.vm.console", ends[1]);
	signal(SIGPIPE, SIG_DFL);
	vm = start(cfg, "vm");
	wait_until_stuck(vm);
	before = exits(vm);
	close(ends[0]);
	for (unsigned int i = 0; i < 5000 && exits(vm) == before; i++)
		usleep(1000);
	assert_true(exits(vm) > before); /* the guest goes on */
	stop_at_once(vm);

	belfry_vm_destroy(vm);
	belfry_config_destroy(cfg);
	close(ends[1]);
}

/* --- signals --- */

/* The guest waits for its console meanwhile, outside of KVM_RUN. */
static void
a_signal_for_the_process_that_nobody_takes_does_not_stop_the_guest(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	struct belfry_result result = { .size = sizeof(result) };
	struct belfry_vm *vm;
	char line[4096] = { 0 };
	sigset_t all, before;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], line, sizeof(line)) > 0) /* until it is full */
		;
	set_fd(cfg, "vms.vm.console", ends[1]);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	vm = start(cfg, "vm");
	wait_until_stuck(vm);
	kill(getpid(), SIGURG);
	while (read(ends[0], line, sizeof(line)) == sizeof(line))
		;

	assert_int_equal(belfry_vm_wait(vm, SOON, &result), 0);
	assert_int_equal(result.reason, BELFRY_STOP_DEBUG_EXIT);
	assert_true(exits(vm) < 10000);

	belfry_vm_destroy(vm);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	belfry_config_destroy(cfg);
	close(ends[0]);
	close(ends[1]);
}

/* --- what cannot be created --- */

#define TIMES 200

static void assert_fails_cleanly(struct belfry_config *cfg, int code)
{
	const int before = count_descriptors();

	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	for (unsigned int i = 0; i < TIMES; i++) {
		struct belfry_error err = { 0 };
		struct belfry_vm *vm = NULL;

		assert_int_equal(belfry_vm_create(cfg, "vm", &vm, &err), code);
		assert_int_equal(err.code, code);
		assert_null(vm);
		assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	}
	assert_int_equal(count_descriptors(), before);
	belfry_config_destroy(cfg);
}

static void a_missing_kernel_leaves_no_descriptor_and_takes_none(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");

	set(cfg, "vms.vm.kernel", "/nonexistent");
	assert_fails_cleanly(cfg, -ENOENT);
}

static void a_missing_initrd_leaves_no_descriptor_and_takes_none(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");

	set(cfg, "vms.vm.initrd", "/nonexistent");
	assert_fails_cleanly(cfg, -ENOENT);
}

static void a_missing_server_leaves_no_descriptor_and_takes_none(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");

	set(cfg, "vms.vm.devices.0.ivshmem.socket", "/nonexistent");
	assert_fails_cleanly(cfg, -ECONNREFUSED);
}

static void memory_of_a_wrong_size_leaves_no_descriptor_and_takes_none(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");
	BF_CLOSE int memory = memfd_create("small", MFD_CLOEXEC);

	set_fd(cfg, "vms.vm.devices.0.ivshmem.file", memory);
	set(cfg, "vms.vm.devices.0.ivshmem.size", "1M");
	assert_fails_cleanly(cfg, -EINVAL);
}

static void
a_console_that_cannot_be_opened_leaves_no_descriptor_and_takes_none(void **state)
{
	struct belfry_config *cfg = one_vm("hello", "");

	set(cfg, "vms.vm.console", "/nonexistent/console");
	assert_fails_cleanly(cfg, -ENOENT);
}

#define trouble_test(f) cmocka_unit_test_setup_teardown(f, limit_time, time_is_over)

int main(void)
{
	const struct CMUnitTest tests[] = {
		trouble_test(vectors_that_come_while_a_vm_is_destroyed_do_no_harm),
		trouble_test(a_vm_is_destroyed_while_its_servers_talk),
		trouble_test(a_terminal_nobody_reads_does_not_keep_a_vm_from_stopping),
		trouble_test(a_last_line_without_an_end_is_there_when_the_vm_has_stopped),
		trouble_test(destroy_does_not_write_to_a_console_whose_reader_has_gone),
		trouble_test(a_reader_that_goes_does_not_end_the_process),
		trouble_test(
			a_signal_for_the_process_that_nobody_takes_does_not_stop_the_guest),
		trouble_test(a_missing_kernel_leaves_no_descriptor_and_takes_none),
		trouble_test(a_missing_initrd_leaves_no_descriptor_and_takes_none),
		trouble_test(a_missing_server_leaves_no_descriptor_and_takes_none),
		trouble_test(memory_of_a_wrong_size_leaves_no_descriptor_and_takes_none),
		trouble_test(
			a_console_that_cannot_be_opened_leaves_no_descriptor_and_takes_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
