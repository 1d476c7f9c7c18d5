/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two packets with which a host finds out whether a Teredo server listens (RFC 4380, 5.2.1 and
 * 5.3.1): a router solicitation in UDP over IPv4, and the router advertisement that answers it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"

#define TEREDO_PORT 3544
#define TEREDO_NONCE_SIZE 8
#define TEREDO_SOLICITATION_MAX 80 /* octets */

/* Why a datagram is no answer; the words complete "it has …". */
#define TEREDO_FAULTS(X)                                                             \
	X(FINE, "nothing wrong")                                                     \
	X(SHORT, "less than its lengths say")                                        \
	X(NOT_IPV6, "no IPv6 packet inside")                                         \
	X(NOT_ADVERTISEMENT, "no router advertisement inside")                       \
	X(NOT_FOR_US, "a router advertisement for another address")                  \
	X(CHECKSUM, "a wrong checksum")                                              \
	X(BROKEN, "a router advertisement that breaks the rules of RFC 4861, 6.1.2") \
	X(NO_PREFIX, "a router advertisement without a prefix")                      \
	X(NO_NONCE, "no authentication header, and so not our nonce")                \
	X(FOREIGN_NONCE, "a nonce that is not ours")

enum teredo_fault {
#define X(name, words) TEREDO_##name,
	TEREDO_FAULTS(X)
#undef X
		TEREDO_FAULT_COUNT
};

struct teredo_answer {
	bool has_nonce;
	uint8_t nonce[TEREDO_NONCE_SIZE];
	uint8_t confirmation;   /* not 0: the client's key is out of date */
	struct endpoint origin; /* who asked, as the server sees it; no family: it does not say */
	bool cone;              /* it goes to the address of a cone solicitation */
	struct address router;  /* the server's link-local address */
	struct prefix prefix;   /* the first that it advertises */
	uint32_t mtu;           /* 0: none told */
};

/* Never NULL. Static storage. */
const char *teredo_fault_words(enum teredo_fault fault);

/*
 * Writes a solicitation; returns its size. cone: with the cone bit, which asks a server to answer
 * from its other address (5.3.1).
 */
size_t teredo_solicit(
	uint8_t out[TEREDO_SOLICITATION_MAX], const uint8_t nonce[TEREDO_NONCE_SIZE], bool cone);

/*
 * Reads what came as an answer; whose nonce it is, is the caller's to judge. What stands before the
 * fault is in *out (nonce and origin come first), everything else is zero. Octets behind the IPv6
 * packet are not looked at (trailers, RFC 6081).
 */
enum teredo_fault teredo_answer_read(const void *packet, size_t size, struct teredo_answer *out);

/* Whether servers have to drop what comes from this address: it is no global unicast address of
 * IPv4 (5.3.1, third rule). */
bool teredo_source_is_dropped(const struct address *source);
