/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verdicts on answers. The rules that match an answer are kept with it; which of them are in force,
 * and for whom, is decided anew for each client, so a mode that was changed a moment ago holds for
 * what is cached as well.
 */
#include "resolver/judge.h"

#include <stdio.h>
#include <string.h>

#include "resolver/redirect.h"
#include "resolver/reply.h"

void judge_begin(
	struct transaction *t, const struct request *request, const struct query_client *client)
{
	memset(t, 0, sizeof *t);
	t->client = client->origin;
	t->given = forwarded_is_none(&request->forwarded) ? NULL : &request->forwarded;
	t->id = request->id;
	t->tcp = query_is_tcp(client);
	t->qname = request->qname_length ? request->folded : NULL;
	t->qname_length = request->qname_length;
	t->qtype = request->qtype;
	t->zone = ZONE_ID_NONE;
}

void judge_keep_query(const struct query_engine *engine, struct transaction *t,
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

size_t judge_close(
	struct transaction *t, const uint8_t *reply, size_t length, enum transaction_source source)
{
	t->reply = reply;
	t->reply_length = length;
	t->source = source;
	return length;
}

void judge_note_hit(const struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, bool enforced)
{
	const struct policy_match *hit = verdict->hit;

	if (!hit)
		return;
	policy_rule_text(engine->policy->view.index, hit, slot->rule);
	slot->transaction.rule = slot->rule;
	slot->transaction.zone = engine->policy->zone_id[hit->zone];
	slot->transaction.action =
		enforced && hit == verdict->enforced ? TRANSACTION_BLOCK : TRANSACTION_WATCH;
}

bool judge_applies(const struct policy_verdict *verdict, bool tcp)
{
	return verdict->action != ACTION_NONE && !(verdict->action == ACTION_TCP_ONLY && tcp);
}

size_t judge_enforce(struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, const struct chain *chain, uint8_t *reply,
	size_t capacity)
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
	if (verdict->action == ACTION_LOCAL_DATA && redirect_begin(engine, slot, verdict, chain))
		return 0;
	if (verdict->action == ACTION_LOCAL_DATA)
		slot->transaction.answer_id = query_next_answer_id(engine);
	if (verdict->action == ACTION_TCP_ONLY)
		length = reply_truncated(&slot->request, reply, capacity);
	else
		length = reply_policy(&slot->request, reply, capacity, index, verdict, chain,
			engine->policy->block_ttl_s, local ? EDE_NONE : engine->policy->reason[match->zone],
			policy_zone_name(index, match->zone));
	return judge_close(&slot->transaction, reply, length, local ? SOURCE_LOCAL : SOURCE_POLICY);
}

static enum ede_code stale_code(enum transaction_source source, uint16_t flags)
{
	if (source != SOURCE_STALE)
		return EDE_NONE;
	return (flags & DNS_FLAG_RCODE) == RCODE_NXDOMAIN ? EDE_STALE_NXDOMAIN : EDE_STALE_ANSWER;
}

/* An address of the inside, for a name that may not have one: it is as if the name had none. */
static size_t judge_withhold(struct query_engine *engine, struct query_slot *slot,
	const struct cache_hit *answer, uint8_t *reply, size_t capacity)
{
	struct transaction *t = &slot->transaction;
	const char *network = rebinding_network_in(reply, answer->length);

	snprintf(slot->rule, sizeof slot->rule, "%s", network ? network : "private address");
	t->rule = slot->rule;
	t->zone = engine->policy->rebinding.zone;
	t->action = TRANSACTION_BLOCK;
	t->upstream = (struct endpoint){0};
	engine->config.counters->rebinding++;
	return judge_close(t, reply,
		reply_no_data(&slot->request, reply, capacity, engine->policy->block_ttl_s,
			EDE_BLOCKED, "rebinding protection"),
		SOURCE_POLICY);
}

/* The names of a section forward are the inside's own. */
static bool judge_withholds(const struct query_engine *engine, const struct query_slot *slot)
{
	const struct rebinding_rules *rules = &engine->policy->rebinding;
	const uint8_t *name = slot->request.folded;
	size_t length = slot->request.qname_length;

	return rules->on && !rebinding_allows(rules, name, length) &&
	       site_find(engine->policy->site, name, length).zone_length == 0;
}

/*
 * Whom the policy is about: who asks, or behind a trusted forwarder whom it names. A forwarder that
 * names somebody is not its own client, also where nobody knows that one. NULL: it does not matter.
 */
static const struct policy_client *judge_client(const struct query_engine *engine,
	const struct query_slot *slot, size_t matches, struct policy_client *out)
{
	const struct query_policy *policy = engine->policy;
	const struct forwarded *given = &slot->request.forwarded;
	const struct address *client;
	struct address mac = given->mac;

	if (!policy_knows_clients(&policy->view, matches))
		return NULL;
	client = forwarded_is_none(given) ? &slot->transaction.client.address : &given->client;
	if (mac.family == ADDRESS_NONE && policy->neighbours && address_is_ip(client))
		identity_find_neighbour(policy->neighbours, client, &mac);
	policy_client_find(&policy->view, client, &mac, out);
	return out;
}

/* Rules for which there was no place are counted where they are looked for. */
static void count_left(
	const struct query_engine *engine, const struct policy_match *matches, size_t count)
{
	if (count == POLICY_MATCHES_MAX)
		engine->config.counters->matches_left += matches[count - 1].dropped;
}

bool judge_must_wait(const struct query_engine *engine, const struct query_slot *slot,
	const struct judge_question *question)
{
	return slot->request.edns.dnssec_ok && engine->policy->keep_dnssec &&
	       slot->request.qtype != TYPE_ANY && !judge_is_local(&question->place) &&
	       policy_zone_kind(engine->policy->view.index, question->verdict.enforced->zone) !=
		       ZONE_LOCAL;
}

void judge_question(
	const struct query_engine *engine, const struct query_slot *slot, struct judge_question *out)
{
	const struct query_policy *policy = engine->policy;
	const uint8_t *name = slot->request.folded;
	size_t length = slot->request.qname_length;
	size_t count = policy_match_name(policy->view.index, name, length, out->matches);

	count_left(engine, out->matches, count);
	out->place = site_find(policy->site, name, length);
	count = site_overrule(
		&out->place, policy->view.index, name, length, out->matches, count);
	out->verdict = policy_decide(&policy->view,
		judge_client(engine, slot, count, &out->client), out->matches, count);
	out->enforced = judge_applies(&out->verdict, slot->transaction.tcp);
}

/* Whether there are names below this one, so that it exists although nothing is said of it. */
static bool has_below(const struct site *site, const struct request *request,
	const struct site_place *place)
{
	return place->zone_length == request->qname_length ||
	       (site->hosts && policy_name_is_known(site->hosts->index, request->folded));
}

size_t judge_site(struct query_engine *engine, struct query_slot *slot,
	const struct site_place *place, uint8_t *reply, size_t capacity)
{
	const struct site *site = engine->policy->site;
	const struct request *request = &slot->request;
	struct name apex = {.length = (uint8_t)place->zone_length};
	size_t length;

	slot->transaction.upstream = (struct endpoint){0};
	if (place->host) {
		slot->transaction.answer_id = query_next_answer_id(engine);
		const struct policy_verdict host = {
			.action = ACTION_LOCAL_DATA, .enforced = &place->rule};
		length = reply_policy(request, reply, capacity, site->hosts->index, &host, NULL,
			site->hosts->ttl_s, EDE_NONE, "");
	} else {
		memcpy(apex.wire, request->folded + request->qname_length - apex.length,
			apex.length);
		length = reply_denial(request, reply, capacity,
			has_below(site, request, place) ? RCODE_NOERROR : RCODE_NXDOMAIN, &apex,
			engine->policy->block_ttl_s);
	}
	return judge_close(&slot->transaction, reply, length, SOURCE_LOCAL);
}

void judge_match(const struct query_engine *engine, struct answer *answer)
{
	const struct policy_view *view = &engine->policy->view;
	struct name name = {0}; /* the question begins the message's body, uncompressed */

	answer_match(answer, view);
	count_left(engine, answer->matches, answer->match_count);
	if (!engine->policy->site)
		return;
	name.length = (uint8_t)name_wire_length(
		answer->bytes + DNS_HEADER_SIZE, answer->length - DNS_HEADER_SIZE);
	name_fold(name.wire, answer->bytes + DNS_HEADER_SIZE, name.length);
	struct site_place place = site_find(engine->policy->site, name.wire, name.length);

	answer->match_count = (uint8_t)site_overrule(&place, view->index, name.wire, name.length,
		answer->matches, answer->match_count);
	/* Asked before the site said so: whoever finds it is to look again. */
	if (judge_is_local(&place))
		answer->generation = 0;
}

/* The same for a message that was matched under another policy; the place of its question too. */
static size_t match_again(const struct query_engine *engine, const struct request *request,
	const uint8_t *message, size_t length, struct policy_match matches[POLICY_MATCHES_MAX],
	struct site_place *place)
{
	const struct query_policy *policy = engine->policy;
	size_t count = answer_match_copy(message, length, &policy->view, matches);

	*place = site_find(policy->site, request->folded, request->qname_length);
	return site_overrule(place, policy->view.index, request->folded, request->qname_length,
		matches, count);
}

/* A client that would see that the answer is another than the one that was signed gets that one
 * (break-dnssec = off). */
static bool is_left_signed(const struct query_engine *engine, const struct query_slot *slot,
	const struct cache_hit *answer, const struct policy_verdict *verdict)
{
	return (answer->flags & ANSWER_SIGNED) && engine->policy->keep_dnssec &&
	       slot->request.edns.dnssec_ok &&
	       policy_zone_kind(engine->policy->view.index, verdict->enforced->zone) != ZONE_LOCAL;
}

/* The answer in reply gives way to what a rule makes of it. */
static size_t judge_rewrite(struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, const struct cache_hit *answer, uint8_t *reply,
	size_t capacity)
{
	static _Thread_local struct chain chain;

	chain_read(&chain, engine->policy->view.index, verdict->enforced, reply, answer->length);
	return judge_enforce(engine, slot, verdict, &chain, reply, capacity);
}

size_t judge_answer(struct query_engine *engine, struct query_slot *slot,
	const struct cache_hit *answer, enum transaction_source source, uint8_t *reply,
	size_t capacity)
{
	struct policy_match renewed[POLICY_MATCHES_MAX];
	struct policy_client client;
	const struct policy_match *matches = answer->matches;
	size_t count = answer->match_count;
	struct site_place place = {0};
	struct policy_verdict verdict;
	bool enforced;

	if (answer->generation != engine->policy->view.generation) {
		count = match_again(engine, &slot->request, reply, answer->length, renewed, &place);
		matches = renewed;
	}
	verdict = policy_decide(&engine->policy->view,
		judge_client(engine, slot, count, &client), matches, count);
	enforced = judge_applies(&verdict, slot->transaction.tcp) &&
		   !is_left_signed(engine, slot, answer, &verdict);
	judge_note_hit(engine, slot, &verdict, enforced);
	if (enforced)
		return judge_rewrite(engine, slot, &verdict, answer, reply, capacity);
	if (judge_is_local(&place))
		return judge_site(engine, slot, &place, reply, capacity);
	uint16_t flags = answer->flags & (uint16_t)~ANSWER_SIGNED;
	if ((flags & ANSWER_PRIVATE) && judge_withholds(engine, slot))
		return judge_withhold(engine, slot, answer, reply, capacity);
	if (!engine->policy->trust_ad)
		flags &= (uint16_t)~DNS_FLAG_AD;
	if (!answer->truncated)
		slot->transaction.answer_id = answer->answer_id;
	if (source == SOURCE_STALE)
		engine->config.counters->stale_answers++;
	return judge_close(&slot->transaction, reply,
		reply_complete(&slot->request, reply, answer->length, flags,
			answer->truncated, stale_code(source, answer->flags), capacity),
		source);
}

size_t judge_error(struct query_engine *engine, struct query_slot *slot, uint16_t rcode,
	enum ede_code code, const char *text, uint8_t *reply, size_t capacity)
{
	struct judge_question question;

	judge_question(engine, slot, &question);
	judge_note_hit(engine, slot, &question.verdict, question.enforced);
	if (question.enforced)
		return judge_enforce(engine, slot, &question.verdict, NULL, reply, capacity);
	if (judge_is_local(&question.place)) /* since it was asked */
		return judge_site(engine, slot, &question.place, reply, capacity);
	return judge_close(&slot->transaction, reply,
		reply_error(&slot->request, reply, capacity, rcode, code, text), SOURCE_ERROR);
}
