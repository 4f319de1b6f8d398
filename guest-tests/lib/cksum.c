/* SPDX-License-Identifier: MIT */
/* guest-tests/lib/cksum.c - the checksum of POSIX cksum, so that a shell can compute it
 * too */
#include "guest-tests/guest.h"

#define POLYNOMIAL 0x04c11db7

static uint32_t add_byte(uint32_t crc, uint8_t byte)
{
	unsigned int bit;

	crc ^= (uint32_t)byte << 24;
	for (bit = 0; bit < 8; bit++)
		crc = crc << 1 ^ (crc >> 31 ? POLYNOMIAL : 0);
	return crc;
}

uint32_t posix_cksum(const uint8_t *data, uint64_t size)
{
	uint64_t length = size;
	uint32_t crc = 0;

	for (; size > 0; size--)
		crc = add_byte(crc, *data++);
	for (; length > 0; length >>= 8) /* the length follows, without leading zeros */
		crc = add_byte(crc, length);
	return ~crc;
}
