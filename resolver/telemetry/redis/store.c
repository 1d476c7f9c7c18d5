/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A state machine over one link (redis_link.h), which finds the server and logs in: each state
 * sends one command, and its reply moves on to the next.
 *
 *   link → HMGET meta → SADD resolvers → SCRIPT LOAD → lease → HGETALL applied → ready ⇄ EVALSHA
 *
 * Every failure takes the same way: close, wait, begin again, compare, send what is lacking. That
 * is right for a lost connection, where nobody knows whether the batch was applied (its number
 * decides), and good enough for LOADING, BUSY, OOM, MISCONF, READONLY and a lease that is taken,
 * which all mean "not now" and where the repeated handshake every few seconds costs nothing.
 * NOSCRIPT is answered on the spot, by loading the script again; a slot that moved and a master
 * that changed are followed at once, and are no fault.
 *
 * A second link runs errands: beside Sentinel it asks now and then who the master is, because a
 * master that was cut off goes on taking writes that are lost in the end; in a cluster it writes
 * the one key that lies in another slot.
 */
#include "resolver/telemetry/redis/store.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/telemetry/redis/redis_link.h"
#include "resolver/telemetry/redis/redis_tls.h"
#include "resolver/telemetry/redis/schema.h"

#define CONNECT_TIMEOUT_MS 3000
#define REPLY_TIMEOUT_MS 5000
#define REPLY_BYTES_MAX \
	((size_t)4 << 20) /* nothing asked for here is near this; more is not Redis */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define QUIET_FAILURES \
	5 /* not logged at start: an embedded Redis needs a moment to open its socket */
#define SHA_SIZE 40
#define BEAT_S (STORE_LEASE_MS / 3000)
#define APPLIED_MAX 256 /* boots; the script keeps 64 */
/* SCRIPT FLUSH may come between a load and what it was for; one that is never found is a fault. */
#define LOADS_MAX 3

const char store_script[] =
#include "resolver/telemetry/redis/script.inc"
	;

#define STORE_WORDS_MAX 256

enum store_state {
	STORE_WAITING,
	STORE_FINDING,
	STORE_SCHEMA,
	STORE_REGISTER,
	STORE_LOAD,
	STORE_LEASE,
	STORE_APPLIED,
	STORE_READY,
	STORE_SENT,
	STORE_ASKED,
	STORE_BEAT, /* renews the lease */
	STORE_RELEASE,
	STORE_RELEASED,
};

struct store {
	struct redis_address address;
	struct redis_tls *tls;
	char *resolver_name;
	char applied_key[512];
	char instance[JOURNAL_ID_SIZE], boot[JOURNAL_ID_SIZE], marker[JOURNAL_ID_SIZE];
	struct store_callbacks callbacks;
	void *context;
	struct redis_link *link;
	struct redis_link *errand; /* NULL: Redis is one server */
	bool errand_runs;
	struct event *retry, *beat;
	enum store_state state;
	int backoff_ms;
	unsigned failures; /* since it was healthy */
	bool healthy;
	bool followed;     /* another server, and it was not said yet */
	bool spoke;        /* since the last beat */
	bool beat_due;     /* as soon as what was asked is answered */
	bool batch_failed; /* the last one: that one is connected again does not make it well */
	unsigned loads; /* of the script since it ran last: NOSCRIPT came right after each */
	char sha[SHA_SIZE];
	struct batch *batch; /* sent, until applied or the connection is lost */
	char words[STORE_WORDS_MAX];
	bool said; /* these words are in the log */
	int64_t recording_since_ms;
};

/* --- health --- */

static void set_healthy(struct store *store)
{
	char place[REDIS_NODE_TEXT_SIZE];

	store->backoff_ms = BACKOFF_MIN_MS;
	store->failures = 0;
	store->words[0] = '\0';
	if (store->healthy && !store->followed)
		return;
	log_info("redis: connected to %s, counts are being stored",
		redis_node_to_text(redis_link_node(store->link), place));
	store->healthy = true;
	store->followed = false;
	store->callbacks.changed(store->context);
}

static void disconnect(struct store *store, int wait_ms)
{
	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	store->batch = NULL;
	store->errand_runs = false;
	redis_link_close(store->link);
	if (store->errand)
		redis_link_close(store->errand);
	store->state = STORE_WAITING;
	event_add(store->retry, &wait);
}

/* What only a person can mend is said at once, and with what would mend it. */
static const char *advice_for(const char *words)
{
	static const struct {
		const char *part, *advice;
	} known[] = {
		{"NOAUTH", "give redis-password-file"},
		{"WRONGPASS", "look at redis-user and redis-password-file"},
		{"invalid password", "look at redis-password-file"},
		{"NOPERM", "the ACL of the Redis user lacks something, see redis-schema.md"},
		{"MISCONF", "look at the disk of Redis"},
		{"no address of", "look at redis, and at upstream, which is asked for the name"},
		{"OOM ", "Redis has reached its maxmemory"},
		{"TLS: ", "look at redis-ca-file and redis-tls-name"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strstr(words, known[i].part))
			return known[i].advice;
	}
	return NULL;
}

static void fail(struct store *store, const char *words)
{
	const char *advice = advice_for(words);

	store->said &= strcmp(store->words, words) == 0;
	snprintf(store->words, sizeof(store->words), "%s", words);
	store->failures++;
	store->batch_failed |= store->state == STORE_SENT;
	if (store->healthy || (!store->said && (advice || store->failures >= QUIET_FAILURES))) {
		store->said = true;
		log_warning("redis: %s%s%s%s; counts wait, trying again", words, advice ? " (" : "",
			advice ? advice : "", advice ? ")" : "");
	}
	store->healthy = false;
	disconnect(store, store->backoff_ms);
	store->backoff_ms =
		store->backoff_ms * 2 < BACKOFF_MAX_MS ? store->backoff_ms * 2 : BACKOFF_MAX_MS;
	store->callbacks.changed(store->context);
}

/* The server was the right one until now. If the next is not found at once, that is a failure. */
static void follow(struct store *store, const char *words)
{
	log_info("redis: %s", words);
	store->followed = true;
	disconnect(store, 0);
}

static void lose(struct store *store, const char *words)
{
	bool moved = strncmp(words, "MOVED ", 6) == 0 || strncmp(words, "READONLY", 8) == 0;

	if (moved && store->healthy && store->errand)
		follow(store, words);
	else
		fail(store, words);
}

/* --- sending --- */

static void send_words(
	struct store *store, enum store_state state, size_t argc, const char *const argv[])
{
	size_t lengths[4];

	for (size_t i = 0; i < argc; i++)
		lengths[i] = strlen(argv[i]);
	store->state = state;
	redis_link_command(store->link, argc, argv, lengths);
}

static void send_schema(struct store *store)
{
	char key[512];

	snprintf(key, sizeof(key), KEY_META, store->resolver_name);
	send_words(store, STORE_SCHEMA, 4,
		(const char *const[]){"HMGET", key, "schema", "recording_since"});
}

static void send_register(struct store *store)
{
	send_words(store, STORE_REGISTER, 3,
		(const char *const[]){"SADD", KEY_RESOLVERS, store->resolver_name});
}

static void send_load(struct store *store)
{
	send_words(store, STORE_LOAD, 3, (const char *const[]){"SCRIPT", "LOAD", store_script});
}

static void fill_slot(const char *argv[], size_t lengths[], size_t slot, const char *text)
{
	argv[slot] = text;
	lengths[slot] = strlen(text);
}

static void fill_slots(
	const struct store *store, const char *argv[], size_t lengths[], const char *lease)
{
	argv[BATCH_ARGV_SHA] = store->sha;
	lengths[BATCH_ARGV_SHA] = SHA_SIZE;
	/* Ours also for a batch that was cut under another name: whoever renames a resolver that
	 * was fenced wants its counts under the new one. */
	fill_slot(argv, lengths, BATCH_ARGV_APPLIED, store->applied_key);
	fill_slot(argv, lengths, BATCH_ARGV_INSTANCE, store->instance);
	fill_slot(argv, lengths, BATCH_ARGV_SENDER, store->boot);
	fill_slot(argv, lengths, BATCH_ARGV_LEASE, lease);
}

static const char *lease_text(char out[16])
{
	snprintf(out, 16, "%d", STORE_LEASE_MS);
	return out;
}

static void send_batch(struct store *store)
{
	struct batch *batch = store->batch;
	char lease[16];

	fill_slots(store, batch->argv, batch->lengths, lease_text(lease));
	store->state = STORE_SENT;
	store->spoke = true;
	redis_link_command(store->link, batch->argc, batch->argv, batch->lengths);
}

/* The script without a batch: takes, renews or gives back the lease. */
static void send_lease(struct store *store, enum store_state state)
{
	const char *argv[BATCH_ARGV_HEADER];
	size_t lengths[BATCH_ARGV_HEADER];
	char lease[16];

	fill_slot(argv, lengths, BATCH_ARGV_COMMAND, "EVALSHA");
	fill_slot(argv, lengths, BATCH_ARGV_KEYS, "1");
	fill_slots(store, argv, lengths, state == STORE_RELEASE ? "0" : lease_text(lease));
	store->state = state;
	store->spoke = true;
	store->beat_due = false;
	redis_link_command(store->link, BATCH_ARGV_HEADER, argv, lengths);
}

static void send_applied(struct store *store)
{
	send_words(store, STORE_APPLIED, 2, (const char *const[]){"HGETALL", store->applied_key});
}

/* --- replies --- */

static void on_schema(struct store *store, const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
		fail(store, "an unexpected reply to HMGET");
		return;
	}
	const struct redisReply *schema = reply->element[0], *since = reply->element[1];
	if (schema->type == REDIS_REPLY_STRING && strtol(schema->str, NULL, 10) > SCHEMA_VERSION) {
		store->backoff_ms = BACKOFF_MAX_MS;
		fail(store, "it holds data of a newer schema version than this program writes");
		return;
	}
	store->recording_since_ms =
		since->type == REDIS_REPLY_STRING ? strtoll(since->str, NULL, 10) : 0;
	send_register(store);
}

static void on_load(struct store *store, const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_SIZE) {
		fail(store, "an unexpected reply to SCRIPT LOAD");
		return;
	}
	memcpy(store->sha, reply->str, SHA_SIZE);
	if (store->batch)
		send_batch(store);
	else
		send_lease(store, STORE_LEASE);
}

static void be_ready(struct store *store)
{
	store->state = STORE_READY;
	if (!store->batch_failed)
		set_healthy(store);
	store->callbacks.ready(store->context);
}

static void take_applied(
	struct journal_applied *out, const struct redisReply *boot, const struct redisReply *number)
{
	snprintf(out->boot, sizeof(out->boot), "%s", boot->str);
	out->number = strtoull(number->str, NULL, 10);
}

static void on_applied_read(struct store *store, const struct redisReply *reply)
{
	struct journal_applied applied[APPLIED_MAX];
	size_t count = 0;

	if (reply->type != REDIS_REPLY_ARRAY) {
		fail(store, "an unexpected reply to HGETALL");
		return;
	}
	for (size_t i = 0; i + 1 < reply->elements && count < APPLIED_MAX; i += 2) {
		const struct redisReply *boot = reply->element[i], *number = reply->element[i + 1];
		if (boot->type == REDIS_REPLY_STRING && number->type == REDIS_REPLY_STRING)
			take_applied(&applied[count++], boot, number);
	}
	/* A marker without `applied`, which was evicted or deleted, says nothing. */
	store->callbacks.connected(store->context, count > 0 ? store->marker : "", applied, count);
	be_ready(store);
}

static void log_outcome(const struct redisReply *reply)
{
	const char *status = reply->element[0]->str, *words = reply->element[3]->str;

	if (strcmp(status, "invalid") == 0)
		log_error("redis: batch %lld was refused as invalid (%s); its counts are lost",
			reply->element[1]->integer, words);
	else if (reply->element[2]->integer > 0)
		log_warning("redis: %lld commands of batch %lld failed, the first with: %s",
			reply->element[2]->integer, reply->element[1]->integer, words);
}

static bool is_outcome(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements >= 6 &&
	       reply->element[0]->type == REDIS_REPLY_STRING &&
	       reply->element[1]->type == REDIS_REPLY_INTEGER &&
	       reply->element[2]->type == REDIS_REPLY_INTEGER &&
	       reply->element[3]->type == REDIS_REPLY_STRING;
}

/* What every outcome says of the store itself. False when it is no outcome. */
static bool take_outcome(struct store *store, const struct redisReply *reply)
{
	if (!is_outcome(reply)) {
		fail(store, "an unexpected reply to the script");
		return false;
	}
	const struct redisReply *since = reply->element[4], *marker = reply->element[5];
	store->recording_since_ms =
		since->type == REDIS_REPLY_STRING ? strtoll(since->str, NULL, 10) : 0;
	snprintf(store->marker, sizeof(store->marker), "%s",
		marker->type == REDIS_REPLY_STRING ? marker->str : "");
	return true;
}

static void finish_batch(struct store *store)
{
	const struct batch *batch = store->batch;

	store->batch = NULL;
	store->loads = 0;
	store->batch_failed = false;
	store->state = STORE_READY;
	set_healthy(store);
	store->callbacks.applied(store->context, batch, store->marker);
	store->callbacks.ready(store->context);
}

/* Client, zone and when, in turn. An older script says nothing of it. */
static void tell_returned(struct store *store, const struct redisReply *reply)
{
	const struct redisReply *list = reply->elements > 6 ? reply->element[6] : NULL;

	if (!list || list->type != REDIS_REPLY_ARRAY || !store->callbacks.returned)
		return;
	for (size_t i = 0; i + 2 < list->elements; i += 3) {
		const struct redisReply *const *words =
			(const struct redisReply *const *)&list->element[i];
		if (words[0]->type == REDIS_REPLY_STRING && words[1]->type == REDIS_REPLY_STRING &&
			words[2]->type == REDIS_REPLY_STRING)
			store->callbacks.returned(store->context, words[0]->str, words[1]->str,
				strtoll(words[2]->str, NULL, 10));
	}
}

static void on_applied(struct store *store, const struct redisReply *reply)
{
	if (!take_outcome(store, reply))
		return;
	if ((uint64_t)reply->element[1]->integer != store->batch->number) {
		fail(store, "an unexpected reply to the script");
		return;
	}
	log_outcome(reply);
	tell_returned(store, reply);
	finish_batch(store);
}

static void on_lease(struct store *store, const struct redisReply *reply)
{
	if (!take_outcome(store, reply))
		return;
	if (store->state == STORE_LEASE && reply->element[1]->integer > 0) {
		send_lease(store, STORE_LEASE); /* the next step of a migration */
	} else if (store->state == STORE_LEASE) {
		send_applied(store);
	} else if (store->state == STORE_RELEASE) {
		store->state = STORE_RELEASED;
	} else {
		store->loads = 0;
		be_ready(store);
	}
}

/* Said at once and not after some failures: it is a fault of the configuration as a rule. */
static void be_fenced(struct store *store, const char *boot)
{
	char words[160];

	snprintf(words, sizeof(words),
		"another daemon (boot %.16s) writes as resolver %.63s; two need two names "
		"(resolver-name)",
		boot, store->resolver_name);
	if (store->failures < QUIET_FAILURES - 1)
		store->failures = QUIET_FAILURES - 1;
	fail(store, words);
}

static void run_errand(struct store *store)
{
	if (!store->errand || store->errand_runs)
		return;
	store->errand_runs = true;
	redis_link_open(store->errand);
}

static bool runs_script(const struct store *store)
{
	return store->state == STORE_SENT || store->state == STORE_LEASE ||
	       store->state == STORE_BEAT || store->state == STORE_RELEASE;
}

static void on_error(struct store *store, const char *words)
{
	if (runs_script(store) && strncmp(words, "NOSCRIPT", 8) == 0 && store->loads < LOADS_MAX) {
		store->loads++;
		send_load(store);
	} else if (runs_script(store) && strncmp(words, "FENCED ", 7) == 0) {
		be_fenced(store, words + 7);
	} else if (store->state == STORE_SENT && strncmp(words, "TEREDOWN ", 9) == 0) {
		log_error("redis: batch %llu of boot %s was refused (%s); its counts are lost",
			(unsigned long long)store->batch->number, store->batch->boot, words + 9);
		finish_batch(store);
	} else if (store->state == STORE_REGISTER) {
		/* The set of resolvers is a convenience for readers; batches say what is wrong. */
		if (strncmp(words, "MOVED ", 6) == 0)
			run_errand(store);
		send_load(store);
	} else {
		lose(store, words);
	}
}

static void on_replied(void *context, struct redisReply *reply)
{
	struct store *store = context;

	if (store->state == STORE_ASKED) {
		store->state = STORE_READY;
		store->callbacks.replied(store->context, reply);
		if (store->beat_due)
			send_lease(store, STORE_BEAT);
		else
			store->callbacks.ready(store->context);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		on_error(store, reply->str);
		return;
	}
	switch (store->state) {
	case STORE_SCHEMA:
		on_schema(store, reply);
		break;
	case STORE_REGISTER:
		send_load(store);
		break;
	case STORE_LOAD:
		on_load(store, reply);
		break;
	case STORE_LEASE:
	case STORE_BEAT:
	case STORE_RELEASE:
		on_lease(store, reply);
		break;
	case STORE_APPLIED:
		on_applied_read(store, reply);
		break;
	case STORE_SENT:
		on_applied(store, reply);
		break;
	default:
		fail(store, "a reply that nobody asked for");
	}
}

static void on_opened(void *context)
{
	struct store *store = context;

	store->loads = 0;
	send_schema(store);
}

static void on_lost(void *context, const char *words)
{
	fail(context, words);
}

/* --- errands --- */

static void end_errand(struct store *store)
{
	redis_link_close(store->errand);
	store->errand_runs = false;
}

static void on_errand_opened(void *context)
{
	struct store *store = context;
	const char *const argv[] = {"SADD", KEY_RESOLVERS, store->resolver_name};
	const size_t lengths[] = {4, strlen(KEY_RESOLVERS), strlen(store->resolver_name)};

	if (store->address.kind == REDIS_CLUSTER) {
		redis_link_command(store->errand, 3, argv, lengths);
		return;
	}
	bool same = redis_node_equal(redis_link_node(store->errand), redis_link_node(store->link));
	end_errand(store);
	if (!same && (store->state == STORE_READY || store->state == STORE_SENT))
		follow(store, "Sentinel names another master");
}

static void on_errand_replied(void *context, struct redisReply *reply)
{
	(void)reply;
	end_errand(context);
}

static void on_errand_lost(void *context, const char *words)
{
	struct store *store = context;

	(void)words; /* the link itself finds out when it matters */
	store->errand_runs = false;
}

/* --- timers --- */

static void on_retry(evutil_socket_t fd, short what, void *context)
{
	struct store *store = context;

	(void)fd;
	(void)what;
	store->state = STORE_FINDING;
	redis_link_open(store->link);
}

static void on_beat(evutil_socket_t fd, short what, void *context)
{
	struct store *store = context;

	(void)fd;
	(void)what;
	if (store->state == STORE_READY && !store->spoke)
		send_lease(store, STORE_BEAT);
	else if (store->state == STORE_ASKED && !store->spoke)
		store->beat_due = true;
	store->spoke = false;
	if (store->address.kind == REDIS_SENTINEL && store->healthy)
		run_errand(store);
}

/* --- public --- */

static bool understand(struct store *store, const char *url, const struct redis_access *access)
{
	char why[STORE_WORDS_MAX];

	if (redis_link_understand(
		    &store->address, &store->tls, url, access, why, sizeof(why)) == TD_OK)
		return true;
	log_error("redis: %s", why);
	return false;
}

static bool make_links(
	struct store *store, struct event_base *base, const struct redis_access *access)
{
	static const struct redis_link_callbacks callbacks = {
		.opened = on_opened, .replied = on_replied, .lost = on_lost};
	static const struct redis_link_callbacks errand_callbacks = {
		.opened = on_errand_opened, .replied = on_errand_replied, .lost = on_errand_lost};
	struct redis_link_settings settings = {.address = &store->address,
		.key = store->applied_key,
		.resp = {.tls = store->tls, .reply_bytes_max = REPLY_BYTES_MAX},
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.reply_timeout_ms = REPLY_TIMEOUT_MS};

	if (access)
		settings.resp.name_servers = access->name_servers;
	store->link = redis_link_new(base, &settings, &callbacks, store);
	if (store->address.kind != REDIS_SENTINEL && store->address.kind != REDIS_CLUSTER)
		return store->link != NULL;
	settings.key = KEY_RESOLVERS;
	settings.aim = FIND_NAME;
	store->errand = redis_link_new(base, &settings, &errand_callbacks, store);
	return store->link && store->errand;
}

static bool make_timers(struct store *store, struct event_base *base)
{
	static const struct timeval beat = {.tv_sec = BEAT_S};

	store->retry = evtimer_new(base, on_retry, store);
	store->beat = event_new(base, -1, EV_PERSIST, on_beat, store);
	return store->retry && store->beat && event_add(store->beat, &beat) == 0 &&
	       event_add(store->retry, &(struct timeval){0}) == 0;
}

struct store *store_new(struct event_base *base, const char *url, const struct redis_access *access,
	const struct store_identity *identity, const struct store_callbacks *callbacks,
	void *context)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store) {
		log_error("redis: %s", error_text(TD_NOMEM));
		return NULL;
	}
	if (!understand(store, url, access)) {
		store_free(&store);
		return NULL;
	}
	store->callbacks = *callbacks;
	store->context = context;
	store->backoff_ms = BACKOFF_MIN_MS;
	store->resolver_name = strdup(identity->resolver_name);
	snprintf(store->applied_key, sizeof(store->applied_key), KEY_APPLIED,
		identity->resolver_name);
	snprintf(store->instance, sizeof(store->instance), "%s", identity->instance);
	snprintf(store->boot, sizeof(store->boot), "%s", identity->boot);
	if (!store->resolver_name || !make_links(store, base, access) ||
		!make_timers(store, base)) {
		log_error("redis: %s", error_text(TD_NOMEM));
		store_free(&store);
	}
	return store;
}

void store_free(struct store **store)
{
	if (!*store)
		return;
	redis_link_free(&(*store)->link);
	redis_link_free(&(*store)->errand);
	redis_tls_free(&(*store)->tls);
	if ((*store)->retry)
		event_free((*store)->retry);
	if ((*store)->beat)
		event_free((*store)->beat);
	free((*store)->resolver_name);
	redis_address_forget(&(*store)->address);
	free(*store);
	*store = NULL;
}

bool store_is_ready(const struct store *store)
{
	return store->state == STORE_READY;
}

void store_send(struct store *store, struct batch *batch)
{
	store->batch = batch;
	send_batch(store);
}

void store_ask(
	struct store *store, size_t argc, const char *const argv[], const size_t lengths[])
{
	store->state = STORE_ASKED;
	redis_link_command(store->link, argc, argv, lengths);
}

bool store_release(struct store *store)
{
	if (store->state == STORE_READY)
		send_lease(store, STORE_RELEASE);
	return store->state == STORE_RELEASED || !store->healthy;
}

void store_status(const struct store *store, struct store_status *out)
{
	out->connected = store->healthy;
	out->words = store->words;
	out->recording_since_ms = store->recording_since_ms;
}
