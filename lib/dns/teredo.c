/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Solicitation and advertisement, as a Teredo client writes and reads them. A client believes what
 * has its nonce; this reader is stricter, and checks lengths, hop limit and checksum too, because
 * its answer ("a server listens there") closes or opens a finding. It is as strict as RFC 4861,
 * 6.1.2, and no more: Windows' and miredo's servers pass.
 *
 * The nonce is at the front, so a datagram that turns out to be broken can still be told apart by
 * whose question it answers.
 */
#include "lib/dns/teredo.h"

#include <string.h>

#include "lib/dns/wire.h"

#define AUTHENTICATION 1 /* the first 16 bits of the headers, RFC 4380, 5.1.1 */
#define ORIGIN 0

#define ICMPV6 58
#define ROUTER_SOLICITATION 133
#define ROUTER_ADVERTISEMENT 134
#define OPTION_PREFIX 3
#define OPTION_MTU 5
#define HOP_LIMIT 255 /* less, and a router was in between: RFC 4861, 6.1.2 */

#define SOLICITATION_SIZE 8 /* of ICMPv6: without options */
#define CONE_OCTET 8        /* of the source address, where the flags stand */
#define CONE_BIT 0x80

/* A client that does not know its mapped address and port yet: both inverted are all ones. */
static const uint8_t client_address[16] = {
	0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t all_routers[16] = {0xff, 0x02, [15] = 0x02};

const char *teredo_fault_words(enum teredo_fault fault)
{
	static const char *const words[] = {
#define X(name, text) text,
		TEREDO_FAULTS(X)
#undef X
	};
	return fault < TEREDO_FAULT_COUNT ? words[fault] : "an unknown fault";
}

/* --- checksum (RFC 4443, 2.3) --- */

static uint32_t sum_of(const uint8_t *data, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

/* Over the pseudo-header and an ICMPv6 message of at most 65,535 octets, folded: 0xffff where the
 * checksum in it is right. */
static uint16_t icmpv6_sum(
	const uint8_t *source, const uint8_t *destination, const uint8_t *message, size_t size)
{
	uint32_t sum = (uint32_t)size + ICMPV6;

	sum = sum_of(source, 16, sum);
	sum = sum_of(destination, 16, sum);
	sum = sum_of(message, size, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* --- the question --- */

size_t teredo_solicit(
	uint8_t out[TEREDO_SOLICITATION_MAX], const uint8_t nonce[TEREDO_NONCE_SIZE], bool cone)
{
	struct wire_writer writer = wire_writer_init(out, TEREDO_SOLICITATION_MAX);
	uint8_t source[16], message[SOLICITATION_SIZE] = {ROUTER_SOLICITATION};

	memcpy(source, client_address, sizeof(source));
	if (cone)
		source[CONE_OCTET] |= CONE_BIT;
	uint16_t checksum = (uint16_t)~icmpv6_sum(source, all_routers, message, sizeof(message));
	wire_put_u16(message, sizeof(message), 2, checksum);

	wire_write_u16(&writer, AUTHENTICATION);
	wire_write_u16(&writer, 0); /* no client identifier, no authentication value */
	wire_write_bytes(&writer, nonce, TEREDO_NONCE_SIZE);
	wire_write_u8(&writer, 0); /* confirmation */
	wire_write_u32(&writer, UINT32_C(6) << 28);
	wire_write_u16(&writer, sizeof(message));
	wire_write_u8(&writer, ICMPV6);
	wire_write_u8(&writer, HOP_LIMIT);
	wire_write_bytes(&writer, source, sizeof(source));
	wire_write_bytes(&writer, all_routers, sizeof(all_routers));
	wire_write_bytes(&writer, message, sizeof(message));
	return writer.position;
}

/* --- the answer --- */

/* Steps over the header when it is one; sets the reader's error when it is one and is cut. */
static void read_authentication(struct wire_reader *reader, struct teredo_answer *out)
{
	struct wire_reader ahead = *reader;

	if (wire_read_u16(&ahead) != AUTHENTICATION)
		return;
	uint8_t identifier = wire_read_u8(&ahead), value = wire_read_u8(&ahead);
	wire_read_bytes(&ahead, identifier);
	wire_read_bytes(&ahead, value);
	const uint8_t *nonce = wire_read_bytes(&ahead, TEREDO_NONCE_SIZE);
	uint8_t confirmation = wire_read_u8(&ahead);
	*reader = ahead;
	if (!nonce || ahead.error != TD_OK)
		return;
	memcpy(out->nonce, nonce, TEREDO_NONCE_SIZE);
	out->has_nonce = true;
	out->confirmation = confirmation;
}

/* Port and address are inverted, against translators that change what looks like an address. */
static void read_origin(struct wire_reader *reader, struct teredo_answer *out)
{
	struct wire_reader ahead = *reader;
	uint8_t octets[4];

	if (wire_read_u16(&ahead) != ORIGIN || ahead.error != TD_OK)
		return;
	uint16_t port = (uint16_t)~wire_read_u16(&ahead);
	const uint8_t *inverted = wire_read_bytes(&ahead, sizeof(octets));
	*reader = ahead;
	if (!inverted)
		return;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = inverted[i] ^ 0xff;
	out->origin = (struct endpoint){.address = address_v4(octets), .port = port};
}

static struct prefix prefix_of(const uint8_t octets[16], uint8_t length)
{
	struct prefix prefix = {.address = address_v6(octets), .length = length};

	for (unsigned i = 0; i < 16; i++) {
		unsigned kept = length > 8 * i ? length - 8 * i : 0;
		if (kept < 8)
			prefix.address.octets[i] &= (uint8_t)(0xff00 >> kept);
	}
	return prefix;
}

/* Body is behind the type and the length. False when it breaks the option's form. */
static bool read_prefix(struct wire_reader *body, struct teredo_answer *out)
{
	uint8_t length = wire_read_u8(body);

	wire_read_bytes(body, 1 + 4 + 4 + 4); /* flags, two lifetimes, reserved */
	const uint8_t *octets = wire_read_bytes(body, 16);
	if (!octets || length > 128)
		return false;
	if (out->prefix.address.family == ADDRESS_NONE)
		out->prefix = prefix_of(octets, length);
	return true;
}

static bool read_mtu(struct wire_reader *body, struct teredo_answer *out)
{
	wire_read_u16(body);
	out->mtu = wire_read_u32(body);
	return body->error == TD_OK;
}

static enum teredo_fault read_options(struct wire_reader *reader, struct teredo_answer *out)
{
	while (wire_left(reader) > 0) {
		uint8_t type = wire_read_u8(reader), units = wire_read_u8(reader);
		if (units == 0)
			return TEREDO_BROKEN;
		size_t size = (size_t)units * 8 - 2;
		const uint8_t *octets = wire_read_bytes(reader, size);
		if (!octets)
			return TEREDO_BROKEN;
		struct wire_reader body = wire_reader_init(octets, size);
		if (type == OPTION_PREFIX && !read_prefix(&body, out))
			return TEREDO_BROKEN;
		if (type == OPTION_MTU && !read_mtu(&body, out))
			return TEREDO_BROKEN;
	}
	return out->prefix.address.family == ADDRESS_NONE ? TEREDO_NO_PREFIX : TEREDO_FINE;
}

static bool is_link_local(const uint8_t *octets)
{
	return octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80;
}

/* True, and which, for one of the addresses that we ask from. */
static bool is_ours(const uint8_t *octets, bool *cone)
{
	uint8_t plain[16];

	memcpy(plain, octets, sizeof(plain));
	*cone = plain[CONE_OCTET] & CONE_BIT;
	plain[CONE_OCTET] &= (uint8_t)~CONE_BIT;
	return memcmp(plain, client_address, sizeof(plain)) == 0;
}

static enum teredo_fault read_advertisement(struct wire_reader *message, struct teredo_answer *out)
{
	wire_read_u8(message); /* the type, which the caller knows */
	uint8_t code = wire_read_u8(message);
	wire_read_bytes(message, 2 + 1 + 1 + 2 + 4 + 4); /* checksum … retransmission timer */
	if (message->error != TD_OK || code != 0)
		return TEREDO_BROKEN;
	return read_options(message, out);
}

static enum teredo_fault read_ipv6(struct wire_reader *reader, struct teredo_answer *out)
{
	uint32_t first = wire_read_u32(reader);
	uint16_t length = wire_read_u16(reader);
	uint8_t next = wire_read_u8(reader), hop_limit = wire_read_u8(reader);

	if (reader->error == TD_OK && first >> 28 != 6)
		return TEREDO_NOT_IPV6;
	const uint8_t *source = wire_read_bytes(reader, 16);
	const uint8_t *destination = wire_read_bytes(reader, 16);
	const uint8_t *message = wire_read_bytes(reader, length);
	if (!source || !destination || !message)
		return TEREDO_SHORT;
	if (next != ICMPV6 || length == 0 || message[0] != ROUTER_ADVERTISEMENT)
		return TEREDO_NOT_ADVERTISEMENT;
	if (!is_ours(destination, &out->cone))
		return TEREDO_NOT_FOR_US;
	if (icmpv6_sum(source, destination, message, length) != 0xffff)
		return TEREDO_CHECKSUM;
	out->router = address_v6(source);
	if (hop_limit != HOP_LIMIT || !is_link_local(source))
		return TEREDO_BROKEN;
	struct wire_reader body = wire_reader_init(message, length);
	return read_advertisement(&body, out);
}

enum teredo_fault teredo_answer_read(const void *packet, size_t size, struct teredo_answer *out)
{
	struct wire_reader reader = wire_reader_init(packet, size);

	*out = (struct teredo_answer){.has_nonce = false};
	read_authentication(&reader, out);
	read_origin(&reader, out);
	if (reader.error != TD_OK)
		return TEREDO_SHORT;
	return read_ipv6(&reader, out);
}

/* --- who is answered --- */

bool teredo_source_is_dropped(const struct address *source)
{
	static const struct prefix dropped[] = {
		{.length = 8, .address = {.family = ADDRESS_V4, .octets = {0}}},
		{.length = 8, .address = {.family = ADDRESS_V4, .octets = {10}}},
		{.length = 8, .address = {.family = ADDRESS_V4, .octets = {127}}},
		{.length = 16, .address = {.family = ADDRESS_V4, .octets = {169, 254}}},
		{.length = 12, .address = {.family = ADDRESS_V4, .octets = {172, 16}}},
		{.length = 16, .address = {.family = ADDRESS_V4, .octets = {192, 168}}},
		{.length = 24, .address = {.family = ADDRESS_V4, .octets = {192, 88, 99}}},
		{.length = 3, .address = {.family = ADDRESS_V4, .octets = {224}}},
	};

	if (source->family != ADDRESS_V4)
		return true;
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (prefix_contains(&dropped[i], source))
			return true;
	return false;
}
