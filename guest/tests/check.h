/* SPDX-License-Identifier: MIT */
/* guest/tests/check.h: what the tests in a guest share: one line for each claim */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_uapi.h"

#define SOON_MS  5000 /* what ought to happen does */
#define QUIET_MS 50   /* what ought not to does not */

/* Print "ok - NAME" or "not ok - NAME". */
__attribute__((format(printf, 2, 3))) void check(bool holds, const char *format, ...);

/* That a call has failed, with this errno. */
#define CHECK_ERRNO(code, call, name) check_errno(code, (call) == -1 ? errno : 0, name)
void check_errno(int want, int got, const char *name);

/* For what the test needs and does not test: print why it cannot go on, and exit. */
__attribute__((noreturn)) void give_up(const char *what);

/* Return: the exit status: 0 if every check held. */
int checked(void);

/* --- devices --- */

int open_device(const char *path, int flags);
struct ivshmem_info info_of(int fd);
int ring(int fd, uint32_t peer, uint32_t vector);
int watch(int fd, uint32_t first, uint32_t count);
int bind_eventfd(int fd, uint32_t vector, int eventfd);
void *map_region(int fd, unsigned int region, uint64_t off, uint64_t size);

/* Whether a descriptor becomes readable; for how long it waits. */
bool readable(int fd, int timeout_ms);

/* What read(2) says: the counter; -1, with errno. */
int64_t read_count(int fd);

/* What an eventfd has, which is 0 afterwards. */
uint64_t take_eventfd(int eventfd);

#endif
