/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules whose data is a CNAME to a name that is no action ("walled gardens"): the client is told
 * the alias and what its target has of the type asked for. The target is asked like any question
 * (hosts files, sections forward, cache, flights, stale answers), but no rule is applied to what
 * comes of it (draft-vixie-dnsop-dns-rpz-00, section 6): a rewritten answer is not rewritten again,
 * so rules cannot lead in a circle. Zones that are local everywhere stay what they are: such names
 * never leave. The worker's thread only.
 */
#pragma once

#include "resolver/chain.h"
#include "resolver/query_private.h"

/*
 * All that is needed of the rule, copied: the rules may be others when the target has been
 * answered. What was decided when the client was judged holds for this answer.
 */
struct redirect {
	struct name target;            /* as the rule spells it, a wildcard filled in */
	uint8_t folded[NAME_WIRE_MAX]; /* the same in lower case */
	uint32_t ttl_s;                /* of the CNAME */
	bool too_long;                 /* filled in, the target is no name (RFC 6672, 2.2) */
	bool alone;                    /* the CNAME is what was asked for, by type CNAME or ANY */
	bool itself;          /* the target is the name the rule is about: no CNAME, and no hit */
	enum ede_code reason; /* of the Extended DNS Error that comes with it */
	char zone_name[POLICY_ZONE_NAME_MAX];
	enum transaction_source source; /* of the reply */
	enum transaction_action action; /* what is recorded as hit: these three */
	uint16_t zone;
	const struct chain
		*chain;           /* to the name that the rule is about; NULL: it is the question */
	char rule[NAME_TEXT_MAX]; /* last: a copy ends with its NUL */
};

/* Whether the data of the rule that the verdict enforces, or of its zone's override, is a CNAME; then
 * slot->redirect is set, and good until this is called again. */
bool redirect_begin(struct query_engine *engine, struct query_slot *slot,
	const struct policy_verdict *verdict, const struct chain *chain);

/*
 * The reply from what is known: the cache, stale answers where waiting would be in vain, failures,
 * hosts and local zones. 0: the target is to be asked, under *key.
 */
size_t redirect_resolve(struct query_engine *engine, struct query_slot *slot, const struct now *now,
	uint8_t *reply, size_t limit, struct cache_key *key);

/* The slot of one who has waited for the target: what is recorded of it. */
void redirect_resume(struct query_slot *slot, const struct redirect *redirect);

/* The reply of the slot's redirect, of an answer for the target. */
size_t redirect_answer(struct query_engine *engine, struct query_slot *slot,
	const struct answer *answer, const struct now *now, uint8_t *reply, size_t limit);

/* The same of what the cache has by now. 0: nothing that is of use. */
size_t redirect_cached(struct query_engine *engine, struct query_slot *slot,
	const struct cache_key *key, const struct now *now, uint8_t *reply, size_t limit,
	enum cache_result *result);

/* There is no answer for the target. */
size_t redirect_fail(struct query_engine *engine, struct query_slot *slot, uint16_t rcode,
	enum ede_code code, const char *text, uint8_t *reply, size_t limit);

/* A copy on the heap, for one who waits. NULL: out of memory. */
struct redirect *redirect_keep(const struct redirect *redirect);
void redirect_free(struct redirect *redirect); /* NULL is fine */
