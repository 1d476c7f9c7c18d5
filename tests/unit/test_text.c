/* SPDX-License-Identifier: BSD-3-Clause */
/* Types, rcodes, RDATA as text, and zone lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "lib/dns/text.h"

#define ORIGIN "example.org."

static struct name name_of(const char *text)
{
	struct name name;
	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

static void types_have_names(void **state)
{
	static const struct {
		uint16_t type;
		const char *name;
	} cases[] = {
		{1, "A"},
		{28, "AAAA"},
		{5, "CNAME"},
		{65, "HTTPS"},
		{64, "SVCB"},
		{255, "ANY"},
		{252, "AXFR"},
		{251, "IXFR"},
		{257, "CAA"},
		{41, "OPT"},
		{10, "NULL"},
		{65280, "TYPE65280"},
		{0, "TYPE0"},
		{65535, "TYPE65535"},
		{32769, "DLV"},
		{54, "TYPE54"},
	};
	char text[TYPE_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t type = 9999;
		assert_string_equal(type_to_text(cases[i].type, text), cases[i].name);
		assert_true(type_from_text(&type, cases[i].name));
		assert_int_equal(type, cases[i].type);
	}
}

static void every_type_passes_through_text(void **state)
{
	char text[TYPE_TEXT_MAX];
	(void)state;
	for (unsigned i = 0; i <= UINT16_MAX; i++) {
		uint16_t type = (uint16_t)~i;
		assert_true(type_from_text(&type, type_to_text((uint16_t)i, text)));
		assert_int_equal(type, i);
	}
}

static void bad_types_are_refused(void **state)
{
	static const char *const bad[] = {"", "AA", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x",
		"TYPE 1", "TYPE000001", "AAAAA", "*", "1", "TYPE99999999999999999999",
		"a-type-name-that-is-much-too-long-for-anything"};
	uint16_t type = 7;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(type_from_text(&type, bad[i]));
	assert_true(type_from_text(&type, "aAaA"));
	assert_int_equal(type, TYPE_AAAA);
	assert_true(type_from_text(&type, "type1"));
	assert_int_equal(type, TYPE_A);
}

static void rcodes_have_names(void **state)
{
	(void)state;
	assert_string_equal(rcode_to_text(0), "NOERROR");
	assert_string_equal(rcode_to_text(3), "NXDOMAIN");
	assert_string_equal(rcode_to_text(5), "REFUSED");
	assert_string_equal(rcode_to_text(10), "NOTZONE");
	assert_string_equal(rcode_to_text(11), "RCODE11");
	assert_string_equal(rcode_to_text(16), "BADVERS");
	assert_string_equal(rcode_to_text(23), "RCODE23");
	assert_string_equal(rcode_to_text(65535), "RCODE65535");
}

/* The text of RDATA that stands behind a name ("nS.example.", at 1) to which it may point. */
static void assert_rdata_text(uint16_t type, const void *rdata, size_t length, const char *expected)
{
	static const char before[] = "-\002nS\007example";
	struct message_rr rr = {
		.type = type, .rdata_offset = sizeof(before) + 2, .rdata_length = (uint16_t)length};
	size_t size = rr.rdata_offset + length;
	uint8_t *message = malloc(size);
	struct strbuf text;
	assert_non_null(message);
	memcpy(message, before, sizeof(before));
	message[sizeof(before)] = (uint8_t)(length >> 8);
	message[sizeof(before) + 1] = (uint8_t)length;
	memcpy(message + rr.rdata_offset, rdata, length);
	strbuf_init(&text);
	strbuf_append_text(&text, "data=");
	rdata_to_text(&text, message, size, &rr);
	assert_memory_equal(text.data, "data=", 5);
	assert_string_equal(text.data + 5, expected);
	strbuf_deinit(&text);
	free(message);
}

static void rdata_is_printed(void **state)
{
	(void)state;
	assert_rdata_text(TYPE_A, "\xc0\0\2\1", 4, "192.0.2.1");
	assert_rdata_text(TYPE_AAAA, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, "2001:db8::1");
	assert_rdata_text(TYPE_CNAME, "\001a\xc0\1", 4, "a.nS.example.");
	assert_rdata_text(TYPE_NS, "", 1, ".");
	assert_rdata_text(TYPE_PTR, "\004a.\n\"\0", 6, "a\\.\\010\\\".");
	assert_rdata_text(TYPE_MX, "\0\012\xc0\4", 4, "10 example.");
	assert_rdata_text(TYPE_TXT, "\003a\"b\002\n\xff", 7, "\"a\\\"b\" \"\\010\\255\"");
	assert_rdata_text(TYPE_SOA, "\xc0\1\001@\xc0\4\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 26,
		"nS.example. \\@.example. 1 2 3 4 5");
	assert_rdata_text(TYPE_SRV, "\0\1\0\2\0\3\xc0\1", 8, "1 2 3 nS.example.");
	assert_rdata_text(257, "\0\005issueca.example", 17, "0 issue \"ca.example\"");
	assert_rdata_text(65280, "\1\2\xff", 3, "\\# 3 0102ff");
	assert_rdata_text(65280, "", 0, "\\# 0");
	assert_rdata_text(11, "\1\2\3\4\6\0\0\1", 8, "\\# 8 0102030406000001");
}

static void rdata_that_does_not_fit_is_printed_raw(void **state)
{
	static const struct {
		uint16_t type;
		const char *rdata;
		size_t length;
		const char *expected;
	} cases[] = {
		{TYPE_A, "", 0, "\\# 0"},
		{TYPE_A, "\1\2\3", 3, "\\# 3 010203"},
		{TYPE_A, "\1\2\3\4\5", 5, "\\# 5 0102030405"},
		{TYPE_AAAA, "\1\2\3\4", 4, "\\# 4 01020304"},
		{TYPE_CNAME, "", 0, "\\# 0"},
		{TYPE_CNAME, "\001a\0x", 4, "\\# 4 01610078"},
		{TYPE_CNAME, "\001a", 2, "\\# 2 0161"},
		{TYPE_CNAME, "\xc0\xff", 2, "\\# 2 c0ff"},
		{TYPE_MX, "\0", 1, "\\# 1 00"},
		{TYPE_MX, "\0\1", 2, "\\# 2 0001"},
		{TYPE_SOA, "", 0, "\\# 0"},
		{TYPE_SOA, "\0\0\1", 3, "\\# 3 000001"},
		{TYPE_SRV, "\0\1\0\2\0\3", 6, "\\# 6 000100020003"},
		{TYPE_TXT, "\005ab", 3, "\\# 3 056162"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_rdata_text(
			cases[i].type, cases[i].rdata, cases[i].length, cases[i].expected);
}

static enum td_error parse(const char *line, struct text_rr *out, char *why, size_t why_size)
{
	struct name origin = name_of(ORIGIN), previous = name_of("Previous.example.");
	/* A copy without a NUL behind it. */
	size_t length = strlen(line);
	char *copy = malloc(length ? length : 1);
	assert_non_null(copy);
	memcpy(copy, line, length);
	enum td_error error =
		text_parse_rr(copy, length, &origin, &previous, 77, out, why, why_size);
	free(copy);
	return error;
}

static void assert_line(
	const char *line, const char *owner, uint32_t ttl_s, uint16_t type, const char *data)
{
	struct text_rr rr;
	char why[200] = "", text[NAME_TEXT_MAX];
	struct strbuf printed;
	enum td_error error = parse(line, &rr, why, sizeof(why));
	if (error != TD_OK)
		print_error("%s: %s\n", line, why);
	assert_int_equal(error, TD_OK);
	name_to_text(rr.owner.wire, text);
	assert_string_equal(text, owner);
	assert_int_equal(rr.ttl_s, ttl_s);
	assert_int_equal(rr.type, type);
	uint8_t *message = malloc(2 + (size_t)rr.rdata_length);
	assert_non_null(message);
	message[0] = (uint8_t)(rr.rdata_length >> 8);
	message[1] = (uint8_t)rr.rdata_length;
	memcpy(message + 2, rr.rdata, rr.rdata_length);
	strbuf_init(&printed);
	rdata_to_text(&printed, message, 2 + (size_t)rr.rdata_length,
		&(struct message_rr){
			.type = rr.type, .rdata_offset = 2, .rdata_length = rr.rdata_length});
	assert_string_equal(printed.data, data);
	strbuf_deinit(&printed);
	free(message);
	free(rr.rdata);
}

static void owner_ttl_and_class_are_read(void **state)
{
	(void)state;
	assert_line("a A 1.2.3.4", "a.example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("a. 5 A 1.2.3.4", "a.", 5, TYPE_A, "1.2.3.4");
	assert_line("a 5 IN A 1.2.3.4", "a.example.org.", 5, TYPE_A, "1.2.3.4");
	assert_line("a in 5 a 1.2.3.4", "a.example.org.", 5, TYPE_A, "1.2.3.4");
	assert_line("a CLASS1 A 1.2.3.4", "a.example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("a 1w2d3h4m5s A 1.2.3.4", "a.example.org.", 788645, TYPE_A, "1.2.3.4");
	assert_line("a 2147483647 A 1.2.3.4", "a.example.org.", 2147483647, TYPE_A, "1.2.3.4");
	assert_line(" A 1.2.3.4", "Previous.example.", 77, TYPE_A, "1.2.3.4");
	assert_line("\t5 A\t1.2.3.4 \t\r", "Previous.example.", 5, TYPE_A, "1.2.3.4");
	assert_line("@ A 1.2.3.4", "example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("\\@ A 1.2.3.4", "\\@.example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("IN IN A 1.2.3.4", "IN.example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("5 A 1.2.3.4", "5.example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("a\\ b A 1.2.3.4", "a\\032b.example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("a\\. A 1.2.3.4", "a\\..example.org.", 77, TYPE_A, "1.2.3.4");
	assert_line("a\\\\. A 1.2.3.4", "a\\\\.", 77, TYPE_A, "1.2.3.4");
	assert_line("a TYPE1 1.2.3.4", "a.example.org.", 77, TYPE_A, "1.2.3.4");
}

/* RPZ triggers and actions are CNAMEs. */
static void names_and_addresses_are_read(void **state)
{
	(void)state;
	assert_line(
		"32.zz.2001.rpz-ip CNAME .", "32.zz.2001.rpz-ip.example.org.", 77, TYPE_CNAME, ".");
	assert_line("*.a CNAME *.", "*.a.example.org.", 77, TYPE_CNAME, "*.");
	assert_line("a CNAME rpz-passthru.", "a.example.org.", 77, TYPE_CNAME, "rpz-passthru.");
	assert_line("a CNAME b", "a.example.org.", 77, TYPE_CNAME, "b.example.org.");
	assert_line("a CNAME @", "a.example.org.", 77, TYPE_CNAME, "example.org.");
	assert_line("a AAAA 2001:DB8::1", "a.example.org.", 77, TYPE_AAAA, "2001:db8::1");
	assert_line("a AAAA ::ffff:1.2.3.4", "a.example.org.", 77, TYPE_AAAA, "::ffff:1.2.3.4");
}

static void other_types_are_read_by_ldns(void **state)
{
	(void)state;
	assert_line("@ SOA ns hostmaster 1 2h 3 4w 5", "example.org.", 77, TYPE_SOA,
		"ns.example.org. hostmaster.example.org. 1 7200 3 2419200 5");
	assert_line("@ NS ns.other.", "example.org.", 77, TYPE_NS, "ns.other.");
	assert_line("@ 1 MX 10 @", "example.org.", 1, TYPE_MX, "10 example.org.");
	assert_line("a TXT \"b  c\" d\\\"e \"\"", "a.example.org.", 77, TYPE_TXT,
		"\"b  c\" \"d\\\"e\" \"\"");
	assert_line("_a._udp SRV 1 2 3 t", "_a._udp.example.org.", 77, TYPE_SRV,
		"1 2 3 t.example.org.");
	assert_line("a CAA 0 issue \"x\"", "a.example.org.", 77, 257, "0 issue \"x\"");
	assert_line("a HTTPS 1 . alpn=\"h2,h3\" port=53", "a.example.org.", 77, TYPE_HTTPS,
		"1 . alpn=h2,h3 port=53");
	assert_line("a DS 1 8 2 0123 4567", "a.example.org.", 77, TYPE_DS, "1 8 2 01234567");
	assert_line("a NSEC b. A TYPE65280", "a.example.org.", 77, TYPE_NSEC, "b. A TYPE65280");
}

static void generic_rdata_is_read(void **state)
{
	(void)state;
	assert_line("a TYPE65280 \\# 3 01 0 2Ff", "a.example.org.", 77, 65280, "\\# 3 0102ff");
	assert_line("a TYPE65280 \\# 0", "a.example.org.", 77, 65280, "\\# 0");
	assert_line("a A \\# 4 c0000201", "a.example.org.", 77, TYPE_A, "192.0.2.1");
	assert_line("a CNAME \\# 3 016100", "a.example.org.", 77, TYPE_CNAME, "a.");
	assert_line("a WKS \\# 6 010203040600", "a.example.org.", 77, 11, "\\# 6 010203040600");
}

static void faults_are_explained(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"", "there is no owner before this line"},
		{"a", "the type is missing"},
		{"a 5 IN", "the type is missing"},
		{"a A", "the data are missing"},
		{"a A 1.2.3", "not an IPv4 address: 1.2.3"},
		{"a A ::1", "not an IPv4 address: ::1"},
		{"a AAAA 1.2.3.4", "not an IPv6 address: 1.2.3.4"},
		{"a A 1.2.3.4 5", "more than was expected: 5"},
		{"a CNAME b c", "more than was expected: c"},
		{"a CNAME b..c", "not a name: b..c"},
		{"..a CNAME b", "not a name: ..a"},
		{"a CH A 1.2.3.4", "a class other than IN: CH"},
		{"a CLASS3 A 1.2.3.4", "a class other than IN: CLASS3"},
		{"a 5 6 A 1.2.3.4", "unknown type: 6"},
		{"a IN IN A 1.2.3.4", "unknown type: IN"},
		{"a 5x A 1.2.3.4", "not a TTL: 5x"},
		{"a 2147483648 A 1.2.3.4", "the TTL is too large: 2147483648"},
		{"a 9999999999999999999999 A 1.2.3.4",
			"the TTL is too large: 9999999999999999999999"},
		{"a NONSENSE x", "unknown type: NONSENSE"},
		{"a ANY x", "a type that cannot stand in a zone: ANY"},
		{"a OPT x", "a type that cannot stand in a zone: OPT"},
		{"a TSIG x", "a type that cannot stand in a zone: TSIG"},
		{"a TXT \"x", "a quote is not closed"},
		{"a TXT \"", "a quote is not closed"},
		{"a TXT x\\", "the line ends with a backslash"},
		{"a TXT \x01", "the line contains a control character"},
		{"a TXT", "the data are missing or incomplete"},
		{"a MX 10", "the data are missing or incomplete"},
		{"a MX 10 b c", "more than was expected: c"},
		{"a TYPE65280 x", "this type can only be written as \\# LENGTH HEX"},
		{"a WKS 1.2.3.4 TCP 25", "this type can only be written as \\# LENGTH HEX"},
		{"a CERT PKIX 1 RSASHA1 AQ==", "this type can only be written as \\# LENGTH HEX"},
		{"a IPSECKEY 10 1 2 1.2.3.4 AQ==",
			"this type can only be written as \\# LENGTH HEX"},
		{"a TYPE65280 \\# 3 0102", "the data have another length than they say"},
		{"a TYPE65280 \\# 1 0102", "the data have another length than they say"},
		{"a TYPE65280 \\# 1 010", "the data have another length than they say"},
		{"a TYPE65280 \\# 1 0g", "not a hexadecimal number: 0g"},
		{"a TYPE65280 \\# 65536 00", "not a length: 65536"},
		{"a TYPE65280 \\#", "not a length"},
		{"a A \\# 3 010203", "the data do not fit the type"},
		{"a CNAME \\# 2 c000", "the data do not fit the type"},
		{"a SOA \\# 0", "the data do not fit the type"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text_rr rr = {.rdata = (uint8_t *)1};
		struct name origin = name_of(ORIGIN);
		char why[200] = "";
		assert_int_equal(text_parse_rr(cases[i].line, strlen(cases[i].line), &origin, NULL,
					 1, &rr, why, sizeof(why)),
			TD_MALFORMED);
		assert_null(rr.rdata);
		assert_string_equal(why, cases[i].why);
	}
}

static void long_and_binary_lines_are_refused(void **state)
{
	static char line[70000];
	struct name origin = name_of(ORIGIN), long_origin = {.length = 0};
	struct text_rr rr;
	char why[20];
	(void)state;
	memset(line, ' ', sizeof(line));
	memcpy(line, "a A 1.2.3.4", 11);
	assert_int_equal(
		text_parse_rr(line, 65536, &origin, NULL, 1, &rr, why, sizeof(why)), TD_MALFORMED);
	assert_string_equal(why, "the line is too lon");
	assert_int_equal(
		text_parse_rr(line, 65535, &origin, NULL, 1, &rr, why, sizeof(why)), TD_OK);
	free(rr.rdata);
	line[100] = '\0';
	assert_int_equal(text_parse_rr(line, 200, &origin, NULL, 1, &rr, NULL, 0), TD_MALFORMED);
	for (int i = 0; i < 127; i++)
		memcpy(long_origin.wire + 2 * i, "\001x", 2);
	long_origin.length = 255;
	assert_int_equal(
		text_parse_rr("@ NS @", 6, &long_origin, NULL, 1, &rr, why, sizeof(why)), TD_OK);
	assert_int_equal(rr.rdata_length, 255);
	free(rr.rdata);
	assert_int_equal(text_parse_rr("a NS @", 6, &long_origin, NULL, 1, &rr, why, sizeof(why)),
		TD_MALFORMED);
	assert_int_equal(text_parse_rr("@ NS a", 6, &long_origin, NULL, 1, &rr, why, sizeof(why)),
		TD_MALFORMED);
	assert_int_equal(
		text_parse_rr("@ CNAME a", 9, &long_origin, NULL, 1, &rr, why, sizeof(why)),
		TD_MALFORMED);
	/* Without an origin names are taken as absolute. */
	assert_int_equal(
		text_parse_rr("a CNAME b", 9, NULL, NULL, 1, &rr, why, sizeof(why)), TD_OK);
	assert_int_equal(rr.rdata_length, 3);
	assert_int_equal(rr.owner.length, 3);
	free(rr.rdata);
}

/* The fast path gives the octets that ldns gives for the same line. */
static void fast_path_equals_ldns(void **state)
{
	static const char *const lines[] = {"a.b. 60 IN CNAME c.d.", "a. 60 IN CNAME .",
		"a\\.b. 60 IN CNAME \\065\\000c.D.", "a. 60 IN A 192.0.2.255",
		"a. 60 IN AAAA 2001:db8::ff", "A.b. 60 IN AAAA ::ffff:1.2.3.4",
		"x. 60 IN CNAME *.y."};
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct text_rr ours;
		ldns_rr *theirs = NULL;
		assert_int_equal(parse(lines[i], &ours, NULL, 0), TD_OK);
		assert_int_equal(
			ldns_rr_new_frm_str(&theirs, lines[i], 1, NULL, NULL), LDNS_STATUS_OK);
		const ldns_rdf *rdf = ldns_rr_rdf(theirs, 0);
		assert_int_equal(ours.type, ldns_rr_get_type(theirs));
		assert_int_equal(ours.ttl_s, ldns_rr_ttl(theirs));
		assert_int_equal(ours.owner.length, ldns_rdf_size(ldns_rr_owner(theirs)));
		assert_memory_equal(
			ours.owner.wire, ldns_rdf_data(ldns_rr_owner(theirs)), ours.owner.length);
		assert_int_equal(ours.rdata_length, ldns_rdf_size(rdf));
		assert_memory_equal(ours.rdata, ldns_rdf_data(rdf), ours.rdata_length);
		ldns_rr_free(theirs);
		free(ours.rdata);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_have_names),
		cmocka_unit_test(every_type_passes_through_text),
		cmocka_unit_test(bad_types_are_refused),
		cmocka_unit_test(rcodes_have_names),
		cmocka_unit_test(rdata_is_printed),
		cmocka_unit_test(rdata_that_does_not_fit_is_printed_raw),
		cmocka_unit_test(owner_ttl_and_class_are_read),
		cmocka_unit_test(names_and_addresses_are_read),
		cmocka_unit_test(other_types_are_read_by_ldns),
		cmocka_unit_test(generic_rdata_is_read),
		cmocka_unit_test(faults_are_explained),
		cmocka_unit_test(long_and_binary_lines_are_refused),
		cmocka_unit_test(fast_path_equals_ldns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
