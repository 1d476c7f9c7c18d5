/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scope that a client is told is the prefix that was sent: the answer holds for that much at
 * least, and nobody behind us caches it for others. What upstream says may be wider; to hand that
 * on was rejected, because then it would have to be read out of every reply and kept.
 */
#include "lib/dns/subnet.h"

#include <string.h>

#include "lib/dns/wire.h"

#define FAMILY_IPV4 1 /* address family numbers of IANA */
#define FAMILY_IPV6 2
#define HEAD_SIZE 4 /* family, source prefix, scope prefix */

static size_t octets_of(unsigned bits)
{
	return (bits + 7) / 8;
}

/* Clears the bits of octets behind the first `bits`, which end within them. */
static void cut(uint8_t *octets, unsigned bits)
{
	if (bits % 8)
		octets[bits / 8] &= (uint8_t)(0xff << (8 - bits % 8));
}

/* An option without family and address says "nobody" (RFC 7871, 7.1.2), and is sent so. */
static bool lengths_are_right(uint16_t family, unsigned bits, unsigned scope, size_t left)
{
	unsigned most = family == FAMILY_IPV4 ? 32 : family == FAMILY_IPV6 ? 128 : 0;

	return scope == 0 && bits <= most && left == octets_of(bits) && family <= FAMILY_IPV6;
}

bool subnet_read(const uint8_t *data, size_t size, struct subnet *out)
{
	struct wire_reader reader = wire_reader_init(data, size);
	uint16_t family = wire_read_u16(&reader);
	unsigned bits = wire_read_u8(&reader), scope = wire_read_u8(&reader);
	unsigned most = family == FAMILY_IPV6 ? SUBNET_BITS_V6 : SUBNET_BITS_V4;
	unsigned sent_bits = bits < most ? bits : most;
	uint8_t last;

	out->sent_length = 0;
	if (reader.error != TD_OK || !lengths_are_right(family, bits, scope, wire_left(&reader)))
		return false;
	if (bits % 8) {
		last = data[size - 1];
		cut(&last, bits % 8);
		if (last != data[size - 1])
			return false;
	}
	memcpy(out->given, data, size);
	out->given_length = (uint8_t)size;
	out->given[3] = (uint8_t)sent_bits;
	out->sent_length = (uint8_t)(HEAD_SIZE + octets_of(sent_bits));
	memcpy(out->sent, data, out->sent_length);
	out->sent[2] = (uint8_t)sent_bits;
	cut(out->sent + HEAD_SIZE, sent_bits);
	return true;
}

bool subnet_answers(const struct subnet *subnet, const uint8_t *data, size_t size)
{
	return size == subnet->sent_length && memcmp(data, subnet->sent, HEAD_SIZE - 1) == 0 &&
	       memcmp(data + HEAD_SIZE, subnet->sent + HEAD_SIZE, size - HEAD_SIZE) == 0;
}
