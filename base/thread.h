/* SPDX-License-Identifier: MIT */
/* base/thread.h - threads of the library, none of which takes a signal */
#ifndef BF_THREAD_H
#define BF_THREAD_H

#include <pthread.h>

/* As pthread_create(3), with every signal blocked in the new thread. */
int bf_thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *arg),
		     void *arg);

#endif
