/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What waits, and batches: a model of the script takes them over resends and lost acknowledgements,
 * and must end with exactly what was answered.
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

#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"
#include "tests/unit/answers.h"
#include "tests/unit/script_model.h"

static const struct hash_seed seed = {.k0 = 1, .k1 = 2};

#define NOON INT64_C(1700049600000000) /* 2023-11-15 12:00:00 UTC */
#define NOON_HOUR (NOON / US_PER_HOUR)

/* --- questions and answers --- */

struct question {
	struct answer answer;
	char text[64], owner[64];
	unsigned addresses;
	uint8_t tail; /* last octet of the first address */
};

static void make_question(struct question *question, unsigned number, unsigned addresses)
{
	snprintf(question->text, sizeof(question->text), "n%u.example.", number);
	snprintf(question->owner, sizeof(question->owner),
		addresses && number % 3 == 0 ? "cdn%u.example." : "n%u.example.", number);
	question->tail = (uint8_t)(number % 40); /* names share addresses */
	question->addresses = addresses;
	make_reply(&question->answer, question->text, RCODE_NOERROR, question->owner,
		question->tail, addresses);
}

struct bed {
	struct zone_ids zones;
	struct pending pending;
	struct batcher batcher;
	struct redis redis;
	struct tally *tally;
	struct map *truth;
};

static const struct pending_limits wide = {
	.clients = 10000, .tops = 10000, .details = 100000, .lines = 1000, .line_bytes = 100000};

static void bed_open(struct bed *bed, const struct pending_limits *limits)
{
	struct batch_settings settings = {
		.resolver_name = "test",
		.version = "1",
		.boot = "0123456789abcdef",
		.zones = &bed->zones,
		.started_us = NOON,
		.retention_days = 8,
		.pair_retention_days = 30,
		.bounds = batch_bounds_default,
	};

	memset(bed, 0, sizeof(*bed));
	zone_ids_init(&bed->zones);
	assert_int_equal(zone_ids_add(&bed->zones, "teredo"), 0);
	assert_int_equal(zone_ids_add(&bed->zones, "isatap"), 1);
	assert_int_equal(zone_ids_add(&bed->zones, "teredo"), 0);
	pending_init(&bed->pending, limits, &seed);
	assert_true(batcher_init(&bed->batcher, &settings));
	bed->tally = tally_new();
	bed->truth = calloc(1, sizeof(*bed->truth));
	bed->redis.map = calloc(1, sizeof(*bed->redis.map));
	bed->pending.teredo = 0;
	assert_true(bed->tally && bed->truth && bed->redis.map);
}

static void bed_close(struct bed *bed)
{
	tally_free(bed->tally);
	batcher_deinit(&bed->batcher);
	pending_deinit(&bed->pending);
	zone_ids_deinit(&bed->zones);
	map_free(bed->truth);
	map_free(bed->redis.map);
}

/* Times are in milliseconds there. */
static void add_told_truth(struct map *truth, const char *client, int64_t wall_us)
{
	uint64_t ms = (uint64_t)(wall_us / 1000), *time;
	char key[ADDRESS_TEXT_MAX + 8];

	snprintf(key, sizeof(key), "sf %s", client);
	time = map_at(truth, key);
	*time = *time && *time < ms ? *time : ms;
	snprintf(key, sizeof(key), "sl %s", client);
	time = map_at(truth, key);
	*time = *time > ms ? *time : ms;
}

static void add_truth(struct map *truth, const struct question *question,
	const struct transaction *transaction, int64_t wall_us)
{
	char client[ADDRESS_TEXT_MAX], address[ADDRESS_TEXT_MAX];
	int64_t hour = wall_us / US_PER_HOUR;
	bool hit = transaction->action != TRANSACTION_NONE;
	const char *counters[] = {"queries", question->addresses ? "noerror" : "nodata",
		transaction->action == TRANSACTION_BLOCK ? "blocked" : "cached",
		transaction->action == TRANSACTION_WATCH ? "watched" : NULL};

	address_to_text(&transaction->client.address, client);
	for (size_t i = 0; i < 4 && counters[i]; i++) {
		map_add(truth, 1, "c %s %" PRId64 " %s", client, hour, counters[i]);
		map_add(truth, 1, "h %" PRId64 " %s", hour, counters[i]);
	}
	map_add(truth, 1, "q %s %s %" PRId64, client, question->text, hour);
	map_add(truth, hit, "qh %s %s %" PRId64, client, question->text, hour);
	map_add(truth, 1, "d %" PRId64 " %s", hour / 24, question->text);
	if (hit)
		map_add(truth, 1, "z %s %s", transaction->zone ? "isatap" : "teredo", client);
	if (hit)
		map_add(truth, 1, "r %s %s", transaction->zone ? "isatap" : "teredo",
			transaction->rule ? transaction->rule : "*other");
	if (transaction->zone == 0 && transaction->action == TRANSACTION_WATCH &&
		question->addresses)
		add_told_truth(truth, client, wall_us);
	for (unsigned i = 0; i < question->addresses; i++) {
		struct address told =
			address_v4((const uint8_t[]){192, 0, 2, (uint8_t)(question->tail + i)});
		address_to_text(&told, address);
		map_add(truth, 1, "p %s %s %s %s", address, client, question->text,
			question->owner);
		map_add(truth, 1, "t %s %" PRId64, address, hour);
	}
}

/* Sends what batch_cut gives some times; loses some acknowledgements; a batch that is not
 * acknowledged must come again, octet for octet. */
static bool send_one(struct bed *bed, const struct now *now, unsigned chance)
{
	struct batch *batch = batch_cut(&bed->batcher, &bed->pending, now, false);
	if (!batch)
		return false;
	uint64_t digest = hash_bytes(&seed, batch->text.data, batch->text.length);
	uint64_t number = batch->number;

	if (chance % 5 == 0) /* lost on the way there */
		return true;
	redis_call(&bed->redis, batch);
	if (chance % 5 == 1) { /* lost on the way back: sent again */
		assert_ptr_equal(batch_cut(&bed->batcher, &bed->pending, now, false), batch);
		assert_int_equal(batch->number, number);
		assert_true(hash_bytes(&seed, batch->text.data, batch->text.length) == digest);
		redis_call(&bed->redis, batch);
	}
	assert_false(batch_acknowledged(&bed->batcher, number + 1));
	assert_true(batch_acknowledged(&bed->batcher, number));
	assert_false(batch_acknowledged(&bed->batcher, number));
	return true;
}

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

#define QUESTIONS 200

static void sums_are_exact_over_resends(void **state)
{
	static const char *const rules[] = {
		"a.example.", "*.example.", "32.zz.2001.rpz-ip.", "win*.example.", NULL};
	static struct question questions[QUESTIONS];
	struct bed bed;
	uint32_t random = 42;
	uint64_t answered = 0;
	(void)state;

	bed_open(&bed, &wide);
	for (unsigned i = 0; i < QUESTIONS; i++)
		make_question(&questions[i], i, i % 5);
	struct now now = {.wall_us = NOON};
	for (unsigned round = 0; round < 40; round++) {
		now.wall_us += (int64_t)(random_next(&random) % 9) * 60 * US_PER_S;
		for (unsigned i = 0; i < 700; i++, answered++) {
			unsigned which = random_next(&random) % QUESTIONS;
			struct question *question = &questions[which];
			struct transaction transaction = transaction_of(&question->answer,
				random_next(&random) % 50, question->addresses ? which + 1 : 0);
			transaction.action =
				which % 7 == 0 ? random_next(&random) % 3 : TRANSACTION_NONE;
			if (transaction.action != TRANSACTION_NONE)
				transaction.zone = which % 2;
			/* Of the same name now this rule, now that one: the zone was loaded anew. */
			if (transaction.action != TRANSACTION_NONE)
				transaction.rule = rules[random_next(&random) % 5];
			tally_add(bed.tally, &seed, &transaction, now.wall_us);
			add_truth(bed.truth, question, &transaction, now.wall_us);
		}
		assert_int_equal(bed.tally->details_dropped, 0);
		pending_merge(&bed.pending, bed.tally);
		tally_clear(bed.tally);
		for (unsigned sends = random_next(&random) % 4; sends > 0; sends--)
			send_one(&bed, &now, random_next(&random));
		uint64_t frozen = bed.batcher.frozen ? bed.batcher.batch->queries : 0;
		assert_int_equal(
			bed.batcher.applied_queries + frozen + bed.pending.queries, answered);
	}
	while (send_one(&bed, &now, random_next(&random)))
		;
	assert_int_equal(bed.redis.queries, answered);
	assert_int_equal(bed.batcher.applied_queries, answered);
	assert_true(bed.redis.duplicates > 10);
	assert_true(bed.redis.applied > 20);
	assert_maps_equal(bed.truth, bed.redis.map);
	assert_int_equal(bed.pending.table.count, 0);
	assert_int_equal(bed.pending.details_dropped, 0);
	bed_close(&bed);
}

static void merges_while_nothing_is_sent(void **state)
{
	struct question question;
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	make_question(&question, 1, 2);
	struct transaction transaction = transaction_of(&question.answer, 1, 1);
	for (unsigned i = 0; i < 1000; i++) {
		tally_add(bed.tally, &seed, &transaction, NOON + i);
		pending_merge(&bed.pending, bed.tally);
		tally_clear(bed.tally);
	}
	/* a client, a top name, a query, two pairs, two timelines */
	assert_int_equal(bed.pending.table.count, 7);
	assert_int_equal(bed.pending.queries, 1000);
	struct batch *batch =
		batch_cut(&bed.batcher, &bed.pending, &(struct now){.wall_us = NOON}, false);
	redis_call(&bed.redis, batch);
	assert_int_equal(
		*map_at(bed.redis.map, "p 192.0.2.1 10.0.0.1 n1.example. n1.example."), 1000);
	bed_close(&bed);
}

static bool arg_is(const struct batch *batch, size_t at, const char *text)
{
	return batch->lengths[at] == strlen(text) &&
	       memcmp(batch->argv[at], text, batch->lengths[at]) == 0;
}

/* The place of an item "m" with this field and text; 0: there is none. */
static size_t find_field(const struct batch *batch, const char *field, const char *text)
{
	for (size_t at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT; at + 3 < batch->argc; at++) {
		if (arg_is(batch, at, "m") && arg_is(batch, at + 1, "10.0.0.1") &&
			arg_is(batch, at + 2, field) && arg_is(batch, at + 3, text))
			return at;
	}
	return 0;
}

/* The place of an item "s" of the client 10.0.0.1; 0: there is none. */
static size_t find_told(const struct batch *batch)
{
	for (size_t at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT; at + 4 < batch->argc; at++)
		if (arg_is(batch, at, "s") && arg_is(batch, at + 1, "10.0.0.1"))
			return at;
	return 0;
}

static void tell(struct bed *bed, const char *name, unsigned address,
	enum transaction_action action, uint16_t zone, int64_t wall_us)
{
	struct answer answer;

	make_answer(&answer, name, address);
	struct transaction transaction = transaction_of(&answer, 1, address);
	transaction.action = action;
	transaction.zone = zone;
	transaction.rule = "rule.";
	tally_add(bed->tally, &seed, &transaction, wall_us);
	pending_merge(&bed->pending, bed->tally);
	tally_clear(bed->tally);
}

/* First and last time that a server was told, and the server told last, in whatever order tallies come;
 * a denied question, an answer without an address and another zone's tell none. */
static void told_a_teredo_server(void **state)
{
	const struct now now = {.wall_us = NOON};
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	tell(&bed, "a.", 1, TRANSACTION_NONE, ZONE_ID_NONE, NOON);
	tell(&bed, "b.", 2, TRANSACTION_BLOCK, 0, NOON);
	tell(&bed, "c.", 3, TRANSACTION_WATCH, 1, NOON);
	tell(&bed, "d.", 0, TRANSACTION_WATCH, 0, NOON);
	struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &now, false);
	assert_int_equal(find_told(batch), 0);
	assert_true(batch_acknowledged(&bed.batcher, batch->number));
	while ((batch = batch_cut(&bed.batcher, &bed.pending, &now, false)) != NULL)
		assert_true(batch_acknowledged(&bed.batcher, batch->number));

	tell(&bed, "e.", 5, TRANSACTION_WATCH, 0, NOON + 5000);
	tell(&bed, "g.", 7, TRANSACTION_WATCH, 0, NOON + 9000);
	tell(&bed, "f.", 6, TRANSACTION_WATCH, 0, NOON + 2000);
	batch = batch_cut(&bed.batcher, &bed.pending, &now, false);
	size_t at = find_told(batch);
	char first[24], last[24];
	snprintf(first, sizeof(first), "%" PRId64, NOON / 1000 + 2);
	snprintf(last, sizeof(last), "%" PRId64, NOON / 1000 + 9);
	assert_true(at && arg_is(batch, at + 2, first) && arg_is(batch, at + 3, last) &&
		    arg_is(batch, at + 4, "192.0.2.7"));
	bed_close(&bed);
}

/* What finds no room is one of the zone's others, and so is a rule without a text or with a huge one. */
static void hits_of_rules_are_all_counted(void **state)
{
	static const struct pending_limits narrow = {
		.clients = 10, .tops = 5, .details = 20, .lines = 3, .line_bytes = 100};
	char rule[TALLY_RULE_MAX + 2], key[300];
	uint64_t named = 0;
	struct answer answer;
	struct bed bed;
	(void)state;

	bed_open(&bed, &narrow);
	make_answer(&answer, "a.", 0);
	struct transaction transaction = transaction_of(&answer, 1, 0);
	transaction.action = TRANSACTION_BLOCK;
	transaction.zone = 1;
	for (unsigned i = 0; i < 400; i++) {
		snprintf(rule, sizeof(rule), "r%u.", i % 100);
		transaction.rule = rule;
		tally_add(bed.tally, &seed, &transaction, NOON);
	}
	transaction.rule = NULL;
	tally_add(bed.tally, &seed, &transaction, NOON);
	memset(rule, 'x', sizeof(rule));
	rule[sizeof(rule) - 1] = '\0';
	transaction.rule = rule;
	tally_add(bed.tally, &seed, &transaction, NOON);
	rule[TALLY_RULE_MAX] = '\0';
	pending_merge(&bed.pending, bed.tally);
	struct now now = {.wall_us = NOON};
	while (send_one(&bed, &now, 4))
		;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "r isatap r%u.", i);
		named += *map_at(bed.redis.map, key);
	}
	assert_true(named > 0 && named < 400);
	assert_int_equal(named + *map_at(bed.redis.map, "r isatap *other"), 402);

	tally_clear(bed.tally);
	tally_add(bed.tally, &seed, &transaction, NOON);
	pending_merge(&bed.pending, bed.tally);
	while (send_one(&bed, &now, 4))
		;
	snprintf(key, sizeof(key), "r isatap %s", rule);
	assert_int_equal(*map_at(bed.redis.map, key), 1);
	bed_close(&bed);
}

/* Of a client's field the newest text is sent, whatever its length. */
static void newest_field_is_sent(void **state)
{
	const uint8_t octets[4] = {10, 0, 0, 1};
	struct address client = address_v4(octets);
	char text[PENDING_FIELD_MAX + 20];
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_true(pending_set_field(&bed.pending, &client, FIELD_NAME, "first"));
	assert_true(pending_set_field(&bed.pending, &client, FIELD_NAME, "second"));
	assert_true(pending_set_field(&bed.pending, &client, FIELD_FORWARDER, text));
	struct batch *batch =
		batch_cut(&bed.batcher, &bed.pending, &(struct now){.wall_us = NOON}, false);
	assert_non_null(batch);
	assert_true(find_field(batch, "name", "second"));
	assert_false(find_field(batch, "name", "first"));
	text[PENDING_FIELD_MAX] = '\0';
	assert_true(find_field(batch, "forwarder", text));
	assert_true(batch_acknowledged(&bed.batcher, batch->number));

	assert_true(pending_set_field(&bed.pending, &client, FIELD_NAME, ""));
	batch = batch_cut(&bed.batcher, &bed.pending, &(struct now){.wall_us = NOON}, false);
	assert_true(find_field(batch, "name", ""));
	assert_true(pending_is_empty(&bed.pending));
	bed_close(&bed);
}

/* The number of items "g", and the value of this gauge in the last one. */
static size_t find_gauge(const struct batch *batch, const char *name, const char *value)
{
	size_t count = 0;
	bool found = false;

	for (size_t at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT; at + 1 < batch->argc; at++) {
		count += arg_is(batch, at, "g");
		found |= arg_is(batch, at, name) && arg_is(batch, at + 1, value);
	}
	return found ? count : 0;
}

/* Gauges merge to the newest, are no reason to wait at the end, and go once. */
static void newest_gauges_are_sent(void **state)
{
	const struct now now = {.wall_us = NOON};
	struct gauges gauges = {0};
	struct endpoint server;
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	assert_int_equal(endpoint_from_text(&server, "192.0.2.1", 53), TD_OK);
	gauges_add_upstream(&gauges, &server, "ok");
	gauges_add_upstream(&gauges, &server, "backoff");
	assert_string_equal(gauges.upstreams, "192.0.2.1:53=ok 192.0.2.1:53=backoff");
	gauges_add(&gauges, "received", 7);
	pending_set_gauges(&bed.pending, &gauges);
	struct gauges newer = gauges;
	newer.values[0].value = 8;
	assert_false(gauges_equal(&gauges, &newer));
	gauges_add(&newer, "huge", UINT64_MAX);
	gauges_add_text(&newer, "latency_cached", "1 2 3");
	newer.values[0].value = 7;
	newer.count = gauges.count;
	assert_false(gauges_equal(&gauges, &newer));
	newer.values[0].value = 8;
	newer.count = gauges.count + 1;
	pending_set_gauges(&bed.pending, &newer);
	assert_true(pending_is_empty(&bed.pending));
	assert_null(batch_cut(&bed.batcher, &bed.pending, &now, false));

	struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &now, true);
	assert_int_equal(find_gauge(batch, "received", "8"), 1);
	assert_int_equal(find_gauge(batch, "huge", "999999999999999"), 1);
	assert_int_equal(find_gauge(batch, gauges.upstreams, "2"), 1);
	assert_int_equal(find_gauge(batch, "latency_cached", "1 2 3"), 1);
	assert_false(bed.pending.gauges_changed);
	assert_true(batch_acknowledged(&bed.batcher, batch->number));

	pending_add_line(&bed.pending, STREAM_EVENTS, NOON, "{}", 2);
	batch = batch_cut(&bed.batcher, &bed.pending, &now, false);
	assert_int_equal(find_gauge(batch, "received", "8"), 0);
	assert_true(batch_acknowledged(&bed.batcher, batch->number));
	batch = batch_cut(&bed.batcher, &bed.pending, &now, true);
	assert_int_equal(find_gauge(batch, "received", "8"), 1);

	for (size_t i = 0; i < 2 * (size_t)GAUGES_MAX; i++) {
		gauges_add(&gauges, "x", i);
		gauges_add_upstream(&gauges, &server, "ok");
	}
	assert_int_equal(gauges.count, GAUGES_MAX);
	for (size_t i = 0; i < 2 * (size_t)GAUGE_TEXTS_MAX; i++)
		gauges_add_text(&gauges, "x", "");
	assert_int_equal(gauges.text_count, GAUGE_TEXTS_MAX);
	bed_close(&bed);
}

static void overflow_goes_to_other_or_is_counted(void **state)
{
	static const struct pending_limits narrow = {
		.clients = 10, .tops = 5, .details = 50, .lines = 3, .line_bytes = 100};
	struct question question;
	struct bed bed;
	(void)state;

	bed_open(&bed, &narrow);
	for (unsigned i = 0; i < 400; i++) {
		make_question(&question, i % 100, 0);
		struct transaction transaction = transaction_of(&question.answer, i % 40, 0);
		tally_add(bed.tally, &seed, &transaction, NOON);
	}
	pending_merge(&bed.pending, bed.tally);
	assert_int_equal(bed.pending.queries, 400);
	assert_true(bed.pending.details.count <= 50);
	assert_true(bed.pending.clients.count <= 11);
	assert_int_equal(bed.pending.sketch.count, 5);
	assert_int_equal(bed.pending.others.count, 1);
	assert_true(bed.pending.details_dropped > 0);
	struct now now = {.wall_us = NOON};
	while (send_one(&bed, &now, 4))
		;
	assert_int_equal(bed.redis.queries, 400);
	char key[64];
	snprintf(key, sizeof(key), "h %" PRId64 " queries", (int64_t)NOON_HOUR);
	assert_int_equal(*map_at(bed.redis.map, key), 400);
	snprintf(key, sizeof(key), "c *other %" PRId64 " queries", (int64_t)NOON_HOUR);
	assert_int_equal(*map_at(bed.redis.map, key), 300);
	uint64_t tops = 0;
	for (size_t i = 0; i < MAP_SLOTS; i++) {
		if (bed.redis.map->slots[i].key && bed.redis.map->slots[i].key[0] == 'd')
			tops += bed.redis.map->slots[i].value;
	}
	assert_int_equal(tops, 400);
	bed_close(&bed);
}

/* It would make a batch that the journal cannot take. */
static void a_monstrous_line_is_dropped_alone(void **state)
{
	static char line[PENDING_LINE_MAX + 1];
	struct pending_limits lines = {.lines = 10, .line_bytes = 4 * sizeof(line)};
	struct pending pending;
	(void)state;

	memset(line, 'x', sizeof(line));
	pending_init(&pending, &lines, &seed);
	pending_add_line(&pending, STREAM_TRANSACTIONS, NOON, line, sizeof(line) - 1);
	pending_add_line(&pending, STREAM_TRANSACTIONS, NOON, line, sizeof(line));
	assert_int_equal(pending.line_count, 1);
	assert_int_equal(pending.lines_dropped, 1);
	pending_deinit(&pending);
}

static void oldest_lines_go(void **state)
{
	static const struct pending_limits narrow = {
		.clients = 1, .tops = 1, .details = 1, .lines = 3, .line_bytes = 30};
	struct bed bed;
	(void)state;

	bed_open(&bed, &narrow);
	for (unsigned i = 0; i < 5; i++) {
		char line[16];
		int length = snprintf(line, sizeof(line), "{\"n\":%u}", i);
		pending_add_line(&bed.pending, STREAM_TRANSACTIONS, NOON, line, (size_t)length);
	}
	assert_int_equal(bed.pending.line_count, 3);
	assert_int_equal(bed.pending.lines_dropped, 2);
	assert_memory_equal(bed.pending.lines->json, "{\"n\":2}", 7);
	pending_add_line(
		&bed.pending, STREAM_EVENTS, NOON, "{\"a line of thirty octets\":1234}", 31);
	assert_int_equal(bed.pending.line_count,
		0); /* what fits nowhere pushes all out and is dropped itself */
	assert_int_equal(bed.pending.lines_dropped, 6);
	pending_add_line(&bed.pending, STREAM_EVENTS, NOON, "{}", 2);
	struct now now = {.wall_us = NOON};
	assert_true(send_one(&bed, &now, 4));
	assert_int_equal(bed.redis.lines, 1);
	assert_true(pending_is_empty(&bed.pending));
	bed_close(&bed);
}

static void batches_are_bounded(void **state)
{
	struct question question;
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	struct now now = {.wall_us = NOON};
	for (unsigned i = 0; i < 3000; i++) {
		make_question(&question, i, 1);
		struct transaction transaction = transaction_of(&question.answer, i % 900, i + 1);
		tally_add(bed.tally, &seed, &transaction, NOON);
	}
	pending_merge(&bed.pending, bed.tally);
	for (struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &now, false); batch;
		batch = batch_cut(&bed.batcher, &bed.pending, &now, false)) {
		assert_true(batch->items <= BATCH_ITEMS_MAX);
		assert_true(batch->text.length <= BATCH_BYTES_MAX + 32768);
		assert_true(batch->argc <= BATCH_ARGS_MAX);
		redis_call(&bed.redis, batch);
		assert_true(batch_acknowledged(&bed.batcher, batch->number));
	}
	assert_true(bed.redis.applied >= (900 + 4 * 3000) / BATCH_ITEMS_MAX);
	assert_int_equal(bed.redis.queries, 3000);
	bed_close(&bed);
}

static void an_hour_is_closed_when_all_of_it_is_cut(void **state)
{
	struct question question;
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	make_question(&question, 1, 1);
	struct now now = {.wall_us = NOON + 2 * US_PER_HOUR + 30 * US_PER_S};
	assert_null(batch_cut(&bed.batcher, &bed.pending, &now, false));
	struct batch *batch = batch_cut(&bed.batcher, &bed.pending, &now, true);
	assert_non_null(batch);
	redis_call(&bed.redis, batch);
	assert_int_equal(
		bed.redis.closed_hour, NOON_HOUR); /* not the one that ended 30 seconds ago */
	assert_true(batch_acknowledged(&bed.batcher, 1));

	for (unsigned i = 0; i < 1000; i++) {
		struct transaction transaction = transaction_of(&question.answer, i, 1);
		tally_add(bed.tally, &seed, &transaction, NOON + US_PER_HOUR);
	}
	pending_merge(&bed.pending, bed.tally);
	now.wall_us += US_PER_HOUR;
	redis_call(&bed.redis, batch_cut(&bed.batcher, &bed.pending, &now, false));
	assert_int_equal(bed.redis.closed_hour, NOON_HOUR); /* more of it is to come */
	assert_true(batch_acknowledged(&bed.batcher, 2));
	while (send_one(&bed, &now, 4))
		;
	assert_int_equal(bed.redis.closed_hour, NOON_HOUR + 1);
	bed_close(&bed);
}

/* A worker hands over the last of an hour when another has already begun the next one. */
static void what_comes_late_keeps_its_hour_open(void **state)
{
	struct question question;
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	make_question(&question, 1, 1);
	for (unsigned late = 0; late < 2; late++) {
		for (unsigned i = 0; i < 100; i++) {
			struct transaction transaction =
				transaction_of(&question.answer, late * 100 + i, 1);
			tally_add(bed.tally, &seed, &transaction,
				late ? NOON : NOON + US_PER_HOUR);
		}
		pending_merge(&bed.pending, bed.tally);
		tally_clear(bed.tally);
	}
	struct now now = {.wall_us = NOON + 3 * US_PER_HOUR};
	while (bed.pending.clients.count > 0) {
		assert_in_range(bed.redis.closed_hour, 0, NOON_HOUR - 1);
		assert_true(send_one(&bed, &now, 4));
	}
	assert_int_equal(bed.redis.closed_hour, NOON_HOUR + 1);
	bed_close(&bed);
}

/* Through the journal and back: the same octets. Anything shorter, longer or of another version is
 * told. */
static void a_saved_batch_is_the_same(void **state)
{
	struct batch *copy = calloc(1, sizeof(*copy));
	struct question question;
	struct strbuf saved;
	struct bed bed;
	(void)state;

	bed_open(&bed, &wide);
	assert_non_null(copy);
	strbuf_init(&copy->text);
	strbuf_init(&saved);
	make_question(&question, 1, 2);
	struct transaction transaction = transaction_of(&question.answer, 1, 1);
	tally_add(bed.tally, &seed, &transaction, NOON);
	pending_merge(&bed.pending, bed.tally);
	struct batch *batch =
		batch_cut(&bed.batcher, &bed.pending, &(struct now){.wall_us = NOON}, false);
	assert_string_equal(batch->boot, "0123456789abcdef");
	batch->argv[BATCH_ARGV_SHA] = "filled by a sender"; /* which is not saved */
	batch->lengths[BATCH_ARGV_SHA] = 18;
	batch_save(batch, &saved);
	assert_int_equal(batch_load(copy, saved.data, saved.length), TD_OK);
	assert_int_equal(copy->argc, batch->argc);
	assert_int_equal(copy->lengths[BATCH_ARGV_SHA], 0);
	for (size_t i = BATCH_ARGV_KEYS; i < batch->argc; i++) {
		assert_int_equal(copy->lengths[i], batch->lengths[i]);
		assert_memory_equal(copy->argv[i], batch->argv[i], batch->lengths[i]);
	}
	for (size_t size = 0; size < saved.length; size++)
		assert_int_equal(batch_load(copy, saved.data, size), TD_MALFORMED);
	strbuf_append_char(&saved, 'x');
	assert_int_equal(batch_load(copy, saved.data, saved.length), TD_MALFORMED);
	saved.data[0]++;
	assert_int_equal(batch_load(copy, saved.data, saved.length), TD_UNSUPPORTED);
	strbuf_deinit(&saved);
	strbuf_deinit(&copy->text);
	free(copy);
	bed_close(&bed);
}

static void zone_numbers_run_out(void **state)
{
	struct zone_ids zones;
	char name[16];
	(void)state;

	zone_ids_init(&zones);
	for (unsigned i = 0; i < ZONE_IDS_MAX; i++) {
		snprintf(name, sizeof(name), "zone%u", i);
		assert_int_equal(zone_ids_add(&zones, name), i);
	}
	assert_int_equal(zone_ids_add(&zones, "more"), ZONE_ID_NONE);
	assert_int_equal(zone_ids_add(&zones, "zone7"), 7);
	assert_string_equal(zone_ids_name(&zones, 7), "zone7");
	assert_null(zone_ids_name(&zones, ZONE_ID_NONE));
	zone_ids_deinit(&zones);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_exact_over_resends),
		cmocka_unit_test(merges_while_nothing_is_sent),
		cmocka_unit_test(newest_field_is_sent),
		cmocka_unit_test(told_a_teredo_server),
		cmocka_unit_test(hits_of_rules_are_all_counted),
		cmocka_unit_test(newest_gauges_are_sent),
		cmocka_unit_test(overflow_goes_to_other_or_is_counted),
		cmocka_unit_test(oldest_lines_go),
		cmocka_unit_test(a_monstrous_line_is_dropped_alone),
		cmocka_unit_test(batches_are_bounded),
		cmocka_unit_test(an_hour_is_closed_when_all_of_it_is_cut),
		cmocka_unit_test(what_comes_late_keeps_its_hour_open),
		cmocka_unit_test(a_saved_batch_is_the_same),
		cmocka_unit_test(zone_numbers_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
