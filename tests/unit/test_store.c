/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store against a real redis-server that is killed and started again while two workers count:
 * the sums stay exact. And without one: it ends in time. Waits by polling up to a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "resolver/telemetry/telemetry.h"
#include "tests/unit/answers.h"
#include "tests/unit/redis_process.h"

static const struct hash_seed seed = {.k0 = 3, .k1 = 4};

#define CLIENTS 40
#define NAMES 60
#define ROUNDS 400
#define A_ROUND 100

struct load {
	struct telemetry *telemetry;
	struct answer answers[NAMES];
	struct now now;
	uint32_t random;
	uint64_t told[CLIENTS][NAMES], watched;
	uint16_t zone;
};

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void answer_some(struct load *load)
{
	load->now.mono_us += 50 * US_PER_MS;
	load->now.wall_us += 50 * US_PER_MS;
	for (unsigned i = 0; i < A_ROUND; i++) {
		unsigned from = random_next(&load->random) % CLIENTS,
			 what = random_next(&load->random) % NAMES;
		struct transaction transaction =
			transaction_of(&load->answers[what], from, what + 1);
		if (what == 0) {
			transaction.action = TRANSACTION_WATCH;
			transaction.zone = load->zone;
			transaction.rule = "n0.example.";
			load->watched++;
		}
		load->told[from][what]++;
		telemetry_answer(
			telemetry_worker(load->telemetry, i % 2), &transaction, &load->now);
	}
	for (unsigned worker = 0; worker < 2; worker++)
		telemetry_turn(telemetry_worker(load->telemetry, worker), &load->now);
}

static void wait_for_batches(struct telemetry *telemetry, uint64_t batches)
{
	struct telemetry_status status;

	for (int waited_ms = 0; waited_ms < DEADLINE_MS; waited_ms += 10) {
		telemetry_status(telemetry, &status);
		if (status.batches_applied >= batches)
			return;
		pause_ms(10);
	}
	fail_msg("no batch was applied: %s", status.store_error);
}

static uint64_t applied_batches(struct telemetry *telemetry)
{
	struct telemetry_status status;

	telemetry_status(telemetry, &status);
	return status.batches_applied;
}

static void assert_redis_agrees(const struct load *load)
{
	uint64_t all = 0;

	for (unsigned from = 0; from < CLIENTS; from++) {
		uint64_t queries = 0;
		for (unsigned what = 0; what < NAMES; what++) {
			unsigned long long first, last, pairs;
			char field[80];
			queries += load->told[from][what];
			snprintf(field, sizeof(field), "10.0.0.%u n%u.example.", from, what);
			redisReply *reply =
				ask("HGET teredown:{t}:pair:192.0.2.%u %s", 1 + what % 9, field);
			assert_int_equal(reply->type, REDIS_REPLY_STRING);
			assert_int_equal(
				sscanf(reply->str, "%llu %llu %llu", &first, &last, &pairs), 3);
			assert_int_equal(pairs, load->told[from][what]);
			freeReplyObject(reply);
			assert_int_equal(
				number_of(ask(
					"ZSCORE teredown:{t}:client:10.0.0.%u:names n%u.example.",
					from, what)),
				load->told[from][what]);
		}
		assert_int_equal(number_of(ask("HGET teredown:{t}:client:10.0.0.%u queries", from)),
			queries);
		all += queries;
	}
	assert_int_equal(all, (uint64_t)ROUNDS * A_ROUND);
	assert_int_equal(number_of(ask("HGET teredown:{t}:meta queries")), all);
	uint64_t pairs_fields = 0;
	for (unsigned i = 1; i <= 9; i++)
		pairs_fields += (uint64_t)number_of(ask("HLEN teredown:{t}:pair:192.0.2.%u", i));
	assert_int_equal(pairs_fields, CLIENTS * NAMES);
	/* The stream keeps about SCHEMA_STREAM_MAX entries, all of these. */
	assert_int_equal(number_of(ask("XLEN teredown:{t}:transactions")), load->watched);
}

static void sums_are_exact_although_redis_dies(void **state)
{
	static struct load load;
	const struct telemetry_config config = {
		.resolver_name = "t",
		.version = "1",
		.state_dir = redis_dir,
		.redis = redis_url,
		.query_log = QUERY_LOG_WATCHED,
		.workers = 2,
		.retention_days = 8,
		.pair_retention_days = 30,
		.clients_max = 1000,
		.details_max = 100000,
		.seed = seed,
	};
	(void)state;

	load.random = 7;
	load.now = (struct now){.mono_us = US_PER_S, .wall_us = (int64_t)time(NULL) * US_PER_S};
	for (unsigned i = 0; i < NAMES; i++) {
		char text[64];
		snprintf(text, sizeof(text), "n%u.example.", i);
		make_answer(&load.answers[i], text, 1 + i % 9);
	}
	load.telemetry = telemetry_new(&config);
	assert_non_null(load.telemetry);
	load.zone = telemetry_zone_id(load.telemetry, "teredo");
	assert_int_equal(telemetry_start(load.telemetry), TD_OK);
	wait_for_batches(load.telemetry, 1); /* the first says that recording began */

	uint64_t kills = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		answer_some(&load);
		pause_ms(1); /* so that batches are on their way when it dies */
		if (round % 100 == 30) {
			redis_kill(); /* at whatever it was doing */
			redis_start();
			kills++;
		} else if (round % 100 == 60) {
			redis_connect();
			wait_for_batches(load.telemetry, applied_batches(load.telemetry) + 1);
			run(ask("SCRIPT FLUSH"));
		}
	}
	telemetry_event(load.telemetry, "test", "the end");
	telemetry_stop(&load.telemetry, DEADLINE_MS);
	assert_null(load.telemetry);
	assert_int_equal(kills, 4);
	assert_redis_agrees(&load);
	redisReply *events = ask("XREVRANGE teredown:{t}:events + - COUNT 100");
	bool found = false;
	for (size_t i = 0; i < events->elements; i++)
		found |= strstr(events->element[i]->element[1]->element[3]->str,
				 "\"kind\":\"test\",\"text\":\"the end\"") != NULL;
	freeReplyObject(events);
	assert_true(found);
}

static void ends_in_time_without_redis(void **state)
{
	const struct telemetry_config config = {
		.resolver_name = "t",
		.version = "1",
		.redis = "unix:/nonexistent/redis.sock",
		.workers = 1,
		.retention_days = 8,
		.pair_retention_days = 30,
		.clients_max = 10,
		.details_max = 10,
		.seed = seed,
	};
	struct answer answer;
	struct now now = {.mono_us = US_PER_S, .wall_us = (int64_t)time(NULL) * US_PER_S};
	(void)state;

	make_answer(&answer, "www.example.", 1);
	struct transaction transaction = transaction_of(&answer, 1, 1);
	struct telemetry *telemetry = telemetry_new(&config);
	assert_non_null(telemetry);
	assert_int_equal(telemetry_start(telemetry), TD_OK);
	for (unsigned i = 0; i < 100; i++) {
		telemetry_answer(telemetry_worker(telemetry, 0), &transaction, &now);
		now.mono_us += US_PER_S;
		telemetry_turn(telemetry_worker(telemetry, 0), &now);
	}
	telemetry_stop(&telemetry, 200);
	assert_null(telemetry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sums_are_exact_although_redis_dies, redis_empty),
		cmocka_unit_test(ends_in_time_without_redis),
	};

	log_setup("test_store", LOG_LEVEL_ERROR);
	return redis_is_installed() ? cmocka_run_group_tests(tests, redis_open, redis_close)
				    : TEST_SKIPPED;
}
