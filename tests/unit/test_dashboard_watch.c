/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dashboard shows of the watched zones: sums that are right, of one resolver and of a
 * fleet, in which zone a name stands, clients page by page, and the same to several threads at
 * once. Where redis-server is not installed the tests are skipped, and say so.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/watch.h"
#include "tests/unit/dashboard_bed.h"

#define THREADS 4
#define ROUNDS 20

/* The name that the daemon explains: it lies in isatap. NULL: no daemon is there (-Wl,--wrap). */
static const char *explained;
enum control_outcome __real_cli_ask_silently(struct cli *cli, unsigned count,
	const char *const words[], struct control_answer *answer);
enum control_outcome __wrap_cli_ask_silently(struct cli *cli, unsigned count,
	const char *const words[], struct control_answer *answer);

enum control_outcome __wrap_cli_ask_silently(struct cli *cli, unsigned count,
	const char *const words[], struct control_answer *answer)
{
	if (!explained || strcmp(words[0], "explain") != 0)
		return __real_cli_ask_silently(cli, count, words, answer);
	*answer = (struct control_answer){.words = ""};
	if (strcmp(words[1], explained) != 0)
		return CONTROL_OK;
	answer->lines = malloc(sizeof(*answer->lines));
	assert_non_null(answer->lines);
	answer->lines[answer->count++] = (struct control_line){"decided", "isatap mode=watch"};
	return CONTROL_OK;
}

static uint64_t sum_of(const json_t *array)
{
	uint64_t sum = 0;
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value) sum += (uint64_t)json_integer_value(value);
	return sum;
}

static void test_watch(void **state)
{
	char words[16];

	(void)state;
	if (!redis)
		skip();
	add_hits("gw1", "teredo", 0, "192.0.2.1", NAME, 5);
	add_hits("gw1", "teredo", 100, "192.0.2.1", NAME, 10);
	add_hits("gw1", "teredo", 100, "192.0.2.2", NAME, 3);
	add_hits("gw1", "isatap", 2, "192.0.2.2", "isatap.corp.example.", 2);
	add_event(2, "new-client", "192.0.2.2 in zone isatap");
	add_event(30, "new-client", "192.0.2.1 in zone teredo");
	ASK(api_get_watch, NULL);
	json_t *zone = row_of("zones", "zone", "teredo");
	assert_int_equal(number_of(zone, "hits"), 18);
	assert_int_equal(number_of(zone, "clients"), 2);
	json_t *counts = json_object_get(json_object_get(zone, "trend"), "counts");
	assert_int_equal(json_array_size(counts), 168);
	assert_int_equal(sum_of(counts), 18);
	assert_int_equal(json_integer_value(json_array_get(counts, 167)), 5);
	assert_int_equal(json_integer_value(json_array_get(counts, 67)), 13);
	assert_int_equal(number_of(zone, "hits_today"), 5);
	assert_int_equal(json_array_size(json_object_get(zone, "new_clients")), 0);
	json_t *name = json_array_get(json_object_get(zone, "names"), 0);
	assert_string_equal(text_of(name, "name"), NAME);
	assert_int_equal(number_of(name, "hits"), 18);
	assert_int_equal(number_of(name, "clients"), 2);
	zone = row_of("zones", "zone", "isatap");
	assert_int_equal(json_array_size(json_object_get(zone, "new_clients")), 1);
	assert_int_equal(number_of(zone, "hits"), 2);
	assert_int_equal(number_of(row_of("zones", "zone", "6to4"), "hits"), 0);
	assert_int_equal(number_of(object, "unplaced"), 0);
	assert_true(json_is_false(json_object_get(object, "cut")));
	/* What a bound took is said, and not counted to any zone. */
	hour_words(now_ms / HOUR_MS - 5, words);
	put("HINCRBY teredown:{gw1}:hour:%s watched 50", words);
	put("ZADD teredown:{gw1}:hour:%s:watched-names 50 *other", words);
	ASK(api_get_watch, NULL);
	assert_int_equal(number_of(object, "unplaced"), 50);
	assert_true(json_is_true(json_object_get(object, "cut")));
	assert_int_equal(number_of(row_of("zones", "zone", "teredo"), "hits"), 18);
}

/* A name below a wildcard with hits, one that only a transaction places, and one that nobody knows.
 */
static void test_names_are_placed(void **state)
{
	(void)state;
	if (!redis)
		skip();
	put("ZADD teredown:{gw1}:rules:6to4 4 *.6to4.example.");
	put("ZADD teredown:{gw1}:rules:tunnel-brokers 4 2001:db8::/32");
	add_transaction("gw1", 1, "192.0.2.1", "cdn.example.net.", "tunnel-brokers");
	for (int i = 0; i < 2; i++) {
		char words[16];
		static const char *const names[] = {"192.0.2.1 a\\.b.x.6to4.example.",
			"192.0.2.1 cdn.example.net.", "192.0.2.1 6to4.example.",
			"192.0.2.1 a\\.6to4.example."};
		hour_words(now_ms / HOUR_MS, words);
		for (int n = 0; n < 4; n++)
			put("ZINCRBY teredown:{gw1}:hour:%s:watched-names %d %b", words, n + 1,
				names[n], strlen(names[n]));
		put("HINCRBY teredown:{gw1}:hour:%s watched 10", words);
		ASK(api_get_watch, NULL);
		json_t *six = json_object_get(row_of("zones", "zone", "6to4"), "names");
		json_t *brokers =
			json_object_get(row_of("zones", "zone", "tunnel-brokers"), "names");
		assert_int_equal(json_array_size(six), 1);
		assert_string_equal(
			text_of(json_array_get(six, 0), "name"), "a\\.b.x.6to4.example.");
		assert_int_equal(json_array_size(brokers), 1);
		assert_int_equal(number_of(json_array_get(brokers, 0), "hits"), 2 * (i + 1));
		assert_int_equal(number_of(object, "unplaced"), 7 * (i + 1));
	}
}

/* Names that are no words of a request are passed over: they leave the round to the others. */
static void test_names_that_cannot_be_asked(void **state)
{
	char words[16], member[64];

	(void)state;
	if (!redis)
		skip();
	hour_words(now_ms / HOUR_MS, words);
	for (int i = 0; i < NAME_ZONES_ASKED_MAX; i++) {
		snprintf(member, sizeof(member), "192.0.2.1 no word %d.", i);
		put("ZADD teredown:{gw1}:hour:%s:watched-names %d %b", words, 100 + i, member,
			strlen(member));
	}
	snprintf(member, sizeof(member), "192.0.2.1 last.example.");
	put("ZADD teredown:{gw1}:hour:%s:watched-names 3 %b", words, member, strlen(member));
	put("HINCRBY teredown:{gw1}:hour:%s watched 10", words);
	explained = "last.example.";
	ASK(api_get_watch, NULL);
	explained = NULL;
	const json_t *names = json_object_get(row_of("zones", "zone", "isatap"), "names");
	assert_int_equal(json_array_size(names), 1);
	assert_string_equal(text_of(json_array_get(names, 0), "name"), "last.example.");
}

static void test_watch_zone(void **state)
{
	char client[32];

	(void)state;
	if (!redis)
		skip();
	for (int i = 1; i <= 25; i++) {
		snprintf(client, sizeof(client), "192.0.2.%d", i);
		add_hits("gw1", "teredo", 1, client, NAME, 100 - i);
	}
	put("ZADD teredown:{gw1}:watch:teredo 1000 *other");
	add_event(1, "new-client", "192.0.2.3 in zone teredo");
	ASK(api_get_watch_zone, "teredo", "limit", "10");
	assert_int_equal(reply.status, 200);
	json_t *rows = json_object_get(object, "clients");
	assert_int_equal(json_array_size(rows), 10);
	json_t *first = json_array_get(rows, 0);
	assert_string_equal(text_of(first, "client"), "192.0.2.1");
	assert_string_equal(text_of(first, "name"), "one.example.");
	assert_string_equal(text_of(json_object_get(first, "told_teredo"), "server"), SERVER);
	assert_true(json_is_false(json_object_get(first, "new")));
	assert_true(json_is_true(json_object_get(json_array_get(rows, 2), "new")));
	assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "told_teredo")));
	assert_int_equal(number_of(object, "total"), 25);
	assert_int_equal(number_of(object, "others"), 1000);
	ASK(api_get_watch_zone, "teredo", "limit", "10", "offset", "20");
	rows = json_object_get(object, "clients");
	assert_int_equal(json_array_size(rows), 5);
	assert_string_equal(text_of(json_array_get(rows, 0), "client"), "192.0.2.21");
	/* The same on every page, wherever it stands among them. */
	put("ZADD teredown:{gw1}:watch:teredo 80 *other");
	ASK(api_get_watch_zone, "teredo", "limit", "1");
	assert_int_equal(number_of(object, "others"), 80);
	ASK(api_get_watch_zone, "teredo", "limit", "10", "offset", "24");
	assert_int_equal(number_of(object, "others"), 80);
	ASK(api_get_watch_zone, "special-use");
	check_problem(404, "no zone");
}

/* More clients than are read one by one: Redis says how many, and the rules how many hits. */
static void test_many_clients(void **state)
{
	(void)state;
	if (!redis)
		skip();
	put("EVAL %s 0", "for i = 1, 2500 do "
			 "redis.call('ZADD', 'teredown:{gw1}:watch:teredo', 2, 'id-' .. i) "
			 "redis.call('ZADD', 'teredown:{gw1}:watch:teredo:last', 1700000000000 + "
			 "i, 'id-' .. i) "
			 "end "
			 "redis.call('ZADD', 'teredown:{gw1}:watch:teredo', 7, '*other') "
			 "redis.call('ZADD', 'teredown:{gw1}:rules:teredo', 5007, 'a.example.')");
	ASK(api_get_watch, NULL);
	json_t *zone = row_of("zones", "zone", "teredo");
	assert_int_equal(number_of(zone, "hits"), 5007);
	assert_int_equal(number_of(zone, "clients"), 2500);
	assert_string_equal(text_of(zone, "last"), "2023-11-14T22:13:22.500000Z");
	ASK(api_get_watch, NULL, "resolver", "*");
	zone = row_of("zones", "zone", "teredo");
	assert_int_equal(number_of(zone, "hits"), 5007);
	assert_int_equal(number_of(zone, "clients"), 2500);
	ASK(api_get_watch_zone, "teredo", "offset", "2400", "limit", "1000");
	assert_int_equal(json_array_size(json_object_get(object, "clients")), 100);
}

/* Of a fleet: sums of both, and one that cannot be read does not hide the other. */
static void test_watch_fleet(void **state)
{
	(void)state;
	if (!redis)
		skip();
	add_hits("gw1", "teredo", 0, "192.0.2.1", NAME, 5);
	add_hits("gw2", "teredo", 0, "192.0.2.1", NAME, 7);
	add_hits("gw2", "teredo", 0, "192.0.2.2", NAME, 1);
	ASK(api_get_watch, NULL, "resolver", "*");
	json_t *zone = row_of("zones", "zone", "teredo");
	assert_int_equal(number_of(zone, "hits"), 13);
	assert_int_equal(number_of(zone, "clients"), 2);
	assert_int_equal(sum_of(json_object_get(json_object_get(zone, "trend"), "counts")), 13);
	assert_int_equal(json_array_size(json_object_get(object, "missing")), 0);
	ASK(api_get_watch, NULL, "resolver", "gw2");
	assert_int_equal(number_of(row_of("zones", "zone", "teredo"), "hits"), 8);
	put("DEL teredown:{gw2}:watch:teredo");
	put("SET teredown:{gw2}:watch:teredo text");
	ASK(api_get_watch, NULL, "resolver", "*");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(object, "missing"), 0)), "gw2");
	assert_int_equal(number_of(row_of("zones", "zone", "teredo"), "hits"), 5);
}

/* A resolver that goes away in the middle takes with it what it had said before. */
static void test_one_goes_in_the_middle(void **state)
{
	char words[16];

	(void)state;
	if (!redis)
		skip();
	add_hits("gw1", "teredo", 0, "192.0.2.1", NAME, 5);
	add_hits("gw2", "teredo", 0, "192.0.2.2", NAME, 7);
	hour_words(now_ms / HOUR_MS, words);
	put("DEL teredown:{gw2}:hour:%s:watched-names", words);
	put("SET teredown:{gw2}:hour:%s:watched-names text", words);
	ASK(api_get_watch, NULL, "resolver", "*");
	assert_int_equal(json_array_size(json_object_get(object, "missing")), 1);
	const json_t *zone = row_of("zones", "zone", "teredo");
	assert_int_equal(number_of(zone, "hits"), 5);
	assert_int_equal(number_of(zone, "clients"), 1);
	put("DEL teredown:{gw2}:hour:%s:watched-names", words);
	put("DEL teredown:{gw2}:watch:teredo:last");
	put("SET teredown:{gw2}:watch:teredo:last text");
	api_context_free(context); /* which reads gw2 anew */
	context = api_context_new(&dashboard);
	ASK(api_get_watch_zone, "teredo", "resolver", "*");
	assert_int_equal(json_array_size(json_object_get(object, "missing")), 1);
	assert_int_equal(number_of(object, "hits"), 5);
	assert_int_equal(json_array_size(json_object_get(object, "clients")), 1);
}

/* The part of `watch` in which no time stands. */
static void api_get_watch_names(
	struct api_context *own, const struct api_request *request, struct api_reply *answer)
{
	const struct api_request plain = {.body = "", .cookie = ""};

	(void)request;
	api_get_watch(own, &plain, answer);
	char *zones = strstr(answer->body.data, "\"zones\"");
	assert_non_null(zones);
	size_t length = strlen(zones);
	memmove(answer->body.data + 1, zones, length + 1);
	answer->body.length = length + 1;
}

/* Each with what the dashboard gives a thread of its own; what they share is the caches. */
static void *ask_often(void *expected)
{
	struct api_context *own = api_context_new(&dashboard);
	const struct api_request request = {
		.parameters = {{"q", SERVER}}, .parameter_count = 1, .body = "", .cookie = ""};
	struct api_reply answer;
	char **bodies = expected;

	assert_non_null(own);
	for (int i = 0; i < 2 * ROUNDS; i++) {
		assert_true(api_context_begin(own, &answer));
		own->cli->now_ms = now_ms;
		(i % 2 ? api_get_who : api_get_watch_names)(own, &request, &answer);
		assert_int_equal(answer.status, 200);
		assert_string_equal(answer.body.data, bodies[i % 2]);
		strbuf_deinit(&answer.body);
	}
	api_context_free(own);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	char *bodies[2];

	(void)state;
	if (!redis)
		skip();
	for (int i = 1; i < 50; i++)
		add_hits("gw1", "teredo", i, "192.0.2.1", NAME, 100 + i);
	ASK(api_get_watch_names, NULL);
	bodies[0] = strdup(reply.body.data);
	ASK(api_get_who, NULL, "q", SERVER);
	bodies[1] = strdup(reply.body.data);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, bodies), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	free(bodies[0]);
	free(bodies[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_watch, fill_anew),
		cmocka_unit_test_setup(test_names_are_placed, fill_anew),
		cmocka_unit_test_setup(test_names_that_cannot_be_asked, fill_anew),
		cmocka_unit_test_setup(test_watch_zone, fill_anew),
		cmocka_unit_test_setup(test_many_clients, fill_anew),
		cmocka_unit_test_setup(test_watch_fleet, fill_anew),
		cmocka_unit_test_setup(test_one_goes_in_the_middle, fill_anew),
		cmocka_unit_test_setup(test_threads, fill_anew),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, begin_dashboard, finish_dashboard);
}
