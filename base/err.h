/* SPDX-License-Identifier: MIT */
/* base/err.h - filling a caller's struct belfry_error */
#ifndef BF_ERR_H
#define BF_ERR_H

#include <belfry.h>

/*
 * Fill @err (which may be NULL) with a positive errno @code and a message.
 * Return: -@code, so that a failing branch is one line.
 */
__attribute__((format(printf, 3, 4))) int bf_err(struct belfry_error *err, int code,
						 const char *fmt, ...);

/* @call, one of the library's, has been given NULL. Return: -EINVAL. */
int bf_err_null(struct belfry_error *err, const char *call);

/* As bf_err(), with ": " and strerror(@code) behind the message. */
__attribute__((format(printf, 3, 4))) int bf_err_sys(struct belfry_error *err, int code,
						     const char *fmt, ...);

/* Put "context: " in front of the message. Return: @code, the failure passed on. */
__attribute__((format(printf, 3, 4))) int bf_err_wrap(struct belfry_error *err, int code,
						      const char *fmt, ...);

#endif
