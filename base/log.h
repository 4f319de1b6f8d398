/* SPDX-License-Identifier: MIT */
/* base/log.h - the embedder's log callback, as every part of the library carries it */
#ifndef BF_LOG_H
#define BF_LOG_H

#include <belfry.h>

/* Copied by value; a zeroed one is silent. */
struct bf_log {
	belfry_log_fn *fn;
	void *user;
	enum belfry_log_level max;
	char who[64]; /* put in front of each line, "ping: "; may be empty */
};

/* Any thread. One line of at most 255 bytes; a longer one is cut. */
__attribute__((format(printf, 3, 4))) void
bf_log(const struct bf_log *log, enum belfry_log_level level, const char *fmt, ...);

#endif
