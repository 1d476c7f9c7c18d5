/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formatting of records. It has to manage 100,000 lines a second beside everything else the
 * collector does, so fixed parts are appended as literals, the second of the timestamp and the
 * resolver's name are formatted once, and names, addresses and numbers go through our own
 * formatters; ldns is reached for the rarer types only, behind rdata_to_text.
 *
 * Rejected: a JSON library (a tree of allocations a line, for an output whose shape is known).
 */
#include "resolver/telemetry/record_json.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "lib/dns/text.h"
#include "lib/dns/tunnel.h"
#include "lib/dns/wire.h"

#define LITERAL(out, text) strbuf_append(out, text, sizeof(text) - 1)

void record_writer_init(
	struct record_writer *writer, const char *resolver_name, const struct zone_ids *zones)
{
	*writer = (struct record_writer){.zones = zones, .second = -1};
	strbuf_init(&writer->scratch);
	strbuf_init(&writer->answers);
	strbuf_init(&writer->last_text);
	strbuf_init(&writer->resolver);
	LITERAL(&writer->resolver, "Z\",\"resolver\":");
	strbuf_json_string(&writer->resolver, resolver_name, strlen(resolver_name));
	LITERAL(&writer->resolver, ",\"txn\":");
}

void record_writer_deinit(struct record_writer *writer)
{
	strbuf_deinit(&writer->scratch);
	strbuf_deinit(&writer->answers);
	strbuf_deinit(&writer->last_text);
	strbuf_deinit(&writer->resolver);
}

/* --- parts --- */

static void put_time(struct record_writer *writer, int64_t wall_us, struct strbuf *out)
{
	int64_t second = wall_us / US_PER_S;
	uint32_t rest = (uint32_t)(wall_us % US_PER_S);

	if (second != writer->second) {
		strbuf_clear(&writer->scratch);
		strbuf_append_time(&writer->scratch, second * US_PER_S);
		if (writer->scratch.failed || writer->scratch.length < sizeof(writer->time))
			return;
		memcpy(writer->time, writer->scratch.data, sizeof(writer->time));
		writer->second = second;
	}
	char digits[6];
	for (int i = 5; i >= 0; i--, rest /= 10)
		digits[i] = (char)('0' + rest % 10);
	strbuf_append(out, writer->time, sizeof(writer->time));
	strbuf_append(out, digits, sizeof(digits));
}

static void put_address(struct strbuf *out, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	strbuf_append_char(out, '"');
	strbuf_append_text(out, address_to_text(address, text));
	strbuf_append_char(out, '"');
}

static void put_name(
	struct record_writer *writer, struct strbuf *out, const uint8_t *wire, uint8_t length)
{
	struct strbuf *json = &writer->last_text;

	if (writer->last_name.length != length ||
		memcmp(writer->last_name.wire, wire, length) != 0) {
		char text[NAME_TEXT_MAX];
		size_t size = name_to_text(wire, text);
		strbuf_clear(json);
		strbuf_json_string(json, text, size);
		writer->last_name.length = json->failed ? 0 : length;
		memcpy(writer->last_name.wire, wire, length);
	}
	strbuf_append(out, json->data, json->length);
}

static void put_type(struct strbuf *out, uint16_t type)
{
	char text[TYPE_TEXT_MAX];

	switch (type) {
	case TYPE_A:
		LITERAL(out, "\"A\"");
		return;
	case TYPE_AAAA:
		LITERAL(out, "\"AAAA\"");
		return;
	case TYPE_CNAME:
		LITERAL(out, "\"CNAME\"");
		return;
	default:
		strbuf_append_char(out, '"');
		strbuf_append_text(out, type_to_text(type, text));
		strbuf_append_char(out, '"');
	}
}

static void put_client(
	struct record_writer *writer, const struct record *record, struct strbuf *out)
{
	LITERAL(out, "{\"ts\":\"");
	put_time(writer, record->wall_us, out);
	strbuf_append(out, writer->resolver.data, writer->resolver.length);
	strbuf_append_u64(out, ++writer->last_txn);
	LITERAL(out, ",\"client\":");
	put_address(out, &record->client.address);
	LITERAL(out, ",\"port\":");
	strbuf_append_u64(out, record->client.port);
	LITERAL(out, ",\"id\":");
	strbuf_append_u64(out, record->id);
	if (record->tcp)
		LITERAL(out, ",\"proto\":\"tcp\"");
	else
		LITERAL(out, ",\"proto\":\"udp\"");
}

static void put_question(
	struct record_writer *writer, const struct record *record, struct strbuf *out)
{
	if (record->qname_length == 0) {
		LITERAL(out, ",\"query\":null,\"type\":null");
		return;
	}
	LITERAL(out, ",\"query\":");
	put_name(writer, out, record_qname(record), record->qname_length);
	LITERAL(out, ",\"type\":");
	put_type(out, record->qtype);
}

static void put_policy(
	struct record_writer *writer, const struct record *record, struct strbuf *out)
{
	const char *zone = zone_ids_name(writer->zones, record->zone);

	LITERAL(out, ",\"action\":\"");
	strbuf_append_text(out, transaction_action_name(record->action));
	strbuf_append_char(out, '"');
	if (record->action == TRANSACTION_NONE)
		return;
	LITERAL(out, ",\"policy\":");
	if (zone)
		strbuf_json_string(out, zone, strlen(zone));
	else
		LITERAL(out, "null");
	LITERAL(out, ",\"rule\":");
	strbuf_json_string(out, record_rule(record), record->rule_length);
}

static void put_source(const struct record *record, struct strbuf *out)
{
	LITERAL(out, ",\"source\":\"");
	strbuf_append_text(out, transaction_source_name(record->source));
	strbuf_append_char(out, '"');
	if (record->source == SOURCE_UPSTREAM && record->upstream.address.family != 0) {
		char text[ENDPOINT_TEXT_MAX];
		LITERAL(out, ",\"upstream\":\"");
		strbuf_append_text(out, endpoint_to_text(&record->upstream, text));
		strbuf_append_char(out, '"');
	}
	LITERAL(out, ",\"duration_us\":");
	strbuf_append_u64(out, record->duration_us);
}

/* --- the reply --- */

/* What a walk over the reply finds outside the answers. */
struct reply_facts {
	struct message_header header;
	struct wire_reader answers; /* cursor at the first answer */
	uint16_t rcode;             /* with the upper bits of the OPT record */
	int ede;                    /* -1: none */
};

static int read_ede(const uint8_t *message, const struct message_rr *rr)
{
	struct wire_reader reader = wire_reader_init(message + rr->rdata_offset, rr->rdata_length);

	while (wire_left(&reader) >= 4) {
		uint16_t code = wire_read_u16(&reader);
		uint16_t length = wire_read_u16(&reader);
		if (code == EDNS_OPTION_EDE && length >= 2)
			return wire_left(&reader) >= 2 ? wire_read_u16(&reader) : -1;
		wire_read_bytes(&reader, length);
	}
	return -1;
}

static void read_opt(
	const struct record *record, struct wire_reader reader, struct reply_facts *facts)
{
	unsigned before = (unsigned)facts->header.ancount + facts->header.nscount;
	struct message_rr rr;

	for (unsigned i = 0; i < before + facts->header.arcount && message_read_rr(&reader, &rr);
		i++) {
		if (i < before || rr.type != TYPE_OPT)
			continue;
		facts->rcode = (uint16_t)(facts->rcode | (rr.ttl >> 24) << 4);
		facts->ede = read_ede(record_reply(record), &rr);
		return;
	}
}

static struct reply_facts read_facts(const struct record *record)
{
	struct wire_reader reader = wire_reader_init(record_reply(record), record->reply_kept);
	struct reply_facts facts = {.header = message_read_header(&reader), .ede = -1};

	for (unsigned i = 0; i < facts.header.qdcount && reader.error == TD_OK; i++) {
		struct name qname;
		uint16_t qtype, qclass;
		message_read_question(&reader, &qname, &qtype, &qclass);
	}
	facts.rcode = facts.header.flags & DNS_FLAG_RCODE;
	facts.answers = reader;
	if (facts.header.arcount > 0)
		read_opt(record, reader, &facts);
	return facts;
}

static void put_rcode(const struct reply_facts *facts, struct strbuf *out)
{
	LITERAL(out, ",\"rcode\":\"");
	strbuf_append_text(out, rcode_to_text(facts->rcode));
	strbuf_append_char(out, '"');
}

static bool read_address(
	const struct record *record, const struct message_rr *rr, struct address *out)
{
	const uint8_t *octets = record_reply(record) + rr->rdata_offset;

	if (rr->rr_class != CLASS_IN)
		return false;
	if (rr->type == TYPE_A && rr->rdata_length == 4)
		*out = address_v4(octets);
	else if (rr->type == TYPE_AAAA && rr->rdata_length == 16)
		*out = address_v6(octets);
	else
		return false;
	return true;
}

/* Says what a tunnel wrote into an AAAA answer. */
static void put_tunnel(const struct address *address, struct strbuf *out)
{
	if (address->family != 6)
		return;
	struct tunnel tunnel = tunnel_decode(address);
	if (tunnel.kind == TUNNEL_TEREDO) {
		LITERAL(out, ",\"teredo\":{\"server\":");
		put_address(out, &tunnel.server);
		LITERAL(out, ",\"client\":");
		put_address(out, &tunnel.client);
		LITERAL(out, ",\"port\":");
		strbuf_append_u64(out, tunnel.port);
		strbuf_append_char(out, '}');
	} else if (tunnel.kind == TUNNEL_6TO4) {
		LITERAL(out, ",\"sixtofour\":");
		put_address(out, &tunnel.client);
	}
}

/* The RDATA of any other type. A single name goes the way of names: a CNAME's target is the next
 * record's owner. */
static void put_data(struct record_writer *writer, const struct record *record,
	const struct message_rr *rr, struct strbuf *out)
{
	struct strbuf *scratch = &writer->scratch;
	struct name name;

	if (rr->type == TYPE_CNAME &&
		message_rdata_name(record_reply(record), record->reply_kept, rr, 0, &name)) {
		put_name(writer, out, name.wire, name.length);
		return;
	}
	strbuf_clear(scratch);
	rdata_to_text(scratch, record_reply(record), record->reply_kept, rr);
	strbuf_json_string(out, scratch->length ? scratch->data : "", scratch->length);
}

/* One answer, and its address for the list of addresses. */
static void put_answer(struct record_writer *writer, const struct record *record,
	const struct message_rr *rr, struct strbuf *addresses)
{
	struct strbuf *out = &writer->answers;
	struct address address;

	LITERAL(out, "{\"name\":");
	put_name(writer, out, rr->owner.wire, rr->owner.length);
	LITERAL(out, ",\"type\":");
	put_type(out, rr->type);
	LITERAL(out, ",\"ttl\":");
	strbuf_append_u64(out, message_ttl_s(rr->ttl));
	LITERAL(out, ",\"data\":");
	if (read_address(record, rr, &address)) {
		char text[ADDRESS_TEXT_MAX + 2] = "\"";
		address_to_text(&address, text + 1);
		size_t length = strlen(text);
		text[length++] = '"';
		if (addresses->data[addresses->length - 1] != '[')
			strbuf_append_char(addresses, ',');
		strbuf_append(addresses, text, length);
		strbuf_append(out, text, length);
		put_tunnel(&address, out);
	} else {
		put_data(writer, record, rr, out);
	}
	strbuf_append_char(out, '}');
}

static void put_answers(struct record_writer *writer, const struct record *record,
	const struct reply_facts *facts, struct strbuf *out)
{
	struct wire_reader reader = facts->answers;
	struct message_rr rr;
	unsigned i = 0;

	strbuf_clear(&writer->answers);
	LITERAL(out, ",\"addresses\":[");
	for (; i < facts->header.ancount && !out->failed && message_read_rr(&reader, &rr); i++) {
		if (i > 0)
			strbuf_append_char(&writer->answers, ',');
		put_answer(writer, record, &rr, out);
	}
	LITERAL(out, "],\"answers\":[");
	if (writer->answers.length)
		strbuf_append(out, writer->answers.data, writer->answers.length);
	strbuf_append_char(out, ']');
	out->failed |= writer->answers.failed;
	if (i < facts->header.ancount)
		LITERAL(out, ",\"cut\":true");
}

void record_writer_append(
	struct record_writer *writer, const struct record *record, struct strbuf *out)
{
	struct reply_facts facts = read_facts(record);

	put_client(writer, record, out);
	put_question(writer, record, out);
	put_rcode(&facts, out);
	put_policy(writer, record, out);
	put_source(record, out);
	put_answers(writer, record, &facts, out);
	if (facts.header.flags & DNS_FLAG_TC)
		LITERAL(out, ",\"truncated\":true");
	if (facts.ede >= 0) {
		LITERAL(out, ",\"ede\":");
		strbuf_append_u64(out, (uint64_t)facts.ede);
	}
	LITERAL(out, "}\n");
}
