/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An upstream's reply is composed anew rather than kept: what does not belong to the question
 * (authority NS, additional records, riders off the chain) has no way into the cache, and the
 * positions of all TTLs are known. Since a client's question has the same length in octets as the
 * stored one, compression pointers stay valid when the question is overwritten with the client's
 * spelling.
 */
#include "resolver/answer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/compose.h"
#include "lib/dns/rdata.h"
#include "resolver/rebinding.h"

#define TTL_FIELDS_MAX 512 /* records kept of one reply; a larger one is not believed */

struct build {
	const uint8_t *reply;
	size_t size;
	const struct upstream_question *question;
	const struct answer_limits *limits;
	struct compose compose;
	struct name chain[ANSWER_CHAIN_MAX + 1]; /* the question, then the aliases followed */
	unsigned link;                           /* the place in it */
	uint16_t ttl_offsets[TTL_FIELDS_MAX];
	size_t ttl_count;
	uint32_t ttl_s; /* least of what was kept */
	bool has_address, has_answer, has_soa, has_private, has_signature;
};

/* Field by field: the arrays are filled as far as they are used. */
static void build_init(struct build *build, const uint8_t *reply, size_t size,
	const struct upstream_question *question, const struct answer_limits *limits)
{
	build->reply = reply;
	build->size = size;
	build->question = question;
	build->limits = limits;
	build->link = 0;
	build->ttl_count = 0;
	build->ttl_s = UINT32_MAX;
	build->has_address = build->has_answer = build->has_soa = build->has_private = false;
	build->has_signature = false;
}

static uint32_t ttl_clamp(const struct build *build, uint32_t ttl)
{
	uint32_t s = message_ttl_s(ttl);

	if (s != 0 && s < build->limits->ttl_min_s)
		s = build->limits->ttl_min_s;
	return s < build->limits->ttl_max_s ? s : build->limits->ttl_max_s;
}

static enum td_error keep(struct build *build, size_t ttl_offset, uint32_t ttl_s)
{
	if (ttl_offset == 0 || build->ttl_count == TTL_FIELDS_MAX)
		return TD_NO_SPACE;
	build->ttl_offsets[build->ttl_count++] = (uint16_t)ttl_offset;
	if (ttl_s < build->ttl_s)
		build->ttl_s = ttl_s;
	return TD_OK;
}

static enum td_error keep_rr(
	struct build *build, enum compose_section section, const struct message_rr *rr)
{
	uint8_t scratch[RDATA_SCRATCH];
	uint32_t ttl_s = ttl_clamp(build, rr->ttl);
	const uint8_t *rdata;
	size_t length;
	struct name target;

	build->has_signature |= rr->type == TYPE_RRSIG;
	if (rr->type == TYPE_CNAME || rr->type == TYPE_NS || rr->type == TYPE_PTR) {
		if (!message_rdata_name(build->reply, build->size, rr, 0, &target))
			return TD_MALFORMED;
		return keep(build,
			compose_rr_name(
				&build->compose, section, &rr->owner, rr->type, ttl_s, &target),
			ttl_s);
	}
	enum td_error error =
		rdata_plain(build->reply, build->size, rr, scratch, &rdata, &length);
	if (error != TD_OK)
		return error;
	return keep(build,
		compose_rr(&build->compose, section, &rr->owner, rr->type, ttl_s, rdata, length),
		ttl_s);
}

static uint16_t rrsig_covers(const struct build *build, const struct message_rr *rr)
{
	const uint8_t *rdata = build->reply + rr->rdata_offset;

	return rr->type == TYPE_RRSIG && rr->rdata_length > 18
		       ? (uint16_t)(rdata[0] << 8 | rdata[1])
		       : 0;
}

/* How many links of the chain, from its start, are not below the record's owner. */
static unsigned links_not_below(const struct build *build, const struct message_rr *rr)
{
	unsigned link = 0;

	while (link <= build->link && (!name_is_within(&build->chain[link], &rr->owner) ||
					      name_equal(&build->chain[link], &rr->owner)))
		link++;
	return link;
}

/* A DNAME or its signature. It belongs to the answer where it stands above a name of the chain, whose
 * CNAME was made from it (RFC 6672, 3.1). */
static bool is_dname(const struct build *build, const struct message_rr *rr)
{
	return rr->type == TYPE_DNAME || (build->question->dnssec_ok &&
						 rrsig_covers(build, rr) == TYPE_DNAME);
}

/* The records of the answer section that stand at the present name: the answer's own, or the alias
 * that leads on. */
static enum td_error keep_link(struct build *build, size_t start, unsigned count, struct name *next)
{
	const struct name *owner = &build->chain[build->link];
	struct wire_reader reader = wire_reader_init(build->reply, build->size);
	uint16_t qtype = build->question->qtype;
	struct message_rr rr;
	enum td_error error = TD_OK;

	next->length = 0;
	reader.position = start;
	for (unsigned i = 0; i < count && error == TD_OK && message_read_rr(&reader, &rr); i++) {
		uint16_t covers = rrsig_covers(build, &rr);
		unsigned not_below = is_dname(build, &rr) ? links_not_below(build, &rr) : UINT_MAX;
		if (rr.rr_class != CLASS_IN ||
			not_below < build->link) /* below: kept at that link */
			continue;
		if (not_below == build->link)
			error = keep_rr(build, SECTION_ANSWER, &rr);
		if (!name_equal(&rr.owner, owner))
			continue;
		if (rr.type == TYPE_CNAME && qtype != TYPE_CNAME && next->length == 0) {
			if (!message_rdata_name(build->reply, build->size, &rr, 0, next))
				return TD_MALFORMED;
			error = keep_rr(build, SECTION_ANSWER, &rr);
		} else if (rr.type == qtype) {
			error = keep_rr(build, SECTION_ANSWER, &rr);
			build->has_answer = true;
			build->has_address |= qtype == TYPE_A || qtype == TYPE_AAAA;
			build->has_private |= rebinding_network(qtype,
						      build->reply + rr.rdata_offset,
						      rr.rdata_length) != NULL;
		} else if (build->question->dnssec_ok &&
			   (covers == qtype || covers == TYPE_CNAME)) {
			error = keep_rr(build, SECTION_ANSWER, &rr);
		}
	}
	return reader.error != TD_OK ? TD_MALFORMED : error;
}

static enum td_error keep_chain(struct build *build, size_t start, unsigned count)
{
	struct name next;

	build->chain[0] = build->question->qname;
	for (;;) {
		enum td_error error = keep_link(build, start, count, &next);
		if (error != TD_OK)
			return error;
		if (build->has_answer || next.length == 0)
			return TD_OK;
		if (build->link == ANSWER_CHAIN_MAX)
			return TD_MALFORMED;
		build->chain[++build->link] = next;
	}
}

static enum td_error keep_soa(struct build *build, const struct message_rr *rr)
{
	struct compose_soa soa;
	uint32_t ttl_s = message_ttl_s(rr->ttl);

	if (!compose_read_soa(build->reply, build->size, rr, &soa))
		return TD_MALFORMED;
	if (soa.minimum_s < ttl_s)
		ttl_s = soa.minimum_s;
	if (ttl_s > build->limits->negative_ttl_max_s)
		ttl_s = build->limits->negative_ttl_max_s;
	build->has_soa = true;
	return keep(build,
		compose_rr_soa(&build->compose, SECTION_AUTHORITY, &rr->owner, ttl_s, &soa), ttl_s);
}

/* An SOA counts only when the denied name, the end of the chain, lies within its zone. */
static enum td_error keep_authority(struct build *build, size_t start, unsigned count)
{
	const struct name *last = &build->chain[build->link];
	struct wire_reader reader = wire_reader_init(build->reply, build->size);
	bool dnssec = build->question->dnssec_ok;
	struct message_rr rr;
	enum td_error error = TD_OK;

	reader.position = start;
	for (unsigned i = 0; i < count && error == TD_OK && message_read_rr(&reader, &rr); i++) {
		if (rr.rr_class != CLASS_IN)
			continue;
		if (rr.type == TYPE_SOA && !build->has_answer && !build->has_soa &&
			name_is_within(last, &rr.owner))
			error = keep_soa(build, &rr);
		else if (dnssec &&
			 (rr.type == TYPE_NSEC || rr.type == TYPE_NSEC3 ||
				 (rr.type == TYPE_RRSIG && rrsig_covers(build, &rr) != TYPE_NS)))
			error = keep_rr(build, SECTION_AUTHORITY, &rr);
	}
	return reader.error != TD_OK ? TD_MALFORMED : error;
}

static size_t skip_records(const uint8_t *reply, size_t size, size_t start, unsigned count)
{
	struct wire_reader reader = wire_reader_init(reply, size);
	struct message_rr rr;

	reader.position = start;
	for (unsigned i = 0; i < count; i++)
		if (!message_read_rr(&reader, &rr))
			return 0;
	return reader.position;
}

static struct answer *finish(
	struct build *build, size_t length, uint16_t flags, int64_t now_us, uint64_t id)
{
	size_t offsets = build->ttl_count * sizeof build->ttl_offsets[0];
	struct answer *answer = malloc(sizeof *answer + length + offsets);
	uint32_t ttl_s = build->has_answer || build->has_soa ? build->ttl_s : 0;

	if (!answer)
		return NULL;
	memset(answer, 0, sizeof *answer);
	answer->id = build->has_address ? id : 0;
	answer->positive = build->has_answer;
	answer->stored_us = now_us;
	answer->expires_us = now_us + (int64_t)ttl_s * 1000000;
	answer->flags = flags & (DNS_FLAG_RCODE | DNS_FLAG_AD);
	if (build->has_private)
		answer->flags |= ANSWER_PRIVATE;
	if (build->has_signature)
		answer->flags |= ANSWER_SIGNED;
	answer->ttl_count = (uint16_t)build->ttl_count;
	answer->length = (uint16_t)length;
	memcpy(answer->bytes, build->compose.writer.data, length);
	memcpy(answer->bytes + length, build->ttl_offsets, offsets);
	return answer;
}

struct answer *answer_from_reply(const uint8_t *reply, size_t size,
	const struct upstream_question *question, const struct answer_limits *limits,
	int64_t now_us, uint64_t id, enum td_error *error)
{
	static _Thread_local uint8_t buffer[DNS_MESSAGE_MAX];
	struct wire_reader reader = wire_reader_init(reply, size);
	struct message_header header = message_read_header(&reader);
	struct build build;
	uint16_t rcode = header.flags & DNS_FLAG_RCODE;
	struct name qname;
	uint16_t qtype, qclass;
	struct answer *answer = NULL;

	message_read_question(&reader, &qname, &qtype, &qclass);
	*error = TD_MALFORMED;
	if (reader.error != TD_OK || header.qdcount != 1)
		return NULL;
	if (rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN) {
		*error = TD_REFUSED;
		return NULL;
	}
	size_t authority = skip_records(reply, size, reader.position, header.ancount);
	if (authority == 0)
		return NULL;
	build_init(&build, reply, size, question, limits);
	compose_begin(&build.compose, buffer, sizeof buffer, 0, 0, question->qname.wire,
		question->qname.length, question->qtype, CLASS_IN);
	if (keep_chain(&build, reader.position, header.ancount) != TD_OK ||
		keep_authority(&build, authority, header.nscount) != TD_OK)
		return NULL;
	size_t length = compose_finish(&build.compose);
	if (length == 0)
		return NULL;
	answer = finish(&build, length, header.flags, now_us, id);
	*error = answer ? TD_OK : TD_NOMEM;
	return answer;
}

/* --- rules --- */

#define ADDRESSES_MAX (2 * TTL_FIELDS_MAX) /* of one answer, mapped ones twice */

/* Matches being put in order. */
struct matching {
	const struct policy_index *index;
	struct policy_match *out;
	size_t first, count; /* from first on: those of the answer */
};

/* Of each zone the first one of the answer stays. */
static void matching_add(
	struct matching *matching, const struct policy_match *match, enum policy_trigger trigger)
{
	for (size_t i = matching->first; i < matching->count; i++)
		if (matching->out[i].zone == match->zone)
			return;
	if (matching->count == POLICY_MATCHES_MAX) {
		matching->out[POLICY_MATCHES_MAX - 1].dropped++;
		return;
	}
	matching->out[matching->count] = *match;
	matching->out[matching->count++].trigger = (uint8_t)trigger;
}

/* The rules at one place of the chain: for its name, if it is not the question, and for addresses. */
static void matching_add_place(struct matching *matching, const struct name *alias,
	const struct address *addresses, size_t address_count)
{
	struct policy_match names[POLICY_MATCHES_MAX], more[POLICY_MATCHES_MAX];
	size_t name_count = 0, more_count, i = 0, k = 0;

	if (alias->length)
		name_count = policy_match_name(
			matching->index, alias->wire, alias->length, names);
	more_count = policy_match_addresses(
		matching->index, TRIGGER_ADDRESS, addresses, address_count, more);
	while (i < name_count || k < more_count) {
		if (k == more_count || (i < name_count && names[i].zone <= more[k].zone))
			matching_add(matching, &names[i++], TRIGGER_CHAIN);
		else
			matching_add(matching, &more[k++], TRIGGER_ADDRESS);
	}
}

/* The addresses of a record. Whoever connects to an IPv4-mapped one talks IPv4. */
static size_t addresses_of(
	const uint8_t *message, const struct message_rr *rr, struct address out[2])
{
	const uint8_t *octets = message + rr->rdata_offset;

	if (rr->type == TYPE_A && rr->rdata_length == 4) {
		out[0] = address_v4(octets);
		return 1;
	}
	if (rr->type != TYPE_AAAA || rr->rdata_length != 16)
		return 0;
	out[0] = address_v6(octets);
	out[1] = address_v6_unmapped(octets);
	return out[1].family == ADDRESS_V4 ? 2 : 1;
}

/* The records behind the question. */
static void matching_read_answer(
	struct matching *matching, struct wire_reader *reader, unsigned records)
{
	struct address addresses[ADDRESSES_MAX];
	bool wanted = policy_has_trigger(matching->index, TRIGGER_ADDRESS);
	struct name alias = {.length = 0}, next;
	size_t address_count = 0;
	struct message_rr rr;

	for (unsigned i = 0; i < records && message_read_rr(reader, &rr); i++) {
		if (wanted && address_count + 2 <= ADDRESSES_MAX)
			address_count += addresses_of(
				reader->data, &rr, &addresses[address_count]);
		if (rr.type != TYPE_CNAME ||
			!message_rdata_name(reader->data, reader->size, &rr, 0, &next))
			continue;
		matching_add_place(matching, &alias, NULL, 0);
		alias.length = next.length;
		name_fold(alias.wire, next.wire, next.length);
	}
	matching_add_place(matching, &alias, addresses, address_count);
}

size_t answer_match_copy(const uint8_t *message, size_t length, const struct policy_view *view,
	struct policy_match out[POLICY_MATCHES_MAX])
{
	struct wire_reader reader = wire_reader_init(message, length);
	struct message_header header = message_read_header(&reader);
	struct matching matching = {.index = view->index, .out = out};
	struct name name;
	uint16_t qtype, qclass;

	message_read_question(&reader, &name, &qtype, &qclass);
	if (reader.error != TD_OK)
		return 0;
	name_fold(name.wire, name.wire, name.length);
	matching.count = policy_match_name(view->index, name.wire, name.length, out);
	matching.first = matching.count;
	if (qtype != TYPE_CNAME) /* that is asked for, and not followed */
		matching_read_answer(&matching, &reader, header.ancount);
	return matching.count;
}

void answer_match(struct answer *answer, const struct policy_view *view)
{
	answer->match_count =
		(uint8_t)answer_match_copy(answer->bytes, answer->length, view, answer->matches);
	answer->generation = view->generation;
}

size_t answer_memory(const struct answer *answer)
{
	return sizeof *answer + answer->length + answer->ttl_count * sizeof(uint16_t);
}

struct answer *answer_copy(const struct answer *answer)
{
	size_t size = answer_memory(answer);
	struct answer *copy = malloc(size);

	if (copy)
		memcpy(copy, answer, size);
	return copy;
}

static void age_ttls(const struct answer *answer, int64_t now_us, uint8_t *out)
{
	const uint8_t *offsets = answer->bytes + answer->length;
	uint32_t age_s =
		now_us > answer->stored_us ? (uint32_t)((now_us - answer->stored_us) / 1000000) : 0;

	if (age_s == 0)
		return;
	for (unsigned i = 0; i < answer->ttl_count; i++) {
		uint16_t offset;
		uint32_t ttl_s;
		memcpy(&offset, offsets + i * sizeof offset, sizeof offset);
		struct wire_reader reader = wire_reader_init(answer->bytes, answer->length);
		reader.position = offset;
		ttl_s = wire_read_u32(&reader);
		wire_put_u32(out, answer->length, offset, ttl_s > age_s ? ttl_s - age_s : 0);
	}
}

static void set_ttls(const struct answer *answer, uint32_t ttl_s, uint8_t *out)
{
	const uint8_t *offsets = answer->bytes + answer->length;

	for (unsigned i = 0; i < answer->ttl_count; i++) {
		uint16_t offset;
		memcpy(&offset, offsets + i * sizeof offset, sizeof offset);
		wire_put_u32(out, answer->length, offset, ttl_s);
	}
}

/* Header and question of an answer that does not fit. */
static size_t write_head(const struct answer *answer, uint8_t *out)
{
	size_t head = DNS_HEADER_SIZE +
		      name_wire_length(answer->bytes + DNS_HEADER_SIZE,
			      answer->length - DNS_HEADER_SIZE) +
		      4;

	memcpy(out, answer->bytes, head);
	memset(out + 6, 0, 6);
	return head;
}

size_t answer_write(
	const struct answer *answer, int64_t now_us, uint8_t *out, size_t capacity, bool *truncated)
{
	*truncated = answer->length > capacity;
	if (*truncated)
		return write_head(answer, out);
	memcpy(out, answer->bytes, answer->length);
	age_ttls(answer, now_us, out);
	return answer->length;
}

size_t answer_write_stale(
	const struct answer *answer, uint8_t *out, size_t capacity, bool *truncated)
{
	*truncated = answer->length > capacity;
	if (*truncated)
		return write_head(answer, out);
	memcpy(out, answer->bytes, answer->length);
	set_ttls(answer, ANSWER_STALE_TTL_S, out);
	return answer->length;
}
