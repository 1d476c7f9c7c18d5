/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which server is to be asked, how, and how it proves who it is, as the configuration says it:
 *
 *   9.9.9.9   9.9.9.9:53   [2620:fe::fe]:53   fe80::1%eth0   over UDP, and TCP where that is cut
 *   tcp://9.9.9.9                                            over TCP alone
 *   tls://9.9.9.9#dns.quad9.net                              over TLS, port 853 (RFC 7858)
 *   tls://10.0.0.1#pin-sha256=BASE64#pin-sha256=BASE64       whoever has one of these keys
 *
 * A server of TLS has a name, pins or both, all of which have to hold (one of the pins): without
 * either, anybody could answer (RFC 8310, strict profile).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"

#define SERVER_PINS_MAX 4
#define SERVER_PIN_SIZE 32   /* SHA-256 of the SubjectPublicKeyInfo (RFC 7858, 4.2) */
#define SERVER_NAME_SIZE 254 /* a host name or an address, with its NUL */
#define SERVER_ADDRESS_TEXT_MAX \
	(16 + ENDPOINT_TEXT_MAX + 1 + SERVER_NAME_SIZE + SERVER_PINS_MAX * (12 + 44))

#define SERVER_SHOWN_MAX (16 + ENDPOINT_TEXT_MAX + 11) /* of the scheme and endpoint alone */

enum server_transport { SERVER_UDP, SERVER_TCP, SERVER_TLS };

struct server_address {
	struct endpoint endpoint;
	enum server_transport transport;
	char name[SERVER_NAME_SIZE]; /* TLS: to be in the certificate; "" none */
	uint8_t pins[SERVER_PINS_MAX][SERVER_PIN_SIZE];
	uint8_t pin_count;
};

/*
 * TD_OK; TD_INVALID with the fault in *why: static words to stand behind the text, "is …, expected
 * …". Looks an interface's name up (fe80::1%eth0).
 */
enum td_error server_address_from_text(
	struct server_address *out, const char *text, const char **why);

/*
 * The same with every port said, "9.9.9.9:53"; an interface as its number. out holds
 * SERVER_ADDRESS_TEXT_MAX for the whole of it. Returns out.
 */
const char *server_address_to_text(const struct server_address *server, char *out, size_t size);

/* The scheme and the endpoint alone, "tls://9.9.9.9:853": who it is, for people. */
const char *server_address_show(const struct server_address *server, char *out, size_t size);

/* The order of pins counts. */
bool server_address_equal(const struct server_address *a, const struct server_address *b);

/* Whether this build can ask servers of TLS. */
bool server_tls_is_available(void);

/* A plain server (UDP and TCP) on that endpoint. */
struct server_address server_address_plain(const struct endpoint *endpoint);

/* endpoint_from_text with an interface's name behind the % as well. False: it is none. */
bool server_endpoint_from_text(struct endpoint *out, const char *text, uint16_t default_port);
