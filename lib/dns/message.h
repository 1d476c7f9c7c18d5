/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading whole messages (RFC 1035, 4.1), and the numbers of the protocol. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"
#include "lib/dns/wire.h"

#define DNS_HEADER_SIZE 12
#define DNS_MESSAGE_MAX 65535
#define DNS_UDP_CLASSIC 512
#define DNS_UDP_PAYLOAD 1232 /* the EDNS size we offer and never exceed over UDP (RFC 9715) */

#define DNS_FLAG_QR 0x8000
#define DNS_FLAG_AA 0x0400
#define DNS_FLAG_TC 0x0200
#define DNS_FLAG_RD 0x0100
#define DNS_FLAG_RA 0x0080
#define DNS_FLAG_AD 0x0020
#define DNS_FLAG_CD 0x0010
#define DNS_FLAG_OPCODE 0x7800
#define DNS_FLAG_RCODE 0x000f

enum dns_rcode {
	RCODE_NOERROR = 0,
	RCODE_FORMERR = 1,
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
	RCODE_NOTIMP = 4,
	RCODE_REFUSED = 5,
	RCODE_YXDOMAIN = 6,
	RCODE_BADVERS = 16,
	RCODE_BADCOOKIE = 23,
};

enum dns_type {
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_PTR = 12,
	TYPE_HINFO = 13,
	TYPE_MX = 15,
	TYPE_TXT = 16,
	TYPE_AAAA = 28,
	TYPE_SRV = 33,
	TYPE_DNAME = 39,
	TYPE_OPT = 41,
	TYPE_DS = 43,
	TYPE_RRSIG = 46,
	TYPE_NSEC = 47,
	TYPE_NSEC3 = 50,
	TYPE_SVCB = 64,
	TYPE_HTTPS = 65,
	TYPE_IXFR = 251,
	TYPE_AXFR = 252,
	TYPE_ANY = 255,
};

#define CLASS_IN 1

struct message_header {
	uint16_t id;
	uint16_t flags;
	uint16_t qdcount, ancount, nscount, arcount;
};

/* One resource record where it stands in the message. */
struct message_rr {
	struct name owner;
	uint16_t type;
	uint16_t rr_class;
	uint32_t ttl; /* as it stands: RFC 2181's top bit not yet applied */
	size_t ttl_offset; /* from the start of the message */
	size_t rdata_offset;
	uint16_t rdata_length;
};

/* Reads the 12 octets; reader->error when there are fewer. */
struct message_header message_read_header(struct wire_reader *reader);

/* Reads one question: name (case kept), type, class. */
void message_read_question(struct wire_reader *reader, struct name *qname, uint16_t *qtype, uint16_t *qclass);

/* Reads one record and leaves the cursor behind its RDATA. False when reader->error is set. */
bool message_read_rr(struct wire_reader *reader, struct message_rr *rr);

/* The same for what stands behind the owner, which the caller has read; rr->owner is left alone unless it fails. */
bool message_read_rr_body(struct wire_reader *reader, struct message_rr *rr);

/*
 * The domain name that begins skip octets into the RDATA of rr (CNAME, NS, PTR, DNAME: 0; MX: 2; SRV: 6), decompressed.
 * False when it is malformed or does not end within the RDATA.
 */
bool message_rdata_name(const uint8_t *message, size_t size, const struct message_rr *rr, size_t skip,
	struct name *out);

/* TTL as RFC 2181, 8 wants it: with the top bit set it counts as 0. */
uint32_t message_ttl_s(uint32_t ttl);
