/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The script and the store against a real redis-server on a unix socket of its own: every field of
 * the schema, numbers applied once, bounds, failed commands, and exact sums while Redis is killed
 * and started again, while the daemon's part is killed, while Redis comes back older than it was,
 * emptied, or with another writer. Waits for other processes by polling up to a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/dns/compose.h"
#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/redis/schema.h"
#include "resolver/telemetry/redis/store.h"
#include "resolver/telemetry/telemetry.h"

#define DEADLINE_MS 20000

static const struct hash_seed seed = {.k0 = 3, .k1 = 4};

static char dir[] = "/tmp/test_store.XXXXXX";
static char socket_path[64], url[80];
static pid_t redis_pid;
static redisContext *client;

/* --- redis-server --- */

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void redis_start(void)
{
	redis_pid = fork();
	assert_true(redis_pid >= 0);
	if (redis_pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
			"--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "no",
			(char *)NULL);
		_exit(127);
	}
}

static void redis_connect(void)
{
	for (int waited_ms = 0; waited_ms < DEADLINE_MS; waited_ms += 20) {
		client = redisConnectUnix(socket_path);
		redisReply *reply = client && !client->err ? redisCommand(client, "PING") : NULL;
		bool up = reply && reply->type == REDIS_REPLY_STATUS;
		if (reply)
			freeReplyObject(reply);
		if (up)
			return;
		redisFree(client);
		client = NULL;
		pause_ms(20);
	}
	fail_msg("redis-server does not answer");
}

static void redis_kill(void)
{
	if (client)
		redisFree(client);
	client = NULL;
	kill(redis_pid, SIGKILL);
	waitpid(redis_pid, NULL, 0);
}

static redisReply *__attribute__((format(printf, 1, 2))) ask(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	redisReply *reply = redisvCommand(client, format, arguments);
	va_end(arguments);
	assert_non_null(reply);
	return reply;
}

static void run(redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s", reply->str);
	freeReplyObject(reply);
}

static int64_t number_of(redisReply *reply)
{
	int64_t value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
	if (reply->type == REDIS_REPLY_STRING)
		value = strtoll(reply->str, NULL, 10);
	freeReplyObject(reply);
	return value;
}

static void assert_text(redisReply *reply, const char *expected)
{
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_string_equal(reply->str, expected);
	freeReplyObject(reply);
}

static int setup(void **state)
{
	(void)state;
	run(ask("FLUSHALL"));
	return 0;
}

/* --- answers --- */

struct answer {
	struct name qname;
	char text[64];
	uint8_t reply[512];
	size_t length;
};

static void make_answer(struct answer *answer, const char *text, unsigned address)
{
	struct compose compose;

	snprintf(answer->text, sizeof(answer->text), "%s", text);
	assert_int_equal(name_from_text(&answer->qname, text, strlen(text)), TD_OK);
	compose_begin(&compose, answer->reply, sizeof(answer->reply), 1, DNS_FLAG_QR,
		answer->qname.wire, answer->qname.length, TYPE_A, CLASS_IN);
	if (address) {
		uint8_t octets[4] = {192, 0, 2, (uint8_t)address};
		compose_rr(&compose, SECTION_ANSWER, &answer->qname, TYPE_A, 60, octets, 4);
	}
	answer->length = compose_finish(&compose);
}

static struct transaction transaction_of(
	const struct answer *answer, unsigned from, uint64_t answer_id)
{
	uint8_t octets[4] = {10, 0, (uint8_t)(from >> 8), (uint8_t)from};

	return (struct transaction){
		.client = {.address = address_v4(octets), .port = 5353},
		.qname = answer->qname.wire,
		.qname_length = answer->qname.length,
		.qtype = TYPE_A,
		.reply = answer->reply,
		.reply_length = answer->length,
		.source = SOURCE_CACHE,
		.zone = ZONE_ID_NONE,
		.answer_id = answer_id,
	};
}

/* --- the script, called directly --- */

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
	zone_ids_add(&bed->zones, "teredo");
	pending_init(&bed->pending, &wide, &seed);
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
	redisReply *reply = redisCommandArgv(client, (int)batch->argc, batch->argv, batch->lengths);
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

	/* Only what must stay has no expiry. */
	static const char *const forever[] = {"meta", "applied", "boots", "clients",
		"clients:queries", "clients:watched", "names", "addresses", "transactions",
		"events"};
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
	assert_true(pending_set_field(
		&bed.pending, &transaction.client.address, FIELD_NAME, ""));
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

/* --- everything together, Redis killed in the middle --- */

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
		.state_dir = dir,
		.redis = url,
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
	log_setup("test_store", LOG_LEVEL_ERROR);
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

/* --- the journal, the lease --- */

/* One client asks for one name of some; what is counted is looked at as sums. */
static const char *resolver_name = "t";

static struct telemetry *open_telemetry(const char *state_dir, const char *redis)
{
	const struct telemetry_config config = {
		.resolver_name = resolver_name,
		.version = "1",
		.state_dir = state_dir,
		.redis = redis,
		.workers = 1,
		.retention_days = 8,
		.pair_retention_days = 30,
		.clients_max = 5000,
		.details_max = 20000,
		.seed = seed,
	};
	struct telemetry *telemetry = telemetry_new(&config);

	assert_non_null(telemetry);
	assert_int_equal(telemetry_start(telemetry), TD_OK);
	return telemetry;
}

/* So many clients, so many queries each: more than 30 clients need more than one batch. */
static uint64_t ask_around(struct telemetry *telemetry, unsigned clients, unsigned queries)
{
	static struct now now;
	struct answer answer;

	if (now.wall_us == 0)
		now.wall_us = (int64_t)time(NULL) * US_PER_S;
	make_answer(&answer, "www.example.", 1);
	for (unsigned from = 0; from < clients; from++) {
		struct transaction transaction = transaction_of(&answer, from, 1);
		for (unsigned i = 0; i < queries; i++)
			telemetry_answer(telemetry_worker(telemetry, 0), &transaction, &now);
	}
	now.mono_us += US_PER_S;
	telemetry_flush(telemetry_worker(telemetry, 0), &now);
	return (uint64_t)clients * queries;
}

typedef bool status_condition(const struct telemetry_status *status, uint64_t value);

static struct telemetry_status wait_for(
	struct telemetry *telemetry, status_condition *is_so, uint64_t value, const char *what)
{
	struct telemetry_status status;

	for (int waited_ms = 0; waited_ms < DEADLINE_MS; waited_ms += 5) {
		telemetry_status(telemetry, &status);
		if (is_so(&status, value))
			return status;
		pause_ms(5);
	}
	fail_msg("never %s (%" PRIu64 "): %s", what, value, status.store_error);
	return status;
}

static bool has_applied(const struct telemetry_status *status, uint64_t queries)
{
	return status->store_connected && status->queries_applied == queries &&
	       status->queries_waiting == 0 && status->journal_waiting == 0 &&
	       status->batches_applied > 0 && status->journal_due == 0;
}

static bool has_frozen_one(const struct telemetry_status *status, uint64_t ignored)
{
	(void)ignored;
	return status->journal_waiting == 1 && status->journal_queries > 0;
}

static bool has_replayed(const struct telemetry_status *status, uint64_t batches)
{
	return status->store_connected && status->batches_replayed >= batches &&
	       status->journal_waiting == 0 && status->journal_due == 0;
}

static bool is_away(const struct telemetry_status *status, uint64_t ignored)
{
	(void)ignored;
	return !status->store_connected && status->store_error[0] != '\0';
}

static bool is_fenced(const struct telemetry_status *status, uint64_t ignored)
{
	(void)ignored;
	return !status->store_connected && strstr(status->store_error, "another daemon");
}

/* meta, the clients and the hour all say so. */
static void assert_stored(uint64_t queries)
{
	uint64_t sum = 0;
	redisReply *all = ask("ZRANGE teredown:{t}:clients:queries 0 -1 WITHSCORES");

	for (size_t k = 1; k < all->elements; k += 2)
		sum += strtoull(all->element[k]->str, NULL, 10);
	freeReplyObject(all);
	assert_int_equal(sum, queries);
	assert_int_equal(number_of(ask("HGET teredown:{t}:meta queries")), queries);
	sum = 0;
	redisReply *keys = ask("KEYS teredown:{t}:hour:??????????");
	for (size_t i = 0; i < keys->elements; i++)
		sum += (uint64_t)number_of(ask("HGET %s queries", keys->element[i]->str));
	freeReplyObject(keys);
	assert_int_equal(sum, queries);
}

static void make_state_dir(char out[96], const char *name)
{
	snprintf(out, 96, "%s/%s", dir, name);
	mkdir(out, 0700);
}

static void in_folder(const char *commands)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", dir, commands);
	assert_int_equal(system(line), 0);
}

/* What the child of the test below tells its parent before it dies. */
struct testament {
	uint64_t applied, frozen;
};

/* Counts, freezes Redis, counts on until a batch is frozen too, dies without a word to anyone. */
static void live_and_die(const char *state_dir, int out)
{
	struct testament testament;

	struct telemetry *telemetry = open_telemetry(state_dir, url);
	uint64_t asked = ask_around(telemetry, 100, 3);
	testament.applied = wait_for(telemetry, has_applied, asked, "stored").queries_applied;
	kill(redis_pid, SIGSTOP);
	ask_around(telemetry, 70, 5);
	testament.frozen = wait_for(telemetry, has_frozen_one, 0, "frozen").journal_queries;
	if (write(out, &testament, sizeof(testament)) == (ssize_t)sizeof(testament))
		kill(getpid(), SIGKILL);
	_exit(1);
}

static struct testament run_and_kill(const char *state_dir)
{
	struct testament testament;
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	redisFree(client);
	client = NULL;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		live_and_die(state_dir, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &testament, sizeof(testament)), sizeof(testament));
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return testament;
}

static void frozen_batches_outlive_sigkill(void **state)
{
	char state_dir[96];
	uint64_t expected = 0;
	(void)state;

	log_setup("test_store", LOG_LEVEL_ERROR);
	make_state_dir(state_dir, "killed");
	for (unsigned redis_gets_it = 0; redis_gets_it < 2; redis_gets_it++) {
		struct testament testament = run_and_kill(state_dir);
		assert_true(testament.frozen > 0);
		expected += testament.applied + testament.frozen;
		if (redis_gets_it) { /* the request of the dead stands in its socket */
			kill(redis_pid, SIGCONT);
		} else {
			redis_kill();
			redis_start();
		}
		redis_connect();
		int64_t begin_ms = clock_ms();
		struct telemetry *telemetry = open_telemetry(state_dir, url);
		uint64_t more = ask_around(telemetry, 10, 1);
		struct telemetry_status status =
			wait_for(telemetry, has_applied, more, "stored by the second");
		/* The dead one's lease is its successor's, at once. */
		assert_true(clock_ms() - begin_ms < STORE_LEASE_MS / 2);
		assert_true(status.batches_replayed <= 1);
		if (!redis_gets_it)
			assert_int_equal(status.batches_replayed, 1);
		expected += more;
		telemetry_stop(&telemetry, DEADLINE_MS);
		assert_stored(expected);
	}
}

static void what_cannot_be_sent_waits_for_the_next_start(void **state)
{
	char state_dir[96];
	(void)state;

	log_setup("test_store", LOG_LEVEL_ERROR);
	make_state_dir(state_dir, "stopped");
	struct telemetry *telemetry = open_telemetry(state_dir, "unix:/nonexistent/redis.sock");
	uint64_t asked = ask_around(telemetry, 3000, 2);
	wait_for(telemetry, is_away, 0, "away");
	telemetry_stop(&telemetry, 50);

	/* Twice: the second start has something of its own to leave. */
	telemetry = open_telemetry(state_dir, "unix:/nonexistent/redis.sock");
	asked += ask_around(telemetry, 500, 1);
	telemetry_stop(&telemetry, 50);

	telemetry = open_telemetry(state_dir, url);
	wait_for(telemetry, has_replayed, 40, "replayed");
	assert_stored(asked);
	asked += ask_around(telemetry, 5, 5);
	telemetry_stop(&telemetry, DEADLINE_MS);
	assert_stored(asked);
	assert_int_equal(number_of(ask("HLEN teredown:{t}:applied")), 3);
	assert_int_equal(number_of(ask("HEXISTS teredown:{t}:meta lease_until")), 0);
}

/* The append-only file is copied, Redis takes more, and is then started over the copy. */
static void an_old_file_gets_the_lost_batches_again(void **state)
{
	char state_dir[96];
	(void)state;

	log_setup("test_store", LOG_LEVEL_ERROR);
	make_state_dir(state_dir, "restored");
	struct telemetry *telemetry = open_telemetry(state_dir, url);
	uint64_t asked = ask_around(telemetry, 200, 2);
	wait_for(telemetry, has_applied, asked, "stored");
	in_folder("cp -a appendonlydir copy");
	for (unsigned i = 0; i < 5; i++) {
		asked += ask_around(telemetry, 100 + i, 3);
		wait_for(telemetry, has_applied, asked, "stored behind the copy");
	}
	assert_stored(asked);
	for (unsigned restores = 0; restores < 2; restores++) {
		redis_kill();
		in_folder("rm -r appendonlydir && cp -a copy appendonlydir");
		asked += ask_around(telemetry, 20, 1); /* never sent before */
		wait_for(telemetry, is_away, 0, "away");
		redis_start();
		redis_connect();
		wait_for(telemetry, has_applied, asked, "stored after the restore");
		assert_stored(asked);
	}

	/* Nothing is sent twice to a Redis that kept all; a daemon started anew heals as well. */
	uint64_t replays = wait_for(telemetry, has_applied, asked, "stored").batches_replayed;
	assert_true(replays > 10);
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	redis_start();
	redis_connect();
	assert_int_equal(
		wait_for(telemetry, has_applied, asked, "found again").batches_replayed, replays);
	assert_stored(asked);
	telemetry_stop(&telemetry, DEADLINE_MS);
	redis_kill();
	in_folder("rm -r appendonlydir && mv copy appendonlydir");
	redis_start();
	redis_connect();
	telemetry = open_telemetry(state_dir, url);
	wait_for(telemetry, has_replayed, 10, "replayed by the next boot");
	assert_stored(asked);
	telemetry_stop(&telemetry, DEADLINE_MS);
}

static void what_was_deleted_is_not_sent_again(void **state)
{
	char state_dir[96];
	(void)state;

	log_setup("test_store", LOG_LEVEL_ERROR);
	make_state_dir(state_dir, "emptied");
	struct telemetry *telemetry = open_telemetry(state_dir, url);
	uint64_t asked = ask_around(telemetry, 100, 2);
	wait_for(telemetry, has_applied, asked, "stored");
	run(ask("FLUSHALL"));
	uint64_t kept = ask_around(telemetry, 50, 1);
	wait_for(telemetry, has_applied, asked += kept, "stored after FLUSHALL");
	assert_stored(kept);
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	redis_start();
	redis_connect();
	wait_for(telemetry, has_applied, asked, "found again");
	assert_stored(kept);

	/* Emptied while nobody was connected; a batch that it never had is no history. */
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	in_folder("rm -r appendonlydir");
	kept = ask_around(telemetry, 10, 7);
	redis_start();
	redis_connect();
	wait_for(telemetry, has_applied, asked += kept, "stored in an empty one");
	assert_stored(kept);
	telemetry_stop(&telemetry, DEADLINE_MS);

	/* `applied` evicted or deleted alone: what was applied is not known, so nothing is doubled.
	 */
	telemetry = open_telemetry(state_dir, url);
	wait_for(telemetry, has_replayed, 0, "connected");
	run(ask("DEL teredown:{t}:applied"));
	redis_kill();
	wait_for(telemetry, is_away, 0, "away");
	redis_start();
	redis_connect();
	kept += ask_around(telemetry, 10, 1);
	wait_for(telemetry, has_applied, 10, "stored without the history of batches");
	assert_stored(kept);
	telemetry_stop(&telemetry, DEADLINE_MS);

	/* And emptied between two boots. */
	run(ask("FLUSHALL"));
	telemetry = open_telemetry(state_dir, url);
	kept = ask_around(telemetry, 3, 1);
	wait_for(telemetry, has_applied, kept, "stored by the next boot");
	telemetry_stop(&telemetry, DEADLINE_MS);
	assert_stored(kept);
}

static void two_of_one_name_are_fenced(void **state)
{
	char first_dir[96], second_dir[96], renamed_dir[96];
	(void)state;

	log_setup("test_store", LOG_LEVEL_ERROR);
	make_state_dir(first_dir, "first");
	make_state_dir(second_dir, "second");
	struct telemetry *first = open_telemetry(first_dir, url);
	uint64_t of_first = ask_around(first, 40, 2);
	wait_for(first, has_applied, of_first, "stored");
	struct telemetry *second = open_telemetry(second_dir, url);
	uint64_t of_second = ask_around(second, 40, 3);
	wait_for(second, is_fenced, 0, "fenced");
	/* Over the same state directory it gets no journal, and is fenced as well. */
	struct telemetry *third = open_telemetry(first_dir, url);
	wait_for(third, is_fenced, 0, "fenced beside the same journal");
	telemetry_stop(&third, 50);
	of_first += ask_around(first, 10, 2);
	wait_for(first, has_applied, of_first, "stored on");
	assert_stored(of_first);

	/* Who gives it a name of its own finds what it counted until then under that. */
	make_state_dir(renamed_dir, "renamed");
	struct telemetry *renamed = open_telemetry(renamed_dir, url);
	uint64_t of_renamed = ask_around(renamed, 40, 2);
	wait_for(renamed, is_fenced, 0, "fenced, too");
	telemetry_stop(&renamed, 50);
	resolver_name = "u";
	renamed = open_telemetry(renamed_dir, url);
	resolver_name = "t";
	wait_for(renamed, has_replayed, 1, "replayed under the new name");
	assert_int_equal(number_of(ask("HGET teredown:{u}:meta queries")), of_renamed);
	telemetry_stop(&renamed, DEADLINE_MS);
	assert_stored(of_first);

	telemetry_stop(&first, DEADLINE_MS); /* gives the lease back */
	wait_for(second, has_applied, of_second, "stored by the second");
	assert_stored(of_first + of_second);
	telemetry_stop(&second, DEADLINE_MS);
}

/* The limit of a file's size stands for a full disk: it costs the journal, and no count. */
static void counts_go_on_without_a_disk(void **state)
{
	struct rlimit before, limit;
	char state_dir[96];
	(void)state;

	log_setup("test_store", LOG_LEVEL_ERROR);
	make_state_dir(state_dir, "full");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 6000;
	struct telemetry *telemetry = open_telemetry(state_dir, url);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	uint64_t asked = ask_around(telemetry, 300, 2);
	struct telemetry_status status = wait_for(telemetry, has_applied, asked, "stored");
	assert_true(status.journal_failures > 0);
	assert_true(status.journal_bytes <= 6000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	telemetry_stop(&telemetry, DEADLINE_MS);
	assert_stored(asked);
}

/* The lease as the script sees it. */
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
	log_setup("test_store", LOG_LEVEL_ERROR);
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

/* --- --- */

static int open_redis(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", dir);
	snprintf(url, sizeof(url), "unix:%s", socket_path);
	redis_start();
	redis_connect();
	return 0;
}

static int close_redis(void **state)
{
	char command[128];
	(void)state;

	redis_kill();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_field_of_the_schema, setup),
		cmocka_unit_test_setup(later_batches_merge, setup),
		cmocka_unit_test_setup(a_closed_hour_gets_one_entry, setup),
		cmocka_unit_test_setup(bounds_hold_and_totals_stay_exact, setup),
		cmocka_unit_test_setup(fields_of_known_clients_are_kept, setup),
		cmocka_unit_test_setup(a_failed_command_does_not_stop_the_rest, setup),
		cmocka_unit_test_setup(an_invalid_batch_writes_nothing, setup),
		cmocka_unit_test_setup(without_memory_nothing_is_half_applied, setup),
		cmocka_unit_test_setup(only_the_last_boots_are_kept, setup),
		cmocka_unit_test_setup(sums_are_exact_although_redis_dies, setup),
		cmocka_unit_test_setup(frozen_batches_outlive_sigkill, setup),
		cmocka_unit_test_setup(what_cannot_be_sent_waits_for_the_next_start, setup),
		cmocka_unit_test_setup(an_old_file_gets_the_lost_batches_again, setup),
		cmocka_unit_test_setup(what_was_deleted_is_not_sent_again, setup),
		cmocka_unit_test_setup(two_of_one_name_are_fenced, setup),
		cmocka_unit_test_setup(counts_go_on_without_a_disk, setup),
		cmocka_unit_test_setup(a_lease_ends, setup),
		cmocka_unit_test(ends_in_time_without_redis),
	};

	if (system("command -v redis-server >/dev/null") != 0) {
		puts("test_store: skipped, there is no redis-server in PATH");
		return 77;
	}
	return cmocka_run_group_tests(tests, open_redis, close_redis);
}
