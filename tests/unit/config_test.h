/* SPDX-License-Identifier: MIT */
/* tests/unit/config_test.h - what the tests of the configuration share */
#ifndef BF_CONFIG_TEST_H
#define BF_CONFIG_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "tests/unit/unit_test.h"

/* Each test gets an empty configuration as its state. */
static inline int config_make(void **state)
{
	return belfry_config_create((struct belfry_config **)state, NULL);
}

static inline int config_unmake(void **state)
{
	belfry_config_destroy(*state);
	return 0;
}

#define config_test(f) cmocka_unit_test_setup_teardown(f, config_make, config_unmake)

/* For assert_works() and assert_fails(), which have the err. */
#define SET(path, value) belfry_config_set(*state, path, value, &err)
#define SET_FD(path, fd) belfry_config_set_fd(*state, path, fd, &err)
#define REMOVE(path)     belfry_config_remove(*state, path, &err)
#define VALIDATE()       belfry_config_validate(*state, &err)
#define LOAD(text)       belfry_config_load_string(*state, "t.yaml", text, &err)

/* The configuration as text must be this. */
static inline void assert_text(const struct belfry_config *cfg, const char *want)
{
	BF_FREE char *text = NULL;

	assert_int_equal(belfry_config_text(cfg, &text, NULL), 0);
	assert_string_equal(text, want);
}

#endif
