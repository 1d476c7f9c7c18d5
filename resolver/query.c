/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of a query, written as a passive engine: packets, upstream replies and letters go in,
 * replies and questions come out through struct query_io. The hit path allocates nothing, formats
 * nothing unless a rule was hit, and takes one lock (the cache shard's).
 */
#include "resolver/query.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dns/proxy.h"
#include "resolver/flight.h"
#include "resolver/judge.h"
#include "resolver/question.h"
#include "resolver/redirect.h"
#include "resolver/reply.h"
#include "resolver/upstream/loop_watch.h"
#include "resolver/waiter.h"

#define OPT_SIZE 11 /* of a client, without options */

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

static bool passes_subnet(const struct query_policy *policy, const struct request *request)
{
	struct name qname;

	if (policy->subnet_zone_count == 0)
		return false;
	qname.length = request->qname_length;
	memcpy(qname.wire, request->folded, request->qname_length);
	for (size_t i = 0; i < policy->subnet_zone_count; i++)
		if (name_is_within(&qname, &policy->subnet_zones[i]))
			return true;
	return false;
}

/*
 * The options that say something to us: a cookie, keepalive over TCP, a subnet where it is passed on,
 * and what a trusted forwarder says of its client. Nothing else goes any further: upstream questions
 * are composed anew.
 */
static void read_options(const struct query_engine *engine, const uint8_t *packet,
	const struct query_client *client, const struct now *now, struct request *request)
{
	const struct edns *edns = &request->edns;

	if (edns->cookie_length)
		request->cookie = cookie_check(&engine->policy->cookies,
			packet + edns->cookie_offset, edns->cookie_length, &client->origin.address,
			(uint32_t)(now->wall_us / US_PER_S), request->cookie_reply);
	if (edns->keepalive && query_is_tcp(client))
		request->keepalive_ds = engine->config.keepalive_ds;
	if (edns->subnet_length && passes_subnet(engine->policy, request))
		subnet_read(packet + edns->subnet_offset, edns->subnet_length, &request->subnet);
	if (engine->policy->forwarder_count &&
		is_in(engine->policy->forwarders, engine->policy->forwarder_count,
		    &client->origin.address))
		forwarded_read(
			packet + edns->options_offset, edns->options_length, &request->forwarded);
}

/* The client is at its address: it has had packets there. */
static bool is_proven(const struct query_slot *slot)
{
	return slot->transaction.tcp || slot->request.cookie == COOKIE_GOOD;
}

/* ANY is what forged questions are made of: over UDP the reply is at most three times as long. */
static size_t bound_any(struct query_slot *slot, uint8_t *reply, size_t length, size_t limit)
{
	const struct request *request = &slot->request;
	size_t question = DNS_HEADER_SIZE + request->qname_length + 4 +
			  (request->edns.present ? OPT_SIZE : 0);

	if (request->qtype != TYPE_ANY || is_proven(slot) || length <= 3 * question)
		return length;
	slot->transaction.answer_id = 0;
	return judge_close(&slot->transaction, reply, reply_truncated(request, reply, limit),
		slot->transaction.source);
}

static size_t refuse(struct query_slot *slot, uint8_t *reply, size_t limit, uint16_t rcode,
	enum ede_code code, enum transaction_source source)
{
	size_t length = reply_error(&slot->request, reply, limit, rcode, code, NULL);

	return judge_close(&slot->transaction, reply, length, source);
}

/* A question of ours that has come back by way of an upstream server. */
static bool is_own_question(const struct query_engine *engine, const struct query_client *client,
	const struct request *request, const struct now *now)
{
	struct loop_watch *loops = engine->config.loops;

	if (!loops)
		return false;
	loop_watch_heard(loops, &client->origin.address, now->mono_us);
	return loop_is_marker(request->folded, request->qname_length) &&
	       loop_watch_seen(loops, request->folded, request->qname_length, now->mono_us);
}

/* No cached answer: a rule on the question answers without waiting for anybody. */
static size_t answer_uncached(struct query_engine *engine, const struct query_client *client,
	const struct cache_key *key, const struct now *now, struct query_slot *slot, uint8_t *reply,
	size_t limit)
{
	const struct request *request = &slot->request;
	struct judge_question question;
	bool local;

	if (is_own_question(engine, client, request, now))
		return refuse(slot, reply, limit, RCODE_REFUSED, EDE_OTHER, SOURCE_LOCAL);
	judge_question(engine, slot, &question);
	if (question.enforced && judge_must_wait(engine, slot, &question)) {
		flight_wait(engine, client, slot, key, now);
		return 0;
	}
	local = request->qtype == TYPE_ANY || judge_is_local(&question.place);
	if (question.enforced || local)
		judge_note_hit(engine, slot, &question.verdict, question.enforced);
	if (question.enforced)
		return bound_any(slot, reply,
			judge_enforce(engine, slot, &question.verdict, NULL, reply, limit), limit);
	if (request->qtype == TYPE_ANY)
		return judge_close(&slot->transaction, reply,
			reply_minimal_any(request, reply, limit), SOURCE_LOCAL);
	if (local)
		return judge_site(engine, slot, &question.place, reply, limit);
	flight_wait(engine, client, slot, key, now);
	return 0;
}

/* An expired answer: told at once where waiting would be in vain. */
static size_t answer_stale(struct query_engine *engine, const struct query_client *client,
	const struct cache_key *key, const struct cache_hit *hit, const struct now *now,
	struct query_slot *slot, uint8_t *reply, size_t limit)
{
	if (engine->policy->stale_wait_us < 0 ||
		!flight_need_not_wait(engine, &slot->request, hit))
		return answer_uncached(engine, client, key, now, slot, reply, limit);
	size_t length = judge_answer(engine, slot, hit, SOURCE_STALE, reply, limit);

	if (slot->transaction.source == SOURCE_STALE && !(hit->failing && hit->failure.held))
		flight_refresh(engine, &slot->request, key, FLIGHT_STALE, now);
	return length;
}

static size_t answer_failed(struct query_engine *engine, const struct failure *failure,
	struct query_slot *slot, uint8_t *reply, size_t limit)
{
	const char *text;
	enum ede_code code = failure_code(failure, true, &text);

	engine->config.counters->failure_hits++;
	return judge_error(engine, slot, failure->rcode, code, text, reply, limit);
}

static size_t answer_question(struct query_engine *engine, const struct query_client *client,
	const struct now *now, struct query_slot *slot, uint8_t *reply, size_t limit)
{
	const struct request *request = &slot->request;
	struct worker_counters *counters = engine->config.counters;
	struct cache_key key;
	struct cache_hit hit;
	unsigned owner;

	question_key(engine->config.cache, request, NULL, &key);
	if (request->subnet.sent_length) { /* the answer is for this subnet: neither kept nor shared */
		counters->cache_misses++;
		return answer_uncached(engine, client, &key, now, slot, reply, limit);
	}
	enum cache_result result = cache_lookup(engine->config.cache, &key, now->mono_us, false, 0,
		reply, reply_room(request, slot->transaction.tcp), &hit, &owner);
	if (result == CACHE_HIT || result == CACHE_HIT_DUE) {
		size_t length = judge_answer(engine, slot, &hit, SOURCE_CACHE, reply, limit);
		counters->cache_hits++;
		if (result == CACHE_HIT_DUE && length && slot->transaction.source == SOURCE_CACHE)
			flight_refresh(engine, request, &key, FLIGHT_PREFETCH, now);
		return length;
	}
	counters->cache_misses++;
	if (result == CACHE_STALE)
		return answer_stale(engine, client, &key, &hit, now, slot, reply, limit);
	if (result == CACHE_FAILED)
		return answer_failed(engine, &hit.failure, slot, reply, limit);
	return answer_uncached(engine, client, &key, now, slot, reply, limit);
}

/* A rule leads to another name: known, or to be asked. What is judged meanwhile, to make room, may be led
 * elsewhere too. */
static size_t answer_redirected(struct query_engine *engine, const struct query_client *client,
	const struct now *now, struct query_slot *slot, uint8_t *reply, size_t limit)
{
	struct cache_key key;
	size_t length = redirect_resolve(engine, slot, now, reply, limit, &key);

	if (length == 0) {
		struct redirect *kept = redirect_keep(slot->redirect);
		slot->redirect = kept;
		if (kept)
			flight_wait(engine, client, slot, &key, now);
		else
			engine->config.counters->dropped_overload++;
		redirect_free(kept);
	}
	slot->redirect = NULL;
	return bound_any(slot, reply, length, limit);
}

/* Outsiders ask with whatever sender address they like: what they are told is for few of them. */
static const struct rate refusals = {.per_second = 10, .prefix_v6 = 56};

/*
 * Whether this query comes too fast, decided before anything is said: errors are replies too. Only
 * where the sender may be forged, over UDP without a cookie of ours: connections have bounds of
 * their own. Costs a hit nothing where no limit is set.
 */
static enum rate_verdict take_rate(struct query_engine *engine, const struct query_client *client,
	bool allowed, const struct query_slot *slot, const struct now *now)
{
	const struct query_policy *policy = engine->policy;
	const struct rate *rate = allowed ? &policy->rate : &refusals;

	if (rate->per_second == 0 || is_proven(slot) || !engine->config.rate_limit)
		return RATE_PASS;
	if (allowed &&
		is_in(policy->rate_exempt, policy->rate_exempt_count, &client->origin.address))
		return RATE_PASS;
	return rate_limit_take(engine->config.rate_limit, rate, &client->origin.address,
		now->mono_us, &engine->config.counters->rate_forgotten);
}

/* Silence, or now and then no more than "come over TCP", which is no longer than the question. */
static size_t limit_rate(struct query_engine *engine, enum rate_verdict verdict,
	struct query_slot *slot, uint8_t *reply, size_t limit)
{
	if (verdict == RATE_DROP || slot->request.qname_length == 0) {
		engine->config.counters->dropped_rate++;
		return 0;
	}
	engine->config.counters->slipped++;
	return judge_close(&slot->transaction, reply,
		reply_truncated(&slot->request, reply, limit), SOURCE_LOCAL);
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

/* Also from who may not ask: a primary need not be a client. 0: it gets the usual reply. */
static size_t take_notify(const struct query_engine *engine, const uint8_t *packet, size_t size,
	const struct query_client *client, const struct now *now, struct query_slot *slot,
	uint8_t *reply, size_t limit)
{
	const struct query_io *io = &engine->config.io;
	size_t length = io->notify ? io->notify(io->context, engine->policy, packet, size, client,
					     now, reply, limit)
				   : 0;

	return length ? judge_close(&slot->transaction, reply, length, SOURCE_LOCAL) : 0;
}

size_t query_handle(struct query_engine *engine, const uint8_t *packet, size_t size,
	const struct query_client *client, const struct now *now, struct query_slot *slot,
	uint8_t *reply, size_t capacity)
{
	uint16_t rcode;
	enum request_verdict verdict = request_parse(packet, size, &slot->request, &rcode);
	enum rate_verdict rate;
	size_t limit, length = 0;
	bool allowed;

	engine->config.counters->received++;
	slot->waits = false;
	slot->redirect = NULL;
	if (verdict == REQUEST_DROP) {
		engine->config.counters->dropped_malformed++;
		return 0;
	}
	limit = reply_limit(&slot->request, query_is_tcp(client));
	if (limit > capacity)
		limit = capacity;
	if (slot->request.edns.options_length)
		read_options(engine, packet, client, now, &slot->request);
	judge_begin(&slot->transaction, &slot->request, client);
	judge_keep_query(engine, &slot->transaction, &client->path, packet, size);
	allowed = is_allowed(engine, &client->origin.address);
	rate = take_rate(engine, client, allowed, slot, now);
	if (rate != RATE_PASS)
		return limit_rate(engine, rate, slot, reply, limit);
	if (verdict == REQUEST_ERROR && rcode == RCODE_NOTIMP)
		length = take_notify(engine, packet, size, client, now, slot, reply, limit);
	if (length)
		return length;
	if (!allowed)
		return refuse(slot, reply, limit, RCODE_REFUSED, EDE_PROHIBITED, SOURCE_LOCAL);
	if (verdict == REQUEST_ERROR)
		return refuse(slot, reply, limit, rcode, EDE_NONE,
			rcode == RCODE_REFUSED ? SOURCE_LOCAL : SOURCE_ERROR);
	length = answer_question(engine, client, now, slot, reply, limit);
	return slot->redirect ? answer_redirected(engine, client, now, slot, reply, limit) : length;
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

void query_took(struct query_engine *engine, unsigned replies, int64_t took_us)
{
	latency_add(&engine->config.counters->latency[LATENCY_CACHED], took_us, replies);
}

void query_set_policy(struct query_engine *engine, const struct query_policy *policy)
{
	engine->policy = policy;
}

void query_stop(struct query_engine *engine)
{
	engine->stopping = true;
}

size_t query_pending(const struct query_engine *engine)
{
	return engine->waiting.count;
}

struct query_engine *query_engine_new(const struct query_config *config)
{
	struct query_engine *engine = calloc(1, sizeof *engine);

	if (!engine)
		return NULL;
	engine->redirect = malloc(sizeof *engine->redirect);
	if (!engine->redirect) {
		free(engine);
		return NULL;
	}
	engine->config = *config;
	if (engine->config.questions_max == 0)
		engine->config.questions_max = config->waiters_max;
	table_init(&engine->flights, config->waiters_max);
	TAILQ_INIT(&engine->by_age);
	waiting_init(&engine->waiting, &config->seed, config->waiters_max,
		config->waiters_per_client_max);
	TAILQ_INIT(&engine->fresh);
	return engine;
}

void query_engine_free(struct query_engine *engine)
{
	if (!engine)
		return;
	engine->config.counters->dropped_gone += engine->waiting.count;
	flight_end_all(engine);
	table_deinit(&engine->flights);
	free(engine->redirect);
	free(engine);
}
