/* SPDX-License-Identifier: BSD-3-Clause */
/* What a message is on a connection besides its octets over UDP. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/upstream/packet.h"

#define STREAM_PADDING \
	128 /* octets of which the length of a padded query is a multiple (RFC 8467, 4.1) */
#define STREAM_MESSAGE_MAX (2 + PACKET_MAX + 4 + 4 + STREAM_PADDING)

struct stream_message {
	bool padded;    /* RFC 7830: of use where nobody can read it */
	bool keepalive; /* asks how long the connection may be idle (RFC 7828) */
};

/*
 * The packet with its length before it (RFC 1035, 4.2.2), and its options, which a packet without
 * EDNS has no place for. out holds STREAM_MESSAGE_MAX octets. Returns how many are in use.
 */
size_t stream_message_compose(
	uint8_t *out, const struct packet *packet, const struct stream_message *how);

/*
 * How long the server keeps an idle connection, by its reply: in units of 100 ms. False when it
 * does not say.
 */
bool stream_message_keepalive(const uint8_t *reply, size_t size, uint16_t *tenths);
