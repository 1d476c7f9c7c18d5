/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking tunnel addresses apart and putting them together. Teredo hides the client's address and
 * port from address translators by inverting every bit (RFC 4380, 4); everything else stands in the
 * address as it is.
 */
#include "lib/dns/tunnel.h"

#include <string.h>

static bool is_teredo(const uint8_t *octets)
{
	static const uint8_t prefix[4] = {0x20, 0x01, 0, 0};
	return memcmp(octets, prefix, sizeof(prefix)) == 0;
}

static bool is_6to4(const uint8_t *octets)
{
	return octets[0] == 0x20 && octets[1] == 0x02;
}

/* The interface identifier's first half; 0x02 says that the IPv4 address is unique in the world. */
static bool is_isatap(const uint8_t *octets)
{
	return (octets[8] & ~0x02) == 0 && octets[9] == 0 && octets[10] == 0x5e &&
	       octets[11] == 0xfe;
}

static void invert(uint8_t *out, const uint8_t *octets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = octets[i] ^ 0xff;
}

static struct tunnel decode_teredo(const uint8_t *octets)
{
	struct tunnel tunnel = {.kind = TUNNEL_TEREDO, .server = address_v4(octets + 4)};
	uint8_t client[4], port[2];
	invert(port, octets + 10, sizeof(port));
	invert(client, octets + 12, sizeof(client));
	tunnel.flags = (uint16_t)(octets[8] << 8 | octets[9]);
	tunnel.port = (uint16_t)(port[0] << 8 | port[1]);
	tunnel.client = address_v4(client);
	return tunnel;
}

struct tunnel tunnel_decode(const struct address *address)
{
	const uint8_t *octets = address->octets;
	if (address->family != 6)
		return (struct tunnel){.kind = TUNNEL_NONE};
	if (is_teredo(octets))
		return decode_teredo(octets);
	if (is_6to4(octets))
		return (struct tunnel){.kind = TUNNEL_6TO4, .client = address_v4(octets + 2)};
	if (is_isatap(octets))
		return (struct tunnel){.kind = TUNNEL_ISATAP, .client = address_v4(octets + 12)};
	return (struct tunnel){.kind = TUNNEL_NONE};
}

struct address tunnel_encode_teredo(const struct tunnel *parts)
{
	struct address address = {.family = 6, .octets = {0x20, 0x01}};
	uint8_t *octets = address.octets;
	const uint8_t port[2] = {(uint8_t)(parts->port >> 8), (uint8_t)parts->port};
	memcpy(octets + 4, parts->server.octets, 4);
	octets[8] = (uint8_t)(parts->flags >> 8);
	octets[9] = (uint8_t)parts->flags;
	invert(octets + 10, port, sizeof(port));
	invert(octets + 12, parts->client.octets, 4);
	return address;
}

struct prefix tunnel_encode_6to4(const struct address *v4)
{
	struct prefix prefix = {.length = 48, .address = {.family = 6, .octets = {0x20, 0x02}}};
	memcpy(prefix.address.octets + 2, v4->octets, 4);
	return prefix;
}

bool tunnel_is_6to4_relay(const struct address *address)
{
	static const struct prefix relays = {
		.length = 24, .address = {.family = 4, .octets = {192, 88, 99}}};
	return prefix_contains(&relays, address);
}

const char *tunnel_kind_name(enum tunnel_kind kind)
{
	switch (kind) {
	case TUNNEL_TEREDO:
		return "teredo";
	case TUNNEL_6TO4:
		return "6to4";
	case TUNNEL_ISATAP:
		return "isatap";
	case TUNNEL_NONE:
		break;
	}
	return "none";
}
