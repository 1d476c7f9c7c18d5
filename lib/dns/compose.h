/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Composing messages with name compression into a buffer of fixed size. The sections are written in order; counts are
 * kept by the composer and put into the header by compose_finish.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/message.h"

#define COMPOSE_TARGETS_MAX 64 /* names remembered for compression; more names are written in full */

enum compose_section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL };

struct compose {
	struct wire_writer writer;
	uint16_t counts[4];
	uint16_t targets[COMPOSE_TARGETS_MAX]; /* offsets of label sequences already written */
	unsigned target_count;
};

/* Starts a message: header with these flags, and the question as given (case kept, never compressed). */
void compose_begin(struct compose *compose, uint8_t *buffer, size_t size, uint16_t id, uint16_t flags,
	const uint8_t *qname, size_t qname_length, uint16_t qtype, uint16_t qclass);

/* Appends a name, compressed against what was written before (offsets below 0x4000). */
void compose_name(struct compose *compose, const struct name *name);

/* Owner, type, class IN, TTL, RDATA as given (no names inside are compressed). Sections must not go backwards.
 * Returns the offset of the TTL, 0 on failure. */
size_t compose_rr(struct compose *compose, enum compose_section section, const struct name *owner, uint16_t type,
	uint32_t ttl_s, const void *rdata, size_t rdata_length);

/* The same for RDATA that is one domain name, compressed (CNAME, NS, PTR only: RFC 3597, 4). */
size_t compose_rr_name(struct compose *compose, enum compose_section section, const struct name *owner, uint16_t type,
	uint32_t ttl_s, const struct name *target);

/* A SOA record with compressed names (RFC 1035, 3.3.13). */
struct compose_soa {
	struct name mname, rname;
	uint32_t serial, refresh_s, retry_s, expire_s, minimum_s;
};
size_t compose_rr_soa(struct compose *compose, enum compose_section section, const struct name *owner, uint32_t ttl_s,
	const struct compose_soa *soa);

/* The SOA record rr of a message. False when it is malformed. */
bool compose_read_soa(const uint8_t *message, size_t size, const struct message_rr *rr, struct compose_soa *out);

/* Puts the counts into the header. The message's length, or 0 when anything did not fit. */
size_t compose_finish(struct compose *compose);
