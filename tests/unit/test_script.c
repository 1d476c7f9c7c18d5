/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The script against a real redis-server, called with batches as the store calls it: every field of
 * the schema, numbers applied once, bounds, failed commands, memory that ran out, the lease.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/redis/schema.h"
#include "resolver/telemetry/redis/store.h"
#include "tests/unit/answers.h"
#include "tests/unit/redis_process.h"

static const struct hash_seed seed = {.k0 = 3, .k1 = 4};

struct bed {
	struct zone_ids zones;
	struct pending pending;
	struct batcher batcher;
	struct tally *tally;
	struct now now;
	char sha[41];
};

static const struct pending_limits wide = {
	.clients = 10000, .tops = 10000, .details = 100000, .lines = 1000, .line_bytes = 100000};

static void bed_open(struct bed *bed, const struct batch_bounds *bounds)
{
	struct batch_settings settings = {
		.resolver_name = "t",
		.version = "1.2",
		.boot = "00000000000000aa",
		.zones = &bed->zones,
		.retention_days = 8,
		.pair_retention_days = 30,
		.bounds = *bounds,
	};

	memset(bed, 0, sizeof(*bed));
	bed->now.wall_us = (int64_t)time(NULL) * US_PER_S;
	settings.started_us = bed->now.wall_us;
	zone_ids_init(&bed->zones);
	uint16_t teredo = zone_ids_add(&bed->zones, ZONE_TEREDO);
	pending_init(&bed->pending, &wide, &seed);
	bed->pending.teredo = teredo;
	assert_true(batcher_init(&bed->batcher, &settings));
	bed->tally = tally_new();
	assert_non_null(bed->tally);
	redisReply *reply = ask("SCRIPT LOAD %s", store_script);
	if (reply->type != REDIS_REPLY_STRING)
		fail_msg("the script does not load: %s", reply->str);
	memcpy(bed->sha, reply->str, sizeof(bed->sha));
	freeReplyObject(reply);
}

static void bed_close(struct bed *bed)
{
	tally_free(bed->tally);
	batcher_deinit(&bed->batcher);
	pending_deinit(&bed->pending);
	zone_ids_deinit(&bed->zones);
}

static void count(struct bed *bed, const struct transaction *transaction)
{
	tally_add(bed->tally, &seed, transaction, bed->now.wall_us);
}

static void merge(struct bed *bed)
{
	pending_merge(&bed->pending, bed->tally);
	tally_clear(bed->tally);
}

static redisReply *call(struct bed *bed, struct batch *batch)
{
	batch->argv[BATCH_ARGV_SHA] = bed->sha;
	batch->lengths[BATCH_ARGV_SHA] = 40;
	redisReply *reply =
		redisCommandArgv(redis_client, (int)batch->argc, batch->argv, batch->lengths);
	assert_non_null(reply);
	return reply;
}

static void assert_outcome(redisReply *reply, const char *status, int failed)
{
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s", reply->str);
	assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
	assert_string_equal(reply->element[0]->str, status);
	if (reply->element[2]->integer != failed)
		fail_msg("%lld commands failed: %s", reply->element[2]->integer,
			reply->element[3]->str);
	freeReplyObject(reply);
}

/* Sends all that is pending, every batch twice. */
static void send_all(struct bed *bed)
{
	for (struct batch *batch = batch_cut(&bed->batcher, &bed->pending, &bed->now, false); batch;
		batch = batch_cut(&bed->batcher, &bed->pending, &bed->now, false)) {
		assert_outcome(call(bed, batch), "applied", 0);
		assert_outcome(call(bed, batch), "duplicate", 0);
		assert_true(batch_acknowledged(&bed->batcher, batch->number));
	}
}

/* printf("%Y%m%d%H") of the bed's clock, or the day of it. */
static const char *hour_text(const struct bed *bed, size_t digits)
{
	static char text[16];
	time_t now = (time_t)(bed->now.wall_us / US_PER_S);
	struct tm tm;

	strftime(text, sizeof(text), "%Y%m%d%H", gmtime_r(&now, &tm));
	text[digits] = '\0';
	return text;
}

static void every_field_of_the_schema(void **state)
{
	struct bed bed;
	struct answer plain, watched;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	make_answer(&plain, "www.example.", 1);
	make_answer(&watched, "teredo.example.", 2);
	struct transaction first = transaction_of(&plain, 1, 1),
			   second = transaction_of(&watched, 2, 2);
	second.action = TRANSACTION_WATCH;
	second.zone = 0;
	second.rule = "*.example.";
	for (unsigned i = 0; i < 3; i++)
		count(&bed, &first);
	count(&bed, &second);
	merge(&bed);
	pending_add_line(&bed.pending, STREAM_TRANSACTIONS, bed.now.wall_us, "{\"txn\":1}", 9);
	pending_add_line(&bed.pending, STREAM_EVENTS, bed.now.wall_us, "{\"kind\":\"x\"}", 12);
	send_all(&bed);

	const char *hour = hour_text(&bed, 10);
	int64_t ms = bed.now.wall_us / 1000;
	char expected[128];
	assert_int_equal(number_of(ask("HGET teredown:{t}:meta schema")), SCHEMA_VERSION);
	assert_text(ask("HGET teredown:{t}:meta version"), "1.2");
	assert_text(ask("HGET teredown:{t}:meta boot"), "00000000000000aa");
	assert_text(ask("HGET teredown:{t}:meta last_batch"), "1");
	assert_text(ask("HGET teredown:{t}:meta queries"), "4");
	assert_int_equal(number_of(ask("HGET teredown:{t}:meta recording_since")), ms);
	assert_text(ask("HGET teredown:{t}:applied 00000000000000aa"), "1");
	assert_text(ask("HGET teredown:{t}:client:10.0.0.1 queries"), "3");
	assert_text(ask("HGET teredown:{t}:client:10.0.0.1 noerror"), "3");
	assert_int_equal(number_of(ask("HGET teredown:{t}:client:10.0.0.1 first_seen")), ms);
	assert_int_equal(number_of(ask("HGET teredown:{t}:client:10.0.0.2 last_seen")), ms);
	assert_text(ask("HGET teredown:{t}:client:10.0.0.2 watched"), "1");
	assert_int_equal(number_of(ask("ZSCORE teredown:{t}:clients 10.0.0.1")), ms);
	assert_text(ask("ZSCORE teredown:{t}:clients:queries 10.0.0.1"), "3");
	assert_text(ask("ZSCORE teredown:{t}:clients:watched 10.0.0.2"), "1");
	assert_text(ask("ZSCORE teredown:{t}:client:10.0.0.1:names www.example."), "3");
	assert_text(ask("HGET teredown:{t}:hour:%s queries", hour), "4");
	assert_text(ask("ZSCORE teredown:{t}:hour:%s:queries 10.0.0.1", hour), "3");
	assert_text(ask("ZSCORE teredown:{t}:hour:%s:watched 10.0.0.2", hour), "1");
	assert_text(ask("ZSCORE teredown:{t}:hour:%s:watched-names %s", hour,
			    "10.0.0.2 teredo.example."),
		"1");
	assert_text(ask("ZSCORE teredown:{t}:watch:teredo 10.0.0.2"), "1");
	assert_int_equal(number_of(ask("ZSCORE teredown:{t}:watch:teredo:last 10.0.0.2")), ms);
	assert_text(ask("ZSCORE teredown:{t}:rules:teredo *.example."), "1");
	assert_text(ask("ZSCORE teredown:{t}:rules:teredo:estimate *.example."), "1");
	assert_int_equal(number_of(ask("HGET teredown:{t}:client:10.0.0.2 told_teredo")), ms);
	assert_int_equal(number_of(ask("HGET teredown:{t}:client:10.0.0.2 told_teredo_last")), ms);
	assert_text(ask("HGET teredown:{t}:client:10.0.0.2 told_teredo_server"), "192.0.2.2");
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:client:10.0.0.1 told_teredo")), 0);
	snprintf(expected, sizeof(expected), "%" PRId64 " %" PRId64 " 3 www.example.", ms, ms);
	assert_text(ask("HGET teredown:{t}:pair:192.0.2.1 %s", "10.0.0.1 www.example."), expected);
	assert_int_equal(number_of(ask("HLEN teredown:{t}:pair:192.0.2.1")), 1);
	assert_int_equal(number_of(ask("ZSCORE teredown:{t}:name:www.example. 192.0.2.1")), ms);
	assert_text(ask("ZSCORE teredown:{t}:name:www.example.:clients 10.0.0.1"), "3");
	assert_text(ask("HGET teredown:{t}:timeline:192.0.2.1 %s:dns", hour), "3");
	assert_text(ask("ZSCORE teredown:{t}:top:%s www.example.", hour_text(&bed, 8)), "3");
	assert_int_equal(number_of(ask("XLEN teredown:{t}:transactions")), 1);
	assert_int_equal(
		number_of(ask("XLEN teredown:{t}:events")), 2); /* ours and the new tunnel client */

	assert_int_equal(number_of(ask("HGET teredown:{t}:totals event_new-client")), 1);
	/* Only what must stay has no expiry. */
	static const char *const forever[] = {"meta", "applied", "boots", "clients",
		"clients:queries", "clients:watched", "names", "addresses", "transactions",
		"events", "totals"};
	redisReply *keys = ask("KEYS *");
	size_t without = 0;
	for (size_t i = 0; i < keys->elements; i++)
		without += number_of(ask("TTL %s", keys->element[i]->str)) == -1;
	freeReplyObject(keys);
	assert_int_equal(without, sizeof(forever) / sizeof(forever[0]));
	bed_close(&bed);
}

static void later_batches_merge(void **state)
{
	struct bed bed;
	struct answer answer;
	char expected[128];
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	make_answer(&answer, "www.example.", 1);
	struct transaction transaction = transaction_of(&answer, 1, 1);
	int64_t first_ms = bed.now.wall_us / 1000;
	for (unsigned i = 0; i < 5; i++) {
		count(&bed, &transaction);
		merge(&bed);
		send_all(&bed);
		bed.now.wall_us += US_PER_S;
	}
	bed.now.wall_us -= 20 * US_PER_S; /* the clock stepped back */
	count(&bed, &transaction);
	merge(&bed);
	send_all(&bed);
	snprintf(expected, sizeof(expected), "%" PRId64 " %" PRId64 " 6 www.example.",
		first_ms - 15000, first_ms + 4000);
	assert_text(ask("HGET teredown:{t}:pair:192.0.2.1 %s", "10.0.0.1 www.example."), expected);
	assert_text(ask("HGET teredown:{t}:client:10.0.0.1 queries"), "6");
	assert_int_equal(
		number_of(ask("HGET teredown:{t}:client:10.0.0.1 first_seen")), first_ms - 15000);
	assert_int_equal(
		number_of(ask("HGET teredown:{t}:client:10.0.0.1 last_seen")), first_ms + 4000);
	assert_int_equal(number_of(ask("ZSCORE teredown:{t}:clients 10.0.0.1")), first_ms + 4000);
	assert_text(ask("HGET teredown:{t}:meta queries"), "6");
	bed_close(&bed);
}

static void a_closed_hour_gets_one_entry(void **state)
{
	struct bed bed;
	struct answer answer;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	bed.now.wall_us -= bed.now.wall_us % US_PER_HOUR + 4 * US_PER_HOUR;
	int64_t hour_ms = bed.now.wall_us / 1000;
	make_answer(&answer, "www.example.", 0);
	for (unsigned i = 0; i < 4; i++) {
		struct transaction transaction = transaction_of(&answer, i, 0);
		count(&bed, &transaction);
		merge(&bed);
		send_all(&bed);
		bed.now.wall_us += US_PER_HOUR / 2;
	}
	assert_int_equal(number_of(ask("XLEN teredown:{t}:hours")),
		1); /* the second is not 60 s past its end */
	bed.now.wall_us += 60 * US_PER_S;
	struct batch *empty = batch_cut(&bed.batcher, &bed.pending, &bed.now, true);
	assert_outcome(call(&bed, empty), "applied", 0);
	assert_true(batch_acknowledged(&bed.batcher, empty->number));
	redisReply *entries = ask("XRANGE teredown:{t}:hours - +");
	assert_int_equal(entries->elements, 2);
	for (size_t i = 0; i < 2; i++) {
		char id[40];
		snprintf(id, sizeof(id), "%" PRId64 "-0", hour_ms + (int64_t)i * 3600000);
		assert_string_equal(entries->element[i]->element[0]->str, id);
		const redisReply *fields = entries->element[i]->element[1];
		int64_t queries = 0;
		for (size_t k = 0; k + 1 < fields->elements; k += 2) {
			if (strcmp(fields->element[k]->str, "queries") == 0)
				queries = strtoll(fields->element[k + 1]->str, NULL, 10);
		}
		assert_int_equal(queries, 2);
	}
	freeReplyObject(entries);
	bed_close(&bed);
}

static void bounds_hold_and_totals_stay_exact(void **state)
{
	static const struct batch_bounds narrow = {.clients = 5,
		.client_names = 3,
		.names = 4,
		.name_clients = 2,
		.name_addresses = 2,
		.addresses = 6,
		.pairs = 3,
		.hour_names = 4,
		.top = 4,
		.stream = 10};
	struct bed bed;
	(void)state;

	bed_open(&bed, &narrow);
	for (unsigned i = 0; i < 200; i++) {
		char text[64];
		struct answer answer;
		snprintf(text, sizeof(text), "n%u.example.", i % 20);
		make_answer(&answer, text, 1 + i % 50);
		struct transaction transaction = transaction_of(&answer, i % 17, i + 1);
		transaction.action = TRANSACTION_WATCH;
		transaction.zone = 0;
		count(&bed, &transaction);
		if (i % 40 == 39) {
			merge(&bed);
			send_all(&bed);
		}
	}
	static const struct {
		const char *command, *key;
		int most;
	} families[] = {
		{"ZCARD", "clients", 6},
		{"ZCARD", "names", 5},
		{"ZCARD", "addresses", 7},
		{"ZCARD", "clients:queries", 6},
		{"ZCARD", "client:10.0.0.1:names", 4},
		{"ZCARD", "client:*other:names", 4},
		{"ZCARD", "watch:teredo", 6},
		{"HLEN", "pair:*other", 4},
		{"ZCARD", "name:*other:clients", 3},
		{"ZCARD", "name:*other", 2},
	};
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int64_t size =
			number_of(ask("%s teredown:{t}:%s", families[i].command, families[i].key));
		if (size < 1 || size > families[i].most)
			fail_msg("%s holds %" PRId64, families[i].key, size);
	}
	static const char *const totals[] = {"clients:queries", "clients:watched", "watch:teredo"};
	for (size_t i = 0; i < 3; i++) {
		redisReply *all = ask("ZRANGE teredown:{t}:%s 0 -1 WITHSCORES", totals[i]);
		int64_t sum = 0;
		for (size_t k = 1; k < all->elements; k += 2)
			sum += strtoll(all->element[k]->str, NULL, 10);
		freeReplyObject(all);
		assert_int_equal(sum, 200);
	}
	assert_true(number_of(ask("HGET teredown:{t}:meta dropped_clients")) > 0);
	assert_true(number_of(ask("HGET teredown:{t}:meta dropped_pairs")) > 0);
	bed_close(&bed);
}

/* Words about a client are kept where it is kept, and make none. */
static void fields_of_known_clients_are_kept(void **state)
{
	const uint8_t octets[4] = {10, 9, 9, 9};
	struct address stranger = address_v4(octets);
	struct bed bed;
	struct answer answer;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	make_answer(&answer, "www.example.", 1);
	struct transaction transaction = transaction_of(&answer, 1, 1);
	count(&bed, &transaction);
	merge(&bed);
	send_all(&bed);
	assert_true(pending_set_field(
		&bed.pending, &transaction.client.address, FIELD_NAME, "desk\"\n.example"));
	assert_true(pending_set_field(
		&bed.pending, &transaction.client.address, FIELD_FORWARDER, "why"));
	assert_true(pending_set_field(&bed.pending, &stranger, FIELD_NAME, "nobody"));
	send_all(&bed);
	assert_text(ask("HGET teredown:{t}:client:10.0.0.1 name"), "desk\"\n.example");
	assert_text(ask("HGET teredown:{t}:client:10.0.0.1 forwarder"), "why");
	assert_int_equal(number_of(ask("EXISTS teredown:{t}:client:10.9.9.9")), 0);
	assert_true(pending_set_field(&bed.pending, &transaction.client.address, FIELD_NAME, ""));
	send_all(&bed);
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:client:10.0.0.1 name")), 0);
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:client:10.0.0.1 forwarder")), 1);
	bed_close(&bed);
}

static void a_failed_command_does_not_stop_the_rest(void **state)
{
	struct bed bed;
	struct answer answer;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	make_answer(&answer, "www.example.", 1);
	struct transaction transaction = transaction_of(&answer, 1, 1);
	run(ask("SET teredown:{t}:client:10.0.0.1 text"));
	run(ask("SET teredown:{t}:name:www.example. text"));
	count(&bed, &transaction);
	merge(&bed);
	redisReply *reply = call(&bed, batch_cut(&bed.batcher, &bed.pending, &bed.now, false));
	assert_string_equal(reply->element[0]->str, "applied");
	assert_true(reply->element[2]->integer >= 2);
	assert_non_null(strstr(reply->element[3]->str, "WRONGTYPE"));
	freeReplyObject(reply);
	assert_text(ask("ZSCORE teredown:{t}:clients:queries 10.0.0.1"), "1");
	assert_text(ask("ZSCORE teredown:{t}:name:www.example.:clients 10.0.0.1"), "1");
	assert_text(ask("HGET teredown:{t}:applied 00000000000000aa"), "1");
	bed_close(&bed);
}

static void an_invalid_batch_writes_nothing(void **state)
{
	struct bed bed;
	struct answer answer;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	make_answer(&answer, "www.example.", 1);
	struct transaction transaction = transaction_of(&answer, 1, 1);
	count(&bed, &transaction);
	merge(&bed);
	struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &bed.now, false);
	size_t argc = batch->argc;
	batch->argc -= 1; /* the last item lacks an argument */
	assert_outcome(call(&bed, batch), "invalid", 1);
	assert_int_equal(number_of(ask("EXISTS teredown:{t}:client:10.0.0.1")), 0);
	assert_text(ask("HGET teredown:{t}:applied 00000000000000aa"),
		"1"); /* the number advanced all the same */
	batch->argc = argc;
	assert_outcome(call(&bed, batch), "duplicate", 0);

	batch->argc = BATCH_ARGV_HEADER + 3;
	redisReply *reply = call(&bed, batch);
	assert_int_equal(reply->type, REDIS_REPLY_ERROR);
	freeReplyObject(reply);
	bed_close(&bed);
}

static void without_memory_nothing_is_half_applied(void **state)
{
	struct bed bed;
	struct answer answer;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	make_answer(&answer, "www.example.", 1);
	struct transaction transaction = transaction_of(&answer, 1, 1);
	count(&bed, &transaction);
	merge(&bed);
	struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &bed.now, false);
	run(ask("CONFIG SET maxmemory 1"));
	redisReply *reply = call(&bed, batch);
	assert_int_equal(reply->type, REDIS_REPLY_ERROR);
	assert_non_null(strstr(reply->str, "OOM"));
	freeReplyObject(reply);
	run(ask("CONFIG SET maxmemory 0"));
	assert_int_equal(number_of(ask("EXISTS teredown:{t}:applied")), 0);
	assert_int_equal(number_of(ask("DBSIZE")), 0);
	assert_outcome(call(&bed, batch), "applied", 0);
	assert_text(ask("HGET teredown:{t}:client:10.0.0.1 queries"), "1");
	bed_close(&bed);
}

static void only_the_last_boots_are_kept(void **state)
{
	struct bed bed;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(bed.batcher.settings.boot, BOOT_TEXT_SIZE, "%016x", i);
		bed.now.wall_us += US_PER_S;
		struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &bed.now, true);
		assert_outcome(call(&bed, batch), "applied", 0);
		assert_true(batch_acknowledged(&bed.batcher, batch->number));
	}
	assert_int_equal(number_of(ask("HLEN teredown:{t}:applied")), 64);
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:applied %016x", 99)), 1);
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:applied %016x", 35)), 0);
	bed_close(&bed);
}

/* Takes, renews or gives back the lease. */
static redisReply *lease(struct bed *bed, const char *instance, int ms)
{
	return ask("EVALSHA %s 1 teredown:{t}:applied %s boot-of-%s %d", bed->sha, instance,
		instance, ms);
}

static void a_lease_ends(void **state)
{
	struct bed bed;
	(void)state;

	bed_open(&bed, &batch_bounds_default);
	assert_outcome(lease(&bed, "aa", 60000), "lease", 0);
	redisReply *reply = lease(&bed, "bb", 60000);
	assert_int_equal(reply->type, REDIS_REPLY_ERROR);
	assert_string_equal(reply->str, "FENCED boot-of-aa");
	freeReplyObject(reply);
	struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &bed.now, true);
	reply = call(&bed, batch); /* without an instance one is nobody's friend */
	assert_int_equal(reply->type, REDIS_REPLY_ERROR);
	freeReplyObject(reply);
	assert_int_equal(number_of(ask("EXISTS teredown:{t}:applied")), 0);
	assert_outcome(lease(&bed, "aa", 60000), "lease", 0); /* renewed */

	/* Expired by Redis's clock; or given before that stepped back by days. */
	run(ask("HSET teredown:{t}:meta lease_until 1000"));
	assert_outcome(lease(&bed, "bb", 60000), "lease", 0);
	run(ask("HSET teredown:{t}:meta lease_until 99999999999999"));
	assert_outcome(lease(&bed, "aa", 60000), "lease", 0);
	assert_outcome(lease(&bed, "aa", 0), "lease", 0); /* given back */
	assert_outcome(call(&bed, batch), "applied", 0);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_field_of_the_schema, redis_empty),
		cmocka_unit_test_setup(later_batches_merge, redis_empty),
		cmocka_unit_test_setup(a_closed_hour_gets_one_entry, redis_empty),
		cmocka_unit_test_setup(bounds_hold_and_totals_stay_exact, redis_empty),
		cmocka_unit_test_setup(fields_of_known_clients_are_kept, redis_empty),
		cmocka_unit_test_setup(a_failed_command_does_not_stop_the_rest, redis_empty),
		cmocka_unit_test_setup(an_invalid_batch_writes_nothing, redis_empty),
		cmocka_unit_test_setup(without_memory_nothing_is_half_applied, redis_empty),
		cmocka_unit_test_setup(only_the_last_boots_are_kept, redis_empty),
		cmocka_unit_test_setup(a_lease_ends, redis_empty),
	};

	return redis_is_installed() ? cmocka_run_group_tests(tests, redis_open, redis_close)
				    : TEST_SKIPPED;
}
