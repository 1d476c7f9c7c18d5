/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cookie is checked by making it again from what it says of itself. Cookies of other layouts,
 * which RFC 7873 allows a server, are never ours and so never good. The reserved octets go into the
 * hash as they came and are zeros in what we make (RFC 9018, 4.2).
 */
#include "lib/dns/cookie.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "lib/dns/wire.h"

#define VERSION 1
#define STATED_SIZE 16 /* the client's octets, version, reserved, time */
#define HASH_SIZE 8

struct hash_seed cookie_secret(const uint8_t octets[COOKIE_SECRET_SIZE])
{
	uint64_t words[2];

	memcpy(words, octets, sizeof words);
	return (struct hash_seed){le64toh(words[0]), le64toh(words[1])};
}

/* The hash behind the first STATED_SIZE octets of cookie. */
static void cookie_hash(const struct hash_seed *secret, const uint8_t *cookie,
	const struct address *client, uint8_t out[HASH_SIZE])
{
	uint8_t input[STATED_SIZE + 16];
	size_t octets = address_octets(client);
	uint64_t hash;

	memcpy(input, cookie, STATED_SIZE);
	memcpy(input + STATED_SIZE, client->octets, octets);
	hash = htole64(hash_bytes_shown(secret, input, STATED_SIZE + octets));
	memcpy(out, &hash, HASH_SIZE);
}

/* Takes as long for a hash that is nearly right as for one that is not. */
static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t different = 0;

	for (size_t i = 0; i < HASH_SIZE; i++)
		different |= a[i] ^ b[i];
	return different == 0;
}

/* Seconds since the cookie was made, by the arithmetic of RFC 1982; negative: it is ahead. */
static int32_t cookie_age_s(const uint8_t *cookie, uint32_t now_s)
{
	struct wire_reader reader = wire_reader_init(cookie, STATED_SIZE);

	reader.position = STATED_SIZE - 4;
	return (int32_t)(now_s - wire_read_u32(&reader));
}

static bool cookie_is_ours(const struct cookie_secrets *secrets, const uint8_t *cookie,
	const struct address *client, unsigned *by)
{
	uint8_t hash[HASH_SIZE];

	for (*by = 0; *by < secrets->count; ++*by) {
		cookie_hash(&secrets->secrets[*by], cookie, client, hash);
		if (hash_equal(hash, cookie + STATED_SIZE))
			return true;
	}
	return false;
}

static void cookie_make(const struct cookie_secrets *secrets, const uint8_t *client_cookie,
	const struct address *client, uint32_t now_s, uint8_t *out)
{
	memcpy(out, client_cookie, COOKIE_CLIENT_SIZE);
	wire_put_u32(out, COOKIE_SIZE, COOKIE_CLIENT_SIZE, (uint32_t)VERSION << 24);
	wire_put_u32(out, COOKIE_SIZE, STATED_SIZE - 4, now_s);
	cookie_hash(&secrets->secrets[0], out, client, out + STATED_SIZE);
}

enum cookie_state cookie_check(const struct cookie_secrets *secrets, const uint8_t *option,
	size_t length, const struct address *client, uint32_t now_s, uint8_t reply[COOKIE_SIZE])
{
	enum cookie_state state = length == COOKIE_CLIENT_SIZE ? COOKIE_CLIENT_ONLY : COOKIE_BAD;
	unsigned by = 0;

	if (secrets->count == 0)
		return COOKIE_NONE;
	if (length == COOKIE_SIZE && option[COOKIE_CLIENT_SIZE] == VERSION) {
		int32_t age_s = cookie_age_s(option, now_s);
		if (age_s <= COOKIE_LIFE_S && age_s >= -COOKIE_AHEAD_S &&
			cookie_is_ours(secrets, option, client, &by))
			state = COOKIE_GOOD;
		if (state == COOKIE_GOOD && by == 0 && age_s >= 0 && age_s < COOKIE_RENEW_S) {
			memcpy(reply, option, COOKIE_SIZE);
			return state;
		}
	}
	cookie_make(secrets, option, client, now_s, reply);
	return state;
}
