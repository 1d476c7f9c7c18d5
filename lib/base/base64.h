/* SPDX-License-Identifier: BSD-3-Clause */
/* Base64 with padding, in one line (RFC 4648, 4). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE64_SIZE(octets) (((octets) + 2) / 3 * 4 + 1) /* of the text, with its NUL */

/* 0 to 63; -1 for a character that is none of the 64. */
int base64_value(uint8_t c);

/* Exactly `size` octets out of text, whose unused bits have to be 0. False: it is something else.
 */
bool base64_decode(const char *text, size_t length, uint8_t *out, size_t size);

/* out holds BASE64_SIZE(size); returns out. */
const char *base64_encode(const uint8_t *octets, size_t size, char *out);
