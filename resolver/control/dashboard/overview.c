/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An overview is kept as pieces of JSON, each as it was last known, with the state beside them:
 * when Redis or the daemon goes away the pieces that come from there stay, and as_of says how old
 * they are. Zeros would look like a quiet network.
 *
 * Queries and the share of the cache are the daemon's own figures where it stands beside us,
 * because they are of this second; what was watched and blocked is known to Redis alone, a second
 * or two later, as are all figures of a fleet.
 */
#include "resolver/control/dashboard/overview.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/client_table.h"
#include "resolver/control/dashboard/away.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/hours_json.h"
#include "resolver/control/dashboard/overview_private.h"
#include "resolver/control/fleet_hours.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define PATIENCE_MS 1500       /* with the daemon: the next second is to come */
#define CLIENTS_FRESH_MS 30000 /* of the number of clients of a fleet */

struct overviews {
	pthread_mutex_t mutex; /* guards users, used, building, text and built_ms of each */
	pthread_cond_t built;
	uint64_t calls;
	struct overview *rows[OVERVIEWS_MAX];
};

/* --- keeping them --- */

struct overviews *overviews_new(void)
{
	struct overviews *overviews = calloc(1, sizeof(*overviews));

	if (!overviews)
		return NULL;
	pthread_mutex_init(&overviews->mutex, NULL);
	pthread_cond_init(&overviews->built, NULL);
	return overviews;
}

static void overview_end(struct overview **overview)
{
	struct overview *it = *overview;

	if (!it)
		return;
	struct strbuf *const texts[] = {&it->text, &it->frame, &it->day, &it->hours, &it->latency,
		&it->upstreams, &it->zones, &it->tunnelling};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		strbuf_deinit(texts[i]);
	for (size_t i = 0; i < OVERVIEW_TUNNELLING_MAX; i++)
		strbuf_deinit(&it->tunnellers[i].members);
	free(it);
	*overview = NULL;
}

void overviews_free(struct overviews **overviews)
{
	if (!*overviews)
		return;
	for (size_t i = 0; i < OVERVIEWS_MAX; i++)
		overview_end(&(*overviews)->rows[i]);
	pthread_cond_destroy(&(*overviews)->built);
	pthread_mutex_destroy(&(*overviews)->mutex);
	free(*overviews);
	*overviews = NULL;
}

/* NULL: it has no place. */
static struct overview **place_with(struct overviews *overviews, const char *key)
{
	for (size_t i = 0; i < OVERVIEWS_MAX; i++)
		if (overviews->rows[i] && strcmp(overviews->rows[i]->key, key) == 0)
			return &overviews->rows[i];
	return NULL;
}

/* The one of that key, a free place, or that of what was used least recently. */
static struct overview **place_of(struct overviews *overviews, const char *key)
{
	struct overview **place = place_with(overviews, key);

	if (place)
		return place;
	for (size_t i = 0; i < OVERVIEWS_MAX; i++) {
		struct overview **one = &overviews->rows[i];
		if (!*one)
			return one;
		if ((*one)->users == 0 && (!place || (*one)->used < (*place)->used))
			place = one;
	}
	return place;
}

/* With the lock. NULL: no memory, or all are in use. */
static struct overview *take(struct overviews *overviews, const char *key)
{
	struct overview **place = place_of(overviews, key);

	if (!place || strlen(key) >= OVERVIEW_KEY_MAX)
		return NULL;
	if (*place && strcmp((*place)->key, key) != 0)
		overview_end(place);
	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return NULL;
		memcpy((*place)->key, key, strlen(key) + 1);
		rates_init(&(*place)->rates);
	}
	(*place)->used = ++overviews->calls;
	(*place)->users++;
	return *place;
}

/* --- the daemon --- */

static const char *outcome_words(enum control_outcome outcome, const struct control_answer *answer)
{
	switch (outcome) {
	case CONTROL_NO_DAEMON:
		return "teredownd is not running beside the dashboard";
	case CONTROL_DENIED:
		return "the control socket belongs to another user";
	case CONTROL_SILENT:
		return "teredownd does not answer";
	default:
		return answer->words;
	}
}

static void ask_daemon(struct overview_facts *facts)
{
	static const char *const words[] = {"status"};
	struct cli *cli = facts->context->cli;
	int patience_ms = cli->patience_ms;

	cli->patience_ms = PATIENCE_MS;
	facts->outcome = cli_ask_silently(cli, 1, words, &facts->status);
	cli->patience_ms = patience_ms;
	facts->has_daemon = facts->outcome == CONTROL_OK;
	if (!facts->has_daemon)
		snprintf(facts->daemon_words, sizeof(facts->daemon_words), "%s",
			outcome_words(facts->outcome, &facts->status));
}

/* --- Redis --- */

/* What became of a request that failed, as the reply says: its words, with their quotes. */
static const char *failure_words(struct api_context *context, const struct api_reply *reply)
{
	static const char key[] = "\"detail\":";
	const char *text = reply->body.data ? strstr(reply->body.data, key) : NULL;

	if (!text)
		return "\"\"";
	text += sizeof(key) - 1;
	size_t length = strlen(text);
	while (length > 0 && text[length - 1] != '"')
		length--;
	char *copy = arena_alloc(&context->cli->arena, length + 1);
	if (!copy || length < 2)
		return "\"\"";
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

static void forget_failure(struct api_reply *reply)
{
	strbuf_clear(&reply->body);
	reply->status = 200;
	reply->type = "application/json";
}

static void note_failure(struct overview_facts *facts, struct fleet *fleet, struct api_reply *reply)
{
	if (fleet)
		api_fleet_failed(facts->context, fleet, reply);
	facts->redis_words = failure_words(facts->context, reply);
	facts->has_redis = false;
	facts->fleet = NULL;
	forget_failure(reply);
}

/* Which resolvers the hours are of: those that can be read, in their order. */
static uint64_t sources_of(const struct fleet *fleet)
{
	static const struct hash_seed seed = {0x7465726564, 0x6f776e};
	uint64_t sources = fleet->count;

	for (size_t i = 0; i < fleet->count; i++) {
		const struct fleet_member *member = &fleet->members[i];
		sources = sources * 31 + (member->reader ? hash_bytes(&seed, member->resolver,
								   strlen(member->resolver))
							 : 0);
	}
	return sources;
}

static enum td_error count_clients(void *context, struct fleet_member *member)
{
	uint64_t *numbers = context;

	return reader_clients_since(member->reader, (int64_t)numbers[1], &numbers[0]);
}

/* One that asked two resolvers is one client, so those of a fleet are looked at one by one. */
static enum td_error day_clients(struct overview_facts *facts, uint64_t *clients)
{
	struct api_context *context = facts->context;
	int64_t since_ms = context->cli->now_ms - DAY_MS;
	uint64_t numbers[2] = {0, (uint64_t)(since_ms > 0 ? since_ms : 0)};

	if (facts->fleet->whole)
		return client_table_since(context->shared->clients, facts->fleet, since_ms,
			CLIENTS_FRESH_MS, facts->mono_ms, context->cli->now_ms, clients);
	enum td_error error = fleet_each(facts->fleet, count_clients, numbers);
	*clients = numbers[0];
	return error;
}

static void write_day(struct overview *overview, const struct reader_total *hours, uint64_t clients)
{
	struct strbuf *out = &overview->day;
	uint64_t sum;

	strbuf_clear(out);
	strbuf_append_char(out, '{');
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++) {
		sum = 0;
		for (size_t h = 0; h < RATES_HOURS; h++)
			sum += hours[h].counters[c];
		strbuf_json_u64(out, client_counter_name((enum client_counter)c), sum);
	}
	strbuf_json_u64(out, "clients", clients);
	strbuf_append_char(out, '}');
}

static void write_frame(struct overview *overview, struct api_context *context, struct fleet *fleet)
{
	struct cli_coverage coverage;
	bool known = api_coverage(context, fleet, &coverage);

	strbuf_clear(&overview->frame);
	cli_fleet_json(fleet, &overview->frame);
	output_json_time(&overview->frame, "recording_since",
		known && coverage.since_ms > 0 ? coverage.since_ms : 0);
}

/* Of a resolver elsewhere its lease in Redis tells whether it lives. */
static enum td_error look_at_lease(void *context, struct fleet_member *member)
{
	struct overview_facts *facts = context;
	struct reader_fields meta;
	int64_t redis_ms;
	enum td_error error = reader_time(member->reader, &redis_ms);

	if (error == TD_OK)
		error = reader_meta(member->reader, &facts->context->cli->arena, &meta);
	if (error != TD_OK)
		return error;
	int64_t lease_ms = reader_field_i64(&meta, "lease_until", 0);
	facts->is_alive = lease_ms > redis_ms;
	if (!facts->is_alive)
		snprintf(facts->daemon_words, sizeof(facts->daemon_words), "%s",
			lease_ms ? "it fell silent" : "it was stopped");
	return TD_OK;
}

/* The hours, and with them what the rates are made of. */
static enum td_error read_hours(struct overview_facts *facts, struct rates_store *store)
{
	struct overview *overview = facts->overview;
	struct cli *cli = facts->context->cli;
	const struct reader_span span = {cli->now_ms / HOUR_MS - RATES_HOURS + 1, RATES_HOURS};
	uint64_t clients = 0;

	store->first_hour = span.first;
	enum td_error error = fleet_totals(facts->fleet, span, store->hours);
	store->sources = sources_of(facts->fleet);
	if (error == TD_OK)
		error = day_clients(facts, &clients);
	if (error == TD_OK && !facts->ours)
		error = fleet_each(facts->fleet, look_at_lease, facts);
	if (error != TD_OK)
		return error;
	write_frame(overview, facts->context, facts->fleet);
	write_day(overview, store->hours, clients);
	strbuf_clear(&overview->hours);
	hours_json(&overview->hours, span, store->hours, cli->now_ms);
	return TD_OK;
}

static bool slow_is_due(const struct overview_facts *facts)
{
	return facts->overview->slow_ms == 0 ||
	       facts->mono_ms - facts->overview->slow_ms >= OVERVIEW_SLOW_MS;
}

static void read_redis(
	struct overview_facts *facts, struct rates_store *store, struct api_reply *reply)
{
	struct fleet *fleet = facts->fleet;
	enum td_error error = fleet ? read_hours(facts, store) : TD_OK;

	facts->has_redis = fleet && error == TD_OK;
	if (error != TD_OK)
		note_failure(facts, fleet, reply);
	bool is_due = slow_is_due(facts);
	fleet = facts->fleet;
	error = overview_read_zones(facts, is_due);
	if (error == TD_OK)
		error = overview_read_latency(facts, facts->whole ? store->sources : 1, is_due);
	if (error != TD_OK && fleet)
		note_failure(facts, fleet, reply);
	else if (is_due)
		facts->overview->slow_ms = facts->mono_ms;
}

/* --- the object --- */

static void append_piece(
	struct strbuf *out, const char *key, const struct strbuf *piece, const char *missing)
{
	strbuf_json_key(out, key);
	if (piece->length)
		strbuf_append(out, piece->data, piece->length);
	else
		strbuf_append_text(out, missing);
}

static void append_rate(struct strbuf *out, const char *key, double rate, int digits)
{
	strbuf_json_key(out, key);
	if (rate < 0)
		strbuf_append_text(out, "null");
	else
		strbuf_printf(out, "%.*f", digits, rate);
}

static void append_state(const struct overview_facts *facts, struct strbuf *out)
{
	const char *redis = facts->redis_off ? "off" : facts->has_redis ? "ok" : "away";
	bool has_daemon = facts->has_daemon || facts->is_alive;
	bool is_alone = facts->overview->is_alone && facts->outcome == CONTROL_NO_DAEMON;

	strbuf_json_key(out, "state");
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "redis", redis);
	strbuf_json_key(out, "redis_words");
	strbuf_append_text(out, facts->has_redis ? "\"\"" : facts->redis_words);
	strbuf_json_text(out, "daemon", has_daemon ? "ok" : is_alone ? "none" : "away");
	strbuf_json_text(out, "daemon_words",
		has_daemon ? "" : is_alone ? AWAY_ALONE_WORDS : facts->daemon_words);
	output_json_time(out, "as_of", facts->overview->as_of_ms);
	strbuf_append_char(out, '}');
}

static void append_now(const struct overview_facts *facts, struct strbuf *out)
{
	struct rates_now now = rates_now(&facts->overview->rates, facts->whole || !facts->ours);

	strbuf_json_key(out, "now");
	strbuf_append_char(out, '{');
	append_rate(out, "queries_per_s", now.queries_per_s, 2);
	append_rate(out, "watched_per_s", now.watched_per_s, 2);
	append_rate(out, "blocked_per_s", now.blocked_per_s, 2);
	append_rate(out, "cache_hit_rate", now.cache_hit_rate, 4);
	strbuf_append_char(out, '}');
}

/* Where Redis was never read the configuration tells whom this is about. */
static void append_frame(const struct overview_facts *facts, struct strbuf *out)
{
	const struct overview *overview = facts->overview;

	if (overview->frame.length) {
		strbuf_append_char(out, ',');
		strbuf_append(out, overview->frame.data, overview->frame.length);
		return;
	}
	if (facts->whole)
		strbuf_append_text(out, ",\"resolvers\":[],\"missing\":[]");
	else
		strbuf_json_text(out, "resolver",
			facts->ours ? facts->context->cli->options->resolver_name : overview->key);
	output_json_time(out, "recording_since", 0);
}

static void write_object(const struct overview_facts *facts, struct strbuf *out)
{
	const struct overview *overview = facts->overview;

	strbuf_append_char(out, '{');
	output_json_time(out, "time", facts->context->cli->now_ms);
	append_frame(facts, out);
	append_state(facts, out);
	append_now(facts, out);
	append_piece(out, "day", &overview->day, "null");
	append_piece(out, "hours", &overview->hours, "[]");
	append_piece(out, "latency", &overview->latency, "null");
	append_piece(out, "upstreams", &overview->upstreams, "[]");
	append_piece(out, "zones", &overview->zones, "[]");
	append_piece(out, "tunnelling", &overview->tunnelling, "[]");
	strbuf_append_char(out, '}');
}

/* --- building --- */

static void set_subject(struct overview_facts *facts, const char *resolver)
{
	const struct options *options = facts->context->cli->options;

	facts->whole = resolver ? strcmp(resolver, "*") == 0 : facts->context->shared->fleet;
	facts->ours = facts->whole || !resolver || strcmp(resolver, options->resolver_name) == 0;
	facts->redis_off = strcmp(options->redis, "off") == 0;
	facts->redis_words = "\"\"";
}

static void add_reading(const struct overview_facts *facts, const struct rates_store *store)
{
	const struct control_answer *status = &facts->status;
	struct rates_daemon daemon;

	if (facts->has_daemon)
		daemon = (struct rates_daemon){.pid = control_answer_u64(status, "pid", 0),
			.uptime_s = control_answer_u64(status, "uptime_s", 0),
			.answered = control_answer_u64(status, "answered", 0),
			.hits = control_answer_u64(status, "cache_hits", 0),
			.misses = control_answer_u64(status, "cache_misses", 0)};
	rates_add(&facts->overview->rates, facts->mono_ms, facts->has_daemon ? &daemon : NULL,
		facts->has_redis ? store : NULL);
}

/* False: the reply says what is wrong with the request. */
static bool build(struct overview *overview, struct api_context *context,
	const struct api_request *request, struct api_reply *reply, struct strbuf *out)
{
	struct overview_facts facts = {
		.context = context, .overview = overview, .mono_ms = dashboard_mono_ms()};
	struct rates_store store = {.sources = 0};

	set_subject(&facts, api_parameter(request, "resolver"));
	if (facts.ours)
		ask_daemon(&facts);
	if (!facts.redis_off) {
		facts.fleet = api_fleet(context, request, reply);
		if (!facts.fleet && reply->status < 500) {
			control_answer_free(&facts.status);
			return false;
		}
		if (!facts.fleet)
			note_failure(&facts, NULL, reply);
	}
	read_redis(&facts, &store, reply);
	if (facts.has_redis) {
		overview->as_of_ms = context->cli->now_ms;
		overview->is_alone = away_is_alone(context, facts.fleet, facts.outcome);
	}
	add_reading(&facts, &store);
	write_object(&facts, out);
	control_answer_free(&facts.status);
	return true;
}

static bool is_older(const struct overview *overview, int64_t age_ms)
{
	return overview->text.length == 0 || dashboard_mono_ms() - overview->built_ms >= age_ms;
}

/* With the lock. True: what is there is told; false: it has to be built. */
static bool tell_fresh(
	struct overviews *overviews, const struct overview *overview, struct api_reply *reply)
{
	while (overview->building && is_older(overview, OVERVIEW_OLD_MS))
		pthread_cond_wait(&overviews->built, &overviews->mutex);
	if (!overview->building && is_older(overview, OVERVIEW_FRESH_MS))
		return false;
	strbuf_append(&reply->body, overview->text.data, overview->text.length);
	return true;
}

/* With the lock: what was built takes the place of what was there. */
static void keep_text(struct overview *overview, struct strbuf *fresh, struct api_reply *reply)
{
	struct strbuf before = overview->text;

	if (fresh->failed) {
		api_fail(reply, 500, "out of memory");
		return;
	}
	overview->text = *fresh;
	*fresh = before;
	overview->built_ms = dashboard_mono_ms();
	strbuf_append(&reply->body, overview->text.data, overview->text.length);
}

/* Whether the request may have a place. Names that anybody makes up would push out the overview that
 * the page asks for every second, and its rates with it. */
static bool may_take(struct overviews *overviews, struct api_context *context,
	const struct api_request *request, struct api_reply *reply)
{
	const char *resolver = api_parameter(request, "resolver");

	if (!resolver || strcmp(resolver, "*") == 0 ||
		strcmp(resolver, context->cli->options->resolver_name) == 0)
		return true;
	pthread_mutex_lock(&overviews->mutex);
	bool has_place = place_with(overviews, resolver) != NULL;
	pthread_mutex_unlock(&overviews->mutex);
	return has_place || api_fleet(context, request, reply);
}

void overview_answer(struct overviews *overviews, struct api_context *context,
	const struct api_request *request, struct api_reply *reply)
{
	const char *resolver = api_parameter(request, "resolver");
	struct strbuf fresh;

	if (!may_take(overviews, context, request, reply))
		return;
	strbuf_init(&fresh);
	pthread_mutex_lock(&overviews->mutex);
	struct overview *overview = take(overviews, resolver ? resolver : "");
	if (overview && !tell_fresh(overviews, overview, reply)) {
		overview->building = true;
		pthread_mutex_unlock(&overviews->mutex);
		bool good = build(overview, context, request, reply, &fresh);
		pthread_mutex_lock(&overviews->mutex);
		overview->building = false;
		if (good)
			keep_text(overview, &fresh, reply);
		pthread_cond_broadcast(&overviews->built);
	}
	if (overview)
		overview->users--;
	pthread_mutex_unlock(&overviews->mutex);
	if (!overview)
		api_fail(reply, 503, "overviews of too many resolvers are being built; try again");
	strbuf_deinit(&fresh);
}
