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

/* Out of the addresses and ports of both ends, which stand before the TLVs. False when there are
 * fewer octets than they need. */
static bool read_source(struct wire_reader *reader, unsigned family, struct endpoint *out)
{
	size_t size = family == FAMILY_INET ? 4 : 16;
	const uint8_t *source = wire_read_bytes(reader, size);
	wire_read_bytes(reader, size); /* to whom */
	uint16_t port = wire_read_u16(reader);
	wire_read_u16(reader);

	if (reader->error != TD_OK)
		return false;
	out->address = family == FAMILY_INET ? address_v4(source) : address_v6_unmapped(source);
	out->port = port;
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
	return read_source(&body, family, &out->source) ? TD_OK : TD_MALFORMED;
}
