/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heavy hitters of known error, from the tally to the batches: over a Zipf stream, a stream made to
 * evict what is heavy, and one with days that meet, every name above N/K is there, its true count
 * lies between count and estimate, and the sum is exact. Batches are cut at random moments, and
 * the receiver adds up as script.lua does, without a bound of its own.
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

#include "lib/dns/name.h"
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"

#define NOON INT64_C(1700049600000000) /* 2023-11-15 12:00:00 UTC */
#define NAMES 40000
#define KEPT 200 /* of a generation */

static const struct hash_seed seed = {.k0 = 5, .k1 = 6};

struct bed {
	struct zone_ids zones;
	struct pending pending;
	struct batcher batcher;
	struct tally *tally;
	struct now now;
	uint64_t queries, truth[NAMES];
	uint64_t counted[NAMES], weight[NAMES], other, missed;
	unsigned batches;
};

static void bed_open(struct bed *bed, size_t kept)
{
	const struct pending_limits limits = {
		.clients = 10, .tops = kept, .details = 10, .lines = 1, .line_bytes = 1};
	struct batch_settings settings = {.resolver_name = "t",
		.version = "1",
		.boot = "0123456789abcdef",
		.zones = &bed->zones,
		.bounds = batch_bounds_default};

	memset(bed, 0, sizeof(*bed));
	bed->now.wall_us = NOON;
	zone_ids_init(&bed->zones);
	pending_init(&bed->pending, &limits, &seed);
	assert_true(batcher_init(&bed->batcher, &settings));
	bed->tally = tally_new();
	assert_non_null(bed->tally);
}

static void bed_close(struct bed *bed)
{
	tally_free(bed->tally);
	batcher_deinit(&bed->batcher);
	pending_deinit(&bed->pending);
	zone_ids_deinit(&bed->zones);
}

static const char *argument(const struct batch *batch, size_t at, char out[64])
{
	snprintf(out, 64, "%.*s", (int)batch->lengths[at], batch->argv[at]);
	return out;
}

static void receive_top(struct bed *bed, const struct batch *batch, size_t at)
{
	char text[64];
	uint64_t count = strtoull(argument(batch, at + 3, text), NULL, 10);
	uint64_t weight = strtoull(argument(batch, at + 4, text), NULL, 10);
	unsigned name;

	argument(batch, at + 2, text);
	if (strcmp(text, "*other") == 0) {
		bed->other += count;
		bed->missed += weight;
	} else {
		assert_int_equal(sscanf(text, "n%u.example.", &name), 1);
		bed->counted[name] += count;
		bed->weight[name] += weight;
	}
}

/* Names are the only arguments of these batches that are "n" by themselves. */
static bool send_one(struct bed *bed)
{
	struct batch *batch = batch_cut(&bed->batcher, &bed->pending, &bed->now, false);

	if (!batch)
		return false;
	for (size_t at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT; at < batch->argc; at++) {
		if (batch->lengths[at] == 1 && batch->argv[at][0] == 'n')
			receive_top(bed, batch, at);
	}
	bed->batches++;
	return batch_acknowledged(&bed->batcher, batch->number);
}

static void merge(struct bed *bed)
{
	pending_merge(&bed->pending, bed->tally);
	tally_clear(bed->tally);
}

static void ask(struct bed *bed, unsigned number)
{
	static const uint8_t reply[12];
	static struct name name;
	char text[32];
	int length = snprintf(text, sizeof(text), "n%u.example.", number);

	assert_int_equal(name_from_text(&name, text, (size_t)length), TD_OK);
	struct transaction transaction = {
		.client = {.address = address_v4((const uint8_t[]){10, 0, 0, 1})},
		.qname = name.wire,
		.qname_length = name.length,
		.reply = reply,
		.reply_length = sizeof(reply),
		.zone = ZONE_ID_NONE};
	if (tally_wants_handover(bed->tally) || !tally_is_hour(bed->tally, bed->now.wall_us))
		merge(bed);
	tally_add(bed->tally, &seed, &transaction, bed->now.wall_us);
	bed->truth[number]++;
	bed->queries++;
}

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void assert_sum(struct bed *bed)
{
	uint64_t sum = 0;

	merge(bed);
	while (send_one(bed))
		;
	for (unsigned i = 0; i < NAMES; i++)
		sum += bed->counted[i];
	assert_int_equal(sum + bed->other, bed->queries);
	assert_int_equal(bed->pending.table.count, 0);
}

/* Returns how many names it looked at closely: those above N/K. */
static unsigned assert_bounds(const struct bed *bed, uint64_t kept)
{
	unsigned heavy = 0;

	/* Every generation adds at most its own N/K. */
	assert_true(bed->missed <= bed->queries / kept);
	for (unsigned i = 0; i < NAMES; i++) {
		assert_true(bed->counted[i] <= bed->truth[i]);
		if (bed->truth[i] > bed->weight[i] + bed->missed)
			fail_msg("name %u: %" PRIu64 " asked, at most %" PRIu64, i, bed->truth[i],
				bed->weight[i] + bed->missed);
		if (bed->truth[i] <= bed->queries / kept)
			continue;
		heavy++;
		assert_true(bed->counted[i] > 0);
	}
	return heavy;
}

static void zipf_stream(void **state)
{
	static struct bed bed;
	static double up_to[NAMES];
	uint32_t random = 11;
	double sum = 0;
	(void)state;

	bed_open(&bed, KEPT);
	for (unsigned i = 0; i < NAMES; i++) {
		sum += 1.0 / (i + 1);
		up_to[i] = sum;
	}
	for (unsigned i = 0; i < 200000; i++) {
		double point = random_next(&random) / 16777216.0 * sum;
		unsigned low = 0, high = NAMES - 1;
		while (low < high) {
			unsigned middle = (low + high) / 2;
			if (up_to[middle] < point)
				low = middle + 1;
			else
				high = middle;
		}
		ask(&bed, low);
		if (random_next(&random) % 2000 == 0) {
			merge(&bed);
			for (unsigned sends = random_next(&random) % 30; sends > 0; sends--)
				send_one(&bed);
		}
	}
	assert_sum(&bed);
	assert_true(assert_bounds(&bed, KEPT) > 10);
	assert_true(bed.batches > 50);
	assert_true(bed.missed > 0);
	bed_close(&bed);
}

/* The heavy name comes last, or comes now and then between floods of names asked once, which push
 * it out each time. */
static void adversarial_streams(void **state)
{
	static struct bed bed;
	(void)state;

	for (unsigned sends = 0; sends < 3; sends++) {
		bed_open(&bed, KEPT);
		unsigned next = 2;
		for (unsigned round = 0; round < 60; round++) {
			for (unsigned i = 0; i < 600; i++, next++)
				ask(&bed, next % (NAMES - 2) + 2);
			for (unsigned i = 0; i < 7; i++)
				ask(&bed, 0);
			merge(&bed);
			for (unsigned i = 0; i < sends; i++)
				send_one(&bed);
		}
		for (unsigned i = 0; i < 1000; i++)
			ask(&bed, 1);
		assert_sum(&bed);
		assert_int_equal(assert_bounds(&bed, KEPT), 2);
		assert_true(bed.counted[1] == 1000);
		bed_close(&bed);
	}
}

/* Without a flood nothing is ever in doubt. */
static void few_names_are_exact(void **state)
{
	static struct bed bed;
	(void)state;

	bed_open(&bed, KEPT);
	for (unsigned i = 0; i < 50000; i++) {
		ask(&bed, i * i % KEPT);
		if (i % 300 == 0) {
			merge(&bed);
			send_one(&bed);
		}
	}
	assert_sum(&bed);
	assert_int_equal(bed.other + bed.missed, 0);
	for (unsigned i = 0; i < KEPT; i++) {
		assert_int_equal(bed.counted[i], bed.truth[i]);
		assert_int_equal(bed.weight[i], bed.truth[i]);
	}
	bed_close(&bed);
}

/* Days share one sketch; each has an "*other" and a floor of its own. */
static void days_that_meet(void **state)
{
	static struct bed bed;
	(void)state;

	bed_open(&bed, KEPT);
	for (unsigned day = 0; day < 6; day++) {
		bed.now.wall_us = NOON + (int64_t)day * 24 * US_PER_HOUR;
		for (unsigned i = 0; i < 2000; i++) {
			ask(&bed, 10 + i);
			if (i % 4 == 0)
				ask(&bed, day % 2);
		}
		merge(&bed);
	}
	assert_int_equal(bed.pending.others.count, 6);
	assert_int_equal(bed.pending.sketch.count, KEPT);
	assert_sum(&bed);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(bed.counted[i] > 0);
		assert_true(bed.truth[i] <= bed.weight[i] + bed.missed);
	}
	bed_close(&bed);
}

/* What a worker could not name any more may be any name's, and is said to be. */
static void what_has_no_name_is_an_error_of_all(void **state)
{
	static struct bed bed;
	(void)state;

	bed_open(&bed, KEPT);
	ask(&bed, 1);
	bed.tally->queries += 5;
	bed.tally->clients[1].counters[COUNTER_queries] += 5;
	bed.tally->details_dropped = 3; /* the other two had no question that could be read */
	bed.queries += 5;
	assert_sum(&bed);
	assert_int_equal(bed.other, 5);
	assert_int_equal(bed.missed, 3);
	assert_int_equal(bed.weight[1], 1);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zipf_stream),
		cmocka_unit_test(adversarial_streams),
		cmocka_unit_test(few_names_are_exact),
		cmocka_unit_test(days_that_meet),
		cmocka_unit_test(what_has_no_name_is_an_error_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
