/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The short form of a zone's lines is read in a way of its own; a comment behind each of them makes
 * them go the long way. Both have to give the same rules, from the same lines, and the same
 * complaints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_rules.h"

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define LINES 4000
#define NAME_MAX_TEXT 600 /* with `*.` before `*.` */
#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static const char *const owners[] = {"x", "*.x", "y.x", "*.y.x", "X", "*.Y.x", "under_score", "a-b",
	"0", "1.2", "x.", "*.x.", "x..y", ".x", "*", "*.", "*x", "**.x", "x.*", "*.*.x", "@", "a/b",
	"a\\.b", "\\065", "a\"b", "a(b", "xn--bcher-kva", "b\303\274cher", LABEL_63, LABEL_63 "h",
	LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee",
	LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef",
	LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefg",
	"*." LABEL_63 "." LABEL_63 "." LABEL_63
	".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee",
	"32.1.2.0.192.rpz-ip", "32.1.2.0.192.rpz-client-ip", "ns.x.rpz-nsdname", "rpz-ip.x",
	"x.rpz-unknown", "x.rpz", "x.rpz.example.", "rpz.example.", "other.example.", "", " ",
	"$TTL"};

static const char *const rests[] = {" CNAME .", "\tCNAME\t.", "  cname  . ", " CNAME *.",
	" CNAME rpz-passthru.", " 60 IN CNAME rpz-drop.", " IN 60 CNAME RPZ-TCP-ONLY.",
	" 60 60 CNAME .", " CNAME . .", " CNAME", "", " ", " 60", " A 192.0.2.1", " TXT \"a;b\"",
	" CNAME rpz-other.", " CNAME elsewhere.example.", " CNAME .\r", " (CNAME .)", " CNAME \\.",
	" CH CNAME .", " 4294967296 CNAME .", " CNAME x."};

static const char *const heads[] = {SOA, "$ORIGIN rpz.example.\n" SOA,
	"$ORIGIN rpz.example.\n" SOA "$ORIGIN sub\n", "$TTL 60\n"};

/* Names of their own, the same one again below `*.`, and some that come up time and again. */
static void make_name(unsigned number, unsigned dice, char *name, size_t size)
{
	const char *owner = owners[dice / 8 % COUNT(owners)];

	if (dice % 4 == 0 && name[0] != '*') {
		memmove(name + 2, name, strlen(name) + 1);
		memcpy(name, "*.", 2);
		return;
	}
	if (dice % 8 == 1 || !owner[0] || owner[0] == ' ' || owner[0] == '$')
		snprintf(name, size, "%s", owner);
	else if (owner[0] == '*' && owner[1] == '.')
		snprintf(name, size, "*.n%u.%s", number, owner + 2);
	else
		snprintf(name, size, "n%u.%s", number, owner);
}

struct lines {
	char names[LINES][NAME_MAX_TEXT];
	struct strbuf brief, lengthy; /* the same in both forms */
};

static void make_lines(struct lines *lines, const char *head, unsigned seed)
{
	char name[NAME_MAX_TEXT] = "first";

	strbuf_init(&lines->brief);
	strbuf_init(&lines->lengthy);
	strbuf_append_text(&lines->brief, head);
	strbuf_append_text(&lines->lengthy, head);
	for (unsigned i = 0; i < LINES; i++) {
		seed = seed * 1103515245 + 12345;
		make_name(i, seed >> 12, name, sizeof(name));
		const char *rest = rests[seed >> 31 ? 0 : (seed >> 16) % COUNT(rests)];
		strbuf_printf(&lines->brief, "%s%s\n", name, rest);
		strbuf_printf(&lines->lengthy, "%s%s;\n", name, rest);
		memcpy(lines->names[i], name, sizeof(name));
	}
}

struct result {
	struct policy_index *index;
	struct complaints complaints;
	struct policy_load load;
	enum td_error error;
};

static void result_read(struct result *result, const struct strbuf *text)
{
	struct policy_builder *builder = policy_builder_new();

	memset(result, 0, sizeof(*result));
	strbuf_init(&result->complaints.text);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	result->error = policy_builder_rpz(builder, "f", text->data, text->length, complain,
		&result->complaints, &result->load);
	result->index = policy_builder_finish(&builder);
	assert_non_null(result->index);
}

static void result_deinit(struct result *result)
{
	policy_index_free(result->index);
	strbuf_deinit(&result->complaints.text);
}

static void expect_same_complaints(const struct result *a, const struct result *b)
{
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->load.used, b->load.used);
	assert_int_equal(a->load.skipped, b->load.skipped);
	assert_int_equal(a->load.lines, b->load.lines);
	assert_int_equal(a->complaints.text.length, b->complaints.text.length);
	if (a->complaints.text.length)
		assert_memory_equal(a->complaints.text.data, b->complaints.text.data,
			a->complaints.text.length);
}

/* What one zone says of a name, with the line of the rule; none: false. */
static bool find(const struct policy_index *index, const struct name *name,
	struct policy_match *match, uint32_t *line)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	const char *source;

	memset(matches, 0, sizeof(matches));
	if (!policy_match_name(index, name->wire, name->length, matches))
		return false;
	*match = matches[0];
	assert_true(policy_rule_source(index, match, &source, line));
	return true;
}

/* Of the name and of one below it. Returns whether there was a rule. */
static bool expect_same_rule(
	const struct policy_index *a, const struct policy_index *b, const char *text)
{
	struct policy_match one, other;
	uint32_t line, other_line;
	struct name name;

	if (name_from_text(&name, text, strlen(text)) != TD_OK)
		return false;
	name_fold(name.wire, name.wire, name.length);
	bool found = find(a, &name, &one, &line);
	assert_int_equal(found, find(b, &name, &other, &other_line));
	if (!found)
		return false;
	assert_int_equal(one.action, other.action);
	assert_int_equal(one.rule, other.rule);
	assert_int_equal(line, other_line);
	return true;
}

static void test_both_forms(void **state)
{
	struct lines *lines = malloc(sizeof(*lines));
	unsigned found = 0;

	(void)state;
	assert_non_null(lines);
	for (unsigned i = 0; i < COUNT(heads); i++) {
		struct result brief, lengthy;
		make_lines(lines, heads[i], i + 1);
		result_read(&brief, &lines->brief);
		result_read(&lengthy, &lines->lengthy);
		expect_same_complaints(&brief, &lengthy);
		for (unsigned k = 0; k < LINES; k++)
			found += expect_same_rule(brief.index, lengthy.index, lines->names[k]);
		result_deinit(&brief);
		result_deinit(&lengthy);
		strbuf_deinit(&lines->brief);
		strbuf_deinit(&lines->lengthy);
	}
	assert_true(found > LINES);
	free(lines);
}

/* A line without an owner has that of the line above, of whichever form. */
static void test_owner_goes_on(void **state)
{
	const char *text = "$ORIGIN rpz.example.\n" SOA "*.y CNAME .\n"
			   "\tA 192.0.2.2\n"
			   "z CNAME .\n"
			   "; of nobody\n"
			   " CNAME *.\n"
			   "Z CNAME .\n";
	struct strbuf lines;
	struct result result;

	(void)state;
	strbuf_init(&lines);
	strbuf_append_text(&lines, text);
	result_read(&result, &lines);
	strbuf_append_char(&result.complaints.text, '\0');
	assert_string_equal(result.complaints.text.data,
		"f:5: repeated: the first rule for this name stays\n"
		"f:8: repeated: the first rule for this name stays\n"
		"f:9: repeated: the first rule for this name stays\n");
	expect(result.index, "a.y.", "a:nxdomain:*.y.");
	expect(result.index, "y.", "");
	expect(result.index, "z.", "a:nxdomain:z.");
	result_deinit(&result);
	strbuf_deinit(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_forms),
		cmocka_unit_test(test_owner_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
