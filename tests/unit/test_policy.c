/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules from text, matching, deciding. Every expectation is written as the text a person would see:
 * what matches a name is a line like "a:nxdomain:*.example. b:passthru:example.". The last tests
 * compare the index with a plain list of rules over names from a deterministic generator that likes
 * dots, NULs and stars inside labels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strbuf.h"
#include "lib/dns/message.h"
#include "lib/dns/text.h"
#include "policy/policy.h"

/* Two lines, so rules begin at line 3. */
#define SOA "$TTL 60\n@ SOA localhost. nobody.invalid. 1 2 3 4 5\n"

/* --- helpers --- */

struct complaints {
	struct strbuf text; /* "<source>:<line>: <words>\n" */
	unsigned count;
};

static void complain(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	struct complaints *complaints = context;

	assert_true(skipped);
	assert_non_null(words);
	assert_true(words[0]);
	complaints->count++;
	strbuf_printf(&complaints->text, "%s:%u: %s\n", source, line, words);
}

static struct policy_load add_rpz(struct policy_builder *builder, const char *text)
{
	struct policy_load load;

	assert_int_equal(
		policy_builder_rpz(builder, "t", text, strlen(text), NULL, NULL, &load), TD_OK);
	return load;
}

static void add_zone(struct policy_builder *builder, const char *name, enum policy_zone_kind kind,
	const char *text)
{
	assert_int_equal(policy_builder_zone(builder, name, kind), TD_OK);
	if (text)
		assert_int_equal(add_rpz(builder, text).skipped, 0);
}

static void add_patterns(struct policy_builder *builder, const char *text)
{
	struct policy_load load;

	assert_int_equal(
		policy_builder_patterns(builder, "t", text, strlen(text), NULL, NULL, &load),
		TD_OK);
	assert_int_equal(load.skipped, 0);
}

static struct policy_index *one_zone(const char *text)
{
	struct policy_builder *builder = policy_builder_new();

	add_zone(builder, "a", ZONE_LIST, text);
	return policy_builder_finish(&builder);
}

static struct policy_index *one_list(const char *text)
{
	struct policy_builder *builder = policy_builder_new();

	add_zone(builder, "a", ZONE_LIST, NULL);
	add_patterns(builder, text);
	return policy_builder_finish(&builder);
}

static struct name folded(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	name_fold(name.wire, name.wire, name.length);
	return name;
}

static void matches_to_text(const struct policy_index *index, const struct policy_match *matches,
	size_t count, struct strbuf *out)
{
	for (size_t i = 0; i < count; i++) {
		char rule[NAME_TEXT_MAX];
		size_t length = policy_rule_text(index, matches[i].rule, rule);
		assert_int_equal(length, strlen(rule));
		assert_false(matches[i].on_answer);
		strbuf_printf(out, "%s%s:%s:%s", i ? " " : "",
			policy_zone_name(index, matches[i].zone),
			policy_action_name((enum policy_action)matches[i].action), rule);
	}
	strbuf_append(out, "", 0);
}

static void expect(const struct policy_index *index, const char *name_text, const char *expected)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name = folded(name_text);
	struct strbuf got;

	strbuf_init(&got);
	matches_to_text(
		index, matches, policy_match_name(index, name.wire, name.length, matches), &got);
	strbuf_append_char(&got, '\0');
	if (strcmp(got.data, expected) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", name_text, got.data, expected);
	strbuf_deinit(&got);
}

/* The first match of a name that has one. */
static struct policy_match first_match(const struct policy_index *index, const char *name_text)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name = folded(name_text);

	assert_true(policy_match_name(index, name.wire, name.length, matches) > 0);
	return matches[0];
}

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

/* --- names --- */

static void test_mode_names(void **state)
{
	enum policy_mode mode = MODE_IGNORE;

	(void)state;
	assert_string_equal(policy_mode_name(MODE_IGNORE), "ignore");
	assert_string_equal(policy_mode_name(MODE_WATCH), "watch");
	assert_string_equal(policy_mode_name(MODE_BLOCK), "block");
	assert_string_equal(policy_mode_name((enum policy_mode)77), "unknown");
	assert_true(policy_mode_from_text(&mode, "block"));
	assert_int_equal(mode, MODE_BLOCK);
	assert_true(policy_mode_from_text(&mode, "ignore"));
	assert_int_equal(mode, MODE_IGNORE);
	mode = MODE_WATCH;
	assert_false(policy_mode_from_text(&mode, "Block"));
	assert_false(policy_mode_from_text(&mode, ""));
	assert_int_equal(mode, MODE_WATCH);
	assert_string_equal(policy_action_name(ACTION_NONE), "none");
	assert_string_equal(policy_action_name(ACTION_LOCAL_DATA), "local-data");
	assert_string_equal(policy_action_name((enum policy_action)77), "unknown");
}

static void test_zones(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	char name[POLICY_ZONE_NAME_MAX + 1];
	size_t zone;

	(void)state;
	assert_int_equal(
		policy_builder_rpz(builder, "t", SOA, strlen(SOA), NULL, NULL, NULL), TD_INVALID);
	assert_int_equal(policy_builder_zone(builder, "", ZONE_LIST), TD_INVALID);
	assert_int_equal(policy_builder_zone(builder, "Upper", ZONE_LIST), TD_INVALID);
	assert_int_equal(policy_builder_zone(builder, "a.b", ZONE_LIST), TD_INVALID);
	memset(name, 'x', sizeof(name));
	name[POLICY_ZONE_NAME_MAX] = '\0';
	assert_int_equal(policy_builder_zone(builder, name, ZONE_LIST), TD_INVALID);
	name[POLICY_ZONE_NAME_MAX - 1] = '\0';
	assert_int_equal(policy_builder_zone(builder, name, ZONE_TUNNEL), TD_OK);
	assert_int_equal(policy_builder_zone(builder, name, ZONE_TUNNEL), TD_INVALID);
	for (unsigned i = 1; i < POLICY_ZONES_MAX; i++) {
		char other[8];
		snprintf(other, sizeof(other), "z-%u", i);
		assert_int_equal(policy_builder_zone(builder, other, ZONE_LOCAL), TD_OK);
	}
	assert_int_equal(policy_builder_zone(builder, "more", ZONE_LIST), TD_FULL);

	struct policy_index *index = policy_builder_finish(&builder);
	assert_null(builder);
	assert_int_equal(policy_zone_count(index), POLICY_ZONES_MAX);
	assert_string_equal(policy_zone_name(index, 0), name);
	assert_int_equal(policy_zone_kind(index, 0), ZONE_TUNNEL);
	assert_int_equal(policy_zone_kind(index, 63), ZONE_LOCAL);
	assert_true(policy_zone_find(index, "z-63", &zone));
	assert_int_equal(zone, 63);
	assert_false(policy_zone_find(index, "more", &zone));
	policy_index_free(index);
	policy_builder_free(NULL);
	policy_index_free(NULL);
}

static void test_empty(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_index *index = policy_builder_finish(&builder);

	(void)state;
	assert_int_equal(policy_zone_count(index), 0);
	expect(index, "www.example.com.", "");
	expect(index, ".", "");
	policy_index_free(index);
	builder = policy_builder_new();
	policy_builder_free(builder);
}

/* --- matching --- */

static void test_precedence(void **state)
{
	struct policy_index *index = one_zone(SOA "example.com CNAME .\n"
						  "*.example.com CNAME *.\n"
						  "www.example.com CNAME rpz-passthru.\n"
						  "*.deep.example.com CNAME rpz-drop.\n"
						  "*.only CNAME rpz-tcp-only.\n"
						  "*.a.b.c.d CNAME .\n");

	(void)state;
	expect(index, "example.com.", "a:nxdomain:example.com.");
	expect(index, "EXAMPLE.Com", "a:nxdomain:example.com.");
	expect(index, "x.example.com.", "a:nodata:*.example.com.");
	expect(index, "x.y.example.com.", "a:nodata:*.example.com.");
	expect(index, "www.example.com.", "a:passthru:www.example.com.");
	expect(index, "x.www.example.com.", "a:nodata:*.example.com.");
	expect(index, "deep.example.com.", "a:nodata:*.example.com.");
	expect(index, "x.deep.example.com.", "a:drop:*.deep.example.com.");
	expect(index, "only.", "");
	expect(index, "x.only.", "a:tcp-only:*.only.");
	expect(index, "com.", "");
	expect(index, "xexample.com.", "");
	expect(index, "example.com.org.", "");
	expect(index, "a.b.c.d.", "");
	expect(index, "b.c.d.", "");
	expect(index, "x.a.b.c.d.", "a:nxdomain:*.a.b.c.d.");
	expect(index, ".", "");
	policy_index_free(index);
}

static void test_star_is_special_in_front_only(void **state)
{
	struct policy_index *index = one_zone(SOA "* CNAME *.\nx.*.y CNAME .\n*.*.z CNAME .\n");

	(void)state;
	expect(index, ".", "");
	expect(index, "any.", "a:nodata:*.");
	expect(index, "x.q.y.", "a:nodata:*.");
	expect(index, "x.*.y.", "a:nxdomain:x.*.y.");
	expect(index, "q.*.z.", "a:nxdomain:*.*.z.");
	expect(index, "q.r.z.", "a:nodata:*.");
	/* A question for the star itself is below the name, as any other label is. */
	expect(index, "*.", "a:nodata:*.");
	policy_index_free(index);
}

static void test_zone_order(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "a", ZONE_LIST, SOA "*.x CNAME .\n");
	add_zone(builder, "b", ZONE_LIST, SOA "n.x CNAME *.\n*.n.x CNAME .\n");
	add_zone(builder, "c", ZONE_LIST, NULL);
	add_patterns(builder, "n*.x\n");
	add_zone(builder, "d", ZONE_LIST, SOA "n.x CNAME rpz-passthru.\n");
	add_patterns(builder, "n.*\n*.x\n");
	add_zone(builder, "e", ZONE_LIST, SOA "n.x A 192.0.2.1\n");
	struct policy_index *index = policy_builder_finish(&builder);

	expect(index, "n.x.",
		"a:nxdomain:*.x. b:nodata:n.x. c:nxdomain:n*.x. d:passthru:n.x. e:local-data:n.x.");
	expect(index, "nn.x.", "a:nxdomain:*.x. c:nxdomain:n*.x. d:nxdomain:*.x.");
	expect(index, "q.n.x.", "a:nxdomain:*.x. b:nxdomain:*.n.x. d:nxdomain:*.x.");
	expect(index, "n.y.", "d:nxdomain:n.*");
	policy_index_free(index);
}

static void test_first_eight_zones(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	char name[2] = "a";

	(void)state;
	for (; name[0] < 'a' + POLICY_MATCHES_MAX + 3; name[0]++)
		add_zone(builder, name, ZONE_LIST, name[0] == 'b' ? SOA : SOA "x CNAME .\n");
	struct policy_index *index = policy_builder_finish(&builder);

	expect(index, "x.",
		"a:nxdomain:x. c:nxdomain:x. d:nxdomain:x. e:nxdomain:x. f:nxdomain:x. "
		"g:nxdomain:x. h:nxdomain:x. "
		"i:nxdomain:x.");
	policy_index_free(index);
}

static void test_all_sixty_four_zones(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	for (unsigned i = 0; i < POLICY_ZONES_MAX; i++) {
		char name[8];
		snprintf(name, sizeof(name), "z%u", i);
		add_zone(builder, name, ZONE_LIST, i == 63 ? SOA "x CNAME .\n" : SOA);
		if (i == 63)
			add_patterns(builder, "y*\n");
	}
	struct policy_index *index = policy_builder_finish(&builder);

	expect(index, "x.", "z63:nxdomain:x.");
	expect(index, "yy.", "z63:nxdomain:y*.");
	policy_index_free(index);
}

static void test_binary_names(void **state)
{
	struct policy_index *index = one_zone(SOA "a\\.b.c CNAME .\n"
						  "\\000\\255.c CNAME .\n"
						  "q\\\"\\;\\(\\).c CNAME .\n"
						  "\\065\\090.c CNAME .\n"
						  "sp\\ ace.c CNAME .\n"
						  "end\\.  CNAME .\n");

	(void)state;
	expect(index, "a\\.b.c.", "a:nxdomain:a\\.b.c.");
	expect(index, "a.b.c.", "");
	expect(index, "\\000\\255.c.", "a:nxdomain:\\000\\255.c.");
	expect(index, "\\000.c.", "");
	expect(index, "q\\\"\\;\\(\\).c.", "a:nxdomain:q\\\"\\;\\(\\).c.");
	expect(index, "az.c.", "a:nxdomain:az.c.");
	expect(index, "sp\\032ace.c.", "a:nxdomain:sp\\032ace.c.");
	expect(index, "end\\..", "a:nxdomain:end\\..");
	policy_index_free(index);
}

static void test_longest_name(void **state)
{
	char text[700], name[300];
	size_t length = 0;

	(void)state;
	for (int i = 0; i < 126; i++)
		length +=
			(size_t)snprintf(name + length, sizeof(name) - length, "%c.", 'a' + i % 26);
	snprintf(text, sizeof(text), SOA "%s CNAME .\n*.%s CNAME *.\n", name, name);
	struct policy_index *index = one_zone(text);
	char longer[310], expected[400];
	snprintf(expected, sizeof(expected), "a:nxdomain:%s", name);
	expect(index, name, expected);
	snprintf(longer, sizeof(longer), "q.%s", name);
	snprintf(expected, sizeof(expected), "a:nodata:*.%s", name);
	expect(index, longer, expected);
	policy_index_free(index);
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
	while (policy_rule_record(index, match.rule, type, &position, &record)) {
		char type_text[TYPE_TEXT_MAX];
		strbuf_printf(&got, "%s %u", type_to_text(record.type, type_text), record.ttl_s);
		for (size_t i = 0; i < record.rdata_length; i++)
			strbuf_printf(&got, "%s%02x", i ? "" : " ", record.rdata[i]);
		strbuf_append_char(&got, '\n');
	}
	assert_false(policy_rule_record(index, match.rule, type, &position, &record));
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

static void test_complaints(void **state)
{
	const char *text = SOA "good CNAME .\n"
			       "32.1.2.0.192.rpz-ip CNAME .\n"                /* 4 */
			       "32.1.2.0.192.rpz-client-ip CNAME rpz-drop.\n" /* 5 */
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
			       "x CNAME *.garden.example.\n"                  /* 17 */
			       "x NS localhost.\n"                            /* 18 */
			       "local A 192.0.2.1\n"
			       "local A 192.0.2.1\n"  /* 20 */
			       "local CNAME other.\n" /* 21 */
			       "local CNAME .\n"      /* 22 */
			       "@ CNAME .\n"          /* 23 */
			       "fine CNAME .\n";
	struct policy_index *index = load_with_complaints(text, strlen(text), 3,
		"f:4: rules by address of the answer (rpz-ip) are not supported\n"
		"f:5: rules by address of the client (rpz-client-ip) are not supported\n"
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
		"f:17: a CNAME to a wildcard is not supported\n"
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

/* --- patterns --- */

static void test_patterns(void **state)
{
	struct policy_index *index = one_list("# comment\n\n"
					      "win*.ipv6.microsoft.com # Windows\n"
					      "isatap.*\n"
					      "*.open\r\n"
					      "  a*b*c.x.  \n"
					      "one.*.two\n"
					      "*.mid.*\n"
					      "PLAIN.name\n"
					      "\\*.star\n"
					      "hash\\#tag.x\n");

	(void)state;
	expect(index, "win10.ipv6.microsoft.com.", "a:nxdomain:win*.ipv6.microsoft.com.");
	expect(index, "win.ipv6.microsoft.com.", "a:nxdomain:win*.ipv6.microsoft.com.");
	expect(index, "WIN1910.IPV6.microsoft.com.", "a:nxdomain:win*.ipv6.microsoft.com.");
	expect(index, "win10.x.ipv6.microsoft.com.", "");
	expect(index, "x.win10.ipv6.microsoft.com.", "");
	expect(index, "ipv6.microsoft.com.", "");
	expect(index, "isatap.", "");
	expect(index, "isatap.example.", "a:nxdomain:isatap.*");
	expect(index, "isatap.a.b.c.example.", "a:nxdomain:isatap.*");
	expect(index, "xisatap.example.", "");
	expect(index, "x.isatap.example.", "");
	expect(index, "open.", "");
	expect(index, "x.open.", "a:nxdomain:*.open.");
	expect(index, "x.y.open.", "a:nxdomain:*.open.");
	expect(index, "abc.x.", "a:nxdomain:a*b*c.x.");
	expect(index, "aXbXbXc.x.", "a:nxdomain:a*b*c.x.");
	expect(index, "abcd.x.", "");
	expect(index, "ac.x.", "");
	expect(index, "one.q.two.", "a:nxdomain:one.*.two.");
	expect(index, "one.q.q.two.", "");
	expect(index, "one.two.", "");
	expect(index, "x.mid.y.", "a:nxdomain:*.mid.*");
	expect(index, "x.x.mid.y.y.", "a:nxdomain:*.mid.*");
	expect(index, "mid.y.", "");
	expect(index, "x.mid.", "");
	expect(index, "mid.mid.mid.", "a:nxdomain:*.mid.*");
	expect(index, "plain.name.", "a:nxdomain:plain.name.");
	expect(index, "*.star.", "a:nxdomain:\\*.star.");
	expect(index, "x.star.", "");
	expect(index, "hash#tag.x.", "a:nxdomain:hash\\#tag.x.");
	assert_int_equal(policy_zone_rules(index, 0), 9);
	policy_index_free(index);
}

static void test_open_patterns(void **state)
{
	struct policy_index *index = one_list("*\n");

	(void)state;
	expect(index, ".", "");
	expect(index, "x.", "a:nxdomain:*");
	expect(index, "x.y.", "a:nxdomain:*");
	policy_index_free(index);
	index = one_list("*.*\n");
	expect(index, "x.", "");
	expect(index, "x.y.", "a:nxdomain:*.*");
	expect(index, "x.y.z.", "a:nxdomain:*.*");
	policy_index_free(index);
}

/* Of two patterns the one listed first, of a name and a pattern the name, also a shorter wildcard.
 */
static void test_pattern_order(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "a", ZONE_LIST, SOA "*.x CNAME rpz-passthru.\n");
	add_patterns(builder, "n.*\nn*.y\nn*.x\n");
	struct policy_index *index = policy_builder_finish(&builder);
	expect(index, "n.y.", "a:nxdomain:n.*");
	expect(index, "nn.y.", "a:nxdomain:n*.y.");
	expect(index, "nn.x.", "a:passthru:*.x.");
	policy_index_free(index);
}

static void test_pattern_complaints(void **state)
{
	static const char text[] =
		"a..b\n"      /* 1 */
		".\n"         /* 2 */
		"two words\n" /* 3 */
		"ok*.x\n"
		"OK*.x.\n"                                                              /* 5 */
		"\\\n"                                                                  /* 6 */
		"\\256\n"                                                               /* 7 */
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa*.x\n" /* 8 */
		"ok.**.x\n";
	struct policy_builder *builder = policy_builder_new();
	struct complaints complaints = {.count = 0};
	struct policy_load load;

	(void)state;
	strbuf_init(&complaints.text);
	assert_int_equal(
		policy_builder_patterns(builder, "p", text, sizeof(text) - 1, NULL, NULL, NULL),
		TD_INVALID);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(policy_builder_patterns(builder, "p", text, sizeof(text) - 1, complain,
				 &complaints, &load),
		TD_OK);
	strbuf_append_char(&complaints.text, '\0');
	assert_string_equal(complaints.text.data,
		"p:1: an empty label\n"
		"p:2: an empty label\n"
		"p:3: one pattern a line\n"
		"p:5: repeated: this pattern stands above already\n"
		"p:6: a backslash is followed by one character or by three digits up to 255\n"
		"p:7: a backslash is followed by one character or by three digits up to 255\n"
		"p:8: a label is longer than 63 octets\n");
	assert_int_equal(load.lines, 9);
	assert_int_equal(load.used, 2);
	assert_int_equal(load.skipped, 7);
	strbuf_deinit(&complaints.text);
	policy_builder_free(builder);
}

static void test_pattern_bounds(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	struct strbuf text;

	(void)state;
	strbuf_init(&text);
	for (int i = 0; i < 5000; i++)
		strbuf_printf(&text, "a%d*.x\n", i);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_patterns(builder, "p", text.data, text.length, NULL, NULL, &load),
		TD_OK);
	assert_int_equal(load.used, 4096);
	assert_int_equal(load.skipped, 5000 - 4096);

	/* As long as a name can be, and one octet more. */
	strbuf_clear(&text);
	for (int i = 0; i < 126; i++)
		strbuf_append_text(&text, "a.");
	strbuf_append_text(&text, "b\n");
	assert_int_equal(policy_builder_zone(builder, "b", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_patterns(builder, "p", text.data, text.length, NULL, NULL, &load),
		TD_OK);
	assert_int_equal(load.used + load.skipped, 1); /* the bound above may have been reached */
	strbuf_deinit(&text);
	policy_builder_free(builder);
}

static void test_longest_pattern(void **state)
{
	char text[300], name[300];
	size_t length = 0;

	(void)state;
	for (int i = 0; i < 126; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "*.");
	snprintf(text + length, sizeof(text) - length, "b");
	for (size_t i = 0; i <= length + 1; i++)
		name[i] = text[i] == '*' ? 'q' : text[i];
	struct policy_index *index = one_list(text);
	struct policy_match match = first_match(index, name);
	char rule[NAME_TEXT_MAX];
	assert_int_equal(policy_rule_text(index, match.rule, rule), length + 2);
	policy_index_free(index);
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	snprintf(text + length, sizeof(text) - length, "bb");
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_patterns(builder, "p", text, strlen(text), NULL, NULL, &load),
		TD_OK);
	assert_int_equal(load.skipped, 1);
	policy_builder_free(builder);
}

/* --- the owner of a denial --- */

static void expect_apex(const struct policy_index *index, const char *matched, const char *question,
	const char *expected)
{
	struct policy_match match = first_match(index, matched);
	struct name name = folded(question), apex;
	char text[NAME_TEXT_MAX];

	policy_rule_apex(index, match.rule, name.wire, name.length, &apex);
	name_to_text(apex.wire, text);
	assert_string_equal(text, expected);
	assert_true(name_is_within(&name, &apex));
}

static void test_apex(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "a", ZONE_LIST,
		SOA "x.y CNAME .\n*.w CNAME .\n* CNAME .\nlocal A 192.0.2.1\n");
	struct policy_index *index = policy_builder_finish(&builder);
	expect_apex(index, "x.y.", "x.y.", "x.y.");
	expect_apex(index, "a.b.w.", "a.b.w.", "w.");
	expect_apex(index, "q.", "q.", "q.");
	expect_apex(index, "local.", "local.", "local.");
	/* A name of the answer matched. */
	expect_apex(index, "x.y.", "www.example.", "www.example.");
	expect_apex(index, "x.y.", "q.x.y.", "x.y.");
	policy_index_free(index);

	index = one_list("win*.ipv6.microsoft.com\nisatap.*\nplain.x\n*.mid.*\n");
	expect_apex(index, "win1.ipv6.microsoft.com.", "win1.ipv6.microsoft.com.",
		"ipv6.microsoft.com.");
	expect_apex(index, "isatap.x.", "isatap.x.", "isatap.x.");
	expect_apex(index, "plain.x.", "plain.x.", "plain.x.");
	expect_apex(index, "a.mid.b.", "a.mid.b.", "a.mid.b.");
	policy_index_free(index);
}

/* --- deciding --- */

struct decision {
	uint8_t mode[4]; /* of zones t1 t2 (tunnel), list, local */
	const char *name;
	enum policy_action action;
	int hit, enforced; /* zones, -1: none */
};

static void test_decide(void **state)
{
	static const struct decision decisions[] = {
		/* nothing matches */
		{{MODE_BLOCK, MODE_BLOCK, MODE_BLOCK, 0}, "none.", ACTION_NONE, -1, -1},
		/* all.: t1 nxdomain, t2 nodata, list drop, local data */
		{{MODE_IGNORE, MODE_IGNORE, MODE_IGNORE, 0}, "all.", ACTION_LOCAL_DATA, -1, 3},
		{{MODE_WATCH, MODE_IGNORE, MODE_IGNORE, 0}, "all.", ACTION_LOCAL_DATA, 0, 3},
		{{MODE_WATCH, MODE_WATCH, MODE_BLOCK, 0}, "all.", ACTION_DROP, 2, 2},
		{{MODE_BLOCK, MODE_BLOCK, MODE_BLOCK, 0}, "all.", ACTION_NXDOMAIN, 0, 0},
		{{MODE_IGNORE, MODE_BLOCK, MODE_BLOCK, 0}, "all.", ACTION_NODATA, 1, 1},
		/* three.: the same without local data */
		{{MODE_IGNORE, MODE_WATCH, MODE_WATCH, 0}, "three.", ACTION_NONE, 1, -1},
		{{MODE_WATCH, MODE_WATCH, MODE_IGNORE, 0}, "three.", ACTION_NONE, 0, -1},
		{{MODE_IGNORE, MODE_IGNORE, MODE_IGNORE, 0}, "three.", ACTION_NONE, -1, -1},
		/* pass.: t1 nxdomain, t2 passthru, list nxdomain */
		{{MODE_BLOCK, MODE_BLOCK, MODE_BLOCK, 0}, "pass.", ACTION_NXDOMAIN, 0, 0},
		{{MODE_WATCH, MODE_BLOCK, MODE_BLOCK, 0}, "pass.", ACTION_NONE, 0, -1},
		{{MODE_IGNORE, MODE_BLOCK, MODE_BLOCK, 0}, "pass.", ACTION_NONE, -1, -1},
		{{MODE_IGNORE, MODE_WATCH, MODE_BLOCK, 0}, "pass.", ACTION_NXDOMAIN, 2, 2},
		{{MODE_IGNORE, MODE_WATCH, MODE_IGNORE, 0}, "pass.", ACTION_NONE, -1, -1},
		/* localpass.: t1 nxdomain, local passthru, ends nothing but itself */
		{{MODE_IGNORE, 0, 0, 0}, "localpass.", ACTION_NONE, -1, -1},
		{{MODE_WATCH, 0, 0, 0}, "localpass.", ACTION_NONE, 0, -1},
		/* a mode nobody defined does nothing */
		{{77, 77, 77, 77}, "three.", ACTION_NONE, -1, -1},
	};
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "t1", ZONE_TUNNEL,
		SOA "all CNAME .\nthree CNAME .\npass CNAME .\nlocalpass CNAME .\n");
	add_zone(builder, "t2", ZONE_TUNNEL,
		SOA "all CNAME *.\nthree CNAME *.\npass CNAME rpz-passthru.\n");
	add_zone(builder, "list", ZONE_LIST,
		SOA "all CNAME rpz-drop.\nthree CNAME rpz-drop.\npass CNAME .\n");
	add_zone(builder, "local", ZONE_LOCAL,
		SOA "all A 192.0.2.1\nlocalpass CNAME rpz-passthru.\n");
	struct policy_index *index = policy_builder_finish(&builder);

	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		struct policy_view view = {.index = index};
		struct policy_match matches[POLICY_MATCHES_MAX];
		struct name name = folded(decisions[i].name);
		memcpy(view.mode, decisions[i].mode, sizeof(decisions[i].mode));
		size_t count = policy_match_name(index, name.wire, name.length, matches);
		struct policy_verdict verdict = policy_decide(&view, matches, count);
		int hit = verdict.hit ? verdict.hit->zone : -1;
		int enforced = verdict.enforced ? verdict.enforced->zone : -1;
		if (verdict.action != decisions[i].action || hit != decisions[i].hit ||
			enforced != decisions[i].enforced)
			fail_msg("decision %zu: %s, hit %d, enforced %d", i,
				policy_action_name(verdict.action), hit, enforced);
	}
	policy_index_free(index);
}

/* --- against a plain list --- */

#define PLAIN_ZONES 6
#define PLAIN_RULES 400

struct plain_rule {
	struct name name; /* folded; with its star when wildcard */
	unsigned zone;
	enum policy_action action;
};

struct plain_pattern {
	char text[64];
	unsigned zone;
};

struct plain {
	uint64_t random;
	struct plain_rule rules[PLAIN_RULES];
	size_t rule_count;
	struct plain_pattern patterns[60];
	size_t pattern_count;
};

static unsigned plain_random(struct plain *plain, unsigned bound)
{
	plain->random ^= plain->random << 13;
	plain->random ^= plain->random >> 7;
	plain->random ^= plain->random << 17;
	return (unsigned)((plain->random >> 20) % bound);
}

/* Few octets, so that names meet; among them those that text has to escape. */
static struct name plain_name(struct plain *plain, unsigned labels_max)
{
	static const uint8_t octets[] = {'a', 'b', 'a', 'b', '.', 0, '*', 255, '\\'};
	struct name name = {.length = 0};
	unsigned labels = 1 + plain_random(plain, labels_max);

	for (unsigned i = 0; i < labels; i++) {
		unsigned length = 1 + plain_random(plain, 2);
		name.wire[name.length++] = (uint8_t)length;
		for (unsigned j = 0; j < length; j++)
			name.wire[name.length++] = octets[plain_random(plain, sizeof(octets))];
	}
	name.wire[name.length++] = 0;
	return name;
}

static bool is_wildcard(const struct name *name)
{
	return name->wire[0] == 1 && name->wire[1] == '*';
}

/* How well a rule fits: 0 not at all, exact best, else the longer wildcard. */
static unsigned plain_fit(const struct plain_rule *rule, const struct name *name)
{
	if (!is_wildcard(&rule->name))
		return rule->name.length == name->length &&
				       !memcmp(rule->name.wire, name->wire, name->length)
			       ? 1000
			       : 0;
	size_t length = (size_t)rule->name.length - 2, at = 0;
	while (name->length - at > length)
		at += (size_t)1 + name->wire[at];
	return at > 0 && name->length - at == length &&
			       !memcmp(name->wire + at, rule->name.wire + 2, length)
		       ? (unsigned)length
		       : 0;
}

/* Patterns of this test are in plain letters; matched as text, by the definition. */
static bool plain_glob(const char *pattern, const char *end, const char *label)
{
	if (pattern == end)
		return !*label;
	if (*pattern == '*')
		return plain_glob(pattern + 1, end, label) ||
		       (*label && plain_glob(pattern, end, label + 1));
	return *label == *pattern && plain_glob(pattern + 1, end, label + 1);
}

static bool plain_pattern_fits(
	const char *pattern, char labels[][8], unsigned first, unsigned count, bool at_start)
{
	const char *end = strchr(pattern, '.');
	bool last = !end;

	if (last)
		end = pattern + strlen(pattern);
	bool any = end == pattern + 1 && *pattern == '*' && (at_start || last);
	for (unsigned taken = 1; first + taken <= count && (taken == 1 || any); taken++) {
		if (!any && !plain_glob(pattern, end, labels[first]))
			return false;
		if (last ? first + taken == count
			 : plain_pattern_fits(end + 1, labels, first + taken, count, false))
			return true;
	}
	return false;
}

/* The labels as strings. No pattern of this test has a NUL, so any other octet may stand for it. */
static unsigned plain_labels(const struct name *name, char labels[][8])
{
	unsigned count = 0;

	for (size_t at = 0; name->wire[at]; at += (size_t)1 + name->wire[at]) {
		for (unsigned i = 0; i < name->wire[at]; i++)
			labels[count][i] =
				name->wire[at + 1 + i] ? (char)name->wire[at + 1 + i] : 'Z';
		labels[count++][name->wire[at]] = '\0';
	}
	return count;
}

static void plain_expected(const struct plain *plain, const struct name *name, struct strbuf *out)
{
	char labels[16][8], rule[NAME_TEXT_MAX];
	unsigned count = plain_labels(name, labels), found = 0;

	for (unsigned zone = 0; zone < PLAIN_ZONES && found < POLICY_MATCHES_MAX; zone++) {
		const struct plain_rule *best = NULL;
		const char *pattern = NULL;
		for (size_t i = 0; i < plain->rule_count; i++)
			if (plain->rules[i].zone == zone && plain_fit(&plain->rules[i], name) > 0 &&
				(!best ||
					plain_fit(&plain->rules[i], name) > plain_fit(best, name)))
				best = &plain->rules[i];
		for (size_t i = 0; !best && !pattern && i < plain->pattern_count; i++)
			if (plain->patterns[i].zone == zone &&
				plain_pattern_fits(plain->patterns[i].text, labels, 0, count, true))
				pattern = plain->patterns[i].text;
		if (!best && !pattern)
			continue;
		if (best)
			name_to_text(best->name.wire, rule);
		else
			snprintf(rule, sizeof(rule), "%s%s", pattern,
				!strcmp(pattern, "*") ||
						!strcmp(pattern + strlen(pattern) - 2, ".*")
					? ""
					: ".");
		strbuf_printf(out, "%sz%u:%s:%s", found++ ? " " : "", zone,
			policy_action_name(best ? best->action : ACTION_NXDOMAIN), rule);
	}
	strbuf_append_char(out, '\0');
}

static void plain_add_rules(struct plain *plain, unsigned zone, struct strbuf *text)
{
	static const char *const targets[] = {
		".", "*.", "rpz-passthru.", "rpz-drop.", "rpz-tcp-only."};
	unsigned count = plain_random(plain, PLAIN_RULES / PLAIN_ZONES);

	strbuf_append_text(text, SOA);
	while (count-- > 0) {
		struct plain_rule rule = {.name = plain_name(plain, 4), .zone = zone};
		unsigned action = plain_random(plain, 6);
		char name[NAME_TEXT_MAX];
		bool known = false;
		rule.action = (enum policy_action)(ACTION_NXDOMAIN + action);
		name_to_text(rule.name.wire, name);
		strbuf_printf(text, "%s %s %s\n", name, action == 5 ? "A" : "CNAME",
			action == 5 ? "192.0.2.1" : targets[action]);
		for (size_t i = 0; i < plain->rule_count; i++)
			known |= plain->rules[i].zone == zone &&
				 plain->rules[i].name.length == rule.name.length &&
				 !memcmp(plain->rules[i].name.wire, rule.name.wire,
					 rule.name.length);
		if (!known)
			plain->rules[plain->rule_count++] = rule;
	}
}

static void plain_add_patterns(struct plain *plain, unsigned zone, struct strbuf *text)
{
	static const char *const labels[] = {"*", "a", "b", "a*", "*b", "a*b", "*a*", "ab", "aa"};
	unsigned count = plain_random(plain, 8);

	while (count-- > 0) {
		struct plain_pattern *pattern = &plain->patterns[plain->pattern_count];
		unsigned parts = 1 + plain_random(plain, 4);
		bool known = false;
		pattern->text[0] = '\0';
		pattern->zone = zone;
		for (unsigned i = 0; i < parts; i++)
			snprintf(pattern->text + strlen(pattern->text),
				sizeof(pattern->text) - strlen(pattern->text), "%s%s", i ? "." : "",
				labels[plain_random(plain, 9)]);
		strbuf_printf(text, "%s\n", pattern->text);
		for (size_t i = 0; i < plain->pattern_count; i++)
			known |= plain->patterns[i].zone == zone &&
				 !strcmp(plain->patterns[i].text, pattern->text);
		plain->pattern_count += !known;
	}
}

static struct policy_index *plain_build(struct plain *plain)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	struct strbuf text;

	strbuf_init(&text);
	for (unsigned zone = 0; zone < PLAIN_ZONES; zone++) {
		char name[8];
		snprintf(name, sizeof(name), "z%u", zone);
		assert_int_equal(policy_builder_zone(builder, name, ZONE_LIST), TD_OK);
		strbuf_clear(&text);
		size_t before = plain->rule_count;
		plain_add_rules(plain, zone, &text);
		assert_int_equal(
			policy_builder_rpz(builder, "t", text.data, text.length, NULL, NULL, &load),
			TD_OK);
		assert_int_equal(load.used, plain->rule_count - before);
		strbuf_clear(&text);
		strbuf_append(&text, "", 0);
		plain_add_patterns(plain, zone, &text);
		assert_int_equal(policy_builder_patterns(
					 builder, "t", text.data, text.length, NULL, NULL, &load),
			TD_OK);
	}
	strbuf_deinit(&text);
	return policy_builder_finish(&builder);
}

static void plain_compare(
	const struct plain *plain, const struct policy_index *index, const struct name *name)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct strbuf got, expected;
	char text[NAME_TEXT_MAX];

	strbuf_init(&got);
	strbuf_init(&expected);
	matches_to_text(
		index, matches, policy_match_name(index, name->wire, name->length, matches), &got);
	strbuf_append_char(&got, '\0');
	plain_expected(plain, name, &expected);
	name_to_text(name->wire, text);
	if (strcmp(got.data, expected.data) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", text, got.data, expected.data);
	strbuf_deinit(&got);
	strbuf_deinit(&expected);
}

static void test_index_against_list(void **state)
{
	static struct plain plain;
	unsigned matched = 0;

	(void)state;
	for (uint64_t round = 1; round <= 60; round++) {
		memset(&plain, 0, sizeof(plain));
		plain.random = round * UINT64_C(0x9e3779b97f4a7c15);
		struct policy_index *index = plain_build(&plain);
		for (unsigned i = 0; i < 300; i++) {
			struct name name = plain_name(&plain, 6);
			struct policy_match matches[POLICY_MATCHES_MAX];
			plain_compare(&plain, index, &name);
			matched += policy_match_name(index, name.wire, name.length, matches) > 0;
		}
		for (size_t i = 0; i < plain.rule_count; i++)
			plain_compare(&plain, index, &plain.rules[i].name);
		policy_index_free(index);
	}
	assert_true(matched > 5000); /* the generator makes names that meet */
}

/* Enough names for the table to grow many times; each is found, and its neighbours are not. */
static void test_many_names(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct strbuf text;
	char name[64], expected[80];

	(void)state;
	strbuf_init(&text);
	strbuf_append_text(&text, SOA);
	for (unsigned i = 0; i < 30000; i += 2)
		strbuf_printf(&text, "h%u.d%u.example CNAME .\n*.w%u CNAME .\n", i, i % 97, i);
	add_zone(builder, "a", ZONE_LIST, text.data);
	strbuf_deinit(&text);
	struct policy_index *index = policy_builder_finish(&builder);
	assert_int_equal(policy_zone_rules(index, 0), 30000);
	for (unsigned i = 0; i < 30000; i++) {
		snprintf(name, sizeof(name), "h%u.d%u.example.", i, i % 97);
		snprintf(expected, sizeof(expected), "a:nxdomain:%s", name);
		expect(index, name, i % 2 ? "" : expected);
		snprintf(name, sizeof(name), "x.y.w%u.", i);
		snprintf(expected, sizeof(expected), "a:nxdomain:*.w%u.", i);
		expect(index, name, i % 2 ? "" : expected);
	}
	policy_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode_names),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_star_is_special_in_front_only),
		cmocka_unit_test(test_zone_order),
		cmocka_unit_test(test_first_eight_zones),
		cmocka_unit_test(test_all_sixty_four_zones),
		cmocka_unit_test(test_binary_names),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_transferred),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_local_data),
		cmocka_unit_test(test_default_ttl),
		cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_line_numbers),
		cmocka_unit_test(test_no_guessing),
		cmocka_unit_test(test_outside_the_zone),
		cmocka_unit_test(test_dnssec_is_passed_over),
		cmocka_unit_test(test_not_a_zone),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_open_patterns),
		cmocka_unit_test(test_pattern_order),
		cmocka_unit_test(test_pattern_complaints),
		cmocka_unit_test(test_pattern_bounds),
		cmocka_unit_test(test_longest_pattern),
		cmocka_unit_test(test_apex),
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_index_against_list),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
