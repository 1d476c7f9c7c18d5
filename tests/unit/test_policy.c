/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones, matching, deciding. The last tests compare the index with a plain list of rules over names
 * from a deterministic generator that likes dots, NULs and stars inside labels. How text becomes
 * rules is in test_rpz and test_patterns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_rules.h"

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

/* --- the owner of a denial --- */

static void expect_apex(const struct policy_index *index, const char *matched, const char *question,
	const char *expected)
{
	struct policy_match match = first_match(index, matched);
	struct name name = folded(question), apex;
	char text[NAME_TEXT_MAX];

	policy_rule_apex(index, &match, name.wire, name.length, &apex);
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

/* Modes by zone, and what they make of a name. */
struct decision {
	uint8_t mode[4];
	const char *name;
	enum policy_action action;
	int hit, enforced; /* the zone, -1: none */
};

static void check_decisions(
	const struct policy_index *index, const struct decision *decisions, size_t decision_count)
{
	for (size_t i = 0; i < decision_count; i++) {
		struct policy_view view = {.index = index};
		struct policy_match matches[POLICY_MATCHES_MAX];
		struct name name = folded(decisions[i].name);
		memcpy(view.mode[0], decisions[i].mode, sizeof(decisions[i].mode));
		size_t count = policy_match_name(index, name.wire, name.length, matches);
		struct policy_verdict verdict = policy_decide(&view, NULL, matches, count);
		int hit = verdict.hit ? verdict.hit->zone : -1;
		int enforced = verdict.enforced ? verdict.enforced->zone : -1;
		if (verdict.action != decisions[i].action || hit != decisions[i].hit ||
			enforced != decisions[i].enforced)
			fail_msg("decision %zu: %s, hit %d, enforced %d", i,
				policy_action_name(verdict.action), hit, enforced);
	}
}

static void test_decide(void **state)
{
	/* modes of t1 t2 (tunnel), list, local */
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

	check_decisions(index, decisions, sizeof(decisions) / sizeof(decisions[0]));
	policy_index_free(index);
}

/* A denial of our own is what the client gets; what else denies the name is what is recorded. */
static void test_decide_behind_local(void **state)
{
	/* modes of local, tunnel, list */
	static const struct decision decisions[] = {
		{{0, MODE_IGNORE, MODE_IGNORE}, "both.", ACTION_NXDOMAIN, -1, 0},
		{{0, MODE_WATCH, MODE_IGNORE}, "both.", ACTION_NXDOMAIN, 1, 0},
		{{0, MODE_BLOCK, MODE_IGNORE}, "both.", ACTION_NXDOMAIN, 1, 1},
		{{0, MODE_WATCH, MODE_BLOCK}, "both.", ACTION_NXDOMAIN, 1, 0}, /* drops: not as well */
		{{0, MODE_IGNORE, MODE_BLOCK}, "both.", ACTION_NXDOMAIN, -1, 0},
		{{0, MODE_BLOCK, MODE_BLOCK}, "pass.", ACTION_NXDOMAIN, -1, 0},
		/* local data, or NODATA, ends it */
		{{0, MODE_BLOCK, MODE_BLOCK}, "data.", ACTION_LOCAL_DATA, -1, 0},
		{{0, MODE_WATCH, MODE_BLOCK}, "empty.", ACTION_NODATA, -1, 0},
	};
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "local", ZONE_LOCAL,
		SOA "both CNAME .\npass CNAME .\ndata A 192.0.2.1\nempty CNAME *.\n");
	add_zone(builder, "tunnel", ZONE_TUNNEL,
		SOA "both CNAME .\npass CNAME rpz-passthru.\ndata CNAME .\nempty CNAME .\n");
	add_zone(builder, "list", ZONE_LIST, SOA "both CNAME rpz-drop.\npass CNAME .\n");
	struct policy_index *index = policy_builder_finish(&builder);

	check_decisions(index, decisions, sizeof(decisions) / sizeof(decisions[0]));
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
		cmocka_unit_test(test_apex),
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_decide_behind_local),
		cmocka_unit_test(test_index_against_list),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
