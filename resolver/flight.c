/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pending questions. A flight belongs to the worker whose client asked first; where another worker
 * is asking the same already, this one subscribes there by letter and gets a copy of the answer, so
 * a client's query never leaves the worker that received it.
 */
#include "resolver/flight.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/judge.h"
#include "resolver/reply.h"

#define FOREIGN_RETRIES_MAX 3
#define REPEATS_LOOKED_AT 64 /* of those who wait for one answer, the newest first */

struct waiter {
	struct waiting_entry entry; /* first */
	TAILQ_ENTRY(waiter) next;
	struct query_flight *flight;
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
	TAILQ_ENTRY(query_flight) newer;
	TAILQ_HEAD(waiter_list, waiter) waiters; /* the oldest first */
	uint64_t subscribers; /* a bit a worker */
	void *handle;         /* of the upstream request, NULL while another worker asks */
	unsigned retries;
	uint32_t epoch; /* of the cache when it was asked */
	bool marked; /* the cache's mark is ours to release */
};

static bool flight_equal(const void *item, const void *key)
{
	const struct query_flight *flight = item;
	const struct cache_key *wanted = key;

	return flight->key.length == wanted->length &&
	       memcmp(flight->key.octets, wanted->octets, wanted->length) == 0;
}

/* A waiter's transaction begins anew when its reply is at hand. */
static void transaction_resume(
	const struct query_engine *engine, struct query_slot *slot, const struct waiter *waiter)
{
	slot->request = waiter->request;
	judge_begin(&slot->transaction, &slot->request, &waiter->client);
	judge_keep_query(engine, &slot->transaction, &waiter->client.path, waiter->query,
		waiter->query_length);
}

/* --- waiting --- */

static struct waiter *waiter_new(
	const struct query_client *client, const struct query_slot *slot, int64_t now_us)
{
	const struct request *request = &slot->request;
	size_t query_length = slot->transaction.query_length;
	struct waiter *waiter = malloc(sizeof *waiter + query_length);

	if (!waiter)
		return NULL;
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
	bool tcp = query_is_tcp(&waiter->client);

	transaction_resume(engine, &slot, waiter);
	slot.transaction.upstream = answer->upstream;
	memcpy(hit.matches, answer->matches, sizeof hit.matches);
	hit.length = answer_write(answer, now->mono_us, engine->buffer,
		reply_room(&slot.request, tcp), &hit.truncated);
	waiter_reply(engine, waiter, &slot,
		judge_answer(engine, &slot, &hit, SOURCE_UPSTREAM, engine->buffer,
			reply_limit(&slot.request, tcp)),
		now);
}

static void waiter_fail(struct query_engine *engine, const struct waiter *waiter, uint16_t rcode,
	enum ede_code code, const struct now *now)
{
	struct query_slot slot;
	struct policy_match matches[POLICY_MATCHES_MAX];
	bool tcp = query_is_tcp(&waiter->client);

	transaction_resume(engine, &slot, waiter);
	size_t count = policy_match_name(engine->policy->view.index, slot.request.folded,
		slot.request.qname_length, matches);
	struct policy_verdict verdict = policy_decide(&engine->policy->view, matches, count);
	bool enforced = judge_applies(&verdict, tcp);
	judge_note_hit(engine, &slot, &verdict, enforced);
	size_t limit = reply_limit(&slot.request, tcp);
	size_t length = enforced ? judge_enforce(engine, &slot, &verdict, engine->buffer, limit)
				 : judge_close(&slot.transaction, engine->buffer,
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
	TAILQ_INIT(&flight->waiters);
	if (table_insert(&engine->flights, key->hash, flight) != TD_OK) {
		free(flight);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&engine->by_age, flight, newer);
	return flight;
}

static struct query_flight *flight_find(
	const struct query_engine *engine, const struct cache_key *key)
{
	return table_find(&engine->flights, key->hash, flight_equal, key);
}

static void waiter_free(struct waiter *waiter)
{
	struct query_flight *flight = waiter->flight;

	TAILQ_REMOVE(&flight->waiters, waiter, next);
	waiting_remove(&flight->engine->waiting, &waiter->entry);
	free(waiter);
}

static void flight_free(struct query_flight *flight)
{
	struct query_engine *engine = flight->engine;
	struct waiter *waiter;

	table_remove(&engine->flights, flight->key.hash, flight_equal, &flight->key);
	TAILQ_REMOVE(&engine->by_age, flight, newer);
	while ((waiter = TAILQ_FIRST(&flight->waiters)))
		waiter_free(waiter);
	free(flight);
}

static void flight_add(struct query_flight *flight, struct waiter *waiter)
{
	struct waiting *waiting = &flight->engine->waiting;

	waiter->flight = flight;
	TAILQ_INSERT_TAIL(&flight->waiters, waiter, next);
	waiting_add(waiting, &waiter->entry, waiting_slot(waiting, &waiter->client.origin.address));
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

static void flight_tell_subscribers(struct query_flight *flight, enum td_error error,
	uint16_t rcode, const struct answer *answer)
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
	enum ede_code code = error == TD_TIMEOUT || error == TD_FULL ? EDE_NO_REACHABLE_AUTHORITY
			     : error == TD_IO                        ? EDE_NETWORK_ERROR
								     : EDE_OTHER;

	const struct waiter *waiter;

	flight_release_mark(flight);
	flight_tell_subscribers(flight, error, rcode, NULL);
	TAILQ_FOREACH(waiter, &flight->waiters, next)
		waiter_fail(
			flight->engine, waiter, rcode, error == TD_REFUSED ? EDE_NONE : code, now);
	flight_free(flight);
}

/* Answers everybody, then gives the answer to the cache. */
static void flight_land(
	struct query_flight *flight, struct answer *answer, bool keep, const struct now *now)
{
	struct query_engine *engine = flight->engine;
	const struct waiter *waiter;

	TAILQ_FOREACH(waiter, &flight->waiters, next)
		waiter_answer(engine, waiter, answer, now);
	flight_tell_subscribers(flight, TD_OK, 0, answer);
	if (keep)
		cache_put(engine->config.cache, &flight->key, answer, now->mono_us);
	else
		free(answer);
	flight_release_mark(flight);
	flight_free(flight);
}

/* --- too many --- */

/*
 * The client that has waited longest is told that there will be no answer, so that it can ask another
 * server: one short reply for each new query, and none later to a client that has given up. Its
 * question goes on, and its answer to the cache.
 */
static void waiter_give_way(
	struct query_engine *engine, struct waiter *waiter, const struct now *now)
{
	engine->config.counters->gave_way++;
	waiter_fail(engine, waiter, RCODE_SERVFAIL, EDE_NO_REACHABLE_AUTHORITY, now);
	waiter_free(waiter);
}

/* Ends the oldest flight, or the oldest that asks upstream. False: there is none. */
static bool flight_give_way(struct query_engine *engine, bool asking, const struct now *now)
{
	struct query_flight *flight = TAILQ_FIRST(&engine->by_age);
	const struct waiter *waiter;

	while (asking && flight && !flight->handle)
		flight = TAILQ_NEXT(flight, newer);
	if (!flight)
		return false;
	if (flight->handle)
		engine->config.io.cancel(engine->config.io.context, flight->handle);
	flight->handle = NULL;
	TAILQ_FOREACH(waiter, &flight->waiters, next)
		engine->config.counters->gave_way++;
	flight_fail(flight, TD_FULL, RCODE_SERVFAIL, now);
	return true;
}

/* Asks upstream; where there is no place or no socket for another question, in that of the oldest. */
static void *flight_start(struct query_flight *flight, enum td_error *error, const struct now *now)
{
	const struct query_io *io = &flight->engine->config.io;
	void *handle = io->ask(io->context, &flight->question, flight, error);

	if (!handle && (*error == TD_FULL || *error == TD_NOMEM) &&
		flight_give_way(flight->engine, true, now))
		handle = io->ask(io->context, &flight->question, flight, error);
	return handle;
}

static void flight_ask(struct query_flight *flight, const struct now *now)
{
	enum td_error error = TD_OK;

	flight->epoch = cache_epoch(flight->engine->config.cache);
	flight->handle = flight_start(flight, &error, now);
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
	const struct waiter *waiter;
	unsigned owner;

	TAILQ_FOREACH(waiter, &flight->waiters, next) {
		struct query_slot slot;
		bool tcp = query_is_tcp(&waiter->client);
		transaction_resume(engine, &slot, waiter);
		if (cache_lookup(engine->config.cache, &flight->key, now->mono_us, false, 0,
			    engine->buffer, reply_room(&slot.request, tcp), &hit,
			    &owner) > CACHE_HIT_DUE)
			waiter_fail(engine, waiter, RCODE_SERVFAIL, EDE_OTHER, now);
		else
			waiter_reply(engine, waiter, &slot,
				judge_answer(engine, &slot, &hit, SOURCE_CACHE, engine->buffer,
					reply_limit(&slot.request, tcp)),
				now);
	}
	flight_tell_subscribers(flight, TD_NOT_FOUND, 0, NULL);
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
	case CACHE_HIT_DUE:
		flight_serve_cached(flight, now);
		return;
	case CACHE_FAILED:
		flight_fail(flight, hit.failure.error, hit.failure.rcode, now);
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
	case CACHE_STALE: /* never with claim */
	case CACHE_FULL:
		break;
	}
	flight_ask(flight, now);
}

/* --- the engine's side --- */

/* The same query a second time, from the client's own impatience: one answer will do. */
static bool is_repeated(const struct query_flight *flight, const struct query_client *client,
	const struct request *request)
{
	const struct waiter *waiter;
	unsigned left = REPEATS_LOOKED_AT;

	if (query_is_tcp(client))
		return false;
	TAILQ_FOREACH_REVERSE(waiter, &flight->waiters, waiter_list, next)
	{
		if (waiter->request.id == request->id && !query_is_tcp(&waiter->client) &&
			endpoint_equal(&waiter->client.peer, &client->peer) &&
			endpoint_equal(&waiter->client.origin, &client->origin))
			return true;
		if (--left == 0)
			break;
	}
	return false;
}

static void make_room(
	struct query_engine *engine, const struct query_client *client, const struct now *now)
{
	uint32_t slot = waiting_slot(&engine->waiting, &client->origin.address);
	struct waiting_entry *entry = waiting_must_go(&engine->waiting, slot);

	if (entry)
		waiter_give_way(engine, (struct waiter *)entry, now);
}

void flight_wait(struct query_engine *engine, const struct query_client *client,
	struct query_slot *slot, const struct cache_key *key, const struct now *now)
{
	const struct request *request = &slot->request;
	struct query_flight *flight = flight_find(engine, key);
	struct waiter *waiter;

	if (flight && is_repeated(flight, client, request)) {
		engine->config.counters->dropped_repeated++;
		return;
	}
	make_room(engine, client, now);
	waiter = waiter_new(client, slot, now->mono_us);
	if (!waiter) {
		engine->config.counters->dropped_overload++;
		return;
	}
	if (flight) {
		engine->config.counters->coalesced++;
		slot->waits = true;
		flight_add(flight, waiter);
		return;
	}
	struct upstream_question question = {.qname.length = request->qname_length,
		.qtype = request->qtype,
		.dnssec_ok = request->edns.dnssec_ok,
		.checking_disabled = request->flags & DNS_FLAG_CD};
	memcpy(question.qname.wire, request->folded, request->qname_length);
	if (engine->flights.count >= engine->config.waiters_max)
		flight_give_way(engine, false, now);
	flight = flight_new(engine, key, &question);
	if (!flight) {
		engine->config.counters->dropped_overload++;
		free(waiter);
		return;
	}
	slot->waits = true;
	flight_add(flight, waiter);
	flight_launch(flight, now);
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
	answer = answer_from_reply(reply, size, &flight->question, &engine->policy->limits,
		now->mono_us, query_next_answer_id(engine), &error);
	if (!answer) {
		uint16_t rcode = error == TD_REFUSED ? reply[3] & DNS_FLAG_RCODE : RCODE_SERVFAIL;
		flight_fail(flight, error, rcode, now);
		return;
	}
	answer->upstream = *server;
	answer->epoch = flight->epoch;
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

void flight_end_all(struct query_engine *engine)
{
	struct query_flight *flight;

	while ((flight = table_take_any(&engine->flights))) {
		if (flight->handle)
			engine->config.io.cancel(engine->config.io.context, flight->handle);
		flight_release_mark(flight);
		flight_free(flight);
	}
}
