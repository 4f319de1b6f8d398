/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/string.c - what compilers call behind our backs, and a few strings */
#include "guest-tests/guest.h"

void *memcpy(void *to, const void *from, size_t size)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
	return to;
}

void *memset(void *at, int byte, size_t size)
{
	void *to = at;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
	return at;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *p = a, *q = b;

	for (; size > 0; size--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *text)
{
	size_t size = 0;

	while (text[size])
		size++;
	return size;
}

bool str_eq(const char *a, const char *b)
{
	return memcmp(a, b, strlen(a) + 1) == 0;
}
