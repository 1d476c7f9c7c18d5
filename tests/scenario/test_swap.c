/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New rules while questions are on their way. Two versions of a zone stop the same names, one at
 * the question, the other at the end of the CNAME chain of its answer; so whoever gets through was
 * judged by a part of each. The old rules are freed as soon as the last worker has the new ones, as
 * the daemon does, so the sanitizers see who still looks at them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/bed.h"

static const char by_chain[] = ZONE_HEAD "*.end.test CNAME .\nred.test CNAME green.test.\n";
static const char by_question[] = ZONE_HEAD "*.begin.test CNAME .\nblue.test CNAME .\n";
static const char none[] = ZONE_HEAD;

static struct version {
	struct policy_index *index;
	struct query_policy policy;
} newest;

static int setup_versions(void **state)
{
	(void)state;
	memset(&newest, 0, sizeof newest);
	world_open(&world, by_chain, ZONE_HEAD);
	world_set_mode(&world, MODE_BLOCK);
	newest.policy = world.policy;
	return 0;
}

static int teardown_versions(void **state)
{
	int result = teardown(state);

	policy_index_free(newest.index);
	return result;
}

static void add_zone(struct policy_builder *builder, const char *name, enum policy_zone_kind kind,
	const char *text)
{
	struct policy_load load;

	assert_int_equal(policy_builder_zone(builder, name, kind), TD_OK);
	assert_int_equal(
		policy_builder_rpz(builder, name, text, strlen(text), NULL, NULL, &load), TD_OK);
}

/* The next version; no worker has it yet. */
static struct version compile(const char *text)
{
	struct policy_builder *builder = policy_builder_new();
	struct version version = {.policy = newest.policy};

	add_zone(builder, "local", ZONE_LOCAL, ZONE_HEAD);
	add_zone(builder, "tunnel", ZONE_TUNNEL, text);
	version.index = policy_builder_finish(&builder);
	assert_non_null(version.index);
	version.policy.view.index = version.index;
	version.policy.view.generation++;
	return version;
}

/* Every worker has it by now but those that get it here. Nobody looks at the rules before. */
static void give(unsigned first, const struct version *version)
{
	static struct version given[2]; /* the policy has to stay where it is */
	static unsigned turn;
	struct policy_index *old = newest.index;

	given[++turn % 2] = *version;
	for (unsigned i = first; i < WORLD_WORKERS; i++)
		query_set_policy(world.workers[i].engine, &given[turn % 2].policy);
	newest = *version;
	policy_index_free(old);
}

/* The reply to ask n: an alias of end, which has an address. */
static void answer_alias(unsigned n, const char *end)
{
	struct compose compose;
	struct name target;
	uint8_t buffer[512], address[4] = {192, 0, 2, 1};

	assert_int_equal(name_from_text(&target, end, strlen(end)), TD_OK);
	world_upstream_begin(&world, n, &compose, buffer, sizeof buffer, 0);
	compose_rr_name(
		&compose, SECTION_ANSWER, &world.asks[n].question.qname, TYPE_CNAME, 60, &target);
	compose_rr(&compose, SECTION_ANSWER, &target, TYPE_A, 60, address, sizeof address);
	world_upstream_send(&world, n, &compose);
}

static struct world_query question(const char *name)
{
	return (struct world_query){.name = name, .type = TYPE_A, .id = 7, .client = 1};
}

/* Asked under the one, answered under the other: the newest decides alone. */
static void test_question_on_its_way(void **state)
{
	struct world_query query = question("x.begin.test");
	struct version next = compile(by_question);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	give(0, &next);
	answer_alias(0, "x.end.test");
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NXDOMAIN);
	/* And what is kept of it is judged anew by those that come. */
	next = compile(by_chain);
	give(0, &next);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	next = compile(none);
	give(0, &next);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NOERROR);
	next = compile(by_question);
	give(0, &next);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	assert_int_equal(world.ask_count, 1);
}

/* One worker asks for both, and has the new rules before the other one. */
static void test_workers_of_two_versions(void **state)
{
	struct world_query query = question("y.begin.test");
	struct version next = compile(by_question);
	struct query_policy ahead = next.policy;

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_null(world_ask(&world, 1, &query));
	world_deliver(&world);
	query_set_policy(world.workers[0].engine, &ahead);
	answer_alias(0, "y.end.test");
	world_deliver(&world);
	assert_int_equal(world.reply_count, 2);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NXDOMAIN);
	assert_int_equal(world_rcode(&world.replies[1]), RCODE_NXDOMAIN);
	/* The entry has the matches of one of them; each looks for itself. */
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	assert_int_equal(world_rcode(world_ask(&world, 1, &query)), RCODE_NXDOMAIN);
	give(0, &next);
	assert_int_equal(world_rcode(world_ask(&world, 1, &query)), RCODE_NXDOMAIN);
}

/* A rule led somewhere else, and is gone before the answer comes from there. */
static void test_redirection_on_its_way(void **state)
{
	struct world_query query = question("red.test");
	struct version next = compile(by_question);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 1);
	give(0, &next);
	world_upstream_address(&world, 0, 60, 9);
	for (unsigned n = 1; n < world.ask_count; n++)
		world_upstream_address(&world, n, 60, 8);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NOERROR);
	/* The whole of one version: the alias with its end, or the name's own address. */
	uint16_t records = world_count(&world.replies[0], 1);
	struct message_rr rr;
	assert_true(world_record_at(&world.replies[0], 0, &rr));
	assert_int_equal(rr.type, records == 2 ? TYPE_CNAME : TYPE_A);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup_versions, teardown_versions)
	const struct CMUnitTest tests[] = {
		T(test_question_on_its_way),
		T(test_workers_of_two_versions),
		T(test_redirection_on_its_way),
	};
	return cmocka_run_group_tests_name("swap", tests, NULL, NULL);
}
