/* SPDX-License-Identifier: MIT */
/* tests/guest/trouble_test.c - VMs among servers, consoles and signals that mean no good */
#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
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

static void set_fd(struct belfry_config *cfg, const char *path, int fd)
{
	struct belfry_error err = { 0 };

	if (belfry_config_set_fd(cfg, path, fd, &err) < 0)
		fail_msg("%s", err.msg);
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
	struct link_end end;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	end.sock = ends[0];
	*ours = ends[1];
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

/* A VM with two devices whose guest waits for interrupts from all 8 vectors of both. */
static struct belfry_config *vm_of_two(struct link_end ends[2], const char *more)
{
	struct belfry_config *cfg = one_vm("several", "devices=2");

	for (unsigned int d = 0; d < 2; d++) {
		BF_CLOSE int ours = -1;
		char path[64];

		ends[d] = serve(&ours);
		snprintf(path, sizeof(path), "vms.vm.devices.%u.ivshmem.socket", d);
		set_fd(cfg, path, ours);
		snprintf(path, sizeof(path), "vms.vm.devices.%u.ivshmem.vectors", d);
		set(cfg, path, "8");
	}
	return cfg;
}
