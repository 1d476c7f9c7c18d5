/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash is that of ldns, which every build has; OpenSSL's is missing in a build without TLS, and
 * a second way for such builds would be the one that nobody runs. HMAC is so few lines over it that
 * its test is RFC 4231's.
 */
#include "resolver/control/dashboard/digest.h"

#include <ldns/ldns.h>
#include <string.h>

#define BLOCK 64

void digest_sha256(const void *data, size_t size, uint8_t out[DIGEST_SIZE])
{
	ldns_sha256_CTX context;

	ldns_sha256_init(&context);
	ldns_sha256_update(&context, data, size);
	ldns_sha256_final(out, &context);
}

static void keyed(const uint8_t key[DIGEST_SIZE], uint8_t pad, const void *data, size_t size,
	uint8_t out[DIGEST_SIZE])
{
	uint8_t block[BLOCK];
	ldns_sha256_CTX context;

	for (size_t i = 0; i < BLOCK; i++)
		block[i] = (uint8_t)((i < DIGEST_SIZE ? key[i] : 0) ^ pad);
	ldns_sha256_init(&context);
	ldns_sha256_update(&context, block, sizeof block);
	ldns_sha256_update(&context, data, size);
	ldns_sha256_final(out, &context);
	explicit_bzero(block, sizeof block);
}

void digest_hmac(
	const uint8_t key[DIGEST_SIZE], const void *data, size_t size, uint8_t out[DIGEST_SIZE])
{
	uint8_t inner[DIGEST_SIZE];

	keyed(key, 0x36, data, size, inner);
	keyed(key, 0x5c, inner, sizeof inner, out);
}

bool digest_equal(const void *a, const void *b, size_t size)
{
	const volatile uint8_t *left = a, *right = b;
	uint8_t differs = 0;

	for (size_t i = 0; i < size; i++)
		differs |= left[i] ^ right[i];
	return differs == 0;
}

static const char digits[] = "0123456789abcdef";

const char *digest_to_text(const uint8_t octets[DIGEST_SIZE], char out[DIGEST_TEXT_SIZE])
{
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		out[2 * i] = digits[octets[i] >> 4];
		out[2 * i + 1] = digits[octets[i] & 15];
	}
	out[DIGEST_TEXT_SIZE - 1] = '\0';
	return out;
}

bool digest_from_text(const char *text, uint8_t out[DIGEST_SIZE])
{
	if (strlen(text) != DIGEST_TEXT_SIZE - 1)
		return false;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		const char *high = strchr(digits, text[2 * i]);
		const char *low = strchr(digits, text[2 * i + 1]);
		if (!high || !low)
			return false;
		out[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return true;
}
