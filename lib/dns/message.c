/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages read from front to back with the bounded cursor. A record is described where it stands
 * instead of being copied: answers are passed on as they came, and only their names and TTLs are
 * looked at.
 */
#include "lib/dns/message.h"

/* The fixed parts are taken from the cursor whole: one check instead of six. */
static inline uint16_t u16_at(const uint8_t *octets, size_t offset)
{
	return (uint16_t)(octets[offset] << 8 | octets[offset + 1]);
}

struct message_header message_read_header(struct wire_reader *reader)
{
	const uint8_t *octets = wire_read_bytes(reader, DNS_HEADER_SIZE);
	if (!octets)
		return (struct message_header){0};
	return (struct message_header){
		.id = u16_at(octets, 0),
		.flags = u16_at(octets, 2),
		.qdcount = u16_at(octets, 4),
		.ancount = u16_at(octets, 6),
		.nscount = u16_at(octets, 8),
		.arcount = u16_at(octets, 10),
	};
}

void message_read_question(
	struct wire_reader *reader, struct name *qname, uint16_t *qtype, uint16_t *qclass)
{
	name_read(reader, qname);
	*qtype = wire_read_u16(reader);
	*qclass = wire_read_u16(reader);
}

bool message_read_rr(struct wire_reader *reader, struct message_rr *rr)
{
	name_read(reader, &rr->owner);
	return message_read_rr_body(reader, rr);
}

bool message_read_rr_body(struct wire_reader *reader, struct message_rr *rr)
{
	rr->ttl_offset = reader->position + 4;
	const uint8_t *octets = wire_read_bytes(reader, 10);
	if (!octets) {
		*rr = (struct message_rr){0};
		return false;
	}
	rr->type = u16_at(octets, 0);
	rr->rr_class = u16_at(octets, 2);
	rr->ttl = (uint32_t)u16_at(octets, 4) << 16 | u16_at(octets, 6);
	rr->rdata_length = u16_at(octets, 8);
	rr->rdata_offset = reader->position;
	return wire_read_bytes(reader, rr->rdata_length) != NULL;
}

bool message_rdata_name(const uint8_t *message, size_t size, const struct message_rr *rr,
	size_t skip, struct name *out)
{
	out->length = 0;
	if (skip > rr->rdata_length || rr->rdata_offset > size ||
		rr->rdata_length > size - rr->rdata_offset)
		return false;
	/* For the cursor the message ends with the RDATA; pointers lead backwards anyway. */
	struct wire_reader reader = wire_reader_init(message, rr->rdata_offset + rr->rdata_length);
	reader.position = rr->rdata_offset + skip;
	name_read(&reader, out);
	return reader.error == TD_OK;
}

uint32_t message_ttl_s(uint32_t ttl)
{
	return ttl & UINT32_C(0x80000000) ? 0 : ttl;
}
