/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of the dashboard that show what commands show, called directly over a real redis-server
 * that is filled by hand after the schema: the same objects, the right problems, sums that are
 * right, and nothing that stands in Redis reaches a reply raw. No daemon runs beside it. Where
 * redis-server is not installed the tests are skipped, and say so.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "resolver/control/dashboard/api_command.h"
#include "resolver/control/dashboard/context.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/session.h"
#include "resolver/control/dashboard/watch.h"
#include "tests/unit/redis_server.h"

#define NAME "teredo.ipv6.microsoft.com."
#define SERVER "65.55.158.118"
#define HOUR_MS INT64_C(3600000)
#define THREADS 4
#define ROUNDS 20
#define HOSTILE "<script>\"\\\xe2\x80\xae\x01"

static struct dashboard dashboard;
static struct dashboard_options wrapped;
static struct api_context *context;
static struct api_reply reply;
static json_t *object; /* of the reply */
static int64_t now_ms;

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

/* --- asking --- */

__attribute__((sentinel)) static void ask(api_handler_fn *handler, const char *part, ...)
{
	struct api_request request = {
		.parts = {part}, .body = "", .from = "127.0.0.1", .cookie = ""};
	const char *name;
	va_list arguments;

	va_start(arguments, part);
	while ((name = va_arg(arguments, const char *)) != NULL)
		request.parameters[request.parameter_count++] =
			(struct api_parameter){name, va_arg(arguments, const char *)};
	va_end(arguments);
	strbuf_deinit(&reply.body);
	json_decref(object);
	assert_true(api_context_begin(context, &reply));
	context->cli->now_ms = now_ms; /* else an hour could begin between two lines of a test */
	handler(context, &request, &reply);
	assert_false(reply.body.failed);
	json_error_t error;
	object = json_loads(reply.body.data, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		fail_msg("%s: %s", error.text, reply.body.data);
	for (size_t i = 0; i < reply.body.length; i++)
		assert_true(reply.body.data[i] == '\n' ||
			    (reply.body.data[i] >= ' ' && reply.body.data[i] <= '~'));
}

/* handler, what stands in the path or NULL, then names and values of parameters. */
#define ASK(...) ask(__VA_ARGS__, (const char *)NULL)

static void check_problem(int status, const char *words)
{
	assert_int_equal(reply.status, status);
	assert_string_equal(reply.type, "application/problem+json");
	assert_int_equal(json_integer_value(json_object_get(object, "status")), status);
	const char *detail = json_string_value(json_object_get(object, "detail"));
	assert_non_null(detail);
	if (!strstr(detail, words))
		fail_msg("\"%s\" is not in: %s", words, detail);
	assert_null(strchr(detail, '\n'));
	assert_null(strstr(detail, "teredown: "));
}

static const char *text_of(const json_t *from, const char *key)
{
	return json_string_value(json_object_get(from, key));
}

static int64_t number_of(const json_t *from, const char *key)
{
	const json_t *value = json_object_get(from, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

/* The row of an array whose member key is this text. */
static json_t *row_of(const char *array, const char *key, const char *text)
{
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(object, array), i,
		row) if (strcmp(text_of(row, key), text) == 0) return row;
	fail_msg("no %s %s in %s", key, text, reply.body.data);
	return NULL;
}

/* --- what stands in Redis --- */

static void add_hits(const char *resolver, const char *zone, int64_t hours_ago, const char *client,
	const char *name, int count)
{
	char member[512], words[16];

	hour_words(now_ms / HOUR_MS - hours_ago, words);
	snprintf(member, sizeof(member), "%s %s", client, name);
	put("HINCRBY teredown:{%s}:hour:%s watched %d", resolver, words, count);
	put("ZINCRBY teredown:{%s}:hour:%s:watched-names %d %b", resolver, words, count, member,
		strlen(member));
	put("ZINCRBY teredown:{%s}:watch:%s %d %s", resolver, zone, count, client);
	put("ZADD teredown:{%s}:watch:%s:last GT %lld %s", resolver, zone,
		(long long)(now_ms - hours_ago * HOUR_MS), client);
	put("ZINCRBY teredown:{%s}:rules:%s %d %s", resolver, zone, count, name);
}

static void time_words(int64_t ms, char out[40])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(out, 40, "%Y-%m-%dT%H:%M:%S.250000Z", &parts);
}

static void add_event(int64_t hours_ago, const char *kind, const char *text)
{
	char ts[40];

	time_words(now_ms - hours_ago * HOUR_MS, ts);
	put("XADD teredown:{gw1}:events * ts 1 json "
	    "{\"ts\":\"%s\",\"kind\":\"%s\",\"text\":\"%b\"}",
		ts, kind, text, strlen(text));
}

static void add_transaction(const char *resolver, int64_t hours_ago, const char *client,
	const char *name, const char *zone)
{
	char ts[40];

	time_words(now_ms - hours_ago * HOUR_MS, ts);
	put("XADD teredown:{%s}:transactions * ts 1 json "
	    "{\"ts\":\"%s\",\"resolver\":\"%s\",\"client\":\"%s\",\"query\":\"%s\",\"action\":"
	    "\"watch\",\"policy\":\"%s\"}",
		resolver, ts, resolver, client, name, zone);
}

static void add_pair(const char *client)
{
	char field[128], value[128];

	snprintf(field, sizeof(field), "%s %s", client, NAME);
	snprintf(value, sizeof(value), "%lld %lld 7 x.", (long long)(now_ms - 200 * HOUR_MS),
		(long long)(now_ms - 100 * HOUR_MS));
	put("HSET teredown:{gw1}:pair:%s %b %b", SERVER, field, strlen(field), value,
		strlen(value));
	put("ZADD teredown:{gw1}:name:%s:clients 7 %s", NAME, client);
}

static int fill(void **state)
{
	(void)state;
	if (!redis)
		return 0;
	put("FLUSHALL");
	now_ms = dashboard_wall_ms();
	for (int i = 1; i <= 2; i++) {
		put("SADD teredown:resolvers gw%d", i);
		put("HSET teredown:{gw%d}:meta recording_since 1700000000000 schema 2 queries %d "
		    "version 0.1.0 memory_used %d memory_max 4000 pressure 0",
			i, 100 * i, 1000 * i);
	}
	put("HSET teredown:{gw1}:client:192.0.2.1 queries 70 watched 60 name one.example. "
	    "told_teredo 1700000001000 told_teredo_last 1700000005000 told_teredo_server %s",
		SERVER);
	add_pair("192.0.2.1");
	add_pair("192.0.2.2");
	return 0;
}

/* --- the commands' objects --- */

/* What the reply says is what the command prints. */
static void check_same(int code)
{
	assert_int_equal(code, CLI_OK);
	json_t *printed = json_loads(said, 0, NULL);
	assert_non_null(printed);
	if (!json_equal(printed, object))
		fail_msg("the command says %s\nthe reply %s", said, reply.body.data);
	json_decref(printed);
}

static void test_who(void **state)
{
	(void)state;
	if (!redis)
		skip();
	ASK(api_get_who, NULL, "q", SERVER);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.type, "application/json");
	check_same(RUN("who", SERVER, "--json"));
	ASK(api_get_who, NULL, "q", "Teredo.IPv6.Microsoft.com");
	check_same(RUN("who", NAME, "--json"));
	ASK(api_get_who, NULL, "q", "192.0.2.1");
	check_same(RUN("who", "192.0.2.1", "--json"));
	ASK(api_get_who, NULL, "q", SERVER, "resolver", "*");
	check_same(RUN("who", SERVER, "--json", "--fleet"));
	ASK(api_get_who, NULL, "q", SERVER, "limit", "1");
	check_same(RUN("who", SERVER, "--json", "-n", "1"));
}

/* Names as long as can be: what does not fit is cut, and that is said. */
static void test_who_is_bounded(void **state)
{
	(void)state;
	if (!redis)
		skip();
	put("EVAL %s 0",
		"local tail = string.rep(string.rep('\\\\255', 60) .. '.', 4) "
		"for i = 1, 9000 do redis.call('HSET', 'teredown:{gw1}:pair:65.55.158.118', "
		"'192.0.2.1 n' .. i .. '.' .. tail, '1700000000000 1700000000000 1 x.') end");
	ASK(api_get_who, NULL, "q", SERVER);
	assert_int_equal(reply.status, 200);
	assert_in_range(reply.body.length, 1, API_REPLY_MAX);
	json_t *view = json_array_get(json_object_get(object, "views"), 0);
	assert_true(json_is_true(json_object_get(view, "cut")));
	assert_in_range(json_array_size(json_object_get(view, "pairs")), 100, 8999);
}

static void test_who_problems(void **state)
{
	(void)state;
	if (!redis)
		skip();
	ASK(api_get_who, NULL);
	check_problem(400, "\"q\" is missing");
	ASK(api_get_who, NULL, "q", "a..b");
	check_problem(400, "neither an address nor a name");
	ASK(api_get_who, NULL, "q", SERVER, "limit", "0");
	check_problem(400, "limit");
	ASK(api_get_who, NULL, "q", "203.0.113.77");
	check_problem(404, "nothing is recorded of 203.0.113.77");
	put("DEL teredown:{gw1}:pair:%s teredown:{gw1}:name:%s:clients", SERVER, NAME);
	ASK(api_get_who, NULL, "q", SERVER);
	check_problem(404, "Teredo server of Microsoft");
	ASK(api_get_who, NULL, "q", "-x");
	check_problem(404, "nothing is recorded of -x");
	put("SET teredown:{gw1}:pair:%s text", SERVER);
	ASK(api_get_who, NULL, "q", SERVER);
	check_problem(503, "Redis");
	put("DEL teredown:{gw1}:pair:%s", SERVER);
	ASK(api_get_who, NULL, "q", "192.0.2.1");
	assert_int_equal(reply.status, 200);
}

static void test_hostile_question(void **state)
{
	(void)state;
	if (!redis)
		skip();
	ASK(api_get_who, NULL, "q", HOSTILE);
	assert_in_range(reply.status, 400, 404);
	ASK(api_get_timeline, NULL, "q", HOSTILE);
	assert_in_range(reply.status, 400, 404);
	ASK(api_get_watch_zone, HOSTILE);
	check_problem(404, "no zone");
	ASK(api_get_policy_rules, NULL, "zone", HOSTILE);
	assert_int_equal(reply.status, 200);
	ASK(api_get_verify, NULL, "client", HOSTILE);
	check_problem(404, "not marked");
}

static void test_timeline_and_drops(void **state)
{
	char words[16], member[128];

	(void)state;
	if (!redis)
		skip();
	ASK(api_get_drops, NULL);
	check_problem(404, "no dropped packet");
	hour_words(now_ms / HOUR_MS - 2, words);
	snprintf(member, sizeof(member), "192.0.2.1 %s udp3544", SERVER);
	put("ZADD teredown:{gw1}:hour:%s:drops 9 %b", words, member, strlen(member));
	put("HSET teredown:{gw1}:timeline:%s %s:dns 1 %s:firewall-drop 9", SERVER, words, words);
	ASK(api_get_timeline, NULL, "q", SERVER, "since", "1d", "until", "2099-01-01", "span",
		"7h");
	check_problem(400, "--span takes");
	ASK(api_get_timeline, NULL, "q", SERVER, "by", "moon");
	check_problem(400, "--by takes");
	ASK(api_get_timeline, NULL, "q", SERVER, "as", "moon");
	check_problem(400, "\"as\"");
	ASK(api_get_timeline, NULL, "q", "203.0.113.77");
	check_problem(404, "nothing is recorded");
	ASK(api_get_timeline, NULL, "q", SERVER, "since", "8d", "span", "6h", "by", "client");
	check_same(RUN("timeline", SERVER, "--json", "-s", "8d", "-S", "6h", "-b", "client"));
	ASK(api_get_timeline, NULL, "q", SERVER, "as", "address");
	check_same(RUN("timeline", "--address", SERVER, "--json"));
	ASK(api_get_drops, NULL, "since", "1d", "limit", "5");
	assert_int_equal(reply.status, 200);
	assert_int_equal(number_of(object, "drops"), 9);
	ASK(api_get_drops, NULL, "since", "yesterday");
	check_problem(400, "a time is like");
}

static void test_verify(void **state)
{
	(void)state;
	if (!redis)
		skip();
	ASK(api_get_verify, NULL);
	check_problem(404, "nobody was marked");
	put("HSET teredown:{gw1}:remediated 192.0.2.1 "
	    "{\"at\":1700000009000,\"by\":\"root\",\"method\":\"gpo\",\"zones\":[\"teredo\"]}");
	ASK(api_get_verify, NULL);
	check_same(RUN("verify", "--json"));
	add_hits("gw1", "teredo", 0, "192.0.2.1", NAME, 1);
	ASK(api_get_verify, NULL, "client", "192.0.2.1");
	assert_int_equal(RUN("verify", "--json"), CLI_UNMET);
	check_same(CLI_OK);
}

/* --- policy --- */

static void test_policy_without_daemon(void **state)
{
	(void)state;
	if (!redis)
		skip();
	add_hits("gw1", "teredo", 0, "192.0.2.1", NAME, 40);
	add_hits("gw1", "teredo", 1, "192.0.2.2", NAME, 2);
	ASK(api_get_policy, NULL);
	assert_int_equal(reply.status, 200);
	json_t *zone = row_of("zones", "zone", "teredo");
	assert_int_equal(number_of(zone, "hits"), 42);
	assert_int_equal(number_of(zone, "clients"), 2);
	assert_string_equal(text_of(zone, "state"), "unknown");
	assert_string_equal(text_of(zone, "kind"), "tunnel");
	assert_true(json_is_null(json_object_get(zone, "mode")));
	assert_true(json_is_null(json_object_get(zone, "rules")));
	assert_string_equal(text_of(json_object_get(object, "daemon"), "state"), "away");
	assert_string_equal(text_of(json_object_get(object, "redis"), "state"), "ok");
	ASK(api_get_policy_rules, NULL, "zone", "teredo");
	check_same(RUN("policy", "list", "--rules", "--zone", "teredo", "--json"));
	ASK(api_get_policy_rules, NULL, "zone", "isatap");
	assert_int_equal(reply.status, 200);
	assert_int_equal(json_array_size(json_object_get(object, "rules")), 0);
	ASK(api_get_policy_test, NULL, "name", NAME);
	check_problem(503, "teredownd is not running");
	ASK(api_get_policy_test, NULL, "name", NAME, "type", "", "client", "");
	check_problem(503, "teredownd is not running");
	ASK(api_get_policy_test, NULL, "name", NAME, "type", "BANANA");
	check_problem(400, "type");
	ASK(api_get_policy_test, NULL);
	check_problem(400, "\"name\" is missing");
}

/* --- health --- */

static void test_health(void **state)
{
	(void)state;
	if (!redis)
		skip();
	ASK(api_get_health, NULL);
	assert_int_equal(reply.status, 200);
	json_t *daemon = json_object_get(object, "daemon"),
	       *store = json_object_get(object, "redis");
	assert_string_equal(text_of(daemon, "state"), "away");
	assert_non_null(strstr(text_of(daemon, "words"), "teredownd is not running"));
	assert_true(json_is_null(json_object_get(daemon, "status")));
	assert_string_equal(text_of(store, "state"), "ok");
	assert_int_equal(number_of(store, "memory_used"), 2000);
	assert_int_equal(number_of(store, "memory_max"), 4000);
	assert_int_equal(RUN("status", "--fleet", "--json"), CLI_OK);
	json_t *printed = json_loads(said, 0, NULL);
	assert_true(json_equal(
		json_object_get(printed, "resolvers"), json_object_get(object, "fleet")));
	assert_int_equal(json_array_size(json_object_get(object, "fleet")), 2);
	json_decref(printed);
}

/* A connection that broke is opened anew, however soon one asks again. */
static void test_health_heals(void **state)
{
	(void)state;
	if (!redis)
		skip();
	for (int i = 0; i < 2; i++) {
		const char *resolver = i ? "gw1" : "*";
		ASK(api_get_health, NULL, "resolver", resolver);
		assert_string_equal(text_of(json_object_get(object, "redis"), "state"), "ok");
		put("CLIENT KILL TYPE normal SKIPME yes");
		ASK(api_get_health, NULL, "resolver", resolver);
		assert_string_equal(text_of(json_object_get(object, "redis"), "state"), "away");
		ASK(api_get_health, NULL, "resolver", resolver);
		assert_string_equal(text_of(json_object_get(object, "redis"), "state"), "ok");
	}
}

/* Redis is away: what is known of the rest is shown, and which of the two it is. */
static void test_redis_away(void **state)
{
	(void)state;
	if (!redis)
		skip();
	char *kept = wrapped.options->redis;
	wrapped.options->redis = strdup("unix:/nonexistent/redis.sock");
	ASK(api_get_health, NULL, "resolver", "gw9");
	assert_int_equal(reply.status, 200);
	assert_string_equal(text_of(json_object_get(object, "redis"), "state"), "away");
	assert_non_null(text_of(json_object_get(object, "redis"), "words"));
	assert_int_equal(json_array_size(json_object_get(object, "fleet")), 0);
	ASK(api_get_policy, NULL, "resolver", "gw9");
	assert_int_equal(reply.status, 200);
	assert_true(json_is_null(json_object_get(row_of("zones", "zone", "teredo"), "hits")));
	ASK(api_get_watch, NULL, "resolver", "gw9");
	check_problem(503, "Redis");
	free(wrapped.options->redis);
	wrapped.options->redis = strdup("off");
	ASK(api_get_health, NULL);
	assert_string_equal(text_of(json_object_get(object, "redis"), "state"), "off");
	free(wrapped.options->redis);
	wrapped.options->redis = kept;
	dashboard.gate.away = false;
}

/* --- streams --- */

static void test_events(void **state)
{
	static const char *const broken[] = {"{\"ts\":", "[1]", "null", "\"text\"", "{}}", "",
		"{\"a\":\"\\ud800\"}", "{\"kind\":\"mode\",\"ts\":\"9\",\"text\":\"\xff\"}"};

	(void)state;
	if (!redis)
		skip();
	add_event(3, "mode", "teredo: watch to block");
	add_event(2, "new-client", "192.0.2.1 in zone teredo");
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		put("XADD teredown:{gw1}:events * ts 1 json %s", broken[i]);
	add_event(1, "new-client", "<script>alert(1)</script>\xe2\x80\xae in zone teredo");
	ASK(api_get_events, NULL);
	json_t *rows = json_object_get(object, "rows");
	assert_int_equal(json_array_size(rows), 3);
	assert_non_null(strstr(text_of(json_array_get(rows, 0), "text"), "<script>"));
	assert_string_equal(text_of(json_array_get(rows, 2), "kind"), "mode");
	ASK(api_get_events, NULL, "limit", "1");
	rows = json_object_get(object, "rows");
	assert_int_equal(json_array_size(rows), 1);
	assert_true(json_is_true(json_object_get(object, "cut")));
	ASK(api_get_events, NULL, "kind", "new-client", "client", "192.0.2.1");
	assert_int_equal(json_array_size(json_object_get(object, "rows")), 1);
	ASK(api_get_events, NULL, "client", "192.0.2");
	assert_int_equal(json_array_size(json_object_get(object, "rows")), 0);
	ASK(api_get_events, NULL, "limit", "100000");
	check_problem(400, "limit");
}

static void test_transactions(void **state)
{
	(void)state;
	if (!redis)
		skip();
	add_transaction("gw1", 5, "192.0.2.1", NAME, "teredo");
	add_transaction("gw2", 4, "192.0.2.2", NAME, "teredo");
	add_transaction("gw1", 3, "192.0.2.2", NAME, "teredo");
	ASK(api_get_transactions, NULL, "resolver", "*");
	json_t *rows = json_object_get(object, "rows");
	assert_int_equal(json_array_size(rows), 3);
	assert_string_equal(text_of(json_array_get(rows, 1), "resolver"), "gw2");
	ASK(api_get_transactions, NULL, "client", "192.0.2.2");
	assert_int_equal(json_array_size(json_object_get(object, "rows")), 1);
	ASK(api_get_transactions, NULL, "kind", "block");
	assert_int_equal(json_array_size(json_object_get(object, "rows")), 0);
}

/* --- watch --- */

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

/* Nobody wrote to this Redis yet. */
static void test_nothing_is_recorded(void **state)
{
	(void)state;
	if (!redis)
		skip();
	put("FLUSHALL");
	for (int whole = 0; whole < 2; whole++) {
		const char *resolver = whole ? "*" : "gw1";
		ASK(api_get_watch, NULL, "resolver", resolver);
		assert_int_equal(reply.status, 200);
		assert_int_equal(number_of(row_of("zones", "zone", "teredo"), "hits"), 0);
		assert_true(json_is_null(json_object_get(object, "recording_since")));
		ASK(api_get_watch_zone, "teredo", "resolver", resolver);
		assert_int_equal(json_array_size(json_object_get(object, "clients")), 0);
		ASK(api_get_policy, NULL, "resolver", resolver);
		assert_int_equal(number_of(row_of("zones", "zone", "teredo"), "clients"), 0);
		ASK(api_get_events, NULL, "resolver", resolver);
		assert_int_equal(json_array_size(json_object_get(object, "rows")), 0);
		ASK(api_get_health, NULL, "resolver", resolver);
		assert_int_equal(json_array_size(json_object_get(object, "fleet")), whole ? 0 : 1);
		ASK(api_get_who, NULL, "q", NAME, "resolver", resolver);
		check_problem(404, "nothing is recorded");
		ASK(api_get_drops, NULL, "resolver", resolver);
		check_problem(404, "no dropped packet");
	}
}

static void test_plain_words(void **state)
{
	char one[] = "teredown: a b\nNext: c\n", none[] = "", many[] = "\n\nteredown: x\n\n";

	(void)state;
	assert_string_equal(api_plain_words(one), "a b Next: c");
	assert_string_equal(api_plain_words(none), "");
	assert_string_equal(api_plain_words(many), "x");
}

/* --- the frame --- */

static int begin(void **state)
{
	if (start_server(state) != 0)
		return -1;
	wrapped = (struct dashboard_options){.holders = 1, .options = options_load(config)};
	dashboard = (struct dashboard){.program = "teredown",
		.config = config,
		.config_given = true,
		.options = &wrapped,
		.watch = watch_cache_new()};
	pthread_mutex_init(&dashboard.options_mutex, NULL);
	pthread_mutex_init(&dashboard.gate.mutex, NULL);
	dashboard.sessions = sessions_new(&dashboard);
	context = api_context_new(&dashboard);
	return wrapped.options && dashboard.watch && dashboard.sessions && context ? 0 : -1;
}

static int finish(void **state)
{
	json_decref(object);
	strbuf_deinit(&reply.body);
	api_context_free(context);
	sessions_free(dashboard.sessions);
	watch_cache_free(&dashboard.watch);
	options_free(wrapped.options);
	return stop_server(state);
}

/* What was kept of the test before is of a Redis that is gone. */
static int fill_anew(void **state)
{
	watch_cache_free(&dashboard.watch);
	dashboard.watch = watch_cache_new();
	api_context_free(context);
	context = api_context_new(&dashboard);
	return dashboard.watch && context ? fill(state) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_who, fill_anew),
		cmocka_unit_test_setup(test_who_is_bounded, fill_anew),
		cmocka_unit_test_setup(test_who_problems, fill_anew),
		cmocka_unit_test_setup(test_hostile_question, fill_anew),
		cmocka_unit_test_setup(test_timeline_and_drops, fill_anew),
		cmocka_unit_test_setup(test_verify, fill_anew),
		cmocka_unit_test_setup(test_policy_without_daemon, fill_anew),
		cmocka_unit_test_setup(test_health, fill_anew),
		cmocka_unit_test_setup(test_health_heals, fill_anew),
		cmocka_unit_test_setup(test_redis_away, fill_anew),
		cmocka_unit_test_setup(test_events, fill_anew),
		cmocka_unit_test_setup(test_transactions, fill_anew),
		cmocka_unit_test_setup(test_watch, fill_anew),
		cmocka_unit_test_setup(test_names_are_placed, fill_anew),
		cmocka_unit_test_setup(test_watch_zone, fill_anew),
		cmocka_unit_test_setup(test_many_clients, fill_anew),
		cmocka_unit_test_setup(test_watch_fleet, fill_anew),
		cmocka_unit_test_setup(test_threads, fill_anew),
		cmocka_unit_test_setup(test_nothing_is_recorded, fill_anew),
		cmocka_unit_test(test_plain_words),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, begin, finish);
}
