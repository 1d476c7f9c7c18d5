/* SPDX-License-Identifier: BSD-3-Clause */
/* Records: from a transaction through a ring to one line of JSON; the log file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/dns/compose.h"
#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "lib/dns/text.h"
#include "lib/dns/tunnel.h"
#include "resolver/telemetry/sinks/querylog.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/sinks/record_json.h"

#define WHEN INT64_C(1795294331123456) /* 2026-11-21T20:52:11.123456Z */

struct bed {
	struct ring ring;
	struct zone_ids zones;
	struct record_writer writer;
	struct strbuf out;
	uint8_t reply[4096];
	struct compose compose;
	struct name qname;
	struct transaction transaction;
};

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	if (!bed || !ring_init(&bed->ring, 256 << 10))
		return -1;
	zone_ids_init(&bed->zones);
	zone_ids_add(&bed->zones, "teredo");
	record_writer_init(&bed->writer, "gw1", &bed->zones);
	strbuf_init(&bed->out);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	ring_deinit(&bed->ring);
	zone_ids_deinit(&bed->zones);
	record_writer_deinit(&bed->writer);
	strbuf_deinit(&bed->out);
	free(bed);
	return 0;
}

static void begin(struct bed *bed, const struct name *qname, uint16_t qtype, uint16_t flags)
{
	bed->qname = *qname;
	compose_begin(&bed->compose, bed->reply, sizeof(bed->reply), 52011,
		(uint16_t)(DNS_FLAG_QR | flags), qname->wire, qname->length, qtype, CLASS_IN);
	bed->transaction = (struct transaction){
		.id = 52011,
		.qname = bed->qname.wire,
		.qname_length = bed->qname.length,
		.qtype = qtype,
		.reply = bed->reply,
		.source = SOURCE_CACHE,
		.zone = ZONE_ID_NONE,
		.duration_us = 1234,
	};
	assert_int_equal(endpoint_from_text(&bed->transaction.client, "192.0.2.7:53124", 0), TD_OK);
}

static void add_address(struct bed *bed, const char *owner, const char *text)
{
	struct name name = name_of(owner);
	struct address address;

	assert_true(address_from_text(&address, text));
	assert_true(compose_rr(&bed->compose, SECTION_ANSWER, &name,
			    address.family == 4 ? TYPE_A : TYPE_AAAA, 60, address.octets,
			    address_octets(&address)) != 0);
}

static const char *finish(struct bed *bed)
{
	size_t length;

	if (bed->transaction.reply_length == 0)
		bed->transaction.reply_length = compose_finish(&bed->compose);
	assert_true(bed->transaction.reply_length > 0);
	assert_true(record_write(&bed->ring, &bed->transaction, WHEN));
	const struct record *record = ring_peek(&bed->ring, &length);
	assert_non_null(record);
	strbuf_clear(&bed->out);
	record_writer_append(&bed->writer, record, &bed->out);
	ring_release(&bed->ring);
	assert_false(bed->out.failed);
	return bed->out.data;
}

static void the_example_of_the_design(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("teredo.ipv6.microsoft.com."), target = name_of("t.nsatc.net.");

	bed->writer.last_txn = 4710;
	begin(bed, &qname, TYPE_A, 0);
	compose_rr_name(&bed->compose, SECTION_ANSWER, &qname, TYPE_CNAME, 60, &target);
	add_address(bed, "t.nsatc.net.", "65.55.158.118");
	bed->transaction.source = SOURCE_UPSTREAM;
	bed->transaction.action = TRANSACTION_WATCH;
	bed->transaction.zone = 0;
	bed->transaction.rule = "teredo.ipv6.microsoft.com.";
	assert_int_equal(endpoint_from_text(&bed->transaction.upstream, "9.9.9.9:53", 0), TD_OK);
	assert_string_equal(finish(bed), "{\"ts\":\"2026-11-21T20:52:11.123456Z\",\"resolver\":"
					 "\"gw1\",\"txn\":4711,\"client\":\"192.0.2.7\","
					 "\"port\":53124,\"id\":52011,\"proto\":\"udp\",\"query\":"
					 "\"teredo.ipv6.microsoft.com.\",\"type\":\"A\","
					 "\"rcode\":\"NOERROR\",\"action\":\"watch\",\"policy\":"
					 "\"teredo\",\"rule\":\"teredo.ipv6.microsoft.com.\","
					 "\"source\":\"upstream\",\"upstream\":\"9.9.9.9:53\","
					 "\"duration_us\":1234,\"addresses\":[\"65.55.158.118\"],"
					 "\"answers\":[{\"name\":\"teredo.ipv6.microsoft.com.\","
					 "\"type\":\"CNAME\",\"ttl\":60,\"data\":\"t.nsatc.net.\"},"
					 "{\"name\":\"t.nsatc.net.\",\"type\":\"A\",\"ttl\":60,"
					 "\"data\":\"65.55.158.118\"}]}\n");
}

static void tunnels_are_decoded(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("host.example.");

	begin(bed, &qname, TYPE_AAAA, 0);
	add_address(bed, "host.example.", "2001:0:4136:e378:8000:63bf:3fff:fdd2");
	add_address(bed, "host.example.", "2002:c000:204::1");
	add_address(bed, "host.example.", "2001:db8::1");
	const char *line = finish(bed);
	assert_non_null(strstr(line,
		"\"data\":\"2001:0:4136:e378:8000:63bf:3fff:fdd2\",\"teredo\":{\"server\":"
		"\"65.54.227.120\",\"client\":\"192.0.2.45\",\"port\":40000}}"));
	assert_non_null(strstr(line, "\"data\":\"2002:c000:204::1\",\"sixtofour\":\"192.0.2.4\"}"));
	assert_non_null(strstr(line, "\"data\":\"2001:db8::1\"}]}\n"));
}

static void a_hostile_name_forges_nothing(void **state)
{
	struct bed *bed = *state;
	static const char label[] = "a\"}\n{\"client\":\"1\\2\0\x7f\xff.";
	struct name hostile = {.length = 0};
	hostile.wire[0] = sizeof(label) - 1;
	memcpy(hostile.wire + 1, label, sizeof(label) - 1);
	hostile.length = sizeof(label) + 1;

	begin(bed, &hostile, 65280, 0);
	compose_rr_name(&bed->compose, SECTION_ANSWER, &hostile, TYPE_CNAME, 1, &hostile);
	bed->transaction.rule = "*.\"\n";
	bed->transaction.action = TRANSACTION_WATCH;
	const char *line = finish(bed);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	for (const char *at = line; *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	const char *query = strstr(line, "\"query\":\"");
	assert_non_null(query);
	static const char start[] =
		"a\\u005c\\u0022}\\u005c010{"; /* a \" } \010 {, then escaped as JSON */
	assert_int_equal(strncmp(query + 9, start, sizeof(start) - 1), 0);
	assert_null(strstr(line, "{\"client\":\"1"));
	assert_non_null(strstr(line, "\"type\":\"TYPE65280\""));
	assert_non_null(strstr(line, "\"policy\":null,\"rule\":\"*.\\u0022\\u000a\""));
}

static void blocked_carries_its_ede(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("teredo.example.");
	struct wire_writer *writer = &bed->compose.writer;

	begin(bed, &qname, TYPE_A, RCODE_NXDOMAIN);
	edns_write(writer, false, 0, EDE_BLOCKED, "rule");
	bed->compose.counts[3]++;
	bed->transaction.action = TRANSACTION_BLOCK;
	bed->transaction.zone = 0;
	bed->transaction.rule = "teredo.example.";
	bed->transaction.source = SOURCE_POLICY;
	bed->transaction.tcp = true;
	const char *line = finish(bed);
	assert_non_null(strstr(line, "\"proto\":\"tcp\""));
	assert_non_null(strstr(line, "\"rcode\":\"NXDOMAIN\",\"action\":\"block\""));
	assert_non_null(strstr(line, "\"source\":\"policy\",\"duration_us\":"));
	assert_non_null(strstr(line, "\"addresses\":[],\"answers\":[],\"ede\":15}\n"));
}

static void rcode_has_its_upper_bits(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");

	begin(bed, &qname, TYPE_A, 0);
	edns_write(&bed->compose.writer, false, 1, EDE_NONE, NULL);
	bed->compose.counts[3]++;
	bed->transaction.source = SOURCE_ERROR;
	assert_non_null(strstr(
		finish(bed), "\"rcode\":\"BADVERS\",\"action\":\"none\",\"source\":\"error\""));
}

static void without_a_question(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");

	begin(bed, &qname, TYPE_A, RCODE_FORMERR);
	bed->transaction.qname = NULL;
	bed->transaction.qname_length = 0;
	bed->transaction.reply_length = 12;
	memset(bed->reply + 4, 0, 8);
	bed->reply[3] = RCODE_FORMERR;
	assert_non_null(strstr(finish(bed), "\"query\":null,\"type\":null,\"rcode\":\"FORMERR\""));
}

static void every_prefix_of_a_reply_is_survived(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example."), target = name_of("b.example.");

	begin(bed, &qname, TYPE_A, 0);
	compose_rr_name(&bed->compose, SECTION_ANSWER, &qname, TYPE_CNAME, 60, &target);
	add_address(bed, "b.example.", "192.0.2.1");
	compose_rr(&bed->compose, SECTION_ANSWER, &target, 16, 60, "\3abc", 4);
	edns_write(&bed->compose.writer, true, 0, EDE_STALE_ANSWER, "x");
	bed->compose.counts[3]++;
	size_t whole = compose_finish(&bed->compose);
	for (size_t length = 0; length <= whole; length++) {
		/* Memory of exactly this size, so that a sanitizer sees a read beyond it. */
		bed->transaction.reply = memcpy(malloc(length + 1), bed->reply, length);
		bed->transaction.reply_length = length;
		size_t size;
		assert_true(record_write(&bed->ring, &bed->transaction, WHEN));
		strbuf_clear(&bed->out);
		record_writer_append(&bed->writer, ring_peek(&bed->ring, &size), &bed->out);
		ring_release(&bed->ring);
		assert_int_equal(bed->out.data[bed->out.length - 1], '\n');
		if (length >= DNS_HEADER_SIZE)
			assert_int_equal(strstr(bed->out.data, "\"cut\":true") != NULL,
				length < whole - 18); /* the OPT */
		free((void *)bed->transaction.reply);
	}
}

static void a_full_ring_counts_and_does_not_wait(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");
	unsigned written = 0;

	begin(bed, &qname, TYPE_A, 0);
	bed->transaction.reply_length = compose_finish(&bed->compose);
	while (record_write(&bed->ring, &bed->transaction, WHEN))
		written++;
	assert_true(written > 500);
	assert_int_equal(bed->ring.dropped, 1);
}

static void a_reply_too_large_for_the_ring_is_cut(void **state)
{
	struct bed *bed = *state;
	struct name qname = name_of("a.example.");
	uint8_t *large = calloc(1, DNS_MESSAGE_MAX);

	begin(bed, &qname, TYPE_A, 0);
	memcpy(large, bed->reply, 12);
	large[7] = 1; /* ANCOUNT */
	bed->transaction.reply = large;
	bed->transaction.reply_length = DNS_MESSAGE_MAX;
	assert_non_null(strstr(finish(bed), "\"client\":\"192.0.2.7\""));
	free(large);
}

/* --- the same by the plainest means --- */

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
		"_x-1.b.example.", "\\\"\\\\\\.\\@.\\000\\255.example.", "."};

	return name_of(names[next_random(random) % (sizeof(names) / sizeof(names[0]))]);
}

static void add_random_rr(struct bed *bed, enum compose_section section, uint64_t *random)
{
	static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_TXT, TYPE_MX, TYPE_SOA, TYPE_SRV,
		TYPE_HTTPS, 10, 200, 65280};
	static const uint8_t v6[][16] = {{0x20, 1, 0x0d, 0xb8, [15] = 1},
		{0x20, 1, 0, 0, 1, 2, 3, 4, 0x80, 0, 0xee, 0xee, 1, 2, 3, 4},
		{0x20, 2, 192, 0, 2, 1, [15] = 1}};
	struct name owner = random_name(random), target = random_name(random);
	uint32_t ttl = (uint32_t)(next_random(random) >> (next_random(random) % 33 + 31));
	uint16_t type = types[next_random(random) % (sizeof(types) / sizeof(types[0]))];

	if (next_random(random) % 3 == 0)
		compose_rr_name(&bed->compose, section, &owner,
			next_random(random) % 4 ? TYPE_CNAME : TYPE_NS, ttl, &target);
	else
		compose_rr(&bed->compose, section, &owner, type, ttl, v6[next_random(random) % 3],
			type == TYPE_A ? 4 : 16);
}

static void make_random_reply(struct bed *bed, uint64_t *random)
{
	struct name qname = random_name(random);
	uint16_t flags = next_random(random) % 4 ? 0 : DNS_FLAG_TC;

	begin(bed, &qname, next_random(random) % 2 ? TYPE_A : 300,
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

/* --- the file --- */

static const struct now now = {.mono_us = 1000, .wall_us = WHEN};

static size_t read_file(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(out, 1, size - 1, file);
	out[length] = '\0';
	fclose(file);
	return length;
}

static void the_file_is_appended_and_reopened(void **state)
{
	char dir[] = "/tmp/test_record.XXXXXX", path[64], moved[64], text[256];
	struct querylog log;
	(void)state;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	assert_true(querylog_init(&log, path, &now));
	querylog_append(&log, "one\n", 4, &now);
	querylog_flush(&log, &now);
	assert_int_equal(rename(path, moved), 0);
	querylog_append(&log, "two\n", 4, &now);
	querylog_reopen(&log, &now);
	querylog_append(&log, "three\n", 6, &now);
	querylog_deinit(&log);
	read_file(moved, text, sizeof(text));
	assert_string_equal(text, "one\ntwo\n");
	read_file(path, text, sizeof(text));
	assert_string_equal(text, "three\n");
	assert_int_equal(log.dropped, 0);
	unlink(path);
	unlink(moved);
	rmdir(dir);
}

static void a_missing_folder_is_tried_again(void **state)
{
	char dir[] = "/tmp/test_record.XXXXXX", path[64], text[64];
	struct querylog log;
	(void)state;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(rmdir(dir), 0);
	snprintf(path, sizeof(path), "%s/log", dir);
	log_setup("test_record", LOG_LEVEL_ERROR);
	assert_true(querylog_init(&log, path, &now));
	querylog_append(&log, "kept\n", 5, &now);
	querylog_flush(&log, &now);
	assert_int_equal(mkdir(dir, 0700), 0);
	querylog_flush(&log, &now); /* not yet */
	assert_int_equal(access(path, F_OK), -1);
	querylog_flush(&log, &(struct now){.mono_us = now.mono_us + 6 * US_PER_S});
	read_file(path, text, sizeof(text));
	assert_string_equal(text, "kept\n");
	querylog_deinit(&log);
	unlink(path);
	rmdir(dir);
}

static void a_slow_reader_costs_lines_and_no_time(void **state)
{
	char dir[] = "/tmp/test_record.XXXXXX", path[64], line[1000];
	struct querylog log;
	(void)state;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_true(querylog_init(&log, path, &now));
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (unsigned i = 0; i < 4000; i++)
		querylog_append(
			&log, line, sizeof(line), &now); /* would never return if it waited */
	assert_true(log.dropped > 2000);
	assert_true(log.dropped < 4000);

	uint64_t got = 0; /* what is read is whole lines */
	char chunk[65536];
	for (ssize_t length = read(reader, chunk, sizeof(chunk)); length > 0;
		length = read(reader, chunk, sizeof(chunk))) {
		for (ssize_t i = 0; i < length; i++, got++)
			assert_int_equal(
				chunk[i], got % sizeof(line) == sizeof(line) - 1 ? '\n' : 'x');
		querylog_flush(&log, &now);
	}
	assert_int_equal(got, (4000 - log.dropped) * sizeof(line));
	close(reader);
	querylog_deinit(&log);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_example_of_the_design),
		TEST(tunnels_are_decoded),
		TEST(a_hostile_name_forges_nothing),
		TEST(blocked_carries_its_ede),
		TEST(rcode_has_its_upper_bits),
		TEST(without_a_question),
		TEST(every_prefix_of_a_reply_is_survived),
		TEST(a_full_ring_counts_and_does_not_wait),
		TEST(a_reply_too_large_for_the_ring_is_cut),
		TEST(lines_equal_the_plainest_way),
		TEST(a_name_is_known_by_its_own_place),
		TEST(a_known_name_has_no_pointer_too_many),
		TEST(the_longest_names_fit),
		cmocka_unit_test(the_file_is_appended_and_reopened),
		cmocka_unit_test(a_missing_folder_is_tried_again),
		cmocka_unit_test(a_slow_reader_costs_lines_and_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
