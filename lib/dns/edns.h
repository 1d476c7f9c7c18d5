/* SPDX-License-Identifier: BSD-3-Clause */
/* EDNS(0), RFC 6891, and Extended DNS Errors, RFC 8914. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/message.h"

#define EDNS_OPTION_NSID 3
#define EDNS_OPTION_ECS 8
#define EDNS_OPTION_COOKIE 10
#define EDNS_OPTION_KEEPALIVE 11
#define EDNS_OPTION_PADDING 12
#define EDNS_OPTION_EDE 15

enum ede_code {
	EDE_NONE = -1,
	EDE_OTHER = 0,
	EDE_STALE_ANSWER = 3,
	EDE_CACHED_ERROR = 13,
	EDE_BLOCKED = 15,
	EDE_CENSORED = 16,
	EDE_FILTERED = 17,
	EDE_PROHIBITED = 18,
	EDE_STALE_NXDOMAIN = 19,
	EDE_NOT_READY = 14,
	EDE_NO_REACHABLE_AUTHORITY = 22,
	EDE_NETWORK_ERROR = 23,
};

struct edns {
	bool present;
	bool dnssec_ok;
	uint8_t version;
	uint8_t extended_rcode; /* upper 8 bits of the rcode */
	uint16_t options_offset, options_length; /* within the message */
	uint16_t cookie_offset;                  /* of the first COOKIE's data within the message */
	uint8_t cookie_length;                   /* 0: there is none */
	uint16_t subnet_offset;                  /* of the first Client Subnet's data */
	uint16_t subnet_length;
	bool keepalive; /* edns-tcp-keepalive without a time, as a client asks (RFC 7828) */
	uint16_t udp_payload;   /* as sent; RFC 6891 6.2.3: below 512 means 512, done by the user of the value */
};

/*
 * Takes one OPT record apart. TD_MALFORMED when the owner is not the root, or an option runs beyond the
 * RDATA, or a cookie has a length other than 8 or 16..40 (RFC 7873, 5.2.2).
 */
enum td_error edns_parse(const uint8_t *message, size_t size, const struct message_rr *rr, struct edns *out);

/* The OPT record of a whole message. False when it has none, or cannot be read up to it. */
bool edns_find(const uint8_t *message, size_t size, struct edns *out);

/* The options of an OPT record of ours. */
struct edns_content {
	enum ede_code ede;     /* EDE_NONE: no such option */
	const char *ede_text;  /* or NULL; cut to 64 octets */
	const uint8_t *cookie; /* cookie_length octets; 0: no such option */
	size_t cookie_length;
	const uint8_t *subnet; /* Client Subnet, subnet_length octets; 0: no such option */
	size_t subnet_length;
	uint16_t keepalive_ds; /* edns-tcp-keepalive, in tenths of a second; 0: no such option */
};

/*
 * Appends our OPT record: payload DNS_UDP_PAYLOAD, version 0, DO as given, extended rcode, and these options. Does not
 * touch ARCOUNT.
 */
void edns_write_content(struct wire_writer *writer, bool dnssec_ok, uint8_t extended_rcode, const struct edns_content *content);

/* Octets that edns_write_content will take. */
size_t edns_content_size(const struct edns_content *content);

/* The same with an EDE option alone. */
void edns_write(struct wire_writer *writer, bool dnssec_ok, uint8_t extended_rcode, enum ede_code code,
	const char *text);

/* Octets that edns_write will take. */
size_t edns_size(enum ede_code code, const char *text);
