/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An upstream's reply on its way into the cache and out again. The first octet says how the client asked, the second
 * which type it asked for, the third how old the answer is when it is served; the rest is the reply. Whatever is accepted
 * is a message that reads back to its last octet, whose list of TTLs is exact, that stands being served late and in
 * another spelling, and that comes out the same when it goes in again.
 */
#include <string.h>

#include "lib/dns/message.h"
#include "resolver/answer.h"
#include "tests/fuzz/fuzz.h"

#define STORED_US INT64_C(1000000000)
#define US_PER_S INT64_C(1000000)

static const struct answer_limits limits = {.ttl_min_s = 0, .ttl_max_s = 86400, .negative_ttl_max_s = 10800};
static const struct name unreadable = {.length = 9, .wire = "\007example"};

/* The reply's own name, which upstream/ has compared; the type may be another one. */
static struct upstream_question choose_question(uint8_t how, uint8_t type, const uint8_t *reply, size_t size)
{
	static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_NS, TYPE_CNAME, TYPE_SOA, TYPE_PTR, TYPE_MX, TYPE_TXT,
		TYPE_SRV, TYPE_DNAME, TYPE_HTTPS, TYPE_RRSIG, TYPE_DS, 35 /* NAPTR */};
	struct upstream_question question = {.dnssec_ok = how & 1, .checking_disabled = how & 2};
	struct wire_reader reader = wire_reader_init(reply, size);
	uint16_t qclass;

	message_read_header(&reader);
	message_read_question(&reader, &question.qname, &question.qtype, &qclass);
	if (reader.error != TD_OK)
		question.qname = unreadable;
	if (type)
		question.qtype = types[type % (sizeof types / sizeof types[0])];
	name_fold(question.qname.wire, question.qname.wire, question.qname.length);
	return question;
}

/* Names in RDATA were written anew, so they end within it, and are compressed in the types that allow it only. */
static void check_rdata(const uint8_t *message, size_t size, const struct message_rr *rr)
{
	struct name name;

	if (rr->type == TYPE_A)
		FUZZ_CHECK(rr->rdata_length == 4);
	if (rr->type == TYPE_AAAA)
		FUZZ_CHECK(rr->rdata_length == 16);
	if (rr->type == TYPE_CNAME || rr->type == TYPE_NS || rr->type == TYPE_PTR || rr->type == TYPE_SOA)
		FUZZ_CHECK(message_rdata_name(message, size, rr, 0, &name));
	size_t before = rr->type == TYPE_MX ? 2 : rr->type == TYPE_SRV ? 6 : 0;
	if (before || rr->type == TYPE_DNAME) /* not even compressed */
		FUZZ_CHECK(rr->rdata_length > before &&
			name_wire_length(message + rr->rdata_offset + before, rr->rdata_length - before) > 0);
}

static uint16_t ttl_offset(const struct answer *answer, unsigned n)
{
	uint16_t offset;

	FUZZ_CHECK(n < answer->ttl_count);
	memcpy(&offset, answer->bytes + answer->length + n * sizeof offset, sizeof offset);
	return offset;
}

/* Reads a message made of the answer; every TTL is where the answer says, and is its original one less age_s. */
static void check_message(const struct answer *answer, const uint8_t *message, const struct upstream_question *question,
	uint32_t age_s)
{
	struct wire_reader reader = wire_reader_init(message, answer->length);
	struct wire_reader original = wire_reader_init(answer->bytes, answer->length);
	struct message_header header = message_read_header(&reader);
	struct message_rr rr, before;
	struct name qname;
	uint16_t qtype, qclass;

	message_read_question(&reader, &qname, &qtype, &qclass);
	FUZZ_CHECK(reader.error == TD_OK && header.qdcount == 1 && header.arcount == 0);
	FUZZ_CHECK(qtype == question->qtype && qclass == CLASS_IN && name_equal(&qname, &question->qname));
	FUZZ_CHECK(answer->ttl_count == header.ancount + header.nscount);
	original.position = reader.position;
	for (unsigned i = 0; i < answer->ttl_count; i++) {
		FUZZ_CHECK(message_read_rr(&reader, &rr) && message_read_rr(&original, &before));
		FUZZ_CHECK(rr.rr_class == CLASS_IN && name_equal(&rr.owner, &before.owner));
		FUZZ_CHECK(rr.ttl_offset == ttl_offset(answer, i) && before.ttl <= limits.ttl_max_s);
		FUZZ_CHECK(rr.ttl == (before.ttl > age_s ? before.ttl - age_s : 0));
		check_rdata(message, answer->length, &rr);
	}
	FUZZ_CHECK(wire_left(&reader) == 0);
}

/* What a client gets: late, in capitals. */
static void check_served(const struct answer *answer, const struct upstream_question *question, uint32_t age_s)
{
	static uint8_t out[DNS_MESSAGE_MAX];
	bool truncated;
	size_t length = answer_write(answer, STORED_US + age_s * US_PER_S + 1, out, sizeof out, &truncated);

	FUZZ_CHECK(length == answer->length && !truncated);
	for (size_t at = 0, label = 0; at < question->qname.length; at++) {
		uint8_t *octet = &out[DNS_HEADER_SIZE + at];
		if (at == label)
			label += 1u + *octet;
		else if (*octet >= 'a' && *octet <= 'z')
			*octet &= 0xdf;
	}
	check_message(answer, out, question, age_s);
	length = answer_write(answer, STORED_US, out, answer->length - 1u, &truncated);
	FUZZ_CHECK(truncated && length == DNS_HEADER_SIZE + question->qname.length + 4u && length < DNS_UDP_CLASSIC);
}

static void check_fixed_point(const struct answer *answer, const struct upstream_question *question)
{
	struct answer *copy = answer_copy(answer), *again;
	enum td_error error;

	FUZZ_CHECK(copy && memcmp(copy, answer, answer_memory(answer)) == 0);
	wire_put_u16(copy->bytes, copy->length, 2, answer->flags);
	again = answer_from_reply(copy->bytes, copy->length, question, &limits, STORED_US, answer->id, &error);
	FUZZ_CHECK(again && again->length == answer->length && again->ttl_count == answer->ttl_count);
	FUZZ_CHECK(again->expires_us == answer->expires_us && memcmp(again->bytes, answer->bytes, answer->length) == 0);
	free(again);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader input = wire_reader_init(data, size);
	uint8_t how = wire_read_u8(&input), type = wire_read_u8(&input);
	uint32_t age_s = UINT32_C(1) << (wire_read_u8(&input) & 31);
	size_t reply_size = wire_left(&input) < DNS_MESSAGE_MAX ? wire_left(&input) : DNS_MESSAGE_MAX;
	const uint8_t *reply = wire_read_bytes(&input, reply_size);
	enum td_error error;

	if (!reply)
		return 0;
	struct upstream_question question = choose_question(how, type, reply, reply_size);
	struct answer *answer = answer_from_reply(reply, reply_size, &question, &limits, STORED_US, 7, &error);
	if (!answer) {
		FUZZ_CHECK(error != TD_OK);
		return 0;
	}
	FUZZ_CHECK(answer->expires_us >= answer->stored_us && answer->stored_us == STORED_US);
	check_message(answer, answer->bytes, &question, 0);
	check_served(answer, &question, age_s);
	check_fixed_point(answer, &question);
	free(answer);
	return 0;
}
