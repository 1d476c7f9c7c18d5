/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decimal numbers, written into memory that the caller knows to be large enough; no NUL behind
 * them. Each function returns the place behind the last digit.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define DECIMAL_MAX 20 /* digits of UINT64_MAX */

/* "00" to "99". */
extern const char decimal_pairs[201];

/* Without zeros in front; at most DECIMAL_MAX. */
char *decimal_put(char *out, uint64_t value);

/* The lowest digits of value, with zeros in front. */
char *decimal_put_padded(char *out, uint64_t value, unsigned digits);

/* 0 to 255. */
static inline char *decimal_put_octet(char *out, uint8_t value)
{
	unsigned rest = value;
	if (rest < 10) {
		*out = (char)('0' + rest);
		return out + 1;
	}
	if (rest >= 100) {
		*out++ = (char)('0' + rest / 100);
		rest %= 100;
	}
	memcpy(out, decimal_pairs + 2 * rest, 2);
	return out + 2;
}
