/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one client is told: the rules that match, under the modes of now, decide about an answer,
 * and the transaction that will be recorded is filled in on the way. Replies are written into
 * `reply`; the length 0 means silence.
 */
#pragma once

#include "resolver/chain.h"
#include "resolver/query_private.h"

/* An empty transaction of this request; no query and no answer yet. */
void judge_begin(
	struct transaction *t, const struct request *request, const struct query_client *client);

/* Who wants to know the query itself, wants to know where it came in as well. */
void judge_keep_query(const struct query_engine *engine, struct transaction *t,
	const struct reply_path *path, const uint8_t *query, size_t length);

/* The reply as it will leave. Returns length. */
size_t judge_close(
	struct transaction *t, const uint8_t *reply, size_t length, enum transaction_source source);

/* Records the rule that was hit, if one was. */
void judge_note_hit(const struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, bool enforced);

/* Whether the verdict makes the reply; "TCP only" does not over TCP. */
bool judge_applies(const struct policy_verdict *verdict, bool tcp);

/* The reply that an enforced rule makes; 0 when it is silence, or with slot->redirect when it depends on
 * another name's answer: so for all below. chain: what
 * leads to the name the rule is about; NULL: it is the question. */
size_t judge_enforce(struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, const struct chain *chain, uint8_t *reply,
	size_t capacity);

/* What becomes of a question before anybody is asked. */
struct judge_question {
	struct policy_match matches[POLICY_MATCHES_MAX]; /* the verdict points into these two */
	struct policy_client client;
	struct policy_verdict verdict;
	bool enforced; /* the verdict makes the reply */
	struct site_place place;
};
void judge_question(
	const struct query_engine *engine, const struct query_slot *slot, struct judge_question *out);

/* Whether the verdict on this question has to wait until it is known that the answer is not signed
 * (break-dnssec = off). */
bool judge_must_wait(const struct query_engine *engine, const struct query_slot *slot,
	const struct judge_question *question);

/* Whether the site answers for this place: a host, or a name that is never asked about. */
static inline bool judge_is_local(const struct site_place *place)
{
	return place->host || place->never;
}

/* The site's answer, where there is one. */
size_t judge_site(struct query_engine *engine, struct query_slot *slot,
	const struct site_place *place, uint8_t *reply, size_t capacity);

/* The rules that match an answer, kept with it from now on. */
void judge_match(const struct query_engine *engine, struct answer *answer);

/* An answer whose message stands in reply already, judged for this client and completed. */
size_t judge_answer(struct query_engine *engine, struct query_slot *slot,
	const struct cache_hit *answer, enum transaction_source source, uint8_t *reply,
	size_t capacity);

/* No answer: what a rule on the question makes of that, or an error with this rcode and Extended DNS
 * Error (text may be NULL). */
size_t judge_error(struct query_engine *engine, struct query_slot *slot, uint16_t rcode,
	enum ede_code code, const char *text, uint8_t *reply, size_t capacity);
