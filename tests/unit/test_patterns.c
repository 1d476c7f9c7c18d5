/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of patterns: which names a pattern matches, and which of several, bounds and complaints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_rules.h"

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

/* A pattern for which there is no room leaves nothing behind, not even the name it would stand at. */
static void test_patterns_beyond_the_bound(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	struct strbuf text;

	(void)state;
	strbuf_init(&text);
	for (int i = 0; i < 5000; i++)
		strbuf_printf(&text, "a*.x%d\n", i);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_patterns(builder, "p", text.data, text.length, NULL, NULL, &load),
		TD_OK);
	strbuf_deinit(&text);
	struct policy_index *index = policy_builder_finish(&builder);
	assert_int_equal(load.used, 4096);
	assert_int_equal(policy_zone_rules(index, 0), 4096);
	assert_true(policy_name_is_known(index, folded("x4095").wire));
	assert_false(policy_name_is_known(index, folded("x4096").wire));
	policy_index_free(index);
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
	assert_int_equal(policy_rule_text(index, &match, rule), length + 2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_open_patterns),
		cmocka_unit_test(test_pattern_order),
		cmocka_unit_test(test_pattern_complaints),
		cmocka_unit_test(test_pattern_bounds),
		cmocka_unit_test(test_patterns_beyond_the_bound),
		cmocka_unit_test(test_longest_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
