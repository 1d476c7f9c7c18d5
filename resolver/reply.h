/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes back to a client: header, the question in the client's spelling, EDNS, size limits. No
 * allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/compose.h"
#include "lib/dns/request.h"
#include "policy/policy.h"
#include "resolver/chain.h"

/* Octets the whole reply may take: RFC 6891 6.2.3 and RFC 9715 over UDP, 65535 over TCP. */
size_t reply_limit(const struct request *request, bool tcp);

/* Octets of that for the message before our OPT record. */
size_t reply_room(const struct request *request, bool tcp);

/*
 * Turns a message of length octets at reply (written within reply_room) into the client's: id,
 * flags, question as spelled, OPT. flags: RCODE and AD of the answer. code: an Extended DNS Error, if
 * it fits capacity. Returns the new length.
 */
size_t reply_complete(const struct request *request, uint8_t *reply, size_t length, uint16_t flags,
	bool truncated, enum ede_code code, size_t capacity);

/* A denial of the type alone, with an SOA of the name, for ttl_s. */
size_t reply_no_data(const struct request *request, uint8_t *reply, size_t capacity, uint32_t ttl_s,
	enum ede_code code, const char *text);

/* A reply without records. rcode may exceed 15 (EDNS). Works without a readable question too. */
size_t reply_error(const struct request *request, uint8_t *reply, size_t capacity, uint16_t rcode,
	enum ede_code code, const char *text);

/* TC set and nothing else: come back over TCP. */
size_t reply_truncated(const struct request *request, uint8_t *reply, size_t capacity);

/*
 * The answer a rule makes: NXDOMAIN and NODATA with an SOA that makes clients cache the denial for
 * ttl_s (RFC 2308), local data of the type asked or the rule's CNAME; behind
 * the chain, if any, that leads to the name the rule is about. zone_name goes into the Extended DNS Error of
 * code (EDE_NONE: none).
 */
size_t reply_policy(const struct request *request, uint8_t *reply, size_t capacity,
	const struct policy_index *index, const struct policy_verdict *verdict,
	const struct chain *chain, uint32_t ttl_s, enum ede_code code, const char *zone_name);

/* A reply in parts: header and question; then records; then our OPT, with the zone's name in the Extended
 * DNS Error of code. Length 0: it did not fit. */
void reply_begin(struct compose *compose, const struct request *request, uint8_t *reply,
	size_t capacity, uint16_t flags);
size_t reply_finish_policy(struct compose *compose, const struct request *request,
	enum ede_code code, const char *zone_name);

/* NOERROR or NXDOMAIN with an SOA of apex, so that clients cache it for ttl_s. */
size_t reply_denial(const struct request *request, uint8_t *reply, size_t capacity, uint16_t rcode,
	const struct name *apex, uint32_t ttl_s);

/* ANY gets one HINFO record (RFC 8482, 4.2). */
size_t reply_minimal_any(const struct request *request, uint8_t *reply, size_t capacity);
