/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages: reading records, EDNS, clients' queries, composing; ldns reads what we compose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "lib/dns/compose.h"
#include "lib/dns/edns.h"
#include "lib/dns/message.h"
#include "lib/dns/request.h"

static struct name name_of(const char *text)
{
	struct name name;
	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

static void assert_name(const struct name *name, const char *expected)
{
	char text[NAME_TEXT_MAX];
	assert_true(name->length > 0);
	name_to_text(name->wire, text);
	assert_string_equal(text, expected);
}

/* A query under construction. */
struct query {
	uint8_t bytes[2048];
	struct wire_writer writer;
};

static void query_begin(struct query *query, uint16_t flags, const uint16_t counts[4])
{
	query->writer = wire_writer_init(query->bytes, sizeof(query->bytes));
	wire_write_u16(&query->writer, 0x1234);
	wire_write_u16(&query->writer, flags);
	for (int i = 0; i < 4; i++)
		wire_write_u16(&query->writer, counts[i]);
}

static void query_question(struct query *query, const char *qname, uint16_t qtype, uint16_t qclass)
{
	struct name name = name_of(qname);
	name_write(&query->writer, &name);
	wire_write_u16(&query->writer, qtype);
	wire_write_u16(&query->writer, qclass);
}

static void query_record(struct query *query, const char *owner, uint16_t type, uint16_t rr_class,
	uint32_t ttl, const char *rdata, size_t length)
{
	struct name name = name_of(owner);
	name_write(&query->writer, &name);
	wire_write_u16(&query->writer, type);
	wire_write_u16(&query->writer, rr_class);
	wire_write_u32(&query->writer, ttl);
	wire_write_u16(&query->writer, (uint16_t)length);
	wire_write_bytes(&query->writer, rdata, length);
}

/* Parses from a copy of exactly the size, so that a sanitizer sees one octet too far. */
static enum request_verdict query_parse(
	const struct query *query, struct request *request, uint16_t *rcode)
{
	static uint8_t *copy;
	free(copy);
	copy = malloc(query->writer.position ? query->writer.position : 1);
	assert_non_null(copy);
	memcpy(copy, query->bytes, query->writer.position);
	*rcode = 999;
	return request_parse(copy, query->writer.position, request, rcode);
}

static void assert_rcode(const struct query *query, uint16_t expected)
{
	struct request request;
	uint16_t rcode;
	assert_int_equal(query_parse(query, &request, &rcode), REQUEST_ERROR);
	assert_int_equal(rcode, expected);
	assert_int_equal(request.id, 0x1234);
}

static const uint16_t one_question[4] = {1, 0, 0, 0};
static const uint16_t question_and_opt[4] = {1, 0, 0, 1};

static void plain_question_is_taken(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, DNS_FLAG_RD | DNS_FLAG_CD, one_question);
	query_question(&query, "TeReDo.IPv6.Microsoft.COM", TYPE_AAAA, CLASS_IN);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ANSWER);
	assert_int_equal(request.flags, DNS_FLAG_RD | DNS_FLAG_CD);
	assert_int_equal(request.qtype, TYPE_AAAA);
	assert_int_equal(request.qclass, CLASS_IN);
	assert_int_equal(request.qname_length, 27);
	assert_memory_equal(request.qname, "\006TeReDo\004IPv6\011Microsoft\003COM", 27);
	assert_memory_equal(request.folded, "\006teredo\004ipv6\011microsoft\003com", 27);
	assert_false(request.edns.present);
	assert_false(request.edns.dnssec_ok);
}

static void edns_is_taken(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, DNS_FLAG_RD, question_and_opt);
	query_question(&query, ".", TYPE_ANY, CLASS_IN);
	query_record(&query, ".", TYPE_OPT, 4096, 0x8000, "\0\012\0\010abcdefgh\0\014\0\0", 16);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ANSWER);
	assert_int_equal(request.qname_length, 1);
	assert_true(request.edns.present);
	assert_true(request.edns.dnssec_ok);
	assert_int_equal(request.edns.udp_payload, 4096);
	assert_int_equal(request.edns.version, 0);
}

static void silence_is_kept(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, DNS_FLAG_QR, one_question);
	query_question(&query, "a.", TYPE_A, CLASS_IN);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_DROP);
	query_begin(&query, 0, one_question);
	for (size_t size = 0; size < 12; size++) {
		query.writer.position = size;
		assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_DROP);
	}
}

/* Cut anywhere behind the header: FORMERR, never an answer, and the question is reported once it is
 * whole. */
static void every_cut_is_formerr(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, DNS_FLAG_RD, question_and_opt);
	query_question(&query, "www.example.com.", TYPE_A, CLASS_IN);
	size_t question_end = query.writer.position;
	query_record(&query, ".", TYPE_OPT, 1232, 0, "\0\012\0\010abcdefgh", 12);
	size_t whole = query.writer.position;
	for (size_t size = 12; size < whole; size++) {
		query.writer.position = size;
		assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ERROR);
		assert_int_equal(rcode, RCODE_FORMERR);
		assert_int_equal(request.qname_length, size >= question_end ? 17 : 0);
		assert_false(request.edns.present);
	}
	query.writer.position = whole + 1;
	assert_rcode(&query, RCODE_FORMERR);
}

static void verdicts_follow_the_list(void **state)
{
	static const struct {
		uint16_t flags, qtype, qclass, rcode;
	} cases[] = {
		{0x0800, TYPE_A, CLASS_IN, RCODE_NOTIMP}, /* IQUERY */
		{0x2000, TYPE_SOA, CLASS_IN, RCODE_NOTIMP},
		{0x2800, TYPE_SOA, CLASS_IN, RCODE_NOTIMP},
		{0x7800, TYPE_A, CLASS_IN, RCODE_NOTIMP},
		{0, TYPE_A, 3, RCODE_REFUSED},
		{0, TYPE_A, 255, RCODE_REFUSED},
		{0, TYPE_AXFR, CLASS_IN, RCODE_REFUSED},
		{0, TYPE_IXFR, CLASS_IN, RCODE_REFUSED},
	};
	struct query query;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		query_begin(&query, cases[i].flags, one_question);
		query_question(&query, "a.b.", cases[i].qtype, cases[i].qclass);
		assert_rcode(&query, cases[i].rcode);
	}
	for (uint16_t count = 0; count < 4; count++) {
		const uint16_t counts[4] = {count, 0, 0, 0};
		query_begin(&query, 0, counts);
		for (int i = 0; i < count; i++)
			query_question(&query, "a.b.", TYPE_A, CLASS_IN);
		if (count != 1)
			assert_rcode(&query, RCODE_FORMERR);
	}
}

static void notimp_reports_question_and_edns(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, 0x2800 | DNS_FLAG_RD, question_and_opt);
	query_question(&query, "Example.", TYPE_SOA, CLASS_IN);
	query_record(&query, ".", TYPE_OPT, 1400, 0, "", 0);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ERROR);
	assert_int_equal(rcode, RCODE_NOTIMP);
	assert_int_equal(request.qname_length, 9);
	assert_int_equal(request.edns.udp_payload, 1400);
	assert_int_equal(request.flags, 0x2800 | DNS_FLAG_RD);
	query_begin(&query, 0x2800, (const uint16_t[4]){0, 0, 0, 0});
	assert_rcode(&query, RCODE_NOTIMP);
}

static void compressed_question_is_formerr(void **state)
{
	struct query query;
	(void)state;
	query_begin(&query, 0, one_question);
	wire_write_bytes(&query.writer, "\001a\xc0\x04\0\1\0\1", 8);
	assert_rcode(&query, RCODE_FORMERR);
	query_begin(&query, 0, one_question);
	wire_write_bytes(&query.writer, "\xc0\x0c\0\1\0\1", 6);
	assert_rcode(&query, RCODE_FORMERR);
	query_begin(&query, 0, one_question);
	wire_write_bytes(&query.writer, "\x41\0\0\1\0\1", 6);
	assert_rcode(&query, RCODE_FORMERR);
}

static void bad_opt_is_formerr(void **state)
{
	static const struct {
		const char *owner, *rdata;
		size_t length;
	} bad[] = {
		{"a.", "", 0},
		{".", "\0", 1},
		{".", "\0\003\0", 3},
		{".", "\0\003\0\001", 4},
		{".", "\0\003\0\002x", 5},
		{".", "\0\012\0\000", 4},
		{".", "\0\012\0\007abcdefg", 11},
		{".", "\0\012\0\011abcdefghi", 13},
		{".", "\0\012\0\017abcdefghijklmno", 19},
		{".", "\0\012\0\051abcdefghijklmnopqrstuvwxyzabcdefghijklmno", 45},
	};
	struct query query;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		query_begin(&query, 0, question_and_opt);
		query_question(&query, "a.", TYPE_A, CLASS_IN);
		query_record(&query, bad[i].owner, TYPE_OPT, 1232, 0, bad[i].rdata, bad[i].length);
		assert_rcode(&query, RCODE_FORMERR);
	}
}

static void two_opts_are_formerr_and_other_records_are_not(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, 0, (const uint16_t[4]){1, 0, 0, 2});
	query_question(&query, "a.", TYPE_A, CLASS_IN);
	query_record(&query, ".", TYPE_OPT, 1232, 0, "", 0);
	query_record(&query, ".", TYPE_OPT, 1232, 0, "", 0);
	assert_rcode(&query, RCODE_FORMERR);
	query_begin(&query, 0, (const uint16_t[4]){1, 1, 1, 2});
	query_question(&query, "a.", TYPE_A, CLASS_IN);
	query_record(&query, "b.", TYPE_A, CLASS_IN, 1, "\1\2\3\4", 4);
	query_record(&query, "c.", TYPE_TXT, CLASS_IN, 1, "", 0);
	query_record(&query, ".", TYPE_OPT, 512, 0, "", 0);
	query_record(&query, "key.", 250, 255, 0, "x", 1);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ANSWER);
	assert_true(request.edns.present);
	assert_int_equal(request.edns.udp_payload, 512);
}

static void edns_version_is_badvers(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, 0, question_and_opt);
	query_question(&query, "a.", TYPE_A, 3);
	query_record(&query, ".", TYPE_OPT, 1232, 0x00010000, "", 0);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ERROR);
	assert_int_equal(rcode, RCODE_BADVERS);
	assert_int_equal(request.edns.version, 1);
	assert_int_equal(request.qname_length, 3);
}

static void name_of_255_octets_is_answered(void **state)
{
	struct query query;
	struct request request;
	uint16_t rcode;
	(void)state;
	query_begin(&query, 0, one_question);
	for (int i = 0; i < 127; i++)
		wire_write_bytes(&query.writer, "\001X", 2);
	wire_write_bytes(&query.writer, "\0\0\1\0\1", 5);
	assert_int_equal(query_parse(&query, &request, &rcode), REQUEST_ANSWER);
	assert_int_equal(request.qname_length, 255);
	assert_int_equal(request.folded[253], 'x');
	query_begin(&query, 0, one_question);
	wire_write_bytes(&query.writer, "\002YY", 3);
	for (int i = 0; i < 126; i++)
		wire_write_bytes(&query.writer, "\001X", 2);
	wire_write_bytes(&query.writer, "\0\0\1\0\1", 5);
	assert_rcode(&query, RCODE_FORMERR);
}

static void opt_is_written_as_it_is_read(void **state)
{
	static const struct {
		enum ede_code code;
		const char *text;
		size_t size;
	} cases[] = {
		{EDE_NONE, NULL, 11},
		{EDE_BLOCKED, NULL, 17},
		{EDE_OTHER, "", 17},
		{EDE_STALE_ANSWER, "stale", 22},
		{EDE_BLOCKED,
			"0123456789012345678901234567890123456789012345678901234567890123456789",
			17 + 64},
		/* 63 octets, then a character of two: not cut within it. */
		{EDE_BLOCKED,
			"012345678901234567890123456789012345678901234567890123456789012\xc3\xa4",
			17 + 63},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buffer[128];
		struct wire_writer writer = wire_writer_init(buffer, sizeof(buffer));
		struct message_rr rr;
		struct edns edns;
		edns_write(&writer, i % 2 == 0, 0x12, cases[i].code, cases[i].text);
		assert_int_equal(writer.error, TD_OK);
		assert_int_equal(writer.position, cases[i].size);
		assert_int_equal(edns_size(cases[i].code, cases[i].text), cases[i].size);
		struct wire_reader reader = wire_reader_init(buffer, writer.position);
		assert_true(message_read_rr(&reader, &rr));
		assert_int_equal(wire_left(&reader), 0);
		assert_int_equal(rr.type, TYPE_OPT);
		assert_int_equal(edns_parse(buffer, writer.position, &rr, &edns), TD_OK);
		assert_true(edns.present);
		assert_int_equal(edns.dnssec_ok, i % 2 == 0);
		assert_int_equal(edns.extended_rcode, 0x12);
		assert_int_equal(edns.udp_payload, DNS_UDP_PAYLOAD);
		assert_int_equal(edns.version, 0);
		if (cases[i].code != EDE_NONE)
			assert_int_equal(buffer[16], cases[i].code);
	}
}

/* What a reply of ours carries is read back, and where; nothing of it is there when the record breaks
 * behind it. */
static void opt_options_are_found(void **state)
{
	static const uint8_t cookie[24] = "cookie01server0123456789", subnet[] = {0, 1, 24, 24, 192, 0, 2};
	const struct edns_content content = {.ede = EDE_BLOCKED,
		.ede_text = "why",
		.cookie = cookie,
		.cookie_length = sizeof cookie,
		.subnet = subnet,
		.subnet_length = sizeof subnet,
		.keepalive_ds = 100};
	uint8_t buffer[160] = {0};
	struct wire_writer writer = wire_writer_init(buffer, sizeof buffer);
	struct edns edns;

	(void)state;
	writer.position = DNS_HEADER_SIZE;
	buffer[11] = 1;
	edns_write_content(&writer, true, 0, &content);
	assert_int_equal(writer.error, TD_OK);
	assert_int_equal(writer.position - DNS_HEADER_SIZE, edns_content_size(&content));
	assert_true(edns_find(buffer, writer.position, &edns));
	assert_int_equal(edns.cookie_length, sizeof cookie);
	assert_memory_equal(buffer + edns.cookie_offset, cookie, sizeof cookie);
	assert_int_equal(edns.subnet_length, sizeof subnet);
	assert_memory_equal(buffer + edns.subnet_offset, subnet, sizeof subnet);
	assert_false(edns.keepalive); /* with a time it is a server's */
	for (size_t size = 0; size < writer.position; size++)
		assert_false(edns_find(buffer, size, &edns));
	buffer[writer.position - 6]++; /* the last option runs beyond the record */
	assert_false(edns_find(buffer, writer.position, &edns));
	assert_false(edns.present);
	assert_int_equal(edns.cookie_length, 0);
	assert_int_equal(edns.subnet_length, 0);
}

static void ttl_top_bit_is_zero(void **state)
{
	(void)state;
	assert_int_equal(message_ttl_s(0x7fffffff), 0x7fffffff);
	assert_int_equal(message_ttl_s(0x80000000), 0);
	assert_int_equal(message_ttl_s(0xffffffff), 0);
	assert_int_equal(message_ttl_s(0), 0);
}

static void rdata_names_end_within_rdata(void **state)
{
	/* Owner "b." at 0; records follow whose RDATA is looked at. */
	static const uint8_t message[] = "\001b\0\0\012\001a\xc0\x00\001c\0\0\0";
	struct message_rr rr = {.type = TYPE_MX, .rdata_offset = 3, .rdata_length = 6};
	struct name name;
	(void)state;
	assert_true(message_rdata_name(message, sizeof(message) - 1, &rr, 2, &name));
	assert_name(&name, "a.b.");
	rr.rdata_length = 5; /* within the pointer */
	assert_false(message_rdata_name(message, sizeof(message) - 1, &rr, 2, &name));
	assert_int_equal(name.length, 0);
	rr.rdata_length = 4;
	assert_false(message_rdata_name(message, sizeof(message) - 1, &rr, 2, &name));
	rr.rdata_length = 1; /* skips more than there is */
	assert_false(message_rdata_name(message, sizeof(message) - 1, &rr, 2, &name));
	rr = (struct message_rr){
		.rdata_offset = 9, .rdata_length = 2}; /* "\001c" without its root label */
	assert_false(message_rdata_name(message, sizeof(message) - 1, &rr, 0, &name));
	rr.rdata_length = 3;
	assert_true(message_rdata_name(message, sizeof(message) - 1, &rr, 0, &name));
	assert_name(&name, "c.");
	rr.rdata_length = 60000; /* beyond the message */
	assert_false(message_rdata_name(message, sizeof(message) - 1, &rr, 0, &name));
	rr.rdata_offset = 60000;
	assert_false(message_rdata_name(message, sizeof(message) - 1, &rr, 0, &name));
}

static void assert_ldns_reads(
	const uint8_t *message, size_t size, size_t answers, size_t authorities)
{
	ldns_pkt *packet = NULL;
	assert_int_equal(ldns_wire2pkt(&packet, message, size), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_ancount(packet), answers);
	assert_int_equal(ldns_pkt_nscount(packet), authorities);
	ldns_pkt_free(packet);
}

static void composed_answer_is_compressed_and_read_back(void **state)
{
	uint8_t buffer[512];
	struct compose compose;
	struct name qname = name_of("Teredo.IPv6.Microsoft.com."), alias = name_of("t.NSATC.net."),
		    owner = name_of("ipv6.microsoft.com.");
	struct compose_soa soa = {.mname = name_of("ns.nsatc.net."),
		.rname = name_of("hostmaster.microsoft.com."),
		.serial = 1,
		.refresh_s = 2,
		.retry_s = 3,
		.expire_s = 4,
		.minimum_s = 5};
	(void)state;
	compose_begin(&compose, buffer, sizeof(buffer), 77, 0x8180, qname.wire, qname.length,
		TYPE_A, CLASS_IN);
	size_t first_ttl =
		compose_rr_name(&compose, SECTION_ANSWER, &qname, TYPE_CNAME, 60, &alias);
	size_t second_ttl = compose_rr(&compose, SECTION_ANSWER, &alias, TYPE_A, 61, "\1\2\3\4", 4);
	assert_true(compose_rr_soa(&compose, SECTION_AUTHORITY, &owner, 62, &soa) > 0);
	size_t size = compose_finish(&compose);
	/* 12 header, 27 + 4 question, 12 + 13 CNAME, 12 + 4 A, 12 + 5 + 13 + 20 SOA */
	assert_int_equal(size, 12 + 31 + 25 + 16 + 50);
	assert_ldns_reads(buffer, size, 2, 1);

	struct wire_reader reader = wire_reader_init(buffer, size);
	struct message_header header = message_read_header(&reader);
	struct name name;
	uint16_t qtype, qclass;
	struct message_rr rr;
	assert_int_equal(header.id, 77);
	assert_int_equal(header.flags, 0x8180);
	assert_int_equal(header.qdcount, 1);
	assert_int_equal(header.ancount, 2);
	assert_int_equal(header.nscount, 1);
	assert_int_equal(header.arcount, 0);
	message_read_question(&reader, &name, &qtype, &qclass);
	assert_name(&name, "Teredo.IPv6.Microsoft.com.");
	assert_true(message_read_rr(&reader, &rr));
	assert_name(&rr.owner, "Teredo.IPv6.Microsoft.com.");
	assert_int_equal(rr.ttl, 60);
	assert_int_equal(rr.ttl_offset, first_ttl);
	assert_true(message_rdata_name(buffer, size, &rr, 0, &name));
	assert_name(&name, "t.NSATC.net.");
	assert_true(message_read_rr(&reader, &rr));
	assert_name(&rr.owner, "t.NSATC.net.");
	assert_int_equal(rr.ttl_offset, second_ttl);
	assert_int_equal(rr.rdata_length, 4);
	assert_true(message_read_rr(&reader, &rr));
	assert_name(&rr.owner, "IPv6.Microsoft.com.");
	assert_true(message_rdata_name(buffer, size, &rr, 0, &name));
	assert_name(&name, "ns.NSATC.net.");
	assert_int_equal(wire_left(&reader), 0);
	wire_put_u32(buffer, size, first_ttl, 0x01020304);
	reader.position = first_ttl;
	assert_int_equal(wire_read_u32(&reader), 0x01020304);
}

/* The name's own labels are no targets while it is being written. */
static void repeated_labels_are_composed(void **state)
{
	static const char *const names[] = {"a.a.a.", "a.a.", "a.", ".", "b.a.a.a.", "a.a.a.a.a."};
	uint8_t buffer[512];
	struct compose compose;
	struct name first = name_of(names[0]), name;
	struct wire_reader reader;
	struct message_rr rr;
	(void)state;
	memset(buffer, 1, sizeof(buffer));
	compose_begin(&compose, buffer, sizeof(buffer), 0, 0, first.wire, 0, 0, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		name = name_of(names[i]);
		assert_true(
			compose_rr_name(&compose, SECTION_ANSWER, &name, TYPE_PTR, 1, &name) > 0);
	}
	reader = wire_reader_init(buffer, compose_finish(&compose));
	assert_int_equal(message_read_header(&reader).qdcount, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(message_read_rr(&reader, &rr));
		assert_name(&rr.owner, names[i]);
		assert_true(message_rdata_name(buffer, reader.size, &rr, 0, &name));
		assert_name(&name, names[i]);
	}
	assert_int_equal(wire_left(&reader), 0);
}

/* More names than there are targets, and offsets that no pointer can express. */
static void large_messages_are_composed(void **state)
{
	static uint8_t buffer[DNS_MESSAGE_MAX];
	struct compose compose;
	struct name qname = name_of("example.org.");
	size_t records = 0;
	(void)state;
	compose_begin(&compose, buffer, sizeof(buffer), 1, 0x8000, qname.wire, qname.length, TYPE_A,
		CLASS_IN);
	for (;; records++) {
		struct compose before = compose;
		char text[64];
		snprintf(text, sizeof(text), "host%zu.zone%zu.example.org.", records, records / 2);
		struct name owner = name_of(text);
		if (!compose_rr(&compose, SECTION_ANSWER, &owner, TYPE_A, 5, "\1\2\3\4", 4)) {
			assert_int_equal(compose_finish(&compose), 0);
			compose = before;
			break;
		}
	}
	size_t size = compose_finish(&compose);
	assert_true(records > 1500);
	assert_true(size > DNS_MESSAGE_MAX - 64);
	assert_ldns_reads(buffer, size, records, 0);
	struct wire_reader reader = wire_reader_init(buffer, size);
	struct message_rr rr;
	struct name name;
	uint16_t number;
	message_read_header(&reader);
	message_read_question(&reader, &name, &number, &number);
	for (size_t i = 0; i < records; i++) {
		char text[64];
		snprintf(text, sizeof(text), "host%zu.zone%zu.example.org.", i, i / 2);
		assert_true(message_read_rr(&reader, &rr));
		assert_name(&rr.owner, text);
	}
}

static void composing_never_writes_beyond_the_buffer(void **state)
{
	struct name qname = name_of("www.example.com."), target = name_of("other.example.");
	(void)state;
	for (size_t size = 0; size < 100; size++) {
		uint8_t *buffer = malloc(size + 8);
		struct compose compose;
		assert_non_null(buffer);
		memset(buffer, 0xa5, size + 8);
		compose_begin(
			&compose, buffer, size, 1, 0, qname.wire, qname.length, TYPE_A, CLASS_IN);
		compose_rr_name(&compose, SECTION_ANSWER, &qname, TYPE_CNAME, 1, &target);
		size_t ttl =
			compose_rr(&compose, SECTION_ADDITIONAL, &target, TYPE_A, 1, "\1\2\3\4", 4);
		/* 12 + 17 + 4, 12 + 15, 12 + 4 */
		size_t whole = 33 + 27 + 16;
		assert_int_equal(compose_finish(&compose), size >= whole ? whole : 0);
		assert_int_equal(ttl > 0, size >= whole);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(buffer[size + i], 0xa5);
		free(buffer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_question_is_taken),
		cmocka_unit_test(edns_is_taken),
		cmocka_unit_test(silence_is_kept),
		cmocka_unit_test(every_cut_is_formerr),
		cmocka_unit_test(verdicts_follow_the_list),
		cmocka_unit_test(notimp_reports_question_and_edns),
		cmocka_unit_test(compressed_question_is_formerr),
		cmocka_unit_test(bad_opt_is_formerr),
		cmocka_unit_test(two_opts_are_formerr_and_other_records_are_not),
		cmocka_unit_test(edns_version_is_badvers),
		cmocka_unit_test(name_of_255_octets_is_answered),
		cmocka_unit_test(opt_is_written_as_it_is_read),
		cmocka_unit_test(opt_options_are_found),
		cmocka_unit_test(ttl_top_bit_is_zero),
		cmocka_unit_test(rdata_names_end_within_rdata),
		cmocka_unit_test(composed_answer_is_compressed_and_read_back),
		cmocka_unit_test(repeated_labels_are_composed),
		cmocka_unit_test(large_messages_are_composed),
		cmocka_unit_test(composing_never_writes_beyond_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
