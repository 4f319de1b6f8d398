/* SPDX-License-Identifier: MIT */
/* base/thread.c - threads of the library, none of which takes a signal */
#include <signal.h>

#include "base/thread.h"

int bf_thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *arg),
		     void *arg)
{
	sigset_t all, before;
	int e;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(out, attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}
