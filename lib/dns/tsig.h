/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures by a shared secret (TSIG, RFC 8945) over messages as octets: of a question, of its
 * answer, of an answer in many messages. Passive: no clock, the time is passed in. The HMAC is
 * OpenSSL's; a build without it refuses every key.
 *
 * ldns has the same, over trees of records: it aborts on some malformed text and keeps the octets
 * that were signed only as far as it composes them again alike. Tests use it as the second opinion.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"

#define TSIG_MAC_MAX 64
#define TSIG_SECRET_MAX 512
#define TSIG_FUDGE_S 300     /* how far two clocks may differ (RFC 8945, 10) */
#define TSIG_UNSIGNED_MAX 99 /* messages between two signed ones (5.3.1) */
#define TSIG_RECORD_MAX 720  /* octets that tsig_sign appends, at most */

enum tsig_algorithm { TSIG_SHA1, TSIG_SHA224, TSIG_SHA256, TSIG_SHA384, TSIG_SHA512 };

/* "hmac-sha256", …; NULL at the end. In the order of enum tsig_algorithm. */
extern const char *const tsig_algorithm_words[];

struct tsig_key {
	struct name name; /* folded */
	enum tsig_algorithm algorithm;
	uint16_t secret_length;
	uint8_t secret[TSIG_SECRET_MAX];
};

struct tsig_mac {
	uint8_t length; /* 0: none */
	uint8_t octets[TSIG_MAC_MAX];
};

enum tsig_result {
	TSIG_GOOD,
	TSIG_UNSIGNED, /* a message of a stream that may be unsigned */
	TSIG_MISSING,  /* it should be signed, and is not */
	TSIG_MALFORMED,
	TSIG_OTHER_KEY,      /* another key or algorithm than ours: BADKEY */
	TSIG_WRONG,          /* not made with our secret: BADSIG */
	TSIG_TRUNCATED,      /* made with it, and shorter than its algorithm makes it: BADTRUNC */
	TSIG_OTHER_TIME,     /* made with it, at a time too far from ours: BADTIME */
	TSIG_TOLD_KEY,       /* the other side says BADKEY */
	TSIG_TOLD_WRONG,     /* BADSIG */
	TSIG_TOLD_TIME,      /* BADTIME */
	TSIG_TOLD_TRUNCATED, /* BADTRUNC */
	TSIG_TOLD_OTHER,
	TSIG_FAILED, /* out of memory, or OpenSSL refuses */
};

/* For a person. Static storage. */
const char *tsig_result_text(enum tsig_result result);

/* The error of RFC 8945 that goes back to whoever sent it: 16 to 18, 22; 0 for none of them. */
uint16_t tsig_result_error(enum tsig_result result);

/* Whether this build can sign. */
bool tsig_is_available(void);

/*
 * Appends the signature of a whole message of *length octets, which grows. `request`: the MAC of
 * what this answers, NULL for a question. error: of RFC 8945; for 16 and 17 the record goes
 * unsigned (5.3.2), for 18 our time stands in it and signed_s is the time of the question. *mac
 * (may be NULL) gets the MAC. TD_NO_SPACE, TD_MALFORMED, TD_UNSUPPORTED, TD_NOMEM.
 */
enum td_error tsig_sign(const struct tsig_key *key, uint8_t *message, size_t *length,
	size_t capacity, const struct tsig_mac *request, uint64_t signed_s, uint64_t now_s,
	uint16_t error, struct tsig_mac *mac);

struct tsig_check {
	enum tsig_result result;
	int64_t skew_s;      /* the other side's clock ahead of ours, where times are the matter */
	uint64_t signed_s;   /* when it says it was signed */
	struct tsig_mac mac; /* GOOD, OTHER_TIME: of this message */
	size_t length;       /* of the message without its signature */
};

/* Whether the message has a TSIG record, and whose: *key is folded. False: none, or unreadable. */
bool tsig_find_key(const uint8_t *message, size_t size, struct name *key);

/* A single message. request: as in tsig_sign. */
struct tsig_check tsig_verify(const struct tsig_key *key, const uint8_t *message, size_t size,
	const struct tsig_mac *request, uint64_t now_s);

/* An answer in many messages (5.3.1): the first and the last are signed, between them at least
 * every hundredth. */
struct tsig_stream;

/* The key outlives it. NULL: out of memory, or no OpenSSL. */
struct tsig_stream *tsig_stream_new(const struct tsig_key *key, const struct tsig_mac *request);
void tsig_stream_free(struct tsig_stream *stream); /* NULL is fine */

/* The next message: GOOD, UNSIGNED, or what is wrong. */
struct tsig_check tsig_stream_verify(
	struct tsig_stream *stream, const uint8_t *message, size_t size, uint64_t now_s);

/* Whether the message verified last was signed: an answer may end there only. */
bool tsig_stream_may_end(const struct tsig_stream *stream);
