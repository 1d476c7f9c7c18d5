/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/dashboard_bed.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/session.h"
#include "resolver/control/dashboard/watch.h"

struct dashboard dashboard;
struct dashboard_options wrapped;
struct api_reply reply;
json_t *object;
int64_t now_ms;

struct api_context *context;

/* --- asking --- */

void ask(api_handler_fn *handler, const char *part, ...)
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

void check_problem(int status, const char *words)
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

const char *text_of(const json_t *from, const char *key)
{
	return json_string_value(json_object_get(from, key));
}

int64_t number_of(const json_t *from, const char *key)
{
	const json_t *value = json_object_get(from, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

/* The row of an array whose member key is this text. */
json_t *row_of(const char *array, const char *key, const char *text)
{
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(object, array), i,
		row) if (strcmp(text_of(row, key), text) == 0) return row;
	fail_msg("no %s %s in %s", key, text, reply.body.data);
	return NULL;
}

/* --- what stands in Redis --- */

void add_hits(const char *resolver, const char *zone, int64_t hours_ago, const char *client,
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

void add_event(int64_t hours_ago, const char *kind, const char *text)
{
	char ts[40];

	time_words(now_ms - hours_ago * HOUR_MS, ts);
	put("XADD teredown:{gw1}:events * ts 1 json "
	    "{\"ts\":\"%s\",\"kind\":\"%s\",\"text\":\"%b\"}",
		ts, kind, text, strlen(text));
}

void add_transaction(const char *resolver, int64_t hours_ago, const char *client, const char *name,
	const char *zone)
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

/* --- the frame --- */

int begin_dashboard(void **state)
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

int finish_dashboard(void **state)
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
int fill_anew(void **state)
{
	watch_cache_free(&dashboard.watch);
	dashboard.watch = watch_cache_new();
	api_context_free(context);
	context = api_context_new(&dashboard);
	return dashboard.watch && context ? fill(state) : -1;
}
