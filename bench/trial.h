/* SPDX-License-Identifier: MIT */
/* bench/trial.h - one run of one contestant: a process of its own, and what came of it */
#ifndef BENCH_TRIAL_H
#define BENCH_TRIAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <belfry.h>

#include "bench/noise.h"
#include "bench/scenario.h"
#include "guest-tests/bench_regs.h"

#define TRIAL_CPUS_MAX    16
#define TRIAL_SAMPLES_MAX 60000
#define TRIAL_PAGE_SIZE   (256 << 10) /* a power of two; the samples fit in */

/* What all trials have in common. */
struct bench_lab {
	int cpus[TRIAL_CPUS_MAX]; /* for vCPUs, in turn */
	unsigned int n_cpus;      /* 0: vCPUs are not pinned */
	unsigned int ms, warmup_ms;
	char qemu[256];    /* its path; "" when there is none */
	char folder[64];   /* for a socket */
	int kernel, hello; /* descriptors of the guests' programs */
	int page_fd;       /* the memory that samples are written to */
	volatile struct bench_page *page;
	int signals;   /* signalfd: what stops a trial */
	sigset_t mask; /* of signals, before */
};

#define BENCH_LAB_CLOSED \
	((struct bench_lab){ .kernel = -1, .hello = -1, .page_fd = -1, .signals = -1 })

struct bench_trial {
	const struct bench_lab *lab;
	const struct bench_scenario *scenario;
	uint64_t value; /* of the scenario's parameter */
	enum bench_contestant contestant;
};

/* Besides the samples in the lab's page. */
struct bench_report {
	int64_t exits; /* -1: not known */
	struct noise noise;
	bool done;
	struct belfry_error err;
};

/*
 * Fill in what follows the settings; it is closed before.
 * Return: 0; a negative errno. To be closed by bench_lab_close(), also after a failure.
 */
int bench_lab_open(struct bench_lab *lab, struct belfry_error *err);
void bench_lab_close(struct bench_lab *lab);

/* Return: a signal that has come; 0. */
int bench_lab_signal(const struct bench_lab *lab);

/*
 * Run it. Whatever happens in it, nothing of it is left when this returns.
 * Return: 0; -EINTR when a signal came, which is in @signal then; another negative errno
 * when it failed.
 */
int bench_trial_run(const struct bench_trial *trial, struct bench_report *report,
		    int *signal, struct belfry_error *err);

/* --- within a trial's process --- */

#define GUESTS_MAX 16

struct guest {
	char cmdline[256];
	int socket;  /* connected to the link's server */
	int console; /* what it prints */
	int cpu;     /* -1: anywhere */
	bool measures;
};

struct guests {
	const struct bench_trial *trial;
	struct guest guest[GUESTS_MAX];
	unsigned int n;
	unsigned int vectors;
	uint64_t link_size;
	int memory;              /* of the link */
	pid_t pids[GUESTS_MAX];  /* of guests with processes of their own; by start() */
	int wstatus[GUESTS_MAX]; /* as by waitpid(), of a guest's own process */
	unsigned int n_pids;
	char detail[GUESTS_MAX][120]; /* why a guest has ended; may be empty */
	void *vmm;
};

#define GUEST_RUNNING -1

/* How a process has ended, as by waitpid(): "with status 3", "by signal 11 (...)" */
struct trial_end {
	char text[64];
};

struct trial_end trial_end_of(int wstatus);

/* A VMM. One whose guests do not end is not stopped: the process is. */
struct vmm_ops {
	int (*start)(struct guests *g, struct belfry_error *err);
	int (*status)(struct guests *g, unsigned int i); /* 0: ended well */
	int64_t (*exits)(struct guests *g);              /* so far; -1: not known */
	void (*end)(struct guests *g); /* all guests have ended; may be NULL */
};

extern const struct vmm_ops vmm_floor;
extern const struct vmm_ops vmm_belfry;
extern const struct vmm_ops vmm_qemu;

/*
 * The command line of a program that starts one guest and shows its console on standard
 * output, ended by NULL. @kernel and @socket are paths; @socket is NULL for no link.
 */
#define START_ARGS_MAX 48

struct start_args {
	int ends; /* its status after a guest that ended well */
	const char *argv[START_ARGS_MAX];
	char text[START_ARGS_MAX][320];
	unsigned int n;
};

__attribute__((format(printf, 2, 3))) void start_arg(struct start_args *a,
						     const char *fmt, ...);
void start_args_floor(struct start_args *a, const struct bench_lab *lab,
		      const char *kernel, const char *socket);
void start_args_belfry(struct start_args *a, const struct bench_lab *lab,
		       const char *kernel, const char *socket);
void start_args_qemu(struct start_args *a, const struct bench_lab *lab,
		     const char *kernel, const char *socket);

/* bench/trial_start.c, bench/trial_host.c: other ways to fill the page */
int bench_measure_starts(const struct bench_trial *trial, struct belfry_error *err);
int bench_measure_host(const struct bench_trial *trial, struct belfry_error *err);

#endif
