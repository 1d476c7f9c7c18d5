/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A waiter holds what is needed to answer it later: where, and the request as it was parsed. Its
 * reply is judged when it leaves, by the rules of that moment.
 */
#include "resolver/waiter.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/judge.h"
#include "resolver/redirect.h"
#include "resolver/reply.h"

struct waiter *waiter_new(struct query_engine *engine, const struct query_client *client,
	const struct query_slot *slot, int64_t now_us)
{
	const struct request *request = &slot->request;
	size_t query_length = slot->transaction.query_length;
	struct waiter *waiter = malloc(sizeof *waiter + query_length);

	if (!waiter) {
		engine->config.counters->dropped_overload++;
		return NULL;
	}
	waiter->engine = engine;
	waiter->flight = NULL;
	waiter->moves = false;
	waiter->redirect = slot->redirect ? redirect_keep(slot->redirect) : NULL;
	if (slot->redirect && !waiter->redirect) {
		engine->config.counters->dropped_overload++;
		free(waiter);
		return NULL;
	}
	waiter->client = *client;
	waiter->received_us = now_us;
	waiter->epoch = cache_epoch(engine->config.cache);
	waiter->request = *request;
	memcpy(waiter->spelling, request->qname, request->qname_length);
	waiter->request.qname = waiter->spelling;
	waiter->query_length = query_length;
	if (query_length)
		memcpy(waiter->query, slot->transaction.query, query_length);
	waiting_add(&engine->waiting, &waiter->entry,
		waiting_slot(&engine->waiting, &client->origin.address));
	waiter->is_fresh = true;
	TAILQ_INSERT_TAIL(&engine->fresh, waiter, fresher);
	return waiter;
}

void waiter_note_offered(struct waiter *waiter)
{
	if (waiter->is_fresh)
		TAILQ_REMOVE(&waiter->engine->fresh, waiter, fresher);
	waiter->is_fresh = false;
}

void waiter_free(struct waiter *waiter)
{
	waiter_note_offered(waiter);
	waiting_remove(&waiter->engine->waiting, &waiter->entry);
	redirect_free(waiter->redirect);
	free(waiter);
}

struct waiter *waiter_oldest(const struct query_engine *engine)
{
	return (struct waiter *)TAILQ_FIRST(&engine->waiting.all);
}

/* A waiter's transaction begins anew when its reply is at hand. */
static void transaction_resume(struct query_slot *slot, const struct waiter *waiter)
{
	slot->request = waiter->request;
	judge_begin(&slot->transaction, &slot->request, &waiter->client);
	judge_keep_query(waiter->engine, &slot->transaction, &waiter->client.path, waiter->query,
		waiter->query_length);
	slot->redirect = NULL;
	if (waiter->redirect)
		redirect_resume(slot, waiter->redirect);
}

static size_t waiter_limit(const struct waiter *waiter)
{
	return reply_limit(&waiter->request, query_is_tcp(&waiter->client));
}

void waiter_dismiss(const struct waiter *waiter)
{
	const struct query_io *io = &waiter->engine->config.io;

	io->respond(io->context, &waiter->client, NULL, 0);
}

/* What it waited for leads elsewhere: the reply, or 0 and it moves on. */
static size_t waiter_redirect(
	struct waiter *waiter, struct query_slot *slot, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct cache_key key;
	size_t length = redirect_resolve(
		engine, slot, now, engine->buffer, waiter_limit(waiter), &key);

	if (length == 0 && !engine->giving_way)
		waiter->redirect = redirect_keep(slot->redirect);
	waiter->moves = waiter->redirect != NULL;
	if (waiter->moves)
		waiter->request.subnet.sent_length = 0; /* it was given for the question */
	if (length || waiter->moves)
		return length;
	return redirect_fail(engine, slot, RCODE_SERVFAIL, EDE_NO_REACHABLE_AUTHORITY, NULL,
		engine->buffer, waiter_limit(waiter));
}

static void waiter_reply(
	struct waiter *waiter, struct query_slot *slot, size_t length, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct worker_counters *counters = engine->config.counters;

	if (slot->redirect && !waiter->redirect)
		length = waiter_redirect(waiter, slot, now);
	if (waiter->moves)
		return;
	if (length == 0) { /* dropped by policy, counted there */
		waiter_dismiss(waiter);
		return;
	}
	slot->transaction.duration_us = (uint32_t)(now->mono_us - waiter->received_us);
	switch (engine->config.io.respond(
		engine->config.io.context, &waiter->client, engine->buffer, length)) {
	case TD_OK:
		query_sent(engine, slot, now);
		latency_add(&counters->latency[LATENCY_FORWARDED],
			now->mono_us - waiter->received_us, 1);
		break;
	case TD_NOT_FOUND:
		counters->dropped_gone++;
		break;
	default:
		counters->dropped_send++;
	}
}

void waiter_answer(struct waiter *waiter, const struct answer *answer, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct query_slot slot;
	struct cache_hit hit = {.flags = answer->flags,
		.answer_id = answer->id,
		.generation = answer->generation,
		.match_count = answer->match_count};
	bool tcp = query_is_tcp(&waiter->client);

	transaction_resume(&slot, waiter);
	slot.transaction.upstream = answer->upstream;
	if (waiter->redirect) {
		waiter_reply(waiter, &slot,
			redirect_answer(engine, &slot, answer, now, engine->buffer,
				waiter_limit(waiter)),
			now);
		return;
	}
	memcpy(hit.matches, answer->matches, sizeof hit.matches);
	hit.length = answer_write(answer, now->mono_us, engine->buffer,
		reply_room(&slot.request, tcp), &hit.truncated);
	waiter_reply(waiter, &slot,
		judge_answer(engine, &slot, &hit, SOURCE_UPSTREAM, engine->buffer,
			reply_limit(&slot.request, tcp)),
		now);
}

static enum waiter_served waiter_serve_target(
	struct waiter *waiter, const struct cache_key *key, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct query_slot slot;
	enum cache_result result;

	transaction_resume(&slot, waiter);
	size_t length = redirect_cached(
		engine, &slot, key, now, engine->buffer, waiter_limit(waiter), &result);
	if (length == 0)
		return WAITER_NOT_SERVED;
	waiter_reply(waiter, &slot, length, now);
	return result == CACHE_STALE ? WAITER_SERVED_STALE : WAITER_SERVED;
}

enum waiter_served waiter_serve_cached(
	struct waiter *waiter, const struct cache_key *key, const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	bool tcp = query_is_tcp(&waiter->client);
	struct query_slot slot;
	struct cache_hit hit;
	unsigned owner;

	if (waiter->redirect)
		return waiter_serve_target(waiter, key, now);
	transaction_resume(&slot, waiter);
	enum cache_result result = cache_lookup(engine->config.cache, key, now->mono_us, false, 0,
		engine->buffer, reply_room(&slot.request, tcp), &hit, &owner);
	if (result != CACHE_HIT && result != CACHE_HIT_DUE && result != CACHE_STALE)
		return WAITER_NOT_SERVED;
	waiter_reply(waiter, &slot,
		judge_answer(engine, &slot, &hit,
			result == CACHE_STALE ? SOURCE_STALE : SOURCE_CACHE, engine->buffer,
			reply_limit(&slot.request, tcp)),
		now);
	return result == CACHE_STALE ? WAITER_SERVED_STALE : WAITER_SERVED;
}

enum ede_code failure_code(const struct failure *failure, bool cached, const char **text)
{
	*text = NULL;
	switch (failure->error) {
	case TD_TIMEOUT:
	case TD_FULL:
		*text = cached ? "no upstream server answered" : NULL;
		return cached ? EDE_CACHED_ERROR : EDE_NO_REACHABLE_AUTHORITY;
	case TD_IO:
		*text = cached ? "no upstream server could be reached" : NULL;
		return cached ? EDE_CACHED_ERROR : EDE_NETWORK_ERROR;
	case TD_REFUSED:
		return cached ? EDE_CACHED_ERROR : EDE_NONE;
	default:
		return cached ? EDE_CACHED_ERROR : EDE_OTHER;
	}
}

void waiter_fail(struct waiter *waiter, const struct failure *failure, bool cached,
	const struct now *now)
{
	struct query_engine *engine = waiter->engine;
	struct query_slot slot;
	const char *text;
	enum ede_code code = failure_code(failure, cached, &text);

	transaction_resume(&slot, waiter);
	waiter_reply(waiter, &slot,
		(waiter->redirect ? redirect_fail : judge_error)(engine, &slot, failure->rcode,
			code, text, engine->buffer, waiter_limit(waiter)),
		now);
}
