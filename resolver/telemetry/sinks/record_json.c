/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formatting of records. It has to manage 100,000 lines a second beside everything else the
 * collector does. So the reply is walked once, into the two lists of a line, and the line is
 * composed around them, because the reply's last record (OPT) decides the RCODE, which stands in
 * front. Text of bounded length is written in place into room reserved once; words of fixed lists
 * are copied whole from a table; a name that is a pointer to the question, or to the name before,
 * is neither read nor written out again. ldns is reached for the rarer types only, behind
 * rdata_to_text.
 *
 * Rejected: a JSON library (a tree of allocations a line, for an output whose shape is known), and
 * names remembered from one record to the next (another table to bound, for a fifth of the cost).
 */
#include "resolver/telemetry/sinks/record_json.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/decimal.h"
#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "lib/dns/reverse.h"
#include "lib/dns/text.h"
#include "lib/dns/tunnel.h"
#include "lib/dns/wire.h"

#define LITERAL(out, text) strbuf_append(out, text, sizeof(text) - 1)

/*
 * Room for the parts of a line that are written in place, names and what a strbuf holds not
 * counted: the literals below, at most six numbers, four addresses and a word's 16 octets.
 */
#define PIECE_MAX 512

#define PUT(at, text) ((char *)memcpy(at, text, sizeof(text) - 1) + sizeof(text) - 1)

static char *put_bytes(char *at, const void *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

/* --- words --- */

static struct record_word make_word(const char *text)
{
	struct record_word word = {.length = 0};
	size_t length = strlen(text);

	if (length + 2 > sizeof(word.text))
		return word;
	word.text[0] = '"';
	memcpy(word.text + 1, text, length);
	word.text[length + 1] = '"';
	word.length = (uint8_t)(length + 2);
	return word;
}

static void make_words(struct record_words *words)
{
	char text[TYPE_TEXT_MAX];

	for (uint16_t i = 0; i < RECORD_WORD_TYPES; i++)
		words->types[i] = make_word(type_to_text(i, text));
	for (uint16_t i = 0; i < RECORD_WORD_RCODES; i++)
		words->rcodes[i] = make_word(rcode_to_text(i));
	for (unsigned i = 0; i < RECORD_WORD_SOURCES; i++)
		words->sources[i] = make_word(transaction_source_name(i));
	for (unsigned i = 0; i < RECORD_WORD_ACTIONS; i++)
		words->actions[i] = make_word(transaction_action_name(i));
}

static char *put_word(char *at, const struct record_word *word)
{
	static_assert(sizeof(*word) == 16, "a word is copied whole");
	memcpy(at, word, sizeof(*word));
	return at + word->length;
}

/* A word that is in no table: it needs no escapes either. */
static char *put_text(char *at, const char *text)
{
	*at++ = '"';
	at = put_bytes(at, text, strlen(text));
	*at++ = '"';
	return at;
}

static char *put_type(const struct record_writer *writer, char *at, uint16_t type)
{
	char text[TYPE_TEXT_MAX];

	if (type < RECORD_WORD_TYPES && writer->words.types[type].length)
		return put_word(at, &writer->words.types[type]);
	return put_text(at, type_to_text(type, text));
}

static char *put_rcode(const struct record_writer *writer, char *at, uint16_t rcode)
{
	if (rcode < RECORD_WORD_RCODES)
		return put_word(at, &writer->words.rcodes[rcode]);
	return put_text(at, rcode_to_text(rcode));
}

static char *put_action(const struct record_writer *writer, char *at, unsigned action)
{
	if (action < RECORD_WORD_ACTIONS)
		return put_word(at, &writer->words.actions[action]);
	return put_text(at, transaction_action_name(action));
}

static char *put_source(const struct record_writer *writer, char *at, unsigned source)
{
	if (source < RECORD_WORD_SOURCES)
		return put_word(at, &writer->words.sources[source]);
	return put_text(at, transaction_source_name(source));
}

/* --- the writer --- */

void record_writer_init(
	struct record_writer *writer, const char *resolver_name, const struct zone_ids *zones)
{
	*writer = (struct record_writer){.zones = zones, .second = -1};
	strbuf_init(&writer->scratch);
	strbuf_init(&writer->addresses);
	strbuf_init(&writer->answers);
	strbuf_init(&writer->resolver);
	LITERAL(&writer->resolver, "Z\",\"resolver\":");
	strbuf_json_string(&writer->resolver, resolver_name, strlen(resolver_name));
	LITERAL(&writer->resolver, ",\"txn\":");
	make_words(&writer->words);
}

void record_writer_deinit(struct record_writer *writer)
{
	strbuf_deinit(&writer->scratch);
	strbuf_deinit(&writer->addresses);
	strbuf_deinit(&writer->answers);
	strbuf_deinit(&writer->resolver);
}

/* --- names --- */

/* Letters, digits, '-' and '_' stand in JSON as they are. */
static bool is_plain(uint8_t octet)
{
	static const bool plain[256] = {['-'] = true,
		['_'] = true,
		['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['a' ... 'z'] = true};

	return plain[octet];
}

/* The text of a name of plain octets with its quotes; NULL when there are others, or for the root.
 */
static char *put_plain_name(char *at, const uint8_t *wire)
{
	bool plain = *wire != 0;

	*at++ = '"';
	while (*wire) {
		size_t length = *wire++;
		for (size_t i = 0; i < length; i++) {
			at[i] = (char)wire[i];
			plain &= is_plain(wire[i]);
		}
		wire += length;
		at += length;
		*at++ = '.';
	}
	*at++ = '"';
	return plain ? at : NULL;
}

/* The text of any name; 0 when memory ran out. */
static size_t write_escaped_name(struct strbuf *scratch, char *json, const uint8_t *wire)
{
	char text[NAME_TEXT_MAX];
	size_t size = name_to_text(wire, text);

	strbuf_clear(scratch);
	strbuf_json_string(scratch, text, size);
	if (scratch->failed)
		return 0;
	assert(scratch->length <= RECORD_NAME_MAX);
	memcpy(json, scratch->data, scratch->length);
	return scratch->length;
}

static void write_name(struct record_writer *writer, struct record_name *name, const uint8_t *wire)
{
	char *end = put_plain_name(name->json, wire);

	if (end)
		name->length = (size_t)(end - name->json);
	else
		name->length = write_escaped_name(&writer->scratch, name->json, wire);
	writer->answers.failed |= name->length == 0; /* the line is given up */
}

/* Only `last` can be without its text: the question's is needed in any case. */
static char *put_name(struct record_writer *writer, char *at, struct record_name *name)
{
	if (name->length == 0)
		write_name(writer, name, writer->last_wire.wire);
	return put_bytes(at, name->json, name->length);
}

/*
 * Reads a name into writer->last. One that begins with a pointer is remembered by where that leads,
 * since the next one will lead there too.
 */
static struct record_name *read_name(
	struct record_writer *writer, struct wire_reader *reader, size_t offset)
{
	struct record_name *last = &writer->last;
	unsigned pointers = name_read(reader, &writer->last_wire);

	last->length = 0;
	last->offset = pointers < NAME_POINTERS_MAX ? offset : 0;
	return last;
}

/* Where the pointer at the cursor leads; 0 when there is none. */
static size_t peek_pointer(const struct wire_reader *reader)
{
	if (wire_left(reader) < 2)
		return 0;
	const uint8_t *octets = reader->data + reader->position;
	return octets[0] >= 0xc0 ? (size_t)(octets[0] & 0x3f) << 8 | octets[1] : 0;
}

/*
 * An owner. A name that was read before can be read again from a later place: what it points to
 * lies before it, and it followed fewer pointers than are allowed.
 */
static struct record_name *read_owner(struct record_writer *writer, struct wire_reader *reader)
{
	size_t target = peek_pointer(reader);

	if (target == 0)
		return read_name(writer, reader, reader->position);
	if (target != writer->question.offset && target != writer->last.offset)
		return read_name(writer, reader, target);
	reader->position += 2;
	return target == writer->question.offset ? &writer->question : &writer->last;
}

/* --- the reply --- */

/* What the walk over the reply finds outside the answers. */
struct reply {
	const struct record *record;
	struct wire_reader reader;
	struct message_header header;
	uint16_t rcode; /* with the upper bits of the OPT record */
	int ede;        /* -1: none */
	bool cut;       /* not all answers could be read */
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

/* True when the cursor is at the very octets of the question's name, which are then stepped over.
 */
static bool skip_same_question(const struct record *record, struct wire_reader *reader)
{
	if (record->qname_length == 0 || wire_left(reader) < record->qname_length ||
		memcmp(reader->data + reader->position, record_qname(record),
			record->qname_length) != 0)
		return false;
	reader->position += record->qname_length;
	return true;
}

/* The names of the question: as it was asked, and as it stands in the reply where that differs. */
static void read_questions(struct record_writer *writer, struct reply *reply)
{
	const struct record *record = reply->record;
	struct wire_reader *reader = &reply->reader;

	writer->question.offset = writer->last.offset = 0;
	if (record->qname_length)
		write_name(writer, &writer->question, record_qname(record));
	for (unsigned i = 0; i < reply->header.qdcount && reader->error == TD_OK; i++) {
		size_t offset = reader->position;
		if (i == 0 && skip_same_question(record, reader))
			writer->question.offset = offset;
		else
			read_name(writer, reader, offset);
		wire_read_u32(reader); /* type and class */
	}
}

static char *put_quoted_address(char *at, const struct address *address)
{
	*at++ = '"';
	at = address_put(at, address);
	*at++ = '"';
	return at;
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

/* Says what a tunnel wrote into an address. */
static char *put_tunnel(char *at, const struct address *address)
{
	if (address->family != 6)
		return at;
	struct tunnel tunnel = tunnel_decode(address);
	if (tunnel.kind == TUNNEL_TEREDO) {
		at = PUT(at, ",\"teredo\":{\"server\":");
		at = put_quoted_address(at, &tunnel.server);
		at = PUT(at, ",\"client\":");
		at = put_quoted_address(at, &tunnel.client);
		at = PUT(at, ",\"port\":");
		at = decimal_put(at, tunnel.port);
		*at++ = '}';
	} else if (tunnel.kind == TUNNEL_6TO4) {
		at = PUT(at, ",\"sixtofour\":");
		at = put_quoted_address(at, &tunnel.client);
	} else if (tunnel.kind == TUNNEL_ISATAP) {
		at = PUT(at, ",\"isatap\":");
		at = put_quoted_address(at, &tunnel.client);
	}
	return at;
}

/* The same of the address whose name is asked for. */
static char *put_asked_tunnel(char *at, const struct record *record)
{
	struct address address;

	if (record->qtype != TYPE_PTR ||
		!reverse_to_address(record_qname(record), record->qname_length, &address))
		return at;
	return put_tunnel(at, &address);
}

/* An address goes into both lists. */
static char *put_answer_address(
	struct record_writer *writer, char *at, const struct address *address)
{
	struct strbuf *list = &writer->addresses;
	char *end = put_quoted_address(at, address);
	char *room = strbuf_reserve(list, PIECE_MAX);

	if (room) {
		if (list->length)
			*room++ = ',';
		strbuf_commit(list, put_bytes(room, at, (size_t)(end - at)));
	}
	return put_tunnel(end, address);
}

/* The target of a CNAME, which is the owner of the next answer. */
static bool read_target(
	struct record_writer *writer, const struct record *record, const struct message_rr *rr)
{
	struct record_name *last = &writer->last;
	/* For the cursor the message ends with the RDATA; pointers lead backwards anyway. */
	struct wire_reader reader =
		wire_reader_init(record_reply(record), rr->rdata_offset + rr->rdata_length);

	if (rr->type != TYPE_CNAME)
		return false;
	reader.position = rr->rdata_offset;
	size_t target = peek_pointer(&reader);
	read_name(writer, &reader, target ? target : rr->rdata_offset);
	if (reader.error != TD_OK)
		last->offset = 0;
	return reader.error == TD_OK;
}

/* An answer up to its data. */
static char *put_answer_front(struct record_writer *writer, char *at, struct record_name *owner,
	const struct message_rr *rr)
{
	at = PUT(at, "{\"name\":");
	at = put_name(writer, at, owner);
	at = PUT(at, ",\"type\":");
	at = put_type(writer, at, rr->type);
	at = PUT(at, ",\"ttl\":");
	at = decimal_put(at, message_ttl_s(rr->ttl));
	return PUT(at, ",\"data\":");
}

static void append_answer(struct record_writer *writer, const struct record *record,
	struct record_name *owner, const struct message_rr *rr)
{
	struct strbuf *out = &writer->answers, *scratch = &writer->scratch;
	struct address address;
	char *at = strbuf_reserve(out, PIECE_MAX + 2 * RECORD_NAME_MAX);

	if (!at)
		return;
	if (out->length)
		*at++ = ',';
	at = put_answer_front(writer, at, owner, rr);
	if (read_address(record, rr, &address)) {
		at = put_answer_address(writer, at, &address);
	} else if (read_target(writer, record, rr)) {
		at = put_name(writer, at, &writer->last);
	} else {
		strbuf_commit(out, at);
		strbuf_clear(scratch);
		rdata_to_text(scratch, record_reply(record), record->reply_kept, rr);
		strbuf_json_string(out, scratch->length ? scratch->data : "", scratch->length);
		strbuf_append_char(out, '}');
		return;
	}
	*at++ = '}';
	strbuf_commit(out, at);
}

static void read_answers(struct record_writer *writer, struct reply *reply)
{
	struct strbuf *out = &writer->answers;
	unsigned i = 0;

	for (; i < reply->header.ancount && !out->failed; i++) {
		struct message_rr rr;
		struct record_name *owner = read_owner(writer, &reply->reader);
		if (!message_read_rr_body(&reply->reader, &rr))
			break;
		append_answer(writer, reply->record, owner, &rr);
	}
	reply->cut = i < reply->header.ancount;
}

/* The first OPT record behind the answers. */
static void read_opt(struct record_writer *writer, struct reply *reply)
{
	unsigned count = reply->header.arcount ? reply->header.arcount + reply->header.nscount : 0;
	struct message_rr rr;

	for (unsigned i = 0; i < count; i++) {
		read_owner(writer, &reply->reader);
		if (!message_read_rr_body(&reply->reader, &rr))
			return;
		if (i < reply->header.nscount || rr.type != TYPE_OPT)
			continue;
		reply->rcode = (uint16_t)(reply->rcode | (rr.ttl >> 24) << 4);
		reply->ede = read_ede(record_reply(reply->record), &rr);
		return;
	}
}

static struct reply read_reply(struct record_writer *writer, const struct record *record)
{
	struct reply reply = {.record = record, .ede = -1};

	reply.reader = wire_reader_init(record_reply(record), record->reply_kept);
	reply.header = message_read_header(&reply.reader);
	reply.rcode = reply.header.flags & DNS_FLAG_RCODE;
	strbuf_clear(&writer->addresses);
	strbuf_clear(&writer->answers);
	read_questions(writer, &reply);
	read_answers(writer, &reply);
	read_opt(writer, &reply);
	return reply;
}

/* --- the line --- */

static char *put_time(struct record_writer *writer, char *at, int64_t wall_us)
{
	int64_t second = wall_us / US_PER_S;

	if (second != writer->second) {
		strbuf_clear(&writer->scratch);
		strbuf_append_time(&writer->scratch, second * US_PER_S);
		if (writer->scratch.failed || writer->scratch.length < sizeof(writer->time))
			return at;
		memcpy(writer->time, writer->scratch.data, sizeof(writer->time));
		writer->second = second;
	}
	at = put_bytes(at, writer->time, sizeof(writer->time));
	return decimal_put_padded(at, (uint64_t)(wall_us % US_PER_S), 6);
}

static char *put_client(struct record_writer *writer, char *at, const struct record *record)
{
	at = PUT(at, "{\"ts\":\"");
	at = put_time(writer, at, record->wall_us);
	at = put_bytes(at, writer->resolver.data, writer->resolver.length);
	at = decimal_put(at, ++writer->last_txn);
	at = PUT(at, ",\"client\":");
	at = put_quoted_address(at, &record->client.address);
	if (record->address.family != ADDRESS_NONE) {
		at = PUT(at, ",\"address\":");
		at = put_quoted_address(at, &record->address);
	}
	at = PUT(at, ",\"port\":");
	at = decimal_put(at, record->client.port);
	at = PUT(at, ",\"id\":");
	at = decimal_put(at, record->id);
	return record->tcp ? PUT(at, ",\"proto\":\"tcp\"") : PUT(at, ",\"proto\":\"udp\"");
}

static char *put_question(struct record_writer *writer, char *at, const struct record *record)
{
	if (record->qname_length == 0)
		return PUT(at, ",\"query\":null,\"type\":null");
	at = PUT(at, ",\"query\":");
	at = put_bytes(at, writer->question.json, writer->question.length);
	at = PUT(at, ",\"type\":");
	at = put_type(writer, at, record->qtype);
	return put_asked_tunnel(at, record);
}

/* Which rule of which zone it was. */
static void append_rule(
	struct record_writer *writer, const struct record *record, struct strbuf *out)
{
	const char *zone = zone_ids_name(writer->zones, record->zone);

	LITERAL(out, ",\"policy\":");
	if (zone)
		strbuf_json_string(out, zone, strlen(zone));
	else
		LITERAL(out, "null");
	LITERAL(out, ",\"rule\":");
	strbuf_json_string(out, record_rule(record), record->rule_length);
}

/* Up to the action, and what it comes from if there was one. */
static void append_front(
	struct record_writer *writer, const struct reply *reply, struct strbuf *out)
{
	const struct record *record = reply->record;
	char *at = strbuf_reserve(out, PIECE_MAX + RECORD_NAME_MAX + writer->resolver.length);

	if (!at)
		return;
	at = put_client(writer, at, record);
	at = put_question(writer, at, record);
	at = PUT(at, ",\"rcode\":");
	at = put_rcode(writer, at, reply->rcode);
	at = PUT(at, ",\"action\":");
	at = put_action(writer, at, record->action);
	strbuf_commit(out, at);
	if (record->action != TRANSACTION_NONE)
		append_rule(writer, record, out);
}

static void append_rest(struct record_writer *writer, const struct reply *reply, struct strbuf *out)
{
	const struct record *record = reply->record;
	const struct strbuf *addresses = &writer->addresses, *answers = &writer->answers;
	char *at = strbuf_reserve(out, PIECE_MAX + addresses->length + answers->length);

	if (!at)
		return;
	at = PUT(at, ",\"source\":");
	at = put_source(writer, at, record->source);
	if (record->source == SOURCE_UPSTREAM && record->upstream.address.family != 0) {
		at = PUT(at, ",\"upstream\":\"");
		at = endpoint_put(at, &record->upstream);
		*at++ = '"';
	}
	at = PUT(at, ",\"duration_us\":");
	at = decimal_put(at, record->duration_us);
	writer->lists_at = (size_t)(at - out->data);
	at = PUT(at, ",\"addresses\":[");
	if (addresses->length)
		at = put_bytes(at, addresses->data, addresses->length);
	at = PUT(at, "],\"answers\":[");
	if (answers->length)
		at = put_bytes(at, answers->data, answers->length);
	*at++ = ']';
	if (reply->cut)
		at = PUT(at, ",\"cut\":true");
	if (reply->header.flags & DNS_FLAG_TC)
		at = PUT(at, ",\"truncated\":true");
	if (reply->ede >= 0) {
		at = PUT(at, ",\"ede\":");
		at = decimal_put(at, (uint64_t)reply->ede);
	}
	at = PUT(at, "}\n");
	strbuf_commit(out, at);
}

void record_writer_append(
	struct record_writer *writer, const struct record *record, struct strbuf *out)
{
	struct reply reply = read_reply(writer, record);

	append_front(writer, &reply, out);
	append_rest(writer, &reply, out);
	out->failed |= writer->addresses.failed || writer->answers.failed;
}
