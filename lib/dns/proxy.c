/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Only the binary version: the text of version 1 is for connections alone, and has no end that is
 * known beforehand. Whether the proxy's own client used UDP or TCP does not matter here, so
 * either is taken over either.
 */
#include "lib/dns/proxy.h"

#include <string.h>

#include "lib/dns/wire.h"

#define FIXED_SIZE 16
#define COMMAND_LOCAL 0x20 /* version 2 in the upper half */
#define COMMAND_PROXY 0x21
#define FAMILY_INET 1
#define FAMILY_INET6 2
#define FAMILY_UNIX 3

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct endpoint endpoint_v4(const uint8_t *address, uint16_t port)
{
	return (struct endpoint){.address = address_v4(address), .port = port};
}

/* An IPv4-mapped address is one of IPv4, as it is from a socket. */
static struct endpoint endpoint_v6(const uint8_t *address, uint16_t port)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(address, mapped, sizeof(mapped)) == 0)
		return endpoint_v4(address + sizeof(mapped), port);
	return (struct endpoint){.address = address_v6(address), .port = port};
}

/* The addresses, which stand before the TLVs. False when there are fewer octets than they need. */
static bool read_addresses(struct wire_reader *reader, unsigned family, struct proxy_header *out)
{
	size_t size = family == FAMILY_INET ? 4 : 16;
	const uint8_t *source = wire_read_bytes(reader, size);
	const uint8_t *destination = wire_read_bytes(reader, size);
	uint16_t source_port = wire_read_u16(reader), destination_port = wire_read_u16(reader);

	if (reader->error != TD_OK)
		return false;
	if (family == FAMILY_INET) {
		out->source = endpoint_v4(source, source_port);
		out->destination = endpoint_v4(destination, destination_port);
	} else {
		out->source = endpoint_v6(source, source_port);
		out->destination = endpoint_v6(destination, destination_port);
	}
	return true;
}

enum td_error proxy_read(const uint8_t *data, size_t size, struct proxy_header *out)
{
	struct wire_reader reader = wire_reader_init(data, size);

	memset(out, 0, sizeof(*out));
	if (memcmp(data, signature, smaller(size, sizeof(signature))) != 0)
		return TD_MALFORMED;
	wire_read_bytes(&reader, sizeof(signature));
	uint8_t command = wire_read_u8(&reader);
	uint8_t transport = wire_read_u8(&reader);
	uint16_t length = wire_read_u16(&reader);
	if (reader.error != TD_OK)
		return TD_TRUNCATED;
	unsigned family = transport >> 4;
	if ((command != COMMAND_LOCAL && command != COMMAND_PROXY) || family > FAMILY_UNIX ||
		(transport & 0xf) > 2 || length > PROXY_HEADER_MAX - FIXED_SIZE)
		return TD_MALFORMED;
	if (wire_left(&reader) < length)
		return TD_TRUNCATED;
	out->length = (size_t)FIXED_SIZE + length;
	out->local = command == COMMAND_LOCAL || family == 0 || family == FAMILY_UNIX;
	if (out->local)
		return TD_OK;
	struct wire_reader body = wire_reader_init(data + FIXED_SIZE, length);
	return read_addresses(&body, family, out) ? TD_OK : TD_MALFORMED;
}
