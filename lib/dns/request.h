/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's query taken apart in one pass: the packet path's only parser of questions. No allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/cookie.h"
#include "lib/dns/edns.h"
#include "lib/dns/forwarded.h"
#include "lib/dns/message.h"
#include "lib/dns/subnet.h"

struct request {
	uint16_t id;
	uint16_t flags;       /* as received */
	const uint8_t *qname; /* in the packet, uncompressed, case as asked */
	uint8_t qname_length; /* 0 when there was no readable question */
	uint16_t qtype, qclass;
	struct edns edns;
	struct forwarded forwarded; /* none: set by who trusts the sender */
	/* Set by who knows secrets and transport; else none and 0. */
	enum cookie_state cookie;
	uint8_t cookie_reply[COOKIE_SIZE]; /* what goes back unless the state is COOKIE_NONE */
	struct subnet subnet;              /* of the client, where it is passed on */
	uint16_t keepalive_ds;             /* edns-tcp-keepalive that goes back, in tenths of a second; 0: none */
	uint8_t folded[NAME_WIRE_MAX]; /* qname in lower case, qname_length octets */
};

enum request_verdict {
	REQUEST_ANSWER, /* a question to look up */
	REQUEST_ERROR,  /* reply at once with *rcode */
	REQUEST_DROP,   /* under 12 octets, or QR set: silence */
};

/*
 * Applies design.md section 9: opcode other than QUERY → NOTIMP; QDCOUNT other than 1 (RFC 9619), a broken or compressed question,
 * records in answer or authority that cannot be read, two OPTs, a bad OPT, trailing garbage → FORMERR; EDNS version > 0 → BADVERS;
 * class other than IN, AXFR, IXFR → REFUSED. ANY and all other types: REQUEST_ANSWER.
 * packet must outlive out. For REQUEST_ERROR the question (if it could be read), id, flags and edns are set.
 */
enum request_verdict request_parse(const uint8_t *packet, size_t size, struct request *out, uint16_t *rcode);
