/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of a query, written as a passive engine: packets, upstream replies and letters go in,
 * replies and questions come out through struct query_io. The hit path allocates nothing, formats
 * nothing unless a rule was hit, and takes one lock (the cache shard's). A pending question is a
 * flight: the upstream question, the clients that wait for it, and the workers that subscribed to
 * it.
 */
#include "resolver/query.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"
#include "lib/dns/proxy.h"
#include "resolver/reply.h"

#define FOREIGN_RETRIES_MAX 3
#define CLIENT_SLOTS 1024 /* clients that share one share its bound */

struct waiter {
	struct waiter *next;
	struct query_client client;
	int64_t received_us;
	struct request request; /* its qname points to spelling */
	uint8_t spelling[NAME_WIRE_MAX];
	size_t query_length;
	uint8_t query[]; /* the client's own bytes, where they are asked for */
};

struct query_flight {
	struct query_engine *engine;
	struct cache_key key;
	struct upstream_question question;
	struct waiter *first, **last;
	uint64_t subscribers; /* a bit a worker */
	void *handle;         /* of the upstream request, NULL while another worker asks */
	unsigned retries;
	bool marked; /* the cache's mark is ours to release */
};

struct query_engine {
	struct query_config config;
	const struct query_policy *policy;
	struct table flights;
	size_t pending;
	uint32_t client_pending[CLIENT_SLOTS]; /* pending, by the client's hash */
	uint64_t answer_serial;
	uint8_t buffer[DNS_MESSAGE_MAX]; /* of replies that were pending */
};

static bool flight_equal(const void *item, const void *key)
{
	const struct query_flight *flight = item;
	const struct cache_key *wanted = key;

	return flight->key.length == wanted->length &&
	       memcmp(flight->key.octets, wanted->octets, wanted->length) == 0;
}

static bool is_tcp(const struct query_client *client)
{
	return client->path.connection != 0;
}

/* --- the transaction --- */

static void transaction_begin(
	struct transaction *t, const struct request *request, const struct query_client *client)
{
	memset(t, 0, sizeof *t);
	t->client = client->origin;
	t->given = forwarded_is_none(&request->forwarded) ? NULL : &request->forwarded;
	t->id = request->id;
	t->tcp = is_tcp(client);
	t->qname = request->qname_length ? request->folded : NULL;
	t->qname_length = request->qname_length;
	t->qtype = request->qtype;
	t->zone = ZONE_ID_NONE;
}

/* Who wants to know the query itself, wants to know where it came in as well. */
static void transaction_keep_query(const struct query_engine *engine, struct transaction *t,
	const struct reply_path *path, const uint8_t *query, size_t length)
{
	static const struct address any[2] = {{.family = ADDRESS_V4}, {.family = ADDRESS_V6}};

	if (!engine->config.keep_queries)
		return;
	t->query = query;
	t->query_length = length;
	if (path->listener < engine->config.listen_count)
		t->server = engine->config.listen[path->listener];
	if (path->local.family)
		t->server.address = path->local;
	else if (address_equal(&t->server.address, &any[0]) ||
		 address_equal(&t->server.address, &any[1]))
		t->server.address.family = ADDRESS_NONE;
}

/* A waiter's transaction begins anew when its reply is at hand. */
static void transaction_resume(
	const struct query_engine *engine, struct query_slot *slot, const struct waiter *waiter)
{
	slot->request = waiter->request;
	transaction_begin(&slot->transaction, &slot->request, &waiter->client);
	transaction_keep_query(engine, &slot->transaction, &waiter->client.path, waiter->query,
		waiter->query_length);
}

static size_t transaction_close(
	struct transaction *t, const uint8_t *reply, size_t length, enum transaction_source source)
{
	t->reply = reply;
	t->reply_length = length;
	t->source = source;
	return length;
}

static void transaction_note_hit(const struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, bool enforced)
{
	const struct policy_match *hit = verdict->hit;

	if (!hit)
		return;
	policy_rule_text(engine->policy->view.index, hit->rule, slot->rule);
	slot->transaction.rule = slot->rule;
	slot->transaction.zone = engine->policy->zone_id[hit->zone];
	slot->transaction.action =
		enforced && hit == verdict->enforced ? TRANSACTION_BLOCK : TRANSACTION_WATCH;
}

/* Worker numbers from 1 keep the values of different workers apart, and 0 free for "tells no
 * address". */
static uint64_t next_answer_id(struct query_engine *engine)
{
	return (uint64_t)(engine->config.worker + 1) << 56 | ++engine->answer_serial;
}

/* --- policy --- */

static bool verdict_applies(const struct policy_verdict *verdict, bool tcp)
{
	return verdict->action != ACTION_NONE && !(verdict->action == ACTION_TCP_ONLY && tcp);
}

/* The reply that an enforced rule makes; 0 when it is silence. */
static size_t enforce(struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, uint8_t *reply, size_t capacity)
{
	const struct policy_index *index = engine->policy->view.index;
	const struct policy_match *match = verdict->enforced;
	bool local = policy_zone_kind(index, match->zone) == ZONE_LOCAL;
	size_t length;

	slot->transaction.upstream =
		(struct endpoint){0}; /* whoever gave the answer, this reply is ours */
	if (verdict->action == ACTION_DROP) {
		engine->config.counters->dropped_policy++;
		return 0;
	}
	if (verdict->action == ACTION_LOCAL_DATA)
		slot->transaction.answer_id = next_answer_id(engine);
	if (verdict->action == ACTION_TCP_ONLY)
		length = reply_truncated(&slot->request, reply, capacity);
	else
		length = reply_policy(&slot->request, reply, capacity, index, match,
			engine->policy->block_ttl_s, local ? EDE_NONE : EDE_BLOCKED,
			policy_zone_name(index, match->zone));
	return transaction_close(
		&slot->transaction, reply, length, local ? SOURCE_LOCAL : SOURCE_POLICY);
}

/* An answer whose message stands in reply already, judged for this client and completed. */
static size_t judge(struct query_engine *engine, struct query_slot *slot,
	const struct cache_hit *answer, enum transaction_source source, uint8_t *reply,
	size_t capacity)
{
	struct policy_match renewed[POLICY_MATCHES_MAX];
	const struct policy_match *matches = answer->matches;
	size_t count = answer->match_count;
	struct policy_verdict verdict;
	bool enforced;

	if (answer->generation != engine->policy->view.generation) {
		count = answer_match_copy(reply, answer->length, &engine->policy->view, renewed);
		matches = renewed;
	}
	verdict = policy_decide(&engine->policy->view, matches, count);
	enforced = verdict_applies(&verdict, slot->transaction.tcp);
	transaction_note_hit(engine, slot, &verdict, enforced);
	if (enforced)
		return enforce(engine, slot, &verdict, reply, capacity);
	if (!answer->truncated)
		slot->transaction.answer_id = answer->answer_id;
	return transaction_close(&slot->transaction, reply,
		reply_complete(
			&slot->request, reply, answer->length, answer->flags, answer->truncated),
		source);
}

/* --- waiting --- */

static struct waiter *waiter_new(const struct query_client *client, const struct query_slot *slot,
	int64_t now_us)
{
	const struct request *request = &slot->request;
	size_t query_length = slot->transaction.query_length;
	struct waiter *waiter = malloc(sizeof *waiter + query_length);

	if (!waiter)
		return NULL;
	waiter->next = NULL;
	waiter->client = *client;
	waiter->received_us = now_us;
	waiter->request = *request;
	memcpy(waiter->spelling, request->qname, request->qname_length);
	waiter->request.qname = waiter->spelling;
	waiter->query_length = query_length;
	if (query_length)
		memcpy(waiter->query, slot->transaction.query, query_length);
	return waiter;
}

static uint32_t *pending_of(struct query_engine *engine, const struct query_client *client)
{
	const struct address *address = &client->origin.address;

	return &engine->client_pending[hash_bytes(&engine->config.seed, address->octets,
					       sizeof address->octets) %
				       CLIENT_SLOTS];
}

static bool is_full(struct query_engine *engine, const struct query_client *client)
{
	return engine->pending >= engine->config.waiters_max ||
	       *pending_of(engine, client) >= engine->config.waiters_per_client_max;
}

static void waiter_reply(struct query_engine *engine, const struct waiter *waiter,
	struct query_slot *slot, size_t length, const struct now *now)
{
	struct worker_counters *counters = engine->config.counters;

	if (length == 0) { /* dropped by policy, counted there */
		engine->config.io.respond(engine->config.io.context, &waiter->client, NULL, 0);
		return;
	}
	slot->transaction.duration_us = (uint32_t)(now->mono_us - waiter->received_us);
	switch (engine->config.io.respond(
		engine->config.io.context, &waiter->client, engine->buffer, length)) {
	case TD_OK:
		query_sent(engine, slot, now);
		break;
	case TD_NOT_FOUND:
		counters->dropped_gone++;
		break;
	default:
		counters->dropped_send++;
	}
}

static void waiter_answer(struct query_engine *engine, const struct waiter *waiter,
	const struct answer *answer, const struct now *now)
{
	struct query_slot slot;
	struct cache_hit hit = {.flags = answer->flags,
		.answer_id = answer->id,
		.generation = answer->generation,
		.match_count = answer->match_count};
	bool tcp = is_tcp(&waiter->client);

	transaction_resume(engine, &slot, waiter);
	slot.transaction.upstream = answer->upstream;
	memcpy(hit.matches, answer->matches, sizeof hit.matches);
	hit.length = answer_write(answer, now->mono_us, engine->buffer,
		reply_room(&slot.request, tcp), &hit.truncated);
	waiter_reply(engine, waiter, &slot,
		judge(engine, &slot, &hit, SOURCE_UPSTREAM, engine->buffer,
			reply_limit(&slot.request, tcp)),
		now);
}

static void waiter_fail(struct query_engine *engine, const struct waiter *waiter, uint16_t rcode,
	enum ede_code code, const struct now *now)
{
	struct query_slot slot;
	struct policy_match matches[POLICY_MATCHES_MAX];
	bool tcp = is_tcp(&waiter->client);

	transaction_resume(engine, &slot, waiter);
	size_t count = policy_match_name(engine->policy->view.index, slot.request.folded,
		slot.request.qname_length, matches);
	struct policy_verdict verdict = policy_decide(&engine->policy->view, matches, count);
	bool enforced = verdict_applies(&verdict, tcp);
	transaction_note_hit(engine, &slot, &verdict, enforced);
	size_t limit = reply_limit(&slot.request, tcp);
	size_t length = enforced ? enforce(engine, &slot, &verdict, engine->buffer, limit)
				 : transaction_close(&slot.transaction, engine->buffer,
					   reply_error(&slot.request, engine->buffer, limit, rcode,
						   code, NULL),
					   SOURCE_ERROR);
	waiter_reply(engine, waiter, &slot, length, now);
}

/* --- flights --- */

static struct query_flight *flight_new(struct query_engine *engine, const struct cache_key *key,
	const struct upstream_question *question)
{
	struct query_flight *flight = calloc(1, sizeof *flight);

	if (!flight)
		return NULL;
	flight->engine = engine;
	flight->key = *key;
	flight->question = *question;
	flight->last = &flight->first;
	if (table_insert(&engine->flights, key->hash, flight) != TD_OK) {
		free(flight);
		return NULL;
	}
	return flight;
}

static struct query_flight *flight_find(
	const struct query_engine *engine, const struct cache_key *key)
{
	return table_find(&engine->flights, key->hash, flight_equal, key);
}

static void flight_free(struct query_flight *flight)
{
	struct query_engine *engine = flight->engine;

	table_remove(&engine->flights, flight->key.hash, flight_equal, &flight->key);
	while (flight->first) {
		struct waiter *waiter = flight->first;
		flight->first = waiter->next;
		engine->pending--;
		--*pending_of(engine, &waiter->client);
		free(waiter);
	}
	free(flight);
}

static void flight_add(struct query_flight *flight, struct waiter *waiter)
{
	*flight->last = waiter;
	flight->last = &waiter->next;
	flight->engine->pending++;
	++*pending_of(flight->engine, &waiter->client);
}

static void mail(struct query_engine *engine, unsigned worker, const struct query_letter *content)
{
	struct query_letter *letter = malloc(sizeof *letter);

	if (!letter) { /* the subscriber's clients time out; nothing else can be done without memory
			*/
		free(content->answer);
		return;
	}
	*letter = *content;
	letter->from = engine->config.worker;
	engine->config.io.mail(engine->config.io.context, worker, letter);
}

static void tell_subscribers(struct query_flight *flight, enum td_error error, uint16_t rcode,
	const struct answer *answer)
{
	for (unsigned worker = 0; worker < QUERY_WORKERS_MAX; worker++) {
		if (!(flight->subscribers >> worker & 1))
			continue;
		struct query_letter letter = {
			.is_result = true, .key = flight->key, .error = error, .rcode = rcode};
		letter.answer = answer ? answer_copy(answer) : NULL;
		if (answer && !letter.answer) {
			letter.error = TD_NOMEM;
			letter.rcode = RCODE_SERVFAIL;
		}
		mail(flight->engine, worker, &letter);
	}
	flight->subscribers = 0;
}

static void flight_release_mark(struct query_flight *flight)
{
	if (flight->marked)
		cache_release(flight->engine->config.cache, &flight->key);
	flight->marked = false;
}

static void flight_fail(
	struct query_flight *flight, enum td_error error, uint16_t rcode, const struct now *now)
{
	enum ede_code code = error == TD_TIMEOUT ? EDE_NO_REACHABLE_AUTHORITY
			     : error == TD_IO    ? EDE_NETWORK_ERROR
						 : EDE_OTHER;

	flight_release_mark(flight);
	tell_subscribers(flight, error, rcode, NULL);
	for (const struct waiter *waiter = flight->first; waiter; waiter = waiter->next)
		waiter_fail(
			flight->engine, waiter, rcode, error == TD_REFUSED ? EDE_NONE : code, now);
	flight_free(flight);
}

/* Answers everybody, then gives the answer to the cache. */
static void flight_land(
	struct query_flight *flight, struct answer *answer, bool keep, const struct now *now)
{
	struct query_engine *engine = flight->engine;

	for (const struct waiter *waiter = flight->first; waiter; waiter = waiter->next)
		waiter_answer(engine, waiter, answer, now);
	tell_subscribers(flight, TD_OK, 0, answer);
	if (keep)
		cache_put(engine->config.cache, &flight->key, answer, now->mono_us);
	else
		free(answer);
	flight_release_mark(flight);
	flight_free(flight);
}

static void flight_ask(struct query_flight *flight, const struct now *now)
{
	struct query_io *io = &flight->engine->config.io;
	enum td_error error = TD_OK;

	flight->handle = io->ask(io->context, &flight->question, flight, &error);
	if (!flight->handle)
		flight_fail(flight, error, RCODE_SERVFAIL, now);
}

static void flight_subscribe(struct query_flight *flight, unsigned owner)
{
	struct query_letter letter = {.key = flight->key, .question = flight->question};

	mail(flight->engine, owner, &letter);
}

/* The cache as it is now answers everybody who waits. */
static void flight_serve_cached(struct query_flight *flight, const struct now *now)
{
	struct query_engine *engine = flight->engine;
	struct cache_hit hit;
	unsigned owner;

	for (const struct waiter *waiter = flight->first; waiter; waiter = waiter->next) {
		struct query_slot slot;
		bool tcp = is_tcp(&waiter->client);
		transaction_resume(engine, &slot, waiter);
		if (cache_lookup(engine->config.cache, &flight->key, now->mono_us, false, 0,
			    engine->buffer, reply_room(&slot.request, tcp), &hit,
			    &owner) != CACHE_HIT)
			waiter_fail(engine, waiter, RCODE_SERVFAIL, EDE_OTHER, now);
		else
			waiter_reply(engine, waiter, &slot,
				judge(engine, &slot, &hit, SOURCE_CACHE, engine->buffer,
					reply_limit(&slot.request, tcp)),
				now);
	}
	tell_subscribers(flight, TD_NOT_FOUND, 0, NULL);
	flight_free(flight);
}

/* Gets a flight under way: asked here, or by the worker that is asking already, or answered
 * meanwhile. */
static void flight_launch(struct query_flight *flight, const struct now *now)
{
	struct query_engine *engine = flight->engine;
	struct cache_hit hit;
	unsigned owner = 0;

	switch (cache_lookup(engine->config.cache, &flight->key, now->mono_us, true,
		engine->config.worker, engine->buffer, sizeof engine->buffer, &hit, &owner)) {
	case CACHE_HIT:
		flight_serve_cached(flight, now);
		return;
	case CACHE_MISS:
		flight->marked = true;
		flight_ask(flight, now);
		return;
	case CACHE_PENDING:
		if (owner != engine->config.worker && flight->retries++ < FOREIGN_RETRIES_MAX) {
			engine->config.counters->coalesced++;
			flight_subscribe(flight, owner);
			return;
		}
		break;
	case CACHE_FULL:
		break;
	}
	flight_ask(flight, now);
}

/* --- the query --- */

static bool is_in(const struct prefix *prefixes, size_t count, const struct address *client)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_contains(&prefixes[i], client))
			return true;
	return false;
}

static bool is_allowed(const struct query_engine *engine, const struct address *client)
{
	return is_in(engine->policy->allow, engine->policy->allow_count, client);
}

/* What a trusted forwarder says of its client. It goes no further: upstream questions are composed
 * anew. */
static void read_forwarded(const struct query_engine *engine, const uint8_t *packet,
	const struct query_client *client, struct request *request)
{
	const struct edns *edns = &request->edns;

	if (is_in(engine->policy->forwarders, engine->policy->forwarder_count,
		    &client->origin.address))
		forwarded_read(packet + edns->options_offset, edns->options_length,
			&request->forwarded);
}

static void wait_for_answer(struct query_engine *engine, const struct query_client *client,
	const struct query_slot *slot, const struct cache_key *key, const struct now *now)
{
	const struct request *request = &slot->request;
	struct query_flight *flight = flight_find(engine, key);
	struct waiter *waiter;

	if (is_full(engine, client) || !(waiter = waiter_new(client, slot, now->mono_us))) {
		engine->config.counters->dropped_overload++;
		return;
	}
	if (flight) {
		engine->config.counters->coalesced++;
		flight_add(flight, waiter);
		return;
	}
	struct upstream_question question = {.qname.length = request->qname_length,
		.qtype = request->qtype,
		.dnssec_ok = request->edns.dnssec_ok,
		.checking_disabled = request->flags & DNS_FLAG_CD};
	memcpy(question.qname.wire, request->folded, request->qname_length);
	flight = flight_new(engine, key, &question);
	if (!flight) {
		engine->config.counters->dropped_overload++;
		free(waiter);
		return;
	}
	flight_add(flight, waiter);
	flight_launch(flight, now);
}

/* No cached answer: a rule on the question answers without waiting for anybody. */
static size_t answer_uncached(struct query_engine *engine, const struct query_client *client,
	const struct cache_key *key, const struct now *now, struct query_slot *slot, uint8_t *reply,
	size_t limit)
{
	const struct request *request = &slot->request;
	struct policy_match matches[POLICY_MATCHES_MAX];
	size_t count = policy_match_name(
		engine->policy->view.index, request->folded, request->qname_length, matches);
	struct policy_verdict verdict = policy_decide(&engine->policy->view, matches, count);
	bool enforced = verdict_applies(&verdict, slot->transaction.tcp);

	if (enforced || request->qtype == TYPE_ANY)
		transaction_note_hit(engine, slot, &verdict, enforced);
	if (enforced)
		return enforce(engine, slot, &verdict, reply, limit);
	if (request->qtype == TYPE_ANY)
		return transaction_close(&slot->transaction, reply,
			reply_minimal_any(request, reply, limit), SOURCE_LOCAL);
	wait_for_answer(engine, client, slot, key, now);
	return 0;
}

static size_t answer_question(struct query_engine *engine, const struct query_client *client,
	const struct now *now, struct query_slot *slot, uint8_t *reply, size_t limit)
{
	const struct request *request = &slot->request;
	struct worker_counters *counters = engine->config.counters;
	struct cache_key key;
	struct cache_hit hit;
	unsigned owner;

	cache_key_make(engine->config.cache, &key, request->folded, request->qname_length,
		request->qtype,
		(uint8_t)((request->edns.dnssec_ok ? CACHE_DNSSEC_OK : 0) |
			  (request->flags & DNS_FLAG_CD ? CACHE_CHECKING_DISABLED : 0)));
	if (cache_lookup(engine->config.cache, &key, now->mono_us, false, 0, reply,
		    reply_room(request, slot->transaction.tcp), &hit, &owner) == CACHE_HIT) {
		counters->cache_hits++;
		return judge(engine, slot, &hit, SOURCE_CACHE, reply, limit);
	}
	counters->cache_misses++;
	return answer_uncached(engine, client, &key, now, slot, reply, limit);
}

static size_t refuse(struct query_slot *slot, uint8_t *reply, size_t limit, uint16_t rcode,
	enum ede_code code, enum transaction_source source)
{
	size_t length = reply_error(&slot->request, reply, limit, rcode, code, NULL);

	return transaction_close(&slot->transaction, reply, length, source);
}

bool query_is_proxy(const struct query_engine *engine, const struct address *peer)
{
	return engine->policy->proxy_count &&
	       is_in(engine->policy->proxies, engine->policy->proxy_count, peer);
}

enum td_error query_read_proxy(
	struct query_client *client, const uint8_t *data, size_t size, size_t *length)
{
	struct proxy_header header;
	enum td_error error = proxy_read(data, size, &header);

	*length = header.length;
	client->origin = error == TD_OK && !header.local ? header.source : client->peer;
	return error;
}

void query_drop_proxied(struct query_engine *engine)
{
	engine->config.counters->received++;
	engine->config.counters->dropped_proxy++;
}

size_t query_handle(struct query_engine *engine, const uint8_t *packet, size_t size,
	const struct query_client *client, const struct now *now, struct query_slot *slot,
	uint8_t *reply, size_t capacity)
{
	uint16_t rcode;
	enum request_verdict verdict = request_parse(packet, size, &slot->request, &rcode);
	size_t limit;

	engine->config.counters->received++;
	if (verdict == REQUEST_DROP) {
		engine->config.counters->dropped_malformed++;
		return 0;
	}
	limit = reply_limit(&slot->request, is_tcp(client));
	if (limit > capacity)
		limit = capacity;
	if (slot->request.edns.options_length && engine->policy->forwarder_count)
		read_forwarded(engine, packet, client, &slot->request);
	transaction_begin(&slot->transaction, &slot->request, client);
	transaction_keep_query(engine, &slot->transaction, &client->path, packet, size);
	if (!is_allowed(engine, &client->origin.address))
		return refuse(slot, reply, limit, RCODE_REFUSED, EDE_PROHIBITED, SOURCE_LOCAL);
	if (verdict == REQUEST_ERROR)
		return refuse(slot, reply, limit, rcode, EDE_NONE,
			rcode == RCODE_REFUSED ? SOURCE_LOCAL : SOURCE_ERROR);
	return answer_question(engine, client, now, slot, reply, limit);
}

void query_sent(struct query_engine *engine, struct query_slot *slot, const struct now *now)
{
	engine->config.counters->answered++;
	engine->config.io.record(engine->config.io.context, &slot->transaction, now);
}

void query_unsent(struct query_engine *engine)
{
	engine->config.counters->dropped_send++;
}

void query_answered(struct query_engine *engine, struct query_flight *flight, enum td_error error,
	const uint8_t *reply, size_t size, const struct endpoint *server, const struct now *now)
{
	struct answer *answer;

	flight->handle = NULL;
	if (error != TD_OK) {
		flight_fail(flight, error, RCODE_SERVFAIL, now);
		return;
	}
	answer = answer_from_reply(reply, size, &flight->question, &engine->config.limits,
		now->mono_us, next_answer_id(engine), &error);
	if (!answer) {
		uint16_t rcode = error == TD_REFUSED ? reply[3] & DNS_FLAG_RCODE : RCODE_SERVFAIL;
		flight_fail(flight, error, rcode, now);
		return;
	}
	answer->upstream = *server;
	answer_match(answer, &engine->policy->view);
	flight_land(flight, answer, true, now);
}

static void receive_subscription(
	struct query_engine *engine, const struct query_letter *letter, const struct now *now)
{
	struct query_flight *flight = flight_find(engine, &letter->key);
	struct query_letter gone = {.is_result = true, .key = letter->key, .error = TD_NOT_FOUND};

	(void)now;
	if (flight && flight->handle)
		flight->subscribers |= UINT64_C(1) << letter->from;
	else
		mail(engine, letter->from, &gone);
}

static void receive_result(
	struct query_engine *engine, struct query_letter *letter, const struct now *now)
{
	struct query_flight *flight = flight_find(engine, &letter->key);

	if (!flight || flight->handle) { /* its clients are gone, or it asks for itself by now */
		free(letter->answer);
		return;
	}
	if (letter->error == TD_NOT_FOUND) {
		flight_launch(flight, now);
	} else if (letter->error != TD_OK) {
		flight_fail(flight, letter->error, letter->rcode, now);
	} else {
		if (letter->answer->generation != engine->policy->view.generation)
			answer_match(letter->answer, &engine->policy->view);
		flight_land(flight, letter->answer, false, now);
	}
}

void query_receive(struct query_engine *engine, struct query_letter *letter, const struct now *now)
{
	if (letter->is_result)
		receive_result(engine, letter, now);
	else
		receive_subscription(engine, letter, now);
	free(letter);
}

void query_set_policy(struct query_engine *engine, const struct query_policy *policy)
{
	engine->policy = policy;
}

size_t query_pending(const struct query_engine *engine)
{
	return engine->pending;
}

struct query_engine *query_engine_new(const struct query_config *config)
{
	struct query_engine *engine = calloc(1, sizeof *engine);

	if (!engine)
		return NULL;
	engine->config = *config;
	table_init(&engine->flights, config->waiters_max);
	return engine;
}

void query_engine_free(struct query_engine *engine)
{
	struct query_flight *flight;

	if (!engine)
		return;
	engine->config.counters->dropped_gone += engine->pending;
	while ((flight = table_take_any(&engine->flights))) {
		if (flight->handle)
			engine->config.io.cancel(engine->config.io.context, flight->handle);
		flight_release_mark(flight);
		flight_free(flight);
	}
	table_deinit(&engine->flights);
	free(engine);
}
