/* SPDX-License-Identifier: MIT */
/* bench/lab.c - what all runs have in common: guests, the memory of samples, signals */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/own.h"
#include "bench/payloads.h"
#include "bench/trial.h"

static int open_payload(const char *name, const char *from, const char *end,
			struct belfry_error *err)
{
	BF_CLOSE int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || write(fd, from, end - from) != end - from)
		return bf_err_sys(err, errno, "memory for %s", name);
	return bf_take(&fd);
}

static int open_page(struct bench_lab *lab, struct belfry_error *err)
{
	void *page;

	lab->page_fd =
		memfd_create("belfry-bench-samples", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (lab->page_fd < 0 || ftruncate(lab->page_fd, TRIAL_PAGE_SIZE) < 0 ||
	    fcntl(lab->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return bf_err_sys(err, errno, "memory for samples");
	page = mmap(NULL, TRIAL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    lab->page_fd, 0);
	if (page == MAP_FAILED)
		return bf_err_sys(err, errno, "map memory for samples");
	lab->page = page;
	return 0;
}

/* SIGINT, SIGTERM and SIGHUP are read from now on, unless they were ignored before. */
static int open_signals(struct bench_lab *lab, struct belfry_error *err)
{
	static const int stopping[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	for (unsigned int i = 0; i < BF_ARRAY_LEN(stopping); i++)
		if (sigaction(stopping[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, stopping[i]);
	sigprocmask(SIG_BLOCK, &set, &lab->mask);
	lab->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return lab->signals < 0 ? bf_err_sys(err, errno, "signalfd") : 0;
}

int bench_lab_signal(const struct bench_lab *lab)
{
	struct signalfd_siginfo info;

	return read(lab->signals, &info, sizeof(info)) == sizeof(info) ? info.ssi_signo
								       : 0;
}

/* The next one ends the program, whatever it is at. */
static void close_signals(struct bench_lab *lab)
{
	if (lab->signals >= 0)
		sigprocmask(SIG_SETMASK, &lab->mask, NULL);
	bf_close(&lab->signals);
}

static int open_folder(struct bench_lab *lab, struct belfry_error *err)
{
	const char *tmp = getenv("TMPDIR");

	if (!tmp || strlen(tmp) > sizeof(lab->folder) - 24)
		tmp = "/tmp";
	snprintf(lab->folder, sizeof(lab->folder), "%s/belfry-bench-XXXXXX", tmp);
	if (mkdtemp(lab->folder))
		return 0;
	bf_err_sys(err, errno, "%s", lab->folder);
	*lab->folder = '\0';
	return -EIO;
}

int bench_lab_open(struct bench_lab *lab, struct belfry_error *err)
{
	int r;

	signal(SIGCHLD, SIG_DFL);         /* ignored, processes would leave no status */
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* of what a trial's process leaves behind */
	r = open_signals(lab, err);
	if (r == 0)
		r = open_folder(lab, err);
	if (r == 0)
		r = open_page(lab, err);
	if (r == 0)
		r = lab->kernel = open_payload("bench.elf", bench_guest_elf,
					       bench_guest_elf_end, err);
	if (r >= 0)
		r = lab->hello = open_payload("hello.elf", bench_hello_elf,
					      bench_hello_elf_end, err);
	return r < 0 ? r : 0;
}

void bench_lab_close(struct bench_lab *lab)
{
	char path[80];

	if (*lab->folder) {
		snprintf(path, sizeof(path), "%s/link", lab->folder);
		unlink(path);
		rmdir(lab->folder);
	}
	if (lab->page)
		munmap((void *)lab->page, TRIAL_PAGE_SIZE);
	bf_close(&lab->kernel);
	bf_close(&lab->hello);
	bf_close(&lab->page_fd);
	close_signals(lab);
}
