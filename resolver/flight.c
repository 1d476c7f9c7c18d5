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
#include "resolver/question.h"
#include "resolver/waiter.h"

#define FOREIGN_RETRIES_MAX 3
#define OWN_FLIGHTS_MAX 256 /* at once; what comes above is asked like anybody's question */
#define REPEATS_LOOKED_AT 64 /* of those who wait for one answer, the newest first */
#define ASKED_LATELY_US (300 * US_PER_MS) /* the answer may be on its way */
#define ASKED_AGAIN_MAX 1024             /* questions, when servers are back */
#define TICK_MAX 256 /* clients answered by one tick: then others have their turn */

struct query_flight {
	struct query_engine *engine;
	struct cache_key key;
	struct upstream_question question;
	TAILQ_ENTRY(query_flight) newer;
	struct waiter_list waiters; /* the oldest first */
	uint64_t subscribers; /* a bit a worker */
	void *handle;         /* of the upstream request, NULL while another worker asks */
	int64_t asked_us;
	unsigned retries;
	uint32_t epoch;  /* of the cache when it was asked */
	bool marked;     /* the cache's mark is ours to release */
	bool background; /* begun for nobody */
	bool own;        /* of one client: nobody joins, and the answer is not kept */
};

static bool flight_equal(const void *item, const void *key)
{
	const struct query_flight *flight = item;
	const struct cache_key *wanted = key;

	return flight->key.length == wanted->length &&
	       memcmp(flight->key.octets, wanted->octets, wanted->length) == 0;
}

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

static void flight_add(struct query_flight *flight, struct waiter *waiter)
{
	waiter->flight = flight;
	TAILQ_INSERT_TAIL(&flight->waiters, waiter, next);
}

static void flight_free(struct query_flight *flight)
{
	struct query_engine *engine = flight->engine;
	struct waiter *waiter;

	table_remove(&engine->flights, flight->key.hash, flight_equal, &flight->key);
	TAILQ_REMOVE(&engine->by_age, flight, newer);
	engine->own_count -= flight->own;
	while ((waiter = TAILQ_FIRST(&flight->waiters))) {
		TAILQ_REMOVE(&flight->waiters, waiter, next);
		waiter_free(waiter);
	}
	engine->background -= flight->background;
	free(flight);
}

static void waiter_finish(struct waiter *waiter, const struct now *now);

/* The waiter has been told, or moves on. */
static void flight_done(struct waiter *waiter, const struct now *now)
{
	TAILQ_REMOVE(&waiter->flight->waiters, waiter, next);
	waiter_finish(waiter, now);
}

/* The same; the flight goes on without any, unless another worker is asking. */
static void flight_leave(struct waiter *waiter, const struct now *now)
{
	struct query_flight *flight = waiter->flight;

	TAILQ_REMOVE(&flight->waiters, waiter, next);
	if (TAILQ_EMPTY(&flight->waiters) && !flight->handle)
		flight_free(flight);
	waiter_finish(waiter, now);
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

/* Everybody gets what is still in the cache, however old, or an error. */
static void flight_fail(struct query_flight *flight, const struct failure *failure, bool cached,
	const struct now *now)
{
	struct waiter *waiter;

	flight_release_mark(flight);
	flight_tell_subscribers(flight, failure->error, failure->rcode, NULL);
	while ((waiter = TAILQ_FIRST(&flight->waiters))) {
		if (waiter_serve_cached(waiter, &flight->key, now) == WAITER_NOT_SERVED)
			waiter_fail(waiter, failure, cached, now);
		flight_done(waiter, now);
	}
	flight_free(flight);
}

static bool is_unreachable(
	const struct query_engine *engine, const struct upstream_question *question)
{
	const struct query_io *io = &engine->config.io;

	return io->unreachable && io->unreachable(io->context, question);
}

static enum cache_failure kind_of_failure(const struct query_flight *flight, enum td_error error)
{
	if (error == TD_IO)
		return CACHE_FAILURE_OUTAGE;
	if (error != TD_TIMEOUT)
		return CACHE_FAILURE_NAME;
	return is_unreachable(flight->engine, &flight->question) ? CACHE_FAILURE_OUTAGE
								 : CACHE_FAILURE_SILENCE;
}

/* The question was asked here, and that is what came of it. What this machine is short of says
 * nothing about the question. */
static void flight_fail_asked(
	struct query_flight *flight, enum td_error error, uint16_t rcode, const struct now *now)
{
	struct query_engine *engine = flight->engine;
	const struct failure failure = {
		.error = error, .rcode = rcode, .epoch = flight->epoch};
	enum cache_failure kind = kind_of_failure(flight, error);

	if (error != TD_NOMEM && error != TD_FULL && !flight->own)
		cache_fail(engine->config.cache, &flight->key, &failure, kind, now->mono_us);
	flight_fail(flight, &failure, false, now);
}

/*
 * Answers those who wait, but for who came after a flush (the end of the list) when the answer is from
 * before it. True: there are none of those.
 */
static bool flight_answer(
	struct query_flight *flight, const struct answer *answer, const struct now *now)
{
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(&flight->waiters))) {
		if ((int32_t)(waiter->epoch - answer->epoch) > 0)
			return false;
		waiter_answer(waiter, answer, now);
		flight_done(waiter, now);
	}
	return true;
}

/* --- too many --- */

/*
 * The client that has waited longest is told that there will be no answer, or a stale one, so that
 * it can ask another server: one short reply for each new query, and none later to a client that
 * has given up. Its question goes on, and its answer to the cache.
 */
static void waiter_give_way(struct waiter *waiter, const struct now *now)
{
	const struct failure full = {.error = TD_FULL, .rcode = RCODE_SERVFAIL};

	waiter->engine->config.counters->gave_way++;
	waiter->engine->giving_way = true;
	if (waiter_serve_cached(waiter, &waiter->flight->key, now) == WAITER_NOT_SERVED)
		waiter_fail(waiter, &full, false, now);
	waiter->engine->giving_way = false;
	flight_done(waiter, now);
}

/* Ends the oldest flight, or the oldest that asks upstream. False: there is none. */
static bool flight_give_way(struct query_engine *engine, bool asking, const struct now *now)
{
	const struct failure full = {.error = TD_FULL, .rcode = RCODE_SERVFAIL};
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
	engine->giving_way = true;
	flight_fail(flight, &full, false, now);
	engine->giving_way = false;
	return true;
}

/*
 * Asks upstream; where there is no place or no socket for another question, in that of the oldest,
 * if somebody waits for it.
 */
static void *flight_start(struct query_flight *flight, enum td_error *error, const struct now *now)
{
	const struct query_io *io = &flight->engine->config.io;
	void *handle = io->ask(io->context, &flight->question, flight, error);

	if (!handle && !flight->background && (*error == TD_FULL || *error == TD_NOMEM) &&
		flight_give_way(flight->engine, true, now))
		handle = io->ask(io->context, &flight->question, flight, error);
	return handle;
}

static void flight_ask(struct query_flight *flight, const struct now *now)
{
	enum td_error error = TD_OK;

	flight->epoch = cache_epoch(flight->engine->config.cache);
	flight->asked_us = now->mono_us;
	flight->handle = flight_start(flight, &error, now);
	if (!flight->handle)
		flight_fail_asked(flight, error, RCODE_SERVFAIL, now);
}

/* Answers everybody, then gives the answer to the cache. For those to whom it is too old the question
 * is asked again, once: what comes of that is newer than any of them. */
static void flight_land(struct query_flight *flight, struct answer *answer, const struct now *now)
{
	struct query_engine *engine = flight->engine;
	bool done = flight_answer(flight, answer, now);

	flight_tell_subscribers(flight, TD_OK, 0, answer);
	if (flight->own)
		free(answer);
	else
		cache_put(engine->config.cache, &flight->key, answer, now->mono_us);
	if (!done) {
		flight_ask(flight, now);
		return;
	}
	flight_release_mark(flight);
	flight_free(flight);
}

static void flight_subscribe(struct query_flight *flight, unsigned owner)
{
	struct query_letter letter = {.key = flight->key, .question = flight->question};

	mail(flight->engine, owner, &letter);
}

/* The cache as it is now answers everybody who waits. */
static void flight_serve_cached(struct query_flight *flight, const struct now *now)
{
	const struct failure gone = {.error = TD_NOT_FOUND, .rcode = RCODE_SERVFAIL};
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(&flight->waiters))) {
		if (waiter_serve_cached(waiter, &flight->key, now) == WAITER_NOT_SERVED)
			waiter_fail(waiter, &gone, false, now);
		flight_done(waiter, now);
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

	if (flight->own) {
		flight_ask(flight, now);
		return;
	}
	switch (cache_lookup(engine->config.cache, &flight->key, now->mono_us, true,
		engine->config.worker, engine->buffer, sizeof engine->buffer, &hit, &owner)) {
	case CACHE_HIT:
	case CACHE_HIT_DUE:
		flight_serve_cached(flight, now);
		return;
	case CACHE_FAILED:
		engine->config.counters->failure_hits++;
		flight_fail(flight, &hit.failure, true, now);
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
			endpoint_equal(&waiter->client.origin, &client->origin) &&
			name_wire_equal(waiter->request.folded, waiter->request.qname_length,
				request->folded, request->qname_length))
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
		waiter_give_way((struct waiter *)entry, now);
}

/*
 * The waiter joins the flight of this key, or begins one. False: no memory for one. Whoever is led
 * here takes no place of those that wait for another worker: his own flight, which is being answered,
 * may look like one of them.
 */
static bool flight_join(struct waiter *waiter, const struct cache_key *key, bool own,
	const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct query_flight *flight = flight_find(engine, key);

	if (flight) {
		engine->config.counters->coalesced++;
		flight_add(flight, waiter);
		return true;
	}
	const struct upstream_question question = question_make(&waiter->request, waiter->redirect);
	if (engine->flights.count >= engine->config.questions_max)
		flight_give_way(engine, waiter->redirect != NULL, now);
	flight = flight_new(engine, key, &question);
	if (!flight)
		return false;
	flight->own = own;
	engine->own_count += own;
	flight_add(flight, waiter);
	flight_launch(flight, now);
	return true;
}

void flight_wait(struct query_engine *engine, const struct query_client *client,
	struct query_slot *slot, const struct cache_key *asked, const struct now *now)
{
	bool own = slot->request.subnet.sent_length && engine->own_count < OWN_FLIGHTS_MAX;
	const struct cache_key *key = asked;
	struct cache_key own_key;

	if (!own)
		slot->request.subnet.sent_length = 0;
	if (own) {
		own_key = *asked;
		question_make_own(&engine->config.seed, ++engine->own_serial, &own_key);
		key = &own_key;
	}
	struct query_flight *flight = flight_find(engine, key);

	if (engine->stopping) {
		engine->config.counters->dropped_gone++;
		return;
	}
	if (flight && is_repeated(flight, client, &slot->request)) {
		engine->config.counters->dropped_repeated++;
		return;
	}
	make_room(engine, client, now);
	struct waiter *waiter = waiter_new(engine, client, slot, now->mono_us);
	if (!waiter)
		return;
	slot->waits = true;
	if (!flight_join(waiter, key, own, now)) {
		slot->waits = false;
		engine->config.counters->dropped_overload++;
		waiter_free(waiter);
	}
}

/* A waiter that is told the answer is done with; one that is led elsewhere waits on. */
static void waiter_finish(struct waiter *waiter, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct worker_counters *counters = engine->config.counters;
	struct cache_key key;

	if (waiter->moves && engine->stopping) {
		counters->dropped_gone++;
	} else if (waiter->moves) {
		waiter->moves = false;
		question_key(engine->config.cache, &waiter->request, waiter->redirect, &key);
		if (flight_join(waiter, &key, false, now))
			return;
		counters->dropped_overload++;
	} else {
		waiter_free(waiter);
		return;
	}
	waiter_dismiss(waiter);
	waiter_free(waiter);
}

bool flight_need_not_wait(const struct query_engine *engine, const struct request *request,
	const struct cache_hit *stale)
{
	const struct upstream_question question = question_make(request, NULL);

	return stale->failing || engine->policy->stale_wait_us == 0 ||
	       is_unreachable(engine, &question);
}

/* How many flights may be under way for nobody, so that they leave room for clients' questions. */
static size_t background_max(const struct query_engine *engine, enum flight_reason reason)
{
	return engine->config.waiters_max / (reason == FLIGHT_PREFETCH ? 8 : 2);
}

void flight_refresh(struct query_engine *engine, const struct request *request,
	const struct cache_key *key, enum flight_reason reason, const struct now *now)
{
	struct worker_counters *counters = engine->config.counters;
	struct upstream_question question = question_make(request, NULL);
	struct query_flight *flight;
	unsigned owner;

	if (flight_find(engine, key))
		return;
	if (engine->background >= background_max(engine, reason) ||
		!(flight = flight_new(engine, key, &question))) {
		counters->prefetches_skipped += reason == FLIGHT_PREFETCH;
		return;
	}
	flight->background = true;
	engine->background++;
	if (cache_claim(engine->config.cache, key, engine->config.worker, &owner) != CACHE_MISS) {
		flight_free(flight); /* somebody is asking, or there is no room to know who is */
		return;
	}
	flight->marked = true;
	counters->prefetches += reason == FLIGHT_PREFETCH;
	flight_ask(flight, now);
}

void query_learn(struct query_engine *engine, const struct name *name, uint16_t type,
	const struct now *now)
{
	struct request request = {.qtype = type, .qname_length = name->length};
	struct cache_key key;

	if (engine->stopping)
		return;
	memcpy(request.folded, name->wire, name->length);
	cache_key_make(engine->config.cache, &key, name->wire, name->length, type, 0);
	flight_refresh(engine, &request, &key, FLIGHT_LEARN, now);
}

/* What is pending for longer than an answer usually takes is asked anew. */
static void ask_again(struct query_engine *engine, const struct now *now)
{
	const struct query_io *io = &engine->config.io;
	size_t left = engine->flights.count < ASKED_AGAIN_MAX ? engine->flights.count
							      : ASKED_AGAIN_MAX;

	for (; left && engine->flights.count; left--) {
		struct query_flight *flight = TAILQ_FIRST(&engine->by_age);
		TAILQ_REMOVE(&engine->by_age, flight, newer);
		TAILQ_INSERT_TAIL(&engine->by_age, flight, newer);
		if (!flight->handle || flight->asked_us + ASKED_LATELY_US > now->mono_us)
			continue;
		io->cancel(io->context, flight->handle);
		flight->handle = NULL;
		flight_ask(flight, now);
	}
}

void query_upstream_back(struct query_engine *engine, const struct now *now)
{
	cache_forget_failures(engine->config.cache, true);
	ask_again(engine, now);
}

void query_upstream_changed(struct query_engine *engine, const struct now *now)
{
	cache_forget_failures(engine->config.cache, false);
	ask_again(engine, now);
}

/* --- time --- */

int64_t query_next_due(const struct query_engine *engine)
{
	const struct waiter *fresh = TAILQ_FIRST(&engine->fresh);
	const struct waiter *oldest = waiter_oldest(engine);
	int64_t due_us = INT64_MAX;

	if (fresh && engine->policy->stale_wait_us >= 0)
		due_us = fresh->received_us + engine->policy->stale_wait_us;
	if (oldest && engine->policy->wait_max_us &&
		oldest->received_us + engine->policy->wait_max_us < due_us)
		due_us = oldest->received_us + engine->policy->wait_max_us;
	return due_us;
}

/* This client has waited for long enough: a stale answer is better than none. Who asks from now on
 * need not find out again that it takes so long. */
static void offer_stale(struct waiter *waiter, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	const struct failure slow = {.error = TD_TIMEOUT,
		.rcode = RCODE_SERVFAIL,
		.epoch = cache_epoch(engine->config.cache)};
	const struct cache_key *key = &waiter->flight->key;

	switch (waiter_serve_cached(waiter, key, now)) {
	case WAITER_NOT_SERVED:
		waiter_note_offered(waiter);
		return;
	case WAITER_SERVED_STALE:
		cache_fail(engine->config.cache, key, &slow, CACHE_FAILURE_SLOW, now->mono_us);
		break;
	case WAITER_SERVED:
		break;
	}
	flight_leave(waiter, now);
}

void query_tick(struct query_engine *engine, const struct now *now)
{
	struct waiter *waiter;

	for (unsigned i = 0; i < TICK_MAX && query_next_due(engine) <= now->mono_us; i++) {
		waiter = waiter_oldest(engine);
		if (engine->policy->wait_max_us &&
			waiter->received_us + engine->policy->wait_max_us <= now->mono_us) {
			engine->config.counters->dropped_late++;
			waiter_dismiss(waiter);
			flight_leave(waiter, now);
		} else {
			offer_stale(TAILQ_FIRST(&engine->fresh), now);
		}
	}
}

/* --- what comes from upstream and other workers --- */

void query_answered(struct query_engine *engine, struct query_flight *flight, enum td_error error,
	const uint8_t *reply, size_t size, const struct endpoint *server, const struct now *now)
{
	struct answer *answer;

	flight->handle = NULL;
	if (error != TD_OK) {
		flight_fail_asked(flight, error, RCODE_SERVFAIL, now);
		return;
	}
	if (flight->own && !question_subnet_is_right(&flight->question, reply, size)) {
		flight_fail_asked(flight, TD_MALFORMED, RCODE_SERVFAIL, now);
		return;
	}
	answer = answer_from_reply(reply, size, &flight->question, &engine->policy->limits,
		now->mono_us, query_next_answer_id(engine), &error);
	if (!answer) {
		uint16_t rcode = error == TD_REFUSED ? reply[3] & DNS_FLAG_RCODE : RCODE_SERVFAIL;
		flight_fail_asked(flight, error, rcode, now);
		return;
	}
	answer->upstream = *server;
	answer->epoch = flight->epoch;
	judge_match(engine, answer);
	flight_land(flight, answer, now);
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
		const struct failure failure = {.error = letter->error, .rcode = letter->rcode};
		flight_fail(flight, &failure, false, now);
	} else {
		if (letter->answer->generation != engine->policy->view.generation)
			judge_match(engine, letter->answer);
		bool done = flight_answer(flight, letter->answer, now);
		free(letter->answer);
		if (done)
			flight_free(flight);
		else
			flight_launch(flight, now);
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
