/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zone text: which names become rules and with which action, the records of local data, and what is
 * said of lines that are passed over, hostile ones among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/message.h"
#include "lib/dns/text.h"
#include "tests/unit/policy_rules.h"

/* Loads text into one zone; what was complained about is compared with expected. */
static struct policy_index *load_with_complaints(
	const char *text, size_t size, unsigned used, const char *expected)
{
	struct policy_builder *builder = policy_builder_new();
	struct complaints complaints = {.count = 0};
	struct policy_load load;

	strbuf_init(&complaints.text);
	strbuf_append(&complaints.text, "", 0);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_rpz(builder, "f", text, size, complain, &complaints, &load), TD_OK);
	strbuf_append_char(&complaints.text, '\0');
	assert_string_equal(complaints.text.data, expected);
	assert_int_equal(load.skipped, complaints.count);
	assert_int_equal(load.used, used);
	strbuf_deinit(&complaints.text);
	struct policy_index *index = policy_builder_finish(&builder);
	assert_int_equal(policy_zone_rules(index, 0), used);
	return index;
}

/* --- the zone's own name --- */

static void test_origin(void **state)
{
	struct policy_index *index = one_zone("$ORIGIN rpz.local.\n" SOA "x CNAME .\n"
					      "y.rpz.local. CNAME .\n"
					      "dot\\. CNAME .\n"
					      "slash\\\\.rpz.local. CNAME .\n"
					      "$ORIGIN com.rpz.local.\n"
					      "z CNAME *.\n"
					      "@ CNAME rpz-drop.\n"
					      "$origin  sub\n"
					      "w 300 IN CNAME .\n");

	(void)state;
	expect(index, "x.", "a:nxdomain:x.");
	expect(index, "y.", "a:nxdomain:y.");
	expect(index, "dot\\..", "a:nxdomain:dot\\..");
	expect(index, "slash\\\\.", "a:nxdomain:slash\\\\.");
	expect(index, "z.com.", "a:nodata:z.com.");
	expect(index, "com.", "a:drop:com.");
	expect(index, "w.sub.com.", "a:nxdomain:w.sub.com.");
	expect(index, "rpz.local.", "");
	policy_index_free(index);

	/* An origin that is given holds, whatever the SOA's owner. */
	index = one_zone("$ORIGIN sub.rpz.local.\n"
			 "rpz.local. SOA localhost. nobody.invalid. 1 2 3 4 5\n"
			 "x CNAME .\n");
	expect(index, "x.sub.", "a:nxdomain:x.sub.");
	expect(index, "x.", "");
	policy_index_free(index);
}

/* A transferred zone: absolute names, the SOA again at the end. */
static void test_transferred(void **state)
{
	struct policy_index *index = one_zone(
		"rpz.example.\t3600\tIN\tSOA\tns.rpz.example. root.rpz.example. 1 2 3 4 5\n"
		"rpz.example.\t3600\tIN\tNS\tns.rpz.example.\n"
		"rpz.example.\t3600\tIN\tTXT\t\"a list\"\n"
		"bad.test.rpz.example.\t60\tIN\tCNAME\t.\n"
		"*.bad.test.rpz.example.\t60\tIN\tcname\t.\n"
		"relative CNAME .\n"
		"rpz.example.\t3600\tIN\tSOA\tns.rpz.example. root.rpz.example. 1 2 3 4 5\n");

	(void)state;
	expect(index, "bad.test.", "a:nxdomain:bad.test.");
	expect(index, "x.bad.test.", "a:nxdomain:*.bad.test.");
	expect(index, "relative.", "a:nxdomain:relative.");
	assert_int_equal(policy_zone_rules(index, 0), 3);
	policy_index_free(index);
}

static void test_forms(void **state)
{
	struct policy_index *index = one_zone("; a comment\n\n \t\r\n" SOA "  NS localhost.\n"
					      "a CNAME . ; comment (with \"things\n"
					      "b ( CNAME\n\t; inside\n\t\"x\" ) ; not an action\n"
					      "c 1h CNAME *.\n"
					      "d IN 300 CNAME rpz-Passthru.\n"
					      "e CNAME\t.\r\n"
					      "f(CNAME .)\n"
					      "g IN TXT \"; no comment ( \\\" here\" more\n"
					      "  TXT second\n"
					      "$ORIGIN rpz-drop.\n"
					      "$ORIGIN .\n"
					      "h CNAME h.\n"
					      "i CNAME *\n"
					      "j CNAME ."); /* no newline at the end */

	(void)state;
	expect(index, "a.", "a:nxdomain:a.");
	expect(index, "b.", "a:local-data:b.");
	expect(index, "c.", "a:nodata:c.");
	expect(index, "d.", "a:passthru:d.");
	expect(index, "e.", "a:nxdomain:e.");
	expect(index, "f.", "a:nxdomain:f.");
	expect(index, "g.", "a:local-data:g.");
	expect(index, "h.", "a:passthru:h."); /* the older form */
	expect(index, "i.", "a:nodata:i.");
	expect(index, "j.", "a:nxdomain:j.");
	policy_index_free(index);
}

/* --- local data --- */

static void expect_records(
	const struct policy_index *index, const char *name, uint16_t type, const char *expected)
{
	struct policy_match match = first_match(index, name);
	struct policy_record record;
	struct strbuf got;
	size_t position = 0;

	strbuf_init(&got);
	while (policy_rule_record(index, &match, type, &position, &record)) {
		char type_text[TYPE_TEXT_MAX];
		strbuf_printf(&got, "%s %u", type_to_text(record.type, type_text), record.ttl_s);
		for (size_t i = 0; i < record.rdata_length; i++)
			strbuf_printf(&got, "%s%02x", i ? "" : " ", record.rdata[i]);
		strbuf_append_char(&got, '\n');
	}
	assert_false(policy_rule_record(index, &match, type, &position, &record));
	strbuf_append_char(&got, '\0');
	assert_string_equal(got.data, expected);
	strbuf_deinit(&got);
}

static void test_local_data(void **state)
{
	struct policy_index *index = one_zone(SOA "host A 192.0.2.1\n"
						  "host 300 A 192.0.2.2\n"
						  "host AAAA 2001:db8::1\n"
						  "*.host A 192.0.2.3\n"
						  "gone CNAME .\n"
						  "alias CNAME garden.example.net.\n"
						  "below CNAME *.garden.example.net.\n"
						  "$TTL 1h30m\n"
						  "mail MX 10 alias\n");

	(void)state;
	expect(index, "host.", "a:local-data:host.");
	expect(index, "x.host.", "a:local-data:*.host.");
	expect_records(index, "host.", TYPE_A, "A 60 c0000201\nA 300 c0000202\n");
	expect_records(index, "host.", TYPE_AAAA, "AAAA 60 20010db8000000000000000000000001\n");
	expect_records(index, "host.", TYPE_MX, "");
	expect_records(index, "host.", TYPE_ANY,
		"A 60 c0000201\nA 300 c0000202\nAAAA 60 20010db8000000000000000000000001\n");
	expect_records(index, "x.host.", TYPE_A, "A 60 c0000203\n");
	expect_records(index, "gone.", TYPE_ANY, "");
	expect_records(index, "alias.", TYPE_A, "");
	expect_records(
		index, "alias.", TYPE_CNAME, "CNAME 60 0667617264656e076578616d706c65036e657400\n");
	expect(index, "below.", "a:local-data:below.");
	expect_records(index, "below.", TYPE_CNAME,
		"CNAME 60 012a0667617264656e076578616d706c65036e657400\n");
	expect_records(index, "mail.", TYPE_MX, "MX 5400 000a05616c69617300\n");
	policy_index_free(index);
}

/* Without $TTL the SOA's minimum counts. */
static void test_default_ttl(void **state)
{
	struct policy_index *index =
		one_zone("@ 9 SOA localhost. nobody.invalid. 1 2 3 4 77\nx A 192.0.2.1\n");

	(void)state;
	expect_records(index, "x.", TYPE_A, "A 77 c0000201\n");
	policy_index_free(index);
}

static void test_many_records(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct strbuf text;

	(void)state;
	strbuf_init(&text);
	strbuf_append_text(&text, SOA);
	for (int i = 0; i < 120; i++)
		strbuf_printf(&text, "x A 192.0.2.%d\n", i);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	struct policy_load load = add_rpz(builder, text.data);
	assert_int_equal(load.used, 1);
	assert_int_equal(load.skipped, 20);
	strbuf_deinit(&text);
	policy_builder_free(builder);
}

/* --- complaints --- */

/* What the draft (3.6) does not take for local data: with a line, but for what a signed zone is full of. */
static void test_dnssec_records(void **state)
{
	const char *text = SOA "@ DNSKEY 256 3 13 AAAA\n"
			       "good CNAME .\n"
			       "  RRSIG CNAME 13 2 60 20300101000000 20200101000000 1 rpz.test. AAAA\n"
			       "  NSEC x.test. CNAME\n"
			       "x DS 1 13 2 00\n"            /* 7 */
			       "x DNSKEY 256 3 13 AAAA\n"    /* 8 */
			       "x DNAME y.\n";               /* 9 */
	struct policy_index *index = load_with_complaints(text, strlen(text), 1,
		"f:7: records of this type cannot be local data\n"
		"f:8: records of this type cannot be local data\n"
		"f:9: records of this type cannot be local data\n");

	(void)state;
	expect(index, "x.", "");
	policy_index_free(index);
}

static void test_complaints(void **state)
{
	const char *text = SOA "good CNAME .\n"
			       "24.1.2.0.192.rpz-ip CNAME .\n"                /* 4 */
			       "32.1.2.0.rpz-client-ip CNAME rpz-drop.\n"     /* 5 */
			       "ns.example.rpz-nsdname CNAME .\n"             /* 6 */
			       "32.1.2.0.192.RPZ-NSIP CNAME .\n"              /* 7 */
			       "good CNAME *.\n"                              /* 8 */
			       "good A 192.0.2.1\n"                           /* 9 */
			       "$INCLUDE /etc/passwd\n"                       /* 10 */
			       "$GENERATE 1-9 x$ CNAME .\n"                   /* 11 */
			       "$WHAT 1\n"                                    /* 12 */
			       "$TTL never\n"                                 /* 13 */
			       "a..b CNAME .\n"                               /* 14 */
			       "lonely\n"                                     /* 15 */
			       "x CNAME rpz-log.\n"                           /* 16 */
			       "y CNAME a.rpz-x.\n"                           /* 17 */
			       "x NS localhost.\n"                            /* 18 */
			       "local A 192.0.2.1\n"
			       "local A 192.0.2.1\n"  /* 20 */
			       "local CNAME other.\n" /* 21 */
			       "local CNAME .\n"      /* 22 */
			       "@ CNAME .\n"          /* 23 */
			       "fine CNAME .\n";
	struct policy_index *index = load_with_complaints(text, strlen(text), 3,
		"f:4: bits behind the prefix are set\n"
		"f:5: not an address before rpz-ip or rpz-client-ip\n"
		"f:6: rules by name server (rpz-nsdname) are not supported: a forwarder does not "
		"see it\n"
		"f:7: rules by name server address (rpz-nsip) are not supported: a forwarder does "
		"not see it\n"
		"f:8: repeated: the first rule for this name stays\n"
		"f:9: repeated: the first rule for this name stays\n"
		"f:10: $INCLUDE and $GENERATE are not supported\n"
		"f:11: $INCLUDE and $GENERATE are not supported\n"
		"f:12: an unknown directive\n"
		"f:13: not a time behind $TTL\n"
		"f:14: not a domain name\n"
		"f:15: a name without a record\n"
		"f:16: not a known action\n"
		"f:17: not a known action\n"
		"f:18: records of this type cannot be local data\n"
		"f:20: repeated: this record stands above already\n"
		"f:21: a CNAME cannot stand beside other records of its name\n"
		"f:22: repeated: the first rule for this name stays\n"
		"f:23: a CNAME at the zone's own name is not a rule\n");

	(void)state;
	expect(index, "good.", "a:nxdomain:good.");
	expect(index, "fine.", "a:nxdomain:fine.");
	expect(index, "x.", "");
	policy_index_free(index);
}

/* Lines are counted by newlines, whatever the logical line. */
static void test_line_numbers(void **state)
{
	const char *text =
		"\n; one\n@ SOA localhost. nobody.invalid. (\n 1 ; serial (\n 2 3 4 5 )\n"
		"b..ad CNAME .\n"             /* 6 */
		"x TXT ( \"a\"\n\n \"b\" )\n" /* 7 to 9 */
		"b..ad CNAME .\n"             /* 10 */
		"y TXT ( \"a\n"               /* 11: quote */
		"b..ad CNAME .\r\n"           /* 12 */
		"z TXT ( a\n ( b ) )\n"       /* 13: nested; 14 has no owner */
		"q CNAME . )\n"               /* 15 */
		"r CNAME .\\\n"               /* 16 */
		"s CNAME .\n"                 /* 17 */
		"t TXT ( never\n"             /* 18 */
		"u CNAME .";                  /* 19 */
	struct policy_index *index = load_with_complaints(text, strlen(text), 3,
		"f:6: not a domain name\n"
		"f:10: not a domain name\n"
		"f:11: a quote is not closed on its line\n"
		"f:12: not a domain name\n"
		"f:13: a parenthesis within parentheses, or one that is not closed\n"
		"f:14: a closing parenthesis without an opening one\n"
		"f:15: a closing parenthesis without an opening one\n"
		"f:16: a backslash at the end of the line\n"
		"f:18: a parenthesis that is not closed\n");

	(void)state;
	expect(index, "x.", "a:local-data:x.");
	expect(index, "s.", "a:nxdomain:s.");
	expect(index, "u.", "a:nxdomain:u.");
	policy_index_free(index);
}

/* What could not be read is never guessed. */
static void test_no_guessing(void **state)
{
	const char *text = SOA "a A 192.0.2.1\n"
			       "b..ad A 192.0.2.2\n"  /* 4 */
			       " A 192.0.2.3\n"       /* 5 */
			       "c A not-an-address\n" /* 6 */
			       " A 192.0.2.4\n"       /* c's */
			       "$ORIGIN b..ad\n"      /* 8 */
			       "d CNAME .\n"          /* 9 */
			       "e. CNAME .\n"
			       "$ORIGIN \"x\n" /* 11 */
			       "f CNAME .\n"   /* 12 */
			       "$ORIGIN g.\n"
			       "h CNAME .\n"
			       "i A 192.0.2.5\n"
			       "j TXT \"x\n"     /* 16 */
			       " A 192.0.2.6\n"; /* 17: j's, not i's */
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;

	(void)state;
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	load = add_rpz(builder, text);
	assert_int_equal(load.lines, 17);
	assert_int_equal(load.skipped, 9);
	assert_int_equal(load.used, 5);
	struct policy_index *index = policy_builder_finish(&builder);
	expect_records(index, "a.", TYPE_A, "A 60 c0000201\n");
	expect_records(index, "c.", TYPE_A, "A 60 c0000204\n");
	expect(index, "d.", "");
	expect(index, "e.", "a:nxdomain:e.");
	expect(index, "f.", "");
	expect(index, "h.g.", "a:nxdomain:h.g.");
	expect_records(index, "i.g.", TYPE_A, "A 60 c0000205\n");
	policy_index_free(index);
}

static void test_outside_the_zone(void **state)
{
	const char *text = "rpz.local. SOA localhost. nobody.invalid. 1 2 3 4 5\n"
			   "other.example. CNAME .\n"
			   "local. CNAME .\n"
			   "xrpz.local. CNAME .\n"
			   "ok CNAME .\n";
	struct policy_index *index = load_with_complaints(text, strlen(text), 1,
		"f:2: the name is outside the zone\n"
		"f:3: the name is outside the zone\n"
		"f:4: the name is outside the zone\n");

	(void)state;
	expect(index, "ok.", "a:nxdomain:ok.");
	policy_index_free(index);
}

static void test_dnssec_is_passed_over(void **state)
{
	struct policy_index *index =
		one_zone(SOA "x NSEC y. CNAME NSEC\nx CNAME .\n@ NSEC x. SOA NSEC\n");

	(void)state;
	expect(index, "x.", "a:nxdomain:x.");
	policy_index_free(index);
}

static enum td_error load_error(const char *text, size_t size, struct policy_load *load)
{
	struct policy_builder *builder = policy_builder_new();

	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	enum td_error error = policy_builder_rpz(builder, "f", text, size, NULL, NULL, load);
	struct policy_index *index = policy_builder_finish(&builder);
	expect(index, "ads.example.", "");
	policy_index_free(index);
	return error;
}

static void test_not_a_zone(void **state)
{
	struct policy_load load;
	struct strbuf hosts;

	(void)state;
	assert_int_equal(load_error("", 0, &load), TD_MALFORMED);
	assert_int_equal(load.lines, 0);
	assert_int_equal(load_error("ads.example CNAME .\n", 20, &load), TD_MALFORMED);
	assert_int_equal(load.skipped, 1);
	assert_int_equal(load_error("\0\0\n\377(", 5, &load), TD_MALFORMED);
	strbuf_init(&hosts);
	for (int i = 0; i < 1000; i++)
		strbuf_append_text(&hosts, "0.0.0.0 ads.example\n");
	assert_int_equal(load_error(hosts.data, hosts.length, &load), TD_MALFORMED);
	assert_true(load.skipped < 100); /* it does not complain of every line of another file */
	strbuf_deinit(&hosts);
}

static void test_hostile_lines(void **state)
{
	static const char text[] = SOA "a\0b CNAME .\n"
				       "\"\" CNAME .\n"
				       "\\ CNAME .\n"
				       "\\300 CNAME .\n"
				       "x TYPE1 \\# 4 c0000201\n"
				       "y TYPE0 \\# 0\n"
				       "z TYPE255 \\# 0\n"
				       "w A \\# 0\n"
				       "v CNAME \\# 0\n"
				       "u CNAME . .\n"
				       "t 300 300 CNAME .\n"
				       "s 99999999999999999999 CNAME .\n"
				       "r CH CNAME .\n"
				       "((((((((((\n"
				       ")\n"
				       "\"\n"
				       "ok CNAME .\n";
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;

	(void)state;
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_rpz(builder, "f", text, sizeof(text) - 1, NULL, NULL, &load), TD_OK);
	struct policy_index *index = policy_builder_finish(&builder);
	expect(index, "ok.", "a:nxdomain:ok.");
	expect(index, "x.", "a:local-data:x.");
	expect(index, "y.", "");
	expect(index, "z.", "");
	expect(index, "w.", "");
	expect(index, "v.", "");
	expect(index, "u.", "");
	expect(index, "t.", "");
	expect(index, "s.", "");
	expect(index, "r.", "");
	policy_index_free(index);
}

/* A record may be as long as the format allows, a line that is longer costs itself only. */
static void test_long_lines(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	struct strbuf text;

	(void)state;
	strbuf_init(&text);
	strbuf_append_text(&text, SOA "x TXT (");
	for (int i = 0; i < 200000; i++)
		strbuf_append_text(&text, "abcd ");
	strbuf_append_text(&text, ")\nx");
	for (int i = 0; i < 1000; i++)
		strbuf_append_text(&text, ".abcd");
	strbuf_append_text(&text, " CNAME .\nok CNAME .\n");
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	load = add_rpz(builder, text.data);
	assert_int_equal(load.skipped, 2);
	assert_int_equal(load.used, 1);
	strbuf_deinit(&text);
	policy_builder_free(builder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_transferred),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_local_data),
		cmocka_unit_test(test_default_ttl),
		cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_dnssec_records),
		cmocka_unit_test(test_line_numbers),
		cmocka_unit_test(test_no_guessing),
		cmocka_unit_test(test_outside_the_zone),
		cmocka_unit_test(test_dnssec_is_passed_over),
		cmocka_unit_test(test_not_a_zone),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
