/* SPDX-License-Identifier: MIT */
/*
 * belfry.h - virtual machines that share memory and ring each other's doorbells
 *
 * Life of a program that embeds belfry:
 *
 *	belfry_config_create -> belfry_config_load_file / belfry_config_set
 *	belfry_links_create  -> belfry_links_join       (only for `link` devices)
 *	belfry_links_start
 *	belfry_vm_create     -> belfry_vm_start -> belfry_vm_wait -> belfry_vm_destroy
 *	                        (between create and start: belfry_vm_set_events,
 *	                        belfry_vm_set_console, belfry_vm_own_loop,
 *	                        belfry_vm_add_doorbell)
 *	belfry_links_destroy, belfry_config_destroy
 *
 * Errors. A call that can fail returns 0 (or a useful number above 0) or a negative
 * errno, and fills the caller's struct belfry_error, which may be NULL and which a
 * success leaves untouched. NULL in place of anything else that a call needs is EINVAL.
 *
 * Ownership. Arguments are borrowed for the length of the call unless a comment says
 * "takes" (the callee releases it, also on failure) or "returns" (the caller does).
 * Every descriptor the library opens is close-on-exec.
 *
 * Threads. Handles of different VMs are independent. The calls on one handle may come
 * from any thread, one at a time, except where a comment says otherwise. The library
 * keeps no mutable global state, installs no signal handler, never prints and never
 * ends the process. It runs one thread per vCPU, one more for a VM that has something to
 * wait for (a link, a server, a file or shm that may shrink, console input, events; none
 * after belfry_vm_own_loop()), and one for links that it hosts, all with every signal
 * blocked. It sends SIGURG to its own vCPU threads, and to no other; they also take one
 * that somebody sends to the process while every other thread blocks it. No call raises
 * SIGPIPE.
 *
 * Forking. What is made here belongs to the process that made it: a child of fork(2) may
 * exec, end, or make handles of its own, but must not use those of its parent, nor
 * destroy them. Two exceptions, because nothing of them runs: a struct belfry_config, and
 * a struct belfry_links before its start.
 *
 * Versions. A struct that begins with its size may grow at its end: a program sets size
 * to the sizeof that it was compiled with. The library fills no more than that, with
 * zeros where it knows less; what an older program does not say is as if it were zero;
 * and what a newer one says behind all that the library knows is an error, E2BIG, unless
 * it is zero. A program may so be older or newer than its library. The other structs stay
 * as they are.
 *
 * Everything here is there since 0.1, unless a comment names another version.
 */
#ifndef BELFRY_H
#define BELFRY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BELFRY_API __attribute__((visibility("default")))

/* A time limit that never passes. */
#define BELFRY_FOREVER UINT64_MAX

/* What went wrong: a negative errno and one line for people. */
struct belfry_error {
	int code;
	char msg[252];
};

enum belfry_log_level {
	BELFRY_LOG_ERROR,
	BELFRY_LOG_WARNING,
	BELFRY_LOG_INFO,
	BELFRY_LOG_DEBUG,
};

/*
 * Called with one line, without a newline, from any of the library's threads. It must
 * not call back into the library.
 */
typedef void belfry_log_fn(void *user, enum belfry_log_level level, const char *line);

/**
 * belfry_version - the version of the library, "major.minor.patch"
 *
 * Return: a static string. Any thread.
 */
BELFRY_API const char *belfry_version(void);

/* --- configuration --- */

/*
 * A configuration: links and VMs, as in a config file. One schema describes it; a key is
 * named by its path in the file, such as "vms.ping.memory" or
 * "vms.ping.devices.0.ivshmem.link". belfry.yaml(5) lists every key.
 */
struct belfry_config;

/**
 * belfry_config_create - make an empty configuration
 * @out: set to the new configuration (returns: belfry_config_destroy())
 *
 * Return: 0; -ENOMEM.
 */
BELFRY_API int belfry_config_create(struct belfry_config **out, struct belfry_error *err);

/** belfry_config_destroy - free a configuration and close its descriptors; NULL is fine
 */
BELFRY_API void belfry_config_destroy(struct belfry_config *cfg);

/**
 * belfry_config_load_file - add what a YAML (or JSON) file says
 * @path: the file; "-" is standard input
 *
 * The message names file, line and column: "pair.yaml:7:12: vms.ping.cpus 900: ...".
 * On failure the configuration holds what came before the mistake and should be
 * destroyed.
 *
 * Return: 0; -EINVAL for a mistake in the file; -ENOMEM; -E2BIG for a file above 1 MiB;
 * another negative errno when the file cannot be opened or read.
 */
BELFRY_API int belfry_config_load_file(struct belfry_config *cfg, const char *path,
				       struct belfry_error *err);

/**
 * belfry_config_load_string - add what YAML (or JSON) text says
 * @name: what messages call the text
 * @text: what it says
 *
 * Return: as belfry_config_load_file().
 */
BELFRY_API int belfry_config_load_string(struct belfry_config *cfg, const char *name,
					 const char *text, struct belfry_error *err);

/**
 * belfry_config_set - give one key a value
 * @path:  the key, for example "vms.ping.memory"; VMs and links are created by the first
 *         key set in them, a device by the index one beyond the last
 * @value: the value as text, for example "64M"
 *
 * Return: 0; -EINVAL for an unknown key, a value of the wrong type or out of bounds;
 * -ENOMEM.
 */
BELFRY_API int belfry_config_set(struct belfry_config *cfg, const char *path,
				 const char *value, struct belfry_error *err);

/**
 * belfry_config_set_fd - give a key that names a file or socket an open descriptor
 * @path: the key, for example "vms.ping.console"
 * @fd:   the descriptor; duplicated, so the caller keeps its own
 *
 * A kernel that is in memory, for example, is given by memfd_create(2) and write(2).
 *
 * Return: 0; -EINVAL for an unknown key or one that takes no descriptor; -EBADF; -EMFILE;
 * -ENOMEM.
 */
BELFRY_API int belfry_config_set_fd(struct belfry_config *cfg, const char *path, int fd,
				    struct belfry_error *err);

/**
 * belfry_config_has - whether a key holds a value: given, by descriptor, or by default
 * @path: the key, as for belfry_config_set()
 *
 * Return: 1 or 0; -EINVAL for an unknown key; -ENOMEM.
 */
BELFRY_API int belfry_config_has(struct belfry_config *cfg, const char *path);

/**
 * belfry_config_get - the value of a key, as text that belfry_config_set() takes
 * @path: the key
 * @out: set to the value, or the key's default (returns: free())
 *
 * Return: 0; -ENOENT when there is none, or a descriptor only; -EINVAL for an unknown
 * key; -ENOMEM.
 */
BELFRY_API int belfry_config_get(struct belfry_config *cfg, const char *path, char **out,
				 struct belfry_error *err);

/**
 * belfry_config_remove - take one VM, link or server out, with the descriptors it holds
 * @path: "vms.NAME", "links.NAME" or "servers.NAME"
 *
 * Return: 0; -ENOENT when there is none of that name; -EINVAL for another path.
 */
BELFRY_API int belfry_config_remove(struct belfry_config *cfg, const char *path,
				    struct belfry_error *err);

/**
 * belfry_config_validate - check what no single key can show
 *
 * Missing keys, links that nobody declares, devices with two sources of memory. It does
 * not touch the host: files, sockets and /dev/kvm are looked at by belfry_vm_create().
 *
 * Return: 0; -EINVAL with the first mistake: belfry_config_set_mistakes() shows all.
 */
BELFRY_API int belfry_config_validate(const struct belfry_config *cfg,
				      struct belfry_error *err);

/* Called with one mistake of a configuration, code -EINVAL. It must not change it. */
typedef void belfry_mistake_fn(void *user, const struct belfry_error *mistake);

/**
 * belfry_config_set_mistakes - hear of every mistake, not of the first alone
 * @fn:   called for each; NULL for the default: the first ends the call
 * @user: handed to @fn
 *
 * With @fn, belfry_config_load_file(), belfry_config_load_string() and
 * belfry_config_validate() go on behind a mistake, unless it is one of syntax or the
 * hundredth. They still fail, with the first one. What makes sense of a text is then in
 * the configuration, so that belfry_config_validate() can show what else is wrong with
 * it; a VM must not be made from it.
 */
BELFRY_API void belfry_config_set_mistakes(struct belfry_config *cfg,
					   belfry_mistake_fn *fn, void *user);

/**
 * belfry_config_vm_name - the name of a VM
 * @index: 0 for the first in the file
 *
 * Return: the name, owned by @cfg until it changes; NULL when there are not so many.
 */
BELFRY_API const char *belfry_config_vm_name(const struct belfry_config *cfg,
					     size_t index);

/**
 * belfry_config_server_name - the name of a server (belfry-server.h)
 * @index: 0 for the first in the file
 *
 * Return: the name, owned by @cfg until it changes; NULL when there are not so many.
 */
BELFRY_API const char *belfry_config_server_name(const struct belfry_config *cfg,
						 size_t index);

/**
 * belfry_config_text - the whole configuration as YAML, defaults filled in
 * @out: set to the text (returns: free())
 *
 * Return: 0; -ENOMEM.
 */
BELFRY_API int belfry_config_text(const struct belfry_config *cfg, char **out,
				  struct belfry_error *err);

enum belfry_schema_format {
	BELFRY_SCHEMA_HELP, /* a table for a terminal */
	BELFRY_SCHEMA_MAN,  /* the key list of belfry.yaml(5), in scdoc */
	BELFRY_SCHEMA_JSON, /* a JSON Schema for editors */
};

/**
 * belfry_config_schema - describe every key the library knows
 * @format: for whom
 * @out:    set to the text (returns: free())
 *
 * Return: 0; -EINVAL for an unknown format; -ENOMEM.
 */
BELFRY_API int belfry_config_schema(enum belfry_schema_format format, char **out,
				    struct belfry_error *err);

/**
 * belfry_config_set_log - where links and VMs made from @cfg report what happens to them
 * @fn:   called for lines of @max and more severe ones; NULL for silence (the default)
 * @user: handed to @fn; must outlive all that is made from @cfg
 */
BELFRY_API void belfry_config_set_log(struct belfry_config *cfg, belfry_log_fn *fn,
				      void *user, enum belfry_log_level max);

/* --- links --- */

/* The links of one configuration, hosted by this process: their memory and servers. */
struct belfry_links;

/**
 * belfry_links_create - allocate the memory of every link of @cfg
 * @out: set to the links (returns: belfry_links_destroy()); nothing runs yet, so the
 *       process may still fork
 *
 * Return: 0; -ENOMEM, -EMFILE, -EINVAL or another errno from memfd_create(2) or
 * ftruncate(2).
 */
BELFRY_API int belfry_links_create(const struct belfry_config *cfg,
				   struct belfry_links **out, struct belfry_error *err);

/**
 * belfry_links_join - connect each `link` device of a VM
 * @cfg: where the VM is described; its devices receive connected sockets, as if by
 *       belfry_config_set_fd()
 * @vm:  the VM's name
 *
 * Before belfry_links_start() only. Such a socket is good for one VM, which leaves the
 * link when it is destroyed.
 *
 * Return: 0; -ENOENT for a VM or link that is not there; -EBUSY after the start; -EMFILE;
 * -ENOMEM.
 */
BELFRY_API int belfry_links_join(struct belfry_links *links, struct belfry_config *cfg,
				 const char *vm, struct belfry_error *err);

/**
 * belfry_links_start - serve the links on a thread of their own
 *
 * Return: 0; -ENOSYS or -EPERM when the host does not offer io_uring; -EAGAIN when no
 * thread can be made; -EBUSY when started before; -ENOMEM; -EMFILE.
 */
BELFRY_API int belfry_links_start(struct belfry_links *links, struct belfry_error *err);

/**
 * belfry_links_destroy - stop serving and free; NULL is fine
 *
 * VMs that are still running keep their memory and go on ringing each other.
 */
BELFRY_API void belfry_links_destroy(struct belfry_links *links);

/* --- virtual machines --- */

struct belfry_vm;

/* Why a VM stopped. */
enum belfry_stop {
	BELFRY_STOP_POWEROFF = 1, /* the guest powered itself off (ACPI S5) */
	BELFRY_STOP_RESET,        /* the guest asked for a reset (with on_reset: exit) */
	BELFRY_STOP_CRASH,        /* triple fault, or KVM could not go on */
	BELFRY_STOP_DEBUG_EXIT,   /* the guest wrote its status to the debug-exit port */
	BELFRY_STOP_REQUESTED,    /* belfry_vm_stop() */
	BELFRY_STOP_HOST_ERROR,   /* the host failed the VM */
};

struct belfry_result {
	size_t size; /* set by the caller to sizeof(struct belfry_result) */
	enum belfry_stop reason;
	unsigned int status; /* BELFRY_STOP_DEBUG_EXIT: what the guest wrote, 0..255 */
	char detail[120];    /* one line for people; may be empty */
};

/**
 * belfry_vm_create - build a VM, its memory loaded, its links joined
 * @cfg:  the configuration; not needed by the VM once this returns
 * @name: which VM of @cfg
 * @out:  set to the VM (returns: belfry_vm_destroy())
 *
 * Blocks while devices join their servers, one after the other: up to five seconds each
 * to connect, five for the first messages, and as long as more of our own vectors keep
 * coming, 30 at most.
 *
 * Return: 0;
 * -ENOENT: no such VM, or a file it names is missing;
 * -EINVAL: the configuration, kernel, initrd or command line does not fit;
 * -EBUSY: two devices name the same memory;
 * -ENOSPC: the devices' BARs do not fit into the address space;
 * -ENXIO: the console is a FIFO that nobody reads;
 * -EEXIST: at the path of console_pty there is something that is no symbolic link;
 * -ENOEXEC: the kernel is in no format belfry starts;
 * -EACCES, -EISDIR, -ENOTDIR, -ELOOP and the like: why a file it names cannot be opened;
 * -ENODEV or -EPERM: /dev/kvm is missing or not permitted;
 * -EOPNOTSUPP: KVM lacks something belfry needs, or the host has no such huge pages free;
 * -ENOSYS or -EPERM: the host does not offer io_uring;
 * -ECONNREFUSED, -ETIMEDOUT, -EPROTO: an ivshmem server is absent, silent or wrong;
 * -ENOMEM, -EMFILE and the like: the host ran out of something.
 */
BELFRY_API int belfry_vm_create(const struct belfry_config *cfg, const char *name,
				struct belfry_vm **out, struct belfry_error *err);

/* --- events --- */

/* What happens to a VM. */
enum belfry_event_type {
	BELFRY_EVENT_STARTED = 1, /* its vCPUs run */
	BELFRY_EVENT_STOPPED,     /* @result: why */
	BELFRY_EVENT_RESET,       /* its guest has been started again */
	BELFRY_EVENT_PANICKED,    /* its guest says that it has panicked; it still runs */
	BELFRY_EVENT_PEER_JOINED, /* @device, @peer: its vectors come after this */
	BELFRY_EVENT_PEER_LEFT,   /* @device, @peer */
	BELFRY_EVENT_SERVER_LOST, /* @device, @why; known peers stay */
	BELFRY_EVENT_SERVER_BACK, /* @device; who is on the link has been told before */
	BELFRY_EVENT_SERVER_CHANGED, /* instead of BACK: another link answers there */
};

/* Valid for the length of the callback. What an event does not name is 0 or NULL. */
struct belfry_event {
	size_t size; /* set by the library to what it knows of this struct */
	enum belfry_event_type type;
	uint32_t device; /* the index in the VM's `devices` */
	uint32_t peer;   /* its ID */
	const struct belfry_result *result;
	const struct belfry_error *why;
};

/*
 * Called for one event at a time, by the VM's event thread, or within
 * belfry_vm_process(), with no lock held. It may make any call, stop and wait as well;
 * but belfry_vm_process() returns EBUSY, and belfry_vm_destroy() destroys nothing. While
 * it runs, the VM's link waits.
 */
typedef void belfry_event_fn(void *user, struct belfry_vm *vm,
			     const struct belfry_event *event);

/**
 * belfry_vm_set_events - be told what happens to a VM
 * @fn:   called from the start on, until belfry_vm_destroy() returns; NULL for nobody;
 *        with belfry_vm_own_loop(), belfry_vm_process() calls it before the start, too
 * @user: handed to @fn; must outlive @vm
 *
 * Before belfry_vm_start() only. Peers that are on the link by then are not told of:
 * belfry_vm_peers() is how to find them. A guest that resets or panics faster than @fn
 * returns is told of less often than it does; nothing else is lost.
 *
 * Return: 0; -EINVAL for NULL, or after the start; -ENOSYS or -EPERM when the host does
 * not offer io_uring; -ENOMEM; -EMFILE.
 */
BELFRY_API int belfry_vm_set_events(struct belfry_vm *vm, belfry_event_fn *fn, void *user,
				    struct belfry_error *err);

/**
 * belfry_vm_own_loop - let the caller wait for what the VM waits for
 *
 * The VM then has no event thread. Instead, the caller calls belfry_vm_process() whenever
 * belfry_vm_fd() polls readable (POLLIN), in an event loop of any kind: poll(2), epoll,
 * an io_uring, GLib. vCPUs keep threads of their own, and doorbells need no one.
 *
 * Before belfry_vm_start() only.
 *
 * Return: 0; -EINVAL for NULL, or after the start; -ENOSYS or -EPERM when the host does
 * not offer io_uring; -ENOMEM; -EMFILE.
 */
BELFRY_API int belfry_vm_own_loop(struct belfry_vm *vm, struct belfry_error *err);

/**
 * belfry_vm_process - handle what has happened, and call the event callback
 *
 * Never waits. What it leaves undone, when very much has happened at once, keeps
 * belfry_vm_fd() readable. From any thread, best always from the same one.
 *
 * Return: 0; -EINVAL for NULL, or without belfry_vm_own_loop(); -EBUSY from within a
 * callback, or while another thread is in it; another negative errno when the kernel does
 * not let io_uring go on.
 */
BELFRY_API int belfry_vm_process(struct belfry_vm *vm, struct belfry_error *err);

/* --- console --- */

/*
 * The guest's serial port is a file, a terminal, a socket, a pipe: the keys `console`,
 * `console_input` and `console_pty`, by path or belfry_config_set_fd(). Or it is these
 * two calls.
 */

/*
 * Called with what the guest has written, by one of the VM's vCPU threads, one call at a
 * time. It may make any call; but belfry_vm_wait() returns EDEADLK, as this vCPU is what
 * it would wait for, and belfry_vm_destroy() destroys nothing. While it runs, that vCPU
 * waits. Its stack is small: 1 MiB, with the program's thread-local variables in it.
 */
typedef void belfry_console_fn(void *user, struct belfry_vm *vm, const void *data,
			       size_t len);

/**
 * belfry_vm_set_console - be given what the guest writes to its serial port
 * @fn:   called with each piece, as it comes; NULL: nobody looks
 * @user: handed to @fn; must outlive @vm
 *
 * Before belfry_vm_start() only. `console_prefix` is not put in front of lines.
 *
 * Return: 0; -EINVAL for NULL, after the start, or when the configuration has given the
 * VM a `console` or `console_pty`.
 */
BELFRY_API int belfry_vm_set_console(struct belfry_vm *vm, belfry_console_fn *fn,
				     void *user, struct belfry_error *err);

/**
 * belfry_vm_console_input - let the guest receive bytes at its serial port
 * @data: @len bytes
 *
 * Never waits. A guest that does not read takes what its port holds, some bytes, and no
 * more: for what has to arrive whole, `console_input` with a pipe or socket is better.
 * Any thread.
 *
 * Return: how many bytes were taken, 0 to @len; -EINVAL for NULL, or when the VM has not
 * started or has stopped.
 */
BELFRY_API int belfry_vm_console_input(struct belfry_vm *vm, const void *data, size_t len,
				       struct belfry_error *err);

/* --- life --- */

/**
 * belfry_vm_start - let the vCPUs run
 *
 * Return: 0; -EINVAL when started before, or for an `affinity` that the host does not
 * allow; -EAGAIN when no thread can be made; -ENOMEM. After a failure the VM has stopped,
 * and its guest has not run.
 */
BELFRY_API int belfry_vm_start(struct belfry_vm *vm, struct belfry_error *err);

/**
 * belfry_vm_wait - wait until the VM has stopped
 * @timeout_ns: how long to wait, in nanoseconds; BELFRY_FOREVER for no limit
 * @result:     filled on success; may be NULL
 *
 * Any thread, several at a time.
 *
 * Return: 0; -ETIMEDOUT when the VM still runs; -EDEADLK from a console callback while it
 * does; -EINVAL for NULL, when it was never started, or when @result->size has not been
 * set.
 */
BELFRY_API int belfry_vm_wait(struct belfry_vm *vm, uint64_t timeout_ns,
			      struct belfry_result *result);

/**
 * belfry_vm_fd - a descriptor that polls readable once the VM has stopped
 *
 * After belfry_vm_own_loop() it is another one, which polls readable when
 * belfry_vm_process() has something to do as well. Waiting for that one may end with
 * EINTR although no signal has come. Any thread.
 *
 * Return: the descriptor, owned by @vm; only poll it. -EINVAL for NULL.
 */
BELFRY_API int belfry_vm_fd(const struct belfry_vm *vm);

/**
 * belfry_vm_stop - make the VM stop, at once and without asking the guest
 *
 * Returns before the VM has stopped; belfry_vm_wait() waits. A VM that has not started
 * stops as soon as it does; one that has stopped stays as it is. Any thread.
 */
BELFRY_API void belfry_vm_stop(struct belfry_vm *vm);

/**
 * belfry_vm_power_button - ask the guest to power off
 *
 * As if somebody had pressed the power button of a PC for a moment. A guest that listens
 * powers off in its own time (BELFRY_STOP_POWEROFF); one that does not runs on, and while
 * it starts or resets nobody listens. Any thread.
 *
 * Return: 0; 1 when the guest does not listen (it has the button's interrupt masked);
 * -EINVAL when the VM has not started or has stopped.
 */
BELFRY_API int belfry_vm_power_button(struct belfry_vm *vm, struct belfry_error *err);

/**
 * belfry_vm_pause - hold the vCPUs
 *
 * When it returns, no vCPU runs the guest until belfry_vm_resume(); console output that
 * is on its way may still arrive. Interrupts, and what comes from a link or the console,
 * wait. The clocks go on: a guest that knows kvmclock is told that it was held. Pausing
 * twice is as good as once. A VM that is paused can be stopped, reset (it stays paused)
 * and destroyed. Any thread.
 *
 * Return: 0; -EINVAL for NULL, or when the VM has not started or has stopped.
 */
BELFRY_API int belfry_vm_pause(struct belfry_vm *vm, struct belfry_error *err);

/**
 * belfry_vm_resume - let the vCPUs go on
 *
 * Does nothing to a VM that is not paused. Any thread.
 *
 * Return: 0; -EINVAL for NULL, or when the VM has not started or has stopped.
 */
BELFRY_API int belfry_vm_resume(struct belfry_vm *vm, struct belfry_error *err);

/**
 * belfry_vm_reset - power the VM off and on again, at once and without asking the guest
 *
 * Whatever `on_reset` says. The guest starts from its kernel with cleared memory; devices
 * keep their place on the link. Returns before it has been started again, which
 * BELFRY_EVENT_RESET tells. Any thread.
 *
 * Return: 0; -EINVAL for NULL, or when the VM has not started, has stopped or is about
 * to.
 */
BELFRY_API int belfry_vm_reset(struct belfry_vm *vm, struct belfry_error *err);

enum belfry_state {
	BELFRY_STATE_CREATED = 1,
	BELFRY_STATE_RUNNING,
	BELFRY_STATE_PAUSED,
	BELFRY_STATE_STOPPED,
};

/**
 * belfry_vm_state - where in its life the VM is
 *
 * Any thread.
 *
 * Return: an enum belfry_state; -EINVAL for NULL.
 */
BELFRY_API int belfry_vm_state(struct belfry_vm *vm);

/* --- statistics --- */

struct belfry_stats {
	size_t size;             /* set by the caller to sizeof(struct belfry_stats) */
	uint64_t exits;          /* KVM_RUN returned to user space */
	uint64_t doorbell_exits; /* ... because of a doorbell no ioeventfd took */
	uint64_t resets;         /* how often the guest has been started again */
	uint64_t panics;         /* how often the guest has said that it has panicked */
};

/**
 * belfry_vm_stats - what has been counted so far
 *
 * Any thread.
 *
 * Return: 0; -EINVAL when @stats->size is too small.
 */
BELFRY_API int belfry_vm_stats(struct belfry_vm *vm, struct belfry_stats *stats);

/* What has happened to one ivshmem device. Rings that stay in the kernel are not seen. */
struct belfry_ivshmem_stats {
	size_t size; /* set by the caller to sizeof(struct belfry_ivshmem_stats) */
	uint64_t slow_rings;    /* rung by user space */
	uint64_t ignored_rings; /* for a peer or vector that is not there */
	uint64_t promotions; /* doorbells given a place in KVM because they were rung */
	uint64_t refusals;   /* doorbells that KVM had no room for */
	uint64_t waiting_events; /* vectors that had been rung while they were masked */
	uint64_t servers_lost;
	uint64_t reconnects;
	uint32_t peers;        /* on the link now, this one included */
	uint32_t id;           /* this one's: IVPosition */
	uint64_t tries;        /* to reach a lost server again */
	uint64_t bad_messages; /* of the server: made no sense and were skipped */
	uint32_t unheld;       /* peers' vectors that there was no descriptor left for */
	uint32_t reserved;
};

/**
 * belfry_vm_ivshmem_stats - what has happened to an ivshmem device
 * @index: which one: 0 for the first of the VM's `devices`
 * @stats: filled on success
 *
 * Any thread.
 *
 * Return: 0; -ENOENT when there are not so many; -EINVAL when @stats->size is too small.
 */
BELFRY_API int belfry_vm_ivshmem_stats(struct belfry_vm *vm, unsigned int index,
				       struct belfry_ivshmem_stats *stats);

struct belfry_peer_stats {
	size_t size; /* in the first: set by the caller, and the distance of all */
	uint32_t id;
	uint32_t vectors;
	uint64_t slow_rings; /* rung by user space */
};

/**
 * belfry_vm_peers - who is on the link of an ivshmem device, this one included
 * @index: which device: 0 for the first of the VM's `devices`
 * @peers: an array, filled with at most @max entries, by rising ID; @peers[0].size is
 *         set by the caller; may be NULL when @max is 0
 *
 * Any thread.
 *
 * Return: how many peers there are, which may be more than @max; -ENOENT when there is no
 * such device; -EINVAL for a NULL @peers, or when @peers->size is too small.
 */
BELFRY_API int belfry_vm_peers(struct belfry_vm *vm, unsigned int index,
			       struct belfry_peer_stats *peers, unsigned int max);

/* --- links without a server --- */

/*
 * A device with `by_hand: true` has its memory from `file` or `shm` (by descriptor, if
 * the embedder likes), and its doorbells from whoever calls belfry_vm_add_doorbell():
 * plain eventfds. Two VMs that share memory and ring each other need no more than
 *
 *	an eventfd for each, which both are given as that VM's doorbell
 *
 * and a host program is a peer, too: it writes to one eventfd and reads another.
 */

/**
 * belfry_vm_add_doorbell - give a device one more doorbell
 * @index:   which device: 0 for the first of the VM's `devices`
 * @peer:    whose doorbell it is, 0 to 65535: that of another, which the guest can ring;
 *           or the device's own `id`: the eventfd then interrupts the guest
 * @vector:  which of that peer's vectors, below the device's `vectors`
 * @eventfd: what is written to, or read; duplicated, so the caller keeps its own, which
 *           may become non-blocking (O_NONBLOCK is common to all duplicates)
 *
 * Before the start or later, from any thread. Events that wait in the eventfd of an own
 * vector interrupt the guest once it can be. One eventfd can be the own vector of one
 * device only: KVM has it at a single place.
 *
 * Return: 0; -ENOENT when there is no such device; -EEXIST when that doorbell is there;
 * -EINVAL for NULL, a device without `by_hand`, a number out of bounds, or a descriptor
 * that is no eventfd; -EBADF; -EMFILE; -ENOMEM.
 */
BELFRY_API int belfry_vm_add_doorbell(struct belfry_vm *vm, unsigned int index,
				      uint32_t peer, uint32_t vector, int eventfd,
				      struct belfry_error *err);

/**
 * belfry_vm_remove_peer - take all doorbells of a peer away again
 * @index: which device: 0 for the first of the VM's `devices`
 * @peer:  whose doorbells; the device's own `id`: nothing interrupts the guest any more
 *
 * Any thread.
 *
 * Return: 0; -ENOENT when there is no such device or peer; -EINVAL for NULL, or a device
 * without `by_hand`.
 */
BELFRY_API int belfry_vm_remove_peer(struct belfry_vm *vm, unsigned int index,
				     uint32_t peer, struct belfry_error *err);

/* --- the end --- */

/**
 * belfry_vm_destroy - stop the VM if it runs, and free everything; NULL is fine
 *
 * No other call on @vm may be under way. From within one of its callbacks it destroys
 * nothing, and the log is told so. Links, configuration and VMs may be destroyed in any
 * order.
 *
 * The kernel takes its time to close a VM, where it waits for RCU: 10 ms to take the
 * timer (PIT) off the interrupt controller, and 20 ms if the VM was made just before
 * (Linux 6.18; libbelfry(3) has more). It does not work meanwhile, so several threads
 * that destroy a VM each take no longer together than one.
 */
BELFRY_API void belfry_vm_destroy(struct belfry_vm *vm);

#ifdef __cplusplus
}
#endif

#endif
