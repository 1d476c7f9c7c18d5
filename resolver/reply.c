/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies made here rather than upstream, and the finishing of those that were. */
#include "resolver/reply.h"

#include <stdio.h>
#include <string.h>

#include "lib/dns/compose.h"

#define ANY_TTL_S 3600

/* What our OPT for this client says; without EDNS there is none. */
static struct edns_content opt_content(
	const struct request *request, enum ede_code code, const char *text)
{
	return (struct edns_content){.ede = code,
		.ede_text = text,
		.cookie = request->cookie_reply,
		.cookie_length = request->cookie == COOKIE_NONE ? 0 : COOKIE_SIZE,
		.subnet = request->subnet.given,
		.subnet_length = request->subnet.sent_length ? request->subnet.given_length : 0,
		.keepalive_ds = request->keepalive_ds};
}

static size_t opt_size(const struct request *request)
{
	struct edns_content content = opt_content(request, EDE_NONE, NULL);

	return request->edns.present ? edns_content_size(&content) : 0;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t reply_limit(const struct request *request, bool tcp)
{
	if (tcp)
		return DNS_MESSAGE_MAX;
	if (!request->edns.present || request->edns.udp_payload < DNS_UDP_CLASSIC)
		return DNS_UDP_CLASSIC;
	return min_size(request->edns.udp_payload, DNS_UDP_PAYLOAD);
}

size_t reply_room(const struct request *request, bool tcp)
{
	return reply_limit(request, tcp) - opt_size(request);
}

static uint16_t reply_flags(const struct request *request, uint16_t flags)
{
	bool wants_ad = request->edns.dnssec_ok || (request->flags & DNS_FLAG_AD);

	if (!wants_ad)
		flags &= (uint16_t)~DNS_FLAG_AD;
	return (uint16_t)(flags | DNS_FLAG_QR | DNS_FLAG_RA |
			  (request->flags & (DNS_FLAG_RD | DNS_FLAG_CD)));
}

size_t reply_complete(const struct request *request, uint8_t *reply, size_t length, uint16_t flags,
	bool truncated, enum ede_code code, size_t capacity)
{
	struct wire_writer writer = wire_writer_init(reply, capacity);

	wire_put_u16(reply, length, 0, request->id);
	wire_put_u16(reply, length, 2,
		reply_flags(request, (uint16_t)(flags | (truncated ? DNS_FLAG_TC : 0))));
	memcpy(reply + DNS_HEADER_SIZE, request->qname, request->qname_length);
	wire_put_u16(reply, length, 10, request->edns.present ? 1 : 0);
	if (!request->edns.present)
		return length;
	struct edns_content content = opt_content(request, code, NULL);
	if (code != EDE_NONE && length + edns_content_size(&content) > capacity)
		content.ede = EDE_NONE;
	writer.position = length;
	edns_write_content(&writer, request->edns.dnssec_ok, 0, &content);
	return writer.position;
}

/* Closes a composed message with our OPT, when the client spoke EDNS and it fits. */
static size_t finish_with_opt(struct compose *compose, const struct request *request,
	uint8_t extended_rcode, enum ede_code code, const char *text)
{
	if (request->edns.present && compose->writer.error == TD_OK) {
		struct edns_content content = opt_content(request, code, text);
		if (compose->writer.size - compose->writer.position < edns_content_size(&content))
			content.ede = EDE_NONE;
		edns_write_content(
			&compose->writer, request->edns.dnssec_ok, extended_rcode, &content);
		compose->counts[3]++;
	}
	return compose_finish(compose);
}

void reply_begin(struct compose *compose, const struct request *request, uint8_t *reply,
	size_t capacity, uint16_t flags)
{
	compose_begin(compose, reply, capacity, request->id, reply_flags(request, flags),
		request->qname, request->qname_length, request->qtype, request->qclass);
}

/* Without a readable question the reply is a bare header (and OPT). */
static size_t reply_headless(
	const struct request *request, uint8_t *reply, size_t capacity, uint16_t flags)
{
	struct wire_writer writer = wire_writer_init(reply, capacity);

	wire_write_u16(&writer, request->id);
	wire_write_u16(&writer, reply_flags(request, flags));
	wire_write_u32(&writer, 0);
	wire_write_u32(&writer, 0);
	return writer.error == TD_OK ? writer.position : 0;
}

size_t reply_error(const struct request *request, uint8_t *reply, size_t capacity, uint16_t rcode,
	enum ede_code code, const char *text)
{
	struct compose compose;
	uint16_t flags = (uint16_t)((rcode & DNS_FLAG_RCODE) | (request->flags & DNS_FLAG_OPCODE));

	if (request->qname_length == 0)
		return reply_headless(request, reply, capacity, flags);
	reply_begin(&compose, request, reply, capacity, flags);
	return finish_with_opt(&compose, request, (uint8_t)(rcode >> 4), code, text);
}

size_t reply_truncated(const struct request *request, uint8_t *reply, size_t capacity)
{
	struct compose compose;

	reply_begin(&compose, request, reply, capacity, DNS_FLAG_TC);
	return finish_with_opt(&compose, request, 0, EDE_NONE, NULL);
}

static void add_denial_soa(struct compose *compose, const struct name *apex, uint32_t ttl_s)
{
	struct compose_soa soa = {.serial = 1,
		.refresh_s = 3600,
		.retry_s = 600,
		.expire_s = 86400,
		.minimum_s = ttl_s};

	name_from_text(&soa.mname, "localhost.", 10);
	name_from_text(&soa.rname, "nobody.invalid.", 15);
	compose_rr_soa(compose, SECTION_AUTHORITY, apex, ttl_s, &soa);
}

/* The records of the type asked, or the rule's CNAME. False: the rule has none for this type. */
static bool add_local_data(struct compose *compose, const struct name *owner, uint16_t qtype,
	const struct policy_index *index, const struct policy_match *match)
{
	struct policy_record record;
	uint16_t type = qtype, before = compose->counts[1];
	size_t position = 0;

	if (type != TYPE_ANY && !policy_rule_record(index, match, type, &position, &record)) {
		type = TYPE_CNAME;
		position = 0;
		if (!policy_rule_record(index, match, type, &position, &record))
			return false;
	}
	position = 0;
	while (policy_rule_record(index, match, type, &position, &record))
		compose_rr(compose, SECTION_ANSWER, owner, record.type, record.ttl_s, record.rdata,
			record.rdata_length);
	return compose->counts[1] > before || compose->writer.error != TD_OK;
}

size_t reply_finish_policy(struct compose *compose, const struct request *request,
	enum ede_code code, const char *zone_name)
{
	char text[POLICY_ZONE_NAME_MAX + 16];

	snprintf(text, sizeof text, "policy zone %s", zone_name);
	return finish_with_opt(compose, request, 0, code, text);
}

size_t reply_policy(const struct request *request, uint8_t *reply, size_t capacity,
	const struct policy_index *index, const struct policy_verdict *verdict,
	const struct chain *chain, uint32_t ttl_s, enum ede_code code, const char *zone_name)
{
	struct compose compose;
	uint8_t folded[NAME_WIRE_MAX];
	struct name owner, apex;
	size_t length;

	reply_begin(&compose, request, reply, capacity,
		verdict->action == ACTION_NXDOMAIN ? RCODE_NXDOMAIN : RCODE_NOERROR);
	chain_write(chain, &compose, request, &owner);
	if (verdict->action != ACTION_LOCAL_DATA ||
		!add_local_data(&compose, &owner, request->qtype, index, verdict->enforced)) {
		name_fold(folded, owner.wire, owner.length);
		policy_rule_apex(index, verdict->enforced, folded, owner.length, &apex);
		add_denial_soa(&compose, &apex, ttl_s);
	}
	length = reply_finish_policy(&compose, request, code, zone_name);
	return length ? length : reply_truncated(request, reply, capacity);
}

size_t reply_no_data(const struct request *request, uint8_t *reply, size_t capacity, uint32_t ttl_s,
	enum ede_code code, const char *text)
{
	struct name apex = {.length = request->qname_length};
	struct compose compose;

	memcpy(apex.wire, request->qname, request->qname_length);
	reply_begin(&compose, request, reply, capacity, RCODE_NOERROR);
	add_denial_soa(&compose, &apex, ttl_s);
	size_t length = finish_with_opt(&compose, request, 0, code, text);

	return length ? length : reply_truncated(request, reply, capacity);
}

size_t reply_denial(const struct request *request, uint8_t *reply, size_t capacity, uint16_t rcode,
	const struct name *apex, uint32_t ttl_s)
{
	struct compose compose;

	reply_begin(&compose, request, reply, capacity, rcode);
	add_denial_soa(&compose, apex, ttl_s);
	return finish_with_opt(&compose, request, 0, EDE_NONE, NULL);
}

size_t reply_minimal_any(const struct request *request, uint8_t *reply, size_t capacity)
{
	static const uint8_t hinfo[] = {7, 'R', 'F', 'C', '8', '4', '8', '2', 0};
	struct name owner = {.length = request->qname_length};
	struct compose compose;

	memcpy(owner.wire, request->qname, request->qname_length);
	reply_begin(&compose, request, reply, capacity, RCODE_NOERROR);
	compose_rr(&compose, SECTION_ANSWER, &owner, TYPE_HINFO, ANY_TTL_S, hinfo, sizeof hinfo);
	return finish_with_opt(&compose, request, 0, EDE_NONE, NULL);
}
