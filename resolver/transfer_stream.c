/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An answer of IXFR does not say what it is: the record behind the first SOA does. An SOA of the
 * serial that we asked from begins changes, everything else is the zone whole (RFC 1995, 4). The
 * serials have to make a chain from ours to the one told first, so changes that are for another
 * version, out of order or cut off are never taken for whole ones.
 *
 * Records of other zones are left out and counted rather than a reason to refuse all: some
 * primaries send glue.
 */
#include "resolver/transfer_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/dns/compose.h"
#include "lib/dns/message.h"
#include "lib/dns/rdata.h"
#include "lib/dns/text.h"

#define RCODE_NOTAUTH 9

bool serial_is_later(uint32_t a, uint32_t b)
{
	uint32_t ahead = a - b;

	return ahead != 0 && ahead < UINT32_C(1) << 31;
}

/* --- the question --- */

size_t stream_begin(struct zone_stream *stream, enum stream_kind kind, const struct name *apex,
	uint16_t id, uint32_t have, const struct tsig_key *key, uint64_t now_s, uint8_t *out)
{
	static const uint16_t types[] = {
		[STREAM_SOA] = TYPE_SOA, [STREAM_AXFR] = TYPE_AXFR, [STREAM_IXFR] = TYPE_IXFR};
	const struct compose_soa ours = {
		.mname = {.length = 1}, .rname = {.length = 1}, .serial = have};
	struct compose compose;
	size_t length;

	*stream = (struct zone_stream){.kind = kind, .apex = *apex, .id = id, .have = have};
	compose_begin(&compose, out, STREAM_QUESTION_MAX, id, 0, apex->wire, apex->length,
		types[kind], CLASS_IN);
	if (kind == STREAM_IXFR)
		compose_rr_soa(&compose, SECTION_AUTHORITY, apex, 0, &ours);
	length = compose_finish(&compose);
	if (!key)
		return length;
	if (tsig_sign(key, out, &length, STREAM_QUESTION_MAX, NULL, now_s, now_s, 0,
		    &stream->request) == TD_OK)
		stream->signatures = tsig_stream_new(key, &stream->request);
	if (stream->signatures)
		return length;
	snprintf(stream->why, sizeof stream->why, "the question cannot be signed");
	return 0;
}

void stream_end(struct zone_stream *stream)
{
	tsig_stream_free(stream->signatures);
	stream->signatures = NULL;
}

/* --- a message --- */

static enum stream_result fault(struct zone_stream *stream, const char *words)
{
	snprintf(stream->why, sizeof stream->why, "%s", words);
	return STREAM_FAULT;
}

static const char *rcode_words(uint16_t rcode)
{
	return rcode == RCODE_NOTAUTH ? "NOTAUTH" : rcode_to_text(rcode);
}

static enum stream_result check_signature(
	struct zone_stream *stream, const uint8_t *message, size_t *size, uint64_t now_s)
{
	struct tsig_check check;

	if (!stream->signatures)
		return STREAM_MORE;
	check = tsig_stream_verify(stream->signatures, message, *size, now_s);
	*size = check.length;
	if (check.result == TSIG_GOOD || check.result == TSIG_UNSIGNED)
		return STREAM_MORE;
	/* Who refuses a question need not sign that. */
	if (check.result == TSIG_MISSING && message[3] & DNS_FLAG_RCODE)
		return STREAM_MORE;
	stream->skew_s = check.skew_s;
	if (check.result == TSIG_OTHER_TIME || check.result == TSIG_TOLD_TIME)
		snprintf(stream->why, sizeof stream->why, "%s: the primary's is %" PRId64 " s %s",
			tsig_result_text(check.result),
			check.skew_s < 0 ? -check.skew_s : check.skew_s,
			check.skew_s < 0 ? "behind" : "ahead");
	else
		snprintf(stream->why, sizeof stream->why, "%s", tsig_result_text(check.result));
	return STREAM_KEY;
}

static bool question_is_ours(const struct zone_stream *stream, struct wire_reader *reader)
{
	static const uint16_t types[] = {
		[STREAM_SOA] = TYPE_SOA, [STREAM_AXFR] = TYPE_AXFR, [STREAM_IXFR] = TYPE_IXFR};
	struct name qname;
	uint16_t qtype, qclass;

	message_read_question(reader, &qname, &qtype, &qclass);
	return reader->error == TD_OK && qtype == types[stream->kind] && qclass == CLASS_IN &&
	       name_equal(&qname, &stream->apex);
}

/* The header and the question; the reader stands before the answer then. */
static enum stream_result check_head(
	struct zone_stream *stream, struct wire_reader *reader, uint16_t *count)
{
	struct message_header header = message_read_header(reader);

	if (reader->error != TD_OK)
		return fault(stream, "a message under 12 octets");
	if (!(header.flags & DNS_FLAG_QR) || header.flags & DNS_FLAG_OPCODE ||
		header.id != stream->id)
		return fault(stream, "a message that is no answer to our question");
	if (header.flags & DNS_FLAG_RCODE) {
		snprintf(stream->why, sizeof stream->why, "%s",
			rcode_words(header.flags & DNS_FLAG_RCODE));
		return STREAM_REFUSED;
	}
	if (header.flags & DNS_FLAG_TC)
		return fault(stream, "an answer cut short over TCP");
	/* Later messages need not repeat the question (RFC 5936, 2.2.2). */
	if (header.qdcount > 1 || (header.qdcount == 0 && stream->messages == 0))
		return fault(stream, "an answer without our question");
	if (header.qdcount == 1 && !question_is_ours(stream, reader))
		return fault(stream, "an answer to another question");
	if (header.ancount == 0)
		return fault(stream, "an answer without records");
	stream->authoritative = header.flags & DNS_FLAG_AA;
	*count = header.ancount;
	return STREAM_MORE;
}

/* --- records --- */

struct reading {
	struct zone_stream *stream;
	const struct stream_sink *sink;
	const uint8_t *message;
	size_t size;
	uint8_t scratch[RDATA_SCRATCH];
	const uint8_t *rdata; /* of the record being read */
	size_t length;
};

static struct zone_soa soa_of(const struct reading *reading)
{
	struct wire_reader reader = wire_reader_init(reading->rdata + reading->length - 20, 20);
	struct zone_soa soa;

	soa.serial = wire_read_u32(&reader);
	soa.refresh_s = wire_read_u32(&reader);
	soa.retry_s = wire_read_u32(&reader);
	soa.expire_s = wire_read_u32(&reader);
	soa.minimum_s = wire_read_u32(&reader);
	return soa;
}

static bool type_is_left_out(uint16_t type)
{
	return type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_NSEC3 || type == TYPE_OPT;
}

static enum stream_result take_plain(struct reading *reading, const struct message_rr *rr)
{
	struct zone_stream *stream = reading->stream;
	const struct zone_record record = {.owner = rr->owner.wire,
		.owner_length = rr->owner.length,
		.type = rr->type,
		.ttl_s = message_ttl_s(rr->ttl),
		.rdata = reading->rdata,
		.rdata_length = (uint16_t)reading->length};

	if (type_is_left_out(rr->type))
		return STREAM_MORE;
	if (!name_is_within(&rr->owner, &stream->apex)) {
		stream->outside++;
		return STREAM_MORE;
	}
	stream->records++;
	return reading->sink->record(
		       reading->sink->context, stream->place == PLACE_REMOVED, &record)
		       ? STREAM_MORE
		       : STREAM_SINK;
}

static enum stream_result begin_zone(struct reading *reading)
{
	reading->stream->place = PLACE_ZONE;
	return reading->sink->begin(reading->sink->context, true) ? STREAM_MORE : STREAM_SINK;
}

static enum stream_result begin_changes(struct reading *reading, uint32_t from)
{
	struct zone_stream *stream = reading->stream;

	if (from != stream->have)
		return fault(stream, "changes to another version than ours");
	stream->place = PLACE_REMOVED;
	stream->reached = from;
	return reading->sink->begin(reading->sink->context, false) ? STREAM_MORE : STREAM_SINK;
}

/* The first record of all. */
static enum stream_result take_first(struct reading *reading, const struct message_rr *rr)
{
	struct zone_stream *stream = reading->stream;

	if (rr->type != TYPE_SOA)
		return fault(stream, "an answer that does not begin with the SOA");
	stream->soa = soa_of(reading);
	switch (stream->kind) {
	case STREAM_SOA:
		stream->place = PLACE_END;
		return STREAM_TOLD;
	case STREAM_AXFR:
		return begin_zone(reading);
	case STREAM_IXFR:
		break;
	}
	stream->place = PLACE_FIRST;
	return STREAM_MORE;
}

/* The second record of an answer to IXFR: it tells what the answer is. */
static enum stream_result take_second(struct reading *reading, const struct message_rr *rr)
{
	struct zone_stream *stream = reading->stream;
	enum stream_result result;

	if (rr->type == TYPE_SOA && soa_of(reading).serial != stream->soa.serial)
		return begin_changes(reading, soa_of(reading).serial);
	result = begin_zone(reading);
	if (result != STREAM_MORE || rr->type != TYPE_SOA)
		return result != STREAM_MORE ? result : take_plain(reading, rr);
	stream->place = PLACE_END; /* the zone is its SOA and nothing else */
	return STREAM_WHOLE;
}

/* An SOA of the zone's end, or between the parts of changes. */
static enum stream_result take_soa(struct reading *reading)
{
	struct zone_stream *stream = reading->stream;
	uint32_t serial = soa_of(reading).serial;

	if (stream->place == PLACE_ZONE) {
		if (serial != stream->soa.serial)
			return fault(
				stream, "a zone that ends with another SOA than it began with");
		stream->place = PLACE_END;
		return STREAM_WHOLE;
	}
	if (stream->place == PLACE_REMOVED) {
		if (!serial_is_later(serial, stream->reached))
			return fault(stream, "changes that lead to an older version");
		stream->reached = serial;
		stream->place = PLACE_ADDED;
		return STREAM_MORE;
	}
	if (serial != stream->reached)
		return fault(stream, "changes with a gap between them");
	if (serial != stream->soa.serial) {
		stream->place = PLACE_REMOVED;
		return STREAM_MORE;
	}
	stream->place = PLACE_END;
	return STREAM_CHANGED;
}

static enum stream_result take_record(struct reading *reading, const struct message_rr *rr)
{
	struct zone_stream *stream = reading->stream;

	if (rr->rr_class != CLASS_IN)
		return fault(stream, "a record of another class");
	if (rdata_plain(reading->message, reading->size, rr, reading->scratch, &reading->rdata,
		    &reading->length) != TD_OK)
		return fault(stream, "a record that cannot be read");
	if (rr->type == TYPE_SOA && !name_equal(&rr->owner, &stream->apex))
		return fault(stream, "an SOA of another zone");
	if (stream->place == PLACE_START)
		return take_first(reading, rr);
	if (stream->place == PLACE_FIRST)
		return take_second(reading, rr);
	return rr->type == TYPE_SOA ? take_soa(reading) : take_plain(reading, rr);
}

static enum stream_result take_answer(
	struct reading *reading, struct wire_reader *reader, unsigned count)
{
	struct zone_stream *stream = reading->stream;
	enum stream_result result = STREAM_MORE;
	struct message_rr rr;

	for (unsigned i = 0; i < count; i++) {
		if (!message_read_rr(reader, &rr))
			return fault(stream, "a record that cannot be read");
		if (result != STREAM_MORE)
			return fault(stream, "records behind the end");
		result = take_record(reading, &rr);
		if (result >= STREAM_REFUSED)
			return result;
	}
	/* A lone SOA: nothing newer; where it is newer, the rest comes in the next message. */
	if (stream->place == PLACE_FIRST && !serial_is_later(stream->soa.serial, stream->have)) {
		stream->place = PLACE_END;
		return STREAM_TOLD;
	}
	return result;
}

enum stream_result stream_take(struct zone_stream *stream, const uint8_t *message, size_t size,
	uint64_t now_s, const struct stream_sink *sink)
{
	struct wire_reader reader = wire_reader_init(message, size);
	struct reading reading = {.stream = stream, .sink = sink, .message = message, .size = size};
	enum stream_result result;
	uint16_t count;

	if (size < 12)
		return fault(stream, "a message under 12 octets");
	result = check_signature(stream, message, &size, now_s);
	if (result == STREAM_MORE)
		result = check_head(stream, &reader, &count);
	if (result != STREAM_MORE)
		return result;
	stream->messages++;
	result = take_answer(&reading, &reader, count);
	if (result == STREAM_MORE || result >= STREAM_REFUSED)
		return result;
	if (!stream->signatures || tsig_stream_may_end(stream->signatures))
		return result;
	snprintf(stream->why, sizeof stream->why, "the last message is %s",
		tsig_result_text(TSIG_UNSIGNED));
	return STREAM_KEY;
}
