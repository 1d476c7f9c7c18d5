/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two digits a division, from a table. Small numbers, which nearly all are, need neither a loop nor
 * their digits counted; a larger one is written in front of its last four digits.
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
	if (value < 256)
		return decimal_put_octet(out, (uint8_t)value);
	if (value < 10000) {
		out = decimal_put_octet(out, (uint8_t)((unsigned)value / 100));
		return decimal_put_padded(out, (unsigned)value % 100, 2);
	}
	out = decimal_put(out, value / 10000);
	return decimal_put_padded(out, value % 10000, 4);
}
