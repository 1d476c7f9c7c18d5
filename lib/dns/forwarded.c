/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read on its own, for the few queries of a trusted forwarder, so that edns_parse does for every
 * query no more than check lengths.
 */
#include "lib/dns/forwarded.h"

#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/hash.h"
#include "lib/dns/edns.h"

#define ECS_IPV4 1 /* address family numbers of IANA */
#define ECS_IPV6 2

/* True when no bit behind the first `bits` is set in octets[0 … count). */
static bool rest_is_zero(const uint8_t *octets, size_t count, unsigned bits)
{
	if (bits % 8 && octets[bits / 8] & (0xff >> bits % 8))
		return false;
	for (size_t i = (bits + 7) / 8; i < count; i++) {
		if (octets[i])
			return false;
	}
	return true;
}

/* RFC 7871, 6: as many octets as the prefix needs, and a scope of 0 in a query. */
static struct address read_subnet(const uint8_t *data, size_t size)
{
	const struct address none = {0};
	struct wire_reader reader = wire_reader_init(data, size);
	uint16_t family = wire_read_u16(&reader);
	unsigned bits = wire_read_u8(&reader), scope = wire_read_u8(&reader);
	unsigned most = family == ECS_IPV4 ? 32 : family == ECS_IPV6 ? 128 : 0;
	size_t count = wire_left(&reader);
	const uint8_t *given = wire_read_bytes(&reader, count);
	uint8_t octets[16] = {0};

	if (reader.error != TD_OK || scope != 0 || bits == 0 || bits > most ||
		count != (bits + 7) / 8 || !rest_is_zero(given, count, bits))
		return none;
	memcpy(octets, given, count);
	struct address address =
		family == ECS_IPV4 ? address_v4(octets) : address_v6_unmapped(octets);
	/* Counted from the end, which an IPv4-mapped address shares with that of IPv4. */
	unsigned missing = most - bits, own = 8 * (unsigned)address_octets(&address);
	if (missing >= own)
		return none;
	return missing ? address_prefix(&address, own - missing) : address;
}

static struct address mac_from_base64(const uint8_t text[8])
{
	uint8_t octets[6];

	if (!base64_decode((const char *)text, 8, octets, sizeof(octets)))
		return (struct address){0};
	return address_mac(octets);
}

static struct address read_mac(const uint8_t *data, size_t size)
{
	struct address mac = {0};
	char text[18];

	if (size == 6)
		return address_mac(data);
	if (size == 8)
		return mac_from_base64(data);
	if (size != 17)
		return mac;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!client_from_text(&mac, text) || mac.family != ADDRESS_MAC)
		return (struct address){0};
	return mac;
}

static struct address read_label(const uint8_t *data, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const struct hash_seed fixed = {0, 0};
	struct address label = address_label(data, size);
	uint8_t digits[16];

	if (label.family != ADDRESS_NONE || size == 0)
		return label;
	uint64_t hash = hash_bytes_shown(&fixed, data, size);
	for (int i = 0; i < 16; i++)
		digits[i] = (uint8_t)hex[hash >> (60 - 4 * i) & 0xf];
	return address_label(digits, sizeof(digits));
}

static void take(struct address *into, struct address found)
{
	if (into->family == ADDRESS_NONE)
		*into = found;
}

void forwarded_read(const uint8_t *options, size_t size, struct forwarded *out)
{
	struct wire_reader reader = wire_reader_init(options, size);
	struct address label = {0};

	*out = (struct forwarded){0};
	while (wire_left(&reader) > 0) {
		uint16_t code = wire_read_u16(&reader);
		uint16_t length = wire_read_u16(&reader);
		const uint8_t *data = wire_read_bytes(&reader, length);
		if (!data)
			break;
		if (code == EDNS_OPTION_ECS)
			take(&out->client, read_subnet(data, length));
		else if (code == EDNS_OPTION_MAC || code == EDNS_OPTION_DEVICE_ID)
			take(&out->mac, read_mac(data, length));
		else if (code == EDNS_OPTION_CPE_ID)
			take(&label, read_label(data, length));
	}
	take(&out->client, label);
}
