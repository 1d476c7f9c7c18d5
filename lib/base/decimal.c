/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two digits a division, from a table, from the last to the first, at the place where they stay:
 * the number of digits is counted first, which is cheaper than writing them elsewhere and copying
 * them.
 */
#include "lib/base/decimal.h"

const char decimal_pairs[201] = "00010203040506070809"
				"10111213141516171819"
				"20212223242526272829"
				"30313233343536373839"
				"40414243444546474849"
				"50515253545556575859"
				"60616263646566676869"
				"70717273747576777879"
				"80818283848586878889"
				"90919293949596979899";

static unsigned count_digits(uint64_t value)
{
	unsigned digits = 1;
	for (; value >= 10000; value /= 10000)
		digits += 4;
	return digits + (value >= 10) + (value >= 100) + (value >= 1000);
}

char *decimal_put_padded(char *out, uint64_t value, unsigned digits)
{
	char *at = out + digits;
	for (; at - out >= 2; value /= 100) {
		at -= 2;
		memcpy(at, decimal_pairs + 2 * (value % 100), 2);
	}
	if (at > out)
		*out = (char)('0' + value % 10);
	return out + digits;
}

char *decimal_put(char *out, uint64_t value)
{
	return decimal_put_padded(out, value, count_digits(value));
}
