/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Few octets at a time (a key's digest, a MAC address), so plain loops. OpenSSL's own decoder was
 * no choice: it is optional here, and takes text with blanks and surplus bits.
 */
#include "lib/base/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_value(uint8_t c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool base64_decode(const char *text, size_t length, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	unsigned count = 0;
	size_t used = 0, padding = (3 - size % 3) % 3;

	if (length != BASE64_SIZE(size) - 1)
		return false;
	for (size_t i = 0; i < length - padding; i++) {
		int value = base64_value((uint8_t)text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[used++] = (uint8_t)(bits >> count);
			bits &= (1U << count) - 1;
		}
	}
	return bits == 0 && strspn(&text[length - padding], "=") == padding;
}

const char *base64_encode(const uint8_t *octets, size_t size, char *out)
{
	char *at = out;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)octets[i] << 16;

		bits |= left > 1 ? (uint32_t)octets[i + 1] << 8 : 0;
		bits |= left > 2 ? octets[i + 2] : 0;
		*at++ = digits[bits >> 18];
		*at++ = digits[bits >> 12 & 63];
		*at++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*at++ = left > 2 ? digits[bits & 63] : '=';
	}
	*at = '\0';
	return out;
}
