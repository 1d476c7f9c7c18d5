/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules from literals, and matches as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_rules.h"

void complain(void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	struct complaints *complaints = context;

	assert_true(skipped);
	assert_non_null(words);
	assert_true(words[0]);
	complaints->count++;
	strbuf_printf(&complaints->text, "%s:%u: %s\n", source, line, words);
}

struct policy_load add_rpz(struct policy_builder *builder, const char *text)
{
	struct policy_load load;

	assert_int_equal(
		policy_builder_rpz(builder, "t", text, strlen(text), NULL, NULL, &load), TD_OK);
	return load;
}

void add_zone(struct policy_builder *builder, const char *name, enum policy_zone_kind kind,
	const char *text)
{
	assert_int_equal(policy_builder_zone(builder, name, kind), TD_OK);
	if (text)
		assert_int_equal(add_rpz(builder, text).skipped, 0);
}

void add_patterns(struct policy_builder *builder, const char *text)
{
	struct policy_load load;

	assert_int_equal(
		policy_builder_patterns(builder, "t", text, strlen(text), NULL, NULL, &load),
		TD_OK);
	assert_int_equal(load.skipped, 0);
}

struct policy_index *one_zone(const char *text)
{
	struct policy_builder *builder = policy_builder_new();

	add_zone(builder, "a", ZONE_LIST, text);
	return policy_builder_finish(&builder);
}

struct policy_index *one_list(const char *text)
{
	struct policy_builder *builder = policy_builder_new();

	add_zone(builder, "a", ZONE_LIST, NULL);
	add_patterns(builder, text);
	return policy_builder_finish(&builder);
}

struct name folded(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	name_fold(name.wire, name.wire, name.length);
	return name;
}

void matches_to_text(const struct policy_index *index, const struct policy_match *matches,
	size_t count, struct strbuf *out)
{
	for (size_t i = 0; i < count; i++) {
		char rule[NAME_TEXT_MAX];
		size_t length = policy_rule_text(index, &matches[i], rule);
		assert_int_equal(length, strlen(rule));
		assert_int_equal(matches[i].trigger, TRIGGER_QUESTION);
		strbuf_printf(out, "%s%s:%s:%s", i ? " " : "",
			policy_zone_name(index, matches[i].zone),
			policy_action_name((enum policy_action)matches[i].action), rule);
	}
	strbuf_append(out, "", 0);
}

void expect(const struct policy_index *index, const char *name_text, const char *expected)
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

struct policy_match first_match(const struct policy_index *index, const char *name_text)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name = folded(name_text);

	assert_true(policy_match_name(index, name.wire, name.length, matches) > 0);
	return matches[0];
}
