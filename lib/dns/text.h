/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wire to text and text to wire, through ldns: the only place that includes it, and never on the packet path (about six
 * allocations an address record). Addresses and single names are written by our own code. Known faults of ldns 1.8.3 that this file
 * keeps callers away from: printers crash on EDNS option 13 (whole packets are never printed), RDATA cut
 * short is accepted (checked against the type's minimum), malformed text can abort (checked before the call).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "lib/dns/message.h"

#define TYPE_TEXT_MAX  24 /* "TYPE65535" and the like */

/* "AAAA", "TYPE65280" (RFC 3597). out holds TYPE_TEXT_MAX; returns out. */
const char *type_to_text(uint16_t type, char *out);
/* False when text names no type. Case does not matter; "TYPE123" is understood. */
bool type_from_text(uint16_t *out, const char *text);

/* "NOERROR", "NXDOMAIN", …; "RCODE23" for the unnamed. Static or thread-local storage. */
const char *rcode_to_text(uint16_t rcode);

/*
 * Appends the RDATA of rr in presentation format. A, AAAA, CNAME, NS, PTR, DNAME and MX by our own code;
 * all others through ldns; RDATA that does not fit its type as "\# LENGTH HEX" (RFC 3597, 5).
 */
void rdata_to_text(struct strbuf *out, const uint8_t *message, size_t size, const struct message_rr *rr);

/* A resource record from one logical line of zone text (comments and parentheses already removed, class IN, see RFC 1035 5.1). */
struct text_rr {
	struct name owner;
	uint16_t type;
	uint32_t ttl_s;
	uint8_t *rdata; /* uncompressed wire format; malloc'd, the caller frees */
	uint16_t rdata_length;
};

/*
 * Parses line. origin completes relative names, previous_owner stands in for an empty first column (length 0: there is none),
 * default_ttl_s where none is given. On failure a message in English without line number is put into why (why_size bytes)
 * and out->rdata is NULL. CNAME and address records take a fast path of our own; everything else goes through ldns.
 */
enum td_error text_parse_rr(const char *line, size_t length, const struct name *origin,
	const struct name *previous_owner, uint32_t default_ttl_s, struct text_rr *out, char *why, size_t why_size);
