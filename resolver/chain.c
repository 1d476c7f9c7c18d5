/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which name of a chain a rule matched is not kept with the matches: it is found again where the
 * rule makes an answer, which is rare, so what is kept with every cache entry stays small.
 */
#include "resolver/chain.h"

#include <string.h>

static bool is_about(
	const struct policy_index *index, const struct policy_match *match, const struct name *name)
{
	struct policy_match found[POLICY_MATCHES_MAX];
	uint8_t folded[NAME_WIRE_MAX];

	name_fold(folded, name->wire, name->length);
	size_t count = policy_match_name(index, folded, name->length, found);
	for (size_t i = 0; i < count; i++)
		if (found[i].zone == match->zone && found[i].rule == match->rule)
			return true;
	return false;
}

/* The records stand in the order of the chain: we composed the message so. */
void chain_read(struct chain *chain, const struct policy_index *index,
	const struct policy_match *match, const uint8_t *message, size_t length)
{
	struct wire_reader reader = wire_reader_init(message, length);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr;
	struct name name;
	uint16_t qtype, qclass;

	chain->count = 0;
	if (match->trigger != TRIGGER_CHAIN && match->trigger != TRIGGER_ADDRESS)
		return;
	message_read_question(&reader, &name, &qtype, &qclass);
	for (unsigned i = 0; i < header.ancount && message_read_rr(&reader, &rr); i++) {
		struct name *target = &chain->names[chain->count];
		if (rr.type != TYPE_CNAME)
			continue;
		if (chain->count == ANSWER_CHAIN_MAX ||
			!message_rdata_name(message, length, &rr, 0, target))
			return;
		chain->ttl_s[chain->count++] = rr.ttl;
		if (match->trigger == TRIGGER_CHAIN && is_about(index, match, target))
			return;
	}
}

void chain_end(const struct chain *chain, const struct request *request, struct name *end)
{
	if (chain && chain->count) {
		*end = chain->names[chain->count - 1];
		return;
	}
	end->length = request->qname_length;
	memcpy(end->wire, request->qname, request->qname_length);
}

void chain_write(const struct chain *chain, struct compose *compose, const struct request *request,
	struct name *end)
{
	chain_end(NULL, request, end);
	for (unsigned i = 0; chain && i < chain->count; i++) {
		compose_rr_name(compose, SECTION_ANSWER, end, TYPE_CNAME, chain->ttl_s[i],
			&chain->names[i]);
		*end = chain->names[i];
	}
}
