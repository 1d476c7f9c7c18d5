/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The aliases between a question and the name that a rule is about. A client is told them as they
 * are, and from there on what the rule says: it is that name which does not exist, or is elsewhere.
 * Values; any thread.
 */
#pragma once

#include "lib/dns/compose.h"
#include "lib/dns/request.h"
#include "policy/policy.h"
#include "resolver/answer.h"

struct chain {
	unsigned count; /* of links; 0: the rule is about the question */
	uint32_t ttl_s[ANSWER_CHAIN_MAX];
	struct name names[ANSWER_CHAIN_MAX]; /* where each leads */
};

/*
 * The links of the message's answer up to the name this rule matched; with a rule on an address up
 * to the last. None where the rule is on the question, or the message was cut to its question.
 */
void chain_read(struct chain *chain, const struct policy_index *index,
	const struct policy_match *match, const uint8_t *message, size_t length);

/* Writes the links, and says where they end: the owner of what comes next. chain may be NULL: none.
 */
void chain_write(const struct chain *chain, struct compose *compose, const struct request *request,
	struct name *end);

/* Where it ends, as it is spelled. */
void chain_end(const struct chain *chain, const struct request *request, struct name *end);
