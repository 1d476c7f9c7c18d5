/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The answers about the overview, hours and clients, called as the dashboard's threads call them,
 * over a real redis-server that is filled by hand after the schema. What comes out is read by
 * jansson, so it is JSON whatever names Redis holds. Where redis-server is not installed the tests
 * are skipped, and say so.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>

#include "resolver/control/client_table.h"
#include "resolver/control/dashboard/context.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/overview.h"
#include "tests/unit/redis_server.h"

#define HOUR_MS INT64_C(3600000)

static struct dashboard dashboard;
static struct api_context *context;
static json_t *answer;
static int status;

/* The monotonic clock of all that is tested, which a test can put forward (-Wl,--wrap). */
static int64_t ahead_ms;
int64_t __real_dashboard_mono_ms(void);
int64_t __wrap_dashboard_mono_ms(void);

int64_t __wrap_dashboard_mono_ms(void)
{
	return __real_dashboard_mono_ms() + ahead_ms;
}

static int begin(void **state)
{
	static const struct hash_seed seed = {3, 4};

	(void)state;
	if (!redis)
		return 0;
	put("FLUSHALL");
	put("SADD teredown:resolvers gw1 gw2");
	dashboard = (struct dashboard){.program = "teredown", .config = config};
	pthread_mutex_init(&dashboard.options_mutex, NULL);
	pthread_mutex_init(&dashboard.gate.mutex, NULL);
	dashboard.options = calloc(1, sizeof(*dashboard.options));
	dashboard.options->holders = 1;
	dashboard.options->options = options_load(config);
	dashboard.clients = client_tables_new(seed, 1000);
	dashboard.overviews = overviews_new();
	context = api_context_new(&dashboard);
	ahead_ms = 0;
	return context && dashboard.options->options ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	if (!redis)
		return 0;
	json_decref(answer);
	answer = NULL;
	api_context_free(context);
	overviews_free(&dashboard.overviews);
	client_tables_free(&dashboard.clients);
	dashboard_options_drop(dashboard.options);
	pthread_mutex_destroy(&dashboard.options_mutex);
	pthread_mutex_destroy(&dashboard.gate.mutex);
	return 0;
}

/* The answer to a request with these parameters, "name=value" each, in `answer`. */
__attribute__((sentinel)) static void ask(api_handler_fn *handler, const char *part, ...)
{
	static char texts[API_PARAMETERS_MAX][1200];
	struct api_request request = {
		.parts = {part}, .body = "", .from = "127.0.0.1", .cookie = ""};
	struct api_reply reply;

	size_t count = 0;
	const char *word;
	va_list words;
	va_start(words, part);
	while ((word = va_arg(words, const char *)) != NULL && count < API_PARAMETERS_MAX) {
		snprintf(texts[count], sizeof(texts[count]), "%s", word);
		char *value = strchr(texts[count], '=');
		*value++ = '\0';
		request.parameters[count] = (struct api_parameter){texts[count], value};
		count++;
	}
	va_end(words);
	request.parameter_count = count;
	assert_true(api_context_begin(context, &reply));
	handler(context, &request, &reply);
	status = reply.status;
	json_error_t error;
	json_decref(answer);
	answer = json_loadb(reply.body.data, reply.body.length, JSON_REJECT_DUPLICATES, &error);
	if (!answer)
		print_error("%s\n%.*s\n", error.text, (int)reply.body.length, reply.body.data);
	assert_non_null(answer);
	strbuf_deinit(&reply.body);
}

#define ASK(handler, ...) ask(handler, __VA_ARGS__, NULL)

static void need_redis(void)
{
	if (!redis)
		skip();
}

/* A member of a path of members, "state.redis", or "rows.0.client". */
static json_t *at(const char *path)
{
	char word[64];
	json_t *value = answer;

	while (*path) {
		size_t length = strcspn(path, ".");
		snprintf(word, sizeof(word), "%.*s", (int)length, path);
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(word))
					     : json_object_get(value, word);
		path += length + (path[length] == '.');
	}
	return value;
}

static void assert_at(const char *path, const char *text)
{
	const char *found = json_string_value(at(path));

	assert_non_null(found);
	assert_string_equal(found, text);
}

static void assert_number(const char *path, double number)
{
	assert_true(json_is_number(at(path)));
	double found = json_number_value(at(path));
	if (found < number - 0.0001 || found > number + 0.0001)
		fail_msg("%s is %f, not %f", path, found, number);
}

static void assert_null_at(const char *path)
{
	assert_true(json_is_null(at(path)));
}

static int64_t now_ms(void)
{
	return dashboard_wall_ms();
}

static void count_hour(int resolver, int64_t hours_ago, const char *counter, int count)
{
	char hour[16];

	hour_words(now_ms() / HOUR_MS - hours_ago, hour);
	put("HINCRBY teredown:{gw%d}:hour:%s %s %d", resolver, hour, counter, count);
}

static void add_client(int resolver, const char *client, int queries, int64_t seen_ms)
{
	put("HSET teredown:{gw%d}:client:%s queries %d last_seen %lld first_seen 1700000000000",
		resolver, client, queries, (long long)seen_ms);
	put("ZADD teredown:{gw%d}:clients %lld %s", resolver, (long long)seen_ms, client);
	put("HINCRBY teredown:{gw%d}:meta queries %d", resolver, queries);
}

/* What is told again as it is for a while. */
static void let_it_age(void)
{
	usleep((OVERVIEW_FRESH_MS + 20) * 1000);
}

/* --- the overview --- */

static void test_nothing_recorded(void **state)
{
	(void)state;
	need_redis();
	ASK(api_overview, NULL);
	assert_int_equal(status, 200);
	assert_at("resolver", "gw1");
	assert_null_at("recording_since");
	assert_at("state.redis", "ok");
	assert_at("state.daemon", "away");
	assert_true(strlen(json_string_value(at("state.daemon_words"))) > 10);
	assert_null_at("now.queries_per_s");
	assert_null_at("now.cache_hit_rate");
	assert_number("day.queries", 0);
	assert_number("day.clients", 0);
	assert_int_equal(json_array_size(at("hours")), 24);
	assert_true(json_is_true(at("hours.23.partial")));
	assert_null(at("hours.22.partial"));
	assert_null_at("latency");
	assert_int_equal(json_array_size(at("tunnelling")), 0);
	assert_true(json_array_size(at("zones")) >= 4);
	assert_null_at("zones.0.mode"); /* who knows, without the daemon */
}

static void add_tunnellers(void)
{
	int64_t now = now_ms();

	for (int i = 0; i < 14; i++) {
		put("ZADD teredown:{gw1}:watch:teredo %d 192.0.2.%d", 100 + i, i);
		put("ZADD teredown:{gw1}:watch:teredo:last %lld 192.0.2.%d",
			(long long)now - i * 60000, i);
	}
	put("ZADD teredown:{gw1}:rules:teredo 1000 teredo.ipv6.microsoft.com. 491 *other");
	put("ZADD teredown:{gw1}:watch:isatap 5 192.0.2.200 77 *other");
	put("ZADD teredown:{gw1}:watch:isatap:last %lld 192.0.2.200 %lld *other",
		(long long)now - 30000, (long long)now);
	put("XADD teredown:{gw1}:events * ts 1 json %s",
		"{\"ts\":\"2026-09-16T02:00:00.500000Z\",\"kind\":\"new-client\",\"text\":"
		"\"192.0.2.200 in zone isatap\"}");
	put("HSET teredown:{gw1}:client:192.0.2.0 name %s told_teredo 1700000000000 "
	    "told_teredo_last 1700000001000 told_teredo_server 65.55.158.118",
		"<img src=x>");
}

/* The zone of that name. */
static json_t *zone_named(const char *name)
{
	size_t i;
	json_t *zone;

	json_array_foreach(at("zones"), i, zone)
	{
		if (strcmp(json_string_value(json_object_get(zone, "zone")), name) == 0)
			return zone;
	}
	fail_msg("no zone %s", name);
	return NULL;
}

static void assert_zone(const char *name, int clients, int hits)
{
	const json_t *zone = zone_named(name);

	assert_int_equal(json_integer_value(json_object_get(zone, "clients")), clients);
	assert_int_equal(json_integer_value(json_object_get(zone, "hits")), hits);
}

static void test_tunnelling(void **state)
{
	(void)state;
	need_redis();
	add_tunnellers();
	ASK(api_overview, NULL);
	assert_int_equal(json_array_size(at("tunnelling")), 10);
	assert_at("tunnelling.0.client", "192.0.2.0");
	assert_at("tunnelling.0.zone", "teredo");
	assert_at("tunnelling.0.name", "<img src=x>");
	assert_number("tunnelling.0.hits", 100);
	assert_at("tunnelling.0.since", "2023-11-14T22:13:20.000000Z");
	assert_at("tunnelling.0.told_teredo.server", "65.55.158.118");
	assert_at("tunnelling.1.client", "192.0.2.200");
	assert_at("tunnelling.1.since", "2026-09-16T02:00:00.500000Z");
	assert_null_at("tunnelling.1.told_teredo");
	assert_null_at("tunnelling.2.since");
	assert_zone("teredo", 14, 1491);
	assert_zone("isatap", 1, 82); /* what a bound took is no client, but its hits are hits */
}

/* Clients of several resolvers are counted once each, however many of them there are. */
static void test_zones_of_a_fleet(void **state)
{
	(void)state;
	need_redis();
	for (int i = 0; i < 60; i++) {
		int resolver = i < 30 ? 1 : 2;
		put("ZADD teredown:{gw%d}:watch:teredo 2 192.0.2.%d", resolver, i);
		put("ZADD teredown:{gw%d}:watch:teredo:last %lld 192.0.2.%d", resolver,
			(long long)now_ms() - i, i);
	}
	put("ZADD teredown:{gw2}:watch:teredo 3 192.0.2.7");
	put("ZADD teredown:{gw2}:watch:teredo:last 1700000000000 192.0.2.7");
	ASK(api_overview, NULL, "resolver=*");
	assert_zone("teredo", 60, 123);
}

static void test_day_and_rates(void **state)
{
	(void)state;
	need_redis();
	count_hour(1, 0, "queries", 100);
	count_hour(1, 23, "queries", 1000);
	count_hour(1, 24, "queries", 50000); /* a day ago */
	count_hour(1, 5, "watched", 7);
	add_client(1, "192.0.2.1", 10, now_ms() - 1000);
	add_client(1, "192.0.2.2", 10, now_ms() - 25 * HOUR_MS);
	ASK(api_overview, NULL);
	assert_number("day.queries", 1100);
	assert_number("day.watched", 7);
	assert_number("day.clients", 1);
	assert_number("hours.23.queries", 100);
	assert_number("hours.18.watched", 7);
	assert_number("hours.0.queries", 1000);
	assert_null_at("now.watched_per_s");
	count_hour(1, 0, "watched", 30);
	let_it_age();
	ASK(api_overview, NULL);
	assert_true(json_real_value(at("now.watched_per_s")) > 1);
	/* A second has not gone by: the same again, whoever asks. */
	double rate = json_real_value(at("now.watched_per_s"));
	count_hour(1, 0, "watched", 3000);
	ASK(api_overview, NULL);
	assert_number("now.watched_per_s", rate);
}

static void test_redis_away(void **state)
{
	(void)state;
	need_redis();
	count_hour(1, 0, "queries", 100);
	add_tunnellers();
	put("HSET teredown:{gw1}:meta gauge_upstreams_state 9.9.9.9:53=ok");
	ASK(api_overview, NULL);
	assert_at("upstreams.0.address", "9.9.9.9:53");
	char *as_of = strdup(json_string_value(at("state.as_of")));
	put("CONFIG SET maxclients 1");
	put("CLIENT KILL TYPE normal SKIPME yes");
	usleep((OVERVIEW_SLOW_MS + 20) * 1000); /* all of it is due */
	ASK(api_overview, NULL);
	put("CONFIG SET maxclients 1000");
	assert_int_equal(status, 200);
	assert_at("state.redis", "away");
	assert_true(strlen(json_string_value(at("state.redis_words"))) > 5);
	assert_at("state.as_of", as_of);
	assert_number("day.queries", 100); /* not 0 */
	assert_int_equal(json_array_size(at("tunnelling")), 10);
	assert_int_equal(json_array_size(at("upstreams")), 1);
	assert_null_at("now.watched_per_s");
	free(as_of);
	usleep(2100 * 1000);
	ASK(api_overview, NULL);
	assert_at("state.redis", "ok");
}

static void *ask_beside(void *unused)
{
	struct api_context *own = api_context_new(&dashboard);
	const struct api_request request = {.body = "", .from = "127.0.0.1", .cookie = ""};
	struct api_reply reply;

	if (!own || !api_context_begin(own, &reply))
		return NULL;
	api_overview(own, &request, &reply);
	strbuf_deinit(&reply.body);
	api_context_free(own);
	return unused;
}

/* While one is built the last one is told, but not that of an hour ago. */
static void test_old_figures_are_not_told(void **state)
{
	pthread_t builder;

	(void)state;
	need_redis();
	count_hour(1, 0, "queries", 100);
	ASK(api_overview, NULL);
	assert_number("day.queries", 100);
	count_hour(1, 0, "queries", 100);
	ahead_ms = 3600000;
	put("CLIENT PAUSE 500");
	assert_int_equal(pthread_create(&builder, NULL, ask_beside, NULL), 0);
	usleep(150 * 1000); /* Redis keeps it waiting */
	ASK(api_overview, NULL);
	pthread_join(builder, NULL);
	assert_number("day.queries", 200);
}

/* Names that are no resolver's take no place from those that are. */
static void test_strange_resolvers(void **state)
{
	char name[40];

	(void)state;
	need_redis();
	count_hour(1, 0, "queries", 100);
	int64_t then_ms = dashboard_mono_ms();
	ASK(api_overview, NULL);
	assert_number("day.queries", 100);
	ASK(api_overview, NULL, "resolver=gw2");
	assert_int_equal(status, 200);
	count_hour(1, 0, "queries", 100);
	for (int i = 0; i < 2 * OVERVIEWS_MAX; i++) {
		snprintf(name, sizeof(name), "resolver=nosuch%d", i);
		ASK(api_overview, NULL, name);
		assert_int_equal(status, 404);
		assert_non_null(strstr(json_string_value(at("detail")), name + strlen("resolver=")));
	}
	ASK(api_clients, NULL, "resolver=nosuch1");
	assert_int_equal(status, 404);
	ahead_ms = then_ms - dashboard_mono_ms(); /* however long this took */
	ASK(api_overview, NULL);
	assert_number("day.queries", 100); /* that of a moment ago: it kept its place */
	put("HSET teredown:{gw3}:meta schema 1"); /* the set of resolvers was deleted by hand */
	ASK(api_overview, NULL, "resolver=gw3");
	assert_int_equal(status, 200);
}

/* A dashboard of a fleet need not have a daemon beside it, and that is no fault. */
static void test_no_daemon_beside(void **state)
{
	(void)state;
	need_redis();
	dashboard.fleet = true;
	ASK(api_overview, NULL);
	assert_at("state.daemon", "away"); /* one of our name wrote */
	put("SREM teredown:resolvers gw1");
	ahead_ms = 60000;
	ASK(api_overview, NULL);
	assert_at("state.daemon", "none");
	assert_non_null(strstr(json_string_value(at("state.daemon_words")), "no resolver runs"));
	put("CONFIG SET maxclients 1");
	put("CLIENT KILL TYPE normal SKIPME yes");
	ahead_ms += 2000;
	ASK(api_overview, NULL);
	put("CONFIG SET maxclients 1000");
	assert_at("state.redis", "away");
	assert_at("state.daemon", "none"); /* as was known */
	dashboard.fleet = false;
	ahead_ms += 2000;
	ASK(api_overview, NULL);
	assert_at("state.daemon", "away");
}

/* A Redis that hangs costs a request its time limit once, whatever it tries. */
static void test_redis_hangs(void **state)
{
	(void)state;
	need_redis();
	ASK(api_hours, NULL);
	assert_int_equal(status, 200);
	ahead_ms = 2000; /* the connection was left alone, so it is asked whether it is there */
	hang_server(true);
	int64_t began_ms = dashboard_mono_ms();
	ASK(api_hours, NULL);
	int64_t took_ms = dashboard_mono_ms() - began_ms;
	int first_status = status;
	ASK(api_hours, NULL); /* nor does the next one wait */
	int64_t next_ms = dashboard_mono_ms() - began_ms - took_ms;
	hang_server(false);
	assert_int_equal(first_status, 503);
	assert_int_equal(status, 503);
	assert_true(next_ms < CLI_READER_TIMEOUT_MS / 2);
	assert_true(took_ms >= CLI_READER_TIMEOUT_MS - 100);
	assert_true(took_ms < CLI_READER_TIMEOUT_MS * 9 / 5);
}

static void test_redis_off(void **state)
{
	struct options *options;

	(void)state;
	need_redis();
	options = dashboard.options->options;
	free(options->redis);
	options->redis = strdup("off");
	ASK(api_overview, NULL);
	assert_int_equal(status, 200);
	assert_at("state.redis", "off");
	assert_at("resolver", "gw1");
	assert_null_at("state.as_of");
	assert_null_at("day");
	assert_null_at("now.watched_per_s");
	assert_int_equal(json_array_size(at("hours")), 0);
	assert_true(json_array_size(at("zones")) >= 4);
	assert_null_at("zones.0.hits");
	ASK(api_clients, NULL);
	assert_int_equal(status, 503);
}

static void test_fleet_overview(void **state)
{
	(void)state;
	need_redis();
	count_hour(1, 0, "queries", 100);
	count_hour(2, 0, "queries", 11);
	add_client(1, "192.0.2.1", 10, now_ms() - 1000);
	add_client(2, "192.0.2.1", 10, now_ms() - 2000);
	put("HSET teredown:{gw2}:meta gauge_upstreams_state %s gauge_at 1",
		"9.9.9.9:53=ok [2001:db8::1]:53=backoff");
	put("HSET teredown:{gw1}:meta gauge_latency_cached %s gauge_latency_forwarded %s",
		"0 0 90 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 500", "not numbers");
	put("HSET teredown:{gw2}:meta gauge_latency_cached %s",
		"0 0 90 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 500");
	ASK(api_overview, NULL, "resolver=*");
	assert_number("latency.cached.count", 200);
	assert_true(json_integer_value(at("latency.cached.p50_us")) <= 5);
	assert_true(json_integer_value(at("latency.cached.p99_us")) > 5);
	assert_null_at("latency.forwarded.p50_us");
	assert_number("latency.forwarded.count", 0);
	assert_number("day.queries", 111);
	assert_number("day.clients", 1); /* of two resolvers, but one */
	assert_int_equal(json_array_size(at("resolvers")), 2);
	assert_at("upstreams.0.resolver", "gw2");
	assert_at("upstreams.1.address", "[2001:db8::1]:53");
	assert_at("upstreams.1.state", "backoff");
	assert_null_at("upstreams.1.srtt_us");
	ASK(api_overview, NULL, "resolver=gw2");
	assert_number("day.queries", 11);
	assert_at("resolver", "gw2");
	assert_at("state.daemon", "away");
	put("HSET teredown:{gw2}:meta lease_until %lld", (long long)now_ms() + 60000);
	let_it_age();
	ASK(api_overview, NULL, "resolver=gw2");
	assert_at("state.daemon", "ok");
	ASK(api_overview, NULL, "resolver=../x");
	assert_true(status == 400 || status == 404);
}

static void test_hours(void **state)
{
	(void)state;
	need_redis();
	count_hour(1, 30, "queries", 5);
	ASK(api_hours, NULL, "days=2");
	assert_int_equal(json_array_size(at("hours")), 48);
	assert_number("hours.17.queries", 5);
	assert_number("hours.18.queries", 0);
	assert_true(json_is_true(at("hours.47.partial")));
	ASK(api_hours, NULL);
	assert_int_equal(json_array_size(at("hours")), 168);
	ASK(api_hours, NULL, "days=0");
	assert_int_equal(status, 400);
	ASK(api_hours, NULL, "days=1e3");
	assert_int_equal(status, 400);
	ASK(api_hours, NULL, "days=366");
	assert_int_equal(json_array_size(at("hours")), 366 * 24);
}

/* --- clients --- */

static void test_clients(void **state)
{
	(void)state;
	need_redis();
	for (int i = 0; i < 25; i++) {
		char client[24];
		snprintf(client, sizeof(client), "10.0.0.%d", i);
		add_client(1, client, i + 1, 1700000000000 + i);
	}
	put("HSET teredown:{gw1}:client:*other queries 1000");
	ASK(api_clients, NULL, "limit=3");
	assert_int_equal(status, 200);
	assert_number("total", 26);
	assert_number("matching", 26);
	assert_int_equal(json_array_size(at("rows")), 3);
	assert_at("rows.0.client", "*other");
	assert_at("rows.1.client", "10.0.0.24");
	assert_number("rows.1.queries", 25);
	assert_null_at("rows.1.told_teredo");
	assert_null_at("rows.1.name");
	assert_at("rows.1.first", "2023-11-14T22:13:20.000000Z");
	assert_true(json_is_true(at("exact")));
	assert_true(json_is_false(at("stale")));
	ASK(api_clients, NULL, "sort=client", "offset=24");
	assert_at("rows.0.client", "10.0.0.24");
	assert_at("rows.1.client", "*other");
	ASK(api_clients, NULL, "sort=queries", "order=asc", "search=10.0.0.2", "limit=1000");
	assert_number("matching", 6);
	assert_at("rows.0.client", "10.0.0.2");
	static const char *const wrong[] = {"sort=queries;", "order=up", "limit=0", "limit=1001",
		"offset=-1", "limit=", "sort="};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ASK(api_clients, NULL, wrong[i]);
		assert_int_equal(status, 400);
	}
	static char long_search[420] = "search=";
	memset(long_search + 7, 'x', 400);
	ASK(api_clients, NULL, long_search);
	assert_int_equal(status, 400);
}

/* What a name server or a host may have said, and what it looks like when it was read as JSON. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = {"<script>alert(1)</script>", "\"},{\"client\":\"x",
		"back\\slash\\u0000", "tab\tnewline\nreturn\r",
		("\xe2\x80\xae"
		 "evil"),
		"\xff\xfe\x80", "%s%n%d", "'; DROP TABLE clients", "\x01\x02\x1b[31m"};
	enum { NAMES = sizeof(names) / sizeof(names[0]) };
	char longest[256];

	(void)state;
	need_redis();
	memset(longest, 'a', 255);
	longest[255] = '\0';
	for (size_t i = 0; i <= NAMES; i++) {
		char client[24];
		snprintf(client, sizeof(client), "10.0.0.%zu", i);
		add_client(1, client, 100 - (int)i, 1700000000000);
		put("HSET teredown:{gw1}:client:%s name %s forwarder %s", client,
			i < NAMES ? names[i] : longest, i < NAMES ? names[i] : longest);
		put("ZADD teredown:{gw1}:client:10.0.0.0:names %d %s", 100 - (int)i,
			i < NAMES ? names[i] : longest);
	}
	add_client(1, "cl\"ient", 5, 1700000000000);
	ASK(api_clients, NULL);
	assert_int_equal(json_array_size(at("rows")), NAMES + 2);
	assert_at("rows.0.name", names[0]);
	assert_at("rows.1.name", names[1]);
	assert_at("rows.2.name", names[2]);
	assert_at("rows.3.name", names[3]);
	assert_at("rows.9.name", longest);
	ASK(api_clients, NULL, "search=SCRIPT");
	assert_number("matching", 1);
	ASK(api_client, "10.0.0.0");
	assert_int_equal(status, 200);
	assert_int_equal(json_array_size(at("names")), NAMES + 1);
	assert_at("names.0.name", names[0]);
	assert_at("names.9.name", longest);
	ASK(api_client, "cl\"ient");
	assert_int_equal(status, 200);
	assert_at("client", "cl\"ient");
	ASK(api_client, "<script>");
	assert_int_equal(status, 404);
}

static void test_client(void **state)
{
	char hour[16];

	(void)state;
	need_redis();
	add_client(1, "2001:db8::1", 40, 1700000000000);
	add_client(2, "2001:db8::1", 2, 1700000005000);
	put("HSET teredown:{gw1}:client:2001:db8::1 watched 3 told_teredo 1700000000000 "
	    "told_teredo_last 1700000001000 told_teredo_server 65.55.158.118");
	put("ZADD teredown:{gw1}:client:2001:db8::1:names 30 www.example. 8 t.example. 2 *other "
	    "1 rule.example.");
	put("ZADD teredown:{gw1}:watch:teredo 3 2001:db8::1");
	put("ZADD teredown:{gw1}:watch:teredo:last 1700000001000 2001:db8::1");
	put("ZADD teredown:{gw1}:rules:isatap 3 rule.example.");
	hour_words(now_ms() / HOUR_MS - 2, hour);
	put("ZADD teredown:{gw1}:hour:%s:watched 3 2001:db8::1", hour);
	put("ZADD teredown:{gw1}:hour:%s:queries 12 2001:db8::1", hour);
	put("ZADD teredown:{gw2}:hour:%s:queries 2 2001:db8::1", hour);
	put("ZADD teredown:{gw1}:hour:%s:watched-names 3 %s", hour, "2001:db8::1 t.example.");
	ASK(api_client, "2001:DB8:0::1");
	assert_int_equal(status, 200);
	assert_at("client", "2001:db8::1");
	assert_number("queries", 40);
	assert_number("counters.watched", 3);
	assert_number("counters.tcp", 0);
	assert_null_at("group");
	assert_at("zones.0.zone", "teredo");
	assert_number("zones.0.hits", 3);
	assert_at("told_teredo.server", "65.55.158.118");
	assert_int_equal(json_array_size(at("hours.queries")), 168);
	assert_number("hours.queries.165", 12);
	assert_number("hours.watched.165", 3);
	assert_number("hours.blocked.165", 0);
	assert_at("names.0.name", "www.example.");
	assert_true(json_is_false(at("names.0.watched")));
	assert_true(json_is_true(at("names.1.watched")));
	assert_true(json_is_false(at("names.2.watched")));
	assert_true(json_is_true(at("names.3.watched")));
	assert_number("name_count", 4);
	ASK(api_client, "2001:db8::1", "names=2", "resolver=*");
	assert_number("queries", 42);
	assert_number("hours.queries.165", 14);
	assert_int_equal(json_array_size(at("names")), 2);
	ASK(api_client, "192.0.2.99");
	assert_int_equal(status, 404);
}

static void test_clients_while_redis_is_away(void **state)
{
	(void)state;
	need_redis();
	add_client(1, "192.0.2.1", 10, 1700000000000);
	ASK(api_clients, NULL);
	put("CONFIG SET maxclients 1");
	put("CLIENT KILL TYPE normal SKIPME yes");
	usleep((CLIENT_TABLE_FRESH_MS + 20) * 1000);
	ASK(api_clients, NULL);
	assert_int_equal(status, 200);
	assert_true(json_is_true(at("stale")));
	assert_at("rows.0.client", "192.0.2.1");
	ASK(api_clients, NULL);
	assert_int_equal(status, 200);
	assert_true(json_is_true(at("stale")));
	assert_at("resolver", "gw1");
	ASK(api_client, "192.0.2.1");
	assert_int_equal(status, 503);
	ASK(api_clients, NULL, "resolver=gw2"); /* never read */
	put("CONFIG SET maxclients 1000");
	assert_int_equal(status, 503);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_recorded, begin, end),
		cmocka_unit_test_setup_teardown(test_tunnelling, begin, end),
		cmocka_unit_test_setup_teardown(test_zones_of_a_fleet, begin, end),
		cmocka_unit_test_setup_teardown(test_day_and_rates, begin, end),
		cmocka_unit_test_setup_teardown(test_redis_away, begin, end),
		cmocka_unit_test_setup_teardown(test_old_figures_are_not_told, begin, end),
		cmocka_unit_test_setup_teardown(test_strange_resolvers, begin, end),
		cmocka_unit_test_setup_teardown(test_no_daemon_beside, begin, end),
		cmocka_unit_test_setup_teardown(test_redis_hangs, begin, end),
		cmocka_unit_test_setup_teardown(test_redis_off, begin, end),
		cmocka_unit_test_setup_teardown(test_fleet_overview, begin, end),
		cmocka_unit_test_setup_teardown(test_hours, begin, end),
		cmocka_unit_test_setup_teardown(test_clients, begin, end),
		cmocka_unit_test_setup_teardown(test_hostile_names, begin, end),
		cmocka_unit_test_setup_teardown(test_client, begin, end),
		cmocka_unit_test_setup_teardown(test_clients_while_redis_is_away, begin, end),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
