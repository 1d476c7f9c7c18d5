/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of a decision: the verdict is that of policy_decide, and each match has its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_rules.h"

#define ZONES 4

static const char *const actions[] = {"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "A 192.0.2.1"};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* A rule for x.example in each zone, its action chosen by digits of the number; the last zone is
 * local data where local is set. */
static struct policy_index *zones_of(unsigned number, bool local)
{
	struct policy_builder *builder = policy_builder_new();
	char name[2] = "a", text[128];

	for (unsigned i = 0; i < ZONES; i++, name[0]++, number /= ACTIONS) {
		snprintf(text, sizeof(text), SOA "x.example %s\n", actions[number % ACTIONS]);
		add_zone(builder, name, local && i == ZONES - 1 ? ZONE_LOCAL : ZONE_LIST, text);
	}
	return policy_builder_finish(&builder);
}

static enum policy_outcome trace_outcome(
	const struct policy_trace *trace, const struct policy_match *match)
{
	size_t i = 0;

	while (trace->steps[i].match != match)
		i++;
	return trace->steps[i].outcome;
}

static void check(const struct policy_view *view, const struct policy_match *matches, size_t count)
{
	struct policy_trace trace;
	struct policy_verdict decided = policy_decide(view, NULL, matches, count);
	struct policy_verdict explained = policy_explain(view, NULL, matches, count, &trace);
	bool ended = false, recorded = false;

	assert_int_equal(explained.action, decided.action);
	assert_ptr_equal(explained.hit, decided.hit);
	assert_ptr_equal(explained.enforced, decided.enforced);
	assert_int_equal(trace.count, count);
	for (size_t i = 0; i < count; i++) {
		const struct policy_step *step = &trace.steps[i];
		assert_ptr_equal(step->match, &matches[i]);
		if (ended)
			assert_true(step->outcome == OUTCOME_BEHIND ||
				    step->outcome == OUTCOME_RECORDED);
		else
			assert_int_not_equal(step->outcome, OUTCOME_BEHIND);
		if (step->outcome == OUTCOME_WON)
			assert_true(
				step->match == decided.enforced || step->action == ACTION_PASSTHRU);
		recorded |= step->outcome == OUTCOME_RECORDED;
		ended |= step->outcome == OUTCOME_WON;
	}
	/* A hit that enforces is the one that decides; any other is the one that is recorded. */
	assert_int_equal(
		recorded, decided.hit && trace_outcome(&trace, decided.hit) != OUTCOME_WON);
}

/* Every combination of four zones' actions and modes. */
static void test_same_verdict(void **state)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name = folded("x.example");

	(void)state;
	for (unsigned number = 0; number < ACTIONS * ACTIONS * ACTIONS * ACTIONS; number++) {
		struct policy_index *index = zones_of(number, number % 2);
		struct policy_view view = {.index = index};
		size_t count = policy_match_name(index, name.wire, name.length, matches);
		assert_int_equal(count, ZONES);
		for (unsigned modes = 0; modes < 81; modes++) {
			for (unsigned zone = 0, left = modes; zone < ZONES; zone++, left /= 3)
				view.mode[0][zone] = (uint8_t)(left % 3);
			check(&view, matches, count);
		}
		policy_index_free(index);
	}
}

static void test_words(void **state)
{
	struct policy_index *index = zones_of(0 + 2 * 4, false);
	struct policy_view view = {
		.index = index, .mode = {{MODE_WATCH, MODE_IGNORE, MODE_BLOCK, MODE_BLOCK}}};
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name = folded("x.example");
	struct policy_trace trace;

	(void)state;
	size_t count = policy_match_name(index, name.wire, name.length, matches);
	struct policy_verdict verdict = policy_explain(&view, NULL, matches, count, &trace);
	assert_ptr_equal(verdict.hit, &matches[2]);
	assert_int_equal(trace.steps[0].outcome, OUTCOME_WATCHED);
	assert_int_equal(trace.steps[1].outcome, OUTCOME_IGNORED);
	assert_int_equal(trace.steps[2].outcome, OUTCOME_WON);
	assert_int_equal(trace.steps[3].outcome, OUTCOME_BEHIND);
	view.mode[0][1] = MODE_BLOCK;
	view.mode[0][0] = MODE_WATCH;
	policy_explain(&view, NULL, matches, count, &trace);
	assert_int_equal(trace.steps[0].outcome, OUTCOME_RECORDED);
	assert_int_equal(trace.steps[1].outcome, OUTCOME_WON);
	assert_int_equal(trace.steps[1].action, ACTION_PASSTHRU);
	view.mode[0][1] = MODE_WATCH;
	policy_explain(&view, NULL, matches, count, &trace);
	assert_int_equal(trace.steps[1].outcome, OUTCOME_EXEMPT);
	policy_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_verdict),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
