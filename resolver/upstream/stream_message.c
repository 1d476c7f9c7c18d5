/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options go to the end of a packet of ours, whose last record is our OPT: so nothing has to be
 * composed anew for a connection, and the length of the OPT is all that changes.
 */
#include "resolver/upstream/stream_message.h"

#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/wire.h"

#define OPT_LENGTH_OFFSET 9 /* root, type, payload, extended rcode, version, flags */
#define OPTION_HEADER 4

static void write_option(struct wire_writer *writer, uint16_t code, size_t length)
{
	wire_write_u16(writer, code);
	wire_write_u16(writer, (uint16_t)length);
	for (size_t i = 0; i < length; i++)
		wire_write_u8(writer, 0);
}

static void write_padding(struct wire_writer *writer)
{
	size_t length = writer->position + OPTION_HEADER;

	write_option(writer, EDNS_OPTION_PADDING,
		(STREAM_PADDING - length % STREAM_PADDING) % STREAM_PADDING);
}

size_t stream_message_compose(
	uint8_t *out, const struct packet *packet, const struct stream_message *how)
{
	struct wire_writer writer = wire_writer_init(out + 2, STREAM_MESSAGE_MAX - 2);
	size_t opt_length = packet->question_end + OPT_LENGTH_OFFSET;

	wire_write_bytes(&writer, packet->octets, packet->length);
	if (!packet->without_edns) {
		if (how->keepalive)
			write_option(&writer, EDNS_OPTION_KEEPALIVE, 0);
		if (how->padded)
			write_padding(&writer);
		wire_put_u16(writer.data, writer.size, opt_length,
			(uint16_t)(writer.position - opt_length - 2));
	}
	wire_put_u16(out, 2, 0, (uint16_t)writer.position);
	return 2 + writer.position;
}

static bool find_keepalive(const uint8_t *options, size_t size, uint16_t *tenths)
{
	struct wire_reader reader = wire_reader_init(options, size);

	while (wire_left(&reader) > 0) {
		uint16_t code = wire_read_u16(&reader);
		uint16_t length = wire_read_u16(&reader);

		if (code == EDNS_OPTION_KEEPALIVE && length == 2) {
			*tenths = wire_read_u16(&reader);
			return reader.error == TD_OK;
		}
		wire_read_bytes(&reader, length);
	}
	return false;
}

bool stream_message_keepalive(const uint8_t *reply, size_t size, uint16_t *tenths)
{
	struct wire_reader reader = wire_reader_init(reply, size);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct edns edns;
	struct name qname;
	uint16_t qtype, qclass;

	if (header.qdcount > 1)
		return false;
	if (header.qdcount == 1)
		message_read_question(&reader, &qname, &qtype, &qclass);
	unsigned count = (unsigned)header.ancount + header.nscount + header.arcount;

	for (unsigned i = 0; i < count && message_read_rr(&reader, &rr); i++) {
		if (rr.type == TYPE_OPT)
			return edns_parse(reply, size, &rr, &edns) == TD_OK &&
			       find_keepalive(
				       reply + edns.options_offset, edns.options_length, tenths);
	}
	return false;
}
