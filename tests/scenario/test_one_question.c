/* SPDX-License-Identifier: BSD-3-Clause */
/* One question in the whole process, whoever wants to know; and a flush while it is pending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/edns.h"
#include "resolver/cache_walk.h"
#include "tests/scenario/bed.h"

/* Whoever asks while the question is pending gets its answer. */
static void test_identical_questions_over_eight_workers(void **state)
{
	struct world_query query = query_of("many.example");

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		query.id = (uint16_t)i;
		query.client = (uint8_t)(i + 1);
		query.edns_payload = i % 3 ? 1232 : 0;
		assert_null(world_ask(&world, i % WORLD_WORKERS, &query));
	}
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 0, 3);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 200);
	uint64_t answered[256] = {0};
	for (unsigned i = 0; i < 200; i++)
		answered[world.replies[i].client.peer.address.octets[3]]++;
	for (unsigned i = 1; i <= 200; i++)
		assert_int_equal(answered[i], 1);
}

static void test_failure_and_stale_over_eight_workers(void **state)
{
	struct world_query query = query_of("many.example");

	(void)state;
	learn("many.example", 10, 5);
	world_run_ms(&world, 11000);
	for (unsigned i = 0; i < 80; i++) {
		query.client = (uint8_t)(i + 1);
		assert_null(world_ask(&world, i % WORLD_WORKERS, &query));
	}
	world_deliver(&world);
	assert_int_equal(world.ask_count, 2);
	world_run_ms(&world, 1800);
	assert_int_equal(world.reply_count, 81);
	for (unsigned i = 1; i < 81; i++)
		assert_int_equal(world_ede(&world.replies[i]), EDE_STALE_ANSWER);
	world_upstream_rcode(&world, 1, RCODE_SERVFAIL);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 81);
	/* one failure, however many workers were told of it: held for the first length */
	world_run_ms(&world, 5000);
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		assert_non_null(world_ask(&world, i, &query));
	assert_int_equal(world.ask_count, 3);
	world_upstream_address(&world, 2, 10, 6);
}

/* --- a flush while a question is pending --- */

static void flush_all(void)
{
	const struct cache_filter all = {.name = NULL};
	struct cache_flushed flushed;

	assert_int_equal(cache_flush(world.cache, &all, &flushed), TD_OK);
}

/* Who asks after a flush does not get what was asked before it, whichever worker asked; who asked
 * before gets it at once. */
static void test_flush_while_a_question_is_pending(void **state)
{
	struct world_query query = query_of("moving.example");

	(void)state;
	query.client = 1;
	assert_null(world_ask(&world, 0, &query));
	query.client = 2;
	assert_null(world_ask(&world, 1, &query));
	world_deliver(&world);
	flush_all();
	query.client = 3;
	assert_null(world_ask(&world, 0, &query));
	query.client = 4;
	assert_null(world_ask(&world, 1, &query));
	query.client = 5;
	assert_null(world_ask(&world, 2, &query));
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 60, 1);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 2);
	assert_int_equal(world.replies[0].client.peer.address.octets[3], 1);
	assert_int_equal(world.replies[1].client.peer.address.octets[3], 2);
	assert_int_equal(world.ask_count, 2);
	flush_all(); /* a second one delays nobody again */
	world_upstream_address(&world, 1, 60, 9);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 5);
	for (unsigned i = 2; i < 5; i++) {
		struct message_rr rr;
		assert_true(world_record_at(&world.replies[i], 0, &rr));
		assert_int_equal(world.replies[i].bytes[rr.rdata_offset + 3], 9);
	}
	assert_int_equal(world.ask_count, 2);
}

/* Nor is a failure kept that was found before. */
static void test_flush_while_a_question_fails(void **state)
{
	struct world_query query = query_of("failing.example");

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	flush_all();
	world_upstream_rcode(&world, 0, RCODE_SERVFAIL);
	assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_rcode(&world, 1, RCODE_SERVFAIL);
	assert_non_null(world_ask(&world, 0, &query));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_teredo, teardown)
	const struct CMUnitTest tests[] = {
		T(test_identical_questions_over_eight_workers),
		T(test_failure_and_stale_over_eight_workers),
		T(test_flush_while_a_question_is_pending),
		T(test_flush_while_a_question_fails),
	};
#undef T
	return cmocka_run_group_tests_name("one_question", tests, NULL, NULL);
}
