/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of a client's request only this goes any further: name, type, DO and CD, and a subnet where it
 * may. A redirected request differs in its name alone, so everything behind it is the same.
 */
#include "resolver/question.h"

#include <string.h>

struct upstream_question question_make(
	const struct request *request, const struct redirect *redirect)
{
	struct upstream_question question = {
		.qname.length = redirect ? redirect->target.length : request->qname_length,
		.qtype = request->qtype,
		.dnssec_ok = request->edns.dnssec_ok,
		.checking_disabled = request->flags & DNS_FLAG_CD,
		.subnet = request->subnet};

	memcpy(question.qname.wire, redirect ? redirect->folded : request->folded,
		question.qname.length);
	return question;
}

void question_key(const struct cache *cache, const struct request *request,
	const struct redirect *redirect, struct cache_key *key)
{
	cache_key_make(cache, key, redirect ? redirect->folded : request->folded,
		redirect ? redirect->target.length : request->qname_length, request->qtype,
		(uint8_t)((request->edns.dnssec_ok ? CACHE_DNSSEC_OK : 0) |
			  (request->flags & DNS_FLAG_CD ? CACHE_CHECKING_DISABLED : 0)));
}

void question_make_own(const struct hash_seed *seed, uint64_t serial, struct cache_key *key)
{
	memcpy(key->octets + key->length, &serial, sizeof serial);
	key->length += sizeof serial;
	key->hash ^= hash_bytes(seed, &serial, sizeof serial);
}

bool question_subnet_is_right(
	const struct upstream_question *question, const uint8_t *reply, size_t size)
{
	struct edns edns;

	return !edns_find(reply, size, &edns) || edns.subnet_length == 0 ||
	       subnet_answers(&question->subnet, reply + edns.subnet_offset, edns.subnet_length);
}
