/* SPDX-License-Identifier: MIT */
/* tests/fuzz/check.h - what must hold; if it does not, the fuzzer keeps the input */
#ifndef BF_FUZZ_CHECK_H
#define BF_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define check(holds)                                                                \
	do {                                                                        \
		if (!(holds)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
			abort();                                                    \
		}                                                                   \
	} while (0)

#endif
