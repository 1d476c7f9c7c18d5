/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS cookies of a server (RFC 7873) in the form that servers of different makers share (RFC 9018):
 * the client's 8 octets, then version, three reserved octets, a time, and a SipHash-2-4 of all that
 * and of the client's address. Nothing is remembered of a client. No clock: the time is passed in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/dns/address.h"

#define COOKIE_CLIENT_SIZE 8
#define COOKIE_SIZE 24        /* of the client's octets and a server cookie of ours */
#define COOKIE_SECRET_SIZE 16 /* octets */
#define COOKIE_SECRETS_MAX 2
#define COOKIE_LIFE_S 3600 /* how old a cookie may be (RFC 9018, 4.3) */
#define COOKIE_AHEAD_S 300 /* how far ahead of our clock */
#define COOKIE_RENEW_S 1800

/* The first makes cookies; those made with the others are taken too. */
struct cookie_secrets {
	struct hash_seed secrets[COOKIE_SECRETS_MAX];
	unsigned count; /* 0: no cookies */
};

enum cookie_state {
	COOKIE_NONE,        /* the client sent none, or cookies are off */
	COOKIE_CLIENT_ONLY, /* it wants one */
	COOKIE_BAD,  /* not of ours, too old, or of another address: as if it had sent none */
	COOKIE_GOOD, /* it has had a reply at its address within the hour */
};

/* From 16 octets as RFC 9018 has them in a file. */
struct hash_seed cookie_secret(const uint8_t octets[COOKIE_SECRET_SIZE]);

/*
 * Judges a COOKIE option of 8 or 16 to 40 octets from client, and writes the cookie that goes back:
 * the same while it is fresh, else a new one. COOKIE_NONE, and nothing is written, without secrets.
 */
enum cookie_state cookie_check(const struct cookie_secrets *secrets, const uint8_t *option,
	size_t length, const struct address *client, uint32_t now_s, uint8_t reply[COOKIE_SIZE]);
