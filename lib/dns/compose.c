/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers of our own: blocked names, local data, chains. Every label sequence that was written is
 * remembered by its offset (a short table, searched from the front: these answers have a handful of
 * names), and a name is written as the labels that are new and a pointer to the longest rest that
 * is not. A hash of suffixes was rejected as not worth its memory here.
 */
#include "lib/dns/compose.h"

#include <assert.h>

#define POINTER_MAX 0x3fff
#define POINTER 0xc000

/* Remembers that a label sequence begins at offset. */
static void target_add(struct compose *compose, size_t offset)
{
	if (compose->target_count < COMPOSE_TARGETS_MAX && offset <= POINTER_MAX)
		compose->targets[compose->target_count++] = (uint16_t)offset;
}

/* The offset where the label behind pointers stands. What we wrote ourselves points backwards. */
static size_t target_resolve(const uint8_t *data, size_t offset)
{
	while (data[offset] >= 0xc0)
		offset = (size_t)(data[offset] & 0x3f) << 8 | data[offset + 1];
	return offset;
}

/* True when the name that begins at offset is suffix, without regard to case. */
static bool target_equals(const uint8_t *data, size_t offset, const uint8_t *suffix)
{
	for (;;) {
		offset = target_resolve(data, offset);
		size_t whole = 1u + *suffix;
		if (data[offset] != *suffix ||
			!name_wire_equal(data + offset, whole, suffix, whole))
			return false;
		if (*suffix == 0)
			return true;
		offset += whole;
		suffix += whole;
	}
}

/* The offset of a place with this suffix among the first count targets, 0 when there is none. */
static size_t target_find(const struct compose *compose, unsigned count, const uint8_t *suffix)
{
	for (unsigned i = 0; i < count; i++) {
		if (target_equals(compose->writer.data, compose->targets[i], suffix))
			return compose->targets[i];
	}
	return 0;
}

/* The question's name, in full. Its labels become targets when the whole of it was written. */
static void write_qname(struct compose *compose, const uint8_t *qname, size_t qname_length)
{
	size_t start = compose->writer.position;
	wire_write_bytes(&compose->writer, qname, qname_length);
	if (compose->writer.error != TD_OK)
		return;
	for (size_t at = 0; qname[at]; at += 1u + qname[at])
		target_add(compose, start + at);
}

void compose_begin(struct compose *compose, uint8_t *buffer, size_t size, uint16_t id,
	uint16_t flags, const uint8_t *qname, size_t qname_length, uint16_t qtype, uint16_t qclass)
{
	static const uint8_t counts[8];
	struct wire_writer *writer = &compose->writer;
	*writer = wire_writer_init(buffer, size);
	compose->counts[0] = qname_length > 0;
	compose->counts[1] = compose->counts[2] = compose->counts[3] = 0;
	compose->target_count = 0;
	wire_write_u16(writer, id);
	wire_write_u16(writer, flags);
	wire_write_bytes(writer, counts, sizeof(counts));
	if (qname_length == 0)
		return;
	write_qname(compose, qname, qname_length);
	wire_write_u16(writer, qtype);
	wire_write_u16(writer, qclass);
}

void compose_name(struct compose *compose, const struct name *name)
{
	struct wire_writer *writer = &compose->writer;
	const uint8_t *suffix = name->wire;
	/* The name's own labels become targets too, and are no use before its end is written. */
	unsigned complete = compose->target_count;
	assert(name->length > 0);
	for (; *suffix && writer->error == TD_OK; suffix += 1u + *suffix) {
		size_t target = target_find(compose, complete, suffix);
		if (target) {
			wire_write_u16(writer, (uint16_t)(POINTER | target));
			return;
		}
		size_t offset = writer->position;
		wire_write_bytes(writer, suffix, 1u + *suffix);
		target_add(compose, offset);
	}
	wire_write_u8(writer, 0);
}

/* Owner to TTL of a record; the offset of the TTL. */
static size_t begin_rr(struct compose *compose, enum compose_section section,
	const struct name *owner, uint16_t type, uint32_t ttl_s)
{
	for (int later = section + 1; later <= SECTION_ADDITIONAL; later++)
		assert(compose->counts[1 + later] == 0);
	compose_name(compose, owner);
	wire_write_u16(&compose->writer, type);
	wire_write_u16(&compose->writer, CLASS_IN);
	size_t ttl_offset = compose->writer.position;
	wire_write_u32(&compose->writer, ttl_s);
	return ttl_offset;
}

/* Counts a complete record; its TTL's offset, 0 on failure. */
static size_t end_rr(struct compose *compose, enum compose_section section, size_t ttl_offset)
{
	uint16_t *count = &compose->counts[1 + section];
	if (*count == UINT16_MAX)
		compose->writer.error = TD_NO_SPACE;
	if (compose->writer.error != TD_OK)
		return 0;
	++*count;
	return ttl_offset;
}

/* Puts the RDLENGTH before RDATA that has just been written. */
static void end_rdata(struct compose *compose, size_t length_offset)
{
	struct wire_writer *writer = &compose->writer;
	if (writer->error == TD_OK)
		wire_put_u16(writer->data, writer->size, length_offset,
			(uint16_t)(writer->position - length_offset - 2));
}

size_t compose_rr(struct compose *compose, enum compose_section section, const struct name *owner,
	uint16_t type, uint32_t ttl_s, const void *rdata, size_t rdata_length)
{
	size_t ttl_offset = begin_rr(compose, section, owner, type, ttl_s);
	if (rdata_length > UINT16_MAX)
		compose->writer.error = TD_NO_SPACE;
	wire_write_u16(&compose->writer, (uint16_t)rdata_length);
	wire_write_bytes(&compose->writer, rdata, rdata_length);
	return end_rr(compose, section, ttl_offset);
}

size_t compose_rr_name(struct compose *compose, enum compose_section section,
	const struct name *owner, uint16_t type, uint32_t ttl_s, const struct name *target)
{
	size_t ttl_offset = begin_rr(compose, section, owner, type, ttl_s);
	size_t length_offset = compose->writer.position;
	wire_write_u16(&compose->writer, 0);
	compose_name(compose, target);
	end_rdata(compose, length_offset);
	return end_rr(compose, section, ttl_offset);
}

size_t compose_rr_soa(struct compose *compose, enum compose_section section,
	const struct name *owner, uint32_t ttl_s, const struct compose_soa *soa)
{
	size_t ttl_offset = begin_rr(compose, section, owner, TYPE_SOA, ttl_s);
	size_t length_offset = compose->writer.position;
	wire_write_u16(&compose->writer, 0);
	compose_name(compose, &soa->mname);
	compose_name(compose, &soa->rname);
	wire_write_u32(&compose->writer, soa->serial);
	wire_write_u32(&compose->writer, soa->refresh_s);
	wire_write_u32(&compose->writer, soa->retry_s);
	wire_write_u32(&compose->writer, soa->expire_s);
	wire_write_u32(&compose->writer, soa->minimum_s);
	end_rdata(compose, length_offset);
	return end_rr(compose, section, ttl_offset);
}

bool compose_read_soa(
	const uint8_t *message, size_t size, const struct message_rr *rr, struct compose_soa *out)
{
	if (rr->rdata_offset > size || rr->rdata_length > size - rr->rdata_offset)
		return false;
	struct wire_reader reader =
		wire_reader_init(message, rr->rdata_offset + rr->rdata_length);
	reader.position = rr->rdata_offset;
	name_read(&reader, &out->mname);
	name_read(&reader, &out->rname);
	out->serial = wire_read_u32(&reader);
	out->refresh_s = wire_read_u32(&reader);
	out->retry_s = wire_read_u32(&reader);
	out->expire_s = wire_read_u32(&reader);
	out->minimum_s = wire_read_u32(&reader);
	return reader.error == TD_OK;
}

size_t compose_finish(struct compose *compose)
{
	struct wire_writer *writer = &compose->writer;
	if (writer->error != TD_OK)
		return 0;
	for (size_t i = 0; i < 4; i++)
		wire_put_u16(writer->data, writer->size, 4 + 2 * i, compose->counts[i]);
	return writer->position;
}
