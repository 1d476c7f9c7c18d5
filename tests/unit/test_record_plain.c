/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of records equal those that are written by the plainest means, field by field and with the
 * ordinary readers of messages: over random replies, damaged ones among them, and over the names
 * that the writer's shortcuts might take for another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/reverse.h"
#include "lib/dns/text.h"
#include "lib/dns/tunnel.h"
#include "tests/unit/record_bed.h"

/* --- the plainest means --- */

static void plain_name(struct strbuf *out, const char *key, const uint8_t *wire)
{
	char text[NAME_TEXT_MAX];

	name_to_text(wire, text);
	strbuf_json_text(out, key, text);
}

static void plain_type(struct strbuf *out, uint16_t type)
{
	char text[TYPE_TEXT_MAX];

	strbuf_json_text(out, "type", type_to_text(type, text));
}

static void plain_address(struct strbuf *out, const char *key, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	strbuf_json_text(out, key, address_to_text(address, text));
}

static struct wire_reader plain_first_answer(const struct record *record)
{
	struct wire_reader reader = wire_reader_init(record_reply(record), record->reply_kept);
	struct message_header header = message_read_header(&reader);

	for (unsigned i = 0; i < header.qdcount && reader.error == TD_OK; i++) {
		struct name name;
		uint16_t type, class;
		message_read_question(&reader, &name, &type, &class);
	}
	return reader;
}

static bool plain_opt(const struct record *record, struct message_rr *rr)
{
	struct wire_reader reader = wire_reader_init(record_reply(record), record->reply_kept);
	struct message_header header = message_read_header(&reader);
	unsigned before = (unsigned)header.ancount + header.nscount;

	reader = plain_first_answer(record);
	for (unsigned i = 0; i < before + header.arcount; i++) {
		if (!message_read_rr(&reader, rr))
			return false;
		if (i >= before && rr->type == TYPE_OPT)
			return true;
	}
	return false;
}

static int plain_ede(const struct record *record, const struct message_rr *opt)
{
	const uint8_t *data = record_reply(record) + opt->rdata_offset;

	for (size_t left = opt->rdata_length; left >= 4;) {
		size_t length = (size_t)data[2] << 8 | data[3];
		if (data[0] == 0 && data[1] == EDNS_OPTION_EDE && length >= 2)
			return left >= 6 ? data[4] << 8 | data[5] : -1;
		if (length > left - 4)
			return -1;
		left -= 4 + length;
		data += 4 + length;
	}
	return -1;
}

static bool plain_is_address(
	const struct record *record, const struct message_rr *rr, struct address *out)
{
	const uint8_t *rdata = record_reply(record) + rr->rdata_offset;
	bool v4 = rr->type == TYPE_A && rr->rdata_length == 4;
	bool v6 = rr->type == TYPE_AAAA && rr->rdata_length == 16;

	if (v4)
		*out = address_v4(rdata);
	if (v6)
		*out = address_v6(rdata);
	return rr->rr_class == CLASS_IN && (v4 || v6);
}

static void plain_tunnel(struct strbuf *out, const struct address *address)
{
	struct tunnel tunnel = tunnel_decode(address);

	if (tunnel.kind == TUNNEL_TEREDO) {
		strbuf_json_key(out, "teredo");
		strbuf_append_char(out, '{');
		plain_address(out, "server", &tunnel.server);
		plain_address(out, "client", &tunnel.client);
		strbuf_json_u64(out, "port", tunnel.port);
		strbuf_append_char(out, '}');
	} else if (tunnel.kind == TUNNEL_6TO4) {
		plain_address(out, "sixtofour", &tunnel.client);
	} else if (tunnel.kind == TUNNEL_ISATAP) {
		plain_address(out, "isatap", &tunnel.client);
	}
}

static void plain_answer(
	const struct record *record, const struct message_rr *rr, struct strbuf *out)
{
	const uint8_t *reply = record_reply(record);
	struct address address;
	struct name target;
	struct strbuf data;

	strbuf_append_char(out, '{');
	plain_name(out, "name", rr->owner.wire);
	plain_type(out, rr->type);
	strbuf_json_u64(out, "ttl", message_ttl_s(rr->ttl));
	if (plain_is_address(record, rr, &address)) {
		plain_address(out, "data", &address);
		plain_tunnel(out, &address);
	} else if (rr->type == TYPE_CNAME &&
		   message_rdata_name(reply, record->reply_kept, rr, 0, &target)) {
		plain_name(out, "data", target.wire);
	} else {
		strbuf_init(&data);
		strbuf_append_text(&data, "");
		rdata_to_text(&data, reply, record->reply_kept, rr);
		strbuf_json_key(out, "data");
		strbuf_json_string(out, data.data, data.length);
		strbuf_deinit(&data);
	}
	strbuf_append_char(out, '}');
}

/* One of the two lists; false when the answers could not all be read. */
static bool plain_list(const struct record *record, bool addresses, struct strbuf *out)
{
	struct wire_reader reader = wire_reader_init(record_reply(record), record->reply_kept);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	const char *comma = "";

	reader = plain_first_answer(record);
	strbuf_json_key(out, addresses ? "addresses" : "answers");
	strbuf_append_char(out, '[');
	unsigned i = 0;
	for (; i < header.ancount && message_read_rr(&reader, &rr); i++) {
		bool is_address = plain_is_address(record, &rr, &address);
		if (addresses && !is_address)
			continue;
		strbuf_append_text(out, comma);
		comma = ",";
		if (addresses)
			strbuf_printf(out, "\"%s\"", address_to_text(&address, text));
		else
			plain_answer(record, &rr, out);
	}
	strbuf_append_char(out, ']');
	return i == header.ancount;
}

static void plain_front(const struct record *record, uint64_t txn, struct strbuf *out)
{
	struct address asked;

	strbuf_append_text(out, "{\"ts\":\"");
	strbuf_append_time(out, record->wall_us);
	strbuf_append_char(out, '"');
	strbuf_json_text(out, "resolver", "gw1");
	strbuf_json_u64(out, "txn", txn);
	plain_address(out, "client", &record->client.address);
	strbuf_json_u64(out, "port", record->client.port);
	strbuf_json_u64(out, "id", record->id);
	strbuf_json_text(out, "proto", record->tcp ? "tcp" : "udp");
	if (record->qname_length) {
		plain_name(out, "query", record_qname(record));
		plain_type(out, record->qtype);
		if (record->qtype == TYPE_PTR &&
			reverse_to_address(record_qname(record), record->qname_length, &asked))
			plain_tunnel(out, &asked);
	} else {
		strbuf_json_text(out, "query", NULL);
		strbuf_json_text(out, "type", NULL);
	}
}

static void plain_policy(
	const struct record *record, const struct zone_ids *zones, struct strbuf *out)
{
	char text[ENDPOINT_TEXT_MAX];

	strbuf_json_text(out, "action", transaction_action_name(record->action));
	if (record->action != TRANSACTION_NONE) {
		strbuf_json_text(out, "policy", zone_ids_name(zones, record->zone));
		strbuf_json_key(out, "rule");
		strbuf_json_string(out, record_rule(record), record->rule_length);
	}
	strbuf_json_text(out, "source", transaction_source_name(record->source));
	if (record->source == SOURCE_UPSTREAM && record->upstream.address.family)
		strbuf_json_text(out, "upstream", endpoint_to_text(&record->upstream, text));
	strbuf_json_u64(out, "duration_us", record->duration_us);
}

static void plain_line(
	const struct record *record, const struct zone_ids *zones, uint64_t txn, struct strbuf *out)
{
	struct wire_reader reader = wire_reader_init(record_reply(record), record->reply_kept);
	struct message_header header = message_read_header(&reader);
	struct message_rr opt;
	uint16_t rcode = header.flags & DNS_FLAG_RCODE;
	int ede = -1;

	if (plain_opt(record, &opt)) {
		rcode = (uint16_t)(rcode | (opt.ttl >> 24) << 4);
		ede = plain_ede(record, &opt);
	}
	strbuf_clear(out);
	plain_front(record, txn, out);
	strbuf_json_text(out, "rcode", rcode_to_text(rcode));
	plain_policy(record, zones, out);
	plain_list(record, true, out);
	if (!plain_list(record, false, out))
		strbuf_json_bool(out, "cut", true);
	if (header.flags & DNS_FLAG_TC)
		strbuf_json_bool(out, "truncated", true);
	if (ede >= 0)
		strbuf_json_u64(out, "ede", (uint64_t)ede);
	strbuf_append_text(out, "}\n");
}

/* --- random replies --- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct name random_name(uint64_t *random)
{
	static const char *const names[] = {"a.example.", "www.A.example.", "b.example.",
		"_x-1.b.example.", "\\\"\\\\\\.\\@.\\000\\255.example.", ".",
		"2.d.d.f.f.f.f.3.f.b.3.6.d.3.c.2.6.7.e.9.7.3.1.4.0.0.0.0.1.0.0.2.ip6.arpa."};

	return name_of(names[next_random(random) % (sizeof(names) / sizeof(names[0]))]);
}

static void add_random_rr(struct bed *bed, enum compose_section section, uint64_t *random)
{
	static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_TXT, TYPE_MX, TYPE_SOA, TYPE_SRV,
		TYPE_HTTPS, 10, 200, 65280};
	static const uint8_t v6[][16] = {{0x20, 1, 0x0d, 0xb8, [15] = 1},
		{0x20, 1, 0, 0, 1, 2, 3, 4, 0x80, 0, 0xee, 0xee, 1, 2, 3, 4},
		{0x20, 2, 192, 0, 2, 1, [15] = 1}, {0xfe, 0x80, [10] = 0x5e, 0xfe, 192, 0, 2, 1}};
	struct name owner = random_name(random), target = random_name(random);
	uint32_t ttl = (uint32_t)(next_random(random) >> (next_random(random) % 33 + 31));
	uint16_t type = types[next_random(random) % (sizeof(types) / sizeof(types[0]))];

	if (next_random(random) % 3 == 0)
		compose_rr_name(&bed->compose, section, &owner,
			next_random(random) % 4 ? TYPE_CNAME : TYPE_NS, ttl, &target);
	else
		compose_rr(&bed->compose, section, &owner, type, ttl, v6[next_random(random) % 4],
			type == TYPE_A ? 4 : 16);
}

static void make_random_reply(struct bed *bed, uint64_t *random)
{
	struct name qname = random_name(random);
	uint16_t flags = next_random(random) % 4 ? 0 : DNS_FLAG_TC;

	begin(bed, &qname, next_random(random) % 3 == 0 ? TYPE_PTR : next_random(random) % 2 ? TYPE_A : 300,
		(uint16_t)(flags | next_random(random) % 16));
	for (uint64_t count = next_random(random) % 6; count > 0; count--)
		add_random_rr(bed, SECTION_ANSWER, random);
	for (uint64_t count = next_random(random) % 3; count > 0; count--)
		add_random_rr(bed, SECTION_AUTHORITY, random);
	if (next_random(random) % 2) {
		edns_write(&bed->compose.writer, true, (uint8_t)(next_random(random) % 3),
			next_random(random) % 2 ? EDE_STALE_ANSWER : EDE_NONE, "x");
		bed->compose.counts[3]++;
	}
	name_fold(bed->qname.wire, bed->qname.wire, bed->qname.length);
}

/*
 * Most pointers are made to lead elsewhere: to names known and unknown, into the middle of one, and
 * forward. Some octets are made anything.
 */
static void damage(uint8_t *reply, size_t length, uint64_t *random)
{
	size_t redirected = next_random(random) % 4;

	for (size_t at = DNS_HEADER_SIZE; redirected && at + 1 < length; at++) {
		if (reply[at] == 0xc0 && next_random(random) % redirected == 0)
			reply[at + 1] = (uint8_t)(reply[at + 1] + next_random(random) % 64);
	}
	for (uint64_t count = next_random(random) % 3; count > 0; count--) {
		size_t at = next_random(random) % length;
		if (next_random(random) % 2)
			reply[at] = (uint8_t)next_random(random);
		else
			reply[at] = 0xc0;
	}
}

static void set_random_fields(struct record *record, uint64_t *random)
{
	record->wall_us = WHEN + (int64_t)(next_random(random) % 3000000);
	record->duration_us = (uint32_t)(next_random(random) >> (next_random(random) % 32 + 32));
	record->id = (uint16_t)next_random(random);
	record->tcp = next_random(random) % 2;
	record->source = (uint8_t)(next_random(random) % (SOURCE_ERROR + 2));
	record->action = (uint8_t)(next_random(random) % (TRANSACTION_BLOCK + 2));
	record->zone = next_random(random) % 2 ? 0 : ZONE_ID_NONE;
	if (next_random(random) % 2)
		endpoint_from_text(&record->upstream, "[2001:db8::53]:5353", 0);
}

/* In memory of exactly its size, so that a sanitizer sees a read beyond it. */
static struct record *make_random_record(struct bed *bed, uint64_t *random)
{
	static const char rule[] = "*.rule\"\n";

	make_random_reply(bed, random);
	size_t length = compose_finish(&bed->compose);
	if (next_random(random) % 4 == 0)
		length = next_random(random) % length + 1;
	size_t rule_length = next_random(random) % 2 ? sizeof(rule) - 1 : 0;
	size_t qname_length = next_random(random) % 8 ? bed->qname.length : 0;
	struct record *record = calloc(1, sizeof(*record) + length + qname_length + rule_length);
	assert_non_null(record);
	record->client = bed->transaction.client;
	record->qtype = bed->transaction.qtype;
	record->reply_length = record->reply_kept = (uint32_t)length;
	record->qname_length = (uint8_t)qname_length;
	record->rule_length = (uint16_t)rule_length;
	set_random_fields(record, random);
	memcpy(record->bytes, bed->reply, length);
	damage(record->bytes, length, random);
	memcpy(record->bytes + length, bed->qname.wire, qname_length);
	memcpy(record->bytes + length + qname_length, rule, rule_length);
	return record;
}

/* --- the same line --- */

static void lines_equal_the_plainest_way(void **state)
{
	struct bed *bed = *state;
	struct strbuf expected;
	uint64_t random = 7;
	unsigned cut = 0;

	strbuf_init(&expected);
	for (uint64_t txn = 1; txn <= 20000; txn++) {
		struct record *record = make_random_record(bed, &random);
		plain_line(record, &bed->zones, txn, &expected);
		strbuf_clear(&bed->out);
		record_writer_append(&bed->writer, record, &bed->out);
		free(record);
		assert_string_equal(bed->out.data, expected.data);
		assert_int_equal(bed->out.length, expected.length);
		cut += strstr(expected.data, "\"cut\":true") != NULL;
	}
	assert_true(cut > 2000 && cut < 12000);
	strbuf_deinit(&expected);
}

/* What stands behind an owner; the RDATA follows. */
static void write_body(struct wire_writer *writer, uint16_t rdata_length)
{
	wire_write_u16(writer, 65280);
	wire_write_u16(writer, CLASS_IN);
	wire_write_u32(writer, 60);
	wire_write_u16(writer, rdata_length);
}

static const char *assert_plain(struct bed *bed, const uint8_t *reply, size_t length)
{
	struct record *record = calloc(1, sizeof(*record) + length);
	struct strbuf expected;

	assert_non_null(record);
	record->reply_kept = (uint32_t)length;
	memcpy(record->bytes, reply, length);
	strbuf_init(&expected);
	strbuf_clear(&bed->out);
	record_writer_append(&bed->writer, record, &bed->out);
	plain_line(record, &bed->zones, bed->writer.last_txn, &expected);
	assert_string_equal(bed->out.data, expected.data);
	strbuf_deinit(&expected);
	free(record);
	return bed->out.data;
}

/* An owner near one that was just read is another name: every pointer after every other. */
static void a_name_is_known_by_its_own_place(void **state)
{
	static const uint8_t names[] = "\1a\1\1\2b\1\0\xc0\x0e\1c\xc0\x10\2\1d\0";
	struct bed *bed = *state;
	unsigned whole = 0;

	for (unsigned first = 0; first < 40; first++) {
		for (unsigned second = 0; second < 40; second++) {
			uint8_t reply[128] = {[7] = 3}; /* ANCOUNT */
			struct wire_writer writer = wire_writer_init(reply, sizeof(reply));
			wire_write_room(&writer, DNS_HEADER_SIZE);
			wire_write_u8(&writer, 0);
			write_body(&writer, sizeof(names));
			wire_write_bytes(&writer, names, sizeof(names));
			wire_write_u16(&writer, (uint16_t)(0xc000 | (first + 10)));
			write_body(&writer, 0);
			wire_write_u16(&writer, (uint16_t)(0xc000 | (second + 10)));
			write_body(&writer, 0);
			assert_int_equal(writer.error, TD_OK);
			whole += !strstr(assert_plain(bed, reply, writer.position), "\"cut\"");
		}
	}
	assert_true(whole > 50 && whole < 1500);
}

/* A name that followed 127 pointers can be read, a pointer to it cannot. */
static void a_known_name_has_no_pointer_too_many(void **state)
{
	struct bed *bed = *state;

	for (unsigned pointers = 126; pointers <= 128; pointers++) {
		uint8_t reply[512] = {[7] = 3};
		struct wire_writer writer = wire_writer_init(reply, sizeof(reply));
		size_t target = DNS_HEADER_SIZE;
		wire_write_room(&writer, DNS_HEADER_SIZE);
		wire_write_u8(&writer, 0);
		write_body(&writer, (uint16_t)(2 * (pointers - 1)));
		for (unsigned i = 1; i < pointers; i++) {
			wire_write_u16(&writer, (uint16_t)(0xc000 | target));
			target = writer.position - 2;
		}
		size_t owner = writer.position;
		wire_write_bytes(&writer, "\1a", 2);
		wire_write_u16(&writer, (uint16_t)(0xc000 | target));
		write_body(&writer, 0);
		wire_write_u16(&writer, (uint16_t)(0xc000 | owner));
		write_body(&writer, 0);
		const char *line = assert_plain(bed, reply, writer.position);
		assert_int_equal(strstr(line, "\"cut\"") != NULL, pointers >= 127);
	}
}

/* The longest text of a name, as question, owner and target, next to lists of other lengths. */
static void the_longest_names_fit(void **state)
{
	struct bed *bed = *state;
	struct name name = {.length = 0};
	struct strbuf expected;

	while (name.length < 254) {
		uint8_t label = name.length < 192 ? 63 : (uint8_t)(253 - name.length);
		name.wire[name.length++] = label;
		memset(name.wire + name.length, '"', label);
		name.length = (uint8_t)(name.length + label);
	}
	name.wire[name.length++] = 0;
	assert_int_equal(name_wire_length(name.wire, sizeof(name.wire)), 255);
	begin(bed, &name, 65280, 0);
	for (unsigned i = 0; i < 20; i++)
		compose_rr_name(
			&bed->compose, SECTION_ANSWER, &name, TYPE_CNAME, UINT32_MAX >> 1, &name);
	add_address(bed, "a.", "2001:0:4136:e378:8000:63bf:3fff:fdd2");
	bed->transaction.reply_length = compose_finish(&bed->compose);
	assert_true(record_write(&bed->ring, &bed->transaction, WHEN));
	size_t length;
	const struct record *record = ring_peek(&bed->ring, &length);
	strbuf_init(&expected);
	plain_line(record, &bed->zones, 1, &expected);
	strbuf_clear(&bed->out);
	record_writer_append(&bed->writer, record, &bed->out);
	assert_string_equal(bed->out.data, expected.data);
	assert_true(expected.length > 41 * 3000);
	strbuf_deinit(&expected);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lines_equal_the_plainest_way),
		TEST(a_name_is_known_by_its_own_place),
		TEST(a_known_name_has_no_pointer_too_many),
		TEST(the_longest_names_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
