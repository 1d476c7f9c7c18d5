/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes by group and by time on the path of a query: one answer, cached or on its way, told to
 * clients for whom different modes hold; a mode that ends by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/mode_table.h"
#include "tests/scenario/bed.h"

#define TUNNEL 1 /* the zone's number */

static struct policy_groups *groups;

/* Client 1 is in a group that watches, client 2 in one that blocks, others in none: ignored. */
static int setup(void **state)
{
	struct prefix prefix;

	(void)state;
	world_open(&world, ZONE_HEAD "teredo.test CNAME .\nalias.test CNAME .\n", NULL);
	groups = policy_groups_new();
	assert_int_equal(prefix_from_text(&prefix, "192.0.2.1"), TD_OK);
	assert_int_equal(policy_groups_add_prefix(groups, &prefix, 1), TD_OK);
	assert_int_equal(prefix_from_text(&prefix, "192.0.2.2"), TD_OK);
	assert_int_equal(policy_groups_add_prefix(groups, &prefix, 2), TD_OK);
	assert_true(policy_groups_seal(groups));
	world.policy.view.groups = groups;
	world.policy.view.mode[0][TUNNEL] = MODE_IGNORE;
	world.policy.view.mode[1][TUNNEL] = MODE_WATCH;
	world.policy.view.mode[2][TUNNEL] = MODE_BLOCK;
	return 0;
}

static int teardown_groups(void **state)
{
	teardown(state);
	policy_groups_free(groups);
	return 0;
}

static const struct world_reply *ask_as(uint8_t client, const char *name, unsigned worker)
{
	struct world_query query = query_of(name);

	query.client = client;
	query.id = client;
	return world_ask(&world, worker, &query);
}

static void expect_last(enum transaction_action action, uint16_t rcode)
{
	assert_int_equal(world.records[world.record_count - 1].transaction.action, action);
	assert_int_equal(world_rcode(last_reply()), rcode);
}

/* One entry in the cache, by all workers. */
static void test_one_cached_entry(void **state)
{
	(void)state;
	assert_null(ask_as(1, "teredo.test", 0));
	world_upstream_address(&world, 0, 60, 1);
	expect_last(TRANSACTION_WATCH, RCODE_NOERROR);
	for (unsigned worker = 0; worker < 3; worker++) {
		assert_non_null(ask_as(2, "teredo.test", worker));
		expect_last(TRANSACTION_BLOCK, RCODE_NXDOMAIN);
		assert_non_null(ask_as(3, "teredo.test", worker));
		expect_last(TRANSACTION_NONE, RCODE_NOERROR);
		assert_non_null(ask_as(1, "teredo.test", worker));
		expect_last(TRANSACTION_WATCH, RCODE_NOERROR);
	}
	assert_int_equal(world.ask_count, 1);
}

/* Who is blocked waits for nobody; the others share one question, also between workers. */
static void test_one_question_on_its_way(void **state)
{
	(void)state;
	assert_null(ask_as(1, "teredo.test", 0));
	assert_non_null(ask_as(2, "teredo.test", 0));
	expect_last(TRANSACTION_BLOCK, RCODE_NXDOMAIN);
	assert_null(ask_as(3, "teredo.test", 1));
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 60, 1);
	expect_last(TRANSACTION_WATCH, RCODE_NOERROR);
	world_deliver(&world);
	expect_last(TRANSACTION_NONE, RCODE_NOERROR);
}

/* A rule that is found in the answer only. */
static void test_rule_on_the_chain(void **state)
{
	struct compose compose;
	struct name owner, target;
	uint8_t buffer[600];

	(void)state;
	for (uint8_t client = 1; client <= 3; client++)
		assert_null(ask_as(client, "plain.test", 0));
	assert_int_equal(world.ask_count, 1);
	assert_int_equal(name_from_text(&owner, "plain.test", 10), TD_OK);
	assert_int_equal(name_from_text(&target, "alias.test", 10), TD_OK);
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	compose_rr(&compose, SECTION_ANSWER, &owner, TYPE_CNAME, 60, target.wire, target.length);
	compose_rr(&compose, SECTION_ANSWER, &target, TYPE_A, 60, (const uint8_t[]){203, 0, 113, 1},
		4);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world.record_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		static const enum transaction_action actions[] = {
			[1] = TRANSACTION_WATCH, [2] = TRANSACTION_BLOCK, [3] = TRANSACTION_NONE};
		const struct transaction *t = &world.records[i].transaction;
		assert_int_equal(t->action, actions[t->client.address.octets[3]]);
		assert_int_equal(world_rcode(&world.replies[i]),
			t->action == TRANSACTION_BLOCK ? RCODE_NXDOMAIN : RCODE_NOERROR);
	}
}

/* --- time --- */

static int64_t now_s(void)
{
	return world.now.wall_us / US_PER_S;
}

/* As the daemon does it: goes on to when the table has to be looked at, and makes a policy. */
static void go_on_until(const struct options *options, struct modes *modes, int64_t when_s)
{
	struct mode_change ended;
	int64_t next_s;

	while ((next_s = mode_table_next(options, modes, now_s())) <= when_s) {
		world_run_ms(&world, (next_s - now_s()) * 1000);
		while (modes_take_ended(modes, now_s(), &ended))
			;
		mode_table_fill(options, modes, world.index, now_s(), world.policy.view.mode);
	}
	world_run_ms(&world, (when_s - now_s()) * 1000);
}

static void test_mode_that_ends_by_itself(void **state)
{
	struct zone_options zone = {.name = "tunnel", .kind = ZONE_TUNNEL, .mode = MODE_WATCH};
	struct group_options group = {.name = "kids"};
	struct options options = {
		.zones = &zone, .zone_count = 1, .groups = &group, .group_count = 1};
	struct mode_change change = {.zone = "tunnel",
		.group = "kids",
		.mode = MODE_BLOCK,
		.since_s = now_s(),
		.until_s = now_s() + 600};
	struct modes modes;

	(void)state;
	modes_init(&modes);
	assert_int_equal(modes_set(&modes, &change), TD_OK);
	mode_table_fill(&options, &modes, world.index, now_s(), world.policy.view.mode);
	assert_null(ask_as(3, "teredo.test", 0));
	world_upstream_address(&world, 0, 3600, 1);
	assert_non_null(ask_as(1, "teredo.test", 0));
	expect_last(TRANSACTION_BLOCK, RCODE_NXDOMAIN);
	go_on_until(&options, &modes, change.until_s - 1);
	assert_non_null(ask_as(1, "teredo.test", 0));
	expect_last(TRANSACTION_BLOCK, RCODE_NXDOMAIN);
	assert_non_null(ask_as(3, "teredo.test", 0));
	expect_last(TRANSACTION_WATCH, RCODE_NOERROR);
	go_on_until(&options, &modes, change.until_s);
	assert_non_null(ask_as(1, "teredo.test", 1));
	expect_last(TRANSACTION_WATCH, RCODE_NOERROR);
	assert_int_equal(modes.count, 0);
	modes_deinit(&modes);
}

/* The clock of the world begins within an hour that the schedule blocks from its half on. */
static void test_schedule(void **state)
{
	struct zone_options zone = {.name = "tunnel", .kind = ZONE_TUNNEL, .mode = MODE_IGNORE};
	struct options options = {.zones = &zone, .zone_count = 1};
	struct modes modes;
	int64_t begin_s = now_s() - now_s() % 3600 + 3600;
	unsigned hour = (unsigned)(begin_s / 3600 % 24);

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	modes_init(&modes);
	zone.schedule = (struct schedule){.count = 1,
		.rules = {{.days = 0x7f,
			.from = (uint16_t)(hour * 60 + 30),
			.to = (uint16_t)(hour * 60 + 45),
			.mode = MODE_BLOCK}}};
	mode_table_fill(&options, &modes, world.index, now_s(), world.policy.view.mode);
	world.policy.view.groups = NULL;
	go_on_until(&options, &modes, begin_s + 1799);
	assert_null(ask_as(3, "teredo.test", 0));
	world_upstream_address(&world, 0, 3600, 1);
	expect_last(TRANSACTION_NONE, RCODE_NOERROR);
	go_on_until(&options, &modes, begin_s + 1800);
	assert_non_null(ask_as(3, "teredo.test", 0));
	expect_last(TRANSACTION_BLOCK, RCODE_NXDOMAIN);
	go_on_until(&options, &modes, begin_s + 2699);
	assert_non_null(ask_as(3, "teredo.test", 0));
	expect_last(TRANSACTION_BLOCK, RCODE_NXDOMAIN);
	go_on_until(&options, &modes, begin_s + 2700);
	assert_non_null(ask_as(3, "teredo.test", 0));
	expect_last(TRANSACTION_NONE, RCODE_NOERROR);
	modes_deinit(&modes);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown_groups)
	const struct CMUnitTest tests[] = {
		T(test_one_cached_entry),
		T(test_one_question_on_its_way),
		T(test_rule_on_the_chain),
		T(test_mode_that_ends_by_itself),
		T(test_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
