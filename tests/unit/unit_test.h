/* SPDX-License-Identifier: MIT */
/* tests/unit/unit_test.h - cmocka, and the two checks that most tests end with */
#ifndef BF_UNIT_TEST_H
#define BF_UNIT_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <belfry.h>

/* A call, given &err, that must fail with this code and this message. */
#define assert_fails(call, errno_, message)            \
	do {                                           \
		struct belfry_error err = { 0 };       \
		assert_int_equal(call, -(errno_));     \
		assert_string_equal(err.msg, message); \
		assert_int_equal(err.code, -(errno_)); \
	} while (0)

/* A call, given &err, that must work; its message if it does not. */
#define assert_works(call)                       \
	do {                                     \
		struct belfry_error err = { 0 }; \
		if ((call) < 0)                  \
			fail_msg("%s", err.msg); \
	} while (0)

#endif
