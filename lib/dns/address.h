/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP addresses, prefixes and endpoints as plain values, comparable with memcmp: unused octets are zero.
 *
 * Whom counts and records are about is a struct address too, whatever identifies the client: the families above 6. Only
 * families 4 and 6 can be sent to.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base/error.h"

#define ADDRESS_TEXT_MAX  46 /* RFC 5952 text with its NUL */
#define ENDPOINT_TEXT_MAX 54 /* "[address]:port" with its NUL */

enum address_family {
	ADDRESS_NONE = 0,
	ADDRESS_V4 = 4,
	ADDRESS_V6 = 6,
	ADDRESS_MAC = 16,  /* octets 0..5: "02:00:5e:10:00:01" */
	ADDRESS_PREFIX_V4, /* the length stands in octet 15: "192.0.2.0/24" */
	ADDRESS_PREFIX_V6, /* "2001:db8:1::/48", at most 120 bits */
	ADDRESS_PSEUDONYM, /* octets 0..7: "anon-0123456789abcdef" */
	ADDRESS_LABEL,     /* up to 16 letters, digits, '.', '_', '-', then zeros: "id-gw1" */
	ADDRESS_EXCLUDED,  /* all clients that are not to be recorded: "*excluded" */
};

struct address {
	uint8_t octets[16]; /* IPv4 uses the first 4, the rest is 0 */
	uint8_t family;     /* enum address_family */
};

struct prefix {
	struct address address; /* host bits are 0 */
	uint8_t length;         /* 0..32 or 0..128 */
};

struct endpoint {
	struct address address;
	uint16_t port;     /* host order */
	uint32_t scope_id; /* of an IPv6 link-local address, else 0 */
};

size_t address_octets(const struct address *address); /* 4, 16 or 0 */
bool address_equal(const struct address *a, const struct address *b);
struct address address_v4(const uint8_t octets[4]);
struct address address_v6(const uint8_t octets[16]);
/* Of a peer or a client, whoever names it (a socket, a proxy, a forwarder): IPv4-mapped (RFC 4291, 2.5.5.2) it is one of IPv4. */
struct address address_v6_unmapped(const uint8_t octets[16]);

bool address_is_ip(const struct address *address); /* families 4 and 6 */
struct address address_mac(const uint8_t octets[6]);
/* The first length bits of an address as a client of its own, at most 32 or 120; none of another family. */
struct address address_prefix(const struct address *address, unsigned length);
struct address address_pseudonym(uint64_t number);
/* None when there are more than 16 octets, no octet, or other characters than a label may have. */
struct address address_label(const uint8_t *text, size_t length);
struct address address_excluded(void);

/* An address, or any other client as address_to_text writes it. False, *out unchanged, when it is none. */
bool client_from_text(struct address *out, const char *text);

/* "192.0.2.1", "2001:db8::1"; nothing before or behind. False when it is not an address. */
bool address_from_text(struct address *out, const char *text);
/* Of any family; out holds ADDRESS_TEXT_MAX; returns out ("-" for none). */
const char *address_to_text(const struct address *address, char *out);
/* The same without a NUL; returns the place behind it. */
char *address_put(char *out, const struct address *address);

/* "192.0.2.0/24", or an address alone (full length). Set host bits are an error (TD_INVALID), as is a bad length. */
enum td_error prefix_from_text(struct prefix *out, const char *text);
bool prefix_contains(const struct prefix *prefix, const struct address *address);

/* "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53", "2001:db8::1", "fe80::1%2"; default_port where none is given. */
enum td_error endpoint_from_text(struct endpoint *out, const char *text, uint16_t default_port);
/* "192.0.2.1:53", "[2001:db8::1]:53"; out holds ENDPOINT_TEXT_MAX; returns out. */
const char *endpoint_to_text(const struct endpoint *endpoint, char *out);
/* The same without a NUL; returns the place behind it. */
char *endpoint_put(char *out, const struct endpoint *endpoint);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* To and from the system's form. from: false for other families. to: returns the length in use. */
bool endpoint_from_sockaddr(struct endpoint *out, const struct sockaddr *sa);
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out);
