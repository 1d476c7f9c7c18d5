/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 and what is made of it, for secrets that are kept as hashes. No allocation, no failure;
 * any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_TEXT_SIZE (2 * DIGEST_SIZE + 1) /* as hexadecimal digits, with the NUL */

void digest_sha256(const void *data, size_t size, uint8_t out[DIGEST_SIZE]);
/* HMAC-SHA-256 (RFC 2104) by a key of DIGEST_SIZE octets. */
void digest_hmac(
	const uint8_t key[DIGEST_SIZE], const void *data, size_t size, uint8_t out[DIGEST_SIZE]);

/* In a time that says nothing about where they differ. */
bool digest_equal(const void *a, const void *b, size_t size);

/* Digits in lower case; returns out. */
const char *digest_to_text(const uint8_t octets[DIGEST_SIZE], char out[DIGEST_TEXT_SIZE]);
/* False: text is anything else than that, and what out holds is undefined. */
bool digest_from_text(const char *text, uint8_t out[DIGEST_SIZE]);
