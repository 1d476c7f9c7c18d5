/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP addresses, prefixes and endpoints as plain values, comparable with memcmp: unused octets are zero.
 * An IPv4-mapped IPv6 address from a socket becomes IPv4.
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

struct address {
	uint8_t octets[16]; /* IPv4 uses the first 4, the rest is 0 */
	uint8_t family;     /* 4, 6, or 0 for none */
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

/* "192.0.2.1", "2001:db8::1"; nothing before or behind. False when it is not an address. */
bool address_from_text(struct address *out, const char *text);
/* out holds ADDRESS_TEXT_MAX; returns out ("-" for none). */
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
