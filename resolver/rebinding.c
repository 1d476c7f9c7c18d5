/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The question's name decides, not the name that owns the address: the browser's idea of an origin
 * is the name that was asked, and an alias that leads to an allowed name would else open the door
 * (evil.example CNAME printer.corp.example).
 *
 * An answer with one such address is withheld whole. Taking out single records was rejected: an
 * attacker mixes an address outside with one inside so that the browser falls back to the second,
 * and whoever gets the first alone cannot tell why the name half works.
 */
#include "resolver/rebinding.h"

#include <string.h>

#include "lib/dns/message.h"

#define SVCB_IPV4HINT 4
#define SVCB_IPV6HINT 6

struct network {
	uint8_t octets[16];
	uint8_t bits;
	const char *text;
};

static bool is_within(const uint8_t *octets, const struct network *network)
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;

	return memcmp(octets, network->octets, whole) == 0 &&
	       (rest == 0 || ((octets[whole] ^ network->octets[whole]) >> (8 - rest)) == 0);
}

static const struct network *find(
	const struct network *networks, size_t count, const uint8_t *octets)
{
	for (size_t i = 0; i < count; i++)
		if (is_within(octets, &networks[i]))
			return &networks[i];
	return NULL;
}

static const char *network_v4(const uint8_t octets[4])
{
	static const struct network networks[] = {
		{{0}, 8, "0.0.0.0/8"},              /* this host (RFC 1122) */
		{{10}, 8, "10.0.0.0/8"},            /* RFC 1918 */
		{{100, 64}, 10, "100.64.0.0/10"},   /* RFC 6598 */
		{{127}, 8, "127.0.0.0/8"},          /* RFC 1122 */
		{{169, 254}, 16, "169.254.0.0/16"}, /* RFC 3927; what clouds tell their machines */
		{{172, 16}, 12, "172.16.0.0/12"},   /* RFC 1918 */
		{{192, 168}, 16, "192.168.0.0/16"}, /* RFC 1918 */
		{{255, 255, 255, 255}, 32, "255.255.255.255"},
	};
	const struct network *found = find(networks, sizeof networks / sizeof networks[0], octets);

	return found ? found->text : NULL;
}

/* Networks whose addresses stand for an IPv4 address; bits: where it begins. */
static const char *network_embedded(const uint8_t octets[16])
{
	static const struct network networks[] = {
		{{[10] = 0xff, [11] = 0xff}, 96, ""}, /* mapped (RFC 4291, 2.5.5.2) */
		{{0}, 96, ""},                        /* compatible (2.5.5.1) */
		{{[8] = 0xff, [9] = 0xff}, 96, ""},   /* translated (RFC 2765) */
		{{0, 0x64, 0xff, 0x9b}, 96, ""},      /* NAT64 (RFC 6052) */
		{{0x20, 0x02}, 16, ""},               /* 6to4 (RFC 3056) */
	};
	const struct network *found = find(networks, sizeof networks / sizeof networks[0], octets);

	return found ? network_v4(octets + found->bits / 8) : NULL;
}

static const char *network_v6(const uint8_t octets[16])
{
	static const struct network networks[] = {
		{{0}, 128, "::"}, {{[15] = 1}, 128, "::1"},
		{{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "64:ff9b:1::/48"}, /* NAT64 at home (RFC 8215) */
		{{0xfc}, 7, "fc00::/7"},                             /* RFC 4193 */
		{{0xfe, 0x80}, 10, "fe80::/10"},
		{{0xfe, 0xc0}, 10, "fec0::/10"}, /* site-local, until RFC 3879 */
	};
	const struct network *found = find(networks, sizeof networks / sizeof networks[0], octets);

	return found ? found->text : network_embedded(octets);
}

static const char *network_hints(uint16_t key, const uint8_t *value, size_t length)
{
	size_t size = key == SVCB_IPV4HINT ? 4 : key == SVCB_IPV6HINT ? 16 : 0;
	const char *network = NULL;

	for (size_t at = 0; size && at + size <= length && !network; at += size)
		network = size == 4 ? network_v4(value + at) : network_v6(value + at);
	return network;
}

/* Priority, target, parameters (RFC 9460, 2.2). */
static const char *network_svcb(const uint8_t *rdata, size_t length)
{
	struct wire_reader reader = wire_reader_init(rdata, length);
	const char *network = NULL;

	wire_read_u16(&reader);
	size_t target = name_wire_length(rdata + reader.position, wire_left(&reader));

	if (target == 0)
		return NULL;
	wire_read_bytes(&reader, target);
	while (wire_left(&reader) && !network) {
		uint16_t key = wire_read_u16(&reader);
		uint16_t size = wire_read_u16(&reader);
		const uint8_t *value = wire_read_bytes(&reader, size);

		if (value)
			network = network_hints(key, value, size);
	}
	return network;
}

const char *rebinding_network(uint16_t type, const uint8_t *rdata, size_t length)
{
	switch (type) {
	case TYPE_A:
		return length == 4 ? network_v4(rdata) : NULL;
	case TYPE_AAAA:
		return length == 16 ? network_v6(rdata) : NULL;
	case TYPE_SVCB:
	case TYPE_HTTPS:
		return network_svcb(rdata, length);
	default:
		return NULL;
	}
}

const char *rebinding_network_in(const uint8_t *message, size_t length)
{
	struct wire_reader reader = wire_reader_init(message, length);
	struct message_header header = message_read_header(&reader);
	const char *network = NULL;
	struct message_rr rr;
	struct name qname;
	uint16_t qtype, qclass;

	message_read_question(&reader, &qname, &qtype, &qclass);
	for (unsigned i = 0; i < header.ancount && !network && message_read_rr(&reader, &rr); i++)
		network = rebinding_network(rr.type, message + rr.rdata_offset, rr.rdata_length);
	return network;
}

bool rebinding_allows(const struct rebinding_rules *rules, const uint8_t *qname, size_t length)
{
	for (size_t i = 0; i < rules->allow_count; i++) {
		const struct name *allow = &rules->allow[i];

		for (size_t at = 0; at + allow->length <= length; at += 1u + qname[at])
			if (length - at == allow->length &&
				memcmp(qname + at, allow->wire, allow->length) == 0)
				return true;
	}
	return false;
}
