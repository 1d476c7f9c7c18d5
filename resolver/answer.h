/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The answer to one question in the form in which it is kept and sent: a whole message of header,
 * question, answer and authority, without OPT, that begins with a question of fixed length. Serving
 * it is one copy, then patches: id, flags, letter case of the question, TTLs. Immutable once made;
 * passed between threads by giving it away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/message.h"
#include "policy/policy.h"
#include "resolver/upstream/exchange.h"

/* In flags, in places of the header that an answer has no use for. */
#define ANSWER_PRIVATE 0x8000    /* tells an address of the inside */
#define ANSWER_SIGNED 0x4000     /* has signatures, or a signed proof that there is nothing */
#define ANSWER_CHAIN_MAX 11 /* CNAMEs followed in one answer */
#define ANSWER_STALE_TTL_S 30

struct answer {
	uint64_t id; /* for telemetry: same id = same question and addresses; 0 when it tells no
			address */
	int64_t stored_us;   /* mono: when its TTLs were true */
	int64_t expires_us;  /* mono: first moment it must not be served; equal to stored_us when it
				must not be cached */
	uint64_t generation; /* of the policy index that made matches */
	struct endpoint upstream;
	uint32_t epoch; /* of the cache (cache_epoch) when the question was asked */
	struct policy_match matches[POLICY_MATCHES_MAX];
	uint8_t match_count;
	bool positive; /* it has records of the type asked for */
	uint16_t flags; /* RCODE, AD, ANSWER_PRIVATE, ANSWER_SIGNED */
	uint16_t ttl_count;
	uint16_t length; /* of the message */
	uint8_t bytes[]; /* message, then ttl_count offsets of TTL fields, uint16_t each in host
			    order, unaligned */
};

struct answer_limits {
	uint32_t ttl_min_s, ttl_max_s; /* of records; 0 stays 0, the most wins over the least */
	uint32_t negative_ttl_max_s;
};

/*
 * Makes an answer from an upstream's reply: keeps the records on the CNAME chain from the question
 * (at most ANSWER_CHAIN_MAX links) that have its type, with their RRSIGs where DO was asked; of the
 * authority section only the SOA of a denial (RFC 2308) and, with DO, NSEC, NSEC3 and RRSIG;
 * nothing else. Negative TTL: min(SOA TTL, minimum). NULL, and *error, when the reply is malformed
 * (TD_MALFORMED), is an error code that cannot be kept (TD_REFUSED: SERVFAIL, REFUSED, …; to be
 * passed on, not cached) or memory ran out. id is used only when an address is told.
 */
struct answer *answer_from_reply(const uint8_t *reply, size_t size,
	const struct upstream_question *question, const struct answer_limits *limits,
	int64_t now_us, uint64_t id, enum td_error *error);

/*
 * The rules of this index for the question, in zone order; then those for the names of the chain and
 * the addresses at its end, by their place in the chain, at the end in zone order (in a zone the name
 * before the address), and of each zone the first one (draft-vixie-dnsop-dns-rpz-00, 5.1, 5.2, 5.4).
 * An IPv4-mapped address counts as that of IPv4 too. Replaces matches and generation.
 */
void answer_match(struct answer *answer, const struct policy_view *view);

/* The same rules for an answer of another generation, without changing it. Returns how many. */
size_t answer_match_copy(const uint8_t *message, size_t length, const struct policy_view *view,
	struct policy_match out[POLICY_MATCHES_MAX]);

size_t answer_memory(const struct answer *answer);       /* bytes, without malloc's overhead */
struct answer *answer_copy(const struct answer *answer); /* NULL: out of memory */

/*
 * Copies the message into out with TTLs aged to now_us; returns its length. When it is longer than
 * capacity: only header and question, and *truncated.
 */
size_t answer_write(const struct answer *answer, int64_t now_us, uint8_t *out, size_t capacity,
	bool *truncated);

/* The same for an answer past its end: every TTL is ANSWER_STALE_TTL_S (RFC 8767, 4). */
size_t answer_write_stale(
	const struct answer *answer, uint8_t *out, size_t capacity, bool *truncated);
