/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of the dashboard that show what commands show: the same objects, the right problems,
 * streams, what is shown while Redis is away, and nothing that stands in Redis reaches a reply raw.
 * Where redis-server is not installed the tests are skipped, and say so.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/api_command.h"
#include "resolver/control/dashboard/handlers.h"
#include "tests/unit/dashboard_bed.h"

#define HOSTILE "<script>\"\\\xe2\x80\xae\x01"

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

static void test_no_daemon_beside(void **state)
{
	(void)state;
	if (!redis)
		skip();
	put("SREM teredown:resolvers gw1");
	put("CLIENT KILL TYPE normal SKIPME yes");
	ASK(api_get_health, NULL); /* finds its connections closed, and opens them anew the next time */
	for (int fleet = 1; fleet >= 0; fleet--) {
		const char *state_word = fleet ? "none" : "away";
		dashboard.fleet = fleet;
		ASK(api_get_health, NULL);
		const json_t *daemon = json_object_get(object, "daemon");
		assert_string_equal(text_of(daemon, "state"), state_word);
		assert_true(!!strstr(text_of(daemon, "words"), "no resolver runs beside") == fleet);
		ASK(api_get_policy, NULL);
		daemon = json_object_get(object, "daemon");
		assert_string_equal(text_of(daemon, "state"), state_word);
	}
	put("SADD teredown:resolvers gw1");
	put("CLIENT KILL TYPE normal SKIPME yes");
	ASK(api_get_health, NULL);
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

/* However long a stream is, and however few pass a filter: no more is held than the answer shows. */
static void test_long_stream(void **state)
{
	char filler[1024];

	(void)state;
	if (!redis)
		skip();
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	add_event(2, "mode", "teredo: watch to block");
	for (int i = 0; i < 3000; i++)
		put("XADD teredown:{gw1}:events * ts 1 json "
		    "{\"ts\":\"2026-09-16T02:00:00.%06dZ\",\"kind\":\"filler\",\"text\":\"%s\"}",
			i, filler);
	for (int whole = 0; whole < 2; whole++) {
		const char *resolver = whole ? "*" : "gw1";
		ASK(api_get_events, NULL, "kind", "mode", "resolver", resolver);
		assert_int_equal(json_array_size(json_object_get(object, "rows")), 1);
		assert_true(json_is_false(json_object_get(object, "cut")));
		assert_true(context->cli->arena.reserved < 256 << 10);
		ASK(api_get_events, NULL, "kind", "filler", "limit", "7", "resolver", resolver);
		json_t *rows = json_object_get(object, "rows");
		assert_int_equal(json_array_size(rows), 7);
		assert_non_null(strstr(text_of(json_array_get(rows, 0), "ts"), ".002999Z"));
		assert_non_null(strstr(text_of(json_array_get(rows, 6), "ts"), ".002993Z"));
		assert_true(json_is_true(json_object_get(object, "cut")));
		assert_true(context->cli->arena.reserved < 256 << 10);
	}
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

/* --- without any of it --- */

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
		cmocka_unit_test_setup(test_no_daemon_beside, fill_anew),
		cmocka_unit_test_setup(test_redis_away, fill_anew),
		cmocka_unit_test_setup(test_events, fill_anew),
		cmocka_unit_test_setup(test_long_stream, fill_anew),
		cmocka_unit_test_setup(test_transactions, fill_anew),
		cmocka_unit_test_setup(test_nothing_is_recorded, fill_anew),
		cmocka_unit_test(test_plain_words),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, begin_dashboard, finish_dashboard);
}
