/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A redirected question is answered in two steps: the rule says the target, the target has an
 * answer, and the reply is composed out of both. Whoever waits, waits for the target's flight with
 * everybody else who asks for that name; nothing composed here is kept, because the cache holds
 * what is true and the rule may be gone a moment later.
 *
 * Rejected: to put the target in the place of the question and walk the whole path of a query
 * again. It would have needed a second meaning of "question" in every function of that path; what
 * is not shared with it here are two look-ups.
 */
#include "resolver/redirect.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dns/compose.h"
#include "resolver/flight.h"
#include "resolver/judge.h"
#include "resolver/question.h"
#include "resolver/reply.h"
#include "resolver/waiter.h"

/* The target's message, while the reply is composed of it. */
static _Thread_local uint8_t scratch[DNS_MESSAGE_MAX];

/* --- the target --- */

/*
 * Where a rule's CNAME leads: the name in its data, where "*.garden.example" stands for the
 * question, as it is spelled, below garden.example. False: that is longer than a name can be.
 */
static bool read_target(
	const struct name *origin, const struct policy_record *cname, struct name *out)
{
	size_t front = origin->length - 1u, back = cname->rdata_length - 2u;

	if (cname->rdata_length <= 3 || cname->rdata[0] != 1 || cname->rdata[1] != '*') {
		memcpy(out->wire, cname->rdata, cname->rdata_length);
		out->length = (uint8_t)cname->rdata_length;
		return true;
	}
	if (front + back > NAME_WIRE_MAX)
		return false;
	memcpy(out->wire, origin->wire, front);
	memcpy(out->wire + front, cname->rdata + 2, back);
	out->length = (uint8_t)(front + back);
	return true;
}

static void set_target(
	struct redirect *redirect, const struct request *request, const struct policy_record *cname)
{
	struct name origin;

	chain_end(redirect->chain, request, &origin);
	redirect->ttl_s = cname->ttl_s;
	redirect->too_long = !read_target(&origin, cname, &redirect->target);
	if (redirect->too_long)
		redirect->target = (struct name){.length = 1};
	name_fold(redirect->folded, redirect->target.wire, redirect->target.length);
	redirect->alone = request->qtype == TYPE_CNAME || request->qtype == TYPE_ANY;
	redirect->itself = name_equal(&redirect->target, &origin);
}

/* What is recorded, as it stands in the slot by now. */
static void set_record(struct redirect *redirect, const struct transaction *t)
{
	redirect->action = t->action;
	redirect->zone = t->zone;
	redirect->rule[0] = '\0';
	if (t->rule)
		memcpy(redirect->rule, t->rule, strlen(t->rule) + 1);
}

/* A rule that leads to the question itself says PASSTHRU, in the older way: nothing was hit. */
static void forget_hit(struct transaction *t)
{
	if (t->action != TRANSACTION_BLOCK)
		return;
	t->action = TRANSACTION_NONE;
	t->zone = ZONE_ID_NONE;
	t->rule = NULL;
}

/* The CNAME of a rule, or of an override in its place. */
static bool find_cname(const struct query_policy *policy, const struct policy_verdict *verdict,
	struct policy_record *out)
{
	const struct name *alias = verdict->alias;
	size_t position = 0;

	if (!alias)
		return policy_rule_record(
			policy->view.index, verdict->enforced, TYPE_CNAME, &position, out);
	*out = (struct policy_record){.type = TYPE_CNAME,
		.ttl_s = policy->block_ttl_s,
		.rdata = alias->wire,
		.rdata_length = alias->length};
	return true;
}

bool redirect_begin(struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, const struct chain *chain)
{
	const struct policy_index *index = engine->policy->view.index;
	const struct policy_match *match = verdict->enforced;
	struct redirect *redirect = engine->redirect;
	struct policy_record cname;

	if (!find_cname(engine->policy, verdict, &cname))
		return false;
	redirect->chain = chain;
	set_target(redirect, &slot->request, &cname);
	bool local = policy_zone_kind(index, match->zone) == ZONE_LOCAL;
	redirect->source = local ? SOURCE_LOCAL : SOURCE_POLICY;
	redirect->reason = local ? EDE_NONE : engine->policy->reason[match->zone];
	memcpy(redirect->zone_name, policy_zone_name(index, match->zone), POLICY_ZONE_NAME_MAX);
	if (redirect->itself)
		forget_hit(&slot->transaction);
	set_record(redirect, &slot->transaction);
	slot->redirect = redirect;
	slot->request.subnet.sent_length =
		0; /* it was given for the question, not for the target */
	return true;
}

struct redirect *redirect_keep(const struct redirect *redirect)
{
	size_t size = offsetof(struct redirect, rule) + strlen(redirect->rule) + 1;
	bool chained = redirect->chain && redirect->chain->count;
	struct redirect *copy = malloc(size);
	struct chain *chain = chained ? malloc(sizeof *chain) : NULL;

	if (!copy || (chained && !chain)) {
		free(copy);
		free(chain);
		return NULL;
	}
	memcpy(copy, redirect, size);
	if (chain)
		*chain = *redirect->chain;
	copy->chain = chain;
	return copy;
}

void redirect_free(struct redirect *redirect)
{
	if (!redirect)
		return;
	free((struct chain *)redirect->chain);
	free(redirect);
}

void redirect_resume(struct query_slot *slot, const struct redirect *redirect)
{
	slot->redirect = redirect;
	slot->transaction.action = redirect->action;
	slot->transaction.zone = redirect->zone;
	slot->transaction.rule = redirect->rule[0] ? redirect->rule : NULL;
}

/* The target asked for in the client's place. */
static struct request target_request(const struct request *request, const struct redirect *redirect)
{
	struct request target = {.id = request->id,
		.flags = request->flags,
		.qname = redirect->target.wire,
		.qname_length = redirect->target.length,
		.qtype = request->qtype,
		.qclass = request->qclass,
		.edns.dnssec_ok = request->edns.dnssec_ok};

	memcpy(target.folded, redirect->folded, redirect->target.length);
	return target;
}

/* --- the reply --- */

/* RDATA of what we composed ourselves: names are compressed in these types alone. */
static bool add_rr(struct compose *compose, enum compose_section section, const uint8_t *message,
	size_t length, const struct message_rr *rr)
{
	struct name first;
	struct compose_soa soa;

	if (rr->type == TYPE_CNAME || rr->type == TYPE_NS || rr->type == TYPE_PTR)
		return message_rdata_name(message, length, rr, 0, &first) &&
		       compose_rr_name(compose, section, &rr->owner, rr->type, rr->ttl, &first);
	if (rr->type != TYPE_SOA)
		return compose_rr(compose, section, &rr->owner, rr->type, rr->ttl,
			message + rr->rdata_offset, rr->rdata_length);
	return compose_read_soa(message, length, rr, &soa) &&
	       compose_rr_soa(compose, section, &rr->owner, rr->ttl, &soa);
}

/* The answer and authority sections of the target's message. False: too long, or no message. */
static bool add_message(struct compose *compose, const uint8_t *message, size_t length)
{
	struct wire_reader reader = wire_reader_init(message, length);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct name qname;
	uint16_t qtype, qclass;

	message_read_question(&reader, &qname, &qtype, &qclass);
	for (unsigned i = 0; i < (unsigned)header.ancount + header.nscount; i++) {
		enum compose_section section =
			i < header.ancount ? SECTION_ANSWER : SECTION_AUTHORITY;
		if (!message_read_rr(&reader, &rr) ||
			!add_rr(compose, section, message, length, &rr))
			return false;
	}
	return reader.error == TD_OK;
}

/* The target's answer stands in scratch; length 0: it is not told. The reply's own SOA or NSEC are
 * the target's: it is the name at the chain's end that is denied (RFC 2308, 2.1; RFC 6604, 3). */
static size_t finish(struct query_engine *engine, struct query_slot *slot, size_t length,
	uint16_t rcode, enum transaction_source source, uint8_t *reply, size_t limit)
{
	const struct redirect *redirect = slot->redirect;
	const struct request *request = &slot->request;
	struct compose compose;
	struct name owner;
	size_t written = 0;

	reply_begin(&compose, request, reply, limit, rcode);
	chain_write(redirect->chain, &compose, request, &owner);
	if ((redirect->itself || compose_rr_name(&compose, SECTION_ANSWER, &owner, TYPE_CNAME,
					 redirect->ttl_s, &redirect->target)) &&
		(length == 0 || add_message(&compose, scratch, length)))
		written = reply_finish_policy(&compose, request,
			redirect->itself ? EDE_NONE : redirect->reason, redirect->zone_name);
	if (written == 0)
		written = reply_truncated(request, reply, limit);
	slot->transaction.answer_id = query_next_answer_id(engine);
	if (!redirect->itself) {
		slot->transaction.upstream = (struct endpoint){0};
		source = redirect->source;
	}
	return judge_close(&slot->transaction, reply, written, source);
}

size_t redirect_fail(struct query_engine *engine, struct query_slot *slot, uint16_t rcode,
	enum ede_code code, const char *text, uint8_t *reply, size_t limit)
{
	(void)engine;
	slot->transaction.upstream = (struct endpoint){0};
	return judge_close(&slot->transaction, reply,
		reply_error(&slot->request, reply, limit, rcode, code, text), SOURCE_ERROR);
}

size_t redirect_answer(struct query_engine *engine, struct query_slot *slot,
	const struct answer *answer, const struct now *now, uint8_t *reply, size_t limit)
{
	bool truncated;
	size_t length = answer_write(answer, now->mono_us, scratch, sizeof scratch, &truncated);

	slot->transaction.upstream = answer->upstream;
	return finish(engine, slot, length, answer->flags & DNS_FLAG_RCODE, SOURCE_UPSTREAM, reply,
		limit);
}

static size_t answer_hit(struct query_engine *engine, struct query_slot *slot,
	const struct cache_hit *hit, enum transaction_source source, uint8_t *reply, size_t limit)
{
	if (source == SOURCE_STALE)
		engine->config.counters->stale_answers++;
	return finish(engine, slot, hit->length, hit->flags & DNS_FLAG_RCODE, source, reply, limit);
}

size_t redirect_cached(struct query_engine *engine, struct query_slot *slot,
	const struct cache_key *key, const struct now *now, uint8_t *reply, size_t limit,
	enum cache_result *result)
{
	struct cache_hit hit;
	unsigned owner;

	*result = cache_lookup(engine->config.cache, key, now->mono_us, false, 0, scratch,
		sizeof scratch, &hit, &owner);
	if (*result != CACHE_HIT && *result != CACHE_HIT_DUE && *result != CACHE_STALE)
		return 0;
	return answer_hit(engine, slot, &hit, *result == CACHE_STALE ? SOURCE_STALE : SOURCE_CACHE,
		reply, limit);
}

/* --- what needs no asking --- */

/* Of the rules only those of zones that are local everywhere. */
static struct policy_verdict decide_local(const struct query_policy *policy,
	const struct request *target, const struct site_place *place,
	struct policy_match matches[POLICY_MATCHES_MAX])
{
	const struct policy_index *index = policy->view.index;
	size_t length = target->qname_length, kept = 0;
	size_t count = policy_match_name(index, target->folded, length, matches);

	for (size_t i = 0; i < count; i++)
		if (policy_zone_kind(index, matches[i].zone) == ZONE_LOCAL)
			matches[kept++] = matches[i];
	kept = site_overrule(place, index, target->folded, length, matches, kept);
	return policy_decide(&policy->view, NULL, matches, kept);
}

/* 0: the site and the local zones say nothing of the target. */
static size_t resolve_here(
	struct query_engine *engine, struct query_slot *slot, uint8_t *reply, size_t limit)
{
	const struct query_policy *policy = engine->policy;
	struct query_slot inner = {.request = target_request(&slot->request, slot->redirect)};
	struct site_place place =
		site_find(policy->site, slot->redirect->folded, slot->redirect->target.length);
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct policy_verdict verdict = decide_local(policy, &inner.request, &place, matches);
	size_t length = 0;

	if (judge_applies(&verdict, true) && verdict.action != ACTION_DROP)
		length = reply_policy(&inner.request, scratch, sizeof scratch, policy->view.index,
			&verdict, NULL, policy->block_ttl_s, EDE_NONE, "");
	else if (judge_is_local(&place))
		length = judge_site(engine, &inner, &place, scratch, sizeof scratch);
	if (length == 0)
		return 0;
	return finish(
		engine, slot, length, scratch[3] & DNS_FLAG_RCODE, SOURCE_LOCAL, reply, limit);
}

/* An expired answer, where waiting would be in vain; 0 where it would not. */
static size_t resolve_stale(struct query_engine *engine, struct query_slot *slot,
	const struct cache_key *key, const struct cache_hit *hit, const struct now *now,
	uint8_t *reply, size_t limit)
{
	const struct request target = target_request(&slot->request, slot->redirect);

	if (engine->policy->stale_wait_us < 0 || !flight_need_not_wait(engine, &target, hit))
		return 0;
	size_t length = answer_hit(engine, slot, hit, SOURCE_STALE, reply, limit);

	if (!(hit->failing && hit->failure.held))
		flight_refresh(engine, &target, key, FLIGHT_STALE, now);
	return length;
}

static size_t answer_due(struct query_engine *engine, struct query_slot *slot,
	const struct cache_key *key, const struct cache_hit *hit, bool due, const struct now *now,
	uint8_t *reply, size_t limit)
{
	size_t length = answer_hit(engine, slot, hit, SOURCE_CACHE, reply, limit);

	if (due) {
		const struct request target = target_request(&slot->request, slot->redirect);
		flight_refresh(engine, &target, key, FLIGHT_PREFETCH, now);
	}
	return length;
}

static size_t resolve_cached(struct query_engine *engine, struct query_slot *slot,
	const struct cache_key *key, const struct now *now, uint8_t *reply, size_t limit)
{
	struct cache_hit hit;
	const char *text;
	unsigned owner;
	enum cache_result result = cache_lookup(engine->config.cache, key, now->mono_us, false, 0,
		scratch, sizeof scratch, &hit, &owner);

	switch (result) {
	case CACHE_HIT:
	case CACHE_HIT_DUE:
		return answer_due(
			engine, slot, key, &hit, result == CACHE_HIT_DUE, now, reply, limit);
	case CACHE_STALE:
		return resolve_stale(engine, slot, key, &hit, now, reply, limit);
	case CACHE_FAILED:
		engine->config.counters->failure_hits++;
		enum ede_code code = failure_code(&hit.failure, true, &text);
		return redirect_fail(engine, slot, hit.failure.rcode, code, text, reply, limit);
	default:
		return 0;
	}
}

size_t redirect_resolve(struct query_engine *engine, struct query_slot *slot, const struct now *now,
	uint8_t *reply, size_t limit, struct cache_key *key)
{
	const struct redirect *redirect = slot->redirect;
	size_t length;

	if (redirect->too_long) {
		length = reply_error(
			&slot->request, reply, limit, RCODE_YXDOMAIN, redirect->reason, NULL);
		return judge_close(&slot->transaction, reply, length, redirect->source);
	}
	if (redirect->itself && slot->request.qtype == TYPE_ANY)
		return judge_close(&slot->transaction, reply,
			reply_minimal_any(&slot->request, reply, limit), SOURCE_LOCAL);
	if (redirect->alone && !redirect->itself)
		return finish(engine, slot, 0, RCODE_NOERROR, redirect->source, reply, limit);
	length = redirect->itself ? 0 : resolve_here(engine, slot, reply, limit);
	if (length)
		return length;
	question_key(engine->config.cache, &slot->request, redirect, key);
	return resolve_cached(engine, slot, key, now, reply, limit);
}
