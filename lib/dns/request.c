/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first thing that happens to a packet from a client. One pass, nothing copied but the folded
 * name. Most queries have no other record than an OPT; everything else is read with the same
 * strictness, so that what is answered is always a message we understood to its last octet.
 */
#include "lib/dns/request.h"

/* Reads the question, which must not be compressed: in a query there is nothing to point to. */
static bool read_question(struct wire_reader *reader, struct request *out)
{
	const uint8_t *qname = wire_read_bytes(reader, 0);
	size_t length = name_wire_length(qname, wire_left(reader));
	if (length == 0)
		return false;
	wire_read_bytes(reader, length);
	out->qtype = wire_read_u16(reader);
	out->qclass = wire_read_u16(reader);
	if (reader->error != TD_OK)
		return false;
	out->qname = qname;
	out->qname_length = (uint8_t)length;
	name_fold(out->folded, qname, length);
	return true;
}

/* Steps over records of the answer and authority sections; a client has no reason to send any, and
 * may. */
static bool skip_records(struct wire_reader *reader, unsigned count)
{
	struct message_rr rr;
	while (count-- > 0) {
		if (!message_read_rr(reader, &rr))
			return false;
	}
	return true;
}

/* The additional section: at most one OPT, and records that can be read. */
static bool read_additional(struct wire_reader *reader, unsigned count, struct edns *edns)
{
	struct message_rr rr;
	while (count-- > 0) {
		if (!message_read_rr(reader, &rr))
			return false;
		if (rr.type != TYPE_OPT)
			continue;
		if (edns->present || edns_parse(reader->data, reader->size, &rr, edns) != TD_OK)
			return false;
	}
	return true;
}

/* Everything behind the header; false for FORMERR. */
static bool read_body(
	struct wire_reader *reader, const struct message_header *header, struct request *out)
{
	if (header->qdcount != 1 || !read_question(reader, out))
		return false;
	if (!skip_records(reader, (unsigned)header->ancount + header->nscount))
		return false;
	if (!read_additional(reader, header->arcount, &out->edns))
		return false;
	return wire_left(reader) == 0;
}

static bool is_refused(const struct request *request)
{
	return request->qclass != CLASS_IN || request->qtype == TYPE_AXFR ||
	       request->qtype == TYPE_IXFR;
}

enum request_verdict request_parse(
	const uint8_t *packet, size_t size, struct request *out, uint16_t *rcode)
{
	struct wire_reader reader = wire_reader_init(packet, size);
	struct message_header header = message_read_header(&reader);
	if (reader.error != TD_OK || header.flags & DNS_FLAG_QR)
		return REQUEST_DROP;
	out->id = header.id;
	out->flags = header.flags;
	out->qname = NULL;
	out->qname_length = 0;
	out->qtype = 0;
	out->qclass = 0;
	out->edns = (struct edns){0};
	out->forwarded = (struct forwarded){0};
	out->cookie = COOKIE_NONE;
	out->subnet.sent_length = 0;
	out->keepalive_ds = 0;
	bool readable = read_body(&reader, &header, out);
	if (header.flags & DNS_FLAG_OPCODE)
		*rcode = RCODE_NOTIMP;
	else if (!readable)
		*rcode = RCODE_FORMERR;
	else if (out->edns.version > 0)
		*rcode = RCODE_BADVERS;
	else if (is_refused(out))
		*rcode = RCODE_REFUSED;
	else
		return REQUEST_ANSWER;
	return REQUEST_ERROR;
}
